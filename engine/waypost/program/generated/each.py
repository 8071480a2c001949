"""`$each` as a generated loop over decoded items.

Takes an Each node and the Values that it adds to. Gives the Expr of the list or object that comes out. `$item` is a local of the loop; its
paths are walked in decoded JSON, for an item is rarely copied whole. A path into the item that may match several times is left to the reference
interpreter, with the whole node.
"""

from __future__ import annotations

from typing import Any

from waypost import plan as p
from waypost.lang import fql, jsonpath, values
from waypost.lang.values import Fault
from waypost.program import each_items
from waypost.program.generated import conditions
from waypost.program.generated.access import Values
from waypost.program.generated.writer import Expr


def item_steps(path: str) -> tuple[str | int, ...] | None:
    """The steps of `$item.a[0]`; None for a path into the event, and for one that may match several times."""
    expr = jsonpath.parse(path, item=True)
    if expr.root != "item" or expr.steps is None:
        return None
    steps = tuple(step for step in expr.steps if isinstance(step, (str, int)))
    return steps if len(steps) == len(expr.steps) else None


def loops(node: p.Each) -> bool:
    """Whether every part of it that needs the item can be generated."""

    def odd(inner: p.Value) -> bool:
        if isinstance(inner, p.Ref):
            return inner.name != "meta.id" and not inner.name.startswith("settings.")
        return isinstance(inner, p.Path) and item_steps(inner.path) is None and inner.path.startswith("$item")

    return not p.mentions(node, odd)


def generate(v: Values, node: p.Each) -> Expr:
    w, outer = v.w, v.item
    call = "items_of" if each_items.reads_members(node.to, node.where) else "each_of"
    of = v.assign(f"{call}({v.decoded(v.value(node.of))})", "value", "of").text
    result, key, item = w.fresh("each"), w.fresh("key"), w.fresh("item")
    with w.block(f"if {of} is None:"):
        w.line(f"{result} = MISSING")
    with w.block("else:"):
        w.line(f"{result} = {{}}")
        v.item = item
        with w.block(f"for {key}, {item} in ({of}.items() if {of}.__class__ is dict else enumerate({of})):"):
            if node.where is not None:
                test = conditions.condition(fql.read(node.where), v)
                with w.block(f"if not ({test}):"):
                    w.line("continue")
            to = v.value(node.to)
            if to.sure:
                w.line(f"{result}[{key}] = {to.text}")
            else:
                with w.block(f"if {to.text} is not MISSING:"):
                    w.line(f"{result}[{key}] = {to.text}")
        v.item = outer
        with w.block(f"if {of}.__class__ is not dict:"):
            w.line(f"{result} = list({result}.values())")
    return Expr(result, "out")


def each_of(value: Any) -> Any:
    """The list or object to go over; None for missing and null. Another value is a Fault (wrong_shape)."""
    if value is values.MISSING or value is None:
        return None
    if isinstance(value, (list, dict)):
        return value
    raise Fault("wrong_shape", f"expected a list or an object, found {values.typeof(value)}")


def items_of(value: Any) -> Any:
    """The same where members of the items are read: one object in the place of a list is a Fault too."""
    if isinstance(value, dict):
        each_items.check_map(value)
    return each_of(value)
