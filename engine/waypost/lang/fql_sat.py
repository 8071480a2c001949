"""What a condition can match at all: conservative analysis over equality, `in`, negation, comparison and type tests.

Takes FQL trees. `conflict` gives the terms that exclude each other when no event can match, or None; `overlap` says whether one event may match
two conditions; `types` which event types can. A form that is not understood counts as possible, so "can never match" is never said wrongly.

How: the condition is spread into alternatives, each a list of terms that must hold together. A list is impossible when a term stands in it
beside its own negation; when a path that must equal one of some constants has none that passes every other term on that path (each is tried
with `fql.evaluate`, so there is one authority); or when the JSON types or number ranges that its terms allow have nothing in common.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from waypost.lang import fql, values
from waypost.lang.arithmetic import compare
from waypost.lang.values import MISSING

LIMIT = 256
"""More alternatives than this are not looked at one by one: the answer is then "possible"."""

KINDS = frozenset({"string", "number", "bool", "list", "object", "null"})

Steps = tuple[str | int, ...]


@dataclass(frozen=True)
class Term:
    """A condition without `and`, `or` and `!`, that must hold or must not."""

    node: fql.Node
    holds: bool


@dataclass(frozen=True)
class Conflict:
    """Why a condition can never hold: the terms that together exclude everything, as few as were found. `path` is what they ask of."""

    terms: tuple[Term, ...]
    path: Steps | None


def conflict(node: fql.Node) -> Conflict | None:
    """Why the condition can never hold, or None when it may. Of several alternatives, the first one's reason."""
    first: Conflict | None = None
    for terms in _alternatives(node):
        found = None if terms is None else _impossible(terms)
        if found is None:
            return None
        first = first or found
    return first


@functools.lru_cache(maxsize=4096)
def overlap(left: fql.Node, right: fql.Node) -> bool:
    """Whether one event may match both."""
    return conflict(fql.And((left, right))) is None


@functools.lru_cache(maxsize=4096)
def types(node: fql.Node) -> frozenset[str]:
    """The event types that the condition can match."""
    type_path = fql.PathRef(("type",))
    return frozenset(name for name in fql.EVENT_TYPES if overlap(fql.Compare("=", type_path, fql.Literal(name)), node))


def _alternatives(node: fql.Node) -> Iterator[list[Term] | None]:
    """The disjunctive form; a None says that there are too many to list."""
    found = _spread(node, True)
    if found is None:
        yield None
    else:
        yield from found


def _spread(node: fql.Node, holds: bool) -> list[list[Term]] | None:
    if isinstance(node, fql.Not):
        return _spread(node.of, not holds)
    if not isinstance(node, (fql.And, fql.Or)):
        return [[Term(node, holds)]]
    parts = [_spread(inner, holds) for inner in node.of]
    if isinstance(node, fql.Or) == holds:
        joined: list[list[Term]] = []
        for part in parts:
            if part is None:
                return None
            joined += part
        return joined if len(joined) <= LIMIT else None
    product: list[list[Term]] = [[]]
    for part in parts:
        if part is None:
            return None
        product = [left + right for left in product for right in part]
        if len(product) > LIMIT:
            return None
    return product


def _impossible(terms: list[Term]) -> Conflict | None:
    """The fewest terms that cannot hold together: one, two, or all of them."""
    for count in (1, 2):
        if count == 2 and len(terms) > 40:
            break
        for few in combinations(terms, count):
            found, path = _excluded(list(few))
            if found:
                return Conflict(few, path)
    found, path = _excluded(terms)
    return Conflict(tuple(terms), path) if found else None


def _excluded(terms: list[Term]) -> tuple[bool, Steps | None]:
    """Whether no event satisfies all the terms, and the path that says so."""
    held = {term.node for term in terms if term.holds}
    for term in terms:
        if not term.holds and term.node in held:
            return True, None
    asked: dict[Steps, _Asked] = {}
    for term in terms:
        _ask(asked, term)
    # A path that must be one of some constants holds no list or object: below it everything is missing.
    for steps in [steps for steps, found in asked.items() if found.allowed is not None]:
        for other, found in asked.items():
            if len(other) > len(steps) and other[: len(steps)] == steps:
                found.allow([None])
    for steps, found in asked.items():
        if not found.possible(steps):
            return True, steps
    return False, None


