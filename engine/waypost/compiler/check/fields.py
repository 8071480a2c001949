"""Event fields in a trigger (P106): a field that none of the event types carries which the trigger takes.

Takes a Spec. Only what decides whether an action sends is judged so: in a mapping such a field is often one of several places to look, and
senders put more into events than the specification says.
"""

from __future__ import annotations

from waypost.compiler.check import event_fields
from waypost.compiler.read.source import Span
from waypost.compiler.report.diagnostic import Diagnostic, Label, Report
from waypost.compiler.spec import Condition, Spec
from waypost.lang import fql, fql_sat


def check(spec: Spec, report: Report) -> None:
    taken: dict[Span, list[frozenset[str] | None]] = {}
    conditions: dict[Span, Condition] = {}
    for action in spec.actions.values():
        types = fql_sat.types(action.trigger.node) or None
        for condition in (action.trigger, action.where):
            if condition is not None:
                conditions[condition.scalar.span] = condition
                taken.setdefault(condition.scalar.span, []).append(types)
    for span, condition in conditions.items():
        # A `where` of a shared block is judged over all the actions that use it.
        known = [types for types in taken[span] if types is not None]
        if len(known) == len(taken[span]):
            _condition(condition, frozenset().union(*known), report)


def _condition(condition: Condition, taken: frozenset[str], report: Report) -> None:
    for path in fql.paths(condition.node):
        field = str(path.steps[0])
        carriers = event_fields.carriers(field)
        if carriers is None or carriers & taken:
            continue
        own = sorted({name for kind in taken for name in event_fields.TYPES[kind]})
        instead = " (a user's traits stand in `context.traits` there)" if field == "traits" else ""
        report.add(
            Diagnostic(
                "P106",
                f"`{field}` is a field of {_listed(carriers)} events, and the trigger takes {_listed(taken)}",
                Label(condition.span(*path.span), "always missing"),
                f"beside the common fields these carry {', '.join(f'`{name}`' for name in own)}{instead}",
                severity="warning",
            )
        )


def _listed(names: frozenset[str]) -> str:
    first = [name for name in fql.EVENT_TYPES if name in names]
    return first[0] if len(first) == 1 else f"{', '.join(first[:-1])} or {first[-1]}"
