"""Lanes, a gate and a store under seeded schedules of faults, on a virtual clock: years of trouble in seconds.

Takes a `Schedule`: a seed and how much of what. Gives `Figures`, or an AssertionError that names the promise that was broken. Everything that a
run meets is drawn from the seed: the events, the limits, latencies, answers and their headers, lost requests and lost answers, outages,
crashes, a disk that is slow or refuses. The engine is the real lane, gate, keeping and committer; reading, sending, the disk and the moments
at which they turn are played here (docs/decisions/0031-one-committer.md says why). The disk has the steps that were written, a crash
forgets the rest, and a restart goes on from the former cursors and ledger, as a run does.

    python tests/simulation.py --schedules 10000      many schedules, figures at the end
    python tests/simulation.py --schedule 17,40,2,3,1,1

A schedule that fails is printed; put it into tests/cases/simulation/seeds.txt, and the suite runs it for ever.
"""

from __future__ import annotations

import argparse
import email.utils
import errno
import heapq
import itertools
import math
import random
import sys
import time
import types
from collections import Counter
from collections.abc import Coroutine, Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from blocks import block_of, chunk_of, offer_one, offer_rows
from waypost import plan as p
from waypost.delivery.gate import Gate
from waypost.delivery.lane import Dead, Lane, Position, Send
from waypost.delivery.outcome import Answer
from waypost.delivery.windows import MARGIN
from waypost.events.results import Filtered, Mapped, Rejected
from waypost.state.commits import Keeping
from waypost.state.dead_letters import writer
from waypost.state.records import Cursor, Former, LaneStep, Letter, Snapshot

START = 1_800_000_000.0
MAX_WAIT_S = 100.0
BACKOFF_CAP_S = 60.0
TIMEOUT_S = 10.0
QUIET_S = 300.0
"""Faults and crashes happen within so many seconds; after them nothing goes wrong any more."""

ENVELOPE = (b'{"batch":[', b"]}")


@dataclass(frozen=True)
class Schedule:
    """`events` a lane, `lanes` that share a gate, `faults` windows, `crashes`, and whether messages have order keys."""

    seed: int
    events: int
    lanes: int
    faults: int
    crashes: int
    ordered: int

    def __str__(self) -> str:
        return f"{self.seed},{self.events},{self.lanes},{self.faults},{self.crashes},{self.ordered}"

    @staticmethod
    def parse(text: str) -> Schedule:
        return Schedule(*(int(word) for word in text.split(",")))

    @staticmethod
    def drawn(seed: int) -> Schedule:
        rng = random.Random(seed)
        return Schedule(
            seed, rng.randrange(1, 60), rng.randrange(1, 4), rng.randrange(6), rng.randrange(4), rng.randrange(2)
        )


@dataclass
class Figures:
    schedules: int = 0
    deliveries: int = 0
    requests: int = 0
    crashes: int = 0
    duplicates: int = 0
    dead: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    refusals: int = 0
    """Steps that the disk refused, and below those during which the engine crashed."""
    torn: int = 0
    virtual_s: float = 0.0

    def add(self, other: Figures) -> None:
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Kind:
    """A linked request, as far as a lane needs one."""

    def __init__(self, policy: p.Request) -> None:
        self.policy = policy

    def envelope(self, group: tuple[Any, ...], now: float) -> tuple[bytes, bytes]:
        return ENVELOPE


@dataclass(frozen=True)
class Event:
    """A line and what the program makes of it."""

    data: bytes
    offset: int
    end: int
    number: int
    results: Any
    key: str | None

    @property
    def mapped(self) -> list[Mapped]:
        row = self.results
        return [row] if isinstance(row, Mapped) else [item for item in row if isinstance(item, Mapped)]


STEP = len(b"line\n")

Name = tuple[int, int, str | None]
"""A delivery: (lane, offset of the event, action)."""


