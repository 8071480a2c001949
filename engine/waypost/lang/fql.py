"""FQL, the trigger language: text becomes a tree, or a LangError with the offsets of what cannot be read.

    expression = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation   = "!" ( call | "(" expression ")" ) | primary
    primary    = "(" expression ")" | condition
    condition  = operand compare operand | operand "in" ( list | path ) | call
    compare    = "=" | "!=" | "<" | "<=" | ">" | ">="
    operand    = path | literal | call
    call       = function "(" operand { "," operand } ")"
    list       = "[" literal { "," literal } "]"
    path       = name { "." name | "[" integer "]" }      name: letters, digits, _ -, anything else after a backslash
    literal    = string | number | "true" | "false" | "null"

`and` binds tighter than `or`; the words and, or, in, true, false, null are read in any case; after a dot they are plain names.

What each form means (`evaluate`, the one authority; program/generated/conditions.py generates the same and a property test compares them):

* a missing path is null;
* `=` is strict on type: 5 is not "5", true is not 1; `!=` is exactly its negation; lists and objects compare by value;
* `< <= > >=` are false unless both sides are numbers;
* `x in [..]` is `=` with one of them; `x in path` asks for membership in the list there, false when it is none;
* contains(text, part): both text; contains(list, x): membership; else false. match(text, glob): whole text against `* ? [abc] [a-z] \\x`;
* length: UTF-8 bytes of text, items of a list, 0 for null, else null; lowercase, uppercase, snakecase, kebabcase, titlecase: text, else null;
* typeof: "string" "number" "bool" "list" "object" "null"; string(x): text of a string, number or boolean, else null;
  number(x): a number, or text that is a JSON number, else null; bool(x): true for true and "true", else false.

Whatever cannot be fully read is an error: a bare path, a word without quotes, `==`, a comma for `and`. A trigger never widens by a typo.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from waypost.lang import arithmetic, values
from waypost.lang.errors import LangError
from waypost.lang.glob import glob_match
from waypost.lang.values import MISSING
from waypost.lang.words import kebabcase, snakecase, titlecase

EVENT_TYPES = ("identify", "track", "page", "screen", "group", "alias")

EVENT_ROOTS = frozenset(
    [
        "type",
        "event",
        "userId",
        "anonymousId",
        "messageId",
        "timestamp",
        "originalTimestamp",
        "sentAt",
        "receivedAt",
        "context",
        "integrations",
        "properties",
        "traits",
        "name",
        "category",
        "groupId",
        "previousId",
        "version",
        "channel",
        "writeKey",
        "projectId",
    ]
)
TRIGGER_ROOTS = EVENT_ROOTS | {"settings"}
WHERE_ROOTS = TRIGGER_ROOTS | {"item"}
RESPONSE_ROOTS = frozenset({"status", "headers", "body"})

Span = tuple[int, int]
Resolve = Callable[[tuple[str | int, ...]], Any]


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


@dataclass(frozen=True)
class Function:
    """`kinds`: what each argument may be, "any" or "text" or "glob"; `boolean`: whether it is a condition on its own."""

    kinds: tuple[str, ...]
    boolean: bool
    apply: Callable[..., Any]


def _length(value: Any) -> Any:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list):
        return len(value)
    return 0 if value is None else None


def _contains(value: Any, part: Any) -> bool:
    if isinstance(value, list):
        return any(equal(item, part) for item in value)
    return isinstance(value, str) and isinstance(part, str) and part in value


def _match(value: Any, pattern: Any) -> bool:
    return isinstance(value, str) and glob_match(pattern, value)


def _of_text(change: Callable[[str], str]) -> Callable[[Any], Any]:
    return lambda value: change(value) if isinstance(value, str) else None


def typeof(value: Any) -> str:
    """string, number, bool, list, object or null."""
    return {"boolean": "bool", "array": "list", "missing": "null"}.get(kind := values.typeof(value), kind)


def _string(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return values.number_as_text(value) if values.is_number(value) else None


def _number(value: Any) -> Any:
    if isinstance(value, str):
        return values.number_token(value) if values.NUMBER.fullmatch(value) else None
    return value if values.is_number(value) else None


def _bool(value: Any) -> bool:
    return value is True or value == "true"


FUNCTIONS: dict[str, Function] = {
    "contains": Function(("any", "any"), True, _contains),
    "match": Function(("any", "glob"), True, _match),
    "bool": Function(("any",), True, _bool),
    "length": Function(("any",), False, _length),
    "lowercase": Function(("any",), False, _of_text(str.lower)),
    "uppercase": Function(("any",), False, _of_text(str.upper)),
    "snakecase": Function(("any",), False, _of_text(snakecase)),
    "kebabcase": Function(("any",), False, _of_text(kebabcase)),
    "titlecase": Function(("any",), False, _of_text(titlecase)),
    "typeof": Function(("any",), False, typeof),
    "string": Function(("any",), False, _string),
    "number": Function(("any",), False, _number),
}


def equal(left: Any, right: Any) -> bool:
    """`=`: strict on type, numbers by value, lists and objects member by member."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(equal(left[key], right[key]) for key in left)
        )
    if values.is_number(left) and values.is_number(right):
        return arithmetic.compare(left, right) == 0
    return bool(left == right)


def order(sign: str, left: Any, right: Any) -> bool:
    """`< <= > >=`: false unless both are numbers."""
    if not (values.is_number(left) and values.is_number(right)):
        return False
    found = arithmetic.compare(left, right)
    if sign[0] == "<":
        return found < 0 or (found == 0 and sign == "<=")
    return found > 0 or (found == 0 and sign == ">=")


