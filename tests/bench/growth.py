"""How cost grows with the work: linear or better.

Gives a Curve for each thing that can grow: the cost of an event at each size, and the slope of the whole cost in logarithms (1 is linear).
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from bench import inputs, plans
from waypost.authoring.bench.clock import Spread, interleaved, spread
from waypost.authoring.bench.measure import over
from waypost.program.program import Program

NOW = 0.0
TRACK = '{"type":"track","event":"%s","userId":"user-%d","messageId":"m-%d-%s","properties":%s}'


@dataclass(frozen=True)
class Point:
    at: float
    us: Spread
    """Microseconds an event."""


@dataclass(frozen=True)
class Curve:
    """`of` names what grows. `slope` is that of an event's cost over it, in logarithms, between the last half of the points; `linear` is the
    slope of cost in proportion to the work: 1 where an event grows, 0 where there are more events."""

    of: str
    unit: str
    points: list[Point] = field(default_factory=list)
    skipped: str = ""
    linear: float = 1.0
    note: str = ""

    @property
    def slope(self) -> float:
        half = self.points[(len(self.points) - 1) // 2 :]
        xs = [math.log(max(point.at, 1e-9)) for point in half]
        ys = [math.log(point.us.middle) for point in half]
        middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
        over_x = sum((x - middle_x) ** 2 for x in xs)
        return sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / over_x if over_x else 0.0


def curve(of: str, unit: str, steps: dict[float, tuple[Program, list[bytes]]], rounds: int) -> Curve:
    """All steps in turns."""
    sides = {str(at): over(program, lines, NOW) for at, (program, lines) in steps.items()}
    found = interleaved(sides, rounds)
    points = [Point(at, spread(found[str(at)]).times(1e6 / len(lines))) for at, (_, lines) in steps.items()]
    return Curve(of, unit, points)


def sizes(program: Program, rounds: int) -> Curve:
    wanted = (300, 1_000, 3_000, 10_000, 30_000)
    return curve(
        "message size",
        "kB",
        {size / 1000: (program, inputs.sized(max(2_000_000 // size, 50), size)) for size in wanted},
        rounds,
    )


def actions(rounds: int) -> Curve:
    """Events spread over all actions of the plan."""
    steps = {}
    for count in (1, 2, 5, 10, 20, 50):
        lines = _events(3_000, lambda number, count=count: f"Event {number % count}", lambda number: {"total": number})  # type: ignore[misc]
        steps[float(count)] = (plans.program_of(plans.actions(count)), lines)
    return curve("actions of the plan", "actions", steps, rounds)


def fields(rounds: int) -> Curve:
    """The event grows with the mapping: a property a field."""
    steps = {}
    for count in (5, 15, 50, 150, 500):
        lines = _events(max(20_000 // count, 50), lambda number: "A", _properties(count))
        steps[float(count)] = (plans.program_of(plans.fields(count)), lines)
    return curve("fields of the mapping", "fields", steps, rounds)


def templated(rounds: int) -> Curve:
    lines = _events(1_500, lambda number: "A", _properties(20))
    steps = {
        float(share): (plans.program_of(plans.fields(20, 20 * share // 100)), lines) for share in (0, 25, 50, 75, 100)
    }
    return curve("templates among 20 fields", "%", steps, rounds)


def small_events(count: int, size: int) -> list[bytes]:
    """Track events that end-to-end runs repeat with other ids."""
    return inputs.sized(count, size)


def _properties(count: int) -> Callable[[int], dict[str, object]]:
    rng = random.Random(count)
    return lambda number: {f"p{index}": f"Value {rng.getrandbits(32):08X}" for index in range(count)}


def _events(count: int, event: Callable[[int], str], properties: Callable[[int], dict[str, object]]) -> list[bytes]:
    rng = random.Random(count)
    return [
        (
            TRACK
            % (
                event(number),
                number,
                number,
                f"{rng.getrandbits(64):016x}",
                json.dumps(properties(number), separators=(",", ":")),
            )
        ).encode()
        for number in range(count)
    ]
