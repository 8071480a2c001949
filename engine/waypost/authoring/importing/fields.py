"""A field's type, choices, format and `required`, laid over the source that its mapping names.

Takes a Source and a Field. Gives a tree of the spec, with notes where the two do not mean the same. What the format does to a value, in its
order (null and, at the top, empty text are dropped; one value becomes a list of one; types are converted), is said with `$from`, `$each` and
`$lookup`; what only a machine would write (a list of one item as its item) is told of the whole import instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from waypost.authoring.importing.metadata import Field
from waypost.authoring.importing.sources import (
    Constant,
    Each,
    Filtered,
    First,
    Items,
    Members,
    Merged,
    Nothing,
    Path,
    Source,
    Text,
    Unknown,
    When,
    exists,
    path_text,
    plain,
    when,
)
from waypost.authoring.importing.yaml_lines import APPROXIMATION, TODO, Note, Noted, Tree
from waypost.compiler.check import event_fields
from waypost.lang import notation, values
from waypost.lang.fql import equal

TYPES = {
    "string": "string",
    "text": "string",
    "password": "string",
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
    "datetime": "datetime",
    "object": "object",
}
FORMATS = {
    "email": "email",
    "uri": "uri",
    "date": "date",
    "date-time": "datetime",
    "ipv4": "ipv4",
    "ipv6": "ipv6",
    "uuid": "uuid",
    "hostname": "hostname",
}
HINTS = ("text", "password", "date-like")
"""Formats that check nothing."""

PLACEHOLDER = ("context", "todo")
"""Where a value without a source is looked for: no event has it, so whatever needs it is refused until a source is named."""


UNSOURCED = "todo: name its source"


def no_source(key: str) -> str:
    """The path of a field's value there."""
    return notation.quoted(path_text(Path((*PLACEHOLDER, key))))


@dataclass
class Sample:
    """What the sample event must hold at a path for its action to take it."""

    steps: tuple[str | int, ...]
    field: Field
    many: bool = False


