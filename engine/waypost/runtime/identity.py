"""When a `$merge` of one object with further keys changes nothing: then its bytes pass as they are.

Takes a Merge whose one operand stands at the same path as itself. Gives an `Identity`: a msgspec type whose decoder accepts only objects that
the keys leave alone (their typed leaves have their type already), the fields that must then be absent, and the conditions that must not hold;
or None where that cannot be known. One scan of the object in C answers for every key, however it is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from waypost import plan as p
from waypost.lang import jsonpath
from waypost.runtime.layout import nameable


@dataclass(frozen=True)
class Identity:
    """`shape` is a struct type; `absent` are attribute paths of it that must be MISSING; `unless` are FQL conditions that must not hold."""

    shape: type[msgspec.Struct]
    absent: tuple[str, ...]
    unless: tuple[str, ...]


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
    absent: list[str] = []
    unless: list[str] = []
    for index, (key, entry) in enumerate(node.entries.items()):
        found = _entry(entry, (*steps, key), unless) if nameable(key) else None
        if found is None:
            return None
        name = f"k{index}"
        type_, inner = found
        absent += [name + path for path in inner]
        if type_ is not None:
            fields.append((name, type_ | UnsetType, UNSET))
            rename[name] = key
    for key, row in extra.items():
        fields.append(row)
        rename[row[0]] = key
    return Identity(
        msgspec.defstruct("Shape", fields, rename=rename, frozen=True, gc=False), tuple(absent), tuple(unless)
    )


def _entry(node: p.Value, steps: tuple[str, ...], unless: list[str]) -> tuple[Any, list[str]] | None:
    """(the type that the member must have, None when any will do; what of it must be absent), or None."""
    if isinstance(node, p.Omit):
        return Raw, [""]
    if isinstance(node, p.Path):
        return (None, []) if plain_names(node.path) == steps else None
    if isinstance(node, p.When):
        other = None if node.otherwise is None else _entry(node.otherwise, steps, unless)
        if other is not None:
            unless.append(node.test)
        return other
    if isinstance(node, p.From):
        type_ = _leaf(node)
        same = isinstance(node.of, p.Path) and plain_names(node.of.path) == steps
        return (type_, []) if same and type_ is not None and node.default is None and not node.required else None
    if isinstance(node, p.Merge):
        inner = _merge(node, steps, {})
        if inner is None or inner.unless:
            return None
        # An object that is missing has no member to be absent.
        return inner.shape, [f".{path}" for path in inner.absent]
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


def tests(found: Identity, shape: str) -> Iterator[str]:
    """The Python tests, on the decoded shape, of what must be absent."""
    for path in found.absent:
        head, _, rest = path.partition(".")
        if rest:
            yield f"({shape}.{head} is MISSING or {' and '.join(_nested(f'{shape}.{head}', rest))})"
        else:
            yield f"{shape}.{head} is MISSING"


def _nested(owner: str, path: str) -> Iterator[str]:
    head, _, rest = path.partition(".")
    if not rest:
        yield f"{owner}.{head} is MISSING"
    else:
        yield f"({owner}.{head} is MISSING or {' and '.join(_nested(f'{owner}.{head}', rest))})"
