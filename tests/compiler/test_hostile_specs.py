"""What a person types where a spec holds numbers: a finding or a plan, never a traceback; and what compiles runs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from waypost import plan as p
from waypost.compiler.pipeline import compile_text
from waypost.compiler.report.render.human import render
from waypost.lang.values import Fault
from waypost.program.program import link
from waypost.program.settings import SettingError
from ways import mapped

SPEC = """spec: 1
name: shop
settings:
  key: {type: string, secret: true}
  count: {type: integer, default: <1>}
  share: {type: number, default: <0.5>}
  region:
    choices:
      eu: {label: EU, api: "https://eu.example.com", weight: <1>}
auth:
  bearer: "{{ settings.key }}"
request:
  post: "https://eu.example.com/events"
  query: {v: "{{ <1> + <2> }}", w: "{{ settings.count * <3> }}{{ settings.share }}{{ settings.region.weight }}"}
  headers: {x-at: "{{ (now / <1000>) | round }}"}
  body: {sent: {$literal: <7>}, n: <8>, events: $messages}
  gzip: true
  timeout: <10>s
  concurrency: <4>
  batch: {max_messages: <100>, max_bytes: <500>kB, max_message_bytes: <32>KiB, max_wait: <1>s}
  rate: {requests: <1000>/s, messages: <10>/<3>s}
  retry: {for: <4>h, wait_from: [Retry-After], max_wait: <1>h}
  dedupe: {by: id, within: <24>h}
  responses:
    400: [{if: 'status = <400> and body.code > <7>', then: reject}]
    <429>: throttle
actions:
  send:
    trigger: 'type = "track" and properties.total > <10> and properties.items[<0>] != <1> and length(event) < <100>'
    require: [{any: [id], if: 'properties.a in [<1>, <2>]'}]
    mapping:
      id: "{{ meta.id }}"
      a: {$from: $.properties.a, type: number, enum: [<1>, <2.5>], default: <1>}
      b: {$from: $.properties.b, type: string, max_length: <10>, max_bytes: <20>, pattern: "[a-z]{<3>}"}
      c: {$from: $.timestamp, type: datetime, max_age: <7>d, max_ahead: <5>m}
      d: {$lookup: $.properties.c, in: {x: <1>}, else: <2>}
      e: "{{ (event.properties.total * <100>) | round(<2>) }}"
      f: "{{ event.properties.b | default(<1>) | string | slice(<0>, <4>) }}"
      g: "{{ event.properties.items[<0>].id | json }}"
      h: $.properties.items[<0>].id
      i: $.properties.items[<0>:<2>:<1>]
      j: {$literal: [<1>, {k: <2>}]}
      k: "{{ event.properties.b | default('x') | hash_id(<8>) }}"
      l: {$when: 'properties.total >= <1>', then: <3>}
      m: {$each: $.properties.items, where: item.n < <4>, to: {n: "{{ item.n / <2> }}"}}
      <5>: $.event
  sms:
    trigger: type = "page"
    request:
      post: https://eu.example.com/sms
      query: {$merge: {a: <1>, b: $.name}, c: "{{ <2> }}"}
      headers: {$merge: {$literal: {x-n: <3>}}}
      form: {to: $.userId, n: <4>, many: [<5>, $.name], t: "{{ now }}"}
      batch: $omit
      dedupe: $omit
  note:
    trigger: type = "screen"
    request: {put: "https://eu.example.com/{{ <6> }}", text: "a{{ <7> }}", content_type: text/plain, batch: $omit, dedupe: $omit}
  people:
    trigger: type = "identify"
    request:
      body: {n: <8>, events: {$messages: [people]}}
      dedupe: $omit
    mapping: {id: $.userId}
"""
PLACES = [found.span() for found in re.finditer(r"<[0-9.]+>", SPEC)]
SCALARS = (
    *(
        "0",
        "-0",
        "-1",
        "-0.0",
        "1.50",
        "0.1000000000000000000000001",
        "1e400",
        "-1e400",
        "1e308",
        "1e-400",
        "1e-7",
        "1E+5",
        "0e0",
    ),
    *("1e99999999999999999999", "1e-99999999999999999999", "0e99999999999999999999", "1e2147483647", "1e999999999"),
    *(str(2**bits + more) for bits in (31, 32, 53, 63, 64) for more in (-1, 0)),
    *("9" * size for size in (18, 19, 40, 309, 400, 401, 4300, 4301, 5000)),
    *(
        "-" + "9" * 5000,
        "0." + "3" * 5000,
        "9" * 5000 + ".5",
        "0x" + "F" * 5000,
        "1_000",
        "0o17",
        "١٢",
        "+5",
        ".5",
        "5.",
        ".inf",
        ".nan",
        "NaN",
    ),
    *(
        "true",
        "null",
        "~",
        "",
        '"',
        "\\0",
        "2026-11-24",
        "99999-01-01",
        "1:30",
        '"\\ud800"',
        "\\ud800",
        "1e",
        "--1",
        "1/0",
        "0/0s",
    ),
)


def spec_with(scalar: str, place: int) -> str:
    """The spec with a scalar at one place, and what stood at every other."""
    start, end = PLACES[place]
    return plain(SPEC[:start]) + scalar + plain(SPEC[end:])


def plain(text: str) -> str:
    return re.sub(r"<([0-9.]+)>", r"\1", text)


EVENTS = [
    b'{"type":"track","event":"A","messageId":"m","timestamp":"2026-11-24T10:00:00Z","properties":{"total":19.99,"a":1,"b":"abc","c":"x",'
    b'"items":[{"id":1,"n":3},{"id":2}]}}',
    b'{"type":"track","event":"A","properties":{"total":1e400,"a":2.5,"b":0e99999999999999999999,"items":[1e-99999999999999999999]}}',
    *(b'{"type":"%s","userId":"u","name":"n"}' % kind for kind in (b"page", b"screen", b"identify")),
]


def run(plan: p.Plan) -> None:
    """The plan is what it was when it is read again, and takes events; a setting's fault is one line."""
    again = p.load(p.dump(plan))
    assert p.dump(again) == p.dump(plan)
    try:
        program = link(again, {"key": "k", "region": "eu"})
    except (SettingError, Fault):
        return
    rows: list[Any] = mapped(program, EVENTS)
    for row in rows:
        assert row


def test_the_spec_is_right_as_it_stands() -> None:
    plan, report = compile_text(plain(SPEC), "shop.yaml")
    assert plan is not None, render([report])
    run(plan)


@pytest.mark.parametrize("scalar", SCALARS, ids=lambda scalar: f"{scalar[:12]} {len(scalar)}")
def test_any_scalar_at_any_place_is_a_plan_or_a_finding(scalar: str) -> None:
    """Mutations that turn this red: `int(node.text)` without a look at its length, a template's numbers left to Jinja."""
    for place in range(len(PLACES)):
        text = spec_with(scalar, place)
        plan, report = compile_text(text, "shop.yaml")
        assert plan is not None or report.failed
        render([report])
        if plan is not None:
            run(plan)
