"""The requests of one lane that are under way: each is rendered and sent as a task of its own, and its answer waits to be taken.

Takes what the lane asks to be sent. Gives answers, in the order in which they came, or `Unsent` for what broke on our side of the wire.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial

from waypost.delivery.commands import Broken
from waypost.delivery.lane import Lane, Send
from waypost.delivery.outcome import Answer
from waypost.engine.options import Options, Sender
from waypost.engine.taps import Attempt
from waypost.engine.traffic import Traffic
from waypost.events.guard import REASON, Guard
from waypost.events.masking import masker
from waypost.lang.values import Fault
from waypost.program.program import Program
from waypost.program.request.render import RequestProgram
from waypost.program.request.signing import Unsigned

BIG = 32 << 10
"""A body of more bytes is compressed in a thread: it takes long enough to hold everything else up."""


class Unsent(Exception):
    """A request that could not be made, or not be sent once it was made. `__cause__` says why."""

    def __init__(self, *, made: bool) -> None:
        super().__init__("a request broke")
        self.made = made

    def broken(self, guard: Guard) -> Broken:
        """As the lane hears of it. Raises what is our fault where the guard is off."""
        error = self.__cause__
        assert error is not None
        if isinstance(error, Fault):
            return Broken(error.reason, error.message, error.field)
        doing = "sent" if self.made else "rendered"
        return Broken(REASON, guard.caught(error, doing), "" if self.made else "request", self.made)


class Attempts:
    """State: the lane that asks, what its requests are, the tasks under way, and the answers that nobody has taken yet."""

    def __init__(self, options: Options, owner: tuple[str, str], arrived: Callable[[], None]) -> None:
        """`owner`: connection and source. `arrived` is called when an answer waits."""
        self.traffic = Traffic()
        self.answers: deque[tuple[int, Answer | Unsent]] = deque()
        self.tasks: set[asyncio.Task[None]] = set()
        self._options = options
        self._owner = owner
        self._arrived = arrived

    def link(self, program: Program, lane: Lane, requests: Mapping[str, RequestProgram], sender: Sender) -> None:
        """What is sent from now on is this lane's, and goes this way. Only with nothing under way."""
        self._program, self._lane, self._requests, self._sender = program, lane, requests, sender

    def start(self, command: Send) -> None:
        task = asyncio.create_task(self._send(command))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _send(self, command: Send) -> None:
        try:
            answer: Answer | Unsent = await self._attempt(command)
        except Unsent as error:
            # An answer that never comes would leave the lane waiting for ever.
            answer = error
        self.answers.append((command.batch, answer))
        self._arrived()

    async def _attempt(self, command: Send) -> Answer:
        kind = self._requests[command.request]
        now, masked = self._options.clock(), self._options.masked
        messages = command.joined(kind.layout)
        try:
            if kind.policy.gzip and sum([len(piece) for pieces in messages.values() for piece in pieces]) > BIG:
                wire = await asyncio.to_thread(kind.render, command.group, messages, now, masked=masked)
            else:
                wire = kind.render(command.group, messages, now, masked=masked)
        except Unsigned as error:
            self.traffic.attempt("unsent", 0.0, command.count)
            return Answer("unsent", error=masker(self._program.secrets)(str(error)), hopeless=True)
        except Exception as error:
            self.traffic.attempt("unsent", 0.0, command.count)
            raise Unsent(made=False) from error
        self._lane.ledger.bytes += len(wire.body)
        began = time.perf_counter()
        try:
            answer = await self._sender.send(
                wire, kind.policy.timeout_s, partial(self._left, self._lane, command.batch)
            )
        except Exception as error:
            # Some of it may have left.
            self.traffic.attempt("unanswered", time.perf_counter() - began, command.count)
            raise Unsent(made=True) from error
        seconds = time.perf_counter() - began
        self.traffic.attempt(answer.status, seconds, command.count)
        if self._options.taps.followers:
            try:
                self._tell_followers(command, answer, now, seconds)
            except Exception as error:
                self._program.guard.caught(error, "shown to followers", then="it is not shown")
        return answer

    def _left(self, lane: Lane, batch: int) -> None:
        lane.left(batch, self._options.steady())

    def _tell_followers(self, command: Send, answer: Answer, began: float, seconds: float) -> None:
        about = *self._owner, self._requests[command.request], command
        secrets = tuple(self._program.secrets)
        deliveries = self._lane.under_way(command.batch)
        self._options.taps.offer(Attempt(*about, deliveries, answer, began, seconds, secrets))