@dataclass
class Typed:
    """Types the sources of one action. State: the samples found so far. `base`: where the item stands, inside of an `$each`."""

    samples: list[Sample] = field(default_factory=list)

    def value(self, source: Source, of: Field, *, root: bool, base: tuple[str | int, ...] = ()) -> Tree | None:
        """The field's tree, with its notes; None when it has no value."""
        notes = [
            Note(APPROXIMATION, f"a part of its mapping is left out: {why}") for why in dict.fromkeys(_unknown(source))
        ]
        source = _known(source)
        tree: Tree | None
        if isinstance(source, Nothing):
            tree = None
        elif of.multiple:
            tree = self._many(source, of, notes, root=root, base=base)
        elif of.type == "object":
            tree = self._object(source, of, notes, root=root, base=base)
        else:
            tree = self._scalar(source, of, notes, root=root, base=base)
        if tree is None:
            return self.missing(of, notes) if of.required else (Noted("", tuple(notes)) if notes else None)
        return Noted(tree, tuple(notes)) if notes else tree

    def missing(self, of: Field, notes: list[Note] | None = None) -> Tree:
        """A required field that has no source."""
        words = {"$from": no_source(of.key), "required": "true"}
        label = f" ({of.label})" if of.label and of.label.lower() != of.key.lower() else ""
        note = Note(TODO, f"`{of.key}`{label} is required, and nothing says where its value comes from")
        return Noted(dict(words), (*(notes or []), note), UNSOURCED)

    # One value.

    def _scalar(
        self, source: Source, of: Field, notes: list[Note], *, root: bool, base: tuple[str | int, ...]
    ) -> Tree | None:
        if isinstance(source, Constant):
            return self._constant(source.value, of, notes, root=root)
        kind = TYPES.get(of.type, "")
        self._sample(source, of, base)
        if of.allow_null and any(len(path.steps) > 1 for path in _paths(source)):
            notes.append(
                Note(
                    APPROXIMATION,
                    "null in the place of an object above the field is null there; here the field is missing",
                )
            )
        if of.allow_null and isinstance(source, First):
            source = _as_choice(source)  # `$first` takes null for no value, and here null is one
        tree = plain(_as_text(source)) if kind == "string" else plain(source)
        if tree is None:
            return None
        words: dict[str, Tree] = {}
        if kind == "boolean":
            tree = {"$lookup": tree, "in": {'"true"': "true", '"false"': "false"}, "else": tree}
        if kind == "object" and not _can_be_object(source):
            notes.append(Note(APPROXIMATION, "an object is meant, and this makes none"))
        if kind:
            words["type"] = kind
        if kind == "datetime":
            notes.append(
                Note(
                    APPROXIMATION,
                    "a number becomes ISO 8601 text, and other text than ISO 8601 is refused; there both pass as they are",
                )
            )
        if of.allow_null:
            words["nulls"] = "keep"
        if (root or kind != "string") and not (kind == "object" and of.required):
            words["empty"] = "omit"  # an empty object is a value where one is required
        words |= _limits(of, kind, notes)
        if of.required:
            words["required"] = "true"
        return {"$from": tree, **words}

    def _constant(self, held: Any, of: Field, notes: list[Note], *, root: bool) -> Tree | None:
        if held is None:
            return "null" if of.allow_null else None
        if held == "" and (root or TYPES.get(of.type) != "string"):
            return None
        made = converted(held, of)
        if made is values.MISSING or (of.choices and not any(equal(made, one) for one in of.choices)):
            notes.append(
                Note(TODO, f"the constant {notation.constant(held)[:60]} is refused by the field's own type or choices")
            )
            return {"$from": no_source(of.key), "required": "true"}
        return plain(Constant(made))

    # Objects.

    def _object(
        self, source: Source, of: Field, notes: list[Note], *, root: bool, base: tuple[str | int, ...]
    ) -> Tree | None:
        if isinstance(source, Constant) and isinstance(source.value, dict):
            if not source.value:
                return None
            source = Members({key: Constant(one) for key, one in source.value.items()})
        if isinstance(source, Members):
            return self._members(source, of, notes, base)
        if of.properties and isinstance(source, Path):
            return self._expanded(source, of, notes, base)
        if of.properties and isinstance(source, First):
            source = _as_choice(source)
        if of.properties and isinstance(source, When):
            inner = replace(of, required=False)
            then = self._object(source.then, inner, notes, root=root, base=base)
            rest = self._object(source.otherwise, inner, notes, root=root, base=base)
            return _required(when(source.test, then, rest), of)
        if of.properties and not isinstance(source, Nothing):
            notes.append(
                Note(APPROXIMATION, "the object is passed on as it is: types and names of its members are not checked")
            )
        return self._scalar(source, of, notes, root=root, base=base)

    def _members(self, source: Members, of: Field, notes: list[Note], base: tuple[str | int, ...]) -> Tree | None:
        found: dict[str, Tree] = {}
        for key, one in source.entries.items():
            member = of.properties.get(key)
            if member is None and of.properties and not of.open:
                notes.append(Note(APPROXIMATION, f"`{key}` is no member of the field, and is dropped as there"))
                continue
            tree = self.value(one, member, root=False, base=base) if member else self._free(one, notes, base)
            if tree is not None:
                found[notation.key(key)] = tree
        for key, member in of.properties.items():
            if key not in source.entries and member.required:
                found[notation.key(key)] = self.missing(member)
        return _kept(found, notes)

    def _free(self, source: Source, notes: list[Note], base: tuple[str | int, ...]) -> Tree | None:
        """A member of which nothing is known: it is passed on."""
        self._sample(source, Field("", "string"), base)
        return plain(source)

    def _expanded(self, source: Path, of: Field, notes: list[Note], base: tuple[str | int, ...]) -> Tree | None:
        """An object taken whole, of which the members are known: each by its name."""
        found = {}
        for key, member in of.properties.items():
            tree = self.value(source.member(key), member, root=False, base=base)
            if tree is not None:
                found[notation.key(key)] = tree
        inner: Tree | None = _kept(found, notes)
        if inner is None:
            return None
        if of.open:
            inner = {"$merge": plain(source) or "", **(inner if isinstance(inner, dict) else {})}
        needed = any(member.required for member in of.properties.values())
        there = exists(source)
        if needed and isinstance(there, str):
            inner = {"$when": notation.condition(there), "then": inner}
        return _required(inner, of)

    # Lists.

    def _many(
        self, source: Source, of: Field, notes: list[Note], *, root: bool, base: tuple[str | int, ...]
    ) -> Tree | None:
        one = replace(of, multiple=False, required=False)
        if isinstance(source, Constant):
            held = source.value if isinstance(source.value, list) else [source.value]
            if source.value in (None, ""):
                return None
            source = Items(tuple(Constant(item) for item in held))
        if isinstance(source, (Items, Members)):
            parts = source.of if isinstance(source, Items) else (source,)
            items = [tree for part in parts if (tree := self.value(part, one, root=False, base=base)) is not None]
            return _required(items or None, of)
        if isinstance(source, When):
            then = self._many(source.then, replace(of, required=False), notes, root=root, base=base)
            rest = self._many(source.otherwise, replace(of, required=False), notes, root=root, base=base)
            return _required(when(source.test, then, rest), of)
        shape: Source = Path((), item=True)
        if isinstance(source, Each):
            shape, source = source.to, source.of
        listed = plain(source)
        if listed is None:
            return None
        inner = (*_base(source, base), 0)
        self._sample(source, of, base, many=True)
        to = self.value(shape, one, root=False, base=inner)
        if to is None:
            return None
        if TYPES.get(of.type) != "object":
            listed = {"$from": listed, "empty": "omit"}
        return _required({"$each": listed, "single": "wrap", "to": to}, of)

    # The sample event.

    def _sample(self, source: Source, of: Field, base: tuple[str | int, ...], *, many: bool = False) -> None:
        if isinstance(source, Path):
            self.samples.append(Sample((*(base if source.item else ()), *source.steps), of, many))
        elif isinstance(source, First):
            self._sample(source.of[0], of, base, many=many)
        elif isinstance(source, (When, Filtered)):
            self._sample(source.then if isinstance(source, When) else source.of, of, base, many=many)
        elif isinstance(source, (Text, Merged)):
            for part in source.parts if isinstance(source, Text) else source.of:
                if not isinstance(part, str):
                    self._sample(part, of if isinstance(source, Merged) else Field("", "string"), base)


