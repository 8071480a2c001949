"""`waypost test`: a destination's tests.yaml, run to the bytes on the wire.

Takes a compiled plan and the tests file beside its spec. Gives one `Outcome` a test, and the golden text of every request. Events go through
the real program, lane and request builder; only the sending is scripted, on a virtual clock, so that retries and waits take no time. Secrets
are masked and what is stamped at each attempt is shown as `<now>`.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from waypost.compiler import document, units
from waypost.compiler.closed import Closed
from waypost.compiler.diagnostic import Report
from waypost.compiler.document import Map, Node, Scalar, Seq
from waypost.compiler.source import Source
from waypost.lang import fql, values
from waypost.plan import Plan
from waypost.runtime.gate import Gate
from waypost.runtime.lane import Dead, Lane, Position, Send
from waypost.runtime.outcome import Answer
from waypost.runtime.program import Program, Result, link
from waypost.runtime.results import Filtered, Mapped

START = 1_800_000_000.0
"""The virtual clock's first instant, Unix seconds."""

EXPECT = ("action", "request", "message", "rejected", "field", "filtered", "outcome", "attempts", "waited")
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Case:
    """One test: the event's bytes, replies of the destination, expectations (one a delivery), and the line of its name."""

    name: str
    line: int
    event: bytes
    settings: dict[str, Any]
    replies: list[dict[str, Any]]
    expect: list[dict[str, Any]]


@dataclass
class Delivered:
    """What became of one delivery."""

    action: str | None
    outcome: str
    reason: str = ""
    at: str = ""
    body: bytes = b""
    request: dict[str, Any] = field(default_factory=dict)


@dataclass
class Outcome:
    """`faults` is empty when the test passed. `golden` is what golden.json keeps of it."""

    case: Case
    faults: list[str]
    golden: list[dict[str, Any]]


class BadTests(Exception):
    """A tests file that cannot be read: its report says why."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.source.path)
        self.report = report


def read_cases(path: Path) -> list[Case]:
    """The tests of a file. Raises BadTests."""
    source = Source(path.as_posix(), path.read_text(encoding="utf-8"))
    report = Report(source)
    root = document.read(source, report)
    closed = Closed(report)
    top = closed.map(root, "a tests file")
    cases: list[Case] = []
    if top is not None:
        closed.keys(top, ("settings", "tests"), "a tests file")
        shared = closed.constant(top.get("settings") or Map((), top.span))
        tests = closed.need(top, "tests", "a tests file")
        for node in tests.items if isinstance(tests, Seq) else ():
            case = _case(node, shared, closed, source)
            if case is not None:
                cases.append(case)
    if report.failed:
        raise BadTests(report)
    return cases


def _case(node: Node, shared: Any, closed: Closed, source: Source) -> Case | None:
    held = closed.map(node, "a test")
    if held is None:
        return None
    closed.keys(held, ("name", "event", "line", "settings", "replies", "expect"), "a test")
    name_node, expect_node = closed.need(held, "name", "a test"), closed.need(held, "expect", "a test")
    event_node, line_node = held.get("event"), held.get("line")
    if event_node is None and line_node is None:
        closed.need(held, "event", "a test", "or `line: …`, the line's own text")
    if name_node is None or expect_node is None:
        return None
    for item in expect_node.items if isinstance(expect_node, Seq) else (expect_node,):
        inner = closed.map(item, "an expectation")
        if inner is not None:
            closed.keys(inner, EXPECT, "an expectation")
    expect = closed.constant(expect_node)
    replies = held.get("replies")
    return Case(
        name=closed.text(name_node, "`name`"),
        line=source.position(name_node.span.start)[0],
        event=closed.text(line_node, "`line`").encode() if line_node is not None else _event(event_node, closed),
        settings={**shared, **(closed.constant(settings) if isinstance(settings := held.get("settings"), Map) else {})},
        replies=closed.constant(replies) if isinstance(replies, Seq) else [],
        expect=expect if isinstance(expect, list) else [expect],
    )


def _event(node: Node | None, closed: Closed) -> bytes:
    """The event's JSON. Numbers keep the text they were written with."""

    def build(inner: Node) -> Any:
        if isinstance(inner, Map):
            return {name.text: build(value) for name, value in inner.entries}
        if isinstance(inner, Seq):
            return [build(item) for item in inner.items]
        assert isinstance(inner, Scalar)
        return values.number_token(inner.text) if inner.kind in ("int", "float") else closed.constant(inner)

    return values.encode(build(node)) if node is not None else b""


