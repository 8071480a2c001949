"""Dead letters: the event, the reason, the destination's answer and what is needed to send it again.

Takes Dead commands of a lane. Gives records: in an NDJSON file of mode 0600, made when the first one is written, or as rows of a state. A
record's form is fixed: `event` (the JSON object, or `{"text": …}` for a line that is no JSON object, `{"base64": …}` for bytes that are not
UTF-8), `reason`, `message`, `field`, `action`, `item`, `connection`, `position` {source, offset, line}, `attempts`, `response` {status, body},
`plan` (digest), `spec` (file:line:column of the field), `at`. No secret is ever in it: responses are kept without their headers, and secrets
that a destination echoes are masked.
"""

from __future__ import annotations

import base64
import datetime as dt
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from waypost.delivery.lane import Dead
from waypost.delivery.outcome import BODY_LIMIT, Answer
from waypost.events.masking import masker
from waypost.plan import Plan, place

RESPONSE_LIMIT = 4096
"""How much of a response's body a dead letter keeps, in characters."""


@dataclass(frozen=True)
class Writer:
    """Makes the records of one connection. `kept` gives what is kept of a line (`Program.kept`)."""

    connection: str
    plan: Plan
    mask: Callable[[str], str]
    kept: Callable[[bytes], bytes] = bytes

    def record(self, letter: Dead, now: float) -> bytes:
        """The record but for its event: one JSON object."""
        row: dict[str, Any] = {
            "reason": letter.reason,
            "message": letter.message if letter.answer is None else self.mask(letter.message),
            "field": letter.field or None,
            "action": letter.action,
            "item": letter.item,
            "connection": self.connection,
            "position": {
                "source": letter.position.source,
                "offset": letter.position.offset,
                "line": letter.position.line,
            },
            "attempts": letter.attempts,
            "response": self._response(letter.answer, letter.named.item if letter.named is not None else b""),
            "plan": self.plan.digest,
            "spec": self._spec(letter),
            "at": dt.datetime.fromtimestamp(now, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        return msgspec.json.encode({key: value for key, value in row.items() if value is not None})

    def _spec(self, letter: Dead) -> str | None:
        """Where the spec says what the field is to be: file:line:column."""
        if not letter.field or letter.action is None:
            return None
        return field_place(self.plan, letter.action, letter.field) or None

    def _response(self, answer: Answer | None, named: bytes) -> dict[str, Any] | None:
        """Of an answer that is longer than is kept, what it says of this message."""
        if answer is None:
            return None
        body = named if named and len(answer.body) > RESPONSE_LIMIT else answer.body[:BODY_LIMIT]
        text = self.mask(body.decode(errors="replace"))[:RESPONSE_LIMIT]
        return {"status": int(answer.status) if answer.status.isdecimal() else answer.status, "body": text}


def field_place(plan: Plan, action: str, field: str) -> str:
    """Where the spec says what a field is to be: one of a message, or a part of the request (`request.post`, `request.query.q`)."""
    pointers = [f"actions.{action}.mapping.{field}"]
    if field.startswith("request.") and action in plan.actions:
        name = plan.actions[action].request
        request = plan.requests[name]
        inner = field.removeprefix("request.")
        inner = "url" if inner == request.method else inner
        # Of a body only the whole has a place.
        pointers += [f"requests.{name}.{inner}", f"requests.{name}.{inner.partition('.')[0]}"]
    return next((found for pointer in pointers if (found := place(plan.source, pointer))), "")


def writer(connection: str, plan: Plan, secrets: list[str], kept: Callable[[bytes], bytes] = bytes) -> Writer:
    # Tokens join them while requests are under way.
    return Writer(connection, plan, lambda text: masker(secrets)(text), kept)


def line_of(event: bytes, record: bytes) -> bytes:
    """The whole record: one line of NDJSON."""
    return b'{"event":' + msgspec.json.encode(_event(event)) + b"," + record[1:] + b"\n"


class LetterFile:
    """State: the open file of dead letters."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def write(self, lines: list[bytes]) -> None:
        """Appends and flushes to disk. Raises OSError (a full disk): the caller keeps the events."""
        if self._file is None:
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        start = os.fstat(self._file).st_size
        view = memoryview(b"".join(lines))
        try:
            while view:
                view = view[os.write(self._file, view) :]
            os.fsync(self._file)
        except OSError as error:
            # Half a record would break every reader of the file.
            os.ftruncate(self._file, start)
            raise OSError(error.errno, error.strerror, str(self.path)) from None

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _event(line: bytes) -> Any:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(line).decode()}
    try:
        msgspec.json.decode(line, type=dict[str, Raw])
    except (msgspec.DecodeError, RecursionError):
        return {"text": text}
    return Raw(line)
