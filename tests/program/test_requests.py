"""What a request takes from the event: whatever that is, it becomes a request that can be sent, or a dead letter that names the part."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from msgspec import UNSET
from test_differential import COUNTS, NEAR_PATHS, event_lines, mappings, near_lines
from test_differential import values as expressions

from conftest import table
from waypost import plan as p
from waypost.compiler.pipeline import compile_text
from waypost.events.results import Mapped, Rejected
from waypost.http.transport import url_as_sent
from waypost.lang.names import TOKEN
from waypost.lang.values import MISSING, Fault
from waypost.program import interpret
from waypost.program.program import Program, link
from waypost.program.settings import Bound, SettingError
from waypost.program.support import text_part
from ways import all_ways, both, compiled

NOW = 1_795_000_000.0
now = p.Ref(name="now")


def evenly(*strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Each as often as any other, however many kinds it is made of: `one_of` would go by these."""
    return st.sampled_from(strategies).flatmap(lambda strategy: strategy)


timed = evenly(
    st.builds(lambda of: p.Arith(sign="+", left=now, right=of), expressions),
    st.builds(lambda of: p.Merge(of=[of], entries={"at": now}), expressions),
    st.builds(lambda of: p.First(of=[of, now]), expressions),
    st.builds(lambda of: p.From(of=p.Filter(name="default", of=of, args=[now]), type="string"), expressions),
    st.builds(lambda of: p.When(test='event = "A"', then=now, otherwise=of), expressions),
    st.builds(lambda of: p.Each(of=of, to=p.Object(entries={"i": p.Path(path="$item"), "at": now})), expressions),
    st.builds(
        lambda of: p.Find(of=of, where='item != "x"', to=p.Items(items=[p.Path(path="$item"), now])), expressions
    ),
    st.builds(lambda of: p.Get(of=p.Merge(of=[of], entries={"at": now}), key=p.Const(value="at")), expressions),
    st.builds(lambda of: p.Object(entries={"in": of, "at": now}), expressions),
    st.builds(lambda of: p.First(of=[now, of]), expressions),
    st.builds(lambda of: p.From(of=now, type="string", invalid="omit", default=of), expressions),
    st.builds(
        lambda of: p.Lookup(of=p.First(of=[p.Const(value="x"), now]), table={"x": "x"}, otherwise=of), expressions
    ),
    st.builds(lambda of: p.Text(parts=[of, p.Text(parts=[now, of])]), expressions),
    st.builds(lambda of: p.Items(items=[of, now, p.Ref(name="meta.id")]), expressions),
).filter(lambda node: p.mentions(node, lambda held: isinstance(held, (p.Path, p.When))))
"""Expressions over the event and the instant of the attempt: what can only be evaluated when the request is rendered."""

near = st.sampled_from([p.Path(path=path) for path in NEAR_PATHS])
texts = evenly(
    near,
    near,
    expressions,
    timed,
    st.builds(lambda of: p.Text(parts=[p.Const(value="t-"), of]), near | expressions),
    st.builds(lambda of: p.Text(parts=[of, p.Const(value="/"), now]), near | expressions),
)
bodies = evenly(
    st.builds(
        lambda of, many: (p.Object(entries={"held": of, "sent": p.Messages(many=many)}), UNSET, many),
        texts,
        st.booleans(),
    ),
    st.booleans().map(lambda many: (p.Messages(many=many), "lines", many)),
    st.builds(lambda of, other: (p.Object(entries={"a": of, "b": other}), "form", False), near | expressions, texts),
    st.builds(
        lambda of, many: (p.Object(entries={"held": of, "sent": p.Messages(many=many)}), "form", many),
        texts,
        st.booleans(),
    ),
    (expressions | timed).map(lambda of: (of, "form", False)),
    st.just((p.Messages(many=False), "form", False)),
    texts.map(lambda of: (of, "text", False)),
    st.just((None, UNSET, False)),
)
objects = evenly(*[st.just(UNSET)] * 3, st.lists(expressions | timed, min_size=1, max_size=2))
signs = st.builds(
    lambda text, header, query: p.Sign(
        text=p.Text(parts=[p.Ref(name="timestamp"), text, p.Ref(name="body")]),
        key=p.Const(value="k"),
        hash="sha256",
        headers={"x-sign": p.Text(parts=[p.Ref(name="signature"), p.Const(value=";"), header])},
        query={"s": query},
    ),
    *[near | texts] * 3,
)
requests = st.builds(
    lambda url, header, query, body, headers, parameters, sign: p.Request(
        method="post",
        url=p.Text(parts=[p.Const(value="https://example.com/a/"), url, p.Const(value="/b")]),
        headers={} if header is None else {"x-part": header},
        query={} if query is None else {"q": query},
        body=body[0],
        format=body[1],
        batch=p.Batch(max_messages=5) if body[2] else None,
        more_headers=headers,
        more_query=parameters,
        sign=sign,
    ),
    evenly(*[st.sampled_from([p.Path(path="$.userId"), p.Path(path="$.event"), p.Const(value="c")])] * 3, texts),
    evenly(st.none(), st.none(), texts),
    evenly(st.none(), st.none(), texts),
    bodies,
    objects,
    objects,
    evenly(*[st.just(UNSET)] * 5, signs),
)
"""Most have few parts that an event can spoil."""