def run_case(plan: Plan, case: Case) -> Outcome:
    """Runs one test. A setting that is missing or wrong is a fault of the test."""
    program = link(plan, case.settings)
    results = program.map(case.event, 0, case.event, START)
    ended, waited, attempts, stopped = _deliver(program, results, case)
    faults = _compare(case, ended, waited, attempts, stopped)
    return Outcome(case, faults, [_golden(item) for item in ended])


def _deliver(program: Program, results: list[Result], case: Case) -> tuple[list[Delivered], float, int, str]:
    """The results through the real lane, with scripted answers on a virtual clock."""
    lane = Lane(dict(program.requests), dict.fromkeys(program.requests, Gate(1, lambda: 1.0)), lambda: 1.0)
    now = START
    ended = [_undelivered(item) for item in results]
    waiting = [item for item in ended if item.outcome == "waiting"]
    commands = lane.offer(list(results), case.event, Position("test", 0, 1, len(case.event)), now)
    first = now
    replies = list(case.replies)
    attempts = 0
    while True:
        for command in [*commands, *lane.tick(now, flush=True)]:
            if isinstance(command, Dead):
                _note_dead(waiting, command)
                continue
            attempts += 1
            _note_request(program, waiting, command, now)
            answer = _answer(replies.pop(0) if replies else {"status": 200})
            delivered = lane.ledger.delivered
            for dead in lane.settle(command.batch, answer, now):
                if isinstance(dead, Dead):
                    _note_dead(waiting, dead)
            if lane.ledger.delivered > delivered:
                for item in waiting:
                    if item.body in command.bodies:
                        item.outcome = "ok"
        commands = []
        if lane.stopped or lane.idle:
            break
        wake = lane.next_wake(now)
        now = max(now, wake) if wake is not None else now + 0.001
    for item in waiting:
        if item.outcome == "waiting":
            item.outcome = "stop"
    return ended, now - first, attempts, lane.stopped


def _undelivered(result: Result) -> Delivered:
    if isinstance(result, Mapped):
        return Delivered(result.action, "waiting", body=result.body)
    if isinstance(result, Filtered):
        return Delivered(result.action, "filtered", result.reason)
    return Delivered(result.action, "rejected", result.reason, result.field)


def _note_dead(waiting: list[Delivered], dead: Dead) -> None:
    for item in waiting:
        if item.action == dead.action and item.outcome == "waiting":
            item.outcome, item.reason = ("rejected" if dead.answer is None else "dead"), dead.reason
            return


def _note_request(program: Program, waiting: list[Delivered], command: Send, now: float) -> None:
    kind = program.requests[command.request]
    wire = kind.render(command.group, command.bodies, now, masked=True)
    before, _, rest = wire.body.partition(command.bodies[0]) if wire.body else (b"", b"", b"")
    after = rest[sum(len(body) + 1 for body in command.bodies[1:]) :]
    shown = {
        wire.method.lower(): wire.url,
        "headers": dict(wire.headers),
        "body": {
            "before": before.decode(),
            "messages": [body.decode() for body in command.bodies],
            "after": after.decode(),
        },
    }
    for item in waiting:
        if item.body in command.bodies and not item.request:
            item.request = shown


