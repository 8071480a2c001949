"""Plans that lack one thing: what the difference in cost is told by.

Takes a plan. Gives its fields (each with the place where it is written) and plans without a field, without deliveries, or with one action
alone. A field is a leaf of a mapping: an entry that is no plain map; the entry of a `$merge` counts as well as those written beside it, and
includes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from waypost import plan as p
from waypost.lang import fql, values

NEVER = "type = null"
"""A condition that no event meets whose type a trigger names, and which reads nothing else of it."""


@dataclass(frozen=True)
class Field:
    """`path` is the output path, `at` the place as file:line (the file alone where a plan does not know better)."""

    action: str
    path: tuple[str, ...]
    node: p.Value
    at: str

    @property
    def name(self) -> str:
        return ".".join(self.path)


def fields(plan: p.Plan, action: str) -> list[Field]:
    """In written order, what includes others before them."""
    mapping = plan.actions[action].mapping
    return [Field(action, path, node, _place(plan.source, action, path)) for path, node in _leaves(mapping, ())]


def _leaves(node: p.Value, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], p.Value]]:
    if not isinstance(node, (p.Object, p.Merge)):
        return
    for key, entry in node.entries.items():
        if not isinstance(entry, p.Object) or not entry.entries:
            yield (*path, key), entry
        yield from _leaves(entry, (*path, key))


def _place(source: p.Source, action: str, path: tuple[str, ...]) -> str:
    prefix = f"actions.{action}"
    words = ["mapping", *path]
    for count in range(len(words), -1, -1):
        found = source.positions.get(".".join((prefix, *words[:count])))
        if found is not None:
            return f"{source.file}:{found.partition(':')[0]}"
    return source.file


def alone(plan: p.Plan, action: str) -> p.Plan:
    return replace(plan, actions={action: plan.actions[action]})


def without(plan: p.Plan, field: Field) -> p.Plan:
    """The plan less a field, and less what `require` asks of it.

    The event's type, where a trigger names it, is made a constant instead: a message that begins with it is encoded another way without it.
    """
    action = plan.actions[field.action]
    kind, _ = fql.simple_type(fql.read(action.trigger))
    constant = p.Const(value=kind) if field.path == ("type",) and kind is not None else None
    kept = [need for need in action.require if not any(_within(path, field.path) for path in need.any)]
    mapping = _less(action.mapping, field.path, constant)
    return replace(plan, actions={**plan.actions, field.action: replace(action, mapping=mapping, require=kept)})


def _within(path: list[str], field: tuple[str, ...]) -> bool:
    return tuple(path[: len(field)]) == field


def _less(node: p.Value, path: tuple[str, ...], constant: p.Value | None) -> p.Value:
    assert isinstance(node, (p.Object, p.Merge))
    key, *rest = path
    entries = dict(node.entries)
    if rest:
        entries[key] = _less(entries[key], tuple(rest), constant)
        if entries[key] == p.Object(entries={}):
            del entries[key]
    elif constant is not None:
        entries[key] = constant
    else:
        del entries[key]
    return replace(node, entries=entries)


def idle(plan: p.Plan, *, tested: bool = False) -> p.Plan:
    """The plan whose events are decoded as ever, and then match no trigger: before what it asks besides the event's type, or (`tested`)
    behind."""
    return replace(
        plan,
        actions={
            name: replace(action, trigger=_never(action.trigger, tested)) for name, action in plan.actions.items()
        },
    )


def _never(trigger: str, tested: bool) -> str:
    kind, rest = fql.simple_type(fql.read(trigger))
    terms = [NEVER] if rest is None else [NEVER, f"({fql.show(rest)})"]
    if tested:
        terms.reverse()
    if kind is not None:
        terms.insert(0, f"type = {values.encode(kind).decode()}")
    return " and ".join(terms)
