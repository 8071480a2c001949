"""Members taken out of an event's bytes before anything else sees it: what a connection's `redact` names.

Takes paths of members and `[*]` (compiler/read/redact.py holds them to that). Gives a function of a line: the line without these members, or
None for one that is no JSON object, of which nobody can say what it holds. What is left keeps its bytes, but for white space in the objects on
a path's way. Bytes and not decoded events, so that every way of mapping, the identity of an event, and its dead letter have the same event.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from msgspec import Raw

from waypost import plan as p
from waypost.lang import jsonpath
from waypost.lang.surrogates import repaired

Cut = Callable[[bytes], bytes | None]

_object = msgspec.json.Decoder(dict[str, Raw]).decode
_list = msgspec.json.Decoder(list[Raw]).decode


@dataclass
class Step:
    """What is cut below a value: by member's name, and of every member or item. `whole`: the value itself is."""

    members: dict[str, Step] = field(default_factory=dict)
    each: Step | None = None
    whole: bool = False


def redaction(plan: p.Plan) -> Cut | None:
    """None where the plan's connection redacts nothing."""
    paths = plan.connection.redact if plan.connection else []
    return cutter(tuple(paths)) if paths else None


@functools.lru_cache(maxsize=64)
def cutter(paths: tuple[str, ...]) -> Cut:
    root = Step()
    needed: list[tuple[bytes, ...]] = []
    for path in paths:
        at = root
        parts = jsonpath.parse(path).parts
        for part in parts:
            if isinstance(part, str):
                at = at.members.setdefault(part, Step())
            else:
                at.each = at = at.each or Step()
        at.whole = True
        needed.append(tuple(json.dumps(part, ensure_ascii=False).encode() for part in parts if isinstance(part, str)))

    def cut(line: bytes) -> bytes | None:
        # A name that stands in no line needs no parsing; one may hide behind an escape.
        if line[:1] == b"{" and b"\\" not in line and not any(all(name in line for name in names) for names in needed):
            return line
        try:
            return _without(line, root, whole=True)
        except (msgspec.DecodeError, RecursionError):
            pass
        try:
            return _without(repaired(line), root, whole=True)
        except (msgspec.DecodeError, RecursionError):
            return None

    return cut


def _without(data: bytes, step: Step, *, whole: bool = False) -> bytes:
    """`whole`: it is the event, which is an object."""
    if whole or data[:1] == b"{":
        members = _object(data)
        for name in [*members]:
            own = [found for found in (step.members.get(name), step.each) if found is not None]
            if any(found.whole for found in own):
                del members[name]
            else:
                for found in own:
                    members[name] = Raw(_without(bytes(members[name]), found))
        return msgspec.json.encode(members)
    if data[:1] == b"[" and step.each is not None:
        return msgspec.json.encode([Raw(_without(bytes(item), step.each)) for item in _list(data)])
    return data
