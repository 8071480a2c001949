"""Two value expressions, field by field: which output fields are gone, new, made otherwise, checked otherwise.

Takes the mapping (or a request's body, headers, query) of both sides. Gives a Found for each output field that differs, at the deepest
field that holds the whole difference. Operators of one kind are walked side by side, so that a check inside a `$first` is told as the check
that it is; where they part, the field comes from elsewhere, and only the types are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from waypost import plan as p
from waypost.authoring.diff import conditions, shapes
from waypost.authoring.diff.change import BREAKING, Found
from waypost.authoring.diff.checks import check_differences
from waypost.lang import jsonpath, notation

Path = tuple[str, ...]
Raw = tuple[str, str]


@dataclass(frozen=True)
class _Field:
    """An output field of both sides; None where a side has no such field."""

    path: Path
    old: p.Value | None
    new: p.Value | None


def differences(old: p.Value, new: p.Value, show: Callable[[p.Value], str] = notation.value) -> list[Found]:
    """The fields that differ, in the order of the new side; `show` puts their values in words."""
    found: dict[Path, tuple[_Field, list[Raw]]] = {}
    for field, kind, reason in _walk(_Field((), old, new), old, new):
        found.setdefault(field.path, (field, []))[1].append((kind, reason))
    return [_joined(field, raw, show) for field, raw in found.values()]


def reads_meta_id(node: p.Value | None) -> bool:
    return node is not None and p.refers(node, "meta.id")


def _joined(field: _Field, raw: list[Raw], show: Callable[[p.Value], str]) -> Found:
    """One Found of all that was seen of a field: its kind is the first breaking one, its reason all reasons."""
    kinds = [kind for kind, _ in raw]
    kind = next((kind for kind in kinds if kind in BREAKING), kinds[0])
    if field.old is not None and field.new is not None and "type_changed" not in kinds:
        was, is_now = shapes.types(field.old), shapes.types(field.new)
        if was is not None and (is_now is None or not is_now <= was):
            raw = [("type_changed", f"{shapes.shown(was)} becomes {shapes.shown(is_now)}"), *raw]
            kind = kind if kind in BREAKING else "type_changed"
    reasons = dict.fromkeys(reason for _, reason in raw)
    before, after = ("" if node is None else show(node) for node in (field.old, field.new))
    return Found(kind, field.path, "; ".join(reasons), before, after)


Walked = Iterator[tuple[_Field, str, str]]


def _walk(field: _Field, old: p.Value, new: p.Value) -> Walked:
    if shapes.same(old, new):
        return
    if isinstance(old, p.From) or isinstance(new, p.From):
        before = old if isinstance(old, p.From) else p.From(of=old)
        after = new if isinstance(new, p.From) else p.From(of=new)
        for kind, reason in check_differences(before, after):
            yield field, kind, reason
        if before.required and after.required and not shapes.same(before.of, after.of):
            yield field, "check_tighter", "is required of another source"
        yield from _walk(field, before.of, after.of)
    elif isinstance(old, (p.Object, p.Merge)) and isinstance(new, (p.Object, p.Merge)):
        yield from _operands(field, old, new)
        yield from _entries(field, old, new)
    elif isinstance(old, p.When) and isinstance(new, p.When):
        yield from _when(field, old, new)
    elif isinstance(old, p.Each) and isinstance(new, p.Each):
        yield from _each(field, old, new)
    elif isinstance(old, p.Find) and isinstance(new, p.Find):
        yield from _find(field, old, new)
    elif isinstance(old, p.Get) and isinstance(new, p.Get):
        yield from _walk(field, old.of, new.of)
        yield from _walk(field, old.key, new.key)
    elif isinstance(old, p.Pick) and isinstance(new, p.Pick):
        yield from _pick(field, old, new)
    elif isinstance(old, p.Drop) and isinstance(new, p.Drop):
        yield from _drop(field, old, new)
    elif isinstance(old, p.Lookup) and isinstance(new, p.Lookup):
        yield from _lookup(field, old, new)
    elif isinstance(old, p.Items) and isinstance(new, p.Items):
        yield from _items(field, old, new)
    elif isinstance(old, p.First) or isinstance(new, p.First):
        yield from _first(field, old, new)
    elif isinstance(new, p.When) and new.otherwise is None and shapes.same(old, new.then):
        yield field, "field_narrower", f"only when {new.test}"
    else:
        yield field, "field_changed", _other(old, new)


def _other(old: p.Value, new: p.Value) -> str:
    if isinstance(old, p.Const) and isinstance(new, p.Const):
        return "another value"
    moved = isinstance(old, (p.Path, p.Ref)) and isinstance(new, (p.Path, p.Ref))
    return "comes from elsewhere" if moved else "is made in another way"


# Objects.


def _entries(field: _Field, old: p.Object | p.Merge, new: p.Object | p.Merge) -> Walked:
    gone = [key for key in old.entries if key not in new.entries]
    for key in [*new.entries, *gone]:
        before, after = _entry(old, key), _entry(new, key)
        inner = _Field((*field.path, key), before, after)
        if before is None and after is None:
            continue
        if after is None:
            yield inner, "field_removed", "is left out now" if key in new.entries else "is gone"
        elif before is None:
            yield from _added(inner, after, omitted=key in old.entries)
        else:
            yield from _walk(inner, before, after)


def _entry(node: p.Object | p.Merge, key: str) -> p.Value | None:
    """What stands at a key: its entry, else what comes through a `$merge` of one object; None: nothing, as far as is known."""
    written = node.entries.get(key)
    if written is not None:
        return None if isinstance(written, p.Omit) else written
    if isinstance(node, p.Merge) and len(node.of) == 1 and isinstance(node.of[0], p.Path):
        expr = jsonpath.parse(node.of[0].path, item=True)
        if expr.steps is not None:
            return p.Path(path=jsonpath.parse(f"{expr.text}[{notation.json_text(key)}]", item=True).text)
    return None


def _added(field: _Field, node: p.Value, *, omitted: bool) -> Walked:
    if p.mentions(node, lambda inner: isinstance(inner, p.From) and inner.required):
        yield field, "check_tighter", "is new, and events without it are refused"
    else:
        yield field, "field_added", "is no longer left out" if omitted else "is new"


def _operands(field: _Field, old: p.Object | p.Merge, new: p.Object | p.Merge) -> Walked:
    """What `$merge` joins before the written keys."""
    before = old.of if isinstance(old, p.Merge) else []
    after = new.of if isinstance(new, p.Merge) else []
    if shapes.same(before, after):
        return
    if len(before) == len(after):
        for left, right in zip(before, after, strict=True):
            yield from _walk(field, left, right)
        return
    lost = [node for node in before if not any(shapes.same(node, other) for other in after)]
    if lost:
        yield field, "field_narrower", f"no longer merges {', '.join(map(notation.value, lost))}"
    won = [node for node in after if not any(shapes.same(node, other) for other in before)]
    if won:
        yield field, "field_changed", f"merges {', '.join(map(notation.value, won))} too"
    if not lost and not won:
        yield field, "field_changed", "merges in another order"


# Operators.


def _when(field: _Field, old: p.When, new: p.When) -> Walked:
    if old.test != new.test:
        yield field, "field_changed", "the condition is another"
    yield from _walk(field, old.then, new.then)
    yield from _otherwise(field, old.otherwise, new.otherwise)


def _otherwise(field: _Field, old: p.Value | None, new: p.Value | None) -> Walked:
    if old is not None and new is not None:
        yield from _walk(field, old, new)
    elif old is not None:
        yield field, "field_narrower", "`else` is gone"
    elif new is not None:
        yield field, "field_changed", "has an `else`"


def _each(field: _Field, old: p.Each, new: p.Each) -> Walked:
    found = conditions.relation(old.where, new.where)
    if found in ("narrower", "unclear"):
        yield field, "field_narrower", "`where` takes fewer items" if found == "narrower" else "`where` is another"
    elif found == "wider":
        yield field, "field_changed", "`where` takes more items"
    if old.single != new.single:
        yield (
            ((field, "field_changed", "one value in the place of a list is taken for its item"))
            if new.single
            else (field, "check_tighter", "one value in the place of a list is refused")
        )
    yield from _walk(field, old.of, new.of)
    if not shapes.same(old.key, new.key):
        kind = "field_changed" if old.key is not None and new.key is not None else "type_changed"
        yield field, kind, "the entries have other names" if kind == "field_changed" else "`key` makes an object of it"
    inner = _Field((*field.path[:-1], f"{field.path[-1]}[]") if field.path else ("[]",), old.to, new.to)
    yield from _walk(inner, old.to, new.to)


def _find(field: _Field, old: p.Find, new: p.Find) -> Walked:
    if old.where != new.where:
        yield field, "field_narrower", "`where` finds another item"
    yield from _walk(field, old.of, new.of)
    if not shapes.same(old.to, new.to):
        item = p.Path(path="$item")
        yield from _walk(field, old.to or item, new.to or item)


def _of_setting(field: _Field, what: str, old: p.Ref | None, new: p.Ref | None) -> Walked:
    """Keys or a table that are a setting's now, another setting's, or written."""
    if not shapes.same(old, new):
        yield field, "field_changed", f"{what} of `{new.name}`" if new is not None else f"{what} as written"


def _drop(field: _Field, old: p.Drop, new: p.Drop) -> Walked:
    yield from _walk(field, old.of, new.of)
    yield from _of_setting(field, "drops the keys", old.keys_of, new.keys_of)
    won = [key for key in new.keys if key not in old.keys]
    lost = [key for key in old.keys if key not in new.keys]
    if won:
        yield field, "field_narrower", f"drops {', '.join(won)} too"
    if lost:
        yield field, "field_changed", f"no longer drops {', '.join(lost)}"


def _pick(field: _Field, old: p.Pick, new: p.Pick) -> Walked:
    yield from _walk(field, old.of, new.of)
    yield from _of_setting(field, "picks the keys", old.keys_of, new.keys_of)
    lost = [key for key in old.keys if key not in new.keys]
    won = [key for key in new.keys if key not in old.keys]
    if lost:
        yield field, "field_narrower", f"no longer picks {', '.join(lost)}"
    if won:
        yield field, "field_changed", f"picks {', '.join(won)} too"


def _lookup(field: _Field, old: p.Lookup, new: p.Lookup) -> Walked:
    yield from _walk(field, old.of, new.of)
    yield from _otherwise(field, old.otherwise, new.otherwise)
    yield from _of_setting(field, "looks into the table", old.table_of, new.table_of)
    lost = [key for key in old.table if key not in new.table]
    if lost:
        yield field, "field_narrower", f"the table has no {', '.join(lost)} any more"
    if any(not shapes.same(old.table.get(key), held) for key, held in new.table.items()):
        yield field, "field_changed", "the table says otherwise"


def _items(field: _Field, old: p.Items, new: p.Items) -> Walked:
    for left, right in zip(old.items, new.items, strict=False):
        yield from _walk(field, left, right)
    if len(new.items) < len(old.items):
        yield field, "field_narrower", "the list has fewer members"
    elif len(new.items) > len(old.items):
        yield field, "field_changed", "the list has more members"


def _first(field: _Field, old: p.Value, new: p.Value) -> Walked:
    before = old.of if isinstance(old, p.First) else [old]
    after = new.of if isinstance(new, p.First) else [new]
    if len(before) == len(after):
        if isinstance(old, p.First) != isinstance(new, p.First):
            yield field, "field_changed", f"null is {'left out' if isinstance(new, p.First) else 'no longer left out'}"
        for left, right in zip(before, after, strict=True):
            yield from _walk(field, left, right)
        return
    lost = [node for node in before if not any(shapes.same(node, other) for other in after)]
    if lost or len(after) < len(before):
        yield (
            field,
            "field_narrower",
            "has fewer alternatives" if len(after) < len(before) else "has other alternatives",
        )
    else:
        yield field, "field_changed", "has more alternatives"
