"""The state of runs: one SQLite file with cursors, journal, dead letters and ledgers.

Takes a folder (`--state`) and steps: functions of the database that are carried out whole or not at all. Gives their results when they are
on disk: WAL, synchronous FULL, and one thread that puts all steps that wait into one transaction (group commit), because the disk's answer
is what costs. A lock refuses two engines on one state. A file that is not ours, is damaged or is of a newer version is refused in one clear
line; one of an older version is brought up to date."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from waypost.state.integrity import MARKED, Mark, count_rows, mark_of, missing, read_mark, seal, write_mark
from waypost.state.tables import APPLICATION, SCHEMA, bring_up_to_date

T = TypeVar("T")
Step = Callable[[sqlite3.Connection], T]
"""Reads and writes in the transaction. One that raises must not have written: the other steps of its transaction go on."""

FILE, LOCK = "state.sqlite", "lock"

BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)

MAX_GROUP = 1000
"""At most so many steps share a transaction, so that none waits for ever."""

SPARE = 4096
"""So many unused pages (16 MiB) stay in the file for what comes next."""

GIVEN = 512
"""So many pages (2 MiB) are given back to the disk in one step: some milliseconds."""

GIVING_S, QUIET_S = 0.25, 0.05
"""Between two steps while there is work, and how long there must be none for the next one to come sooner."""

CLOSING_S = 3.0
"""How long closing may take for it."""

LOG = 16 << 20
"""The log (WAL) is cut back to so many bytes when it is begun anew."""

CHECKED = 32 << 20
"""A file of at most so many bytes is checked whole when it is opened."""

SYNCED_S = 1.0
"""The mark (integrity.py) waits for the disk no more often than this."""


AUTO_VACUUM = 2
"""`incremental`, as the database numbers it."""


class StateError(Exception):
    """A state folder that cannot be used. One clear line."""


class Damaged(StateError):
    """A state that lacks something of what was acknowledged. The line says what, and how to go on with what is there."""

    status = 70

    def __init__(self, folder: Path, what: str) -> None:
        super().__init__(
            f"the state in {folder} is damaged: {what}; put the whole folder back from a copy, or go on with what is there: "
            f"`waypost state {folder} --accept-damage`"
        )


class Store:
    """State: the lock, the open database, and the thread that alone writes to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StateError(f"cannot use {folder} for state: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise StateError(
                f"another engine is running on {folder}: stop it, or give this one a state of its own"
            ) from None
        try:
            self._database = connect(self.path, read_mark(self._lock))
            self.reader = reading(self.path)
        except (StateError, sqlite3.Error) as error:
            os.close(self._lock)
            if isinstance(error, StateError):
                raise
            raise StateError(f"cannot use {self.path}: {error}") from None
        mark = mark_of(self._database)
        assert mark is not None
        self._synced_at = 0.0
        self._note(mark)
        self._waiting: queue.SimpleQueue[tuple[Step[Any], Future[Any]] | None] = queue.SimpleQueue()
        self._giving, self._given_at, self._shrinks = True, 0.0, False
        self._thread = threading.Thread(target=self._serve, name="store", daemon=True)
        self._thread.start()

    async def commit(self, step: Step[T]) -> T:
        """Carries out a step. Returns when it is on disk; raises OSError when it cannot be written, and then nothing of it is."""
        return await asyncio.wrap_future(self._put(step))

    def do(self, step: Step[T]) -> T:
        """`commit` for who has no loop."""
        return self._put(step).result()

    def _put(self, step: Step[T]) -> Future[T]:
        future: Future[T] = Future()
        self._waiting.put((step, future))
        return future

    def _serve(self) -> None:
        while True:
            group = [self._next()]
            with contextlib.suppress(queue.Empty):
                while len(group) < MAX_GROUP:
                    group.append(self._waiting.get_nowait())
            self._transact([entry for entry in group if entry is not None])
            if None in group:
                until = time.monotonic() + CLOSING_S
                while time.monotonic() < until and self._give_back():
                    pass
                return

    def _next(self) -> tuple[Step[Any], Future[Any]] | None:
        """What is to be done next. Between that, and while nothing is, space is given back."""
        while self._giving:
            if time.monotonic() >= self._given_at + GIVING_S:
                self._giving = self._give_back()
                continue
            try:
                return self._waiting.get(timeout=QUIET_S)
            except queue.Empty:
                self._giving = self._give_back()
        self._giving = True
        return self._waiting.get()

    def _give_back(self) -> bool:
        """One step of what the file does not need any more. Gives whether there is more of it."""
        self._given_at = time.monotonic()
        try:
            free = self._database.execute("pragma freelist_count").fetchone()[0]
            if free <= SPARE:
                if self._shrinks:
                    # The file itself is cut when its log has been folded into it.
                    self._database.execute("pragma wal_checkpoint(passive)").fetchall()
                self._shrinks = False
                return False
            self._shrinks = True
            # A script is carried out to its end; of a single statement without columns only the first page would be.
            self._database.executescript(f"pragma incremental_vacuum({min(GIVEN, free - SPARE)})")
        except sqlite3.Error:
            # A disk that is full is told to who has something to write.
            return False
        return True

    def _transact(self, group: list[tuple[Step[Any], Future[Any]]]) -> None:
        group = [entry for entry in group if entry[1].set_running_or_notify_cancel()]
        ended: list[tuple[Future[Any], Any, Exception | None]] = []
        try:
            mark = None
            self._database.execute("begin immediate")
            before = self._database.total_changes
            for step, future in group:
                try:
                    ended.append((future, step(self._database), None))
                except sqlite3.Error:
                    raise
                except Exception as error:
                    ended.append((future, None, error))
            if self._database.total_changes != before:
                self._database.execute("update mark set commits = commits + 1")
                mark = mark_of(self._database)
            self._database.execute("commit")
            if mark is not None:
                self._note(mark)
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                self._database.execute("rollback")
            told = as_os_error(error, self.path)
            ended = [(future, None, told) for _, future in group]
        for future, result, fault in ended:
            if fault is None:
                future.set_result(result)
            else:
                future.set_exception(fault)

    def _note(self, mark: Mark) -> None:
        """What is on disk is counted beside it. A disk that refuses costs only that less is noticed."""
        with contextlib.suppress(OSError):
            write_mark(self._lock, mark)
            if time.monotonic() >= self._synced_at + SYNCED_S:
                os.fsync(self._lock)
                self._synced_at = time.monotonic()

    def close(self) -> None:
        """When every step that was given has been carried out."""
        self._waiting.put(None)
        self._thread.join()
        self.reader.close()
        # A disk that is full may refuse the last checkpoint: what was committed is in the WAL all the same.
        with contextlib.suppress(sqlite3.Error):
            self._database.close()
        os.close(self._lock)


