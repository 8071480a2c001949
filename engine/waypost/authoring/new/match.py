"""Which field of a sample event each field of a sample request is: by equal value first, then by name.

Takes the decoded event and the request's message. Gives `Field`s and `Todo`s in the request's order. A match must hold for the samples
themselves: a field that cannot be read in the type that the request shows is a `Todo`.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from waypost.compiler.check.event_fields import can_be, kind_of
from waypost.compiler.check.secrets import looks_secret
from waypost.lang import fql, jsonpath, notation, values
from waypost.lang.words import snakecase

ALIASES = {
    "userId": ("user_id", "distinct_id", "external_id", "customer_id", "uid", "identity", "profile_id", "user"),
    "anonymousId": ("anonymous_id", "anon_id", "device_id"),
    "messageId": ("message_id", "event_id", "insert_id", "uuid", "idempotency_key", "unique_id", "id"),
    "event": ("event", "event_name", "name", "event_type", "action", "metric"),
    "timestamp": ("timestamp", "time", "ts", "created_at", "occurred_at", "event_time", "date"),
    "groupId": ("group_id", "account_id", "company_id"),
    "properties": (
        "properties",
        "props",
        "event_properties",
        "attributes",
        "data",
        "custom_data",
        "payload",
        "parameters",
    ),
    "traits": ("traits", "user_properties", "attributes", "profile"),
}
"""Field of an event -> what APIs call it."""

CREDENTIAL = re.compile(
    r"(api|access|write|auth|private|secret)_?(key|token)|^(token|secret|password|authorization|key)$|_(secret|token|password)$"
)
"""Names of credentials, in snake case. A value under such a name is never written into a file."""

_MISSING = values.MISSING
_LEVELS = 8


@dataclass(frozen=True)
class Leaf:
    """A field of the event: its path, the name it ends with, and its value in the sample."""

    path: str
    steps: tuple[str, ...]
    value: Any

    @property
    def name(self) -> str:
        return self.steps[-1] if self.steps else ""


@dataclass(frozen=True)
class Field:
    """`value` is an expression in the spec's notation, or the fields of an object. `note` is a remark behind it."""

    key: str
    value: str | tuple[Entry, ...]
    note: str = ""


@dataclass(frozen=True)
class Each:
    """One object for each item of a list of the event."""

    key: str
    of: str
    to: tuple[Entry, ...]


@dataclass(frozen=True)
class Todo:
    """What the author must decide."""

    key: str
    text: str


Entry = Field | Each | Todo


OWN_ID = '"{{ meta.id }}"'


