"""How the requests of one lane ended, and how long they took.

Takes each attempt as it ends. Gives counts since the engine began; the ledger counts what became of deliveries, this what became of attempts.
Done once a request, never once an event.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""The upper bounds of the histogram of durations, in seconds."""


class Traffic:
    """State: attempts by how they ended ("2xx", ..., "unsent", "unanswered"), their durations by bound, and the messages of which nobody
    knows whether they arrived."""

    def __init__(self) -> None:
        self.ended: Counter[str] = Counter()
        self.durations = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0
        self.maybe_twice = 0

    def attempt(self, status: str, seconds: float, messages: int) -> None:
        self.ended[f"{status[0]}xx" if status.isdecimal() else status] += 1
        self.durations[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
        if status == "unanswered":
            self.maybe_twice += messages