def connect(path: Path, mark: Mark | None) -> sqlite3.Connection:
    """The database, checked and of this version. Raises StateError."""
    try:
        if not _is_there(path, mark):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
        try:
            database.create_function("seal", -1, seal, deterministic=True)
            _check(database, path, mark)
            # Before anything is in it: space can be given back later.
            database.execute("pragma auto_vacuum = incremental")
            database.execute("pragma journal_mode = wal")
            database.execute("pragma synchronous = full")
            database.execute(f"pragma journal_size_limit = {LOG}")
            bring_up_to_date(database)
            _make_shrinkable(database)
            count_rows(database)
        except BaseException:
            database.close()
            raise
    except sqlite3.DatabaseError as error:
        if mark is not None and (error.sqlite_errorcode & 0xFF) in BROKEN:
            raise Damaged(path.parent, str(error)) from None
        if (error.sqlite_errorcode & 0xFF) in BROKEN:
            raise StateError(
                f"{path} is not a state of waypost or is damaged ({error}): move its folder away to start afresh"
            ) from None
        raise StateError(f"cannot use {path}: {error}") from None
    except OSError as error:
        raise StateError(f"cannot use {path}: {error.strerror}") from None
    return database


def _make_shrinkable(database: sqlite3.Connection) -> None:
    """A file of an earlier version keeps whatever size it ever had: it is rewritten, once."""
    if database.execute("pragma auto_vacuum").fetchone()[0] == AUTO_VACUUM:
        return
    # A disk without room for that leaves it as it is, until the next time.
    with contextlib.suppress(sqlite3.OperationalError):
        database.execute("pragma auto_vacuum = incremental")
        database.execute("vacuum")


