"""An input that cannot be read twice and has a name: a pipe (`mkfifo`, `<(...)`, `/dev/stdin`, `/dev/fd/N`) or a device.

Takes a path. Gives what standard input gives, read the same way. It is opened when it is first read: whoever only looks at it (for its size,
for a reload) takes nothing from it, and a pipe without a writer keeps nobody waiting.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from waypost.events.lines import Piece, SourceError
from waypost.sources.port import name_of
from waypost.sources.stdin import StdinSource

_OURS = re.compile(r"/dev/stdin|/(?:dev|proc/self)/fd/(\d+)")


def is_stream(path: Path) -> bool:
    """Whether a path is there and is neither a regular file nor a folder."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def opened(path: Path) -> BinaryIO:
    """Waits for a writer where there is none yet. One of our own descriptors is taken as it is: a socket cannot be opened by its name."""
    own = _OURS.fullmatch(str(path))
    return os.fdopen(os.dup(int(own[1] or 0)), "rb", 0) if own else path.open("rb", 0)


class StreamSource(StdinSource):
    """State: that of StdinSource, which begins with the first `read`."""

    def __init__(self, path: Path, open_path: Callable[[Path], BinaryIO] = opened) -> None:
        """Raises SourceError where it could not be read."""
        self.name = name_of(path)
        self.identity = "stream"
        self._path = path
        self._open = open_path
        if not os.access(path, os.R_OK):
            raise SourceError(f"cannot read {path}: Permission denied")
        self._set_up()

    def resume(self, offset: int, identity: str) -> str:
        return f"{self.name} is no regular file and cannot be resumed: reading it from where it stands"

    def read(self) -> list[Piece] | None:
        self._start()
        found = super().read()
        if self.fault is not None:
            raise SourceError(f"cannot read {self.name}: {self.fault.strerror}")
        return found

    def _opened(self) -> BinaryIO:
        return self._open(self._path)

    def _read_to_end(self, stream: BinaryIO) -> None:
        stream.close()
