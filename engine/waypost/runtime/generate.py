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
from typing import Any

import msgspec

from waypost import plan as p
from waypost.lang import fql, values
from waypost.lang.values import MISSING
from waypost.runtime import codegen, codegen_fql
from waypost.runtime.emit import Expr, Writer
from waypost.runtime.layout import Layout, nameable
from waypost.runtime.parts import url_parts


@dataclass(frozen=True)
class Bindings:
    """What a run binds: setting values by dotted name, the interpreter for nodes without generated code, and `meta.id`."""

    settings: Callable[[str], Any]
    interpret: Callable[[str, p.Value], Callable[..., Any]]
    meta_id: Callable[..., str]
    parts: dict[str, list[p.Value]]
    """For each request, the event-dependent parts that divide batches."""


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
    functions: dict[str, tuple[str | None, str]] = field(default_factory=dict)


def generate(plan: p.Plan, bindings: Bindings) -> Generated:
    layout = Layout()
    layout.use(("type",), "scalar")
    _generate(plan, bindings, layout)
    layout.build()
    return _generate(plan, bindings, layout)


def _generate(plan: p.Plan, bindings: Bindings, layout: Layout) -> Generated:
    writer = Writer()
    writer.names.update(codegen.NAMES, **codegen_fql.NAMES)
    writer.names.update(meta_id=bindings.meta_id, encode=values.encode, NO_MATCH=NO_MATCH, OFF=OFF, WHERE=WHERE)
    functions = {}
    for name, action in plan.actions.items():
        if action.each is None:
            functions[name] = _action(plan, name, action, bindings, writer, layout)
    return Generated("\n".join(writer.lines) + "\n", writer.names, writer.fields, layout, functions)


def _action(
    plan: p.Plan, name: str, action: p.Action, bindings: Bindings, w: Writer, layout: Layout
) -> tuple[str | None, str]:
    event_type, rest = fql.simple_type(fql.parse(action.trigger, roots=fql.TRIGGER_ROOTS))
    function = w.fresh(name)
    held: list[codegen.Values] = []

    def condition(text: str) -> str:
        return codegen_fql.condition(fql.parse(text, roots=fql.TRIGGER_ROOTS), held[0])

    scope = codegen.Scope(name, bindings.settings, lambda node: bindings.interpret(name, node), condition)
    values_of = codegen.Values(w, layout, scope)
    held.append(values_of)
    w.line(f"# {plan.name!r}, {name!r}")
    with w.function(f"def {function}(e, line, at, now):"):
        if rest is not None:
            with w.block(f"if not ({codegen_fql.condition(rest, values_of)}):"):
                w.line("return NO_MATCH")
        if not action.enabled:
            w.line("return OFF")
        else:
            _deliver(plan, name, action, bindings, values_of)
    return event_type, function


def _deliver(plan: p.Plan, name: str, action: p.Action, bindings: Bindings, v: codegen.Values) -> None:
    """The statements that map, check and append one message."""
    w = v.w
    if action.where is not None:
        with w.block(f"if not ({v.scope.condition(action.where)}):"):
            w.line("return WHERE")
    top, body = _mapping(action.mapping, v)
    late = [need for need in action.require if not _require_early(need, top, v)]
    w.line(f"message = {body}")
    for need in late:
        _require_late(need, v)
    parts = [v.assign(v.decoded(v.value(part)), "value").text for part in bindings.parts[action.request]]
    for part in parts[: len(url_parts(plan.requests[action.request]))]:
        with w.block(f"if {part} is MISSING or {part} is None or {part} == '':"):
            w.line("raise Fault('url_part_missing', 'a part of the request\\'s url has no value')")
    w.line(f"return message, ({', '.join(parts)},)" if parts else "return message")


def _mapping(mapping: p.Value, v: codegen.Values) -> tuple[dict[str, Expr], str]:
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


def _require_early(need: p.Require, top: dict[str, Expr], v: codegen.Values) -> bool:
    """`require` over top-level fields: a test of the locals that hold them, before anything is encoded."""
    if not all(len(path) == 1 and path[0] in top for path in need.any):
        return False
    held = [top[path[0]] for path in need.any]
    tests = [f"not {expr.text}" if expr.form == "text" else f"blank({expr.text})" for expr in held]
    if need.test is not None:
        tests.append(f"({v.scope.condition(need.test)})")
    with v.w.block(f"if {' and '.join(tests)}:"):
        v.w.line(f"raise Fault('require', {require_message(need)!r})")
    return True


def _require_late(need: p.Require, v: codegen.Values) -> None:
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
