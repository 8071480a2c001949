"""What the value of a setting must be: one value, a list, rows with named fields, or a map.

Takes a plan's Setting and a value: decoded JSON, whatever it was written in. Gives it in its type, with the defaults of its fields, and for
each thing that is wrong a `Misfit`: the way to it in the value, and the end of a sentence that begins with the name of that place. Why here:
the compiler judges what stands in a file, a run what comes from a command line, a variable or Python, and both must say the same.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from waypost.lang.decimals import DIGITS
from waypost.lang.urls import url_fault
from waypost.lang.values import NUMBER
from waypost.lang.words import snakecase
from waypost.plan import Setting

Steps = tuple[str | int, ...]

SEVERAL = ("list", "map")
"""The types of settings that hold more than one value."""

TEXTS = ("string", "url", "choice")
"""The types that are written as text, whatever the text looks like."""

SHOWN, SHOWN_NAME = 60, 300
"""So many characters of a value that a person gave are shown (a file may hold anything), and of a name or a file's path."""


@dataclass(frozen=True)
class Misfit:
    """`kind`: type (another value is wanted there), missing, or unknown (there is no such field; `near` is one that there is)."""

    steps: Steps
    says: str
    kind: str = "type"
    near: str = ""


def place(name: str, steps: Iterable[str | int]) -> str:
    """`properties[3].to`, `event_names["Order Completed"]`."""
    for step in steps:
        plain = isinstance(step, str) and re.fullmatch(r"[A-Za-z_]\w*", step, re.ASCII)
        quoted = f'"{shown(step, SHOWN)}"' if isinstance(step, str) else step
        name += f".{step}" if plain else f"[{quoted}]"
    return name


def read(setting: Setting, value: Any, *, plain_http: bool = False, hidden: bool = False) -> tuple[Any, list[Misfit]]:
    """A value in the setting's type, and all that is wrong with it, which says nothing of a value that is `hidden`."""
    reader = _Reader(plain_http, hidden)
    return reader.read(setting, value, ()), reader.found


