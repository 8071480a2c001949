"""The checks of two `$from`: which refuse more than before, which refuse less.

Takes both nodes (a value without checks as a `$from` without words). Gives kinds and reasons. A check with `invalid: omit` leaves the value
out instead of refusing the event; a tighter one then costs the value, which breaks a reader just so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from waypost import plan as p
from waypost.authoring.diff import shapes
from waypost.lang import notation

Raw = tuple[str, str]

_LIMITS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("max_length", "max_length", str),
    ("max_bytes", "max_bytes", str),
    ("max_age_s", "max_age", notation.seconds),
    ("max_ahead_s", "max_ahead", notation.seconds),
)


def check_differences(old: p.From, new: p.From) -> Iterator[Raw]:
    yield from _type(old, new)
    yield from _states(old, new)
    yield from _enum(old, new)
    yield from _form("pattern", old.pattern, new.pattern)
    yield from _form("format", old.format, new.format)
    for field, word, show in _LIMITS:
        yield from _limit(getattr(old, field), getattr(new, field), word, show)
    if old.invalid != new.invalid:
        tighter = new.invalid == "error"
        yield (
            ("check_tighter", "what fails a check refuses the event")
            if tighter
            else ("check_looser", "what fails a check is left out")
        )
    yield from _presence(old, new)


def _type(old: p.From, new: p.From) -> Iterator[Raw]:
    if old.type == new.type:
        return
    before, after = shapes.types(old), shapes.types(new)
    if new.type is None and before is not None and after is not None and after <= before:
        yield "field_changed", f"`type: {old.type}` is no longer asked for"
    elif old.type is None:
        yield "check_tighter", f"`type: {new.type}` is checked"
    else:
        yield "type_changed", f"{old.type} becomes {new.type or 'any type'}"


def _states(old: p.From, new: p.From) -> Iterator[Raw]:
    """`nulls` and `empty`, unless `nulls` only follows the type."""
    follows = all(node.nulls == ("omit" if node.type else "keep") for node in (old, new))
    if old.nulls != new.nulls and not follows:
        yield "field_changed", f"`nulls: {old.nulls}` becomes `nulls: {new.nulls}`"
    if old.single != new.single:
        wrapped = "one value becomes a list of one" if new.single else "one value in the place of a list is refused"
        yield "field_changed" if new.single else "check_tighter", wrapped
    if old.empty != new.empty:
        yield "field_changed", f"`empty: {old.empty}` becomes `empty: {new.empty}`"


def _enum(old: p.From, new: p.From) -> Iterator[Raw]:
    before = None if old.enum is None else {shapes.normal(item) for item in old.enum}
    after = None if new.enum is None else {shapes.normal(item) for item in new.enum}
    if before == after:
        return
    if after is not None and (before is None or not before <= after):
        yield "check_tighter", "`enum` takes fewer values"
    else:
        yield "check_looser", "`enum` takes more values"


def _form(word: str, old: str | None, new: str | None) -> Iterator[Raw]:
    if old == new:
        return
    if new is None:
        yield "check_looser", f"`{word}` is gone"
    else:
        yield "check_tighter", f"`{word}` is {'new' if old is None else 'another'}"


def _limit(old: float | None, new: float | None, word: str, show: Callable[[Any], str]) -> Iterator[Raw]:
    if old == new:
        return
    if new is None or (old is not None and new > old):
        yield "check_looser", f"`{word}` is gone" if new is None else f"`{word}` goes up to {show(new)}"
    else:
        yield "check_tighter", f"`{word}` is {show(new)}" if old is None else f"`{word}` goes down to {show(new)}"


def _presence(old: p.From, new: p.From) -> Iterator[Raw]:
    if new.required and not old.required:
        yield "check_tighter", "is required"
    elif old.required and not new.required:
        yield "check_looser", "is no longer required"
    if shapes.same(old.default, new.default):
        return
    if new.default is None:
        yield "field_narrower", "`default` is gone"
    else:
        yield "field_changed", "has a `default`" if old.default is None else "`default` is another"
