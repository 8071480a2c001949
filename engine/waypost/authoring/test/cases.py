"""tests.yaml becomes tests: the event's bytes, the replies of the destination, and what is expected, each with its place in the file.

Takes the file and the plan it tests. Gives Cases and the Report of everything that has no meaning there: the vocabulary is closed, as a
spec's is, so that no expectation is passed over in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from waypost.compiler.pipeline import read_file
from waypost.compiler.read import document, units
from waypost.compiler.read.closed_maps import Closed, describe
from waypost.compiler.read.document import Map, Node, Scalar, Seq
from waypost.compiler.read.setting_values import read_value
from waypost.compiler.read.source import Span
from waypost.compiler.report.diagnostic import Diagnostic, Label, Report
from waypost.compiler.report.suggest import nearest
from waypost.delivery.outcome import Answer
from waypost.events.results import FILTERED, REASONS
from waypost.lang import shapes, values
from waypost.plan import Plan
from waypost.program.settings import SettingError, typed

TEST = ("name", "event", "line", "events", "now", "settings", "replies", "expect", "requests")
FILE = ("settings", "now", "tests")
EXPECT = ("action", "request", "message", "rejected", "field", "filtered", "outcome", "attempts", "waited", "reason")
REPLY = ("status", "headers", "body")
OUTCOMES = ("ok", "dead", "stop", "rejected", "filtered")
MAX_REPLIES = 500
MAX_EVENTS = 500
START = 1_800_000_000.0
"""The virtual clock's first instant where a test names no other (`now`), Unix seconds: 2027-01-15T08:00:00Z."""

_STATUS = re.compile(r"[1-5][0-9][0-9]|unsent|unanswered")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True)
class Reply:
    """What the destination answers to one attempt."""

    answer: Answer
    span: Span


@dataclass(frozen=True)
class Expectation:
    """What one delivery should come to. `wanted` is `node` as values."""

    wanted: dict[str, Any]
    node: Map


@dataclass(frozen=True)
class Case:
    """One test. `events` are the lines' bytes; `span` is that of its name, `expect_span` that of all its expectations. `requests`: what is
    expected of each request, where the test says so. `several`: it is written with `events`."""

    name: str
    span: Span
    events: tuple[bytes, ...]
    settings: dict[str, Any]
    replies: tuple[Reply, ...]
    expect: tuple[Expectation, ...]
    expect_span: Span
    now: float = START
    requests: tuple[Expectation, ...] | None = None
    requests_span: Span | None = None
    several: bool = False

    @property
    def event(self) -> bytes:
        """The first of them."""
        return self.events[0]

    def offsets(self) -> list[int]:
        """Where each event's line would begin in a file."""
        found, at = [], 0
        for event in self.events:
            found.append(at)
            at += len(event) + 1
        return found


def read_cases(path: Path, plan: Plan) -> tuple[list[Case], Report]:
    """The tests of a file; none of them may be run when the report has failed. Raises OSError."""
    report = read_file(path)
    if report.failed:
        return [], report
    if not report.source.text.strip():
        report.add(Diagnostic("Y101", "the file is empty", Label(Span(0, 0), "expected `tests:`")))
        return [], report
    root = document.read(report.source, report)
    for node in _scalars(root):
        if any("\ud800" <= character <= "\udfff" for character in node.text):
            found = Label(node.span, "it holds half of a surrogate pair")
            report.add(Diagnostic("Y101", "this text is not Unicode", found))
            return [], report
    return _Reader(Closed(report), plan).file(root), report


def _scalars(root: Node | None) -> Iterator[Scalar]:
    for node in document.walk(root) if root is not None else ():
        if isinstance(node, Scalar):
            yield node
        elif isinstance(node, Map):
            yield from (name for name, _ in node.entries)


