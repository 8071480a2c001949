"""What a program makes of an event: a message to send, a rejection (a dead letter with its reason), or nothing to send (filtered).

REASONS and FILTERED are the whole vocabulary of a ledger: each delivery ends delivered, filtered with one of FILTERED, or dead with one of
REASONS (or with the destination's answer, delivery/outcome.py).
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

REASONS: Final = {
    "malformed": "the line is not JSON",
    "not_object": "the line is JSON, but no object",
    "invalid_utf8": "the line is not UTF-8",
    "too_deep": "the event is nested too deeply",
    "batch_envelope": "the line is a batch of events, which no action takes: `jq -c '.batch[]'` takes them out",
    "line_too_long": "the line is longer than the limit",
    "type_missing": "an event that came in a batch over HTTP names no type",
    "type_unknown": "an event that came in a batch over HTTP names a type that is none of the six",
    "wrong_type": "a value cannot be had in the type that the destination takes",
    "wrong_shape": "an object was expected where the event has something else",
    "not_in_enum": "a value is not one that the destination takes",
    "format": "a value does not have the format that the destination takes",
    "pattern": "a value does not have the form that the destination takes",
    "too_long": "a value is longer than the destination takes",
    "too_old": "a time is longer ago than the destination takes",
    "too_far_ahead": "a time is further ahead than the destination takes",
    "required": "a field that the destination needs has no value",
    "require": "none of several fields, one of which the destination needs, has a value",
    "filter": "a template's filter or operator cannot take the value",
    "url_part_missing": "a part of the request's url has no value",
    "fault": "a fault of waypost, which is to be reported: the event cannot be blamed for it",
    "message_too_large": "the message is larger than the destination takes",
}
ANSWERED: Final = {
    "refused": "the destination refused it",
    "retries_exhausted": "the destination took it at no attempt within the time of retries",
}
"""The reasons of dead letters after an answer."""
FILTERED: Final = {
    "no_action": "no action's trigger matches",
    "where": "the action's `where` does not hold, or `each` found no item",
    "disabled": "the only actions whose trigger matches are disabled",
    "integrations": "the event's `integrations` switches this destination off",
}


class Mapped(Struct, frozen=True, gc=False):
    """One message: `body` is its exact bytes, `request` a key of Plan.requests, `group` the event's parts of that request."""

    action: str
    item: int | str | None
    request: str
    group: tuple[Any, ...]
    body: bytes


class Rejected(Struct, frozen=True, gc=False):
    """Why an event cannot be sent by an action (None: by any). `field` is the output field, dotted, where one is to blame."""

    action: str | None
    item: int | str | None
    reason: str
    message: str
    field: str = ""


class Filtered(Struct, frozen=True, gc=False):
    """Nothing to send, on purpose."""

    action: str | None
    item: int | str | None
    reason: str
