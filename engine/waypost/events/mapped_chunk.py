"""Many lines at once: their events decoded together, their messages encoded together.

Takes the bytes of whole lines. Gives the decoded events, one a line, and a `Block`: what a program made of the lines, with the simple messages
in one piece. Why: a call of the decoder costs more than the difference between two events, and a batch is joined from pieces of what is
encoded already.

`decode_lines` does not decode lines: a value may span two, two values may share one. So it is used only where every line begins with `{` and
ends with `}`, and only when it gives as many values as there are lines. A line that it refuses is left out (None), and the rest decoded again.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Protocol, TypeVar

import msgspec

from waypost.events.results import Filtered, Mapped, Rejected

T_co = TypeVar("T_co", covariant=True)
Result = Mapped | Rejected | Filtered
Owner = Callable[[bytes], Mapped]

NO_ACTION = Filtered(None, None, "no_action")


class Indexed(Protocol[T_co]):
    """What gives an item by its index."""

    def __getitem__(self, index: int, /) -> T_co: ...


_at = re.compile(r"`\$\[(\d+)\]")
_byte = re.compile(r"\(byte (\d+)\)")

LF = 10

PLAIN = "2026-01-01T00:00:00Z"
"""A time that is as it should be: what stands for none where the times of a chunk are judged together."""

_times = msgspec.json.Decoder(list[datetime]).decode

RETRIES = 16
"""After so many lines that the decoder refuses, the rest of the block goes line by line: a file that is wrong throughout is no reason to
decode it again and again."""


def ragged(data: bytes) -> tuple[int, list[tuple[int, int, int]]]:
    """How many lines `data` has (no line feed at its end), and (index, start, end) of those that do not begin with `{` and end with `}`."""
    find, index, start = data.index, 0, 0
    found: list[tuple[int, int, int]] = []
    try:
        while True:
            end = find(LF, start)
            if data[start] != 123 or data[end - 1] != 125:
                found.append((index, start, end))
            index += 1
            start = end + 1
    except ValueError:
        if data[start : start + 1] != b"{" or data[-1] != 125:
            found.append((index, start, len(data)))
        return index + 1, found


def without(data: bytes, lines: list[tuple[int, int, int]]) -> bytes:
    """`data` without these lines."""
    pieces, start = [], 0
    for _, begin, end in lines:
        if begin > start:
            pieces.append(data[start : begin - 1])
        start = end + 1
    if start < len(data):
        pieces.append(data[start:])
    return b"\n".join(pieces)


def is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def decode_clean(decoder: msgspec.json.Decoder[Any], data: bytes, count: int) -> list[Any]:
    """The event of each of the `count` lines of clean UTF-8 `data`; None for a line that the decoder does not take."""
    found: list[Any] = []
    for _ in range(RETRIES):
        try:
            events: list[Any] = decoder.decode_lines(data)
        except msgspec.ValidationError as error:
            bad = int(match[1]) if (match := _at.search(str(error))) else -1
        except (msgspec.DecodeError, RecursionError) as error:
            bad = data.count(b"\n", 0, int(match[1])) if (match := _byte.search(str(error))) else -1
        else:
            if len(events) != count:
                break
            return found + events if found else events
        if not 0 <= bad < count:
            # A line before that holds two values: what is counted then are values, not lines.
            break
        head, data = _cut(data, bad)
        found += [*_decoded(decoder, head, bad), None]
        count -= bad + 1
        if not count:
            return found
    return found + [None] * count


def after(data: bytes, count: int, start: int = 0) -> int:
    """Where what stands behind so many line feeds begins."""
    for _ in range(count):
        start = data.index(LF, start) + 1
    return start


def are_plain(times: list[str]) -> bool:
    """Whether every one of these texts is a time in a form that is sent as it stands (lang/values.py), told by one call for all.

    What msgspec reads as a time is such a form, but for the marks `t`, `z` and space and for the ends of the calendar. No text can pass for
    another: each gives at least one item, and one that closes its quotes gives more.
    """
    joined = '["' + '","'.join(times) + '"]'
    if " " in joined or "t" in joined or "z" in joined or '"0001' in joined or '"9999' in joined:
        return False
    try:
        return len(_times(joined)) == len(times)
    except msgspec.DecodeError:
        return False


def _decoded(decoder: msgspec.json.Decoder[Any], data: bytes, count: int) -> list[Any]:
    """The events of lines of which a first call has refused none."""
    if not count:
        return []
    try:
        events: list[Any] = decoder.decode_lines(data)
    except (msgspec.DecodeError, RecursionError):
        return [None] * count
    return events if len(events) == count else [None] * count


def _cut(data: bytes, index: int) -> tuple[bytes, bytes]:
    """What stands before and behind a line."""
    start = after(data, index)
    end = data.find(b"\n", start)
    return data[: max(start - 1, 0)], b"" if end < 0 else data[end + 1 :]


@dataclass(slots=True)
class Block:
    """What a program made of `count` lines.

    `encoded` holds messages in the order of their lines, each with a line feed behind it (none is inside: an event is a line), and `owners`
    what makes a Mapped of each. A line has one, but for those in `idle` (no action takes them), those in `several` (so many), and
    those in `others`, which were mapped alone.
    """

    count: int
    encoded: bytes
    owners: list[Owner]
    idle: list[int] = field(default_factory=list)
    several: dict[int, int] = field(default_factory=dict)
    others: dict[int, list[Result]] = field(default_factory=dict)

    def weave(self, lines: Sequence[int], other: Block) -> None:
        """Puts what became of these lines, of which this block has nothing yet, into their places; `other` has them alone, in their order."""
        idle, several, passed = deque(self.idle), deque(sorted(self.several.items())), set(other.idle)
        pieces: list[bytes] = []
        owners: list[Owner] = []
        here, there = _Reader(self), _Reader(other)
        begun = 0
        for at, index in enumerate(lines):
            count = index - begun
            while idle and idle[0] < index:
                idle.popleft()
                count -= 1
            while several and several[0][0] < index:
                count += several.popleft()[1] - 1
            here.move(count, pieces, owners)
            begun = index + 1
            if at in passed:
                self.idle.append(index)
            elif at in other.others:
                self.others[index] = other.others[at]
            else:
                count = other.several.get(at, 1)
                there.move(count, pieces, owners)
                if count > 1:
                    self.several[index] = count
        here.move(here.left, pieces, owners)
        self.encoded, self.owners = b"".join(pieces), owners

    def rows(self) -> list[Mapped | list[Result]]:
        """For each line its one message, or the list of its results."""
        found: list[Any] = [owner(body) for owner, body in zip(self.owners, self.encoded.split(b"\n"), strict=False)]
        if self.several:
            return list(self._spread(iter(found)))
        for index, results in sorted([*((index, [NO_ACTION]) for index in self.idle), *self.others.items()]):
            found.insert(index, results)
        return found

    def _spread(self, messages: Iterator[Mapped]) -> Iterator[Mapped | list[Result]]:
        idle = set(self.idle)
        for index in range(self.count):
            if index in self.others:
                yield self.others[index]
            elif index in idle:
                yield [NO_ACTION]
            elif index in self.several:
                yield list(islice(messages, self.several[index]))
            else:
                yield next(messages)


class _Reader:
    """Messages of a block, one stretch after another. `left`: how many have not been moved."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self._begin = 0
        self.left = len(block.owners)

    def move(self, count: int, pieces: list[bytes], owners: list[Owner]) -> None:
        if count:
            encoded, taken = self._block.encoded, len(self._block.owners) - self.left
            end = len(encoded) if count == self.left else after(encoded, count, self._begin)
            pieces.append(encoded[self._begin : end])
            owners += self._block.owners[taken : taken + count]
            self._begin, self.left = end, self.left - count


def block_of(rows: Sequence[Mapped | list[Any]]) -> Block:
    """The block of lines of which each has been mapped alone."""
    others: dict[int, list[Result]] = {
        index: [row] if isinstance(row, Mapped) else row for index, row in enumerate(rows)
    }
    return Block(len(rows), b"", [], others=others)


class Lines:
    """The lines of a block, found when one is asked for: few events need theirs, and then not a copy of all."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._starts: list[int] = []

    def __getitem__(self, index: int) -> bytes:
        starts = self.starts()
        return self._data[starts[index] : starts[index + 1] - 1]

    def starts(self) -> list[int]:
        """Where each line begins, and where one more would."""
        if not self._starts:
            find, start, found = self._data.index, 0, self._starts
            try:
                while True:
                    found.append(start)
                    start = find(LF, start) + 1
            except ValueError:
                found.append(len(self._data) + 1)
        return self._starts

    def all(self) -> list[bytes]:
        return self._data.split(b"\n")


class Offsets:
    """The byte offset of each line of a block."""

    def __init__(self, lines: Lines, start: int) -> None:
        self._lines = lines
        self._start = start

    def __getitem__(self, index: int) -> int:
        return self._start + self._lines.starts()[index]
