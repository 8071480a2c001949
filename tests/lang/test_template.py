"""Templates and their filters: the subset reads to plan nodes, everything else is refused where it stands."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.lang import arithmetic, filters, template, values
from waypost.lang.errors import LangError
from waypost.lang.values import MISSING, Fault
from waypost.plan import Arith, Const, Filter, Path, Ref, Text, Value

READS: list[tuple[str, Value]] = [
    ("plain", Const(value="plain")),
    ("{{ event.userId }}", Path(path="$.userId")),
    ("{{ event.items }}", Path(path="$.items")),
    ('{{ event["first name"][0] }}', Path(path='$["first name"][0]')),
    ("{{ event.a[-1].b }}", Path(path="$.a[-1].b")),
    ("{{ item.x }}", Path(path="$item.x")),
    ("{{ settings.endpoint.api }}", Ref(name="settings.endpoint.api")),
    ("{{ now | datetime }}", Filter(name="datetime", of=Ref(name="now"))),
    ("{{ event.a | lower | sha256 }}", Filter(name="sha256", of=Filter(name="lower", of=Path(path="$.a")))),
    ("a {{ event.b }} c", Text(parts=[Const(value="a "), Path(path="$.b"), Const(value=" c")])),
    (
        "{{ event.a + 1 * 2 }}",
        Arith(sign="+", left=Path(path="$.a"), right=Arith(sign="*", left=Const(value=1), right=Const(value=2))),
    ),
    (
        "{{ (event.a + 1) * 2 }}",
        Arith(sign="*", left=Arith(sign="+", left=Path(path="$.a"), right=Const(value=1)), right=Const(value=2)),
    ),
    ('{{ "}}" }}', Const(value="}}")),
    ("{{ event.a | default('x') }}", Filter(name="default", of=Path(path="$.a"), args=[Const(value="x")])),
]
REFUSED: list[tuple[str, str, str]] = [
    ("{{ evnt.a }}", "unknown_root", "evnt"),
    ("{{ event.a | lowr }}", "unknown_filter", "lowr"),
    ("{{ event.a | slice }}", "filter_args", "slice"),
    ("{{ event.a | slice('x') }}", "filter_args", "slice"),
    ("{{ event.a | format_time('%B') }}", "filter_args", "format_time"),
    ("{{ event.a if event.b else 1 }}", "construct", "if"),
    ("{{ event.a == 1 }}", "construct", "=="),
    ("{{ event.a and event.b }}", "construct", "and"),
    ("{{ event.a is defined }}", "construct", "is"),
    ("{{ event.get('x') }}", "construct", "get("),
    ("{{ event.a ~ 'x' }}", "construct", "~"),
    ("{{ [1] }}", "construct", "[1]"),
    ("{% if x %}", "construct", "{%"),
    ("{# x #}", "construct", "{#"),
    ("{{ event.a", "syntax", "{{ event.a"),
    ("x }} y", "syntax", "}}"),
    ("{{ }}", "syntax", " "),
    ("{{- event.a }}", "construct", "-"),
    ("{{ event.a b }}", "syntax", "event.a b"),
    ("{{ meta.nope }}", "unknown_root", "meta"),
    ("{{ event.__class__.__mro__() }}", "construct", "__mro__("),
]


@pytest.mark.parametrize(("text", "node"), READS)
def test_reads(text: str, node: Value) -> None:
    assert template.parse(text) == node


@pytest.mark.parametrize(("text", "kind", "shown"), REFUSED)
def test_error_stands_under_what_is_wrong(text: str, kind: str, shown: str) -> None:
    with pytest.raises(LangError) as caught:
        template.parse(text)
    assert (caught.value.kind, text[caught.value.start : caught.value.end]) == (kind, shown)


def test_error_root_not_here() -> None:
    with pytest.raises(LangError) as caught:
        template.parse("{{ now }}", ("event", "settings"))
    assert caught.value.kind == "root_not_here"


@given(st.text(alphabet="{}% |event.asl()[]'\"+-*/0 #~<=", max_size=30) | st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        template.parse(text)
        template.parse("{{" + text + "}}")
    except LangError as error:
        assert 0 <= error.start <= error.end <= len(text) + 4


EXAMPLES = [(name, *example) for name, row in filters.FILTERS.items() for example in row.examples]


@pytest.mark.parametrize(("name", "value", "args", "wanted"), EXAMPLES)
def test_filter_example(name: str, value: Any, args: tuple[Any, ...], wanted: Any) -> None:
    if wanted is filters.FAULT:
        with pytest.raises(Fault) as caught:
            filters.apply(name, value, args)
        assert caught.value.reason == "filter"
    else:
        found = filters.apply(name, value, args)
        assert (found is MISSING) == (wanted is MISSING)
        assert found is MISSING or values.encode(found) == values.encode(wanted)


@pytest.mark.parametrize("name", [name for name in filters.FILTERS if name != "default"])
def test_filters_pass_missing_and_null_by(name: str) -> None:
    """A hash of nothing is nothing: else every anonymous user would share one."""
    args = tuple({"integer": 1, "format": "%Y", "flag": True}.get(kind, "a") for kind in filters.FILTERS[name].args)
    assert filters.apply(name, MISSING, args) is MISSING
    assert filters.apply(name, None, args) is MISSING


def test_filters_of_the_language_are_all_there() -> None:
    wanted = (
        "lower upper trim snakecase kebabcase titlecase slice replace matches capture replace_pattern split join first last length unique "
        "sum map keys values flatten compact truncate_bytes cents json from_json string number integer round default datetime unix unix_ms "
        "unix_us format_time sha256 md5 hmac_sha256 base64 url digits e164 hash_id uuid5 ulid"
    )
    assert list(filters.FILTERS) == wanted.split()
    assert all(row.doc and row.examples for row in filters.FILTERS.values())


@pytest.mark.parametrize(
    ("sign", "left", "right", "wanted"),
    [
        ("+", 1, 2, 3),
        ("/", 4, 2, 2),
        ("/", 1, 2, 0.5),
        ("-", 10**30, 1, 10**30 - 1),
        ("*", MISSING, 2, MISSING),
        ("/", 1, 0, Fault),
        ("+", "a", "b", Fault),
        ("*", "a", 10**9, Fault),
        ("+", True, 1, Fault),
        ("*", values.Num("1e300"), values.Num("1e300"), values.Num("1e600")),
        ("*", values.Num("1e6000"), values.Num("1e6000"), Fault),
    ],
)
def test_arithmetic(sign: str, left: Any, right: Any, wanted: Any) -> None:
    if wanted is Fault:
        with pytest.raises(Fault):
            arithmetic.arith(sign, left, right)
    else:
        assert arithmetic.arith(sign, left, right) == wanted