@dataclass
class Disk:
    """What is on disk of one lane, and for the oracle what has ended and where. `writing`: a step that takes its time, with what had ended.
    `refuses`: the next step is the first of those that are refused."""

    cursor: Cursor = field(default_factory=lambda: Cursor("", "", Snapshot()))
    former: Former = field(default_factory=Former)
    letters: list[Letter] = field(default_factory=list)
    ended: dict[Name, str] = field(default_factory=dict)
    writing: tuple[LaneStep, dict[Name, str]] | None = None
    refuses: bool = False

    def write(self) -> None:
        assert self.writing is not None
        step, ended = self.writing
        self.writing = None
        for cursor in step.cursors:
            assert cursor.at.cursor >= self.cursor.at.cursor, "P1: a cursor went back"
            self.cursor = cursor
        self.former = Former({cursor.input: cursor for cursor in step.cursors} or self.former.cursors, step.ledger)
        self.letters += step.letters
        self.ended = ended
        where = Counter(place.partition(" ")[0] for place in ended.values())
        held = sorted((letter.offset, letter.action or "") for letter in self.letters)
        assert held == sorted((name[1], name[2] or "") for name, place in ended.items() if place.startswith("dead")), (
            "P2: the dead letters on disk are not those that died"
        )
        ledger = step.ledger
        counted = (ledger.delivered, ledger.dead.total() + ledger.rejected.total(), ledger.filtered.total())
        assert counted == (where["delivered"], where["dead"], where["filtered"]), f"P2: the disk counts {counted}"
        assert ledger.closes, "P2: the ledger on disk does not close"


@types.coroutine
def turn() -> Generator[None, None, None]:
    """Waits until the world goes on with whoever waits."""
    yield


@dataclass(frozen=True)
class Fault:
    start: float
    end: float
    kind: str


