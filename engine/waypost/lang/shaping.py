"""Filters that change the shape of a value: `flatten`, `compact`, `truncate_bytes`, `cents`.

Takes decoded JSON. Gives decoded JSON, or MISSING. No depth of a value ends a walk: each is a loop with a stack of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from waypost.lang import arithmetic, values
from waypost.lang.values import MISSING


def flatten(value: dict[str, Any], sep: str, lists: bool = False) -> dict[str, Any]:
    """Nested objects (and lists) as one object, in written order; empty ones stay as they are."""
    found: dict[str, Any] = {}
    rows = [iter(_members("", value, sep))]
    while rows:
        name, item = next(rows[-1], (None, None))
        if name is None:
            rows.pop()
        elif item and (isinstance(item, dict) or (lists and isinstance(item, list))):
            rows.append(iter(_members(name, item, sep)))
        else:
            found[name] = item
    return found


def _members(prefix: str, value: Any, sep: str) -> Iterator[tuple[str, Any]]:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield f"{prefix}{sep}{key}" if prefix else str(key), item


def compact(value: Any) -> Any:
    """The value without null, "", [] and {}, from the innermost; MISSING when nothing is left."""
    if not isinstance(value, (dict, list)):
        return MISSING if value is None or value == "" else value
    # A row is a container that is gone over: what is still to come of it, what is left of it, and its name in the one around it.
    rows: list[tuple[Iterator[tuple[Any, Any]], Any, Any]] = [(_pairs(value), type(value)(), None)]
    while True:
        pairs, kept, name = rows[-1]
        key, item = next(pairs, (None, MISSING))
        if item is MISSING:
            rows.pop()
            if not rows:
                return kept or MISSING
            if kept:
                _put(rows[-1][1], name, kept)
        elif isinstance(item, (dict, list)):
            rows.append((_pairs(item), type(item)(), key))
        elif item is not None and item != "":
            _put(rows[-1][1], key, item)


def _pairs(value: Any) -> Iterator[tuple[Any, Any]]:
    return iter(value.items()) if isinstance(value, dict) else enumerate(value)


def _put(kept: Any, key: Any, item: Any) -> None:
    if isinstance(kept, dict):
        kept[key] = item
    else:
        kept.append(item)


def truncate_bytes(value: str, most: int) -> str:
    return value.encode()[:most].decode("utf-8", "ignore")


def cents(value: Any) -> Any:
    return arithmetic.rounded(arithmetic.arith("*", values.to_number(value), 100), 0)
