"""An open file, plain or packed by gzip, bzip2 or xz, as one stream of plain bytes. Which it is, its first bytes say.

Takes a path. Gives bytes a piece at a time, in bounded memory whatever the file's size; offsets are those of the plain bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from waypost.events.lines import SourceError
from waypost.sources.members import Broken, Members
from waypost.sources.unpack import LONGEST, packing_of, unpacking, unreadable

CHUNK = 96 << 10
"""Bytes read at a time: few enough that the allocator hands out the same memory again, and that what is made of them stays in the cache."""

FIRST_LINE = (1 << 20) + 2

TAIL = 256
"""So many of the bytes that were read last tell whether a file is still the one that was read."""


class Opened:
    """State: the file, how far it is read, and what unpacks it. `packing` is gzip, bzip2, xz, lzma or nothing; `unreadable` names one that
    cannot be read. `trouble` says why a packed file ends before its end, `unread` how many of its bytes, as they stand in it, were of no use;
    `whole`: all the same its lines were all there. `tail` is what was read last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble = ""
        self.unread = 0
        self.whole = False
        self.offset = 0
        self.tail = b""
        self._fed = 0
        self._file = _open(path)
        self._status = os.fstat(self._file.fileno())
        head = self._file.read(LONGEST)
        self.packing = packing_of(head)
        self.unreadable = unreadable(head, path.name)
        self._unpacks: Members | None = None
        self._ended = False
        self._rewind()

    @property
    def zipped(self) -> bool:
        return bool(self.packing)

    @property
    def inode(self) -> str:
        return f"{self._status.st_dev}:{self._status.st_ino}"

    @property
    def changed(self) -> int:
        """When it was changed last, in nanoseconds."""
        return self._stat().st_mtime_ns

    @property
    def size(self) -> int:
        """In plain bytes. Of a packed file it is what its trailer says (gzip), until its end is reached."""
        status = self._stat()
        if not self.packing:
            return status.st_size
        if self._file.closed:
            return self.offset
        return self.offset if self._ended and not self.trouble else max(self._trailer(status.st_size), self.offset + 1)

    def _stat(self) -> os.stat_result:
        """As it is now, and once it is closed as it was then: who looks at a lane asks on."""
        if not self._file.closed:
            self._status = os.fstat(self._file.fileno())
        return self._status

    def _trailer(self, size: int) -> int:
        """Of gzip the last four bytes: the plain size of the last member, modulo 4 GiB. Of others nothing short tells."""
        if self.packing != "gzip":
            return size
        with contextlib.suppress(OSError):
            return int.from_bytes(os.pread(self._file.fileno(), 4, max(0, size - 4)), "little")
        return 0

    def first_line(self) -> tuple[bytes, bool]:
        """The first line without its break (FIRST_LINE bytes at most), and whether it will stay as it is. Then back to the beginning."""
        self._rewind()
        held = b""
        for piece in self._pieces():
            held += piece
            if b"\n" in piece or len(held) >= FIRST_LINE:
                break
        self._rewind()
        line, found, _ = held.partition(b"\n")
        return (line[:FIRST_LINE].rstrip(b"\r"), True) if found or len(line) >= FIRST_LINE else (line, False)

    def head(self, count: int) -> bytes:
        """The first bytes, then back to the beginning."""
        self._rewind()
        held = b""
        while len(held) < count and (piece := self.read(count - len(held))):
            held += piece
        self._rewind()
        return held

    def _pieces(self) -> Iterator[bytes]:
        while piece := self.read():
            yield piece

    def skip(self, offset: int) -> int:
        """Goes on to an offset; gives the number of line feeds on the way."""
        lines = 0
        while self.offset < offset and (piece := self.read(min(CHUNK, offset - self.offset))):
            lines += piece.count(b"\n")
        return lines

    def read(self, most: int = CHUNK) -> bytes:
        """The next bytes; empty at the end, for now. Raises SourceError when the disk does not give them."""
        try:
            piece = self._file.read(most) if self._unpacks is None else self._unpacked(self._unpacks, most)
        except OSError as error:
            raise SourceError(f"cannot read {self.path}: {error.strerror}") from None
        self.offset += len(piece)
        self.tail = piece[-TAIL:] if len(piece) >= TAIL else (self.tail + piece)[-TAIL:]
        return piece

    def before(self, offset: int) -> bytes:
        """The bytes before an offset, at most TAIL; fewer where there are not so many. Of a packed file all before them is read."""
        count = min(TAIL, offset)
        if not self.packing:
            with contextlib.suppress(OSError):
                return os.pread(self._file.fileno(), count, offset - count)
            return b""
        self._rewind()
        self.skip(offset)
        found = self.tail if self.offset == offset else b""
        self._rewind()
        return found

    def starts(self, count: int) -> bytes:
        """The first bytes of a plain file, as they stand there now."""
        with contextlib.suppress(OSError):
            return os.pread(self._file.fileno(), count, 0)
        return b""

    def _unpacked(self, unpacks: Members, most: int) -> bytes:
        while not self._ended:
            try:
                piece = unpacks.take(most)
                if piece:
                    return piece
                raw = self._file.read(CHUNK)
                if raw:
                    self._fed += len(raw)
                    unpacks.feed(raw)
                    continue
                if not unpacks.whole:
                    self.trouble = "is cut short"
            except Broken:
                self._damaged(unpacks)
            self._ended = True
        return b""

    def _damaged(self, unpacks: Members) -> None:
        self.unread = self._stat().st_size - self._fed + unpacks.unused
        self.whole = unpacks.behind or unpacks.complete
        if unpacks.behind:
            self.trouble = f"has bytes behind its end that are not {self.packing}"
        elif unpacks.complete:
            self.trouble = "has a wrong checksum, so what was read of it may be altered,"
        else:
            self.trouble = "is damaged"

    def _rewind(self) -> None:
        self._file.seek(0)
        self.offset = 0
        self.tail = b""
        self.trouble = ""
        self.unread = self._fed = 0
        self.whole = False
        self._ended = False
        self._unpacks = unpacking(self.packing) if self.packing else None

    def close(self) -> None:
        self._stat()
        self._file.close()


def _open(path: Path) -> BinaryIO:
    try:
        if path.is_dir():
            raise SourceError(f"{path} is a folder, not a file of events")
        if path.exists() and not path.is_file():
            # Opening a pipe may wait for ever, and it cannot be read from its beginning again.
            raise SourceError(f"{path} is no regular file")
        # Unbuffered: what a writer appends is seen, and nothing is read twice.
        return path.open("rb", buffering=0)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from None


def identity_of(inode: str, first_line: bytes) -> str:
    """Device, inode and the hash of the first complete line; without one yet, no hash."""
    return f"{inode}:{hashlib.sha256(first_line).hexdigest()[:32] if first_line else ''}"
