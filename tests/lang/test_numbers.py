"""Numbers: money is computed in decimals, integers keep their digits, and no value of an event stops a function of the language."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_differential import plan_of

import hostile
from conftest import table
from waypost import plan as p
from waypost.events.results import Mapped, Rejected
from waypost.lang import arithmetic, filters, formats, fql, template, values
from waypost.lang.values import Fault
from waypost.program import interpret_numbers
from ways import Both, all_ways, both


def event(pairs: dict[str, str], other: str = "") -> bytes:
    """A track event with these properties, as JSON texts; `other` is put beside them."""
    inside = ",".join(f'"{name}":{value}' for name, value in pairs.items())
    return b'{"type":"track","event":"A","messageId":"m","properties":{%s}%s}' % (inside.encode(), other.encode())


def sent(plan: p.Plan, line: bytes) -> str:
    """The text of `x` in the one message of a line, mapped in every way."""
    [result] = all_ways(both(plan, {}), [line])[0]
    if isinstance(result, Rejected):
        return "rejected"
    assert isinstance(result, Mapped)
    return result.body.decode().removeprefix('{"x":').removesuffix("}") or "nothing"


def mapping(value: p.Value) -> p.Plan:
    return p.load(p.dump(plan_of(p.Object(entries={"x": value}), [], p.Const(value=""))))


@pytest.mark.parametrize("case", table("numbers"), ids=lambda case: f"{case['expr']}, {case['a'][:30]}")
def test_what_is_sent(case: dict[str, str]) -> None:
    """Mutation that turns this red: arithmetic in floats."""
    pairs = {name: case[name] for name in ("a", "b") if name in case}
    found = sent(mapping(template.parse(f"{{{{ {case['expr']} }}}}")), event(pairs))
    assert found.replace("{", "nothing") == case["sent"]


@pytest.mark.parametrize("token", ["1e18", "1e21", "1780921717355446273.0", "1780921717355446273", "9" * 400, "-1.2E3"])
def test_integers_keep_their_digits(token: str) -> None:
    plan = mapping(p.From(of=p.Path(path="$.properties.a"), type="integer", nulls="omit"))
    found = sent(plan, event({"a": token}))
    assert found.lstrip("-").isdecimal()
    assert values.decode(found.encode()) == int(arithmetic.operand(values.number_token(token), "+"))


tokens = st.builds(
    lambda sign, head, tail, exponent: f"{sign}{head}{tail}{exponent}",
    st.sampled_from(["", "-"]),
    st.integers(0, 10**40).map(str) | st.sampled_from(["0", "1", "9" * 34, "9" * 399]),
    st.sampled_from(["", ".0", ".5", ".10"]) | st.integers(0, 10**20).map(lambda number: f".{number}"),
    st.sampled_from(["", "e0"])
    | st.integers(-40, 40).map(lambda number: f"e{number}")
    | st.integers(-7000, 7000).map(lambda number: f"e{number}"),
)
numbers = tokens.map(values.number_token)


def outcome(function: Any, *args: Any) -> Any:
    try:
        return values.encode(function(*args))
    except Fault as fault:
        return fault.reason


@settings(max_examples=1500)
@given(st.sampled_from("+-*/"), numbers, numbers)
def test_arithmetic_is_that_of_fractions(sign: str, left: Any, right: Any) -> None:
    """Mutations that turn this red: a context of 28 digits for sums, a quotient cut instead of rounded, `normalize` left out."""
    assert outcome(arithmetic.arith, sign, left, right) == outcome(interpret_numbers.arith, sign, left, right)


@settings(max_examples=500)
@given(numbers, st.integers(0, 52))
def test_rounding_is_that_of_fractions(value: Any, digits: int) -> None:
    assert outcome(arithmetic.rounded, value, digits) == outcome(interpret_numbers.rounded, value, digits)


@settings(max_examples=200)
@given(st.lists(numbers | st.none(), max_size=6))
def test_sums_are_those_of_fractions(items: list[Any]) -> None:
    assert outcome(arithmetic.total, items) == outcome(interpret_numbers.total, items)


@settings(max_examples=300)
@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=20))
def test_cents_add_up(cents: list[int]) -> None:
    """Amounts with two digits: their sum is the sum of the cents, whatever their order."""
    amounts = [values.number_token(f"{'-' * (cent < 0)}{abs(cent) // 100}.{abs(cent) % 100:02d}") for cent in cents]
    assert arithmetic.arith("*", arithmetic.total(amounts), 100) == sum(cents)


# Every function of the language takes every value, or rejects it; all ways agree.

VALUE = p.Path(path="$.properties.a")
ARGUMENTS = {
    "text": p.Const(value="a"),
    "integer": p.Const(value=2),
    "path": p.Const(value="a"),
    "format": p.Const(value="%Y-%j %f"),
    "any": p.Const(value="2026-11-24"),
    "pattern": p.Const(value="([0-9])a?"),
    "replacement": p.Const(value="<$1>"),
    "flag": p.Const(value=True),
}
PATTERNS = ("[0-9]+", ".*a")


def filter_nodes() -> dict[str, p.Value]:
    """Each filter with the value as what it works on, and as each argument that may be computed."""
    found: dict[str, p.Value] = {}
    for name, row in filters.FILTERS.items():
        args = [ARGUMENTS[kind] for kind in row.args]
        found[f"filter {name}"] = p.Filter(name=name, of=VALUE, args=args)
        if row.optional:
            found[f"filter {name} bare"] = p.Filter(name=name, of=VALUE, args=args[: -row.optional])
        for index, kind in enumerate(row.args):
            if kind in ("text", "any"):
                of = p.Const(value=row.examples[0][0] if row.examples[0][0] is not values.MISSING else "x")
                found[f"filter {name}, argument {index}"] = p.Filter(
                    name=name, of=of, args=[*args[:index], VALUE, *args[index + 1 :]]
                )
    for digits in (0, 30, 52):
        found[f"filter round({digits})"] = p.Filter(name="round", of=VALUE, args=[p.Const(value=digits)])
    for path in ("..a", "[*]", "[-1]", "a.b[0:2]"):
        found[f"filter map({path})"] = p.Filter(
            name="map", of=VALUE, args=[p.Const(value="$" + path.replace("a.b", ".a.b"))]
        )
    return found


def check_nodes() -> dict[str, p.Value]:
    """Each type, and each check beside the types that it may stand beside."""
    found: dict[str, p.Value] = {}
    for kind in (None, *values.TYPES):
        for words in ({}, {"invalid": "omit", "nulls": "empty", "empty": "omit"}, {"required": True, "default": None}):
            found[f"type {kind} {list(words)}"] = p.From(of=VALUE, type=kind, **{"nulls": "omit", **words})
    checks: list[dict[str, Any]] = [
        {"enum": ["a", 1, 1.5, True, None, [], {"a": 1}]},
        *({"pattern": pattern} for pattern in PATTERNS),
        {"max_length": 3},
        {"single": True},
        *({"format": name} for name in formats.TEXT_FORMATS),
        {"max_bytes": 3},
        {"max_age_s": 3600.0},
        {"max_ahead_s": 3600.0},
        {"max_age_s": 1e300, "max_ahead_s": 1e300},
    ]
    for check in checks:
        for kind in (None, "string", "number", "datetime", "unix_us"):
            found[f"{check} of {kind}"] = p.From(of=VALUE, type=kind, nulls="omit", **check)
    return found


def operator_nodes() -> dict[str, p.Value]:
    found: dict[str, p.Value] = {
        "copy": VALUE,
        "text": p.Text(parts=[p.Const(value="x-"), VALUE]),
        "merge": p.Merge(of=[VALUE], entries={"b": p.Const(value=1)}),
        "merge two": p.Merge(of=[p.Path(path="$.context"), VALUE]),
        "pick": p.Pick(of=VALUE, keys=["a", ""]),
        "first": p.First(of=[VALUE, p.Const(value=1)]),
        "items": p.Items(items=[VALUE, VALUE]),
        "each": p.Each(of=VALUE, to=p.Filter(name="json", of=p.Path(path="$item"))),
        "each where": p.Each(of=VALUE, to=p.Path(path="$item"), where="item > 1 or item.a = 1"),
        "each single key": p.Each(of=VALUE, to=p.Path(path="$item"), key=p.Path(path="$item"), single=True),
        "each named": p.Each(of=VALUE, to=p.Path(path="$item"), key=p.Filter(name="upper", of=p.Ref(name="key"))),
        "find": p.Find(of=VALUE, where='item > 1 or key = "a"'),
        "get": p.Get(of=p.Path(path="$.properties"), key=VALUE),
        "get of": p.Get(of=VALUE, key=p.Const(value="a")),
        "lookup": p.Lookup(of=VALUE, table={"1": 1, "true": 2, "1e5": 3}, otherwise=VALUE),
        "lookup else": p.Lookup(of=p.Const(value="z"), table={"1": 1}, otherwise=VALUE),
        "deep path": p.Path(path="$.properties..a"),
        "slice": p.Path(path="$.properties.a[0:2]"),
        "index": p.Path(path="$.properties.a[-9007199254740991]"),
        "rendered again": p.Filter(name="from_json", of=p.Filter(name="json", of=VALUE)),
    }
    for sign in "+-*/":
        found[f"value {sign} 3"] = p.Arith(sign=sign, left=VALUE, right=p.Const(value=3))
        found[f"19.99 {sign} value"] = p.Arith(sign=sign, left=p.Const(value=19.99), right=VALUE)
        found[f"value {sign} value"] = p.Arith(sign=sign, left=VALUE, right=VALUE)
    return found


def condition_nodes() -> dict[str, p.Value]:
    """Each function of conditions with the value as each argument, and each comparison on either side."""
    texts = []
    for name, function in fql.FUNCTIONS.items():
        for index, kind in enumerate(function.kinds):
            if kind == "glob":
                continue
            words = ['"a*"' if other == "glob" else '"1"' for other in function.kinds]
            words[index] = "properties.a"
            call = f"{name}({', '.join(words)})"
            texts += [call] if function.boolean else [f"{call} = 1", f"{call} > 1", f'{call} = "a"']
    for sign in ("=", "!=", "<", "<=", ">", ">="):
        texts += [
            f"properties.a {sign} {number}"
            for number in ("1", "1.5", "1e99999999999999999999", "0e-99999999999999999999", "9" * 5000)
        ]
        texts += [f"properties.a {sign} properties.b"]
    texts += [
        'properties.a in ["a", 1, 1e400, null, true]',
        "1 in properties.a",
        "properties.b in properties.a",
        "properties.a = null",
    ]
    return {text[:60]: p.When(test=text, then=p.Const(value=1), otherwise=p.Const(value=0)) for text in texts}


NODES = {**filter_nodes(), **check_nodes(), **operator_nodes(), **condition_nodes()}
LINES = [event({"a": value, "b": "1.0"}) for value in hostile.values()] + [
    event({"b": "1"}),
    event({"a": "1", "b": "[" * 150 + "]" * 150}),
]
GROUPS = [list(NODES)[start : start + 12] for start in range(0, len(NODES), 12)]


def test_the_table_is_whole() -> None:
    """Each function and check has a row, and there are enough values."""
    assert len(hostile.values()) > 400
    named = " ".join(NODES)
    assert all(f"filter {name}" in named for name in filters.FILTERS)
    assert all(f"type {name}" in named for name in values.TYPES)
    assert all(f"{name}(" in named for name in fql.FUNCTIONS)


@pytest.mark.parametrize("names", GROUPS, ids=lambda names: names[0])
def test_every_function_takes_every_value_or_says_no(names: list[str]) -> None:
    """Mutations that turn this red: `Decimal(token)` as it stands, `strftime` for `format_time`, `scaleb` of any digits."""
    for name in names:
        all_ways(both(mapping(NODES[name]), {}), LINES)


@pytest.mark.parametrize("name", ["userId", "anonymousId", "groupId", "messageId"])
@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("12345", "12345"),
        ("12345.0", "12345"),
        ("1.2345E4", "12345"),
        ("123450e-1", "12345"),
        ("-0.0", "0"),
        ("12345.5", "12345.5"),
        ("9007199254740993", "9007199254740993"),
        ("9007199254740993.0", "9007199254740993"),
    ],
)
def test_one_person_has_one_id_in_the_shipped_destination(name: str, written: str, wanted: str, shipped: Both) -> None:
    """However a number is written. Mutation that turns this red: `values` that gives a number's token as text."""
    others = "".join(f',"{one}":"x"' for one in ("userId", "groupId", "messageId") if one != name)
    line = b'{"type":"group","%s":%s%s}' % (name.encode(), written.encode(), others.encode())
    for result in all_ways(shipped, [line])[0]:
        assert isinstance(result, Mapped), result
        assert msgspec.json.decode(result.body)[name] == wanted
