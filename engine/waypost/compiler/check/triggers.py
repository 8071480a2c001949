"""Triggers (family Q): one that can never match, and two that take the same event under the same deduplication key."""

from __future__ import annotations

from itertools import combinations

from waypost import plan as p
from waypost.compiler.diagnostic import Diagnostic, Label, Report
from waypost.compiler.spec import ActionSpec, Spec
from waypost.lang import fql_sat


def check(spec: Spec, report: Report) -> None:
    for action in spec.actions.values():
        for condition, what in ((action.trigger, "the trigger"), (action.where, "`where`")):
            reason = fql_sat.never(condition.node) if condition is not None else None
            if condition is not None and reason is not None:
                report.add(
                    Diagnostic(
                        "Q108",
                        f"{what} can never match",
                        Label(condition.scalar.span, reason),
                        "use `or` between alternatives",
                    )
                )
    for first, second in combinations([item for item in spec.actions.values() if item.enabled], 2):
        _same_key(first, second, report)


def _same_key(first: ActionSpec, second: ActionSpec, report: Report) -> None:
    """Two actions that one event matches, both keyed by the event: the destination keeps one of the two messages."""
    dedupe = first.request.plain.dedupe
    if dedupe is None or second.request.plain.dedupe is None or second.request.plain.dedupe.by != dedupe.by:
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
    return p.mentions(node, lambda inner: isinstance(inner, p.Path)) and not p.mentions(node, _names_meta)


def _names_meta(node: p.Value) -> bool:
    return isinstance(node, p.Ref) and node.name == "meta.id"
