"""The files that one name had: a log that is rotated, found again by what is in it.

Takes a path, and what is known of files that were read under it (`Part`). Gives where such a file is now, renamed, copied or compressed
(`located`), and the files of the folder that came after it and were never read (`following`).

What a file is, its first line and the last bytes that were read of it say: names move on with each rotation, an inode is used again, and a file
that was copied and truncated keeps its inode. They stand in the log's folder, or in a folder in it to which one of them was moved
(logrotate's `olddir`). Of packed files gzip, bzip2 and xz are read; one that cannot be read keeps its place in the order. In which order files
follow each other their names say: `log.2.gz`, `log.1`, then `log`; `app-20260101.log` before `app-20260102.log`. Where they do not, the time
of their last change does.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from waypost.events.file_parts import Part, hashed
from waypost.events.lines import SourceError
from waypost.sources.opened import Opened, identity_of
from waypost.sources.unpack import ENDS

_ROTATED = re.compile(r"[._-]?(?:\d[\dTZ:._-]*|old|prev|bak)", re.ASCII)
_COUNTER = 10**5
"""A number below is a counter, which logrotate and its like count up with a file's age; a greater one is a date."""

LOOKS = 16
"""So often a folder is looked at again while its files are renamed."""

FOLDERS = 100
"""So many folders in a log's folder are looked at."""

COMPARED = 16
"""With so many of the files read last a new one is compared: a file that was read is not read again as a copy of it."""


def begins_with(file: Opened, part: Part, *, renamed: bool = False) -> bool:
    """Whether a file begins with what was read of another. `renamed`: by its inode it is that one, so a first line that was not known to be
    whole says nothing against it."""
    line, whole = file.first_line()
    first = identity_of("", line if whole else b"").rpartition(":")[2]
    if part.first != first and not (renamed and not part.first):
        return False
    return bool(part.first or renamed) and (not part.tail or hashed(file.before(part.at)) == part.tail)


def located(path: Path, part: Part, *, but: str = "") -> Opened | None:
    """The file that had this name, open: in its folder or one in it, under any name by its inode, else as a copy or packed. Not the one with
    the inode `but`. It is looked at as it is open: a name may mean another file a moment later."""
    for _ in range(LOOKS):
        before = _around(path)
        found = _located(path, part, but, before)
        if found is not None or _names(path, before) == seen(path):
            return found
    return None


def _located(path: Path, part: Part, but: str, folders: list[list[os.DirEntry[str]]]) -> Opened | None:
    inode = part.inode.rpartition(":")[2]
    for entry in (entry for entries in folders for entry in entries):
        if str(entry.inode()) == inode and part.inode != but:
            found = _holding(Path(entry.path), part, renamed=True)
            if found is not None:
                return found
    for entries in folders:
        found = _copied(path, part, but, entries)
        if found is not None:
            return found
    return None


def _copied(path: Path, part: Part, but: str, entries: list[os.DirEntry[str]]) -> Opened | None:
    for row in family(path, entries):
        if row.inode not in (but, part.inode):
            found = _holding(row.path, part)
            if found is not None and found.inode != but:
                return found
            if found is not None:
                found.close()
    return None


def _holding(path: Path, part: Part, *, renamed: bool = False) -> Opened | None:
    try:
        file = Opened(path)
    except SourceError:
        return None
    same = not renamed or file.inode.rpartition(":")[2] == part.inode.rpartition(":")[2]
    try:
        if same and begins_with(file, part, renamed=renamed):
            return file
    except SourceError:
        pass
    file.close()
    return None


def _holds(path: Path, part: Part, *, renamed: bool = False) -> bool:
    found = _holding(path, part, renamed=renamed)
    if found is not None:
        found.close()
    return found is not None


def seen(path: Path) -> list[tuple[str, int]]:
    """A log's name and those of its rotated files, with the inode that each means: while two are equal, none was renamed in between."""
    return _names(path, _around(path))


def _names(path: Path, folders: Iterable[Iterable[os.DirEntry[str]]]) -> list[tuple[str, int]]:
    return [
        (entry.path, entry.inode())
        for entries in folders
        for entry in entries
        if entry.name == path.name or _rest(path, entry.name) is not None
    ]


@dataclass(frozen=True)
class Row:
    """A rotated file. `rest` is what its name has beside the log's, `numbers` those in it."""

    path: Path
    inode: str
    size: int
    changed: int
    rest: str
    packed: bool
    unreadable: str = ""

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(map(int, re.findall(r"\d+", self.rest)))

    @property
    def counted(self) -> bool:
        return len(self.numbers) == 1 and self.numbers[0] < _COUNTER


def _around(path: Path) -> list[list[os.DirEntry[str]]]:
    """The files of a log's folder, then those of each folder in it."""
    try:
        with os.scandir(path.parent) as found:
            inner = sorted(entry.path for entry in found if entry.is_dir())
    except OSError:
        inner = []
    return [_entries(path.parent), *(_entries(Path(folder)) for folder in inner[:FOLDERS])]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted((entry for entry in found if entry.is_file()), key=lambda entry: entry.name)
    except OSError:
        return []


