"""Trigger analysis: what it says, and that it never says wrongly that nothing can match."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waypost.lang import fql, fql_sat, values

PATHS = [("type",), ("event",), ("properties",), ("properties", "a"), ("properties", "a", 0), ("properties", "a", "b")]
CONSTANTS: list[Any] = ["track", "page", "", "x", "Xy", "true", "5", 0, 1, 2, -1, values.Num("1.5"), True, False, None]
DATA: list[Any] = [*CONSTANTS, [], ["x", 1], {}, {"b": "x"}, {"a": 1}, [[1]], [{"b": 2}], "xx"]


FIELD = [("event",)]
VALUES: list[Any] = [*DATA, *fql_sat.KINDS, [1], "xy", ["y"], 3, values.Num("1.2"), [None], ["5"]]


def operand(rng: random.Random, paths: list[Any] = PATHS) -> fql.Operand:
    path = fql.PathRef(rng.choice(paths))
    if rng.random() < 0.6:
        return path
    name = rng.choice(["typeof", "lowercase", "uppercase", "length", "string", "number", "snakecase", "titlecase"])
    return fql.Call(name, (path if rng.random() < 0.8 else operand(rng, paths),))


def literal(rng: random.Random) -> fql.Literal:
    return fql.Literal(rng.choice([*CONSTANTS, *fql_sat.KINDS]))


def term(rng: random.Random, paths: list[Any] = PATHS) -> fql.Node:
    kind = rng.randrange(6)
    if kind == 0:
        return fql.In(operand(rng, paths), tuple(literal(rng) for _ in range(rng.randrange(1, 4))))
    if kind == 1:
        return fql.Compare(
            rng.choice(["<", "<=", ">", ">="]),
            operand(rng, paths),
            fql.Literal(rng.choice([0, 1, 2, values.Num("1.5")])),
        )
    if kind == 2:
        name, other = rng.choice([("contains", "x"), ("match", "x*"), ("match", "*y"), ("contains", 1), ("bool", None)])
        args = (operand(rng, paths),) if name == "bool" else (operand(rng, paths), fql.Literal(other))
        return fql.Call(name, args)
    if kind == 3:
        return fql.Compare(rng.choice(["=", "!=", "<", ">="]), operand(rng, paths), operand(rng, paths))
    sides: list[fql.Operand] = [operand(rng, paths), literal(rng)]
    if rng.random() < 0.2:
        sides.reverse()
    return fql.Compare(rng.choice(["=", "!="]), sides[0], sides[1])


def condition(rng: random.Random, depth: int = 3) -> fql.Node:
    kind = rng.randrange(6) if depth else 5
    if kind < 2:
        return fql.And(tuple(condition(rng, depth - 1) for _ in range(rng.randrange(2, 4))))
    if kind == 2:
        return fql.Or(tuple(condition(rng, depth - 1) for _ in range(2)))
    return fql.Not(condition(rng, depth - 1)) if kind == 3 else term(rng)


def event(rng: random.Random) -> dict[str, Any]:
    made = {name: rng.choice(DATA) for name in ("type", "event", "properties") if rng.random() < 0.8}
    if rng.random() < 0.6:
        made["properties"] = {"a": rng.choice(DATA)}
    return made


def holds(node: fql.Node, event: dict[str, Any]) -> bool:
    return fql.evaluate(node, lambda steps: fql.walk(event, steps))


EVENTS = [event(random.Random(seed)) for seed in range(400)]


@given(st.integers(0, 10**12))
@settings(max_examples=400)
def test_what_is_said_to_match_nothing_matches_nothing(seed: int) -> None:
    rng = random.Random(seed)
    node = condition(rng)
    if fql_sat.conflict(node) is not None:
        assert not [event for event in EVENTS if holds(node, event)]


@given(st.integers(0, 10**12))
@settings(max_examples=400)
def test_what_is_said_not_to_overlap_shares_no_event(seed: int) -> None:
    rng = random.Random(seed)
    left, right = condition(rng, 2), condition(rng, 2)
    if not fql_sat.overlap(left, right):
        assert not [event for event in EVENTS if holds(left, event) and holds(right, event)]
    others = [name for name in fql.EVENT_TYPES if name not in fql_sat.types(left)]
    assert not [event for event in EVENTS if holds(left, event) and event.get("type") in others]


@given(st.integers(0, 10**12))
@settings(max_examples=1500)
def test_terms_on_one_field_against_every_value(seed: int) -> None:
    """Mutation that turns this red: `bool(x)` asking for a boolean, for the text "true" passes too."""
    rng = random.Random(seed)
    node = fql.And(
        tuple(fql.Not(term(rng, FIELD)) if rng.random() < 0.3 else term(rng, FIELD) for _ in range(rng.randrange(1, 4)))
    )
    if fql_sat.conflict(node) is not None:
        assert not [value for value in VALUES if holds(node, {"event": value})]
        assert not holds(node, {})


def test_the_analysis_decides_often_enough_to_be_tested() -> None:
    """The two properties above would hold of an analysis that never decides."""
    rng = random.Random(1)
    nodes = [condition(rng) for _ in range(600)]
    assert sum(fql_sat.conflict(node) is not None for node in nodes) > 60


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ('type = "track" and event = "A" and type = "page"', ['type = "track"', 'type = "page"']),
        ("properties.a > 5 and properties.b = 1 and properties.a < 3", ["properties.a > 5", "properties.a < 3"]),
        (
            'typeof(properties.a) = "string" and properties.a > 5',
            ['typeof(properties.a) = "string"', "properties.a > 5"],
        ),
        ('contains(event, "A") and !contains(event, "A")', ['contains(event, "A")', 'contains(event, "A")']),
        ('match(event, "A*") and event = "B"', ['match(event, "A*")', 'event = "B"']),
        ('lowercase(event) = "a" and event = null', ['lowercase(event) = "a"', "event = null"]),
        ("context = null and context.ip != null", ["context = null", "context.ip != null"]),
        ('lowercase(event) in ["A"] and event = "a"', ['lowercase(event) in ["A"]', 'event = "a"']),
        (
            'event in ["A", "B"] and event != "A" and event != "B"',
            ['event in ["A", "B"]', 'event != "A"', 'event != "B"'],
        ),
        ("!(properties.a <= 5 or properties.b = 2) and properties.a = 3", ["properties.a <= 5", "properties.a = 3"]),
        ('length(event) > 3 and typeof(event) in ["number", "bool"]', None),
        ('typeof(event) = "nothing"', ['typeof(event) = "nothing"']),
        ("properties.a > 5 and properties.a < 6", None),
        ("event != null or event = null", None),
        ('contains(event, "A") and typeof(event) = "list"', None),
        ("length(event) = 0 and event = null", None),
        ('bool(event) and event = "true"', None),
        ('context.ip = "x" and context != null', None),
    ],
)
def test_the_terms_that_exclude_each_other_are_named(text: str, terms: list[str] | None) -> None:
    found = fql_sat.conflict(fql.parse(text))
    assert (found and [fql.show(item.node) for item in found.terms]) == terms


def test_many_alternatives_are_not_looked_at_one_by_one() -> None:
    wide = " and ".join(f"(properties.a{n} = 1 or properties.b{n} = 1)" for n in range(30))
    assert fql_sat.conflict(fql.parse(wide + ' and type = "track" and type = "page"')) is None
