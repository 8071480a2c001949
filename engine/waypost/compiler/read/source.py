"""A file's text and positions in it.

Takes a path and text. Gives `Source` with its line index; a `Span` is a pair of character offsets into that text. Lines and columns count
from 1, columns in characters. Two files whose nodes stand in one tree are `joined`: a span then counts through both, and `part` tells the file.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field


@dataclass(frozen=True, order=True, slots=True)
class Span:
    """From `start` up to `end` (not included)."""

    start: int
    end: int


@dataclass(frozen=True)
class Source:
    """`path` is shown as given and never made absolute."""

    path: str
    text: str
    parts: tuple[Source, ...] = ()
    starts: list[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = [0]
        for index, character in enumerate(self.text):
            if character == "\n" or (character == "\r" and self.text[index + 1 : index + 2] != "\n"):
                starts.append(index + 1)
        object.__setattr__(self, "starts", starts)

    def position(self, offset: int) -> tuple[int, int]:
        """(line, column) of an offset."""
        line = bisect.bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def part(self, offset: int) -> tuple[Source, int]:
        """The file that an offset stands in, and where that file begins: the source itself at 0, unless it is joined."""
        begin = 0
        for part in self.parts:
            if offset <= begin + len(part.text):
                return part, begin
            begin += len(part.text) + 1
        return self, 0

    def line(self, number: int) -> str:
        """The text of a line, without its line break."""
        end = self.starts[number] if number < len(self.starts) else len(self.text)
        return self.text[self.starts[number - 1] : end].rstrip("\r\n")


def joined(first: Source, second: Source) -> Source:
    """Both as one: the second begins one character behind the first (`len(first.text) + 1`)."""
    return Source(first.path, f"{first.text}\n{second.text}", (first, second))
