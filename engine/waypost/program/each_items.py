"""When an object under `$each` is a map to go over, and when it is one item that stands where a list belongs.

Takes the parts that make something of an item. Gives whether they read its members, and the test of a value. Why: some sources send
`products` as one object where others send a list. Its values would be taken for items, none of which has the members that are read, and
all would be lost without a word. So where members of the item are read, each value of an object must be an object (or null).
"""

from __future__ import annotations

import functools
from typing import Any

from waypost import plan as p
from waypost.lang import fql, jsonpath
from waypost.lang.values import Fault


def reads_members(to: p.Value, where: str | None) -> bool:
    """Whether an item's members are read: `$item.x` in a value, `item.x` in a condition."""

    found = where is not None and _condition_reads(where)

    def look(node: p.Value) -> p.Value | None:
        nonlocal found
        if isinstance(node, p.Each):  # its `to` has an item of its own
            p.rewrite(node.of, look)
            return node
        found = (
            found
            or (isinstance(node, p.When) and _condition_reads(node.test))
            or (isinstance(node, p.Path) and _path_reads(node.path))
        )
        return None

    p.rewrite(to, look)
    return found


@functools.lru_cache(maxsize=1024)
def _path_reads(path: str) -> bool:
    expr = jsonpath.parse(path, item=True)
    return expr.root == "item" and bool(expr.steps) and isinstance((expr.steps or (0,))[0], str)


@functools.lru_cache(maxsize=1024)
def _condition_reads(text: str) -> bool:
    found = [path.steps for path in fql.paths(fql.read(text))]
    return any(steps[0] == "item" and len(steps) > 1 and isinstance(steps[1], str) for steps in found)


def check_map(of: dict[str, Any]) -> None:
    """Raises Fault (wrong_shape) for an object of which the values are no items."""
    if any(value is not None and not isinstance(value, dict) for value in of.values()):
        raise Fault("wrong_shape", "expected a list, or an object of objects, found one object")
