"""Sides that tell their own time, in turns.

Takes functions that do the work once and give microseconds an event. Gives all figures, and a table of them with ratios by one of the sides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from bench.page import table
from waypost.authoring.bench.clock import Spread, ratios, spread

Turn = Callable[[], float]


def timed(run: Callable[[], int], count: int) -> Turn:
    """Processor time of a side in this process. What it made is asked for, so that no side may skip its work."""

    def turn() -> float:
        start = time.process_time()
        made = run()
        used = time.process_time() - start
        assert made > 0
        return used / count * 1e6

    return turn


def take(sides: Mapping[str, Turn], rounds: int) -> dict[str, list[float]]:
    """One round warms up and is not counted; every other round goes backwards."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    order = list(sides)
    for turn in range(rounds + 1):
        for name in order if turn % 2 == 0 else reversed(order):
            us = sides[name]()
            if turn:
                found[name].append(us)
    return found


def compared(found: Mapping[str, list[float]], base: str, first: str = "") -> str:
    """A row a side: its time, and how many times that of `base` it is."""
    rows = []
    for name, figures in found.items():
        times = "" if name == base else told(ratios(figures, found[base]))
        rows.append([name, told(spread(figures)), times])
    return table([first, "µs an event", f"times {base}"], rows)


def told(figure: Spread) -> str:
    """Median (lowest to highest)."""
    digits = 0 if figure.middle >= 100 else 1 if figure.middle >= 10 else 2
    return f"{figure.middle:.{digits}f} ({figure.low:.{digits}f} to {figure.high:.{digits}f})"