def parse(text: str, *, roots: frozenset[str] = TRIGGER_ROOTS) -> Node:
    """The tree of a condition that a person types. Raises LangError: syntax, arity, bare_path, type, unknown_root, unknown_function.

    A plan's conditions are `read`: the compiler has judged their names, and a line may be excused for a field that only some events have.
    """
    node = read(text)
    for fault in lint(node, roots=roots, event_types=False):
        raise fault
    return node


def read(text: str) -> Node:
    """The tree, before names are looked up: `lint` then reports every unknown root, function and event type."""
    from waypost.lang.fql_parser import Parser

    return Parser(text).whole()


def lint(node: Node, *, roots: frozenset[str] = TRIGGER_ROOTS, event_types: bool = True) -> list[LangError]:
    """Every unknown root and event type: kinds unknown_root and unknown_type."""
    found: list[LangError] = []
    types = {path.span for path in _names_for_types(node)}
    for path in paths(node):
        name = path.steps[0]
        if name not in roots:
            meant_as_type = path.span in types
            near = [] if meant_as_type else difflib.get_close_matches(str(name), sorted(roots), 1, 0.67)
            start = path.span[0]
            found.append(
                LangError(
                    "unknown_root",
                    f"`{name}` is not a field of an event" if "type" in roots else f"`{name}` is not known here",
                    start,
                    start + len(str(name)),
                    replacement=near[0] if near else f'"{name}"' if len(path.steps) == 1 else None,
                    help=f'put text in quotes: `"{name}"`'
                    if len(path.steps) == 1 and not near
                    else f"a path begins with one of {', '.join(sorted(roots))}",
                )
            )
    if event_types:
        found += _unknown_types(node)
    return found


def _unknown_types(node: Node) -> list[LangError]:
    found = []
    for literal in _compared_with_type(node):
        if isinstance(literal.value, str) and literal.value not in EVENT_TYPES:
            near = difflib.get_close_matches(literal.value.lower(), EVENT_TYPES, 1, 0.67)
            found.append(
                LangError(
                    "unknown_type",
                    f"no event has the type `{literal.value}`",
                    *literal.span,
                    replacement=f'"{near[0]}"' if near else None,
                    help=f"the types are {', '.join(EVENT_TYPES)}",
                )
            )
    return found


def _compared_with_type(node: Node) -> Iterator[Literal]:
    for inner in nodes(node):
        if isinstance(inner, Compare) and inner.sign in ("=", "!="):
            for side, other in ((inner.left, inner.right), (inner.right, inner.left)):
                if isinstance(side, PathRef) and side.steps == ("type",) and isinstance(other, Literal):
                    yield other
        elif (
            isinstance(inner, In)
            and isinstance(inner.left, PathRef)
            and inner.left.steps == ("type",)
            and isinstance(inner.right, tuple)
        ):
            yield from inner.right


def _names_for_types(node: Node) -> Iterator[PathRef]:
    """Bare names that `type` is compared with: event types without their quotes, however near they are to a field."""
    for inner in nodes(node):
        if isinstance(inner, Compare):
            for side, other in ((inner.left, inner.right), (inner.right, inner.left)):
                if (
                    isinstance(side, PathRef)
                    and side.steps == ("type",)
                    and isinstance(other, PathRef)
                    and len(other.steps) == 1
                ):
                    yield other


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


def evaluate(node: Node, resolve: Resolve) -> bool:
    """Whether the condition holds; `resolve` gives the value of a path, or MISSING."""
    if isinstance(node, And):
        return all(evaluate(inner, resolve) for inner in node.of)
    if isinstance(node, Or):
        return any(evaluate(inner, resolve) for inner in node.of)
    if isinstance(node, Not):
        return not evaluate(node.of, resolve)
    if isinstance(node, Call):
        return bool(operand_value(node, resolve))
    if isinstance(node, In):
        left = operand_value(node.left, resolve)
        if isinstance(node.right, tuple):
            return any(equal(left, literal.value) for literal in node.right)
        members = operand_value(node.right, resolve)
        return isinstance(members, list) and any(equal(left, member) for member in members)
    left, right = operand_value(node.left, resolve), operand_value(node.right, resolve)
    if node.sign in ("=", "!="):
        return equal(left, right) == (node.sign == "=")
    return order(node.sign, left, right)


def operand_value(operand: Operand, resolve: Resolve) -> Any:
    """The value of an operand; null for missing."""
    if isinstance(operand, Literal):
        return operand.value
    if isinstance(operand, PathRef):
        value = resolve(operand.steps)
        return None if value is MISSING else value
    return FUNCTIONS[operand.name].apply(*(operand_value(arg, resolve) for arg in operand.args))


def explain(node: Node, resolve: Resolve) -> list[tuple[str, str]]:
    """For a condition that does not hold: its smallest failing terms, each with what the event has there."""
    if isinstance(node, And):
        return [row for inner in node.of if not evaluate(inner, resolve) for row in explain(inner, resolve)]
    if isinstance(node, Or):
        return [row for inner in node.of for row in explain(inner, resolve)]
    seen = dict.fromkeys(paths(node))
    found = ", ".join(f"{show_path(path.steps)} is {_shown(resolve(path.steps))}" for path in seen)
    return [(show(node), found or "always false")]


def _shown(value: Any) -> str:
    if value is MISSING:
        return "missing"
    text = values.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."


def walk(event: Any, steps: tuple[str | int, ...]) -> Any:
    """The value at a path in decoded JSON, or MISSING."""
    for step in steps:
        if isinstance(step, str):
            if not isinstance(event, dict) or step not in event:
                return MISSING
            event = event[step]
        else:
            if not isinstance(event, list) or not -len(event) <= step < len(event):
                return MISSING
            event = event[step]
    return event


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
