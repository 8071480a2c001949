"""The guard: what is our fault while one event is handled is that event's dead letter. Faults are put in on purpose."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from waypost import plan as p
from waypost.delivery import lane
from waypost.delivery.outcome import Answer
from waypost.engine.engine import Assignment, Engine, run
from waypost.engine.options import Options
from waypost.engine.summary import Summary, status_of
from waypost.events.guard import SWITCH, Guard
from waypost.program.program import Program, link
from waypost.program.request.render import RequestProgram, Wire
from waypost.sources.file import FileSource

COUNT = 60
BAD = (7, 21, 22)


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "on")


def plan_of(name: str = "shop", *, each: bool = False) -> p.Plan:
    action = p.Action(
        trigger='type = "track"',
        request="request",
        mapping=p.Object(
            entries={"id": p.Path(path="$.messageId"), "v": p.Filter(name="sha256", of=p.Path(path="$.event"))}
        ),
        each=p.Path(path="$.properties.items") if each else None,
    )
    other = p.Action(
        trigger='type = "track"', request="other", mapping=p.Object(entries={"o": p.Path(path="$.messageId")})
    )
    body = p.Object(entries={"kind": p.Path(path="$.userId"), "batch": p.Messages(many=True)})
    url = p.Const(value="https://example.com/x")
    held = p.Request(method="post", url=url, body=body, batch=p.Batch(max_messages=10, max_wait_s=0.0))
    bare = p.Request(method="post", url=url, body=p.Messages(many=True), batch=p.Batch(max_messages=10, max_wait_s=0.0))
    return p.seal(p.Plan(name=name, requests={"request": held, "other": bare}, actions={"send": action, "copy": other}))


def events(folder: Path) -> Path:
    path = folder / "events.ndjson"
    rows: list[dict[str, Any]] = [
        {"type": "track", "event": "bad" if at in BAD else "good", "messageId": f"m{at}", "userId": f"u{at in BAD}",
         "properties": {"items": [1]}}
        for at in range(COUNT)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


class Taking:
    """A destination that takes everything. State: the ids that it was sent."""

    def __init__(self, answer: Callable[[Wire], Answer] = lambda wire: Answer("200")) -> None:
        self.ids: list[str] = []
        self._answer = answer

    async def send(self, wire: Wire, timeout_s: float, left: Callable[[], None]) -> Answer:
        answer = self._answer(wire)
        body = json.loads(wire.body)
        rows = body["batch"] if isinstance(body, dict) else body
        self.ids += [row.get("id") or "copy " + row["o"] for row in rows]
        return answer

    async def close(self) -> None:
        return None


def deliver(folder: Path, program: Program, taking: Taking) -> tuple[Summary, list[dict[str, Any]], list[str]]:
    said: list[str] = []
    letters = folder / "dead.ndjson"
    options = Options(letters, notice=said.append)
    source = FileSource(events(folder))
    try:
        summary = asyncio.run(run(program, [source], taking, options))
    finally:
        source.close()
    rows = [json.loads(line) for line in letters.read_text(encoding="utf-8").splitlines()] if letters.exists() else []
    return summary, rows, said


def boom(*words: Any) -> Any:
    raise TypeError("a secret value")


def faulty_map(monkeypatch: pytest.MonkeyPatch) -> None:
    from waypost.lang import filters

    monkeypatch.setitem(
        filters.FILTERS, "sha256", replaced(filters.FILTERS["sha256"], lambda text: boom() if text == "bad" else text)
    )


def replaced(row: Any, function: Callable[..., Any]) -> Any:
    import dataclasses

    return dataclasses.replace(row, function=function)


def faulty_group(monkeypatch: pytest.MonkeyPatch) -> None:
    real = RequestProgram.envelope

    def envelope(self: RequestProgram, group: tuple[Any, ...], now: float, *, masked: bool = False) -> Any:
        return boom() if b'"uTrue"' in group else real(self, group, now, masked=masked)

    monkeypatch.setattr(RequestProgram, "envelope", envelope)


def faulty_render(monkeypatch: pytest.MonkeyPatch) -> None:
    real = RequestProgram.render

    def render(self: RequestProgram, group: Any, bodies: Any, now: float, *, masked: bool = False) -> Any:
        return boom() if b'"uTrue"' in group else real(self, group, bodies, now, masked=masked)

    monkeypatch.setattr(RequestProgram, "render", render)


def faulty_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    real = lane.verdict_of
    monkeypatch.setattr(
        lane,
        "verdict_of",
        lambda policy, answer, *rest: boom() if answer.body == b"odd" else real(policy, answer, *rest),
    )


def odd(wire: Wire) -> Answer:
    return Answer("200", body=b"odd" if b'"kind":"uTrue"' in wire.body else b"")


def unsendable(wire: Wire) -> Answer:
    return boom() if b'"kind":"uTrue"' in wire.body else Answer("200")  # type: ignore[no-any-return]


FAULTS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], Callable[[Wire], Answer]]] = {
    "map": (faulty_map, lambda wire: Answer("200")),
    "group": (faulty_group, lambda wire: Answer("200")),
    "render": (faulty_render, lambda wire: Answer("200")),
    "settle": (faulty_settle, odd),
    "send": (lambda monkeypatch: None, unsendable),
}


@pytest.mark.parametrize("stage", FAULTS)
@pytest.mark.parametrize("kernel", [True, False])
def test_a_fault_ends_its_event_and_nothing_else(
    stage: str, kernel: bool, guarded: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Mutations that turn this red: no guard in `refused` or `refusal`; `broke` without its split; a status without `caught`."""
    put, answer = FAULTS[stage]
    put(monkeypatch)
    taking = Taking(answer)
    summary, letters, said = deliver(tmp_path, link(plan_of(), {}, use_kernel=kernel), taking)
    good = [f"m{at}" for at in range(COUNT) if at not in BAD]
    copies = [f"copy m{at}" for at in range(COUNT)]
    assert [name for name in taking.ids if name.startswith("m") and (stage != "settle" or name in good)] == good
    assert sorted(name for name in taking.ids if name.startswith("copy")) == sorted(copies)
    assert [(row["reason"], row["event"]["messageId"], row["action"]) for row in letters] == [
        ("fault", f"m{at}", "send") for at in BAD
    ]
    assert all("TypeError at " in row["message"] and "secret" not in row["message"] for row in letters)
    assert summary.ledger.closes
    assert (summary.status, summary.caught, summary.ledger.in_flight) == (70, 3, 0)
    assert len([text for text in said if "TypeError" in text]) in (1, 2)
    assert not any("secret" in text for text in said)


