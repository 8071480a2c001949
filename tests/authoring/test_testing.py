"""`waypost test`: what golden.json shows goes over the wire, coverage knows every point, and no tests.yaml can crash it."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import CASES, ROOT
from running import waypost
from waypost.authoring.test.case_run import MAX_ATTEMPTS
from waypost.authoring.test.cases import EXPECT, OUTCOMES, REPLY, TEST, Case, read_cases
from waypost.authoring.test.points import KINDS, Points
from waypost.authoring.test.render import human, junit
from waypost.authoring.test.render import json as as_json
from waypost.authoring.test.suite import Result, Wanted, run_spec
from waypost.authoring.test.trace import Tracer
from waypost.authoring.test.watch import changes
from waypost.compiler.lower import lower
from waypost.compiler.pipeline import checked_text, compile_file, compile_text
from waypost.compiler.read import document
from waypost.compiler.read.source import Source
from waypost.compiler.report.diagnostic import Report
from waypost.events.results import Mapped
from waypost.http.receiver import Received, Receiver
from waypost.http.transport import Sent, Transport
from waypost.plan import Plan
from waypost.program.program import Program, link
from waypost.program.request.render import compressed

EVERY = CASES / "testing" / "every"
SPECS = [*sorted((ROOT / "specs").glob("*/destination.yaml")), EVERY / "destination.yaml"]

SPEC = """\
spec: 1
name: small
settings:
  key: {type: string, secret: true, label: Key}
  size: {type: integer, default: 1, label: Size}
auth: {bearer: "{{ settings.key }}"}
request:
  post: https://api.small.example/{{ settings.size }}
  body: $message
  responses: {200: [{if: body.done = null, then: throttle}], 201: ok}
actions:
  send:
    trigger: type = "track"
    mapping: {id: $.userId, name: $.event, properties: $.properties}
"""
GOOD = """\
settings: {key: k}
tests:
  - name: first
    event: {type: track, userId: u, event: A}
    replies: [{status: 201}]
    expect: {action: send, message: {id: u}}
  - name: second
    event: {type: page}
    expect: {filtered: no_action}
