"""What of one lane reaches the disk, and when: its cursors, its ledger and its dead letters, in one step.

Takes the lane, and dead letters as they come. Gives commits: one is under way at a time, and the next takes all that has happened since. With a
state, dead letters go into the same step as the cursor that passes them. Without one they go to a file at once, before anything is forgotten.

A commit begins as soon as something has ended, so that what is sent again after a crash is what was answered within the last few
milliseconds; but taking snapshots may cost no more than a twentieth of the time.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from waypost.delivery.lane import Dead, Lane
from waypost.delivery.ledger import Ledger
from waypost.delivery.progress import Part
from waypost.events.file_parts import since
from waypost.state.dead_letters import LetterFile, Writer, line_of
from waypost.state.records import Cursor, LaneStep, Letter, Snapshot

LEAST_S = 0.005
SHARE = 20.0
"""Between two commits: at least so long, and so many times what the snapshot took."""

LETTERS_HELD = 16 << 20
"""With so many bytes of dead letters not yet on disk, the lane takes no more events."""


MANY = 1000
"""So many ranges are made anew from what is on its way: blank lines between events keep them apart."""


class Input(Protocol):
    """What is to be known of a source to keep its cursor."""

    @property
    def name(self) -> str: ...
    @property
    def identity(self) -> str: ...
    @property
    def first_line(self) -> bytes: ...


class Commits(Protocol):
    """What takes a lane's steps: store.py, or in a worker the engine (remote.py). Raises OSError when the disk refuses."""

    async def commit(self, step: LaneStep) -> None: ...


class Keeps(Protocol):
    """What a runner asks of the keeping of its lane."""

    connection: str
    source: str
    fault: OSError | None

    @property
    def crowded(self) -> bool: ...
    def follow(self, lane: Lane, writer: Writer) -> None: ...
    def opened(self, source: Input) -> Cursor | None: ...
    def resumed(self, name: str, at: Snapshot) -> None: ...
    def dead(self, letters: list[Dead]) -> None: ...
    def due(self) -> None: ...
    async def run(self) -> None: ...
    async def commit(self) -> float: ...
    def snapshot(self, name: str) -> Snapshot: ...
    def settled(self) -> Ledger: ...


