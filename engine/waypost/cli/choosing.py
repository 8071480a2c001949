"""Which dead letters a command is about: options that several commands share.

Takes words of the command line. Gives a Choice, which says of each letter whether it is meant. Conditions hold all at once.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import difflib
import functools
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from waypost.cli import state_folder
from waypost.cli.common import refuse, refuse_for
from waypost.cli.logs import note
from waypost.compiler.read import units
from waypost.events.results import ANSWERED, REASONS
from waypost.lang import fql
from waypost.lang.errors import LangError
from waypost.program import interpret
from waypost.state import records
from waypost.state.records import Letter
from waypost.state.store import Damaged, StateError, Store, look

NUMBERS = 10
"""So many numbers of damaged letters are shown."""


@dataclass(frozen=True)
class Choice:
    """`where` is FQL over the event; a line that is no event matches no condition. `since` in Unix seconds."""

    state: str | None = None
    ids: tuple[int, ...] = ()
    connections: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    since: float | None = None
    where: fql.Node | None = field(default=None, hash=False)

    @property
    def all(self) -> bool:
        return not (self.ids or self.connections or self.reasons or self.since is not None or self.where is not None)

    def takes(self, letter: Letter) -> bool:
        return (
            (not self.ids or letter.id in self.ids)
            and (not self.connections or letter.connection in self.connections)
            and (not self.reasons or letter.reason in self.reasons)
            and (self.since is None or letter.at >= self.since)
            and (self.where is None or _holds(self.where, letter))
        )


def _holds(test: fql.Node, letter: Letter) -> bool:
    try:
        event = interpret.decode_event(letter.event)
    except interpret.BadEvent:
        return False
    return fql.evaluate(test, lambda steps: fql.walk(event, steps))


def choosing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options, and the Choice as its argument `choice`."""

    @functools.wraps(function)
    def taken(
        ids: tuple[int, ...],
        state: str | None,
        connection: tuple[str, ...],
        reason: tuple[str, ...],
        since: str | None,
        where: str | None,
        **rest: Any,
    ) -> Any:
        for code in reason:
            known_reason(code)
        instant = None if since is None else read_since(since, time.time())
        return function(
            choice=Choice(state, ids, connection, reason, instant, None if where is None else read_where(where)), **rest
        )

    for option in reversed(
        [
            click.argument("ids", nargs=-1, type=int),
            click.option("--state", metavar="DIR", help="The folder of the state. Default: the one of ./waypost.yaml."),
            click.option("--connection", multiple=True, metavar="NAME", help="Only of this connection."),
            click.option("--reason", multiple=True, metavar="CODE", help="Only with this reason."),
            click.option("--since", metavar="WHEN", help="Only newer ones: 30m, 2h, 3d, or a date and time (UTC)."),
            click.option("--where", metavar="FQL", help="Only whose event matches, as in a trigger."),
        ]
    ):
        taken = option(taken)
    return taken


def known_reason(code: str) -> None:
    """Refuses a reason that no dead letter can have."""
    if code in REASONS or code in ANSWERED:
        return
    near = difflib.get_close_matches(code, [*REASONS, *ANSWERED], 1, 0.5)
    guess = f"; did you mean `{near[0]}`?" if near else ""
    refuse(f"no dead letter has the reason `{code}`{guess} (the reasons are {', '.join([*REASONS, *ANSWERED])})")


def read_where(text: str) -> fql.Node:
    try:
        return fql.parse(text)
    except LangError as error:
        refuse(f"--where: {error} (column {error.start + 1}){hint(error)}")


def hint(error: LangError) -> str:
    return f": {error.help}" if error.help else ""


def read_since(text: str, now: float) -> float:
    seconds = units.seconds(text)
    if seconds is not None:
        return now - seconds
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        refuse(f"--since takes a duration such as 2h, or a date and time such as 2026-11-25T10:00, not `{text}`")
    return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp()


def chosen(choice: Choice) -> Iterator[Letter]:
    """The letters, read beside an engine that may be running."""
    folder = state_folder.to_look_at(choice.state)
    try:
        database = look(folder)
    except StateError as error:
        refuse_for(error)
    with contextlib.closing(database):
        yield from among(database, choice, folder)


def among(database: sqlite3.Connection, choice: Choice, folder: Path) -> Iterator[Letter]:
    """The letters that are meant. Rows that are damaged are said once the others have been read; `leave_if_damaged` ends with their status."""
    found = damaged_letters()

    def damaged(number: int) -> None:
        # Of what it was nothing is known: without a number it may have been meant.
        if not choice.ids or number in choice.ids:
            found.append(number)

    try:
        for letter in records.letters(database, damaged):
            if choice.takes(letter):
                yield letter
    except sqlite3.DatabaseError as error:
        refuse_for(Damaged(folder, str(error)))
    if found:
        many = f"{len(found):,} dead letters are" if len(found) > 1 else "1 dead letter is"
        numbers = ", ".join(map(str, found[:NUMBERS])) + (", …" if len(found) > NUMBERS else "")
        note(f"{Damaged(folder, f'{many} not as written and left alone (numbers: {numbers})')}")


def damaged_letters() -> list[int]:
    """The numbers of damaged letters that this command has met."""
    held: list[int] = click.get_current_context().meta.setdefault("waypost.damaged", [])
    return held


def leave_if_damaged() -> None:
    if damaged_letters():
        click.get_current_context().exit(Damaged.status)


@contextlib.contextmanager
def writing(state: str | None) -> Iterator[Store]:
    """The state, locked: an engine that runs on it has to be stopped first."""
    folder = state_folder.to_look_at(state)
    try:
        # Opens what is there: a state that is only looked for is not made.
        look(folder).close()
        store = Store(folder)
    except StateError as error:
        refuse_for(error)
    try:
        yield store
    finally:
        store.close()
