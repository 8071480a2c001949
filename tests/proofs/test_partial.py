"""Destinations that take a part of a request: only what failed goes again or is dead, with its own reason, and nothing is sent twice.

The stand-ins and the oracle are in partial.py; `make soak` kills the engine twenty times a shape.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from partial import SHAPES, soak


@pytest.mark.parametrize("shape", SHAPES)
def test_part_of_a_request_is_taken(shape: str, tmp_path: Path) -> None:
    found = soak(tmp_path, shape, kills=0, seed=7, per_kill=600)
    assert found.faults == []
    assert found.refused > 20


@pytest.mark.parametrize("shape", SHAPES)
def test_killed_engine_sends_no_part_again_that_had_ended(shape: str, tmp_path: Path) -> None:
    found = soak(tmp_path, shape, kills=3, seed=11, per_kill=500)
    assert found.faults == []
