"""One lane that several workers share: what they report becomes steps of the lane, and at the end one summary.

Takes the reports of each share, and where the lane reads a journal, what comes into it. Gives commits, and orders for the workers. A step
that is reported is added to what the others reported, committed as one step of the lane, and acknowledged after that: so every commit is a
place at which one process could have been (docs/decisions/0009-workers.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from waypost.delivery import ledger as ledgers
from waypost.delivery.ledger import Ledger
from waypost.engine.summary import Summary
from waypost.engine.workers import frames
from waypost.engine.workers.splitting import Gathered
from waypost.events.lines import SourceError
from waypost.state.committer import Committer
from waypost.state.dead_letters import LetterFile, line_of
from waypost.state.journal import Journal
from waypost.state.journal_source import JournalSource
from waypost.state.journal_trimming import Trimming
from waypost.state.records import LaneStep, Letter
from waypost.state.store import Store


@dataclass
class News:
    """What comes into the journal of a lane. `stream`: it has one producer, which ends."""

    journal: Journal
    name: str
    stream: JournalSource | None = None

    @property
    def next(self) -> int:
        return self.journal.next(self.name)

    @property
    def ended(self) -> bool:
        return self.stream is not None and self.stream.ended

    @property
    def fault(self) -> OSError | SourceError | None:
        return self.stream.fault if self.stream is not None else None


@dataclass
class Assigned:
    """A lane to be shared. `tasks` has one for each worker that has a share, in the order of the shares. `told` is called after each commit."""

    gathered: Gathered
    tasks: list[frames.Task]
    news: News | None = None
    told: Callable[[Gathered], None] = lambda gathered: None

    @property
    def name(self) -> tuple[str, str]:
        return self.gathered.connection, self.gathered.source


class JointLane:
    """State: what each share has reported and how it ended, the steps that wait for the disk, and why the disk refused."""

    def __init__(
        self,
        assigned: Assigned,
        store: Store | None,
        file: LetterFile | None,
        trimming: Trimming,
        say: Callable[[int, frames.Orders], None],
    ) -> None:
        """`say` gives an order to the worker of a share."""
        self.assigned = assigned
        self.gathered = assigned.gathered
        self.news = assigned.news
        self.shares = len(assigned.tasks)
        self.lane = assigned.tasks[0].lane
        self.committer = Committer(self, store)
        self._file = file
        self._trimming = trimming
        self._say = say
        self._reports: list[tuple[int, frames.Step]] = []
        self._taken: list[tuple[int, frames.Step]] = []
        """Those of the step that is being committed."""
        self._passed: dict[str, int] = {}
        self._trims: dict[str, int] = {}
        self._ledgers: dict[int, Ledger] = {share: Ledger() for share in range(self.shares)}
        """As they were last committed."""
        self._ends: dict[int, frames.Done] = {}
        self._tells = self.news is not None or any(task.keyed for task in assigned.tasks)
        self._told_more: tuple[int, bool] | None = None
        self._stopping = 0

    def stop(self, *, at_once: bool = False) -> None:
        """The workers' shares of this lane are to end."""
        if self._stopping < 1 + at_once:
            self._stopping = 1 + at_once
            for share in range(self.shares):
                self._say(share, frames.Stop(self.lane, at_once))

    def begun(self) -> None:
        """There are workers to be told of what was before."""
        if self._stopping:
            for share in range(self.shares):
                self._say(share, frames.Stop(self.lane, self._stopping > 1))
        self.grown()

    def grown(self) -> None:
        """Tells the workers how far the journal goes."""
        if self.news is None:
            return
        if self.news.fault is not None:
            self.stop()
            return
        # In this order: what came before its end is told with it.
        ended = self.news.ended
        more = self.news.next, ended
        if more != self._told_more:
            self._told_more = more
            for share in range(self.shares):
                self._say(share, frames.Grown(self.lane, *more))

    def take(self, share: int, report: frames.Step | frames.Done) -> None:
        """When a share ends with a fault, the others have no reason to go on."""
        if isinstance(report, frames.Step):
            self._reports.append((share, report))
            self.committer.due()
        else:
            self._ends[share] = report
            if report.fault or report.stopped:
                self.stop()

    def step(self) -> LaneStep:
        """All that has been reported, as one step of the lane."""
        self._taken, self._reports = self._reports, []
        letters: list[Letter] = []
        for share, report in self._taken:
            self.gathered.take(share, report)
            letters += report.letters
        if self._file is not None and letters:
            self._file.write([line_of(letter.event, letter.record) for letter in letters])
            self.gathered.let_go += len(letters)
            letters = []
        trims, self._trims = self._trims, {}
        return self.gathered.step(letters, trims)

    def acknowledge(self, step: LaneStep | None, fault: OSError | None) -> bool:
        """Each worker hears what the disk said. All hear how far the lane is."""
        refused = None
        if fault is not None:
            refused = (fault.errno or 0, fault.strerror or str(fault), str(fault.filename or ""))
            self._taken, self._reports = self._taken + self._reports, []
        for share, report in self._taken:
            if refused is None:
                self._ledgers[share] = ledgers.unpack(report.ledger)
            self._say(share, frames.Kept(self.lane, refused))
        self._taken = []
        self.assigned.told(self.gathered)
        if step is None or refused is not None:
            return False
        passed = {cursor.input: cursor.at.cursor for cursor in step.cursors}
        if passed != self._passed and self._tells:
            self._passed = passed
            for share in range(self.shares):
                self._say(share, frames.Passed(self.lane, passed))
        self._trims = self._trimming.saved(self.assigned.name, passed)
        return bool(self._trims)

    async def finish(self) -> None:
        """When every worker has gone: portions that were read whole have ended to their last byte."""
        for share, end in self._ends.items():
            if not (end.unread or end.stopped or end.fault or ledgers.unpack(end.ledger).in_flight):
                self.gathered.ended(share, self.assigned.tasks[share].portions)
        await self.committer.commit()

    def summary(self, lost: list[str], began: float, *, interrupted: bool) -> Summary:
        """`lost` tells of workers that died."""
        rows = [
            ledgers.unpack(self._ends[share].ledger) if share in self._ends else self._ledgers[share]
            for share in range(self.shares)
        ]
        total = self.gathered.missing
        for row in rows:
            total = total.plus(row)
        ends = list(self._ends.values())
        faults = lost + [end.fault for end in ends if end.fault]
        if self.news is not None and (fault := self.news.fault) is not None:
            if isinstance(fault, SourceError):
                raise fault
            faults.append(f"cannot write {fault.filename or 'a file'}: {fault.strerror}")
        if not faults and not all(row.closes for row in rows):
            faults = ["a worker's ledger does not close: this is a fault of waypost, please report it"]
        return Summary(
            total,
            next((end.stopped for end in ends if end.stopped), ""),
            interrupted,
            any(end.unread for end in ends) or len(ends) < len(rows) or self._rest(),
            time.monotonic() - began,
            faults[0] if faults else "",
            *self.assigned.name,
            sum(end.faults for end in ends),
        )

    def _rest(self) -> bool:
        """Whether the journal has more than was delivered, or more would have come."""
        if self.news is None:
            return False
        if self.news.stream is not None and not self.news.ended:
            return True
        return self.gathered.snapshot(self.news.name).cursor < self.news.next
