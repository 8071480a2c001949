""" "Did you mean": the nearest of some words, only within a third of the word's length."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word with the fewest edits from `word`, or None when none is near enough."""
    best: str | None = None
    limit = max(1, len(word) // 3)
    for candidate in sorted(known):
        if abs(len(candidate) - len(word)) > limit:
            continue
        distance = edits(word.lower(), candidate.lower())
        if distance <= limit:
            best, limit = candidate, distance - 1
    return best


def edits(left: str, right: str) -> int:
    """Insertions, deletions, replacements and swaps of neighbours between two words."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        before, row, last = row, [i], before
        for j, b in enumerate(right, 1):
            cost = min(row[j - 1] + 1, before[j] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