class World:
    """State of one simulated run."""

    def __init__(self, schedule: Schedule, *, calm: bool = False) -> None:
        self.schedule = schedule
        rng = self.rng = random.Random(schedule.seed)
        self.policies = [_policy(rng, index) for index in range(2)]
        self.lanes_events = [_events(rng, lane, schedule) for lane in range(schedule.lanes)]
        bodies = {mapped.body: (lane, event.offset, mapped.action) for lane, event, mapped in self._messages()}
        self.names: dict[bytes, Name] = bodies
        sound = [body for body in bodies if len(body) <= 200]
        self.bad = set(rng.sample(sound, min(len(sound), rng.choice([0, 0, 1, 2, 6]))))
        kinds = ["unsent", "dropped", "lost", "late", "503", "408", "429", "slow", "cut"]
        faults = [
            Fault(start, start + rng.uniform(0.1, rng.choice([90.0, 90.0, 90.0, 1500.0])), rng.choice(kinds))
            for start in (
                START + rng.uniform(0.0, rng.choice([1.0, 20.0, QUIET_S / 2])) for _ in range(schedule.faults)
            )
        ]
        self.faults = [] if calm else faults
        self.trouble = 0.0 if calm else rng.choice([0.0, 0.05, 0.3])
        self.kinds = kinds
        self.pace = rng.choice([[0.0], [0.0, 0.01, 1.0], [0.1, 5.0]])
        self.quiet_at = max([START + (self.trouble > 0) * 60.0, *(fault.end for fault in self.faults)])
        self.now = START
        self.queue: list[tuple[float, int, str, Any]] = []
        self.serial = itertools.count()
        self.disks = [Disk() for _ in range(schedule.lanes)]
        self.effects: Counter[bytes] = Counter()
        self.figures = Figures(schedules=1)
        self.sent_log: list[tuple[float, str, tuple[bytes, ...]]] = []
        self.ways = random.Random(f"ways of {schedule.seed}")
        self.disk_ways = random.Random(f"disk of {schedule.seed}")
        self.answer_at: dict[tuple[int, int, int], float] = {}
        self.seen: dict[tuple[int, str], list[tuple[float, int]]] = {}
        self.life = 0
        self._begin()
        crashes = (
            []
            if calm
            else [START + rng.uniform(0.0, rng.choice([2.0, 20.0, QUIET_S])) for _ in range(schedule.crashes)]
        )
        self.quiet_at = max([self.quiet_at, *(at + 2.0 for at in crashes)])
        for at in crashes:
            self._at(at, "crash", None)

    def _messages(self) -> Iterator[tuple[int, Event, Mapped]]:
        for lane, events in enumerate(self.lanes_events):
            for event in events:
                for mapped in event.mapped:
                    yield lane, event, mapped

    # The engine's life: from a start to a crash.

    def _begin(self) -> None:
        """A process starts from what the store keeps."""
        self.life += 1
        self.alive = True
        ceiling = max(policy.concurrency for policy in self.policies)
        self.gate = Gate(ceiling, self.rng.random)
        self.ceiling = ceiling
        kinds: dict[str, Any] = {f"r{index}": Kind(policy) for index, policy in enumerate(self.policies)}
        gates = dict.fromkeys(kinds, self.gate)
        self.lanes = [Lane(kinds, gates, self.rng.random, window_bytes=1500) for _ in self.disks]
        self.next_event = []
        self.keepings = []
        self.commits: dict[int, Coroutine[Any, Any, float]] = {}
        """Those under way, by lane."""
        for index, (lane, disk) in enumerate(zip(self.lanes, self.disks, strict=True)):
            disk.writing = None
            keeping = self._keeping(index, lane)
            self.keepings.append(keeping)
            saved = keeping.opened(SimpleNamespace(name=f"s{index}", identity="played", first_line=b""))
            at = saved.at if saved is not None else Snapshot()
            keeping.resumed(f"s{index}", at)
            events = self.lanes_events[index]
            self.next_event.append(
                next((n for n, event in enumerate(events) if event.offset >= at.cursor), len(events))
            )
            self._at(self.now, "read", (self.life, index))
        self.ended = [dict(disk.ended) for disk in self.disks]
        self.under_way: dict[tuple[int, int], Send] = {}
        self.paused_until = 0.0
        self.refusals = 0
        self.first_quiet_send: float | None = None
        self.commit_due = False
        self.held_back: set[int] = set()

    def _keeping(self, index: int, lane: Lane) -> Keeping:
        """As a run's (engine/engine.py), with the world as the store."""

        async def commit(step: LaneStep) -> None:
            disk = self.disks[index]
            assert disk.writing is None, "P15: two commits of one lane at once"
            if disk.refuses:
                raise OSError(errno.ENOSPC, "No space left on device")
            disk.writing = step, dict(self.ended[index])
            self._check_step(index, step)
            await turn()
            disk.write()

        keeping = Keeping(
            f"c{index}",
            f"s{index}",
            store=SimpleNamespace(commit=commit),
            file=None,
            clock=lambda: self.now,
            former=self.disks[index].former,
        )
        plan: Any = SimpleNamespace(digest="")
        keeping.follow(lane, writer(f"c{index}", plan, []))
        return keeping

    def _at(self, when: float, kind: str, what: Any) -> None:
        heapq.heappush(self.queue, (when, next(self.serial), kind, what))

    def run(self) -> Figures:
        for _ in range(50_000):
            if not self.queue:
                break
            self.step()
        else:
            raise AssertionError("P11: the run does not come to an end")
        self._finish()
        return self.figures

    def step(self) -> None:
        """The next event, and what an engine does then."""
        self.now, _, kind, what = heapq.heappop(self.queue)
        getattr(self, f"_{kind}")(what)
        if self.alive:
            self._pump()

    def _crash(self, _: None) -> None:
        if self.alive and not self._done():
            for index, disk in enumerate(self.disks):
                # What was being written is there, or it is not; nobody was told.
                self.figures.torn += disk.writing is not None
                if disk.writing is not None and self.disk_ways.random() < 0.5:
                    disk.write()
                elif self.disk_ways.random() < 0.2:
                    self._refuse(index)
            self._abandon()
            self.alive = False
            self.figures.crashes += 1
            self._at(self.now + self.rng.uniform(0.0, 2.0), "restart", None)

    def _refuse(self, index: int) -> None:
        """The disk is full: the step is lost with its dead letters, so no later one may pass it, though the disk has room again."""
        if index in self.commits:
            return
        disk, committer = self.disks[index], self.keepings[index].committer
        disk.refuses = True
        self._go_on(index, committer.commit())
        disk.refuses = False
        assert committer.fault is not None, "P15: a refusal by the disk is passed over"
        self._go_on(index, committer.commit())
        assert index not in self.commits, "P15: a step passes one that was refused"
        self.figures.refusals += 1

    def _abandon(self) -> None:
        """Nobody goes on with what was under way."""
        for commit in self.commits.values():
            commit.close()
        self.commits = {}

    def _restart(self, _: None) -> None:
        self._begin()

    def _wake(self, what: tuple[int, int]) -> None:
        """Something is due: the pump sees to it."""

    def _read(self, what: tuple[int, int]) -> None:
        life, index = what
        if life != self.life or not self.alive:
            return
        events, lane = self.lanes_events[index], self.lanes[index]
        at = self.next_event[index]
        if lane.room and at < len(events):
            chunk = events[at : at + self.rng.randrange(1, 12)]
            self.next_event[index] = at + len(chunk)
            self._offer(index, chunk)
        if self.next_event[index] < len(events):
            if lane.room:
                self._at(self.now + self.rng.choice(self.pace), "read", (self.life, index))
            else:
                self.held_back.add(index)

    def _offer(self, index: int, chunk: list[Event]) -> None:
        lane, source = self.lanes[index], f"s{index}"
        before = dict(self.ended[index])
        if self.rng.random() < 0.5 and not self.schedule.ordered:
            lines = chunk_of([event.data for event in chunk], chunk[0].offset, chunk[0].number)
            commands = lane.offer(block_of([event.results for event in chunk]), lines, 0, source, self.now)
        elif self.rng.random() < 0.5:
            keys = [event.key for event in chunk] if self.schedule.ordered else None
            commands = offer_rows(lane, [event.results for event in chunk], chunk, source, self.now, keys)
        else:
            commands = []
            for event in chunk:
                results = [event.results] if isinstance(event.results, Mapped) else event.results
                position = Position(source, event.offset, event.number, event.end)
                commands += offer_one(lane, list(results), event.data, position, self.now, event.key)
        self._die(index, commands)
        for event in chunk:
            for result in event.results if isinstance(event.results, list) else []:
                name = (index, event.offset, result.action)
                if isinstance(result, Filtered) and name not in before:
                    self._end(index, name, "filtered")

    def _die(self, index: int, commands: list[Any]) -> None:
        assert all(isinstance(command, Dead) for command in commands)
        self.keepings[index].dead(commands)
        for command in commands:
            self._end(index, (index, command.position.offset, command.action), f"dead {command.reason}")

    def _end(self, index: int, name: Name, where: str) -> None:
        assert name not in self.ended[index], f"P2: {name} ended {self.ended[index][name]} and {where}"
        self.ended[index][name] = where
        self._commit_soon()

    def _commit_soon(self) -> None:
        if not self.commit_due:
            self.commit_due = True
            self._at(self.now + self.rng.choice([0.0, 0.2, 2.0]), "commit", self.life)

    def _commit(self, life: int) -> None:
        """Each lane that has no commit under way begins one, as `Committer.run` does."""
        if life != self.life or not self.alive:
            return
        self.commit_due = False
        for index, keeping in enumerate(self.keepings):
            if index in self.commits:
                self._commit_soon()
            else:
                self._go_on(index, keeping.committer.commit())

    def _go_on(self, index: int, commit: Coroutine[Any, Any, float]) -> None:
        """A commit until it waits for the disk, or has ended."""
        try:
            commit.send(None)
        except StopIteration:
            self.commits.pop(index, None)
        else:
            self.commits[index] = commit
            self._at(self.now + self.disk_ways.choice([0.0, 0.0, 0.01, 3.0]), "written", (self.life, index))

    def _written(self, what: tuple[int, int]) -> None:
        life, index = what
        if life == self.life and index in self.commits:
            self._go_on(index, self.commits[index])

    def _check_step(self, index: int, step: LaneStep) -> None:
        """What a step holds says of each delivery whether it has ended, no more and no less."""
        ended, lane = self.ended[index], self.lanes[index]
        # A place at which nothing has ended is not kept.
        kept = step.cursors[0].at if step.cursors else Snapshot()
        gaps = lane.gaps(f"s{index}")
        for event in self.lanes_events[index][: self.next_event[index]]:
            names = [(index, event.offset, item.action) for item in _rows(event)]
            whole = event.offset < kept.cursor or any(start <= event.offset < end for start, end in kept.ranges)
            if whole is not all(name in ended for name in names):
                raise AssertionError(f"P1: the store has {event.offset} as {'' if whole else 'not '}settled")
            if event.offset >= kept.cursor and whole is not any(start <= event.offset < end for start, end in gaps):
                raise AssertionError(f"the gaps do not tell of {event.offset}")
            for name in () if whole else names:
                part = any((offset, action) == name[1:] for offset, action, _ in kept.parts)
                assert part is (name in ended), f"P1: the store is wrong about {name}"

    # Sending.

    def _pump(self) -> None:
        """What an engine does after each event: lanes that are due are ticked, in any order."""
        order = list(enumerate(self.lanes))
        self.rng.shuffle(order)
        for _ in range(1000):
            due = [row for row in order if (wake := row[1].next_wake(self.now)) is not None and wake <= self.now]
            flushed = [
                row for row in order if self.next_event[row[0]] == len(self.lanes_events[row[0]]) and not row[1].idle
            ]
            sent = 0
            for index, lane in {**dict(due), **dict(flushed)}.items():
                done = self.next_event[index] == len(self.lanes_events[index])
                commands = lane.tick(self.now, flush=done)
                sent += len(commands)
                for command in commands:
                    assert isinstance(command, Send)
                    self._send(index, command)
                self._closes(lane)
            if not due or (not sent and all(lane.next_wake(self.now) != self.now for _, lane in order)):
                break
        else:
            raise AssertionError("a lane says that it is due and does nothing")
        wakes = [wake for lane in self.lanes if (wake := lane.next_wake(self.now)) is not None]
        if wakes and (not self.queue or min(wakes) < self.queue[0][0]):
            self._at(max(min(wakes), self.now), "wake", None)

    @staticmethod
    def _closes(lane: Lane) -> None:
        assert lane.ledger.closes, "P2: the ledger does not close"
        assert not lane.stopped, lane.stopped

    def _send(self, index: int, send: Send) -> None:
        self.figures.requests += 1
        policy = self.policies[int(send.request[1])]
        size = len(ENVELOPE[0]) + len(b",".join(send.bodies)) + len(ENVELOPE[1])
        batch = policy.batch or p.Batch(max_messages=1)
        assert len(send.bodies) <= (batch.max_messages or 99), "P6: too many messages"
        assert size <= (batch.max_bytes or 9999), "P6: too many bytes"
        for body in send.bodies:
            assert self.names[body][0] == index, "P3: these bytes are no message of this lane"
            assert self.names[body] not in self.ended[index], "P4: a message is sent again that has ended"
        assert self.now >= self.paused_until, "P7: a request within the pause"
        if self.schedule.ordered:
            self._check_order(index, send)
        self.under_way[(index, send.batch)] = send
        assert len(self.under_way) <= self.ceiling, "more requests at once than allowed"
        self.sent_log.append((self.now, send.request, send.bodies))
        if self.first_quiet_send is None and self.now >= self.quiet_at:
            self.first_quiet_send = self.now
            latest = max(self.quiet_at, self.paused_until) + BACKOFF_CAP_S + TIMEOUT_S
            assert self.now <= latest, f"P11: {self.now - self.quiet_at:g} s after the faults nothing had been sent"
        self._arrive(index, send)

    def _left(self, what: tuple[int, int, Send]) -> None:
        """The connection is open and the first byte goes; the destination sees it a little later."""
        life, index, send = what
        if life == self.life and self.alive and (index, send.batch) in self.under_way:
            self.lanes[index].left(send.batch, self.now)
        policy = self.policies[int(send.request[1])]
        shortest = min([rate.per_s for rate in policy.rate], default=0.0)
        arrival = self.now + self.ways.uniform(0.0, MARGIN * shortest)
        answered = self.answer_at.get((life, index, send.batch), arrival)
        self._see(min(arrival, answered), life, send, policy)

    def _see(self, at: float, life: int, send: Send, policy: p.Request) -> None:
        """P7, by the destination's clock, over the life of a process. What leaves later may arrive earlier."""
        seen = self.seen.setdefault((life, send.request), [])
        seen.append((at, len(send.bodies)))
        for rate in policy.rate:
            near = [row for row in seen if abs(row[0] - at) < rate.per_s]
            for start, _ in near:
                inside = [count for when, count in near if start <= when < start + rate.per_s - 1e-6]
                spent = len(inside) if rate.of == "requests" else sum(inside)
                assert spent <= rate.count, f"P7: {spent} {rate.of} in {rate.per_s:g} s"

    def _check_order(self, index: int, send: Send) -> None:
        """P9: of each key the oldest messages that have not ended go, and none of them is in another request."""
        busy = {
            self._key_of(body) for (lane, _), other in self.under_way.items() if lane == index for body in other.bodies
        }
        going: dict[str, list[bytes]] = {}
        for body in send.bodies:
            key = self._key_of(body)
            if key is not None:
                assert key not in busy, f"P9: key {key} is in two requests at once"
                going.setdefault(key, []).append(body)
        for key, bodies in going.items():
            left = [
                mapped.body
                for event in self.lanes_events[index]
                if event.key == key
                for mapped in event.mapped
                if (index, event.offset, mapped.action) not in self.ended[index]
            ]
            assert bodies == left[: len(bodies)], f"P9: key {key} is sent out of order"

    def _key_of(self, body: bytes) -> str | None:
        lane, offset, _ = self.names[body]
        return self.lanes_events[lane][offset // STEP].key

    # The destination.

    def _arrive(self, index: int, send: Send) -> None:
        """Decides what becomes of a request: when it has its effect, and what its sender sees when."""
        latency = self.rng.uniform(0.01, 0.4)
        fault = next((item.kind for item in self.faults if item.start <= self.now < item.end), None)
        if fault is None and self.now < self.quiet_at and self.rng.random() < self.trouble:
            fault = self.rng.choice(self.kinds)
        effect: float | None = latency / 2
        answer = Answer("200", cut=fault == "cut")
        if fault == "slow":
            latency = self.rng.uniform(1.0, 9.0)
        if fault in ("503", "408", "429"):
            effect, answer = None, Answer(fault)
        elif fault in ("unsent", "dropped"):
            effect = None
            answer = Answer("unsent" if fault == "unsent" else "unanswered")
        elif fault in ("lost", "late"):
            latency = TIMEOUT_S if fault == "late" else latency
            effect = self.rng.uniform(0.0, 40.0) if fault == "late" else effect
            answer = Answer("unanswered")
        if effect is not None and self.bad.intersection(send.bodies):
            effect = None
            answer = Answer("400") if answer.status == "200" else answer
        if effect is not None:
            self._at(self.now + effect, "effect", send.bodies)
        if answer.status != "unsent":
            self.answer_at[self.life, index, send.batch] = self.now + latency
            opening = self.ways.choice([0.0, 0.0, self.ways.uniform(0.0, latency)])
            self._at(self.now + opening, "left", (self.life, index, send))
        self._at(self.now + latency, "answer", (self.life, index, send, answer))

    def _effect(self, bodies: tuple[bytes, ...]) -> None:
        for body in bodies:
            self.figures.duplicates += self.effects[body] > 0
            self.effects[body] += 1

    def _answer(self, what: tuple[int, int, Send, Answer]) -> None:
        life, index, send, answer = what
        if life != self.life or not self.alive:
            return
        if answer.status == "429":
            answer = self._throttle()
        self.figures.answers[answer.status] += 1
        del self.under_way[(index, send.batch)]
        lane = self.lanes[index]
        delivered = lane.ledger.delivered
        if index in self.held_back:
            self.held_back.discard(index)
            self._at(self.now, "read", (self.life, index))
        commands = lane.settle(send.batch, answer, self.now)
        self._closes(lane)
        if answer.status == "400":
            self.refusals += 1
            depth = math.ceil(math.log2(max(2, max(len(send.bodies), 8)))) + 1
            assert self.schedule.ordered or self.refusals <= len(self.bad) * depth, "P5: a storm of refusals"
        if lane.ledger.delivered > delivered:
            for body in send.bodies:
                assert self.effects[body], "P2: told delivered, and it is not"
                self._end(index, self.names[body], "delivered")
        for command in commands:
            assert isinstance(command, Dead)
            assert command.answer is not None
            assert answer.status == "400"
        self._die(index, commands)

    def _throttle(self) -> Answer:
        """A 429 with some header; the oracle notes until when nothing may go."""
        seconds = self.rng.choice([1, 7, 30, 1000])
        at = int(self.now) + seconds
        date = email.utils.format_datetime(datetime.fromtimestamp(at, UTC), usegmt=True)
        headers, until = self.rng.choice(
            [
                ({"retry-after": str(seconds)}, self.now + seconds),
                ({"retry-after": date}, float(at)),
                ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, self.now),
                ({"retry-after": "-3"}, self.now),
                ({"retry-after": "99999999"}, self.now + MAX_WAIT_S),
                ({"retry-after": "9" * 400}, self.now + MAX_WAIT_S),
                ({"retry-after": "soon"}, self.now),
                ({"x-ratelimit-reset": str(at)}, float(at)),
                ({"x-ratelimit-reset": str(at * 1000)}, float(at)),
                ({}, self.now),
            ]
        )
        self.paused_until = max(self.paused_until, min(until, self.now + MAX_WAIT_S))
        return Answer("429", headers)

    # The end.

    def _done(self) -> bool:
        return all(lane.idle for lane in self.lanes) and all(
            at == len(events) for at, events in zip(self.next_event, self.lanes_events, strict=True)
        )

    def _finish(self) -> None:
        """Conservation over the whole run, crashes and all."""
        assert self._done(), "P11: something is left over"
        for index, keeping in enumerate(self.keepings):
            # The last one, as a lane's end waits for it.
            self._go_on(index, keeping.committer.commit())
            if index in self.commits:
                self._go_on(index, self.commits[index])
        for index, events in enumerate(self.lanes_events):
            kept = self.disks[index]
            assert kept.cursor.at.cursor == (events[-1].end if events else 0), "P1: the cursor is not at the end"
            for event in events:
                for row in _rows(event):
                    name = (index, event.offset, row.action)
                    self.figures.deliveries += 1
                    self.figures.dead += kept.ended.get(name, "").startswith("dead")
                    assert kept.ended.get(name) == self._wanted(row), f"{name} ended {kept.ended.get(name)}"
                    if isinstance(row, Mapped):
                        assert (self.effects[row.body] > 0) is (kept.ended[name] == "delivered"), (
                            "P5: not the complement"
                        )
        self.figures.virtual_s = self.now - START

    def _wanted(self, row: Any) -> str:
        if isinstance(row, Filtered):
            return "filtered"
        if isinstance(row, Rejected):
            return f"dead {row.reason}"
        if len(row.body) > 200:
            return "dead message_too_large"
        return "dead refused" if row.body in self.bad else "delivered"


