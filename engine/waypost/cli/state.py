"""`waypost state [DIR]`."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import click

from waypost.cli import state_folder
from waypost.cli.common import refuse_for
from waypost.cli.logs import note
from waypost.state import records
from waypost.state.records import JOURNAL
from waypost.state.store import Damaged, StateError, look


@click.command(name="state")
@click.argument("folder", required=False, metavar="[DIR]")
@click.option(
    "--accept-damage",
    is_flag=True,
    help="Of a state that was refused as damaged: keep what can be read, say what is gone, and set the rest aside.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object on standard output.")
def command(folder: str | None, accept_damage: bool, as_json: bool) -> None:
    """Show what a state holds (DIR; default: the one of ./waypost.yaml): each lane's cursors, lag, ledger and dead letters; the journal's size.

    It may be asked while an engine runs on the state.
    """
    place = state_folder.to_look_at(folder)
    if accept_damage:
        _accept(place)
    try:
        database = look(place)
    except StateError as error:
        refuse_for(error)
    with contextlib.closing(database):
        found = {"state": str(place), **contents(database)}
    click.echo(json.dumps(found, indent=2, ensure_ascii=False) if as_json else "\n".join(_told(found)))


def _accept(place: Path) -> None:
    from waypost.state.repair import mend

    try:
        look(place).close()
    except Damaged:
        try:
            said = mend(place)
        except StateError as error:
            refuse_for(error)
        note(f"{place}: " + "; ".join(said or ["nothing is gone that was counted"]))
    except StateError as error:
        refuse_for(error)
    else:
        note(f"{place} is not damaged: nothing is changed")


def contents(database: sqlite3.Connection) -> dict[str, Any]:
    """Everything as plain data, as of one instant."""
    database.execute("begin")
    sources = {
        name: {"last": last - 1, "bytes": size, "events": _held(database, name)}
        for name, last, size in database.execute("select source, next, size from journaled order by source")
    }
    held = records.letter_counts(database)
    lanes: dict[tuple[str, str], dict[str, Any]] = {
        (connection, source): {"ledger": ledger.as_dict(), "let_go": ledger.let_go}
        for connection, source, ledger in records.lanes(database)
    }
    inputs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for connection, source, cursor in records.cursors(database):
        # A journal's cursor is the first event that has not ended.
        end = sources.get(cursor.input, {}).get("last", 0) + 1 if cursor.identity == JOURNAL else _size(cursor.input)
        row = {
            "input": cursor.input,
            "cursor": cursor.at.cursor,
            "unit": "events" if cursor.identity == JOURNAL else "bytes",
            "lag": None if end is None else max(0, end - cursor.at.cursor),
            "ended_above": len(cursor.at.ranges),
        }
        inputs.setdefault((connection, source), []).append(row)
    database.execute("commit")
    rows = [
        {
            "connection": key[0],
            "source": key[1],
            "inputs": inputs.get(key, []),
            **lanes.get(key, {"ledger": None, "let_go": 0}),
            "dead_letters": held.get(key, {}),
        }
        for key in sorted({*lanes, *inputs, *held})
    ]
    return {"lanes": rows, "journal": sources}


def _held(database: sqlite3.Connection, source: str) -> int:
    found = database.execute(
        "select coalesce(sum(last - first + 1), 0) from journal where source = ?", (source,)
    ).fetchone()
    return int(found[0])


def _size(path: str) -> int | None:
    try:
        return Path(path).stat().st_size
    except OSError:
        return None


def _told(found: dict[str, Any]) -> list[str]:
    rows = [found["state"]]
    for lane in found["lanes"]:
        rows.append(f"{lane['connection']} from {lane['source']}")
        for item in lane["inputs"]:
            lag = "lag unknown" if item["lag"] is None else f"lag {item['lag']:,} {item['unit']}"
            rows.append(f"  at          {item['cursor']:,} of {item['input']} ({lag})")
        ledger = lane["ledger"]
        if ledger is not None:
            rows.append(
                f"  read        {ledger['read']:,} lines = {ledger['events']:,} events + "
                f"{sum(ledger['rejected_lines'].values()):,} rejected"
            )
            rows.append(
                f"  deliveries  {ledger['deliveries']:,} = {ledger['delivered']:,} delivered + "
                f"{sum(ledger['filtered'].values()):,} filtered + {sum(ledger['dead'].values()):,} dead"
                f"{'' if ledger['closes'] else '  (does not close)'}"
            )
        if ledger is not None and ledger["missing"]:
            rows.append(f"  not read    {ledger['missing']:,} places, {ledger['missing_bytes']:,} bytes of them known")
        dead = lane["dead_letters"]
        told = ", ".join(f"{reason} {count:,}" for reason, count in dead.items())
        rows.append(
            f"  dead        {sum(dead.values()):,} held{f' ({told})' if told else ''}, {lane['let_go']:,} let go"
        )
    for name, row in found["journal"].items():
        rows.append(f"journal of {name}: {row['events']:,} events, {row['bytes']:,} bytes, last number {row['last']:,}")
    return rows
