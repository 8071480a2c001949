"""A file of events, one JSON object a line. A file is its own journal: only the cursor is stored, and a run resumes at its byte offset.

Takes a path and perhaps a saved cursor. Gives lines in chunks. A file's identity is its device, inode and the hash of its first complete line:
shorter than the cursor, or another first line, is a new file, and the run says so.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from waypost.runtime.sources.lines import Cutter, Line

CHUNK = 256 << 10


class SourceError(Exception):
    """A file that cannot be read. One clear line."""


class FileSource:
    """State: the open file and the cutter. `name` is the path as given; `size` serves a progress bar."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._file = self._open()
        status = os.fstat(self._file.fileno())
        self.size: int | None = status.st_size
        self.first_line = self._read_first_line()
        digest = hashlib.sha256(self.first_line).hexdigest()[:32]
        self.identity = f"{status.st_dev}:{status.st_ino}:{digest}"
        self.offset = 0
        self._cutter = Cutter()

    def _open(self) -> BinaryIO:
        try:
            if self._path.is_dir():
                raise SourceError(f"{self._path} is a folder, not a file of events")
            return self._path.open("rb")
        except OSError as error:
            raise SourceError(f"cannot read {self._path}: {error.strerror}") from None

    def _read_first_line(self) -> bytes:
        """The first complete line, at most LIMIT bytes of it; without its line break."""
        line = self._file.readline((1 << 20) + 2)
        self._file.seek(0)
        return line.rstrip(b"\r\n") if line.endswith(b"\n") else line

    def resume(self, offset: int, identity: str) -> str:
        """Goes to a saved cursor. Gives a sentence when the file is not the one that was read, and starts at its beginning then."""
        if identity != self.identity:
            return f"{self.name} is not the file that was read before: starting at its beginning"
        if self.size is not None and offset > self.size:
            return f"{self.name} is shorter than before: starting at its beginning"
        self._file.seek(0)
        number = 0
        left = offset
        while left > 0:
            piece = self._file.read(min(CHUNK, left))
            if not piece:
                break
            number += piece.count(b"\n")
            left -= len(piece)
        self._file.seek(offset)
        self.offset = offset
        self._cutter = Cutter(offset, number)
        return ""

    def read(self) -> list[Line] | None:
        """The next lines; None at the end."""
        try:
            chunk = self._file.read(CHUNK)
        except OSError as error:
            raise SourceError(f"cannot read {self.name}: {error.strerror}") from None
        if chunk:
            self.offset += len(chunk)
            return self._cutter.feed(chunk)
        rest = self._cutter.finish()
        return rest or None

    def close(self) -> None:
        self._file.close()