@dataclass
class _Asked:
    """What some terms ask of one path. State: the constraints met so far."""

    allowed: list[Any] | None = None
    kinds: frozenset[str] = KINDS
    low: tuple[Any, bool] | None = None
    high: tuple[Any, bool] | None = None
    excluded: list[Any] = field(default_factory=list)
    alone: list[Term] = field(default_factory=list)
    """The terms that read nothing but this path."""

    def allow(self, members: list[Any]) -> None:
        self.allowed = (
            members
            if self.allowed is None
            else [item for item in self.allowed if any(fql.equal(item, other) for other in members)]
        )

    def order(self, sign: str, bound: Any) -> None:
        strict = sign in ("<", ">")
        if sign in ("<", "<="):
            beside = -1 if self.high is None else compare(bound, self.high[0])
            if self.high is None or beside < 0 or (beside == 0 and strict and not self.high[1]):
                self.high = (bound, strict)
            return
        beside = 1 if self.low is None else compare(bound, self.low[0])
        if self.low is None or beside > 0 or (beside == 0 and strict and not self.low[1]):
            self.low = (bound, strict)

    def possible(self, steps: Steps) -> bool:
        if not self.kinds:
            return False
        if self.allowed is not None:
            return any(self.passes(steps, value) for value in self.allowed)
        if self.kinds == {"number"} and self.low is not None and self.high is not None:
            beside = compare(self.low[0], self.high[0])
            if beside == 0 and not self.low[1] and not self.high[1]:
                return not any(fql.equal(self.low[0], value) for value in self.excluded)
            return beside < 0
        if self.kinds == {"null"}:
            return self.passes(steps, None)
        if self.kinds == {"bool"}:
            return any(self.passes(steps, value) for value in (True, False))
        return True

    def passes(self, steps: Steps, value: Any) -> bool:
        """Whether one value satisfies every term that reads only this path."""
        return fql.typeof(value) in self.kinds and all(
            fql.evaluate(term.node, lambda path: value if path == steps else MISSING) == term.holds
            for term in self.alone
        )


def _ask(asked: dict[Steps, _Asked], term: Term) -> None:
    node = term.node
    paths = {path.steps for path in fql.paths(node)}
    if len(paths) == 1:
        asked.setdefault(next(iter(paths)), _Asked()).alone.append(term)
    if isinstance(node, fql.In) and isinstance(node.left, fql.PathRef) and isinstance(node.right, tuple):
        found = asked.setdefault(node.left.steps, _Asked())
        members = [literal.value for literal in node.right]
        if term.holds:
            found.allow(members)
        else:
            found.excluded += members
    elif isinstance(node, fql.Compare):
        _compared(asked, node.left, node.sign, node.right, term.holds)
        _compared(asked, node.right, _mirrored(node.sign), node.left, term.holds)
    elif isinstance(node, fql.Call) and term.holds and isinstance(node.args[0], fql.PathRef):
        found = asked.setdefault(node.args[0].steps, _Asked())
        found.kinds &= {"contains": {"string", "list"}, "match": {"string"}, "bool": {"bool", "string"}}.get(
            node.name, KINDS
        )


def _compared(asked: dict[Steps, _Asked], side: fql.Operand, sign: str, other: fql.Operand, holds: bool) -> None:
    """What `side sign other` asks of a path on the left, or of the path within a call there."""
    if sign not in ("=", "!="):
        if holds and isinstance(side, fql.PathRef):
            found = asked.setdefault(side.steps, _Asked())
            found.kinds &= {"number"}
            if isinstance(other, fql.Literal) and values.is_number(other.value):
                found.order(sign, other.value)
        return
    if not isinstance(other, fql.Literal):
        return
    equal = (sign == "=") == holds
    if isinstance(side, fql.PathRef):
        found = asked.setdefault(side.steps, _Asked())
        if equal:
            found.allow([other.value])
        else:
            found.excluded.append(other.value)
            if other.value is None:
                found.kinds -= {"null"}
    elif isinstance(side, fql.Call) and isinstance(side.args[0], fql.PathRef):
        found = asked.setdefault(side.args[0].steps, _Asked())
        if side.name == "typeof":
            named = {other.value} if isinstance(other.value, str) else set()
            found.kinds = found.kinds & named if equal else found.kinds - named
        elif equal and side.name in ("lowercase", "uppercase", "snakecase", "kebabcase", "titlecase"):
            found.kinds &= {"string"} if other.value is not None else KINDS - {"string"}
        elif equal and side.name == "length" and values.is_number(other.value) and other.value > 0:
            found.kinds &= {"string", "list"}


def _mirrored(sign: str) -> str:
    return {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(sign, sign)
