"""One test, delivered: what became of each delivery, and every request as it left.

Takes a linked program and a Case. The event goes through the real program, lane and transport, down to the place of the sockets; the
destination's answers come from the test's replies (then 200), and the lane's clock is virtual, so that retries and waits take no time. The
request that is shown is the masked rendering of the one that was sent.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from waypost.authoring.test import bodies
from waypost.authoring.test.cases import MAX_REPLIES, START, Case, Reply
from waypost.delivery.commands import Doubt
from waypost.delivery.gate import Gate
from waypost.delivery.lane import Command, Dead, Lane, Send
from waypost.delivery.outcome import Answer, Verdict, verdict_of
from waypost.delivery.results import Sent as Messages
from waypost.events.lines import Line, alone
from waypost.events.mapped_chunk import block_of
from waypost.events.results import Filtered, Mapped
from waypost.http.transport import Sent, Transport, url_as_sent
from waypost.program.program import Program, Result
from waypost.program.request.render import RequestProgram
from waypost.program.request.signing import Unsigned

__all__ = ["MAX_ATTEMPTS", "START", "Course", "Delivered", "Destination", "deliver"]

MAX_ATTEMPTS = 2 * MAX_REPLIES
"""A test that is not over by then never ends: the answers keep asking for another attempt."""

IDLE_STEP = 0.001


@dataclass
class Delivered:
    """What became of one delivery of an event (`event` counts from 0, `offset` is its line's). `request` is what golden.json keeps of the
    request that carried it first, `said` what an answer says of this message alone."""

    action: str | None
    item: int | str | None
    outcome: str
    reason: str = ""
    said: str = ""
    at: str = ""
    body: bytes = b""
    request: dict[str, Any] = field(default_factory=dict)
    event: int = 0
    offset: int = 0

    def is_of(self, offset: int, action: str | None, item: int | str | None) -> bool:
        return (self.offset, self.action, self.item) == (offset, action, item)


@dataclass
class Course:
    """One test's deliveries, in the program's order; `answered` pairs each attempt's request (a key of Plan.requests) with its answer."""

    ended: list[Delivered]
    waited: float = 0.0
    attempts: int = 0
    stopped: str = ""
    endless: bool = False
    unasked: tuple[Reply, ...] = ()
    answered: list[tuple[str, Answer]] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    judged: list[tuple[str, Verdict, int]] = field(default_factory=list)
    """Of each attempt its request, what its answer means, and how many messages it carried."""
    doubts: list[str] = field(default_factory=list)
    """Why answers did not name messages as the spec says."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Every attempt, as golden.json shows it."""


class Destination:
    """In place of the network. State: the replies that are still to be given, and what has been sent."""

    def __init__(self) -> None:
        self.replies: deque[Reply] = deque()
        self.sent: list[Sent] = []

    def expect(self, replies: tuple[Reply, ...]) -> None:
        self.replies, self.sent = deque(replies), []

    def answer(self, sent: Sent) -> Answer:
        self.sent.append(sent)
        return self.replies.popleft().answer if self.replies else Answer("200")


async def deliver(program: Program, case: Case, transport: Transport, destination: Destination) -> Course:
    """Runs one test. `destination` answers for `transport`."""
    destination.expect(case.replies)
    course = Course([])
    lane = Lane(dict(program.requests), dict.fromkeys(program.requests, Gate(1, lambda: 1.0)), lambda: 1.0)
    now = case.now
    commands: list[Command] = []
    for index, (line, offset) in enumerate(zip(case.events, case.offsets(), strict=True)):
        results = program.map(line, offset, case.event, case.now)
        course.ended += [_undelivered(item, index, offset) for item in results]
        place = Line(line, offset, offset + len(line), index + 1)
        commands += lane.offer(block_of([results]), alone(place), 0, "test", now)
    for _ in range(10 * MAX_ATTEMPTS):
        for command in [*commands, *lane.tick(now, flush=True)]:
            await _obey(command, program, lane, course, transport, now)
        commands = []
        course.endless = course.attempts >= MAX_ATTEMPTS
        if lane.stopped or lane.idle or course.endless:
            break
        wake = lane.next_wake(now)
        now = max(now, wake) if wake is not None else now + IDLE_STEP
    else:
        course.endless = True
    for item in course.ended:
        if item.outcome == "waiting":
            item.outcome = "stop"
    course.waited, course.stopped = now - case.now, lane.stopped
    course.unasked, course.sent = tuple(destination.replies), destination.sent
    return course


async def _obey(
    command: Command, program: Program, lane: Lane, course: Course, transport: Transport, now: float
) -> None:
    if isinstance(command, Dead):
        _note_dead(course, command)
        return
    if isinstance(command, Doubt):
        return
    course.attempts += 1
    carried = lane.under_way(command.batch)
    keys = [(of.position.offset, of.mapped.action, of.mapped.item) for of in carried]
    mine = [item for key in keys for item in course.ended if item.is_of(*key)]
    kind = program.requests[command.request]
    messages = kind.by_list((of.mapped.action, of.mapped.body) for of in carried)
    _note_request(kind, course, command.group, messages, mine, now)
    try:
        answer = await transport.send(kind.render(command.group, messages, now), kind.policy.timeout_s)
    except Unsigned as error:
        answer = Answer("unsent", error=str(error), hopeless=True)
    course.answered.append((command.request, answer))
    sent = Messages(command.count, lambda: command.bodies, lambda: _lists(command, kind))
    course.judged.append((command.request, verdict_of(kind.policy, answer, sent, kind.read), command.count))
    for told in lane.settle(command.batch, answer, now):
        if isinstance(told, Dead):
            _note_dead(course, told)
        elif isinstance(told, Doubt):
            course.doubts.append(f"an answer {told.status} is not what `results` say: {told.why}")
    left = {(of.position.offset, of.mapped.action, of.mapped.item) for of in lane.begun()}
    for item in mine:
        if item.outcome == "waiting" and (item.offset, item.action, item.item) not in left:
            item.outcome = "ok"


def _lists(command: Send, kind: RequestProgram) -> list[str]:
    return [kind.layout.list_of(run.action) for run in command.runs for _ in range(run.count)]


def _undelivered(result: Result, event: int, offset: int) -> Delivered:
    found = Delivered(result.action, result.item, "waiting", event=event, offset=offset)
    if isinstance(result, Mapped):
        found.body = result.body
    elif isinstance(result, Filtered):
        found.outcome, found.reason = "filtered", result.reason
    else:
        found.outcome, found.reason, found.at = "rejected", result.reason, result.field
    return found


def _note_dead(course: Course, dead: Dead) -> None:
    for item in course.ended:
        if item.outcome == "waiting" and item.is_of(dead.position.offset, dead.action, dead.item):
            item.outcome, item.reason = ("rejected" if dead.answer is None else "dead"), dead.reason
            item.said = dead.named.reason if dead.named is not None else ""
            item.at = dead.field
            return


def _note_request(
    kind: RequestProgram,
    course: Course,
    group: tuple[Any, ...],
    messages: dict[str, list[bytes]],
    carried: list[Delivered],
    now: float,
) -> None:
    wire = kind.render(group, messages, now, masked=True)
    shown: dict[str, Any] = {wire.method.lower(): _shown_url(wire.url), "headers": dict(wire.headers)}
    body = bodies.shown(kind, group, messages, now)
    if body is not None:
        shown["body"] = body
    course.requests.append(shown)
    for item in carried:
        item.request = item.request or shown


def _shown_url(masked: str) -> str:
    """The url as the client writes it; what is masked stays readable."""
    marks = list(dict.fromkeys(re.findall(r"<\w+>", masked)))
    for index, mark in enumerate(marks):
        masked = masked.replace(mark, _place(index))
    try:
        sent = url_as_sent(masked)
    except ValueError:
        sent = masked
    for index, mark in enumerate(marks):
        sent = sent.replace(_place(index), mark)
    return sent


def _place(index: int) -> str:
    return f"zq{index}qz"
