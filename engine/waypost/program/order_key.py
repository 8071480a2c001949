"""What orders an event's messages: the value of `order_by` in a line, as bytes.

Takes a linked program. Gives a function of a line. A plain path to a text is had by a decoder that reads nothing else, because with several
workers each of them asks every line for its key; whatever is not so plain is decoded whole, and the interpreter says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from waypost import plan as p
from waypost.lang import values
from waypost.lang.values import MISSING, Fault
from waypost.program import interpret
from waypost.program.generated.unchanged import plain_names
from waypost.program.program import Program

KeyOf = Callable[[bytes], Any]


def order_key(program: Program) -> KeyOf | None:
    """The bytes of `order_by`'s value, None where there is none; no function where the connection asks for no order."""
    node = program.plan.connection.order_by if program.plan.connection else None
    if node is None:
        return None

    def whole(line: bytes) -> Any:
        try:
            event = interpret.decode_event(line)
        except interpret.BadEvent:
            return None
        try:
            value = interpret.evaluate(node, interpret.Env(event, program.settings))
        except Fault:
            return None
        # A number keeps the order of its text: one person's events come with either.
        value = values.number_as_text(value) if values.is_number(value) else value
        return None if value is MISSING or value is None else values.encode(value)

    names = plain_names(node.path) if isinstance(node, p.Path) else None
    return whole if names is None else _quick(names, whole)


def _quick(names: tuple[str, ...], whole: KeyOf) -> KeyOf:
    decode = msgspec.json.Decoder(_shape(names)).decode
    steps = range(len(names))

    def key_of(line: bytes) -> Any:
        try:
            value: Any = decode(line)
        except (msgspec.DecodeError, RecursionError):
            return whole(line)
        for _ in steps:
            value = value.next
            if value is UNSET:
                return whole(line)
        text = bytes(value)
        # Text of ASCII without an escape has one spelling.
        plain = text[:1] == b'"' and b"\\" not in text and b"\\u" not in line and line.isascii()
        return text if plain else whole(line)

    return key_of


def _shape(names: tuple[str, ...]) -> Any:
    """A decoder's type for one path: a struct a name, the bytes at its end."""
    found: Any = Raw
    for name in reversed(names):
        fields: list[Any] = [("next", found | msgspec.UnsetType, UNSET)]
        found = msgspec.defstruct("Key", fields, rename={"next": name}, gc=False)
    return found
