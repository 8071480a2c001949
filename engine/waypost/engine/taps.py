"""Following the requests of a running engine: what was sent, secrets masked, and what was answered.

Takes attempts as they end. Gives records (JSON, one a line) to each follower that wants them. Nothing is made while nobody follows. A follower
holds a bounded number of records and gets a bounded number a second: beyond these it loses records and is told how many, so that a slow one
costs the engine nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

from waypost.delivery.lane import Send
from waypost.delivery.outcome import Answer
from waypost.delivery.runs import Delivery
from waypost.events.masking import masker
from waypost.events.notices import stamp
from waypost.program.request.render import RequestProgram
from waypost.state.dead_letters import RESPONSE_LIMIT

HELD = 64
"""So many records wait for a follower."""

A_SECOND = 100
"""So many are made for it in a second: making them takes the engine's own time."""

SHOWN = 64 << 10
"""So many bytes of a request's messages are shown, at least one message."""


@dataclass(frozen=True)
class Attempt:
    """One attempt that has ended. `secrets` are those of the connection, to be masked wherever they turn up."""

    connection: str
    source: str
    kind: RequestProgram
    send: Send
    deliveries: Sequence[Delivery]
    answer: Answer
    began: float
    seconds: float
    secrets: tuple[str, ...]


class Follower:
    """State: the records that wait, how many were lost since the last one, and how many came in this second."""

    def __init__(self, connection: str = "", action: str = "") -> None:
        self.connection = connection
        self.action = action
        self.news = asyncio.Event()
        self._records: deque[bytes] = deque()
        self._skipped = 0
        self._second = 0
        self._count = 0

    def offer(self, attempt: Attempt) -> None:
        if self.connection not in ("", attempt.connection):
            return
        shown = [item for item in attempt.deliveries if self.action in ("", item.mapped.action)]
        if not shown:
            return
        if len(self._records) >= HELD or not self._has_turn(attempt.began + attempt.seconds):
            self._skipped += 1
            return
        if self._skipped:
            self._records.append(b'{"skipped":%d}\n' % self._skipped)
            self._skipped = 0
        self._records.append(record(attempt, shown))
        self.news.set()

    def _has_turn(self, now: float) -> bool:
        if int(now) != self._second:
            self._second, self._count = int(now), 0
        self._count += 1
        return self._count <= A_SECOND

    def take(self) -> list[bytes]:
        """The records that wait; the last line may say how many were lost."""
        self.news.clear()
        found = list(self._records)
        self._records.clear()
        if self._skipped:
            found.append(b'{"skipped":%d}\n' % self._skipped)
            self._skipped = 0
        return found


class Taps:
    """State: the followers. Empty, it costs one test a request."""

    def __init__(self) -> None:
        self.followers: list[Follower] = []

    def offer(self, attempt: Attempt) -> None:
        for follower in self.followers:
            follower.offer(attempt)


def record(attempt: Attempt, deliveries: Sequence[Delivery]) -> bytes:
    """One line. `messages` are those in `body`; `left_out` so many more were in the request."""
    shown = _first(deliveries)
    messages = attempt.kind.by_list((item.mapped.action, item.mapped.body) for item in shown)
    wire = attempt.kind.render(attempt.send.group, messages, attempt.began, masked=True)
    answer = attempt.answer
    row: dict[str, Any] = {
        "time": stamp(attempt.began),
        "connection": attempt.connection,
        "source": attempt.source,
        "request": attempt.send.request,
        "attempt": attempt.send.attempt,
        "method": wire.method,
        "url": wire.url,
        "headers": dict(wire.headers),
        "messages": [
            {"action": item.mapped.action, "item": item.mapped.item, "offset": item.position.offset} for item in shown
        ],
        "left_out": attempt.send.count - len(shown),
        "body": _body(wire.body),
        "status": int(answer.status) if answer.status.isdecimal() else answer.status,
        "error": answer.error,
        "response": answer.body.decode(errors="replace")[:RESPONSE_LIMIT],
        "seconds": round(attempt.seconds, 6),
    }
    text = msgspec.json.encode(row).decode(errors="replace")
    return masker(attempt.secrets)(text).encode() + b"\n"


def _first(deliveries: Sequence[Delivery]) -> list[Delivery]:
    size = 0
    found: list[Delivery] = []
    for item in deliveries:
        size += len(item.mapped.body)
        if found and size > SHOWN:
            break
        found.append(item)
    return found


def _body(body: bytes) -> Any:
    """As it is where it is JSON. One message alone may be larger than what is shown."""
    if not body:
        return None
    if len(body) > 4 * SHOWN:
        return body[:SHOWN].decode(errors="replace") + "…"
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return body.decode(errors="replace")
    return Raw(body)
