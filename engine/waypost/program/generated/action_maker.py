"""One action as statements: what is left of its trigger, its mapping, `require`, and the parts of its request that come from the event.

Takes the plan, the action's name, what a run binds, and the writer and layout to add to. Gives a function of one event, or the pieces from
which chunk_loop.py puts the events of a chunk together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from waypost import plan as p
from waypost.events.results import Mapped
from waypost.lang import fql
from waypost.lang.values import MISSING
from waypost.program import put_in
from waypost.program.generated import conditions, expressions
from waypost.program.generated.access import Scope, Values
from waypost.program.generated.layout import Layout, nameable
from waypost.program.generated.writer import Expr, Writer
from waypost.program.request.grouping import Grouping
from waypost.program.require import any_present, require_message


@dataclass(frozen=True)
class Bindings:
    """What a run binds: setting values by dotted name, the interpreter for nodes without generated code, and `meta.id`."""

    settings: Callable[[str], Any]
    interpret: Callable[[str, p.Value], Callable[..., Any]]
    meta_id: Callable[..., str]
    groupings: dict[str, Grouping]
    """For each request, what makes a group of the event-dependent parts that divide batches."""


class Maker:
    """Generates one action. State: the writer and layout that it adds to."""

    def __init__(self, plan: p.Plan, name: str, bindings: Bindings, w: Writer, layout: Layout) -> None:
        self.name = name
        self.action = plan.actions[name]
        self.type, self.rest = fql.simple_type(fql.read(self.action.trigger))
        self.grouping = bindings.groupings[self.action.request]
        self._plan = plan
        self._bindings = bindings
        self._w = w
        self._layout = layout

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

    def _values(self, origin: str, layout: Layout, kind: str | None = None) -> Values:
        held: list[Values] = []

        def condition(text: str) -> str:
            return conditions.condition(fql.read(text), held[0])

        def interpret(node: p.Value) -> Callable[..., Any]:
            return self._bindings.interpret(self.name, node)

        scope = Scope(self.name, self._bindings.settings, interpret, condition, self._shares, kind, origin)
        held.append(Values(self._w, layout, scope, expressions.GENERATORS))
        return held[0]

    def function(self) -> tuple[str | None, str]:
        """The action as a function of one event: (event type, its name)."""
        w, v = self._w, self._values("line, at", self._layout)
        function = w.fresh(self.name)
        w.line(f"# {self._plan.name!r}, {self.name!r}")
        with w.function(f"def {function}(e, line, at, now):"):
            if self.rest is not None:
                with w.block(f"if not ({conditions.condition(self.rest, v)}):"):
                    w.line("return NO_MATCH")
            if not self.action.enabled:
                w.line("return OFF")
            else:
                self._deliver(v)
        return self.type, function

    def values(self, kind: str, layout: Layout) -> Values:
        """What writes this action within a loop over decoded events of one type."""
        return self._values("lines[index], (offsets[index], first_line)", layout, kind)

    def test(self, v: Values) -> str | None:
        """The text of what is left to test of the trigger."""
        return None if self.rest is None else f"({conditions.condition(self.rest, v)})"

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
        if self.grouping.parts:
            group = self._group(v)
            return top, message, f"partial(Mapped, {self.name!r}, None, {self.action.request!r}, {group})"
        return top, message, w.bind("owner", partial(Mapped, self.name, None, self.action.request, ()))

    def _group(self, v: Values) -> str:
        """The local that holds what divides batches of the event's parts of the request."""
        held: list[str] = []
        for part in self.grouping.parts:
            with v.w.field(part.place):
                held.append(v.assign(v.decoded(v.value(put_in.value(part.node, v.scope.settings))), "value").text)
        return v.assign(f"{v.w.bind('group', self.grouping)}({', '.join(held)})", "value", "group").text

    def _deliver(self, v: Values) -> None:
        """The statements that map, check and give one message."""
        w = v.w
        if self.action.where is not None:
            with w.block(f"if not ({v.scope.condition(self.action.where)}):"):
                w.line("return WHERE")
        _, message, owner = self.message(v)
        w.line(f"return {message}, {owner}.args[3]" if self.grouping.parts else f"return {message}")


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
