"""`waypost check [TARGET]`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from waypost.cli.common import USAGE, read_settings, refuse
from waypost.cli.connecting import check_settings, load_connections, settings_of
from waypost.cli.logs import note
from waypost.cli.targets import load_target
from waypost.cli.ways import reaching, refuse_for_connections
from waypost.delivery.outcome import Answer
from waypost.http.loop import run_to_end
from waypost.http.probe import probe
from waypost.http.reaching import prepare, reached, warn_of_plain
from waypost.http.tokens import NO_TOKEN
from waypost.plan import Plan, catalog
from waypost.program.credentials import try_templates
from waypost.program.settings import Bound, SettingError, Way, bind

REFUSED = 4
"""The exit status of a run that is stopped by credentials, configuration or an unreachable host."""

PROVES = (
    "the credentials in its url or auth are known there; "
    "it does not prove that events are accepted, or that a region and other settings are right"
)
MEANINGS = {
    "401": "the credentials are refused",
    "403": "the credentials are refused, or may not do this",
    "404": "nothing of that name is there: a wrong key, or a wrong setting",
    "429": "it takes no more requests at the moment: try again later",
}


@click.command(name="check")
@click.argument("target", default=catalog.CONNECTIONS)
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of a destination: text, env:VARIABLE or file:PATH. May be repeated.",
)
@click.option("--frozen", is_flag=True, help="Take the committed plans of the connections, without compiling.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for each probe.")
@reaching
def command(target: str, pairs: tuple[str, ...], frozen: bool, as_json: bool, way: Way) -> None:
    """Send the credential probe of TARGET: a destination (with --set), or each enabled connection of a connections file (./waypost.yaml).

    \b
    Exit status: 0 answered 2xx, 2 usage (a setting or variable is missing, no probe), 4 refused or not reached.
    """
    try:
        bound = [(plan, bind(plan, given, way)) for plan, given in _given(target, pairs, frozen, way)]
        for plan, settings in bound:
            try_templates(plan, settings, _name(plan))
        wanted = [reached(plan, settings, _name(plan)) for plan, settings in bound]
        warn_of_plain(wanted, note)
        prepare(wanted, note)
    except SettingError as error:
        refuse(str(error))
    statuses = [_probe(plan, settings, as_json) for plan, settings in bound]
    click.get_current_context().exit(USAGE if USAGE in statuses else max(statuses, default=0))


def _given(target: str, pairs: tuple[str, ...], frozen: bool, way: Way) -> list[tuple[Plan, dict[str, Any]]]:
    """Each plan to probe with its setting values."""
    path = Path(target)
    if frozen or _holds_connections(path):
        if pairs:
            refuse(f"--set goes with a destination; the settings of connections stand in {path}")
        refuse_for_connections(way, path)
        plans = [plan for plan in load_connections(path, frozen) if plan.connection and plan.connection.enabled]
        if not plans:
            refuse(f"no connection of {path} is enabled")
        check_settings(plans, keys=False)
        return [(plan, settings_of(plan)) for plan in plans]
    if target == catalog.CONNECTIONS:
        refuse(f"there is no {catalog.CONNECTIONS} here: name a destination")
    plan = load_target(target)
    return [
        (
            plan,
            {
                **settings_of(plan),
                **read_settings(pairs, plan, whole=plan.connection is None, plain_http=way.plain_http),
            },
        )
    ]


def _holds_connections(path: Path) -> bool:
    try:
        return catalog.find(str(path)).kind == "connections"
    except catalog.NotFound:
        return False


def _probe(plan: Plan, bound: Bound, as_json: bool) -> int:
    """Sends one probe, says what came of it, and gives the exit status for it."""
    name = _name(plan)
    answer = run_to_end(probe(plan, bound, name))
    said = "the spec has no `check:`, so there is nothing to send" if answer is None else _said(answer)
    if as_json:
        row = {
            "connection": name,
            "answer": None if answer is None else answer.status,
            "ok": _taken(answer),
            "said": said,
        }
        click.echo(json.dumps(row, ensure_ascii=False))
    else:
        click.echo(f"{name}: {said}")
    if answer is None:
        return USAGE if plan.connection is None else 0
    return 0 if _taken(answer) else REFUSED


def _taken(answer: Answer | None) -> bool:
    return answer is not None and answer.status.startswith("2")


def _name(plan: Plan) -> str:
    return plan.connection.name if plan.connection else plan.name


def _said(answer: Answer) -> str:
    if answer.error.startswith(NO_TOKEN):
        return answer.error
    if answer.status == "unsent":
        return f"could not be reached: {answer.error}"
    if answer.status == "unanswered":
        return f"gave no answer: {answer.error}"
    if _taken(answer):
        return f"the probe was answered {answer.status}: {PROVES}"
    meaning = MEANINGS.get(answer.status, "a fault of the server" if answer.status.startswith("5") else "")
    return f"the probe was answered {answer.status}" + (f": {meaning}" if meaning else "")
