"""A damaged state goes on with what is there: every row that can be read and has its checksum moves to a new database.

Takes the folder of a state that was refused as damaged (store.Damaged), with no engine at work on it. Gives sentences: what was lost, what was
kept, and where the damaged database lies now. What is there of a table is read from its beginning up to a damaged page, then from its end.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from waypost.state.integrity import SEALED, mark_of, read_mark, rows_gone, seal, sealed, write_mark
from waypost.state.records import JOURNAL
from waypost.state.store import FILE, LOCK, StateError, Store

NEW = "mended"
PLAIN = {"origin": "id, digest, first_line", "plan": "digest, body"}
"""Tables without checksums: they are found by digest."""


def mend(folder: Path) -> list[str]:
    """Raises StateError where an engine is at work, or nothing can be written."""
    path = folder / FILE
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StateError(f"cannot use {folder} for state: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        before = read_mark(lock)
        shutil.rmtree(folder / NEW, ignore_errors=True)
        store = Store(folder / NEW)
        try:
            said = [] if not path.exists() else _copied(path, store)
            mark = mark_of(store.reader)
        finally:
            store.close()
        assert mark is not None
        aside = _set_aside(folder)
        os.replace(folder / NEW / FILE, path)
        os.ftruncate(lock, 0)
        write_mark(lock, mark)
        os.fsync(lock)
        shutil.rmtree(folder / NEW, ignore_errors=True)
    except BlockingIOError:
        raise StateError(f"another engine is running on {folder}: stop it first") from None
    except OSError as error:
        raise StateError(f"cannot write in {folder}: {error.strerror}") from None
    finally:
        os.close(lock)
    if before is not None and before.events > mark.events:
        said.insert(0, f"{before.events - mark.events:,} of {before.events:,} acknowledged events are gone")
    return [*said, *([f"the damaged database is kept as {aside}"] if aside else [])]


def _copied(path: Path, store: Store) -> list[str]:
    said: list[str] = []
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as old:
        gone = _gone(old)
        for table, columns in {**PLAIN, **SEALED}.items():
            kept, bad = store.do(lambda new, table=table, columns=columns: _copy(old, new, table, columns))  # type: ignore[misc]
            bad += gone.get(table, 0)
            if bad:
                said.append(f"{table}: {bad:,} rows are gone, {kept:,} are kept")
    store.do(_count_again)
    return said


def _gone(old: sqlite3.Connection) -> dict[str, int]:
    try:
        return rows_gone(old)
    except sqlite3.DatabaseError:
        return {}


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, table: str, columns: str) -> tuple[int, int]:
    """How many rows were kept, and how many are known to be lost."""
    sealed = table in SEALED
    names = f"{columns}, crc" if sealed else columns
    extra = {"journaled": ", size"}.get(table, "")
    marks = ", ".join("?" * (len(names.split(",")) + bool(extra)))
    kept = bad = 0
    for row in _rows(old, table, names + extra):
        values = row[:-1] if extra else row
        if sealed and seal(*values[:-1]) != values[-1]:
            bad += 1
            continue
        with contextlib.suppress(sqlite3.IntegrityError):
            new.execute(f"insert into {table} ({names}{extra}) values ({marks})", row)
            kept += 1
    return kept, bad


def _rows(old: sqlite3.Connection, table: str, names: str) -> Iterator[tuple[Any, ...]]:
    seen: set[int] = set()
    for order in ("asc", "desc"):
        try:
            for number, *row in old.execute(f"select rowid, {names} from {table} order by rowid {order}"):
                if number in seen:
                    return
                seen.add(number)
                yield tuple(row)
            return
        except sqlite3.DatabaseError:
            continue


def _count_again(new: sqlite3.Connection) -> None:
    """Numbers that were given to events are not given again: a lane that has passed them would pass over others."""
    ends = dict(new.execute("select source, next from journaled"))
    for source, last in new.execute("select source, max(last) from journal group by source"):
        ends[source] = max(ends.get(source, 1), last + 1)
    for source, offset in new.execute(
        "select input, max(byte_offset) from cursor where identity = ? group by input", (JOURNAL,)
    ):
        ends[source] = max(ends.get(source, 1), offset)
    for source, end in ends.items():
        size = new.execute("select coalesce(sum(size), 0) from journal where source = ?", (source,)).fetchone()[0]
        new.execute(
            "insert or replace into journaled (source, next, size, crc) values (?, ?, ?, ?)",
            (source, end, size, seal(source, end)),
        )
        _fill_gaps(new, source, end)


def _fill_gaps(new: sqlite3.Connection, source: str, end: int) -> None:
    """Where events are gone stands a row without any, so that what was accepted now is not found missing again."""
    held = new.execute("select first, last from journal where source = ? order by first", (source,)).fetchall()
    for (_, last), (following, _) in pairwise([*held, (end, end)]):
        if following > last + 1:
            new.execute(
                "insert into journal (source, first, last, received_at, size, events, crc) values (?, ?, ?, ?, ?, ?, ?)",
                sealed(source, last + 1, following - 1, 0.0, 0, msgspec.msgpack.encode([])),
            )


def _set_aside(folder: Path) -> Path | None:
    """The damaged database and its log under another name; None where there is none."""
    number = 1
    while (folder / f"{FILE}.damaged-{number}").exists():
        number += 1
    aside = folder / f"{FILE}.damaged-{number}"
    for ending in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.replace(folder / (FILE + ending), str(aside) + ending)
    try:
        os.replace(folder / FILE, aside)
    except FileNotFoundError:
        return None
    return aside
