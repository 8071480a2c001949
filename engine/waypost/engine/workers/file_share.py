"""A worker's part of a file: a view from one line to another, or of all of it.

Takes a portion, which the engine cut at line feeds (splitting.py). Gives lines as the file gives them: offsets, line numbers, first line and
identity are the file's, so that ids and dead letters are those of one process. A file that is not the one that was cut is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from waypost.delivery.progress import Part
from waypost.events.lines import Piece, SourceError, before
from waypost.events.loss import Loss
from waypost.sources.file import FileSource

SPREAD = 32 << 20
"""Workers that share a file by key wait for the slowest when they are so many bytes ahead: what each has ended alone must be kept."""


@dataclass(frozen=True)
class Portion:
    """The bytes [start, end) of a file, to its end where `end` is None, and what an earlier run had settled in there."""

    path: str
    identity: str
    start: int
    end: int | None = None
    ranges: tuple[tuple[int, int], ...] = ()
    parts: tuple[Part, ...] = ()


class Share:
    """State: the file, and whether the end is reached. `passed` gives how far the run as a whole is, where files are shared by key."""

    def __init__(
        self,
        portion: Portion,
        *,
        notice: Callable[[str], None] = lambda text: None,
        passed: Callable[[], int] | None = None,
        tells: bool = True,
    ) -> None:
        """`tells`: what cannot be read is this worker's to count. Where each reads all of a file, it is one's of them."""
        self.portion = portion
        self.waits = False
        self.resumable = True
        self.journaled = False
        self._file = FileSource(Path(portion.path), notice=notice)
        self.name = self._file.name
        self._passed = passed
        self._tells = tells
        self._ended = False

    @property
    def identity(self) -> str:
        return self._file.identity

    @property
    def losses(self) -> list[Loss]:
        return self._file.losses if self._tells else []

    @property
    def first_line(self) -> bytes:
        return self._file.first_line

    @property
    def size(self) -> int | None:
        return self._file.size if self.portion.end is None else self.portion.end

    @property
    def offset(self) -> int:
        end = self.portion.end
        return self._file.offset if end is None else min(self._file.offset, end)

    def resume(self, offset: int, identity: str) -> str:
        """Goes to the portion's start. Raises SourceError when the file is not the one that was cut."""
        if self._file.resume(offset, identity):
            raise SourceError(f"{self.name} was replaced while the run began: run again")
        return ""

    def read(self) -> list[Piece] | None:
        """The next lines; an empty list when the other workers are far behind (then `waits` holds); None at the end."""
        if self._ended:
            return None
        self.waits = self._passed is not None and self._file.offset - self._passed() > SPREAD
        if self.waits:
            return []
        lines = self._file.read()
        end = self.portion.end
        if lines and end is not None and self._file.offset >= end:
            self._ended = True
            return before(lines, end)
        return lines

    def close(self) -> None:
        self._file.close()