def leaves(held: Any, root: str = "$", steps: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Every field of a sample event, or of an item (`root` is then `$item`), objects and lists too."""
    if not isinstance(held, dict) or len(steps) >= _LEVELS:
        return
    for key, value in held.items():
        if root == "$" and not steps and key not in fql.EVENT_ROOTS:
            continue
        own = (*steps, key)
        known = kind_of(own) if root == "$" else None
        if known in ("object", "boolean") and values.typeof(value) != known:
            continue
        yield Leaf(jsonpath.path_of(own, item=root == "$item"), own, value)
        yield from leaves(value, root, own)


def fields(message: dict[str, Any], found: list[Leaf]) -> tuple[Entry, ...]:
    """The message's fields, each with its source in the event."""
    return tuple(_entry(key, value, found) for key, value in message.items())


def count(entries: tuple[Entry, ...]) -> tuple[int, int]:
    """(fields with a source, fields without)."""
    matched = missing = 0
    for entry in entries:
        inner = entry.to if isinstance(entry, Each) else entry.value if isinstance(entry, Field) else ()
        if isinstance(inner, tuple) and inner:
            more, less = count(inner)
            matched, missing = matched + more, missing + less
        else:
            matched, missing = matched + isinstance(entry, Field), missing + isinstance(entry, Todo)
    return matched, missing


def _entry(key: str, value: Any, found: list[Leaf]) -> Entry:
    if CREDENTIAL.search(snakecase(key)):
        return Todo(key, "a credential belongs into `settings` and `auth`, not into a message")
    whole = _whole(key, value, found)
    if whole is not None:
        return whole
    if isinstance(value, dict) and value:
        return _object(key, value, found)
    if isinstance(value, list):
        return _list(key, value, found)
    return _derived(key, value, found) or _named(key, value, found)


def _whole(key: str, value: Any, found: list[Leaf]) -> Field | None:
    """The field with the same value; a value that many fields may have by accident must have the name as well."""
    equal = [leaf for leaf in found if _same(leaf.value, value)]
    telling = _telling(value)
    near = [leaf for leaf in equal if telling or likeness(key, leaf) > 0]
    if not near and len(equal) == 1 and equal[0].path.startswith("$item") and value not in (None, "", True, False):
        # An item has few fields: one of them with this very value is no accident.
        return Field(key, notation.quoted(equal[0].path), "by its value alone")
    if not near:
        return None
    return _plain(key, max(near, key=lambda leaf: (likeness(key, leaf), -len(leaf.steps))))


def _plain(key: str, leaf: Leaf) -> Field:
    if leaf.path == "$.messageId":
        return Field(key, '{$first: [$.messageId, "{{ meta.id }}"]}')
    return Field(key, notation.quoted(leaf.path))


def _telling(value: Any) -> bool:
    if isinstance(value, (dict, list)):
        return bool(value)
    if isinstance(value, str):
        return len(value) > 2
    return values.is_number(value) and abs(value) > 9


def _same(left: Any, right: Any) -> bool:
    """Equal with types, numbers by their value."""
    return values.typeof(left) == values.typeof(right) and fql.equal(left, right)


def _derived(key: str, value: Any, found: list[Leaf]) -> Field | None:
    """The field that the value was made from: a time in another form, a hash, text in lower case, a number as text."""
    for make in (_time, _hashed, _cased, _converted):
        for leaf in sorted(found, key=lambda leaf: (-likeness(key, leaf), len(leaf.steps))):
            if isinstance(leaf.value, (dict, list)) or leaf.value is None or isinstance(leaf.value, bool):
                continue
            made = make(value, leaf)
            if made is not None:
                return Field(key, made)
    return None


def _time(value: Any, leaf: Leaf) -> str | None:
    if not isinstance(leaf.value, str) or not (isinstance(value, str) or values.is_number(value)):
        return None
    instant = _try(values.to_unix_us, leaf.value)
    if instant is _MISSING:
        return None
    if isinstance(value, str):
        return _typed(leaf, "datetime") if _try(values.to_unix_us, value) == instant else None
    for kind in ("unix", "unix_ms", "unix_us"):
        if _same(values.TYPES[kind](leaf.value), value):
            return _typed(leaf, kind)
    return None


def _hashed(value: Any, leaf: Leaf) -> str | None:
    if not isinstance(value, str) or not isinstance(leaf.value, str):
        return None
    for name in ("sha256", "md5"):
        for before, text in (("", leaf.value), (" | trim | lower", leaf.value.strip().lower())):
            if getattr(hashlib, name)(text.encode()).hexdigest() == value.lower():
                return _template(leaf, f"{before} | {name}")
    return None


def _cased(value: Any, leaf: Leaf) -> str | None:
    if not isinstance(value, str) or not isinstance(leaf.value, str) or not _telling(value):
        return None
    for name, made in (
        ("lower", leaf.value.lower()),
        ("upper", leaf.value.upper()),
        ("snakecase", snakecase(leaf.value)),
    ):
        if made == value:
            return _template(leaf, f" | {name}")
    return None


def _converted(value: Any, leaf: Leaf) -> str | None:
    kind = values.typeof(value)
    if kind not in ("string", "number") or values.typeof(leaf.value) == kind or not _telling(leaf.value):
        return None
    made = _try(values.TYPES[kind], leaf.value)
    return _typed(leaf, kind) if made is not _MISSING and _same(made, value) else None


def _template(leaf: Leaf, filters: str) -> str:
    code = ("item" + leaf.path[5:]) if leaf.path.startswith("$item") else "event" + leaf.path[1:]
    return notation.in_quotes(f"{{{{ {code}{filters} }}}}")


def _typed(leaf: Leaf, kind: str) -> str:
    return f"{{$from: {notation.quoted(leaf.path)}, type: {kind}}}"


def _try(convert: Callable[[Any], Any], value: Any) -> Any:
    try:
        return convert(value)
    except values.Fault:
        return _MISSING


# By name.


def likeness(key: str, leaf: Leaf) -> int:
    """How alike a request's field and an event's field are in name: 3 equal, 2 known to be the same, 1 near, 0 not."""
    own, other = snakecase(key), snakecase(leaf.name)
    if own == other:
        return 3
    if len(leaf.steps) == 1 and not leaf.path.startswith("$item") and own in ALIASES.get(leaf.name, ()):
        return 2
    parts, others = own.split("_"), other.split("_")
    if len(min(own, other, key=len)) > 2 and (parts[-len(others) :] == others or others[-len(parts) :] == parts):
        return 1
    return int(len(own) > 4 and difflib.SequenceMatcher(None, own, other).ratio() > 0.85)


def _named(key: str, value: Any, found: list[Leaf]) -> Entry:
    near = [leaf for leaf in found if likeness(key, leaf) > 0]
    near.sort(key=lambda leaf: (-likeness(key, leaf), len(leaf.steps)))
    for leaf in near:
        made = _readable(value, leaf)
        if made is not None:
            field = Field(key, made) if made else _plain(key, leaf)
            return Field(key, field.value, f"by its name; the sample has {shown(value)}")
    if snakecase(key) in ALIASES["messageId"]:
        return Field(key, OWN_ID, "the same at every attempt")
    if near:
        return Todo(key, f"the sample has {shown(value)}, but {near[0].path} is {shown(near[0].value)}")
    return Todo(key, f"the sample has {shown(value)}; no field of the event has this value or name")


def _readable(value: Any, leaf: Leaf) -> str | None:
    """How the event's field is read in the type that the sample has: "" as it is; None when it cannot be."""
    wanted, kind = values.typeof(value), values.typeof(leaf.value)
    if leaf.name in ("timestamp", "originalTimestamp", "receivedAt", "sentAt") and isinstance(leaf.value, str):
        form = _time_form(value)
        if form is None or _try(values.TYPES[form], leaf.value) is _MISSING:
            return None
        return _typed(leaf, form)
    if wanted == "null" or wanted == kind:
        return ""
    if wanted not in ("string", "number") or kind not in ("string", "number"):
        return None
    known = kind_of(leaf.steps) if leaf.path.startswith("$.") else None
    if known is not None and not can_be(known, wanted):
        return None
    return None if _try(values.TYPES[wanted], leaf.value) is _MISSING else _typed(leaf, wanted)


def _time_form(value: Any) -> str | None:
    if isinstance(value, str):
        return "datetime" if _try(values.TYPES["unix_us"], value) is not _MISSING else None
    if not values.is_number(value):
        return "datetime" if value is None else None
    return "unix" if value < 1e11 else "unix_ms" if value < 1e14 else "unix_us"


# Objects and lists.


def _object(key: str, value: dict[str, Any], found: list[Leaf]) -> Entry:
    inner = fields(value, found)
    matched, _ = count(inner)
    alike = [leaf for leaf in found if isinstance(leaf.value, dict) and likeness(key, leaf) > 1]
    if not matched and alike:
        return Field(key, notation.quoted(alike[0].path), "by its name, whole")
    if not matched:
        return Todo(key, f"an object with {', '.join(map(shown, list(value)[:5]))}; nothing in it is in the event")
    return Field(key, inner)


def _list(key: str, value: list[Any], found: list[Leaf]) -> Entry:
    lists = [leaf for leaf in found if isinstance(leaf.value, list)]
    if value and isinstance(value[0], dict):
        best: tuple[int, Each] | None = None
        for leaf in lists:
            if not (leaf.value and isinstance(leaf.value[0], dict)):
                continue
            items = fields(value[0], list(leaves(leaf.value[0], "$item")))
            inner = tuple(_of_item(entry, value[0], found) for entry in items)
            matched, _ = count(inner)
            if matched and (best is None or matched > best[0]):
                best = matched, Each(key, leaf.path, inner)
        if best is not None:
            return best[1]
    elif len(value) == 1 and (one := _whole(key, value[0], found)) is not None and isinstance(one.value, str):
        path = one.value.startswith(("$.", "$item"))
        return Field(key, f"{{$from: {one.value}, type: array, single: wrap}}" if path else f"[{one.value}]")
    alike = [leaf for leaf in lists if likeness(key, leaf) > 1]
    if alike and not (value and isinstance(value[0], dict)):
        return Field(key, notation.quoted(alike[0].path), "by its name, whole")
    return Todo(key, f"a list of {len(value)}; no list of the event has these values or this name")


def _of_item(entry: Entry, item: dict[str, Any], outside: list[Leaf]) -> Entry:
    """What an item lacks may stand beside the list, such as an order's currency. Our id is the message's: all items would have the same."""
    if isinstance(entry, Field) and entry.value == OWN_ID:
        return Todo(entry.key, "an id of each item; the event's items have none by this name")
    value = item.get(entry.key)
    if not isinstance(entry, Todo) or CREDENTIAL.search(snakecase(entry.key)) or isinstance(value, (dict, list)):
        return entry
    return _whole(entry.key, value, outside) or _derived(entry.key, value, outside) or entry


def shown(value: Any) -> str:
    """A sample's value for a comment: short, on one line, and never what looks like a credential."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = values.encode(value).decode()
    if isinstance(value, str) and (len(text) > 40 or looks_secret(value) or "#" in text or not text.isprintable()):
        return "a text"
    return text
