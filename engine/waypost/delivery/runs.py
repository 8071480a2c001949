"""What is on its way: runs of messages whose events follow each other in a source.

Takes what a program made of lines (a `Block`) and the lines. Gives `Run`s, cut where a line has not exactly one message and where the request
or its group changes, and between them what stands alone. Why: what is done to a run is done once for a hundred messages. A run holds copies of
its own bytes and no more, so that what a lane holds is what it counts; it is cut again where a batch ends, where a batch is split, and into
single deliveries where each matters (dead letters, order).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from waypost.delivery.progress import Position, Progress
from waypost.events.lines import Chunk, Place
from waypost.events.mapped_chunk import LF, Block, Owner, after
from waypost.events.results import Filtered, Mapped, Rejected


class Delivery(Struct, frozen=True, gc=False):
    """One message on its way, and its event."""

    mapped: Mapped
    event: bytes
    position: Position


class Run(Struct, frozen=True, gc=False):
    """Messages on their way, each of another event, which follow each other in their source; or one message alone.

    `bodies` are the messages, `events` their lines, both with a line feed between two and none at the end (one that is alone may hold
    others); `owners` makes a Mapped of each. `offset` and `line` are those of the first event, `end` is behind the last; `places` are as in a
    Chunk. `key` is the order key of one that is alone.
    """

    bodies: bytes
    events: bytes
    owners: Sequence[Owner]
    offset: int
    end: int
    line: int
    progress: Progress
    places: list[Place] | None = None
    key: Any = None

    @property
    def count(self) -> int:
        return len(self.owners)

    @property
    def cost(self) -> int:
        """How many bytes it holds."""
        return len(self.bodies) + len(self.events)

    def joined(self, separator: bytes) -> bytes:
        """The messages as they stand in a body."""
        alone = separator == b"\n" or len(self.owners) == 1
        return self.bodies if alone else self.bodies.replace(b"\n", separator)

    @property
    def action(self) -> str:
        """The action of its first message: of all, where the body has a list for each action's."""
        return self.owners[0](b"").action

    def only(self) -> Mapped:
        """The message of one that is alone."""
        return self.owners[0](self.bodies)

    def messages(self) -> list[bytes]:
        return [self.bodies] if len(self.owners) == 1 else self.bodies.split(b"\n")

    def deliveries(self) -> Iterator[Delivery]:
        """Each alone."""
        alone = len(self.owners) == 1
        events = [self.events] if alone else self.events.split(b"\n")
        places = [(self.offset, self.end, self.line)] if alone else self.places or self._places(events)
        source = self.progress.source
        for owner, body, event, (offset, end, line) in zip(self.owners, self.messages(), events, places, strict=True):
            yield Delivery(owner(body), event, Position(source, offset, line, end))

    def _places(self, events: list[bytes]) -> Iterator[Place]:
        offset = self.offset
        for number, event in enumerate(events, self.line):
            end = offset + len(event) + 1
            yield offset, end, number
            offset = end

    def fitting(self, room: int, most: int) -> int:
        """How many messages, at most so many, fit into so many bytes with one byte between two."""
        size, count = len(self.bodies), len(self.owners)
        if size <= room:
            return min(count, most)
        end = self.bodies.rfind(LF, 0, room + 1) if count > 1 and room > 0 else -1
        return 0 if end < 0 else min(self.bodies.count(LF, 0, end) + 1, most)

    def exceeds(self, limit: int) -> bool:
        """Whether a message is longer than `limit` bytes."""
        size, start = len(self.bodies), 0
        while size - start > limit:
            if len(self.owners) == 1 or limit < 0:
                return True
            start = self.bodies.rfind(LF, start, start + limit + 1) + 1
            if not start:
                return True
        return False

    def pieces(self, counts: Sequence[int]) -> list[Run]:
        """Stretches of so many messages, which are all that it has. In one pass: `cut` would copy what is left at each."""
        if len(counts) == 1:
            return [self]
        found: list[Run] = []
        body = event = first = 0
        offset = self.offset
        for count in counts:
            last = first + count == len(self.owners)
            body_end = len(self.bodies) + 1 if last else after(self.bodies, count, body)
            event_end = len(self.events) + 1 if last else after(self.events, count, event)
            bodies, events = self.bodies[body : body_end - 1], self.events[event : event_end - 1]
            end, line, places = offset + event_end - event, self.line + first, None
            if self.places is not None:
                places = self.places[first : first + count]
                (offset, _, line), end = places[0], places[-1][1]
            owners = self.owners[first : first + count]
            found.append(Run(bodies, events, owners, offset, self.end if last else end, line, self.progress, places))
            body, event, first, offset = body_end, event_end, first + count, end
        return found

    def cut(self, count: int) -> tuple[Run, Run]:
        """The first so many messages, and the rest."""
        body, event = after(self.bodies, count), after(self.events, count)
        before = behind = None
        end = offset = self.offset + event
        line = self.line + count
        if self.places is not None:
            before, behind = self.places[:count], self.places[count:]
            (_, end, _), (offset, _, line) = before[-1], behind[0]
        bodies, events, owners, progress = self.bodies, self.events, self.owners, self.progress
        return (
            Run(bodies[: body - 1], events[: event - 1], owners[:count], self.offset, end, self.line, progress, before),
            Run(bodies[body:], events[event:], owners[count:], offset, self.end, line, progress, behind),
        )


