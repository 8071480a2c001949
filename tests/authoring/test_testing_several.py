"""Tests with several events, with expectations of the requests that result, and with a clock of their own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT
from waypost.authoring.test.suite import Result, Wanted, run_spec
from waypost.compiler.pipeline import compile_file

SPEC = """spec: 1
name: shop
settings:
  key: {type: string, secret: true, label: Key}
auth: {bearer: "{{ settings.key }}"}
request:
  post: "https://api.shop.example/v1/{{ event.properties.list }}"
  body: {orders: $messages}
  batch: {max_messages: 3, max_wait: 1s}
  responses: {400: split}
actions:
  send:
    trigger: type = "track"
    mapping:
      user: {$from: $.userId, type: string, required: true}
      at: {$from: $.timestamp, type: datetime, max_age: 7d}
  also:
    trigger: type = "track" and event = "Twice"
    mapping:
      user: {$from: $.userId, type: string, required: true}
"""
HEAD = "settings: {key: k}\n"


def event(user: int | None, to: str = "a", **more: str) -> dict[str, Any]:
    return {"type": "track", **({} if user is None else {"userId": f"u{user}"}), "properties": {"list": to}, **more}


def run(folder: Path, test: dict[str, Any], head: str = HEAD, **wanted: Any) -> Result:
    return run_text(folder, f"{head}tests: {json.dumps([{'name': 'a test', **test}])}\n", SPEC, **wanted)


def run_text(folder: Path, tests: str, text: str, **wanted: Any) -> Result:
    spec = folder / "destination.yaml"
    spec.write_text(text)
    (folder / "tests.yaml").write_text(tests)
    plan, report = compile_file(spec)
    assert plan is not None, [item.message for item in report.diagnostics]
    return run_spec(spec, plan, Wanted(**{"update": True, **wanted}))


def failures(result: Result) -> list[str]:
    assert result.report is None, [item.message for item in result.report.diagnostics]
    return [failure.message for outcome in result.outcomes for failure in outcome.failures]


GOOD = {
    "batches are cut at their limit": {
        "events": [event(n) for n in range(5)],
        "expect": [{"message": {"user": f"u{n}"}} for n in range(5)],
        "requests": [{"messages": 3}, {"messages": 2}],
    },
    "what a request takes from the event divides batches": {
        "events": [event(1), event(2, "b"), event(3)],
        "expect": [{}, {}, {}],
        "requests": [
            {"post": "https://api.shop.example/v1/a", "messages": 2},
            {"post": "https://api.shop.example/v1/b", "messages": 1},
        ],
    },
    "a split isolates the refused one": {
        "events": [event(1), event(2), event(3)],
        "replies": [{"status": 400}, {"status": 200}, {"status": 400}, {"status": 400}, {"status": 200}],
        "expect": [{"outcome": "ok"}, {"outcome": "dead"}, {"outcome": "ok"}],
        "requests": [{"messages": n} for n in (3, 1, 2, 1, 1)],
    },
    "equal messages of two events are two deliveries": {
        "events": [event(1), event(1)],
        "expect": [{"outcome": "ok"}, {"outcome": "ok"}],
        "requests": [{"messages": 2}],
    },
    "each event has its own end": {
        "events": [event(1), "{broken", event(None), {"type": "page"}, event(2, event="Twice")],
        "expect": [
            {"action": "send"},
            {"rejected": "malformed"},
            {"rejected": "required", "field": "user"},
            {"filtered": "no_action"},
            {"action": "send", "message": {"user": "u2"}},
            {"action": "also", "message": {"user": "u2"}},
        ],
        "requests": [{"messages": 3}],
    },
}


@pytest.mark.parametrize("name", list(GOOD))
def test_several_events(name: str, tmp_path: Path) -> None:
    test = dict(GOOD[name])
    test["expect"] = [item or {"outcome": "ok"} for item in test["expect"]]
    result = run(tmp_path, test)
    assert failures(result) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"requests": [{"messages": 5}]}, "expected 1 requests, found 2"),
        ({"requests": [{"messages": 2}, {"messages": 2}]}, "request 1: `messages` is not as expected"),
        ({"requests": [{"messages": 3}, {"post": "https://x.example"}]}, "request 2: `post` is not as expected"),
        ({"requests": []}, "expected 0 requests, found 2"),
        ({"expect": [{"outcome": "ok"}] * 4}, "expected 4 deliveries, found 5"),
    ],
)
def test_what_differs_is_a_failure(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    test = {"events": [event(n) for n in range(5)], "expect": [{"outcome": "ok"}] * 5, **change}
    (message,) = failures(run(tmp_path, test))
    assert said in message


def test_golden_shows_each_request_once_and_is_stable(tmp_path: Path) -> None:
    test = {"events": [event(n) for n in range(4)], "expect": [{"outcome": "ok"}] * 4}
    run(tmp_path, test)
    held = json.loads((tmp_path / "golden.json").read_text())["a test"]
    assert [row["event"] for row in held] == [1, 2, 3, 4]
    assert [row["request"] for row in held[1:3]] == ["that of delivery 1"] * 2
    assert [len(held[at]["request"]["body"]["messages"]) for at in (0, 3)] == [3, 1]
    again = run(tmp_path, test, update=False)
    assert (again.failed, again.diff) == (0, "")


def test_coverage_sees_every_event(tmp_path: Path) -> None:
    alone = run(tmp_path, {"event": event(1), "expect": {"outcome": "ok"}}, coverage=True)
    both = run(
        tmp_path,
        {"events": [event(1), event(2, event="Twice")], "expect": [{"outcome": "ok"}] * 3},
        coverage=True,
    )
    assert alone.coverage is not None
    assert both.coverage is not None
    assert both.coverage.percent() > alone.coverage.percent()


AT = "2026-11-24T10:00:00Z"


@pytest.mark.parametrize(
    ("of_file", "of_test", "reason"),
    [
        ("", None, "too_old"),
        ("2026-11-25T00:00:00Z", None, ""),
        ("2026-11-25T00:00:00Z", "2026-12-24T00:00:00Z", "too_old"),
        ("2026-12-24T00:00:00Z", "2026-11-30T00:00:00+02:00", ""),
        ("", 1_795_600_000, ""),
        ("", "2026-12-01T10:00:00Z", ""),
        ("", "2026-12-01T10:00:01Z", "too_old"),
    ],
)
def test_now_sets_the_clock(of_file: str, of_test: Any, reason: str, tmp_path: Path) -> None:
    head = HEAD + (f"now: {of_file}\n" if of_file else "")
    expect = {"rejected": reason, "field": "at"} if reason else {"outcome": "ok"}
    test = {"event": event(1, timestamp=AT), "expect": expect, **({} if of_test is None else {"now": of_test})}
    assert failures(run(tmp_path, test, head)) == []


def test_waits_are_counted_from_now(tmp_path: Path) -> None:
    """A date in Retry-After is an instant of the test's clock."""
    headers = {"retry-after": "Tue, 24 Nov 2026 10:00:30 GMT"}
    test = {
        "now": AT,
        "event": event(1),
        "replies": [{"status": 429, "headers": headers}, {"status": 200}],
        "expect": {"outcome": "ok", "attempts": 2, "waited": "30s"},
    }
    assert failures(run(tmp_path, test)) == []