"""


def plan_of(spec: Path) -> Plan:
    plan, report = compile_file(spec)
    assert plan is not None, report.diagnostics
    return plan


def written(folder: Path, tests: str, spec: str = SPEC) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "destination.yaml").write_text(spec)
    (folder / "tests.yaml").write_text(tests)
    return folder / "destination.yaml"


def run(folder: Path, tests: str, spec: str = SPEC, **wanted: Any) -> Result:
    path = written(folder, tests, spec)
    return run_spec(path, plan_of(path), Wanted(**wanted))


# The wire.


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.parent.name)
def test_golden_is_what_arrives(spec: Path) -> None:
    """Every request of golden.json, sent through the real transport to a real server, is what it shows, byte for byte."""
    golden = json.loads(spec.with_name("golden.json").read_text())
    plan = plan_of(spec)
    cases, report = read_cases(spec.with_name("tests.yaml"), plan)
    assert report.diagnostics == []
    compared = 0
    with Receiver(port=0) as receiver:
        arrived = asyncio.run(send_all(plan, cases, receiver))
    for case, requests in zip(cases, arrived, strict=True):
        rows = golden[case.name]
        shown = [row["request"] for row in rows if "request" in row]
        assert len(shown) == len(requests)
        for request, received in zip(shown, requests, strict=True):
            if isinstance(request, str):  # "that of delivery 1": they share it
                request = rows[int(request.split()[-1]) - 1]["request"]
            assert_same(request, received, case.settings)
            compared += 1
    assert compared > 5


async def send_all(plan: Plan, cases: list[Case], receiver: Receiver) -> list[list[Received]]:
    transport = Transport()
    try:
        found = []
        programs: dict[str, Program] = {}
        for case in cases:
            settings = json.dumps(case.settings, sort_keys=True)
            if settings not in programs:
                programs[settings] = link(plan, case.settings, endpoint_override=receiver.url)
            program = programs[settings]
            before = len(receiver.requests)
            lines = zip(case.events, case.offsets(), strict=True)
            results = [r for line, at in lines for r in program.map(line, at, case.event, case.now)]
            for batch in batches(results, program):
                kind = program.requests[batch[0].request]
                messages = kind.by_list((mapped.action, mapped.body) for mapped in batch)
                wire = kind.render(batch[0].group, messages, case.now)
                for _ in batch:
                    assert (await transport.send(wire, 5.0)).status == "200"
            found.append(receiver.requests[before:])
        return found
    finally:
        await transport.close()


def batches(results: list[Any], program: Program) -> list[list[Mapped]]:
    """What shares a request: each of its deliveries has the request in golden.json, so it is sent once for each."""
    found: dict[Any, list[Mapped]] = {}
    for place, result in enumerate(results):
        if isinstance(result, Mapped):
            alone = place if program.requests[result.request].policy.batch is None else None
            found.setdefault((result.request, result.group, alone), []).append(result)
    return list(found.values())


def assert_same(shown: dict[str, Any], received: Received, given: dict[str, Any]) -> None:
    (method, url), *rest = shown.items()
    assert received.method == method.upper()
    secret = re.match("<([a-z_]+)>", url)  # the url itself may be the secret
    whole = str(given[secret[1]]) + url[secret.end() :] if secret else url
    path = "/" + whole.split("://", 1)[1].partition("/")[2]
    assert re.fullmatch(pattern(path, given), received.path)
    arrived = {name.lower(): value.encode("latin-1").decode() for name, value in received.headers.items()}
    parts = dict(rest)
    for name, value in parts["headers"].items():
        basic = re.fullmatch(r"Basic base64\((.*)\)", value)
        if basic:
            scheme, pair = arrived[name].split(" ")
            assert scheme == "Basic"
            assert re.fullmatch(pattern(basic[1], given), base64.b64decode(pair).decode())
        else:
            assert re.fullmatch(pattern(value, given), arrived[name])
    added = {"host", "accept", "accept-encoding", "connection", "content-length"}
    assert set(arrived) - added <= set(parts["headers"]), "nothing else is sent"
    if "body" in parts:
        body = parts["body"]
        lists = body.get("lists", [body])  # several lists, each with what stands before it
        text = "".join(part["before"] + ",".join(part["messages"]) for part in lists) + body["after"]
        assert re.fullmatch(pattern(text, given), received.body.decode(), re.DOTALL)


def pattern(shown: str, given: dict[str, Any]) -> str:
    """A masked text as a pattern of what it stands for: secrets are the test's, an instant is a number or a time in quotes. A
    signature is of the moment when it is made."""
    text = re.escape(shown)
    for name, value in given.items():
        text = text.replace(re.escape(f"<{name}>"), re.escape(str(value)))
    text = text.replace(re.escape("<timestamp>"), "[0-9]+").replace(re.escape("<signature>"), "[0-9A-Za-z+/=_-]+")
    instant = r"[0-9TZ.:%A-]+"
    return text.replace(re.escape('"<now>"'), f'("{instant}"|[0-9]+)').replace(re.escape("<now>"), instant)


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.parent.name)
def test_script_sees_what_a_server_sees(spec: Path) -> None:
    """The request that the script answers in `waypost test` is the one that would have left: only its host differs."""
    plan = plan_of(spec)
    result = run_spec(spec, plan, Wanted())
    assert result.failed == 0, human.render([result])
    seen = 0
    with Receiver(port=0) as receiver:
        asyncio.run(resend([sent for outcome in result.outcomes for sent in outcome.course.sent], receiver))
        for sent, received in zip(
            [sent for outcome in result.outcomes for sent in outcome.course.sent], receiver.requests, strict=True
        ):
            assert (sent.method, "/" + sent.url.split("/", 3)[3], sent.body) == (
                received.method,
                received.path,
                raw_body(received),
            )
            seen += 1
    assert seen > 5


async def resend(requests: list[Sent], receiver: Receiver) -> None:
    from waypost.program.request.render import Wire

    transport = Transport()
    try:
        for sent in requests:
            url = receiver.url + "/" + sent.url.split("/", 3)[3]
            kept = [(name, value) for name, value in sent.headers if name.lower() not in ("host", "content-length")]
            await transport.send(Wire(sent.method, url, kept, sent.body, 0), 5.0)
    finally:
        await transport.close()


def raw_body(received: Received) -> bytes:
    gzipped = any(name.lower() == "content-encoding" for name in received.headers)
    return compressed(received.body) if gzipped else received.body


# Coverage.


def test_shipped_specs_are_covered() -> None:
    spec = ROOT / "specs" / "segment" / "destination.yaml"
    coverage = run_spec(spec, plan_of(spec), Wanted(coverage=True)).coverage
    assert coverage is not None
    assert coverage.missed == []
    assert coverage.counts("actions") == (5, 5)


def test_every_point_is_listed_and_can_be_reached(tmp_path: Path, golden: Callable[[Path, str], None]) -> None:
    spec = (EVERY / "destination.yaml").read_text()
    whole = run(tmp_path, (EVERY / "tests.yaml").read_text(), spec, coverage=True).coverage
    assert whole is not None
    assert whole.missed == []
    assert whole.percent() == 100.0
    nothing = 'settings: {key: s}\ntests:\n  - {name: a, line: "[", expect: {rejected: malformed}}\n'
    none = run(tmp_path, nothing, spec, coverage=True).coverage
    assert none is not None
    assert none.percent() == 0.0
    assert none.missed == list(whole.points)
    rows = []
    for point in none.missed:
        line, column = none.source.position(point.span.start)
        rows.append(f"{line}:{column} {point.kind}: {point.what}\n")
    golden(CASES / "testing" / "every" / "points.txt", "".join(rows))


def missed_without(tmp_path: Path, *names: str) -> list[str]:
    """What no test reaches when these tests are taken away."""
    head, *tests = re.split(r"(?m)^(?=  - name: )", (EVERY / "tests.yaml").read_text())
    kept = [text for text in tests if text.split("name: ", 1)[1].split("\n", 1)[0] not in names]
    assert len(kept) == len(tests) - len(names)
    coverage = run(tmp_path, head + "".join(kept), (EVERY / "destination.yaml").read_text(), coverage=True).coverage
    assert coverage is not None
    return [point.what for point in coverage.missed]


REACHED_BY = [
    ("an item without sku", ["a required value is missing"]),
    (
        "names and single values",
        [
            "one value is taken for a list of one",
            "one value becomes a list of one",
            "`$.properties.named` has a value",
            '`"{{ key | upper }}"` has a value',
            "`$each` has an item",
            "`$item.v` has a value",
            "`where` does not hold",
            "`where` holds",
            "`$find` finds an item",
            '`item.type = "home"` is true',
            "`item.no != null` is false",
            "`item.no != null` is true",
            "`$item.no` has a value",
            "`$get` finds the member",
        ],
    ),
    ("lists, and a phone that is none of home", []),
    ("an order of nobody", ["`require` refuses a message"]),
    ("an order that is not to be sent", ['`contains(properties.tags, "no")` is true']),
    ("no items", ["`each` has no item"]),
    ("refused", ["the answer 400 is reject"]),
    ("refused as a batch", ['`body.code = "halves"`']),
    ("stopped", ["the answer 400 is stop"]),
    ("again, then done", ["the answer 409 is ok"]),
    ("disabled", []),
]


@pytest.mark.parametrize(("name", "points"), REACHED_BY, ids=[name for name, _ in REACHED_BY])
def test_each_test_reaches_its_points(tmp_path: Path, name: str, points: list[str]) -> None:
    missed = missed_without(tmp_path, name)
    if name == "refused as a batch":
        points = ["the answer 400 is split"]
    assert missed == points


def test_a_term_that_another_decided_is_not_seen(tmp_path: Path) -> None:
    spec = SPEC.replace('type = "track"', 'type = "track" and event = "A"')
    coverage = run(tmp_path, GOOD, spec, coverage=True).coverage
    assert coverage is not None
    assert [point.what for point in coverage.missed if point.kind == "triggers"] == ['`event = "A"` is false']


def test_min_fails_below_and_names_the_place(tmp_path: Path) -> None:
    spec = written(tmp_path / "specs" / "small", GOOD)
    assert waypost("test", "--update", cwd=tmp_path)[0] == 0
    status, out, _ = waypost("test", "--min", "95", cwd=tmp_path)
    assert status == 1
    assert "specs/small/destination.yaml:14:56: no test reaches this of the leaves: `$.properties` has a value" in out
    assert "FAIL specs/small/destination.yaml: tests reach" in out
    assert waypost("test", "--min", "50", cwd=tmp_path)[0] == 0
    status, out, _ = waypost("test", "--coverage", "--format", "json", cwd=tmp_path)
    assert status == 0
    (found,) = json.loads(out)["specs"]
    assert found["coverage"]["actions"] == {"reached": 1, "of": 1, "percent": 100.0}
    assert {"kind": "leaves", "line": 14, "column": 56, "what": "`$.properties` has a value"} in found["coverage"][
        "missed"
    ]
    assert spec.is_file()


def test_coverage_of_an_action_without_test(tmp_path: Path) -> None:
    spec = SPEC + '  other:\n    trigger: type = "group"\n    mapping: {id: $.groupId}\n'
    result = run(tmp_path, GOOD, spec, coverage=True)
    assert ":15:3: no test reaches this of the actions: other makes a message" in human.render([result])


# Failures.


def test_failure_has_frame_place_and_diff(tmp_path: Path, golden: Callable[[Path, str], None]) -> None:
    bad = """\
