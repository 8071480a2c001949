"""A plan's value expressions become Python statements.

Takes plan.Value nodes and the Layout of the event. Writes statements to a Writer and gives the Expr that holds each value. Why statements
and not closures: a leaf that is copied costs one attribute access, a typed leaf one test, and the reader of `waypost show program` sees
what happens to each field.

A node with no cheap form (several matches, `$each`, item paths) is bound as a call of the reference interpreter: slower, same meaning.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw

from waypost import plan as p
from waypost.events import mapped_chunk
from waypost.lang import arithmetic, filters
from waypost.lang.values import MISSING, Fault
from waypost.program import support
from waypost.program.generated import checks, defaults_first, each, unchanged
from waypost.program.generated.layout import Layout, Slot, nameable
from waypost.program.generated.unchanged import plain_names
from waypost.program.generated.writer import Expr, Writer

NOTHING = Expr("MISSING", "value")

INLINE_FILTERS = {"lower": "lower", "upper": "upper", "trim": "strip"}
"""Filters that are one method of str; tests/test_filters.py compares them with the table."""

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
}
"""Filters that are nearly always given text."""


@dataclass(frozen=True)
class Scope:
    """What a mapping may reach besides the event: the link-time settings, the action, and the interpreter for the rest."""

    action: str
    settings: Callable[[str], Any]
    interpret: Callable[[p.Value], Callable[..., Any]]
    condition: Callable[[str], str]
    shares: bool = False
    """Whether this action reads members of an object that it also merges."""
    kind: str | None = None
    """The event's type, where it is known: the event comes from the fast decoder then, whose types need no second look."""
    origin: str = "line, at"
    """The text of the event's line and of its (offset, first line), for what identifies it."""


