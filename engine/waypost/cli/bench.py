"""`waypost bench SPEC [EVENTS]`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from waypost.cli.common import read_settings, refuse
from waypost.cli.show import stand_ins
from waypost.cli.targets import load_target
from waypost.plan import catalog


@click.command(name="bench")
@click.argument("spec")
@click.argument("events", required=False)
@click.option(
    "--set", "pairs", multiple=True, metavar="NAME=VALUE", help="A setting; others get a stand-in: nothing is sent."
)
@click.option("--rounds", default=9, show_default=True, type=click.IntRange(3, 1000), help="More rounds, less noise.")
@click.option("--json", "as_json", is_flag=True, help="Every figure as one JSON object.")
def command(spec: str, events: str | None, pairs: tuple[str, ...], rounds: int, as_json: bool) -> None:
    """Measure what mapping EVENTS (JSON lines; '-' is standard input) costs with SPEC: a spec, a plan or a shipped name.

    Shows microseconds an event beside a JSON round trip of the same events in the same run, by stage, and what each field costs. Without EVENTS
    the example events are taken.
    """
    from waypost.authoring.bench.measure import measure
    from waypost.authoring.bench.render import FORMATS
    from waypost.authoring.bench.sample import lines_of
    from waypost.program.settings import SettingError

    plan = load_target(spec)
    given = read_settings(pairs, plan)
    data, shown = _read(events)
    lines = lines_of(data)
    if not lines:
        refuse(f"{shown} holds no event: give a file with one JSON object a line")
    try:
        found = measure(plan, {**stand_ins(plan), **given}, lines, events=shown, rounds=rounds, now=time.time())
    except SettingError as error:
        refuse(str(error))
    click.echo(FORMATS["json" if as_json else "human"](found), nl=False)


def _read(events: str | None) -> tuple[bytes, str]:
    """The bytes of the events, and what they are called."""
    if events == "-":
        return sys.stdin.buffer.read(), "standard input"
    path = Path(events) if events is not None else catalog.example_events()
    shown = events if events is not None else "the example events"
    try:
        return path.read_bytes(), shown
    except OSError as error:
        refuse(f"cannot read {events or path}: {error.strerror}")
