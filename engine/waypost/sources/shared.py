"""One input, read once for all the lanes that want its events.

Takes a way to open a source. Gives `Tap`s, one a lane, each a source itself. What was read last is kept (64 MiB), so that lanes that are
about as fast share one reader. A lane that falls behind the window detaches: it reads from its own place with a reader of its own, and
rejoins when it has caught up. So no lane ever waits for another, and memory is bounded.

An input that cannot be read twice (standard input without a journal) keeps what its slowest lane has not read: there the fastest waits.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from waypost.events.file_parts import Part, parts_of
from waypost.events.lines import Chunk, Piece, behind
from waypost.events.loss import Loss
from waypost.sources.port import Opener, Source

WINDOW = 64 << 20

LINE_COST, PLACE_COST, PIECE_COST = 40, 160, 200
"""What a line, its place where it has one of its own, and a piece cost in memory beside their bytes."""


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

    def __init__(self, open_source: Opener, window: int = WINDOW) -> None:
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

    def start(self, saved: tuple[int, str] | None) -> None:
        """The first lane to read says where the leader begins: at a saved cursor (offset, identity), or where it stands."""
        if saved is not None:
            self.leader.resume(*saved)
        self.head = self.leader.offset

    def leads(self, part: Part) -> bool:
        """Whether a file is one of the leader's, at the same offset of its stream."""
        return any(
            one.inode == part.inode and one.base == part.base and (one.first == part.first or not part.first)
            for one in parts_of(self.leader.identity)
        )

    def stretch(self, at: int) -> Stretch | None:
        """The stretch that holds what stands at an offset, where it is still kept."""
        if not self._stretches or at < self._stretches[0].start:
            return None
        return next((one for one in self._stretches if one.start <= at < one.end), None)

    def advance(self) -> list[Piece] | None:
        """Reads on. Only a lane that is at the head asks."""
        assert self.head is not None
        if self._held > self._window and not self.leader.resumable:
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
            while self._held > self._window and len(self._stretches) > 1 and self.leader.resumable:
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
    """One lane's view. State: where the lane is, and its own reader while it is detached. A lane whose files are others than the leader's (a
    log was rotated before the one had begun and after the other had) stays apart: their offsets mean different things."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._own: Source | None = None
        leader = shared.leader
        self.name = leader.name
        self.resumable = leader.resumable
        self.waits = leader.waits
        self.journaled = leader.journaled
        self.at = leader.offset
        self._saved: tuple[int, str] | None = None
        self._mine = _at(leader.identity, leader.offset)
        self._begun = False
        self._apart = False
        self._losses: list[Loss] = []

    @property
    def _source(self) -> Source:
        return self._own if self._apart and self._own is not None else self._shared.leader

    @property
    def identity(self) -> str:
        return self._source.identity

    @property
    def size(self) -> int | None:
        return self._own.size if self._apart and self._own is not None else self._shared.size

    @property
    def first_line(self) -> bytes:
        return self._source.first_line

    @property
    def losses(self) -> list[Loss]:
        return [*self._losses, *self._source.losses]

    @property
    def offset(self) -> int:
        return self.at

    @property
    def detached(self) -> bool:
        return self._own is not None

    def resume(self, offset: int, identity: str) -> str:
        leader = self._shared.leader
        if not self.resumable:
            # A second reader of it would take what this one is to have.
            said = leader.resume(offset, identity)
            self.at = leader.offset
            return said
        if identity == leader.identity and offset == leader.offset and self._shared.head is None:
            self.at = offset
            return ""
        own = self._shared.open()
        said = own.resume(offset, identity)
        own.close()
        self._saved = offset, identity
        self._mine = _at(own.identity, own.offset)
        self.at = own.offset
        return said

    def read(self) -> list[Piece] | None:
        if not self._begun:
            self._begin()
        if self._apart:
            return self._read_alone()
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

    def _begin(self) -> None:
        self._begun = True
        if self._shared.head is None:
            self._shared.start(self._saved)
        elif self.resumable and not self._shared.leads(self._mine):
            self._apart = True
            self._own = self._shared.open()
            if self._saved is not None:
                self._own.resume(*self._saved)

    def _read_alone(self) -> list[Piece] | None:
        if self._own is None:
            self._own = self._shared.open()
            self._own.resume(self.at, self.identity)
        lines = self._own.read()
        if lines:
            self.at = lines[-1].end
        return lines

    def _rejoin(self) -> None:
        if self._own is not None:
            known = self.losses
            self._losses += [loss for loss in self._own.losses if loss not in known]
            self._own.close()
            self._own = None

    def close(self) -> None:
        if not self._apart:
            self._rejoin()
        elif self._own is not None:
            self._own.close()
        self._shared.leave(self)


def _at(identity: str, offset: int) -> Part:
    """The file of an identity in which an offset lies."""
    known = parts_of(identity) or [Part("")]
    return max((part for part in known if part.base <= offset), key=lambda part: part.base, default=known[0])
