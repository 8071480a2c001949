"""The reference interpreter's rules: what docs/spec-reference.md says of checks, names, items, `require`, `integrations` and envelopes.

Takes plan nodes, decoded values and events. Gives values, answers, or Faults. Each rule stands elsewhere a second time, for generated code and
the kernel (lang/checks.py, lang/each_items.py, program/require.py, program/integrations.py, events/not_events.py). No line is shared with
these, so that a mistake in one of the two is seen by the tests that compare them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

from waypost import plan as p
from waypost.lang import formats, fql, patterns, values
from waypost.lang.jsonpath import Part, Wild
from waypost.lang.values import MISSING, Fault


def checked(node: p.From, value: Any, now: float) -> Any:
    """What the checks of `$from` leave of a value, before `default` and `required`. `now` is in Unix seconds."""
    if value is None:
        value = {"keep": None, "omit": MISSING, "empty": ""}[node.nulls]
    if node.empty == "omit" and value in ("", [], {}):
        value = MISSING
    if value is MISSING or value is None:
        return value
    if node.single and not isinstance(value, list):
        value = [value]
    try:
        if node.type is not None:
            value = values.TYPES[node.type](value)
        for reason, said in _broken(node, value, now):
            raise Fault(reason, said)
    except Fault:
        if node.invalid == "omit":
            return MISSING
        raise
    return value


def _broken(node: p.From, value: Any, now: float) -> Iterator[tuple[str, str]]:
    """Each check behind `type` that a value does not pass, in the order of the docs."""
    if node.enum is not None and not [one for one in node.enum if fql.equal(one, value)]:
        yield "not_in_enum", f"{_shown(value)} is not one of {', '.join(map(_shown, node.enum))}"
    of_text = (("format", node.format), ("pattern", node.pattern), *_limits(node))
    for check, asked in of_text:
        if asked is not None and not isinstance(value, str):
            yield "wrong_type", f"{check} needs text, found {values.typeof(value)}"
    if node.format is not None and not formats.TEXT_FORMATS[node.format](value):
        yield "format", f"{_shown(value)} has not the format {node.format}"
    if node.pattern is not None and not patterns.compiled(node.pattern).fits(value):
        yield "pattern", f"{_shown(value)} does not match the pattern {node.pattern}"
    for check, most in _limits(node):
        if most is not None and (size := len(value if check == "max_length" else value.encode())) > most:
            yield "too_long", f"{check} is {most}, found {size}"
    if node.max_age_s is not None or node.max_ahead_s is not None:
        ahead = values.to_unix_us(value) / 1_000_000 - now
        if node.max_age_s is not None and ahead < -node.max_age_s:
            yield "too_old", f"{_shown(value)} is more than {node.max_age_s:g} s old"
        if node.max_ahead_s is not None and ahead > node.max_ahead_s:
            yield "too_far_ahead", f"{_shown(value)} is more than {node.max_ahead_s:g} s ahead"


def _limits(node: p.From) -> tuple[tuple[str, int | None], tuple[str, int | None]]:
    return ("max_length", node.max_length), ("max_bytes", node.max_bytes)


def _shown(value: Any) -> str:
    text = values.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."


def name_of(value: Any, what: str) -> Any:
    """The name that a value makes: a text, or a number's or boolean's text; MISSING of what is missing or null."""
    if isinstance(value, (dict, list)):
        raise Fault("wrong_type", f"expected text, a number or a boolean as {what}, found {values.typeof(value)}")
    return MISSING if value is MISSING or value is None else values.scalar_text(value)


_MEMBER = re.compile(r"\$item(?:\.[^.*]|\[[\"'])")
"""A path to a member of the item, in the canonical text of a plan."""


def take_entries(of: dict[str, Any], parts: list[p.Value], where: str | None, *, named: bool = True) -> None:
    """Raises Fault for an object that is itself the item: `parts` and `where` read members of items, and a value of it is neither an object
    nor null. Where the entries' names are read (and can be: `named`), it is a map, whatever is in it."""
    read = {word for part in parts for word in _read(part)} | (_condition(where) if where is not None else set())
    if "member" in read and not (named and "name" in read):
        for value in of.values():
            if not isinstance(value, dict) and value is not None:
                raise Fault("wrong_shape", "expected a list, or an object of objects, found one object")


def _read(part: p.Value) -> set[str]:
    """What an expression reads of its item: "member", or the "name" of its entry. What a loop within it reads is of other items."""
    if isinstance(part, (p.Each, p.Find)):
        return _read(part.of)
    found = set()
    if isinstance(part, p.Path) and _MEMBER.match(part.path):
        found.add("member")
    if isinstance(part, p.Ref) and part.name == "key":
        found.add("name")
    if isinstance(part, p.When):
        found |= _condition(part.test)
    for field in part.__struct_fields__:
        held = getattr(part, field)
        inner = held.values() if isinstance(held, dict) else held if isinstance(held, list) else [held]
        found |= {word for one in inner if isinstance(one, p.Node) for word in _read(one)}  # type: ignore[arg-type]
    return found


@functools.lru_cache(maxsize=1024)
def _condition(text: str) -> frozenset[str]:
    steps = [path.steps for path in fql.paths(fql.read(text))]
    members = {"member" for one in steps if one[0] == "item" and isinstance((*one, 0)[1], str)}
    return frozenset(members | {"name" for one in steps if one[0] == "key"})


def without(value: Any, path: tuple[Part, ...]) -> Any:
    """A value without what a connection's `redact` names: a member, or that of each item or member."""
    first, *rest = path
    if isinstance(value, list):
        return [without(item, tuple(rest)) for item in value] if isinstance(first, Wild) and rest else value
    if not isinstance(value, dict):
        return value
    named = {name for name in value if isinstance(first, Wild) or first == name}
    kept = {name: held for name, held in value.items() if rest or name not in named}
    return {name: without(held, tuple(rest)) if name in named else held for name, held in kept.items()}


def switched_off(event: dict[str, Any], names: list[str]) -> bool:
    """Whether an event's `integrations` says that a destination of these names gets nothing."""
    said = event.get("integrations")
    if not names or not isinstance(said, dict):
        return False
    own = [said[name] for name in names if name in said]
    switched_on = [value for value in own if value is True or isinstance(value, dict)]
    return any(value is False for value in own) or (said.get("All") is False and not switched_on)


def lacks(message: Any, need: p.Require) -> bool:
    """Whether none of the fields that `require` names is present in a message: not missing, not null, not ""."""

    def there(value: Any, path: list[str]) -> bool:
        if path:
            return isinstance(value, dict) and path[0] in value and there(value[path[0]], path[1:])
        return value is not None and value != ""

    return not any(there(message, path) for path in need.any)


def is_envelope(event: dict[str, Any]) -> bool:
    """Whether it is a batch of events: it has a list of them, and no type of its own."""
    return isinstance(event.get("batch"), list) and event.get("type") is None
