"""The events that a plan is measured over: the lines of a file, repeated with other ids until there are enough.

Takes the bytes of a file of JSON lines. Gives lines without a line feed. A repeated line differs in its ids, so that no two events are the same
event, and has the same length and shape. Ids that are no text (null, numbers) stay: they are a case of their own.
"""

from __future__ import annotations

import itertools
import re

MOST = 20_000
"""The lines of a file that are used: more tell nothing new, and everything is kept in memory."""

_ID = re.compile(rb'("(?:messageId|userId|anonymousId)"\s*:\s*")[0-9A-Za-z_-]{4}')


def lines_of(data: bytes) -> list[bytes]:
    """The lines that are not blank, at most MOST; BOM and CRLF are accepted."""
    lines = (line.removesuffix(b"\r") for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"))
    return list(itertools.islice((line for line in lines if line.strip()), MOST))


def repeated(lines: list[bytes], wanted: int) -> list[bytes]:
    """At least `wanted` lines; whole rounds of all of them, so that their mix stays."""
    found = list(lines)
    for turn in itertools.count(1):
        if len(found) >= wanted:
            return found
        found += [varied(line, turn) for line in lines]
    raise AssertionError("count() ends never")


def varied(line: bytes, turn: int) -> bytes:
    """The event with other ids: four digits, which fit wherever a hexadecimal or decimal id, or any text, is asked for."""
    return _ID.sub(lambda found: found[1] + b"%04d" % (turn % 10_000), line)
