"""What a run says while it works, for people and for machines in one.

Takes a sentence and what it is about. Gives a text that is that sentence wherever a text is wanted, and that can be had as data: so that
whoever says something need not know who listens. No secret is ever in one.
"""

from __future__ import annotations

import datetime as dt
from typing import Any


class Notice(str):
    """A sentence. `event` is its kind, for machines: one of EVENTS."""

    event: str
    level: str
    connection: str
    source: str
    fields: dict[str, Any]

    def __new__(
        cls, text: str, event: str, *, level: str = "info", connection: str = "", source: str = "", **fields: Any
    ) -> Notice:
        found = super().__new__(cls, text)
        found.event, found.level, found.fields = event, level, fields
        found.connection, found.source = connection, source
        return found


EVENTS = {
    "notice": "anything else that is worth a sentence: a file that was renamed, nothing new since the last run",
    "listening": "`--listen` is served; `address`",
    "outage": "a destination fails; `reason`",
    "recovery": "a destination that failed works again",
    "answer_unread": "an answer does not name messages as the spec's `results` say, once for each status; `status`",
    "journal_full": "senders over HTTP are answered 503",
    "journal_room": "they are answered 200 again",
    "connections_full": "no more connections are accepted until some close",
    "connections_room": "they are accepted again",
    "reload": "the connections were loaded again; `lanes`",
    "reload_refused": "they were to be, and nothing is changed",
    "stopping": "a signal came; `drain_seconds`",
    "stopped": "a lane sends no more; `reason`",
    "fault": "a fault of waypost, each kind once: an event became a dead letter, or a lane has ended",
    "summary": "a lane has ended: its ledger, as `--json` gives it",
    "text": "what is not of the run itself: a refusal, a finding of a spec, a traceback",
}
"""kind -> when it is said, with the fields of its own."""


def record(text: str, now: float) -> dict[str, Any]:
    """A notice as data: `time` (RFC 3339), `level`, `event`, `message`, what it is about, and its fields."""
    notice = text if isinstance(text, Notice) else Notice(text, "notice")
    about = {"connection": notice.connection, "source": notice.source}
    return {
        "time": stamp(now),
        "level": notice.level,
        "event": notice.event,
        "message": str(notice),
        **{name: value for name, value in about.items() if value},
        **notice.fields,
    }


def stamp(now: float) -> str:
    """Unix seconds as RFC 3339, in milliseconds."""
    return dt.datetime.fromtimestamp(now, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
