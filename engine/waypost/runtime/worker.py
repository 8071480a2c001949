"""One worker of `waypost run --workers N`: a process with a lane of its own over its portions. `python -m waypost.runtime.worker`.

Takes orders on standard input, gives reports on standard output (pipe.py). It loads a plan, never the compiler or the command line. What has
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

from waypost.plan import load
from waypost.runtime import ledger as ledgers
from waypost.runtime import pipe
from waypost.runtime.courier import Courier, End
from waypost.runtime.gates import Gates
from waypost.runtime.keeping import Keeping
from waypost.runtime.ledger import Ledger
from waypost.runtime.options import Options, Stopping
from waypost.runtime.program import Program, link
from waypost.runtime.records import Cursor, LaneStep, Snapshot
from waypost.runtime.sources.file import SourceError
from waypost.runtime.sources.share import Portion, Share
from waypost.runtime.splitting import divided, falls_to
from waypost.runtime.transport import Transport


class Remote:
    """The engine, as what takes this lane's steps. State: the step that waits, and how far the run as a whole is."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.passed: dict[str, int] = {}
        self._writer = writer
        self._waiting: asyncio.Future[None] | None = None

    def notice(self, text: str) -> None:
        pipe.send(self._writer, pipe.Notice(text))

    async def commit(self, step: LaneStep) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        pipe.send(self._writer, pipe.Step(list(step.cursors), ledgers.pack(step.ledger), list(step.letters)))
        await self._waiting

    def kept(self, refused: tuple[int, str, str] | None) -> None:
        if self._waiting is None or self._waiting.done():
            return
        if refused is None:
            self._waiting.set_result(None)
        else:
            self._waiting.set_exception(OSError(*refused))

    async def done(self, message: pipe.Done) -> None:
        pipe.send(self._writer, message)
        await self._writer.drain()
        self._writer.close()


def main() -> None:
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    asyncio.run(_serve())


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout.buffer)
    remote = Remote(asyncio.StreamWriter(transport, protocol, None, loop))
    begin = await pipe.receive(reader, pipe.orders)
    if begin is None:
        return
    sender: Transport | None = None
    try:
        program = link(divided(load(begin.plan), begin.workers), begin.given, endpoint_override=begin.endpoint)
        sender = Transport(max(kind.policy.concurrency for kind in program.requests.values()))
        courier, stopping = _courier(begin, program, sender, remote)
        listening = asyncio.create_task(_listen(reader, remote, courier, stopping, begin.drain_s))
        end = await courier.run()
        listening.cancel()
    except SourceError as error:
        end = End("", begin.source, Ledger(), fault=str(error), unread=True)
    finally:
        if sender is not None:
            await sender.close()
    await remote.done(pipe.Done(ledgers.pack(end.ledger), end.stopped, end.unread, end.fault))


def _courier(begin: pipe.Begin, program: Program, sender: Transport, remote: Remote) -> tuple[Courier, Stopping]:
    options = Options(None, begin.connect_within_s, begin.drain_s, notice=remote.notice)
    stopping = Stopping()
    keeping = Keeping(
        program.owner,
        begin.source,
        store=remote,
        file=None,
        clock=options.clock,
        before={portion.path: _cursor(portion) for portion in begin.portions},
        least_s=begin.least_s,
    )
    courier = Courier(
        program,
        [_share(portion, remote, keyed=begin.keyed) for portion in begin.portions],
        sender,
        options,
        keeping=keeping,
        stopping=stopping,
        gates=Gates(options.jitter).of,
        mine=(lambda key, line: falls_to(key, line, begin.workers) == begin.number) if begin.keyed else None,
    )
    return courier, stopping


def _cursor(portion: Portion) -> Cursor:
    return Cursor(portion.path, portion.identity, Snapshot(portion.start, portion.ranges, portion.parts))


def _share(portion: Portion, remote: Remote, *, keyed: bool) -> Share:
    remote.passed[portion.path] = portion.start
    return Share(portion, notice=remote.notice, passed=(lambda: remote.passed[portion.path]) if keyed else None)


async def _listen(
    reader: asyncio.StreamReader, remote: Remote, courier: Courier, stopping: Stopping, drain_s: float
) -> None:
    while True:
        order: Any = await pipe.receive(reader, pipe.orders)
        if order is None:
            os._exit(errno.EPIPE)
        elif isinstance(order, pipe.Stop):
            stopping.heard(courier.options.steady(), drain_s)
        elif isinstance(order, pipe.Kept):
            remote.kept(order.refused)
        else:
            remote.passed.update(order.cursors)
            for name, cursor in order.cursors.items():
                courier.lane.caught_up(name, cursor)
            courier.wake.set()


if __name__ == "__main__":
    main()
