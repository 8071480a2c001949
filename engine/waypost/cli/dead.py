"""`waypost dead list|show|replay|drop|export`: the dead letters of a state."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from waypost.cli.choosing import Choice, among, choosing, chosen, damaged_letters, leave_if_damaged, writing
from waypost.cli.common import refuse
from waypost.cli.replay import replay
from waypost.state import records
from waypost.state.dead_letters import line_of
from waypost.state.records import Letter

FEW = 50
HEADS = ["ID", "AT (UTC)", "CONNECTION", "ACTION", "REASON", "WHAT WAS WRONG"]


@click.group(name="dead")
def command() -> None:
    """List, show, replay, drop or export the dead letters that a state holds."""


@command.command(name="list")
@choosing
@click.option("--limit", default=FEW, show_default=True, help="Show at most so many, the newest ones.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, without the events.")
def list_letters(choice: Choice, limit: int, as_json: bool) -> None:
    """List dead letters: number, instant, connection, action, reason and what went wrong."""
    found = list(chosen(choice))
    if as_json:
        for letter in found[-limit:]:
            click.echo(json.dumps({"id": letter.id, **json.loads(letter.record)}, ensure_ascii=False))
        leave_if_damaged()
        return
    rows = [_row(letter) for letter in found[-limit:]]
    rows = [HEADS, *rows] if rows else []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    counts = Counter(letter.reason for letter in found)
    told = ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts.items()))
    click.echo(f"{len(found):,} dead letters{f' ({told})' if told else ''}", err=True)
    leave_if_damaged()


def _row(letter: Letter) -> list[str]:
    record = json.loads(letter.record)
    message = record["message"]
    field = f"{record['field']}: " if record.get("field") else ""
    item = "" if letter.item is None else f"[{letter.item}]"
    return [
        str(letter.id),
        record["at"][:19],
        letter.connection,
        f"{letter.action or '-'}{item}",
        letter.reason,
        f"{field}{message}"[:100],
    ]


@command.command()
@click.argument("ids", nargs=-1, required=True, type=int)
@click.option("--state", metavar="DIR", help="The folder of the state. Default: the one of ./waypost.yaml.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def show(ids: tuple[int, ...], state: str | None, as_json: bool) -> None:
    """Show dead letters whole: the event, the reason, the destination's answer."""
    found = {letter.id: letter for letter in chosen(Choice(state, ids))}
    for number in ids:
        if number not in found and number not in damaged_letters():
            refuse(f"there is no dead letter {number}")
    for number in [number for number in ids if number in found]:
        row = {"id": number, **json.loads(_line(found[number]))} if as_json else json.loads(_line(found[number]))
        click.echo(json.dumps(row, indent=None if as_json else 2, ensure_ascii=False))
    leave_if_damaged()


@command.command()
@choosing
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="A new file, mode 0600. Default: standard output."
)
def export(choice: Choice, output: Path | None) -> None:
    """Write dead letters as NDJSON, in the form that `run` without a state writes. They stay in the state."""
    count = 0
    with _output(output) as write:
        for letter in chosen(choice):
            write(_line(letter))
            count += 1
    click.echo(f"{count:,} dead letters exported", err=True)
    leave_if_damaged()


@command.command()
@choosing
@click.option("--all", "everything", is_flag=True, help="Drop every dead letter.")
@click.option("--dry-run", is_flag=True, help="Say how many it would be.")
@click.option("--json", "as_json", is_flag=True, help="The number as one JSON object on standard output.")
def drop(choice: Choice, everything: bool, dry_run: bool, as_json: bool) -> None:
    """Give dead letters up. The ledger goes on counting them as dead."""
    if choice.all and not everything:
        refuse("this would drop every dead letter: say which (--reason, --connection, --since, --where, IDs), or --all")
    with writing(choice.state) as store:
        found = list(among(store.reader, choice, store.folder))
        if not dry_run:
            store.do(lambda database: let_go(database, found))
    if as_json:
        click.echo(json.dumps({"dropped": 0 if dry_run else len(found), "chosen": len(found)}))
    else:
        click.echo(f"{len(found):,} dead letters {'would be ' if dry_run else ''}dropped", err=True)
    leave_if_damaged()


def let_go(database: sqlite3.Connection, letters: list[Letter]) -> None:
    records.remove_letters(database, [letter.id for letter in letters])
    for (connection, source), count in Counter((letter.connection, letter.source) for letter in letters).items():
        ledger = records.ledger_of(database, connection, source)
        records.save_ledger(database, connection, source, replace(ledger, let_go=ledger.let_go + count))


def _line(letter: Letter) -> bytes:
    return line_of(letter.event, letter.record)


@contextlib.contextmanager
def _output(path: Path | None) -> Iterator[Callable[[bytes], Any]]:
    if path is None:
        yield sys.stdout.buffer.write
        sys.stdout.buffer.flush()
        return
    try:
        with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            yield file.write
    except OSError as error:
        refuse(f"cannot write {path}: {error.strerror}")


command.add_command(replay)
