"""`+ - * /`, `sum`, `round` and comparison of JSON numbers: decimal, exact, bounded; 19.99 * 100 is 1999.

Takes decoded JSON. Gives an int where the result is whole, else a Num, its text the shortest; or a Fault (reason "filter").
docs/spec-reference.md ("Arithmetic") has the limits. `program/interpret.py` states the same a second time, in fractions.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from waypost.lang import decimals, values
from waypost.lang.decimals import EXACT, PLACES, QUOTIENT, OutOfRange
from waypost.lang.values import MISSING, Fault

_SMALL: Final = 10 ** (decimals.DIGITS // 2)
"""Products of integers below it need no look at their size."""

_OPERATIONS: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": EXACT.add,
    "-": EXACT.subtract,
    "*": EXACT.multiply,
    "/": lambda left, right: _quotient(left, right),
}


def arith(sign: str, left: Any, right: Any) -> Any:
    """`left sign right`: numbers only; missing and null give missing."""
    if left.__class__ is int and right.__class__ is int and -_SMALL < left < _SMALL and -_SMALL < right < _SMALL:
        if sign == "*":
            return left * right
        if sign != "/":
            return left + right if sign == "+" else left - right
        if right and left % right == 0:
            return left // right
    elif left is MISSING or left is None or right is MISSING or right is None:
        return MISSING
    return number(_computed(sign, operand(left, sign), operand(right, sign)))


def _computed(sign: str, left: Decimal, right: Decimal) -> Decimal:
    if sign == "/" and not right:
        raise _fault("division by zero")
    try:
        return _OPERATIONS[sign](left, right)
    except (decimal.Overflow, decimal.Subnormal):
        raise _fault("the result is too large or too small for a number") from None
    except decimal.Inexact:
        raise _fault(f"the result has more than {decimals.DIGITS} digits") from None


def _quotient(left: Decimal, right: Decimal) -> Decimal:
    found = QUOTIENT.divide(left, right)
    if PLACES <= found.adjusted() <= decimals.DIGITS:
        # A whole one keeps its digits.
        whole = decimals.WIDE.divide_int(left, right)
        if whole.adjusted() < decimals.DIGITS and decimals.WIDE.multiply(whole, right) == left:
            return whole
    return found


def operand(value: Any, sign: str) -> Decimal:
    """A number to compute with; anything else is a Fault."""
    if not values.is_number(value):
        raise _fault(f"`{sign}` takes numbers, found {values.typeof(value)}")
    try:
        return decimals.exact(values.number_text(value))
    except OutOfRange as error:
        raise _fault(str(error)) from None


def number(result: Decimal) -> Any:
    """A result as the number that is sent."""
    return values.number_token(decimals.token(result))


def total(items: list[Any]) -> Any:
    """The sum; nulls are left out."""
    whole, exact = 0, Decimal(0)
    for item in items:
        if item.__class__ is int and -_SMALL < item < _SMALL and -_SMALL < whole < _SMALL:
            whole += item
        elif item is not None:
            exact = _computed("+", exact, operand(item, "+"))
    return whole if not exact else number(_computed("+", exact, Decimal(whole)))


def rounded(value: Any, digits: int = 0) -> Any:
    """To so many digits, halves to the even neighbour. A number too large to compute with has none to drop, and stays as it is."""
    text = values.number_text(value)
    if digits >= 0 and value and text.lstrip("-").isdecimal():
        return value
    try:
        return number(decimals.rounded(decimals.exact(text), digits))
    except OutOfRange as error:
        return value if error.large or digits > decimals.EXPONENT else 0


_IN_FLOATS: Final = 2**53


def compare(left: Any, right: Any) -> int:
    """-1, 0 or 1: two numbers by their value, to the last digit, whatever their exponents."""
    if -_IN_FLOATS < left < _IN_FLOATS and -_IN_FLOATS < right < _IN_FLOATS and left != right:
        return -1 if left < right else 1
    if left.__class__ is int and right.__class__ is int:
        return (left > right) - (left < right)
    first, second = values.number_text(left), values.number_text(right)
    if first == second:
        return 0
    one, other = decimals.size(first), decimals.size(second)
    signs = (one > (0, "")) * (-1 if first[0] == "-" else 1), (other > (0, "")) * (-1 if second[0] == "-" else 1)
    if signs[0] != signs[1]:
        return -1 if signs[0] < signs[1] else 1
    return ((one > other) - (one < other)) * (signs[0] or 1)


def _fault(message: str) -> Fault:
    return Fault("filter", message)
