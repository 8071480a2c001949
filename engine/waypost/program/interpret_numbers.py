"""The reference interpreter's arithmetic: what docs/spec-reference.md ("Arithmetic") says, in whole numbers and fractions.

Takes decoded JSON. Gives an int or a Num, or a Fault. Shares no line with lang/arithmetic.py, with which it is compared.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from waypost.lang import values
from waypost.lang.values import MISSING, Fault

MOST = 400
"""Digits of a result."""
PLACES = 34
"""Digits of a quotient."""
FAR = 6144
"""The first digit of a number to compute with stands at most so many places from the point."""

_OPERATIONS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
}


def arith(sign: str, left: Any, right: Any) -> Any:
    if left in (MISSING, None) or right in (MISSING, None):
        return MISSING
    first, second = _fraction(left), _fraction(right)
    if sign == "/" and second == 0:
        raise _fault("division by zero")
    found = _OPERATIONS[sign](first, second)
    if sign == "/" and found and (found.denominator > 1 or _place_of(found) >= MOST):
        found = _cut(found)
    return _sent(found)


def total(items: Any) -> Any:
    found = Fraction(0)
    for item in items:
        found += 0 if item is None else _fraction(item)
        _sent(found)
    return _sent(found)


def rounded(value: Any, digits: int = 0) -> Any:
    whole, places = _parts(value)
    if whole and (_first_place(whole, places) > FAR or values.number_text(value).lstrip("-").isdecimal()):
        return value
    if whole and _first_place(whole, places) < -FAR:
        return 0
    unit = Fraction(10) ** -digits
    return _sent(round(_fraction(value) / unit) * unit, most=None)


def _parts(value: Any) -> tuple[int, int]:
    """A number as whole * 10 ** places."""
    if not values.is_number(value):
        raise _fault(f"expected a number, found {values.typeof(value)}")
    head, _, exponent = values.number_text(value).lower().partition("e")
    before, _, after = head.partition(".")
    whole = 0
    digits = before.lstrip("-") + after
    for start in range(0, len(digits), 1000):
        piece = digits[start : start + 1000]
        whole = whole * 10 ** len(piece) + int(piece)
    # So many places that any exponent beyond is as far away as this one.
    most = 10**9
    places = int((exponent or "0")[:12]) if len(exponent) < 12 else -most if exponent.startswith("-") else most
    return -whole if head.startswith("-") else whole, places - len(after)


def _first_place(whole: int, places: int) -> int:
    """Where the first digit stands: 0 before the point, -1 behind it."""
    whole, size = abs(whole), 0
    while whole >= 10**1000:
        whole, size = whole // 10**1000, size + 1000
    return size + len(str(whole)) - 1 + places


def _fraction(value: Any) -> Fraction:
    whole, places = _parts(value)
    if not whole:
        return Fraction(0)
    if abs(_first_place(whole, places)) > FAR:
        raise _fault("a number out of range")
    return Fraction(whole) * Fraction(10) ** places


def _cut(found: Fraction) -> Fraction:
    """To PLACES significant digits."""
    unit = Fraction(10) ** (_place_of(found) - PLACES + 1)
    return round(found / unit) * unit


def _place_of(found: Fraction) -> int:
    """Where a fraction's first digit stands."""
    found = abs(found)
    guess = _first_place(found.numerator, 0) - _first_place(found.denominator, 0)
    return guess if found >= Fraction(10) ** guess else guess - 1


def _sent(found: Fraction, most: int | None = MOST) -> Any:
    """A result that has a finite decimal form, as a JSON number."""
    if not found:
        return 0
    place = _place_of(found)
    if abs(place) > FAR:
        raise _fault("the result is out of range")
    whole, places = found.numerator, 0
    while found.denominator > 1:
        steps = 1000 if found.denominator % 10**1000 == 0 else 1
        found, places = found * 10**steps, places - steps
        whole = found.numerator
    while whole % 10 == 0:
        whole, places = whole // 10, places + 1
    digits = _text(abs(whole))
    if most is not None and len(digits) > most:
        raise _fault("the result has too many digits")
    sign = "-" if whole < 0 else ""
    if places >= 0 and len(digits) + places <= MOST:
        return values.integer_token(sign + digits + "0" * places)
    if places == 0:
        return values.number_token(sign + digits)
    if places > 0 or place < -6:
        point = "." + digits[1:] if len(digits) > 1 else ""
        return values.number_token(f"{sign}{digits[0]}{point}e{place}")
    padded = digits.rjust(1 - places, "0")
    return values.number_token(f"{sign}{padded[:places]}.{padded[places:]}")


def _text(whole: int) -> str:
    """The digits of a number of any size."""
    found = ""
    while whole >= 10**1000:
        whole, rest = divmod(whole, 10**1000)
        found = str(rest).rjust(1000, "0") + found
    return str(whole) + found


def _fault(message: str) -> Fault:
    return Fault("filter", message)
