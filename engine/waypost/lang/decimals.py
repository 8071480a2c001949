"""Exact decimals: a JSON number's token as a Decimal, and a Decimal as the number that is sent.

Takes tokens of any length and exponent. Gives Decimals of a bounded size, or OutOfRange: `1e999999999` is ten characters to read and a
thousand million digits to compute with. Why decimals: 19.99 has no binary form, and 19.99 * 100 is 1999.
"""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import Final

DIGITS: Final = 400
"""The most digits of an integer, and of any result: Python refuses to read or write thousands, and no API means them."""

EXPONENT: Final = 6144
"""Numbers to compute with lie between 1e-6144 and 1e6144, as those of IEEE 754's decimal128; so do the results."""

_WRONG = [decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow, decimal.Subnormal]
EXACT: Final = decimal.Context(DIGITS, decimal.ROUND_HALF_EVEN, -EXPONENT, EXPONENT, traps=[*_WRONG, decimal.Inexact])
"""Sums, differences and products: no digit is ever lost; a result of more than DIGITS is none."""

PLACES: Final = 34
"""The significant digits of a quotient that is not whole."""

QUOTIENT: Final = decimal.Context(PLACES, decimal.ROUND_HALF_EVEN, -EXPONENT, EXPONENT, traps=_WRONG)
"""Quotients: halves to the even neighbour."""

WIDE: Final = decimal.Context(decimal.MAX_PREC, decimal.ROUND_HALF_EVEN, decimal.MIN_EMIN, decimal.MAX_EMAX, traps=[])
"""For what only moves or drops digits of a token, however long it is."""


class OutOfRange(ArithmeticError):
    """A number beyond EXPONENT: `large`, or nearer to zero than any number to compute with."""

    def __init__(self, *, large: bool) -> None:
        super().__init__("a number to compute with lies between 1e-6144 and 1e6144")
        self.large = large


def exact(token: str) -> Decimal:
    """The value of a JSON number, all digits kept. Raises OutOfRange."""
    head, _, exponent = token.lower().partition("e")
    if not head.strip("-0."):
        return Decimal(0)
    try:
        found = Decimal(token)
    except decimal.InvalidOperation:
        raise OutOfRange(large=not exponent.startswith("-")) from None
    if not -EXPONENT <= found.adjusted() <= EXPONENT:
        raise OutOfRange(large=found.adjusted() > 0)
    return found


def size(token: str) -> tuple[int, str]:
    """What orders numbers without their signs: where the first digit stands (0 for zero), and the digits. Of any length and exponent."""
    head, _, exponent = token.lstrip("-").lower().partition("e")
    before, _, after = head.partition(".")
    digits = (before + after).lstrip("0")
    if not digits:
        return 0, ""
    sign = -1 if exponent.startswith("-") else 1
    power = exponent.lstrip("+-").lstrip("0") or "0"
    place = len(digits) - len(after) + sign * (int(power) if len(power) < _POWER else 10**_POWER)
    return (place + 2 * 10**_POWER, digits.rstrip("0"))


_POWER = 30
"""Exponents of more digits are all one."""


def is_whole(value: Decimal) -> bool:
    return value == value.to_integral_value()


def rounded(value: Decimal, digits: int) -> Decimal:
    """To so many digits behind the point (negative: before it), halves to the even neighbour."""
    digits = max(-EXPONENT, min(digits, EXPONENT))
    if int(value.as_tuple().exponent) >= -digits:
        return value
    return value.quantize(Decimal((0, (1,), -digits)), context=WIDE)


def token(value: Decimal) -> str:
    """A number as it is sent: whole ones in full up to DIGITS, no zeros at the end of a fraction, an exponent only where it is far shorter."""
    short = value.normalize(WIDE)
    if not short:
        return "0"
    if value.adjusted() < DIGITS and int(short.as_tuple().exponent) >= 0:
        return f"{short:f}"
    return str(short).lower().replace("e+", "e")