@pytest.mark.parametrize(
    ("test", "code", "said"),
    [
        ({"events": [], "expect": {"outcome": "ok"}}, "S104", "`events` is a list"),
        ({"events": event(1), "expect": {"outcome": "ok"}}, "S104", "`events` is a list"),
        ({"events": [event(1)], "event": event(1), "expect": {"outcome": "ok"}}, "S108", "this has both"),
        ({"event": event(1), "now": "soon", "expect": {"outcome": "ok"}}, "S104", "`now` is an instant"),
        ({"event": event(1), "now": True, "expect": {"outcome": "ok"}}, "S104", "`now` is an instant"),
        ({"event": event(1), "now": 1e300, "expect": {"outcome": "ok"}}, "S104", "`now` is an instant"),
        ({"event": event(1), "requests": {}, "expect": {"outcome": "ok"}}, "S104", "`requests` is a list"),
        ({"event": event(1), "requests": [3], "expect": {"outcome": "ok"}}, "S104", "a request that is expected"),
    ],
)
def test_fault_is_a_finding(test: dict[str, Any], code: str, said: str, tmp_path: Path) -> None:
    result = run(tmp_path, test)
    assert result.report is not None
    assert any(item.code == code and said in item.message for item in result.report.diagnostics), [
        (item.code, item.message) for item in result.report.diagnostics
    ]


PARTS = re.findall(
    r"^```yaml part of a tests file\n(.*?)^```$",
    (ROOT / "docs" / "testing.md").read_text(encoding="utf-8"),
    re.DOTALL | re.MULTILINE,
)


@pytest.mark.parametrize("part", PARTS)
def test_the_page_runs_as_written(part: str, tmp_path: Path) -> None:
    spec = SPEC.replace("/{{ event.properties.list }}", "").replace(' and event = "Twice"', ' and event = "Nothing"')
    assert failures(run_text(tmp_path, HEAD + part, spec)) == []


def test_the_page_has_an_example_of_each() -> None:
    assert len(PARTS) == 2
