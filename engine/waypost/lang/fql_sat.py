"""What a trigger can match at all: conservative analysis over equality, `in`, negation and comparison.

Takes FQL trees. `never` says why no event can match, or None; `overlap` whether one event may match two; `types` which event types can. A form
that is not understood counts as possible, so "can never match" is never said wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from waypost.lang import fql, values

LIMIT = 256
"""More alternatives than this are not looked at one by one: the answer is then "possible"."""

Atom = tuple[fql.Node, bool]


def never(node: fql.Node) -> str | None:
    """Why the condition can never hold, in words, or None."""
    reason = None
    for conjunction in _alternatives(node):
        if conjunction is None:
            return None
        reason = _contradiction(conjunction)
        if reason is None:
            return None
    return reason


def overlap(left: fql.Node, right: fql.Node) -> bool:
    """Whether one event may match both."""
    return never(fql.And((left, right))) is None


def types(node: fql.Node) -> frozenset[str]:
    """The event types that the condition can match."""
    type_path = fql.PathRef(("type",))
    return frozenset(name for name in fql.EVENT_TYPES if overlap(fql.Compare("=", type_path, fql.Literal(name)), node))


def _alternatives(node: fql.Node) -> Iterator[list[Atom] | None]:
    """The disjunctive form; a None says that there are too many to list."""
    found = _dnf(node, True)
    if found is None:
        yield None
    else:
        yield from found


def _dnf(node: fql.Node, positive: bool) -> list[list[Atom]] | None:
    if isinstance(node, fql.Not):
        return _dnf(node.of, not positive)
    if not isinstance(node, (fql.And, fql.Or)):
        return [[(node, positive)]]
    parts = [_dnf(inner, positive) for inner in node.of]
    if isinstance(node, fql.Or) == positive:
        joined: list[list[Atom]] = []
        for part in parts:
            if part is None:
                return None
            joined += part
        return joined if len(joined) <= LIMIT else None
    product: list[list[Atom]] = [[]]
    for part in parts:
        if part is None:
            return None
        product = [left + right for left in product for right in part]
        if len(product) > LIMIT:
            return None
    return product


class _Field:
    """What one conjunction asks of one field. State: the constraints met so far."""

    def __init__(self) -> None:
        self.allowed: list[Any] | None = None
        self.excluded: list[Any] = []
        self.low: tuple[float, bool] | None = None
        self.high: tuple[float, bool] | None = None
        self.numeric = False

    def allow(self, members: list[Any]) -> None:
        self.allowed = (
            members
            if self.allowed is None
            else [item for item in self.allowed if any(fql.equal(item, other) for other in members)]
        )

    def order(self, sign: str, bound: float) -> None:
        self.numeric = True
        strict = sign in ("<", ">")
        if sign in ("<", "<="):
            if self.high is None or (bound, not strict) < (self.high[0], not self.high[1]):
                self.high = (bound, strict)
        elif self.low is None or (bound, strict) > (self.low[0], self.low[1]):
            self.low = (bound, strict)

    def fits(self, value: Any) -> bool:
        if any(fql.equal(value, other) for other in self.excluded):
            return False
        if not self.numeric:
            return True
        if not values.is_number(value):
            return False
        above = self.low is None or value > self.low[0] or (value == self.low[0] and not self.low[1])
        below = self.high is None or value < self.high[0] or (value == self.high[0] and not self.high[1])
        return above and below

    def possible(self) -> bool:
        if self.allowed is not None:
            return any(self.fits(value) for value in self.allowed)
        if self.low is not None and self.high is not None:
            if self.low[0] == self.high[0]:
                return not self.low[1] and not self.high[1] and self.fits(self.low[0])
            return self.low[0] < self.high[0]
        return True


def _contradiction(atoms: list[Atom]) -> str | None:
    fields: dict[tuple[str | int, ...], _Field] = {}
    for node, positive in atoms:
        _constrain(fields, node, positive)
    for steps, field in fields.items():
        if not field.possible():
            return f"`{fql.show_path(steps)}` cannot be all that is asked of it"
    return None


def _constrain(fields: dict[tuple[str | int, ...], _Field], node: fql.Node, positive: bool) -> None:
    if isinstance(node, fql.In) and isinstance(node.left, fql.PathRef) and isinstance(node.right, tuple):
        field = fields.setdefault(node.left.steps, _Field())
        members = [literal.value for literal in node.right]
        if positive:
            field.allow(members)
        else:
            field.excluded += members
    if not isinstance(node, fql.Compare):
        return
    sides = ((node.left, node.right, node.sign), (node.right, node.left, _mirrored(node.sign)))
    for path, literal, sign in sides:
        if not isinstance(path, fql.PathRef) or not isinstance(literal, fql.Literal):
            continue
        field = fields.setdefault(path.steps, _Field())
        if sign in ("=", "!="):
            if (sign == "=") == positive:
                field.allow([literal.value])
            else:
                field.excluded.append(literal.value)
        elif positive and values.is_number(literal.value):
            field.order(sign, literal.value)


def _mirrored(sign: str) -> str:
    return {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(sign, sign)
