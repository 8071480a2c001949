"""Messages of one request kind become batches, cut on the exact bytes of the body that will be sent, as its format counts them (lang/bodies).

Takes runs of messages in order (`Flow.add`). Gives batches that are ready: full, or old enough (`Flow.close_old`). A batch is closed before a
message is added that would break a limit: there a run is cut. A request without `batch:` takes one message; a rate in messages bounds a batch
too, for one that is larger than a window could never go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from waypost import plan as p
from waypost.delivery.gate import Gate
from waypost.delivery.runs import Delivery, Run
from waypost.events.guard import REASON, Guard
from waypost.events.mapped_chunk import Owner
from waypost.events.results import Mapped, Rejected
from waypost.lang import bodies
from waypost.lang.bodies.format import ONLY
from waypost.lang.values import Fault

MAX_ENVELOPES = 1000
MAX_AROUND = 4 << 20
"""So many groups' envelope sizes are remembered, of groups with so many bytes together."""

UNLIMITED = 1 << 62


class RequestKind(Protocol):
    """What a lane needs to know of a linked request."""

    @property
    def policy(self) -> p.Request: ...

    def envelope(self, group: tuple[Any, ...], now: float, lists: Sequence[str] = ...) -> Sequence[bytes] | None: ...

    def read(self, node: p.Value, answer: Mapping[str, Any], item: Any, key: Any) -> Any:
        """The value of a node of `results` over an answer and an item of it."""


class Family(Struct):
    """The batches that one split made: how many of its messages were refused alone, and whether any was delivered."""

    refused: int = 0
    delivered: int = 0


class Batch(Struct):
    """Messages that share a request, `count` of them. It is closed: `runs` only shrink. `since` is where the gate's budget clock stood at the
    first failure, `successes` how many requests of the lane had succeeded then; `ticket` is the gate's, of the attempt under way; `opened`
    the instant of its first message."""

    id: int
    group: tuple[Any, ...]
    runs: list[Run]
    count: int
    attempts: int = 0
    failures: int = 0
    since: float | None = None
    successes: int = 0
    split_once: bool = False
    family: Family | None = None
    ticket: int = 0
    opened: float = 0.0

    @property
    def cost(self) -> int:
        return sum([run.cost for run in self.runs])

    def deliveries(self) -> list[Delivery]:
        return [delivery for run in self.runs for delivery in run.deliveries()]

    def messages(self) -> list[bytes]:
        """Each message, in the order in which they are sent."""
        return [message for run in self.runs for message in run.messages()]

    def keep(self, runs: list[Run]) -> None:
        """Only these of its runs are left."""
        self.runs = runs
        self.count = sum([run.count for run in runs])

    def halves(self, ids: Iterator[int]) -> tuple[Batch, Batch]:
        """The two halves, each with this batch's past. A run that lies across the middle is cut, and so is what its progress has of it."""
        left: list[Run] = []
        right = list(self.runs)
        wanted = self.count // 2
        while right and wanted >= right[0].count:
            wanted -= right[0].count
            left.append(right.pop(0))
        if wanted:
            first, right[0] = right[0].cut(wanted)
            first.progress.divide(first.offset, first.end, right[0].offset)
            left.append(first)
        return self._part(next(ids), left), self._part(next(ids), right)

    def _part(self, id_: int, runs: list[Run]) -> Batch:
        part = msgspec.structs.replace(self, id=id_, ticket=0)
        part.keep(runs)
        return part


class OpenBatch(Struct):
    """A batch that still grows. `size` is the body's bytes so far, with what stands around and between messages; `opened` the instant of its
    first message; `counts` says how many messages each list of the body holds."""

    id: int
    opened: float
    size: int
    runs: list[Run]
    count: int
    counts: dict[str, int]


