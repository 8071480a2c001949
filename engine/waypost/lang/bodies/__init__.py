"""The body formats that a request can have. A format is a file beside this one and a name in FORMATS."""

from __future__ import annotations

from waypost import plan as p
from waypost.lang.bodies.form import FORM
from waypost.lang.bodies.format import BodyFormat, Layout
from waypost.lang.bodies.json import JSON
from waypost.lang.bodies.lines import LINES
from waypost.lang.bodies.text import TEXT

FORMATS: dict[str, BodyFormat] = {held.word: held for held in (JSON, LINES, FORM, TEXT)}
"""By the word of a request that asks for it."""


def format_of(request: p.Request) -> BodyFormat:
    """The format of a request's body."""
    return FORMATS[request.format or JSON.word]


def layout_of(request: p.Request) -> Layout:
    """How messages stand in a request's body."""
    return Layout() if request.body is None else format_of(request).layout(request.body)