@pytest.mark.parametrize("stage", FAULTS)
def test_without_the_guard_a_fault_is_seen_where_it_is(
    stage: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put, answer = FAULTS[stage]
    put(monkeypatch)
    with pytest.raises(TypeError):
        deliver(tmp_path, link(plan_of(), {}), Taking(answer))


@pytest.mark.parametrize("name", ["map_chunk", "kernel"])
def test_a_fault_of_the_fast_ways_costs_no_event(
    name: str, guarded: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = link(plan_of(), {}, use_kernel=False)

    class Broken:
        def map(self, *words: Any) -> Any:
            boom()

    real = program._chunks._map_chunk

    def together(events: list[Any], *words: Any) -> None:
        return boom() if len(events) > 1 else real(events, *words)  # type: ignore[no-any-return]

    monkeypatch.setattr(program._chunks, f"_{name}", together if name == "map_chunk" else Broken())
    taking = Taking()
    summary, letters, said = deliver(tmp_path, program, taking)
    assert letters == []
    assert len(taking.ids) == 2 * COUNT
    assert (summary.status, summary.ledger.delivered, len(said)) == (70, 2 * COUNT, 1)


def test_an_action_with_each_is_guarded(guarded: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    faulty_map(monkeypatch)
    taking = Taking()
    summary, letters, _ = deliver(tmp_path, link(plan_of(each=True), {}), taking)
    assert [row["event"]["messageId"] for row in letters] == [f"m{at}" for at in BAD]
    assert summary.ledger.delivered == 2 * COUNT - len(BAD)


def test_a_sender_that_never_works_stops_its_lane_and_keeps_the_events(guarded: None, tmp_path: Path) -> None:
    """A fault on every way out says nothing of an event: they are not all made dead letters."""
    summary, letters, _ = deliver(tmp_path, link(plan_of(), {}), Taking(boom))
    assert summary.status == 70
    assert len(letters) < 2 * lane.LONE_REFUSALS
    assert summary.ledger.in_flight > 2 * COUNT - 2 * lane.LONE_REFUSALS
    assert "no request can be sent (TypeError at " in summary.stopped


def test_one_lane_that_ends_by_a_fault_ends_no_other(
    guarded: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Mutation that turns this red: `LaneRunner.run` without its guard."""
    path = events(tmp_path)
    said: list[str] = []
    senders = {"broken": Taking(), "whole": Taking()}
    real = lane.Lane.tick

    def tick(self: lane.Lane, now: float, *, flush: bool = False) -> Any:
        return boom() if self.broken else real(self, now, flush=flush)  # type: ignore[attr-defined]

    monkeypatch.setattr(lane.Lane, "broken", False, raising=False)
    monkeypatch.setattr(lane.Lane, "tick", tick)
    engine = Engine(Options(None, notice=said.append), None, lambda program: senders[program.owner])
    programs = [link(plan_of(name), {}) for name in senders]
    lanes = [Assignment(program, "files", "key", lambda added: [lambda: FileSource(path)]) for program in programs]

    async def all_lanes() -> list[Summary]:
        from waypost.engine.lane_runner import LaneRunner

        linked = LaneRunner._link

        def link_broken(self: LaneRunner, program: Program) -> None:
            linked(self, program)
            self.lane.broken = program.owner == "broken"  # type: ignore[attr-defined]

        monkeypatch.setattr(LaneRunner, "_link", link_broken)
        return await engine.run(lanes)

    summaries = asyncio.run(all_lanes())
    found = {summary.connection: summary for summary in summaries}
    assert len(senders["whole"].ids) == 2 * COUNT
    assert found["whole"].status == 0
    assert found["broken"].status == 70
    assert "TypeError at " in found["broken"].fault
    assert status_of(summaries) == 70
    assert any("the lane has ended by TypeError" in text for text in said)
    assert not any("secret" in text for text in said)


def test_a_kind_of_fault_is_told_once() -> None:
    said: list[str] = []
    guard = Guard(True, said.append)
    for _ in range(3):
        try:
            boom()
        except TypeError as error:
            guard.caught(error, "mapped")
    assert (guard.count, len(said)) == (3, 1)
