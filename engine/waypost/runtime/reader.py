"""One input, read once for all the lanes that want its events.

Takes a way to open a source. Gives `Tap`s, one a lane, each a source itself. What was read last is kept (64 MiB), so that lanes that are
about as fast share one reader. A lane that falls behind the window detaches: it reads from its own place with a reader of its own, and
rejoins when it has caught up. So no lane ever waits for another, and memory is bounded.

An input that cannot be read twice (standard input without a journal) keeps what its slowest lane has not read: there the fastest waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from waypost.runtime.sources.lines import Chunk, Piece, behind

WINDOW = 64 << 20

JOURNAL = "journal"
"""The identity of what is read from the journal."""

LINE_COST, PLACE_COST, PIECE_COST = 40, 160, 200
"""What a line, its place where it has one of its own, and a piece cost in memory beside their bytes."""


class Source(Protocol):
    """Where events come from: runtime/sources/, a journal's source, or a tap.

    `read` gives the next pieces, an empty list when there is none yet, None at the end. `resume` goes to an offset, and gives a sentence when
    the input is not the one that was read then."""

    @property
    def name(self) -> str: ...
    @property
    def identity(self) -> str: ...
    @property
    def size(self) -> int | None: ...
    @property
    def offset(self) -> int: ...
    @property
    def first_line(self) -> bytes: ...

    def resume(self, offset: int, identity: str) -> str: ...
    def read(self) -> list[Piece] | None: ...
    def close(self) -> None: ...


def resumable(source: Source) -> bool:
    """Whether a source can be read from an offset again."""
    return bool(getattr(source, "resumable", source.size is not None))


def waits(source: Source) -> bool:
    """Whether an empty list of lines means that there are none yet, not that more are to be read at once."""
    return bool(getattr(source, "waits", False))


def cost_of(piece: Piece) -> int:
    if not isinstance(piece, Chunk):
        return len(piece.data) + PIECE_COST
    each = LINE_COST if piece.places is None else LINE_COST + PLACE_COST
    return len(piece.data) + PIECE_COST + each * piece.count


@dataclass(frozen=True)
class Stretch:
    """Pieces that were read together: all between two offsets."""

    start: int
    end: int
    pieces: list[Piece]
    cost: int


class Shared:
    """State: the leading reader, how far it is, and the stretches it read last."""

    def __init__(self, open_source: Callable[[], Source], window: int = WINDOW) -> None:
        self.open = open_source
        self.leader = open_source()
        self._window = window
        self._stretches: deque[Stretch] = deque()
        self._held = 0
        self._taps: list[Tap] = []
        self.head: int | None = None
        self.reads = 0
        """How many stretches the leader has read."""
        self._closed_at: tuple[int | None] | None = None

    @property
    def size(self) -> int | None:
        """The leader's; once it is closed, what it was: lanes that have ended are looked at too."""
        return self.leader.size if self._closed_at is None else self._closed_at[0]

    def tap(self) -> Tap:
        tap = Tap(self)
        self._taps.append(tap)
        return tap

    def start(self, offset: int, identity: str) -> None:
        """The first lane to read says where the leader begins."""
        if self.head is None:
            if offset != self.leader.offset:
                self.leader.resume(offset, identity)
            self.head = offset

    def stretch(self, at: int) -> Stretch | None:
        """The stretch that holds what stands at an offset, where it is still kept."""
        if not self._stretches or at < self._stretches[0].start:
            return None
        return next((one for one in self._stretches if one.start <= at < one.end), None)

    def advance(self) -> list[Piece] | None:
        """Reads on. Only a lane that is at the head asks."""
        assert self.head is not None
        if self._held > self._window and not resumable(self.leader):
            self._drop_passed()
            if self._held > self._window:
                return []
        lines = self.leader.read()
        if lines:
            cost = sum(map(cost_of, lines))
            self._stretches.append(Stretch(self.head, lines[-1].end, lines, cost))
            self.head = lines[-1].end
            self._held += cost
            self.reads += 1
            self._drop_passed()
            while self._held > self._window and len(self._stretches) > 1 and resumable(self.leader):
                self._held -= self._stretches.popleft().cost
        return lines

    def _drop_passed(self) -> None:
        slowest = min((tap.at for tap in self._taps), default=0)
        while self._stretches and self._stretches[0].end <= slowest:
            self._held -= self._stretches.popleft().cost

    def leave(self, tap: Tap) -> None:
        if tap in self._taps:
            self._taps.remove(tap)
        if not self._taps and self._closed_at is None:
            try:
                self._closed_at = (self.leader.size,)
            except (OSError, ValueError):
                # Its file is closed already (it went while it was being changed): nobody knows.
                self._closed_at = (None,)
            self.leader.close()


class Tap:
    """One lane's view. State: where the lane is, and its own reader while it is detached."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._own: Source | None = None
        leader = shared.leader
        self.name = leader.name
        self.resumable = resumable(leader)
        self.waits = waits(leader)
        self._known = leader.identity
        self.at = leader.offset

    @property
    def identity(self) -> str:
        return self._shared.leader.identity

    @property
    def size(self) -> int | None:
        return self._shared.size

    @property
    def first_line(self) -> bytes:
        return self._shared.leader.first_line

    @property
    def offset(self) -> int:
        return self.at

    @property
    def detached(self) -> bool:
        return self._own is not None

    def resume(self, offset: int, identity: str) -> str:
        if identity == self.identity and offset == self._shared.leader.offset and self._shared.head is None:
            self.at = offset
            return ""
        own = self._shared.open()
        said = own.resume(offset, identity)
        own.close()
        if not said:
            # What one name had before (rotated files) is in the identity that was kept.
            self._known = identity
        self.at = own.offset if said else offset
        return said

    def read(self) -> list[Piece] | None:
        self._shared.start(self.at, self._known)
        stretch = self._shared.stretch(self.at)
        if stretch is not None:
            self._rejoin()
            pieces = list(stretch.pieces) if stretch.start == self.at else behind(stretch.pieces, self.at)
            self.at = stretch.end
            return pieces
        if self.at == self._shared.head:
            self._rejoin()
            found = self._shared.advance()
            if found:
                self.at = found[-1].end
            return found
        return self._read_alone()

    def _read_alone(self) -> list[Piece] | None:
        if self._own is None:
            self._own = self._shared.open()
            self._own.resume(self.at, self._known if self._shared.head is None else self.identity)
        lines = self._own.read()
        if lines:
            self.at = lines[-1].end
        return lines

    def _rejoin(self) -> None:
        if self._own is not None:
            self._own.close()
            self._own = None

    def close(self) -> None:
        self._rejoin()
        self._shared.leave(self)
