"""The tables of a state, and how an older state is brought up to date.

Takes an open database. Gives it with the tables of version SCHEMA. Each version's step is one transaction with its version number, so that a
crash leaves a state of one version or the other.
"""

from __future__ import annotations

import os
import sqlite3

from waypost.state.integrity import COUNTED, SEALED

SCHEMA = 4

APPLICATION = 0x57415950
"""Written into the file's header: this database is a state of waypost."""

TABLES = """
create table cursor (
    connection text not null, source text not null, input text not null, identity text not null,
    byte_offset integer not null, settled blob not null, parts blob not null, crc integer not null,
    primary key (connection, source, input)) strict;
create table ledger (
    connection text not null, source text not null, counts blob not null, crc integer not null, primary key (connection, source)) strict;
create table origin (id integer primary key, digest blob not null unique, first_line blob not null) strict;
create table dead (
    id integer primary key autoincrement, connection text not null, source text not null, origin integer not null,
    byte_offset integer not null, action text, item blob not null, reason text not null, whole integer not null,
    at real not null, plan text not null, event blob not null, record blob not null,
    crc integer not null) strict;
create index dead_by_lane on dead (connection, source, reason);
create index dead_by_origin on dead (origin);
create table plan (digest text primary key, body blob not null) strict;
create table journal (
    source text not null, first integer not null, last integer not null, received_at real not null, size integer not null,
    events blob not null, crc integer not null, primary key (source, first)) strict;
create table journaled (source text primary key, next integer not null, size integer not null, crc integer not null) strict;
create table mark (id integer primary key check (id = 1), generation blob not null, commits integer not null) strict;
create table counted (name text primary key, held integer not null) strict;
"""
"""`cursor`: one row a lane and input; `settled` and `parts` are records.Snapshot, packed. `ledger`: JSON, what has ended only. `origin`: the
first line of an input, which events without an id are identified by. `plan`: what dead letters were
made with, by digest. `journal`: one row an append. `crc`, `mark` and `counted`: integrity.py."""


def bring_up_to_date(database: sqlite3.Connection) -> None:
    version = database.execute("pragma user_version").fetchone()[0]
    if version == SCHEMA:
        return
    database.execute("begin immediate")
    try:
        if version == 1:
            database.execute("alter table cursor rename to cursor_1")
        if version == 2:
            _seal_all(database)
        elif version == 3:
            database.execute(_made("counted"))
        else:
            for statement in TABLES.split(";"):
                database.execute(statement)
        if version != 3:
            database.execute("insert into mark (id, generation, commits) values (1, ?, 0)", (os.urandom(16),))
        if version == 1:
            database.execute(
                "insert into cursor select lane, 'files', source, identity, byte_offset, x'90', x'90', "
                "seal(lane, 'files', source, identity, byte_offset, x'90', x'90') from cursor_1"
            )
            database.execute("drop table cursor_1")
        for table in COUNTED:
            database.execute(f"insert into counted select '{table}', count(*) from {table}")
        database.execute(f"pragma application_id = {APPLICATION}")
        database.execute(f"pragma user_version = {SCHEMA}")
        database.execute("commit")
    except sqlite3.Error:
        database.execute("rollback")
        raise


def _seal_all(database: sqlite3.Connection) -> None:
    """Version 2 had no checksums."""
    for table, columns in SEALED.items():
        database.execute(f"alter table {table} add column crc integer not null default 0")
        database.execute(f"update {table} set crc = seal({columns})")
    for table in ("mark", "counted"):
        database.execute(_made(table))


def _made(table: str) -> str:
    """The statement that makes a table."""
    return next(statement for statement in TABLES.split(";") if f"create table {table} " in statement)
