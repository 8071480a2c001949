"""The directives of a mapping (`@path`, `@if`, `@arrayPath` …), read into sources.

Takes decoded JSON of any shape. Gives a Source; what is said with other words, or cannot be said, is a note. Each function follows what its
directive does when an event arrives, not what its name suggests: docs/migrating.md tells where the two part.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from waypost.authoring.importing.liquid import liquid, pieces, text_of
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
    condition_path,
    exists,
    negated,
    node,
)
from waypost.authoring.importing.yaml_lines import APPROXIMATION, Note

DEPTH = 24


@dataclass
class Reader:
    """Reads one field's mapping. State: the notes so far. `item`: paths begin at the item of a list."""

    item: bool = False
    notes: list[Note] = field(default_factory=list)
    depth: int = 0

    def note(self, text: str) -> None:
        self.notes.append(Note(APPROXIMATION, text))

    def read(self, held: Any) -> Source:
        if self.depth > DEPTH:
            return Unknown("it is nested too deeply")
        self.depth += 1
        try:
            return self._read(held)
        finally:
            self.depth -= 1

    def _read(self, held: Any) -> Source:
        if isinstance(held, list):
            return Items(tuple(self.read(one) for one in held)) if _holds_directive(held) else Constant(held)
        if not isinstance(held, dict):
            return Constant(held)
        names = [key for key in held if key.startswith("@")]
        if not names:
            return (
                Members({key: self.read(one) for key, one in held.items()})
                if _holds_directive(held)
                else Constant(held)
            )
        others = [key for key in held if key != names[0] and key != "_metadata"]
        if others:
            self.note(
                f"`{names[0]}` stands beside {', '.join(f'`{key}`' for key in others)}, which is refused there: only it is read"
            )
        read = DIRECTIVES.get(names[0])
        return Unknown(f"there is no directive `{names[0]}`") if read is None else read(self, held[names[0]])

    def inside(self) -> Reader:
        """A reader of an item's paths, whose notes are this one's."""
        return Reader(item=True, notes=self.notes, depth=self.depth)


def _holds_directive(held: Any, depth: int = 0) -> bool:
    if depth > DEPTH:
        return True
    inner = held.values() if isinstance(held, dict) else held if isinstance(held, list) else ()
    own = isinstance(held, dict) and any(key.startswith("@") for key in held)
    return own or any(_holds_directive(one, depth + 1) for one in inner)


_STEP = re.compile(r"""\[\s*(?:'([^']*)'|"([^"]*)"|([^\]'"]*))\s*\]|([^.\[\]]+)""")


def steps_of(text: str) -> tuple[str | int, ...] | None:
    """The steps of a path: with or without `$.`, names with any signs, `[n]` and `['k']`; None for `$` alone, which is nothing there."""
    text = text.strip()
    if text == "$":
        return None
    text = text.replace("$.", "", 1).strip()
    found: list[str | int] = []
    for match in _STEP.finditer(text):
        quoted = match[1] if match[1] is not None else match[2]
        name = quoted if quoted is not None else (match[3] if match[3] is not None else match[4])
        if name.isascii() and name.isdecimal() and quoted is None and len(name) < 6:
            found.append(int(name))
        elif name:
            found.append(name)
    return tuple(found)


def _written(reader: Reader, held: Any) -> Any:
    """What a directive is about: also a directive that gives a constant."""
    inner = reader.read(held) if isinstance(held, dict) else None
    return inner.value if isinstance(inner, Constant) else held


def _path(reader: Reader, held: Any) -> Source:
    held = _written(reader, held)
    if not isinstance(held, str):
        return Unknown("a path that is itself taken from the event")
    steps = steps_of(held)
    if steps is None:
        return Nothing()
    if len(steps) > 1 and steps[-1] == "length" and steps != ("properties", "length"):
        reader.note(f"`{held}`: of a list or a text `.length` counts there; here it is a field of that name")
    return Path(steps, reader.item)


def _literal(reader: Reader, held: Any) -> Source:
    return reader.read(held)


_HOLE = re.compile(r"\{\{\{([^}]+)\}\}\}|\{\{([^}]+)\}\}")


