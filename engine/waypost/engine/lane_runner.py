"""One lane at work: reads its source, offers events to the lane, carries out its commands, and keeps what has ended.

Takes a program, sources, a sender and what is shared with other lanes (gates, signals). Gives an End: the ledger, why it stopped.
Everything that decides is in lane.py; this file only carries out. Requests run as tasks and report back; one loop owns the lane, so nothing
here is locked.

A plan is changed as a crash would do it, but in order: no more requests, the answers of those under way, a snapshot; then the new plan
reads from the cursor and skips what has ended. An event of which a part has ended stays with the old plan, so that each event is handled by
one."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from waypost.delivery.commands import Broken
from waypost.delivery.gate import Gate
from waypost.delivery.lane import ELSEWHERE, WINDOW, Command, Dead, Lane, Send
from waypost.delivery.ledger import Ledger
from waypost.delivery.outcome import Answer
from waypost.engine.options import Options, Sender, Stopping
from waypost.engine.taps import Attempt
from waypost.engine.traffic import Traffic
from waypost.events.guard import REASON, Guard, told
from waypost.events.lines import Chunk, Line, Piece, SourceError, Turned, lines_of
from waypost.events.loss import Loss
from waypost.events.mapped_chunk import Block
from waypost.events.notices import Notice
from waypost.events.results import Mapped, Rejected
from waypost.lang.values import Fault
from waypost.program.order_key import order_key
from waypost.program.program import Program, Result
from waypost.sources.shared import Source, losses, waits
from waypost.state.commits import Keeps
from waypost.state.dead_letters import writer
from waypost.state.journal import Journal
from waypost.state.journal_source import Unreadable
from waypost.state.records import JOURNAL, Snapshot

MapLines = Callable[[Program, Source, list[Line], float], list[Mapped | list[Result]]]
"""What becomes of a chunk of lines: for each its one message, or the list of its results."""

BIG = 32 << 10
"""A body of more bytes is compressed in a thread: it takes long enough to hold everything else up."""

GO_ON = "`waypost state DIR --accept-damage` goes on with what is there"

POLL_S = 0.1
"""How often a source that cannot say when it has more is asked."""


@dataclass
class End:
    """What became of one lane. `unread`: it ended before its sources did."""

    connection: str
    source: str
    ledger: Ledger
    stopped: str = ""
    unread: bool = False
    fault: str = ""
    faults: int = 0
    """How many times the guard has caught what is our fault (guard.py)."""


class Unsent(Exception):
    """A request that could not be made, or not be sent once it was made. `__cause__` says why."""

    def __init__(self, *, made: bool) -> None:
        super().__init__("a request broke")
        self.made = made


class Courier:
    """State: the lane, the tasks under way, where each source is, and the plan to change to."""

    def __init__(
        self,
        program: Program,
        sources: list[Source],
        sender: Sender,
        options: Options,
        *,
        keeping: Keeps,
        stopping: Stopping,
        gates: Callable[[Program], dict[str, Gate]],
        map_lines: MapLines | None = None,
        answered: Callable[[Courier], None] = lambda courier: None,
        news: Journal | None = None,
        patient: bool = False,
        among: bool = False,
        mine: Callable[[Any, bytes], bool] | None = None,
    ) -> None:
        """`map_lines` maps in another way than `Program.map_many` (a replay). `answered` is told after each answer; `news` tells of events that
        have come. `patient`: a destination that is never reached does not stop the lane (a service waits for it).
        `among`: other lanes go on when this one ends, so its end
        is told at once. `mine` says of a key and a line whether this worker has the event, where others have the rest.
        """
        self.program = program
        self.sources = sources
        self.sender = sender
        self.options = options
        self.keeping = keeping
        self.stopping = stopping
        self.window_bytes = WINDOW
        self.wake = asyncio.Event()
        self.traffic = Traffic()
        self.over = False
        self.fault = ""
        """What has ended the lane, and is our fault."""
        self._gates_of = gates
        self._map_lines = map_lines or options.map_lines
        self._answered = answered
        self._news = news
        self._patient = patient
        self._among = among
        self._mine = mine
        self._failing = False
        self._said_stopped = False
        self._connected = False
        self._last_error = ""
        self._answers: deque[tuple[int, Answer | Unsent]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: dict[str, Snapshot] = {}
        self._reading = 0
        self._opened: set[str] = set()
        self._losses: set[tuple[str, Loss]] = set()
        self._next: Program | None = None
        self._next_sender = sender
        self._changed = asyncio.Event()
        self._older: dict[tuple[str, int], Program] = {}
        """Events of which a part has ended under an earlier plan: that plan maps them."""
        self._prefixes: dict[int, str] = {}
        self._leaving = False
        self._link(program)

    def hold(self, window_bytes: int) -> None:
        """How much the lane may hold from now on."""
        self.window_bytes = self.lane.window_bytes = window_bytes

    def _link(self, program: Program) -> None:
        self.program = program
        self.requests = dict(program.requests)
        self.gates = self._gates_of(program)
        self._prefixes = {}
        for older in self._older.values():
            if id(older) in self._prefixes:
                continue
            prefix = self._prefixes[id(older)] = f"{len(self._prefixes)}/"
            for name, gate in self._gates_of(older).items():
                self.requests[prefix + name] = older.requests[name]
                self.gates[prefix + name] = gate
        self.lane = Lane(
            dict(self.requests),
            self.gates,
            self.options.jitter,
            window_bytes=self.window_bytes,
            shared=self._mine is not None,
            guard=self._guarded(program),
        )
        self._key_of = order_key(program)
        self.keeping.follow(self.lane, writer(self.keeping.connection, program.plan, program.secrets))

    def _guarded(self, program: Program) -> Guard:
        """The program's guard: what it catches is told as this lane's."""
        guard = program.guard
        if guard.tell is None:
            guard.tell = lambda text: self._say(str(text), "fault", "error")
        return guard

    async def run(self) -> End:
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
            self._say(f"the lane has ended by {self.fault}", "fault", "error")
            self.lane.stop("")
            name = self.keeping.connection, self.keeping.source
            return End(*name, self.lane.ledger, unread=True, fault=self.fault, faults=self.program.guard.count)

    async def _run(self) -> End:
        self.stopping.tell(self.wake.set)
        if self._news is not None:
            self._news.listen(self.wake.set)
        self._began = self.options.steady()
        keeper = asyncio.create_task(self.keeping.run())
        fault = ""
        try:
            fault = self.fault = await self._deliver()
            self._tell_end()
        finally:
            for task in (*self._tasks, keeper):
                task.cancel()
            await asyncio.gather(*self._tasks, keeper, return_exceptions=True)
            self.over = True
            self.stopping.forget(self.wake.set)
            self._leave_gates()
            if self._news is not None:
                self._news.forget(self.wake.set)
        # Of those before the one that is being read, the end was seen.
        left = self.sources[self._reading :]
        unread = self._ended_early and any(source.size is None or source.offset < source.size for source in left)
        self.fault = fault
        name = self.keeping.connection, self.keeping.source
        return End(*name, self.lane.ledger, self.lane.stopped, unread, fault, self.program.guard.count)

    @property
    def _ended_early(self) -> bool:
        return bool(self.stopping.count or self.lane.stopped or self._leaving)

    async def _deliver(self) -> str:
        """The loop. Gives what went wrong on our side of the wire (a full disk), or nothing."""
        try:
            while True:
                await self._read_all()
                await self._drain()
                if self._next is None:
                    break
                await self._change()
            await self.keeping.commit()
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
        while self._reading < len(self.sources) and not self._quiet:
            source = self.sources[self._reading]
            self._open(source)
            ended = await self._read(source)
            if not ended:
                break
            self._reading += 1
            self.keeping.due()
        while self.lane.stopped and self._patient and not (self.stopping.count or self._next or self._leaving):
            # A service whose credentials are refused waits for a reload.
            await self._wait()

    def _open(self, source: Source) -> None:
        """Goes to where the lane left this source: in this run, before the plan was changed, or in an earlier one."""
        self._opened.add(source.name)
        self._go_on(source)
        self.options.progress(source, self.lane.ledger, None)

    def _go_on(self, source: Source) -> None:
        saved = self.keeping.opened(source)
        held = self._held.pop(source.name, None)
        if held is None and saved is None:
            self.keeping.resumed(source.name, Snapshot(source.offset))
            self.keeping.due()
            return
        at, identity = (held, source.identity) if held is not None else (saved.at, saved.identity)  # type: ignore[union-attr]
        said = source.resume(at.cursor, identity)
        if said:
            self.options.notice(said)
            at = Snapshot(source.offset)
        self.keeping.resumed(source.name, at)
        if held is None and not said and not waits(source) and source.size is not None and source.offset >= source.size:
            self.options.notice(f"{source.name}: nothing new since the last run")

    async def _read(self, source: Source) -> bool:
        """Whether the source has ended."""
        while not self._quiet:
            self._raise_fault()
            if not self.lane.room or self.keeping.crowded:
                await self._wait()
                continue
            pieces = source.read()
            self._count_losses(source)
            if pieces is None:
                return True
            if not pieces and waits(source):
                await self._wait(POLL_S if self._news is None else 1.0)
                continue
            self._take(source, pieces)
            self.options.progress(source, self.lane.ledger, self._tried_again())
            await self._step()
        return False

    def _count_losses(self, source: Source) -> None:
        for loss in losses(source):
            if (source.name, loss) not in self._losses:
                self._losses.add((source.name, loss))
                self.lane.ledger.missing += 1
                self.lane.ledger.missing_bytes += loss.size
                self.keeping.due()

    def _take(self, source: Source, pieces: list[Piece]) -> None:
        now = self.options.clock()
        for piece in pieces:
            if not isinstance(piece, Chunk) or self._one_by_one(source, piece):
                self._take_lines(source, lines_of([piece]), now)
                continue
            first = 0
            for block in self._blocks(source, piece, now):
                self._carry_out(self.lane.offer_block(block, piece, first, source.name, self.options.steady()))
                first += block.count

    def _one_by_one(self, source: Source, chunk: Chunk) -> bool:
        """Whether something is to be known of each line, or one of them is mapped in another way."""
        if self._key_of is not None or self._map_lines is not None:
            return True
        return any(name == source.name and chunk.offset <= at < chunk.end for name, at in self._older)

    def _blocks(self, source: Source, chunk: Chunk, now: float) -> Iterator[Block]:
        if chunk.places is not None:
            offsets = [offset for offset, _, _ in chunk.places]
            return iter([self.program.map_text(chunk.data, offsets, source.first_line, now)])
        return self.program.map_data(chunk.data, chunk.offset, source.first_line, now)

    def _take_lines(self, source: Source, lines: list[Line], now: float) -> None:
        keys = None if self._key_of is None else [self._key(line) for line in lines]
        rows = self._mapped(source, lines, keys, now)
        for index, line in enumerate(lines):
            if line.__class__ is not Line and rows[index] is not ELSEWHERE:
                rows[index] = [turned_away(line)]
            elif self._older and (older := self._older.get((source.name, line.offset))) is not None:
                found = older.map(line.data, line.offset, source.first_line, now)
                rows[index] = [_renamed(item, self._prefixes[id(older)]) for item in found]
        self._carry_out(self.lane.offer_many(rows, lines, source.name, self.options.steady(), keys))

    def _key(self, line: Line) -> Any:
        assert self._key_of is not None
        try:
            return self._key_of(line.data)
        except Exception as error:
            self.program.guard.caught(error, "ordered", then="it has no place in the order")
            return None

    def _mapped(
        self, source: Source, lines: list[Line], keys: list[Any] | None, now: float
    ) -> list[Mapped | list[Result]]:
        map_lines = self._map_lines or many
        if self._mine is None or keys is None:
            return map_lines(self.program, source, lines, now)
        own = [index for index, line in enumerate(lines) if self._mine(keys[index], line.data)]
        found: list[Mapped | list[Result]] = [ELSEWHERE] * len(lines)
        rows = map_lines(self.program, source, [lines[index] for index in own], now)
        for index, row in zip(own, rows, strict=True):
            found[index] = row
        return found

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
        while self._tasks and not self.stopping.over(self.options.steady()):
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
        if self.sources:
            source = self.sources[min(self._reading, len(self.sources) - 1)]
            self.options.progress(source, self.lane.ledger, self._tried_again())

    def _tried_again(self) -> float | None:
        """When a destination that is left alone is tried again."""
        return max((gate.again for gate in self.gates.values()), default=0.0) or None

    def _give_up_unreached(self) -> None:
        within = self.options.connect_within_s
        if (
            not self._patient
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
            if isinstance(command, Send):
                task = asyncio.create_task(self._send(command))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _send(self, command: Send) -> None:
        try:
            answer: Answer | Unsent = await self._attempt(command)
        except Unsent as error:
            # An answer that never comes would leave the lane waiting for ever.
            answer = error
        self._answers.append((command.batch, answer))
        self.wake.set()

    async def _attempt(self, command: Send) -> Answer:
        kind = self.requests[command.request]
        now, masked = self.options.clock(), self.options.masked
        bodies = command.joined
        began = time.perf_counter()
        try:
            if sum(map(len, bodies)) > BIG and kind.policy.gzip:
                wire = await asyncio.to_thread(kind.render, command.group, bodies, now, masked=masked)
            else:
                wire = kind.render(command.group, bodies, now, masked=masked)
        except Exception as error:
            self.traffic.attempt("unsent", 0.0, command.count)
            raise Unsent(made=False) from error
        self.lane.ledger.bytes += len(wire.body)
        began = time.perf_counter()
        try:
            answer = await self.sender.send(wire, kind.policy.timeout_s, partial(self._left, self.lane, command.batch))
        except Exception as error:
            # Some of it may have left.
            self.traffic.attempt("unanswered", time.perf_counter() - began, command.count)
            raise Unsent(made=True) from error
        seconds = time.perf_counter() - began
        self.traffic.attempt(answer.status, seconds, command.count)
        if self.options.taps.followers:
            try:
                self._tell_followers(command, answer, now, seconds)
            except Exception as error:
                self.program.guard.caught(error, "shown to followers", then="it is not shown")
        return answer

    def _left(self, lane: Lane, batch: int) -> None:
        lane.left(batch, self.options.steady())

    def _tell_followers(self, command: Send, answer: Answer, began: float, seconds: float) -> None:
        about = self.keeping.connection, self.keeping.source, self.requests[command.request], command
        secrets = tuple(self.program.secrets)
        deliveries = self.lane.under_way(command.batch)
        self.options.taps.offer(Attempt(*about, deliveries, answer, began, seconds, secrets))

    def _settle_all(self) -> None:
        if not self._answers:
            return
        while self._answers:
            self._settle(*self._answers.popleft())
        self.keeping.due()
        # Lanes that wait for their turn at the gate have it now.
        self._answered(self)

    def _settle(self, batch: int, answer: Answer | Unsent) -> None:
        if isinstance(answer, Unsent):
            self._carry_out(self.lane.broke(batch, self._broken(answer), self.options.steady()))
            return
        if answer.status == "unsent":
            self._last_error = answer.error
        else:
            self._connected = True
        self._carry_out(self.lane.settle(batch, answer, self.options.steady()))
        failing = any(gate.open for gate in self.gates.values())
        if failing != self._failing:
            self._failing = failing
            why = answer.error or f"it answers {answer.status}"
            waiting = f"the destination fails ({why}): trying it now and then"
            if failing:
                self._say(waiting, "outage", "warning", reason=why)
            else:
                self._say("the destination works again", "recovery")
        self._tell_end()

    def _tell_end(self) -> None:
        """Where others go on, nobody sees a lane's end in what the run says at its own."""
        why = self.fault or self.lane.stopped
        if not why or self._said_stopped or not (self._patient or self._among):
            return
        self._said_stopped = True
        again = ", it goes on when it is loaded again" if self._patient else ""
        said = f"ended: {why}" if self.fault else f"stopped: {why}; nothing is lost{again}"
        self._say(said, "stopped", "error", reason=why)

    def _broken(self, answer: Unsent) -> Broken:
        """Raises what is our fault where the guard is off."""
        error = answer.__cause__
        assert error is not None
        if isinstance(error, Fault):
            return Broken(error.reason, error.message, error.field)
        doing = "sent" if answer.made else "rendered"
        return Broken(REASON, self.program.guard.caught(error, doing), "" if answer.made else "request", answer.made)

    def _say(self, text: str, event: str, level: str = "info", **fields: str) -> None:
        connection, source = self.keeping.connection, self.keeping.source
        said = f"{connection}: {text}" if self._patient or self._among else text
        self.options.notice(Notice(said, event, level=level, connection=connection, source=source, **fields))

    def at(self, source: Source) -> int:
        """The offset in a source up to which everything has ended."""
        return self.lane.cursor(source.name) if source.name in self._opened else source.offset

    def lag(self, source: Source) -> int | None:
        """How much of a source has not ended, in its own unit (bytes; a journal's are events). None where its end is not known."""
        try:
            end = self._news.next(source.name) if source.identity == JOURNAL and self._news is not None else source.size
        except (OSError, ValueError):
            # A file that is closed, or gone on its network: a look must not fail for that.
            end = None
        return None if end is None else max(0, end - self.at(source))

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
        busy = self.lane.sources_on_their_way
        names = [source.name for source in self.sources[: self._reading + 1] if source.name in self._opened]
        self._held = {name: self.keeping.snapshot(name) for name in names}
        begun = [(name, part[0]) for name, at in self._held.items() for part in at.parts]
        self._older = {event: self._older.get(event, self.program) for event in begun}
        # Sources that ended are read again where something of them was still on its way.
        self._reading = next((index for index, source in enumerate(self.sources) if source.name in busy), self._reading)
        self._leave_gates()
        self.sender = self._next_sender
        former = self.lane
        self._link(program)
        self.lane.succeed(former)
        self._said_stopped = False
        self.lane.ledger = ledger
        for name, at in self._held.items():
            self.keeping.resumed(name, at)
        self._changed.set()


def wake_neighbours(courier: Courier, others: list[Courier]) -> None:
    """Wakes the lanes that share a gate with one that has had an answer."""
    gates = {id(gate) for gate in courier.gates.values()}
    for other in others:
        if other is not courier and any(id(gate) in gates for gate in other.gates.values()):
            other.wake.set()


def many(program: Program, source: Source, lines: list[Line], now: float) -> list[Mapped | list[Result]]:
    """The results of a chunk of lines."""
    return program.map_many([line.data for line in lines], [line.offset for line in lines], source.first_line, now)


def turned_away(line: Any) -> Rejected:
    """A line that the program never sees: it is too long, or was found wanting when it came in."""
    if isinstance(line, Turned):
        return Rejected(None, None, line.reason, line.message)
    message = f"the line has {line.length} bytes (SHA-256 {line.sha256}); its first {len(line.data)} are kept"
    return Rejected(None, None, "line_too_long", message)


def _renamed(result: Result, prefix: str) -> Result:
    return msgspec.structs.replace(result, request=prefix + result.request) if isinstance(result, Mapped) else result
