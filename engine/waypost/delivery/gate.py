"""What requests to one host with one credential share: pause, concurrency, circuit breaker, and the rates of each kind of request.

Takes instants, askers (a lane's kinds of request), when requests left and how attempts ended. Gives "go" or the instant
to ask again. Pure: no clock, no random of its own. The instants must not run backwards: give it a clock that does not step.

Askers that were refused stand in a queue, and what is free goes to the first of it: a lane with a long backlog gets its turn, never all.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from waypost import plan as p
from waypost.delivery.outcome import backoff
from waypost.delivery.windows import NEVER, Limit

__all__ = ["FAILURES_TO_OPEN", "LAPSE_S", "NEVER", "Gate", "Limit", "Want"]

FAILURES_TO_OPEN = 5
"""So many failures in a row open the breaker: then one probe at a time, with growing waits, until one succeeds."""

LAPSE_S = 1.0
"""A lane that does not take what is free for it loses its turn after this long: a lane that went away wedges nobody."""


@dataclass
class Want:
    """What an asker in the queue waits for. `passed_over`: since when something was free for it."""

    limit: Limit
    messages: int
    passed_over: float | None = None


class Gate:
    """State: requests under way, until when to pause, the failures in a row, how many may go at once, and who waits.

    At most `concurrency` requests at once; fewer when the destination cannot keep up: a failure or a 429 halves `allowed` (once for all that
    were under way then), a full round of successes adds one.
    """

    def __init__(self, concurrency: int, jitter: Callable[[], float]) -> None:
        self.concurrency = concurrency
        self.allowed = concurrency
        self.under_way = 0
        self.paused_until = 0.0
        self.failures = 0
        self.throttles = 0
        self._jitter = jitter
        self._limits: dict[tuple[int, tuple[p.Rate, ...]], Limit] = {}
        self._queue: dict[Hashable, Want] = {}
        self._tickets = 0
        self._round = 0
        self._halved_at = 0
        self._opened_at = 0
        self._probe_at = 0.0
        self._ran = 0.0
        self._ran_until: float | None = None

    @property
    def open(self) -> bool:
        """Whether the breaker is open: retry budgets do not run then."""
        return self.failures >= FAILURES_TO_OPEN

    @property
    def again(self) -> float:
        """The instant before which nothing is sent."""
        return max(self.paused_until, self._probe_at) if self.open else self.paused_until

    def limit(self, request: p.Request) -> Limit:
        """The limit for a kind of request. Kinds with the same numbers share it: the credential has them once."""
        key = (request.concurrency, tuple(request.rate))
        return self._limits.setdefault(key, Limit(request.concurrency, request.rate))

    # Asking.

    def ask(self, now: float, asker: Hashable, limit: Limit, messages: int) -> float | None:
        """None: this request may go now, say `sent`. Else the instant to ask again (infinity: when one that is under way has ended); the asker
        then stands in the queue until it sends or leaves."""
        until = self._wait(now, limit, messages)
        if until is None and self._queue:
            until = self._behind(now, asker, limit, messages)
        if until is None:
            return None
        want = self._queue.get(asker)
        if want is None:
            self._queue[asker] = Want(limit, messages)
        else:
            want.limit, want.messages = limit, messages
        return until

    def _wait(self, now: float, limit: Limit, messages: int, *, slots: int = 1, requests: int = 1) -> float | None:
        paused = self.again
        if now < paused:
            return paused
        if (
            self.under_way + slots > (1 if self.open else self.allowed)
            or limit.under_way + requests > limit.concurrency
        ):
            return NEVER
        return limit.wait_until(now, messages, requests=requests)

    def _behind(self, now: float, asker: Hashable, limit: Limit, messages: int) -> float | None:
        """The wait of an asker that could go, if it were not for those before it in the queue."""
        slots, requests, before = 1, 1, 0
        again = NEVER
        lapsed: list[Hashable] = []
        for other, want in self._queue.items():
            if other == asker:
                break
            same = want.limit is limit
            cost = want.messages + before * same
            its = self._wait(now, want.limit, cost, slots=slots, requests=requests if same else 1)
            if its is None:
                want.passed_over = now if want.passed_over is None else want.passed_over
                its = want.passed_over + LAPSE_S
                if now >= its:
                    lapsed.append(other)
            elif not same:
                continue
            again = min(again, its)
            slots += 1
            if same:
                requests, before = requests + 1, before + want.messages
        until = self._wait(now, limit, before + messages, slots=slots, requests=requests)
        for other in lapsed:
            del self._queue[other]
        return None if until is None else max(now, min(until, again))

    def leave(self, asker: Hashable) -> None:
        """The asker wants nothing at present."""
        self._queue.pop(asker, None)

    def sent(self, asker: Hashable, limit: Limit, messages: int) -> int:
        """A request goes. Gives its ticket, for `left` and `ended`."""
        self._queue.pop(asker, None)
        self.under_way += 1
        self._tickets += 1
        limit.sent(self._tickets, messages)
        return self._tickets

    @staticmethod
    def left(now: float, ticket: int, limit: Limit) -> None:
        """The first byte of a request goes to the destination: from now on it can arrive."""
        limit.left(now, ticket)

    # Answers.

    def ended(
        self,
        now: float,
        ticket: int,
        limit: Limit,
        *,
        failed: bool = False,
        throttled: bool = False,
        unsent: bool = False,
    ) -> None:
        """An attempt has ended: `failed` means that the destination did not work (retry), not that it refused; `throttled` that it is asked
        too often; `unsent` that no byte of it has left, so that no window has it."""
        self._advance(now)
        self.under_way -= 1
        limit.ended(now, ticket, unsent=unsent)
        self.throttles = self.throttles + 1 if throttled else 0
        if failed or throttled:
            self._halve(ticket)
        else:
            self._grow()
        if not failed:
            self.failures = 0
            return
        # What was under way when the breaker opened says nothing new: only probes make it wait longer.
        if self.open and ticket <= self._opened_at:
            return
        self.failures += 1
        if self.open:
            if self.failures == FAILURES_TO_OPEN:
                self._opened_at = self._tickets
            self._probe_at = now + backoff(self.failures - FAILURES_TO_OPEN + 2, self._jitter)

    def _halve(self, ticket: int) -> None:
        self._round = 0
        if ticket > self._halved_at:
            self.allowed = max(1, self.allowed // 2)
            self._halved_at = self._tickets

    def _grow(self) -> None:
        self._round += 1
        if self._round >= self.allowed and self.allowed < self.concurrency:
            self.allowed += 1
            self._round = 0

    def throttle(self, now: float, wait: float | None) -> None:
        """Pauses everything for so long. A destination that asks for no wait that can be told is left alone for a growing one."""
        self.pause(now, now + (wait or backoff(max(1, self.throttles), self._jitter)))

    def pause(self, now: float, until: float) -> None:
        self._advance(now)
        self.paused_until = max(self.paused_until, until)

    # The clock of retry budgets.

    def ran(self, now: float) -> float:
        """Seconds in which requests could go: retry budgets do not run while the breaker is open or the gate is paused."""
        self._advance(now)
        return self._ran

    def _advance(self, now: float) -> None:
        since = now if self._ran_until is None else self._ran_until
        if not self.open:
            self._ran += max(0.0, now - max(since, self.paused_until))
        self._ran_until = max(since, now)
