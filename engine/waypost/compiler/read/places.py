"""The places of a spec where an expression stands, and what may be named at each.

Takes nothing. Gives a `Place` for each kind of them; an operator that goes over items makes its own of the one around it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from waypost import plan as p
from waypost.lang import fql

OTHER_ROOTS = ("item", "settings", "meta", "now", "status", "headers", "body")
"""Names of the language that are no fields of an event: where one stands, it is meant as what it is elsewhere."""


@dataclass(frozen=True)
class Place:
    """What may be named at a place: roots of templates, whether `$item` and `$key` are legal, and roots of conditions. `body`: `$body` is, an
    answer's, and there is no event."""

    what: str
    roots: tuple[str, ...]
    item: bool = False
    key: bool = False
    messages: bool = False
    body: bool = False
    fql_roots: frozenset[str] = fql.TRIGGER_ROOTS
    part: p.Setting | None = None
    """What the item is, where it is a part of a setting."""

    def with_item(self, part: p.Setting | None = None) -> Place:
        return replace(self, item=True, roots=(*self.roots, "item"), fql_roots=self.fql_roots | {"item"}, part=part)

    def with_entry(self, part: p.Setting | None = None) -> Place:
        """Within `$each` and `$find`, where an item may be an object's entry."""
        inner = self.with_item(part)
        return replace(inner, key=True, roots=(*inner.roots, "key"), fql_roots=inner.fql_roots | {"key"})


MAPPING = Place("a mapping", ("event", "settings", "meta"))
TEXT = Place("a request", ("event", "settings", "meta", "now"))
BODY = Place("a body", ("event", "settings", "meta", "now"), messages=True)
OBJECTS = Place("a request", ("event", "settings", "meta", "now"))
"""Where an object of headers or of the query stands."""
SIGNED = Place("what is signed", ("event", "settings", "meta", "now", "timestamp", "body"))
SIGNATURE = Place("a signature's headers and query", ("event", "settings", "meta", "now", "timestamp", "signature"))
SIGN_KEY = Place("the key of a signature", ("settings",))
OAUTH2 = Place("a client of OAuth 2", ("settings",))
AUTH_OBJECTS = Place("`auth` and `check`", ("settings", "now"), fql_roots=frozenset({"settings"}))
"""Where an object of headers or of the query stands that goes with every request: no event decides it."""
AUTH = Place("auth", ("settings", "now"))
TRIGGER = Place("a trigger", ())
RESPONSE = Place("a response", (), fql_roots=fql.RESPONSE_ROOTS)
RESULT = Place(
    "a result", ("item", "key", "body"), item=True, key=True, body=True, fql_roots=fql.RESPONSE_ROOTS | {"item", "key"}
)
