"""A plan's value expressions become Python statements.

Takes plan.Value nodes and the Layout of the event. Writes statements to a Writer and gives the Expr that holds each value. Why statements
and not closures: a leaf that is copied costs one attribute access, a typed leaf one test, and the reader of `waypost show program` sees
what happens to each field.

Every kind of node has a form here; none is left to the reference interpreter.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw

from waypost import plan as p
from waypost.events import mapped_chunk
from waypost.lang import arithmetic, filters, jsonpath
from waypost.lang.values import MISSING, Fault
from waypost.program import support
from waypost.program.generated import access, checks, conditions, defaults_first, each, merges
from waypost.program.generated.access import Generators, Values
from waypost.program.generated.unchanged import plain_names
from waypost.program.generated.writer import Expr

NOTHING = Expr("MISSING", "value")

INLINE_FILTERS = {"lower": "lower", "upper": "upper", "trim": "strip"}
"""Filters that are one method of str; tests/program/test_inlined_filters.py compares them with the language."""

TEXT_FILTERS = {
    *INLINE_FILTERS,
    "snakecase",
    "kebabcase",
    "titlecase",
    "sha256",
    "md5",
    "hmac_sha256",
    "base64",
    "url",
    "digits",
    "split",
    "replace",
    "slice",
    "hash_id",
    "matches",
    "capture",
    "replace_pattern",
    "truncate_bytes",
}
"""Filters that are nearly always given text."""

NAMES: dict[str, Any] = {
    "MISSING": MISSING,
    "Fault": Fault,
    "full": support.full,
    "one": support.one,
    "reopen": support.reopen,
    "absent": support.absent,
    "blank": support.blank,
    "members": support.members,
    "merged": support.merged,
    "object_raw": support.object_raw,
    "first": struct.Struct("B").unpack_from,
    "BRACE": (123,),
    "PLAIN": mapped_chunk.PLAIN,
    "picked": support.picked,
    "left": support.left,
    "string_of": support.string_of,
    "filled_string_of": support.filled_string_of,
    "string_or_missing": support.string_or_missing,
    "text_part": support.text_part,
    "Raw": Raw,
    "ValidationError": msgspec.ValidationError,
    "fromisoformat": datetime.fromisoformat,
    "beside": defaults_first.beside,
    "datetime_of": support.typed("datetime"),
    "scalar_key": support.scalar_key,
    "as_object": support.as_object,
    "arith": arithmetic.arith,
    "each_of": each.each_of,
    "items_of": each.items_of,
    "list_of": each.list_of,
    "entry_name": each.entry_name,
    "event_of": support.event_of,
    "find": jsonpath.find,
    "got": each.got,
}
"""What generated code may call by a fixed name."""


def path(v: Values, node: p.Path) -> Expr:
    steps = plain_names(node.path)
    if steps is not None:
        return v.slot(steps, "raw")
    expr = jsonpath.parse(node.path, item=True)
    if expr.root == "item":
        item = v.item or "MISSING"
        return v.assign(_walked(v, item, expr.parts), "value", "part") if expr.parts else Expr(item, "value")
    names = conditions.leading_names(expr.parts)
    if not names:
        whole = v.w.cached("the whole event", "event_of(lines[index])", "whole")
        return v.assign(_walked(v, whole, expr.parts), "value", "part") if expr.parts else Expr(whole, "value")
    base = v.decoded(v.slot(tuple(names), "raw"))
    return v.assign(_walked(v, base, expr.parts[len(names) :]), "value", "part")


def _walked(v: Values, base: str, parts: tuple[jsonpath.Part, ...]) -> str:
    """The text of what stands at these parts of a path, from a decoded value on."""
    rest = jsonpath.below(parts)
    if rest.steps is None:
        return f"find({v.w.bind('path', rest)}, {base})"
    return conditions.member(base, rest.steps, "MISSING") if base.isidentifier() else f"walk({base}, {rest.steps!r})"


def const(v: Values, node: p.Const) -> Expr:
    form = "out" if isinstance(node.value, (list, dict)) else "value"
    return Expr(v.w.literal(node.value), form, sure=True)


def ref(v: Values, node: p.Ref) -> Expr:
    if node.name == "key" and v.key is not None:
        return Expr(v.key, "text")
    if node.name == "meta.id":
        return v.assign(f"id_of({v.id_head()}, {v.place})", "text")
    if node.name.startswith("settings."):
        return Expr(v.w.bind("setting", v.scope.settings(node.name)), "value")
    return v.assign("int(now * 1000)", "value") if node.name == "now" else NOTHING


def text(v: Values, node: p.Text) -> Expr:
    parts: list[str] = []
    maybe: list[str] = []
    for part in node.parts:
        if isinstance(part, p.Const) and isinstance(part.value, str):
            parts.append(v.w.literal(part.value))
            continue
        expr = v.scalar(part, "free")
        held = expr if expr.form == "text" else v.assign(f"text_part({v.decoded(expr)})", "text")
        parts.append(held.text)
        maybe.append(f"{held.text} is MISSING")
    joined = " + ".join(parts)
    return v.assign(f"MISSING if {' or '.join(maybe)} else {joined}" if maybe else joined, "text", "text")


def filtered(v: Values, node: p.Filter) -> Expr:
    of = v.scalar(node.of, "scalar" if node.name in TEXT_FILTERS else "free")
    if (
        node.name == "default"
        and len(node.args) == 1
        and isinstance(node.args[0], p.Const)
        and of.form in ("slot", "text", "value")
    ):
        other = v.w.literal(node.args[0].value)
        form = "out" if isinstance(node.args[0].value, (list, dict)) else of.form
        if form == "text" and not isinstance(node.args[0].value, str):
            form = "value"
        return v.assign(f"{other} if {of.text} is MISSING or {of.text} is None else {of.text}", form)
    args = [v.decoded(v.scalar(arg)) for arg in node.args]
    call = f"{v.w.bind(node.name, _filter_call(node.name))}({', '.join([v.decoded(of), *args])})"
    if node.name in INLINE_FILTERS:
        method = INLINE_FILTERS[node.name]
        return v.assign(f"{of.text}.{method}() if {of.text}.__class__ is str else {call}", "value", node.name)
    return v.assign(call, "value", node.name)


def arith(v: Values, node: p.Arith) -> Expr:
    left, right = v.decoded(v.scalar(node.left, "number")), v.decoded(v.scalar(node.right, "number"))
    return v.assign(f"arith({node.sign!r}, {left}, {right})", "value")


def object_(v: Values, node: p.Object) -> Expr:
    if not node.entries:
        return Expr(v.w.literal({}), "out", sure=True)
    held = entries(v, node.entries)
    if not held:
        return NOTHING
    body = ", ".join(f"{v.w.literal(key)}: {expr.text}" for key, expr in held.items())
    whole = v.assign(f"{{{body}}}", "out", "object")
    optional = [expr for expr in held.values() if not expr.sure]
    if optional:
        # What is there as a rule costs a test each, not a copy.
        with v.w.block(f"if {' or '.join(f'{expr.text} is MISSING' for expr in optional)}:"):
            v.w.line(f"{whole.text} = {{key: value for key, value in {whole.text}.items() if value is not MISSING}}")
        if len(optional) == len(held):
            v.w.line(f"{whole.text} = {whole.text} or MISSING")
    return whole


def entries(
    v: Values, entries: dict[str, p.Value], *, own: bool = False, needed: Collection[str] = ()
) -> dict[str, Expr]:
    """The entries of an object; what is left out for good has none. `own`: the decoded event becomes this object, of which the `needed`
    keys are looked at once more."""
    held: dict[str, Expr] = {}
    for key, node in entries.items():
        if not isinstance(node, p.Omit):
            with v.w.field(key):
                stored = checks.own(v, key, node, _target(v, key), key in needed) if own else None
                held[key] = stored or v.value(node)
    return held


def _target(v: Values, key: str) -> str:
    slot = v.layout.root.children.get(key)
    return f"e.{slot.attribute if slot else key}"


def omit(v: Values, node: p.Omit) -> Expr:
    return NOTHING


def items(v: Values, node: p.Items) -> Expr:
    if not node.items:
        return Expr(v.w.literal([]), "out", sure=True)
    members = ", ".join(v.value(item).text for item in node.items)
    return v.assign(f"[item for item in ({members},) if item is not MISSING] or MISSING", "out", "items")


def first(v: Values, node: p.First) -> Expr:
    result = v.w.fresh("first")
    forms: set[str] = set()
    _first(v, list(node.of), result, forms)
    return Expr(result, forms.pop() if len(forms) == 1 else "out")


def _first(v: Values, rest: list[p.Value], result: str, forms: set[str]) -> None:
    expr = v.value(rest[0])
    forms.add(expr.form)
    v.w.line(f"{result} = {expr.text}")
    test = f"{result} is MISSING" if expr.form == "text" else f"absent({result})"
    if len(rest) > 1:
        with v.w.block(f"if {test}:"):
            if v.w.indent < access.DEEP:
                _first(v, rest[1:], result, forms)
            else:
                other = v.value(p.First(of=rest[1:]))
                forms.add(other.form)
                v.w.line(f"{result} = {other.text}")
    elif expr.form != "text":
        with v.w.block(f"if {test}:"):
            v.w.line(f"{result} = MISSING")


def pick(v: Values, node: p.Pick) -> Expr:
    held = v.picked_slots(node)
    if held is None:
        keys = v.w.bind("keys", tuple(node.keys))
        return v.assign(f"picked(members({v.operand(node.of)}), {keys}) or MISSING", "out", "pick")
    body = ", ".join(f"{v.w.literal(key)}: {expr.text}" for key, expr in held.items())
    whole = v.assign("{" + body + "}", "out", "pick")
    v.w.line(f"{whole.text} = {{key: value for key, value in {whole.text}.items() if value is not MISSING}} or MISSING")
    return whole


def drop(v: Values, node: p.Drop) -> Expr:
    dropped = v.w.bind("keys", frozenset(node.keys))
    return v.assign(f"left(members({v.operand(node.of)}), {dropped}) or MISSING", "out", "drop")


def each_(v: Values, node: p.Each) -> Expr:
    return each.generate(v, node)


def find(v: Values, node: p.Find) -> Expr:
    return each.find(v, node)


def get(v: Values, node: p.Get) -> Expr:
    members = v.assign(f"members({v.operand(node.of)})", "out", "members").text
    return v.assign(f"got({members}, {v.decoded(v.scalar(node.key, 'free'))})", "out", "got")


def when(v: Values, node: p.When) -> Expr:
    result = v.w.fresh("when")
    forms: set[str] = set()
    with v.w.block(f"if {v.scope.condition(node.test)}:"):
        then = v.value(node.then)
        forms.add(then.form)
        v.w.line(f"{result} = {then.text}")
    with v.w.block("else:"):
        other = NOTHING if node.otherwise is None else v.value(node.otherwise)
        if node.otherwise is not None:
            forms.add(other.form)
        v.w.line(f"{result} = {other.text}")
    return Expr(result, forms.pop() if len(forms) == 1 else "out")


def lookup(v: Values, node: p.Lookup) -> Expr:
    of = v.scalar(node.of, "free")
    key = of if of.form == "text" else v.assign(f"scalar_key({of.text if of.form != 'out' else v.decoded(of)})", "text")
    table = v.w.bind("table", dict(node.table))
    result = v.assign(f"MISSING if {key.text} is MISSING else {table}.get({key.text}, MISSING)", "value", "lookup")
    if node.otherwise is not None:
        with v.w.block(f"if {result.text} is MISSING:"):
            other = v.value(node.otherwise)
            v.w.line(f"{result.text} = {v.decoded(other)}")
    return result


def messages(v: Values, node: p.Messages) -> Expr:
    raise AssertionError("$messages stands in a request's body only")


def checked(v: Values, node: p.From) -> Expr:
    """`$from`: text in line, any other type through the table, other checks through one call."""
    result = checks.checks(v, node)
    if node.default is not None:
        with v.w.block(f"if {result.text} is MISSING:"):
            other = v.value(node.default)
            v.w.line(f"{result.text} = {other.text}")
        result = Expr(result.text, result.form if result.form == other.form else "out", sure=other.sure)
    if node.required and not result.sure:
        with v.w.block(f"if {result.text} is MISSING:"):
            v.w.line("raise Fault('required', 'a value is required and there is none')")
        result = Expr(result.text, result.form, sure=True)
    return result


def _filter_call(name: str) -> Callable[..., Any]:
    """A filter as a function of (value, arguments). Text, which most filters are given, needs no look at the table of kinds."""
    row = filters.FILTERS[name]
    function, texts = row.function, "string" in row.takes and name != "default"
    spoken = "text" in row.args

    def call(value: Any, *args: Any) -> Any:
        ready = all(arg.__class__ is str for arg in args) if spoken else None not in args and MISSING not in args
        if texts and value.__class__ is str and ready:
            try:
                return function(value, *args)
            except Fault:
                pass  # told by `apply`
        return filters.apply(name, value, args)

    return call


GENERATORS: Generators = {
    p.Path: path,
    p.Const: const,
    p.Ref: ref,
    p.Text: text,
    p.Filter: filtered,
    p.Arith: arith,
    p.Object: object_,
    p.Merge: merges.merge,
    p.Omit: omit,
    p.Items: items,
    p.From: checked,
    p.First: first,
    p.Pick: pick,
    p.Drop: drop,
    p.Each: each_,
    p.Find: find,
    p.Get: get,
    p.When: when,
    p.Lookup: lookup,
    p.Messages: messages,
}
"""One function a kind of node."""
