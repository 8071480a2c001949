"""Body formats: what each request sends to the byte, and what is refused, by whom (tests/cases/bodies.yaml); and a format that a test adds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from blocks import offer_one
from conftest import table
from waypost import plan as p
from waypost.compiler.pipeline import compile_text
from waypost.delivery.gate import Gate
from waypost.delivery.lane import Dead, Lane, Position, Send
from waypost.events.results import Mapped, Rejected
from waypost.lang import bodies
from waypost.lang.bodies.format import PLACE, BodyFormat, Layout
from waypost.program.program import Program, link
from waypost.program.settings import SettingError

NOW = 1_795_000_000.0
CASES = table("bodies")


def spec_of(case: dict[str, Any]) -> str:
    """The case as a spec."""
    rows = ["spec: 1", "name: shop", *(f"{word}: {case[word]}" for word in ("settings", "auth") if word in case)]
    rows += [f"request: {case['request']}", "actions:"]
    for name, words in case.get("actions", {"send": 'type = "track"'}).items():
        rows += [f"  {name}:", f"    trigger: {words}"]
        rows += [f"    mapping: {case['mapping']}"] if "mapping" in case else []
    return "\n".join(rows) + "\n"


def linked(spec: str, given: dict[str, Any] | None = None) -> Program:
    plan, report = compile_text(spec, "shop/destination.yaml")
    assert plan is not None, [(found.code, found.message) for found in report.diagnostics]
    return link(p.load(p.dump(plan)), given or {})


def lane_of(program: Program) -> Lane:
    return Lane(dict(program.requests), dict.fromkeys(program.requests, Gate(100, lambda: 1.0)), lambda: 1.0)


def offered(program: Program, events: list[dict[str, Any]]) -> tuple[list[Send], list[Dead]]:
    """The requests and dead letters that a lane makes of events, as blocks and line by line alike."""
    lines = [json.dumps({"type": "track", "userId": "u", **event}, ensure_ascii=False).encode() for event in events]
    lane, dead, offset = lane_of(program), [], 0
    for number, line in enumerate(lines):
        results = program.map(line, offset, lines[0], NOW)
        place = Position("s", offset, number + 1, offset + len(line) + 1)
        dead += [held for held in offer_one(lane, list(results), line, place, 0.0) if isinstance(held, Dead)]
        offset = place.end
    return [held for held in lane.tick(0.0, flush=True) if isinstance(held, Send)], dead


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_bodies(case: dict[str, Any]) -> None:
    if "code" in case:
        plan, report = compile_text(spec_of(case), "shop/destination.yaml")
        assert plan is None
        assert [found.code for found in report.diagnostics] == [case["code"]]
        assert case["says"] in report.diagnostics[0].message
        return
    program = linked(spec_of(case), case.get("given"))
    sends, dead = offered(program, case["events"])
    if "reason" in case:
        assert sends == []
        assert [(letter.reason, letter.field) for letter in dead] == [(case["reason"], case["field"])]
        assert case["says"] in dead[0].message
        return
    assert dead == []
    (send,) = sends
    kind = program.requests[send.request]
    wire = kind.render(send.group, send.joined(kind.layout), NOW)
    assert wire.body.decode() == case["body"]
    assert dict(wire.headers).get("content-type") == case.get("content_type")
    assert wire.url == case.get("url", wire.url)
    around = kind.envelope(send.group, NOW)
    assert (around is None) == ("content_type" not in case)
    shown = kind.render(send.group, send.joined(kind.layout), NOW, masked=True)
    assert case.get("given", {"": "\0"}).get("key", "\0") not in shown.body.decode()


class Pipes(BodyFormat):
    """A made-up format: messages between bars, as one file of lang/bodies would say it."""

    word = "pipes"
    doc = "Messages between bars."
    name = "piped messages"
    content_type = "application/x-pipes"
    kinds = re.compile("application/x-pipes")
    members = False

    def layout(self, body: p.Value) -> Layout:
        return Layout(b" || ")

    def written(self, value: Any) -> bytes:
        return b"<<" + PLACE + b">>"

    def faults(self, body: p.Value, *, batched: bool) -> Iterator[tuple[p.Value | None, str, str]]:
        if not isinstance(body, p.Messages):
            yield None, "`pipes` holds messages", "write `pipes: $messages`"


def test_a_format_is_one_file_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled, cut on its exact bytes, and sent; only FORMATS knows of it. Mutation: the separator counted as one byte, in `Flow._before`."""
    monkeypatch.setitem(bodies.FORMATS, "pipes", Pipes())
    case = {
        "request": "{post: https://api.example.com/x, pipes: $messages, batch: {max_bytes: 40B}}",
        "mapping": "{id: $.userId}",
    }
    program = linked(spec_of(case))
    sends, dead = offered(program, [{"userId": "a" * size} for size in (1, 3, 1, 30, 26, 27)])
    wires = [
        program.requests["request"].render(one.group, one.joined(program.requests["request"].layout), NOW)
        for one in sends
    ]
    assert [wire.body.decode() for wire in wires] == [
        '<<{"id":"a"} || {"id":"aaa"}>>',
        '<<{"id":"a"}>>',
        '<<{"id":"' + "a" * 26 + '"}>>',
        '<<{"id":"' + "a" * 27 + '"}>>',
    ]
    assert all(len(wire.body) <= 40 for wire in wires)
    assert dict(wires[0].headers)["content-type"] == "application/x-pipes"
    assert [(letter.reason, letter.message) for letter in dead] == [
        ("message_too_large", "the message has 39 bytes, at most 40 are allowed")
    ]
    plan, report = compile_text(
        spec_of({**case, "request": case["request"].replace("$messages", "{a: $messages}")}), "x.yaml"
    )
    assert plan is None
    assert report.diagnostics[0].message == "`pipes` holds messages"


