"""A strict stand-in for Segment's tracking API: it answers as Segment does, and counts what Segment would silently drop.

Facts: the discard table, limits and deduplication of Segment's public documentation (docs/decisions/0003-segment-facts.md). Segment answers 200
to almost everything; so does this, and keeps the list of what was not really taken.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from waypost.http.receiver import Received, Reply

MAX_BATCH = 500_000
MAX_MESSAGE = 32 * 1024
MAX_MESSAGES = 2500
CONSENT_EVENT = "Segment Consent Preference Updated"


@dataclass(frozen=True)
class Discard:
    """One dropped message (or request): Segment's name for the reason, and the message."""

    reason: str
    message: Any = None


@dataclass
class StrictSegment:
    """State: the messages that were taken, in order, what was discarded, and the ids seen."""

    taken: list[dict[str, Any]] = field(default_factory=list)
    discards: list[Discard] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def answer(self, request: Received) -> Reply:
        """For Receiver(answer=...)."""
        status = self.accept(request.path, request.headers, request.body)
        return Reply(
            status,
            body=b'{"success":true}'
            if status == 200
            else b'{"success":false,"message":"malformed JSON","code":"invalid_request"}',
        )

    def accept(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """The status of the answer; notes what happened to each message."""
        if path not in ("/v1/batch", "/v1/import"):
            return 404
        if headers.get("content-type", "").split(";")[0] != "application/json":
            self.discards.append(Discard("content_type"))
        if len(body) > MAX_BATCH:
            self.refused.append("batch too large")
            return 400
        try:
            envelope = json.loads(body)
        except (ValueError, RecursionError):
            self.refused.append("malformed JSON")
            return 400
        if not headers.get("authorization", "").startswith("Basic ") and not envelope.get("writeKey"):
            self.discards.append(Discard("no_write_key"))
        batch = envelope.get("batch")
        if not isinstance(batch, list) or not batch:
            self.discards.append(Discard("empty_batch"))
            return 200
        if not isinstance(envelope.get("sentAt"), str):
            self.discards.append(Discard("no_sent_at"))
        if len(batch) > MAX_MESSAGES:
            self.discards.append(Discard("too_many_messages"))
        for raw, message in zip(split_messages(body), batch, strict=True):
            if len(raw) > MAX_MESSAGE:
                self.refused.append("message too large")
                return 400
            reason = discard_reason(message) or self._repeated(message)
            if reason:
                self.discards.append(Discard(reason, message))
            else:
                self.taken.append(message)
        return 200

    def _repeated(self, message: dict[str, Any]) -> str | None:
        known = message.get("messageId")
        if known in self.seen:
            return "repeated_message_id"
        if known:
            self.seen.add(known)
        return None


def split_messages(body: bytes) -> list[bytes]:
    """The bytes of each message of a batch, measured as they came."""
    import msgspec

    batch = msgspec.json.decode(body, type=dict[str, msgspec.Raw])["batch"]
    return [bytes(item) for item in msgspec.json.decode(batch, type=list[msgspec.Raw])]


def discard_reason(message: Any) -> str | None:
    """Why Segment would take a message with 200 and then drop it, or None."""
    if not isinstance(message, dict):
        return "not_object"
    kind = message.get("type")
    if kind not in ("identify", "track", "page", "screen", "group", "alias"):
        return "type"
    return _ids(message) or _fields(message, kind) or _context(message, kind)


def _ids(message: dict[str, Any]) -> str | None:
    present = [message[key] for key in ("userId", "anonymousId") if message.get(key) is not None]
    if any(not isinstance(value, str) or not value for value in present):
        return "id_not_string"
    if not present:
        return "no_user_anon_id"
    known = message.get("messageId")
    if known is not None and (not isinstance(known, str) or not 0 < len(known) < 100):
        return "message_id"
    return None


def _fields(message: dict[str, Any], kind: str) -> str | None:
    if kind == "track":
        if "event" not in message:
            return "event_not_defined"
        if not isinstance(message["event"], str) or not message["event"]:
            return "event_not_string"
    for key in ("properties", "traits"):
        if key in message and not isinstance(message[key], dict):
            return f"{key}_not_object"
    if kind in ("page", "screen"):
        for key in ("name", "category"):
            if key in message and (not isinstance(message[key], str) or not message[key]):
                return f"{key}_not_string"
    if kind == "group" and (not isinstance(message.get("groupId"), str) or not message["groupId"]):
        return "group_id"
    if "timestamp" in message and not isinstance(message["timestamp"], str):
        return "timestamp"
    return None


def _context(message: dict[str, Any], kind: str) -> str | None:
    context = message.get("context", {})
    if not isinstance(context, dict):
        return "context_not_object"
    if "direct" in context:
        return "direct"
    device = context.get("device", {})
    if isinstance(device, dict) and "advertisingId" in device and not isinstance(device["advertisingId"], str):
        return "device_advertisingid_should_be_string"
    if kind == "track" and message["event"] == CONSENT_EVENT:
        consent = context.get("consent")
        if consent is None:
            return None
        if not isinstance(consent, dict) or not isinstance(consent.get("categoryPreferences"), dict):
            return "consent_category_preferences"
        if not all(isinstance(value, bool) for value in consent["categoryPreferences"].values()):
            return "consent_category_not_boolean"
        version = consent.get("version", 0)
        if isinstance(version, bool) or not isinstance(version, (int, float)):
            return "consent_version"
    return None
