"""Triggers and conditions (family Q): what can never match, what compares a field with another kind of value, and two actions that take the
same event under the same deduplication key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import combinations

from waypost import plan as p
from waypost.compiler.check import event_fields
from waypost.compiler.read.source import Span
from waypost.compiler.report.diagnostic import Diagnostic, Fix, Label, Report
from waypost.compiler.report.suggest import nearest
from waypost.compiler.spec import ActionSpec, Condition, Spec
from waypost.lang import fql, fql_sat, values

TEXT_ONLY = ("match", "contains", "lowercase", "uppercase", "snakecase", "kebabcase", "titlecase")
GIVES = {
    **dict.fromkeys(("lowercase", "uppercase", "snakecase", "kebabcase", "titlecase", "string"), "string"),
    **dict.fromkeys(("length", "number"), "number"),
    "bool": "boolean",
}
"""What a function gives, but for null."""
SHOWN = {"string": "text", "number": "a number", "boolean": "true or false"}


Use = tuple[Condition, str, Condition]
"""A condition that can match, what it is called, and the trigger that has held where it is asked."""


def check(spec: Spec, report: Report) -> None:
    uses: dict[Span, list[Use]] = {}
    for action in spec.actions.values():
        for condition, what, beside in _conditions(action):
            before = len(report.found)
            _kinds(condition, report)
            _choices(condition, spec, report)
            if len(report.found) == before and not _contradiction(condition, what, report) and beside is not None:
                uses.setdefault(condition.scalar.span, []).append((condition, what, beside))
    for same in uses.values():
        _excluded(same, report)
    for first, second in combinations([item for item in spec.actions.values() if item.enabled], 2):
        _same_key(first, second, report)


def _conditions(action: ActionSpec) -> Iterator[tuple[Condition, str, Condition | None]]:
    """Every condition over the event, what it is called, and the trigger when it holds already where the condition is asked."""
    yield action.trigger, "the trigger", None
    if action.where is not None:
        yield action.where, "`where`", action.trigger
    for need in action.require:
        if need.test is not None:
            yield need.test, "`if`", action.trigger
    for val in (action.mapping, *([action.each] if action.each else []), *action.request.values()):
        for inner in val.walk():
            if inner.condition is not None:
                yield inner.condition, "`$when`" if isinstance(inner.node, p.When) else "`where`", action.trigger


def _contradiction(condition: Condition, what: str, report: Report) -> bool:
    """Whether a condition contradicts itself, which is reported."""
    found = fql_sat.conflict(condition.node)
    if found is None:
        return False
    *others, last = [condition.span(*term.node.span) for term in found.terms]
    label = f"excludes the term{'s' * (len(others) > 1)} before it" if others else "this holds for no event"
    report.add(
        Diagnostic(
            "Q108",
            f"{what} can never match",
            Label(last, label),
            _advice(found),
            tuple(Label(span) for span in dict.fromkeys(others) if span != last),
        )
    )
    return True


def _excluded(uses: list[Use], report: Report) -> None:
    """A condition of a shared block is asked by several actions: it has a use when the trigger of one of them leaves it one."""
    if any(fql_sat.overlap(condition.node, trigger.node) for condition, _, trigger in uses):
        return
    condition, what, _ = uses[0]
    triggers = list({trigger.scalar.span: None for _, _, trigger in uses})
    whose = "the trigger takes" if len(triggers) == 1 else f"one of the {len(triggers)} triggers takes"
    report.add(
        Diagnostic(
            "Q108",
            f"{what} can never match an event that {whose}",
            Label(condition.scalar.span, f"excluded by {'the trigger' if len(triggers) == 1 else 'each trigger'}"),
            "change one of the two" if len(triggers) == 1 else "change it, or the triggers of the actions that use it",
            tuple(Label(span, "the trigger" if len(triggers) == 1 else "") for span in triggers),
        )
    )


def _advice(found: fql_sat.Conflict) -> str:
    """The smallest edit: alternatives of one field that were joined by `and` are the common case."""
    constants = [
        term.node.right.value
        for term in found.terms
        if isinstance(term.node, fql.Compare)
        and (term.node.sign == "=") == term.holds
        and term.node.sign in ("=", "!=")
        and isinstance(term.node.left, fql.PathRef)
        and isinstance(term.node.right, fql.Literal)
    ]
    if len(constants) == len(found.terms) > 1 and found.path is not None:
        listed = ", ".join(values.encode(value).decode() for value in constants)
        return f"one value cannot be both: write `{fql.show_path(found.path)} in [{listed}]`, or join with `or`"
    return "remove or change one of the terms" if len(found.terms) > 1 else "remove or change it"


def _kinds(condition: Condition, report: Report) -> None:
    """Comparisons of a field, whose kind the specification fixes, with a constant of another kind."""
    for node in fql.nodes(condition.node):
        if isinstance(node, fql.Compare):
            pairs = [(node.left, node.right), (node.right, node.left)]
            for side, other in pairs:
                if isinstance(other, fql.Literal):
                    _kind(side, other, node.sign, condition, report)
                elif node.sign not in ("=", "!="):
                    _ordered(side, condition, report)
        elif isinstance(node, fql.In) and isinstance(node.right, tuple):
            for member in node.right:
                _kind(node.left, member, "=", condition, report)
    for operand in fql.operands(condition.node):
        if isinstance(operand, fql.PathRef):
            _within_text(operand, condition, report)
        if isinstance(operand, fql.Call) and operand.name in TEXT_ONLY and isinstance(operand.args[0], fql.PathRef):
            kind = event_fields.kind_of(operand.args[0].steps)
            if kind in ("number", "boolean", "object") or (kind == "list" and operand.name != "contains"):
                name = fql.show_path(operand.args[0].steps)
                _mismatch(f"`{operand.name}` takes text", name, kind, operand.args[0], condition, report)


def _kind(side: fql.Operand, other: fql.Literal, sign: str, condition: Condition, report: Report) -> None:
    kind = event_fields.kind_of(side.steps) if isinstance(side, fql.PathRef) else None
    if isinstance(side, fql.Call) and side.name == "typeof" and sign in ("=", "!="):
        _typeof(other, condition, report)
    elif isinstance(side, fql.Call) and sign in ("=", "!="):
        _given(side, other, condition, report)
    if kind is None or not isinstance(side, fql.PathRef):
        return
    wanted = "number" if sign not in ("=", "!=") else values.typeof(other.value)
    if not event_fields.can_equal(kind, wanted):
        shown = f"`{values.encode(other.value).decode()}` is {'a ' * (wanted in ('number', 'boolean'))}{_said(wanted)}"
        _mismatch(shown, fql.show_path(side.steps), kind, other, condition, report)


def _ordered(side: fql.Operand, condition: Condition, report: Report) -> None:
    kind = event_fields.kind_of(side.steps) if isinstance(side, fql.PathRef) else None
    if isinstance(side, fql.PathRef) and kind is not None and kind != "number":
        _mismatch("`<` and `>` compare numbers", fql.show_path(side.steps), kind, side, condition, report)


def _given(call: fql.Call, other: fql.Literal, condition: Condition, report: Report) -> None:
    """`length(event) = "3"`: what a function gives is of one kind."""
    gives = GIVES.get(call.name)
    kind = values.typeof(other.value)
    if gives is None or kind in (gives, "null"):
        return
    report.add(
        Diagnostic(
            "Q104",
            f"`{call.name}( … )` gives {SHOWN[gives]}, and `{values.encode(other.value).decode()}` is {_said(kind)}: this never holds",
            Label(condition.span(*other.span), f"expected {SHOWN[gives]}"),
            "write a number without quotes" if gives == "number" and kind == "string" else "",
        )
    )


def _within_text(path: fql.PathRef, condition: Condition, report: Report) -> None:
    """`event.type = "track"`: a condition names the event's own fields, and in its `event`, which is text, there are none."""
    size = next((size for size in range(1, len(path.steps)) if event_fields.holds_nothing(path.steps[:size])), None)
    if size is None or path.steps[0] == "context":
        # The names in the context are judged where they are read.
        return
    kind, inside = event_fields.holds_nothing(path.steps[:size]), fql.show_path(path.steps[:size])
    whole, rest = fql.show_path(path.steps), path.steps[1:]
    own = fql.show_path(rest) if path.steps[0] == "event" and rest[0] in event_fields.KINDS else ""
    span = condition.span(*path.span)
    report.add(
        Diagnostic(
            "Q110",
            f"`{inside}` is {kind}: `{whole}` is always null",
            Label(span, f"did you mean `{own}`?" if own else "nothing is in it"),
            "a condition names the fields of the event as they are" if own else f"compare `{inside}` itself",
            fix=Fix(span, own) if own else None,
        )
    )


