"""One worker of `waypost run --workers N`: a process with its share of each lane. `python -m waypost.engine.workers.worker`.

Takes orders on standard input, gives reports on standard output (frames.py). It loads plans, never the compiler or the command line. What has
ended it tells to the engine, which alone writes; the disk's answer comes back as if the disk were here, so that a lane needs no other code.

Signals are for the engine: whoever sends them to the whole group (a terminal, a supervisor) must not stop a worker twice. An engine that has
gone takes its workers with it: what they could still send nobody would remember.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
from typing import Any

from waypost.delivery import ledger as ledgers
from waypost.delivery.ledger import Ledger
from waypost.engine.engine import window_of
from waypost.engine.gates import Gates
from waypost.engine.lane_runner import LaneRunner, Role, wake_neighbours
from waypost.engine.options import Options
from waypost.engine.stopping import Stopping
from waypost.engine.summary import Summary
from waypost.engine.workers import frames
from waypost.engine.workers.file_share import Portion, Share
from waypost.engine.workers.journal_share import Following
from waypost.engine.workers.splitting import divided, falls_to
from waypost.events.lines import SourceError
from waypost.events.notices import Notice
from waypost.http.loop import run_to_end
from waypost.http.tokens import sender_of
from waypost.plan import load
from waypost.program.program import link
from waypost.program.settings import Way
from waypost.sources.port import Source
from waypost.state.commits import Keeping
from waypost.state.records import Cursor, Former, LaneStep, Snapshot


class Remote:
    """The engine, as what takes a lane's steps. State: the step that waits, and how far the run as a whole is."""

    def __init__(self, writer: asyncio.StreamWriter, lane: int) -> None:
        self.passed: dict[str, int] = {}
        self._writer = writer
        self._lane = lane
        self._waiting: asyncio.Future[None] | None = None

    def notice(self, text: str) -> None:
        said = text if isinstance(text, Notice) else Notice(text, "notice")
        frames.send(
            self._writer,
            frames.Notice(str(said), said.event, said.level, said.connection, said.source, said.fields),
        )

    async def commit(self, step: LaneStep) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        frames.send(
            self._writer, frames.Step(self._lane, list(step.cursors), ledgers.pack(step.ledger), list(step.letters))
        )
        await self._waiting

    def kept(self, refused: tuple[int, str, str] | None) -> None:
        if self._waiting is None or self._waiting.done():
            return
        if refused is None:
            self._waiting.set_result(None)
        else:
            self._waiting.set_exception(OSError(*refused))

    def done(self, end: Summary) -> None:
        frames.send(
            self._writer,
            frames.Done(self._lane, ledgers.pack(end.ledger), end.stopped, end.unread, end.fault, end.faults),
        )


class Work:
    """A share of one lane. State: its runner, the signals, and the journal that it follows."""

    def __init__(self, task: frames.Task, begin: frames.Begin, worker: Worker) -> None:
        """Raises SourceError when a file is not the one that was cut."""
        self.stopping = Stopping()
        self.remote = Remote(worker.writer, task.lane)
        self._drain_s = begin.drain_s
        options = Options(None, begin.connect_within_s, begin.drain_s, notice=self.remote.notice)
        way = Way(task.endpoint, task.tls, task.plain_http)
        program = link(divided(load(task.plan), task.divisor), task.given, way=way)
        self.following: Following | None = None
        self.sender = sender_of(program)
        sources = self._sources(task)
        keeping = Keeping(
            program.owner,
            task.source,
            store=self.remote,
            file=None,
            clock=options.clock,
            former=Former(_before(task)),
            least_s=task.least_s,
        )
        self.runner = LaneRunner(
            program,
            sources,
            self.sender,
            options,
            keeping=keeping,
            stopping=self.stopping,
            gates=worker.gates.of,
            role=Role(
                answered=worker.answered,
                patient=task.endless,
                mine=(lambda key, line: falls_to(key, line, task.shares) == task.share) if task.keyed else None,
            ),
        )
        self.runner.hold(window_of(len(begin.tasks)))

    def _sources(self, task: frames.Task) -> list[Source]:
        passed = self.remote.passed
        if task.followed is not None:
            name = task.followed.name
            passed[name] = task.followed.start
            self.following = Following(task.followed, task.share, task.shares, lambda: passed[name], keyed=task.keyed)
            return [self.following]
        for portion in task.portions:
            passed[portion.path] = portion.start
        return [
            self._share(portion, keyed=task.keyed, tells=not task.keyed or not task.share) for portion in task.portions
        ]

    def _share(self, portion: Portion, *, keyed: bool, tells: bool) -> Share:
        passed = self.remote.passed
        ahead = (lambda: passed[portion.path]) if keyed else None
        return Share(portion, notice=self.remote.notice, passed=ahead, tells=tells)

    def obey(self, order: Any) -> None:
        if isinstance(order, frames.Stop):
            while self.stopping.count < 1 + order.at_once:
                self.stopping.heard(self.runner.options.steady(), self._drain_s)
        elif isinstance(order, frames.Kept):
            self.remote.kept(order.refused)
        elif isinstance(order, frames.Grown):
            if self.following is not None:
                self.following.grown(order.next, ended=order.ended)
            self.runner.wake.set()
        else:
            self.remote.passed.update(order.cursors)
            for name, cursor in order.cursors.items():
                self.runner.lane.caught_up(name, cursor)
            self.runner.wake.set()

    async def run(self) -> None:
        try:
            end = await self.runner.run()
        except SourceError as error:
            end = Summary(Ledger(), fault=str(error), unread=True)
        await self.sender.close()
        self.remote.done(end)


def _before(task: frames.Task) -> dict[str, Cursor]:
    found = {
        row.path: Cursor(row.path, row.identity, Snapshot(row.start, row.ranges, row.parts)) for row in task.portions
    }
    if task.followed is not None:
        found[task.followed.name] = task.followed.cursor
    return found


class Worker:
    """State: its lanes at work, and the gates that they share."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.gates = Gates(Options(None).jitter)
        self._reader = reader
        self._works: dict[int, Work] = {}

    async def serve(self) -> None:
        """Until each lane has ended."""
        begin = await frames.receive(self._reader, frames.orders)
        if begin is None:
            return
        tasks: dict[int, frames.Task] = {task.lane: task for task in begin.tasks}
        for task in tasks.values():
            try:
                self._works[task.lane] = Work(task, begin, self)
            except SourceError as error:
                Remote(self.writer, task.lane).done(Summary(Ledger(), fault=str(error), unread=True))
        listening = asyncio.create_task(self._listen())
        async with asyncio.TaskGroup() as group:
            for work in self._works.values():
                group.create_task(work.run())
        listening.cancel()
        await self.writer.drain()
        self.writer.close()

    def answered(self, runner: LaneRunner) -> None:
        if len(self._works) > 1:
            wake_neighbours(runner, [work.runner for work in self._works.values()])

    async def _listen(self) -> None:
        while True:
            order: Any = await frames.receive(self._reader, frames.orders)
            if order is None:
                os._exit(errno.EPIPE)
            work = self._works.get(order.lane)
            if work is not None:
                work.obey(order)


def main() -> None:
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    run_to_end(_serve())


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout.buffer)
    await Worker(reader, asyncio.StreamWriter(transport, protocol, None, loop)).serve()


if __name__ == "__main__":
    main()
