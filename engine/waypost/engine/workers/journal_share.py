"""A worker's part of a journaled source: what the engine has put on disk, read beside it by a connection of its own.

Takes where the lane stands, and from the engine how far the journal goes (`grown`) and how far the run as a whole is (`passed`). Gives the
rows that fall to this worker: alternate blocks of them, or all where the key of each decides (lane_mapper.py). Offsets are sequence numbers, as
one process has them. A worker that is far ahead of the slowest waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from waypost.delivery.progress import Part
from waypost.engine.workers.file_share import SPREAD
from waypost.events.lines import Piece
from waypost.events.loss import Loss
from waypost.state.journal import rows
from waypost.state.journal_source import READ, pieces_of
from waypost.state.records import JOURNAL, Cursor, Snapshot
from waypost.state.store import reading

BLOCK = 1024
"""So many rows that follow each other fall to one worker."""


@dataclass(frozen=True)
class Followed:
    """A journaled source of a state, from a row on, and what an earlier run had settled above."""

    database: str
    name: str
    start: int
    ranges: tuple[tuple[int, int], ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def cursor(self) -> Cursor:
        """Where the lane stands."""
        return Cursor(self.name, JOURNAL, Snapshot(self.start, self.ranges, self.parts))


def blocks_of(start: int, end: int, share: int, shares: int) -> Iterator[tuple[int, int]]:
    """What of the rows [start, end) falls to a worker."""
    first = (start - 1) // BLOCK
    own = first + (share - first) % shares
    while (begin := max(own * BLOCK + 1, start)) < end:
        yield begin, min((own + 1) * BLOCK + 1, end)
        own += shares


class Following:
    """State: the next row to look at, what the engine said last, and how many bytes of rows are ahead of the run as a whole."""

    identity = JOURNAL
    first_line = b""
    resumable = True
    waits = True
    journaled = True
    losses: Sequence[Loss] = ()

    def __init__(self, followed: Followed, share: int, shares: int, passed: Callable[[], int], *, keyed: bool) -> None:
        self.name = followed.name
        self.next = followed.start
        self.ended = False
        self._share = share
        self._shares = shares
        self._keyed = keyed
        self._passed = passed
        self._at = followed.start
        self._database = reading(Path(followed.database))
        self._ahead: deque[tuple[int, int]] = deque()
        self._ahead_bytes = 0
        self._spread = SPREAD if keyed else SPREAD // shares

    def grown(self, to: int, *, ended: bool) -> None:
        """All rows before this one are on disk. `ended`: there will be no more."""
        self.next = to
        self.ended = ended

    @property
    def size(self) -> int | None:
        return self.next

    @property
    def offset(self) -> int:
        return min(self._at, self.next)

    def resume(self, offset: int, identity: str) -> str:
        self._at = offset
        return ""

    def read(self) -> list[Piece] | None:
        """The next rows of this worker; an empty list when there is none yet, or the others are far behind; None at the end."""
        passed = self._passed()
        while self._ahead and self._ahead[0][0] <= passed:
            self._ahead_bytes -= self._ahead.popleft()[1]
        if self._ahead_bytes > self._spread:
            return []
        while own := self._own():
            start, end = own
            found = rows(self._database, self.name, start, end, READ)
            if found:
                self._at = found[-1][0] + 1
                size = sum(len(row) for _, row, _ in found)
                self._ahead.append((self._at, size))
                self._ahead_bytes += size
                return pieces_of(found)
            self._at = end
        self._at = self.next
        return None if self.ended else []

    def _own(self) -> tuple[int, int] | None:
        """The next stretch of rows that are this worker's and on disk."""
        if self._keyed:
            return (self._at, self.next) if self._at < self.next else None
        return next(blocks_of(self._at, self.next, self._share, self._shares), None)

    def close(self) -> None:
        self._database.close()
