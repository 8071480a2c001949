"""What of one lane reaches the disk: its cursors, its ledger and its dead letters, in one step (committer.py says when).

Takes the lane, and dead letters as they come. Gives steps, each with all that has happened since the last one. With a state, dead letters go
into the same step as the cursor that passes them. Without one they go to a file at once, before anything is forgotten.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from waypost.delivery.lane import Dead, Lane
from waypost.delivery.ledger import Ledger
from waypost.delivery.progress import Part
from waypost.events.file_parts import since
from waypost.state.committer import LEAST_S, Commits, Committer
from waypost.state.dead_letters import LetterFile, Writer, line_of
from waypost.state.records import Cursor, Former, LaneStep, Letter, Snapshot

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


class LaneSteps:
    """A lane, as steps to be committed: in a run (`Keeping`), or in a replay, which keeps no place in its source. State: the lane."""

    def __init__(
        self, connection: str, source: str, store: Commits | None, clock: Callable[[], float], least_s: float
    ) -> None:
        self.connection = connection
        self.source = source
        self.committer = Committer(self, store, least_s)
        self._clock = clock
        self._store = store
        self._lane: Lane
        self._writer: Writer

    @property
    def fault(self) -> OSError | None:
        return self.committer.fault

    @property
    def crowded(self) -> bool:
        """Whether so much waits for the disk that the lane is to take no more events."""
        return False

    def follow(self, lane: Lane, writer: Writer) -> None:
        """The lane whose steps are kept from now on."""
        self._lane = lane
        self._writer = writer

    def opened(self, source: Input) -> Cursor | None:
        """A source that is being read now. Gives where an earlier run left it."""

    def resumed(self, name: str, at: Snapshot) -> None:
        """The lane reads this input from here on."""

    def dead(self, letters: list[Dead]) -> None:
        """Dead letters of the lane. Raises OSError where they go to a file that does not take them."""
        raise NotImplementedError

    def snapshot(self, name: str) -> Snapshot:
        """What has ended of an input."""
        return Snapshot()

    def settled(self) -> Ledger:
        """The lane's ledger without what is on its way."""
        return self._lane.ledger.settled(self._lane.events_on_their_way)

    def step(self) -> Any:
        """As `committer.Steps`."""
        raise NotImplementedError

    def acknowledge(self, step: Any, fault: OSError | None) -> bool:
        """As `committer.Steps`."""
        return False


class Keeping(LaneSteps):
    """State: the inputs read so far, the dead letters that wait for the next step, and what earlier runs left."""

    def __init__(
        self,
        connection: str,
        source: str,
        *,
        store: Commits | None,
        file: LetterFile | None,
        clock: Callable[[], float],
        former: Former | None = None,
        least_s: float = LEAST_S,
        saved: Callable[[dict[str, int]], dict[str, int]] = lambda cursors: {},
    ) -> None:
        """`saved` is told the cursors of each commit, by input, and gives the journaled inputs that may be trimmed."""
        super().__init__(connection, source, store, clock, least_s)
        self._file = file
        self._saved = saved
        self._former = former or Former()
        self._inputs: dict[str, Input] = {}
        self._at: dict[str, Snapshot] = {}
        self._before: dict[str, Snapshot] = {}
        self._letters: list[Letter] = []
        self._letter_bytes = 0
        self._let_go = 0
        self._trims: dict[str, int] = {}

    def opened(self, source: Input) -> Cursor | None:
        self._inputs[source.name] = source
        return self._former.cursors.get(source.name)

    def resumed(self, name: str, at: Snapshot) -> None:
        """What had ended above is skipped."""
        self._at[name] = self._before[name] = at
        self._lane.skip(name, at.cursor, at.ranges, at.parts)

    @property
    def crowded(self) -> bool:
        return self._letter_bytes > LETTERS_HELD

    def dead(self, letters: list[Dead]) -> None:
        now = self._clock()
        if self._file is not None:
            self._file.write([line_of(letter.event, self._writer.record(letter, now)) for letter in letters])
            self._let_go += len(letters)
        elif self._store is not None:
            for letter in letters:
                row = self._letter(letter, now)
                self._letters.append(row)
                self._letter_bytes += len(row.event) + len(row.record)
            self.committer.due()

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

    def snapshot(self, name: str) -> Snapshot:
        """What has ended: what had before, and what has since this was last asked."""
        before = self._at.get(name, Snapshot())
        news = self._lane.settled(name)
        ranges = merged([*before.ranges, *news.ranges], news.cursor)
        if len(ranges) > MANY:
            former = self._before.get(name, Snapshot())
            ranges = merged([*former.ranges, *self._lane.gaps(name)], news.cursor)
        parts = outside([*before.parts, *news.parts], ranges, news.cursor)
        found = self._at[name] = Snapshot(news.cursor, ranges, parts)
        return found

    def step(self) -> LaneStep | None:
        if self._store is None:
            return None
        letters, self._letters, self._letter_bytes = tuple(self._letters), [], 0
        trims, self._trims = self._trims, {}
        rows = [_cursor(source.identity, name, self.snapshot(name)) for name, source in self._inputs.items()]
        whole = self._former.ledger.plus(self.settled())
        return LaneStep(
            self.connection,
            self.source,
            tuple(row for row in rows if row.kept),
            replace(whole, let_go=whole.let_go + self._let_go),
            letters,
            self._writer.plan,
            trims,
        )

    def acknowledge(self, step: LaneStep | None, fault: OSError | None) -> bool:
        if step is None or fault is not None:
            return False
        self._trims = self._saved({cursor.input: cursor.at.cursor for cursor in step.cursors})
        return bool(self._trims)


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
