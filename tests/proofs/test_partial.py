"""Destinations that take a part of a request: only what failed goes again or is dead, with its own reason, and nothing is sent twice.

The stand-ins and the oracle are in partial.py; `make soak` kills the engine twenty times a shape.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kills import ledger_in
from partial import SHAPES, soak
from running import waypost
from waypost.http.receiver import Receiver, Reply
from waypost.plan import dump


@pytest.mark.parametrize("shape", SHAPES)
def test_part_of_a_request_is_taken(shape: str, tmp_path: Path) -> None:
    found = soak(tmp_path, shape, kills=0, seed=7, per_kill=600)
    assert found.faults == []
    assert found.refused > 20


@pytest.mark.parametrize("shape", SHAPES)
def test_killed_engine_sends_no_part_again_that_had_ended(shape: str, tmp_path: Path) -> None:
    found = soak(tmp_path, shape, kills=3, seed=11, per_kill=500)
    assert found.faults == []


def test_answer_that_names_nobody_is_told_once(tmp_path: Path) -> None:
    """Message 25 of 25: an index from 1, say. In a 400 whose others were taken nothing is delivered on its word, and nothing sent again."""
    (tmp_path / "plan.json").write_bytes(dump(SHAPES["index"].plan()))
    lines = [json.dumps({"type": "track", "messageId": f"m{number}", "userId": "u"}) for number in range(75)]
    (tmp_path / "events.ndjson").write_text("\n".join(lines) + "\n", encoding="utf-8")
    body = json.dumps({"failed_records": [{"index": 25, "field": "x", "message": "y"}]}).encode()
    with Receiver(port=0, answer=lambda request: Reply(400, body=body)) as receiver:
        words = ["--set", "key=env:KEY", "--state", "state", "--endpoint-override", receiver.url, "events.ndjson"]
        status, _, said = waypost("run", "plan.json", *words, cwd=tmp_path, KEY="canary-shop-key")
    assert status == 3
    assert len(receiver.requests) == 3
    told = "an answer 400 is not what the spec's `results` say: it names message 25, counted from 0, and the request had 25"
    assert len(re.findall(re.escape(told), said)) == 1
    ledger = ledger_in(tmp_path / "state", "shop", "files")
    assert (ledger["delivered"], ledger["dead"], ledger["closes"]) == (0, {"refused": 75}, True)