def _base(source: Source, base: tuple[str | int, ...]) -> tuple[str | int, ...]:
    if isinstance(source, First):
        return _base(source.of[0], base)
    if isinstance(source, Path):
        return (*(base if source.item else ()), *source.steps)
    return ("context", "todo")


def _required(tree: Tree | None, of: Field) -> Tree | None:
    if tree is None or not of.required:
        return tree
    return {"$from": tree, "required": "true"}


def _as_choice(source: First) -> Source:
    """The first that is there, as conditions: each branch can then be taken apart."""
    head, *rest = source.of
    test = exists(head)
    if not rest or not isinstance(test, str):
        return head
    return When(test, head, _as_choice(First(tuple(rest))) if len(rest) > 1 else rest[0])


def _as_text(source: Source) -> Source:
    """A value that becomes text: of a field that is true or false by the specification, its word."""
    if isinstance(source, Path) and not source.item and event_fields.kind_of(source.steps) == "boolean":
        return Filtered(source, "string")
    return source


def _can_be_object(source: Source) -> bool:
    return not isinstance(source, (Text, Each, Items)) and not (
        isinstance(source, Filtered) and source.name not in ("from_json", "flatten")
    )


def _kept(found: dict[str, Tree], notes: list[Note]) -> dict[str, Tree] | None:
    """Entries without those that hold only notes; their notes go up to the object's line."""
    kept: dict[str, Tree] = {}
    for key, tree in found.items():
        if isinstance(tree, Noted) and tree.tree == "":
            notes.extend(tree.notes)
        else:
            kept[key] = tree
    return kept or None


