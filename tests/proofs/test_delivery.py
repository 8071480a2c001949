"""The promises of delivery with a state, each broken in the way that would break it: kills, signals, reloads, full disks, slow lanes.

The harness and the oracle are in kills.py; `make soak` runs them for long.
"""

from __future__ import annotations

import contextlib
import json
import random
import resource
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from kills import LINES, LISTS, SPEC, ledger_in, soak_file, soak_http
from running import Engine
from waypost.engine.stopping import Stopping
from waypost.http.receiver import Received, Receiver, Reply
from waypost.state import records
from waypost.state.store import look


def write(folder: Path, spec: str = SPEC, url: str = "https://api.shop.example", **connections: str) -> None:
    """shop.yaml, and a waypost.yaml with a connection for each name: its value is the url of its receiver."""
    (folder / "shop.yaml").write_text(
        spec.replace("post: https://api.shop.example/v1/events", 'post: "{{ settings.url }}/v1/events"').replace(
            "settings:\n", "settings:\n  url: {type: url, label: Url}\n"
        )
    )
    rows = [
        f'  {name}:\n    destination: shop.yaml\n    sources: [all]\n    settings: {{key: env:KEY, url: "{target}"}}\n'
        for name, target in connections.items()
    ]
    (folder / "waypost.yaml").write_text(f"connections:\n{''.join(rows)}sources:\n  all: {{files: '*.ndjson'}}\n")


def orders(folder: Path, count: int, pad: int = 0) -> list[str]:
    """Events that make two messages each: one of each action."""
    names = [f"e{number}" for number in range(count)]
    event = {"type": "track", "event": "Order", "userId": "u", "properties": {"total": 1, "pad": "x" * pad}}
    (folder / "events.ndjson").write_text("".join(json.dumps({**event, "messageId": name}) + "\n" for name in names))
    return names


def taken(receiver: Receiver) -> Counter[str]:
    """How often each event's messages were answered 200."""
    return Counter(
        message["key"]
        for request in list(receiver.requests)
        if request.status == 200
        for message in json.loads(request.body)["events"]
    )


def test_killed_engine_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    """P1, P2, P3, P4. Mutations that turn this red: `Keeping.resumed` without `lane.skip` (repeats of what the state had, counts);
    `Committer.run` that commits once (a lull that never has what was answered); `LaneStep.__call__` without the letters (lost);
    `Ledger.settled` keeping what is on its way (counts)."""
    outcome = soak_file(tmp_path, kills=6, seed=41, per_kill=700)
    assert outcome.ledger == outcome.wanted
    assert (outcome.lost, outcome.twice, outcome.altered, outcome.late) == ([], [], [], [])


@pytest.mark.parametrize("spec", [LINES, LISTS], ids=["lines", "lists"])
def test_killed_engine_loses_nothing_whatever_its_bodies(tmp_path: Path, spec: str) -> None:
    """P1, P2, P3, P4 where batches are lines, or lists by action. Mutation: a list left out of `Layout.together`."""
    outcome = soak_file(tmp_path, kills=3, seed=43, per_kill=700, spec=spec)
    assert outcome.ledger == outcome.wanted
    assert (outcome.lost, outcome.twice, outcome.altered, outcome.late) == ([], [], [], [])


def test_killed_intake_delivers_what_it_acknowledged(tmp_path: Path) -> None:
    """P1 over HTTP. Mutations that turn this red: `Journal.append` not waiting for the commit; `Engine._begin` left out; a lane that
    resumes before its cursor."""
    outcome = soak_http(tmp_path, kills=3, seed=42)
    assert (outcome.lost, outcome.altered, outcome.late) == ([], [], [])
    assert outcome.ledger == outcome.wanted


@pytest.mark.parametrize(
    ("script", "requests", "status"),
    [
        # Some answers, then none: however late the signal is, not all is delivered.
        ("200x12:delay=0.05,200:delay=30", 8, 5),
        ("503", 2, 5),
        ("429:retry-after=3600", 1, 5),
        ("200:delay=30", 1, 5),
        ("cut", 2, 5),
    ],
    ids=["delivering", "outage", "throttled", "no answer", "cut"],
)
def test_signal_in_each_phase_keeps_the_rest(script: str, requests: int, status: int, tmp_path: Path) -> None:
    """P12: the first signal ends the intake and drains to its deadline; the rest is there for the next run.

    Mutation that turns this red: `Stopping.heard` that counts nothing.
    """
    names = orders(tmp_path, 4000)
    write(tmp_path, one="http://127.0.0.1:9")
    words = ("run", "waypost.yaml", "--state", "state", "--drain", "0.5")
    with Receiver(port=0, script=script) as receiver:
        engine = Engine(tmp_path, *words, "--endpoint-override", receiver.url)
        with receiver.arrived:
            assert receiver.arrived.wait_for(lambda: len(receiver.requests) >= requests, 30)
        engine.process.send_signal(signal.SIGTERM)
        assert engine.end() == status, engine.said
        before = taken(receiver)
    heard = ledger_in(tmp_path / "state", "one", "all")["delivered"]
    assert not any("Traceback" in line for line in engine.said)
    with Receiver(port=0) as receiver:
        engine = Engine(tmp_path, *words, "--endpoint-override", receiver.url)
        assert engine.end() == 0, engine.said
        after = taken(receiver)
    assert set(before + after) == set(names)
    assert after.total() == 8000 - heard, "what was answered before the stop is not sent again"
    ledger = ledger_in(tmp_path / "state", "one", "all")
    assert (ledger["read"], ledger["deliveries"], ledger["delivered"]) == (4000, 8000, 8000)


