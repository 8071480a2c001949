"""Splitting text into words, for snakecase, kebabcase and titlecase: one rule for triggers and for templates.

A word ends at anything that is neither letter nor digit, between a lower-case letter or digit and an upper-case letter, and before the last
capital of a run that a lower-case letter follows ("HTTPServer" is HTTP, Server).
"""

from __future__ import annotations


def words(text: str) -> list[str]:
    """The words of a text, in order, as written."""
    found: list[str] = []
    current = ""
    for index, character in enumerate(text):
        if not character.isalnum():
            if current:
                found.append(current)
            current = ""
            continue
        after = text[index + 1] if index + 1 < len(text) else ""
        starts = character.isupper() and current and (not current[-1].isupper() or after.islower())
        if starts:
            found.append(current)
            current = ""
        current += character
    return [*found, current] if current else found


def snakecase(text: str) -> str:
    return "_".join(word.lower() for word in words(text))


def kebabcase(text: str) -> str:
    return "-".join(word.lower() for word in words(text))


def titlecase(text: str) -> str:
    return " ".join(word[:1].upper() + word[1:].lower() for word in words(text))
