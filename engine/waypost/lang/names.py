"""Names of headers and parameters, where they come from a value: what may be one, and which text stands behind it.

Takes an object that an event or a setting holds. Gives names with texts, or a Fault. The compiler judges the names that a spec writes by the
same rules.
"""

from __future__ import annotations

import re
from typing import Any

from waypost.lang import values
from waypost.lang.values import MISSING, Fault

OURS = (
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "content-encoding",
    "te",
    "upgrade",
    "trailer",
    "keep-alive",
    "proxy-authorization",
)
"""Headers that the engine sets."""
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The name of a header."""


def texts_of(value: Any, *, headers: bool) -> dict[str, str] | None:
    """The entries of an object as texts; those without a value are left out. None for missing, null and PHP's empty object. Raises Fault."""
    if value is MISSING or value is None or value == []:
        return None
    if not isinstance(value, dict):
        what = "headers" if headers else "the query"
        raise Fault("wrong_shape", f"expected an object for {what}, found {values.typeof(value)}")
    found: dict[str, str] = {}
    for name, held in value.items():
        if held is MISSING or held is None:
            continue
        if headers and not TOKEN.fullmatch(name):
            raise Fault("wrong_shape", f"{name[:40]!r} is not a header name")
        if headers and name.lower() in OURS:
            raise Fault("wrong_shape", f"the header `{name}` is set by the engine")
        if isinstance(held, (dict, list)):
            what = "a header" if headers else "the query"
            raise Fault(
                "wrong_type", f"expected text, a number or a boolean in {what}, found {values.typeof(held)}", name
            )
        found[name.lower() if headers else name] = _text(held)
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else values.number_as_text(value)
