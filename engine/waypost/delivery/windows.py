"""Sliding windows that hold where the destination counts: what binds the requests of one kind.

Takes when a request was let go, when its first byte left on an open connection, and when its attempt ended. Gives the instant at which the next
may go. Pure: no clock of its own.

A request arrives at an instant that nobody here knows: after its first byte has left, and before its answer is there. So it has no place in
time until it leaves (a connection may take long to open), and counts from its answer, at the latest from MARGIN of the window after it left: a
slow answer shall not slow down what the destination allows. One that never left gives its place back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from waypost import plan as p

MARGIN = 0.04
"""How much of a window a request may take on its way to the destination. So much of the rate is given up where answers take longer."""

NEVER = float("inf")


class Place:
    """What a request takes of a window. `left`: when its first byte went. `over`: it counts from an instant that is known."""

    __slots__ = ("left", "messages", "over", "ticket")

    def __init__(self, ticket: int, messages: int) -> None:
        self.ticket = ticket
        self.messages = messages
        self.left: float | None = None
        self.over = False


class Window:
    """At most `count` in any `per_s` seconds. State: how much is taken, by those that count from a known instant (the earliest first), by
    those that have left and may not have arrived (likewise), and by those that have not left, which are only part of the sum."""

    def __init__(self, rate: p.Rate) -> None:
        self.of = rate.of
        self._count = rate.count
        self._per_s = rate.per_s
        self._margin = MARGIN * rate.per_s
        self._used = 0
        self._counted: deque[tuple[float, Place]] = deque()
        self._left: deque[Place] = deque()

    def _cost(self, place: Place) -> int:
        return 1 if self.of == "requests" else place.messages

    def wait_until(self, now: float, cost: int) -> float | None:
        """None: it may go. Else the first instant at which it might: one that has not left yet counts as now."""
        self._advance(now)
        if cost > self._count:
            # Never one batch, which is cut to fit: only one behind others.
            return NEVER
        free = self._count - self._used
        if cost <= free:
            return None
        for at, place in self._counted:
            free += self._cost(place)
            if free >= cost:
                return at + self._per_s
        return now + self._per_s

    def _advance(self, now: float) -> None:
        """Takes out what is past. Afterwards no one counts from an instant that is later than now."""
        left, counted = self._left, self._counted
        while left and (left[0].over or _since(left[0]) + self._margin <= now):
            place = left.popleft()
            if not place.over:
                place.over = True
                counted.append((_since(place) + self._margin, place))
        # Compared in the same form as the instant that is given out, so that asking again at it is granted.
        while counted and counted[0][0] + self._per_s <= now:
            self._used -= self._cost(counted.popleft()[1])

    def enter(self, place: Place) -> None:
        self._used += self._cost(place)

    def leaves(self, now: float, place: Place) -> None:
        if place.left is None and not place.over:
            place.left = now
            self._left.append(place)

    def ended(self, now: float, place: Place, *, unsent: bool) -> None:
        self._advance(now)
        if place.over:
            return
        place.over = True
        if place.left is None and unsent:
            self._used -= self._cost(place)
        else:
            self._counted.append((now, place))

    def history(self) -> list[tuple[float, Place]]:
        return list(self._counted)

    def inherit(self, rows: Iterable[tuple[float, Place]]) -> None:
        """Counts these too, except those that it has."""
        known = {place.ticket for _, place in self._counted}
        new = [row for row in rows if row[1].ticket not in known]
        self._used += sum(self._cost(place) for _, place in new)
        self._counted = deque(sorted([*self._counted, *new], key=lambda row: row[0]))


def _since(place: Place) -> float:
    assert place.left is not None
    return place.left


class Limit:
    """What binds the requests of one kind: how many at once, and sliding windows over requests and messages. State: what was let go."""

    def __init__(self, concurrency: int, rates: list[p.Rate]) -> None:
        self.concurrency = concurrency
        self.under_way = 0
        self._windows = [Window(rate) for rate in rates]
        self._places: dict[int, list[Place]] = {}
        """Of each request under way, its place in each window."""

    def wait_until(self, now: float, messages: int, *, requests: int = 1) -> float | None:
        """None: so many requests with so many messages may go now. Else the first instant at which they may."""
        latest = None
        for window in self._windows:
            until = window.wait_until(now, requests if window.of == "requests" else messages)
            if until is not None and (latest is None or until > latest):
                latest = until
        return latest

    def sent(self, ticket: int, messages: int) -> None:
        """A request is let go."""
        self.under_way += 1
        if not self._windows:
            return
        places = self._places[ticket] = [Place(ticket, messages) for _ in self._windows]
        for window, place in zip(self._windows, places, strict=True):
            window.enter(place)

    def left(self, now: float, ticket: int) -> None:
        """Its first byte goes, on a connection that is open."""
        for window, place in zip(self._windows, self._places.get(ticket, ()), strict=False):
            window.leaves(now, place)

    def ended(self, now: float, ticket: int, *, unsent: bool) -> None:
        """Its attempt has ended; `unsent`: no byte of it has left."""
        self.under_way -= 1
        for window, place in zip(self._windows, self._places.pop(ticket, ()), strict=False):
            window.ended(now, place, unsent=unsent)

    def inherit(self, other: Limit) -> None:
        """Goes on for a limit whose numbers have changed: what was sent under it counts here too, as far back as it was known."""
        latest: dict[int, tuple[float, Place]] = {}
        for window in other._windows:
            for at, place in window.history():
                known = latest.get(place.ticket)
                if known is None or at > known[0]:
                    latest[place.ticket] = (at, place)
        for window in self._windows:
            window.inherit(latest.values())