REQUESTS = {
    "body": "{post: https://api.example.com/x, body: {a: $messages}, concurrency: 100, batch: {max_bytes: 120B, max_messages: 7}}",
    "lines": "{post: https://api.example.com/x, lines: $messages, concurrency: 100, batch: {max_bytes: 120B, max_messages: 7}}",
    "form": "{post: https://api.example.com/x, form: {v: 1, data: $messages}, concurrency: 100, batch: {max_bytes: 220B, max_messages: 7}}",
}


@pytest.mark.parametrize("word", REQUESTS)
def test_batches_are_cut_on_the_bytes_that_are_sent(word: str) -> None:
    """Greedy: no batch is over its limit, and the next message would have broken one; all arrive, in order."""
    program = linked(spec_of({"request": REQUESTS[word], "mapping": "{id: $.userId}"}))
    kind = program.requests["request"]
    batch = kind.policy.batch
    assert batch is not None
    assert batch.max_bytes is not None

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.text("aé&\n", min_size=1, max_size=30), min_size=1, max_size=30))
    def cut(users: list[str]) -> None:
        sends, dead = offered(program, [{"userId": user} for user in users])
        assert dead == []
        sizes = []
        for one in sends:
            wire = kind.render(one.group, one.joined(kind.layout), NOW)
            assert len(wire.body) <= batch.max_bytes
            sizes.append((len(wire.body), one.count))
        assert [json.loads(body)["id"] for one in sends for body in one.bodies] == users
        for (size, count), following in zip(sizes, sends[1:], strict=False):
            more = kind.layout.size(following.bodies[0]) + len(kind.layout.separator)
            assert count == 7 or size + more > batch.max_bytes

    cut()


def test_a_message_that_no_form_holds_is_a_dead_letter_alone() -> None:
    """Its neighbours go; what was mapped is the same on every way."""
    program = linked(
        spec_of({"request": "{post: https://api.example.com/x, form: $message}", "mapping": "{a: $.properties.a}"})
    )
    sends, dead = offered(program, [{"properties": {"a": value}} for value in (1, {"b": 1}, [[1]], [1])])
    bodies_ = [program.requests["request"].render(one.group, one.joined(Layout()), NOW).body for one in sends]
    assert bodies_[0] == b"a=1"
    assert [letter.field for letter in dead] == ["a", "a"]
    assert all(isinstance(result, (Mapped, Rejected)) for result in program.map(b'{"type":"track"}', 0, b"", NOW))


def test_names_from_settings_are_checked_when_a_plan_is_linked() -> None:
    """A choice's data may be an object of headers; what cannot be sent is one line, before any event is read."""
    case = {
        "settings": "{r: {choices: {good: {label: G, h: {X-A: 1}}, odd: {label: O, h: {'a b': c}}, "
        "ours: {label: H, h: {Host: c}}, deep: {label: D, h: {x: [1]}}}}}",
        "request": '{post: https://api.example.com/x, headers: {$merge: "{{ settings.r.h }}", x-b: b}, body: $message}',
        "mapping": "{id: $.userId}",
    }
    program = linked(spec_of(case), {"r": "good"})
    (send,), _ = offered(program, [{}])
    kind = program.requests["request"]
    headers = dict(kind.render(send.group, send.joined(kind.layout), NOW).headers)
    assert (headers["x-a"], headers["x-b"]) == ("1", "b")
    for choice, said in (
        ("odd", "'a b' is not a header name"),
        ("ours", "is set by the engine"),
        ("deep", "found array"),
    ):
        with pytest.raises(SettingError, match=re.escape(said)) as error:
            linked(spec_of(case), {"r": choice})
        assert str(error.value).startswith("shop: the setting `r` cannot be used in request: `headers`: ")


def test_a_method_or_a_body_takes_the_place_of_another_in_a_request_alone() -> None:
    """In a mapping `get` beside `post` and `text` beside `form` are names like others. Mutation: `request` not passed on in `reuse._joined`."""
    spec = """spec: 1
name: shop
request: {post: https://api.example.com/x, body: $message}
shared:
  block:
    request: {put: https://api.example.com/y, text: x, content_type: text/plain}
    mapping: {get: $.userId, text: $.event}
actions:
  send:
    trigger: type = "track"
    use: block
    request: {form: $message}
    mapping: {post: $.userId, form: $.messageId}
"""
    plan, report = compile_text(spec, "x.yaml")
    assert plan is not None, [(found.code, found.message) for found in report.diagnostics]
    (request,) = plan.requests.values()
    assert (request.method, request.format, request.content_type) == ("put", "form", UNSET)
    assert isinstance(plan.actions["send"].mapping, p.Object)
    assert list(plan.actions["send"].mapping.entries) == ["get", "text", "post", "form"]