def _answer(reply: dict[str, Any]) -> Answer:
    body = reply.get("body", "")
    data = body.encode() if isinstance(body, str) else values.encode(body)
    headers = {str(name).lower(): str(value) for name, value in reply.get("headers", {}).items()}
    return Answer(str(reply.get("status", 200)), headers, data)


def _compare(case: Case, ended: list[Delivered], waited: float, attempts: int, stopped: str) -> list[str]:
    if len(case.expect) != len(ended):
        return [
            f"expected {len(case.expect)} deliveries, found {len(ended)}: {', '.join(_told(item) for item in ended)}"
        ]
    faults: list[str] = []
    for wanted, item in zip(case.expect, ended, strict=True):
        faults += _compare_one(wanted, item, waited, attempts, stopped)
    return faults


def _compare_one(wanted: dict[str, Any], item: Delivered, waited: float, attempts: int, stopped: str) -> list[str]:
    found = {
        "action": item.action,
        "rejected": item.reason if item.outcome == "rejected" else None,
        "field": item.at,
        "filtered": item.reason if item.outcome == "filtered" else None,
        "outcome": item.outcome,
        "attempts": attempts,
    }
    faults = [
        f"{key}: expected {wanted[key]!r}, found {found[key]!r} ({_told(item)})"
        for key in found
        if key in wanted and wanted[key] != found[key]
    ]
    if ("message" in wanted or "request" in wanted) and not item.body:
        return [*faults, f"expected a message, found {_told(item)}"]
    if "message" in wanted:
        faults += [f"message{text}" for text in _subset(wanted["message"], values.decode(item.body))]
    if "request" in wanted:
        faults += [f"request{text}" for text in _subset(wanted["request"], item.request)]
    if "waited" in wanted:
        seconds = units.seconds(str(wanted["waited"]))
        if seconds is None or abs(seconds - waited) > 0.0015:
            faults.append(f"waited: expected {wanted['waited']}, found {waited:g}s")
    if not {"outcome", "rejected", "filtered"} & wanted.keys() and item.outcome != "ok":
        faults.append(f"expected a delivery, found {_told(item)}{f' ({stopped})' if stopped else ''}")
    return faults


def _told(item: Delivered) -> str:
    reason = f": {item.reason}" if item.reason else ""
    return f"{item.action or 'no action'} {item.outcome}{reason}{f' at {item.at}' if item.at else ''}"


def _subset(wanted: Any, found: Any, path: str = "") -> list[str]:
    """Where `found` lacks what is wanted: objects may have more, everything else is equal. A wanted `<absent>` must not be there."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        faults = []
        for key, value in wanted.items():
            if value == "<absent>":
                if key in found:
                    faults.append(f"{path}.{key}: expected nothing, found {_text(found[key])}")
            elif key not in found:
                faults.append(f"{path}.{key}: expected {_text(value)}, found nothing")
            else:
                faults += _subset(value, found[key], f"{path}.{key}")
        return faults
    return [] if fql.equal(wanted, found) else [f"{path}: expected {_text(wanted)}, found {_text(found)}"]


def _text(value: Any) -> str:
    return values.encode(value).decode()


def _golden(item: Delivered) -> dict[str, Any]:
    if item.outcome in ("rejected", "filtered"):
        row = {"action": item.action, item.outcome: item.reason, "field": item.at}
        return {key: value for key, value in row.items() if value}
    return {"action": item.action, "outcome": item.outcome, "request": item.request}


def golden_text(outcomes: list[Outcome]) -> str:
    """The golden file: every full request, the messages' bytes as they are."""
    return json.dumps({outcome.case.name: outcome.golden for outcome in outcomes}, indent=1, ensure_ascii=False) + "\n"


def golden_diff(path: Path, text: str) -> str:
    """A unified diff from the golden file to what the requests are now; empty when they are equal."""
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    return "".join(
        difflib.unified_diff(
            old.splitlines(keepends=True), text.splitlines(keepends=True), f"{path} (reviewed)", f"{path} (now)"
        )
    )