def _said(kind: str) -> str:
    return {"string": "text", "null": "nothing"}.get(kind, kind)


def _mismatch(what: str, name: str, kind: str, operand: fql.Operand, condition: Condition, report: Report) -> None:
    report.add(
        Diagnostic(
            "Q110",
            f"{what}, and `{name}` is {event_fields.SAID.get(kind, kind)}: this never holds",
            Label(condition.span(*operand.span), f"expected what `{name}` can be"),
            "compare it with a value of its own kind"
            + (", or with `number( … )` around the field" if kind in ("text", "time") else ""),
        )
    )


def _typeof(other: fql.Literal, condition: Condition, report: Report) -> None:
    if other.value in fql_sat.KINDS:
        return
    name = other.value if isinstance(other.value, str) else ""
    near = {
        "boolean": "bool",
        "array": "list",
        "int": "number",
        "integer": "number",
        "float": "number",
        "text": "string",
    }.get(name.lower()) or nearest(name, fql_sat.KINDS)
    span = condition.span(*other.span)
    report.add(
        Diagnostic(
            "Q104",
            f"`typeof( … )` is never {values.encode(other.value).decode()}",
            Label(span, f"did you mean `{near}`?" if near else ""),
            f"it is one of {', '.join(sorted(fql_sat.KINDS))}",
            fix=Fix(span, json.dumps(near)) if near else None,
        )
    )


