"""The files that are followed: those that names and patterns mean now, and those that a pattern means later.

Takes names, a clock, and whom to tell of a new file. Gives a way to open each file, in order; the last is followed. While it is read, the
patterns are looked at again about once a second. A new file is read from its start, after the one that was last: that one is left when it has
given nothing from one look to the next. A file that was only renamed is none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from waypost.events.lines import SourceError
from waypost.sources.file import FileSource, expand
from waypost.sources.opened import Opened, identity_of
from waypost.sources.stream import StreamSource, is_stream

LOOK_S = 1.0


Opener = Callable[[], FileSource | StreamSource]


def openers(
    names: tuple[str, ...],
    steady: Callable[[], float],
    notice: Callable[[str], None],
    added: Callable[[Opener], None],
    *,
    follow: bool,
) -> list[Opener]:
    """A way to open each file that names and patterns mean, in order; with `follow` the last is followed, and more may be `added`. Raises
    SourceError where a name means no file."""
    if follow:
        return Pattern(names, steady, notice, added).inputs()
    paths = [path for name in names for path in expand(name)]
    others = frozenset(paths)
    for path in paths:
        if paths.count(path) > 1 and is_stream(path):
            raise SourceError(f"{path} is named twice: it is no regular file and can be read only once")
    return [
        partial(StreamSource, path)
        if is_stream(path)
        else partial(FileSource, path, notice=notice, others=others - {path})
        for path in paths
    ]


class Pattern:
    """State: the files that are known, in the order in which they are read; those that are open; what the closed ones were; the last look."""

    def __init__(
        self,
        names: tuple[str, ...],
        steady: Callable[[], float],
        notice: Callable[[str], None],
        added: Callable[[Opener], None],
    ) -> None:
        """`added` is given a way to open each new file. Raises SourceError where a name means no file."""
        self.looks = 0
        self._names = names
        self._steady = steady
        self._notice = notice
        self._added = added
        self._paths = [path for name in names for path in expand(name)]
        for path in filter(is_stream, self._paths):
            raise SourceError(f"{path} is no regular file and is read until it ends: it cannot be followed")
        self._known = set(self._paths)
        self._open: set[FileSource] = set()
        self._were: set[str] = set()
        self._looked = steady()

    def inputs(self) -> list[Opener]:
        """A way to open each file that there is now."""
        return [partial(self._source, path, path is self._paths[-1]) for path in self._paths]

    def _source(self, path: Path, follow: bool) -> FileSource:
        source = FileSource(path, follow=follow, notice=self._notice, pattern=self)
        self._open.add(source)
        return source

    def left(self, identity: str) -> None:
        """A source is done with a file of this identity."""
        if not identity.endswith(":"):
            self._were.add(identity)

    def reads(self, path: Path, besides: FileSource) -> bool:
        """Whether another source reads this file, or has."""
        try:
            file = Opened(path)
        except SourceError:
            return False
        with contextlib.closing(file):
            line, whole = file.first_line()
            identity = identity_of(file.inode, line if whole else b"")
            others = (source for source in self._open if source.name != besides.name)
            return identity in self._were or any(source.inode == file.inode for source in others)

    def closed(self, source: FileSource) -> None:
        self._open.discard(source)

    def behind(self, path: Path) -> bool:
        """Whether a file comes after this one. Looks for new ones where it is time."""
        now = self._steady()
        if now - self._looked >= LOOK_S:
            self._looked = now
            self.looks += 1
            self._look()
        return path != self._paths[-1]

    def _look(self) -> None:
        for name in self._names:
            try:
                found = [path for path in expand(name) if path not in self._known]
            except SourceError:
                continue
            for path in found:
                try:
                    self._take(path)
                except SourceError:
                    # It went between two looks.
                    continue

    def _take(self, path: Path) -> None:
        file = Opened(path)
        try:
            line, whole = file.first_line()
            identity = identity_of(file.inode, line if whole else b"")
            known = identity in self._were or any(source.inode == file.inode for source in self._open)
        finally:
            file.close()
        if known:
            # The same file under another name: what reads it goes on with it.
            self._known.add(path)
            return
        if file.zipped:
            self._notice(f"{path} is new and is {file.packing}: it cannot be followed, the next run reads it")
            self._known.add(path)
            return
        self._added(partial(self._source, path, True))
        self._known.add(path)
        self._notice(f"{path} is new: reading it from its start, after {self._paths[-1]}")
        self._paths.append(path)
