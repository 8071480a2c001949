"""A plan becomes Python text and the event decoder it needs.

Takes a plan and what a run binds to it (settings, names for `meta.id`). Gives `Generated`: the text, the objects it refers to by name, the
output field of each line, and the layout whose decoders load events. One function an action: it tests what is left of the trigger, maps and
checks `require`; the caller has dispatched on the event's type already. It gives the message (to be encoded), a (message, group) pair where
the request takes parts of the event, or one of the signs NO_MATCH, OFF and WHERE.

The text is generated twice: the first pass only tells which paths are used and how, the second knows the layout that follows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from waypost import plan as p
from waypost.events.results import Mapped
from waypost.lang import fql, values
from waypost.lang.values import MISSING
from waypost.program import integrations
from waypost.program.generated import conditions, expressions
from waypost.program.generated.chunk_loop import Express
from waypost.program.generated.layout import Layout, nameable
from waypost.program.generated.writer import Expr, Writer
from waypost.program.request.grouping import Grouping


@dataclass(frozen=True)
class Bindings:
    """What a run binds: setting values by dotted name, the interpreter for nodes without generated code, and `meta.id`."""

    settings: Callable[[str], Any]
    interpret: Callable[[str, p.Value], Callable[..., Any]]
    meta_id: Callable[..., str]
    groupings: dict[str, Grouping]
    """For each request, what makes a group of the event-dependent parts that divide batches."""


class Sign:
    """What an action's function gives instead of a message. `bool` of it is False."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return self.name


NO_MATCH, OFF, WHERE = Sign("NO_MATCH"), Sign("OFF"), Sign("WHERE")
"""The trigger does not match; it does, but the action is disabled; it does, but `where` does not hold."""


@dataclass
class Generated:
    """`functions` maps an action to (event type or None, function name)."""

    text: str
    names: dict[str, Any]
    fields: list[str]
    layout: Layout
    express: Express
    functions: dict[str, tuple[str | None, str]] = field(default_factory=dict)


def generate(plan: p.Plan, bindings: Bindings) -> Generated:
    layout, express = Layout(), Express(plan)
    layout.use(("type",), "scalar")
    if plan.integrations:
        layout.use(("integrations",), "raw")
    _generate(plan, bindings, layout, express)
    layout.build()
    return _generate(plan, bindings, layout, express)


def _generate(plan: p.Plan, bindings: Bindings, layout: Layout, express: Express) -> Generated:
    w = Writer()
    w.names.update(expressions.NAMES, **conditions.NAMES)
    w.names.update(
        meta_id=bindings.meta_id,
        encode=values.encode,
        partial=partial,
        Mapped=Mapped,
        DecodeError=msgspec.DecodeError,
        NO_MATCH=NO_MATCH,
        OFF=OFF,
        WHERE=WHERE,
        switched_off=integrations.switch(plan.integrations),
    )
    makers = {name: Maker(plan, name, bindings, w, layout) for name in plan.actions if plan.actions[name].each is None}
    functions = {name: maker.function() for name, maker in makers.items()}
    express.write(makers, w, layout)
    return Generated("\n".join(w.lines) + "\n", w.names, w.fields, layout, express, functions)


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

    def _values(self, origin: str, layout: Layout, kind: str | None = None) -> expressions.Values:
        held: list[expressions.Values] = []

        def condition(text: str) -> str:
            return conditions.condition(fql.read(text), held[0])

        def interpret(node: p.Value) -> Callable[..., Any]:
            return self._bindings.interpret(self.name, node)

        scope = expressions.Scope(self.name, self._bindings.settings, interpret, condition, self._shares, kind, origin)
        held.append(expressions.Values(self._w, layout, scope))
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

    def values(self, kind: str, layout: Layout) -> expressions.Values:
        """What writes this action within a loop over decoded events of one type."""
        return self._values("lines[index], (offsets[index], first_line)", layout, kind)

    def test(self, v: expressions.Values) -> str | None:
        """The text of what is left to test of the trigger."""
        return None if self.rest is None else f"({conditions.condition(self.rest, v)})"

    def message(self, v: expressions.Values, *, own: bool = False) -> tuple[dict[str, Expr], str, str]:
        """The statements that map and check one message. Gives its fields, its text, and that of what makes a Mapped of its bytes.

        `own`: the decoded event becomes the message.
        """
        w = v.w
        if own:
            assert isinstance(self.action.mapping, p.Object)
            needed = {path[0] for need in self.action.require for path in need.any}
            top, message = v.entries(self.action.mapping.entries, own=True, needed=needed), "e"
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

    def _group(self, v: expressions.Values) -> str:
        """The local that holds what divides batches of the event's parts of the request."""
        held: list[str] = []
        for part in self.grouping.parts:
            with v.w.field(part.place):
                held.append(v.assign(v.decoded(v.value(part.node)), "value").text)
        return v.assign(f"{v.w.bind('group', self.grouping)}({', '.join(held)})", "value", "group").text

    def _deliver(self, v: expressions.Values) -> None:
        """The statements that map, check and give one message."""
        w = v.w
        if self.action.where is not None:
            with w.block(f"if not ({v.scope.condition(self.action.where)}):"):
                w.line("return WHERE")
        _, message, owner = self.message(v)
        w.line(f"return {message}, {owner}.args[3]" if self.grouping.parts else f"return {message}")


def _mapping(mapping: p.Value, v: expressions.Values) -> tuple[dict[str, Expr], str]:
    """The top-level fields where they are known one by one, and the text of what is encoded."""
    if not isinstance(mapping, p.Object) or not mapping.entries or not all(map(nameable, mapping.entries)):
        whole = v.value(mapping)
        return {}, f"{{}} if {whole.text} is MISSING else {whole.text}"
    top = v.entries(mapping.entries)
    # msgspec leaves out a struct's field that is UNSET, which is what MISSING is.
    struct = msgspec.defstruct(
        "Message",
        [(f"f{index}", Any, MISSING) for index in range(len(top))],
        rename={f"f{index}": key for index, key in enumerate(top)},
        gc=False,
    )
    return top, f"{v.w.bind('message', struct)}({', '.join(expr.text for expr in top.values())})"


def _require_early(need: p.Require, top: dict[str, Expr], v: expressions.Values) -> None:
    """`require` over top-level fields: a test of the locals that hold them, before anything is encoded."""
    held = [top[path[0]] for path in need.any]
    tests = [f"not {expr.text}" if expr.form == "text" else f"blank({expr.text})" for expr in held]
    if need.test is not None:
        tests.append(f"({v.scope.condition(need.test)})")
    with v.w.block(f"if {' and '.join(tests)}:"):
        v.w.line(f"raise Fault('require', {require_message(need)!r})")


def _require_late(need: p.Require, v: expressions.Values) -> None:
    """`require` over deeper fields: a look into the encoded message."""
    look = v.w.bind("any_present", any_present(need.any))
    test = f" and ({v.scope.condition(need.test)})" if need.test is not None else ""
    with v.w.block(f"if not {look}(encode(message)){test}:"):
        v.w.line(f"raise Fault('require', {require_message(need)!r})")


def any_present(paths: list[list[str]]) -> Callable[[bytes], bool]:
    def look(body: bytes) -> bool:
        whole = values.decode(body)
        for path in paths:
            found = whole
            for key in path:
                found = found.get(key) if isinstance(found, dict) else None
            if found is not None and found != "":
                return True
        return False

    return look


def require_message(need: p.Require) -> str:
    """What a dead letter says of a `require` that is not met."""
    return need.message or "needs one of " + ", ".join(".".join(path) for path in need.any)
