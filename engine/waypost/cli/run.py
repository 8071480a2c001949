"""`waypost run TARGET [FILE ...]`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from waypost.cli import completion
from waypost.cli.common import load_target, read_settings, refuse
from waypost.runtime.engine import Options, Sender, Source, Summary, run
from waypost.runtime.ledger import Ledger
from waypost.runtime.outcome import Answer
from waypost.runtime.program import Program, link
from waypost.runtime.request import Wire
from waypost.runtime.settings import SettingError, local_url
from waypost.runtime.sources.file import FileSource, SourceError, expand
from waypost.runtime.sources.stdin import StdinSource
from waypost.runtime.store import StateError, Store


@click.command(name="run")
@click.argument("target", shell_complete=completion.spec)
@click.argument("files", nargs=-1)
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting: text, env:VARIABLE or file:PATH. May be repeated.",
)
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder that keeps the cursor: a next run resumes there.",
)
@click.option(
    "--dead-letters",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file for dead letters. Default: dead-letters.ndjson; with --state, in the state (`waypost dead`).",
)
@click.option("--dry-run", is_flag=True, help="Send nothing; print each request, secrets masked.")
@click.option(
    "--endpoint-override", metavar="URL", help="Send to this scheme, host and port instead (a local receiver)."
)
@click.option(
    "--connect-within",
    default=60.0,
    show_default=True,
    help="Give up when the destination is not reached once in so many seconds.",
)
@click.option(
    "--drain",
    default=30.0,
    show_default=True,
    help="After Ctrl-C or SIGTERM, wait so many seconds for what is under way.",
)
@click.option(
    "--follow", is_flag=True, help="Go on reading the last file as it grows, through rotations, until a signal."
)
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object on standard output.")
def command(
    target: str,
    files: tuple[str, ...],
    pairs: tuple[str, ...],
    state: Path | None,
    dead_letters: Path | None,
    dry_run: bool,
    endpoint_override: str | None,
    connect_within: float,
    drain: float,
    follow: bool,
    as_json: bool,
) -> None:
    """Deliver the events of FILEs to TARGET: a shipped destination, a spec or a plan.

    A FILE holds JSON lines, perhaps gzip; it may be a pattern such as 'events/*.ndjson'; '-' or none is standard input.

    \b
    Exit status: 0 all delivered or filtered, 2 usage, 3 some dead letters, 4 stopped by credentials, configuration or an unreachable
    host, 5 interrupted with events kept for the next run, 70 a fault of ours.
    """
    plan = load_target(target)
    try:
        override = local_url(endpoint_override) if endpoint_override else None
        program = link(plan, read_settings(pairs, plan), endpoint_override=override)
        sources = open_sources(files, follow=follow)
        store = Store(state) if state and not dry_run else None
    except (SettingError, SourceError, StateError) as error:
        refuse(str(error))
    if state is None and any(source.size is None for source in sources) and not dry_run:
        note("standard input is not journaled: what is not delivered when this process dies must be given again")
    if dead_letters is None and state is None:
        dead_letters = Path("dead-letters.ndjson")
    options = Options(None if dry_run else dead_letters, connect_within, drain, masked=dry_run, notice=note)
    with progress_bar(sources, shown=sys.stderr.isatty() and not dry_run) as progress:
        options.progress = progress
        summary = asyncio.run(_run(program, sources, dry_run, options, store))
    if store is not None:
        store.close()
    report(summary, program, dead_letters, dry_run=dry_run, as_json=as_json)
    click.get_current_context().exit(summary.status)


async def _run(
    program: Program, sources: list[Source], dry_run: bool, options: Options, store: Store | None
) -> Summary:
    sender: Sender
    if dry_run:
        sender = DryRun()
    else:
        from waypost.runtime.transport import Transport

        sender = Transport(max(kind.policy.concurrency for kind in program.requests.values()))
    return await run(program, sources, sender, options, store)


def open_sources(files: tuple[str, ...], *, follow: bool = False) -> list[Source]:
    names = files or ("-",)
    if names.count("-") and len(names) > 1:
        refuse("standard input and files cannot be read in one run")
    if names == ("-",):
        if sys.stdin.isatty():
            note("reading events from the terminal, one JSON object a line; end with Ctrl-D")
        return [StdinSource(sys.stdin.buffer)]
    paths = [path for name in names for path in expand(name)]
    return [FileSource(path, follow=follow and path is paths[-1], notice=note) for path in paths]


def note(text: str) -> None:
    click.echo(f"waypost: {text}", err=True)


class DryRun:
    """Prints each request instead of sending it."""

    async def send(self, wire: Wire, timeout_s: float) -> Answer:
        rows = [
            f"{wire.method} {wire.url}",
            *(f"{name}: {value}" for name, value in wire.headers),
            "",
            wire.body.decode(),
            "",
        ]
        click.echo("\n".join(rows))
        return Answer("200")

    async def close(self) -> None:
        return None


@contextlib.contextmanager
def progress_bar(sources: list[Source], *, shown: bool) -> Iterator[Callable[[Source, Ledger], None]]:
    """A bar over the bytes of the files, on a terminal."""
    sizes = [source.size for source in sources]
    if not shown or None in sizes:
        yield lambda source, ledger: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("delivering", total=sum(size or 0 for size in sizes), counts="")

        def show(source: Source, ledger: Ledger) -> None:
            counts = f"{ledger.delivered:,} delivered, {ledger.in_flight:,} in flight, {ledger.dead.total():,} dead"
            bar.update(task, completed=sum(item.offset for item in sources), counts=counts)

        yield show


def report(summary: Summary, program: Program, dead_letters: Path | None, *, dry_run: bool, as_json: bool) -> None:
    """The closed ledger, once, at the end."""
    ledger = summary.ledger
    if as_json:
        row: dict[str, Any] = {
            **ledger.as_dict(),
            "seconds": round(summary.seconds, 3),
            "stopped": summary.stopped or None,
            "status": summary.status,
        }
        click.echo(json.dumps(row))
        return
    out = [
        f"{program.owner}: {'would deliver' if dry_run else 'delivered'} {ledger.delivered:,} of {ledger.deliveries:,} deliveries"
    ]
    out.append(
        f"  read        {ledger.read:,} lines = {ledger.accepted:,} events + {ledger.rejected.total():,} rejected{_counts(ledger.rejected)}"
    )
    out.append(
        f"  deliveries  {ledger.deliveries:,} = {ledger.delivered:,} delivered + {ledger.filtered.total():,} filtered{_counts(ledger.filtered)}"
        f" + {ledger.dead.total():,} dead{_counts(ledger.dead)} + {ledger.in_flight:,} in flight"
    )
    out.append(
        f"  requests    {ledger.requests:,} ({ledger.attempts_again:,} again), {ledger.bytes:,} bytes in {summary.seconds:.1f} s"
    )
    if (ledger.dead or ledger.rejected) and not dry_run:
        out.append(f"  dead letters are in {dead_letters or 'the state: see `waypost dead list`'}")
    out += [f"waypost: {text}" for text in _troubles(summary)]
    click.echo("\n".join(out), err=True)


def _troubles(summary: Summary) -> Iterator[str]:
    if summary.stopped:
        yield f"stopped: {summary.stopped}; nothing is lost, what was not delivered is kept"
    if summary.fault:
        yield summary.fault
    if summary.interrupted and (summary.unread or summary.ledger.in_flight):
        yield "interrupted: what was not delivered is kept; run again to go on"
    if not summary.ledger.closes:
        yield "the ledger does not close: this is a fault of waypost, please report it"


def _counts(found: Any) -> str:
    return f" ({', '.join(f'{reason} {count:,}' for reason, count in sorted(found.items()))})" if found else ""
