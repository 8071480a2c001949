"""Which journaled events may go: those that every lane of their source has passed, on disk.

Takes the lanes at work with the journaled inputs of each, and the cursors of each commit. Gives what may be trimmed with the next one.
"""

from __future__ import annotations

from collections.abc import Iterable

Name = tuple[str, str]
"""(connection, source) of a lane."""


class Trimming:
    """State: how far each lane is on disk, and how far each input was trimmed."""

    def __init__(self) -> None:
        self._passed: dict[Name, dict[str, int]] = {}
        self._journaled: dict[Name, set[str]] = {}
        self._trimmed: dict[str, int] = {}

    def join(self, lane: Name, journaled: Iterable[str]) -> None:
        self._passed[lane] = {}
        self._journaled[lane] = set(journaled)

    def leave(self, lane: Name) -> None:
        self._passed.pop(lane, None)
        self._journaled.pop(lane, None)

    def saved(self, lane: Name, cursors: dict[str, int]) -> dict[str, int]:
        """Notes how far a lane is on disk; gives the journaled inputs that every lane has passed further than before."""
        if lane not in self._passed:
            return {}
        self._passed[lane].update(cursors)
        found: dict[str, int] = {}
        for name in self._journaled[lane]:
            lowest = min(self._passed[other].get(name, 0) for other, names in self._journaled.items() if name in names)
            if lowest > self._trimmed.get(name, 0):
                self._trimmed[name] = found[name] = lowest
        return found
