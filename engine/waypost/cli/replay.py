"""`waypost dead replay`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from waypost.authoring import result_json
from waypost.cli.board import progress_board
from waypost.cli.choosing import Choice, among, choosing, leave_if_damaged, writing
from waypost.cli.common import read_settings, refuse, refuse_for
from waypost.cli.connecting import load_connections, settings_of
from waypost.cli.endings import LETTERS, Keeps
from waypost.cli.logs import note
from waypost.cli.run import sender_for
from waypost.cli.summary import report
from waypost.cli.targets import load_target
from waypost.cli.ways import prepare_to_send, reaching
from waypost.engine.options import Options
from waypost.engine.replay import NEVER, LetterSource, again
from waypost.engine.replay import replay as replay_letters
from waypost.engine.summary import Summary, status_of
from waypost.events.results import Filtered, Mapped
from waypost.http.loop import run_to_end
from waypost.plan import Plan, PlanError, catalog
from waypost.program.program import Program, link
from waypost.program.settings import SettingError, Way
from waypost.state.records import Letter, plan_of
from waypost.state.store import Damaged, Store


@click.command()
@choosing
@click.option("--to", metavar="TARGET", help="A destination, spec or plan to take instead of the connection's own.")
@click.option(
    "--plan",
    "which",
    type=click.Choice(["current", "old"]),
    default="current",
    show_default=True,
    help="The plan as it is now, or the one that each letter was made with.",
)
@click.option(
    "--set", "pairs", multiple=True, metavar="NAME=VALUE", help="A setting, as for `run`; over those of the connection."
)
@reaching
@click.option(
    "--drain", default=30.0, show_default=True, help="After Ctrl-C, wait so many seconds for what is under way."
)
@click.option("--dry-run", is_flag=True, help="Send nothing: say what would become of each letter.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object on standard output.")
def replay(
    choice: Choice,
    to: str | None,
    which: str,
    pairs: tuple[str, ...],
    way: Way,
    drain: float,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send dead letters again, with the same ids. What is delivered or filtered leaves the state; what is refused again stays, with its new
    reason. The settings are those of the connection in ./waypost.yaml, or given with --set.

    \b
    Exit status as for `run`: 0 all delivered or filtered, 3 some are dead again, 4 stopped, 5 interrupted.
    """
    with writing(choice.state) as store:
        found = list(among(store.reader, choice, store.folder))
        letters = [letter for letter in found if letter.reason not in NEVER]
        if len(letters) < len(found):
            note(f"{len(found) - len(letters):,} letters are left: only the beginning of their event was kept")
        if not letters:
            note("no dead letter matches")
            leave_if_damaged()
            return
        try:
            groups = list(_groups(letters, _Plans(store, to, which, pairs, way)))
            options = Options(None, drain_s=drain, masked=dry_run, notice=note)
            prepare_to_send([program for program, _, _ in groups], options)
        except SettingError as error:
            refuse(str(error))
        if dry_run:
            _foretell(groups, as_json=as_json)
            leave_if_damaged()
            return
        summaries = _send(groups, options, store)
    report(
        summaries, "the state still: see `waypost dead`", Keeps(LETTERS), several=True, dry_run=False, as_json=as_json
    )
    leave_if_damaged()
    click.get_current_context().exit(status_of(summaries))


class _Plans:
    """Programs for letters. State: those that were linked already."""

    def __init__(self, store: Store, to: str | None, which: str, pairs: tuple[str, ...], way: Way) -> None:
        self._store = store
        self._to = to
        self._which = which
        self._pairs = pairs
        self._way = way
        self._linked: dict[tuple[str, str], Program] = {}
        self._connections: dict[str, Plan] | None = None

    def program(self, letter: Letter) -> Program:
        key = (letter.connection, letter.plan if self._which == "old" else "")
        if key not in self._linked:
            current = self._current(letter.connection)
            plan = current
            if self._which == "old":
                try:
                    plan = plan_of(self._store.reader, letter.plan) or current
                except PlanError as error:
                    refuse_for(Damaged(self._store.folder, str(error)))
                if plan.digest != letter.plan:
                    refuse(f"the state does not hold the plan {letter.plan[:12]}: leave --plan old out")
            given: dict[str, Any] = {**settings_of(current), **read_settings(self._pairs, plan)}
            self._linked[key] = link(plan, given, connection=letter.connection, way=self._way)
        return self._linked[key]

    def _current(self, connection: str) -> Plan:
        if self._to is not None:
            return load_target(self._to)
        if self._connections is None:
            path = Path(catalog.CONNECTIONS)
            plans = load_connections(path, False) if path.is_file() else []
            self._connections = {plan.connection.name: plan for plan in plans if plan.connection}
        return self._connections.get(connection) or load_target(connection)


Group = tuple[Program, str, list[Letter]]


def _groups(letters: list[Letter], plans: _Plans) -> Iterator[Group]:
    """The letters of each lane and program together."""
    found: dict[tuple[str, str, int], Group] = {}
    for letter in letters:
        program = plans.program(letter)
        group = found.setdefault((letter.connection, letter.source, id(program)), (program, letter.source, []))
        group[2].append(letter)
    yield from found.values()


def _foretell(groups: list[Group], *, as_json: bool) -> None:
    """What the plan makes of each letter now."""
    for program, _, letters in groups:
        now = Options(None).clock()
        for letter in letters:
            for item in again(program, letter, now):
                if as_json:
                    about = {"id": letter.id, "connection": letter.connection}
                    click.echo(result_json.text_of(program, {**about, **result_json.delivery(program, item, now)}))
                    continue
                if isinstance(item, Mapped):
                    said = f"would be sent by {item.action}: {item.body.decode()}"
                elif isinstance(item, Filtered):
                    said = f"would be filtered: {item.reason}"
                else:
                    said = f"would die again: {item.reason}: {item.message}"
                click.echo(f"{letter.id}  {letter.connection}  {said}")


def _send(groups: list[Group], options: Options, store: Store) -> list[Summary]:
    summaries: list[Summary] = []
    sources = [LetterSource(letters) for _, _, letters in groups]
    with progress_board(sum(source.size or 0 for source in sources), shown=True) as progress:
        options.progress = progress
        for (program, name, _), source in zip(groups, sources, strict=True):

            async def go(program: Program = program, name: str = name, source: LetterSource = source) -> Summary:
                return await replay_letters(program, name, source, sender_for(program, options), options, store)

            summary = run_to_end(go())
            summaries.append(summary)
            if summary.interrupted:
                break
    return summaries
