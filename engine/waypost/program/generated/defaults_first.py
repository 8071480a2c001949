"""A merge of picked members with one object, which decides: defaults for what it lacks.

Takes a `$merge` whose operands are `$pick`s followed by one path, without further keys. Writes statements: one look at the object's shape
tells which of the picked names it lacks, and those are put behind its own bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from waypost import plan as p
from waypost.lang import values
from waypost.lang.values import MISSING
from waypost.program.generated import unchanged
from waypost.program.generated.access import Values
from waypost.program.generated.layout import nameable
from waypost.program.generated.writer import Expr


def fits(node: p.Merge) -> bool:
    if node.entries or len(node.of) < 2:
        return False
    *picks, last = node.of
    if not isinstance(last, p.Path) or unchanged.plain_names(last.path) is None:
        return False
    keys = [key for pick in picks if isinstance(pick, p.Pick) for key in pick.keys]
    # A name that two of them pick would stand where the one stands that has it.
    return len(set(keys)) == len(keys) and all(
        isinstance(pick, p.Pick)
        and pick.keys
        and isinstance(pick.of, p.Path)
        and _base(pick.of) is not None
        and all(map(nameable, pick.keys))
        for pick in picks
    )


def _base(path: p.Path) -> tuple[str, ...] | None:
    return () if path.path == "$" else unchanged.plain_names(path.path)


def generate(v: Values, node: p.Merge, member_by_member: Callable[[Values, p.Merge], Expr]) -> Expr:
    *picks, last = node.of
    assert isinstance(last, p.Path)
    found = [v.picked_slots(pick) or {} for pick in picks if isinstance(pick, p.Pick)]
    held = {key: expr for slots in reversed(found) for key, expr in slots.items()}
    steps = unchanged.plain_names(last.path)
    assert steps is not None
    behind = v.slot(steps, "object").text
    fields = [(f"k{index}", Raw | UnsetType, UNSET) for index in range(len(held))]
    rename = {f"k{index}": key for index, key in enumerate(held)}
    struct = msgspec.defstruct("Picked", [(name, Any, UNSET) for name, _, _ in fields], rename=rename, gc=False)
    shape = msgspec.defstruct("Shape", fields, rename=rename, frozen=True, gc=False)
    result, look = v.w.fresh("merge"), v.w.fresh("shape")
    v.look(shape, behind, look)
    with v.w.block(f"if {look} is not None:"):
        picked = [f"{expr.text} if {look}.k{index} is MISSING else MISSING" for index, expr in enumerate(held.values())]
        v.w.line(f"{result} = beside({behind}, {v.w.bind('picked', struct)}({', '.join(picked)}))")
    with v.w.block("else:"):
        v.w.line(f"{result} = {member_by_member(v, node).text}")
    return Expr(result, "out")


def beside(own: Any, more: Any) -> Any:
    """An object's bytes (or MISSING) with the members of the struct `more`, which has none of its names, behind its own."""
    found = values.encode(more)
    if own is MISSING:
        return MISSING if found == b"{}" else Raw(found)
    if found == b"{}":
        return own
    data = bytes(own)
    # An empty object may hold white space; any other begins its first name here.
    if data[1] != 34 and data[1:].strip() == b"}":
        return Raw(found)
    return Raw(b"%b,%b" % (data[:-1], found[1:]))