def _rows(event: Event) -> list[Any]:
    return [event.results] if isinstance(event.results, Mapped) else event.results


def _policy(rng: random.Random, index: int) -> p.Request:
    """Limits that are met often. Each kind has a `concurrency` of its own, so that the two share no limit."""
    batch = p.Batch(
        max_messages=rng.choice([1, 2, 5, 8]),
        max_bytes=rng.choice([222, 300, 900]),
        max_message_bytes=200,
        max_wait_s=rng.choice([0.0, 0.5, 2.0]),
    )
    rates = [
        p.Rate(of="requests", count=rng.choice([1, 3, 20]), per_s=1.0),
        p.Rate(of="requests", count=40, per_s=rng.choice([10.0, 3.3])),
        p.Rate(of="messages", count=rng.choice([3, 9]), per_s=rng.choice([0.7, 1.0])),
    ]
    return p.Request(
        method="post",
        url=p.Const(value="https://example.com"),
        batch=rng.choice([batch, batch, batch, None]) if index else batch,
        concurrency=rng.choice([1, 2, 4]) + 4 * index,
        rate=rng.sample(rates, rng.randrange(3)),
        retry=p.Retry(for_s=1e9, wait_from=["Retry-After", "X-RateLimit-Reset"], max_wait_s=MAX_WAIT_S),
        responses={"400": [p.ResponseRule(then="split")]},
    )


