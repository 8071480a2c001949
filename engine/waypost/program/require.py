"""What `require` asks of a message that is made: whether one of its fields is there, and what a dead letter says when none is."""

from __future__ import annotations

from collections.abc import Callable

from waypost import plan as p
from waypost.lang import values


def any_present(paths: list[list[str]]) -> Callable[[bytes], bool]:
    def look(body: bytes) -> bool:
        whole = values.decode(body)
        for path in paths:
            found = whole
            for key in path:
                found = found.get(key) if isinstance(found, dict) else None
            if found is not None and found != "":
                return True
        return False

    return look


def require_message(need: p.Require) -> str:
    """What a dead letter says of a `require` that is not met."""
    return need.message or "needs one of " + ", ".join(".".join(path) for path in need.any)
