"""One lane: the deliveries of one source to one connection, as a pure state machine.

Takes results of the program (`offer`), answers (`settle`) and the passing of time (`tick`), each with the instant. Gives commands: requests to
send and dead letters to write. No I/O, no clock and no random in here, so that years of faults can be simulated in seconds.

Batches are cut before a message is added that would break a limit, on the exact bytes of the body that will be sent. The bytes of a message
never change; a batch that is retried keeps its messages, and one that is split keeps their order.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from waypost import plan as p
from waypost.runtime.gate import Gate, RateLimit
from waypost.runtime.ledger import Ledger
from waypost.runtime.outcome import Answer, backoff, outcome_of, wait_asked
from waypost.runtime.results import Filtered, Mapped, Rejected

LONE_REFUSALS = 8
"""A split whose messages are refused one by one this often, while none is delivered, is a fault of the configuration, not of the data."""

MAX_ENVELOPES = 1000
"""So many groups' envelope sizes are remembered."""

POISON_AFTER = 5
"""After so many failures of one batch, while others are delivered, it is split once: one message may break the destination."""


@dataclass(frozen=True)
class Position:
    """Where an event came from: the source's name, the byte offset of its line, its number (from 1), and the offset behind it."""

    source: str
    offset: int
    line: int
    end: int


@dataclass(frozen=True)
class Delivery:
    """One message on its way. `event` is the line, kept for a dead letter."""

    position: Position
    action: str
    item: int | str | None
    body: bytes
    event: bytes


@dataclass(frozen=True)
class Send:
    """Send these bodies as one request, then call `settle` with `batch`."""

    batch: int
    request: str
    group: tuple[Any, ...]
    bodies: tuple[bytes, ...]
    attempt: int


@dataclass(frozen=True)
class Dead:
    """Write a dead letter. `answer` is the destination's, where there was one."""

    position: Position
    event: bytes
    reason: str
    message: str
    action: str | None = None
    item: int | str | None = None
    field: str = ""
    attempts: int = 0
    answer: Answer | None = None


Command = Send | Dead


class RequestKind(Protocol):
    """What a lane needs to know of a linked request."""

    @property
    def policy(self) -> p.Request: ...

    def envelope(self, group: tuple[Any, ...], now: float) -> tuple[bytes, bytes] | None: ...


@dataclass
class Family:
    """The batches that one split made: how many of its messages were refused alone, and whether any was delivered."""

    refused: int = 0
    delivered: int = 0


@dataclass(frozen=True)
class Batch:
    """Messages that share a request. `spent` is the part of the retry budget that is used, in seconds."""

    id: int
    request: str
    group: tuple[Any, ...]
    deliveries: tuple[Delivery, ...]
    attempts: int = 0
    failures: int = 0
    spent: float = 0.0
    split_once: bool = False
    family: Family | None = None


@dataclass
class OpenBatch:
    """A batch that still grows. `size` is the body's bytes so far, envelope and commas included."""

    deliveries: list[Delivery] = field(default_factory=list)
    size: int = 0
    opened: float = 0.0


class Progress:
    """How far one source has come. State: events with deliveries on their way, in order, and the end of the last event that passed."""

    def __init__(self) -> None:
        self._pending: dict[int, list[int]] = {}
        self._reached = 0

    @property
    def cursor(self) -> int:
        return next(iter(self._pending), self._reached)

    def begin(self, position: Position) -> None:
        self._pending.setdefault(position.offset, [0])[0] += 1

    def end(self, offset: int) -> None:
        held = self._pending[offset]
        held[0] -= 1
        if not held[0]:
            del self._pending[offset]

    def passed(self, position: Position) -> None:
        """The event has been offered: with nothing on its way before it, the cursor stands behind it."""
        self._reached = position.end


