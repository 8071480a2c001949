"""Filters that generated code writes as a method of text, against the language's own function, over values that could tell the two apart.

Takes every filter of INLINE_FILTERS and a table of values; each stands at the event's own field, at a member of properties, in another filter,
and in an item, on every way that an event may take.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from waypost import plan as p
from waypost.events.results import Mapped, Rejected
from waypost.lang import filters
from waypost.lang.values import MISSING, Fault, Num
from waypost.program.generated.expressions import INLINE_FILTERS
from ways import all_ways, both

TEXTS = [
    "", " ", "a", "Ab c", " A b \t\r\n", "\u00a0A\u00a0", "\u2003x\u3000", "\u200bX\u200b", "\ufeffB\ufeff", "\x0b\x0cC\x1c\x1d\x1e\x1f",
    "\x85D\x85", "\u2028E\u2029", "\x00F\x00", "ß", "ẞ", "STRASSE", "İstanbul", "ıI",
    "ﬁﬂ", "ŉ", "ΑΣ ΑΣΑ", "ǅ", "Ж", "한글", "👩‍👩‍👧", "e\u0301É",
    'q"\\/', "a" * 5000 + "B ", "\ud7ff\ue000", "\U0010ffff",
]  # fmt: skip
OTHERS: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -7,
    10**30,
    1.5,
    Num("-0"),
    Num("1.50"),
    Num("1e5"),
    [],
    ["A "],
    {},
    {"A": " B "},
]

PLACES: dict[str, p.Value] = {
    "own field": p.Path(path="$.event"),
    "member": p.Path(path="$.properties.v"),
    "deeper": p.Path(path="$.properties.o.v"),
    "several": p.First(of=[p.Path(path="$.none"), p.Path(path="$.properties.v")]),
}


def spelled(value: Any, *, ascii: bool) -> str:
    if isinstance(value, Num):
        return value.text
    if isinstance(value, list):
        return "[" + ",".join(spelled(item, ascii=ascii) for item in value) + "]"
    return json.dumps(value, ensure_ascii=ascii)


def line_of(value: Any, *, ascii: bool = False) -> bytes:
    text = spelled(value, ascii=ascii)
    return f'{{"type":"track","messageId":"m","event":{text},"properties":{{"v":{text},"o":{{"v":{text}}},"l":[{text}]}}}}'.encode()


def plan_of(node: p.Value, each: p.Value | None = None) -> p.Plan:
    request = p.Request(method="post", url=p.Const(value="https://any.example/"), body=p.Messages(many=False))
    mapping = p.Object(entries={"id": p.Path(path="$.messageId"), "x": node})
    action = p.Action(trigger='type = "track"', request="request", mapping=mapping, each=each)
    return p.seal(p.Plan(name="any", requests={"request": request}, actions={"send": action}))


def by_the_language(names: list[str], value: Any) -> Any:
    """The value that the filters give one after another, MISSING, or the Fault."""
    try:
        for name in names:
            value = filters.apply(name, value)
    except Fault as fault:
        return fault
    return value


def judge(plan: p.Plan, names: list[str]) -> None:
    """All values in one chunk, in both spellings."""
    held = [*TEXTS, *OTHERS]
    lines = [line_of(value, ascii=ascii) for value in held for ascii in (False, True)]
    for (found,), value in zip(all_ways(both(plan, {}), lines), [value for value in held for _ in "ab"], strict=True):
        wanted = by_the_language(names, value)
        if isinstance(wanted, Fault):
            assert isinstance(found, Rejected), (names, value)
            assert (found.reason, found.message, found.field) == (wanted.reason, wanted.message, "x"), (names, value)
            continue
        assert isinstance(found, Mapped), (names, value, found)
        assert json.loads(found.body).get("x", MISSING) == wanted, (names, value)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", INLINE_FILTERS)
def test_an_inlined_filter_is_the_filter(name: str, place: str) -> None:
    """Mutations that turn this red: `strip` for `lstrip` in INLINE_FILTERS; the method without its look at the class; `casefold` for
    `lower`."""
    judge(plan_of(p.Filter(name=name, of=PLACES[place])), [name])


@pytest.mark.parametrize("other", [*INLINE_FILTERS, "snakecase", "json", "string"])
@pytest.mark.parametrize("name", INLINE_FILTERS)
def test_an_inlined_filter_of_another(name: str, other: str) -> None:
    judge(plan_of(p.Filter(name=name, of=p.Filter(name=other, of=p.Path(path="$.properties.v")))), [other, name])


@pytest.mark.parametrize("name", INLINE_FILTERS)
def test_an_inlined_filter_of_an_item(name: str) -> None:
    judge(plan_of(p.Filter(name=name, of=p.Path(path="$item")), p.Path(path="$.properties.l")), [name])
    judge(
        plan_of(
            p.Find(
                of=p.Path(path="$.properties.l"), where="key = null", to=p.Filter(name=name, of=p.Path(path="$item"))
            )
        ),
        [name],
    )


def test_what_is_inlined_takes_text_alone_and_has_no_arguments() -> None:
    for name, method in INLINE_FILTERS.items():
        row = filters.FILTERS[name]
        assert (row.takes, row.args) == (filters.TEXT, ()), name
        assert row.function is getattr(str, method)
