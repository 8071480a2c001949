"""What a page is made of. Takes nothing; the writers turn these into text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """Something to be read letter by letter: a name, a path, an expression."""

    text: str


@dataclass(frozen=True)
class Link:
    """A link to an http(s) address or to another page (`page`: its name, without the format's suffix)."""

    text: str
    href: str = ""
    page: str = ""


Inline = str | Code | Link
Line = tuple[Inline, ...]


@dataclass(frozen=True)
class Heading:
    """Level 2 or 3. The page's title is its level 1."""

    level: int
    text: str
    code: str = ""


@dataclass(frozen=True)
class Paragraph:
    line: Line


@dataclass(frozen=True)
class Table:
    """`name` says what the table is, for those who do not see it."""

    name: str
    head: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]


@dataclass(frozen=True)
class Listing:
    """Text as it stands, in a language that a reader's tool may colour."""

    language: str
    text: str


Block = Heading | Paragraph | Table | Listing


@dataclass(frozen=True)
class Page:
    """`name` is the file's, without suffix."""

    name: str
    title: str
    blocks: tuple[Block, ...]


def words(lines: list[Line], joint: str = ", ") -> Line:
    """Lines joined into one."""
    found: list[Inline] = []
    for line in lines:
        found += [joint, *line] if found else line
    return tuple(found)