def _events(rng: random.Random, lane: int, schedule: Schedule) -> list[Event]:
    events: list[Event] = []
    for number in range(schedule.events):

        def mapped(action: str, number: int = number) -> Mapped:
            size = rng.choice([20, 60, 120, 200, 201]) if rng.random() < 0.3 else 30
            body = f'"{lane}.{number}.{action}'.encode().ljust(size - 1, b"x") + b'"'
            request = "r0" if action == "a" else "r1"
            # A kind without `batch:` has no limit of its own: what is too large for the others is not sent by it here.
            return Mapped(
                action,
                None,
                request,
                ("g",) if rng.random() < 0.1 else (),
                body if size <= 200 or request == "r0" else body[:99] + b'"',
            )

        draw = rng.random()
        results: Any
        if draw < 0.6:
            results = mapped("a")
        elif draw < 0.75:
            results = [mapped("a"), mapped("b")]
        elif draw < 0.8:
            results = [Rejected("a", None, "required", ""), mapped("b")]
        elif draw < 0.85:
            results = [mapped("a"), Filtered("b", None, "where")]
        elif draw < 0.93:
            results = [Filtered(None, None, "no_action")]
        else:
            results = [Rejected(None, None, "malformed", "")]
        key = rng.choice(["k1", "k2", "k3", None]) if schedule.ordered else None
        events.append(Event(b"line", number * STEP, number * STEP + STEP, number + 1, results, key))
    return events


