"""`$merge` as statements: an object's own bytes where its entries change nothing, defaults put behind them, else member by member.

Takes the Values that it adds to and a Merge node. Gives the Expr of the object.
"""

from __future__ import annotations

from waypost import plan as p
from waypost.program.generated import defaults_first, unchanged
from waypost.program.generated.access import Values, hint, struct_key
from waypost.program.generated.layout import Slot, nameable
from waypost.program.generated.unchanged import plain_names
from waypost.program.generated.writer import Expr


def merge(v: Values, node: p.Merge) -> Expr:
    if len(node.of) == 1 and isinstance(node.of[0], p.Path) and (steps := plain_names(node.of[0].path)):
        base = v.slot(steps, "object")
        if not node.entries:
            held = base.text
            quick = f"{held} if {held}.__class__ is Raw and first({held}) == BRACE else object_raw({held})"
            return v.assign(quick, "out", "merge")
        shared = _shared(v, steps, node)
        same = unchanged.identity(
            node, {key: (f"x{slot.index}", slot.struct, slot.empty) for key, slot in shared.items()}
        )
        if same is not None:
            return _merge_unless_untouched(v, node, base, same, shared, steps)
    if defaults_first.fits(node):
        return defaults_first.generate(v, node, merge_all)
    return merge_all(v, node)


def _shared(v: Values, steps: tuple[str, ...], node: p.Merge) -> dict[str, Slot]:
    """The children of a merged object that this action reads as structs besides: one look gives both."""
    slot = v.layout.at(steps)
    if not v.scope.shares or not slot.children:
        return {}
    return {
        key: slot.children[key]
        for action, key in sorted(slot.shared)
        if action == v.scope.action and key not in node.entries and slot.children[key].nested and nameable(key)
    }


def _merge_unless_untouched(
    v: Values, node: p.Merge, base: Expr, same: unchanged.Identity, shared: dict[str, Slot], steps: tuple[str, ...]
) -> Expr:
    """One object with entries that mostly change nothing: its own bytes where one look at its shape says so."""
    result, shape = v.w.fresh("merge"), v.w.fresh("shape")
    v.look(same.shape, base.text, shape)
    whole = shape
    if shared and (bare := unchanged.identity(node)) is not None:
        # What is read besides may have another type; the object is left alone all the same.
        whole = v.assign(shape, "value", "whole").text
        with v.w.block(f"if {shape} is None:"):
            v.look(bare.shape, base.text, whole)
    for key, slot in shared.items():
        struct = v.w.fresh(hint(slot))
        with v.w.block(f"if {shape} is not None:"):
            v.w.line(f"{struct} = {shape}.x{slot.index}")
        with v.w.block("else:"):
            v.w.line(f"{struct} = {v.struct((*steps, key))}")
        v.w.know(struct_key((*steps, key)), struct)
    tests = [f"{whole} is not None"]
    tests += [f"not {v.scope.condition(text)}" for text in same.unless]
    with v.w.block(f"if {' and '.join(tests)}:"):
        v.w.line(f"{result} = {base.text}")
    with v.w.block("else:"):
        v.w.line(f"{result} = {merge_all(v, node).text}")
    return Expr(result, "out")


def merge_all(v: Values, node: p.Merge) -> Expr:
    """Any merge, member by member."""
    parts = [v.assign(f"members({v.operand(operand)})", "out", "part").text for operand in node.of]
    whole = v.assign(f"merged({', '.join(parts)})" if len(parts) > 1 else parts[0], "out", "merged")
    if not node.entries:
        with v.w.block(f"if {whole.text} is None:"):
            v.w.line(f"{whole.text} = MISSING")
        return whole
    seen = v.assign(f"{whole.text} is not None", "value", "seen").text
    with v.w.block(f"if not {seen}:"):
        v.w.line(f"{whole.text} = {{}}")
    for key, entry in node.entries.items():
        with v.w.field(key):
            name = v.w.literal(key)
            if isinstance(entry, p.Omit):
                v.w.line(f"{whole.text}.pop({name}, None)")
                continue
            expr = v.value(entry)
            if expr.sure:
                v.w.line(f"{whole.text}[{name}] = {expr.text}")
                continue
            with v.w.block(f"if {expr.text} is MISSING:"):
                v.w.line(f"{whole.text}.pop({name}, None)")
            with v.w.block("else:"):
                v.w.line(f"{whole.text}[{name}] = {expr.text}")
    with v.w.block(f"if not {whole.text} and not {seen}:"):
        v.w.line(f"{whole.text} = MISSING")
    return whole
