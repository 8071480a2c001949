"""What an input's first bytes say it is, where that is not one JSON object a line.

Takes the first bytes (HEAD at most) and whether more may come. Gives a line of help, "" where they may be lines of events, None where more
bytes are needed. A damaged first line is no reason: only what a line of events cannot be is refused.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from waypost.sources.unpack import UNREADABLE

HEAD: Final = 64 << 10
LEAST: Final = 4
"""Of fewer bytes nobody can tell UTF-16, nor gzip, from lines."""

ARRAY: Final = "one JSON array, where each line must be an event: make lines of it with jq -c '.[]'"
PRETTY: Final = "JSON over several lines, where each line must be an event: make lines of it with jq -c ."
CR: Final = r"lines that end with CR alone: make others of them with tr '\r' '\n'"
UTF16: Final = "text in {0}, not UTF-8: turn it with iconv -f {0} -t UTF-8"

PACKED: Final = "packed by {0}: unpack it with {1}"
"""Of gzip, xz and bzip2 only a stream comes to be judged: a file of them is unpacked where it is opened."""

_PACKED: Final = (
    (b"\x1f\x8b\x08", "gzip", "gzip -dc"),
    (b"\xfd7zXZ\0", "xz", "xz -dc"),
    (b"BZh", "bzip2", "bzip2 -dc"),
    *UNREADABLE,
)
_BOMS: Final = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_TOKEN: Final = re.compile(rb'[ \t\r\n]*(?:([{}\[\],:])|("(?:[^"\\\x00-\x1f]|\\[^\x00-\x1f])*"?)|([-+.\w]+))')
_END: Final = {b"{": b"}", b"[": b"]"}


def judged(head: bytes, *, more: bool) -> str | None:
    """What the input is, to be put behind its name; "" where it may be lines of events, None where more bytes are needed."""
    for first_bytes, name, unpack in _PACKED:
        if head.startswith(first_bytes):
            return PACKED.format(name, unpack)
        if more and head and first_bytes.startswith(head):
            return None
    for bom, name in _BOMS:
        if head.startswith(bom):
            return UTF16.format(name)
    for first, name in ((0, "UTF-16LE"), (1, "UTF-16BE")):
        if len(head) >= 4 and all(head[first:4:2]) and not any(head[1 - first : 4 : 2]):
            return UTF16.format(name)
    more = more and len(head) < HEAD
    if more and len(head) < LEAST:
        return None
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] not in (b"{", b"["):
        return "" if text or not more else None
    end = _scan(text)
    if end is None:
        return ""
    value = text if end < 0 else text[:end]
    over = b"\n" in value.rstrip() or b"\r" in value.rstrip()
    if text[:1] == b"[":
        return _array(text, end, over=over, more=more)
    if end < 0:
        if more:
            return None
        return PRETTY if over and not _good_lines_follow(text) else ""
    if over:
        return PRETTY
    if b"\n" in text[end:]:
        return ""
    if re.match(rb"[ \t]*\r\s*[{\[]", text[end:]):
        return CR
    return None if more else ""


def _array(text: bytes, end: int, *, over: bool, more: bool) -> str | None:
    if over:
        return ARRAY
    if end < 0:
        return None if more else ARRAY
    rest = text[end:].lstrip()
    if rest:
        # A line of its own among events is a damaged one.
        return ARRAY if rest[:1] == b"[" else ""
    return None if more else ARRAY


def _good_lines_follow(text: bytes) -> bool:
    """Whether each line behind the first is an object by itself (the last may be cut short): then the first alone is damaged."""
    *lines, last = [line for line in text.splitlines()[1:] if line.strip()]
    try:
        for line in lines:
            msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return False
    return last.startswith(b"{")


def _scan(text: bytes) -> int | None:
    """Where the value ends with which the text begins; -1 where it goes on behind the text, None where it is no JSON."""
    stack: list[bytes] = []
    wants, at = "value", 0
    while True:
        found = _TOKEN.match(text, at)
        if found is None:
            return -1 if not text[at:].strip() else None
        mark, string, word = found.groups()
        at = found.end()
        if at == len(text) and (word or (string and (len(string) < 2 or string[-1:] != b'"'))):
            return -1
        if string and (len(string) < 2 or string[-1:] != b'"'):
            return -1 if text[at:] == b"\\" else None
        if mark in _END and wants in ("value", "value or end"):
            stack.append(_END[mark])
            wants = "key or end" if mark == b"{" else "value or end"
        elif mark is not None and stack and mark == stack[-1] and wants in ("comma", "key or end", "value or end"):
            stack.pop()
            if not stack:
                return at
            wants = "comma"
        elif mark == b"," and wants == "comma":
            wants = "key" if stack[-1] == b"}" else "value"
        elif mark == b":" and wants == "colon":
            wants = "value"
        elif string and wants in ("key", "key or end"):
            wants = "colon"
        elif (string or word) and wants in ("value", "value or end"):
            wants = "comma"
        else:
            return None
