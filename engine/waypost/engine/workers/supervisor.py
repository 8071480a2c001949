"""The engine of `waypost run --workers N`: starts workers, passes on what they and it have to say, and sums up.

Takes lanes with the share of each worker (joint_lane.py), and what one engine has: a store, options, what takes events in. Gives a Summary a
lane, with the ledger and the status of one process. The engine alone holds the state and its lock, and alone appends to the journal: the next
run may have any number of workers.

A worker that dies is not started again: the others stop as after a signal, the run ends with 70 and says so, and the next one goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import sys
import time
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from waypost.engine.engine import Engine, close_intake
from waypost.engine.options import Options
from waypost.engine.stopping import Stopping, signals
from waypost.engine.summary import Summary
from waypost.engine.workers import frames
from waypost.engine.workers.joint_lane import Assigned, JointLane
from waypost.events.notices import Notice
from waypost.sources.port import Intake
from waypost.state.dead_letters import LetterFile
from waypost.state.journal_trimming import Trimming
from waypost.state.records import save_cursor
from waypost.state.store import Store


@dataclass
class Hand:
    """A worker at work: its process, its share of each of its lanes, and the lanes of which it has told the end."""

    number: int
    process: Process
    shares: dict[int, int]
    ended: set[int] = field(default_factory=set)
    late: bool = False
    """It did not leave in time, and was ended."""


LEAVING_S = 5.0
"""When the time to stop is over, a worker has so long to tell what became of its share."""


class Supervisor:
    """State: the lanes and the workers."""

    def __init__(
        self, lanes: list[Assigned], workers: list[list[frames.Task]], store: Store | None, options: Options
    ) -> None:
        """`workers` has the tasks of each worker."""
        self._store = store
        self._options = options
        self._workers = workers
        self._file = LetterFile(options.dead_letters) if options.dead_letters else None
        self._trimming = Trimming()
        self._hands: list[Hand] = []
        self._homes = {(task.lane, task.share): number for number, tasks in enumerate(workers) for task in tasks}
        self._lanes = {lane.tasks[0].lane: self._joint(lane) for lane in lanes}

    def _joint(self, lane: Assigned) -> JointLane:
        self._trimming.join(lane.name, [lane.news.name] if lane.news is not None else [])
        number = lane.tasks[0].lane

        def say(share: int, order: frames.Orders) -> None:
            self._say(self._homes[number, share], order)

        return JointLane(lane, self._store, self._file, self._trimming, say)

    async def run(self, intake: Intake | None = None) -> list[Summary]:
        """Until every worker has ended. `intake` is opened when every lane's place is on disk, and closed by the first signal."""
        began = time.monotonic()
        engine = Engine(self._options, None, _none)
        engine.stopping.tell(lambda: self._stop(at_once=engine.stopping.count > 1))
        tasks = [asyncio.create_task(lane.committer.run()) for lane in self._lanes.values()]
        tasks.append(asyncio.create_task(self._refuse_reloads(engine)))
        tasks.append(asyncio.create_task(self._end_late(engine.stopping)))
        closing = asyncio.create_task(close_intake(intake, engine.stopping, self._options))
        try:
            with signals(engine.stopping, engine.options, engine.reload_asked.set):
                if intake is not None:
                    intake.bind()
                await self._begin()
                if intake is not None:
                    await intake.start()
                for number in range(len(self._workers)):
                    self._hands.append(await self._start(number))
                self._listen()
                await self._until_gone(tasks)
                engine.stopping.asked.set()
                await closing
                for lane in self._lanes.values():
                    await lane.finish()
        finally:
            engine.stopping.asked.set()
            self._listen(False)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, closing, return_exceptions=True)
            for hand in self._hands:
                with contextlib.suppress(ProcessLookupError):
                    hand.process.kill()
                await hand.process.wait()
            if self._file is not None:
                self._file.close()
        interrupted = bool(engine.stopping.count)
        return [
            lane.summary(self._lost(number), began, interrupted=interrupted) for number, lane in self._lanes.items()
        ]

    async def _until_gone(self, writing: list[asyncio.Task[None]]) -> None:
        following = asyncio.create_task(self._follow_all())
        await asyncio.wait({following, *writing}, return_when=asyncio.FIRST_COMPLETED)
        for task in writing:
            if task.done():
                # It never ends but by a fault of ours.
                following.cancel()
                task.result()
        await following

    async def _follow_all(self) -> None:
        await asyncio.gather(*(self._follow(hand) for hand in self._hands))

    def _listen(self, begin: bool = True) -> None:
        """Each lane hears of its journal's growth, and of what came before there were workers."""
        for journal in {lane.news.journal for lane in self._lanes.values() if lane.news is not None}:
            (journal.listen if begin else journal.forget)(self._grown)
        if begin:
            for lane in self._lanes.values():
                lane.begun()

    def _grown(self) -> None:
        for lane in self._lanes.values():
            lane.grown()

    async def _end_late(self, stopping: Stopping) -> None:
        """Ends the workers that do not leave when the time to stop is over: whatever has become of one, the run ends."""
        await stopping.until_over(self._options.steady)
        await asyncio.sleep(LEAVING_S)
        for hand in self._hands:
            if hand.process.returncode is None:
                hand.late = True
                hand.process.kill()
        await asyncio.Event().wait()

    async def _refuse_reloads(self, engine: Engine) -> None:
        while True:
            await engine.reload_asked.wait()
            engine.reload_asked.clear()
            said = "nothing is changed: with --workers a change needs a restart"
            self._options.notice(Notice(said, "reload_refused", level="error"))

    async def _begin(self) -> None:
        """A journaled source's events are answered for from now on: where its lanes begin must be on disk before the first one comes."""
        for lane in self._lanes.values():
            if lane.news is not None and self._store is not None:
                await self._store.commit(partial(_save_place, lane))

    async def _start(self, number: int) -> Hand:
        # -P: no module of the folder that the run stands in. A session of its own: a terminal's Ctrl-C comes to the engine alone.
        words = (sys.executable, "-P", "-m", "waypost.engine.workers.worker")
        process = await asyncio.create_subprocess_exec(*words, stdin=PIPE, stdout=PIPE, start_new_session=True)
        assert process.stdin is not None
        tasks = self._workers[number]
        frames.send(process.stdin, frames.Begin(tasks, self._options.connect_within_s, self._options.drain_s))
        return Hand(number, process, {task.lane: task.share for task in tasks})

    def _stop(self, *, at_once: bool = False) -> None:
        for lane in self._lanes.values():
            lane.stop(at_once=at_once)

    def _say(self, worker: int, order: frames.Orders) -> None:
        if worker < len(self._hands):
            process = self._hands[worker].process
            if process.stdin is not None and process.returncode is None:
                frames.send(process.stdin, order)

    async def _follow(self, hand: Hand) -> None:
        """Takes a worker's reports until it has gone. When it has not ended what it had, the others have no reason to go on."""
        assert hand.process.stdout is not None
        while (report := await frames.receive(hand.process.stdout, frames.reports)) is not None:
            if isinstance(report, frames.Notice):
                self._options.notice(_said(hand, report))
                continue
            if isinstance(report, frames.Done):
                hand.ended.add(report.lane)
            self._lanes[report.lane].take(hand.shares[report.lane], report)
        await hand.process.wait()
        if hand.ended != hand.shares.keys():
            self._stop()

    def _lost(self, lane: int) -> list[str]:
        """What is to be said of workers that died with a share of a lane."""
        found = []
        for hand in self._hands:
            if lane in hand.shares and lane not in hand.ended:
                code = hand.process.returncode or 0
                how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
                how = "did not stop in time, and was ended" if hand.late else how
                found.append(f"worker {hand.number + 1} {how}{'' if hand.late else ', and the others were stopped'}")
        return found


def _save_place(lane: JointLane, database: sqlite3.Connection) -> None:
    assert lane.news is not None
    save_cursor(database, *lane.assigned.name, lane.gathered.before[lane.news.name])


def _said(hand: Hand, report: frames.Notice) -> Notice:
    about = {"connection": report.connection, "source": report.source}
    text = f"worker {hand.number + 1}: {report.text}"
    return Notice(text, report.event, level=report.level, **about, **{"worker": hand.number + 1, **report.fields})


def _none(program: Any) -> Any:
    raise AssertionError("the engine of workers sends nothing itself")
