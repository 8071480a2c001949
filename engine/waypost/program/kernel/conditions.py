"""Conditions (FQL) as rows of tests: comparisons of one field with one constant, joined by and, or, not and `in`.

Takes an FQL node and the Rows that it adds to. Gives the index of a test; Unfit for what needs a value decoded.
"""

from __future__ import annotations

from typing import Any

from waypost.lang import fql, values
from waypost.program import put_in
from waypost.program.generated.conditions import leading_names
from waypost.program.kernel.machine import Op
from waypost.program.kernel.rows import Rows, Unfit

SIGNS = {"<": 1, "<=": 3, "=": 2, ">=": 6, ">": 4}
"""Which results of a comparison (less 1, equal 2, greater 4) hold."""

MOST_MEMBERS = 100
"""A longer list is left to the other ways, which look into a set."""

LONGEST = 15
"""An integer of more digits is left to the other ways."""


def condition(t: Rows, text: str) -> int:
    """The test of a condition's text."""
    return test(t, fql.read(text))


def test(t: Rows, node: fql.Node) -> int:
    """The test of a condition's tree."""
    known = put_in.decided(node, t.settings)
    if known is not None:
        return t.node(Op.ALL if known else Op.ANY)  # of nothing
    if isinstance(node, (fql.And, fql.Or)):
        rows = [test(t, inner) for inner in node.of]
        return t.node(Op.ALL if isinstance(node, fql.And) else Op.ANY, child=t.chain(rows))
    if isinstance(node, fql.Not):
        return t.node(Op.NEITHER, child=test(t, node.of))
    if isinstance(node, fql.In) and isinstance(node.left, fql.PathRef) and isinstance(node.right, tuple):
        rows = [_equals(t, node.left, literal) for literal in node.right]
        return t.node(Op.ANY, child=t.chain(rows))
    if isinstance(node, fql.In) and isinstance(node.left, fql.PathRef) and isinstance(node.right, fql.PathRef):
        return _in_setting(t, node.left, node.right)
    if isinstance(node, fql.Compare) and node.sign in ("=", "!="):
        left, right = node.left, node.right
        if isinstance(left, fql.Literal):
            left, right = right, left
        if isinstance(left, fql.PathRef) and isinstance(right, fql.Literal):
            found = _equals(t, left, right)
            return found if node.sign == "=" else t.node(Op.NEITHER, child=found)
    if isinstance(node, fql.Compare) and isinstance(node.left, fql.PathRef) and isinstance(node.right, fql.Literal):
        return _compares(t, _field(t, node.left), node.sign, node.right.value)
    raise Unfit("a condition of more than comparisons with a constant, and, or and not")


def _in_setting(t: Rows, left: fql.PathRef, setting: fql.PathRef) -> int:
    """Membership in a list of the settings."""
    if setting.steps[0] != "settings":
        raise Unfit("a condition on a list of the event")
    held = put_in.members(setting, t.settings)
    if len(held) > MOST_MEMBERS:
        raise Unfit("a condition on a long list")
    rows = [_equals(t, left, fql.Literal(member)) for member in held]
    return t.node(Op.ANY, child=t.chain(rows))


def _field(t: Rows, path: fql.PathRef) -> int:
    """The slot of a condition's path."""
    steps = tuple(leading_names(path.steps))
    if len(steps) < len(path.steps) or steps[0] == "settings":
        raise Unfit("a condition on a setting or a list's item")
    return t.slot(steps)


def _compares(t: Rows, slot: int, sign: str, value: Any) -> int:
    """A number against an integer constant."""
    text = values.number_text(value) if values.is_number(value) else ""
    if not text.lstrip("-").isdecimal() or text == "-0" or len(text) > LONGEST:
        raise Unfit("a condition on a number with a fraction")
    return t.node(Op.COMPARES, slot, *t.text(text.encode()), SIGNS[sign])


def _equals(t: Rows, path: fql.PathRef, literal: fql.Literal) -> int:
    slot = _field(t, path)
    if values.is_number(literal.value):
        return _compares(t, slot, "=", literal.value)
    if isinstance(literal.value, str):
        data = values.encode(literal.value)
        if b"\\" in data:
            raise Unfit("a condition on text with escapes")
        t.copies += 1
        return t.node(Op.EQUALS, slot, *t.text(data))
    return t.node(Op.NOTHING if literal.value is None else Op.YES if literal.value else Op.NO, slot)
