"""A trigger becomes a Python expression with the meaning of lang/fql.evaluate.

Takes an FQL node and the Values that reach the event. Comparisons of a field with a constant become one test; everything else calls the
functions of lang/fql on decoded values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from waypost.lang import fql, shapes, values
from waypost.lang.values import MISSING, Num
from waypost.program import put_in
from waypost.program.generated.access import Values
from waypost.program.generated.layout import nameable
from waypost.program.generated.writer import Expr
from waypost.program.support import full


def null_if_missing(value: Any) -> Any:
    """An operand's value: a missing path is null."""
    value = full(value)
    return None if value is MISSING else value


NAMES: dict[str, Any] = {
    "equal": fql.equal,
    "order": fql.order,
    "operand": null_if_missing,
    "walk": fql.walk,
    "Num": Num,
    **{f"fql_{name}": function.apply for name, function in fql.FUNCTIONS.items()},
}


def condition(node: fql.Node, v: Values) -> str:
    """The text of an expression that is true when the condition holds. May write statements that fetch fields."""
    known = put_in.decided(node, v.scope.settings)
    known = by_type(node, v.scope.kind) if known is None else known
    if known is not None:
        return str(known)
    if isinstance(node, fql.And):
        return (
            "(" + " and ".join(condition(inner, v) for inner in node.of if by_type(inner, v.scope.kind) is None) + ")"
        )
    if isinstance(node, fql.Or):
        return "(" + " or ".join(condition(inner, v) for inner in node.of if by_type(inner, v.scope.kind) is None) + ")"
    if isinstance(node, fql.Not):
        return f"(not {condition(node.of, v)})"
    if isinstance(node, fql.Call):
        return f"bool({_operand(node, v)})"
    if isinstance(node, fql.In):
        return _membership(node, v)
    return _compare(node, v)


def by_type(node: fql.Node, kind: str | None) -> bool | None:
    """Whether a condition holds for every event of a type; None where that depends on more, or the type is not known."""
    if kind is None:
        return None
    if isinstance(node, (fql.And, fql.Or)):
        found = [by_type(inner, kind) for inner in node.of]
        ends = isinstance(node, fql.Or)
        return ends if ends in found else None if None in found else not ends
    if isinstance(node, fql.Not):
        inner = by_type(node.of, kind)
        return None if inner is None else not inner
    paths = fql.paths(node)
    if not paths or any(path.steps != ("type",) for path in paths):
        return None
    return fql.evaluate(node, lambda steps: kind)


def _membership(node: fql.In, v: Values) -> str:
    if isinstance(node.right, fql.PathRef) and node.right.steps[0] == "settings":
        return _in_setting(node.left, node.right, v)
    if isinstance(node.right, fql.PathRef):
        return f"fql_contains(fql_list({_operand(node.right, v)}), {_operand(node.left, v)})"
    if isinstance(node.left, fql.PathRef):
        return "(" + " or ".join(_equals(node.left, literal, v) for literal in node.right) + ")"
    members = v.w.bind("members", [literal.value for literal in node.right])
    return f"fql_contains({members}, {_operand(node.left, v)})"


def _in_setting(left: fql.Operand, setting: fql.PathRef, v: Values) -> str:
    """Membership in a list of the settings, or among the keys of a map: of texts, which are usual, one look at a set."""
    held = put_in.members(setting, v.scope.settings)
    if not all(isinstance(member, str) for member in held):
        return f"fql_contains({v.w.bind('members', held)}, {_operand(left, v)})"
    members = v.w.bind("members", frozenset(held))
    field = _field(left, v) if isinstance(left, fql.PathRef) else None
    if field is not None and field.form in ("slot", "text"):
        return f"({field.text}.__class__ is str and {field.text} in {members})"
    return f"in_texts({members}, {_operand(left, v)})"


def _in_texts(members: frozenset[str], value: Any) -> bool:
    return isinstance(value, str) and value in members


NAMES["in_texts"] = _in_texts


