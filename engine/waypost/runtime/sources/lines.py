"""Bytes become lines, in bounded memory.

Takes bytes in order. Gives `Chunk`s: lines that follow each other, in one piece and with their offsets in the whole stream, because what is
done once for a hundred lines costs each of them little. A blank line ends a chunk; what is not simply a line and its line feed (the first
of a file, one with CR, the last one without a break) is a chunk by itself. A line longer than LIMIT is told as `TooLong` with its first
bytes, its length and its SHA-256.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from msgspec import Struct

LIMIT = 1 << 20
"""The longest line, in bytes."""

KEPT = 64 << 10
"""How much of a longer one is kept for its dead letter."""

_BOM = b"\xef\xbb\xbf"
_LF = 10
_BRACE = 125


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


class Chunk(Struct, frozen=True, gc=False):
    """Lines that follow each other. `data` has a line feed between them and none at its end; `starts` is where each begins in it, and where
    one more would. `offset`, `end` and `number` are those of the first line, the last and the first. `by_line`: offsets count lines (the rows
    of a journal), not bytes."""

    data: bytes
    offset: int
    end: int
    number: int
    starts: list[int]
    by_line: bool = False

    @property
    def count(self) -> int:
        return len(self.starts) - 1

    def offset_of(self, index: int) -> int:
        """The offset of a line; of one more than there are, where the last ends."""
        if index == len(self.starts) - 1:
            return self.end
        return self.offset + (index if self.by_line else self.starts[index])

    def text(self, first: int, last: int) -> bytes:
        """The bytes of the lines [first, last), with their line feeds but the last."""
        return self.data[self.starts[first] : self.starts[last] - 1]

    def line(self, index: int) -> Line:
        return Line(self.text(index, index + 1), self.offset_of(index), self.offset_of(index + 1), self.number + index)

    def lines(self) -> Iterator[Line]:
        return map(self.line, range(self.count))

    def part(self, first: int, last: int) -> Chunk:
        """The lines [first, last)."""
        begin = self.starts[first]
        return Chunk(
            self.text(first, last),
            self.offset_of(first),
            self.offset_of(last),
            self.number + first,
            [start - begin for start in self.starts[first : last + 1]],
            self.by_line,
        )

    def index(self, offset: int) -> int:
        """The first line that begins at or behind an offset."""
        ahead = offset - self.offset
        if ahead <= 0:
            return 0
        return min(ahead if self.by_line else bisect_left(self.starts, ahead), self.count)


Piece = Chunk | TooLong
"""What a source gives."""


def alone(line: Line) -> Chunk:
    """A line as a chunk of its own."""
    return Chunk(line.data, line.offset, line.end, line.number, [0, len(line.data) + 1])


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
            self._stretch(self._rest + chunk[begin:last], found)
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
        """Whole lines; the last line feed is not in `data`. They are one chunk, but for those that may be blank, or end with CR."""
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
        offset, number = self._offset, self._number
        self._offset += starts[-1]
        self._number += len(starts) - 1
        whole = Chunk(data, offset, self._offset, number + 1, starts)
        if len(data) > LIMIT:
            odd = list(range(whole.count))
        first = 0
        for at in odd:
            line = whole.line(at)
            if len(line.data) <= LIMIT and line.data[-1:] != b"\r" and not line.data.isspace() and line.data:
                continue
            if first < at:
                found.append(whole.part(first, at))
            self._odd(line.data, line.offset, line.end, line.number, found)
            first = at + 1
        if not first:
            found.append(whole)
        elif first < whole.count:
            found.append(whole.part(first, whole.count))

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
        self._odd(data, offset, self._offset, self._number, found)

    @staticmethod
    def _odd(data: bytes, offset: int, end: int, number: int, found: list[Piece]) -> None:
        """A line that may be anything: blank, too long, or with CR before its line feed."""
        data = data.removesuffix(b"\r")
        if len(data) > LIMIT:
            found.append(TooLong(data[:KEPT], offset, end, number, len(data), hashlib.sha256(data).hexdigest()))
        elif data and not data.isspace():
            found.append(alone(Line(data, offset, end, number)))

    def _take_long(self, piece: bytes, found: list[Piece]) -> None:
        assert self._long is not None
        head, length, digest = self._long
        digest.update(piece.removesuffix(b"\n").removesuffix(b"\r"))
        data_length = length + len(piece.removesuffix(b"\n").removesuffix(b"\r"))
        offset, self._offset = self._offset, self._offset + length + len(piece)
        self._long = None
        found.append(TooLong(head, offset, self._offset, self._number, data_length, digest.hexdigest()))
