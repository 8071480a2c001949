"""A line of a file as a terminal shows it: which columns each character takes, and the stretch of a long line that is shown.

Takes a line, the stretch of it that matters, and how many columns there are. Gives the text to show and where the stretch stands in it.
Tabs are spaces here, and characters that would move the cursor or turn the line around are a sign of their own: what is counted is what is
seen.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

TAB = 4
LEAST = 4
"""No line is shown in fewer columns: a sign for what is cut at each side, and one wide character."""

ROOMY = 16
"""With so many columns, something is shown before a stretch that does not fit."""

CUT = "…"
HIDDEN = "\ufffd"
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Signs that change the direction of text: behind them, what stands under a caret would be something else."""


class Shown(NamedTuple):
    """`text` is a part of the line, columns `low` to `high` of it; `cut`: a sign for what is cut stands before it."""

    text: str
    low: int
    high: int
    cut: bool

    def holds(self, start: int, end: int) -> bool:
        return self.low <= start and end <= self.high

    def marks(self, start: int, end: int) -> tuple[int, int]:
        """Where a stretch stands in the text: the columns before it, and how many it takes (at least one)."""
        start, end = max(start, self.low), min(end, self.high)
        return self.cut + start - self.low, max(1, end - start)


def width(character: str) -> int:
    """The columns of one character that a terminal prints."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf") or "\u1160" <= character <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def columns(text: str) -> int:
    """The columns that a text without tabs takes."""
    return sum(map(width, text))


def columns_before(line: str) -> list[int]:
    """For each character of a line the column where it begins, and then the column behind the last one."""
    found = [0]
    for character in line:
        found.append(found[-1] + (TAB - found[-1] % TAB if character == "\t" else width(_seen(character))))
    return found


def part(line: str, start: int, end: int, room: int | None) -> Shown:
    """What is shown of a line in so many columns: those from `start` to `end` are in view, or their beginning when they do not fit."""
    whole = max(columns_before(line)[-1], end)
    if room is None or whole <= room:
        # Behind the end of the line there is room for a caret as well.
        high = whole + 1 if room is None or whole < room else whole
        return Shown("".join(glyph for glyph, _ in _glyphs(line)), 0, high, cut=False)
    room = max(LEAST, room)
    low = _low(start, end, whole, room)
    high = low + room - (low > 0)
    if high < whole:
        high -= 1
    return _between(line, low, high, whole)


def _low(start: int, end: int, whole: int, room: int) -> int:
    """The first column to show: 0 where that does, else so that the stretch stands in the middle; never behind its start."""
    if end <= room - 1:
        return 0
    spare = room - 2 - (end - start)
    if spare < 0:
        return max(0, start - room // 4) if room >= ROOMY else start
    return min(max(start - spare // 2, 2), start, max(whole - (room - 1), 2))


def _between(line: str, low: int, high: int, whole: int) -> Shown:
    """The characters that stand wholly between two columns. A wide one that a side would halve is left out."""
    shown: list[str] = []
    at, first, last = 0, None, low
    for glyph, wide in _glyphs(line):
        if at >= low and at + wide <= high and (wide or shown or low == 0):
            first = at if first is None else first
            shown.append(glyph)
            last = at + wide
        at += wide
    first = low if first is None else first
    last = min(high, whole) if last >= at else last
    return Shown(f"{CUT * (first > 0)}{''.join(shown)}{CUT * (last < at)}", first, last, first > 0)


def _glyphs(line: str) -> Iterator[tuple[str, int]]:
    """What is printed for each character, a tab as its single spaces, with its columns."""
    at = 0
    for character in line:
        if character == "\t":
            spaces = TAB - at % TAB
            yield from [(" ", 1)] * spaces
            at += spaces
        else:
            seen = _seen(character)
            at += (wide := width(seen))
            yield seen, wide


def _seen(character: str) -> str:
    return HIDDEN if character in TURNING or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") else character


def wrapped(text: str, room: int) -> list[str]:
    """A text in rows of at most so many columns, broken at spaces, and within a word that is longer than a row."""
    rows, row, taken = [], "", 0
    for word in text.split(" "):
        wide = columns(word)
        if row and taken + 1 + wide <= room:
            row, taken = f"{row} {word}", taken + 1 + wide
            continue
        if row:
            rows.append(row)
        row, taken = "", 0
        for character in word:
            if row and taken + width(character) > room:
                rows.append(row)
                row, taken = "", 0
            row, taken = row + character, taken + width(character)
    return [*rows, row] if row else rows
