"""What is known of an event's top-level fields before any event arrives: the kinds each may be, from the public event specification.

Source: the common fields and call shapes of the customer-data specification (docs/spec-reference.md, "Events"). Properties and traits are open.
"""

from __future__ import annotations

from typing import Final

KINDS: Final[dict[str, str]] = {
    "type": "string",
    "event": "string",
    "userId": "string",
    "anonymousId": "string",
    "messageId": "string",
    "timestamp": "time",
    "originalTimestamp": "time",
    "sentAt": "time",
    "receivedAt": "time",
    "context": "object",
    "integrations": "object",
    "properties": "object",
    "traits": "object",
    "name": "string",
    "category": "string",
    "groupId": "string",
    "previousId": "string",
    "channel": "string",
    "writeKey": "string",
    "projectId": "string",
}
"""Top-level field -> the kind that it is by the specification. `version` is text or a number."""

CONTEXT: Final[dict[str, str]] = {
    "active": "boolean",
    "app": "object",
    "campaign": "object",
    "device": "object",
    "ip": "string",
    "library": "object",
    "locale": "string",
    "location": "object",
    "network": "object",
    "os": "object",
    "page": "object",
    "referrer": "object",
    "screen": "object",
    "timezone": "string",
    "groupId": "string",
    "traits": "object",
    "userAgent": "string",
    "userAgentData": "object",
    "channel": "string",
    "consent": "object",
}
"""The same of `context`."""

_TO: Final[dict[str, frozenset[str]]] = {
    "string": frozenset({"string"}),
    "number": frozenset({"string"}),
    "integer": frozenset({"string"}),
    "boolean": frozenset({"boolean"}),
    "object": frozenset({"object"}),
    "array": frozenset({"array"}),
    "datetime": frozenset({"string"}),
    "unix": frozenset({"string"}),
    "unix_ms": frozenset({"string"}),
    "unix_us": frozenset({"string"}),
}


def kind_of(steps: tuple[str | int, ...] | None) -> str | None:
    """The kind of a path of the event that the specification fixes, else None."""
    if steps is None or not steps:
        return "object" if steps == () else None
    if len(steps) == 1:
        return KINDS.get(str(steps[0]))
    if len(steps) == 2 and steps[0] == "context":
        return CONTEXT.get(str(steps[1]))
    return None


def can_be(kind: str, wanted: str) -> bool:
    """Whether a value of this kind can ever be had in the type. Ids and names sent as numbers are common, so text may be a number."""
    if kind == "time":
        return wanted not in ("boolean", "object", "array")
    if kind == "number":
        return wanted not in ("boolean", "object", "array")
    if kind == "string":
        return wanted not in ("boolean", "object", "array")
    return kind in _TO[wanted]
