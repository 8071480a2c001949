"""The body of a tracking API request becomes events, ready for the journal. Pure: no I/O, no clock, no random but what is handed in.

Takes a call (`CALLS`: what a path means), a decompressed body and the instant of its arrival. Gives the write key that the body names and one
row of bytes an event; what cannot be taken is a `Refused` with the status and the words of the answer.

Only the top level of an event is taken apart (`dict[str, Raw]`): properties, traits and context pass as the bytes that came, so every number
survives. What is changed, once and before journaling: `type` is the path's; a missing `messageId` is made; `timestamp` is corrected by the
sender's clock (`_stamp`); `sentAt` and `writeKey` are taken off; an envelope's `context` and `integrations` are laid under each item's;
line breaks between tokens become blanks; half a surrogate pair, which is no character, becomes U+FFFD.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from waypost.lang import values
from waypost.lang.surrogates import repaired
from waypost.state.journal_source import turned_row

Event = dict[str, Raw]

TYPES: Final = ("identify", "track", "page", "screen", "group", "alias")
BATCH: Final = "batch"

CALLS: Final[dict[str, str]] = {
    **{f"/v1/{name}": name for name in TYPES},
    **{f"/v1/{name[0]}": name for name in TYPES},
    **{f"/v1/{name}": BATCH for name in ("batch", "import", "b")},
}
"""What each path means: a type of event, or a batch. Browsers use the paths of one letter."""


@dataclass(frozen=True)
class Limits:
    """`body` is in bytes after decompression, and bounds what comes compressed as well; `event` in bytes as sent; `events` an envelope;
    `requests` and `held` (bytes of events) bound what waits for the journal at one time; a body must be there within `body_s`."""

    body: int = 1 << 20
    event: int = 32 << 10
    events: int = 2500
    requests: int = 1024
    held: int = 64 << 20
    body_s: float = 30.0
    retry_after_s: int = 5


class Refused(Exception):
    """A request that is not taken, nothing of it. `message` holds no data of the request; `headers` go with the answer."""

    def __init__(self, status: int, code: str, message: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers


class Envelope(msgspec.Struct, gc=False):
    """Items and what their envelope says of all of them. A single call is an envelope of one, without context. What is no object is a Raw."""

    batch: list[Event] | list[Event | Raw]
    writeKey: Raw | UnsetType = UNSET
    sentAt: Raw | UnsetType = UNSET
    context: Event | None = None
    integrations: Raw | UnsetType = UNSET


class _Sound(Envelope, gc=False):
    """An envelope as it should be: decoded at once."""

    batch: list[Event]


class _Loose(msgspec.Struct, gc=False):
    """An envelope in which something is not what it should be: looked at piece by piece."""

    batch: list[Raw]
    writeKey: Raw | UnsetType = UNSET
    sentAt: Raw | UnsetType = UNSET
    context: Raw | UnsetType = UNSET
    integrations: Raw | UnsetType = UNSET


_decode_batch: Final = msgspec.json.Decoder(_Sound).decode
_decode_loose: Final = msgspec.json.Decoder(_Loose).decode
_decode_event: Final = msgspec.json.Decoder(Event).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_time: Final = msgspec.json.Decoder(dt.datetime).decode
_encode: Final = msgspec.json.Encoder().encode

_KNOWN: Final = {f'"{name}"'.encode() for name in TYPES}
_NOTHING: Final = (Raw(b"null"), Raw(b'""'))
_EMPTY: Final = (Raw(b"null"), Raw(b"[]"))
"""No object: PHP writes an empty one as an empty list."""
_MS: Final = dt.timedelta(milliseconds=1)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def opened(call: str, body: bytes, limits: Limits) -> Envelope:
    """The envelope of a body. Raises Refused."""
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise Refused(400, "invalid_utf8", f"the body is not UTF-8 (byte {error.start})") from None
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        envelope = _envelope(call, body)
    except msgspec.ValidationError as error:
        raise Refused(400, "invalid_request", _wrong_shape(call, str(error))) from None
    except msgspec.DecodeError as error:
        # Text that was cut inside an emoji is common in browsers, and must not drag a whole batch down.
        whole = repaired(body)
        if whole == body:
            raise Refused(400, "malformed_json", _malformed(body, str(error))) from None
        return opened(call, whole, limits)
    except RecursionError:
        raise Refused(400, "too_deep", "the body is nested too deeply") from None
    if len(envelope.batch) > limits.events:
        raise Refused(
            413, "too_many_events", f"the batch has {len(envelope.batch)} events, at most {limits.events} are allowed"
        )
    if len(body) > limits.event:
        _check_sizes(call, envelope.batch, limits)
    return envelope


def _envelope(call: str, body: bytes) -> Envelope:
    if b"\n" in body or b"\r" in body:
        # Between tokens only: inside a string they are no JSON, which the decoder says of the body as it came.
        msgspec.json.decode(body, type=Raw)
        body = body.replace(b"\n", b" ").replace(b"\r", b" ")
    if call == BATCH:
        try:
            return _decode_batch(body)
        except msgspec.ValidationError:
            return _pieced(_decode_loose(body))
    event = _decode_event(body)
    return Envelope([event], event.get("writeKey", UNSET), event.get("sentAt", UNSET))


def _pieced(loose: _Loose) -> Envelope:
    """What is good of an envelope: one bad event is no reason to lose the others, and a context that is no object says nothing of them."""
    items: list[Event | Raw] = []
    for raw in loose.batch:
        event = _object(raw)
        items.append(raw if event is None else event)
    context = None if loose.context is UNSET else _object(loose.context)
    return Envelope(items, loose.writeKey, loose.sentAt, context, loose.integrations)


def _malformed(body: bytes, error: str) -> str:
    if not body.strip():
        return "the body is empty: expected a JSON object"
    return f"the body is not JSON: {error.removeprefix('JSON is malformed: ')}"


def _wrong_shape(call: str, error: str) -> str:
    """msgspec's words, with the place in the words of the API."""
    what, _, where = error.partition(" - at `")
    place = where.rstrip("`").removeprefix("$").removeprefix(".")
    if "missing required field" in what:
        return '`batch` is missing: expected {"batch": [event, ...]}'
    return f"{f'`{place}`' if place else 'the body'}: {what[:1].lower()}{what[1:]}"


