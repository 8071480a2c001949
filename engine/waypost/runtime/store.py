"""The state of runs: one SQLite file with the cursor of each source and connection.

Takes a folder (`--state`). Gives cursors that survive a crash: WAL, synchronous FULL, one transaction a save. A lock refuses two engines on one
state. A file that is not ours, or of a newer version, is refused in one clear line.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

SCHEMA = 1


class StateError(Exception):
    """A state folder that cannot be used. One clear line."""


class Store:
    """State: the lock and the open database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
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
            self._database = self._open(folder / "state.sqlite")
        except sqlite3.Error as error:
            os.close(self._lock)
            raise StateError(
                f"{folder / 'state.sqlite'} is not a state of waypost or is damaged ({error}): move it away to start afresh"
            ) from None

    def _open(self, path: Path) -> sqlite3.Connection:
        database = sqlite3.connect(path, isolation_level=None)
        database.execute("pragma journal_mode = wal")
        database.execute("pragma synchronous = full")
        version = database.execute("pragma user_version").fetchone()[0]
        if version > SCHEMA:
            database.close()
            raise StateError(
                f"{path} was written by a newer waypost (schema {version}, this one knows {SCHEMA}): upgrade"
            )
        database.execute(
            "create table if not exists cursor (source text not null, lane text not null, identity text not null, "
            "byte_offset integer not null, primary key (source, lane)) strict"
        )
        database.execute(f"pragma user_version = {SCHEMA}")
        return database

    def cursor(self, source: str, lane: str) -> tuple[int, str] | None:
        """(offset, identity of the source) as last saved."""
        row = self._database.execute(
            "select byte_offset, identity from cursor where source = ? and lane = ?", (source, lane)
        ).fetchone()
        return (row[0], row[1]) if row else None

    def save(self, source: str, lane: str, identity: str, offset: int) -> None:
        self._database.execute(
            "insert into cursor (source, lane, identity, byte_offset) values (?, ?, ?, ?) "
            "on conflict (source, lane) do update set identity = excluded.identity, byte_offset = excluded.byte_offset",
            (source, lane, identity, offset),
        )

    def close(self) -> None:
        self._database.close()
        os.close(self._lock)
