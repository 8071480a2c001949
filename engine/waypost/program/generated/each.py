"""`$each` and `$find` as generated loops over decoded items.

Takes an Each or Find node and the Values that it adds to. Gives the Expr of what comes out. `$item` and `$key` are locals of the loop; paths
into the item are walked in decoded JSON, for an item is rarely copied whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from waypost import plan as p
from waypost.lang import each_items, fql, values
from waypost.lang.values import Fault
from waypost.program.generated import conditions
from waypost.program.generated.access import Values
from waypost.program.generated.writer import Expr


def generate(v: Values, node: p.Each) -> Expr:
    w = v.w
    of, result = _items(v, node), w.fresh("each")
    with w.block(f"if {of} is None:"):
        w.line(f"{result} = MISSING")
    with w.block("else:"):
        w.line(f"{result} = {{}}")
        with _loop(v, node, of) as name:
            if node.where is not None:
                with w.block(f"if not ({conditions.condition(fql.read(node.where), v)}):"):
                    w.line("continue")
            if node.key is not None:
                made = v.value(node.key)
                name = v.assign(f"entry_name({v.decoded(made)})", "text", "name").text
                with w.block(f"if {name} is MISSING:"):
                    w.line("continue")
            to = v.value(node.to)
            if to.sure:
                w.line(f"{result}[{name}] = {to.text}")
            else:
                with w.block(f"if {to.text} is not MISSING:"):
                    w.line(f"{result}[{name}] = {to.text}")
        with w.block(f"if {of} and not {result}:"):
            w.line(f"{result} = MISSING")
        if node.key is None:
            with w.block(f"elif {of}.__class__ is not dict:"):
                w.line(f"{result} = list({result}.values())")
    return Expr(result, "out")


def find(v: Values, node: p.Find) -> Expr:
    w = v.w
    of, result = _items(v, node), w.fresh("found")
    w.line(f"{result} = MISSING")
    with w.block(f"if {of} is not None:"), _loop(v, node, of):
        test = conditions.condition(fql.read(node.where), v)
        with w.block(f"if {test}:"):
            w.line(f"{result} = {v.item if node.to is None else v.value(node.to).text}")
            w.line("break")
    return Expr(result, "out")


def _items(v: Values, node: each_items.Looped) -> str:
    """The local that holds what is gone over."""
    call = "each_of" if each_items.takes_maps(node) else "items_of"
    if isinstance(node, p.Each) and node.single:
        call = "list_of"
    return v.assign(f"{call}({v.decoded(v.value(node.of))})", "value", "of").text


@contextmanager
def _loop(v: Values, node: each_items.Looped, of: str) -> Iterator[str]:
    """The loop's head, with its locals. Gives the one that is the place of an item."""
    w, outer = v.w, (v.item, v.key)
    place, item = w.fresh("key"), w.fresh("item")
    with w.block(f"for {place}, {item} in ({of}.items() if {of}.__class__ is dict else enumerate({of})):"):
        v.item, v.key = item, place
        if each_items.reads_key(node):
            v.key = v.assign(f"{place} if {of}.__class__ is dict else MISSING", "text", "entry").text
        yield place
        v.item, v.key = outer


def entry_name(value: Any) -> Any:
    """What `key` of `$each` makes, as a name."""
    return each_items.key_text(value, "the name of an entry")


def got(members: dict[str, Any] | None, name: Any) -> Any:
    """`$get`: a member by the value that names it."""
    text = each_items.key_text(name, "the name of a member")
    return values.MISSING if members is None or text is values.MISSING else members.get(text, values.MISSING)


def list_of(value: Any) -> Any:
    """`single: wrap`: what is no list as a list of one; None for missing and null."""
    if value is values.MISSING or value is None:
        return None
    return value if isinstance(value, list) else [value]


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
