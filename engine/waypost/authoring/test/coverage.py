"""How much of a spec its tests reach: the points of points.py that trace.py marked, counted.

Takes Points and what was reached. Gives Coverage: counts and percentages by kind, and what no test reaches, with its place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from waypost.authoring.test.points import KINDS, Point
from waypost.compiler.read.source import Source


@dataclass(frozen=True)
class Coverage:
    """Of one spec."""

    source: Source
    points: tuple[Point, ...]
    reached: frozenset[Point]

    @property
    def missed(self) -> list[Point]:
        """In order of the file."""
        return [point for point in self.points if point not in self.reached]

    def counts(self, kind: str | None = None) -> tuple[int, int]:
        """(reached, all) of a kind, or of everything."""
        points = [point for point in self.points if kind in (None, point.kind)]
        return sum(point in self.reached for point in points), len(points)

    def percent(self, kind: str | None = None) -> float:
        """Rounded down to a tenth, so that 100 is all of it; of nothing, all is reached."""
        reached, of = self.counts(kind)
        return math.floor(1000 * reached / of) / 10 if of else 100.0

    def place(self, point: Point) -> str:
        line, column = self.source.position(point.span.start)
        return f"{self.source.path}:{line}:{column}"

    def as_dict(self) -> dict[str, object]:
        kinds = {}
        for kind in KINDS:
            reached, of = self.counts(kind)
            kinds[kind] = {"reached": reached, "of": of, "percent": self.percent(kind)}
        missed = []
        for point in self.missed:
            line, column = self.source.position(point.span.start)
            missed.append({"kind": point.kind, "line": line, "column": column, "what": point.what})
        return {"percent": self.percent(), **kinds, "missed": missed}
