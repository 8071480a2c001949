"""`waypost run ... --workers N`: how many workers there can be, and what each gets.

Takes what `run` has for one process: programs, settings, files or a journal, the state. Gives the Summaries of the workers, or None where one
process is to do it, and then says why.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from waypost.cli.board import progress_board
from waypost.cli.common import refuse
from waypost.delivery.ledger import Ledger
from waypost.engine.engine import FILES
from waypost.engine.options import Options
from waypost.engine.summary import Summary
from waypost.engine.workers import splitting
from waypost.engine.workers.file_share import Portion
from waypost.engine.workers.frames import Task
from waypost.engine.workers.joint_lane import Assigned, News
from waypost.engine.workers.journal_share import Followed
from waypost.engine.workers.splitting import Gathered, Place
from waypost.engine.workers.supervisor import Supervisor
from waypost.http.loop import run_to_end
from waypost.plan import dump
from waypost.program.program import Program
from waypost.sources.file import FileSource
from waypost.sources.port import Intake, Source
from waypost.sources.stdin import StdinIntake
from waypost.sources.stream import StreamSource
from waypost.state.committer import LEAST_S
from waypost.state.journal import Journal
from waypost.state.records import Cursor, Snapshot, cursors_of, ledger_of
from waypost.state.store import Store

IDLE_S = 0.05
"""Without a state a step only brings dead letters and the progress bar: so often is enough."""


@dataclass
class Lane:
    """What is to be shared: files by name, or a journaled source, which begins at `start` where no earlier run says otherwise."""

    program: Program
    given: dict[str, Any]
    source: str
    files: list[str] = field(default_factory=list)
    news: News | None = None
    start: int = 1
    endless: bool = False

    @property
    def keyed(self) -> bool:
        connection = self.program.plan.connection
        return connection is not None and connection.order_by is not None


@dataclass
class Planned:
    """A lane with what each share of it has. `said`: what a person is to know of its files; `missing`: what of them is gone."""

    lane: Lane
    places: list[Place]
    portions: list[list[Portion]]
    followed: Followed | None
    said: list[str]
    missing: Ledger = field(default_factory=Ledger)

    @property
    def shares(self) -> int:
        return len(self.portions)


def whole_files(sources: list[Source], *, follow: bool, options: Options) -> list[FileSource]:
    """The files to split; none where one process is to read, which is said."""
    for source in sources:
        if isinstance(source, StreamSource):
            refuse(f"{source.name} is no regular file and cannot be split: leave out --workers")
    files = [source for source in sources if isinstance(source, FileSource)]
    reason = ""
    if len(files) < len(sources):
        reason = "standard input cannot be split: one worker reads it all (with --journal they share it)"
    elif follow:
        reason = "a file that is followed cannot be split: one worker reads it all"
    elif options.masked:
        reason = "--dry-run prints requests in their order: one worker reads it all"
    if reason:
        options.notice(reason)
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
    shares = _allowed([program], workers, options)
    planned = plan_of(Lane(program, given, FILES, [file.name for file in files]), shares[0], store, options)
    if planned.shares < 2:
        # The one process opens the files again, and says what there is to say of them.
        return None
    return run([planned], [planned.shares], store, options)[0]


def deliver_input(
    given: dict[str, Any], program: Program, name: str, workers: int, store: Store, options: Options
) -> Summary | None:
    """Standard input by several workers, through the journal; None when there may be only one."""
    shares = _allowed([program], workers, options)
    if shares[0] < 2:
        return None
    journal = Journal(store)
    intake = StdinIntake(sys.stdin.buffer, journal, name)
    lane = Lane(program, given, name, news=News(journal, name, intake.open()))
    return run([plan_of(lane, shares[0], store, options)], shares, store, options, intake)[0]


def deliver_all(
    lanes: list[Lane], workers: int, store: Store | None, options: Options, intake: Intake | None
) -> list[Summary]:
    """The lanes of a connections file by several workers."""
    shares = _allowed([lane.program for lane in lanes], workers, options)
    planned = [plan_of(lane, count, store, options) for lane, count in zip(lanes, shares, strict=True)]
    for one in planned:
        # A lane that has nothing to read ends in one of them.
        one.portions = one.portions or [[]]
    return run(planned, shares, store, options, intake)


def plan_of(lane: Lane, shares: int, store: Store | None, options: Options) -> Planned:
    """Where a lane stands, and the parts of what is left."""
    saved = cursors_of(store.reader, lane.program.owner, lane.source) if store else {}
    if lane.news is not None:
        assert store is not None
        return Planned(lane, [], [[] for _ in range(shares)], _followed(lane, lane.news, saved, store), [])
    for name in lane.files:
        if lane.files.count(name) > 1:
            refuse(f"{name} is named twice: with --workers a file has one place")
    said: list[str] = []
    missing = Ledger()
    places = [_place(name, saved.get(name), said, missing) for name in lane.files]
    portions = _portions(places, shares, keyed=lane.keyed, options=options)
    return Planned(lane, places, portions, None, said, missing)


def _followed(lane: Lane, news: News, saved: dict[str, Cursor], store: Store) -> Followed:
    at = saved[news.name].at if news.name in saved else Snapshot(lane.start)
    # What the journal has let go nobody waits for.
    start = max(at.cursor, min(news.journal.first(news.name), news.next))
    return Followed(str(store.path), news.name, start, at.ranges, at.parts)


def run(
    planned: list[Planned], divisors: list[int], store: Store | None, options: Options, intake: Intake | None = None
) -> list[Summary]:
    """The lanes by so many workers as the lane with most shares has."""
    workers: list[list[Task]] = [[] for _ in range(max(one.shares for one in planned))]
    assigned = []
    given = 0
    for number, (one, divisor) in enumerate(zip(planned, divisors, strict=True)):
        for text in one.said:
            options.notice(text)
        tasks = _tasks(number, one, divisor, store, options)
        assigned.append(Assigned(_gathered(one, store), tasks, one.lane.news))
        for task in tasks:
            # Lanes with one share each go to different workers.
            workers[given % len(workers)].append(task)
            given += 1
    sizes = [place.size for one in planned for place in one.places]
    total = None if any(one.followed for one in planned) else sum(sizes)
    with progress_board(total, shown=True) as progress:
        for lane, one in zip(assigned, planned, strict=True):
            lane.told = _shown(one.places, progress)
        supervisor = Supervisor(assigned, [tasks for tasks in workers if tasks], store, options)
        return run_to_end(supervisor.run(intake))


def _tasks(number: int, one: Planned, divisor: int, store: Store | None, options: Options) -> list[Task]:
    lane = one.lane
    return [
        Task(
            lane=number,
            share=share,
            shares=one.shares,
            divisor=divisor,
            keyed=lane.keyed,
            plan=dump(lane.program.plan),
            given=lane.given,
            endpoint=lane.program.settings.endpoint_override,
            tls=lane.program.settings.tls,
            plain_http=lane.program.settings.plain_http,
            source=lane.source,
            portions=portions,
            least_s=LEAST_S if store else IDLE_S,
            followed=one.followed,
            endless=lane.endless,
        )
        for share, portions in enumerate(one.portions)
    ]


def _gathered(one: Planned, store: Store | None) -> Gathered:
    program, source = one.lane.program, one.lane.source
    before = {place.path: Cursor(place.path, place.identity, place.at) for place in one.places}
    starts = {(share, portion.path): portion.start for share, rows in enumerate(one.portions) for portion in rows}
    if (held := one.followed) is not None:
        before[held.name] = held.cursor
        starts = {(share, held.name): held.start for share in range(one.shares)}
    earlier = ledger_of(store.reader, program.owner, source) if store else Ledger()
    blocks = one.shares if held is not None and not one.lane.keyed else 0
    return Gathered(program.owner, source, program.plan, before, earlier, starts, blocks, one.missing)


def _portions(places: list[Place], workers: int, *, keyed: bool, options: Options) -> list[list[Portion]]:
    if not keyed:
        for place in places:
            if not place.cut:
                options.notice(f"{place.path} is packed or has been rotated: one worker reads it")
        return splitting.split(places, workers)
    if all(place.at.cursor >= place.size for place in places):
        return []
    if any(len(place.identity.split()) > 1 for place in places):
        options.notice("a file that was rotated cannot be shared by key: one worker reads it all")
        workers = 1
    return [[place.portion(place.at.cursor, None) for place in places] for _ in range(workers)]


def _shown(places: list[Place], progress: Callable[..., None]) -> Callable[[Gathered], None]:
    """Tells the progress bar how much of the files has ended."""
    shown = [Shown(place.path, place.size, place.at.cursor) for place in places]
    ledger = Ledger()

    def told(held: Gathered) -> None:
        # The bar knows a lane by its ledger, and all workers are one lane.
        for name, value in vars(held.ledger()).items():
            setattr(ledger, name, value)
        for row in shown:
            at = held.snapshot(row.name)
            row.offset = at.cursor + sum(end - start for start, end in at.ranges)
            progress(row, ledger)

    return told


class Shown:
    """A file as the progress bar sees it. State: how many of its bytes have ended."""

    def __init__(self, name: str, size: int, offset: int) -> None:
        self.name = name
        self.size = size
        self.offset = offset


def _allowed(programs: list[Program], workers: int, options: Options) -> list[int]:
    """How many workers may share each lane; where it is fewer than asked for, that is said."""
    found = splitting.shares_of(programs, workers)
    said = set()
    for program, count in zip(programs, found, strict=True):
        if count < workers and program.owner not in said:
            said.add(program.owner)
            options.notice(
                f"{program.owner} takes {count} at once or in a window (concurrency, rate): {count} of {workers} workers can share that"
            )
    return found


def _place(name: str, saved: Cursor | None, said: list[str], missing: Ledger) -> Place:
    """Where a file is to be read from; `said` gets what a person is to know of it, `missing` counts what is gone of it."""
    file = FileSource(Path(name), notice=said.append)
    if saved is None:
        at, identity = Snapshot(), file.identity
    elif text := file.resume(saved.at.cursor, saved.identity):
        said.append(text)
        missing.missing += len(file.losses)
        missing.missing_bytes += sum(loss.size for loss in file.losses)
        at, identity = Snapshot(), file.identity
    else:
        at, identity = saved.at, saved.identity
        if file.offset >= (file.size or 0):
            said.append(f"{name}: nothing new since the last run")
    place = Place(name, identity, file.size or 0, at, file.cut)
    file.close()
    return place
