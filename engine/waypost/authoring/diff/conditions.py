"""What became of a condition: same, narrower, wider, or it cannot be told.

Takes two conditions as FQL text (None: always). Asks lang/fql_sat.py whether an event can match one and not the other. fql_sat knows
equality, `in` and comparison of a field with a constant; everything else it lets pass. So that `old and contains(event, "x")` is still seen
to be narrower than `old`, each atom that it does not understand is asked about as a made-up field that is true or is not; and "is a
number", which the negation of a comparison turns on, is such a field too.
"""

from __future__ import annotations

from waypost.lang import fql, fql_sat
from waypost.lang.errors import LangError
from waypost.lang.values import is_number

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def relation(old: str | None, new: str | None) -> str:
    """ "same", "narrower", "wider" or "unclear": the new condition beside the old one."""
    if old == new:
        return "same"
    try:
        before, after = (None if text is None else fql.read(text) for text in (old, new))
    except LangError:
        return "unclear"
    loses, gains = _some_match(before, after), _some_match(after, before)
    if not loses:
        return "wider" if gains else "same"
    return "unclear" if gains else "narrower"


def overlap(left: str, right: str) -> bool:
    """Whether one event may match both."""
    try:
        return fql_sat.overlap(fql.read(left), fql.read(right))
    except LangError:
        return True


def _some_match(wanted: fql.Node | None, unwanted: fql.Node | None) -> bool:
    """Whether some event may match the one and not the other."""
    if unwanted is None:
        return False
    parts = [_plain(fql.Not(unwanted), True)]
    if wanted is not None:
        parts.append(_plain(wanted, True))
    return fql_sat.conflict(fql.And(tuple(parts))) is None


def _plain(node: fql.Node, positive: bool) -> fql.Node:
    """The condition, or its negation, with negations pushed down to its atoms."""
    if isinstance(node, fql.Not):
        return _plain(node.of, not positive)
    if isinstance(node, (fql.And, fql.Or)):
        parts = tuple(_plain(inner, positive) for inner in node.of)
        return fql.And(parts) if isinstance(node, fql.And) == positive else fql.Or(parts)
    return _atom(node, positive)


def _atom(node: fql.Node, positive: bool) -> fql.Node:
    if isinstance(node, fql.Compare) and node.sign == "!=":
        return _atom(fql.Compare("=", node.left, node.right), not positive)
    if isinstance(node, fql.In) and isinstance(node.left, fql.PathRef) and isinstance(node.right, tuple):
        if not any(is_number(literal.value) for literal in node.right):
            return node if positive else fql.Not(node)
        each = tuple(fql.Compare("=", node.left, literal) for literal in node.right)
        return _plain(fql.Or(each), positive)
    if isinstance(node, fql.Compare):
        for path, literal, sign in (
            (node.left, node.right, node.sign),
            (node.right, node.left, _MIRRORED.get(node.sign, node.sign)),
        ):
            if isinstance(path, fql.PathRef) and isinstance(literal, fql.Literal):
                return _compared(path, sign, literal, positive)
    return _made_up(f"\0{fql.show(node)}", positive)


def _compared(path: fql.PathRef, sign: str, literal: fql.Literal, positive: bool) -> fql.Node:
    name = f"\0number {fql.show_path(path.steps)}"
    if sign == "=":
        same = fql.Compare("=", path, literal)
        return fql.And((same, _made_up(name, is_number(literal.value)))) if positive else fql.Not(same)
    if positive:
        return fql.And((fql.Compare(sign, path, literal), _made_up(name, True)))
    return fql.Or((fql.Compare(_NEGATED[sign], path, literal), _made_up(name, False)))


def _made_up(name: str, positive: bool) -> fql.Node:
    found = fql.Compare("=", fql.PathRef((name,)), fql.Literal(True))
    return found if positive else fql.Not(found)
