"""A merge of picked members with one object behind them: the picked ones are put before the object's own bytes.

Takes a `$merge` whose operands are `$pick`s followed by one path, without further keys. Writes statements: where the object has none of the
picked names (one look at its shape tells), its bytes follow the picked members as they are; else it is merged member by member.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from waypost import plan as p
from waypost.runtime import identity
from waypost.runtime.emit import Expr
from waypost.runtime.layout import nameable

if TYPE_CHECKING:
    from waypost.runtime.codegen import Values


def fits(node: p.Merge) -> bool:
    if node.entries or len(node.of) < 2:
        return False
    *picks, last = node.of
    if not isinstance(last, p.Path) or identity.plain_names(last.path) is None:
        return False
    return all(
        isinstance(pick, p.Pick)
        and isinstance(pick.of, p.Path)
        and _base(pick.of) is not None
        and all(map(nameable, pick.keys))
        for pick in picks
    )


def _base(path: p.Path) -> tuple[str, ...] | None:
    return () if path.path == "$" else identity.plain_names(path.path)


def generate(v: Values, node: p.Merge) -> Expr:
    *picks, last = node.of
    assert isinstance(last, p.Path)
    held: dict[str, list[Expr]] = {}
    for pick in picks:
        assert isinstance(pick, p.Pick)
        for key, expr in (v.picked_slots(pick) or {}).items():
            held.setdefault(key, []).append(expr)
    steps = identity.plain_names(last.path)
    assert steps is not None
    behind = v.slot(steps, "object").text
    fields = [(f"k{index}", Raw | UnsetType, UNSET) for index in range(len(held))]
    rename = {f"k{index}": key for index, key in enumerate(held)}
    struct = msgspec.defstruct("Picked", [(name, Any, UNSET) for name, _, _ in fields], rename=rename, gc=False)
    shape = msgspec.defstruct("Shape", fields, rename=rename, frozen=True, gc=False)
    result, look = v.w.fresh("merge"), v.w.fresh("shape")
    nothing = v.w.bind("nothing", shape())
    v.look(shape, behind, look)
    with v.w.block(f"if {look} == {nothing} and {behind} is not MISSING:"):
        picked = ", ".join(_last_present(exprs) for exprs in held.values())
        v.w.line(f"{result} = splice(encode({v.w.bind('picked', struct)}({picked})), bytes({behind}))")
    with v.w.block("else:"):
        v.w.line(f"{result} = {v.merge_all(node).text}")
    return Expr(result, "out")


def _last_present(exprs: list[Expr]) -> str:
    """The text of the last of these that is present: a later operand wins."""
    text = exprs[0].text
    for expr in exprs[1:]:
        text = f"({text} if {expr.text} is MISSING else {expr.text})"
    return text


def splice(head: bytes, behind: bytes) -> Raw:
    """Two encoded objects as one, the members of `head` first. `behind` has none of its names."""
    if head == b"{}":
        return Raw(behind)
    # An empty object may hold white space; any other begins its first name here.
    if behind[1] != 34 and behind[1:].strip() == b"}":
        return Raw(head)
    return Raw(head[:-1] + b"," + behind[1:])
