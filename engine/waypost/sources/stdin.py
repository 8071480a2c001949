"""Standard input. A reader thread, because asyncio refuses a redirected file; at-least-once holds only within the process.

Takes a binary stream. Gives lines in chunks through a bounded queue, so that a slow destination holds the producer back. With a journal
(`keep`), lines are offered only once they are in it: what was read survives a crash, and a next run begins with it.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Sequence
from typing import BinaryIO

from waypost.events.lines import Chunk, Cutter, Piece, SourceError, TooLong
from waypost.events.loss import Loss
from waypost.sources.first_bytes import judged
from waypost.state.journal_source import Journal, JournalFull, JournalSource, too_long_row

CHUNK = 64 << 10

HELD = 16
"""So many chunks wait to be taken; with a journal, so many share a commit."""

FULL_S = 1.0
"""How long a full journal is left alone."""


class StdinSource:
    """State: the reader thread's queue, and why the stream could not be opened. `first_line` is set once the first line has been read."""

    name = "stdin"
    identity = "stdin"
    size: int | None = None
    resumable = False
    waits = False
    journaled = False
    losses: Sequence[Loss] = ()

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._set_up()
        self._start()

    def _set_up(self) -> None:
        self.offset = 0
        self.first_line = b""
        self.fault: OSError | None = None
        self._cutter = Cutter()
        self._head: bytes | None = b""
        """What was read before it was known to be lines of events."""
        self._chunks: queue.Queue[bytes] = queue.Queue(HELD)
        self._started = False

    def _start(self) -> None:
        if not self._started:
            self._started = True
            threading.Thread(target=self._read_all, daemon=True, name=self.name).start()

    def _opened(self) -> BinaryIO:
        return self._stream

    def _read_all(self) -> None:
        try:
            given = self._opened()
        except OSError as error:
            self.fault = error
            self._chunks.put(b"")
            return
        # Without its buffer, whose lock a thread that waits for its producer would hold when the process ends: that aborts the interpreter.
        stream = getattr(given, "raw", given)
        read = getattr(stream, "read1", stream.read)
        while True:
            try:
                chunk = read(CHUNK)
            except (OSError, ValueError):
                chunk = b""
            self._chunks.put(chunk)
            if not chunk:
                self._read_to_end(given)
                return

    def _read_to_end(self, stream: BinaryIO) -> None:
        """Standard input stays open: it is the process's."""

    def resume(self, offset: int, identity: str) -> str:
        return "standard input cannot be resumed: reading it from where it stands"

    def read(self) -> list[Piece] | None:
        """The next lines, an empty list when none is there yet, None at the end."""
        try:
            chunk = self._chunks.get(timeout=0.05)
        except queue.Empty:
            return []
        if self._head is not None:
            self._head += chunk
            said = judged(self._head, more=bool(chunk))
            if said:
                raise SourceError(f"{self.name} is {said}")
            if said is None and chunk:
                return []
            held, self._head = self._head, None
            if not chunk and held:
                self._chunks.put(b"")
            chunk = held
        if not chunk:
            self._chunks.put(b"")
            return self._first(self._cutter.finish()) or None
        self.offset += len(chunk)
        return self._first(self._cutter.feed(chunk))

    def read_all(self) -> list[Piece] | None:
        """`read`, with all that is there already: at most what the queue holds."""
        found = self.read()
        for _ in range(HELD):
            if found is None or self._chunks.empty():
                break
            # The end is told by the next call.
            found += self.read() or []
        return found

    def _first(self, pieces: list[Piece]) -> list[Piece]:
        if pieces and not self.first_line:
            first = pieces[0]
            self.first_line = first.text(0, 1) if isinstance(first, Chunk) else first.data
        return pieces

    def close(self) -> None:
        return None


async def keep(
    stream: BinaryIO,
    journal: Journal,
    source: str,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Appends a stream's lines to a journal until the stream ends. While the journal is full, nothing is read: the producer waits."""
    lines = StdinSource(stream)
    while (found := await asyncio.to_thread(lines.read_all)) is not None:
        rows: list[bytes] = []
        for piece in found:
            rows += [too_long_row(piece)] if isinstance(piece, TooLong) else piece.data.split(b"\n")
        while rows:
            try:
                await journal.append(source, rows, clock())
                break
            except JournalFull:
                await sleep(FULL_S)


class StdinIntake:
    """A stream that goes into the journal while an engine runs. State: the task that reads, and the sources that were opened on it, which end
    when the stream has."""

    def __init__(self, stream: BinaryIO, journal: Journal, name: str) -> None:
        self._stream = stream
        self._journal = journal
        self._name = name
        self._ended = False
        self._fault: OSError | SourceError | None = None
        self._opened: weakref.WeakSet[JournalSource] = weakref.WeakSet()
        self._reading: asyncio.Task[None] | None = None

    def open(self) -> JournalSource:
        """The journal from its start: what an earlier run has not delivered comes first."""
        source = JournalSource(self._journal, self._name, from_start=True, stream=True)
        source.ended, source.fault = self._ended, self._fault
        self._opened.add(source)
        return source

    def bind(self) -> None:
        return None

    async def start(self) -> None:
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            await keep(self._stream, self._journal, self._name)
            self._ended = True
        except (OSError, SourceError) as error:
            # A full disk, or no lines of events: whoever reads the journal has to hear of it, or would wait for ever.
            self._fault = error
        for source in self._opened:
            source.ended, source.fault = self._ended, self._fault
        self._journal.tell()

    async def stop(self, drain_s: float) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
