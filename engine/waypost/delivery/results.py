"""Which messages of a request an answer names, and what becomes of each: the readers of a plan's `results`, executed.

Takes readers, the JSON of an answer, and what was sent. Gives a `Named` for each place in the request that is named, and a doubt: why the
answer does not hold what the readers say, "" when it does. Pure; whatever the answer holds, nothing is raised for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from waypost import plan as p
from waypost.lang import values
from waypost.lang.values import MISSING, Fault

GRAVEST = ("stop", "reject", "throttle", "retry", "ok")
"""Which outcome counts for a message that is named several times."""

REASON_LIMIT = 500
"""So many characters of a reason are kept."""


class Item(Struct, frozen=True):
    """What an answer says of one message, and its name where it is the entry of an object."""

    value: Any = MISSING
    key: Any = MISSING


Evaluate = Callable[[p.Value, Item], Any]
"""The value of a node over the answer, and this item. Raises Fault."""
Holds = Callable[[str, Item], bool]
"""Whether a condition holds over the answer and this item."""


class Named(Struct, frozen=True):
    """The outcome of a message that an answer names, the reason that it gives, and the item of the answer that names it, as JSON. `by`: which
    reader named it, and which of its outcomes that is."""

    then: str
    reason: str = ""
    item: bytes = b""
    by: tuple[int, int] = (0, 0)


class Sent:
    """The messages of a request, in the order in which they were sent. State: their lists and fields, read when an answer names them by
    one."""

    def __init__(
        self, count: int, bodies: Callable[[], Iterable[bytes]], lists: Callable[[], Iterable[str]] = lambda: ()
    ) -> None:
        """`lists`: of each message the list of the body that it stands in."""
        self.count = count
        self._lists = lists
        self._bodies = bodies
        self._decoded: list[Any] | None = None
        self._by: dict[str, dict[str, list[int]]] = {}
        self._by_list: dict[str, list[int]] | None = None

    def of_list(self, name: str) -> list[int]:
        """The places of the messages in one of several lists."""
        if self._by_list is None:
            self._by_list = {}
            for place, own in enumerate(self._lists()):
                self._by_list.setdefault(own, []).append(place)
        return self._by_list.get(name, [])

    def having(self, field: str, value: str) -> list[int]:
        """The places of the messages whose field is this, as text."""
        if field not in self._by:
            found: dict[str, list[int]] = {}
            keys = field.split(".")
            for place, message in enumerate(self._messages()):
                held = as_text(_member(message, keys))
                if held is not None:
                    found.setdefault(held, []).append(place)
            self._by[field] = found
        return self._by[field].get(value, [])

    def _messages(self) -> list[Any]:
        if self._decoded is None:
            self._decoded = [values.decode(body) for body in self._bodies()]
        return self._decoded


def named_by(readers: Iterable[p.Reader], sent: Sent, evaluate: Evaluate, holds: Holds) -> tuple[dict[int, Named], str]:
    """What the readers make of an answer. Where one message is named several times the gravest outcome counts."""
    found: dict[int, Named] = {}
    doubt = ""
    for at, reader in enumerate(readers):
        items = _items(reader, evaluate)
        if items is None:
            doubt = doubt or f"what stands at `{_shown(reader)}` is no list"
            continue
        for item in items:
            if reader.where is not None and not holds(reader.where, item):
                continue
            places = _places(reader, item, sent, evaluate)
            if isinstance(places, str):
                doubt = doubt or places
                continue
            number, then = _then(reader.then, item, holds)
            named = Named(then, _reason(reader, item, evaluate), values.encode(item.value), (at, number))
            for place in places:
                former = found.get(place)
                if former is None or GRAVEST.index(named.then) < GRAVEST.index(former.then):
                    found[place] = named
    return found, doubt


def _shown(reader: p.Reader) -> str:
    return reader.at.path if isinstance(reader.at, p.Path) else "at"


def _items(reader: p.Reader, evaluate: Evaluate) -> list[Item] | None:
    held = _value(reader.at, Item(), evaluate)
    if held is MISSING or held is None:
        return []
    if isinstance(held, dict):
        return [Item(value, key) for key, value in held.items()]
    return [Item(value) for value in held] if isinstance(held, list) else None


def _value(node: p.Value, item: Item, evaluate: Evaluate) -> Any:
    try:
        return evaluate(node, item)
    except Fault:
        return MISSING


def _places(reader: p.Reader, item: Item, sent: Sent, evaluate: Evaluate) -> list[int] | str:
    """The places that an item names, or why it names none."""
    node = reader.index if reader.index is not None else reader.value
    assert node is not None
    held = _value(node, item, evaluate)
    found: list[int] = []
    for one in held if isinstance(held, list) else [held]:
        if reader.index is not None:
            place = as_index(one)
            if place is None:
                return f"an item of `{_shown(reader)}` has no index"
            known = _counted_in(reader, item, sent, evaluate)
            if place >= len(known):
                return f"it names message {place}, counted from 0, and the request had {len(known)}"
            found.append(known[place])
            continue
        text = as_text(one)
        places = [] if text is None else sent.having(reader.of, text)
        if not places:
            return f"an item of `{_shown(reader)}` names no message of the request by its `{reader.of}`"
        found += places
    return found


def _counted_in(reader: p.Reader, item: Item, sent: Sent, evaluate: Evaluate) -> Sequence[int]:
    """The places of the messages that an index counts."""
    if reader.list_name is None:
        return range(sent.count)
    name = as_text(_value(reader.list_name, item, evaluate))
    return [] if name is None else sent.of_list(name)


def as_index(value: Any) -> int | None:
    """A number, or text, that is a whole number and not negative."""
    text = value if isinstance(value, str) else values.number_as_text(value) if values.is_number(value) else ""
    found = re.fullmatch(r"([0-9]{1,9})(\.0+)?", text, re.ASCII)
    return int(found[1]) if found else None


def as_text(value: Any) -> str | None:
    """A text, number or boolean as it is compared: 7 and "7" name one message."""
    return values.scalar_text(value)


def _member(message: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        message = message.get(key, MISSING) if isinstance(message, Mapping) else MISSING
    return message


def _then(rules: Sequence[p.ResponseRule], item: Item, holds: Holds) -> tuple[int, str]:
    holding = ((at, rule.then) for at, rule in enumerate(rules) if rule.test is None or holds(rule.test, item))
    return next(holding, (len(rules), "reject"))


def _reason(reader: p.Reader, item: Item, evaluate: Evaluate) -> str:
    held = MISSING if reader.reason is None else _value(reader.reason, item, evaluate)
    if held is MISSING or held is None:
        return ""
    text = as_text(held)
    shown = "".join([sign if sign.isprintable() else " " for sign in (text or values.encode(held).decode())])
    return shown if len(shown) <= REASON_LIMIT else shown[: REASON_LIMIT - 1] + "…"
