"""The tree of a condition: its nodes, the ways through them, and the canonical text of one.

Takes nothing but nodes; fql_parser.py makes them, fql.py says what they mean. Equal trees are equal whatever the spans: where each part stood
in the text, as offsets [start, end).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from waypost.lang import values

Span = tuple[int, int]


@dataclass(frozen=True)
class PathRef:
    """A path: names and list indexes from a root."""

    steps: tuple[str | int, ...]
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True)
class Literal:
    """A constant: text, int, values.Num, bool or None."""

    value: Any
    span: Span = field(default=(0, 0), compare=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal) and _token(self.value) == _token(other.value)

    def __hash__(self) -> int:
        return hash(_token(self.value))


@dataclass(frozen=True)
class Call:
    """A function of FUNCTIONS and its operands."""

    name: str
    args: tuple[Operand, ...]
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True)
class Compare:
    """`left sign right`."""

    sign: str
    left: Operand
    right: Operand
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True)
class In:
    """`left in [..]` or `left in path`."""

    left: Operand
    right: tuple[Literal, ...] | PathRef
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True)
class Not:
    of: Node
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True)
class And:
    of: tuple[Node, ...]
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True)
class Or:
    of: tuple[Node, ...]
    span: Span = field(default=(0, 0), compare=False)


Operand = PathRef | Literal | Call
Node = Compare | In | Not | And | Or | Call


def nodes(node: Node) -> Iterator[Node]:
    """The node and every condition below it."""
    yield node
    if isinstance(node, (And, Or)):
        for inner in node.of:
            yield from nodes(inner)
    elif isinstance(node, Not):
        yield from nodes(node.of)


def operands(node: Node) -> Iterator[Operand]:
    """Every operand of every condition, calls and their arguments included."""
    for inner in nodes(node):
        if isinstance(inner, Compare):
            yield from _operand(inner.left)
            yield from _operand(inner.right)
        elif isinstance(inner, In):
            yield from _operand(inner.left)
            yield from inner.right if isinstance(inner.right, tuple) else (inner.right,)
        elif isinstance(inner, Call):
            yield from _operand(inner)


def _operand(operand: Operand) -> Iterator[Operand]:
    yield operand
    if isinstance(operand, Call):
        for arg in operand.args:
            yield from _operand(arg)


def paths(node: Node) -> list[PathRef]:
    """Every path that is read, in written order."""
    return [operand for operand in operands(node) if isinstance(operand, PathRef)]


def simple_type(node: Node) -> tuple[str | None, Node | None]:
    """(event type, what is left to test) of a trigger with a term `type = "x"`; (None, node) of any other."""
    terms = node.of if isinstance(node, And) else (node,)
    for index, term in enumerate(terms):
        if (
            isinstance(term, Compare)
            and term.sign == "="
            and isinstance(term.left, PathRef)
            and term.left.steps == ("type",)
            and isinstance(term.right, Literal)
            and isinstance(term.right.value, str)
        ):
            rest = terms[:index] + terms[index + 1 :]
            if not rest:
                return term.right.value, None
            return term.right.value, rest[0] if len(rest) == 1 else And(rest, node.span)
    return None, node


# Canonical text: parse(show(node)) == node.


def show(node: Node) -> str:
    """The canonical text of a tree."""
    if isinstance(node, Or):
        return " or ".join(f"({show(inner)})" if isinstance(inner, Or) else show(inner) for inner in node.of)
    if isinstance(node, And):
        return " and ".join(f"({show(inner)})" if isinstance(inner, (And, Or)) else show(inner) for inner in node.of)
    if isinstance(node, Not):
        return f"!{show(node.of)}" if isinstance(node.of, Call) else f"!({show(node.of)})"
    if isinstance(node, In):
        right = (
            show_path(node.right.steps)
            if isinstance(node.right, PathRef)
            else f"[{', '.join(map(_show_operand, node.right))}]"
        )
        return f"{_show_operand(node.left)} in {right}"
    if isinstance(node, Compare):
        return f"{_show_operand(node.left)} {node.sign} {_show_operand(node.right)}"
    return _show_operand(node)


def _show_operand(operand: Operand) -> str:
    if isinstance(operand, PathRef):
        return show_path(operand.steps)
    if isinstance(operand, Call):
        return f"{operand.name}({', '.join(map(_show_operand, operand.args))})"
    return values.encode(operand.value).decode()


def show_path(steps: tuple[str | int, ...]) -> str:
    """A path's canonical text."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + re.sub(r"([^A-Za-z0-9_-]|^[0-9](?=[0-9]*$))", r"\\\1", step)
    return text


def _token(value: Any) -> tuple[str, str]:
    return values.typeof(value), values.encode(value).decode()
