"""Curves as one SVG, readable on a light and on a dark page: plain text, no library.

A panel a curve, both axes in logarithms (but for a share in per cent): microseconds an event over what grows, the range of the rounds behind
the line, and a dashed line where the cost would be if it grew as the work does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from bench.growth import Curve

WIDTH, HEIGHT, COLUMNS = 300, 210, 3
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 30, 34
STYLE = """
  text { font: 11px system-ui, sans-serif; fill: #333 }
  .title { font-weight: 600; font-size: 12px }
  .grid { stroke: #8884; stroke-width: 1 }
  .line { stroke: #1668b8; stroke-width: 2; fill: none }
  .dot { fill: #1668b8 }
  .range { fill: #1668b8; opacity: .18 }
  .linear { stroke: #888; stroke-width: 1; stroke-dasharray: 4 3; fill: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #ccc }
    .line { stroke: #6cb4f5 } .dot { fill: #6cb4f5 } .range { fill: #6cb4f5 } .linear { stroke: #999 }
  }
"""

Scale = Callable[[float], float]


def svg(curves: list[Curve]) -> str:
    """The whole picture."""
    drawn = [curve for curve in curves if curve.points]
    rows = -(-len(drawn) // COLUMNS)
    width, height = WIDTH * min(COLUMNS, len(drawn)), HEIGHT * rows
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">',
        "<title>Microseconds an event as the work grows</title>",
        f"<style>{STYLE}</style>",
    ]
    for index, curve in enumerate(drawn):
        parts.append(f'<g transform="translate({WIDTH * (index % COLUMNS)} {HEIGHT * (index // COLUMNS)})">')
        parts += _panel(curve)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(curve: Curve) -> Iterator[str]:
    low = min(point.us.low for point in curve.points)
    high = max(point.us.high for point in curve.points)
    bottom, top = _around(low, high)
    first, last = curve.points[0].at, curve.points[-1].at
    x = _scale(first, last, LEFT, WIDTH - RIGHT, logarithmic=first > 0)
    y = _scale(bottom, top, HEIGHT - BOTTOM, TOP, logarithmic=True)
    yield f'<text class="title" x="{LEFT}" y="16">{curve.of}</text>'
    for mark in _marks(bottom, top):
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>'
        yield f'<text x="{LEFT - 5}" y="{y(mark) + 4:.1f}" text-anchor="end">{mark:g}</text>'
    for point in curve.points:
        yield f'<text x="{x(point.at):.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{short(point.at)}</text>'
    yield f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{curve.unit}</text>'
    yield f'<text x="{LEFT}" y="{HEIGHT - 6}">µs an event</text>'
    over = [f"{x(point.at):.1f},{y(point.us.high):.1f}" for point in curve.points]
    under = [f"{x(point.at):.1f},{y(point.us.low):.1f}" for point in reversed(curve.points)]
    yield f'<polygon class="range" points="{" ".join(over + under)}"/>'
    if first > 0 and curve.linear:
        yield _linear(curve, x, y, top)
    yield f'<polyline class="line" points="{" ".join(f"{x(point.at):.1f},{y(point.us.middle):.1f}" for point in curve.points)}"/>'
    for point in curve.points:
        yield f'<circle class="dot" cx="{x(point.at):.1f}" cy="{y(point.us.middle):.1f}" r="3"/>'


def _linear(curve: Curve, x: Scale, y: Scale, top: float) -> str:
    """From the first point, as steep as the work; cut where the panel ends."""
    start, end = curve.points[0], curve.points[-1].at
    factor = min(end / start.at, top / start.us.middle)
    return (
        f'<line class="linear" x1="{x(start.at):.1f}" y1="{y(start.us.middle):.1f}"'
        f' x2="{x(start.at * factor):.1f}" y2="{y(start.us.middle * factor):.1f}"/>'
    )


def _scale(low: float, high: float, start: float, end: float, *, logarithmic: bool) -> Scale:
    change = math.log if logarithmic else float
    bottom, span = change(low), (change(high) - change(low)) or 1.0
    return lambda value: start + (change(value) - bottom) / span * (end - start)


def _around(low: float, high: float) -> tuple[float, float]:
    """Marks below and above, at least a factor of ten apart, so that noise does not look like a slope."""
    marks = [base * 10.0**power for power in range(-3, 7) for base in (1, 2, 5)]
    bottom = max(mark for mark in marks if mark <= low)
    return bottom, min(mark for mark in marks if mark >= max(high, bottom * 9.9))


def _marks(bottom: float, top: float) -> list[float]:
    found = [base * 10.0**power for power in range(-3, 7) for base in (1, 2, 5)]
    return [mark for mark in found if bottom * 0.999 <= mark <= top * 1.001]


def short(value: float) -> str:
    """A mark of an axis: 300, 10k, 1M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
