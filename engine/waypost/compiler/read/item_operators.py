"""The operators that go over items and look into objects by name: `$each`, `$find`, `$get`.

Takes the Values reader, the map, what stands behind the operator, and the Place. Gives a Val; what is missing or misplaced is reported.
"""

from __future__ import annotations

from collections.abc import Callable

from waypost import plan as p
from waypost.compiler.read import several
from waypost.compiler.read.document import Map, Node, Scalar
from waypost.compiler.read.places import Place
from waypost.compiler.read.values import Values
from waypost.compiler.spec import Val
from waypost.lang import each_items, template

NOTHING = p.Const(value=None)


def each(values: Values, node: Map, held: Node, place: Place) -> Val:
    of = values.value(held, place)
    inner = place.with_entry(several.part_of(values.settings, of.node))
    to = _needed(values, node, "to", inner, "say what each item becomes, such as `to: $item.id`")
    key_node, where_node = node.get("key"), node.get("where")
    key = _name(values, key_node, inner) if key_node is not None else None
    where = values.condition(where_node, inner, "`where`") if where_node is not None else None
    built = p.Each(
        of=of.node,
        to=to.node,
        where=where.text if where else None,
        key=key.node if key else None,
        single=single(values, node),
    )
    if key is not None and isinstance(key.node, p.Const) and not key.broken:
        help_text = (
            'name each entry by its item, such as `key: $item.name`, or by its own name: `key: "{{ key | lower }}"`'
        )
        values.add("M231", "every entry has the same name", key.span, "only the last would be left", help_text)
    if built.single and each_items.reads_key(built):
        help_text = "leave `single` out to go over an object's entries, or name the entries by what is in the items"
        values.add("M230", "an item of a list has no name", node.spans["single"], "`key` is always missing", help_text)
    parts = (of, to) if key is None else (of, to, key)
    return Val(built, node.span, parts, words=node.spans, condition=where)


def find(values: Values, node: Map, held: Node, place: Place) -> Val:
    of = values.value(held, place)
    inner = place.with_entry(several.part_of(values.settings, of.node))
    where_node, to_node = node.get("where"), node.get("to")
    if where_node is None:
        help_text = 'say which item is meant, such as `where: item.type = "home"`; the first of all is `| first`'
        values.add("S103", "`$find` needs `where`", node.entries[0][0].span, "missing here", help_text)
    where = values.condition(where_node, inner, "`where`") if where_node is not None else None
    to = values.value(to_node, inner) if to_node is not None else None
    parts = (of,) if to is None else (of, to)
    if where is None:
        return Val(NOTHING, node.span, parts, broken=True)
    built = p.Find(of=of.node, where=where.text, to=to.node if to else None)
    return Val(built, node.span, parts, words=node.spans, condition=where)


def get(values: Values, node: Map, held: Node, place: Place) -> Val:
    of = values.value(held, place)
    key = _needed(values, node, "key", place, "say which member is meant, such as `key: $.event`", _name)
    return Val(p.Get(of=of.node, key=key.node), node.span, (of, key), words=node.spans)


def single(values: Values, node: Map) -> bool:
    """`single: wrap`: what is no list is a list of one."""
    return bool(values.closed.one_of(node.get("single"), ("wrap",), "`single`", ""))


Read = Callable[[Values, Node, Place], Val]


def _name(values: Values, node: Node, place: Place) -> Val:
    """What gives a name: a value, or a template, which may be a path alone as in other text."""
    if isinstance(node, Scalar) and node.kind == "text" and template.has_template(node.text):
        return values.template(node, place) or Val(NOTHING, node.span, broken=True)
    return values.value(node, place)


def _needed(values: Values, node: Map, word: str, place: Place, help_text: str, read: Read = Values.value) -> Val:
    held = node.get(word)
    if held is None:
        operator = node.entries[0][0]
        values.add("S103", f"`{operator.text}` needs `{word}`", operator.span, "missing here", help_text)
        return Val(NOTHING, node.span, broken=True)
    return read(values, held, place)
