"""A plan's expressions: what a value of a message or a request is made of, as a tree of nodes, and how such a tree is gone over.

Takes nothing of ours. Gives the structs, their union `Value`, `rewrite` and `mentions`. Why a file of its own: a new word of the language
is a node here and nothing in the structs around it. All others have them from the package (`from waypost import plan as p`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct


class Node(Struct, frozen=True, tag_field="op", omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """A value expression. `op` names its kind in JSON; each kind is one row of the table in docs/spec-reference.md."""


class Path(Node, tag="path", frozen=True, kw_only=True):
    """`$.a.b`, `$item.x` (canonical text, see lang/jsonpath.py). Missing stays missing."""

    path: str


class Const(Node, tag="const", frozen=True, kw_only=True):
    """A JSON constant."""

    value: Any


class Ref(Node, tag="ref", frozen=True, kw_only=True):
    """A dotted name outside the event: `settings.endpoint.api`, `meta.id`, `now`."""

    name: str


class Text(Node, tag="text", frozen=True, kw_only=True):
    """A mixed template: the parts' texts joined. A part without a value leaves the whole missing."""

    parts: list[Value]


class Filter(Node, tag="filter", frozen=True, kw_only=True):
    """`of | name(args)`, with name from lang/filters.py."""

    name: str
    of: Value
    args: list[Value] = []


class Arith(Node, tag="arith", frozen=True, kw_only=True):
    """`left sign right` on numbers, sign one of + - * /."""

    sign: str
    left: Value
    right: Value


class Object(Node, tag="object", frozen=True, kw_only=True):
    """A map in written order; missing entries are left out, and the object is missing when nothing in it is present."""

    entries: dict[str, Value]


class Merge(Node, tag="merge", frozen=True, kw_only=True):
    """`$merge`: the objects of `of`, shallow, later wins; then `entries`, which decide even when they have no value."""

    of: list[Value]
    entries: dict[str, Value] = {}


class Omit(Node, tag="omit", frozen=True, kw_only=True):
    """`$omit`: no such key. Only as an entry of Object or Merge."""


class Items(Node, tag="list", frozen=True, kw_only=True):
    """A list; missing members are left out, and the list is missing when all are."""

    items: list[Value]


class From(Node, tag="from", frozen=True, kw_only=True):
    """`{$from: V, CHECKS}`; the checks run in the order of these fields (spec-reference, "Checks")."""

    of: Value
    nulls: str = "keep"
    empty: str = "keep"
    single: bool = False
    type: str | None = None
    enum: list[Any] | None = None
    format: str | None = None
    pattern: str | None = None
    max_length: int | None = None
    max_bytes: int | None = None
    max_age_s: float | None = None
    max_ahead_s: float | None = None
    invalid: str = "error"
    default: Value | None = None
    required: bool = False


class First(Node, tag="first", frozen=True, kw_only=True):
    """`$first`: the first that is neither missing nor null, else missing."""

    of: list[Value]


class Pick(Node, tag="pick", frozen=True, kw_only=True):
    """`$pick`: those keys of an object. Missing and null give missing; another non-object rejects the event. `keys_of`: a setting holds the
    keys, a list of texts or a map; `keys` is empty then."""

    of: Value
    keys: list[str]
    keys_of: Ref | None = None


class Drop(Node, tag="drop", frozen=True, kw_only=True):
    """`$drop`: all but those keys of an object, else as `$pick`."""

    of: Value
    keys: list[str]
    keys_of: Ref | None = None


class Each(Node, tag="each", frozen=True, kw_only=True):
    """`$each`: one `to` an item (`$item` in it); over an object its values, keys kept. `where` is FQL text.

    With `key` it makes an object, of which each entry's name is that value's text. `Ref("key")` in it is the name of the entry that is gone
    over. `single`: what is no list is a list of one (`single: wrap`)."""

    of: Value
    to: Value
    where: str | None = None
    key: Value | None = None
    single: bool = False


class Find(Node, tag="find", frozen=True, kw_only=True):
    """`$find`: `to` of the first item for which `where` (FQL text) holds, the item itself without `to`. Items are those of `$each`."""

    of: Value
    where: str
    to: Value | None = None


class Get(Node, tag="get", frozen=True, kw_only=True):
    """`$get`: the member of an object whose name is the text of `key`. Missing and null give missing; another non-object rejects the event."""

    of: Value
    key: Value


class When(Node, tag="when", frozen=True, kw_only=True):
    """`$when`: FQL text over the event; without `otherwise`, missing."""

    test: str
    then: Value
    otherwise: Value | None = None


class Lookup(Node, tag="lookup", frozen=True, kw_only=True):
    """`$lookup`: a table from the text of V to a constant; `otherwise` for a value that is not in it. `table_of`: a setting holds the table, a
    map; `table` is empty then."""

    of: Value
    table: dict[str, Any]
    otherwise: Value | None = None
    table_of: Ref | None = None


class Messages(Node, tag="messages", frozen=True, kw_only=True):
    """`$messages` (many) or `$message` (one): only inside a request's body. `actions`: those whose messages stand here; none: all."""

    many: bool
    actions: list[str] = []


Value = (
    Path
    | Const
    | Ref
    | Text
    | Filter
    | Arith
    | Object
    | Merge
    | Omit
    | Items
    | From
    | First
    | Pick
    | Drop
    | Each
    | Find
    | Get
    | When
    | Lookup
    | Messages
)


def rewrite(node: Value, change: Callable[[Value], Value | None]) -> Value:
    """The tree with each outermost node for which `change` gives a node replaced by it. Other nodes are kept."""
    changed = change(node)
    if changed is not None:
        return changed
    updates: dict[str, Any] = {}
    for name in node.__struct_fields__:
        held = getattr(node, name)
        if isinstance(held, Node):
            updates[name] = rewrite(held, change)  # type: ignore[arg-type]
        elif isinstance(held, list) and any(isinstance(item, Node) for item in held):
            updates[name] = [rewrite(item, change) for item in held]
        elif isinstance(held, dict) and any(isinstance(item, Node) for item in held.values()):
            updates[name] = {key: rewrite(item, change) for key, item in held.items()}
    return msgspec.structs.replace(node, **updates) if updates else node


def mentions(node: Value, wanted: Callable[[Value], bool]) -> bool:
    """Whether any node of the tree is wanted."""
    found = False

    def look(inner: Value) -> None:
        nonlocal found
        found = found or wanted(inner)

    rewrite(node, look)
    return found


def refers(node: Value, *names: str) -> bool:
    """Whether the tree refers to one of these by name: "now", "meta.id", "signature"."""
    return mentions(node, lambda inner: isinstance(inner, Ref) and inner.name in names)


def settings_in(node: Value) -> list[str]:
    """The settings that the tree refers to by name, each once."""
    found: list[str] = []

    def look(inner: Value) -> None:
        if isinstance(inner, Ref) and inner.name.startswith("settings."):
            found.append(inner.name.split(".")[1])

    rewrite(node, look)
    return list(dict.fromkeys(found))
