"""The engine: lanes at work side by side, what they share, and what starts, changes and stops them.

Takes assignments (a linked program, a source's name, how to open its inputs). Gives a Summary: the ledger of each lane, why it stopped, and the
exit status. Each lane has its own runner, connections and cursor, so that one failing destination slows no other. Shared are the gates
(lanes with one host and credential), the readers (lanes with one source) and the store's commits.

Why a reload needs no code of its own in a lane: it is what a crash and a new start do, in order (lane_runner.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from waypost.delivery.holding import WINDOW
from waypost.engine.gates import Gates
from waypost.engine.lane_runner import ALONE, LaneRunner, Role, wake_neighbours
from waypost.engine.options import Options, Sender
from waypost.engine.stopping import Stopping, signals
from waypost.engine.summary import Summary
from waypost.events.lines import SourceError
from waypost.events.notices import Notice
from waypost.program.program import Program
from waypost.sources.port import Intake, Opener, Source
from waypost.sources.shared import Shared
from waypost.state.commits import Keeping, LaneSteps
from waypost.state.dead_letters import LetterFile
from waypost.state.journal import Journal
from waypost.state.journal_trimming import Trimming
from waypost.state.records import Cursor, Snapshot, cursors_of, former_of, save_cursor
from waypost.state.store import Store

FILES = "files"
"""The source's name in a run that names files and not a connections file."""

CLOSING_S = 1.0
"""When the time to stop is over, what takes events in has so long to answer its senders."""

MEMORY, LEAST_WINDOW = 256 << 20, 16 << 20
"""What all lanes hold together, and what each may hold however many there are."""


class Refused(Exception):
    """A reload that changes nothing. The message says why."""


@dataclass(frozen=True)
class Assignment:
    """A lane to be. `inputs` open the source's inputs, and tell of each that comes later; equal `key`s mean the same source. `endless`: it
    waits for more events. `news` is the journal of a journaled source."""

    program: Program
    source: str
    key: Any
    inputs: Callable[[Callable[[Opener], None]], Sequence[Opener]]
    endless: bool = False
    news: Journal | None = None

    @property
    def name(self) -> tuple[str, str]:
        return self.program.owner, self.source


class Watcher(Protocol):
    """Who shows an engine at work: operate/operator_server.py."""

    async def start(self, engine: Engine) -> None: ...
    async def stop(self) -> None: ...


@dataclass
class Running:
    """A lane at work."""

    runner: LaneRunner
    task: asyncio.Task[Summary]
    sender: Sender
    key: Any
    taps: list[Source] = field(default_factory=list)


@dataclass
class Ready:
    """A lane that is about to run: everything that it needs is open."""

    item: Assignment
    runner: LaneRunner
    sender: Sender
    taps: list[Source]


async def run(
    program: Program,
    sources: list[Source],
    sender: Sender,
    options: Options,
    store: Store | None = None,
    *,
    source: str = FILES,
    role: Role = ALONE,
    keeping: LaneSteps | None = None,
    watcher: Watcher | None = None,
) -> Summary:
    """Delivers every event of the sources, in order, until all have ended, the lane stops, or a signal ends the run: one lane. `keeping` keeps
    what has ended in another way than a run does (a replay)."""
    engine = Engine(options, store, lambda program: sender)
    with signals(engine.stopping, options):
        return await engine.alone(engine.runner(program, source, sources, sender, role, keeping), watcher)


