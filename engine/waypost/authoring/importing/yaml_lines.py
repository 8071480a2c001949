"""YAML lines of a draft: one line where that is short, else a block; and which line each note belongs to.

Takes a tree: text that is YAML already, maps of written keys, lists, and `Noted` around any of them. Gives lines with their notes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

WIDTH = 116

APPROXIMATION = "approximation"
TODO = "todo"
SAID = "said"


@dataclass(frozen=True)
class Note:
    """`kind`: an approximation (the two do not mean the same), a todo (what only the author knows), or said (changed without loss)."""

    kind: str
    text: str


@dataclass(frozen=True)
class Noted:
    """A tree with what is to be said of its line; `comment` stands behind it in the file."""

    tree: Tree
    notes: tuple[Note, ...] = ()
    comment: str = ""


Tree = str | dict[str, "Tree"] | list["Tree"] | Noted


@dataclass
class Line:
    text: str
    notes: list[Note] = field(default_factory=list)


def lines(key: str, tree: Tree, indent: int = 0) -> list[Line]:
    """`key: tree`, written from a column on."""
    return list(_entry(f"{' ' * indent}{key}:", tree, indent + 2))


def flow(tree: Tree) -> str:
    """The tree on one line."""
    if isinstance(tree, Noted):
        return flow(tree.tree)
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key}: {flow(one)}" for key, one in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(map(flow, tree)) + "]"
    return tree


def notes(tree: Tree) -> Iterator[Note]:
    for one in _noted(tree):
        yield from one.notes


def _comments(tree: Tree) -> list[str]:
    return [one.comment for one in _noted(tree) if one.comment]


def _noted(tree: Tree) -> Iterator[Noted]:
    if isinstance(tree, Noted):
        yield tree
        yield from _noted(tree.tree)
    elif isinstance(tree, (dict, list)):
        for one in tree.values() if isinstance(tree, dict) else tree:
            yield from _noted(one)


def _entry(head: str, tree: Tree, indent: int) -> Iterator[Line]:
    short = f"{head} {flow(tree)}"
    inner = tree.tree if isinstance(tree, Noted) else tree
    inside = _comments(inner)
    if not isinstance(inner, (dict, list)) or not inner or (len(short) <= WIDTH and not inside):
        yield Line(_commented(short, _comments(tree)), list(notes(tree)))
        return
    own, comment = (list(tree.notes), tree.comment) if isinstance(tree, Noted) else ([], "")
    yield Line(_commented(head, [comment] if comment else []), own)
    pad = " " * indent
    if isinstance(inner, dict):
        for key, one in inner.items():
            yield from _entry(f"{pad}{key}:", one, indent + 2)
        return
    if all(isinstance(one, str) for one in inner):
        yield from (Line(row) for row in _packed([str(one) for one in inner], pad))
        return
    for one in inner:
        yield from _entry(f"{pad}-", one, indent + 2)


def _packed(words: list[str], pad: str) -> Iterator[str]:
    """A list of words on as few lines as hold it."""
    row = pad + "["
    for index, word in enumerate(words):
        more = f"{word}," if index < len(words) - 1 else f"{word}]"
        if len(row) + len(more) + 1 > WIDTH and row.strip() != "[":
            yield row
            row = pad + " "
        row += more if row.endswith("[") else f" {more}" if row.strip() else more
    yield row


def _commented(text: str, comments: list[str]) -> str:
    shown = "; ".join(dict.fromkeys(comments))
    return f"{text}   # {printable(shown)}" if shown else text


def printable(text: str) -> str:
    """A comment holds no escapes and no line breaks: what YAML may not hold is left out."""
    return "".join(sign if sign.isprintable() else " " for sign in text).strip()
