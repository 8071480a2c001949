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
from waypost.runtime.layout import nameable


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
    if len(node.of) != 1 or not isinstance(node.of[0], p.Path):
        return None
    steps = plain_names(node.of[0].path)
    return None if steps is None else _merge(node, steps, extra or {})


def _merge(node: p.Merge, steps: tuple[str, ...], extra: dict[str, tuple[str, Any, Any]]) -> Identity | None:
    if len(node.of) != 1 or not isinstance(node.of[0], p.Path) or plain_names(node.of[0].path) != steps:
        return None
    fields: list[tuple[str, Any, Any]] = []
    rename: dict[str, str] = {}
    unless: list[str] = []
    for index, (key, entry) in enumerate(node.entries.items()):
        type_ = _entry(entry, (*steps, key), unless) if nameable(key) else None
        if type_ is None:
            return None
        if type_ is not Any:
            fields.append((f"k{index}", type_ | UnsetType, UNSET))
            rename[f"k{index}"] = key
    for key, row in extra.items():
        fields.append(row)
        rename[row[0]] = key
    return Identity(msgspec.defstruct("Shape", fields, rename=rename, frozen=True, gc=False), tuple(unless))


def _entry(node: p.Value, steps: tuple[str, ...], unless: list[str]) -> Any:
    """The type that the member must have; Any when any will do, None when that cannot be known."""
    if isinstance(node, p.Omit):
        return Never
    if isinstance(node, p.Path):
        return Any if plain_names(node.path) == steps else None
    if isinstance(node, p.When):
        other = None if node.otherwise is None else _entry(node.otherwise, steps, unless)
        if other is not None:
            unless.append(node.test)
        return other
    if isinstance(node, p.From):
        same = isinstance(node.of, p.Path) and plain_names(node.of.path) == steps
        return _leaf(node) if same and node.default is None and not node.required else None
    if isinstance(node, p.Merge):
        inner = _merge(node, steps, {})
        return inner.shape if inner is not None and not inner.unless else None
    return None


def _leaf(node: p.From) -> Any:
    """The type whose values a check passes unchanged; what it lacks (null, another type) goes the long way."""
    if node.enum or node.pattern or node.max_bytes or node.max_age_s is not None or node.max_ahead_s is not None:
        return None
    if node.type == "boolean" and node.max_length is None:
        return bool
    if node.type != "string":
        return None
    return Annotated[str, Meta(min_length=1 if node.empty == "omit" else None, max_length=node.max_length)]
