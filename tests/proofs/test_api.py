"""`import waypost`: the public face is what docs/python.md says, its examples run, and it means what the commands mean."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import io
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import waypost
from conftest import ROOT
from waypost.http.receiver import Receiver

TEXT = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
NOTEBOOK, HANDLER, TASK = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
KEY = {"source_write_key": "k"}


def event(number: int) -> dict[str, Any]:
    return {"type": "track", "userId": f"u{number}", "event": "A", "messageId": f"m{number}"}


def ids(receiver: Receiver) -> list[str]:
    return [item["messageId"] for request in receiver.requests for item in json.loads(request.body)["batch"]]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(port=0) as found:
        yield found


@pytest.fixture
def run(receiver: Receiver, tmp_path: Path) -> Any:
    def deliver(events: Any, **options: Any) -> waypost.Summary:
        options.setdefault("dead_letters", tmp_path / "dead.ndjson")
        return asyncio.run(
            waypost.deliver(waypost.load("segment"), events, settings=KEY, endpoint=receiver.url, **options)
        )

    return deliver


def run_example(text: str, receiver: Receiver, **names: Any) -> dict[str, Any]:
    exec(compile(text.replace("http://127.0.0.1:8081", receiver.url), "docs/python.md", "exec"), names)
    return names


def test_the_notebook(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
    monkeypatch.chdir(ROOT)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        run_example(NOTEBOOK, receiver)
    assert f"```text\n{said.getvalue()}```" in TEXT


def test_the_web_handler(monkeypatch: pytest.MonkeyPatch, receiver: Receiver, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGMENT_WRITE_KEY", "k")
    app = run_example(HANDLER, receiver)["app"]

    async def ask() -> Any:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as client:
            return [
                (await client.post("/track", json=one)).json() for one in (event(1), {"type": "track", "event": "A"})
            ]

    assert asyncio.run(ask()) == [{"delivered": 1, "dead": {}}, {"delivered": 0, "dead": {"require": 1}}]
    assert ids(receiver) == ["m1"]
    assert "require" in (tmp_path / "refused.ndjson").read_text(encoding="utf-8")


def test_the_task_goes_on_where_it_stood(monkeypatch: pytest.MonkeyPatch, receiver: Receiver, tmp_path: Path) -> None:
    monkeypatch.setenv("SEGMENT_WRITE_KEY", "k")
    deliver_day = run_example(TASK, receiver)["deliver_day"]
    file = tmp_path / "day.ndjson"
    file.write_text("".join(json.dumps(event(number)) + "\n" for number in range(5)), encoding="utf-8")
    assert deliver_day(str(file), tmp_path / "state").delivered == 5
    with file.open("a", encoding="utf-8") as more:
        more.write(json.dumps(event(5)) + "\n")
    assert deliver_day(str(file), tmp_path / "state").delivered == 1
    assert ids(receiver) == ["m0", "m1", "m2", "m3", "m4", "m5"]


@pytest.mark.parametrize("form", ["dict", "bytes", "text", "pretty", "async", "generator"])
def test_events_of_any_form(form: str, run: Any, receiver: Receiver) -> None:
    decoded = [event(number) for number in range(2500)]
    texts = [json.dumps(one) for one in decoded]

    async def asynchronous() -> AsyncIterator[bytes]:
        for text in texts:
            yield text.encode()
            await asyncio.sleep(0)

    events = {
        "dict": decoded,
        "bytes": [text.encode() for text in texts],
        "text": texts,
        "pretty": [json.dumps(one, indent=2) for one in decoded],
        "async": asynchronous(),
        "generator": (text + "\n" for text in texts),
    }[form]
    summary = run(events)
    assert (summary.status, summary.ledger.delivered, summary.ledger.closes) == (0, 2500, True)
    assert ids(receiver) == [one["messageId"] for one in decoded]


def test_other_events_than_the_last_ones_begin_at_the_beginning(run: Any, receiver: Receiver, tmp_path: Path) -> None:
    said: list[str] = []
    for first in (0, 0, 10):
        run(
            [event(first + number) for number in range(3)],
            state=tmp_path / "state",
            dead_letters=None,
            notice=said.append,
        )
    assert ids(receiver) == ["m0", "m1", "m2", "m10", "m11", "m12"]
    assert [text for text in said if "other events" in text]


def test_an_iterable_that_fails_is_the_callers_error_and_keeps_what_has_ended(
    run: Any, receiver: Receiver, tmp_path: Path
) -> None:
    def failing() -> Iterator[dict[str, Any]]:
        yield from (event(number) for number in range(5000))
        raise ValueError("the warehouse is away")

    async def failing_later() -> AsyncIterator[dict[str, Any]]:
        for one in failing():
            yield one

    for events in (failing(), failing_later()):
        with pytest.raises(ValueError, match="the warehouse is away"):
            run(events, state=tmp_path / "state", dead_letters=None)
    assert run([event(number) for number in range(5001)], state=tmp_path / "state", dead_letters=None).status == 0
    assert set(ids(receiver)) == {f"m{number}" for number in range(5001)}


def test_nothing_and_blank_events(run: Any) -> None:
    assert run([]).ledger.read == 0
    summary = run([b"", b"  ", b"no json", event(1)])
    assert (summary.status, summary.ledger.delivered, dict(summary.ledger.rejected)) == (3, 1, {"malformed": 1})


def test_a_wrong_setting_or_path_is_one_clear_error(tmp_path: Path) -> None:
    plan = waypost.load("segment")
    with pytest.raises(waypost.SettingError, match="needs the setting `source_write_key`"):
        waypost.link(plan)
    with pytest.raises(waypost.SettingError, match="NOT_SET_ANYWHERE"):
        waypost.link(plan, {"source_write_key": "env:NOT_SET_ANYWHERE"})
    for function in (waypost.load, waypost.compile):
        with pytest.raises(FileNotFoundError):
            function(tmp_path / "nothing")
    (tmp_path / "x.json").write_text("{}", encoding="utf-8")
    with pytest.raises(waypost.PlanError):
        waypost.load(tmp_path / "x.json")


def test_many_lines_are_what_each_is_alone() -> None:
    program = waypost.link(waypost.load("segment"), KEY)
    lines = (ROOT / "examples" / "events.ndjson").read_bytes().splitlines()
    chunk = program.map_chunk(b"\n".join(lines) + b"\n")
    starts = [sum(len(line) + 1 for line in lines[:index]) for index in range(len(lines))]
    assert chunk == [program.map(line, start) for line, start in zip(lines, starts, strict=True)]


SIGNATURES = """\
compile(path: 'str | PathLike[str]') -> 'tuple[Plan | None, Report]'
deliver(plan: 'Plan', events: 'Iterable[Event] | AsyncIterable[Event]', *, settings: 'Mapping[str, Any] | None' = None, \
state: 'str | PathLike[str] | None' = None, dead_letters: 'str | PathLike[str] | None' = None, endpoint: 'str | None' = None, \
name: 'str' = 'events', connect_within_s: 'float' = 60.0, notice: 'Callable[[str], None]' = <function>) -> 'Summary'
link(plan: 'Plan', settings: 'Mapping[str, Any] | None' = None, *, endpoint: 'str | None' = None) -> 'Program'
load(path: 'str | PathLike[str]') -> 'Plan'
"""


def test_the_face_is_stable() -> None:
    """A change here breaks programs of others: it belongs into the changelog."""
    assert [name for name in waypost.__all__ if name[0].islower()] == ["compile", "deliver", "link", "load"]
    assert [name for name in waypost.__all__ if name[0].isupper()] == [
        "Filtered",
        "Mapped",
        "Plan",
        "PlanError",
        "Program",
        "Rejected",
        "Report",
        "SettingError",
        "StateError",
        "Summary",
    ]
    shown = "".join(
        f"{name}{inspect.signature(getattr(waypost, name))}\n" for name in ("compile", "deliver", "link", "load")
    )
    assert re.sub(r"<function .*?>(?=\))", "<function>", shown) == SIGNATURES
    assert all(getattr(waypost, name).__doc__ for name in waypost.__all__ if name != "__version__")


def test_importing_costs_nothing() -> None:
    code = "import sys, waypost; print(*sorted(name for name in sys.modules if name.split('.')[0] in ('waypost', 'msgspec', 'httpx')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["waypost", "waypost.version"]
