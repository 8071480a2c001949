"""What is known of an event's fields before any event arrives: which types carry a field, and the kinds that it may be.

Takes the steps of a path. Gives what event_fields.toml says of them; what is not named there is open and never judged. Reserved properties and
traits are a convention that senders break, so their kinds are not used: a number sent as text is data there.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any, Final

Steps = tuple[str | int, ...]

_DATA: Final[dict[str, Any]] = tomllib.loads(
    resources.files("waypost.compiler.check").joinpath("event_fields.toml").read_text(encoding="utf-8")
)

TYPES: Final[dict[str, dict[str, str]]] = _DATA["types"]
"""Event type -> the fields that it carries beside the common ones, with their kinds."""

KINDS: Final[dict[str, str]] = {
    **_DATA["common"],
    **{name: kind for own in TYPES.values() for name, kind in own.items()},
}
"""Top-level field -> its kind."""

CONTEXT: Final[dict[str, str]] = _DATA["context"]

INSIDE: Final[dict[Steps, dict[str, str]]] = {
    ("context",): CONTEXT,
    **{("context", name.removeprefix("context.")): held for name, held in _DATA.items() if name.startswith("context.")},
}
"""Object of an event -> its known fields: what an unknown name in it may be a slip of."""

RESERVED: Final[dict[str, dict[str, str]]] = {
    name: held for name, held in _DATA.items() if name.startswith(("traits.", "properties."))
}

_JSON: Final[dict[str, frozenset[str]]] = {
    "text": frozenset({"string"}),
    "word": frozenset({"string"}),
    "time": frozenset({"string"}),
    "number": frozenset({"number"}),
    "boolean": frozenset({"boolean"}),
    "object": frozenset({"object"}),
    "list": frozenset({"array"}),
}
"""Kind -> the JSON types that the specification gives it, for comparisons: `=` is strict, so `event = 5` never holds."""

_SCALARS: Final = ("string", "number", "integer", "datetime", "unix", "unix_ms", "unix_us")
_HOLDS: Final[dict[str, tuple[str, ...]]] = {
    "text": _SCALARS,
    "string": _SCALARS,
    "number": _SCALARS,
    "word": ("string",),
    "time": ("string", "datetime", "unix", "unix_ms", "unix_us"),
    "boolean": ("boolean",),
    "object": ("object",),
    "list": ("array",),
    "array": ("array",),
}

SAID: Final = {"word": "text", "time": "a time", "list": "a list", "array": "a list", "boolean": "true or false"}
"""A kind in words, where its own name is none."""


def kind_of(steps: Steps | None) -> str | None:
    """The kind of an event's path that the specification fixes, else None."""
    if steps is None or not steps:
        return "object" if steps == () else None
    held = KINDS if len(steps) == 1 else INSIDE.get(steps[:-1], {})
    kind = held.get(str(steps[-1]))
    return None if kind == "any" else kind


def holds_nothing(inside: Steps) -> str | None:
    """The kind of a field in which no other can be, in words: `event.type` is always missing, for an event's `event` is text."""
    kind = kind_of(inside) if inside else None
    return SAID.get(kind, kind) if kind in ("text", "word", "time", "number", "boolean") else None


def is_known(inside: Steps, name: str) -> bool:
    """Whether the specification names the field, or says nothing of the object that it is in."""
    if holds_nothing(inside):
        return False
    known = INSIDE.get(inside) if inside else KINDS
    return known is None or name in known


def carriers(field: str) -> frozenset[str] | None:
    """The event types that carry a top-level field; None when all do, or it is unknown."""
    if field in _DATA["common"] or field not in KINDS:
        return None
    return frozenset(name for name, own in TYPES.items() if field in own)


def can_be(kind: str, wanted: str) -> bool:
    """Whether a value of this kind can ever be had in the type of a `type:`."""
    return wanted in _HOLDS.get(kind, (wanted,))


def can_equal(kind: str, json_type: str) -> bool:
    """Whether `=` between a field of this kind and such a constant can hold. Null is every field's, for it may be missing."""
    return json_type == "null" or json_type in _JSON.get(kind, (json_type,))
