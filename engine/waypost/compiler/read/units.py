"""Quantities with a unit: `500kB` and `32KiB`, `1s` and `24h`, `1000/s`. Takes text; gives a number in bytes or seconds, or None.

`meant` reads what people write instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(B|kB|MB|GB|KiB|MiB|GiB)")
_SIZES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|s|m|h|d)")
_TIMES = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RATE = re.compile(r"([0-9]+)/([0-9]*)(s|m|h|d)")

PATTERNS = {"size": _SIZE.pattern, "time": _TIME.pattern, "rate": _RATE.pattern}
"""The forms, for editors."""

SIZE_HELP = "write a size with its unit, such as `500kB` (1000) or `32KiB` (1024)"
TIME_HELP = "write a time with its unit, such as `500ms`, `1s`, `10m`, `24h` or `7d`"
RATE_HELP = "write a rate as count and time, such as `1000/s` or `30000/m`"


MOST_BYTES = 2**50
MOST_SECONDS = 36_500 * 86_400
"""A century. What is more than these is a slip, and no clock or buffer holds it."""


def _scaled(number: str, unit: Decimal, most: int) -> Decimal | None:
    """A quantity, unless it is more than can be meant."""
    if len(number) > 40:
        return None
    exact = Decimal(number) * unit
    return exact if exact <= most else None


def size(text: str) -> int | None:
    """Bytes."""
    match = _SIZE.fullmatch(text)
    if match is None:
        return None
    exact = _scaled(match[1], Decimal(_SIZES[match[2]]), MOST_BYTES)
    return int(exact) if exact and exact == exact.to_integral_value() else None


def seconds(text: str) -> float | None:
    match = _TIME.fullmatch(text)
    exact = _scaled(match[1], Decimal(str(_TIMES[match[2]])), MOST_SECONDS) if match else None
    return None if exact is None else round(float(exact), 6)


def rate(text: str) -> tuple[int, float] | None:
    """(count, seconds): `1000/s`, `3000/3s`."""
    match = _RATE.fullmatch(text)
    if match is None or max(len(match[1]), len(match[2])) > 12 or int(match[1]) == 0 or match[2].startswith("0"):
        return None
    per = int(match[2] or 1) * _TIMES[match[3]]
    return (int(match[1]), per) if per <= MOST_SECONDS else None


_WORDS = (
    (r"milliseconds?|millis|msecs?", "ms"),
    (r"seconds?|secs?", "s"),
    (r"minutes?|mins?", "m"),
    (r"hours?|hrs?|hr", "h"),
    (r"days?", "d"),
)
_LIKE = {
    "kb": "kB",
    "mb": "MB",
    "gb": "GB",
    "kib": "KiB",
    "mib": "MiB",
    "gib": "GiB",
    "b": "B",
    "bytes": "B",
    "byte": "B",
}


def meant(text: str, read: Callable[[str], Any]) -> tuple[str | None, bool]:
    """The quantity that a text most likely means, if `read` takes it, and whether it can mean nothing else.

    A time or rate in words is certain; `KB` may be 1000 or 1024 bytes, so it is not.
    """
    said = re.sub(r"\bper\b", "/", text.strip().replace("_", "").lower())
    for words, unit in _WORDS:
        said = re.sub(rf"(?<=[\d\s/])\s*(?:{words})\b", unit, said)
    said = re.sub(r"\s+", "", said)
    if read is size:
        number = re.fullmatch(r"([\d.]+)([a-z]+)", said)
        said = f"{number[1]}{_LIKE.get(number[2], number[2])}" if number else said
    found = said if read(said) is not None else None
    exact = read is not size or text.strip().endswith(("iB", "bytes", "byte"))
    return found, found is not None and exact
