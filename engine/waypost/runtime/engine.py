"""The loop that joins source, program, lane, transport and dead letters.

Takes a linked program, sources and options. Gives a Summary: the ledger, why it stopped, and the exit status. One asyncio loop owns the lane;
requests run as tasks and report back; everything that decides is in lane.py, so this file only carries out commands.

Order of writing: dead letters reach the disk before the cursor moves past their events, so that a crash between the two repeats work but loses
nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from waypost.runtime.dead_letters import DeadLetters
from waypost.runtime.gate import Gate
from waypost.runtime.lane import Command, Dead, Lane, Position, Send
from waypost.runtime.ledger import Ledger
from waypost.runtime.outcome import Answer
from waypost.runtime.program import Program, Result
from waypost.runtime.request import Wire
from waypost.runtime.results import Mapped
from waypost.runtime.sources.lines import Line, TooLong
from waypost.runtime.store import Store

SAVE_EVERY_S = 1.0

BIG = 32 << 10
"""A body of more bytes is compressed in a thread: it takes long enough to hold everything else up."""


class Source(Protocol):
    """Where events come from: runtime/sources/."""

    @property
    def name(self) -> str: ...
    @property
    def identity(self) -> str: ...
    @property
    def size(self) -> int | None: ...
    @property
    def offset(self) -> int: ...
    @property
    def first_line(self) -> bytes: ...

    def resume(self, offset: int, identity: str) -> str: ...
    def read(self) -> list[Line] | None: ...
    def close(self) -> None: ...


class Sender(Protocol):
    """Carries out one attempt: runtime/transport.py, or a dry run."""

    async def send(self, wire: Wire, timeout_s: float) -> Answer: ...
    async def close(self) -> None: ...


@dataclass
class Options:
    """`dead_letters` None: they are counted and not written (a dry run). `connect_within_s`: a run that never once reaches the destination
    stops after this long. `drain_s`: how long a first signal waits."""

    dead_letters: Path | None
    connect_within_s: float = 60.0
    drain_s: float = 30.0
    masked: bool = False
    progress: Callable[[Source, Ledger], None] = lambda source, ledger: None
    notice: Callable[[str], None] = lambda text: None
    clock: Callable[[], float] = time.time
    jitter: Callable[[], float] = random.random


@dataclass
class Summary:
    """What a run came to."""

    ledger: Ledger
    stopped: str = ""
    interrupted: bool = False
    unread: bool = False
    seconds: float = 0.0
    fault: str = ""

    @property
    def status(self) -> int:
        """70 > 4 > 5 > 3 > 0: a ledger that does not close, stopped, interrupted with events kept, some dead, all well."""
        if not self.ledger.closes or self.fault:
            return 70
        if self.stopped:
            return 4
        if self.interrupted and (self.unread or self.ledger.in_flight):
            return 5
        return 3 if self.ledger.dead or self.ledger.rejected else 0


async def run(
    program: Program, sources: list[Source], sender: Sender, options: Options, store: Store | None = None
) -> Summary:
    """Delivers every event of the sources, in order, until all have ended, the lane stops, or a signal ends the run."""
    return await _Run(program, sources, sender, options, store).run()


class _Run:
    """State of one run: the lane, the tasks under way, and what the signals asked for."""

    def __init__(
        self, program: Program, sources: list[Source], sender: Sender, options: Options, store: Store | None
    ) -> None:
        self.program = program
        self.sources = sources
        self.sender = sender
        self.options = options
        self.store = store
        self.gates = _gates(program, options.jitter)
        self.failing = False
        self.lane = Lane(dict(program.requests), self.gates, options.jitter)
        self.letters = DeadLetters(options.dead_letters, program.owner, program.plan, program.settings.secrets())
        self.answers: asyncio.Queue[tuple[int, Answer | Exception]] = asyncio.Queue()
        self.tasks: set[asyncio.Task[None]] = set()
        self.signals = 0
        self.stop_at: float | None = None
        self.connected = False
        self.last_error = ""
        self.saved_at = 0.0

    async def run(self) -> Summary:
        began = time.monotonic()
        self.started = self.options.clock()
        fault = ""
        try:
            with self._signals():
                fault = await self._deliver()
        finally:
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            await self.sender.close()
            self.letters.close()
        unread = any(source.size is None or source.offset < source.size for source in self.sources) and bool(
            self.signals or self.lane.stopped
        )
        return Summary(self.lane.ledger, self.lane.stopped, bool(self.signals), unread, time.monotonic() - began, fault)

    async def _deliver(self) -> str:
        """The loop. Gives what went wrong on our side of the wire (a full disk), or nothing."""
        try:
            for source in self.sources:
                self._resume(source)
                await self._read(source)
                self._save(force=True)
            await self._drain()
            self._save(force=True)
            return ""
        except OSError as error:
            where = error.filename or self.letters.path or "a file"
            return f"cannot write {where}: {error.strerror}; what was not delivered is kept for the next run"

    def _resume(self, source: Source) -> None:
        saved = self.store.cursor(source.name, self.program.owner) if self.store else None
        if saved is None:
            return
        said = source.resume(*saved)
        if said:
            self.options.notice(said)
        elif source.size is not None and source.offset >= source.size:
            self.options.notice(f"{source.name}: nothing new since the last run")

    async def _read(self, source: Source) -> None:
        while not self.signals and not self.lane.stopped:
            if not self.lane.room:
                await self._wait()
                continue
            lines = source.read()
            if lines is None:
                return
            if not lines and getattr(source, "waits", False):
                await self._wait()
                continue
            now = self.options.clock()
            commands: list[Command] = []
            results = self.program.map_many(
                [line.data for line in lines], [line.offset for line in lines], source.first_line, now
            )
            for line, row in zip(lines, results, strict=True):
                commands += self._offer(source, line, [row] if isinstance(row, Mapped) else row, now)
            self._carry_out(commands)
            self.options.progress(source, self.lane.ledger)
            await self._step()

    def _offer(self, source: Source, line: Line, results: list[Result], now: float) -> list[Command]:
        position = Position(source.name, line.offset, line.number, line.end)
        if isinstance(line, TooLong):
            message = f"the line has {line.length} bytes (SHA-256 {line.sha256}); its first {len(line.data)} are kept"
            return self.lane.reject_line("line_too_long", message, line.data, position)
        return self.lane.offer(results, line.data, position, now)

    async def _drain(self) -> None:
        """Until nothing is on its way, or there is no more time for it."""
        if self.signals:
            self.stop_at = self.options.clock() + self.options.drain_s
        while not self.lane.idle and not self.lane.stopped and self.signals < 2:
            if self.signals and self.stop_at is None:
                self.stop_at = self.options.clock() + self.options.drain_s
            if self.stop_at is not None and self.options.clock() >= self.stop_at:
                return
            self._carry_out(self.lane.tick(self.options.clock(), flush=True))
            if not self.lane.idle:
                await self._wait()
        # Answers of requests under way still count when the lane has stopped.
        while self.tasks and self.signals < 2:
            await self._wait()

    async def _step(self) -> None:
        """Sends what is ready and takes the answers that are there, without waiting."""
        self._carry_out(self.lane.tick(self.options.clock()))
        await asyncio.sleep(0)
        while not self.answers.empty():
            self._settle(*self.answers.get_nowait())
        self._save()

    async def _wait(self) -> None:
        """Until an answer comes or something is due."""
        now = self.options.clock()
        wake = self.lane.next_wake(now)
        limits = [1.0] if wake is None else [1.0, max(0.0, wake - now)]
        with contextlib.suppress(TimeoutError):
            self._settle(*await asyncio.wait_for(self.answers.get(), min(limits)))
        self._give_up_unreached()
        await self._step()
        self.options.progress(self.sources[-1], self.lane.ledger)

    def _give_up_unreached(self) -> None:
        if (
            not self.connected
            and self.last_error
            and self.options.clock() - self.started > self.options.connect_within_s
        ):
            self.lane.stop(f"never reached the destination in {self.options.connect_within_s:g} s ({self.last_error})")

    def _carry_out(self, commands: list[Command]) -> None:
        self.letters.write([command for command in commands if isinstance(command, Dead)], self.options.clock())
        for command in commands:
            if isinstance(command, Send):
                task = asyncio.create_task(self._send(command))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)

    async def _send(self, command: Send) -> None:
        try:
            answer: Answer | Exception = await self._attempt(command)
        except Exception as error:
            # A fault of ours must end the run: an answer that never comes would leave it waiting for ever.
            answer = error
        await self.answers.put((command.batch, answer))

    async def _attempt(self, command: Send) -> Answer:
        kind = self.program.requests[command.request]
        now, masked = self.options.clock(), self.options.masked
        if sum(map(len, command.bodies)) > BIG and kind.policy.gzip:
            wire = await asyncio.to_thread(kind.render, command.group, command.bodies, now, masked=masked)
        else:
            wire = kind.render(command.group, command.bodies, now, masked=masked)
        self.lane.ledger.bytes += len(wire.body)
        return await self.sender.send(wire, kind.policy.timeout_s)

    def _settle(self, batch: int, answer: Answer | Exception) -> None:
        if isinstance(answer, Exception):
            raise answer
        if answer.status == "unsent":
            self.last_error = answer.error
        else:
            self.connected = True
        self._carry_out(self.lane.settle(batch, answer, self.options.clock()))
        failing = any(gate.open for gate in self.gates.values())
        if failing != self.failing:
            self.failing = failing
            why = answer.error or f"it answers {answer.status}"
            waiting = f"the destination fails ({why}): trying it now and then; Ctrl-C keeps the rest for the next run"
            self.options.notice(waiting if failing else "the destination works again")

    def _save(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if self.store is None or (not force and now - self.saved_at < SAVE_EVERY_S):
            return
        self.saved_at = now
        for source in self.sources:
            if source.size is not None and (offset := self.lane.cursor(source.name)):
                self.store.save(source.name, self.program.owner, source.identity, offset)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """The first signal stops the intake and drains, the second stops at once."""
        loop = asyncio.get_running_loop()

        def heard(*_: Any) -> None:
            self.signals += 1
            said = (
                f"stopping: waiting up to {self.options.drain_s:g} s for requests under way; once more to stop at once"
            )
            self.options.notice(said if self.signals == 1 else "stopping at once")

        try:
            for name in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(name, heard)
            yield
        except (ValueError, RuntimeError):
            # Not the main thread (a test): signals stay with whoever has it.
            yield
        finally:
            for name in (signal.SIGINT, signal.SIGTERM):
                with contextlib.suppress(ValueError, RuntimeError):
                    loop.remove_signal_handler(name)


def _gates(program: Program, jitter: Callable[[], float]) -> dict[str, Gate]:
    """One gate for every request of the program: they share the credential, and most often the host."""
    gate = Gate(max(kind.policy.concurrency for kind in program.requests.values()), jitter)
    return dict.fromkeys(program.requests, gate)
