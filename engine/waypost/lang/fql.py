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
from collections.abc import Callable, Iterator
from typing import Any

from waypost.lang import fql_advice, fql_parser, values
from waypost.lang.errors import LangError
from waypost.lang.fql_functions import FUNCTIONS, Function, equal, order, typeof
from waypost.lang.fql_tree import (
    And,
    Call,
    Compare,
    In,
    Literal,
    Node,
    Not,
    Operand,
    Or,
    PathRef,
    nodes,
    operands,
    paths,
    show,
    show_path,
    simple_type,
)
from waypost.lang.values import MISSING

__all__ = [
    "EVENT_ROOTS",
    "EVENT_TYPES",
    "FUNCTIONS",
    "RESPONSE_ROOTS",
    "TRIGGER_ROOTS",
    "WHERE_ROOTS",
    "And",
    "Call",
    "Compare",
    "Function",
    "In",
    "Literal",
    "Node",
    "Not",
    "Operand",
    "Or",
    "PathRef",
    "Resolve",
    "equal",
    "evaluate",
    "explain",
    "lint",
    "nodes",
    "operands",
    "order",
    "parse",
    "paths",
    "read",
    "show",
    "show_path",
    "simple_type",
    "typeof",
    "walk",
]

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

Resolve = Callable[[tuple[str | int, ...]], Any]


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
    return fql_parser.Parser(text).whole()


def lint(node: Node, *, roots: frozenset[str] = TRIGGER_ROOTS, event_types: bool = True) -> list[LangError]:
    """Every unknown root and event type: kinds unknown_root and unknown_type."""
    found: list[LangError] = []
    types = {path.span for path in _names_for_types(node)}
    compared = {
        inner.right.span for inner in nodes(node) if isinstance(inner, Compare) and isinstance(inner.right, PathRef)
    }
    for path in paths(node):
        name = path.steps[0]
        if name not in roots:
            found.append(_unknown_root(path, roots, as_type=path.span in types, compared=path.span in compared))
    if event_types:
        found += _unknown_types(node)
    return found


def _unknown_root(path: PathRef, roots: frozenset[str], *, as_type: bool, compared: bool) -> LangError:
    """`compared`: a field is compared with it, so that it may be text without its quotes."""
    name, start = str(path.steps[0]), path.span[0]
    near = [] if as_type else difflib.get_close_matches(name, sorted(roots), 1, 0.67)
    near = near or [root for root in sorted(roots) if root.lower() == name.lower() and not compared]
    help_text, replacement = f"a path begins with one of {', '.join(sorted(roots))}", near[0] if near else None
    if compared and not near and len(path.steps) == 1:
        help_text, replacement = f'put text in quotes: `"{name}"`', f'"{name}"'
        if name.lower() in fql_advice.NOTHING:
            help_text, replacement = "what is not there is `null`", "null"
    return LangError(
        "unknown_root",
        f"`{name}` is not a field of an event" if "type" in roots else f"`{name}` is not known here",
        start,
        start + len(name),
        replacement=replacement,
        help=help_text,
    )


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
