"""The items that `$each`, `$find` and an action's `each` go over: what they are, and what in an expression speaks of them.

Takes plan nodes and decoded values. Gives the items with the names of their entries, and the tests that generated code and the reference
interpreter share. One object in the place of a list is no map of items: some sources send `products` as one object where others send a list.
Its values would be taken for items, none of which has the members that are read, and all would be lost without a word. So where members of
the item are read, each value of an object must be an object (or null), unless the entry's own name is read, which only a map has.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from waypost import plan as p
from waypost.lang import fql, jsonpath, values
from waypost.lang.values import MISSING, Fault

Looped = p.Each | p.Find


def parts(node: Looped) -> tuple[p.Value | None, ...]:
    """What is evaluated for each item."""
    return (node.to, node.key) if isinstance(node, p.Each) else (node.to,)


def takes_maps(node: Looped) -> bool:
    """Whether any object is gone over; else one of which a value is no object is an item in the place of a list."""
    return reads_key(node) or not reads_members(parts(node), node.where)


def reads_members(parts: tuple[p.Value | None, ...], where: str | None) -> bool:
    """Whether an item's members are read: `$item.x` in a value, `item.x` in a condition."""
    return _speaks(parts, where, lambda node: isinstance(node, p.Path) and _path_reads(node.path), _condition_reads)


def reads_key(node: Looped) -> bool:
    """Whether the name of the entry is read: `$key` in a value, `key` in a template or condition."""
    return _speaks(parts(node), node.where, lambda held: held == KEY, _condition_names)


KEY = p.Ref(name="key")


def _speaks(
    parts: tuple[p.Value | None, ...],
    where: str | None,
    of_value: Callable[[p.Value], bool],
    of_condition: Callable[[str], bool],
) -> bool:
    """Whether anything that is evaluated for an item says so of that item: a loop within has items of its own."""
    found = where is not None and of_condition(where)

    def look(node: p.Value) -> p.Value | None:
        nonlocal found
        if isinstance(node, (p.Each, p.Find)):
            p.rewrite(node.of, look)
            return node
        found = found or of_value(node) or (isinstance(node, p.When) and of_condition(node.test))
        return None

    for part in parts:
        if part is not None:
            p.rewrite(part, look)
    return found


@functools.lru_cache(maxsize=1024)
def _path_reads(path: str) -> bool:
    expr = jsonpath.parse(path, item=True)
    return expr.root == "item" and bool(expr.parts) and isinstance(expr.parts[0], str)


@functools.lru_cache(maxsize=1024)
def _condition_reads(text: str) -> bool:
    found = [path.steps for path in fql.paths(fql.read(text))]
    return any(steps[0] == "item" and len(steps) > 1 and isinstance(steps[1], str) for steps in found)


@functools.lru_cache(maxsize=1024)
def _condition_names(text: str) -> bool:
    return any(path.steps[0] == "key" for path in fql.paths(fql.read(text)))


def check_map(of: dict[str, Any]) -> None:
    """Raises Fault (wrong_shape) for an object of which the values are no items."""
    if any(value is not None and not isinstance(value, dict) for value in of.values()):
        raise Fault("wrong_shape", "expected a list, or an object of objects, found one object")


def key_text(value: Any, what: str) -> Any:
    """The text of a name that is made or looked up; MISSING for missing and null. Raises Fault (wrong_type) for a list or an object."""
    if value is MISSING or value is None:
        return MISSING
    found = values.scalar_text(value)
    if found is None:
        raise Fault("wrong_type", f"expected text, a number or a boolean as {what}, found {values.typeof(value)}")
    return found