class Keeping:
    """State: the inputs read so far, the dead letters that wait for the next step, and the ledger of earlier runs."""

    def __init__(
        self,
        connection: str,
        source: str,
        *,
        store: Commits | None,
        file: LetterFile | None,
        clock: Callable[[], float],
        before: dict[str, Cursor] | None = None,
        earlier: Ledger | None = None,
        least_s: float = LEAST_S,
        saved: Callable[[dict[str, int]], dict[str, int]] = lambda cursors: {},
    ) -> None:
        """`before` and `earlier` are the cursors and the ledger of earlier runs. `least_s` is between two commits at least. `saved` is told the
        cursors of each commit, by input, and gives the journaled inputs that may be trimmed."""
        self.connection = connection
        self.source = source
        self.fault: OSError | None = None
        self._store = store
        self._file = file
        self._clock = clock
        self._saved = saved
        self._inputs: dict[str, Input] = {}
        self._at: dict[str, Snapshot] = {}
        self._former: dict[str, Snapshot] = {}
        self._letters: list[Letter] = []
        self._letter_bytes = 0
        self._due = asyncio.Event()
        self._one = asyncio.Lock()
        self._before = before or {}
        self._earlier = earlier or Ledger()
        self._least_s = least_s
        self._let_go = 0
        self._trims: dict[str, int] = {}
        self._lane: Lane
        self._writer: Writer

    def follow(self, lane: Lane, writer: Writer) -> None:
        """The lane whose steps are kept from now on."""
        self._lane = lane
        self._writer = writer

    def opened(self, source: Input) -> Cursor | None:
        """A source that is being read now. Gives where an earlier run left it."""
        self._inputs[source.name] = source
        return self._before.get(source.name)

    def resumed(self, name: str, at: Snapshot) -> None:
        """The lane reads this input from here on, and skips what had ended above."""
        self._at[name] = self._former[name] = at
        self._lane.skip(name, at.cursor, at.ranges, at.parts)

    @property
    def crowded(self) -> bool:
        return self._letter_bytes > LETTERS_HELD

    def dead(self, letters: list[Dead]) -> None:
        """Dead letters of the lane. Raises OSError where they go to a file that does not take them."""
        now = self._clock()
        if self._file is not None:
            self._file.write([line_of(letter.event, self._writer.record(letter, now)) for letter in letters])
            self._let_go += len(letters)
        elif self._store is not None:
            for letter in letters:
                row = self._letter(letter, now)
                self._letters.append(row)
                self._letter_bytes += len(row.event) + len(row.record)
            self.due()

    def _letter(self, letter: Dead, now: float) -> Letter:
        origin = self._inputs.get(letter.position.source)
        return Letter(
            self.connection,
            self.source,
            letter.position.offset,
            letter.action,
            letter.item,
            letter.reason,
            letter.action is None,
            now,
            self._writer.plan.digest,
            letter.event,
            self._writer.record(letter, now),
            self._writer.kept(origin.first_line) if origin is not None else b"",
        )

    def due(self) -> None:
        """Something has ended: a commit is worth it."""
        self._due.set()

    async def run(self) -> None:
        """Commits until it is cancelled or the disk refuses."""
        if self._store is None:
            return
        while self.fault is None:
            await self._due.wait()
            cost = await self.commit()
            await asyncio.sleep(max(self._least_s, cost * SHARE))

    async def commit(self) -> float:
        """One step with all that has happened. Gives what the snapshot took, in seconds; a refusal by the disk stays in `fault`."""
        if self._store is None:
            return 0.0
        async with self._one:
            if self.fault is not None:
                # The dead letters of the step that failed are gone: no later step may pass their events.
                return 0.0
            self._due.clear()
            began = time.perf_counter()
            step = self._step()
            cost = time.perf_counter() - began
            try:
                await self._store.commit(step)
            except OSError as error:
                self.fault = error
                return cost
            cursors = {cursor.input: cursor.at.cursor for cursor in step.cursors}
            if trims := self._saved(cursors):
                self._trims = trims
                self._due.set()
        return cost

    def snapshot(self, name: str) -> Snapshot:
        """What has ended: what had before, and what has since this was last asked."""
        before = self._at.get(name, Snapshot())
        news = self._lane.settled(name)
        ranges = merged([*before.ranges, *news.ranges], news.cursor)
        if len(ranges) > MANY:
            former = self._former.get(name, Snapshot())
            ranges = merged([*former.ranges, *self._lane.gaps(name)], news.cursor)
        parts = outside([*before.parts, *news.parts], ranges, news.cursor)
        found = self._at[name] = Snapshot(news.cursor, ranges, parts)
        return found

    def settled(self) -> Ledger:
        """The lane's ledger without what is on its way."""
        return self._lane.ledger.settled(self._lane.events_on_their_way)

    def _step(self) -> LaneStep:
        letters, self._letters, self._letter_bytes = tuple(self._letters), [], 0
        trims, self._trims = self._trims, {}
        rows = [_cursor(source.identity, name, self.snapshot(name)) for name, source in self._inputs.items()]
        whole = self._earlier.plus(self.settled())
        return LaneStep(
            self.connection,
            self.source,
            tuple(row for row in rows if row.kept),
            replace(whole, let_go=whole.let_go + self._let_go),
            letters,
            self._writer.plan,
            trims,
        )


def _cursor(identity: str, name: str, at: Snapshot) -> Cursor:
    return Cursor(name, since(identity, at.cursor), at)


def merged(ranges: list[tuple[int, int]], cursor: int) -> tuple[tuple[int, int], ...]:
    """The ranges above the cursor, in order, those that touch as one."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if end <= cursor:
            continue
        if found and start <= found[-1][1]:
            if end > found[-1][1]:
                found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return tuple(found)


def outside(parts: list[Part], ranges: tuple[tuple[int, int], ...], cursor: int) -> tuple[Part, ...]:
    """The parts of events that have not ended whole."""
    starts = [start for start, _ in ranges]
    found = []
    for part in parts:
        at = bisect_right(starts, part[0]) - 1
        if part[0] >= cursor and not (at >= 0 and part[0] < ranges[at][1]):
            found.append(part)
    return tuple(found)