def write_key(envelope: Envelope) -> str:
    """The body's write key; empty when it has none, or one that is no text."""
    if envelope.writeKey is UNSET:
        return ""
    try:
        return _decode_text(envelope.writeKey)
    except msgspec.DecodeError:
        return ""


def rows(call: str, envelope: Envelope, received: dt.datetime, new_id: Callable[[], str]) -> list[bytes]:
    """The events as they are kept, one JSON object each; of a batch, what is no event as a row with its reason. `received` is in UTC, in
    whole milliseconds."""
    now = _text(received)
    shift = _shift(envelope.sentAt, received)
    spread = bool(envelope.context) or envelope.integrations is not UNSET
    fixed = None if call == BATCH else Raw(f'"{call}"'.encode())
    out: list[bytes] = []
    for index, event in enumerate(envelope.batch):
        if fixed is None and (wrong := _wrong(event, index)) is not None:
            out.append(turned_row(_encode(event), *wrong))
            continue
        assert isinstance(event, dict)
        if fixed is not None:
            event["type"] = fixed
        event.pop("writeKey", None)
        sent = event.pop("sentAt", None)
        _stamp(event, now, shift if sent is None else _shift(sent, received))
        known = event.get("messageId")
        if known is None or known in _NOTHING:
            event["messageId"] = Raw(b'"' + new_id().encode() + b'"')
        if spread:
            _spread(event, envelope)
        out.append(_encode(event))
    return out


