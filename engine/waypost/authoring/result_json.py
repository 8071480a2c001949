"""What becomes of an event, as data: for `run --dry-run --json` and `preview --json`, which show it in one form.

Takes a linked program, a line with its place, and a result. Gives plain data: the position, the action, and the message with its request, or
why there is none. Secrets are masked. A request is shown as it would carry this message alone; a run joins messages into batches.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from waypost import plan as p
from waypost.events.lines import Line
from waypost.events.masking import masker
from waypost.events.results import FILTERED, Filtered, Mapped
from waypost.lang.urls import LEFT_OUT
from waypost.program.credentials import secrets_of
from waypost.program.program import Program, Result
from waypost.program.request.render import Wire

SENT, FILTERED_OUT, REJECTED = "sent", "filtered", "rejected"


def position(name: str, line: Line) -> dict[str, Any]:
    return {"input": name, "line": line.number, "offset": line.offset}


def delivery(program: Program, result: Result, now: float) -> dict[str, Any]:
    """One delivery. Keys that have nothing to say are left out."""
    if isinstance(result, Mapped):
        result = program.requests[result.request].refusal(result) or result
    about = {"action": result.action, "item": result.item}
    row: dict[str, Any] = {key: value for key, value in about.items() if value is not None}
    if isinstance(result, Mapped):
        return {"outcome": SENT, **row, "message": msgspec.Raw(result.body), "request": request(program, result, now)}
    if isinstance(result, Filtered):
        return {
            "outcome": FILTERED_OUT,
            **row,
            "reason": result.reason,
            "why": FILTERED.get(result.reason, result.reason),
        }
    row |= {"reason": result.reason, "why": result.message}
    if result.field:
        row["field"] = result.field
        if at := p.place(program.plan.source, f"actions.{result.action}.mapping.{result.field}"):
            row["spec"] = at
    return {"outcome": REJECTED, **row}


def request(program: Program, result: Mapped, now: float) -> dict[str, Any]:
    sent = wire(program, result, now)
    return {
        "method": sent.method,
        "url": sent.url,
        "headers": dict(sent.headers),
        "body": body(sent.body),
    }


def wire(program: Program, result: Mapped, now: float) -> Wire:
    """The request with this message alone, secrets masked."""
    kind = program.requests[result.request]
    return kind.render(result.group, kind.by_list([(result.action, result.body)]), now, masked=True)


def body(data: bytes) -> Any:
    """JSON as it is, anything else as text."""
    if not data:
        return None
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return data.decode(errors="replace")
    return msgspec.Raw(data)


def text_of(program: Program, row: dict[str, Any]) -> str:
    """One line of JSON, without secrets."""
    return without_secrets(program, msgspec.json.encode(row).decode(errors="replace"))


def without_secrets(program: Program, text: str) -> str:
    """Nor what filters make of them: an event may hold either."""
    return masker(_secrets(program))(text)


def _secrets(program: Program) -> list[str]:
    """A preview without a secret has its name in its place, which is to be seen."""
    bound = program.settings
    left_out = {name for name in bound.secret if bound.values.get(name) in (f"<{name}>", LEFT_OUT)}
    if not left_out:
        return program.secrets
    return secrets_of(program.plan, replace(bound, secret=bound.secret - left_out))