def _limits(of: Field, kind: str, notes: list[Note]) -> dict[str, Tree]:
    words: dict[str, Tree] = {}
    if of.choices:
        made = [
            one for one in (converted(one, replace(of, choices=())) for one in of.choices) if one is not values.MISSING
        ]
        if made:
            words["enum"] = [notation.fixed(one) for one in made]
    if of.format and of.format not in HINTS:
        known = FORMATS.get(of.format)
        if known and kind == "string":
            words["format"] = known
        else:
            notes.append(Note(APPROXIMATION, f"that it is a valid `{of.format}` is not checked"))
    longest = of.maximum if values.is_number(of.maximum) and of.maximum > 0 else None
    if kind == "string" and longest is not None and longest == int(longest):
        words["max_length"] = str(int(longest))
        longest = None
    if kind in ("string", "number") and (longest is not None or (values.is_number(of.minimum) and of.minimum)):
        notes.append(Note(APPROXIMATION, f"its range ({_range(of)}) is not checked"))
    return words


def _range(of: Field) -> str:
    least = f"from {values.number_text(of.minimum)}" if values.is_number(of.minimum) else ""
    most = f"to {values.number_text(of.maximum)}" if values.is_number(of.maximum) else ""
    return f"{least} {most}".strip()


_NUMBER = re.compile(r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*")


def converted(held: Any, of: Field) -> Any:
    """A constant in the field's type, as the format converts it; MISSING when it refuses it."""
    kind = TYPES.get(of.type, "")
    if isinstance(held, list) and len(held) == 1 and kind != "object":
        held = held[0]
    if kind in ("", "object"):
        return held if not kind or isinstance(held, dict) else values.MISSING
    if isinstance(held, (dict, list)) or held is None:
        return values.MISSING
    if kind in ("string", "datetime"):
        return held if isinstance(held, str) or (kind == "datetime" and not isinstance(held, bool)) else _word(held)
    if kind == "boolean":
        known = {"true": True, "false": False}
        if isinstance(held, bool):
            return held
        if isinstance(held, str):
            return known.get(held, values.MISSING)
        return bool(held) if held in (0, 1) else values.MISSING
    if isinstance(held, bool):
        held = int(held)
    if isinstance(held, str):
        if not _NUMBER.fullmatch(held):
            return values.MISSING
        held = float(held)
    return int(held) if held == int(held) else (held if kind == "number" else values.MISSING)


def _word(held: Any) -> str:
    return ("true" if held else "false") if isinstance(held, bool) else values.number_as_text(held)


def _unknown(source: Source) -> Iterator[str]:
    if isinstance(source, Unknown):
        yield source.why
    for inner in _inside(source):
        yield from _unknown(inner)


def _paths(source: Source) -> Iterator[Path]:
    if isinstance(source, Path):
        yield source
    for inner in _inside(source):
        yield from _paths(inner)


def _inside(source: Source) -> Iterator[Source]:
    if isinstance(source, (First, Items, Merged)):
        yield from source.of
    elif isinstance(source, Members):
        yield from source.entries.values()
    elif isinstance(source, When):
        yield from (source.then, source.otherwise)
    elif isinstance(source, Each):
        yield from (source.of, source.to)
    elif isinstance(source, Filtered):
        yield source.of
    elif isinstance(source, Text):
        yield from (part for part in source.parts if not isinstance(part, str))


def _known(source: Source) -> Source:
    """Without what cannot be said: a choice keeps its other branches, a text with such a part is nothing."""
    if isinstance(source, Unknown):
        return Nothing()
    if isinstance(source, First):
        kept = tuple(one for one in map(_known, source.of) if not isinstance(one, Nothing))
        return Nothing() if not kept else kept[0] if len(kept) == 1 and len(source.of) > len(kept) else First(kept)
    if isinstance(source, (Items, Merged)):
        return type(source)(tuple(one for one in map(_known, source.of) if not isinstance(one, Nothing)))
    if isinstance(source, Members):
        return Members({key: _known(one) for key, one in source.entries.items()})
    if isinstance(source, When):
        return When(source.test, _known(source.then), _known(source.otherwise))
    if isinstance(source, Each):
        of, to = _known(source.of), _known(source.to)
        return Nothing() if isinstance(of, Nothing) or isinstance(to, Nothing) else Each(of, to)
    if isinstance(source, (Text, Filtered)):
        return Nothing() if any(True for _ in _unknown(source)) else source
    return source