class Flow:
    """State: the open batches of one request kind by group, oldest first, and those that are ready, oldest first."""

    def __init__(self, name: str, kind: RequestKind, gate: Gate, ids: Iterator[int], guard: Guard) -> None:
        policy = kind.policy
        batch = policy.batch or p.Batch(max_messages=1, max_wait_s=0.0)
        self.name = name
        self.policy = policy
        self.gate = gate
        self.limit = gate.limit(policy)
        self.max_message = batch.max_message_bytes or UNLIMITED
        self.max_bytes = batch.max_bytes or UNLIMITED
        most = batch.max_messages
        self.most_of = most if isinstance(most, dict) else {}
        self.max_messages = min(
            most if isinstance(most, int) else UNLIMITED,
            *(rate.count for rate in policy.rate if rate.of == "messages"),
            UNLIMITED,
        )
        self.layout = bodies.layout_of(policy)
        self.max_wait = batch.max_wait_s
        self.open: dict[tuple[Any, ...], OpenBatch] = {}
        self.ready: deque[Batch] = deque()
        self.refused = 0
        self.delivered = 0
        self._kind = kind
        self.doubted: set[str] = set()
        """The statuses of answers of which it has been told that they do not name messages as the spec says."""
        self._guard = guard
        self._ids = ids
        self._around: dict[tuple[Any, ...], int] = {}
        """The bytes around the messages by group and lists."""
        self._around_bytes = 0

    def lists(self, batch: Batch) -> list[str]:
        """Of each message the list of the body that it stands in."""
        return [name for run in batch.runs for name in [self.layout.list_of(run.action)] * run.count]

    def read(self, node: p.Value, answer: Mapping[str, Any], item: Any, key: Any) -> Any:
        return self._kind.read(node, answer, item, key)

    def refusal(self, mapped: Mapped, now: float) -> Rejected | None:
        """Why a message can never be sent; None when it can."""
        try:
            size = self.layout.size(mapped.body)
            around = self.around(mapped.group, now, (self.layout.list_of(mapped.action),))
        except Fault as fault:
            return Rejected(mapped.action, mapped.item, fault.reason, fault.message, fault.field)
        except Exception as error:
            return Rejected(mapped.action, mapped.item, REASON, self._guard.caught(error, "grouped"), "request.body")
        most = self.max_message if size > self.max_message else self.max_bytes
        if size > self.max_message or around + size > self.max_bytes:
            said = f"the message has {size} bytes, at most {most} are allowed"
            return Rejected(mapped.action, mapped.item, "message_too_large", said)
        return None

    def around(self, group: tuple[Any, ...], now: float, lists: tuple[str, ...] = (ONLY,)) -> int:
        """The bytes around the messages of these lists: the same at every instant, so they are computed once a group."""
        key = (group, lists)
        found = self._around.get(key)
        if found is None:
            around = self._kind.envelope(group, now, lists) if self.layout.lists else self._kind.envelope(group, now)
            found = 0 if around is None else sum(map(len, around))
            self._around_bytes += sum([len(part) for part in group if part.__class__ in (str, bytes)])
            if len(self._around) >= MAX_ENVELOPES or self._around_bytes > MAX_AROUND:
                self._around.clear()
                self._around_bytes = 0
            self._around[key] = found
        return found

    def exceeds(self, group: tuple[Any, ...], run: Run, now: float) -> bool:
        """Whether one of the messages can never be sent, or has to be looked at alone to be counted."""
        if not self.layout.whole:
            return True
        try:
            lists = dict.fromkeys(self.layout.lists.values()) or (ONLY,)
            around = max([self.around(group, now, (name,)) for name in lists])
        except Exception:
            # Each message alone is refused for it.
            return True
        return run.exceeds(min(self.max_message, self.max_bytes - around))

    def room(self, batch: OpenBatch, name: str, now: float, group: tuple[Any, ...]) -> int:
        """How many bytes of messages may join a list of an open batch."""
        return self.max_bytes - batch.size - self._before(batch, name, now, group)

    def _before(self, batch: OpenBatch, name: str, now: float, group: tuple[Any, ...]) -> int:
        """The bytes that stand before the next message of a list: what separates two, or what a list that begins needs around it."""
        if name in batch.counts:
            return len(self.layout.separator)
        held = tuple(self.layout.order(batch.counts))
        begun = tuple(self.layout.order({**batch.counts, name: 0}))
        return self.around(group, now, begun) - (self.around(group, now, held) if held else 0)

    def fitting(self, batch: OpenBatch, run: Run, now: float, group: tuple[Any, ...]) -> int:
        """How many of the messages, from the first on, may join an open batch: those of one list."""
        name, alike = self._list(run)
        count = batch.count
        most = min(self.max_messages - count, self.most_of.get(name, UNLIMITED) - batch.counts.get(name, 0), alike)
        room = self.room(batch, name, now, group)
        if self.layout.whole:
            return run.fitting(room, most)
        return min(most, int(self.layout.size(run.bodies) <= room))

    def _list(self, run: Run) -> tuple[str, int]:
        """The list of a run's first message, and how many from there on stand in it."""
        lists = self.layout.lists
        if not lists:
            return ONLY, run.count
        name, count = lists[run.action], 0
        known: dict[Owner, str] = {}
        for owner in run.owners:
            held = known.get(owner)
            if held is None:
                held = known[owner] = lists[owner(b"").action]
            if held != name:
                break
            count += 1
        return name, count

    def add(self, group: tuple[Any, ...], run: Run, now: float) -> tuple[int, Run, Run | None]:
        """Puts messages into their batch, as many as it takes; one that would break a limit closes the batch first.

        Gives the batch's id, what was put into it, and what is left."""
        batch = self.open.get(group)
        if batch is not None:
            fit = self.fitting(batch, run, now, group)
            if not fit:
                self.close(group)
                batch = None
        if batch is None:
            batch = self.open[group] = OpenBatch(next(self._ids), now, 0, [], 0, {})
            fit = self.fitting(batch, run, now, group)
        part, rest = (run, None) if fit == run.count else run.cut(fit)
        name = self.layout.list_of(part.action) if self.layout.lists else ONLY
        size = len(part.bodies) if self.layout.whole else self.layout.size(part.bodies)
        batch.size += self._before(batch, name, now, group) + size
        batch.count += fit
        batch.counts[name] = batch.counts.get(name, 0) + fit
        batch.runs.append(part)
        if batch.count >= self.max_messages:
            self.close(group)
        return batch.id, part, rest

    def close(self, group: tuple[Any, ...]) -> None:
        batch = self.open.pop(group)
        self.ready.append(Batch(batch.id, group, batch.runs, batch.count, opened=batch.opened))

    def close_old(self, now: float, *, flush: bool) -> None:
        """Closes the batches that are old enough (all with `flush`)."""
        if not self.open:
            return
        old: list[tuple[Any, ...]] = []
        for group, batch in self.open.items():
            if not flush and now < batch.opened + self.max_wait:
                break
            old.append(group)
        for group in old:
            self.close(group)

    def oldest_due(self) -> float | None:
        """When the oldest open batch is old enough."""
        return next(iter(self.open.values())).opened + self.max_wait if self.open else None