def _compare(node: fql.Compare, v: Values) -> str:
    if node.sign in ("=", "!="):
        if isinstance(node.left, fql.PathRef) and isinstance(node.right, fql.Literal):
            text = _equals(node.left, node.right, v)
        elif isinstance(node.right, fql.PathRef) and isinstance(node.left, fql.Literal):
            text = _equals(node.right, node.left, v)
        else:
            text = f"equal({_operand(node.left, v)}, {_operand(node.right, v)})"
        return text if node.sign == "=" else f"(not {text})"
    left, right = _operand(node.left, v, "number"), _operand(node.right, v, "number")
    if isinstance(node.right, fql.Literal) and type(node.right.value) is int:
        held = v.w.fresh("number")
        exact = f"{held} {node.sign} {right} if ({held} := {left}).__class__ is int"
        return f"({exact} else order({node.sign!r}, {held}, {right}))"
    return f"order({node.sign!r}, {left}, {right})"


def _equals(path: fql.PathRef, literal: fql.Literal, v: Values) -> str:
    """A field against a constant. Text and booleans need no decoding: a list or object in the field is Raw, and equals neither."""
    field = _field(path, v, "number" if values.is_number(literal.value) else "scalar")
    if field is None or field.form not in ("slot", "text"):
        return f"equal({_operand(path, v)}, {_constant(literal, v)})"
    value = literal.value
    if isinstance(value, str):
        return f"({field.text} == {v.w.literal(value)})"
    if value is None:
        return f"({field.text} is None or {field.text} is MISSING)"
    if isinstance(value, bool):
        return f"({field.text} is {value})"
    constant = _constant(literal, v)
    whole = f"{field.text} == {constant}" if isinstance(value, int) else f"equal({field.text}, {constant})"
    exact = f"{field.text}.__class__ is int and {whole}"
    return f"({exact} or {field.text}.__class__ is Num and equal({field.text}, {constant}))"


def _field(path: fql.PathRef, v: Values, how: str = "scalar") -> Expr | None:
    """The slot of a path of names alone."""
    names = leading_names(path.steps)
    if path.steps[0] == "settings" or len(names) < len(path.steps) or _of_loop(path, v):
        return None
    return v.slot(tuple(names), how)


def _of_loop(path: fql.PathRef, v: Values) -> str | None:
    """The local that the path begins at, where it is one of a loop: the item, or its entry's name."""
    return v.item if path.steps[0] == "item" else v.key if path.steps[0] == "key" else None


def _operand(operand: fql.Operand, v: Values, how: str = "scalar") -> str:
    if isinstance(operand, fql.Literal):
        return _constant(operand, v)
    if isinstance(operand, fql.Call):
        return f"fql_{operand.name}({', '.join(_operand(arg, v) for arg in operand.args)})"
    if operand.steps[0] == "settings":
        value = shapes.keys(v.scope.settings(".".join(map(str, operand.steps))))
        return v.w.bind("setting", None if value is MISSING else value)
    if (local := _of_loop(operand, v)) is not None:
        steps = operand.steps[1:]
        return member(local, steps, "None") if local == v.item else f"operand(walk({local}, {steps!r}))"
    field = _field(operand, v, how)
    if field is not None:
        return f"operand({field.text})"
    names = tuple(leading_names(operand.steps))
    rest = operand.steps[len(names) :]
    return f"operand(walk(full({v.slot(names, 'raw').text}), {rest!r}))"


def member(local: str, steps: tuple[object, ...], missing: str) -> str:
    """The text of what stands at a path in a decoded value: the value itself, or a member, without a call; `missing` where there is none."""
    if not steps:
        return local
    if len(steps) == 1 and isinstance(steps[0], str):
        return f"({local}.get({steps[0]!r}, {missing}) if {local}.__class__ is dict else {missing})"
    return f"walk({local}, {steps!r})" if missing == "MISSING" else f"operand(walk({local}, {steps!r}))"


def leading_names(steps: Sequence[object]) -> list[str]:
    """The names that a path begins with, as far as a struct can have them as its fields."""
    found: list[str] = []
    for step in steps:
        if not isinstance(step, str) or not nameable(step):
            break
        found.append(step)
    return found


def _constant(literal: fql.Literal, v: Values) -> str:
    value = literal.value
    if isinstance(value, Num) or values.is_number(value):
        return v.w.bind("number", value)
    return v.w.literal(value)


def _list(value: Any) -> Any:
    return value if isinstance(value, list) else None


NAMES["fql_list"] = _list
