"""The traps of destinations' APIs: each that applies to a shipped spec has a test that is named after it (tests/cases/traps.yaml)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from conftest import ROOT, table
from running import waypost
from waypost.compiler.pipeline import compile_file
from waypost.http.receiver import Receiver

TRAPS = table("traps")
KEY = ("--set", "source_write_key=env:KEY")


def numbers(name: str) -> set[int]:
    """The traps that a test's name begins with: `trap 8: …`, `traps 4 and 19: …`."""
    found = re.match(r"traps? ([0-9, and]+):", name)
    return set(map(int, re.findall(r"[0-9]+", found[1]))) if found else set()


def named(spec: str) -> set[int]:
    text = (ROOT / "specs" / spec / "tests.yaml").read_text(encoding="utf-8")
    return set().union(*(numbers(test["name"]) for test in YAML(typ="safe", pure=True).load(text)["tests"]))


def test_every_trap_is_listed_once() -> None:
    assert [row["trap"] for row in TRAPS] == list(range(1, 21))
    assert all(row["specs"] or row.get("here") in globals() for row in TRAPS)


@pytest.mark.parametrize("row", TRAPS, ids=lambda row: f"{row['trap']} {row['says']}")
def test_trap_has_its_tests(row: dict[str, Any]) -> None:
    assert [spec for spec in row["specs"] if row["trap"] not in named(spec)] == []
    assert row.get("here", "test_every_trap_is_listed_once") in globals()


def test_no_test_is_named_after_a_trap_that_does_not_list_its_spec() -> None:
    for path in sorted((ROOT / "specs").glob("*/tests.yaml")):
        spec = path.parent.name
        assert named(spec) == {row["trap"] for row in TRAPS if spec in row["specs"]}, spec


def test_trap_2_a_probe_says_what_it_does_not_prove(tmp_path: Path) -> None:
    """Segment answers 200 to any key on its batch endpoint, so the check asks another address, and says that the region stays open."""
    for script, status, said in (
        ("200", 0, "does not prove that events are accepted, or that a region and other settings are right"),
        ("404", 4, "nothing of that name is there"),
    ):
        with Receiver(port=0, script=script) as receiver:
            found = waypost("check", "segment", *KEY, "--endpoint-override", receiver.url, cwd=tmp_path, KEY="key-7f3a")
        assert found[0] == status
        assert said in found[1]
        (request,) = receiver.requests
        assert request.method == "GET"
        assert "key-7f3a" in request.path


def sent(folder: Path, events: list[dict[str, Any]]) -> tuple[list[bytes], list[dict[str, Any]]]:
    """The bodies that Segment's destination makes of events, and the dead letters."""
    (folder / "events.ndjson").write_text("".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events))
    with Receiver(port=0) as receiver:
        words = (
            "run",
            "segment",
            *KEY,
            "--endpoint-override",
            receiver.url,
            "--dead-letters",
            "dead.ndjson",
            "events.ndjson",
        )
        waypost(*words, cwd=folder, KEY="key-7f3a")
    dead = folder / "dead.ndjson"
    letters = [json.loads(line) for line in dead.read_text().splitlines()] if dead.exists() else []
    return [request.body for request in receiver.requests], letters


def track(number: int, **properties: Any) -> dict[str, Any]:
    return {"type": "track", "event": "A", "userId": "u", "messageId": f"m{number}", "properties": properties}


def test_trap_3_a_batch_is_cut_on_count_and_on_bytes(tmp_path: Path) -> None:
    """Segment takes 2,500 events or 500 kB, whichever comes first, and answers 200 to more. Bytes are those of the body in UTF-8."""
    small, _ = sent(tmp_path, [track(number) for number in range(2501)])
    assert sorted(len(json.loads(body)["batch"]) for body in small) == [1, 2500]
    large, _ = sent(tmp_path, [track(number, text="é" * 10_000) for number in range(60)])
    assert sum(len(json.loads(body)["batch"]) for body in large) == 60
    assert all(len(body) <= 500_000 for body in large)
    assert max(map(len, large)) > 450_000


def test_trap_4_an_event_that_is_too_large_is_refused_before_sending(tmp_path: Path) -> None:
    bodies, letters = sent(tmp_path, [track(1), track(2, text="x" * 33_000), track(3)])
    assert sorted(item["messageId"] for body in bodies for item in json.loads(body)["batch"]) == ["m1", "m3"]
    assert [(letter["event"]["messageId"], letter["reason"]) for letter in letters] == [("m2", "message_too_large")]


@pytest.mark.parametrize("path", sorted((ROOT / "specs").glob("*/destination.yaml")), ids=lambda path: path.parent.name)
def test_trap_17_no_retry_outlasts_the_window_of_repeats(path: Path) -> None:
    plan, _ = compile_file(path)
    assert plan is not None
    for request in plan.requests.values():
        # Where nothing is known of repeats there is no window: the spec then says what becomes of the unanswered (D122).
        if request.dedupe is not None and request.dedupe.by:
            assert request.retry.for_s <= request.dedupe.within_s
