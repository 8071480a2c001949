"""What a run says when it ends early is true: as a table for each kind of input and option, and of real runs that are run again."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from test_delivery import orders, taken, write

from conftest import table
from running import Engine
from waypost.cli.endings import Keeps, told
from waypost.delivery.ledger import Ledger
from waypost.engine.summary import Summary
from waypost.http.receiver import Receiver


@pytest.mark.parametrize("row", table("endings"), ids=lambda row: f"{row['kind']} {row['ends']}")
def test_what_is_said_is_true(row: dict[str, Any]) -> None:
    flying = row.get("in_flight", 0)
    ledger = Ledger(delivered=row["delivered"], dead=Counter({"required": row.get("dead", 0)}), in_flight=flying)
    summary = Summary(ledger, interrupted=row["ends"] == "interrupted", unread=not row.get("whole"), source="files")
    summary.stopped = "401" if row["ends"] == "stopped" else ""
    summary.fault = "cannot write d: full" if row["ends"] == "fault" else ""
    keeps = Keeps(row["kind"], row.get("state", ""), row.get("letters", ""))
    said = list(told(summary, keeps))
    assert len(said) == bool(row["says"]), said
    for part in row["says"]:
        assert part in said[0], said
    for part in row.get("not", []):
        assert part not in "".join(said), said
    assert keeps.resumes(summary) == row["resumes"]


@pytest.mark.parametrize("state", [False, True], ids=["without a state", "with a state"])
@pytest.mark.parametrize("signals", [1, 2])
def test_a_new_run_does_what_the_last_one_said(state: bool, signals: int, tmp_path: Path) -> None:
    """Interrupted in the middle: the figure that is said to be sent again is what arrives twice."""
    names = orders(tmp_path, 4000)
    write(tmp_path, one="http://127.0.0.1:9")
    words = ["run", "waypost.yaml", "--drain", "0.5", *(["--state", "state"] if state else [])]
    with Receiver(port=0, script="200x3,200:delay=30") as receiver:
        engine = Engine(tmp_path, *words, "--endpoint-override", receiver.url)
        with receiver.arrived:
            assert receiver.arrived.wait_for(lambda: len(receiver.requests) >= 4, 30)
        for number in range(signals):
            engine.process.send_signal(signal.SIGINT)
            assert engine.heard(("once more", "at once")[number])
        assert engine.end() == 5
        before = taken(receiver)
    (line,) = [line for line in engine.said if "interrupted" in line]
    with Receiver(port=0) as receiver:
        engine = Engine(tmp_path, *words, "--endpoint-override", receiver.url)
        assert engine.end() == 0, engine.said
        after = taken(receiver)
    if state:
        assert "kept by state: the same command goes on there" in line
        assert after.total() < 8000
    else:
        found = re.search(r"sends again the ([\d,]+) that were delivered", line)
        assert found is not None, line
        assert after == Counter(dict.fromkeys(names, 2))
        assert int(found[1].replace(",", "")) <= sum(before.values())


@pytest.mark.parametrize("words", [[], ["--state", "state"]])
def test_refused_credentials_with_standard_input(words: list[str], tmp_path: Path) -> None:
    """Status 4 said "nothing is lost": what comes by a pipe is."""
    orders(tmp_path, 10)
    write(tmp_path)
    with Receiver(port=0, script="401") as receiver:
        target = ["run", "shop.yaml", "--set", "key=env:KEY", "--set", f"url={receiver.url}", *words]
        with (tmp_path / "events.ndjson").open() as events:
            engine = Engine(tmp_path, *target, "--json", stdin=events)
            assert engine.process.stdout is not None
            found = json.loads(engine.process.stdout.read())
            assert engine.end() == 4
    assert found["resumes"] is False
    (line,) = [] if not engine.said else [line for line in engine.said if "not journaled" in line]
    assert "--journal" in line
