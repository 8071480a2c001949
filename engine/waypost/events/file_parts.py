"""The files that one name had, as the text that a state keeps of them.

Takes and gives the identity of a followed file: one `Part` a file, with the offset at which it begins, and what was seen of it last. The rest
of the house passes that text on; rotation.py looks for the files.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One of the files that a name had: its identity, and the offset in the stream at which it begins. `at`: so many of its plain bytes were
    read; `tail` is the hash of the last of them; `size` and `changed` (nanoseconds) are as last seen."""

    identity: str
    base: int = 0
    at: int = 0
    tail: str = ""
    size: int = 0
    changed: int = 0

    def __str__(self) -> str:
        seen = f"+{self.at},{self.tail},{self.size},{self.changed}" if self.at or self.size else ""
        return f"{self.identity}@{self.base}{seen}" if self.base or seen else self.identity

    @property
    def first(self) -> str:
        """The hash of its first line; empty where that was not whole."""
        return self.identity.rpartition(":")[2]

    @property
    def inode(self) -> str:
        return self.identity.rpartition(":")[0]


def parts_of(text: str) -> list[Part]:
    """The files that an identity lists, as a state keeps it (before 2.0 without what was seen of them)."""
    found = []
    for one in text.split():
        identity, _, rest = one.partition("@")
        base, _, seen = rest.partition("+")
        at, tail, size, changed = (*seen.split(","), "", "", "", "")[:4]
        found.append(Part(identity, _number(base), _number(at), tail, _number(size), _number(changed)))
    return found


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def since(identity: str, cursor: int) -> str:
    """An identity without the files that lie before a cursor whole."""
    if " " not in identity:
        return identity
    known = parts_of(identity)
    index = max((number for number, part in enumerate(known) if part.base <= cursor), default=0)
    return " ".join(map(str, known[index:]))


def hashed(tail: bytes) -> str:
    return hashlib.sha256(tail).hexdigest()[:16] if tail else ""