def window_of(lanes: int) -> int:
    """What each of so many lanes may hold."""
    return max(LEAST_WINDOW, min(WINDOW, MEMORY // max(lanes, 1)))


async def close_intake(intake: Intake | None, stopping: Stopping, options: Options) -> None:
    """Closed by the first signal, or when there is nobody left to deliver; the second does not wait for those who still send."""
    await stopping.asked.wait()
    if intake is None:
        return
    closing = asyncio.create_task(intake.stop(options.drain_s))
    over = asyncio.create_task(stopping.until_over(options.steady))
    await asyncio.wait({closing, over}, return_when=asyncio.FIRST_COMPLETED)
    over.cancel()
    done, late = await asyncio.wait({closing}, timeout=CLOSING_S)
    for task in late:
        task.cancel()
    for task in done:
        task.result()


class Engine:
    """State: the lanes, what they share, and the signals that came."""

    def __init__(self, options: Options, store: Store | None, sender_for: Callable[[Program], Sender]) -> None:
        self.options = options
        self.store = store
        self.stopping = Stopping()
        self.gates = Gates(options.jitter)
        self.reload_asked = asyncio.Event()
        self.lanes: dict[tuple[str, str], Running] = {}
        self.runners: dict[tuple[str, str], LaneRunner] = {}
        """Those at work, and those that have ended by themselves: their counts still count."""
        self.started = False
        """Whether every lane has begun, and what takes events in."""
        self._sender_for = sender_for
        self._file = LetterFile(options.dead_letters) if options.dead_letters else None
        self._shared: dict[str, tuple[Any, list[Shared]]] = {}
        self._trimming = Trimming()
        self._ended: list[Summary] = []
        self._applying = False
        self._done: dict[tuple[str, str], Any] = {}

    def runner(
        self,
        program: Program,
        source: str,
        sources: list[Source],
        sender: Sender,
        role: Role = ALONE,
        keeping: LaneSteps | None = None,
    ) -> LaneRunner:
        """A lane, ready to run."""
        lane = (program.owner, source)
        runner = self.runners[lane] = LaneRunner(
            program,
            sources,
            sender,
            self.options,
            keeping=keeping or self._keeping(lane, sources),
            stopping=self.stopping,
            gates=self.gates.of,
            role=replace(role, answered=self._answered),
        )
        self._share_memory()
        return runner

    def _keeping(self, lane: tuple[str, str], sources: list[Source]) -> Keeping:
        self._trimming.join(lane, (item.name for item in sources if item.journaled))
        # This engine holds the state's lock: nobody else changes what is read here.
        reader = self.store.reader if self.store is not None else None
        return Keeping(
            *lane,
            store=self.store,
            file=self._file,
            clock=self.options.clock,
            former=former_of(reader, *lane) if reader else None,
            saved=lambda cursors: self._trimming.saved(lane, cursors),
        )

    async def alone(self, runner: LaneRunner, watcher: Watcher | None = None) -> Summary:
        """Runs one lane to its end, and closes all that was open for it."""
        began = time.monotonic()
        self.started = True
        try:
            if watcher is not None:
                await watcher.start(self)
            end = await runner.run()
        finally:
            if watcher is not None:
                await watcher.stop()
            await runner.sender.close()
            self.close()
        return self._whole(end, began)

    def _share_memory(self) -> None:
        """Each lane holds less where there are many: a batch of the usual size still has room, and so have those under way."""
        window = window_of(len(self.runners))
        for runner in self.runners.values():
            runner.hold(window)

    def _whole(self, end: Summary, began: float) -> Summary:
        return replace(end, interrupted=bool(self.stopping.count), seconds=time.monotonic() - began)

    async def run(
        self,
        assignments: list[Assignment],
        load: Callable[[], list[Assignment]] | None = None,
        intake: Intake | None = None,
        watcher: Watcher | None = None,
    ) -> list[Summary]:
        """All lanes, until each has ended. `load` gives the assignments of a reload, or raises Refused. `intake` is opened when every lane's
        place is on disk, and closed by the first signal; `watcher` is there from the beginning to the end."""
        began = time.monotonic()
        reloading = asyncio.create_task(self._reload(load)) if load is not None else None
        closing = asyncio.create_task(close_intake(intake, self.stopping, self.options))
        try:
            with signals(self.stopping, self.options, self.reload_asked.set if load is not None else None):
                # All that can be refused is bound before the first event is read.
                if intake is not None:
                    intake.bind()
                if watcher is not None:
                    await watcher.start(self)
                await self.apply(assignments)
                if intake is not None:
                    await intake.start()
                self.started = True
                await self._until_ended(reloading)
                self.stopping.asked.set()
                # Senders that are not done hold the end no longer than signals say.
                await closing
        finally:
            if reloading is not None:
                reloading.cancel()
            for running in self.lanes.values():
                running.task.cancel()
            await asyncio.gather(
                *(running.task for running in self.lanes.values()),
                *([reloading] if reloading else []),
                return_exceptions=True,
            )
            self.stopping.asked.set()
            await closing
            for running in self.lanes.values():
                await self._close(running)
            if watcher is not None:
                await watcher.stop()
            self.close()
        return [self._whole(end, began) for end in self._ended]

    async def _until_ended(self, reloading: asyncio.Task[None] | None) -> None:
        # A reload that was asked for may start a lane when the last one has just ended.
        while self.lanes or self._applying or self.reload_asked.is_set():
            tasks: set[asyncio.Task[Any]] = {running.task for running in self.lanes.values()}
            if reloading is not None:
                tasks.add(reloading)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=1.0)
            for name, running in list(self.lanes.items()):
                if running.task.done() and self.lanes.get(name) is running:
                    self._ended.append(self._end_of(running))
                    del self.lanes[name]
                    self._done[name] = running.key
                    await self._close(running)
            if reloading is not None and reloading.done():
                # It never ends but by a fault of ours.
                reloading.result()

    def _end_of(self, running: Running) -> Summary:
        """The end of a lane. One whose input cannot be read ends alone where there are others."""
        runner = running.runner
        try:
            return running.task.result()
        except SourceError as error:
            if len(self.runners) < 2:
                raise
            runner.fault = str(error)
            name = runner.keeping.connection, runner.keeping.source
            self.options.notice(Notice(f"{name[0]}: {error}", "fault", level="error"))
            return Summary(runner.lane.ledger, unread=True, fault=str(error), connection=name[0], source=name[1])

    async def apply(self, assignments: list[Assignment]) -> None:
        """Starts what is new, changes what has another plan, ends what is no longer there."""
        wanted = {item.name: item for item in assignments}
        for name, running in list(self.lanes.items()):
            item = wanted.get(name)
            if item is None or item.key != running.key:
                await self._end(name, running)
        changes: list[tuple[Running, Program]] = []
        ready: list[Ready] = []
        try:
            for name, item in wanted.items():
                held = self.lanes.get(name)
                if held is None and self._done.get(name) == item.key:
                    # A lane that has read all there was does not read it once more because another connection was changed.
                    continue
                if held is None:
                    ready.append(await self._prepare(item))
                elif (
                    held.runner.lane.stopped
                    or held.runner.program.plan != item.program.plan
                    or held.runner.program.settings != item.program.settings
                ):
                    changes.append((held, item.program))
        except BaseException:
            for one in ready:
                await self._abandon(one)
            raise
        # No lane begins before all are ready: where one is refused, nothing was read or sent.
        for one in ready:
            self._start(one)
        await asyncio.gather(*(self._change(held, program) for held, program in changes))

    async def _prepare(self, item: Assignment) -> Ready:
        key, shared = self._shared.get(item.source, (None, []))
        if not shared or key != item.key:
            shared = []
            self._shared[item.source] = (item.key, shared)
            for opener in item.inputs(partial(self._added, item.source, item.key)):
                shared.append(Shared(opener))
        taps: list[Source] = [reader.tap() for reader in shared]
        await self._begin(item, taps)
        sender = self._sender_for(item.program)
        role = Role(news=item.news, patient=item.endless, among=True)
        runner = self.runner(item.program, item.source, taps, sender, role)
        return Ready(item, runner, sender, taps)

    def _start(self, one: Ready) -> None:
        item = one.item
        task = asyncio.create_task(one.runner.run(), name=f"{item.program.owner} < {item.source}")
        self.lanes[item.name] = Running(one.runner, task, one.sender, item.key, one.taps)

    async def _abandon(self, one: Ready) -> None:
        self.runners.pop(one.item.name, None)
        for tap in one.taps:
            tap.close()
        await one.sender.close()

    def _added(self, source: str, key: Any, opener: Opener) -> None:
        """An input more of a source: every lane of it reads it after those that it has."""
        held, shared = self._shared.get(source, (None, []))
        if held != key:
            return
        shared.append(Shared(opener))
        for (_, of), running in self.lanes.items():
            if of == source and running.key == key:
                running.taps.append(shared[-1].tap())

    async def _begin(self, item: Assignment, taps: list[Source]) -> None:
        """A journaled source's events are answered for from now on: where the lane begins must be on disk before the first one comes."""
        if self.store is None:
            return
        connection, source = item.name
        known = cursors_of(self.store.reader, connection, source)
        for tap in taps:
            if tap.journaled and tap.name not in known:
                at = Cursor(tap.name, tap.identity, Snapshot(tap.offset))
                await self.store.commit(lambda database, at=at: save_cursor(database, connection, source, at))  # type: ignore[misc]

    async def _change(self, running: Running, program: Program) -> None:
        # The way there (TLS, how many at once) is the plan's, too: nothing is under way on the old one when it is left.
        old, sender = running.sender, self._sender_for(program)
        changed = asyncio.create_task(running.runner.change(program, sender))
        # A lane that ends meanwhile (a signal, its last event) has nothing to change.
        await asyncio.wait({changed, running.task}, return_when=asyncio.FIRST_COMPLETED)
        left = sender if not changed.done() else old
        running.sender = old if left is sender else sender
        changed.cancel()
        if left is not running.sender:
            await left.close()

    async def _end(self, name: tuple[str, str], running: Running) -> None:
        del self.lanes[name]
        self.runners.pop(name, None)
        self._share_memory()
        running.runner.leave()
        await asyncio.wait({running.task})
        self._ended.append(self._end_of(running))
        self._trimming.leave(name)
        await self._close(running)

    async def _close(self, running: Running) -> None:
        for tap in running.taps:
            tap.close()
        still = {held.key for held in self.lanes.values() if held is not running}
        self._shared = {source: row for source, row in self._shared.items() if row[0] in still}
        await running.sender.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _answered(self, runner: LaneRunner) -> None:
        """Wakes the other lanes of the gates at which a request has ended."""
        if len(self.lanes) > 1:
            wake_neighbours(runner, [running.runner for running in self.lanes.values()])

    async def _reload(self, load: Callable[[], list[Assignment]] | None) -> None:
        assert load is not None
        while True:
            await self.reload_asked.wait()
            self._applying = True
            self.reload_asked.clear()
            try:
                assignments = await asyncio.to_thread(load)
                if not self.stopping.count:
                    await self.apply(assignments)
                    count = len(assignments)
                    self.options.notice(Notice(f"reloaded: {count} lanes", "reload", lanes=count))
            except (Refused, SourceError) as error:
                self.options.notice(Notice(f"nothing is changed: {error}", "reload_refused", level="error"))
            finally:
                self._applying = False