def plan_of(request: p.Request, mapping: p.Value, each: p.Value | None = None) -> p.Plan:
    action = p.Action(trigger='type = "track"', request="request", mapping=mapping, each=each)
    region = p.Setting(type="choice", default="eu", choices={"eu": {"api": "https://eu.example.com"}})
    plan = p.Plan(name="any", requests={"request": request}, actions={"send": action}, settings={"region": region})
    return p.load(p.dump(p.seal(plan)))


def check_wire(program: Program, result: Mapped) -> None:
    """A request that any client and server can read, of the same length at every instant."""
    kind = program.requests[result.request]
    for masked in (False, True):
        wire = kind.render(result.group, [result.body], NOW, masked=masked)
        check_body(kind.policy, wire.body)
        assert len(wire.url) <= 65_536
        assert wire.url.startswith("https://example.com/a/")
        assert masked or url_as_sent(wire.url) == wire.url
        for name, value in wire.headers:
            assert re.fullmatch(TOKEN, name)
            assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value)
            assert value == value.strip()
            value.encode()
    assert hash(result.group) is not None
    around, later = kind.envelope(result.group, NOW), kind.envelope(result.group, NOW + 1.0)
    assert (around is None) == (kind.policy.body is None)
    assert sum(map(len, around or [])) == sum(map(len, later or []))


def check_body(request: p.Request, body: bytes) -> None:
    """What a server of that kind can read."""
    if request.body is None:
        assert body == b""
    elif request.format is UNSET:
        json.loads(body)
    elif request.format == "lines":
        assert body.endswith(b"\n")
        assert len([json.loads(line) for line in body.splitlines()]) == 1
    elif request.format == "form":
        assert re.fullmatch(rb"[\w*.~+%=&<>-]*", body)
    body.decode()


def texts_of(request: p.Request) -> list[p.Value]:
    """The parts of a request that are text."""
    held = [request.url, *request.headers.values(), *request.query.values()]
    return [part for value in held for part in (value.parts if isinstance(value, p.Text) else [value])]


def objects_of(request: p.Request) -> list[p.Value]:
    """What must be an object or flat: where no event decides, the compiler says whether it is."""
    held = [*(request.more_headers or ()), *(request.more_query or ())]
    if request.format == "form" and request.body is not None:
        held += request.body.entries.values() if isinstance(request.body, p.Object) else [request.body]
    return [*held, request.body] if request.format == "text" and request.body is not None else held


def of_event(node: p.Value) -> bool:
    return p.mentions(node, lambda held: isinstance(held, (p.Path, p.When, p.Messages)))


def never(part: p.Value) -> bool:
    """Whether a part faults whatever the event is: no spec with one compiles (M201, T114), so no plan has one."""
    if p.mentions(part, lambda node: isinstance(node, (p.Path, p.Ref, p.When, p.Messages))):
        return False
    try:
        text_part(interpret.evaluate(part, interpret.Env(event=MISSING, settings=Bound({}))))
    except Fault:
        return True
    return False


