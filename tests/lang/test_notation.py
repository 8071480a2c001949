"""Plan nodes print as an author would write them, and what is printed compiles to the same node."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import test_differential
from hypothesis import given, settings
from hypothesis import strategies as st

from waypost import plan as p
from waypost.compiler.read import document
from waypost.compiler.read.places import BODY, TEXT
from waypost.compiler.read.source import Source
from waypost.compiler.read.value_operators import values_reader
from waypost.compiler.report.diagnostic import Report
from waypost.lang import fql, jsonpath, notation
from waypost.lang.formats import TEXT_FORMATS
from waypost.lang.values import TYPES

REGION = p.Setting(type="choice", choices={"eu": {"api": "x", "a-b": "y"}})
ROWS: list[tuple[p.Value, str]] = [
    (p.Path(path="$.a.b"), "$.a.b"),
    (p.Path(path='$.a["first name"][0]'), '$.a["first name"][0]'),
    (p.Path(path=jsonpath.parse(r"""$["\\'"]""").text), r"""$["\\'"]"""),
    (p.Items(items=[p.Path(path="$.a[0]")]), '["$.a[0]"]'),
    (p.Const(value="x"), "{$literal: x}"),
    (p.Const(value="yes"), '{$literal: "yes"}'),
    (p.Const(value={"a": [1, None, True]}), "{$literal: {a: [1, null, true]}}"),
    (p.Const(value=1.5), "1.5"),
    (p.Ref(name="meta.id"), '"{{ meta.id }}"'),
    (p.Filter(name="lower", of=p.Path(path="$.event")), '"{{ event.event | lower }}"'),
    (
        p.Filter(name="default", of=p.Path(path='$.traits["a b"]'), args=[p.Const(value="none")]),
        "\"{{ event.traits['a b'] | default('none') }}\"",
    ),
    (
        p.Filter(
            name="round",
            of=p.Arith(
                sign="*",
                left=p.Arith(sign="+", left=p.Path(path="$.properties.a"), right=p.Const(value=-1)),
                right=p.Const(value=100),
            ),
        ),
        '"{{ ((event.properties.a + -1) * 100) | round }}"',
    ),
    (
        p.From(of=p.Path(path="$.userId"), type="string", nulls="omit", empty="omit", max_age_s=86400.0, required=True),
        "{$from: $.userId, type: string, empty: omit, max_age: 24h, required: true}",
    ),
    (p.From(of=p.Path(path="$.a"), type="string"), "{$from: $.a, type: string, nulls: keep}"),
    (
        p.Merge(of=[p.Path(path="$.context")], entries={"direct": p.Omit(), "$x": p.Const(value=1)}),
        "{$merge: $.context, direct: $omit, $$x: 1}",
    ),
    (
        p.When(test='event = "A"', then=p.Const(value=1), otherwise=p.Path(path="$.a")),
        '{$when: event = "A", then: 1, else: $.a}',
    ),
    (
        p.Each(of=p.Path(path="$.properties.products"), to=p.Path(path="$item.id"), where='item.a in ["x"]'),
        "{$each: $.properties.products, to: $item.id, where: 'item.a in [\"x\"]'}",
    ),
    (
        p.Each(
            of=p.Path(path="$.a"), single=True, key=p.Ref(name="key"), to=p.Filter(name="lower", of=p.Ref(name="key"))
        ),
        '{$each: $.a, single: wrap, key: $key, to: "{{ key | lower }}"}',
    ),
    (
        p.Find(of=p.Path(path="$.a"), where='key = "b"', to=p.Get(of=p.Path(path="$item"), key=p.Path(path="$.event"))),
        '{$find: $.a, where: key = "b", to: {$get: $item, key: $.event}}',
    ),
    (
        p.From(
            of=p.Filter(
                name="round", of=p.Filter(name="sum", of=p.Items(items=[p.Path(path="$.a")])), args=[p.Const(value=2)]
            )
        ),
        '{$from: [$.a], filter: "sum | round(2)"}',
    ),
    (
        p.From(of=p.Filter(name="sum", of=p.Path(path="$.a[*].b")), nulls="omit", type="number"),
        '{$from: "$.a[*].b", filter: "sum", type: number}',
    ),
    (p.From(of=p.Path(path="$.a"), nulls="omit", type="array", single=True), "{$from: $.a, type: array, single: wrap}"),
    (
        p.Lookup(of=p.Path(path="$.event"), table={"A b": 1}, otherwise=p.Const(value=None)),
        "{$lookup: $.event, in: {A b: 1}, else: null}",
    ),
    (
        p.Filter(name="capture", of=p.Path(path="$.a"), args=[p.Const(value=r"\bid=(\d+)")]),
        r'''"{{ event.a | capture('\\bid=(\\d+)') }}"''',
    ),
    (
        p.Filter(name="flatten", of=p.Path(path="$.a"), args=[p.Const(value="."), p.Const(value=True)]),
        "\"{{ event.a | flatten('.', lists: true) }}\"",
    ),
    (p.Pick(of=p.Path(path="$"), keys=["name", "a, b"]), '{$pick: $, keys: [name, "a, b"]}'),
]


@pytest.mark.parametrize(("node", "shown"), ROWS, ids=[row[1] for row in ROWS])
def test_shown_as_an_author_would_write_it(node: p.Value, shown: str) -> None:
    assert notation.value(node) == shown


@pytest.mark.parametrize(
    ("held", "shown"), [(86400.0, "24h"), (172800.0, "2d"), (90.0, "90s"), (120.0, "2m"), (0.25, "250ms"), (0.0, "0s")]
)
def test_times(held: float, shown: str) -> None:
    assert notation.seconds(held) == shown


awkward = st.text(st.sampled_from("ab 0$-'\"\\{}[]:#,%*é\n\t\x7f\u2028😀&!|>@`~?"), max_size=6)
words = st.sampled_from(["a", "items", "class", "x y", "é", "yes", "null", "0", "", "and"]) | awkward
steps = st.lists(words | st.integers(-3, 3), max_size=3)
roots = st.sampled_from(["$.properties", "$.context", "$item"])


def path_of(root: str, steps: list[str | int]) -> p.Path:
    return p.Path(path=jsonpath.parse(root + "".join(f"[{json.dumps(step)}]" for step in steps), item=True).text)


single_paths = st.builds(path_of, roots, steps)
all_paths = single_paths | st.sampled_from(["$.properties.a[*]", "$.properties..b", "$.context.a[0:2]", "$"]).map(
    lambda text: p.Path(path=jsonpath.parse(text).text)
)
refs = st.sampled_from(["meta.id", "now", "key", "settings.region", "settings.region.api", "settings.region.a-b"]).map(
    lambda name: p.Ref(name=name)
)
numbers = st.integers(-(2**53), 2**53) | st.floats(-1e6, 1e6).map(lambda number: round(number, 3))
scalars = st.none() | st.booleans() | numbers | words
constants = st.recursive(
    scalars, lambda held: st.lists(held, max_size=2) | st.dictionaries(words, held, max_size=2), max_leaves=4
)
PATTERNS = ["a", r"\bx\d\\", "it's", '"', r"\"'", "'\"", r"\x{41}\n", "é\n{{}}"]
codes = st.recursive(
    single_paths | refs | scalars.map(lambda held: p.Const(value=held)),
    lambda inner: (
        st.builds(lambda name, of: p.Filter(name=name, of=of), st.sampled_from(["lower", "json", "round"]), inner)
        | st.builds(lambda of, arg: p.Filter(name="default", of=of, args=[arg]), inner, inner)
        | st.builds(
            lambda of, pattern, to: p.Filter(
                name="replace_pattern", of=of, args=[p.Const(value=pattern), p.Const(value=to)]
            ),
            *(inner, st.sampled_from(PATTERNS), st.sampled_from(["", "a", "$0 \\ $$", "'\""])),
        )
        | st.builds(
            lambda sign, a, b: p.Arith(sign=sign, left=a, right=b), st.sampled_from(["+", "-", "*", "/"]), inner, inner
        )
    ),
    max_leaves=5,
)
mixed = st.lists(codes | words.map(lambda held: p.Const(value=held)), min_size=2, max_size=4).map(
    lambda parts: p.Text(parts=parts)
)
templates = mixed | codes.filter(lambda node: not isinstance(node, (p.Path, p.Const)))
conditions = st.sampled_from(
    [
        'event = "A"',
        "properties.a > 1",
        '!(event = "it\'s" and userId != null)',
        'match(event, "a: # {b}")',
        "type in []",
    ]
).map(lambda text: fql.show(fql.read(text)) if text != "type in []" else 'event in ["a", "b"]')
leaves = (
    all_paths
    | refs
    | templates
    | constants.map(lambda held: p.Const(value=held))
    | st.sampled_from([p.Messages(many=True), p.Messages(many=False)])
)
times = st.none() | st.integers(0, 10**9).map(lambda count: count / 1000)


def operators(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    entries = st.dictionaries(words, inner | st.just(p.Omit()), max_size=3)
    maybe = st.none() | inner
    return st.one_of(
        entries.map(lambda found: p.Object(entries=found)),
        st.lists(inner, max_size=3).map(lambda items: p.Items(items=items)),
        st.builds(lambda of, found: p.Merge(of=of, entries=found), st.lists(inner, min_size=1, max_size=2), entries),
        st.lists(inner, min_size=1, max_size=3).map(lambda of: p.First(of=of)),
        st.builds(
            lambda of, keys: p.Pick(of=of, keys=keys),
            # The names of an event's own fields are judged.
            inner.filter(lambda of: of != p.Path(path="$")),
            st.lists(words, unique=True, max_size=3),
        ),
        st.builds(
            lambda of, to, where, key: p.Each(of=of, to=to, where=where, key=key),
            *(inner, inner, st.none() | conditions, maybe.filter(lambda key: not isinstance(key, p.Const))),
        ),
        st.builds(
            # What is written without `key` may be a list of one.
            lambda of, to: p.Each(of=of, to=to, single=True),
            *(inner, inner.filter(lambda to: not p.mentions(to, lambda held: held == p.Ref(name="key")))),
        ),
        st.builds(lambda of, where, to: p.Find(of=of, where=where, to=to), inner, conditions, maybe),
        st.builds(lambda of, key: p.Get(of=of, key=key), inner, inner),
        st.builds(lambda test, then, other: p.When(test=test, then=then, otherwise=other), conditions, inner, maybe),
        st.builds(
            lambda of, table, other: p.Lookup(of=of, table=table, otherwise=other),
            inner,
            st.dictionaries(words, constants, max_size=2),
            maybe,
        ),
        st.builds(
            lambda name, of, arg: p.From(
                of=p.Filter(name=name, of=p.Filter(name="default", of=p.First(of=[of]), args=[arg]))
            ),
            *(st.sampled_from(["sum", "keys", "json"]), inner, codes),
        ),
        st.builds(
            p.From,
            of=inner,
            nulls=st.sampled_from(["keep", "omit", "empty"]),
            empty=st.sampled_from(["keep", "omit"]),
            single=st.booleans(),
            type=st.none() | st.sampled_from(list(TYPES)),
            enum=st.none() | st.lists(constants, min_size=1, max_size=2),
            format=st.none() | st.sampled_from(list(TEXT_FORMATS)),
            pattern=st.none() | words.filter(bool).map(re.escape),
            max_length=st.none() | st.integers(1, 10**6),
            max_bytes=st.none() | st.integers(1, 10**6),
            max_age_s=times,
            max_ahead_s=times,
            invalid=st.sampled_from(["error", "omit"]),
            default=st.none() | constants.map(lambda held: p.Const(value=held)),
            required=st.booleans(),
        ),
    )


def read(printed: str, *, in_text: bool = False) -> p.Value:
    report = Report(Source("x.yaml", f"f: {printed}\n"))
    root = document.read(report.source, report)
    assert isinstance(root, document.Map), printed
    reader = values_reader(report, {"region": REGION})
    node = root.entries[0][1]
    place = (TEXT if in_text else BODY).with_entry()
    found = (reader.text(node, place) if in_text else reader.value(node, place)).node
    assert report.diagnostics == [], (printed, report.diagnostics[0].message)
    return found


def is_omit_alone(node: p.Value) -> bool:
    return isinstance(node, p.Omit)


@settings(max_examples=300)
@given(st.recursive(leaves, operators, max_leaves=6).filter(lambda node: not is_omit_alone(node)))
def test_what_is_printed_compiles_to_the_same_node(node: Any) -> None:
    printed = notation.value(node)
    assert "\n" not in printed
    assert repr(read(printed)) == repr(node), printed


@settings(max_examples=200)
@given(templates | single_paths | words.map(lambda held: p.Const(value=held)))
def test_text_positions_too(node: Any) -> None:
    printed = notation.text(node)
    assert repr(read(printed, in_text=True)) == repr(node), printed


@settings(max_examples=150)
@given(test_differential.values)
def test_nodes_that_nobody_can_write_are_shown_too(node: Any) -> None:
    assert notation.value(node)
    assert notation.text(node)
