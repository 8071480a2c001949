"""The rows of a state: what a lane writes in one step, and how it is read again.

Takes and gives plain data; each function works on an open database, inside a step where it writes (store.py). A lane's step holds its cursors,
its ledger and its new dead letters, so that these can never disagree: a crash keeps all of it or nothing of it.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from waypost.delivery import ledger as ledgers
from waypost.delivery.ledger import Ledger
from waypost.delivery.progress import Part
from waypost.plan import Plan, dump, load
from waypost.state.integrity import SEALED, sealed
from waypost.state.journal import trim

JOURNAL = "journal"
"""The identity of what is read from the journal."""


@dataclass(frozen=True)
class Snapshot:
    """Where a lane is in one input: no event before `cursor` is on its way; above it have ended the events in `ranges` [start, end), and
    `parts`, which are single deliveries of events with several."""

    cursor: int = 0
    ranges: tuple[tuple[int, int], ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def blank(self) -> bool:
        """Whether nothing has ended that a run from the beginning would not find out again."""
        return not (self.cursor or self.ranges or self.parts)


@dataclass(frozen=True)
class Cursor:
    """How far a lane has come in one input (a file, or the source itself where it is journaled)."""

    input: str
    identity: str
    at: Snapshot

    @property
    def kept(self) -> bool:
        """A file is known by what is kept of it, though nothing of it has ended: it may have another name when the next run begins."""
        return not self.at.blank or ":" in self.identity


@dataclass(frozen=True)
class Former:
    """What earlier runs left of a lane: its cursors by input, and its ledger."""

    cursors: dict[str, Cursor] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)


@dataclass(frozen=True)
class Letter:
    """A dead letter as stored. `whole`: the line could not be read at all, so it is no delivery yet. `record` is without the event.

    `event`, `offset` and `first_line` are what the message's id is made from: a replay gives the same one.
    """

    connection: str
    source: str
    offset: int
    action: str | None
    item: int | str | None
    reason: str
    whole: bool
    at: float
    plan: str
    event: bytes
    record: bytes
    first_line: bytes
    id: int = 0


@dataclass(frozen=True)
class LaneStep:
    """One step of a lane, whole or not at all. `trims`: journaled inputs that every lane has passed up to a number."""

    connection: str
    source: str
    cursors: tuple[Cursor, ...]
    ledger: Ledger
    letters: tuple[Letter, ...] = ()
    plan: Plan | None = None
    trims: dict[str, int] = field(default_factory=dict)

    def __call__(self, database: sqlite3.Connection) -> None:
        for cursor in self.cursors:
            save_cursor(database, self.connection, self.source, cursor)
        save_ledger(database, self.connection, self.source, self.ledger)
        if self.letters and self.plan is not None:
            keep_plan(database, self.plan)
        add_letters(database, self.letters)
        for source, before in self.trims.items():
            trim(database, source, before)


_ranges = msgspec.msgpack.Decoder(tuple[tuple[int, int], ...]).decode
_parts = msgspec.msgpack.Decoder(tuple[tuple[int, str | None, int | str | None], ...]).decode


def save_cursor(database: sqlite3.Connection, connection: str, source: str, cursor: Cursor) -> None:
    database.execute(
        "insert or replace into cursor (connection, source, input, identity, byte_offset, settled, parts, crc) "
        "values (?, ?, ?, ?, ?, ?, ?, ?)",
        sealed(
            connection,
            source,
            cursor.input,
            cursor.identity,
            cursor.at.cursor,
            msgspec.msgpack.encode(cursor.at.ranges),
            msgspec.msgpack.encode(cursor.at.parts),
        ),
    )


def cursors(database: sqlite3.Connection) -> Iterator[tuple[str, str, Cursor]]:
    """(connection, source, cursor) of every lane and input."""
    for connection, source, name, identity, offset, ranges, parts in database.execute(
        "select connection, source, input, identity, byte_offset, settled, parts from cursor "
        "order by connection, source, input"
    ):
        at = Snapshot(offset, _ranges(ranges), _parts(parts))
        yield connection, source, Cursor(name, identity, at)


def cursors_of(database: sqlite3.Connection, connection: str, source: str) -> dict[str, Cursor]:
    """The cursors of a lane, by input."""
    return {cursor.input: cursor for lane, of, cursor in cursors(database) if (lane, of) == (connection, source)}


def save_ledger(database: sqlite3.Connection, connection: str, source: str, ledger: Ledger) -> None:
    database.execute(
        "insert or replace into ledger (connection, source, counts, crc) values (?, ?, ?, ?)",
        sealed(connection, source, ledgers.pack(ledger)),
    )


def ledger_of(database: sqlite3.Connection, connection: str, source: str) -> Ledger:
    row = database.execute(
        "select counts from ledger where connection = ? and source = ?", (connection, source)
    ).fetchone()
    return ledgers.unpack(row[0]) if row else Ledger()


def former_of(database: sqlite3.Connection, connection: str, source: str) -> Former:
    return Former(cursors_of(database, connection, source), ledger_of(database, connection, source))


def lanes(database: sqlite3.Connection) -> list[tuple[str, str, Ledger]]:
    """(connection, source, ledger) of every lane that ever ran."""
    return [
        (connection, source, ledgers.unpack(counts))
        for connection, source, counts in database.execute(
            "select connection, source, counts from ledger order by connection, source"
        )
    ]


def add_letters(database: sqlite3.Connection, letters: Iterable[Letter]) -> None:
    origins: dict[bytes, int] = {}
    rows: list[tuple[Any, ...]] = []
    for letter in letters:
        if letter.first_line not in origins:
            origins[letter.first_line] = _origin(database, letter.first_line)
        rows.append(
            sealed(
                letter.connection,
                letter.source,
                origins[letter.first_line],
                letter.offset,
                letter.action,
                msgspec.json.encode(letter.item),
                letter.reason,
                int(letter.whole),
                float(letter.at),
                letter.plan,
                letter.event,
                letter.record,
            )
        )
    database.executemany(
        "insert into dead (connection, source, origin, byte_offset, action, item, reason, whole, at, plan, event, record, crc) "
        "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def _origin(database: sqlite3.Connection, first_line: bytes) -> int:
    """The id of an input's first line, which is kept once."""
    digest = hashlib.sha256(first_line).digest()
    database.execute("insert or ignore into origin (digest, first_line) values (?, ?)", (digest, first_line))
    found: int = database.execute("select id from origin where digest = ?", (digest,)).fetchone()[0]
    return found


