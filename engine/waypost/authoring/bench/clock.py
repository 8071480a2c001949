"""Sides that take turns: every round runs every side once, every other round backwards, so that a slow moment hits all alike.

Takes functions without arguments. Gives the seconds of processor time of each, a list in the order of the rounds; `Spread` says what a list
comes to. Why the processor's time: another program that takes the processor away is no cost of ours. What waits (a network, another process)
is not for this clock.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Side = Callable[[], object]


@dataclass(frozen=True)
class Spread:
    """The median of some figures, with the lowest and the highest."""

    middle: float
    low: float
    high: float

    def times(self, factor: float) -> Spread:
        return Spread(self.middle * factor, self.low * factor, self.high * factor)


def spread(figures: Sequence[float]) -> Spread:
    return Spread(statistics.median(figures), min(figures), max(figures))


def middle_half(figures: Sequence[float]) -> Spread:
    """The median, with the quarter and the three-quarter mark: for differences, whose extremes are those of the machine."""
    ordered = sorted(figures)
    rank = (len(ordered) - 1) // 4
    return Spread(statistics.median(ordered), ordered[rank], ordered[-1 - rank])


def ratios(over: Sequence[float], under: Sequence[float]) -> Spread:
    """One side's time by another's, round by round: what both had in a slow moment cancels out."""
    return spread([one / other for one, other in zip(over, under, strict=True)])


def interleaved(sides: Mapping[str, Side], rounds: int) -> dict[str, list[float]]:
    """Seconds of processor time. A round before the first warms up and is not counted."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    order = list(sides)
    for name in order:
        sides[name]()
    for turn in range(rounds):
        for name in order if turn % 2 == 0 else reversed(order):
            start = time.process_time()
            sides[name]()
            found[name].append(time.process_time() - start)
    return found


def differences(whole: Side, less: Side, rounds: int) -> list[float]:
    """How much more the whole takes, in seconds a round: the two run side by side, and take turns in who is first."""
    found = interleaved({"whole": whole, "less": less}, rounds)
    return [more - fewer for more, fewer in zip(found["whole"], found["less"], strict=True)]
