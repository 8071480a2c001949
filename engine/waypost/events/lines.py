"""Bytes become lines, in bounded memory.

Takes bytes in order. Gives `Chunk`s: lines that follow each other, in one piece and with their offsets in the whole stream, because what is
done once for a hundred lines costs each of them little. Blank lines are passed over; a line longer than LIMIT is told as `TooLong` with its
first bytes, its length and its SHA-256.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate

from msgspec import Struct

LIMIT = 1 << 20
"""The longest line, in bytes."""

KEPT = 64 << 10
"""How much of a longer one is kept for its dead letter."""

_BOM = b"\xef\xbb\xbf"
_LF = 10
_BRACE = 125


class SourceError(Exception):
    """A source that cannot be read or opened. One clear line."""


class Line(Struct, frozen=True, gc=False):
    """`data` is without its line break; `offset` and `end` are those of the whole line, break included; `number` counts from 1."""

    data: bytes
    offset: int
    end: int
    number: int


class TooLong(Line, frozen=True, gc=False):
    """`data` is the first KEPT bytes."""

    length: int = 0
    sha256: str = ""


class Turned(Line, frozen=True, gc=False):
    """An event that was known to be none when it came in (sources/tracking.py): `reason` is one of results.REASONS."""

    reason: str = ""
    message: str = ""


Place = tuple[int, int, int]
"""(offset, end, number) of a line."""


class Chunk(Struct, frozen=True, gc=False):
    """Lines in their order, as one piece. `data` has a line feed between them and none at its end; `starts` is where each begins in it, and
    where one more would; `offset` and `number` are those of the first. `places` says where each stands, where that does not follow from their
    bytes: with blank lines between them, with CR, and in a journal, whose offsets count rows."""

    data: bytes
    offset: int
    number: int
    starts: list[int]
    places: list[Place] | None = None

    @property
    def count(self) -> int:
        return len(self.starts) - 1

    @property
    def end(self) -> int:
        return self.offset + self.starts[-1] if self.places is None else self.places[-1][1]

    def place(self, index: int) -> Place:
        if self.places is not None:
            return self.places[index]
        return self.offset + self.starts[index], self.offset + self.starts[index + 1], self.number + index

    def text(self, first: int, last: int) -> bytes:
        """The bytes of the lines [first, last), with a line feed between them."""
        return self.data[self.starts[first] : self.starts[last] - 1]

    def line(self, index: int) -> Line:
        return Line(self.text(index, index + 1), *self.place(index))

    def lines(self) -> Iterator[Line]:
        return map(self.line, range(self.count))

    def part(self, first: int, last: int) -> Chunk:
        """The lines [first, last)."""
        begin = self.starts[first]
        offset, _, number = self.place(first)
        starts = [start - begin for start in self.starts[first : last + 1]]
        places = None if self.places is None else self.places[first:last]
        return Chunk(self.text(first, last), offset, number, starts, places)

    def index(self, offset: int) -> int:
        """The first line that begins at or behind an offset."""
        if self.places is not None:
            return bisect_left(self.places, (offset, 0, 0))
        return min(bisect_left(self.starts, offset - self.offset), self.count)


Piece = Chunk | TooLong | Turned
"""What a source gives."""


def scattered(texts: list[bytes], places: list[Place]) -> Chunk:
    """Lines that stand anywhere."""
    starts = [0, *accumulate(len(text) + 1 for text in texts)]
    return Chunk(b"\n".join(texts), places[0][0], places[0][2], starts, places)


def alone(line: Line) -> Chunk:
    """A line as a chunk of its own."""
    return scattered([line.data], [(line.offset, line.end, line.number)])


def lines_of(pieces: Iterable[Piece]) -> list[Line]:
    """The single lines."""
    found: list[Line] = []
    for piece in pieces:
        if isinstance(piece, Chunk):
            found += piece.lines()
        else:
            found.append(piece)
    return found


def behind(pieces: Iterable[Piece], offset: int) -> list[Piece]:
    """Those lines that begin at or behind an offset."""
    return [cut for piece in pieces if (cut := _part(piece, offset, piece.end)) is not None]


def before(pieces: Iterable[Piece], offset: int) -> list[Piece]:
    """Those lines that begin before an offset."""
    return [cut for piece in pieces if (cut := _part(piece, piece.offset, offset)) is not None]


def _part(piece: Piece, begin: int, end: int) -> Piece | None:
    if piece.offset >= begin and piece.end <= end:
        return piece
    if not isinstance(piece, Chunk):
        return piece if begin <= piece.offset < end else None
    first, last = piece.index(begin), piece.index(end)
    return piece.part(first, last) if first < last else None


class Cutter:
    """State: the rest of the last chunk, or the digest of a line that is too long already."""

    def __init__(self, offset: int = 0, number: int = 0, *, start: int = 0) -> None:
        """`start` is the offset at which the file begins, where a byte order mark may stand."""
        self._rest = b""
        self._start = start
        self._offset = offset
        self._number = number
        self._long: tuple[bytes, int, hashlib._Hash] | None = None

    @property
    def pending(self) -> int:
        """How many bytes are held of a line that has not ended."""
        return len(self._rest) if self._long is None else self._long[1]

    def feed(self, chunk: bytes) -> list[Piece]:
        """The lines that end in this chunk; blank ones are passed over."""
        found: list[Piece] = []
        last = chunk.rfind(b"\n")
        if last < 0:
            self._keep(chunk)
            return found
        begin = 0
        if self._long is not None or self._offset == self._start:
            begin = chunk.index(b"\n") + 1
            self._take(chunk[:begin], found)
        if begin <= last:
            # Joined from a view: what was read is copied once.
            self._stretch(b"".join((self._rest, memoryview(chunk)[begin:last])), found)
        self._rest = b""
        self._keep(chunk[last + 1 :])
        return found

    def finish(self) -> list[Piece]:
        """The last line, when it has no line feed."""
        found: list[Piece] = []
        if self._rest or self._long:
            self._take(b"", found)
        return found

    def _stretch(self, data: bytes, found: list[Piece]) -> None:
        """Whole lines; the last line feed is not in `data`."""
        starts = [0]
        odd = [0] if data[:1] == b"\n" else []
        index, start = data.index, 0
        try:
            while True:
                end = index(_LF, start)
                if data[end - 1] != _BRACE:
                    odd.append(len(starts) - 1)
                start = end + 1
                starts.append(start)
        except ValueError:
            if data[-1:] != b"}":
                odd.append(len(starts) - 1)
            starts.append(len(data) + 1)
        whole = Chunk(data, self._offset, self._number + 1, starts)
        self._offset += starts[-1]
        self._number += whole.count
        if len(data) > LIMIT or any(_is_odd(whole.text(at, at + 1)) for at in odd):
            _sift(whole, found)
        else:
            found.append(whole)

    def _keep(self, piece: bytes) -> None:
        if self._long is not None:
            head, length, digest = self._long
            digest.update(piece)
            self._long = (head, length + len(piece), digest)
            return
        self._rest += piece
        if len(self._rest) > LIMIT + 2:
            self._long = (self._rest[:KEPT], len(self._rest), hashlib.sha256(self._rest))
            self._rest = b""

    def _take(self, piece: bytes, found: list[Piece]) -> None:
        self._number += 1
        if self._long is not None:
            self._take_long(piece, found)
            return
        whole = self._rest + piece
        self._rest = b""
        offset, self._offset = self._offset, self._offset + len(whole)
        data = whole.removesuffix(b"\n")
        if offset == self._start:
            data = data.removeprefix(_BOM)
        _sift(scattered([data], [(offset, self._offset, self._number)]), found)

    def _take_long(self, piece: bytes, found: list[Piece]) -> None:
        assert self._long is not None
        head, length, digest = self._long
        digest.update(piece.removesuffix(b"\n").removesuffix(b"\r"))
        data_length = length + len(piece.removesuffix(b"\n").removesuffix(b"\r"))
        offset, self._offset = self._offset, self._offset + length + len(piece)
        self._long = None
        found.append(TooLong(head, offset, self._offset, self._number, data_length, digest.hexdigest()))


def _is_odd(text: bytes) -> bool:
    return not text or text[-1:] == b"\r" or text.isspace()


def _sift(whole: Chunk, found: list[Piece]) -> None:
    """Lines that may be anything: blank, too long, or with CR before their line feed."""
    texts: list[bytes] = []
    places: list[Place] = []
    for index, start in enumerate(whole.starts[:-1]):
        text = whole.data[start : whole.starts[index + 1] - 1].removesuffix(b"\r")
        if len(text) > LIMIT:
            if texts:
                found.append(scattered(texts, places))
                texts, places = [], []
            digest = hashlib.sha256(text).hexdigest()
            found.append(TooLong(text[:KEPT], *whole.place(index), len(text), digest))
        elif text and not text.isspace():
            texts.append(text)
            places.append(whole.place(index))
    if texts:
        found.append(scattered(texts, places))