class Values:
    """Generates the values of one plan. State: the Writer and Layout that it adds to."""

    def __init__(self, writer: Writer, layout: Layout, scope: Scope) -> None:
        self.w = writer
        self.layout = layout
        self.scope = scope
        self.item: str | None = None
        """The local that holds the innermost item, within a loop."""

    def value(self, node: p.Value) -> Expr:
        return _GENERATORS[type(node)](self, node)

    def slot(self, steps: tuple[str, ...], how: str) -> Expr:
        """The event's value at a plain path of names, as an Expr of form "slot" or "raw"."""
        if steps == ("type",) and self.scope.kind is not None:
            name = f"TYPE_{self.scope.kind}"
            self.w.names[name] = self.scope.kind
            return Expr(name, "text", sure=True)
        slot = self.layout.use(steps, how)
        parent = self._owner(steps)
        name = self.w.cached(f"{parent}.{slot.attribute}", f"{parent}.{slot.attribute}", _hint(slot))
        if slot.single and slot.numeric and how not in ("raw", "object"):
            return Expr(self.w.cached(f"one {parent}.{slot.attribute}", f"one({name})", _hint(slot)), "slot")
        return Expr(name, "slot" if slot.decoded else "raw")

    def _owner(self, steps: tuple[str, ...]) -> str:
        """The expression of the struct that holds the last step."""
        return self.struct(steps[:-1])

    def struct(self, steps: tuple[str, ...]) -> str:
        """The expression of the struct at a path whose members are used."""
        known = self.w.known(_struct_key(steps)) if steps else None
        if known:
            return known
        if not steps:
            return "e"
        slot, parent = self.layout.at(steps), self.layout.at(steps[:-1])
        if slot.nested and not parent.nested:
            parent.shared.add((self.scope.action, slot.name))
        text = f"{self.struct(steps[:-1])}.{slot.attribute}"
        # Where the event becomes the message, its own field may have been set already: what was read first is the event's.
        text = self.w.known(text) or text
        return text if slot.nested else self._loaded(slot, text)

    def _loaded(self, slot: Slot, raw: str) -> str:
        """The local that holds the struct of a slot that its parent's struct holds as Raw."""
        key = f"load {slot.index}"
        known = self.w.known(key)
        if known:
            return known
        name = self.w.fresh(_hint(slot))
        tail = f"{self.layout.name}_{slot.index}"
        self.w.names.update({f"DECODE{tail}": slot.decode, f"LOAD{tail}": slot.load, f"EMPTY{tail}": slot.empty})
        with self.w.block("try:"):
            self.w.line(f"{name} = EMPTY{tail} if {raw} is MISSING else DECODE{tail}({raw})")
        with self.w.block("except ValidationError:"):
            self.w.line(f"{name} = LOAD{tail}({raw})")
        self.w.know(key, name)
        return name

    def assign(self, text: str, form: str, hint: str = "v") -> Expr:
        name = self.w.fresh(hint)
        self.w.line(f"{name} = {text}")
        return Expr(name, form)

    def decoded(self, expr: Expr) -> str:
        """The text of an expression as decoded JSON."""
        if expr.form in ("value", "text"):
            return expr.text
        return f"full({expr.text})" if expr.form in ("slot", "raw") else f"reopen({expr.text})"

    # One method a node kind, named after it.

    def path(self, node: p.Path) -> Expr:
        steps = plain_names(node.path)
        if steps is not None:
            return self.slot(steps, "raw")
        within = each.item_steps(node.path) if self.item else None
        if within is None:
            return self.interpreted(node)
        return (
            self.assign(f"walk({self.item}, {within!r})", "value", "part") if within else Expr(str(self.item), "value")
        )

    def scalar(self, node: p.Value, how: str = "scalar") -> Expr:
        """A value that will be inspected: a plain path as a scalar slot (`how` "free": what may be anything), anything else as it comes."""
        if isinstance(node, p.Path) and (steps := plain_names(node.path)) is not None:
            # The event's own fields are text by its spec; properties and traits are free.
            return self.slot(steps, ("number" if len(steps) > 1 else "scalar") if how == "free" else how)
        found = self.value(node)
        return self.assign(found.text, found.form) if isinstance(node, p.Const) else found

    def interpreted(self, node: p.Value) -> Expr:
        return self.assign(f"{self.w.bind('interpret', self.scope.interpret(node))}({self.scope.origin}, now)", "value")

    def const(self, node: p.Const) -> Expr:
        form = "out" if isinstance(node.value, (list, dict)) else "value"
        return Expr(self.w.literal(node.value), form, sure=True)

    def ref(self, node: p.Ref) -> Expr:
        if node.name == "meta.id":
            event_id = self.slot(("messageId",), "scalar")
            known = event_id.text if event_id.form == "slot" else self.decoded(event_id)
            action = self.w.literal(self.scope.action)
            return self.assign(f"meta_id({known}, {self.scope.origin}, {action}, None)", "text")
        if node.name.startswith("settings."):
            return Expr(self.w.bind("setting", self.scope.settings(node.name)), "value")
        return self.interpreted(node)

    def text(self, node: p.Text) -> Expr:
        parts: list[str] = []
        maybe: list[str] = []
        for part in node.parts:
            if isinstance(part, p.Const) and isinstance(part.value, str):
                parts.append(self.w.literal(part.value))
                continue
            expr = self.scalar(part, "free")
            held = expr if expr.form == "text" else self.assign(f"text_part({self.decoded(expr)})", "text")
            parts.append(held.text)
            maybe.append(f"{held.text} is MISSING")
        joined = " + ".join(parts)
        return self.assign(f"MISSING if {' or '.join(maybe)} else {joined}" if maybe else joined, "text", "text")

    def filter(self, node: p.Filter) -> Expr:
        of = self.scalar(node.of, "scalar" if node.name in TEXT_FILTERS else "free")
        if (
            node.name == "default"
            and len(node.args) == 1
            and isinstance(node.args[0], p.Const)
            and of.form in ("slot", "text", "value")
        ):
            other = self.w.literal(node.args[0].value)
            form = "out" if isinstance(node.args[0].value, (list, dict)) else of.form
            if form == "text" and not isinstance(node.args[0].value, str):
                form = "value"
            return self.assign(f"{other} if {of.text} is MISSING or {of.text} is None else {of.text}", form)
        args = [self.decoded(self.scalar(arg)) for arg in node.args]
        call = f"{self.w.bind(node.name, _filter_call(node.name))}({', '.join([self.decoded(of), *args])})"
        if node.name in INLINE_FILTERS:
            method = INLINE_FILTERS[node.name]
            return self.assign(f"{of.text}.{method}() if {of.text}.__class__ is str else {call}", "value", node.name)
        return self.assign(call, "value", node.name)

    def arith(self, node: p.Arith) -> Expr:
        left, right = self.decoded(self.scalar(node.left, "number")), self.decoded(self.scalar(node.right, "number"))
        return self.assign(f"arith({node.sign!r}, {left}, {right})", "value")

    def object(self, node: p.Object) -> Expr:
        if not node.entries:
            return Expr(self.w.literal({}), "out", sure=True)
        held = self.entries(node.entries)
        if not held:
            return NOTHING
        body = ", ".join(f"{self.w.literal(key)}: {expr.text}" for key, expr in held.items())
        whole = self.assign(f"{{{body}}}", "out", "object")
        optional = [expr for expr in held.values() if not expr.sure]
        if optional:
            self.w.line(f"{whole.text} = {{key: value for key, value in {whole.text}.items() if value is not MISSING}}")
            if len(optional) == len(held):
                self.w.line(f"{whole.text} = {whole.text} or MISSING")
        return whole

    def entries(
        self, entries: dict[str, p.Value], *, own: bool = False, needed: Collection[str] = ()
    ) -> dict[str, Expr]:
        """The entries of an object; what is left out for good has none. `own`: the decoded event becomes this object, of which the `needed`
        keys are looked at once more."""
        held: dict[str, Expr] = {}
        for key, node in entries.items():
            if not isinstance(node, p.Omit):
                with self.w.field(key):
                    stored = checks.own(self, key, node, self._target(key), key in needed) if own else None
                    held[key] = stored or self.value(node)
        return held

    def _target(self, key: str) -> str:
        slot = self.layout.root.children.get(key)
        return f"e.{slot.attribute if slot else key}"

    def omit(self, node: p.Omit) -> Expr:
        return NOTHING

    def items(self, node: p.Items) -> Expr:
        if not node.items:
            return Expr(self.w.literal([]), "out", sure=True)
        members = ", ".join(self.value(item).text for item in node.items)
        return self.assign(f"[item for item in ({members},) if item is not MISSING] or MISSING", "out", "items")

    def first(self, node: p.First) -> Expr:
        result = self.w.fresh("first")
        forms: set[str] = set()
        self._first(list(node.of), result, forms)
        return Expr(result, forms.pop() if len(forms) == 1 else "out")

    def _first(self, rest: list[p.Value], result: str, forms: set[str]) -> None:
        expr = self.value(rest[0])
        forms.add(expr.form)
        self.w.line(f"{result} = {expr.text}")
        test = f"{result} is MISSING" if expr.form == "text" else f"absent({result})"
        if len(rest) > 1:
            with self.w.block(f"if {test}:"):
                self._first(rest[1:], result, forms)
        elif expr.form != "text":
            with self.w.block(f"if {test}:"):
                self.w.line(f"{result} = MISSING")

    def pick(self, node: p.Pick) -> Expr:
        held = self.picked_slots(node)
        if held is None:
            keys = self.w.bind("keys", tuple(node.keys))
            return self.assign(f"picked(members({self.operand(node.of)}), {keys}) or MISSING", "out", "pick")
        body = ", ".join(f"{self.w.literal(key)}: {expr.text}" for key, expr in held.items())
        whole = self.assign("{" + body + "}", "out", "pick")
        self.w.line(
            f"{whole.text} = {{key: value for key, value in {whole.text}.items() if value is not MISSING}} or MISSING"
        )
        return whole

    def picked_slots(self, node: p.Pick) -> dict[str, Expr] | None:
        """The slots of the members that are picked from a plain path, with a test that it is an object; None for any other value."""
        if not isinstance(node.of, p.Path) or not all(map(nameable, node.keys)):
            return None
        base = () if node.of.path == "$" else plain_names(node.of.path)
        if base is None:
            return None
        held = {key: self.slot((*base, key), "raw") for key in node.keys}
        if base:
            with self.w.block(f"if {self.struct(base)} is {self.w.bind('broken', self.layout.at(base).broken)}:"):
                self.w.line(f"raise Fault('wrong_shape', {'expected an object at ' + node.of.path!r})")
        return held

    def operand(self, node: p.Value) -> str:
        """The text of a value of which the members are wanted: Raw, dict or nothing."""
        if isinstance(node, p.Path) and (steps := plain_names(node.path)) is not None:
            return self.slot(steps, "object").text
        found = self.value(node)
        return f"full({found.text})" if found.form in ("slot", "raw") else found.text

    def each(self, node: p.Each) -> Expr:
        return each.generate(self, node) if each.loops(node) else self.interpreted(node)

    def when(self, node: p.When) -> Expr:
        result = self.w.fresh("when")
        forms: set[str] = set()
        with self.w.block(f"if {self.scope.condition(node.test)}:"):
            then = self.value(node.then)
            forms.add(then.form)
            self.w.line(f"{result} = {then.text}")
        with self.w.block("else:"):
            other = NOTHING if node.otherwise is None else self.value(node.otherwise)
            if node.otherwise is not None:
                forms.add(other.form)
            self.w.line(f"{result} = {other.text}")
        return Expr(result, forms.pop() if len(forms) == 1 else "out")

    def lookup(self, node: p.Lookup) -> Expr:
        of = self.scalar(node.of, "free")
        key = (
            of
            if of.form == "text"
            else self.assign(f"scalar_key({of.text if of.form != 'out' else self.decoded(of)})", "text")
        )
        table = self.w.bind("table", dict(node.table))
        result = self.assign(
            f"MISSING if {key.text} is MISSING else {table}.get({key.text}, MISSING)", "value", "lookup"
        )
        if node.otherwise is not None:
            with self.w.block(f"if {result.text} is MISSING:"):
                other = self.value(node.otherwise)
                self.w.line(f"{result.text} = {self.decoded(other)}")
        return result

    def merge(self, node: p.Merge) -> Expr:
        if len(node.of) == 1 and isinstance(node.of[0], p.Path) and (steps := plain_names(node.of[0].path)):
            base = self.slot(steps, "object")
            if not node.entries:
                held = base.text
                quick = f"{held} if {held}.__class__ is Raw and first({held}) == BRACE else object_raw({held})"
                return self.assign(quick, "out", "merge")
            shared = self._shared(steps, node)
            same = unchanged.identity(
                node, {key: (f"x{slot.index}", slot.struct, slot.empty) for key, slot in shared.items()}
            )
            if same is not None:
                return self._merge_unless_untouched(node, base, same, shared, steps)
        if defaults_first.fits(node):
            return defaults_first.generate(self, node)
        return self.merge_all(node)

    def _shared(self, steps: tuple[str, ...], node: p.Merge) -> dict[str, Slot]:
        """The children of a merged object that this action reads as structs besides: one look gives both."""
        slot = self.layout.at(steps)
        if not self.scope.shares or not slot.children:
            return {}
        return {
            key: slot.children[key]
            for action, key in sorted(slot.shared)
            if action == self.scope.action and key not in node.entries and slot.children[key].nested and nameable(key)
        }

    def _merge_unless_untouched(
        self, node: p.Merge, base: Expr, same: unchanged.Identity, shared: dict[str, Slot], steps: tuple[str, ...]
    ) -> Expr:
        """One object with entries that mostly change nothing: its own bytes where one look at its shape says so."""
        result, shape = self.w.fresh("merge"), self.w.fresh("shape")
        self.look(same.shape, base.text, shape)
        whole = shape
        if shared and (bare := unchanged.identity(node)) is not None:
            # What is read besides may have another type; the object is left alone all the same.
            whole = self.assign(shape, "value", "whole").text
            with self.w.block(f"if {shape} is None:"):
                self.look(bare.shape, base.text, whole)
        for key, slot in shared.items():
            struct = self.w.fresh(_hint(slot))
            with self.w.block(f"if {shape} is not None:"):
                self.w.line(f"{struct} = {shape}.x{slot.index}")
            with self.w.block("else:"):
                self.w.line(f"{struct} = {self.struct((*steps, key))}")
            self.w.know(_struct_key((*steps, key)), struct)
        tests = [f"{whole} is not None"]
        tests += [f"not {self.scope.condition(text)}" for text in same.unless]
        with self.w.block(f"if {' and '.join(tests)}:"):
            self.w.line(f"{result} = {base.text}")
        with self.w.block("else:"):
            self.w.line(f"{result} = {self.merge_all(node).text}")
        return Expr(result, "out")

    def look(self, shape: type[msgspec.Struct], raw: str, name: str) -> None:
        """Statements that give `name` the shape of an object: None when its types do not fit, the empty shape when it is missing."""
        decode = self.w.bind("look", msgspec.json.Decoder(shape).decode)
        with self.w.block("try:"):
            self.w.line(f"{name} = {self.w.bind('nothing', shape())} if {raw} is MISSING else {decode}({raw})")
        with self.w.block("except ValidationError:"):
            self.w.line(f"{name} = None")

    def merge_all(self, node: p.Merge) -> Expr:
        """Any merge, member by member."""
        parts = [self.assign(f"members({self.operand(operand)})", "out", "part").text for operand in node.of]
        whole = self.assign(f"merged({', '.join(parts)})" if len(parts) > 1 else parts[0], "out", "merged")
        if not node.entries:
            with self.w.block(f"if {whole.text} is None:"):
                self.w.line(f"{whole.text} = MISSING")
            return whole
        seen = self.assign(f"{whole.text} is not None", "value", "seen").text
        with self.w.block(f"if not {seen}:"):
            self.w.line(f"{whole.text} = {{}}")
        for key, entry in node.entries.items():
            with self.w.field(key):
                name = self.w.literal(key)
                if isinstance(entry, p.Omit):
                    self.w.line(f"{whole.text}.pop({name}, None)")
                    continue
                expr = self.value(entry)
                if expr.sure:
                    self.w.line(f"{whole.text}[{name}] = {expr.text}")
                    continue
                with self.w.block(f"if {expr.text} is MISSING:"):
                    self.w.line(f"{whole.text}.pop({name}, None)")
                with self.w.block("else:"):
                    self.w.line(f"{whole.text}[{name}] = {expr.text}")
        with self.w.block(f"if not {whole.text} and not {seen}:"):
            self.w.line(f"{whole.text} = MISSING")
        return whole

    def messages(self, node: p.Messages) -> Expr:
        raise AssertionError("$messages stands in a request's body only")

    def checked(self, node: p.From) -> Expr:
        """`$from`: text in line, any other type through the table, other checks through one call."""
        result = checks.checks(self, node)
        if node.default is not None:
            with self.w.block(f"if {result.text} is MISSING:"):
                other = self.value(node.default)
                self.w.line(f"{result.text} = {other.text}")
            result = Expr(result.text, result.form if result.form == other.form else "out", sure=other.sure)
        if node.required and not result.sure:
            with self.w.block(f"if {result.text} is MISSING:"):
                self.w.line("raise Fault('required', 'a value is required and there is none')")
            result = Expr(result.text, result.form, sure=True)
        return result


def _struct_key(steps: tuple[str, ...]) -> str:
    return f"struct {steps!r}"


def _hint(slot: Slot) -> str:
    return slot.attribute


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
}
"""What generated code may call by a fixed name."""

_GENERATORS: dict[type, Callable[[Values, Any], Expr]] = {
    p.Path: Values.path,
    p.Const: Values.const,
    p.Ref: Values.ref,
    p.Text: Values.text,
    p.Filter: Values.filter,
    p.Arith: Values.arith,
    p.Object: Values.object,
    p.Merge: Values.merge,
    p.Omit: Values.omit,
    p.Items: Values.items,
    p.From: Values.checked,
    p.First: Values.first,
    p.Pick: Values.pick,
    p.Each: Values.each,
    p.When: Values.when,
    p.Lookup: Values.lookup,
    p.Messages: Values.messages,
}
