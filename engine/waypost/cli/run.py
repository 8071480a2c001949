"""`waypost run TARGET [FILE ...]`: one destination with files or standard input, or the connections of a file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from waypost.authoring import result_json
from waypost.cli import completion, logs, state_folder
from waypost.cli.board import progress_board
from waypost.cli.common import missing_files, read_settings, refuse, refuse_for
from waypost.cli.connecting import settings_of
from waypost.cli.endings import DRY, Keeps
from waypost.cli.logs import note
from waypost.cli.summary import report
from waypost.cli.targets import load_target
from waypost.cli.ways import prepare_to_send, reaching, refuse_for_connections
from waypost.delivery.outcome import Answer
from waypost.engine.engine import Watcher, run
from waypost.engine.lane_mapper import turned_away
from waypost.engine.lane_runner import Role
from waypost.engine.options import Options, Sender
from waypost.engine.summary import Summary, status_of
from waypost.events.lines import Line, SourceError
from waypost.http.loop import run_to_end
from waypost.plan import catalog
from waypost.program.program import Program, link
from waypost.program.request.render import Wire
from waypost.program.settings import SettingError, Way, resolve
from waypost.sources.pattern import openers
from waypost.sources.port import FILES, FOLLOWED, JOURNALED_STDIN, Source
from waypost.sources.port import STDIN as STDIN_INPUT
from waypost.sources.stdin import StdinIntake, StdinSource
from waypost.sources.stream import StreamSource
from waypost.state.journal import Journal
from waypost.state.store import StateError, Store

STDIN = "stdin"

NOT_JOURNALED = "standard input is not journaled: what is not delivered when this process dies must be given again (--journal keeps it)"

NOT_KEPT = "{} cannot be read twice: what is not delivered when this process dies must be given again (on standard input --journal keeps it)"


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
    metavar="DIR",
    help="A folder that keeps what was done: a next run goes on there. 'auto': the one of this target in $XDG_STATE_HOME.",
)
@click.option(
    "--journal", is_flag=True, help="Keep standard input in the state, so that what was read survives a crash."
)
@click.option("--frozen", is_flag=True, help="Take the committed plans of the connections, without compiling.")
@click.option("--watch", is_flag=True, help="Load the connections again when their files change (SIGHUP does so too).")
@click.option(
    "--dead-letters",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file for dead letters. Default: dead-letters.ndjson; with --state, in the state (`waypost dead`).",
)
@click.option("--dry-run", is_flag=True, help="Send nothing; print each request, secrets masked.")
@reaching
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
    "--follow",
    is_flag=True,
    help="Go on reading the last file as it grows, and files of a pattern that come later, until a signal.",
)
@click.option(
    "--listen",
    metavar="[HOST:]PORT",
    help="Serve /live, /ready, /metrics, `waypost top` and `waypost tap` there. HOST: 127.0.0.1 unless named; port 0 takes a free one.",
)
@click.option(
    "--log",
    type=click.Choice(["human", "json"]),
    default="human",
    show_default=True,
    help="What is said on standard error: sentences, or one JSON object a line.",
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="So many processes share the files or the journal, by parts of them (with `order_by`, by its key).",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="The summary as one JSON object on standard output; with --dry-run an object a line for each delivery.",
)
def command(
    target: str,
    files: tuple[str, ...],
    pairs: tuple[str, ...],
    state: str | None,
    journal: bool,
    frozen: bool,
    watch: bool,
    dead_letters: Path | None,
    dry_run: bool,
    way: Way,
    connect_within: float,
    drain: float,
    follow: bool,
    listen: str | None,
    log: str,
    workers: int,
    as_json: bool,
) -> None:
    """Deliver the events of FILEs to TARGET: a shipped destination, a spec or a plan. Or TARGET is a connections file (waypost.yaml): then all
    its enabled connections run, each from its sources.

    A FILE holds JSON lines, perhaps packed (gzip, bzip2, xz); it may be a pattern such as 'events/*.ndjson'; '-' or none is standard input.

    \b
    Exit status: 0 all delivered or filtered, 2 usage, 3 some dead letters, 4 stopped by credentials, configuration or an unreachable
    host, 5 interrupted before all was delivered, 70 a fault of ours. The last line says what is kept and what a next run does.
    """
    if log == "json":
        logs.as_json()
    options = Options(None if dry_run else dead_letters, connect_within, drain, masked=dry_run, notice=note)
    if dry_run and as_json:
        options.map_lines = tell_each
    folder = None if dry_run else state_folder.folder(state, target)
    several = frozen or _holds_connections(target)
    _refuse_mixtures(target, several, given=bool(files or pairs), watch=watch)
    if workers > 1 and listen is not None:
        refuse("--listen shows the lanes of one process: leave out --workers, or look with `waypost state`")
    watcher = watching_at(listen) if listen is not None else None
    if several:
        summaries, letters, keeps = _connections(
            Path(target),
            folder,
            way,
            options,
            frozen=frozen,
            watch=watch,
            journal=journal,
            watcher=watcher,
            workers=workers,
        )
    else:
        words = (target, files, pairs, folder, way, options)
        summary, letters, keeps = _single(*words, journal=journal, follow=follow, watcher=watcher, workers=workers)
        summaries = [summary]
    report(
        summaries,
        letters,
        keeps,
        several=several,
        dry_run=dry_run,
        as_json=as_json and not dry_run,
        as_log=log == "json",
    )
    click.get_current_context().exit(status_of(summaries))


def _refuse_mixtures(target: str, several: bool, *, given: bool, watch: bool) -> None:
    """Options of the one kind of target with the other."""
    if several and given:
        refuse(f"{target} holds connections: their sources and settings stand in it, not on the command line")
    if watch and not several:
        refuse("--watch goes with a connections file")


def _holds_connections(target: str) -> bool:
    try:
        return catalog.find(target).kind == "connections"
    except catalog.NotFound:
        return False


def _single(
    target: str,
    files: tuple[str, ...],
    pairs: tuple[str, ...],
    folder: Path | None,
    way: Way,
    options: Options,
    *,
    journal: bool,
    follow: bool,
    watcher: Watcher | None,
    workers: int,
) -> tuple[Summary, str, Keeps]:
    plan = load_target(target)
    if journal and files not in ((), ("-",)):
        refuse("--journal is for standard input: a file is its own journal")
    if journal and options.masked:
        refuse("--dry-run keeps nothing: leave --journal out")
    if journal:
        folder = folder or state_folder.automatic(target)
    try:
        alone = plan.connection is None
        named = read_settings(pairs, plan, whole=alone, besides=missing_files(files), plain_http=way.plain_http)
        given = named if alone else {**settings_of(plan), **named}
        program = link(plan, given, way=way)
        prepare_to_send([program], options)
        sources = [] if journal else open_sources(files, options, follow=follow)
        store = _store_beside(sources, folder)
    except (SettingError, SourceError, StateError) as error:
        refuse_for(error)
    if not options.masked:
        for source in sources:
            if source.size is None:
                note(NOT_KEPT.format(source.name) if isinstance(source, StreamSource) else NOT_JOURNALED)
    letters = _letters(options, store)
    from_stdin = STDIN_INPUT if any(source.size is None for source in sources) else FOLLOWED if follow else FILES
    kind = JOURNALED_STDIN if journal else from_stdin
    try:
        summary = None
        if workers > 1:
            from waypost.cli import working

            if journal and store is not None:
                summary = working.deliver_input(given, program, STDIN, workers, store, options)
            elif shared := working.whole_files(sources, follow=follow, options=options):
                summary = working.deliver(given, program, shared, workers, store, options)
        if summary is None:
            sizes = [source.size for source in sources]
            total = None if journal or None in sizes else sum(size or 0 for size in sizes)
            # Whoever types events sees what they type.
            typed = total is None and not follow and sys.stdin.isatty()
            with progress_board(total, shown=not (options.masked or typed)) as progress:
                options.progress = progress
                summary = run_to_end(_run(program, sources, options, store, journal=journal, watcher=watcher))
    except SourceError as error:
        refuse_for(error)
    finally:
        for source in sources:
            source.close()
        if store is not None:
            store.close()
    return summary, letters, _keeps(kind, options, store)


def _store_beside(sources: list[Source], folder: Path | None) -> Store | None:
    """The state; sources are not left open when it is refused."""
    try:
        return Store(folder) if folder else None
    except StateError:
        for source in sources:
            source.close()
        raise


def _letters(options: Options, store: Store | None) -> str:
    """Where dead letters go: a file that was named, else the state, else a file of the usual name."""
    if options.dead_letters is None and store is None and not options.masked:
        options.dead_letters = Path("dead-letters.ndjson")
    return str(options.dead_letters) if options.dead_letters or store is None else f"{store.folder}: see `waypost dead`"


def _keeps(kind: str, options: Options, store: Store | None, kinds: dict[str, str] | None = None) -> Keeps:
    if options.masked:
        return Keeps(DRY)
    return Keeps(kind, str(store.folder) if store else "", str(options.dead_letters or ""), kinds or {})


async def _run(
    program: Program,
    sources: list[Source],
    options: Options,
    store: Store | None,
    *,
    journal: bool,
    watcher: Watcher | None,
) -> Summary:
    sender = sender_for(program, options)
    if not journal or store is None:
        return await run(program, sources, sender, options, store, watcher=watcher)
    kept = Journal(store)
    intake = StdinIntake(sys.stdin.buffer, kept, STDIN)
    await intake.start()
    try:
        sources = [intake.open()]
        return await run(program, sources, sender, options, store, source=STDIN, role=Role(news=kept), watcher=watcher)
    finally:
        await intake.stop(0.0)


def _connections(
    path: Path,
    folder: Path | None,
    way: Way,
    options: Options,
    *,
    frozen: bool,
    watch: bool,
    journal: bool,
    watcher: Watcher | None,
    workers: int,
) -> tuple[list[Summary], str, Keeps]:
    # Late: a run of one destination has neither workers nor a server.
    from waypost.cli.serving import Service
    from waypost.sources.kinds import Around

    refuse_for_connections(way, path)
    try:
        around = Around(
            lambda text: options.notice(text), options.steady, journal, resolve=lambda reference: resolve(reference)[0]
        )
        service = Service(path, frozen, way, options, around)
        service.plans = service.read()
        if workers > 1:
            working_apart(service.ends(), watch=watch, options=options)
        reads_stdin = any(end in (STDIN_INPUT, JOURNALED_STDIN) for end in service.ends().values())
        if journal and not reads_stdin:
            refuse(f"--journal is for standard input, which no source of {path} reads")
        if reads_stdin and not (journal or options.masked):
            note(NOT_JOURNALED)
        if service.journaled and folder is None:
            if options.masked:
                refuse("--dry-run keeps no events, of HTTP or with --journal: name a destination and a file")
            folder = state_folder.automatic(str(path))
        store = Store(folder) if folder else None
    except (SettingError, StateError) as error:
        refuse_for(error)
    letters = _letters(options, store)
    keeps = _keeps(FILES, options, store, service.ends())
    try:
        if workers > 1 and not options.masked:
            return service.run_by_workers(workers, store), letters, keeps
        with progress_board(service.size(), shown=not options.masked) as options.progress:
            run_all = service.run(store, lambda program: sender_for(program, options), watch, watcher)
            summaries = run_to_end(run_all)
    except (SettingError, SourceError) as error:
        refuse(str(error))
    finally:
        if store is not None:
            store.close()
    return summaries, letters, keeps


def working_apart(ends: dict[str, str], *, watch: bool, options: Options) -> None:
    """Refuses what workers cannot do, and says what to do instead. `ends`: how the inputs of each source end."""
    if options.masked:
        note("--dry-run prints requests in their order: one worker reads it all")
        return
    if watch:
        refuse("--watch needs one process: leave out --workers, or stop the run and start it again after a change")
    for name, end in ends.items():
        if end == STDIN_INPUT:
            refuse(f"{name}: standard input cannot be split: add --journal, or leave out --workers")
        if end == FOLLOWED:
            refuse(f"{name}: a file that is followed cannot be split: leave out --workers, or `follow`")


def sender_for(program: Program, options: Options) -> Sender:
    if options.masked:
        return DryRun(quiet=options.map_lines is not None)
    from waypost.http.tokens import sender_of

    return sender_of(program, options.notice)


def watching_at(text: str) -> Watcher:
    """The port of `--listen`, bound."""
    from waypost.http.listening import Taken, read_address
    from waypost.operate.operator_server import Watching

    address = read_address(text)
    if address is None:
        refuse(f"--listen takes HOST:PORT or a port, such as 127.0.0.1:9090, not `{text}`")
    try:
        return Watching(*address)
    except Taken as error:
        refuse(str(error))


def open_sources(files: tuple[str, ...], options: Options, *, follow: bool = False) -> list[Source]:
    """The inputs that the command names. Of a pattern that is followed they become more."""
    names = files or ("-",)
    if names.count("-") and len(names) > 1:
        refuse("standard input and files cannot be read in one run")
    if names == ("-",):
        if sys.stdin.isatty():
            note("reading events from the terminal, one JSON object a line; end with Ctrl-D")
        return [StdinSource(sys.stdin.buffer)]
    found: list[Source] = []
    inputs = openers(names, options.steady, note, lambda opener: found.append(opener()), follow=follow)
    found += [opener() for opener in inputs]
    return found


class DryRun:
    """Prints each request instead of sending it; `quiet` when each delivery is told already."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet

    async def send(self, wire: Wire, timeout_s: float, left: Callable[[], None]) -> Answer:
        if self._quiet:
            return Answer("200")
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


def tell_each(program: Program, source: Source, lines: list[Line], now: float) -> list[Any]:
    """`lane_mapper.many`, each delivery told as a line of JSON (`authoring/result_json.py`)."""
    found: list[Any] = []
    for line in lines:
        if line.__class__ is Line:
            results = program.map(line.data, line.offset, program.kept(source.first_line), now)
        else:
            results = [turned_away(line)]
        for result in results:
            about = {"connection": program.owner, **result_json.position(source.name, line)}
            click.echo(result_json.text_of(program, {**about, **result_json.delivery(program, result, now)}))
        found.append(results)
    return found
