"""Rates by the clock of a real receiver, for a short while (rates.py has the long one)."""

from __future__ import annotations

import pytest

from rates import figures, measured


@pytest.mark.parametrize(("rate", "seconds"), [(1, 4), (10, 3), (100, 3)])
def test_no_second_has_more_than_the_rate(rate: int, seconds: float) -> None:
    """P7. Mutation: `Window.leaves` that takes an instant before the connection was open, or `ended` that counts from `place.left`."""
    found = measured(rate, seconds)
    assert found.largest <= rate, str(found)


def test_figures_see_a_second_that_has_more() -> None:
    assert figures(1, [0.0, 0.97, 2.0]).largest == 2
    assert figures(2, [0.0, 0.5, 1.0, 1.5]).largest == 2
