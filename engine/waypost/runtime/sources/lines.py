"""Bytes become lines, in bounded memory.

Takes chunks of bytes in order. Gives `Line`s with their byte offsets in the whole stream. A line longer than LIMIT is told as `TooLong` with
its first bytes, its length and its SHA-256.
"""

from __future__ import annotations

import hashlib

from msgspec import Struct

LIMIT = 1 << 20
"""The longest line, in bytes."""

KEPT = 64 << 10
"""How much of a longer one is kept for its dead letter."""

_BOM = b"\xef\xbb\xbf"


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


class Cutter:
    """State: the rest of the last chunk, or the digest of a line that is too long already."""

    def __init__(self, offset: int = 0, number: int = 0, *, start: int = 0) -> None:
        """`start` is the offset at which the file begins, where a byte order mark may stand."""
        self._rest = b""
        self._start = start
        self._offset = offset
        self._number = number
        self._long: tuple[bytes, int, hashlib._Hash] | None = None

    def feed(self, chunk: bytes) -> list[Line]:
        """The lines that end in this chunk; blank ones are passed over."""
        found: list[Line] = []
        head, mark, rest = chunk.partition(b"\n")
        if not mark:
            self._keep(chunk)
            return found
        self._take(head + mark, found)
        pieces = rest.split(b"\n")
        last = pieces.pop()
        offset, number = self._offset, self._number
        for data in pieces:
            size = len(data)
            end = offset + size + 1
            number += 1
            if data[-1:] == b"}" and size <= LIMIT:
                found.append(Line(data, offset, end, number))
            else:
                self._odd(data, offset, end, number, found)
            offset = end
        self._offset, self._number = offset, number
        self._keep(last)
        return found

    def finish(self) -> list[Line]:
        """The last line, when it has no line feed."""
        found: list[Line] = []
        if self._rest or self._long:
            self._take(b"", found)
        return found

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

    def _take(self, piece: bytes, found: list[Line]) -> None:
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
    def _odd(data: bytes, offset: int, end: int, number: int, found: list[Line]) -> None:
        """A line that may be anything: blank, too long, or with CR before its line feed."""
        data = data.removesuffix(b"\r")
        if len(data) > LIMIT:
            found.append(TooLong(data[:KEPT], offset, end, number, len(data), hashlib.sha256(data).hexdigest()))
        elif data and not data.isspace():
            found.append(Line(data, offset, end, number))

    def _take_long(self, piece: bytes, found: list[Line]) -> None:
        assert self._long is not None
        head, length, digest = self._long
        digest.update(piece.removesuffix(b"\n").removesuffix(b"\r"))
        data_length = length + len(piece.removesuffix(b"\n").removesuffix(b"\r"))
        offset, self._offset = self._offset, self._offset + length + len(piece)
        self._long = None
        found.append(TooLong(head, offset, self._offset, self._number, data_length, digest.hexdigest()))