def test_last_part_of_a_drain_is_for_answers() -> None:
    """P12. So that what was sent is answered, and not sent again by the next run. Mutation that turns this red: `ANSWERS` of 0."""
    stopping = Stopping()
    assert stopping.sending(1e9)
    assert not stopping.over(1e9)
    stopping.heard(100.0, 10.0)
    told = [(now, stopping.sending(now), stopping.over(now)) for now in (100.0, 107.9, 108.0, 109.9, 110.0)]
    assert told == [
        (100.0, True, False),
        (107.9, True, False),
        (108.0, False, False),
        (109.9, False, False),
        (110.0, False, True),
    ]
    stopping.heard(101.0, 10.0)
    assert stopping.over(101.0)


def test_second_signal_stops_at_once(tmp_path: Path) -> None:
    orders(tmp_path, 100)
    write(tmp_path, one="http://127.0.0.1:9")
    with Receiver(port=0, script="200:delay=30") as receiver:
        engine = Engine(tmp_path, "run", "waypost.yaml", "--state", "state", "--endpoint-override", receiver.url)
        with receiver.arrived:
            assert receiver.arrived.wait_for(lambda: len(receiver.requests) >= 1, 30)
        engine.process.send_signal(signal.SIGTERM)
        assert engine.heard("once more")
        engine.process.send_signal(signal.SIGTERM)
        assert engine.end(20) == 5


def assert_delivered(engine: Engine, state: Path, connection: str, count: int) -> None:
    """Waits until the state has so many as delivered: what has arrived may still be unanswered."""
    until = time.monotonic() + 60
    while ledger_in(state, connection, "all")["delivered"] < count:
        assert time.monotonic() < until
        with contextlib.suppress(subprocess.TimeoutExpired):
            engine.process.wait(0.01)


def test_failing_destination_slows_no_other(tmp_path: Path) -> None:
    """P10. Mutation that turns this red: one Transport or one runner loop for all lanes."""
    names = orders(tmp_path, 3000)
    with (
        Receiver(port=0, script="200:delay=60") as stuck,
        Receiver(port=0) as well,
        Receiver(port=0, script="503") as down,
    ):
        write(tmp_path, a=stuck.url, b=well.url, c=down.url)
        engine = Engine(tmp_path, "run", "waypost.yaml", "--state", "state", "--drain", "0", "--json")
        with well.arrived:
            assert well.arrived.wait_for(lambda: taken(well).total() == 6000, 60)
        assert_delivered(engine, tmp_path / "state", "b", 6000)
        engine.process.send_signal(signal.SIGTERM)
        out = engine.process.stdout.read() if engine.process.stdout else b""
        assert engine.end() == 5
        lanes = {lane["connection"]: lane for lane in json.loads(out)["lanes"]}
    assert set(taken(well)) == set(names)
    assert {name: lane["status"] for name, lane in lanes.items()} == {"a": 5, "b": 0, "c": 5}
    assert all(lane["closes"] for lane in lanes.values())


