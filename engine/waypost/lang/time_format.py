"""The filter `format_time`: a time in UTC, by directives that mean the same on every machine and in every language.

Takes a time (text or Unix seconds) and a format. Gives text. `check_format` judges a format when a template is read.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from waypost.lang import values
from waypost.lang.errors import LangError

_DIRECTIVES = re.compile(r"%[YmdHMSfjyzZ%]|[^%]")


def check_format(text: str) -> None:
    """Raises LangError for a `format_time` format with a directive that depends on the machine or its language."""
    at = 0
    while at < len(text):
        match = _DIRECTIVES.match(text, at)
        if match is None:
            raise LangError(
                "filter_args",
                f"`{text[at : at + 2]}` is not a directive of format_time",
                at,
                at + 2,
                help="use %Y %m %d %H %M %S %f %j %y %z %Z %%",
            )
        at = match.end()


def format_time(value: Any, form: str) -> str:
    """Raises Fault for what is no time."""
    at = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=values.to_unix_us(value))
    parts = {
        "%Y": f"{at.year:04d}",
        "%y": f"{at.year % 100:02d}",
        "%m": f"{at.month:02d}",
        "%d": f"{at.day:02d}",
        "%H": f"{at.hour:02d}",
        "%M": f"{at.minute:02d}",
        "%S": f"{at.second:02d}",
        "%f": f"{at.microsecond:06d}",
        "%j": f"{at.timetuple().tm_yday:03d}",
        "%z": "+0000",
        "%Z": "UTC",
        "%%": "%",
    }
    return re.sub("%.", lambda found: parts[found[0]], form)
