"""What can be known of a value expression without an event: whether two are the same, and which JSON types one gives.

Takes plan nodes. `normal` is equal for two structures that mean the same: the order of keys does not count, and 1 is not true. `types` is
the set of types (of values.typeof), or None for any.
"""

from __future__ import annotations

from typing import Any

import msgspec

from waypost import plan as p
from waypost.lang import filters, values

_OF_TYPE = {"datetime": "string", "integer": "number", "unix": "number", "unix_ms": "number", "unix_us": "number"}


def normal(held: Any) -> Any:
    """A structure to compare with `==`."""
    if isinstance(held, msgspec.Struct):
        return type(held).__name__, tuple(normal(getattr(held, name)) for name in held.__struct_fields__)
    if isinstance(held, dict):
        return tuple(sorted((key, normal(item)) for key, item in held.items() if not isinstance(item, p.Omit))), tuple(
            sorted(key for key, item in held.items() if isinstance(item, p.Omit))
        )
    if isinstance(held, (list, tuple)):
        return tuple(map(normal, held))
    return values.typeof(held), values.encode(held).decode() if values.is_number(held) else held


def same(old: Any, new: Any) -> bool:
    return bool(normal(old) == normal(new))


def types(node: p.Value) -> frozenset[str] | None:
    """The types that a present value can have; None: any."""
    if isinstance(node, p.Const):
        return frozenset({values.typeof(node.value)})
    if isinstance(node, p.From):
        held = frozenset({_OF_TYPE.get(node.type, node.type)}) if node.type else types(node.of)
        return _joined([held, *([types(node.default)] if node.default is not None else [])])
    if isinstance(node, p.Filter):
        row = filters.FILTERS.get(node.name)
        return frozenset({row.gives}) if row is not None and row.gives != "any" else None
    if isinstance(node, p.Each):
        return frozenset({"object"} if node.key is not None else {"array"} if node.single else {"array", "object"})
    if isinstance(node, p.Find):
        return None if node.to is None else types(node.to)
    if isinstance(node, p.First):
        return _joined([types(item) for item in node.of])
    if isinstance(node, p.When):
        return _joined([types(node.then), *([types(node.otherwise)] if node.otherwise is not None else [])])
    if isinstance(node, p.Lookup) and node.table_of is not None:
        return None
    if isinstance(node, p.Lookup):
        held = frozenset(values.typeof(item) for item in node.table.values())
        return _joined([held, *([types(node.otherwise)] if node.otherwise is not None else [])])
    if isinstance(node, p.Messages):
        return frozenset({"array" if node.many else "object"})
    return _FIXED.get(type(node))


_FIXED: dict[type[p.Node], frozenset[str]] = {
    p.Object: frozenset({"object"}),
    p.Merge: frozenset({"object"}),
    p.Pick: frozenset({"object"}),
    p.Drop: frozenset({"object"}),
    p.Items: frozenset({"array"}),
    p.Text: frozenset({"string"}),
    p.Arith: frozenset({"number"}),
}


def _joined(found: list[frozenset[str] | None]) -> frozenset[str] | None:
    joined: frozenset[str] = frozenset()
    for held in found:
        if held is None:
            return None
        joined |= held
    return joined


def shown(held: frozenset[str] | None) -> str:
    return "any type" if held is None else " or ".join(sorted(held))
