"""JSON values at run time: what they are in Python, how their types convert, and how they are read and written.

Takes JSON bytes or Python values. Gives str, int, `Num`, bool, None, list, dict; `MISSING` is "no value" and never the same as null. A
number that is not a plain integer token is a `Num`: a float that remembers its own text, so that `1.50`, `1e2` and `-0` leave as they
came. The conversion table is closed: whatever it does not list is a `Fault`, and no type is ever guessed from text.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from waypost.lang import decimals
from waypost.lang.decimals import OutOfRange

MISSING: Final = msgspec.UNSET
"""No value. msgspec leaves a struct field that holds it out of the output."""

MAX_INT_DIGITS: Final = 4300
"""A longer integer token is a Num: Python reads and writes no more."""


class Malformed(ValueError):
    """Bytes that are no JSON text (RFC 8259), or text with a lone surrogate."""


class TooDeep(ValueError):
    """JSON nested more deeply than can be read."""


class Fault(Exception):
    """What an event did wrong: a reason code (events/results.py lists them) and a sentence. `field` is set by who knows the output."""

    def __init__(self, reason: str, message: str, field: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field


class Num(float):
    """A JSON number that is not a plain integer token; `text` is the token."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Num:
        self = super().__new__(cls, text)
        self.text = text
        return self


NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
"""The JSON number grammar."""


def integer_token(text: str) -> int | Num:
    """An integer token as int, except for those that int would not give back."""
    return Num(text) if text == "-0" or len(text.removeprefix("-")) > MAX_INT_DIGITS else int(text)


def number_token(text: str) -> int | Num:
    """Any JSON number token as a value."""
    return integer_token(text) if text.lstrip("-").isdecimal() else Num(text)


def _no_constant(text: str) -> Any:
    raise Malformed(f"{text} is not JSON")


_FAST = msgspec.json.Decoder(float_hook=Num)
_EXACT = json.JSONDecoder(parse_float=Num, parse_int=integer_token, parse_constant=_no_constant)


def decode(raw: bytes) -> Any:
    """The value of JSON bytes, number tokens kept. Raises Malformed or TooDeep."""
    if b"-0" not in raw:
        try:
            return _FAST.decode(raw)
        except msgspec.ValidationError:
            pass  # an integer of very many digits
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Malformed(str(error)) from None
        except RecursionError:
            raise TooDeep("nested too deeply") from None
    return _decode_exactly(raw)


def _decode_exactly(raw: bytes) -> Any:
    try:
        value = _EXACT.decode(raw.decode())
        # The json module lets lone surrogates and raw control characters through; msgspec does not.
        msgspec.json.decode(raw, type=msgspec.Raw)
        return value
    except RecursionError:
        raise TooDeep("nested too deeply") from None
    except (ValueError, msgspec.DecodeError) as error:
        raise Malformed(str(error)) from None


def _encode_hook(value: Any) -> Any:
    if isinstance(value, Num):
        return msgspec.Raw(value.text.encode())
    raise TypeError(f"cannot be written as JSON: {type(value).__name__}")


_ENCODER = msgspec.json.Encoder(enc_hook=_encode_hook)

encode: Callable[[Any], bytes] = _ENCODER.encode
"""Compact UTF-8 JSON. `msgspec.Raw` inside is copied as it stands."""

encode_lines: Callable[[Any], bytes] = _ENCODER.encode_lines
"""The same for the items of a list, each with a line feed behind it."""


def typeof(value: Any) -> str:
    """string, number, boolean, object, array, null or missing."""
    if value is None:
        return "null"
    if value is MISSING:
        return "missing"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, (int, float)):
        return "number"
    return "object" if isinstance(value, dict) else "array"


def deeper(value: Any, most: int) -> bool:
    """Whether it is nested more than so many levels deep, itself the first."""
    level = [value]
    for _ in range(most):
        level = [
            inner
            for one in level
            for inner in (one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
        ]
        if not level:
            return False
    return True


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def scalar_text(value: Any) -> str | None:
    """The text of a text, a number or a boolean; None for everything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_as_text(value) if is_number(value) else None


def number_text(value: Any) -> str:
    """A number's own token."""
    if isinstance(value, Num):
        return value.text
    return str(value) if isinstance(value, int) else encode(value).decode()


_PARTS = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")


def number_as_text(value: Any) -> str:
    """A number that becomes text: a whole one by its digits, for `12345`, `12345.0` and `1.2345E4` are one id; any other by its own token.

    No digit is made up or lost: what has a fraction, or more than decimals.DIGITS digits, stays as it was written. `-0` is `0`.
    """
    if value.__class__ is int:
        return str(value)
    text = number_text(value)
    match = _PARTS.fullmatch(text)
    if match is None:
        return text
    sign, whole, fraction, exponent = match[1], match[2], match[3] or "", match[4] or "0"
    digits = whole + fraction
    if not digits.strip("0"):
        return "0"
    if len(exponent) > 5:
        return text
    point = len(whole) + int(exponent)
    if digits[max(point, 0) :].strip("0") or not 0 < point <= decimals.DIGITS:
        return text
    return sign + digits[:point].ljust(point, "0").lstrip("0")


def _wrong(expected: str, value: Any) -> Fault:
    return Fault("wrong_type", f"expected {expected}, found {typeof(value)}")


def to_string(value: Any) -> str:
    if isinstance(value, str):
        return value
    if is_number(value):
        return number_as_text(value)
    raise _wrong("string", value)


def to_number(value: Any) -> Any:
    if is_number(value):
        return value
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return number_token(value)
    if isinstance(value, str):
        raise Fault("wrong_type", "expected number, found text that is no JSON number")
    raise _wrong("number", value)


def to_integer(value: Any) -> int | Num:
    number = to_number(value)
    if not isinstance(number, float):
        return int(number)
    text = number_text(number)
    if text.lstrip("-").isdecimal():
        return Num(text) if number else 0
    try:
        exact = decimals.exact(text)
    except OutOfRange as error:
        raise _no_integer(large=error.large) from None
    if decimals.is_whole(exact) and exact.adjusted() < decimals.DIGITS:
        return int(exact)
    raise _no_integer(large=exact.adjusted() >= decimals.DIGITS)


def _no_integer(*, large: bool) -> Fault:
    found = f"one of more than {decimals.DIGITS} digits" if large else "a number that is no integer"
    return Fault("wrong_type", f"expected integer, found {found}")


def to_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _wrong("boolean", value)


def to_object(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    if value == []:  # PHP's empty object
        return {}
    raise _wrong("object", value)


def to_array(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    raise _wrong("array", value)


_TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:(?P<mark>[Tt ])(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]+))?)?"
    r"(?P<zone>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_EPOCH = dt.datetime(1970, 1, 1)
