"""The Liquid of `@liquid`, as far as it is paths and filters that templates have too.

Takes the template's text. Gives a Source, or Unknown for tags, conditions and filters that have no counterpart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from waypost.authoring.importing.sources import Constant, Filtered, Path, Source, Text, Unknown

FILTERS: dict[str, tuple[str, int]] = {
    "downcase": ("lower", 0),
    "upcase": ("upper", 0),
    "strip": ("trim", 0),
    "replace": ("replace", 2),
    "remove": ("replace", 1),
    "split": ("split", 1),
    "join": ("join", 1),
    "first": ("first", 0),
    "last": ("last", 0),
    "size": ("length", 0),
    "uniq": ("unique", 0),
    "json": ("json", 0),
    "default": ("default", 1),
    "url_encode": ("url", 0),
    "base64_encode": ("base64", 0),
    "sha256": ("sha256", 0),
    "md5": ("md5", 0),
    "round": ("round", 0),
}
"""Liquid's filter -> ours, and how many constants it takes."""

_HOLE = re.compile(r"\{\{-?(.*?)-?\}\}", re.DOTALL)
_PATH = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]+|\[[^\]]*\])*")
_CONSTANT = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|(-?\d+(?:\.\d+)?))\s*""")


def liquid(text: str, path: Callable[[str], Path]) -> Source:
    if "{%" in text:
        return Unknown("Liquid's tags have no counterpart")
    parts: list[str | Source] = []
    for piece in pieces(_HOLE, text):
        found = piece if isinstance(piece, str) else _output(piece[1].strip(), path)
        if isinstance(found, Unknown):
            return found
        parts.append(found)
    return text_of(parts)


def pieces(hole: re.Pattern[str], text: str) -> Iterator[str | re.Match[str]]:
    """Constant text and holes in a row."""
    at = 0
    for match in hole.finditer(text):
        if match.start() > at:
            yield text[at : match.start()]
        yield match
        at = match.end()
    if at < len(text):
        yield text[at:]


def text_of(parts: list[str | Source]) -> Source:
    """Constant text and sources in a row: a source alone is itself."""
    if all(isinstance(part, str) for part in parts):
        return Constant("".join(part for part in parts if isinstance(part, str)))
    return parts[0] if len(parts) == 1 and not isinstance(parts[0], str) else Text(tuple(parts))


def _output(text: str, path: Callable[[str], Path]) -> Source:
    head, *filters = _split(text, "|")
    if not _PATH.fullmatch(head.strip()):
        return Unknown(f"Liquid's `{head.strip()[:40]}` is no path")
    found: Source = path(head.strip())
    for written in filters:
        name, _, args = written.strip().partition(":")
        known = FILTERS.get(name.strip())
        constants = [_constant(one) for one in _split(args, ",")] if args.strip() else []
        if known is None or any(one is None for one in constants) or len(constants) != known[1]:
            return Unknown(f"Liquid's filter `{name.strip()[:40]}` has no counterpart")
        if name.strip() == "remove":
            constants.append("")
        found = Filtered(found, known[0], tuple(constants))
    return found


def _split(text: str, sign: str) -> list[str]:
    """At the sign, outside of quotes."""
    return list(re.split(rf"""{re.escape(sign)}(?=(?:[^"']*(?:"[^"]*"|'[^']*'))*[^"']*$)""", text))


def _constant(text: str) -> Any:
    match = _CONSTANT.fullmatch(text)
    if match is None:
        return None
    if match[3] is not None:
        return float(match[3]) if "." in match[3] else int(match[3])
    return match[1] if match[1] is not None else match[2]
