"""The checks of `$from`, in their one order. Takes a plan's From node, a decoded value and the instant; gives the value, MISSING or a Fault.

`default` and `required` are not here: they act on what the checks leave, and generated code states them in line.
"""

from __future__ import annotations

from typing import Any

from waypost.lang import formats, fql, patterns, values
from waypost.lang.values import MISSING, Fault
from waypost.plan import From

SAID = {
    "email": "email address",
    "uri": "URI",
    "ipv4": "IPv4 address",
    "ipv6": "IPv6 address",
    "uuid": "UUID",
    "e164": "phone number of E.164",
}
"""Formats in words, where their name is none."""


def run_checks(node: From, value: Any, now: float) -> Any:
    """nulls, empty, single, type, enum, format, pattern, max_length, max_bytes, max_age, max_ahead; what fails obeys `invalid`."""
    if value is None:
        if node.nulls == "keep":
            return None
        value = MISSING if node.nulls == "omit" else ""
    if value is MISSING or (node.empty == "omit" and value in ("", [], {})):
        return MISSING
    if node.single and not isinstance(value, list):
        value = [value]
    try:
        return _judge(node, value, now)
    except Fault:
        if node.invalid == "omit":
            return MISSING
        raise


def _judge(node: From, value: Any, now: float) -> Any:
    if node.type is not None:
        value = values.TYPES[node.type](value)
    if node.enum is not None and not any(fql.equal(value, member) for member in node.enum):
        raise Fault("not_in_enum", f"{shown(value)} is not one of {', '.join(shown(member) for member in node.enum)}")
    if node.format is not None and not formats.TEXT_FORMATS[node.format](_text(value, "format")):
        raise Fault("format", f"{shown(value)} is no {SAID.get(node.format, node.format)}")
    if node.pattern is not None and not patterns.compiled(node.pattern).fits(_text(value, "pattern")):
        raise Fault("pattern", f"{shown(value)} does not match the pattern {node.pattern}")
    if node.max_length is not None and len(_text(value, "max_length")) > node.max_length:
        raise Fault("too_long", f"{len(value)} characters, at most {node.max_length} are allowed")
    if node.max_bytes is not None and len(_text(value, "max_bytes").encode()) > node.max_bytes:
        raise Fault("too_long", f"{len(value.encode())} bytes, at most {node.max_bytes} are allowed")
    if node.max_age_s is not None or node.max_ahead_s is not None:
        _judge_time(node, value, now)
    return value


def _judge_time(node: From, value: Any, now: float) -> None:
    instant = values.to_unix_us(value) / 1_000_000
    if node.max_age_s is not None and instant < now - node.max_age_s:
        raise Fault("too_old", f"{shown(value)} is more than {node.max_age_s:g} s old")
    if node.max_ahead_s is not None and instant > now + node.max_ahead_s:
        raise Fault("too_far_ahead", f"{shown(value)} is more than {node.max_ahead_s:g} s ahead")


def _text(value: Any, check: str) -> str:
    if isinstance(value, str):
        return value
    raise Fault("wrong_type", f"{check} needs text, found {values.typeof(value)}")


def shown(value: Any) -> str:
    """A value for a message, cut at 80 characters."""
    text = values.encode(value).decode()
    return text if len(text) <= 80 else text[:77] + "..."