def text_of(value: Any) -> Iterator[str]:
    """The texts and numbers in a value, without the names that they have there."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from text_of(item)
    else:
        yield str(value)


def masked(value: Any, mask: str) -> Any:
    """The value with each of its texts and numbers shown as the mask."""
    if isinstance(value, dict):
        return {key: masked(item, mask) for key, item in value.items()}
    return [masked(item, mask) for item in value] if isinstance(value, list) else mask


def keys(value: Any) -> Any:
    """What a condition and `keys` see of a setting: of a map the list of its keys, anything else as it is."""
    return list(value) if isinstance(value, dict) else value


class _Reader:
    """State: what is wrong."""

    def __init__(self, plain_http: bool, hidden: bool) -> None:
        self.found: list[Misfit] = []
        self.plain_http = plain_http
        self.hidden = hidden

    def not_this(self, value: Any, before: str = ", not ") -> str:
        return "" if self.hidden else not_this(value, before)

    def wrong(self, steps: Steps, says: str, kind: str = "type", near: str = "") -> None:
        self.found.append(Misfit(steps, says, kind, near))

    def read(self, setting: Setting, value: Any, steps: Steps) -> Any:
        if setting.type == "list":
            return self.list(setting, value, steps)
        if setting.type == "map":
            return self.map(setting, value, steps)
        if setting.type == "row":
            return self.row(setting, value, steps)
        says = reference(value, hidden=self.hidden) if steps else None
        if says is None and steps and (value is None or value == ""):
            says = "is empty"
        if says is None:
            hidden = self.hidden or setting.secret
            held, says = one(setting, value, plain_http=self.plain_http, strict=bool(steps), hidden=hidden)
            if says is None:
                return held
        self.wrong(steps, says)
        return None

    def list(self, setting: Setting, value: Any, steps: Steps) -> Any:
        if not isinstance(value, (list, tuple)):
            return self.wrong(steps, f"is a list, such as `{example(setting)}`{self.not_this(value)}")
        assert setting.of is not None
        return [self.read(setting.of, item, (*steps, index)) for index, item in enumerate(value)]

    def map(self, setting: Setting, value: Any, steps: Steps) -> Any:
        if not isinstance(value, dict):
            return self.wrong(steps, f"is a map, such as `{example(setting)}`{self.not_this(value)}")
        assert setting.value is not None
        found: dict[str, Any] = {}
        for key, item in value.items():
            if not isinstance(key, str) or not key or CONTROL.search(key):
                self.wrong(steps, f"has a key that is no line of text{self.not_this(key, ': ')}")
                continue
            found[key] = self.read(setting.value, item, (*steps, key))
        return found

    def row(self, setting: Setting, value: Any, steps: Steps) -> Any:
        if not isinstance(value, dict):
            return self.wrong(steps, f"is a row, such as `{example(setting)}`{self.not_this(value)}")
        for key in value:
            if key in setting.fields or str(key).startswith("x-"):
                continue
            near = _near(str(key), setting.fields)
            guess = f"; did you mean `{near}`?" if near else f" (it has: {', '.join(setting.fields)})"
            self.wrong((*steps, str(key)), f"is no field of a row{guess}", "unknown", near)
        found: dict[str, Any] = {}
        for name, field in setting.fields.items():
            item = value.get(name)
            if item is None or item == "":
                if field.default is not None:
                    found[name] = field.default
                elif not field.optional:
                    self.wrong((*steps, name), "is missing", "missing")
                continue
            found[name] = self.read(field, item, (*steps, name))
        return found


def is_reference(value: Any) -> bool:
    """Whether a value stands for that of a variable or a file: `env:NAME`, `file:PATH`."""
    return isinstance(value, str) and value.startswith(("env:", "file:"))


def reference(value: Any, *, hidden: bool = False) -> str | None:
    """What is wrong with a reference within a list or map: it would be sent as it is written."""
    if not is_reference(value):
        return None
    what = "a reference" if hidden else f"`{shown(value, SHOWN)}`"
    return f"is {what}, and a reference stands only for a whole setting, not within one"


def one(
    setting: Setting, value: Any, *, plain_http: bool = False, strict: bool = False, hidden: bool = False
) -> tuple[Any, str | None]:
    """One value in its type, or what is wrong with it. `strict`: text is no number and no boolean."""
    but = "" if hidden else not_this(value)
    if not isinstance(value, (str, int, float)):
        return None, f"is one value{but}"
    if isinstance(value, int) and abs(value) >= 10**DIGITS:
        return None, f"has more than {DIGITS} digits"
    if setting.type == "choice":
        if isinstance(value, str) and value in setting.choices:
            return value, None
        near = _near(str(value), setting.choices)
        return None, f"is one of {', '.join(setting.choices)}" + (f"; did you mean `{near}`?" if near else "")
    if setting.type == "url":
        fault = url_fault(value, plain_http=plain_http) if isinstance(value, str) else "is an https url"
        return (None, f"{fault}{but}") if fault is not None else (str(value).rstrip("/"), None)
    read = None if strict and setting.type != "string" and isinstance(value, str) else _READERS[setting.type](value)
    return (None, f"is {ARTICLES[setting.type]}{but}") if read is None else (read, None)


def not_this(value: Any, before: str = ", not ") -> str:
    """The wrong value, as far as it is worth showing."""
    if isinstance(value, dict):
        return f"{before}a map"
    if isinstance(value, (list, tuple)):
        return f"{before}a list"
    try:
        text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    except ValueError:
        # An integer of more digits than Python writes.
        return ""
    return f"{before}`{shown(text, SHOWN)}`"


def shown(text: str, most: int = SHOWN_NAME) -> str:
    """What a person gave, on one line that changes nothing on a terminal: what has no form of its own as Python escapes it, and not all of
    it where it is long."""
    cut = text if len(text) <= most else text[:most] + "…"
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in cut)


def example(setting: Setting) -> str:
    """A value of the setting's type, as a person writes it on one line."""
    if setting.type == "list":
        assert setting.of is not None
        return f"[{example(setting.of)}{', …' if setting.of.type == 'row' else ', b' * (setting.of.type == 'string')}]"
    if setting.type == "map":
        assert setting.value is not None
        key = snakecase(setting.key.label) if setting.key is not None else ""
        return f"{{{key or 'key'}: {example(setting.value)}}}"
    if setting.type == "row":
        return "{" + ", ".join(f"{name}: {example(field)}" for name, field in setting.fields.items()) + "}"
    return next(iter(setting.choices), _EXAMPLES.get(setting.type, "…"))


def _near(word: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(word, list(known), 1, 0.67)
    return found[0] if found else ""


CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
"""No header can hold one, and none is part of a key that a person was given. (Half of a character has no bytes at all.)"""


def _read_string(value: Any) -> Any:
    return value if isinstance(value, str) and CONTROL.search(value) is None else None


def _read_integer(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = str(value)
    return int(text) if text.removeprefix("-").isdecimal() and text.isascii() and len(text) < 20 else None


def _read_number(value: Any) -> Any:
    if isinstance(value, bool):
        return None
    whole = _read_integer(value)
    if whole is not None:
        return whole
    if isinstance(value, int) or (isinstance(value, str) and NUMBER.fullmatch(value) is None):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _read_boolean(value: Any) -> Any:
    return {"true": True, "false": False}.get(str(value).lower())


_READERS = {
    "string": _read_string,
    "integer": _read_integer,
    "number": _read_number,
    "boolean": _read_boolean,
}
ARTICLES = {
    "string": "one line of text, without control characters",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
}
_EXAMPLES = {"string": "a", "integer": "1", "number": "1.5", "boolean": "true", "url": "https://example.com"}