def _is_there(path: Path, mark: Mark | None) -> bool:
    """Whether there is a database. Raises Damaged when there was one that had taken something in."""
    try:
        size = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        size = -1
    if size <= 0 and mark is not None and mark.commits:
        what = "its database is gone" if size < 0 else "its database is empty"
        raise Damaged(path.parent, f"{what}, and had {mark.commits:,} commits with {mark.events:,} acknowledged events")
    return size >= 0


def _check(database: sqlite3.Connection, path: Path, mark: Mark | None) -> None:
    version = database.execute("pragma user_version").fetchone()[0]
    application = database.execute("pragma application_id").fetchone()[0]
    empty = not database.execute("select count(*) from sqlite_schema").fetchone()[0]
    # Version 1 did not write whose file it is.
    if not empty and application != APPLICATION and not (version == 1 and not application):
        raise StateError(f"{path} is a database of something else, not a state of waypost: name another folder")
    if version > SCHEMA:
        raise StateError(f"{path} was written by a newer waypost (schema {version}, this one knows {SCHEMA}): upgrade")
    whole = path.stat().st_size <= CHECKED
    if whole and not empty:
        found = database.execute("pragma integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise Damaged(path.parent, " ".join(found.split()))
    if version >= MARKED and not empty:
        lacks = missing(database, mark, whole=whole)
        if lacks:
            raise Damaged(path.parent, ", ".join(lacks))
    elif mark is not None and mark.commits:
        raise Damaged(
            path.parent, f"it holds nothing of {mark.commits:,} commits with {mark.events:,} acknowledged events"
        )


def reading(path: Path) -> sqlite3.Connection:
    """A connection that sees what is committed and writes nothing: also beside an engine that runs."""
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
    database.create_function("seal", -1, seal, deterministic=True)
    database.execute("pragma query_only = 1")
    return database


def look(folder: Path) -> sqlite3.Connection:
    """A state, to be read only. Raises StateError where there is none."""
    path = folder / FILE
    # Before the database: an engine that is at work moves both, the database first.
    mark = _mark_in(folder)
    if not (_is_there(path, mark) and path.is_file()):
        raise StateError(f"there is no state in {folder}")
    database: sqlite3.Connection | None = None
    try:
        database = reading(path)
        _check(database, path, mark)
        if database.execute("pragma user_version").fetchone()[0] < SCHEMA:
            database.close()
            Store(folder).close()
            database = reading(path)
    except sqlite3.DatabaseError as error:
        if mark is not None and (error.sqlite_errorcode & 0xFF) in BROKEN:
            raise Damaged(folder, str(error)) from None
        raise StateError(f"{path} is not a state of waypost or is damaged ({error})") from None
    except StateError:
        if database is not None:
            database.close()
        raise
    return database


def _mark_in(folder: Path) -> Mark | None:
    try:
        file = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return None
    try:
        return read_mark(file)
    finally:
        os.close(file)


def as_os_error(error: sqlite3.Error, path: Path) -> OSError:
    """What the database could not do, as who wrote the file would have heard it."""
    full = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
    return OSError(errno.ENOSPC if full else errno.EIO, str(error), str(path))
