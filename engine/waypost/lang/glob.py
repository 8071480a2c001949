"""The patterns of `match`: `*`, `?`, `[abc]`, `[a-z]`, `[!a-z]` and `\\x`, over the whole text, in time linear in pattern and text.

Takes a pattern and a text. Gives whether they match; a pattern that cannot be read is a LangError with offsets in it.
"""

from __future__ import annotations

from typing import Any

from waypost.lang.errors import LangError


def glob_match(pattern: str, text: str) -> bool:
    """Whether the whole text matches a glob, in time linear in len(pattern) x len(text) at the worst."""
    tokens = glob_tokens(pattern)
    at, here = 0, 0
    star, mark = -1, 0
    while here < len(text):
        if at < len(tokens) and tokens[at] == "*":
            star, mark = at, here
            at += 1
        elif at < len(tokens) and _fits(tokens[at], text[here]):
            at += 1
            here += 1
        elif star >= 0:
            # Only the last star need give way: an earlier one already has its shortest match.
            mark += 1
            at, here = star + 1, mark
        else:
            return False
    return all(token == "*" for token in tokens[at:])


def _fits(token: Any, character: str) -> bool:
    if token == "?":
        return True
    if isinstance(token, tuple):
        negated, ranges = token
        return bool(any(low <= character <= high for low, high in ranges) != negated)
    return bool(token[1:] == character)


def glob_tokens(pattern: str) -> list[Any]:
    """`*`, `?`, (negated, ranges) or "=" and a character. Raises LangError for a class that is not closed or a lone backslash."""
    tokens: list[Any] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character in "*?":
            tokens.append(character)
        elif character == "[":
            end, token = _glob_class(pattern, at)
            tokens.append(token)
            at = end
        elif character == "\\":
            at += 1
            if at == len(pattern):
                raise LangError(
                    "syntax", "the pattern ends in a backslash", at - 1, at, help=r"write `\\` for a backslash"
                )
            tokens.append("=" + pattern[at])
        else:
            tokens.append("=" + character)
        at += 1
    return tokens


def _glob_class(pattern: str, start: int) -> tuple[int, tuple[bool, list[tuple[str, str]]]]:
    at = start + 1
    negated = pattern[at : at + 1] in ("!", "^")
    at += negated
    ranges: list[tuple[str, str]] = []
    while at < len(pattern) and (pattern[at] != "]" or not ranges):
        at += pattern[at] == "\\"
        low = pattern[at : at + 1]
        high = low
        if pattern[at + 1 : at + 2] == "-" and pattern[at + 2 : at + 3] not in ("]", ""):
            high = pattern[at + 2]
            at += 2
        ranges.append((low, high))
        at += 1
    if at >= len(pattern):
        raise LangError(
            "syntax",
            "`[` opens a class of characters that is not closed",
            start,
            len(pattern),
            help=r"close it with `]`, or write `\[`",
        )
    return at, (negated, ranges)
