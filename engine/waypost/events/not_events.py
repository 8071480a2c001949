"""Lines that are no events, and what is said of them: what is no JSON, and the envelope of a batch.

Takes a line. Gives a Rejected. Every way of mapping asks here, so that all say the same. An envelope is looked for only in a line that no
action takes: who sends such lines on, on purpose, has an action for them. (The kernel and the generated loop leave lines without a type to
other ways.)
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from msgspec import Raw

from waypost.events.results import Rejected

BATCH: Final = b'"batch"'

ENVELOPE: Final = Rejected(
    None,
    None,
    "batch_envelope",
    "the line is a batch, not one event: take the events out of it with jq -c '.batch[]', or send it over HTTP",
)

WORDS: Final = frozenset(
    {"NaN", "-NaN", "nan", "Infinity", "-Infinity", "inf", "-inf", "undefined", "nil"}
    | {"None", "NULL", "Null", "True", "TRUE", "False", "FALSE"}
)
"""What other languages write where JSON has null, true, false or a number. No other word of an event is told."""

_WORD: Final = re.compile(rb"-?[A-Za-z]+")
_decode: Final = msgspec.json.Decoder(dict[str, Raw]).decode


def malformed(error: Exception, line: bytes) -> Rejected:
    """What a decoder said, and the word that it stumbled over where that is a known one. What type it looked for makes a difference to the
    place: one without a type says it for all."""
    try:
        msgspec.json.decode(line, type=Raw)
    except msgspec.DecodeError as plain:
        error = plain
    said = str(error).removeprefix("JSON is malformed: ")
    found = re.fullmatch(r"invalid character \(byte (\d+)\)", said)
    if found:
        at = int(found[1])
        # It may have read the first letters already.
        before = re.search(rb"-?[A-Za-z]*$", line[max(0, at - 12) : at])
        start = at - (len(before[0]) if before else 0)
        word = _WORD.match(line, start, start + 12)
        if word and word[0].decode() in WORDS:
            said = f"{word[0].decode()} is no JSON (byte {start})"
    return Rejected(None, None, "malformed", said, "")


def is_envelope(line: bytes) -> bool:
    """Whether a line is an object with a list `batch` and without a type."""
    if BATCH not in line:
        return False
    try:
        held: dict[str, Any] = _decode(line)
    except (msgspec.DecodeError, RecursionError):
        return False
    return bytes(held.get("batch", b""))[:1] == b"[" and bytes(held.get("type", b"null")) == b"null"