def keep_plan(database: sqlite3.Connection, plan: Plan) -> None:
    """The plan that dead letters were made with, for a replay with the same one. A plan holds no secrets."""
    if not database.execute("select 1 from plan where digest = ?", (plan.digest,)).fetchone():
        database.execute("insert into plan (digest, body) values (?, ?)", (plan.digest, dump(plan)))


def plan_of(database: sqlite3.Connection, digest: str) -> Plan | None:
    row = database.execute("select body from plan where digest = ?", (digest,)).fetchone()
    return load(row[0], f"the plan {digest[:12]}") if row else None


def letters(database: sqlite3.Connection, damaged: Callable[[int], None], after: int = 0) -> Iterator[Letter]:
    """The dead letters that are held, oldest first, behind one of them. `damaged` is told the number of each row that is not as it was written:
    of a large state nobody has looked at the rows before."""
    columns = ", ".join(f"dead.{name}" for name in SEALED["dead"].split(", "))
    rows = database.execute(
        f"select connection, source, byte_offset, action, item, reason, whole, at, plan, event, record, first_line, dead.id, "
        f"dead.crc is seal({columns}), digest from dead left join origin on origin.id = dead.origin where dead.id > ? order by dead.id",
        (after,),
    )
    for *row, first_line, number, good, digest in rows:
        if not good or first_line is None or hashlib.sha256(first_line).digest() != digest:
            damaged(number)
            continue
        connection, source, offset, action, item, reason, whole, at, plan, event, record = row
        item = msgspec.json.decode(item)
        yield Letter(
            connection, source, offset, action, item, reason, bool(whole), at, plan, event, record, first_line, number
        )


def remove_letters(database: sqlite3.Connection, ids: Iterable[int]) -> None:
    database.executemany("delete from dead where id = ?", [(number,) for number in ids])
    database.execute("delete from origin where id not in (select origin from dead)")
    database.execute("delete from plan where digest not in (select plan from dead)")


def letter_counts(database: sqlite3.Connection) -> dict[tuple[str, str], dict[str, int]]:
    """How many dead letters are held: by lane and reason."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for connection, source, reason, count in database.execute(
        "select connection, source, reason, count(*) from dead group by connection, source, reason order by reason"
    ):
        found.setdefault((connection, source), {})[reason] = count
    return found
