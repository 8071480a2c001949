"""A file of events, one JSON object a line. A file is its own journal: only the cursor is stored, and a run resumes at its byte offset.

Takes a path and perhaps a saved cursor. Gives lines in chunks. A file's identity is its device, inode and the hash of its first complete line:
shorter than the cursor, or another first line, is a new file, and the run says so. A gzip file is read the same way; its offsets are those of
the plain bytes.

A log is rotated: the file is renamed and another takes its name (the renamed one is read to its end first, the new one from its start; after a
restart the renamed one is looked for in its folder), or it is copied and truncated (what was not read before is gone, and the run says so). The
files that one name had follow each other in one stream: offsets go on, and the identity lists the last of them with the offset at which each
begins.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from waypost.runtime.sources.lines import Cutter, Piece
from waypost.runtime.sources.opened import Opened, SourceError, identity_of

__all__ = ["FileSource", "SourceError", "expand"]

REMEMBERED = 4
"""How many of the files that one name had are kept in the identity."""

GLOB = frozenset("*?[")


def expand(name: str) -> list[Path]:
    """The files that a name or a pattern (`events/*.ndjson`, `**`) means, in sorted order. Raises SourceError when a pattern has none."""
    path = Path(name)
    if not GLOB & set(name) or path.exists():
        return [path]
    found = sorted(Path(one) for one in glob.glob(name, recursive=True) if not os.path.isdir(one))
    if not found:
        raise SourceError(f"no file matches {name}")
    return found


@dataclass(frozen=True)
class Part:
    """One of the files that a name had: its identity, and the offset in the stream at which it begins."""

    identity: str
    base: int

    def __str__(self) -> str:
        return f"{self.identity}@{self.base}" if self.base else self.identity


def _parts(text: str) -> list[Part]:
    found = []
    for one in text.split():
        identity, _, base = one.partition("@")
        found.append(Part(identity, int(base) if base.isdecimal() else 0))
    return found


class Files(Protocol):
    """The files of which one is followed, and that may become more: pattern.py. State: how often it has looked for new ones."""

    looks: int

    def behind(self, path: Path) -> bool: ...
    def left(self, identity: str) -> None: ...
    def closed(self, source: FileSource) -> None: ...


class FileSource:
    """State: the open file, the cutter, and the files before it. `name` is the path as given; `size` serves a progress bar.

    With `follow` an empty list says that there is nothing yet, and it never ends; with `pattern` it ends when another file has come, and this
    one gave nothing from one look for new ones to the next."""

    resumable = True

    def __init__(
        self,
        path: Path,
        *,
        follow: bool = False,
        notice: Callable[[str], None] = lambda text: None,
        pattern: Files | None = None,
    ) -> None:
        self.name = str(path)
        self.waits = follow
        self.offset = 0
        self._path = path
        self._notice = notice
        self._pattern = pattern
        self._quiet = (0, -1)
        self._told = False
        self._before: list[Part] = []
        self._next: list[tuple[Part, Path]] = []
        self._start(Opened(path), 0)
        if follow and self._file.zipped:
            self._file.close()
            raise SourceError(f"{path} is gzip: it cannot be followed")

    def _start(self, file: Opened, base: int) -> None:
        """A file's beginning stands at an offset of the stream."""
        self._file = file
        self._base = base
        self.first_line, self._first_whole = file.first_line()
        self.offset = base
        self._cutter = Cutter(base, start=base)

    @property
    def size(self) -> int | None:
        return self._base + self._file.size

    @property
    def inode(self) -> str:
        """Device and inode of the file that is open."""
        return self._file.inode

    @property
    def cut(self) -> bool:
        """Whether it can be read from any line on: one plain file, and no other stands before or behind it in the stream."""
        return not (self._file.zipped or self._base or self._before or self._next)

    @property
    def identity(self) -> str:
        return " ".join(map(str, [*self._before, self._part()][-REMEMBERED:]))

    def _part(self) -> Part:
        # A last line without its break may still grow: as an identity it would not hold.
        whole = self.first_line if self._first_whole else b""
        return Part(identity_of(self._file.inode, whole), self._base)

    def resume(self, offset: int, identity: str) -> str:
        """Goes to a saved cursor. Gives a sentence when the file is not the one that was read, and starts at its beginning then."""
        known = _parts(identity)
        index = max((number for number, part in enumerate(known) if part.base <= offset), default=0)
        if not known:
            return f"{self.name} is not the file that was read before: starting at its beginning"
        part = known[index]
        if not _same(part, self._part()):
            renamed = self._renamed(part)
            if renamed is None:
                return f"{self.name} is not the file that was read before: starting at its beginning"
            self._notice(f"{self.name} was renamed to {renamed}: reading the rest of it first")
            self._file.close()
            self._start(Opened(renamed), part.base)
            self._next = self._after(known[index + 1 :])
        self._before = known[:index]
        self._base = part.base
        lines = self._file.skip(offset - part.base)
        if self._file.offset < offset - part.base:
            self._file.close()
            self._before, self._next = [], []
            self._start(Opened(self._path), 0)
            return f"{self.name} is shorter than before: starting at its beginning"
        self.offset = offset
        self._cutter = Cutter(offset, lines, start=part.base)
        return ""

    def _renamed(self, part: Part) -> Path | None:
        """Where a file is that had this name: in the same folder, by its inode and first line."""
        inode = part.identity.rsplit(":", 1)[0].rsplit(":", 1)[-1]
        try:
            entries = sorted(os.scandir(self._path.parent), key=lambda entry: entry.name)
        except OSError:
            return None
        for entry in entries:
            if str(entry.inode()) != inode or not entry.is_file():
                continue
            file = Opened(Path(entry.path))
            line, whole = file.first_line()
            found = Part(identity_of(file.inode, line if whole else b""), 0)
            file.close()
            if _same(part, found):
                return Path(entry.path)
        return None

    def _after(self, later: list[Part]) -> list[tuple[Part, Path]]:
        """The files that were already read after the one of the cursor: they stand where they stood."""
        return [(part, path) for part in later if (path := self._renamed(part)) is not None]

    def read(self) -> list[Piece] | None:
        """The next lines, an empty list when there is none yet, None at the end."""
        chunk = self._file.read()
        if chunk:
            return self._feed(chunk)
        if self._file.trouble:
            self._troubled()
            return None
        if self._next or self._elsewhere():
            return self._finished()
        if not self.waits:
            return self._cutter.finish() or None
        if self._file.size < self._file.offset:
            self._notice(f"{self.name} was truncated: starting at its beginning; what it had that was not read is gone")
            self._change(self._path, self.offset)
            return []
        return self._cutter.finish() or None if self._over() else []

    def _over(self) -> bool:
        """Whether another file has come, and since one look for it to the next nothing has come here."""
        if self._pattern is None or not self._pattern.behind(self._path):
            return False
        looks, offset = self._quiet
        if offset != self.offset:
            self._quiet = (self._pattern.looks, self.offset)
            return False
        # It was noted somewhere behind a look: only from the one after it on, a whole time is over.
        return self._pattern.looks > looks + 1

    def _finished(self) -> list[Piece]:
        """What is left of a file that another follows; then the other begins."""
        # Once more: it was written to until it was renamed.
        chunk = self._file.read()
        rest = self._feed(chunk) if chunk else self._cutter.finish()
        if chunk or rest:
            return rest
        if self._next:
            part, path = self._next.pop(0)
            self._change(path, part.base)
        else:
            self._change(self._path, self._base + self._file.offset)
        return []

    def _feed(self, chunk: bytes) -> list[Piece]:
        if not self._first_whole and b"\n" in chunk:
            place = self._file.offset
            self.first_line, self._first_whole = self._file.first_line()
            self._file.skip(place)
        self.offset += len(chunk)
        return self._cutter.feed(chunk)

    def _elsewhere(self) -> bool:
        """Whether the name now has another file. Without `follow` it matters only when the file being read was found under another name."""
        if not self.waits and self._file.path == self._path:
            return False
        try:
            status = os.stat(self._path)
        except OSError:
            return False
        return f"{status.st_dev}:{status.st_ino}" != self._file.inode

    def _change(self, path: Path, base: int) -> None:
        try:
            file = Opened(path)
        except SourceError:
            # It went between two looks: the next one finds what is there then.
            return
        self._before = [*self._before, self._part()][-REMEMBERED:]
        if self._pattern is not None:
            self._pattern.left(self._part().identity)
        self._file.close()
        self._start(file, base)

    def _troubled(self) -> None:
        """A gzip file that ends too soon: its complete lines were given; the last one is not, and the cursor stands before it."""
        if self._told:
            return
        self._told = True
        self._notice(
            f"{self.name} {self._file.trouble} after {self._file.offset:,} bytes (decompressed): "
            "the lines up to there were read"
        )
        self._cutter = Cutter(self.offset, start=self._base)

    def close(self) -> None:
        self._file.close()
        if self._pattern is not None:
            self._pattern.closed(self)


def _same(one: Part, other: Part) -> bool:
    """The same inode, and the same first line as far as both are known."""
    left, right = one.identity.rpartition(":"), other.identity.rpartition(":")
    return left[0] == right[0] and (left[2] == right[2] or not left[2])
