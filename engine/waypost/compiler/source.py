"""A file's text and positions in it.

Takes a path and text. Gives `Source` with its line index; a `Span` is a pair of character offsets into that text. Lines and columns count
from 1, columns in characters.
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

    def line(self, number: int) -> str:
        """The text of a line, without its line break."""
        end = self.starts[number] if number < len(self.starts) else len(self.text)
        return self.text[self.starts[number - 1] : end].rstrip("\r\n")
