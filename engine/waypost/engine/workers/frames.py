"""What an engine and its workers say to each other: frames on a pipe, a length and a MessagePack value.

Takes and gives plain data, in both directions. A worker says what has ended (`Step`) and waits for `Kept`: then it is on disk. Nothing else
in a worker counts, so a worker that dies takes only what nobody was told of. Each message names the lane by its number in `Begin`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from waypost.engine.workers.file_share import Portion
from waypost.engine.workers.journal_share import Followed
from waypost.plan import Tls
from waypost.state.records import Cursor, Letter

HEAD = 4
"""The bytes of a frame's length."""


class Task(Struct):
    """A worker's share of one lane. `share` counts from 0; with `keyed` it takes the events whose key falls to it, else all of its portions,
    or its blocks of a journal. `divisor`: by so much the destination's limits are divided. `endless`: a service waits for its destination.
    The settings hold secrets: they go through the pipe, never through arguments or the environment."""

    lane: int
    share: int
    shares: int
    divisor: int
    keyed: bool
    plan: bytes
    given: dict[str, Any]
    endpoint: str | None
    tls: Tls
    plain_http: bool
    source: str
    portions: list[Portion]
    least_s: float
    followed: Followed | None = None
    endless: bool = False


class Begin(Struct, tag=True):
    """All that a worker needs."""

    tasks: list[Task]
    connect_within_s: float
    drain_s: float


class Stop(Struct, tag=True):
    """A lane is to end: a signal came, or it has ended elsewhere. `at_once`: what is under way is not waited for."""

    lane: int
    at_once: bool = False


class Kept(Struct, tag=True):
    """The step is on disk; or the disk refused it: (number, text, file)."""

    lane: int
    refused: tuple[int, str, str] | None = None


class Passed(Struct, tag=True):
    """Where the run as a whole is, by input: every event before has ended, whoever had it."""

    lane: int
    cursors: dict[str, int]


class Grown(Struct, tag=True):
    """All rows of the lane's journal before this one are on disk. `ended`: there will be no more."""

    lane: int
    next: int
    ended: bool


class Step(Struct, tag=True):
    """What has ended in this worker: where it is in its inputs, its ledger (packed), and new dead letters."""

    lane: int
    cursors: list[Cursor]
    ledger: bytes
    letters: list[Letter]


class Notice(Struct, tag=True):
    """A sentence for the person, and what a log has of it."""

    text: str
    event: str
    level: str
    connection: str
    source: str
    fields: dict[str, Any]


class Done(Struct, tag=True):
    """The end of a worker's share of a lane: as summary.Summary."""

    lane: int
    ledger: bytes
    stopped: str
    unread: bool
    fault: str
    faults: int = 0


Orders = Begin | Stop | Kept | Passed | Grown
Reports = Step | Notice | Done

_encode = msgspec.msgpack.Encoder().encode
orders = msgspec.msgpack.Decoder(Orders).decode
reports = msgspec.msgpack.Decoder(Reports).decode


def send(writer: asyncio.StreamWriter, message: Orders | Reports) -> None:
    """Queues a message; one for who has gone is dropped."""
    if not writer.is_closing():
        data = _encode(message)
        writer.write(len(data).to_bytes(HEAD, "big") + data)


async def receive(reader: asyncio.StreamReader, decode: Callable[[bytes], Any]) -> Any:
    """The next message, None when the other side has gone."""
    try:
        head = await reader.readexactly(HEAD)
        return decode(await reader.readexactly(int.from_bytes(head, "big")))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
