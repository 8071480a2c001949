"""How far a lane has come in one source: the cursor, and what has ended above it.

Takes the events of a source in order (`begin`, `passed`) and the ends of their deliveries (`end_all`). Gives the cursor, the ranges that have
ended above it since they were last asked for (`settled`) or all of them (`gaps`), and what a former run had settled already (`Skipped`).

What is on its way is kept, not what has ended: memory is bounded by the messages that the lane holds, however long the first of them takes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable
from typing import Protocol

from msgspec import Struct

from waypost.events.results import Mapped

Part = tuple[int, str | None, int | str | None]
"""(offset of the event, action, item): one delivery of an event with several."""

MERGE_AT = 4096
"""So many ended events that nobody asked for are merged into ranges."""


class Position(Struct, frozen=True, gc=False):
    """Where an event came from: the source's name, the byte offset of its line, its number (from 1), and the offset behind it."""

    source: str
    offset: int
    line: int
    end: int


class Settled(Struct, frozen=True):
    """Every event before `cursor` has ended; so has each whose offset is in one of the ranges [start, end), and of the other events
    each delivery in `parts`."""

    cursor: int
    ranges: list[tuple[int, int]]
    parts: list[Part]


class Skipped:
    """What a former run had settled above its cursor."""

    def __init__(self, ranges: Iterable[tuple[int, int]], parts: Iterable[Part]) -> None:
        starts: list[int] = []
        ends: list[int] = []
        for start, end in sorted(ranges):
            if ends and start <= ends[-1]:
                ends[-1] = max(ends[-1], end)
            else:
                starts.append(start)
                ends.append(end)
        self._starts, self._ends = starts, ends
        self._parts: dict[int, set[tuple[str | None, int | str | None]]] = {}
        for offset, action, item in parts:
            self._parts.setdefault(offset, set()).add((action, item))
        self.end = max([*ends, *(offset + 1 for offset in self._parts)], default=0)
        """From this offset on nothing is skipped."""

    def whole(self, offset: int) -> bool:
        at = bisect_right(self._starts, offset) - 1
        return at >= 0 and offset < self._ends[at]

    def parts(self, offset: int) -> set[tuple[str | None, int | str | None]]:
        return self._parts.get(offset, set())


class Ended(Protocol):
    """What `end_all` reads of a run (runs.py)."""

    @property
    def count(self) -> int: ...
    @property
    def offset(self) -> int: ...
    def only(self) -> Mapped: ...
    @property
    def progress(self) -> Progress: ...


class Progress:
    """State: what is on its way, in order, and the end of the last event that passed. What is on its way are stretches of events, one message
    each (offset of the first -> end of the last), single events with several, and events of other workers."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.open: dict[int, int] = {}
        self.events = 0
        """How many events of this lane are on their way."""
        self.reached = 0
        self.ended: list[tuple[int, int]] = []
        self.skipped: Skipped | None = None
        self.several_open: dict[int, int] = {}
        self._parts: list[Part] = []
        self._merge_at = MERGE_AT
        self.elsewhere: deque[int] = deque()
        """Events of other workers, which also stand in `open` until the run as a whole has passed them."""

    @property
    def cursor(self) -> int:
        return next(iter(self.open), self.reached)

    def begin(self, offset: int, end: int, deliveries: int) -> None:
        """An event with so many deliveries on their way."""
        self.open[offset] = self.reached = end
        self.events += 1
        if deliveries > 1:
            self.several_open[offset] = deliveries

    def begin_all(self, offset: int, end: int, events: int) -> None:
        """So many events that follow each other, with one message each."""
        self.open[offset] = self.reached = end
        self.events += events

    def divide(self, offset: int, end: int, again: int) -> None:
        """What began as one stretch ends as two: the first ends at `end`, the second begins at `again`."""
        self.open[again], self.open[offset] = self.open[offset], end
        # In their order again: the first is the cursor.
        self.open = dict(sorted(self.open.items()))

    def divide_into(self, stretches: Iterable[tuple[int, int]]) -> None:
        """What began as fewer stretches ends as these, each with its offset and end."""
        self.open.update(stretches)
        self.open = dict(sorted(self.open.items()))

    def passed(self, offset: int, end: int) -> None:
        """Events with nothing on their way."""
        if self.open:
            self.ended.append((offset, end))
        self.reached = end

    def leave_to_others(self, offset: int, end: int) -> None:
        """An event that another worker has: on its way, as far as this one knows."""
        self.open[offset] = end
        self.elsewhere.append(offset)
        self.reached = end

    def caught_up(self, cursor: int) -> None:
        """Every event before the cursor has ended, whoever had it."""
        while self.elsewhere and self.elsewhere[0] < cursor:
            del self.open[self.elsewhere.popleft()]

    def between(self, offset: int) -> None:
        """Blank lines up to an event: where workers share a file they must not keep what has ended apart."""
        if offset > self.reached:
            self.ended.append((self.reached, offset))

    def part_ended(self, offset: int, action: str | None, item: int | str | None) -> None:
        """One delivery of an event that has others on their way."""
        self._parts.append((offset, action, item))

    def end(self, offset: int, mapped: Mapped) -> None:
        """One delivery of an event with several."""
        left = self.several_open[offset] - 1
        if left:
            self.several_open[offset] = left
            self._parts.append((offset, mapped.action, mapped.item))
        else:
            del self.several_open[offset]
            self.events -= 1
            self.ended.append((offset, self.open.pop(offset)))

    def tidy(self) -> None:
        """Bounds what is kept, now and then."""
        if len(self.ended) <= self._merge_at:
            return
        # A dict that is emptied from its front is searched from its old front: a copy has no such gap.
        self.open = dict(self.open)
        self.ended = self._merged()
        self._parts = [part for part in self._parts if part[0] in self.open]
        self._merge_at = max(MERGE_AT, 2 * len(self.ended))

    def settled(self) -> Settled:
        """What has ended above the cursor since this was last asked; with the cursor, all that a store must keep."""
        found = Settled(self.cursor, self._merged(), [part for part in self._parts if part[0] in self.open])
        self.open = dict(self.open)
        self.ended, self._parts = [], []
        return found

    def gaps(self) -> list[tuple[int, int]]:
        """All ranges that have ended above the cursor, whoever asked before."""
        found: list[tuple[int, int]] = []
        last = self.cursor
        for offset, end in self.open.items():
            if last < offset:
                found.append((last, offset))
            last = end
        return [*found, (last, self.reached)] if self.open and last < self.reached else found

    def _merged(self) -> list[tuple[int, int]]:
        """The ended ranges above the cursor, those merged between which nothing is on its way."""
        cursor = self.cursor
        opened: list[int] | None = None
        merged: list[tuple[int, int]] = []
        for start, end in sorted(self.ended):
            if start < cursor:
                continue
            if merged and start > merged[-1][1] and opened is None:
                opened = sorted(self.open)
            if merged and (
                start <= merged[-1][1]
                or (opened is not None and bisect_left(opened, merged[-1][1]) == bisect_left(opened, start))
            ):
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged


def end_all(runs: Iterable[Ended]) -> None:
    """These have ended. Written out, for with order keys each message is a run."""
    touched: set[Progress] = set()
    progress = None
    for item in runs:
        if item.progress is not progress:
            progress = item.progress
            touched.add(progress)
            several, opened, ended = progress.several_open, progress.open, progress.ended
        offset = item.offset
        if offset in several:
            progress.end(offset, item.only())
        else:
            progress.events -= item.count
            ended.append((offset, opened.pop(offset)))
    for progress in touched:
        progress.tidy()
