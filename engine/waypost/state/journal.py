"""The journal: events that have no file of their own (HTTP, standard input), kept until every lane has passed them.

Takes events by source. Gives them back by sequence number (from 1, without gaps, one series a source). `append` returns when they are on
disk; appends that wait share a commit. The bytes held are bounded, by source: beyond the bound an append is refused whole. What every lane
has passed is removed."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
import weakref
from collections.abc import Callable

import msgspec

from waypost.state.integrity import seal, sealed
from waypost.state.journal_source import JournalFull, Unreadable
from waypost.state.store import Store

BOUND = 1 << 30
"""How many bytes of events a journal holds; its sources have equal parts of it."""

PIECE = 256 << 10
"""How many bytes a lane reads at once, at least one event."""

_unpack = msgspec.msgpack.Decoder(list[bytes]).decode


class Journal:
    """State: whom to tell of an append."""

    def __init__(self, store: Store, bound: int = BOUND, *, sources: int = 1) -> None:
        """`sources`: so many write to it. What one of them may hold is the other ones' no longer: a source whose lane is stopped fills its own
        room, and its own senders wait."""
        self.bound = bound // max(1, sources)
        self._store = store
        self._events: weakref.WeakSet[asyncio.Event] = weakref.WeakSet()
        self._listeners: list[Callable[[], object]] = []

    async def append(self, source: str, rows: list[bytes], received_at: float) -> None:
        """All rows or none. Returns only after the commit; raises JournalFull, or OSError when the disk does not take them."""
        if not rows:
            return
        size = sum(map(len, rows))
        await self._store.commit(lambda database: _append(database, source, rows, received_at, size, self.bound))
        self.tell()

    def tell(self) -> None:
        """Wakes whoever waits for news."""
        for event in self._events:
            event.set()
        for listener in list(self._listeners):
            listener()

    def read(self, source: str, after: int, limit_bytes: int = PIECE) -> list[tuple[int, bytes, float]]:
        """(sequence number, event, received_at) of the events behind `after`, at most so many bytes of them (but one event at least)."""
        return rows(self._store.reader, source, after + 1, None, limit_bytes)

    def wait(self) -> asyncio.Event:
        """An event that the next append sets. Ask for it before reading, so that no append is missed."""
        event = asyncio.Event()
        self._events.add(event)
        return event

    def listen(self, told: Callable[[], object]) -> None:
        """`told` is called after each append."""
        self._listeners.append(told)

    def forget(self, told: Callable[[], object]) -> None:
        if told in self._listeners:
            self._listeners.remove(told)

    def next(self, source: str) -> int:
        """The sequence number that the next event will have: where a new lane starts."""
        row = self._store.reader.execute("select next from journaled where source = ?", (source,)).fetchone()
        return row[0] if row else 1

    def first(self, source: str) -> int:
        """The sequence number of the oldest event that is held; the next one's where none is."""
        row = self._store.reader.execute(
            "select first from journal where source = ? order by first limit 1", (source,)
        ).fetchone()
        return row[0] if row else self.next(source)

    def size(self) -> int:
        """The bytes of the events that are held."""
        return int(self._store.reader.execute("select coalesce(sum(size), 0) from journaled").fetchone()[0])


def rows(
    database: sqlite3.Connection, source: str, start: int, end: int | None, limit_bytes: int
) -> list[tuple[int, bytes, float]]:
    """(sequence number, event, received_at) of the events [start, end), at most so many bytes of them (but one event at least). Also for who
    is not the engine: it sees what is on disk."""
    found: list[tuple[int, bytes, float]] = []
    left = limit_bytes
    # The append that holds `start` is looked for by its key: a long journal is not walked through.
    held = database.execute(
        "select first, last, received_at, size, events, crc from journal where source = ? and last >= ? and first >= "
        "coalesce((select max(first) from journal where source = ? and first <= ?), 0) order by first",
        (source, start, source, start),
    )
    try:
        for first, last, received_at, size, packed, crc in held:
            if seal(source, first, last, received_at, size, packed) != crc:
                raise Unreadable(errno.EIO, f"the events {first:,} to {last:,} of {source} are damaged", "the state")
            for number, event in enumerate(_unpack(packed), first):
                if number < start:
                    continue
                if (found and len(event) > left) or (end is not None and number >= end):
                    return found
                found.append((number, event, received_at))
                left -= len(event)
    except sqlite3.DatabaseError as error:
        raise Unreadable(errno.EIO, f"the journal of {source} is damaged ({error})", "the state") from None
    finally:
        held.close()
    return found


def _append(
    database: sqlite3.Connection, source: str, rows: list[bytes], received_at: float, size: int, bound: int
) -> None:
    found = database.execute("select next, size from journaled where source = ?", (source,)).fetchone()
    first, held = found or (1, 0)
    if held + size > bound:
        raise JournalFull(f"the journal holds {held:,} of at most {bound:,} bytes for {source}")
    last = first + len(rows) - 1
    database.execute(
        "insert into journal (source, first, last, received_at, size, events, crc) values (?, ?, ?, ?, ?, ?, ?)",
        sealed(source, first, last, float(received_at), size, msgspec.msgpack.encode(rows)),
    )
    database.execute(
        "insert into journaled (source, next, size, crc) values (?, ?, ?, ?) "
        "on conflict (source) do update set next = excluded.next, size = size + excluded.size, crc = excluded.crc",
        (source, last + 1, size, seal(source, last + 1)),
    )


def trim(database: sqlite3.Connection, source: str, before: int) -> None:
    """Every lane has passed the events before this number: they go, an append at a time."""
    gone = database.execute(
        "select coalesce(sum(size), 0) from journal where source = ? and last < ?", (source, before)
    ).fetchone()[0]
    if gone:
        database.execute("delete from journal where source = ? and last < ?", (source, before))
        database.execute("update journaled set size = size - ? where source = ?", (gone, source))
