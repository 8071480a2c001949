"""What generated code calls when a step is not worth a line of its own.

Takes values in the forms that generated code holds: decoded JSON, `Raw` (the bytes of a value), or MISSING. Gives the same. Each function
states a rule of docs/spec-reference.md once, for the fast and the general loader alike; `program/interpret.py` states it a second time, on
its own, so that a property test can compare the two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from waypost.lang import values
from waypost.lang.surrogates import repaired
from waypost.lang.values import MISSING, Fault
from waypost.plan import From

_MEMBERS: msgspec.json.Decoder[dict[str, Raw]] = msgspec.json.Decoder(dict[str, Raw])
_NULL = b"null"
_BLANK = (b"null", b'""')


def full(value: Any) -> Any:
    """The decoded value of a slot."""
    return values.decode(bytes(value)) if value.__class__ is Raw else value


def event_of(line: bytes) -> Any:
    """The whole event of a line that has been found to be one."""
    return values.decode(repaired(line))


def one(value: Any) -> Any:
    """A copied value (or MISSING) as text, number, boolean or None; lists and objects stay Raw."""
    if value is MISSING:
        return value
    data = bytes(value)
    if data[0] == 34 and data.count(b"\\") == 0:
        return data[1:-1].decode()
    return value if data[0] in b"{[" else values.decode(data)


def reopen(value: Any) -> Any:
    """The decoded value of something that was put together for the output."""
    if value is MISSING:
        return MISSING
    return values.decode(values.encode(value))


def absent(value: Any) -> bool:
    """Missing or null."""
    return value is MISSING or value is None or (value.__class__ is Raw and bytes(value) == _NULL)


def blank(value: Any) -> bool:
    """Missing, null or "": what `require` does not count as present."""
    if value.__class__ is Raw:
        return bytes(value) in _BLANK
    return value is MISSING or value is None or value == ""


def members(value: Any) -> dict[str, Any] | None:
    """The members of an object to merge or pick from; None for missing, null and an empty list, which is PHP's empty object. Another value is
    a Fault (wrong_shape)."""
    if value is MISSING or value is None:
        return None
    if value.__class__ is Raw:
        data = bytes(value)
        if data[0] == 123:
            return _MEMBERS.decode(data)
        value = values.decode(data)
    if isinstance(value, dict):
        return dict(value)
    if value is None or value == []:
        return None
    raise Fault("wrong_shape", f"expected an object, found {values.typeof(value)}")


def merged(*parts: dict[str, Any] | None) -> dict[str, Any] | None:
    """Several objects' members (`members`), later wins: those of the last in its order, then what the others have besides. None of none."""
    found: dict[str, Any] | None = None
    for part in reversed(parts):
        if found is None:
            found = part
        elif part is not None:
            found.update({key: value for key, value in part.items() if key not in found})
    return found


def object_raw(value: Any) -> Any:
    """An object as it stands; missing for missing, null and an empty list. Another value is a Fault (wrong_shape)."""
    if value.__class__ is Raw:
        data = bytes(value)
        if data[0] == 123:
            return value
        value = values.decode(data)
    if value is MISSING or value is None or value == []:
        return MISSING
    raise Fault("wrong_shape", f"expected an object, found {values.typeof(value)}")


def picked(found: dict[str, Any] | None, keys: tuple[str, ...]) -> dict[str, Any] | None:
    """Those keys of an object, in the order of `keys`; None when none is there."""
    if not found:
        return None
    return {key: found[key] for key in keys if key in found} or None


def left(found: dict[str, Any] | None, dropped: frozenset[str]) -> dict[str, Any] | None:
    """All but those keys of an object, in its order; None when none is left."""
    if not found:
        return None
    return {key: value for key, value in found.items() if key not in dropped} or None


def string_of(value: Any) -> Any:
    """`type: string` on a slot or Raw value: null is missing, numbers become text."""
    value = full(value)
    return MISSING if value is MISSING or value is None else values.to_string(value)


def filled_string_of(value: Any) -> Any:
    """The same with `empty: omit`, which comes before `type`: an empty list or object is missing, not of the wrong type."""
    value = full(value)
    return MISSING if value in ([], {}) else string_of(value)


def string_or_missing(value: Any) -> Any:
    """`type: string` with `invalid: omit`."""
    try:
        return string_of(value)
    except Fault:
        return MISSING


def typed(name: str) -> Callable[[Any], Any]:
    """`type: NAME` on a slot or value: null is missing."""
    convert = values.TYPES[name]

    def to_type(value: Any) -> Any:
        value = full(value)
        return MISSING if value is MISSING or value is None else convert(value)

    return to_type


def text_part(value: Any) -> Any:
    """A part of a mixed template as text; missing for missing and null."""
    value = full(value)
    if value.__class__ is str:
        return value
    if value is MISSING or value is None:
        return MISSING
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, (dict, list)):
        return values.encode(value).decode()
    return values.number_as_text(value)


def scalar_key(value: Any) -> Any:
    """The text by which `$lookup` looks a value up; missing for missing and null. A list or object is a Fault (wrong_type)."""
    value = full(value)
    if isinstance(value, (dict, list)):
        raise Fault("wrong_type", f"expected text, a number or a boolean to look up, found {values.typeof(value)}")
    return text_part(value)


def checker(node: From) -> Callable[[Any, float], Any]:
    """The checks of a `$from` as one function of (decoded value, now): the value, MISSING, or a Fault. Not `default` and `required`."""
    from waypost.lang.checks import run_checks

    def check(value: Any, now: float) -> Any:
        return run_checks(node, value, now)

    return check


def id_heads(owner: str) -> Callable[[Any, bytes, int, bytes, str], bytes]:
    """What `meta.id` begins with for one connection (or plan): of an event's own id, or of its line and place, and an action."""
    tail = b"\0" + owner.encode() + b"\0"

    def head(event_id: Any, line: bytes, offset: int, first_line: bytes, action: str) -> bytes:
        if event_id.__class__ is str and event_id:
            return b"%b%b%b\0" % (event_id.encode(), tail, action.encode())
        return b"%b\0%d\0%b%b%b\0" % (line, offset, first_line, tail, action.encode())

    return head


def id_of(head: bytes, item: int | str | None) -> str:
    """`meta.id`: 32 hex characters, the same at every attempt, restart, replay and second run."""
    key = head if item is None else head + str(item).encode()
    return hashlib.blake2b(key, digest_size=16).hexdigest()


def message_ids(owner: str) -> Callable[[Any, bytes, tuple[int, bytes], str, object], str]:
    """`meta.id` of a message that is no item's, in one call (the kernel's)."""
    head = id_heads(owner)

    def meta_id(event_id: Any, line: bytes, at: tuple[int, bytes], action: str, item: object) -> str:
        return id_of(head(event_id, line, *at, action), None)

    return meta_id


def as_object(value: Any) -> Any:
    """`type: object` on a copied value: null is missing, an object stays as it stands, anything else is a Fault (wrong_type)."""
    if value.__class__ is Raw:
        data = bytes(value)
        if data[0] == 123:
            return value
        if data == _NULL:
            return MISSING
        value = values.decode(data)
    if value is MISSING or value is None:
        return MISSING
    return values.to_object(value)
