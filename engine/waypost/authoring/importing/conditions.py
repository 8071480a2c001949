"""Fields that are required only under conditions on other fields, as `require` of an action.

Takes the conditions and the sources of all fields. Gives a condition in FQL, a fact (always, never), or None with the reason where it cannot be
said: a condition looks at the message there, and at the event here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from waypost.authoring.importing.fields import converted
from waypost.authoring.importing.metadata import INTERNAL, Field
from waypost.authoring.importing.sources import (
    Constant,
    First,
    Nothing,
    Path,
    Source,
    When,
    all_of,
    any_of,
    condition_path,
    exists,
    negated,
)
from waypost.lang import notation, values
from waypost.lang.fql import equal

Test = str | bool | None


def required_when(held: Mapping[str, Any], sources: Mapping[str, Source], fields: Mapping[str, Field]) -> Test:
    listed = held.get("conditions")
    tests = [_one(one, sources, fields) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    if not tests:
        return False
    return any_of(tests) if held.get("match") == "any" else all_of(tests)


def _one(held: Mapping[str, Any], sources: Mapping[str, Source], fields: Mapping[str, Field]) -> Test:
    key, operator = held.get("fieldKey"), held.get("operator")
    if not isinstance(key, str) or key.startswith(INTERNAL) or operator not in ("is", "is_not"):
        return None
    wanted = held.get("value")
    source = sources.get(key, Nothing())
    if isinstance(wanted, (list, dict)):
        return bool(operator == "is_not")  # compared as a whole there, and so never equal
    test = _absent(source) if wanted is None else _equals(source, wanted, fields.get(key, Field(key)))
    return test if operator == "is" else _not(test)


def _not(test: Test) -> Test:
    return negated(test) if isinstance(test, str) else None if test is None else not test


def _absent(source: Source) -> Test:
    if isinstance(source, Constant):
        return source.value in (None, "")
    if isinstance(source, Path) and condition_path(source):
        named = condition_path(source)
        return f'({named} = null or {named} = "")'
    return _not(exists(source))


def _equals(source: Source, wanted: Any, of: Field) -> Test:
    if isinstance(source, Nothing):
        return False
    if isinstance(source, Constant):
        return bool(equal(converted(source.value, of), wanted))
    if isinstance(source, Path) and condition_path(source):
        held = notation.json_text(wanted) if isinstance(wanted, str) else values.encode(wanted).decode()
        return f"{condition_path(source)} = {held}"
    if isinstance(source, First):
        head, *rest = source.of
        here = _equals(head, wanted, of)
        later = all_of([_not(exists(head)), _equals(First(tuple(rest)), wanted, of)]) if rest else False
        return any_of([here, later])
    if isinstance(source, When):
        yes = all_of([source.test, _equals(source.then, wanted, of)])
        return any_of([yes, all_of([negated(source.test), _equals(source.otherwise, wanted, of)])])
    return None
