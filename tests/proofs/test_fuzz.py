"""The fuzz in short: hostile events through random specs and the shipped destination, in every way. `make soak` has it at length."""

from __future__ import annotations

import pytest

import fuzz
import fuzz_ways


@pytest.mark.parametrize("seed", [3, 4])
def test_no_event_stops_the_engine_under_any_spec(seed: int) -> None:
    """Mutations that turn this red: a group's parts as Python values; no trial of what holds `now`; an order key that faults; an index of an
    answer that is not compared with how many messages were sent."""
    total, requests, faults = fuzz.fuzz(specs=20, events=1600, seed=seed)
    assert faults == []
    assert total["delivered"] > 50
    assert requests > 20


def test_no_event_stops_the_shipped_destination() -> None:
    total, requests, faults = fuzz.shipped(events=3000, seed=5)
    assert faults == []
    assert total["delivered"] > 300
    assert requests > 10


@pytest.mark.slow
def test_no_event_stops_the_engine_however_it_comes() -> None:
    assert [name for name, _ in fuzz_ways.ways(1000, 6)] == [
        "HTTP",
        "stdin",
        "stdin --journal",
        "a file",
        "a file, 2 workers",
    ]