class Lane:
    """State: open batches, those ready to go, those under way, those that wait for another try, and the ledger.

    `stopped` says why the lane sends no more; what was not delivered then stays in flight and is kept for the next run.
    """

    def __init__(
        self,
        requests: dict[str, RequestKind],
        gates: dict[str, Gate],
        jitter: Callable[[], float],
        *,
        window_bytes: int = 64 << 20,
    ) -> None:
        self.ledger = Ledger()
        self.stopped = ""
        self.succeeded = False
        self._requests = requests
        self._gates = gates
        self._rates = {name: RateLimit(kind.policy.rate) for name, kind in requests.items()}
        self._jitter = jitter
        self._window = window_bytes
        self._held = 0
        self._open: dict[tuple[str, tuple[Any, ...]], OpenBatch] = {}
        self._ready: deque[Batch] = deque()
        self._under_way: dict[int, Batch] = {}
        self._waiting: list[tuple[float, int, Batch]] = []
        self._serial = 0
        self._around: dict[tuple[str, tuple[Any, ...]], int] = {}
        self._sources: dict[str, Progress] = {}

    # What the engine asks.

    @property
    def room(self) -> bool:
        """Whether more events may be offered: what is held in memory is bounded."""
        return self._held < self._window and not self.stopped

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way."""
        return not (self._open or self._ready or self._under_way or self._waiting)

    def cursor(self, source: str) -> int:
        """The offset up to which every event of a source has ended: where a next run resumes."""
        progress = self._sources.get(source)
        return progress.cursor if progress else 0

    def next_wake(self, now: float) -> float | None:
        """The instant at which `tick` may have something to do, if nothing else happens before."""
        wakes = [self._waiting[0][0]] if self._waiting else []
        for (name, _), batch in self._open.items():
            wakes.append(batch.opened + self._wait(name))
        if self._ready:
            name, batch_size = self._ready[0].request, len(self._ready[0].deliveries)
            for until in (self._gates[name].wait_until(now), self._rates[name].wait_until(now, batch_size)):
                if until is not None and until != float("inf"):
                    wakes.append(until)
        return min(wakes) if wakes else None

    # Events.

    def offer(self, results: list[Any], event: bytes, position: Position, now: float) -> list[Command]:
        """What the program made of one event. Gives dead letters at once; requests come from `tick`."""
        self.ledger.read += 1
        commands: list[Command] = []
        first = results[0]
        if isinstance(first, Rejected) and first.action is None:
            self.ledger.rejected[first.reason] += 1
            self._advance(position)
            return [Dead(position, event, first.reason, first.message, field=first.field)]
        self.ledger.accepted += 1
        self.ledger.deliveries += len(results)
        for result in results:
            if isinstance(result, Mapped):
                commands += self._map(result, event, position, now)
            elif isinstance(result, Filtered):
                self.ledger.filtered[result.reason] += 1
            else:
                self.ledger.dead[result.reason] += 1
                commands.append(
                    Dead(position, event, result.reason, result.message, result.action, result.item, result.field)
                )
        self._advance(position)
        return commands

    def reject_line(self, reason: str, message: str, event: bytes, position: Position) -> list[Command]:
        """A line that the program never sees (too long)."""
        self.ledger.read += 1
        self.ledger.rejected[reason] += 1
        self._advance(position)
        return [Dead(position, event, reason, message)]

    def _map(self, result: Mapped, event: bytes, position: Position, now: float) -> list[Command]:
        policy = self._requests[result.request].policy
        limit = policy.batch.max_message_bytes if policy.batch else None
        around = self._envelope(result.request, result.group, now)
        whole = policy.batch.max_bytes if policy.batch else None
        if (limit and len(result.body) > limit) or (whole and around + len(result.body) > whole):
            self.ledger.dead["message_too_large"] += 1
            allowed = limit if limit and len(result.body) > limit else whole
            message = f"the message has {len(result.body)} bytes, at most {allowed} are allowed"
            return [Dead(position, event, "message_too_large", message, result.action, result.item)]
        self.ledger.in_flight += 1
        self._held += len(result.body) + len(event)
        self._progress(position).begin(position)
        self._add(result, Delivery(position, result.action, result.item, result.body, event), around, now)
        return []

    def _add(self, result: Mapped, delivery: Delivery, around: int, now: float) -> None:
        """Puts a message into its batch; one that would break a limit closes the batch first."""
        batch = self._requests[result.request].policy.batch
        key = (result.request, result.group)
        if batch is None:
            self._make_ready(key, [delivery])
            return
        held = self._open.get(key)
        grown = (held.size if held else around) + len(delivery.body) + (1 if held else 0)
        if held is not None and batch.max_bytes is not None and grown > batch.max_bytes:
            self._close(key)
            held, grown = None, around + len(delivery.body)
        if held is None:
            held = self._open[key] = OpenBatch(opened=now)
        held.deliveries.append(delivery)
        held.size = grown
        if batch.max_messages is not None and len(held.deliveries) >= batch.max_messages:
            self._close(key)

    def _envelope(self, request: str, group: tuple[Any, ...], now: float) -> int:
        """The bytes around the messages: the same at every instant, so they are computed once a group."""
        key = (request, group)
        found = self._around.get(key)
        if found is None:
            if len(self._around) > MAX_ENVELOPES:
                self._around.clear()
            around = self._requests[request].envelope(group, now)
            found = self._around[key] = 0 if around is None else len(around[0]) + len(around[1])
        return found

    def _close(self, key: tuple[str, tuple[Any, ...]]) -> None:
        self._make_ready(key, self._open.pop(key).deliveries)

    def _make_ready(self, key: tuple[str, tuple[Any, ...]], deliveries: list[Delivery]) -> None:
        self._ready.append(Batch(self._next_id(), key[0], key[1], tuple(deliveries)))

    def _next_id(self) -> int:
        self._serial += 1
        return self._serial

    def _wait(self, request: str) -> float:
        batch = self._requests[request].policy.batch
        return batch.max_wait_s if batch else 0.0

    # Time.

    def tick(self, now: float, *, flush: bool = False) -> list[Command]:
        """Closes batches that are old enough (all with `flush`), wakes those that waited, and sends what the gates allow."""
        if self.stopped:
            return []
        for key, held in list(self._open.items()):
            if flush or now >= held.opened + self._wait(key[0]):
                self._close(key)
        while self._waiting and self._waiting[0][0] <= now:
            # Older messages go before newer ones.
            self._ready.appendleft(heapq.heappop(self._waiting)[2])
        commands: list[Command] = []
        kept: deque[Batch] = deque()
        blocked: set[str] = set()
        while self._ready and len(blocked) < len(self._requests):
            batch = self._ready.popleft()
            if batch.request in blocked or not self._may_send(batch, now):
                blocked.add(batch.request)
                kept.append(batch)
            else:
                commands.append(self._send(batch, now))
        self._ready.extendleft(reversed(kept))
        return commands

    def _may_send(self, batch: Batch, now: float) -> bool:
        gate, rate = self._gates[batch.request], self._rates[batch.request]
        return gate.wait_until(now) is None and rate.wait_until(now, len(batch.deliveries)) is None

    def _send(self, batch: Batch, now: float) -> Send:
        self._gates[batch.request].sent()
        self._rates[batch.request].sent(now, len(batch.deliveries))
        batch = replace(batch, attempts=batch.attempts + 1)
        self._under_way[batch.id] = batch
        self.ledger.requests += 1
        self.ledger.attempts_again += batch.attempts > 1
        return Send(batch.id, batch.request, batch.group, tuple(item.body for item in batch.deliveries), batch.attempts)

    # Answers.

    def settle(self, batch_id: int, answer: Answer, now: float) -> list[Command]:
        """The answer to a request that was sent."""
        batch = self._under_way.pop(batch_id)
        request = self._requests[batch.request].policy
        outcome = outcome_of(request, answer)
        gate = self._gates[batch.request]
        # A 4xx that is to be retried is about this request: the destination itself works.
        gate.ended(now, failed=outcome == "retry" and not answer.status.startswith("4"))
        if outcome == "ok":
            return self._delivered(batch)
        if outcome == "retry":
            return self._retry(batch, request, answer, now)
        if outcome == "throttle":
            wait = wait_asked(request.retry, answer, now)
            gate.pause(now + (backoff(batch.attempts + 1, self._jitter) if wait is None else wait))
            self._ready.appendleft(batch)
            return []
        if outcome == "split" and len(batch.deliveries) > 1:
            self._split(batch)
            return []
        if outcome == "stop":
            self._stop(batch, f"the destination answered {answer.status}: check its credentials and settings")
            return []
        return self._refused(batch, outcome, answer)

    def _delivered(self, batch: Batch) -> list[Command]:
        self.succeeded = True
        self.ledger.delivered += len(batch.deliveries)
        if batch.family is not None:
            batch.family.delivered += len(batch.deliveries)
        self._end(batch.deliveries)
        return []

    def _retry(self, batch: Batch, request: p.Request, answer: Answer, now: float) -> list[Command]:
        asked = wait_asked(request.retry, answer, now)
        wait = backoff(batch.failures + 1, self._jitter) if asked is None else asked
        # The budget of a message does not run while the breaker keeps everything waiting.
        running = 0.0 if self._gates[batch.request].open else wait
        batch = replace(batch, failures=batch.failures + 1, spent=batch.spent + running)
        if batch.spent > request.retry.for_s:
            message = f"no success in {request.retry.for_s:g} s of retries; the last answer was {answer.status}{_because(answer)}"
            return self._kill(batch, "retries_exhausted", message, answer)
        if batch.failures >= POISON_AFTER and not batch.split_once and len(batch.deliveries) > 1 and self.succeeded:
            for half in self._halves(replace(batch, split_once=True)):
                heapq.heappush(self._waiting, (now + wait, half.id, half))
            return []
        heapq.heappush(self._waiting, (now + wait, batch.id, batch))
        return []

    def _halves(self, batch: Batch) -> tuple[Batch, Batch]:
        middle = len(batch.deliveries) // 2
        left = replace(batch, id=self._next_id(), deliveries=batch.deliveries[:middle])
        return left, replace(batch, id=self._next_id(), deliveries=batch.deliveries[middle:])

    def _split(self, batch: Batch) -> None:
        left, right = self._halves(replace(batch, family=batch.family or Family()))
        self._ready.extendleft((right, left))

    def _refused(self, batch: Batch, outcome: str, answer: Answer) -> list[Command]:
        dead = self._kill(batch, "refused", f"the destination answered {answer.status}", answer)
        family = batch.family
        if outcome == "split" and family is not None:
            family.refused += 1
            if family.refused >= LONE_REFUSALS and not family.delivered:
                self.stopped = (
                    f"the destination refused {family.refused} messages one by one ({answer.status}) and took none"
                )
        return dead

    def _kill(self, batch: Batch, reason: str, message: str, answer: Answer) -> list[Command]:
        self.ledger.dead[reason] += len(batch.deliveries)
        self._end(batch.deliveries)
        return [
            Dead(
                item.position,
                item.event,
                reason,
                message,
                item.action,
                item.item,
                attempts=batch.attempts,
                answer=answer,
            )
            for item in batch.deliveries
        ]

    def _stop(self, batch: Batch, reason: str) -> None:
        self.stopped = reason
        self._ready.appendleft(batch)

    def stop(self, reason: str) -> None:
        """Stops the lane from outside; what it holds stays in flight."""
        self.stopped = self.stopped or reason

    # Positions.

    def _end(self, deliveries: tuple[Delivery, ...]) -> None:
        """These deliveries have ended in one of the three places."""
        self.ledger.in_flight -= len(deliveries)
        for item in deliveries:
            self._held -= len(item.body) + len(item.event)
            self._progress(item.position).end(item.position.offset)

    def _advance(self, position: Position) -> None:
        self._progress(position).passed(position)

    def _progress(self, position: Position) -> Progress:
        return self._sources.setdefault(position.source, Progress())


def _because(answer: Answer) -> str:
    return f" ({answer.error})" if answer.error else ""
