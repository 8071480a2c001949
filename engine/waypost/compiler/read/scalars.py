"""Where in the file each character of a YAML scalar's value stands.

Takes the file's text, the scalar's span, style and value. Gives the offset of each value character (and one for the end), or None when the
two cannot be aligned. Why: a fault inside a path or trigger is shown under the exact characters, also in quoted and folded scalars.
"""

from __future__ import annotations

import re

_HEX = {"x": 2, "u": 4, "U": 8}
_BREAK = re.compile(r"[ \t]*(?:\r\n|\r|\n)(?:[ \t]*(?:\r\n|\r|\n))*[ \t]*")


def char_offsets(text: str, start: int, end: int, style: str, value: str) -> list[int] | None:
    """Offsets of the value's characters, in order, then the offset of its end."""
    if style in ("literal", "folded"):
        return _block(text, start, end, value)
    if style != "plain":
        start, end = start + 1, end - 1
    offsets: list[int] = []
    at = start
    while at < end:
        at = _step(text, at, end, style, offsets)
    offsets.append(end)
    return offsets if len(offsets) == len(value) + 1 else None


def _step(text: str, at: int, end: int, style: str, offsets: list[int]) -> int:
    """One character (or fold, or escape) of a plain or quoted scalar."""
    fold = _BREAK.match(text, at, end)
    if fold:
        breaks = len(re.findall(r"\r\n|\r|\n", fold[0]))
        offsets.extend([at] * max(1, breaks - 1))
        return fold.end()
    if style == "single" and text.startswith("''", at):
        offsets.append(at)
        return at + 2
    if style == "double" and text[at] == "\\":
        return _escape(text, at, end, offsets)
    offsets.append(at)
    return at + 1


def _escape(text: str, at: int, end: int, offsets: list[int]) -> int:
    mark = text[at + 1 : at + 2]
    if mark in "\r\n":
        skip = re.compile(r"\\(?:\r\n|\r|\n)(?:[ \t]*(?:\r\n|\r|\n))*[ \t]*").match(text, at, end)
        return skip.end() if skip else end
    offsets.append(at)
    return at + 2 + _HEX.get(mark, 0)


def _block(text: str, start: int, end: int, value: str) -> list[int] | None:
    """A block scalar: the value's characters are met in order, between indentation that is not part of it."""
    header = text.find("\n", start)
    at = header + 1 if 0 <= header < end else end
    offsets: list[int] = []
    fresh = True
    indent = _indent(text, at, end)
    for character in value:
        while True:
            if fresh:
                at += _leading(text, at, end, indent)
                fresh = False
            if at >= end:
                offsets.append(end)
                break
            found = text[at]
            if found == "\n":
                fresh = True
                at += 1
                if character in "\n ":
                    offsets.append(at - 1)
                    break
                continue
            if found == "\r":
                at += 1
                continue
            if found != character:
                return None
            offsets.append(at)
            at += 1
            break
    offsets.append(min(at, end))
    return offsets


def _indent(text: str, at: int, end: int) -> int:
    for line in text[at:end].splitlines():
        if line.strip():
            return len(line) - len(line.lstrip(" "))
    return 0


def _leading(text: str, at: int, end: int, indent: int) -> int:
    count = 0
    while count < indent and at + count < end and text[at + count] == " ":
        count += 1
    return count
