"""The guard: what is our fault while one event is handled ends that event, not the run.

Takes exceptions that nobody foresaw. Gives a sentence with their type and place, never their message or a value, which may hold what an event
or a setting holds. Who catches one makes the event a dead letter with the reason `fault`, and everything else goes on; each kind is told once,
and the run ends with status 70. With WAYPOST_GUARD=off in the environment nothing is caught, so that a test sees the bug where it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from waypost.events.notices import Notice

SWITCH = "WAYPOST_GUARD"

REASON = "fault"
"""Of the dead letters of such events."""

_OURS = str(Path(__file__).resolve().parent.parent) + os.sep
_GENERATED = "<waypost "


class Guard:
    """State: what has been told, and how many faults there were. `tell` is told a sentence once a kind."""

    def __init__(self, on: bool | None = None, tell: Callable[[str], None] | None = None) -> None:
        self.on = os.environ.get(SWITCH, "").lower() != "off" if on is None else on
        self.tell = tell
        self.count = 0
        self.first = ""
        self._told: set[str] = set()

    def caught(self, error: BaseException, doing: str, *, then: str = "its event is a dead letter") -> str:
        """Gives what a dead letter says: the exception's type and place, and what was done to the event. Raises it where the guard is off."""
        if not self.on:
            raise error
        self.count += 1
        said = f"{told(error)}, while an event was {doing}"
        self.first = self.first or said
        if said not in self._told:
            self._told.add(said)
            if self.tell is not None:
                self.tell(Notice(f"a fault of waypost: {said}; {then}, the rest goes on", "fault", level="error"))
        return said


def told(error: BaseException) -> str:
    """`TypeError at delivery/lane.py:210`: the innermost line of ours, in generated code that of `waypost show program`."""
    place = "an unknown place"
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.startswith(_OURS):
            place = f"{file.removeprefix(_OURS)}:{trace.tb_lineno}"
        elif file.startswith(_GENERATED):
            place = f"the program's line {trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__} at {place}"