def _choices(condition: Condition, spec: Spec, report: Report) -> None:
    for node in fql.nodes(condition.node):
        if isinstance(node, fql.Compare) and node.sign in ("=", "!="):
            pairs = [(node.left, [node.right]), (node.right, [node.left])]
        elif isinstance(node, fql.In) and isinstance(node.right, tuple):
            pairs = [(node.left, list(node.right))]
        else:
            continue
        for side, members in pairs:
            if isinstance(side, fql.PathRef) and side.steps[0] == "settings" and len(side.steps) == 2:
                held = spec.settings.get(str(side.steps[1]))
                for member in members:
                    if held is not None and held.setting.choices and isinstance(member, fql.Literal):
                        _choice(member, str(side.steps[1]), list(held.setting.choices), condition, report)


def _choice(member: fql.Literal, name: str, choices: list[str], condition: Condition, report: Report) -> None:
    if member.value in choices or member.value is None:
        return
    near = nearest(str(member.value), choices)
    report.add(
        Diagnostic(
            "Q111",
            f"`{name}` has no choice {values.encode(member.value).decode()}",
            Label(condition.span(*member.span), f"did you mean `{near}`?" if near else ""),
            f"the choices are {', '.join(choices)}",
        )
    )


def _same_key(first: ActionSpec, second: ActionSpec, report: Report) -> None:
    """Two actions that one event matches, both keyed by the event: the destination keeps one of the two messages."""
    dedupe = first.request.plain.dedupe
    if (
        dedupe is None
        or not dedupe.by
        or second.request.plain.dedupe is None
        or second.request.plain.dedupe.by != dedupe.by
    ):
        return
    if not all(_from_event(item, path) for item in (first, second) for path in dedupe.by):
        return
    if fql_sat.overlap(first.trigger.node, second.trigger.node):
        by = ", ".join(f"`{path}`" for path in dedupe.by)
        report.add(
            Diagnostic(
                "Q109",
                f"`{first.name.value}` and `{second.name.value}` can match one event and send it with the same {by}",
                Label(second.trigger.scalar.span, "the destination would drop the second message"),
                f'make the triggers exclude each other, or give one action an id of its own: `{dedupe.by[0]}: "{{{{ meta.id }}}}"`',
                (Label(first.trigger.scalar.span, "matches the same events"),),
            )
        )


def _from_event(action: ActionSpec, path: str) -> bool:
    """Whether an output field's first choice is the event's own value."""
    node: p.Value | None = action.mapping.node
    for key in path.split("."):
        node = node.entries.get(key) if isinstance(node, (p.Object, p.Merge)) else None
    while isinstance(node, (p.First, p.From)):
        node = node.of[0] if isinstance(node, p.First) else node.of
    if node is None:
        return False
    return p.mentions(node, lambda inner: isinstance(inner, p.Path)) and not p.refers(node, "meta.id")
