"""A plan's expressions as rows of nodes: the kernel's side of program/generated/expressions.py.

Takes plan.Value nodes and the Rows that they add to. Gives the index of a node that writes the value; Unfit for what the kernel cannot do.

What copies, compares and joins is done in compiled code; what computes (most filters, checks without a node of their own) is a CALL of the
function that generated code calls. A part that few events reach (a `$when`, a later `$first`, a default) and that is Unfit becomes AWAY: the
events that do reach it go the other ways.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from waypost import plan as p
from waypost.lang import arithmetic, filters, values
from waypost.lang.values import MISSING
from waypost.program import support
from waypost.program.generated import defaults_first
from waypost.program.generated.checks import inline_text
from waypost.program.generated.layout import nameable
from waypost.program.generated.unchanged import Logical, Textual, Untouched, untouched
from waypost.program.kernel import conditions
from waypost.program.kernel.machine import Op
from waypost.program.kernel.rows import Rows, Steps, Unfit

NUMBERS = {"number": 0, "integer": 1}
LOOKS = {"boolean": Op.BOOLEAN, "datetime": Op.INSTANT, "object": Op.WHOLE}
MOST_ENTRIES = 200
"""A longer table is left to the other ways, which do not go through it entry by entry."""

MOST_DROPPED = 100
"""For each member of the object all of them are gone through."""

CASES = ("lower", "upper", "trim")


def value(t: Rows, node: p.Value) -> int:
    """The node of an expression."""
    make = _NODES.get(type(node))
    if make is None:
        raise Unfit(f"`{type(node).__name__.lower()}`")
    return make(t, node)


def _rare(t: Rows, node: p.Value | None) -> int:
    """A value that few events reach."""
    if node is None:
        return -1
    try:
        return value(t, node)
    except Unfit:
        return t.node(Op.AWAY)


def _constant(t: Rows, held: Any) -> int:
    return t.node(Op.CONSTANT, *t.written(values.encode(held)))


def _const(t: Rows, node: p.Const) -> int:
    return _constant(t, node.value)


def _ref(t: Rows, node: p.Ref) -> int:
    if node.name == "meta.id":
        t.fixed += 34
        return t.node(Op.IDENTITY)
    if not node.name.startswith("settings."):
        raise Unfit(f"`{node.name}`")
    held = t.settings(node.name)
    # What has no value is a choice between nothing.
    return t.node(Op.FIRST) if held is MISSING else _constant(t, held)


def _path(t: Rows, node: p.Path) -> int:
    steps = t.steps(node)
    t.copies += 1
    return t.node(Op.COPY, t.slot(steps), t.as_it_stands(steps))


def _read(t: Rows, node: p.Value) -> int:
    """A value that is read on, its text without escapes that need not be."""
    if not isinstance(node, p.Path):
        return value(t, node)
    t.copies += 1
    return t.node(Op.COPY, t.slot(t.steps(node)), 0)


def members(t: Rows, node: p.Object, bits: dict[Steps, int] | None = None, *, whole: bool = False) -> int:
    """A map; `bits` are those of its fields, by their paths in it."""
    rows = []
    for key, entry in node.entries.items():
        if isinstance(entry, p.Omit):
            continue
        inner = {path[1:]: bit for path, bit in (bits or {}).items() if path[0] == key}
        text = t.written(b"," + values.encode(key) + b":")
        deeper = {path: bit for path, bit in inner.items() if path}
        made = members(t, entry, deeper) if isinstance(entry, p.Object) else value(t, entry)
        rows.append(t.node(Op.MEMBER, *text, inner.get((), 0), child=made))
    t.fixed += 2
    return t.node(Op.MEMBERS, int(whole or not node.entries), child=t.chain(rows))


def _items(t: Rows, node: p.Items) -> int:
    if not node.items:
        return _constant(t, [])
    t.fixed += 1 + len(node.items)
    return t.node(Op.ITEMS, child=t.chain([value(t, item) for item in node.items]))


def _first(t: Rows, node: p.First) -> int:
    often, *later = node.of
    return t.node(Op.FIRST, child=t.chain([value(t, often), *(_rare(t, other) for other in later)]))


def _when(t: Rows, node: p.When) -> int:
    test = conditions.condition(t, node.test)
    return t.node(Op.WHEN, test, _rare(t, node.otherwise), child=_rare(t, node.then))


def _from(t: Rows, node: p.From) -> int:
    checks = msgspec.structs.replace(node, default=None, required=False)
    try:
        found = _checked(t, checks)
    except Unfit:
        call = t.call(support.checker(checks), timed=True)
        found = t.node(Op.CALL, call, child=_read(t, node.of))
    if node.default is not None:
        found = t.node(Op.DEFAULT, _rare(t, node.default), child=found)
    return t.node(Op.REQUIRED, child=found) if node.required else found


def _checked(t: Rows, node: p.From) -> int:
    """Checks without a call."""
    found = _typed(t, msgspec.structs.replace(node, enum=None))
    if node.enum is None:
        return found
    if not all(isinstance(member, str) for member in node.enum):
        raise Unfit("`enum` of other values than text")
    allowed = b"".join(values.encode(member) + b"\0" for member in node.enum)
    return t.node(Op.ONE_OF, 0, *t.text(allowed), child=found)


def _typed(t: Rows, node: p.From) -> int:
    """The checks that one look at a member makes."""
    if node == p.From(of=node.of):
        return value(t, node.of)
    slot = t.slot(t.steps(node.of))
    t.copies, t.fixed = t.copies + 1, t.fixed + 2  # the quotes of a number, or the braces of an empty list
    if inline_text(node):
        return t.node(Op.STRING, slot, int(node.empty == "omit"), node.max_length or 0)
    if node == p.From(of=node.of, type=node.type, nulls="omit"):
        if node.type in NUMBERS:
            return t.node(Op.NUMERIC, slot, NUMBERS[node.type])
        if node.type in LOOKS:
            return t.node(LOOKS[node.type], slot, int(node.type == "object"))
    raise Unfit(f"a check of `type: {node.type}`" if node.type else "a check without a type")


def _joined(t: Rows, node: p.Text) -> int:
    t.fixed += 2
    return t.node(Op.JOINED, child=t.chain([_read(t, part) for part in node.parts]))


def _filtered(t: Rows, node: p.Filter) -> int:
    if node.name == "default" and len(node.args) == 1 and isinstance(node.args[0], p.Const):
        return t.node(Op.DEFAULT, value(t, node.args[0]), 1, child=_read(t, node.of))
    call = t.call(partial(_applied, node.name))
    children = [_read(t, node.of), *(_read(t, arg) for arg in node.args)]
    if node.name in CASES and not node.args:
        return t.node(Op[node.name.upper()], call, child=children[0])
    if node.name == "replace" and (texts := _plain_texts(node.args)) and texts[0]:
        old, new = texts
        t.spare()
        return t.node(Op.REPLACE, call, t.text(old + new)[0], len(old), len(new), child=t.chain(children))
    return t.node(Op.CALL, call, child=t.chain(children))


def _arith(t: Rows, node: p.Arith) -> int:
    call = t.call(partial(arithmetic.arith, node.sign))
    return t.node(Op.CALL, call, child=t.chain([_read(t, node.left), _read(t, node.right)]))


def _lookup(t: Rows, node: p.Lookup) -> int:
    entries = [
        t.node(Op.ENTRY, *t.text(key.encode()), *t.written(values.encode(value)))
        for key, value in node.table.items()
        if values.encode(key) == b'"' + key.encode() + b'"'
    ]
    if len(entries) < len(node.table):
        raise Unfit("`$lookup` of a text with escapes")
    if len(node.table) > MOST_ENTRIES:
        raise Unfit("`$lookup` in a long table")
    other = _rare(t, node.otherwise)
    return t.node(Op.LOOKUP, other, t.chain(entries), child=_read(t, node.of))


def _pick(t: Rows, node: p.Pick) -> int:
    return _behind(t, [node], -1, ())


def _drop(t: Rows, node: p.Drop) -> int:
    if not isinstance(node.of, p.Path) or len(node.keys) > MOST_DROPPED:
        raise Unfit("`$drop` of many keys, or from what is made")
    omitted: dict[str, p.Value] = {key: p.Omit() for key in node.keys}
    return _edited(t, p.Merge(of=[node.of], entries=omitted), t.steps(node.of), nothing_left=True)


def _merge(t: Rows, node: p.Merge) -> int:
    if defaults_first.fits(node):
        *picks, last = node.of
        steps = t.steps(last)
        return _behind(t, [pick for pick in picks if isinstance(pick, p.Pick)], t.slot(steps), steps)
    if len(node.of) > 1:
        raise Unfit("`$merge` of several objects")
    steps = t.steps(node.of[0])
    slot = t.slot(steps)
    t.copies += 1
    if not node.entries:
        return t.node(Op.WHOLE, slot)
    same = untouched(node)
    if same is None:
        return _edited(t, node, steps)
    guards = t.chain(_guards(t, same, steps))
    try:
        changed = _edited(t, node, steps)
    except Unfit:
        changed = -1
    return t.node(Op.UNTOUCHED, slot, changed, child=guards)


def _edited(t: Rows, node: p.Merge, steps: Steps, *, nothing_left: bool = False) -> int:
    """An object with further keys in it; `nothing_left`: one without members is missing."""
    rows = []
    for key, entry in node.entries.items():
        if not nameable(key):
            raise Unfit("a name with escapes")
        text = t.written(b"," + values.encode(key) + b":")
        made = -1 if isinstance(entry, p.Omit) else value(t, entry)
        rows.append(t.node(Op.SET, *text, t.slot((*steps, key)), child=made))
    # A comma, quotes and a colon stand with each member in the line as well: the copy is no longer than the object.
    t.copies, t.fixed = t.copies + 1, t.fixed + 2
    return t.node(Op.EDITED, t.slot(steps), int(nothing_left), child=t.chain(rows))


def _behind(t: Rows, picks: list[p.Pick], slot: int, steps: Steps) -> int:
    """Picked members behind those of an object; those of the last pick first, as `merged` orders them."""
    nowhere = slot
    if slot < 0:  # a slot that no member fills
        nowhere, t.slots = t.slots, t.slots + 1
    rows: list[int] = []
    for pick in reversed(picks):
        base = () if pick.of == p.Path(path="$") else t.steps(pick.of)
        if not all(map(nameable, pick.keys)):
            raise Unfit("`$pick` of a name with escapes")
        rows += [t.node(Op.SOLID, t.slot(base[:end])) for end in range(1, len(base) + 1)]
        for key in pick.keys:
            own = t.slot((*steps, key)) if slot >= 0 else nowhere
            text = t.written(b"," + values.encode(key) + b":")
            there = (*base, key)
            as_it_stands = t.as_it_stands(there)
            rows.append(t.node(Op.MORE, *text, own, t.slot(there), child=as_it_stands))
    t.copies, t.fixed = t.copies + 1 + sum(len(pick.keys) for pick in picks), t.fixed + 2
    return t.node(Op.BEHIND, nowhere, child=t.chain(rows))


def _guards(t: Rows, same: Untouched, steps: Steps) -> list[int]:
    """What must hold for an object to pass as it stands."""
    rows = [t.node(Op.UNLESS, conditions.condition(t, text)) for text in same.unless]
    for key, kept in same.members.items():
        slot = t.slot((*steps, key))
        if isinstance(kept, Untouched):
            rows += [t.node(Op.NESTED, slot), *_guards(t, kept, (*steps, key))]
        elif isinstance(kept, Textual):
            rows.append(t.node(Op.TEXTUAL, slot, kept.least, kept.most or 0))
        else:
            rows.append(t.node(Op.LOGICAL if isinstance(kept, Logical) else Op.ABSENT, slot))
    return rows


def _applied(name: str, value: Any, *args: Any) -> Any:
    return filters.apply(name, value, args)


def _plain_texts(args: list[p.Value]) -> list[bytes]:
    """The bytes of constant texts without escapes; none where there is anything else."""
    texts = [values.encode(arg.value) for arg in args if isinstance(arg, p.Const) and isinstance(arg.value, str)]
    plain = len(texts) == len(args) and not any(b"\\" in text for text in texts)
    return [text[1:-1] for text in texts] if plain else []


_NODES: dict[type, Callable[[Rows, Any], int]] = {
    p.Path: _path,
    p.Const: _const,
    p.Ref: _ref,
    p.Text: _joined,
    p.Filter: _filtered,
    p.Arith: _arith,
    p.Object: members,
    p.Merge: _merge,
    p.Items: _items,
    p.From: _from,
    p.First: _first,
    p.Pick: _pick,
    p.Drop: _drop,
    p.When: _when,
    p.Lookup: _lookup,
}