def one(mapped: Mapped, event: bytes, position: Position, progress: Progress, key: Any = None) -> Run:
    """A message alone."""
    offset, line = position.offset, position.line
    return Run(mapped.body, event, (lambda body: mapped,), offset, position.end, line, progress, key=key)


class Idle(Struct, frozen=True, gc=False):
    """Events that no action takes: the lines [first, last)."""

    first: int
    last: int


class Alone(Struct, frozen=True, gc=False):
    """A line with results of its own."""

    index: int
    results: list[Mapped | Rejected | Filtered]


Where = tuple[str, tuple[Any, ...]]
"""The request and its group."""


def runs_of(block: Block, lines: Chunk, first: int, progress: Progress) -> Iterator[tuple[Where, Run] | Idle | Alone]:
    """What became of a block's lines, in order. Its first line has the index `first` in `lines`."""
    cutting = _Cutting(block, lines, first, progress)
    idle = set(block.idle)
    done = 0
    for at in sorted({*idle, *block.several, *block.others}):
        if at < done:
            continue
        if done < at:
            yield from cutting.runs(done, at)
        done = at + 1
        if at in block.others:
            yield Alone(first + at, block.others[at])
        elif at in block.several:
            yield Alone(first + at, cutting.several(block.several[at]))
        else:
            while done in idle:
                done += 1
            yield Idle(first + at, first + done)
    if done < block.count:
        yield from cutting.runs(done, block.count)


class _Cutting:
    """State: how many of a block's messages have been taken, and where the next one begins."""

    def __init__(self, block: Block, lines: Chunk, first: int, progress: Progress) -> None:
        self._block = block
        self._lines = lines
        self._first = first
        self._progress = progress
        self._taken = self._begin = 0
        self._wheres = {owner: _where(owner) for owner in set(block.owners)}
        self._one = len(set(self._wheres.values())) == 1

    def runs(self, begin: int, end: int) -> Iterator[tuple[Where, Run]]:
        """The messages of these lines, one each."""
        lines, first = self._lines, self._first
        while begin < end:
            count = end - begin if self._one else self._alike(end - begin)
            where = self._wheres[self._block.owners[self._taken]]
            bodies, owners = self._take(count)
            a, b = first + begin, first + begin + count
            offset, _, line = lines.place(a)
            _, behind, _ = lines.place(b - 1)
            places = None if lines.places is None else lines.places[a:b]
            yield where, Run(bodies, lines.text(a, b), owners, offset, behind, line, self._progress, places)
            begin += count

    def several(self, count: int) -> list[Any]:
        """The messages of one line."""
        bodies, owners = self._take(count)
        return [owner(body) for owner, body in zip(owners, bodies.split(b"\n"), strict=True)]

    def _alike(self, most: int) -> int:
        """How many of the next messages go to one request and group."""
        owners, at = self._block.owners, self._taken
        where = self._wheres[owners[at]]
        count = 1
        while count < most and self._wheres[owners[at + count]] == where:
            count += 1
        return count

    def _take(self, count: int) -> tuple[bytes, list[Owner]]:
        encoded, owners = self._block.encoded, self._block.owners
        begin, taken = self._begin, self._taken
        self._taken += count
        last = self._taken == len(owners)
        self._begin = end = len(encoded) if last else after(encoded, count, begin)
        return encoded[begin : end - 1], owners[taken : self._taken]


def _where(owner: Owner) -> Where:
    mapped = owner(b"")
    return mapped.request, mapped.group
