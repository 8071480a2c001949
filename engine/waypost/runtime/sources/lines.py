"""Bytes become lines, in bounded memory.

Takes chunks of bytes in order. Gives `Line`s with their byte offsets in the whole stream. A line longer than LIMIT is told as `TooLong` with
its first bytes, its length and its SHA-256.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

LIMIT = 1 << 20
"""The longest line, in bytes."""

KEPT = 64 << 10
"""How much of a longer one is kept for its dead letter."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Line:
    """`data` is without its line break; `offset` and `end` are those of the whole line, break included; `number` counts from 1."""

    data: bytes
    offset: int
    end: int
    number: int


@dataclass(frozen=True)
class TooLong(Line):
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
        start = 0
        while True:
            end = chunk.find(b"\n", start)
            if end < 0:
                break
            self._take(chunk[start : end + 1], found)
            start = end + 1
        self._keep(chunk[start:])
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
        data = whole.removesuffix(b"\n").removesuffix(b"\r")
        if offset == self._start:
            data = data.removeprefix(_BOM)
        if len(data) > LIMIT:
            found.append(
                TooLong(data[:KEPT], offset, self._offset, self._number, len(data), hashlib.sha256(data).hexdigest())
            )
        elif data and not data.isspace():
            found.append(Line(data, offset, self._offset, self._number))

    def _take_long(self, piece: bytes, found: list[Line]) -> None:
        assert self._long is not None
        head, length, digest = self._long
        digest.update(piece.removesuffix(b"\n").removesuffix(b"\r"))
        data_length = length + len(piece.removesuffix(b"\n").removesuffix(b"\r"))
        offset, self._offset = self._offset, self._offset + length + len(piece)
        self._long = None
        found.append(TooLong(head, offset, self._offset, self._number, data_length, digest.hexdigest()))