def _wrong(event: Event | Raw, index: int) -> tuple[str, str] | None:
    """Why an item of a batch is no event: a reason (results.REASONS) and a sentence without its data."""
    if not isinstance(event, dict):
        return "not_object", f"`batch[{index}]`: expected an object"
    found = event.get("type")
    if found is None:
        return "type_missing", f"`batch[{index}].type` is missing: expected one of {', '.join(TYPES)}"
    if bytes(found) in _KNOWN:
        return None
    try:
        known = _decode_text(found) in TYPES
    except msgspec.DecodeError:
        known = False
    return None if known else ("type_unknown", f"`batch[{index}].type`: expected one of {', '.join(TYPES)}")


def _check_sizes(call: str, batch: list[Event] | list[Event | Raw], limits: Limits) -> None:
    for index, event in enumerate(batch):
        size = len(_encode(event))
        if size > limits.event:
            what = f"`batch[{index}]`" if call == BATCH else "the event"
            raise Refused(413, "event_too_large", f"{what} has {size} bytes, at most {limits.event} are allowed")


def _stamp(event: Event, now: Raw, shift: dt.timedelta | None) -> None:
    """Sets `timestamp`: received - (sent - original). An event that carries `originalTimestamp` beside `timestamp` was corrected by whoever set
    it, and is left alone; one that carries it alone means it."""
    raw, original = event.get("timestamp"), event.get("originalTimestamp")
    if raw is None or raw in _NOTHING:
        if original is None or original in _NOTHING:
            event["timestamp"] = now
            return
        event["timestamp"] = raw = original
    elif original is not None and original not in _NOTHING:
        return
    moment = _moment(raw) if shift else None
    if moment is None or shift is None:
        return
    try:
        event["timestamp"] = _text(moment + shift)
    except OverflowError:
        return
    event["originalTimestamp"] = raw


def _shift(sent: Raw | UnsetType, received: dt.datetime) -> dt.timedelta | None:
    """By how much the sender's clock is behind ours, in whole milliseconds: the digits after them stay the sender's."""
    moment = None if isinstance(sent, UnsetType) else _moment(sent)
    # A small number is no clock.
    if moment is None or isinstance(sent, UnsetType) or (moment.year < 2000 and bytes(sent)[:1] != b'"'):
        return None
    return (received - moment) // _MS * _MS


def _moment(raw: Raw) -> dt.datetime | None:
    """The instant of ISO 8601 text (no zone: UTC) or of a number, in UTC; None for anything else."""
    if raw and bytes(raw)[0] in b"-0123456789":
        return _instant(values.decode(bytes(raw)))
    try:
        found = _decode_time(raw)
        return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
    except (msgspec.DecodeError, OverflowError):
        pass
    try:
        return _instant(_decode_text(raw))
    except msgspec.DecodeError:
        return None


def _instant(value: Any) -> dt.datetime | None:
    try:
        return _EPOCH + dt.timedelta(microseconds=values.to_unix_us(value))
    except (values.Fault, OverflowError):
        return None


def _text(moment: dt.datetime) -> Raw:
    """An instant in UTC as JSON text: milliseconds, or six digits where it has more. (Three times as fast as `isoformat`.)"""
    text, micros = _encode(moment), moment.microsecond
    if not micros:
        return Raw(text[:-2] + b'.000Z"')
    return Raw(text if micros % 1000 else text[:-5] + b'Z"')


def _spread(event: Event, envelope: Envelope) -> None:
    """Lays the envelope's `context` and `integrations` under the event's, key by key: the event's win."""
    if envelope.context:
        _lay_under(event, "context", envelope.context)
    if envelope.integrations is not UNSET:
        under = _object(envelope.integrations)
        if under:
            _lay_under(event, "integrations", under)


def _lay_under(event: Event, name: str, under: Event) -> None:
    own = event.get(name)
    if own is None or own in _EMPTY:
        event[name] = Raw(_encode(under))
    elif (mine := _object(own)) is not None:
        event[name] = Raw(_encode({**under, **mine}))


def _object(raw: Raw) -> Event | None:
    try:
        return _decode_event(raw)
    except msgspec.DecodeError:
        return None
