"""What is said of one lane: that its destination fails and works again, that it has stopped or ended, and faults of ours.

Takes what happens to a lane. Gives notices with the lane's name, each once. A run of one lane says its own end; where others go on, or wait,
nobody would see it there, so it is told at once.
"""

from __future__ import annotations

from collections.abc import Callable

from waypost.events.guard import Guard
from waypost.events.notices import Notice


class LaneNotices:
    """State: whether the destination fails, and whether the end was told."""

    def __init__(
        self, notice: Callable[[str], None], connection: str, source: str, *, patient: bool, among: bool
    ) -> None:
        """`patient` and `among`: see lane_runner.Role."""
        self._notice = notice
        self._name = connection, source
        self._patient = patient
        self._apart = patient or among
        self._failing = False
        self._told_end = False

    def say(self, text: str, event: str, level: str = "info", **fields: str) -> None:
        connection, source = self._name
        said = f"{connection}: {text}" if self._apart else text
        self._notice(Notice(said, event, level=level, connection=connection, source=source, **fields))

    def hear(self, guard: Guard) -> Guard:
        """What the guard of a program catches is told as this lane's."""
        if guard.tell is None:
            guard.tell = lambda text: self.say(str(text), "fault", "error")
        return guard

    def answered(self, why: str, *, failing: bool) -> None:
        """`failing`: whether the destination is left alone now."""
        if failing == self._failing:
            return
        self._failing = failing
        if failing:
            waiting = f"the destination fails ({why}): trying it now and then"
            self.say(waiting, "outage", "warning", reason=why)
        else:
            self.say("the destination works again", "recovery")

    def ended(self, fault: str, stopped: str) -> None:
        """`fault` is ours, `stopped` is why the lane sends no more; empty where there is none."""
        why = fault or stopped
        if not why or self._told_end or not self._apart:
            return
        self._told_end = True
        again = ", it goes on when it is loaded again" if self._patient else ""
        said = f"ended: {why}" if fault else f"stopped: {why}; nothing is lost{again}"
        self.say(said, "stopped", "error", reason=why)

    def begun_again(self) -> None:
        """The lane has another plan: it may end once more."""
        self._told_end = False