class _Reader:
    """State: the names that tests have taken."""

    def __init__(self, closed: Closed, plan: Plan) -> None:
        self.closed = closed
        self.plan = plan
        self.names: dict[str, Span] = {}

    def file(self, root: Node | None) -> list[Case]:
        top = self.closed.map(root, "a tests file")
        if top is None:
            return []
        self.closed.keys(top, FILE, "a tests file")
        shared = self.settings(top.get("settings"))
        now = self.now(top.get("now"), START)
        tests = self.closed.need(top, "tests", "a tests file", "add at least one: `- {name: …, event: …, expect: …}`")
        if tests is not None and not (isinstance(tests, Seq) and tests.items):
            found = "found none" if isinstance(tests, Seq) else f"found {describe(tests)}"
            self.closed.add("S104", "`tests` is a list of tests", tests.span, found)
        found_cases = [self.case(node, shared, now) for node in (tests.items if isinstance(tests, Seq) else ())]
        cases = [case for case in found_cases if case is not None]
        settings_key = top.key("settings") or top.key("tests")
        for case in cases:
            self.need_settings(case, settings_key.span if settings_key else top.span)
        return cases

    def case(self, node: Node, shared: Mapping[str, Any], now: float) -> Case | None:
        closed = self.closed
        held = closed.map(node, "a test")
        if held is None:
            return None
        closed.keys(held, TEST, "a test")
        name_node = closed.need(held, "name", "a test", "say in one sentence what should happen")
        name = self.name(name_node)
        events = self.events(held)
        now = self.now(held.get("now"), now)
        requests = self.requests(held.get("requests"))
        own = self.settings(held.get("settings"))
        replies = self.replies(held.get("replies"))
        expect_node = closed.need(held, "expect", "a test", "such as `expect: {outcome: ok}`")
        expect = self.expectations(expect_node)
        if name_node is None or expect_node is None:
            return None
        requests_key = held.key("requests")
        return Case(
            name,
            name_node.span,
            events,
            {**shared, **own},
            replies,
            expect,
            expect_node.span,
            now,
            requests,
            requests_key.span if requests_key is not None else expect_node.span,
            held.get("events") is not None,
        )

    def now(self, node: Node | None, default: float) -> float:
        """The instant at which the virtual clock begins."""
        if node is None:
            return default
        try:
            if isinstance(node, Scalar) and node.kind not in ("null", "bool"):
                # YAML has a kind of its own for an instant without quotes.
                given = values.number_token(node.text) if node.kind in ("int", "float") else node.text
                return values.to_unix_us(given) / 1e6
            found = f"found {describe(node)}"
        except values.Fault as fault:
            found = fault.message
        help_text = "such as `now: 2026-11-24T10:00:00Z`"
        self.closed.add("S104", "`now` is an instant: ISO 8601, or Unix seconds", node.span, found, help_text)
        return default

    def requests(self, node: Node | None) -> tuple[Expectation, ...] | None:
        if node is None:
            return None
        if not isinstance(node, Seq):
            help_text = "write `requests: [{messages: 2}, {messages: 1}]`"
            self.closed.add("S104", "`requests` is a list", node.span, f"found {describe(node)}", help_text)
            return None
        found = []
        for item in node.items:
            held = self.closed.map(item, "a request that is expected")
            if held is not None:
                found.append(Expectation(self.tokens(held), held))
        return tuple(found)

    def name(self, node: Node | None) -> str:
        if node is None:
            return ""
        name = self.closed.text(node, "`name`")
        if not name.strip() and isinstance(node, Scalar):
            self.closed.add("S104", "`name` is a sentence", node.span, "found none")
        if name in self.names and name:
            first = Label(self.names[name], "the first one")
            what = f"two tests are named `{name}`"
            self.closed.report.add(
                Diagnostic("Y102", what, Label(node.span, "golden.json keeps one entry a name"), "", (first,))
            )
        self.names.setdefault(name, node.span)
        return name

    # The event.

    def events(self, test: Map) -> tuple[bytes, ...]:
        node = test.get("events")
        if node is None:
            return (self.event(test),)
        for name in ("event", "line"):
            if (key := test.key(name)) is not None:
                self.closed.add("S108", f"a test has `events` or `{name}`, and this has both", key.span)
        if not isinstance(node, Seq) or not 0 < len(node.items) <= MAX_EVENTS:
            found = f"found {len(node.items):,}" if isinstance(node, Seq) else f"found {describe(node)}"
            what = f"`events` is a list of events, at most {MAX_EVENTS:,}"
            self.closed.add("S104", what, node.span, found, "write `events: [{…}, {…}]`")
            return (b"",)
        found_events = []
        for item in node.items:
            if isinstance(item, Map):
                found_events.append(values.encode(self.tokens(item)))
            else:
                found_events.append(self.closed.text(item, "a line").encode())
        return tuple(found_events)

    def event(self, test: Map) -> bytes:
        event, line = test.get("event"), test.get("line")
        key = test.key("line")
        if event is None and line is None:
            self.closed.need(test, "event", "a test", "or `line: …`, the line's own text")
            return b""
        if event is not None and key is not None:
            self.closed.add("S108", "a test has one event, and this has `event` and `line`", key.span)
            return b""
        if line is not None:
            return self.closed.text(line, "`line`").encode()
        if not isinstance(event, Map):
            assert event is not None
            help_text = "write `line: '…'` to test a line that is no event"
            self.closed.add("S104", "`event` is a map", event.span, f"found {describe(event)}", help_text)
            return b""
        return values.encode(self.tokens(event))

    def tokens(self, node: Node) -> Any:
        """JSON values. Numbers keep the text they were written with."""
        if isinstance(node, Map):
            return {name.text: self.tokens(value) for name, value in node.entries}
        if isinstance(node, Seq):
            return [self.tokens(item) for item in node.items]
        return values.number_token(node.text) if node.kind in ("int", "float") else self.closed.constant(node)

    # Settings.

    def settings(self, node: Node | None) -> dict[str, Any]:
        held = self.closed.map(node, "`settings`")
        found: dict[str, Any] = {}
        for name, value in held.entries if held else ():
            setting = self.plan.settings.get(name.text)
            if setting is None:
                known = list(self.plan.settings)
                near = nearest(name.text, known)
                self.closed.add(
                    "T108",
                    f"{self.plan.name} has no setting `{name.text}`",
                    name.span,
                    f"did you mean `{near}`?" if near else "",
                    f"its settings are {', '.join(known)}" if known else "it has none",
                )
                continue
            if setting.type in shapes.SEVERAL:
                found[name.text] = read_value(value, name.text, setting, self.closed)
                continue
            if not isinstance(value, Scalar) or value.kind == "null":
                self.closed.add("S104", "a setting is one value", value.span, f"found {describe(value)}")
                continue
            found[name.text] = given = self.closed.constant(value)
            try:
                typed(self.plan.name, name.text, setting, given)
            except SettingError as error:
                self.closed.add("S104", str(error), value.span)
        return found

    def need_settings(self, case: Case, place: Span) -> None:
        for name, setting in self.plan.settings.items():
            if setting.optional or setting.default is not None or case.settings.get(name, "") != "":
                continue
            what = f"the test `{case.name}` needs the setting `{name}`"
            self.closed.add("S103", what, place, "missing here", f"add it: `settings: {{{name}: …}}`")

    # Replies.

    def replies(self, node: Node | None) -> tuple[Reply, ...]:
        if node is None:
            return ()
        if not isinstance(node, Seq):
            help_text = "write `replies: [{status: 429}, {status: 200}]`"
            self.closed.add("S104", "`replies` is a list", node.span, f"found {describe(node)}", help_text)
            return ()
        if len(node.items) > MAX_REPLIES:
            what = f"at most {MAX_REPLIES:,} replies can be scripted"
            self.closed.add("S104", what, node.span, f"found {len(node.items):,}")
            return ()
        found = [self.reply(item) for item in node.items]
        return tuple(item for item in found if item is not None)

    def reply(self, node: Node) -> Reply | None:
        held = self.closed.map(node, "a reply")
        if held is None:
            return None
        self.closed.keys(held, REPLY, "a reply")
        status_node = self.closed.need(held, "status", "a reply", "such as `{status: 429}`")
        status = self.status(status_node)
        body_node = held.get("body")
        body = b""
        if isinstance(body_node, Scalar) and body_node.kind == "text":
            body = body_node.text.encode()
        elif body_node is not None:
            body = values.encode(self.tokens(body_node))
        return Reply(Answer(status, self.headers(held.get("headers")), body), held.span)

    def status(self, node: Node | None) -> str:
        if node is None:
            return "200"
        if isinstance(node, Scalar) and _STATUS.fullmatch(node.text):
            return node.text
        help_text = "`unsent`: no connection; `unanswered`: sent, and no answer came"
        what = "`status` is a number from 100 to 599, `unsent` or `unanswered`"
        self.closed.add("S104", what, node.span, f"found {describe(node)}", help_text)
        return "200"

    def headers(self, node: Node | None) -> dict[str, str]:
        held = self.closed.map(node, "`headers`")
        found: dict[str, str] = {}
        for name, value in held.entries if held else ():
            if not _TOKEN.fullmatch(name.text):
                self.closed.add("D103", f"`{name.text}` is no name of a header", name.span)
                continue
            text = self.closed.text(value, f"the header `{name.text}`")
            if not text.isprintable():
                self.closed.add("S104", "a header is one line of text", value.span, "a line break or control character")
                continue
            found[name.text.lower()] = text
        return found

    # Expectations.

    def expectations(self, node: Node | None) -> tuple[Expectation, ...]:
        if node is None:
            return ()
        if isinstance(node, Seq) and not node.items:
            help_text = "an event that nothing takes is one delivery: `expect: {filtered: no_action}`"
            self.closed.add("S104", "`expect` names at least one delivery", node.span, "found none", help_text)
        found = [self.expectation(item) for item in (node.items if isinstance(node, Seq) else (node,))]
        return tuple(item for item in found if item is not None)

    def expectation(self, node: Node) -> Expectation | None:
        closed = self.closed
        held = closed.map(node, "an expectation")
        if held is None:
            return None
        closed.keys(held, EXPECT, "an expectation")
        known = [name for name in held.entries if name[0].text in EXPECT]
        if not known:
            help_text = f"its keys are {', '.join(EXPECT)}"
            closed.add("S104", "an expectation names at least one thing", held.span, "found none", help_text)
        return Expectation({name.text: self.wanted(name.text, value) for name, value in known}, held)

    def wanted(self, key: str, node: Node) -> Any:
        closed, what = self.closed, f"`{key}`"
        if key == "action":
            return closed.one_of(node, self.plan.actions, what, "")
        if key in ("rejected", "filtered", "outcome"):
            words = {"rejected": REASONS, "filtered": FILTERED, "outcome": OUTCOMES}[key]
            return closed.one_of(node, words, what, "")
        if key == "attempts":
            return closed.integer(node, what)
        if key == "waited":
            return closed.quantity(node, what, units.seconds, units.TIME_HELP)
        if key in ("field", "reason"):
            return closed.text(node, what)
        if key == "request":
            closed.map(node, what)
        return self.tokens(node)
