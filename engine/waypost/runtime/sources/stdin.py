"""Standard input. A reader thread, because asyncio refuses a redirected file; at-least-once holds only within the process.

Takes a binary stream. Gives lines in chunks through a bounded queue, so that a slow destination holds the producer back. With a journal
(`keep`), lines are offered only once they are in it: what was read survives a crash, and a next run begins with it.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Awaitable, Callable
from typing import BinaryIO

from waypost.runtime.sources.journal import Journal, JournalFull, too_long_row
from waypost.runtime.sources.lines import Cutter, Line, TooLong

CHUNK = 64 << 10

FULL_S = 1.0
"""How long a full journal is left alone."""


class StdinSource:
    """State: the reader thread's queue. `first_line` is set once the first line has been read."""

    name = "stdin"
    identity = "stdin"
    size: int | None = None

    def __init__(self, stream: BinaryIO) -> None:
        self.offset = 0
        self.first_line = b""
        self._stream = stream
        self._cutter = Cutter()
        self._chunks: queue.Queue[bytes] = queue.Queue(8)
        threading.Thread(target=self._read_all, daemon=True, name="stdin").start()

    def _read_all(self) -> None:
        read = getattr(self._stream, "read1", self._stream.read)
        while True:
            try:
                chunk = read(CHUNK)
            except (OSError, ValueError):
                chunk = b""
            self._chunks.put(chunk)
            if not chunk:
                return

    def resume(self, offset: int, identity: str) -> str:
        return "standard input cannot be resumed: reading it from where it stands"

    def read(self) -> list[Line] | None:
        """The next lines, an empty list when none is there yet, None at the end."""
        try:
            chunk = self._chunks.get(timeout=0.05)
        except queue.Empty:
            return []
        if not chunk:
            self._chunks.put(b"")
            return self._first(self._cutter.finish()) or None
        self.offset += len(chunk)
        return self._first(self._cutter.feed(chunk))

    def _first(self, lines: list[Line]) -> list[Line]:
        if lines and not self.first_line:
            self.first_line = lines[0].data
        return lines

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
    while (found := await asyncio.to_thread(lines.read)) is not None:
        rows = [too_long_row(line) if isinstance(line, TooLong) else line.data for line in found]
        while rows:
            try:
                await journal.append(source, rows, clock())
                break
            except JournalFull:
                await sleep(FULL_S)