def test_reloads_while_the_destination_fails(tmp_path: Path) -> None:
    """P13: each event is handled by one plan, a bad file changes nothing, nothing is lost or doubled.

    Mutations that turn this red: `LaneRunner._change` without `_older` (an event of two plans); `_drain` not waiting for what is under way
    (doubles).
    """
    spec = SPEC.replace("    mapping:\n", "    mapping:\n      v: {$literal: 0}\n")
    names = orders(tmp_path, 6000)
    rng = random.Random(3)
    calm = threading.Event()

    def answer(request: Received) -> Reply:
        trouble = 1.0 if calm.is_set() else rng.random()
        if trouble < 0.3:
            return Reply(500)
        return Reply(429, headers={"retry-after": "0"}) if trouble < 0.4 else Reply(delay_s=0.01)

    with Receiver(port=0, answer=answer) as receiver:
        write(tmp_path, spec, one=receiver.url)
        engine = Engine(tmp_path, "run", "waypost.yaml", "--state", "state")
        with receiver.arrived:
            assert receiver.arrived.wait_for(lambda: len(receiver.requests) >= 3, 30)
        for number in range(1, 9):
            bad = number % 3 == 0
            more = len(receiver.requests) + 4
            with receiver.arrived:
                # Each plan has its turn.
                receiver.arrived.wait_for(lambda more=more: len(receiver.requests) >= more, 10)  # type: ignore[misc]
            write(tmp_path, spec.replace("$literal: 0", "$literal: " + ("{" if bad else str(number))), one=receiver.url)
            mark = len(engine.said)
            engine.process.send_signal(signal.SIGHUP)
            if not engine.heard("nothing is changed" if bad else "reloaded", after=mark):
                break
        calm.set()
        assert engine.end() == 0, engine.said
        found: dict[str, list[int]] = {}
        for request in receiver.requests:
            for message in json.loads(request.body)["events"] if request.status == 200 else ():
                found.setdefault(message["key"], []).append(message["v"])
    assert set(found) == set(names)
    assert {len(versions) for versions in found.values()} == {2}
    assert {len(set(versions)) for versions in found.values()} == {1}
    assert len({version for versions in found.values() for version in versions}) > 2
    assert sum("nothing is changed" in line for line in engine.said) >= 1
    ledger = ledger_in(tmp_path / "state", "one", "all")
    assert (ledger["delivered"], ledger["closes"]) == (12000, True)


def test_connection_is_added_and_taken_away_by_a_reload(tmp_path: Path) -> None:
    names = orders(tmp_path, 2000)
    with Receiver(port=0, script="200:delay=0.2") as one, Receiver(port=0) as two:
        write(tmp_path, one=one.url)
        engine = Engine(tmp_path, "run", "waypost.yaml", "--state", "state")
        with one.arrived:
            assert one.arrived.wait_for(lambda: len(one.requests) >= 2, 30)
        write(tmp_path, two=two.url)
        engine.process.send_signal(signal.SIGHUP)
        assert engine.end() == 0, engine.said
        assert set(taken(two)) == set(names), engine.said
        before = taken(one).total()
        assert 0 < before < 4000
        write(tmp_path, one=one.url)
        assert Engine(tmp_path, "run", "waypost.yaml", "--state", "state").end() == 0
        assert taken(one) == Counter(dict.fromkeys(names, 2)), "what was delivered before is not sent again"


def test_full_disk_loses_nothing(tmp_path: Path) -> None:
    """P15: the state cannot grow; the run ends with 70, and with more room the next one closes the ledger.

    Mutation that turns this red: `Committer.commit` swallowing the fault.
    """
    (tmp_path / "events.ndjson").write_bytes(b'{"type":"track","event":"no id"}\n' * 3000)
    write(tmp_path, one="http://127.0.0.1:9")

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    words = ("run", "waypost.yaml", "--state", "state")
    engine = Engine(tmp_path, *words, preexec_fn=small_disk)
    assert engine.end() == 70, engine.said
    assert any("cannot write" in line for line in engine.said)
    assert not any("Traceback" in line for line in engine.said)
    assert Engine(tmp_path, *words).end() in (0, 3)
    database = look(tmp_path / "state")
    held = records.letter_counts(database)
    database.close()
    assert held == {("one", "all"): {"required": 3000}}
    ledger = ledger_in(tmp_path / "state", "one", "all")
    assert (ledger["read"], ledger["dead"], ledger["closes"]) == (3000, {"required": 3000}, True)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the memory's size from /proc")
def test_memory_is_flat_while_the_destination_takes_nothing(tmp_path: Path) -> None:
    """P8, short: the window is full, the source is held back. Mutation that turns this red: `Lane.room` always true."""
    names = orders(tmp_path, 120_000, pad=700)
    refusing = threading.Event()
    refusing.set()

    def answer(request: Received) -> Reply:
        return Reply(408 if refusing.is_set() else 200)

    spec = SPEC.replace("max_messages: 25, max_bytes: 100kB", "max_messages: 1000, max_bytes: 1MB").replace(
        '"Order"', '"Other"'
    )
    with Receiver(port=0, answer=answer) as receiver:
        write(tmp_path, spec, one=receiver.url)
        engine = Engine(tmp_path, "run", "waypost.yaml", "--state", "state")
        sizes = []
        for count in (120, 180, 240):
            with receiver.arrived:
                assert receiver.arrived.wait_for(lambda count=count: len(receiver.requests) >= count, 60)  # type: ignore[misc]
            pages = int(Path(f"/proc/{engine.process.pid}/statm").read_text().split()[1])
            sizes.append(pages * resource.getpagesize() >> 20)
        refusing.clear()
        assert engine.end(120) == 0, engine.said
        assert set(taken(receiver)) == set(names)
    assert max(sizes) < 200
    assert sizes[-1] - sizes[0] < 20, sizes
