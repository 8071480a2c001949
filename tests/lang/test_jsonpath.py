"""JSONPath: each accepted path gives what RFC 9535 says; everything else is refused with a column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import table
from waypost.lang import jsonpath, values
from waypost.lang.errors import LangError
from waypost.lang.jsonpath import Descend, Slice, Union, Wild
from waypost.lang.values import MISSING

TABLE = table("jsonpath")


@pytest.mark.parametrize(("path", "wanted"), TABLE["matches"])
def test_match(path: str, wanted: Any) -> None:
    found = jsonpath.find(jsonpath.parse(path), TABLE["document"])
    assert ("MISSING" if found is MISSING else found) == wanted


@pytest.mark.parametrize(("path", "column", "part"), TABLE["refused"])
def test_error_has_column(path: str, column: int, part: str) -> None:
    with pytest.raises(LangError) as caught:
        jsonpath.parse(path)
    assert (caught.value.start + 1, part in caught.value.message) == (column, True), caught.value.message


@given(st.text(alphabet="$.[]*\"'abi:,-01? \\tem", max_size=20) | st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        expr = jsonpath.parse(text)
    except LangError as error:
        assert 0 <= error.start <= error.end <= len(text)
    else:
        assert jsonpath.parse(expr.text) == expr


# An evaluator straight from RFC 9535, section 2, that shares nothing with the one under test.


def children(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def descendants(value: Any) -> Iterator[Any]:
    yield value
    for child in children(value):
        yield from descendants(child)


def slice_indexes(segment: Slice, length: int) -> range:
    """RFC 9535, 2.3.4.2.2."""
    step = 1 if segment.step is None else segment.step
    if step == 0:
        return range(0)
    start = (0 if step > 0 else length - 1) if segment.start is None else segment.start
    end = (length if step > 0 else -length - 1) if segment.end is None else segment.end
    n_start, n_end = (start if start >= 0 else length + start), (end if end >= 0 else length + end)
    if step > 0:
        return range(min(max(n_start, 0), length), min(max(n_end, 0), length), step)
    return range(min(max(n_start, -1), length - 1), min(max(n_end, -1), length - 1), step)


def select(segment: Any, value: Any) -> list[Any]:
    if isinstance(segment, str):
        return [value[segment]] if isinstance(value, dict) and segment in value else []
    if isinstance(segment, Wild):
        return children(value)
    if not isinstance(value, list):
        return []
    if isinstance(segment, Slice):
        return [value[index] for index in slice_indexes(segment, len(value))]
    indexes = segment.indexes if isinstance(segment, Union) else (segment,)
    return [value[index] for index in indexes if -len(value) <= index < len(value)]


def by_the_rfc(expr: jsonpath.PathExpr, root: Any) -> list[Any]:
    nodes = [root]
    descend = False
    for segment in expr.parts:
        if isinstance(segment, Descend):
            descend = True
            continue
        within = [inner for node in nodes for inner in descendants(node)] if descend else nodes
        nodes = [found for node in within for found in select(segment, node)]
        descend = False
    return nodes


names = st.sampled_from(["a", "b", "c", "x y", "*", "é", "'", '"'])
small = st.integers(-4, 4)
bounds = st.none() | small
segments = st.one_of(
    names.map(lambda name: f"[{values.encode(name).decode()}]"),
    small.map(lambda index: f"[{index}]"),
    st.just("[*]"),
    st.just(".*"),
    st.tuples(bounds, bounds, bounds.filter(lambda step: step != 0)).map(
        lambda parts: "[" + ":".join("" if part is None else str(part) for part in parts) + "]"
    ),
    st.lists(small, min_size=2, max_size=3).map(lambda indexes: f"[{','.join(map(str, indexes))}]"),
    st.sampled_from(["..a", "..b", "..*", "..[0]"]),
)
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "text"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(segments, max_size=4).map(lambda parts: "$" + "".join(parts)), documents)
def test_accepted_paths_mean_what_the_rfc_says(path: str, document: Any) -> None:
    try:
        expr = jsonpath.parse(path)
    except LangError:
        return
    wanted = by_the_rfc(expr, document)
    found = jsonpath.find(expr, document)
    if expr.multi:
        assert found == wanted
    else:
        assert ([] if found is MISSING else [found]) == wanted


def test_plain_paths_never_load_the_library() -> None:
    import subprocess
    import sys

    code = "import sys\nfrom waypost.lang import jsonpath\njsonpath.find(jsonpath.parse('$.a[0]'), {})\nprint('jsonpath_ng' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "False"
    )
