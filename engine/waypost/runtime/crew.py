"""The engine of `waypost run --workers N`: starts workers, writes what they report, and sums up.

Takes the portions of each worker and what one engine has: a store, options. Gives one Summary, with the ledger and the status of one
process. The engine alone holds the state and its lock: a step that a worker reports is added to what the others reported, committed as
one step of the lane, and acknowledged after that. So every commit is a place at which one process could have been, and any number of
workers goes on from it (docs/decisions/0009-workers.md).

A worker that dies is not started again: the others stop as after a signal, the run ends with 70 and says so, and the next one goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from waypost.runtime import ledger as ledgers
from waypost.runtime import pipe
from waypost.runtime.dead_letters import LetterFile, line_of
from waypost.runtime.engine import Engine, Summary
from waypost.runtime.ledger import Ledger
from waypost.runtime.options import Options
from waypost.runtime.records import Letter
from waypost.runtime.splitting import Gathered
from waypost.runtime.store import Store


@dataclass
class Hand:
    """A worker at work: its process, and how it ended."""

    begin: pipe.Begin
    process: Process
    end: pipe.Done | None = None
    ledger: Ledger = field(default_factory=Ledger)
    """As it was last committed."""


class Crew:
    """State: the workers, the steps that wait for the disk, and why the disk refused."""

    def __init__(
        self,
        gathered: Gathered,
        store: Store | None,
        options: Options,
        told: Callable[[Gathered], None] = lambda gathered: None,
    ) -> None:
        """`told` is called after each commit."""
        self.gathered = gathered
        self._store = store
        self._options = options
        self._told = told
        self._file = LetterFile(options.dead_letters) if options.dead_letters else None
        self._hands: list[Hand] = []
        self._steps: list[tuple[Hand, pipe.Step]] = []
        self._due = asyncio.Event()
        self._refused: tuple[int, str, str] | None = None
        self._passed: dict[str, int] = {}
        self._stopping = False

    async def run(self, begins: list[pipe.Begin]) -> Summary:
        """Until every worker has ended."""
        began = time.monotonic()
        engine = Engine(self._options, None, _none)
        engine.stopping.tell(self._stop)
        writing = asyncio.create_task(self._write())
        try:
            with engine.signals():
                for begin in begins:
                    self._hands.append(await _start(begin))
                await asyncio.gather(*(self._follow(hand) for hand in self._hands))
                self._finish()
                await self._commit([])
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            for hand in self._hands:
                with contextlib.suppress(ProcessLookupError):
                    hand.process.kill()
                await hand.process.wait()
            if self._file is not None:
                self._file.close()
        return self._summary(bool(engine.stopping.count), began)

    def _stop(self) -> None:
        for hand in self._hands:
            self._say(hand, pipe.Stop())

    def _say(self, hand: Hand, message: pipe.Orders) -> None:
        if hand.process.stdin is not None and hand.process.returncode is None:
            pipe.send(hand.process.stdin, message)

    async def _follow(self, hand: Hand) -> None:
        """Takes a worker's reports until it has gone. When it ends with a fault, the others have no reason to go on."""
        assert hand.process.stdout is not None
        while (report := await pipe.receive(hand.process.stdout, pipe.reports)) is not None:
            if isinstance(report, pipe.Step):
                self._steps.append((hand, report))
                self._due.set()
            elif isinstance(report, pipe.Notice):
                self._options.notice(f"worker {hand.begin.number + 1}: {report.text}")
            else:
                hand.end = report
        await hand.process.wait()
        if (hand.end is None or hand.end.fault or hand.end.stopped) and not self._stopping:
            self._stopping = True
            self._stop()

    async def _write(self) -> None:
        """Commits what has been reported, all that waits in one step: one at a time, so that none passes one that the disk refused."""
        while True:
            await self._due.wait()
            self._due.clear()
            steps, self._steps = self._steps, []
            for hand, step in steps:
                self.gathered.take(hand.begin.number, step)
            await self._commit([letter for _, step in steps for letter in step.letters])
            for hand, step in steps:
                if self._refused is None:
                    hand.ledger = ledgers.unpack(step.ledger)
                self._say(hand, pipe.Kept(self._refused))
            self._told(self.gathered)

    async def _commit(self, letters: list[Letter]) -> None:
        if self._refused is not None:
            # The dead letters of the step that failed are gone: no later step may pass their events.
            return
        try:
            if self._file is not None and letters:
                self._file.write([line_of(letter.event, letter.record) for letter in letters])
                self.gathered.let_go += len(letters)
                letters = []
            step = self.gathered.step(letters)
            if self._store is not None:
                await self._store.commit(step)
        except OSError as error:
            self._refused = (error.errno or 0, error.strerror or str(error), str(error.filename or ""))
            return
        passed = {cursor.input: cursor.at.cursor for cursor in step.cursors}
        if passed != self._passed and any(hand.begin.keyed for hand in self._hands):
            self._passed = passed
            for hand in self._hands:
                self._say(hand, pipe.Passed(passed))

    def _finish(self) -> None:
        """Portions that were read whole have ended to their last byte."""
        for hand in self._hands:
            end = hand.end
            if end is not None and not (end.unread or end.stopped or end.fault or ledgers.unpack(end.ledger).in_flight):
                self.gathered.ended(hand.begin.number, hand.begin.portions)

    def _summary(self, interrupted: bool, began: float) -> Summary:
        rows = [ledgers.unpack(hand.end.ledger) if hand.end else hand.ledger for hand in self._hands]
        total = Ledger()
        for row in rows:
            total = total.plus(row)
        ends = [hand.end for hand in self._hands if hand.end]
        faults = [self._lost(hand) for hand in self._hands if hand.end is None] + [
            end.fault for end in ends if end.fault
        ]
        if not faults and not all(row.closes for row in rows):
            faults = ["a worker's ledger does not close: this is a fault of waypost, please report it"]
        return Summary(
            total,
            next((end.stopped for end in ends if end.stopped), ""),
            interrupted,
            any(end.unread for end in ends) or len(ends) < len(rows),
            time.monotonic() - began,
            faults[0] if faults else "",
            self.gathered.connection,
            self.gathered.source,
        )

    def _lost(self, hand: Hand) -> str:
        code = hand.process.returncode or 0
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        rest = (
            "the next run goes on from what was kept" if self._store is not None else "without --state nothing was kept"
        )
        return f"worker {hand.begin.number + 1} {how}, and the others were stopped; {rest}"


async def _start(begin: pipe.Begin) -> Hand:
    # -P: no module of the folder that the run stands in. A session of its own: a terminal's Ctrl-C comes to the engine alone.
    words = (sys.executable, "-P", "-m", "waypost.runtime.worker")
    process = await asyncio.create_subprocess_exec(*words, stdin=PIPE, stdout=PIPE, start_new_session=True)
    assert process.stdin is not None
    pipe.send(process.stdin, begin)
    return Hand(begin, process)


def _none(program: Any) -> Any:
    raise AssertionError("the engine of workers sends nothing itself")
