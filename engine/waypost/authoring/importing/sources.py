"""Where a value of a message comes from: the few kinds that any directive is read into.

Takes nothing. Gives the kinds, `plain` (a source in the spec's notation, without checks) and `exists` (a condition that tells whether there is
one). A source is relative to the event or, inside of `Each`, to the item.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from waypost import plan as p
from waypost.authoring.importing.yaml_lines import Tree
from waypost.lang import jsonpath, notation
from waypost.lang.fql_tree import show_path

Steps = tuple[str | int, ...]


@dataclass(frozen=True)
class Nothing:
    """No source at all."""


@dataclass(frozen=True)
class Unknown:
    """What cannot be said in a spec; `why` tells the reader of the import."""

    why: str


@dataclass(frozen=True)
class Constant:
    value: Any


@dataclass(frozen=True)
class Path:
    steps: Steps
    item: bool = False

    def member(self, name: str) -> Path:
        return Path((*self.steps, name), self.item)


@dataclass(frozen=True)
class First:
    """The first that is neither missing nor null."""

    of: tuple[Source, ...]


@dataclass(frozen=True)
class When:
    """`test` is a condition in FQL."""

    test: str
    then: Source
    otherwise: Source = Nothing()


@dataclass(frozen=True)
class Members:
    entries: dict[str, Source]


@dataclass(frozen=True)
class Items:
    of: tuple[Source, ...]


@dataclass(frozen=True)
class Each:
    of: Source
    to: Source


@dataclass(frozen=True)
class Text:
    """Constant text and sources in a row; one that is missing makes the whole missing."""

    parts: tuple[str | Source, ...]


@dataclass(frozen=True)
class Filtered:
    of: Source
    name: str
    args: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Merged:
    """Later wins."""

    of: tuple[Source, ...]


Source = Nothing | Unknown | Constant | Path | First | When | Members | Items | Each | Text | Filtered | Merged


def node(source: Source) -> p.Value | None:
    """The plan's node of a source that can stand in a template; None for any other."""
    if isinstance(source, Path):
        return p.Path(path=path_text(source))
    if isinstance(source, Constant):
        return p.Const(value=source.value)
    if isinstance(source, Filtered):
        of = node(source.of)
        return (
            None if of is None else p.Filter(name=source.name, of=of, args=[p.Const(value=arg) for arg in source.args])
        )
    if isinstance(source, Text):
        parts = [p.Const(value=part) if isinstance(part, str) else node(part) for part in source.parts]
        kept = [part for part in parts if part is not None]
        return p.Text(parts=kept) if len(kept) == len(parts) else None
    return None


def path_text(path: Path) -> str:
    """In canonical JSONPath: names that are no words stand in brackets."""
    return jsonpath.path_of(path.steps, item=path.item)


def plain(source: Source) -> Tree | None:
    """The source as a value of the spec; None when there is none."""
    if isinstance(source, (Nothing, Unknown)):
        return None
    held = node(source)
    if held is not None:
        return notation.quoted(held.path) if isinstance(held, p.Path) else notation.value(held)
    if isinstance(source, Members):
        entries = {notation.key(name): plain(one) for name, one in source.entries.items()}
        return {name: one for name, one in entries.items() if one is not None} or None
    if isinstance(source, (Items, First, Merged)):
        found = [one for one in map(plain, source.of) if one is not None]
        if isinstance(source, Items):
            return found or None
        if isinstance(source, First) and len(found) == 1 < len(source.of):
            return found[0]
        return {"$first" if isinstance(source, First) else "$merge": found} if found else None
    if isinstance(source, Each):
        of, to = plain(source.of), plain(source.to)
        return None if of is None or to is None else {"$each": of, "to": to}
    assert isinstance(source, (When, Text, Filtered))
    return when(source.test, plain(source.then), plain(source.otherwise)) if isinstance(source, When) else None


def when(test: str, then: Tree | None, otherwise: Tree | None) -> Tree | None:
    """A choice of two trees; None when there is neither."""
    if then is None:
        return None if otherwise is None else {"$when": notation.condition(negated(test)), "then": otherwise}
    rows: dict[str, Tree] = {"$when": notation.condition(test), "then": then}
    return rows if otherwise is None else {**rows, "else": otherwise}


def condition_path(path: Path) -> str:
    """A path as a condition names it; "" for the whole event or item."""
    steps: Steps = ("item", *path.steps) if path.item else path.steps
    return show_path(steps) if steps else ""


def exists(source: Source) -> str | bool | None:
    """A condition that holds when there is a value, or a fact; None where that cannot be said."""
    if isinstance(source, Path):
        named = condition_path(source)
        return f"{named} != null" if named else True
    if isinstance(source, Constant):
        return source.value is not None
    if isinstance(source, (Text, Members, Items, Merged)):
        return True
    if isinstance(source, Nothing):
        return False
    if isinstance(source, (Filtered, Each)):
        return exists(source.of)
    if isinstance(source, First):
        return any_of([exists(one) for one in source.of])
    if isinstance(source, When):
        yes = all_of([source.test, exists(source.then)])
        no = all_of([negated(source.test), exists(source.otherwise)])
        return any_of([yes, no])
    return None


def any_of(tests: list[str | bool | None]) -> str | bool | None:
    return _joined(tests, " or ", decides=True)


def all_of(tests: list[str | bool | None]) -> str | bool | None:
    return _joined(tests, " and ", decides=False)


def _joined(tests: list[str | bool | None], word: str, *, decides: bool) -> str | bool | None:
    if any(test is decides for test in tests):
        return decides
    if any(test is None for test in tests):
        return None
    parts = [test for test in dict.fromkeys(tests) if isinstance(test, str)]
    if not parts:
        return not decides
    return parts[0] if len(parts) == 1 else word.join(map(_grouped, parts))


def _grouped(test: str) -> str:
    return f"({test})" if " or " in test or " and " in test else test


def negated(test: str) -> str:
    if test.endswith(" != null") and test.count(" ") == 2:
        return test.removesuffix(" != null") + " = null"
    if test.endswith(" = null") and test.count(" ") == 2:
        return test.removesuffix(" = null") + " != null"
    return f"!({test})"
