"""`waypost connections [FILE]`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from waypost.cli.common import refuse
from waypost.cli.connecting import load_connections
from waypost.lang import fql, fql_sat
from waypost.plan import Action, Feed, Plan, catalog


@click.command(name="connections")
@click.argument("file", default=catalog.CONNECTIONS, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--frozen", is_flag=True, help="Show the committed plans, without compiling.")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON on standard output.")
def command(file: Path, frozen: bool, as_json: bool) -> None:
    """List the connections of FILE (./waypost.yaml): destination, state, sources, and each action with the sources that can reach it."""
    if not file.is_file() and not frozen:
        refuse(f"there is no {file} here: name a connections file")
    rows = [row(plan) for plan in load_connections(file, frozen)]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        click.echo("\n\n".join(shown(item) for item in rows))


def row(plan: Plan) -> dict[str, Any]:
    """One connection as data."""
    held = plan.connection
    if held is None:
        raise ValueError("the plan of a connection")
    return {
        "connection": held.name,
        "destination": plan.name,
        "enabled": held.enabled,
        "redact": held.redact,
        "sources": [{"name": feed.name, "kind": kind(feed), "emits": feed.emits} for feed in held.sources],
        "actions": [
            {
                "name": name,
                "trigger": action.trigger,
                "enabled": action.enabled,
                "reached_by": [feed.name for feed in held.sources if action.enabled and reaches(feed, action)],
            }
            for name, action in plan.actions.items()
        ],
    }


def kind(feed: Feed) -> str:
    """Where a source's events come from, in a few words."""
    if feed.http is not None:
        return f"http {feed.http}"
    return "stdin" if feed.stdin else " ".join(["files", *feed.files])


def reaches(feed: Feed, action: Action) -> bool:
    """Whether an event of the source can match the action's trigger, as far as the trigger says."""
    return not fql_sat.types(fql.read(action.trigger)).isdisjoint(feed.emits or fql.EVENT_TYPES)


def shown(item: dict[str, Any]) -> str:
    state = "enabled" if item["enabled"] else "disabled"
    rows = [f"{item['connection']} -> {item['destination']} ({state})"]
    width = max(len(feed["name"]) for feed in item["sources"])
    for feed in item["sources"]:
        rows.append(f"  from {feed['name']:{width}}  {feed['kind']}  {', '.join(feed['emits']) or 'any event'}")
    if item["redact"]:
        rows.append(f"  without {', '.join(item['redact'])}")
    width = max(len(action["name"]) for action in item["actions"])
    reach = {action["name"]: ", ".join(action["reached_by"]) or "no source" for action in item["actions"]}
    wide = max(len(text) for text in ["disabled", *reach.values()])
    for action in item["actions"]:
        by = reach[action["name"]] if action["enabled"] else "disabled"
        rows.append(f"  {action['name']:{width}}  {by:{wide}}  {action['trigger']}")
    return "\n".join(rows)
