"""A file of events, one JSON object a line. A file is its own journal: only the cursor is stored, and a run resumes at its byte offset.

Takes a path and perhaps a saved cursor. Gives lines in chunks. A file's identity is its device, inode and the hash of its first complete line,
and what was read of it last; another file under the name is a new one, and the run says so. A packed file (gzip, bzip2, xz) is read the same
way; its offsets are those of the plain bytes.

A log is rotated: the file is renamed and another takes its name, or it is copied and truncated; it may be packed, and rotated again before
anyone looks (rotation.py finds the files). The files that one name had follow each other in one stream, the oldest first: offsets go on, and
the identity lists them with the offset at which each begins. What is gone, or cannot be read, is a `Loss`.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from waypost.events.file_parts import Part, hashed, parts_of
from waypost.events.lines import Cutter, Piece, SourceError
from waypost.events.loss import Loss
from waypost.sources import rotation
from waypost.sources.first_bytes import HEAD, judged
from waypost.sources.opened import TAIL, Opened, identity_of
from waypost.sources.port import name_of
from waypost.sources.successors import Following, Looks, Successors
from waypost.sources.unpack import LONGEST, packing_of

REMEMBERED = 1000
"""How many of the files that one name had are kept in the identity: none that a lane has not passed may be missing there."""

GLOB = frozenset("*?[")


def expand(name: str) -> list[Path]:
    """The files that a name or a pattern (`events/*.ndjson`, `**`) means, in sorted order. Raises SourceError when a pattern has none."""
    path = Path(name)
    if not GLOB & set(name) or path.exists():
        return [path]
    found = sorted(Path(one) for one in glob.glob(name, recursive=True) if os.path.isfile(one))
    if not found:
        raise SourceError(f"no file matches {name}")
    return found


class Files(Looks, Protocol):
    """The files of which one is followed, and that may become more: pattern.py."""

    def left(self, identity: str) -> None: ...
    def reads(self, path: Path, besides: FileSource) -> bool: ...
    def closed(self, source: FileSource) -> None: ...


class FileSource:
    """State: the open file, the cutter, and the files before and after it. `name` is the path as given; `size` serves a progress bar; `losses`
    is what could not be read so far.

    With `follow` an empty list says that there is nothing yet, and it never ends; with `pattern` it ends when another file has come, and this
    one gave nothing from one look for new ones to the next. `others` are read by themselves: none of them is taken for a rotated one."""

    resumable = True
    journaled = False

    def __init__(
        self,
        path: Path,
        *,
        follow: bool = False,
        notice: Callable[[str], None] = lambda text: None,
        pattern: Files | None = None,
        others: frozenset[Path] = frozenset(),
    ) -> None:
        self.name = name_of(path)
        self.waits = follow
        self.offset = 0
        self.losses: list[Loss] = []
        self._path = path
        self._notice = notice
        self._pattern = pattern
        taken = lambda other: other in others or (pattern is not None and pattern.reads(other, self))  # noqa: E731
        self._after = Successors(path, taken, pattern, follow=follow)
        self._told = False
        self._before: list[Part] = []
        self._later: list[Part] = []
        self._ahead = 0
        self._longest = 0
        self._start(Opened(path), 0)
        self._lines = False
        """Whether its first bytes have told that it holds lines: one that grows may have too few of them yet."""
        self._judged = -1
        try:
            self._judge(more=follow)
        except SourceError:
            self._file.close()
            raise

    def _judge(self, *, more: bool) -> None:
        """Looks at the first bytes of a file of which nothing has been read. Raises SourceError where they are no lines of events."""
        if self.waits and not self._file.zipped and packing_of(self._file.starts(LONGEST)):
            # Its first byte stood there alone when it was opened.
            path = self._file.path
            self._file.close()
            self._start(Opened(path), self._base)
        if self.waits and self._file.zipped:
            raise SourceError(f"{self._path} is {self._file.packing}: it cannot be followed")
        head = self._file.head(HEAD)
        self._judged = len(head)
        said = judged(head, more=more)
        if said:
            raise SourceError(f"{self._path} is {said}")
        self._lines = said is not None

    def _undecided(self) -> bool:
        """Whether more bytes are waited for that tell what the file is. Once another one follows it, it has all that it will have."""
        if self._lines or self._file.offset:
            self._lines = True
            return False
        if self._later or self._after.elsewhere(self._file, self._so_far) or self._after.over(self.offset):
            # Whoever asks next whether another one is there has to look again.
            self._after.look_again()
            self._judge(more=False)
            self._lines = True
        elif self._file.size != self._judged:
            self._judge(more=True)
        return not self._lines

    def _start(self, file: Opened, base: int) -> None:
        """A file's beginning stands at an offset of the stream."""
        self._file = file
        self._base = base
        self.first_line, self._first_whole = file.first_line()
        self._longest = 0
        self.offset = base
        self._cutter = Cutter(base, start=base)

    @property
    def size(self) -> int | None:
        return self._base + self._file.size + self._ahead

    @property
    def inode(self) -> str:
        """Device and inode of the file that is open."""
        return self._file.inode

    @property
    def cut(self) -> bool:
        """Whether it can be read from any line on: one plain file, and no other stands before or behind it in the stream."""
        return not (self._file.zipped or self._base or self._before or self._later or self._file.path != self._path)

    @property
    def identity(self) -> str:
        return " ".join(map(str, [*self._before, self._part(), *self._later][-REMEMBERED:]))

    def _so_far(self) -> list[Part]:
        return [*self._before, self._part()]

    def _part(self) -> Part:
        # A last line without its break may still grow: as an identity it would not hold.
        file, whole = self._file, self.first_line if self._first_whole else b""
        identity = identity_of(file.inode, whole)
        size = file.offset if file.zipped else max(file.size, self._longest)
        return Part(identity, self._base, file.offset, hashed(file.tail), size, file.changed)

    def resume(self, offset: int, identity: str) -> str:
        """Goes to a saved cursor. Gives a sentence when the file is not the one that was read, and starts at a beginning then."""
        if self._file.path != self._path:
            self._file.close()
            self._start(Opened(self._path), 0)
        known = parts_of(identity)
        index = max((number for number, part in enumerate(known) if part.base <= offset), default=0)
        if not known:
            return f"{self.name} is not the file that was read before: starting at its beginning"
        for number in range(index, len(known)):
            file = self._after.place_of(known[number], self._file, self._part().first)
            if file is not None:
                return self._resume(file, offset, known, index, number)
        return self._replaced(offset, known)

    def _resume(self, file: Opened, offset: int, known: list[Part], index: int, number: int) -> str:
        """Reads on in this file, which is the one of the parts with this number; the cursor stands in the one with that index."""
        part = known[number]
        if number > index:
            gone = part.base - offset
            self._lose(
                f"{self.name}: a file that was read before is gone; {gone:,} bytes of it were not delivered", gone
            )
            offset = part.base
        if file is not self._file:
            if file.path != self._path:
                self._notice(f"{self.name} was renamed to {file.path}: reading the rest of it first")
            self._file.close()
            self._start(file, part.base)
        self._before, self._later, self._base = known[:number], known[number + 1 :], part.base
        lines = self._file.skip(offset - part.base)
        if self._file.offset < offset - part.base:
            return self._replaced(offset, known, "is shorter than before")
        self._longest = part.size
        self.offset = offset
        self._cutter = Cutter(offset, lines, start=part.base)
        if self._file.path != self._path:
            self._ahead = self._after.waiting(self._after.unread(self._file.inode, self._so_far())[0])
        return ""

    def _replaced(self, offset: int, known: list[Part], why: str = "is not the file that was read before") -> str:
        """Nothing of what was read is there any more."""
        gone = max(0, known[-1].base + known[-1].size - offset)
        settled = self._after.settled("", known)
        self._before, self._later = [], []
        if settled is not None:
            self._file.close()
        file, found, passed, _ = settled or Following(self._file, [], [], there=False)
        self._start(file, 0)
        self._miss(passed)
        said = f"{self.name} {why}: {_begun_anew(file, gone, found=bool(found))}"
        # A log that is followed grows: it may have, before it was moved to where nobody looks.
        moved = self.waits and not passed
        if gone or found or moved or rotation.shows_rotation(self._path, known[-1]):
            self.losses.append(Loss(said, offset, gone))
        if found:
            self._ahead = self._after.waiting(found[1:])
        return said

    def _miss(self, passed: Sequence[tuple[rotation.Row, str]]) -> None:
        for row, said in passed:
            self._lose(f"{self.name}: {said}", row.size)

    def _lose(self, text: str, size: int) -> None:
        self.losses.append(Loss(text, self.offset, size))
        self._notice(text)

    def read(self) -> list[Piece] | None:
        """The next lines, an empty list when there is none yet, None at the end."""
        if self._undecided():
            return []
        at, tail = self._file.offset, self._file.tail
        chunk = self._file.read()
        if self.waits and not self._file.zipped and self._altered(at, tail):
            return self._truncated(at, tail)
        if chunk:
            return self._feed(chunk)
        if self._file.trouble and not self._told:
            return self._troubled()
        if self._later or self._after.elsewhere(self._file, self._so_far):
            return self._finished()
        if not self.waits:
            return None if self._file.trouble and not self._file.whole else self._cutter.finish() or None
        return self._cutter.finish() or None if self._after.over(self.offset) else []

    def _altered(self, at: int, tail: bytes) -> bool:
        """Whether what was read of the file is no longer what stands there: it was truncated, and may have grown again."""
        size = self._file.size
        if size < at or self._file.before(at) != tail:
            return True
        self._longest = max(self._longest, size)
        first = self.first_line[:TAIL] if self._first_whole else b""
        return self._file.starts(len(first)) != first

    def _truncated(self, at: int, tail: bytes) -> list[Piece]:
        """Copied and truncated: the copy has the rest."""
        part = Part(self._part().identity, self._base, at, hashed(tail))
        copy = rotation.located(self._path, part, but=self._file.inode) if part.first else None
        if copy is not None:
            copy.skip(at)
            if copy.offset == at:
                self._notice(f"{self.name} was copied to {copy.path} and truncated: reading the rest of the copy first")
                self._file.close()
                self._file = copy
                return []
            copy.close()
        file = self._after.log()
        if file is None:
            return []
        gone = max(0, self._longest - at) + self._cutter.pending
        counted = f" ({gone:,} bytes that were there)" if gone else ""
        said = f"{self.name} was truncated: starting at its beginning; what it had that was not read is gone{counted}"
        self._lose(said, gone)
        self._change(file, self._base + at)
        return []

    def _finished(self) -> list[Piece]:
        """What is left of a file that another follows; then the other begins."""
        # Once more: it was written to until it was renamed.
        chunk = self._file.read()
        rest = self._feed(chunk) if chunk else self._cutter.finish()
        if not (chunk or rest):
            self._go_on()
        return rest

    def _go_on(self) -> None:
        """The file that came after this one: known from before, found in the folder, else the one that has the name now."""
        while self._later:
            part = self._later.pop(0)
            file = self._after.log(part) or rotation.located(self._path, part)
            if file is not None:
                self._change(file, part.base)
                return
            self._lose(f"{self.name}: a file that was read before is gone, and some of it was not delivered", part.size)
        settled = self._after.settled(self._file.inode, self._so_far())
        if settled is None:
            return
        file, found, passed, there = settled
        self._miss(passed)
        if found and not there:
            said = f"{self.name}: the file read before {file.path} is gone, and so may be others between the two"
            self._lose(said, 0)
        if found:
            self._notice(f"{self.name} was rotated more than once: reading {file.path} before it")
        else:
            self._ahead = 0
        self._change(file, self._base + self._file.offset)

    def _feed(self, chunk: bytes) -> list[Piece]:
        if not self._first_whole and b"\n" in chunk:
            place = self._file.offset
            self.first_line, self._first_whole = self._file.first_line()
            self._file.skip(place)
        self.offset += len(chunk)
        return self._cutter.feed(chunk)

    def _change(self, file: Opened, base: int) -> None:
        self._before = [*self._before, self._part()][-REMEMBERED:]
        if self._pattern is not None:
            self._pattern.left(self._part().identity)
        self._file.close()
        self._start(file, base)
        self._told = False
        self._ahead = max(0, self._ahead - self._file.size)

    def _troubled(self) -> list[Piece]:
        """A packed file that ends too soon: its complete lines were given; the last one is not, and the cursor stands before it."""
        self._told = True
        file = self._file
        rest = self._cutter.finish() if file.whole else []
        pending = self._cutter.pending
        self._lose(_cut_short(file, pending), file.unread + pending)
        if not file.whole:
            self._cutter = Cutter(self.offset, start=self._base)
        return rest

    def close(self) -> None:
        self._file.close()
        if self._pattern is not None:
            self._pattern.closed(self)


def _begun_anew(file: Opened, gone: int, *, found: bool) -> str:
    """Where it goes on when nothing of what was read is there: with a file that was `found` behind it, or with what has the name."""
    where = f"starting with {file.path}, which came after it" if found else "starting at its beginning"
    if gone:
        return f"{where}; {gone:,} bytes of the earlier one were not delivered and are gone"
    if found:
        return f"{where}; what the earlier one had more, and others between the two, is gone"
    return f"{where}; whether the earlier one had more than was read of it is not known"


def _cut_short(file: Opened, pending: int) -> str:
    """A packed file that ends too soon; so many bytes of its last line are there."""
    gone = [f"{file.unread:,} bytes of the file"] if file.unread else []
    gone += [f"the {pending:,} bytes of its last line"] if pending else []
    what = "the lines up to there were read" + (f", not {' and '.join(gone)}" if gone else "")
    return f"{file.path} {file.trouble} after {file.offset:,} bytes (decompressed): {what}"