@pytest.mark.parametrize("count", COUNTS)
def test_any_request_of_any_event_can_be_sent_or_is_refused(count: int) -> None:
    """Mutations of request/grouping.py that turn this red: no trial of what holds `now`; `operand` parts as raw bytes; a condition evaluated
    without its event; values as they are in place of their JSON (`1` and `true` are one group); null for what is missing; the query by values
    and not by texts; a body that is no part; an empty part of a url."""

    @settings(max_examples=count)
    @given(
        requests,
        st.just(p.Object(entries={"u": p.Path(path="$.userId")})) | mappings,
        st.sampled_from([None, None, p.Path(path="$.properties.a")]),
        st.integers(0, 10**9),
    )
    def sendable(request: p.Request, mapping: p.Value, each: p.Value | None, seed: int) -> None:
        assume(not any(map(never, texts_of(request))))
        assume(all(map(of_event, objects_of(request))))
        try:
            linked = both(plan_of(request, mapping, each), {})
        except SettingError as error:
            # A part that settings alone decide and that faults is refused before any event is read.
            assert re.search(r"the settings? `\w+`.* cannot be used in request", str(error))
            reject()
        for row in all_ways(linked, event_lines(seed)):
            for result in row:
                if isinstance(result, Mapped) and linked[0].requests[result.request].refusal(result) is None:
                    check_wire(linked[0], result)

    sendable()


def lines_of(seed: int) -> list[bytes]:
    """Events of any kind, and some that are near to each other."""
    return [*event_lines(seed)[:3], *near_lines(seed)]


CASES = table("request_parts")


def linked(spec: str) -> Program:
    plan, report = compile_text(spec, "shop/destination.yaml")
    assert plan is not None, report.diagnostics
    return link(plan, {})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_parts(case: dict[str, Any]) -> None:
    """One event and what becomes of it: `url`, `headers` and `body` as sent, or `reason`, `field` and words of the message."""
    plan = compiled(SPEC.format(request=case["request"].strip().replace("\n", "\n  ")))
    [program, _] = ways = both(plan, {})
    [[result]] = all_ways(ways, [json.dumps({"type": "track", "userId": "u", **case.get("event", {})}).encode()])
    if "reason" in case:
        assert isinstance(result, Rejected)
        assert (result.reason, result.field) == (case["reason"], case["field"])
        assert case["says"] in result.message
        return
    assert isinstance(result, Mapped), result
    wire = program.requests[result.request].render(result.group, [result.body], NOW)
    sent = {"url": wire.url, "headers": dict(wire.headers), "body": json.loads(wire.body)}
    for name in ("url", "body"):
        assert name not in case or sent[name] == case[name]
    for name, value in case.get("headers", {}).items():
        assert sent["headers"].get(name) == value


@pytest.mark.parametrize(
    ("request_", "sizes", "field"),
    [
        ("headers: {x: '{{ event.userId }}{{ event.groupId }}'}", (8_000, 8_000), ""),
        ("headers: {x: '{{ event.userId }}{{ event.groupId }}'}", (8_000, 8_001), "request.headers.x"),
        ("headers: {x: '{{ event.userId }}', y: '{{ event.groupId }}'}", (16_000, 16_000), ""),
        ("headers: {x: '{{ event.userId | default(now) }}'}", (16_001, 1), "request.headers.x"),
        ("headers: {$merge: $.context}", (0, 0), ""),
        ("query: {x: '{{ event.userId }}', y: '{{ event.groupId }}'}", (60_000, 1), "request.query.x"),
        ("query: {x: '-{{ event.userId }}-{{ now }}'}", (60_001, 1), "request.query.x"),
    ],
)
def test_a_text_is_as_long_as_all_that_the_event_gives(request_: str, sizes: tuple[int, int], field: str) -> None:
    """Mutations that turn this red: each part measured alone; what holds `now` not measured."""
    request = f"post: https://api.example.com/x\n  {request_}\n  body: $message"
    user, group = ("u" * size for size in sizes)
    [[result]] = all_ways(
        both(compiled(SPEC.format(request=request)), {}),
        [json.dumps({"type": "track", "userId": user, "groupId": group, "context": {}}).encode()],
    )
    assert getattr(result, "field", "") == field
    assert getattr(result, "reason", "too_long") == "too_long"


SPEC = """spec: 1
name: shop
request:
  {request}
actions:
  send:
    trigger: type = "track"
    mapping: {{id: $.userId}}
"""


