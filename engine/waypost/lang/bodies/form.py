"""Forms (`application/x-www-form-urlencoded`): entries of text; a list repeats its key, and what is nested deeper is an error.

A form is a map of values, `$message` (the message's own fields are the entries), or a map in which one entry holds the message or the batch as
JSON text, as a few APIs want it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote_plus

from msgspec import Raw

from waypost import plan as p
from waypost.lang import values
from waypost.lang.bodies.format import PLACE, BodyFormat, Layout, by_action, messages_in, one_place
from waypost.lang.values import MISSING, Fault

_NEVER = (p.Items, p.Const, p.Text, p.Arith, p.Lookup)
"""What is never a map."""
_NESTED = (p.Object, p.Merge, p.Pick)
"""What is always one."""


class Form(BodyFormat):
    word = "form"
    doc = "A form of entries: a map of text, numbers and lists of these, or `$message` for the message's own fields."
    name = "a form"
    content_type = "application/x-www-form-urlencoded"
    kinds = re.compile(r"application/x-www-form-urlencoded")

    def layout(self, body: p.Value) -> Layout:
        if isinstance(body, p.Messages):
            return Layout(as_sent=entries_of)
        return Layout(b"%2C", _quoted, by_action(body)) if messages_in(body) else Layout()

    def mark(self, node: p.Messages) -> Any:
        return Raw(b"[" + PLACE + b"]" if node.many else PLACE)

    def takes_members(self, body: p.Value) -> bool:
        return True

    def joined(self, value: Any, members: Mapping[str, Any]) -> Any:
        if not members:
            return value
        return (members, value) if isinstance(value, Raw) and PLACE in bytes(value) else {**as_map(value), **members}

    def written(self, value: Any) -> bytes:
        if isinstance(value, tuple):
            return encoded(value[0]) + b"&" + self.written(value[1])
        if isinstance(value, Raw) and bytes(value) == PLACE:
            return PLACE
        return encoded(as_map(value))

    def faults(self, body: p.Value, *, batched: bool) -> Iterator[tuple[p.Value | None, str, str]]:
        if isinstance(body, p.Messages):
            if body.many or body.actions:
                yield body, "a form is one message's fields, not a batch's", "write `form: $message` without `batch:`"
            return
        if isinstance(body, _NEVER):
            yield None, "a form is a map of entries", "write `form: {To: $.traits.phone}`, or `form: $message`"
            return
        for key, held in body.entries.items() if isinstance(body, (p.Object, p.Merge)) else ():
            inner = held.items if isinstance(held, p.Items) else [held]
            for one in inner:
                if isinstance(one, _NESTED) or (isinstance(one, p.Items) and isinstance(held, p.Items)):
                    help = 'a list repeats the key; JSON text is `"{{ … | json }}"`'
                    yield one, f"`{key}` of a form is text or a list of text, not a map within it", help
        if messages_in(body):
            yield from one_place(body, batched=batched)


def entries_of(message: bytes) -> bytes:
    """A message's fields as a form's entries. Raises Fault."""
    return encoded(values.decode(message))


def encoded(entries: Mapping[str, Any]) -> bytes:
    """A form's entries; one without a value is left out. Raises Fault for what is nested."""
    pairs: list[bytes] = []
    for key, value in entries.items():
        name = quote_plus(key).encode()
        pairs += [name + b"=" + text for text in _texts(key, value)]
    return b"&".join(pairs)


def flat(key: str, value: Any) -> Any:
    """A value as an entry of a form may hold it: text, a number, a boolean or a list of these. Raises Fault."""
    for item in value if isinstance(value, list) else (value,):
        if isinstance(item, (dict, list)):
            found = values.typeof(item)
            raise Fault(
                "wrong_shape", f"expected text, a number, a boolean or a list of these in a form, found {found}", key
            )
    return value


def _texts(key: str, value: Any) -> Iterator[bytes]:
    if isinstance(value, Raw):
        held = bytes(value)
        if PLACE in held:
            yield PLACE.join(_quoted(part) for part in held.split(PLACE))
            return
        value = values.decode(held)
    value = flat(key, value)
    for item in value if isinstance(value, list) else (value,):
        if item is not MISSING and item is not None:
            yield quote_plus(_text(item)).encode()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else values.number_as_text(value)


def _quoted(data: bytes) -> bytes:
    return quote_plus(data).encode()


def as_map(value: Any) -> dict[str, Any]:
    """The entries; none of what is missing, null or PHP's empty object."""
    if isinstance(value, Raw):
        value = values.decode(bytes(value))
    if value is MISSING or value is None or value == []:
        return {}
    if isinstance(value, dict):
        return value
    raise Fault("wrong_shape", f"expected an object for a form, found {values.typeof(value)}")


FORM = Form()
