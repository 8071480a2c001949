"""What conditions compute with: the functions, equality and order of FQL.

Takes and gives decoded JSON values, null where a path is missing. FUNCTIONS is the closed list that the parser knows, fql.py evaluates and
program/generated/conditions.py writes as code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from waypost.lang import arithmetic, values
from waypost.lang.glob import glob_match
from waypost.lang.words import kebabcase, snakecase, titlecase


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
    "string": Function(("any",), False, values.scalar_text),
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