_FIRST_US: Final = -62_135_596_800_000_000
_LAST_US: Final = 253_402_300_799_999_999


def _no_time(found: str) -> Fault:
    return Fault("wrong_type", f"expected a time, found {found}")


def _text_us(text: str) -> tuple[int, bool]:
    """Microseconds since 1970 of ISO 8601 text, and whether it is in a form that may be sent as it stands."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise _no_time("text that is not ISO 8601")
    try:
        moment = dt.datetime.fromisoformat(match["date"])
        micros = (moment - _EPOCH) // dt.timedelta(microseconds=1)
        if match["mark"]:
            hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
            dt.time(hour, minute, second)
            micros += ((hour * 60 + minute) * 60 + second) * 1_000_000
            micros += int((match["fraction"] or "0").ljust(9, "0")[:9]) // 1000
            micros -= _zone_seconds(match["zone"]) * 1_000_000
    except ValueError:
        raise _no_time("a date or time that does not exist") from None
    valid = match["mark"] in (None, "T") and match["zone"] != "z"
    return _in_range(micros), valid


def _zone_seconds(zone: str | None) -> int:
    if zone is None or zone in "Zz":
        return 0
    digits = zone[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    dt.time(hours, minutes)
    return (-1 if zone[0] == "-" else 1) * (hours * 60 + minutes) * 60


def _in_range(micros: int) -> int:
    if not _FIRST_US <= micros <= _LAST_US:
        raise _no_time("an instant outside the years 1 to 9999")
    return micros


def _number_us(value: Any) -> int:
    """Microseconds of a number: under 1e11 seconds, under 1e14 milliseconds, else microseconds."""
    size = abs(value)
    if not size < 1e18:
        raise _no_time("an instant outside the years 1 to 9999")
    places = 6 if size < 1e11 else 3 if size < 1e14 else 0
    text = number_text(value)
    try:
        exact = decimals.exact(text).scaleb(places, decimals.WIDE)
    except OutOfRange:
        return -1 if text.startswith("-") else 0
    # Floor, so that the same token always gives the same instant.
    return _in_range(int(exact.to_integral_value("ROUND_FLOOR")))


def to_unix_us(value: Any) -> int:
    if isinstance(value, str):
        return _text_us(value)[0]
    if is_number(value):
        return _number_us(value)
    raise _no_time(typeof(value))


def to_unix_ms(value: Any) -> int:
    return to_unix_us(value) // 1000


def to_unix(value: Any) -> int:
    return to_unix_us(value) // 1_000_000


def time_text(micros: int) -> str:
    """An instant in the canonical form: milliseconds, or six digits where it has more."""
    moment = _EPOCH + dt.timedelta(microseconds=micros)
    digits = f"{moment.microsecond:06d}"
    fraction = digits[:3] if digits.endswith("000") else digits
    return f"{moment.year:04d}-{moment:%m-%dT%H:%M:%S}.{fraction}Z"


def to_datetime(value: Any) -> str:
    """ISO 8601 text in a valid form as it stands; other readable forms and numbers in the canonical form."""
    if isinstance(value, str):
        # The form that almost every event has, judged without a pattern.
        if len(value) == 24 and value[4:22:3] == "--T::." and plain_instant(value):
            return value
        micros, valid = _text_us(value)
        return value if valid else time_text(micros)
    return time_text(to_unix_us(value))


def plain_instant(text: str) -> bool:
    """Whether text with the signs of `2026-11-24T12:00:00.123Z` in their places is an instant that exists."""
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    return text[23] == "Z"


TYPES: Final[dict[str, Callable[[Any], Any]]] = {
    "string": to_string,
    "number": to_number,
    "integer": to_integer,
    "boolean": to_boolean,
    "object": to_object,
    "array": to_array,
    "datetime": to_datetime,
    "unix": to_unix,
    "unix_ms": to_unix_ms,
    "unix_us": to_unix_us,
}
"""The types of `$from`'s `type`, each with its conversion."""
