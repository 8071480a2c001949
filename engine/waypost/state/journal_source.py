"""A journaled source: what a sender was told is safe is read from the journal, never from the sender.

Takes a Journal (state/store.py keeps one; the interface is here, where it is read) and a source's name. Gives its rows as Lines whose
offsets are sequence numbers; a cursor is the first row that has not ended.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from waypost.events.lines import Piece, Place, SourceError, TooLong, Turned, scattered
from waypost.events.loss import Loss

READ = 1 << 20
"""How many bytes of rows are read at a time."""

GROUP = 4 << 20
"""How many bytes of rows one commit takes, of as many requests as are waiting."""


class JournalFull(Exception):
    """The journal has no room for these rows; none of them is in it."""


class Unreadable(OSError):
    """What was taken in cannot be read back: the disk, or whoever else writes to the file, has damaged it."""


class Journal(Protocol):
    """Where events are kept between their acknowledgement and their delivery."""

    async def append(self, source: str, rows: list[bytes], received_at: float) -> None:
        """Returns after the commit. All rows or none. Raises JournalFull."""

    def read(self, source: str, after: int, limit_bytes: int) -> list[tuple[int, bytes, float]]:
        """(sequence number, row, received_at) of the rows after a sequence number, oldest first; at least one when there is any."""

    def next(self, source: str) -> int:
        """The sequence number that the next row will have; the first is 1."""

    def listen(self, told: Callable[[], object]) -> None:
        """`told` is called after each append."""

    def tell(self) -> None:
        """The same without one: a producer has ended."""


def too_long_row(line: TooLong) -> bytes:
    """A line of standard input that is too long to be kept, as a row: no other row holds a line feed."""
    return b"%b\n%d %b" % (line.data.replace(b"\n", b" "), line.length, line.sha256.encode())


def turned_row(event: bytes, reason: str, message: str) -> bytes:
    """What came as an event and is none, as a row, with the reason: it is taken in with the others, and ends as a dead letter."""
    return b"%b\n!%b %b" % (event.replace(b"\n", b" "), reason.encode(), message.encode())


def pieces_of(rows: Sequence[tuple[int, bytes, float]]) -> list[Piece]:
    """Rows as lines: a line's offset is its sequence number."""
    found: list[Piece] = []
    texts: list[bytes] = []
    places: list[Place] = []
    for number, row, _ in rows:
        if b"\n" not in row:
            texts.append(row)
            places.append((number, number + 1, number))
            continue
        if texts:
            found.append(scattered(texts, places))
            texts, places = [], []
        found.append(_odd(number, row))
    if texts:
        found.append(scattered(texts, places))
    return found


def _odd(number: int, row: bytes) -> TooLong | Turned:
    head, _, rest = row.rpartition(b"\n")
    if rest.startswith(b"!"):
        reason, _, message = rest[1:].decode().partition(" ")
        return Turned(head, number, number + 1, number, reason, message)
    length, _, digest = rest.partition(b" ")
    return TooLong(head, number, number + 1, number, int(length), digest.decode())


class JournalSource:
    """One source of a journal, as the engine reads it. State: the sequence number of the next row to read.

    `ended`: its producer is done, so it ends when everything has been read. A source begins at now, or `from_start`. `stream`: its producer is
    one stream, of which more is to come until it has ended. `fault`: why its producer cannot go on; reading raises it."""

    identity = "journal"
    first_line = b""
    resumable = True
    journaled = True
    losses: Sequence[Loss] = ()
    waits = True
    """An empty list of lines means that there are none yet."""

    def __init__(self, journal: Journal, name: str, *, from_start: bool = False, stream: bool = False) -> None:
        self.name = name
        self._stream = stream
        self.ended = False
        self.fault: OSError | SourceError | None = None
        self.offset = 1 if from_start else journal.next(name)
        self._journal = journal

    @property
    def size(self) -> int | None:
        """Where the rows that are kept end: what is below it and was not read is left for the next run. None: nobody knows."""
        return None if self._stream and not self.ended else self._journal.next(self.name)

    def resume(self, offset: int, identity: str) -> str:
        self.offset = offset
        return ""

    def read(self) -> list[Piece] | None:
        """The next rows, an empty list when there is none yet, None at the end."""
        if self.fault is not None:
            raise self.fault
        ended = self.ended
        rows = self._journal.read(self.name, self.offset - 1, READ)
        if not rows:
            return None if ended else []
        self.offset = rows[-1][0] + 1
        return pieces_of(rows)

    def listen(self, told: Callable[[], object]) -> None:
        self._journal.listen(told)

    def close(self) -> None:
        return None


class GroupCommit:
    """Many requests, one commit: while one is being written, those that come wait and go together. State: those that wait."""

    def __init__(self, journal: Journal, source: str, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._source = source
        self._clock = clock
        self._waiting: deque[tuple[list[bytes], asyncio.Future[None]]] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def append(self, rows: list[bytes]) -> None:
        """Returns after the commit. Raises JournalFull, or what the journal raised; nothing of these rows is kept then."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        try:
            while self._waiting:
                await self._commit(self._group())
        finally:
            self._writer = None

    def _group(self) -> list[tuple[list[bytes], asyncio.Future[None]]]:
        group = [self._waiting.popleft()]
        size = sum(map(len, group[0][0]))
        while self._waiting and size < GROUP:
            group.append(self._waiting.popleft())
            size += sum(map(len, group[-1][0]))
        return group

    async def _commit(self, group: list[tuple[list[bytes], asyncio.Future[None]]]) -> None:
        try:
            # The instant of the commit's beginning: never before that of any request in it.
            await self._journal.append(self._source, [row for rows, _ in group for row in rows], self._clock())
        except JournalFull as error:
            if len(group) > 1:
                # The group may be too much where one of it is not.
                for one in group:
                    await self._commit([one])
                return
            _answer(group, error)
        except Exception as error:
            _answer(group, error)
        else:
            _answer(group, None)


def _answer(group: list[tuple[list[bytes], asyncio.Future[None]]], error: Exception | None) -> None:
    for _, done in group:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
