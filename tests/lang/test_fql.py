"""The trigger language: what each form means, and that everything else is refused at its column."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import table
from waypost.lang import fql, fql_sat, values
from waypost.lang.errors import LangError
from waypost.lang.glob import glob_match

TABLE = table("fql")


def decoded(event: Any) -> Any:
    return values.decode(values.encode(event))


def refusal(text: str) -> LangError:
    """The first fault of a text: that of the parser, else of the names in it."""
    try:
        node = fql.read(text)
    except LangError as error:
        return error
    return fql.lint(node)[0]


@pytest.mark.parametrize(("text", "wanted"), [row for row in TABLE["holds"] if row[1] is not None])
def test_means_what_is_written(text: str, wanted: bool) -> None:
    event = decoded(TABLE["event"])
    assert fql.evaluate(fql.parse(text), lambda steps: fql.walk(event, steps)) is wanted


@pytest.mark.parametrize(("text", "column", "part"), TABLE["errors"])
def test_error_has_column_and_reason(text: str, column: int, part: str) -> None:
    error = refusal(text)
    assert (error.start + 1, part in error.message) == (column, True), (error.start + 1, error.message)


@pytest.mark.parametrize("text", [row[0] for row in TABLE["holds"] if row[1] is not None])
def test_canonical_text_reads_back(text: str) -> None:
    node = fql.parse(text)
    assert fql.parse(fql.show(node)) == node


@given(st.text(alphabet="typerack=\"'()[]!<>,.\\ aANDor0123456789-+e\n", max_size=40) | st.text(max_size=30))
def test_any_text_is_read_or_refused_within_it(text: str) -> None:
    try:
        node = fql.read(text)
    except LangError as error:
        assert 0 <= error.start <= error.end <= len(text)
    else:
        assert fql.read(fql.show(node)) == node
        for fault in fql.lint(node):
            assert 0 <= fault.start <= fault.end <= len(text)


paths = st.sampled_from([("type",), ("event",), ("properties", "a")])
constants = st.sampled_from(["track", "page", "x", 1, 2, values.Num("1.5"), True, None])
atoms = st.one_of(
    st.builds(
        lambda path, sign, value: fql.Compare(sign, fql.PathRef(path), fql.Literal(value)),
        paths,
        st.sampled_from(["=", "!="]),
        constants,
    ),
    st.builds(
        lambda path, sign, value: fql.Compare(sign, fql.PathRef(path), fql.Literal(value)),
        paths,
        st.sampled_from(["<", "<=", ">", ">="]),
        st.sampled_from([0, 1, 2]),
    ),
    st.builds(
        lambda path, members: fql.In(fql.PathRef(path), tuple(map(fql.Literal, members))),
        paths,
        st.lists(constants, min_size=1, max_size=3),
    ),
)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds(fql.Not, inner),
        st.builds(lambda parts: fql.And(tuple(parts)), st.lists(inner, min_size=2, max_size=3)),
        st.builds(lambda parts: fql.Or(tuple(parts)), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=6,
)
events = st.fixed_dictionaries(
    {},
    optional={
        "type": constants,
        "event": constants,
        "properties": st.fixed_dictionaries({}, optional={"a": constants}),
    },
)


@given(conditions, events)
def test_never_is_never_said_wrongly(node: fql.Node, event: dict[str, Any]) -> None:
    """Mutation that turns this red: `_Field.fits` counting a strict bound as reached."""
    if fql.evaluate(node, lambda steps: fql.walk(event, steps)):
        assert fql_sat.conflict(node) is None


@given(conditions)
def test_tree_prints_and_reads_back(node: fql.Node) -> None:
    """Nested and-in-and keeps its parentheses: the tree is the same, not only its meaning."""
    assert fql.read(fql.show(node)) == node


@pytest.mark.parametrize(
    ("text", "contradiction"),
    [
        ('type = "track" and type = "page"', True),
        ("properties.a > 5 and properties.a < 3", True),
        ("properties.a > 5 and properties.a < 6", False),
        ("properties.a >= 5 and properties.a <= 5", False),
        ("properties.a >= 5 and properties.a < 5", True),
        ('properties.a = "x" and properties.a > 1', True),
        ('type in ["track", "page"] and !(type = "track") and type != "page"', True),
        ('type = "track" or type = "page"', False),
        ('contains(event, "a") and !contains(event, "a")', True),
    ],
)
def test_contradictions(text: str, contradiction: bool) -> None:
    assert (fql_sat.conflict(fql.parse(text)) is not None) == contradiction


def test_types_and_simple_type() -> None:
    node = fql.parse('type = "track" and event = "A"')
    assert fql_sat.types(node) == {"track"}
    assert fql.simple_type(node) == ("track", fql.parse('event = "A"'))
    assert fql.simple_type(fql.parse('type = "track"')) == ("track", None)
    assert fql.simple_type(fql.parse('type != "track"'))[0] is None
    assert fql_sat.types(fql.parse('type != "track"')) == set(fql.EVENT_TYPES) - {"track"}


def test_glob_is_linear() -> None:
    """A pattern of many stars against a long text that fails at its end: exponential matchers never return."""
    assert not glob_match("*a" * 30 + "b", "a" * 5000)


def test_explain_names_the_failing_term() -> None:
    event = {"type": "track", "properties": {"total": 5}}
    node = fql.parse('type = "track" and properties.total > 100')
    assert fql.explain(node, lambda steps: fql.walk(event, steps)) == [
        ("properties.total > 100", "properties.total is 5")
    ]
