"""What is missing of a state is noticed: a mark beside the database, counts in it, and a checksum in each row.

Takes the file of the lock, which is there as long as the state is, and an open database. Gives what is wrong with it as sentences, and the
checksum of a row.

The database's own log (WAL) forgets quietly: from the first frame that is damaged on, everything counts as never written. So each
transaction counts itself in the database (`mark`), and when it is on disk the count is written into the lock's file as well. A database that
has counted less than the mark has lost what was acknowledged. The mark is written after the disk's answer, so it is never ahead of
what a power loss leaves; it needs no answer of its own: at worst it is a second old after a power loss, and notices less.

A row that somebody deletes leaves no trace of its own: how many rows each table has is counted by triggers that only our connection has.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Final

import msgspec

SLOT, SLOTS = 4096, 2
"""The mark is written in turn in one of two places, so that half a write leaves the other one."""

_FORM: Final = struct.Struct(">8s16sQQ")
_MAGIC: Final = b"waypost3"

SEALED: Final[dict[str, str]] = {
    "cursor": "connection, source, input, identity, byte_offset, settled, parts",
    "ledger": "connection, source, counts",
    "journaled": "source, next",
    "journal": "source, first, last, received_at, size, events",
    "dead": "connection, source, origin, byte_offset, action, item, reason, whole, at, plan, event, record",
}
"""The tables whose rows have a checksum, and what it is made of."""

SMALL: Final = ("cursor", "ledger", "journaled")
"""Those that are looked at whole whatever their size."""


COUNTED: Final = (*SEALED, "origin", "plan")
"""The tables whose rows are counted."""

MARKED: Final = 3
COUNTING: Final = 4
"""The versions of a state (tables.py) that have a mark, and that count rows."""


def count_rows(database: sqlite3.Connection) -> None:
    """From now on this connection counts what it adds and removes. Who opens the database by other means does not."""
    database.execute("pragma temp_store = memory")
    # A row that is replaced is one that goes and one that comes.
    database.execute("pragma recursive_triggers = on")
    for table in COUNTED:
        for what, change in (("insert", "+ 1"), ("delete", "- 1")):
            database.execute(
                f"create temp trigger {table}_{what} after {what} on main.{table} begin "
                f"update counted set held = held {change} where name = '{table}'; end"
            )


def seal(*values: Any) -> int:
    """The checksum of a row."""
    found = 0
    for value in values:
        if isinstance(value, bytes):
            found = zlib.crc32(value, zlib.crc32(b"b%d" % len(value), found))
        else:
            found = zlib.crc32(msgspec.msgpack.encode(value), found)
    return found


def sealed(*values: Any) -> tuple[Any, ...]:
    """A row with its checksum."""
    return (*values, seal(*values))


@dataclass(frozen=True)
class Mark:
    """A state's own number, how many transactions it has had, and how many events its journal has taken in."""

    generation: bytes
    commits: int
    events: int


def read_mark(file: int) -> Mark | None:
    """The newest mark that is whole."""
    found: Mark | None = None
    for slot in range(SLOTS):
        data = os.pread(file, _FORM.size + 4, slot * SLOT)
        body, check = data[: _FORM.size], data[_FORM.size :]
        if len(check) == 4 and zlib.crc32(body) == int.from_bytes(check, "big") and body.startswith(_MAGIC):
            _, generation, commits, events = _FORM.unpack(body)
            mark = Mark(generation, commits, events)
            if found is None or mark.commits > found.commits or mark.generation != found.generation:
                found = mark
    return found


def write_mark(file: int, mark: Mark) -> None:
    body = _FORM.pack(_MAGIC, mark.generation, mark.commits, mark.events)
    os.pwrite(file, body + zlib.crc32(body).to_bytes(4, "big"), mark.commits % SLOTS * SLOT)


def mark_of(database: sqlite3.Connection) -> Mark | None:
    """What the database itself has counted."""
    row = database.execute("select generation, commits from mark").fetchone()
    if row is None:
        return None
    generation, commits = row
    return Mark(generation, commits, database.execute("select coalesce(sum(next - 1), 0) from journaled").fetchone()[0])


def missing(database: sqlite3.Connection, mark: Mark | None, *, whole: bool) -> list[str]:
    """What the state lacks, as sentences. `whole`: the journal and the dead letters are looked at too."""
    # As of one instant: an engine may be at work.
    database.execute("begin")
    try:
        return _missing(database, mark, whole=whole)
    finally:
        database.execute("commit")


def _missing(database: sqlite3.Connection, mark: Mark | None, *, whole: bool) -> list[str]:
    found: list[str] = []
    own = mark_of(database)
    if own is None:
        found.append("its own count is gone")
    elif mark is None and own.commits:
        found.append("the mark in its file `lock` is gone, so that nobody can tell whether its last commits are there")
    elif mark is not None and mark.generation != own.generation:
        found.append("it is another database than the one that was kept here last")
    elif mark is not None and own.commits < mark.commits:
        lost = max(0, mark.events - own.events)
        events = f", with {lost:,} acknowledged events" if lost else ""
        found.append(f"its last {mark.commits - own.commits:,} commits are gone{events}")
    for table in SEALED if whole else SMALL:
        bad = database.execute(f"select count(*) from {table} where crc is not seal({SEALED[table]})").fetchone()[0]
        if bad:
            found.append(f"{bad:,} rows of `{table}` are damaged")
    if whole:
        found += _gaps(database)
    for table, gone in rows_gone(database).items():
        found.append(f"{gone:,} rows of `{table}` are gone")
    return found


def rows_gone(database: sqlite3.Connection) -> dict[str, int]:
    """How many rows of each table are not there any more, where that is any."""
    if database.execute("pragma user_version").fetchone()[0] < COUNTING:
        return {}
    found: dict[str, int] = {}
    for table, counted in database.execute("select name, held from counted").fetchall():
        held = database.execute(f"select count(*) from {table}").fetchone()[0]
        if counted > held:
            found[table] = counted - held
    return found


def _gaps(database: sqlite3.Connection) -> list[str]:
    """Events between others: what a journal has taken in has numbers without gaps."""
    found: list[str] = []
    lost: dict[str, int] = {}
    ends: dict[str, int] = {}
    for source, first, last in database.execute("select source, first, last from journal order by source, first"):
        if source in ends and first != ends[source]:
            lost[source] = lost.get(source, 0) + first - ends[source]
        ends[source] = last + 1
    known = dict(database.execute("select source, next from journaled"))
    for source, end in ends.items():
        if known.get(source) != end:
            lost[source] = lost.get(source, 0) + max(1, known.get(source, end) - end)
    for source, count in lost.items():
        found.append(f"{count:,} events of the journal of {source} are gone")
    return found
