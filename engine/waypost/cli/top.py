"""`waypost top [URL]`: a running engine at a glance."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from waypost.cli.asking import Gone, address_of, ask
from waypost.cli.common import refuse

PATH = "/lanes"

COLUMNS = ("connection", "source", "state", "rate", "lag", "in flight", "breaker", "oldest", "delivered", "dead")

STYLES = {"failing": "red", "stopped": "bold red", "fault": "bold red", "paused": "yellow", "ended": "dim"}


@click.command(name="top")
@click.argument("url", required=False, metavar="[URL]")
@click.option("--state", metavar="DIR", help="The engine at work on this state. Default: that of ./waypost.yaml.")
@click.option("--once", is_flag=True, help="Print one table and leave (also when standard output is no terminal).")
@click.option("--json", "as_json", is_flag=True, help="Print one snapshot as JSON and leave.")
@click.option(
    "--every", default=1.0, show_default=True, type=click.FloatRange(0.1), help="Look again after so many seconds."
)
def command(url: str | None, state: str | None, once: bool, as_json: bool, every: float) -> None:
    """Show the lanes of an engine that runs with --listen (URL: its address): rate in deliveries a second, lag, in flight, breaker, age of the
    oldest event on its way, delivered and dead. Ctrl-C leaves.
    """
    address = address_of(url, state)
    try:
        first = ask(address, PATH)
    except Gone as error:
        refuse(str(error))
    if as_json:
        click.echo(json.dumps(first, indent=2, ensure_ascii=False))
        return
    console = Console(width=None if sys.stdout.isatty() else 160)
    if once or not sys.stdout.isatty():
        console.print(table(first, None))
        return
    _follow(address, first, every, console)


def _follow(address: tuple[str, int], first: Any, every: float, console: Console) -> None:
    before, now = None, first
    try:
        with Live(table(now, before), console=console, auto_refresh=False, screen=False) as live:
            while True:
                time.sleep(every)
                before, now = now, ask(address, PATH)
                live.update(table(now, before), refresh=True)
    except Gone:
        click.echo("waypost: the engine has ended", err=True)
    except KeyboardInterrupt:
        return


def table(now: dict[str, Any], before: dict[str, Any] | None) -> Table:
    """A lane a row. `before` is an earlier look: the rate is what was delivered since."""
    title = f"waypost {now['version']}" + ("" if now["ready"] else f", not ready: {'; '.join(now['not_ready'])}")
    found = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in COLUMNS:
        found.add_column(column, justify="left" if column in COLUMNS[:3] else "right", no_wrap=True)
    was = {(lane["connection"], lane["source"]): lane for lane in before["lanes"]} if before else {}
    for lane in now["lanes"]:
        earlier = was.get((lane["connection"], lane["source"]))
        seconds = now["at"] - before["at"] if before else 0.0
        rate = (
            "" if earlier is None or seconds <= 0 else f"{(lane['delivered'] - earlier['delivered']) / seconds:,.0f}/s"
        )
        found.add_row(*_cells(lane, rate), style=STYLES.get(lane["state"], ""))
        if lane["stopped"]:
            found.add_row("", "", lane["stopped"], style=STYLES["stopped"])
    return found


def _cells(lane: dict[str, Any], rate: str) -> list[str]:
    paused = lane["paused_seconds"]
    return [
        lane["connection"],
        lane["source"],
        f"paused {paused:,.0f} s" if lane["state"] == "paused" else lane["state"],
        rate,
        _lag(lane),
        f"{lane['in_flight']:,}",
        "open" if lane["breaker_open"] else "closed",
        f"{lane['oldest_seconds']:,.1f} s",
        f"{lane['delivered']:,}",
        f"{sum(lane['dead'].values()):,}",
    ]


def _lag(lane: dict[str, Any]) -> str:
    if lane["lag_events"] is not None:
        return f"{lane['lag_events']:,} events"
    if lane["lag_bytes"] is None:
        return "?"
    size, unit = float(lane["lag_bytes"]), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