def simulate(schedule: Schedule) -> Figures:
    return World(schedule).run()


def main() -> int:
    parser = argparse.ArgumentParser(description="lanes, gate and store under seeded faults")
    parser.add_argument("--schedules", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--schedule", help="one schedule, as it is printed when it fails")
    words = parser.parse_args()
    total, failed, began = Figures(), 0, time.monotonic()
    schedules = (
        [Schedule.parse(words.schedule)]
        if words.schedule
        else (Schedule.drawn(seed) for seed in range(words.first, words.first + words.schedules))
    )
    for schedule in schedules:
        try:
            total.add(simulate(schedule))
        except Exception as fault:
            failed += 1
            print(f"failed: {schedule}  ({type(fault).__name__}: {fault})", file=sys.stderr)
            if words.schedule:
                raise
    seconds = time.monotonic() - began
    print(
        f"{total.schedules} schedules held, {failed} failed, in {seconds:.0f} s ({total.schedules / seconds * 60:,.0f} a minute)\n"
        f"{total.deliveries:,} deliveries, {total.dead:,} dead, 0 lost; {total.requests:,} requests, {total.crashes:,} crashes "
        f"({total.torn:,} during a commit, {total.refusals:,} by a disk that refused), "
        f"{total.duplicates:,} duplicates (all of attempts without an acknowledgement); {total.virtual_s / 86400:.1f} virtual days\n"
        f"answers: {dict(sorted(total.answers.items()))}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
