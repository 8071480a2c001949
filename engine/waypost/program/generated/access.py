"""What generated values are made with: the statements so far, and how the event, its members and the plan's settings are reached.

Takes the Writer and Layout of one mapping and a table of generators, one for each kind of node (expressions.py has it). Gives the Expr that
holds a value, or a part of the event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from waypost import plan as p
from waypost.program.generated.layout import Layout, Slot, nameable
from waypost.program.generated.unchanged import plain_names
from waypost.program.generated.writer import Expr, Writer

DEEP = 16
"""Python takes 20 loops and `try`s within each other, and 100 levels of indentation: what opens more at this depth becomes a function."""

NESTING = (p.Each, p.Find, p.First, p.From, p.Lookup, p.Merge, p.Object, p.Pick, p.When)
"""The kinds of node whose statements open blocks."""


@dataclass(frozen=True)
class Scope:
    """What a mapping may reach besides the event: the link-time settings and the action."""

    action: str
    settings: Callable[[str], Any]
    condition: Callable[[str], str]
    shares: bool = False
    """Whether this action reads members of an object that it also merges."""
    kind: str | None = None
    """The event's type, where it is known: the event comes from the fast decoder then, whose types need no second look."""


class Values:
    """Generates the values of one plan. State: the Writer and Layout that it adds to."""

    def __init__(self, writer: Writer, layout: Layout, scope: Scope, generators: Generators) -> None:
        self.w = writer
        self.layout = layout
        self.scope = scope
        self._generators = generators
        self.item: str | None = None
        """The local that holds the innermost item, within a loop."""
        self.key: str | None = None
        """The local that holds the name of its entry."""
        self.place: str | None = None
        """The local that holds which item of the action's `each` the message is for."""

    def value(self, node: p.Value) -> Expr:
        if self.w.indent >= DEEP and isinstance(node, NESTING):
            return self._apart(node)
        return self._generators[type(node)](self, node)

    def _apart(self, node: p.Value) -> Expr:
        """A value as a function of its own: Python takes only so many blocks within each other."""
        held = dict.fromkeys(name for name in (self.item, self.key, self.place) if name is not None)
        given = ", ".join(("e, index, lines, offsets, first_line, now", *held))
        name = self.w.fresh("part")
        with self.w.apart(f"def {name}({given}):"):
            found = self._generators[type(node)](self, node)
            self.w.line(f"return {found.text}")
        return self.assign(f"{name}({given})", found.form)

    def slot(self, steps: tuple[str, ...], how: str) -> Expr:
        """The event's value at a plain path of names, as an Expr of form "slot" or "raw"."""
        if steps == ("type",) and self.scope.kind is not None:
            name = f"TYPE_{self.scope.kind}"
            self.w.names[name] = self.scope.kind
            return Expr(name, "text", sure=True)
        slot = self.layout.use(steps, how)
        parent = self._owner(steps)
        name = self.w.cached(f"{parent}.{slot.attribute}", f"{parent}.{slot.attribute}", hint(slot))
        if slot.single and slot.numeric and how not in ("raw", "object"):
            return Expr(self.w.cached(f"one {parent}.{slot.attribute}", f"one({name})", hint(slot)), "slot")
        return Expr(name, "slot" if slot.decoded else "raw")

    def _owner(self, steps: tuple[str, ...]) -> str:
        """The expression of the struct that holds the last step."""
        return self.struct(steps[:-1])

    def struct(self, steps: tuple[str, ...]) -> str:
        """The expression of the struct at a path whose members are used."""
        known = self.w.known(struct_key(steps)) if steps else None
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
        name = self.w.fresh(hint(slot))
        tail = f"{self.layout.name}_{slot.index}"
        self.w.names.update({f"DECODE{tail}": slot.decode, f"LOAD{tail}": slot.load, f"EMPTY{tail}": slot.empty})
        with self.w.block("try:"):
            self.w.line(f"{name} = EMPTY{tail} if {raw} is MISSING else DECODE{tail}({raw})")
        with self.w.block("except ValidationError:"):
            self.w.line(f"{name} = LOAD{tail}({raw})")
        self.w.know(key, name)
        return name

    def id_head(self) -> str:
        """The local that holds what `meta.id` begins with: the same for every item of an event."""
        event_id = self.slot(("messageId",), "scalar")
        known = event_id.text if event_id.form == "slot" else self.decoded(event_id)
        origin = f"lines[index], offsets[index], first_line, {self.w.literal(self.scope.action)}"
        return self.w.cached(f"id of {self.scope.action}", f"id_head({known}, {origin})", "id")

    def assign(self, text: str, form: str, hint: str = "v") -> Expr:
        name = self.w.fresh(hint)
        self.w.line(f"{name} = {text}")
        return Expr(name, form)

    def decoded(self, expr: Expr) -> str:
        """The text of an expression as decoded JSON."""
        if expr.form in ("value", "text"):
            return expr.text
        return f"full({expr.text})" if expr.form in ("slot", "raw") else f"reopen({expr.text})"

    def scalar(self, node: p.Value, how: str = "scalar") -> Expr:
        """A value that will be inspected: a plain path as a scalar slot (`how` "free": what may be anything), anything else as it comes."""
        if isinstance(node, p.Path) and (steps := plain_names(node.path)) is not None:
            # The event's own fields are text by its spec; properties and traits are free.
            return self.slot(steps, ("number" if len(steps) > 1 else "scalar") if how == "free" else how)
        found = self.value(node)
        return self.assign(found.text, found.form) if isinstance(node, p.Const) else found

    def operand(self, node: p.Value) -> str:
        """The text of a value of which the members are wanted: Raw, dict or nothing."""
        if isinstance(node, p.Path) and (steps := plain_names(node.path)) is not None:
            return self.slot(steps, "object").text
        found = self.value(node)
        return f"full({found.text})" if found.form in ("slot", "raw") else found.text

    def picked_slots(self, node: p.Pick) -> dict[str, Expr] | None:
        """The slots of the members that are picked from a plain path, with a test that it is an object; None for any other value."""
        if not isinstance(node.of, p.Path) or not node.keys or not all(map(nameable, node.keys)):
            return None
        base = () if node.of.path == "$" else plain_names(node.of.path)
        if base is None:
            return None
        held = {key: self.slot((*base, key), "raw") for key in node.keys}
        if base:
            with self.w.block(f"if {self.struct(base)} is {self.w.bind('broken', self.layout.at(base).broken)}:"):
                self.w.line(f"raise Fault('wrong_shape', {'expected an object at ' + node.of.path!r})")
        return held

    def look(self, shape: type[msgspec.Struct], raw: str, name: str) -> None:
        """Statements that give `name` the shape of an object: None when its types do not fit, the empty shape when it is missing."""
        decode = self.w.bind("look", msgspec.json.Decoder(shape).decode)
        with self.w.block("try:"):
            self.w.line(f"{name} = {self.w.bind('nothing', shape())} if {raw} is MISSING else {decode}({raw})")
        with self.w.block("except ValidationError:"):
            self.w.line(f"{name} = None")


Generators = Mapping[type, Callable[[Values, Any], Expr]]
"""What writes a node, for each kind of node."""


def struct_key(steps: tuple[str, ...]) -> str:
    return f"struct {steps!r}"


def hint(slot: Slot) -> str:
    return slot.attribute
