"""What a lane asks its courier to do, and what it wants to know of a line.

Takes nothing. Gives the commands of lane.py as data: they say what, and courier.py says how.
"""

from __future__ import annotations

from typing import Any, Protocol

from msgspec import Struct

from waypost.runtime.outcome import Answer
from waypost.runtime.progress import Position


class Send(Struct, frozen=True):
    """Send these bodies as one request, then call `settle` with `batch`."""

    batch: int
    request: str
    group: tuple[Any, ...]
    bodies: tuple[bytes, ...]
    attempt: int


class Dead(Struct, frozen=True):
    """Write a dead letter. `answer` is the destination's, where there was one."""

    position: Position
    event: bytes
    reason: str
    message: str
    action: str | None = None
    item: int | str | None = None
    field: str = ""
    attempts: int = 0
    answer: Answer | None = None


Command = Send | Dead


class Line(Protocol):
    """A line of a source: its bytes without the line break, the offsets of it and behind it, its number (from 1)."""

    @property
    def data(self) -> bytes: ...
    @property
    def offset(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def number(self) -> int: ...
