"""`compact`, `flatten`, `truncate_bytes` and `cents`: at any depth, of any text and number."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.lang import filters, shaping, values
from waypost.lang.values import MISSING, Fault

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=12,
)


def compacted(value: Any) -> Any:
    """The same, as one would say it."""
    if isinstance(value, dict):
        value = {key: kept for key, item in value.items() if (kept := compacted(item)) is not MISSING}
    elif isinstance(value, list):
        value = [kept for item in value if (kept := compacted(item)) is not MISSING]
    return MISSING if value is None or value in ("", [], {}) else value


@given(json_values)
def test_compact(value: Any) -> None:
    """Mutation that turns this red: what is left empty is kept."""
    found = shaping.compact(value)
    assert (found is MISSING) == (compacted(value) is MISSING)
    assert found is MISSING or values.encode(found) == values.encode(compacted(value))


def flattened(value: Any, lists: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if item and isinstance(item, (dict, list) if lists else dict):
            found.update({f"{key}.{name}": held for name, held in flattened(item, lists).items()})
        else:
            found[str(key)] = item
    return found


@given(json_values.filter(lambda value: isinstance(value, dict)), st.booleans())
def test_flatten(value: Any, lists: bool) -> None:
    assert shaping.flatten(value, ".", lists) == flattened(value, lists)


def test_any_depth() -> None:
    deep: Any = {"a": 1}
    for _ in range(5000):
        deep = {"a": [deep]}
    assert len(shaping.flatten(deep, "", True)) == 1
    assert shaping.compact(deep) is not MISSING


@given(st.text(max_size=8), st.integers(0, 20))
def test_truncate_bytes(text: str, most: int) -> None:
    cut = shaping.truncate_bytes(text, most)
    assert text.startswith(cut)
    assert len(cut.encode()) <= most
    assert cut == text or len((cut + text[len(cut)]).encode()) > most


@given(st.decimals(-1000, 1000, places=4))
def test_cents(price: Decimal) -> None:
    wanted = int((price * 100).quantize(Decimal(1), ROUND_HALF_EVEN))
    assert shaping.cents(values.Num(str(price))) == shaping.cents(str(price)) == wanted


@pytest.mark.parametrize("value", ["", "19,99", " 1", "1e7000", True, []])
def test_cents_of_what_is_no_amount(value: Any) -> None:
    with pytest.raises(Fault):
        filters.apply("cents", value)
