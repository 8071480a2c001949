"""The formats of `$from`'s `format`: whether a text has a form that many APIs ask for. Nothing is changed, and nobody is asked.

Takes text. Gives `TEXT_FORMATS`, a table of name -> test. A form is what the standard says, without what no server takes (an email address
with a comment). Patterns are RE2's, linear in the text.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Callable
from typing import Final

from waypost.lang import patterns, values
from waypost.lang.values import Fault

_LABEL = "[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?"
_WORD = "[0-9A-Za-z!#$%&'*+/=?^_`{|}~\\x{80}-\\x{10FFFF}-]+"
_HOSTNAME = f"{_LABEL}(?:\\.{_LABEL})*\\.?"
_EMAIL = f"{_WORD}(?:\\.{_WORD})*@(?:{_LABEL}\\.)+{_LABEL}"
_PART = "(?:[0-9A-Za-z._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
_HOST = "(?:\\[[0-9A-Fa-f:.]+\\]|(?:[0-9A-Za-z._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)"
_AUTHORITY = f"(?:(?:[0-9A-Za-z._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{{2}})*@)?{_HOST}(?::[0-9]*)?"
_URI = (
    f"[A-Za-z][0-9A-Za-z+.-]*:(?://{_AUTHORITY}(?:/{_PART}*)*|//(?:/{_PART}*)+|/?{_PART}+(?:/{_PART}*)*)"
    f"(?:\\?(?:{_PART}|[/?])*)?(?:#(?:{_PART}|[/?])*)?"
)
_UUID = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"


def _fits(pattern: str, longest: int = 0) -> Callable[[str], bool]:
    return lambda text: (not longest or len(text) <= longest) and patterns.compiled(pattern).fits(text)


def _date(text: str) -> bool:
    return patterns.compiled(_DATE).fits(text) and _reads(dt.date.fromisoformat, text)


def _datetime(text: str) -> bool:
    """What `type: datetime` sends as it stands, with a time of day."""
    try:
        return "T" in text and values.to_datetime(text) == text
    except Fault:
        return False


def _address(read: Callable[[str], object]) -> Callable[[str], bool]:
    """An address by itself: a zone (`%eth0`) means something on one machine alone."""
    return lambda text: "%" not in text and _reads(read, text)


def _reads(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True


TEXT_FORMATS: Final[dict[str, Callable[[str], bool]]] = {
    "email": _fits(_EMAIL, 254),
    "uri": _fits(_URI),
    "date": _date,
    "datetime": _datetime,
    "ipv4": _address(ipaddress.IPv4Address),
    "ipv6": _address(ipaddress.IPv6Address),
    "uuid": _fits(_UUID),
    "e164": _fits("\\+[1-9][0-9]{1,14}"),
    "hostname": _fits(_HOSTNAME, 253),
}
