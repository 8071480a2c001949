"""Sources (family C): one that no connection uses, and one that emits nothing which an action of its connections takes."""

from __future__ import annotations

from waypost.compiler.read.connections_file import ConnectionsFile, FeedSpec
from waypost.compiler.report.diagnostic import Diagnostic, Label, Report
from waypost.compiler.spec import Spec
from waypost.lang import fql, fql_sat


def check(file: ConnectionsFile, specs: dict[str, Spec], report: Report) -> None:
    """`specs` holds, by connection, the destination's spec with what the connection lays over it."""
    for name, source in file.sources.items() if file.connections else ():
        users = [item.name.value for item in file.connections.values() if name in {used.value for used in item.sources}]
        if not users:
            _warn(
                report,
                "C106",
                f"no connection uses the source `{name}`",
                source,
                "name it in a connection's `sources:`, or remove it",
            )
        elif all(user in specs and specs[user].actions for user in users) and "" not in source.feed.emits:
            _reach(source, {user: specs[user] for user in users}, report)


def _reach(source: FeedSpec, users: dict[str, Spec], report: Report) -> None:
    emits = set(source.feed.emits or fql.EVENT_TYPES)
    taken: set[str] = set()
    for spec in users.values():
        for action in spec.actions.values():
            if action.enabled:
                taken |= fql_sat.types(action.trigger.node)
    if emits & taken:
        return
    listed = ", ".join(sorted(taken)) or "nothing: every action is disabled"
    _warn(
        report,
        "C107",
        f"no action takes what the source `{source.name.value}` emits",
        source,
        f"it emits {', '.join(source.feed.emits) or 'any event'}; the actions of {', '.join(users)} take {listed}",
    )


def _warn(report: Report, code: str, message: str, source: FeedSpec, help: str) -> None:
    span = source.spans.get("emits", source.name.span) if code == "C107" else source.name.span
    report.add(Diagnostic(code, message, Label(span), help, severity="warning"))
