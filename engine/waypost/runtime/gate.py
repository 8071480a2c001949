"""What requests to one host with one credential share: pause, concurrency and circuit breaker; and the rate of one request kind.

Takes instants and outcomes. Gives "go" or the instant to ask again. Pure: no clock, no random of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from waypost import plan as p
from waypost.runtime.outcome import backoff

FAILURES_TO_OPEN = 5
"""So many failures in a row open the breaker: then one probe at a time, with growing waits, until one succeeds."""


class Gate:
    """State: how many requests are under way, until when to pause, and the failures in a row."""

    def __init__(self, concurrency: int, jitter: Callable[[], float]) -> None:
        self.concurrency = concurrency
        self.under_way = 0
        self.paused_until = 0.0
        self.failures = 0
        self._jitter = jitter

    @property
    def open(self) -> bool:
        """Whether the breaker is open: retry budgets do not run then."""
        return self.failures >= FAILURES_TO_OPEN

    def wait_until(self, now: float) -> float | None:
        """None: a request may go now. Else the instant to ask again (infinity: when one that is under way has ended)."""
        if now < self.paused_until:
            return self.paused_until
        if self.under_way >= (1 if self.open else self.concurrency):
            return float("inf")
        return None

    def sent(self) -> None:
        self.under_way += 1

    def ended(self, now: float, *, failed: bool) -> None:
        """An attempt has ended: `failed` means that the destination did not work (retry), not that it refused."""
        self.under_way -= 1
        if not failed:
            self.failures = 0
            return
        self.failures += 1
        if self.open:
            self.pause(now + backoff(self.failures - FAILURES_TO_OPEN + 2, self._jitter))

    def pause(self, until: float) -> None:
        self.paused_until = max(self.paused_until, until)


class RateLimit:
    """Sliding windows over the requests and messages of one request kind. State: what was sent within each window."""

    def __init__(self, rates: list[p.Rate]) -> None:
        self._windows = [(rate, deque[tuple[float, int]]()) for rate in rates]

    def wait_until(self, now: float, messages: int) -> float | None:
        """None: the request may go now. Else the first instant at which it may."""
        latest: float | None = None
        for rate, window in self._windows:
            until = _window_wait(rate, window, now, 1 if rate.of == "requests" else messages)
            if until is not None:
                latest = until if latest is None else max(latest, until)
        return latest

    def sent(self, now: float, messages: int) -> None:
        for rate, window in self._windows:
            window.append((now, 1 if rate.of == "requests" else messages))


def _window_wait(rate: p.Rate, window: deque[tuple[float, int]], now: float, cost: int) -> float | None:
    # Compared in the same form as the instant that is given out, so that asking again at it is granted.
    while window and window[0][0] + rate.per_s <= now:
        window.popleft()
    used = sum(count for _, count in window)
    if used + cost <= rate.count or not window:
        return None
    free = rate.count - used
    for sent, count in window:
        free += count
        if free >= cost:
            return sent + rate.per_s
    return window[-1][0] + rate.per_s
