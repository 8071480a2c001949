"""`waypost run TARGET FILE ... --workers N`: how many workers there can be, and what each gets.

Takes what `run` has for one process: the program, settings, opened files, the state. Gives the Summary of the workers, or None where one
process is to do it, and then says why.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from waypost.cli.common import refuse
from waypost.cli.summary import progress_bar
from waypost.plan import Plan, dump
from waypost.runtime import splitting
from waypost.runtime.crew import Crew
from waypost.runtime.engine import FILES, Summary
from waypost.runtime.keeping import LEAST_S
from waypost.runtime.ledger import Ledger
from waypost.runtime.options import Options
from waypost.runtime.pipe import Begin
from waypost.runtime.program import Program
from waypost.runtime.reader import Source
from waypost.runtime.records import Cursor, Snapshot, cursors_of, ledger_of
from waypost.runtime.sources.file import FileSource
from waypost.runtime.sources.share import Portion
from waypost.runtime.splitting import Gathered, Place
from waypost.runtime.store import Store

IDLE_S = 0.05
"""Without a state a step only brings dead letters and the progress bar: so often is enough."""


def whole_files(sources: list[Source], *, journal: bool, follow: bool, options: Options) -> list[FileSource]:
    """The files to split; none where one process is to read, which is said."""
    files = [source for source in sources if isinstance(source, FileSource)]
    reason = ""
    if journal or len(files) < len(sources):
        reason = "standard input cannot be split"
    elif follow:
        reason = "a file that is followed cannot be split"
    elif options.masked:
        reason = "--dry-run prints requests in their order"
    if reason:
        options.notice(f"{reason}: one worker reads it all")
    return [] if reason else files


def deliver(
    given: dict[str, Any],
    program: Program,
    files: list[FileSource],
    workers: int,
    store: Store | None,
    options: Options,
) -> Summary | None:
    """All events of the files by several workers; None when there is no work for more than one."""
    plan = program.plan
    keyed = plan.connection is not None and plan.connection.order_by is not None
    names = [file.name for file in files]
    for name in names:
        if names.count(name) > 1:
            refuse(f"{name} is named twice: with --workers a file has one place")
    workers = _allowed(plan, workers, options)
    saved = cursors_of(store.reader, program.owner, FILES) if store else {}
    said: list[str] = []
    places = [_place(name, saved.get(name), said) for name in names]
    portions = _portions(places, workers, keyed=keyed, options=options)
    if len(portions) < 2:
        # The one process opens the files again, and says what there is to say of them.
        return None
    for text in said:
        options.notice(text)
    gathered = Gathered(
        program.owner,
        FILES,
        plan,
        {place.path: Cursor(place.path, place.identity, place.at) for place in places},
        ledger_of(store.reader, program.owner, FILES) if store else Ledger(),
        {(number, portion.path): portion.start for number, rows in enumerate(portions) for portion in rows},
    )
    begins = [
        Begin(
            number=number,
            workers=len(portions),
            keyed=keyed,
            plan=dump(plan),
            given=given,
            endpoint=program.settings.endpoint_override,
            source=FILES,
            portions=rows,
            connect_within_s=options.connect_within_s,
            drain_s=options.drain_s,
            least_s=LEAST_S if store else IDLE_S,
        )
        for number, rows in enumerate(portions)
    ]
    return _run(begins, gathered, places, store, options)


def _portions(places: list[Place], workers: int, *, keyed: bool, options: Options) -> list[list[Portion]]:
    if not keyed:
        for place in places:
            if not place.cut:
                options.notice(f"{place.path} is gzip or has been rotated: one worker reads it")
        return splitting.split(places, workers)
    if any(len(place.identity.split()) > 1 for place in places):
        options.notice("a file that was rotated cannot be shared by key: one worker reads it all")
        return []
    if all(place.at.cursor >= place.size for place in places):
        return []
    return [[place.portion(place.at.cursor, None) for place in places] for _ in range(workers)]


def _run(
    begins: list[Begin], gathered: Gathered, places: list[Place], store: Store | None, options: Options
) -> Summary:
    shown: list[Any] = [Shown(place.path, place.size, place.at.cursor) for place in places]

    ledger = Ledger()

    def told(held: Gathered) -> None:
        # The bar knows a lane by its ledger, and all workers are one lane.
        for name, value in vars(held.ledger()).items():
            setattr(ledger, name, value)
        for row in shown:
            at = held.snapshot(row.name)
            row.offset = at.cursor + sum(end - start for start, end in at.ranges)
            progress(row, ledger)

    with progress_bar(sum(place.size for place in places), shown=sys.stderr.isatty()) as progress:
        crew = Crew(gathered, store, options, told)
        return asyncio.run(crew.run(begins))


class Shown:
    """A file as the progress bar sees it. State: how many of its bytes have ended."""

    def __init__(self, name: str, size: int, offset: int) -> None:
        self.name = name
        self.size = size
        self.offset = offset


def _allowed(plan: Plan, workers: int, options: Options) -> int:
    most = splitting.most(plan)
    if most < workers:
        options.notice(
            f"{plan.name} takes {most} at once or in a window (concurrency, rate): {most} of {workers} workers can share that"
        )
    return min(most, workers)


def _place(name: str, saved: Cursor | None, said: list[str]) -> Place:
    """Where a file is to be read from; `said` gets what a person is to know of it."""
    file = FileSource(Path(name), notice=said.append)
    if saved is None:
        at, identity = Snapshot(), file.identity
    elif text := file.resume(saved.at.cursor, saved.identity):
        said.append(text)
        at, identity = Snapshot(), file.identity
    else:
        at, identity = saved.at, saved.identity
        if file.offset >= (file.size or 0):
            said.append(f"{name}: nothing new since the last run")
    place = Place(name, identity, file.size or 0, at, file.cut)
    file.close()
    return place