def _template(reader: Reader, held: Any) -> Source:
    held = _written(reader, held)
    if not isinstance(held, str):
        return Unknown("a template that is itself taken from the event")
    parts: list[str | Source] = []
    for piece in pieces(_HOLE, held):
        if isinstance(piece, str):
            parts.append(piece)
            continue
        name = (piece[1] or piece[2]).strip()
        steps = steps_of(name)
        if name.startswith("$"):
            reader.note(
                f"`{{{{ {name} }}}}` is empty there, for a template's path has no `$`; here it is the field that was meant"
            )
        if steps:
            parts.append(Path(steps, reader.item))
    made = text_of(parts)
    if isinstance(made, Text):
        reader.note("a template with a part that is missing is missing here; there the part is empty text")
    return made


def _if(reader: Reader, held: Any) -> Source:
    if not isinstance(held, dict):
        return Unknown("`@if` holds no object")
    then = reader.read(held["then"]) if held.get("then") is not None else Nothing()
    otherwise = reader.read(held["else"]) if _truthy(held.get("else")) else Nothing()
    blank = "exists" not in held and "blank" in held
    of = reader.read(held.get("exists", held.get("blank")))
    if not blank:
        return _choice(reader, of, then, otherwise)
    if isinstance(of, Constant):
        return then if of.value not in (None, "", 0, False, []) else otherwise
    if not isinstance(of, Path) or not of.steps:
        reader.note("`blank` of a computed value is read as `exists`")
        return _choice(reader, of, then, otherwise)
    named = condition_path(of)
    return When(" and ".join(f"{named} != {word}" for word in ("null", '""', "0", "false")), then, otherwise)


def _choice(reader: Reader, of: Source, then: Source, otherwise: Source) -> Source:
    test = exists(of)
    if test is None:
        return Unknown("it depends on a value that cannot be said")
    if isinstance(test, bool):
        return then if test else otherwise
    if of == then:
        rest = otherwise.of if isinstance(otherwise, First) else (otherwise,)
        return of if isinstance(otherwise, Nothing) else First((of, *rest))
    if isinstance(then, Nothing):
        return otherwise if isinstance(otherwise, Nothing) else When(negated(test), otherwise)
    return When(test, then, otherwise)


def _truthy(held: Any) -> bool:
    """As the format takes a constant for yes or no: objects and lists always are."""
    return isinstance(held, (dict, list)) or bool(held)


def _array_path(reader: Reader, held: Any) -> Source:
    if not isinstance(held, list) or not held:
        return Unknown("`@arrayPath` holds no list")
    of = _path(reader, held[0]) if isinstance(held[0], str) else reader.read(held[0])
    shape = held[1] if len(held) > 1 else None
    if not isinstance(shape, dict) or not shape or isinstance(of, (Nothing, Unknown)):
        return of
    return Each(of, reader.inside().read(shape))


def _filter(reader: Reader, of: Source, name: str, args: tuple[Any, ...] = ()) -> Source:
    """A filter over a source: inside of a choice it goes to each branch."""
    if isinstance(of, First):
        return First(tuple(_filter(reader, one, name, args) for one in of.of))
    if isinstance(of, When):
        return When(of.test, _filter(reader, of.then, name, args), _filter(reader, of.otherwise, name, args))
    if isinstance(of, (Nothing, Unknown)):
        return of
    if node(of) is None:
        return Unknown(f"`{name}` of a value that is put together")
    return Filtered(of, name, args)


def _case(reader: Reader, held: Any) -> Source:
    if not isinstance(held, dict) or held.get("operator") not in ("lower", "upper"):
        return Unknown("`@case` is lower or upper")
    of = reader.read(held.get("value"))
    if isinstance(of, Constant):
        return Constant(getattr(of.value, held["operator"])() if isinstance(of.value, str) else of.value)
    reader.note(f"`@case` of what is no text passes it on there; here `{held['operator']}` refuses the event")
    return _filter(reader, of, held["operator"])


def _replace(reader: Reader, held: Any) -> Source:
    if not isinstance(held, dict) or not isinstance(held.get("pattern"), str):
        return Unknown("`@replace` has no pattern")
    of = reader.read(held.get("value"))
    if held.get("ignorecase") is True or held.get("global") is False:
        reader.note("`@replace`: every occurrence is replaced here, in its own case")
    of = _filter(reader, of, "string")
    for pattern, to in (("pattern", "replacement"), ("pattern2", "replacement2")):
        found, written = held.get(pattern), held.get(to)
        if isinstance(found, str) and found:
            of = _filter(reader, of, "replace", (found, written if isinstance(written, str) else ""))
    reader.note("`@replace` of a missing value is empty text there; here it stays missing")
    return of


