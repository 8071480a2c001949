"""One lane at work: reads its source, offers events to the lane, carries out its commands, and keeps what has ended.

Takes a program, sources, a sender and what is shared with other lanes (gates, signals). Gives a Summary: the ledger, why it stopped.
Everything that decides is in lane.py; this file only carries out. Requests run as tasks and report back; one loop owns the lane, so nothing
here is locked.

A plan is changed as a crash would do it, but in order: no more requests, the answers of those under way, a snapshot; then the new plan
reads from the cursor and skips what has ended. An event of which a part has ended stays with the old plan, so that each event is handled by
one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from waypost.delivery.commands import Doubt
from waypost.delivery.gate import Gate
from waypost.delivery.holding import WINDOW
from waypost.delivery.lane import Command, Dead, Lane, Send
from waypost.delivery.outcome import Answer
from waypost.engine.attempts import Attempts, Unsent
from waypost.engine.lane_inputs import LaneInputs
from waypost.engine.lane_mapper import LaneMapper, MapLines
from waypost.engine.lane_notices import LaneNotices
from waypost.engine.options import Options, Sender
from waypost.engine.stopping import Stopping
from waypost.engine.summary import Summary
from waypost.engine.traffic import Traffic
from waypost.events.guard import told
from waypost.events.lines import SourceError
from waypost.program.program import Program
from waypost.sources.port import Source
from waypost.state.commits import LaneSteps
from waypost.state.dead_letters import writer
from waypost.state.journal import Journal
from waypost.state.journal_source import Unreadable

GO_ON = "`waypost state DIR --accept-damage` goes on with what is there"

POLL_S = 0.1
"""How often a source that cannot say when it has more is asked."""


@dataclass(frozen=True)
class Role:
    """How a lane stands among others."""

    map_lines: MapLines | None = None
    """Maps in another way than the program (a replay)."""
    answered: Callable[[LaneRunner], None] = lambda runner: None
    """Is told after each answer."""
    news: Journal | None = None
    """Tells of events that have come."""
    patient: bool = False
    """A destination that is never reached does not stop the lane: a service waits for it."""
    among: bool = False
    """Others go on when this one ends, so its end is told at once."""
    mine: Callable[[Any, bytes], bool] | None = None
    """Says of a key and a line whether this worker has the event, where others have the rest."""


ALONE = Role()


class LaneRunner:
    """State: the lane, the tasks under way, where each source is, and the plan to change to."""

    def __init__(
        self,
        program: Program,
        sources: list[Source],
        sender: Sender,
        options: Options,
        *,
        keeping: LaneSteps,
        stopping: Stopping,
        gates: Callable[[Program], dict[str, Gate]],
        role: Role = ALONE,
    ) -> None:
        self.program = program
        self.sender = sender
        self.options = options
        self.keeping = keeping
        self.stopping = stopping
        self.window_bytes = WINDOW
        self.wake = asyncio.Event()
        self.over = False
        self.fault = ""
        """What has ended the lane, and is our fault."""
        self._gates_of = gates
        self._role = role
        name = keeping.connection, keeping.source
        self._notices = LaneNotices(options.notice, *name, patient=role.patient, among=role.among)
        self.inputs = LaneInputs(sources, keeping, options, role.news)
        self._connected = False
        self._last_error = ""
        self._attempts = Attempts(options, name, self.wake.set)
        self._mapper = LaneMapper(role.map_lines or options.map_lines, role.mine)
        self._next: Program | None = None
        self._next_sender = sender
        self._changed = asyncio.Event()
        self._leaving = False
        self._link(program)

    @property
    def sources(self) -> list[Source]:
        return self.inputs.sources

    @property
    def traffic(self) -> Traffic:
        """The attempts so far, by how they ended."""
        return self._attempts.traffic

    def hold(self, window_bytes: int) -> None:
        """How much the lane may hold from now on."""
        self.window_bytes = self.lane.window_bytes = window_bytes

    def _link(self, program: Program) -> None:
        self.program = program
        self.requests = dict(program.requests)
        self.gates = self._gates_of(program)
        for prefix, older in self._mapper.link(program):
            for name, gate in self._gates_of(older).items():
                self.requests[prefix + name] = older.requests[name]
                self.gates[prefix + name] = gate
        self.lane = Lane(
            dict(self.requests),
            self.gates,
            self.options.jitter,
            window_bytes=self.window_bytes,
            shared=self._role.mine is not None,
            guard=self._notices.hear(program.guard),
        )
        self._attempts.link(program, self.lane, self.requests, self.sender)
        self.inputs.follow(self.lane)
        self.keeping.follow(self.lane, writer(self.keeping.connection, program.plan, program.secrets, program.kept))

    async def run(self) -> Summary:
        """Until the sources have ended and all is delivered, the lane stops, or a signal ends it. What is our fault ends this lane alone:
        nothing of what happened since the last commit is kept, so that no event is passed over; the next run sends it again."""
        try:
            return await self._run()
        except SourceError:
            raise
        except Exception as error:
            if not self.program.guard.on:
                raise
            self.fault = f"{told(error)}: this is a fault of waypost, please report it"
            self._notices.say(f"the lane has ended by {self.fault}", "fault", "error")
            self.lane.stop("")
            return self._end(unread=True)

    async def _run(self) -> Summary:
        self.stopping.tell(self.wake.set)
        if self._role.news is not None:
            self._role.news.listen(self.wake.set)
        self._began = self.options.steady()
        keeper = asyncio.create_task(self.keeping.committer.run())
        try:
            self.fault = await self._deliver()
            self._tell_end()
        finally:
            for task in (*self._attempts.tasks, keeper):
                task.cancel()
            await asyncio.gather(*self._attempts.tasks, keeper, return_exceptions=True)
            self.over = True
            self.stopping.forget(self.wake.set)
            self._leave_gates()
            if self._role.news is not None:
                self._role.news.forget(self.wake.set)
        early = self.stopping.count or self.lane.stopped or self._leaving
        return self._end(unread=bool(early) and self.inputs.unread)

    def _end(self, *, unread: bool) -> Summary:
        return Summary(
            self.lane.ledger,
            self.lane.stopped,
            unread=unread,
            fault=self.fault,
            connection=self.keeping.connection,
            source=self.keeping.source,
            faults=self.program.guard.count,
        )

    async def _deliver(self) -> str:
        """The loop. Gives what went wrong on our side of the wire (a full disk), or nothing."""
        try:
            while True:
                await self._read_all()
                await self._drain()
                if self._next is None:
                    break
                await self._change()
            await self.keeping.committer.commit()
            self._raise_fault()
            return ""
        except OSError as error:
            self.lane.stop("")
            if isinstance(error, Unreadable):
                return f"{error.filename} cannot be read: {error.strerror}; {GO_ON}"
            return f"cannot write {error.filename or 'a file'}: {error.strerror}"

    def _raise_fault(self) -> None:
        if self.keeping.fault is not None:
            raise self.keeping.fault

    @property
    def _quiet(self) -> bool:
        """Whether no more events are to be read."""
        return bool(self.stopping.count or self.lane.stopped or self._next is not None or self._leaving)

    async def _read_all(self) -> None:
        while (source := self.inputs.current) is not None and not self._quiet:
            self.inputs.open(source)
            self._show(source)
            if not await self._read(source):
                break
            self.inputs.ended()
        while self.lane.stopped and self._role.patient and not (self.stopping.count or self._next or self._leaving):
            # A service whose credentials are refused waits for a reload.
            await self._wait()

    async def _read(self, source: Source) -> bool:
        """Whether the source has ended."""
        while not self._quiet:
            self._raise_fault()
            if not self.lane.room or self.keeping.crowded:
                await self._wait()
                continue
            pieces = source.read()
            self.inputs.count_losses(source)
            if pieces is None:
                return True
            if not pieces and source.waits:
                await self._wait(POLL_S if self._role.news is None else 1.0)
                continue
            for commands in self._mapper.take(self.lane, source, pieces, self.options.clock(), self.options.steady):
                self._carry_out(commands)
            self._show(source)
            await self._step()
        return False

    async def _drain(self) -> None:
        """Until nothing is on its way, or there is no more time for it."""
        while not self.lane.idle and not self.lane.stopped and not self.stopping.over(self.options.steady()):
            if self._next is not None or self._leaving:
                break
            self._raise_fault()
            if not self.stopping.sending(self.options.steady()):
                break
            self._carry_out(self.lane.tick(self.options.steady(), flush=True))
            if not self.lane.idle:
                await self._wait()
        # Answers of requests under way still count when the lane has stopped.
        while self._attempts.tasks and not self.stopping.over(self.options.steady()):
            await self._wait()

    async def _step(self) -> None:
        """Sends what is ready and takes the answers that are there, without waiting."""
        now = self.options.steady()
        if self._next is None and not self._leaving and self.stopping.sending(now):
            self._carry_out(self.lane.tick(now))
        await asyncio.sleep(0)
        self._settle_all()

    async def _wait(self, limit: float = 1.0) -> None:
        """Until an answer comes, a signal, news of a source, or something is due."""
        now = self.options.steady()
        wake = self.lane.next_wake(now)
        limits = [limit] if wake is None else [limit, max(0.0, wake - now)]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wake.wait(), min(limits))
        self.wake.clear()
        self._settle_all()
        self._give_up_unreached()
        await self._step()
        if (source := self.inputs.last) is not None:
            self._show(source)

    def _show(self, source: Source) -> None:
        """Progress, and when a destination that is left alone is tried again."""
        again = max((gate.again for gate in self.gates.values()), default=0.0) or None
        self.options.progress(source, self.lane.ledger, again)

    def _give_up_unreached(self) -> None:
        within = self.options.connect_within_s
        if (
            not self._role.patient
            and not self._connected
            and self._last_error
            and self.options.steady() - self._began > within
        ):
            self.lane.stop(f"never reached the destination in {within:g} s ({self._last_error})")

    def _carry_out(self, commands: list[Command]) -> None:
        letters = [command for command in commands if isinstance(command, Dead)]
        if letters:
            self.keeping.dead(letters)
        for command in commands:
            if isinstance(command, Doubt):
                self._notices.say(command.said, "answer_unread", "warning", status=command.status)
            if isinstance(command, Send):
                self._attempts.start(command)

    def _settle_all(self) -> None:
        if not self._attempts.answers:
            return
        while self._attempts.answers:
            self._settle(*self._attempts.answers.popleft())
        self.keeping.committer.due()
        # Lanes that wait for their turn at the gate have it now.
        self._role.answered(self)

    def _settle(self, batch: int, answer: Answer | Unsent) -> None:
        if isinstance(answer, Unsent):
            self._carry_out(self.lane.broke(batch, answer.broken(self.program.guard), self.options.steady()))
            return
        if answer.status == "unsent":
            self._last_error = answer.error
        else:
            self._connected = True
        self._carry_out(self.lane.settle(batch, answer, self.options.steady()))
        failing = any(gate.open for gate in self.gates.values())
        self._notices.answered(answer.error or f"it answers {answer.status}", failing=failing)
        self._tell_end()

    def _tell_end(self) -> None:
        self._notices.ended(self.fault, self.lane.stopped)

    # Changing the plan, and leaving.

    async def change(self, program: Program, sender: Sender) -> None:
        """Goes over to another plan, and another way to its destination. Returns when it is the one that maps."""
        self._changed.clear()
        self._next, self._next_sender = program, sender
        self.wake.set()
        await self._changed.wait()

    def _leave_gates(self) -> None:
        for gate in set(self.gates.values()):
            gate.leave(self.lane)

    def leave(self) -> None:
        """Ends the lane: what is under way is answered, the rest is kept for when the lane is back."""
        self._leaving = True
        self.wake.set()

    async def _change(self) -> None:
        """Only with nothing under way: `_drain` has seen to that."""
        program, self._next = self._next, None
        assert program is not None
        ledger = self.keeping.settled()
        self._mapper.keep(self.inputs.hold())
        self._leave_gates()
        self.sender = self._next_sender
        former = self.lane
        self._link(program)
        self.lane.succeed(former)
        self._notices.begun_again()
        self.lane.ledger = ledger
        self.inputs.resume()
        self._changed.set()


def wake_neighbours(runner: LaneRunner, others: list[LaneRunner]) -> None:
    """Wakes the lanes that share a gate with one that has had an answer."""
    gates = {id(gate) for gate in runner.gates.values()}
    for other in others:
        if other is not runner and any(id(gate) in gates for gate in other.gates.values()):
            other.wake.set()
