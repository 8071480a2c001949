"""One action as statements: what is left of its trigger, its items, its mapping, `require`, and what its request takes of the event.

Takes the plan, the action's name, what a run binds, and the writer to add to. Gives the pieces from which chunk_loop.py puts the events of a
chunk together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from waypost import plan as p
from waypost.events.results import Filtered, Mapped
from waypost.lang import each_items, fql
from waypost.lang.values import MISSING
from waypost.program import put_in
from waypost.program.generated import conditions, expressions
from waypost.program.generated.access import Scope, Values
from waypost.program.generated.layout import Layout, nameable
from waypost.program.generated.unchanged import plain_names
from waypost.program.generated.writer import Expr, Writer
from waypost.program.request.grouping import Grouping
from waypost.program.require import any_present, require_message


@dataclass(frozen=True)
class Bindings:
    """What a run binds: setting values by dotted name, and `meta.id`."""

    settings: Callable[[str], Any]
    id_head: Callable[..., bytes]
    groupings: dict[str, Grouping]
    """For each request, what makes a group of the event-dependent parts that divide batches."""


class Maker:
    """Generates one action. State: the writer that it adds to."""

    def __init__(self, plan: p.Plan, name: str, bindings: Bindings, w: Writer) -> None:
        self.name = name
        self.action = plan.actions[name]
        self.type, self.rest = fql.simple_type(fql.read(self.action.trigger))
        self._grouping = bindings.groupings[self.action.request]
        self._settings = bindings.settings
        self._w = w

    @property
    def _shares(self) -> bool:
        """Whether the mapping picks from members of an object; only then is a look at it worth more fields."""
        return p.mentions(self.action.mapping, lambda node: isinstance(node, p.Pick))

    @property
    def late(self) -> list[p.Require]:
        """What `require` asks of fields that no local holds."""
        mapping = self.action.mapping
        entries = mapping.entries if isinstance(mapping, p.Object) and all(map(nameable, mapping.entries)) else {}
        held = {key for key, entry in entries.items() if not isinstance(entry, p.Omit)}
        return [
            need for need in self.action.require if not all(len(path) == 1 and path[0] in held for path in need.any)
        ]

    def takes(self, kind: str) -> bool:
        """Whether it may take events of a type."""
        whole = self.rest is None or conditions.by_type(self.rest, kind) is not False
        return self.type in (None, kind) and whole

    def values(self, layout: Layout) -> Values:
        """What writes this action within the loop over decoded events of one type, or of any."""
        held: list[Values] = []

        def condition(text: str) -> str:
            return conditions.condition(fql.read(text), held[0])

        self._w.line(f"# {self.name!r}")
        scope = Scope(self.name, self._settings, condition, self._shares, layout.name or None)
        held.append(Values(self._w, layout, scope, expressions.GENERATORS))
        return held[0]

    def test(self, v: Values) -> str | None:
        """The text of what is left to test of the trigger."""
        if self.rest is None or conditions.by_type(self.rest, v.scope.kind):
            return None
        return f"({conditions.condition(self.rest, v)})"

    def filtered(self, place: str) -> str:
        """The text of the result for an item (its place) that `where` leaves out; the text `None` for the whole event."""
        if place != "None":
            return f"Filtered({self.name!r}, {place}, 'where')"
        return self._w.bind("where", Filtered(self.name, None, "where"))

    def items(self, v: Values) -> str:
        """The text of what `each` goes over."""
        assert self.action.each is not None
        members = each_items.reads_members((self.action.mapping,), self.action.where)
        return f"{'items_of' if members else 'each_of'}({v.decoded(v.value(self.action.each))})"

    def touch(self, v: Values) -> None:
        """Reads what every item's message takes of the event itself, before the loop over the items."""

        def look(node: p.Value) -> None:
            if isinstance(node, p.Path) and (steps := plain_names(node.path)) is not None:
                v.slot(steps, "raw")
            elif node == p.Ref(name="meta.id"):
                v.id_head()

        p.rewrite(self.action.mapping, look)

    def message(self, v: Values, *, own: bool = False) -> tuple[dict[str, Expr], str, str]:
        """The statements that map and check one message. Gives its fields, its text, and that of what makes a Mapped of its bytes.

        `own`: the decoded event becomes the message.
        """
        w = v.w
        if own:
            assert isinstance(self.action.mapping, p.Object)
            needed = {path[0] for need in self.action.require for path in need.any}
            top, message = expressions.entries(v, self.action.mapping.entries, own=True, needed=needed), "e"
        else:
            top, message = _mapping(self.action.mapping, v)
        late = self.late
        for need in self.action.require:
            if need not in late:
                _require_early(need, top, v)
        if not own:
            w.line(f"message = {message}")
            message = "message"
        for need in late:
            _require_late(need, v)
        if self._grouping.parts or v.place is not None:
            group = self._group(v) if self._grouping.parts else "()"
            return top, message, f"partial(Mapped, {self.name!r}, {v.place}, {self.action.request!r}, {group})"
        return top, message, w.bind("owner", partial(Mapped, self.name, None, self.action.request, ()))

    def _group(self, v: Values) -> str:
        """The local that holds what divides batches of the event's parts of the request."""
        held: list[str] = []
        for part in self._grouping.parts:
            with v.w.field(part.place):
                held.append(v.assign(v.decoded(v.value(put_in.value(part.node, v.scope.settings))), "value").text)
        return v.assign(f"{v.w.bind('group', self._grouping)}({', '.join(held)})", "value", "group").text


def _mapping(mapping: p.Value, v: Values) -> tuple[dict[str, Expr], str]:
    """The top-level fields where they are known one by one, and the text of what is encoded."""
    if not isinstance(mapping, p.Object) or not mapping.entries or not all(map(nameable, mapping.entries)):
        whole = v.value(mapping)
        return {}, f"{{}} if {whole.text} is MISSING else {whole.text}"
    top = expressions.entries(v, mapping.entries)
    # msgspec leaves out a struct's field that is UNSET, which is what MISSING is.
    struct = msgspec.defstruct(
        "Message",
        [(f"f{index}", Any, MISSING) for index in range(len(top))],
        rename={f"f{index}": key for index, key in enumerate(top)},
        gc=False,
    )
    return top, f"{v.w.bind('message', struct)}({', '.join(expr.text for expr in top.values())})"


def _require_early(need: p.Require, top: dict[str, Expr], v: Values) -> None:
    """`require` over top-level fields: a test of the locals that hold them, before anything is encoded."""
    held = [top[path[0]] for path in need.any]
    tests = [f"not {expr.text}" if expr.form == "text" else f"blank({expr.text})" for expr in held]
    if need.test is not None:
        tests.append(f"({v.scope.condition(need.test)})")
    with v.w.block(f"if {' and '.join(tests)}:"):
        v.w.line(f"raise Fault('require', {require_message(need)!r})")


def _require_late(need: p.Require, v: Values) -> None:
    """`require` over deeper fields: a look into the encoded message."""
    look = v.w.bind("any_present", any_present(need.any))
    test = f" and ({v.scope.condition(need.test)})" if need.test is not None else ""
    with v.w.block(f"if not {look}(encode(message)){test}:"):
        v.w.line(f"raise Fault('require', {require_message(need)!r})")
