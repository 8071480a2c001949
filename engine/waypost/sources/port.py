"""What a source of events is, to those who read it: the engine never asks which one it has.

`Source` is one input: it is opened at a position, gives pieces of lines with their positions, says its size, and is closed. What has ended of
it is on disk with its cursor (state/commits.py); of an input that is `journaled` the rows that every lane has passed are let go then.
`Intake` takes events in from outside while an engine runs. kinds.py puts both together for a connections file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from waypost.events.lines import Piece
from waypost.events.loss import Loss

FILES, FOLLOWED, STDIN, JOURNALED_STDIN, HTTP = "files", "followed", "stdin", "journaled stdin", "http"
"""How inputs end, which decides what is said when a run ends early (cli/endings.py)."""


def name_of(path: Path) -> str:
    """A file's name as text, whatever bytes it is of: cursors, dead letters and lines of JSON hold it."""
    return os.fsencode(path).decode(errors="backslashreplace")


class Source(Protocol):
    """One input, at a position of it."""

    @property
    def name(self) -> str:
        """What cursors and dead letters call it."""

    @property
    def identity(self) -> str:
        """What it is known by in a later run, whatever its name is then."""

    @property
    def size(self) -> int | None:
        """Where it ends, as an offset. None: nobody knows."""

    @property
    def offset(self) -> int:
        """Where the next piece begins."""

    @property
    def first_line(self) -> bytes:
        """The first line of all, from which ids are made for events that have none."""

    @property
    def resumable(self) -> bool:
        """Whether it can be read from an earlier offset again."""

    @property
    def waits(self) -> bool:
        """Whether an empty list of pieces means that there are none yet, not that more are to be read at once."""

    @property
    def journaled(self) -> bool:
        """Whether what every lane has passed is let go."""

    @property
    def losses(self) -> Sequence[Loss]:
        """What could not be read of it so far."""

    def resume(self, offset: int, identity: str) -> str:
        """Goes to an offset. Gives a sentence when the input is not the one that was read then."""

    def read(self) -> list[Piece] | None:
        """The next pieces, an empty list when there is none yet, None at the end. Raises SourceError."""

    def close(self) -> None: ...


Opener = Callable[[], Source]
"""A way to open an input, as often as it is wanted."""


class Intake(Protocol):
    """What takes events in from outside, such as sources/ingest.py. `bind` takes hold of what only one can have, such as a port."""

    def bind(self) -> None: ...
    async def start(self) -> None: ...
    async def stop(self, drain_s: float) -> None: ...