def groups(request: str, values: list[str]) -> int:
    """How many groups events make whose `context.v` has these JSON values."""
    program = linked(SPEC.format(request=request))
    found = set()
    for value in values:
        (result,) = program.map(b'{"type":"track","userId":"u","context":{"v":%s}}' % value.encode())
        assert isinstance(result, Mapped), result
        found.add(result.group)
    return len(found)


VALUES = ["1", "true", "1.0", '"1"', "1e0", '"true"', "null", "[1]", '["1"]', "{}", '{"a":1}', '{"a":true}']


def test_values_that_python_holds_for_equal_make_requests_of_their_own() -> None:
    """`1`, `true` and `1.0` are one key of a dict. In a body each is another request; as text those share one that read the same."""
    body = "post: https://api.example.com/x\n  body: {v: $.context.v, all: $messages}\n  batch: {max_messages: 10}"
    assert groups(body, VALUES) == len(VALUES)
    assert groups(body, ['{"a":1,"b":2}', '{ "a": 1, "b" : 2 }']) == 1
    url = 'post: "https://api.example.com/{{ event.context.v }}"\n  body: {all: $messages}\n  batch: {max_messages: 10}'
    assert groups(url, ["1", '"1"', "true", '"true"', "1.0", "1e0", "1.5"]) == 3


def test_what_is_not_taken_for_a_request_divides_nothing() -> None:
    """Mutation that turns this red: choices before the instant are not one part, so that the whole event is."""
    choices = '{$first: [{$from: $.userId, type: string}, {$from: $.groupId, type: string}, "{{ now }}"]}'
    body = f"post: https://api.example.com/x\n  body: {{v: {choices}, all: $messages}}\n  batch: {{max_messages: 10}}"
    assert groups(body, VALUES) == 1


@pytest.mark.parametrize(
    ("responses", "refused"),
    [
        ("201: [{if: body.errors != null, then: split}]", True),
        ("2xx: split", True),
        ("207: [{if: body.ok = true, then: ok}, split]", True),
        ("200: retry", True),
        ("2xx: throttle", True),
        ("200: stop", True),
        ("200: [{if: status = 200, then: retry}]", True),
        ("2xx: [{if: status >= 200, then: throttle}]", True),
        ('2xx: [{if: "status = 202 or length(headers.x) > 0", then: retry}]', True),
        ('202: ok, 2xx: [{if: "status = 202 or length(headers.x) > 0", then: retry}]', False),
        ('200: [{if: "body.a = 1 or status = 200", then: retry}]', True),
        ('200: [{if: "body.a = 1 or status = 201", then: retry}]', False),
        ('200: [{if: "body.a = 1 and status = 200", then: retry}]', False),
        ("200: [{if: body.e = null or body.e != null, then: stop}]", True),
        ('200: [{if: "!(body.e = 1 and body.e != 1)", then: stop}]', True),
        ('2xx: [{if: "body.a = 1 or status < 300", then: throttle}]', True),
        ('2xx: [{if: "body.a = 1 or status in [207, 204]", then: retry}]', True),
        ('2xx: [{if: "body.a = 1 or status = 404", then: retry}]', False),
        ("200: [{if: body.e = 1, then: retry}, {if: body.e != 1, then: throttle}]", True),
        ("200: [{if: body.e = 1, then: ok}, {if: body.e != 1, then: throttle}]", False),
        ("200: [{if: body.e = 1, then: retry}, throttle]", True),
        ("200: [{if: body.e = 1, then: retry}, reject]", False),
        ('200: [{if: body.status = "busy", then: retry}]', False),
        ("200: [{if: body.ok = true, then: ok}, retry]", False),
        ("202: [{if: body.errors != null, then: reject}]", False),
        ("2xx: [{if: body.code = 401, then: stop}]", False),
        ("413: split", False),
    ],
)
def test_no_outcome_of_a_success_sends_accepted_messages_again(responses: str, refused: bool) -> None:
    request = "post: https://api.example.com/x\n  body: {all: $messages}\n  batch: {max_messages: 10}\n  responses: "
    plan, report = compile_text(SPEC.format(request=f"{request}{{{responses}}}"), "shop/destination.yaml")
    assert (["D113"] if refused else []) == [found.code for found in report.diagnostics if found.code.startswith("D")]
    assert (plan is None) is refused
