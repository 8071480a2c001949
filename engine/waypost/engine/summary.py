"""What a run came to, and its exit status.

Takes ledgers and why lanes ended. Gives one Summary a lane, and the status of several: the gravest of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from waypost.delivery.ledger import Ledger
from waypost.events.guard import REASON

PRECEDENCE = (70, 2, 4, 5, 3, 0)
"""Exit statuses, the gravest first."""


@dataclass
class Summary:
    """What a lane came to; `status` is its exit status. `unread`: it ended before its sources did. `fault` is ours, and has ended it; `faults`
    counts those that the guard has caught (guard.py)."""

    ledger: Ledger
    stopped: str = ""
    interrupted: bool = False
    unread: bool = False
    seconds: float = 0.0
    fault: str = ""
    connection: str = ""
    source: str = ""
    faults: int = 0

    @property
    def caught(self) -> int:
        """How many events met a fault of ours."""
        return self.ledger.dead[REASON] + self.ledger.rejected[REASON]

    @property
    def status(self) -> int:
        """70 > 4 > 5 > 3 > 0: a ledger that does not close, stopped, interrupted with events kept, some dead or not to be read, all well."""
        if not self.ledger.closes or self.fault or self.faults or self.caught:
            return 70
        if self.stopped:
            return 4
        if self.interrupted and (self.unread or self.ledger.in_flight):
            return 5
        return 3 if self.ledger.dead or self.ledger.rejected or self.ledger.missing else 0


def status_of(summaries: list[Summary]) -> int:
    """The exit status of a run of several lanes."""
    found = {summary.status for summary in summaries}
    return next((status for status in PRECEDENCE if status in found), 0)