def family(path: Path, entries: Iterable[os.DirEntry[str]]) -> list[Row]:
    """The files that rotation may have made of a log, the oldest first."""
    rows: dict[tuple[str, str], Row] = {}
    for entry in entries:
        rest = _rest(path, entry.name)
        if rest is None:
            continue
        try:
            status = entry.stat()
        except OSError:
            continue
        packed = entry.name.endswith(ENDS)
        own = os.path.dirname(entry.path), rest
        if packed and own in rows and not rows[own].unreadable:
            # It is being packed, or was and is kept: the plain one is whole.
            continue
        inode = f"{status.st_dev}:{status.st_ino}"
        sealed = _unreadable(Path(entry.path)) if status.st_size else ""
        if sealed and own in rows:
            continue
        rows[own] = Row(Path(entry.path), inode, status.st_size, status.st_mtime_ns, rest, packed, sealed)
    return _ordered(list(rows.values()))


def _unreadable(path: Path) -> str:
    """The packing of a file, where it cannot be read."""
    try:
        with contextlib.closing(Opened(path)) as file:
            return file.unreadable
    except SourceError:
        return ""


def _rest(path: Path, name: str) -> str | None:
    """What a name has beside the log's: `.1` of `log.1` and of `log.1.gz`. None where it is none of its rotated files."""
    packed = next((end for end in ENDS if name.endswith(end)), "")
    plain = name.removesuffix(packed)
    if plain == path.name:
        return "" if packed else None
    if plain.startswith(path.name):
        rest = plain[len(path.name) :]
    elif path.suffix and plain.startswith(path.stem) and plain.endswith(path.suffix):
        rest = plain[len(path.stem) : -len(path.suffix)]
    else:
        return None
    return rest if _ROTATED.fullmatch(rest) else None


def _ordered(rows: list[Row]) -> list[Row]:
    if all(row.counted for row in rows):
        rows.sort(key=lambda row: row.numbers)
        plain = [row for row in rows if not row.packed]
        up = sum(one.changed < other.changed for one, other in pairwise(plain))
        down = sum(one.changed > other.changed for one, other in pairwise(plain))
        # logrotate's 1 is the youngest; whoever counts the other way shows it by the times.
        return rows if up > down else rows[::-1]
    if all(row.numbers and not row.counted for row in rows):
        return sorted(rows, key=lambda row: row.numbers)
    return sorted(rows, key=lambda row: row.changed)


def following(path: Path, inode: str, read: Sequence[Part]) -> tuple[list[Row], bool]:
    """The rotated files that came after the last one of `read`, which has this inode, the oldest first, unreadable ones among them; and whether
    that one is still there. Where it is not, they are those that were changed after it."""
    last = read[-1]
    known = read[-COMPARED:]
    rows = _rows(path, known)
    at = next((number for number, row in enumerate(rows) if row.inode == inode), None)
    if at is None:
        at = next((number for number, row in enumerate(rows) if _holds(row.path, last)), None)
    if at is not None:
        rest = rows[at + 1 :]
    else:
        rest = [row for row in rows if last.changed and row.changed >= last.changed]
    now = _first_of(path)
    found = [
        row
        for row in rest
        if row.size and row.inode != inode and not _is_read(row, known) and not (now and now == _first_of(row.path))
    ]
    return found, at is not None


def _rows(path: Path, known: Sequence[Part]) -> list[Row]:
    """The rotated files of a log: those in its folder, and those of a folder in it that has one of the files that were read."""
    first, *inner = _around(path)
    rows = family(path, first)
    for entries in inner:
        inodes = {part.inode.rpartition(":")[2] for part in known}
        there = any(
            _holds(Path(entry.path), part, renamed=True)
            for entry in entries
            if str(entry.inode()) in inodes
            for part in known
        ) or any(_holds(row.path, part) for row in family(path, entries) for part in known)
        if there:
            rows = family(path, [*first, *entries])
    return rows


def shows_rotation(path: Path, last: Part) -> bool:
    """Whether the folder of a log has rotated files, and nothing tells whether they came after the last one that was read."""
    return not last.changed and bool(family(path, _entries(path.parent)))


def _first_of(path: Path) -> str:
    """The hash of a file's first line. What begins like the log itself is a copy of it that is under way."""
    try:
        with contextlib.closing(Opened(path)) as file:
            line, whole = file.first_line()
    except SourceError:
        return ""
    return identity_of("", line).rpartition(":")[2] if whole else ""


def _is_read(row: Row, known: Sequence[Part]) -> bool:
    if row.unreadable:
        # What packs a file leaves it the time of its last change: one that was read to its end then has nothing more.
        return any(part.changed == row.changed and part.at >= part.size for part in known)
    return any(_holds(row.path, part) for part in known)