settings: {key: k}
tests:
  - name: wrong in three places
    event: {type: track, userId: u, event: A, properties: {total: 1.50, tags: [a, b]}}
    replies: [{status: 429, headers: {retry-after: 2}}, {status: 201}]
    expect:
      action: send
      message: {id: u, name: B, properties: {total: 1.5, tags: [a], extra: 1}}
      waited: 3s
  - name: refused, where a delivery was expected
    event: {type: track, userId: u}
    replies: [{status: 401}]
    expect: {action: send}
  - name: two deliveries, where one is
    event: {type: page}
    expect: [{filtered: no_action}, {filtered: where}]
  - name: replies that nobody asked for
    event: {type: track, userId: u}
    replies: [{status: 201}, {status: 503}]
    expect: {outcome: ok}
  - name: something that should not be there
    event: {type: track, userId: u}
    replies: [{status: 201}]
    expect: {message: {id: <absent>}, request: {headers: {authorization: Basic}}}
  - name: never ends
    event: {type: track, userId: u}
    expect: {outcome: ok}
"""
    result = run(tmp_path, bad, update=True)
    text = human.render([result]).replace(f"{tmp_path.as_posix()}/", "")
    golden(CASES / "testing" / "failures.txt", text)
    assert f"not over after {MAX_ATTEMPTS:,} attempts" in text
    assert "tests.yaml:8:30" in text


def test_json_and_junit_tell_the_same(tmp_path: Path) -> None:
    result = run(tmp_path, GOOD.replace("id: u", "id: x\\u0001").replace("name: first", 'name: "a < \\"b\\" & c"'))
    found = json.loads(as_json.render([result]))
    assert (found["passed"], found["failed"]) == (1, 2)
    first = found["specs"][0]["tests"][0]
    assert (first["line"], first["passed"]) == (3, False)
    assert first["failures"][0]["line"] == 6
    root = ET.fromstring(junit.render([result]))
    cases = list(root.iter("testcase"))
    assert [case.get("name") for case in cases] == ['a < "b" & c', "second", "golden.json"]
    assert [case.find("failure") is not None for case in cases] == [True, False, True]
    assert root[0].get("failures") == "2"


# Golden requests.


def test_update_of_some_tests_keeps_the_others(tmp_path: Path) -> None:
    run(tmp_path, GOOD, update=True)
    golden = tmp_path / "golden.json"
    before = golden.read_text()
    changed = GOOD.replace("userId: u,", "userId: v,").replace("id: u}", "id: v}")
    assert run(tmp_path, changed, named="SECOND").failed == 0
    result = run(tmp_path, changed, named="first")
    assert [outcome.case.name for outcome in result.outcomes] == ["first"]
    assert result.failed == 1
    assert '\\"id\\":\\"v\\"' in result.diff
    assert golden.read_text() == before
    assert run(tmp_path, changed, named="second", update=True).failed == 0
    assert golden.read_text() == before
    run(tmp_path, changed, named="first", update=True)
    assert list(json.loads(golden.read_text())) == ["first", "second"]
    assert run(tmp_path, changed).failed == 0


@pytest.mark.parametrize("held", ["", "{", "[1]", "\xff", "[" * 100_000])
def test_damaged_golden_is_a_difference(tmp_path: Path, held: str) -> None:
    written(tmp_path, GOOD)
    (tmp_path / "golden.json").write_bytes(held.encode("latin-1"))
    assert run(tmp_path, GOOD).diff
    assert run(tmp_path, GOOD, named="first").diff
    assert run(tmp_path, GOOD, named="first", update=True).failed == 0


def test_selecting_nothing_is_status_2(tmp_path: Path) -> None:
    written(tmp_path / "specs" / "small", GOOD)
    status, _, err = waypost("test", "-k", "nonsense", cwd=tmp_path)
    assert status == 2
    assert "no test has `nonsense` in its name" in err


def test_junit_is_written_beside_the_text(tmp_path: Path) -> None:
    written(tmp_path / "specs" / "small", GOOD)
    status, out, _ = waypost("test", "--junit", "out.xml", "-v", cwd=tmp_path)
    assert status == 1
    assert "ok   specs/small/tests.yaml:3:11: first" in out
    assert ET.parse(tmp_path / "out.xml").getroot()[0].get("tests") == "3"
    assert waypost("test", "--junit", "no/folder/out.xml", cwd=tmp_path)[0] == 2


# Faults of tests.yaml.

FAULTS = [
    ("tests: []", "S104", "`tests` is a list of tests"),
    ("settings: {key: k}", "S103", "a tests file needs `tests`"),
    ("- a", "S104", "a tests file is a map"),
    ("", "Y101", "the file is empty"),
    ("tests: &a [&a 1]", "Y105", "anchors and aliases"),
    ("tests: [3]", "S104", "a test is a map"),
    (GOOD.replace("name: second", "name: first"), "Y102", "two tests are named `first`"),
    (GOOD.replace("name: second", "name: null"), "S104", "`name` is text"),
    (GOOD.replace("name: second", 'name: " "'), "S104", "`name` is a sentence"),
    (GOOD.replace("key: k", "kex: k"), "T108", "small has no setting `kex`"),
    (GOOD.replace("key: k", "size: 3"), "S103", "needs the setting `key`"),
    (GOOD.replace("key: k", "key: k, size: big"), "S104", "the setting `size` is an integer"),
    (GOOD.replace("key: k", "key: [k]"), "S104", "a setting is one value"),
    (GOOD.replace("event: {type: page}", "event: [page]"), "S104", "`event` is a map"),
    (GOOD.replace("event: {type: page}", "line: x\n    event: {type: page}"), "S108", "one event"),
    (GOOD.replace("    event: {type: page}\n", ""), "S103", "a test needs `event`"),
    (GOOD.replace("event: {type: page}", "event: {type: 0x1F}"), "Y109", "is a number that JSON has no form for"),
    (
        GOOD.replace("event: {type: page}", 'event: {type: "\\ud800"}'),
        "Y101",
        "half of a surrogate pair is no character",
    ),
    (GOOD.replace("expect: {filtered", "expects: {filtered"), "S101", "no key `expects`"),
    (GOOD.replace("{filtered: no_action}", "[]"), "S104", "names at least one delivery"),
    (GOOD.replace("{filtered: no_action}", "{}"), "S104", "names at least one thing"),
    (GOOD.replace("{filtered: no_action}", "ok"), "S104", "an expectation is a map"),
    (GOOD.replace("filtered: no_action", "filtered: no_acton"), "S105", "`filtered` is one of"),
    (GOOD.replace("filtered: no_action", "outcome: okay"), "S105", "`outcome` is one of"),
    (GOOD.replace("filtered: no_action", "rejected: required_field"), "S105", "`rejected` is one of"),
    (GOOD.replace("action: send", "action: sned"), "S105", "`action` is one of send"),
    (GOOD.replace("action: send", "attempts: two"), "S104", "`attempts` is a whole number"),
    (GOOD.replace("action: send", "waited: 2"), "S107", "`waited` needs a unit"),
    (GOOD.replace("action: send", "request: 3"), "S104", "`request` is a map"),
    (GOOD.replace("[{status: 201}]", "{status: 201}"), "S104", "`replies` is a list"),
    (GOOD.replace("[{status: 201}]", "[201]"), "S104", "a reply is a map"),
    (GOOD.replace("status: 201", "statsu: 201"), "S101", "no key `statsu`"),
    (GOOD.replace("status: 201", "status: 2010"), "S104", "`status` is a number from 100 to 599"),
    (GOOD.replace("status: 201", "status: 201, headers: [a]"), "S104", "`headers` is a map"),
    (GOOD.replace("status: 201", "status: 201, headers: {a b: c}"), "D103", "no name of a header"),
    (GOOD.replace("status: 201", 'status: 201, headers: {a: "b\\nc"}'), "S104", "one line of text"),
    (GOOD.replace("status: 201", "status: 201, headers: {a: {}}"), "S104", "the header `a` is text"),
    (GOOD.replace("[{status: 201}]", f"[{', '.join(['{status: 503}'] * 501)}]"), "S104", "at most 500 replies"),
]


@pytest.mark.parametrize(("text", "code", "part"), FAULTS, ids=[f"{code} {part}" for _, code, part in FAULTS])
def test_fault_is_a_finding_with_its_place(tmp_path: Path, text: str, code: str, part: str) -> None:
    result = run(tmp_path, text)
    assert result.report is not None
    found = [(item.code, item.message) for item in result.report.diagnostics]
    assert any(code == one and part in message for one, message in found), found
    assert f"{tmp_path.as_posix()}/tests.yaml:" in human.render([result])
    assert result.failed == 1


def test_fault_is_status_1_on_the_command_line(tmp_path: Path) -> None:
    written(tmp_path / "specs" / "small", GOOD.replace("key: k", "kye: k"))
    for form in ("human", "json", "junit"):
        status, out, _ = waypost("test", "--format", form, cwd=tmp_path)
        assert status == 1
        assert "T108" in out
    (tmp_path / "specs" / "small" / "tests.yaml").write_bytes(b"tests: \xff")
    status, out, _ = waypost("test", cwd=tmp_path)
    assert (status, "the file is not UTF-8" in out) == (1, True)
    (tmp_path / "specs" / "small" / "tests.yaml").unlink()
    assert waypost("test", cwd=tmp_path)[:2] == (
        1,
        "FAIL specs/small/tests.yaml: there are no tests\n0 passed, 1 failed\n",
    )


# Any mutation of a tests file gives findings or results.

SOUND = (ROOT / "specs" / "segment" / "tests.yaml").read_text()
CHOSEN = (
    "an order reaches the European",
    "North America is the default",
    "a number as event",
    "numeric ids become text",
    "sound consent preferences",
    "an alias is filtered",
    "a line that is no JSON",
    "a 429 waits",
    "a 400 to a message",
    "a redirect is not success",
)


def some_tests() -> str:
    head, *tests = re.split(r"(?m)^(?=  - name: )", SOUND)
    return head + "".join(text for text in tests if any(name in text for name in CHOSEN))


FEW = some_tests()
PIECES = [
    *("", "null", "[]", "{}", "3", "-1", "1e999", "1.50", "true", "text", "$omit", "<absent>", "!x y", "&a b", "*a"),
    *(
        "[1, {a: b}]",
        "{a: {b: [c]}}",
        "10000000000000000000000",
        '"\\ud800"',
        '"\\0\\n"',
        "'",
        "{{ a }}",
        "2s",
        "unsent",
    ),
    *("{status: 503}", "[{status: unanswered}, {status: 700}]", "yes", "0x1F", "2026-01-01", "ok", "require", "europe"),
]


def nodes(text: str) -> list[tuple[int, int]]:
    """The spans of every node and key."""
    report = Report(Source("x", text))
    root = document.read(report.source, report)
    assert root is not None
    spans = []
    for node in document.walk(root):
        spans.append((node.span.start, node.span.end))
        if isinstance(node, document.Map):
            spans += [(name.span.start, name.span.end) for name, _ in node.entries]
    return spans


SPANS = nodes(FEW)


@st.composite
def mutations(draw: st.DrawFn) -> str:
    text = FEW
    chosen = draw(st.lists(st.sampled_from(SPANS), min_size=1, max_size=3, unique=True))
    for start, end in sorted(chosen, reverse=True):
        kind = draw(st.sampled_from(["replace", "twice", "cut"]))
        if kind == "replace":
            text = text[:start] + draw(st.sampled_from(PIECES)) + text[end:]
        elif kind == "twice":
            text = text[:end] + text[start:end] + text[end:]
        else:
            text = text[:start] + text[end:]
    return text[: draw(st.integers(0, len(text)))] if draw(st.integers(0, 9)) == 0 else text


SHIPPED = ROOT / "specs" / "segment" / "destination.yaml"
SEGMENT = plan_of(SHIPPED)
CHECKED, REPORT = checked_text(SHIPPED.read_text(), SHIPPED.name)
assert CHECKED is not None
POINTS = Points(CHECKED, REPORT.source)
TRACED = lower(CHECKED, REPORT.source)


@given(mutations())
@settings(max_examples=150)
def test_any_tests_file_gives_findings_or_results(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "mutated"
    folder.mkdir(exist_ok=True)
    shutil.copy(ROOT / "specs" / "segment" / "destination.yaml", folder)
    (folder / "tests.yaml").write_bytes(text.encode())
    result = run_spec(folder / "destination.yaml", SEGMENT, Wanted())
    for render in (human.render, as_json.render, junit.render):
        assert render([result])
    tracer = Tracer(POINTS, TRACED)
    for outcome in result.outcomes:
        tracer.reached.clear()
        tracer.trace(outcome.case, outcome.course)
        mapped = {item.action for item in outcome.course.ended if item.body}
        assert {point.what.split()[0] for point in tracer.reached if point.kind == "actions"} == mapped
    if result.report is not None:
        assert result.report.failed
        for item in result.report.diagnostics:
            assert 0 <= item.label.span.start <= item.label.span.end <= len(result.report.source.text)


# Watching.


def test_watch_tells_each_change_once() -> None:
    files = [Path("destination.yaml"), Path("tests.yaml"), Path("golden.json")]
    stamps: dict[Path, tuple[int, int] | None] = {files[0]: (1, 1), files[1]: (1, 1), files[2]: None}
    script = iter([None, (files[1], (2, 1)), None, (files[2], (1, 9)), (files[0], None)])
    slept = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        change = next(script, "end")
        if change == "end":
            raise KeyboardInterrupt
        if change is not None:
            path, stamp = change
            stamps[path] = stamp

    seen = []
    with pytest.raises(KeyboardInterrupt):
        for changed in changes(files, sleep, lambda path: stamps[path]):
            seen.append(changed)
            if changed == [files[1]]:
                # What the run itself writes is no change.
                stamps[files[2]] = (1, 1)
    assert seen == [[files[1]], [files[2]], [files[0]]]
    assert len(slept) == 6


def test_watch_runs_again_and_leaves_quietly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from waypost.cli import test as face

    spec = written(tmp_path / "specs" / "small", GOOD)
    tests = spec.with_name("tests.yaml")
    edits = iter([GOOD.replace("id: u", "id: w"), "tests: [", GOOD])

    def sleep(seconds: float) -> None:
        text = next(edits, None)
        if text is None:
            raise KeyboardInterrupt
        tests.write_text(text)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(face.time, "sleep", sleep)
    done = CliRunner().invoke(face.command, ["--watch", "--update"])
    assert done.exit_code == 0, done.output
    assert re.findall(r"[0-9]+ passed, [0-9]+ failed", done.output) == [
        "2 passed, 0 failed",
        "1 passed, 1 failed",
        "0 passed, 1 failed",
        "2 passed, 0 failed",
    ]
    assert "error[Y101]" in done.output


def test_spec_of_the_tests_here_is_sound() -> None:
    assert compile_text(SPEC, "x")[1].diagnostics == []


# The guide.

GUIDE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_guide_runs_as_written(tmp_path: Path) -> None:
    spec, tests = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    written(tmp_path / "specs" / "shop", tests, spec)
    (block,) = re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL)
    for line in block.splitlines():
        words, _, note = line.removeprefix("$ waypost ").partition("#")
        status, out, err = waypost(*words.split(), cwd=tmp_path)
        assert status == (1 if "exit status 1" in note else 0), f"{line}\n{out}{err}"
    (shown,) = re.findall(r"```text\n(.*?)```", GUIDE, re.DOTALL)
    path = tmp_path / "specs" / "shop" / "tests.yaml"
    path.write_text(tests.replace("user: u1, total: 19.90", "user: u1, total: 20"))
    status, out, _ = waypost("test", cwd=tmp_path)
    assert (status, out) == (1, shown)


def test_guide_names_every_key() -> None:
    for key in (*TEST, *REPLY, *EXPECT, *OUTCOMES, *KINDS):
        assert f"`{key}`" in GUIDE or f"| {key} |" in GUIDE, key