def _merge(reader: Reader, held: Any) -> Source:
    if not isinstance(held, dict) or not isinstance(held.get("objects"), list):
        return Unknown("`@merge` has no objects")
    found = [reader.read(one) for one in held["objects"]]
    lost = [one.why for one in found if isinstance(one, Unknown)]
    if lost:
        return Unknown(lost[0])
    kept = tuple(one for one in found if not isinstance(one, Nothing))
    return Merged(kept[::-1] if held.get("direction") == "left" else kept) if kept else Nothing()


def _json(reader: Reader, held: Any) -> Source:
    if not isinstance(held, dict) or held.get("mode") not in ("encode", "decode"):
        return Unknown("`@json` is encode or decode")
    of = reader.read(held.get("value"))
    if held["mode"] == "encode":
        return _filter(reader, of, "json")
    reader.note("`@json` passes on text that is no JSON; here it refuses the event")
    return _filter(reader, of, "from_json")


def _flatten(reader: Reader, held: Any) -> Source:
    if not isinstance(held, dict):
        return Unknown("`@flatten` holds no object")
    separator = held.get("separator")
    of = reader.read(held.get("value"))
    if held.get("omitArrays") is not True:
        reader.note("`@flatten` takes lists apart there (`a.0`); here they stay whole")
    return _filter(reader, of, "flatten", (separator if isinstance(separator, str) else ".",))


def _exclude(reader: Reader, held: Any) -> Source:
    return _without_nulls(reader.read(held))


def _without_nulls(of: Source) -> Source:
    """An object whose members that are null are left out: a choice of one value takes null for none."""
    if isinstance(of, Members):
        return Members({key: _without_nulls(one) for key, one in of.entries.items()})
    if isinstance(of, Path):
        return First((of,))
    return Nothing() if of == Constant(None) else of


def _transform(reader: Reader, held: Any) -> Source:
    if not isinstance(held, dict):
        return Unknown("`@transform` holds no object")
    first = reader.read(held.get("apply"))
    second = Reader(item=False, notes=reader.notes, depth=reader.depth).read(held.get("mapping"))
    return _composed(second, first)


def _composed(of: Source, first: Source) -> Source:
    """A source over the result of a first mapping, as one over the event."""
    if isinstance(of, Path):
        return of if of.item else _taken(first, of.steps)
    if isinstance(of, Members):
        return Members({key: _composed(one, first) for key, one in of.entries.items()})
    if isinstance(of, (Items, First, Merged)):
        return type(of)(tuple(_composed(one, first) for one in of.of))
    if isinstance(of, (Constant, Nothing, Unknown)):
        return of
    if isinstance(of, Filtered):
        inner = _composed(of.of, first)
        return Filtered(inner, of.name, of.args) if node(inner) is not None else Unknown("`@transform` of a choice")
    return Unknown("`@transform` whose second mapping decides or repeats")


def _taken(first: Source, steps: tuple[str | int, ...]) -> Source:
    if not steps:
        return first
    if isinstance(first, Path):
        return Path((*first.steps, *steps), first.item)
    if isinstance(first, Members):
        return _taken(first.entries.get(str(steps[0]), Nothing()), steps[1:])
    if isinstance(first, First):
        return First(tuple(_taken(one, steps) for one in first.of))
    if isinstance(first, When):
        return When(first.test, _taken(first.then, steps), _taken(first.otherwise, steps))
    if isinstance(first, Constant):
        held = first.value.get(str(steps[0])) if isinstance(first.value, dict) else None
        return Nothing() if held is None else _taken(Constant(held), steps[1:])
    return first if isinstance(first, (Nothing, Unknown)) else Unknown("`@transform` takes a part of what is computed")


def _liquid(reader: Reader, held: Any) -> Source:
    if not isinstance(held, str):
        return Unknown("`@liquid` holds no text")
    found = liquid(held, lambda text: Path(steps_of(text) or (), reader.item))
    if isinstance(found, Unknown):
        return found
    reader.note(
        "Liquid's text is made with Waypost's filters: a missing part makes it missing, and a number stays a number"
    )
    return found


DIRECTIVES: dict[str, Callable[[Reader, Any], Source]] = {
    "@path": _path,
    "@literal": _literal,
    "@template": _template,
    "@liquid": _liquid,
    "@if": _if,
    "@arrayPath": _array_path,
    "@case": _case,
    "@replace": _replace,
    "@merge": _merge,
    "@json": _json,
    "@flatten": _flatten,
    "@excludeWhenNull": _exclude,
    "@transform": _transform,
}
