"""The ledger: what became of every line and every delivery. It closes, or the run says that it does not.

For a source: read = rejected lines + accepted events. For a lane: deliveries = delivered + filtered + dead + in flight, at every instant.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Ledger:
    """Counts of one lane. `dead` and `filtered` by reason; `bytes` are of bodies as sent. `in_flight` is counted apart: it can disagree."""

    read: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    deliveries: int = 0
    delivered: int = 0
    filtered: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    requests: int = 0
    attempts_again: int = 0
    bytes: int = 0

    @property
    def closes(self) -> bool:
        ended = self.delivered + self.filtered.total() + self.dead.total()
        return self.read == self.rejected.total() + self.accepted and self.deliveries == ended + self.in_flight

    def as_dict(self) -> dict[str, Any]:
        return {
            "read": self.read,
            "rejected_lines": dict(sorted(self.rejected.items())),
            "events": self.accepted,
            "deliveries": self.deliveries,
            "delivered": self.delivered,
            "filtered": dict(sorted(self.filtered.items())),
            "dead": dict(sorted(self.dead.items())),
            "in_flight": self.in_flight,
            "requests": self.requests,
            "retries": self.attempts_again,
            "bytes": self.bytes,
            "closes": self.closes,
        }
