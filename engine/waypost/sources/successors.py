"""What comes after the file that is read: the one that has its name now, or rotated ones that were not read yet.

Takes a path, and what was read of the files that had its name. Gives the next file, open, with what there is between the two. What a rotation
looks like is in rotation.py; here is when to look, and what to do while names go on changing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from waypost.events.file_parts import Part
from waypost.events.lines import SourceError
from waypost.sources import rotation
from waypost.sources.opened import Opened


class Following(NamedTuple):
    """What comes after the files that were read: the next one, open; the rotated files that were not read, it among them; those before it that
    cannot be read, each with what is to be said of it; and whether the last that was read is still there."""

    file: Opened
    rows: list[rotation.Row]
    passed: list[tuple[rotation.Row, str]]
    there: bool


class Looks(Protocol):
    """A pattern, as it looks for new files (pattern.py). State: how often it has looked."""

    looks: int

    def behind(self, path: Path) -> bool: ...


class Successors:
    """State: what the folder was like when it was last looked at, and since which look of the pattern nothing has come."""

    def __init__(self, path: Path, taken: Callable[[Path], bool], pattern: Looks | None, *, follow: bool) -> None:
        """`taken`: whether a file is read by somebody else, and is so no rotated one of this name. With `pattern` another name may follow."""
        self._path = path
        self._taken = taken
        self._follow = follow
        self._pattern = pattern
        self._quiet = (0, -1)
        self._looked: object = None

    def look_again(self) -> None:
        """Whoever asks next whether another one is there has to look."""
        self._looked = None

    def waiting(self, rows: Sequence[rotation.Row]) -> int:
        """The bytes of the rotated files and of the log."""
        return sum(map(_size, [*(row.path for row in rows if not row.unreadable), self._path]))

    def log(self, part: Part | None = None) -> Opened | None:
        """The file that has the name now, open; with a part only if it is that one."""
        try:
            file = Opened(self._path)
        except SourceError:
            return None
        if part is None or (file.inode == part.inode and rotation.begins_with(file, part, renamed=True)):
            return file
        file.close()
        return None

    def settled(self, inode: str, read: Sequence[Part]) -> Following | None:
        """The file that comes after those that were read, of which the last has this inode. None while the names go on changing: between the
        list of the folder and the opening of a file another may have got its name, and would be taken for the one that comes next."""
        for _ in range(rotation.LOOKS):
            names = rotation.seen(self._path)
            rows, there = self.unread(inode, read)
            file, left, passed = self._next(rows)
            if rotation.seen(self._path) == names:
                return Following(file, left, passed, there) if file is not None else None
            if file is not None:
                file.close()
        return None

    def _next(
        self, rows: Sequence[rotation.Row]
    ) -> tuple[Opened | None, list[rotation.Row], list[tuple[rotation.Row, str]]]:
        """The first of these files that can be read, open, else the log; those from it on; and those before it, with what is to be said."""
        passed: list[tuple[rotation.Row, str]] = []
        for index, row in enumerate(rows):
            why = f"is packed by {row.unreadable}, which cannot be read"
            then = ": unpack it and name it in a run"
            if not row.unreadable:
                try:
                    return Opened(row.path), [other for other in rows[index:] if not other.unreadable], passed
                except SourceError as error:
                    why, then = f"cannot be opened ({error})", ""
            said = f"{row.path} came after what was read and {why}"
            passed.append((row, f"{said}; its {row.size:,} bytes were not delivered{then}"))
        return self.log(), [], passed

    def unread(self, inode: str, read: Sequence[Part]) -> tuple[list[rotation.Row], bool]:
        """The rotated files that came after those that were read, of which the last has this inode, and are read by nobody else; and whether
        the last that was read is still there."""
        found, there = rotation.following(self._path, inode, read)
        return [row for row in found if not self._taken(row.path)], there

    def elsewhere(self, file: Opened, read: Callable[[], Sequence[Part]]) -> bool:
        """Whether another file is to be read now. Without `follow` it matters only when the file being read was found under another name. A new
        log that is empty is waited for: until its writer has gone over to it, it writes to the old one."""
        if not self._follow and file.path == self._path:
            return False
        try:
            status = os.stat(self._path)
            folder = os.stat(self._path.parent)
        except OSError:
            return False
        if f"{status.st_dev}:{status.st_ino}" == file.inode:
            return False
        if status.st_size or not self._follow:
            return True
        # Listing the folder is worth it only when something in it has changed.
        looked = folder.st_mtime_ns, file.inode
        if looked == self._looked:
            return False
        self._looked = looked
        return bool(self.unread(file.inode, read())[0])

    def over(self, offset: int) -> bool:
        """Whether a file with another name has come, and since one look for it to the next nothing has come to this offset."""
        if self._pattern is None or not self._pattern.behind(self._path):
            return False
        looks, before = self._quiet
        if before != offset:
            self._quiet = (self._pattern.looks, offset)
            return False
        # It was noted somewhere behind a look: only from the one after it on, a whole time is over.
        return self._pattern.looks > looks + 1

    def place_of(self, part: Part, file: Opened, first: str) -> Opened | None:
        """Where a file that was read is now: the one that is open, whose first line has this hash, or another."""
        if part.inode == file.inode:
            if file.zipped or not part.tail:
                same = not part.first or part.first == first
            else:
                same = rotation.begins_with(file, part, renamed=True)
            if same:
                return file
        return rotation.located(self._path, part)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
