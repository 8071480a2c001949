"""When a `$merge` of one object with further keys changes nothing: then its bytes pass as they are.

Takes a Merge whose one operand stands at the same path as itself. Gives an `Identity`: a msgspec type whose decoder accepts only objects that
the keys leave alone (their typed leaves have their type already, and what they take out is not there), and the conditions that must not
hold; or None where that cannot be known. One scan of the object in C answers for every key, however it is escaped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from waypost import plan as p
from waypost.lang import jsonpath
from waypost.program.generated.layout import nameable


@dataclass(frozen=True)
class Textual:
    """Text of at least and at most so many characters."""

    least: int
    most: int | None


@dataclass(frozen=True)
class Logical:
    """A boolean."""


@dataclass(frozen=True)
class Absent:
    """No such member."""


@dataclass(frozen=True)
class Untouched:
    """An object that passes as it stands: what its members must be where they are there, and the FQL conditions that must not hold.

    Both ways to tell it follow from this, for the same objects must pass: the shape below, and the kernel's guards (kernel/nodes.py).
    """

    members: dict[str, Textual | Logical | Absent | Untouched]
    unless: tuple[str, ...]


@dataclass(frozen=True)
class Identity:
    """`shape` is a struct type; `unless` are FQL conditions that must not hold."""

    shape: type[msgspec.Struct]
    unless: tuple[str, ...]


Never = Annotated[int, Meta(ge=1, le=0)]
"""The type of a member that must not be there: it has no value."""


def plain_names(path: str) -> tuple[str, ...] | None:
    """The member names of an event path of names alone; None for `$`, items, indexes and paths that may match several times."""
    expr = jsonpath.parse(path, item=path.startswith("$item"))
    if expr.root != "event" or not expr.steps:
        return None
    names = tuple(step for step in expr.steps if isinstance(step, str) and nameable(step))
    return names if len(names) == len(expr.steps) else None


def identity(node: p.Merge, extra: dict[str, tuple[str, Any, Any]] | None = None) -> Identity | None:
    """For a merge of one plain path: when it gives that path's own object. `extra`: more fields (name, type, default) for the shape, by key."""
    found = untouched(node)
    return None if found is None else Identity(_shape(found, extra or {}), found.unless)


def untouched(node: p.Merge, steps: tuple[str, ...] | None = None) -> Untouched | None:
    """When a merge gives the object at its own path; None where that cannot be known. `steps` is where it stands, if not there."""
    own = plain_names(node.of[0].path) if len(node.of) == 1 and isinstance(node.of[0], p.Path) else None
    if own is None or own != (steps or own):
        return None
    members: dict[str, Textual | Logical | Absent | Untouched] = {}
    unless: list[str] = []
    for key, entry in node.entries.items():
        kept = _kept(entry, (*own, key), unless) if nameable(key) else None
        if kept is None:
            return None
        if kept is not ANY:
            members[key] = kept
    return Untouched(members, tuple(unless))


ANY: Any = object()
"""Whatever a member is, it is left alone."""


def _kept(node: p.Value, steps: tuple[str, ...], unless: list[str]) -> Any:
    """What the member must be; ANY when any will do, None when that cannot be known."""
    if isinstance(node, p.Omit):
        return Absent()
    if isinstance(node, p.Path):
        return ANY if plain_names(node.path) == steps else None
    if isinstance(node, p.When):
        other = None if node.otherwise is None else _kept(node.otherwise, steps, unless)
        if other is not None:
            unless.append(node.test)
        return other
    if isinstance(node, p.From):
        same = isinstance(node.of, p.Path) and plain_names(node.of.path) == steps
        return _leaf(node) if same and node.default is None and not node.required else None
    if isinstance(node, p.Merge):
        inner = untouched(node, steps)
        return inner if inner is not None and not inner.unless else None
    return None


def _leaf(node: p.From) -> Textual | Logical | None:
    """The values that a check passes unchanged; what is none of them (null, another type) goes the long way."""
    if node.enum or node.pattern or node.max_bytes or node.max_age_s is not None or node.max_ahead_s is not None:
        return None
    if node.type == "boolean" and node.max_length is None:
        return Logical()
    if node.type != "string":
        return None
    return Textual(1 if node.empty == "omit" else 0, node.max_length)


def _shape(found: Untouched, extra: dict[str, tuple[str, Any, Any]]) -> type[msgspec.Struct]:
    fields: list[tuple[str, Any, Any]] = []
    rename: dict[str, str] = {}
    for index, (key, kept) in enumerate(found.members.items()):
        fields.append((f"k{index}", _type(kept) | UnsetType, UNSET))
        rename[f"k{index}"] = key
    for key, row in extra.items():
        fields.append(row)
        rename[row[0]] = key
    return msgspec.defstruct("Shape", fields, rename=rename, frozen=True, gc=False)


def _type(kept: Textual | Logical | Absent | Untouched) -> Any:
    if isinstance(kept, Untouched):
        return _shape(kept, {})
    if isinstance(kept, Textual):
        return Annotated[str, Meta(min_length=kept.least or None, max_length=kept.most)]
    return bool if isinstance(kept, Logical) else Never
