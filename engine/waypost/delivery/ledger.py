"""The ledger: what became of every line and every delivery. It closes, or the run says that it does not.

For a source: read = rejected lines + accepted events. For a lane: deliveries = delivered + filtered + dead + in flight, at every instant. In a
state, a lane's ledger goes on from run to run; only what has ended is in it, because what is on its way is read again.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass
class Ledger:
    """Counts of one lane. `dead` and `filtered` by reason; `bytes` are of bodies as sent. `in_flight` is counted apart: it can disagree.
    `missing`: so many places of the inputs could not be read, with `missing_bytes` that are known: gone, or damaged.
    `let_go`: so many dead letters are no longer held, because they were dropped or went to a file."""

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
    let_go: int = 0
    missing: int = 0
    missing_bytes: int = 0

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
            "missing": self.missing,
            "missing_bytes": self.missing_bytes,
            "closes": self.closes,
        }

    def settled(self, events: int) -> Ledger:
        """Only what has ended. `events`: so many events are on their way; they are counted when they are read again."""
        return dataclasses.replace(
            self,
            read=self.read - events,
            accepted=self.accepted - events,
            deliveries=self.deliveries - self.in_flight,
            in_flight=0,
            rejected=+self.rejected,
            filtered=+self.filtered,
            dead=+self.dead,
        )

    def counts(self) -> dict[str, Any]:
        return {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}

    def plus(self, other: Ledger) -> Ledger:
        return Ledger(**{name: _sum(held, getattr(other, name)) for name, held in self.counts().items()})


def _sum(left: Any, right: Any) -> Any:
    """Counts of reasons keep no zero, but may be negative where a change is added up."""
    if not isinstance(left, Counter):
        return left + right
    found = Counter(left)
    for reason, count in right.items():
        found[reason] += count
    return Counter({reason: count for reason, count in found.items() if count})


def pack(ledger: Ledger) -> bytes:
    """As it is stored."""
    return msgspec.json.encode(ledger.counts())


def unpack(data: bytes) -> Ledger:
    held = msgspec.json.decode(data)
    counts: Any = {name: Counter(value) if isinstance(value, dict) else value for name, value in held.items()}
    return Ledger(**counts)
