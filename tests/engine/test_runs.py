"""Ways to run, each end to end as a person would: watched, frozen, journaled, in order, with a state of its own, on a clock that steps."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import pty
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from test_delivery import orders, taken, write

from kills import SPEC, ledger_in, plan
from running import KEYS, Engine
from waypost.engine.engine import run
from waypost.engine.options import Options
from waypost.http.receiver import Received, Receiver, Reply
from waypost.http.transport import Transport
from waypost.program.program import link
from waypost.sources.file import FileSource


def until(receiver: Receiver, requests: int) -> None:
    with receiver.arrived:
        assert receiver.arrived.wait_for(lambda: len(receiver.requests) >= requests, 60)


def test_watch_takes_a_changed_file_and_leaves_a_bad_one(tmp_path: Path) -> None:
    """P13 without a signal. Mutation that turns this red: `_watch` that never sets `reload_asked`."""
    spec = SPEC.replace("    mapping:\n", "    mapping:\n      v: {$literal: 0}\n")
    names = orders(tmp_path, 4000)
    slow = threading.Event()
    slow.set()

    def answer(request: Received) -> Reply:
        return Reply(delay_s=0.2 if slow.is_set() else 0)

    with Receiver(port=0, answer=answer) as receiver:
        write(tmp_path, spec, one=receiver.url)
        engine = Engine(tmp_path, "run", "waypost.yaml", "--watch")
        until(receiver, 2)
        (tmp_path / "shop.yaml").write_text("spec: 1\nname: [\n")
        assert engine.heard("nothing is changed")
        write(tmp_path, spec.replace("$literal: 0", "$literal: 1"), one=receiver.url)
        assert engine.heard("reloaded")
        slow.clear()
        assert engine.end() == 0, engine.said
        versions = Counter(
            message["v"] for request in receiver.requests for message in json.loads(request.body)["events"]
        )
    assert set(taken(receiver)) == set(names)
    assert set(versions) == {0, 1}
    assert versions.total() == 8000


def kept(folder: Path) -> int:
    """How many lines of standard input are in the state's journal."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{folder / 'state.sqlite'}?mode=ro", uri=True)) as database:
            row = database.execute("select next from journaled where source = 'stdin'").fetchone()
    except sqlite3.Error:
        return 0
    return row[0] - 1 if row else 0


@pytest.mark.parametrize("target", ["shop.yaml", "waypost.yaml"])
def test_journaled_input_is_delivered_after_a_kill(target: str, tmp_path: Path) -> None:
    """P1 for standard input: what was in the journal is delivered by the next run, though its producer is gone.

    Mutation that turns this red: `JournalSource.read` begins behind its offset.
    """
    (tmp_path / "shop.yaml").write_text(SPEC)
    (tmp_path / "waypost.yaml").write_text(
        "connections:\n  shop: {destination: shop.yaml, sources: [stdin], settings: {key: env:KEY}}\n"
        "sources:\n  stdin: {stdin: true}\n"
    )
    names = [f"e{number}" for number in range(500)]
    event = {"type": "track", "event": "View", "userId": "u"}
    words = ("run", target, "--journal", "--state", "state")
    words += ("--set", "key=env:KEY") if target == "shop.yaml" else ()
    with Receiver(port=0, script="503") as down:
        engine = Engine(tmp_path, *words, "--endpoint-override", down.url, stdin=subprocess.PIPE)
        assert engine.process.stdin is not None
        engine.process.stdin.write("".join(json.dumps({**event, "messageId": name}) + "\n" for name in names).encode())
        engine.process.stdin.flush()
        until(down, 2)
        while kept(tmp_path / "state") < len(names) and engine.process.poll() is None:
            threading.Event().wait(0.02)
        engine.process.kill()
        engine.end()
    with Receiver(port=0) as receiver:
        engine = Engine(tmp_path, *words, "--endpoint-override", receiver.url, stdin=subprocess.DEVNULL)
        assert engine.end() == 0, engine.said
        assert taken(receiver) == Counter(names)
    ledger = ledger_in(tmp_path / "state", "shop", "stdin")
    assert (ledger["read"], ledger["delivered"], ledger["closes"]) == (500, 500, True)


def test_journal_on_a_full_disk_ends_the_run(tmp_path: Path) -> None:
    """P15: what cannot be kept is not taken, and the run says so instead of waiting for it."""
    (tmp_path / "shop.yaml").write_text(SPEC)
    words = ("run", "shop.yaml", "--set", "key=env:KEY", "--journal", "--state", "state")
    row = json.dumps({"type": "track", "event": "View", "userId": "u", "messageId": "m", "pad": "x" * 1000}) + "\n"
    with Receiver(port=0, script="503") as receiver:
        engine = Engine(
            tmp_path, *words, "--endpoint-override", receiver.url, stdin=subprocess.PIPE, preexec_fn=small_disk
        )
        assert engine.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            engine.process.stdin.write(row.encode() * 3000)
            engine.process.stdin.flush()
        assert engine.process.wait(60) == 70, engine.said
        with contextlib.suppress(BrokenPipeError):
            engine.process.stdin.close()
        engine.end()
    assert any("cannot write" in line for line in engine.said)


def small_disk() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def test_state_of_its_own(tmp_path: Path) -> None:
    """`--state auto` is found again by the next run and by `waypost state`, and is nobody else's to read."""
    names = orders(tmp_path, 50)
    xdg = {"XDG_STATE_HOME": str(tmp_path / "xdg")}
    with Receiver(port=0) as receiver:
        write(tmp_path, one=receiver.url)
        for _ in range(2):
            engine = Engine(tmp_path, "run", "waypost.yaml", "--state", "auto", env=xdg)
            assert engine.end() == 0
        assert taken(receiver) == Counter(dict.fromkeys(names, 2))
    assert any("nothing new" in line for line in engine.said)
    [state] = (tmp_path / "xdg" / "waypost").iterdir()
    assert (state / "state.sqlite").stat().st_mode & 0o777 == 0o600
    shown = Engine(tmp_path, "state", "--json", env=xdg)
    assert shown.process.stdout is not None
    [lane] = json.loads(shown.process.stdout.read())["lanes"]
    assert (lane["connection"], lane["source"]) == ("one", "all")
    assert shown.end() == 0


@pytest.mark.parametrize("target", ["waypost.yaml", "shop.yaml"])
def test_person_at_a_terminal_sees_a_bar(target: str, tmp_path: Path) -> None:
    orders(tmp_path, 1000)
    given = ("events.ndjson", "--set", "key=env:KEY", "--set") if target == "shop.yaml" else ()
    with Receiver(port=0, script="200:delay=0.02") as receiver:
        write(tmp_path, one=receiver.url, two=receiver.url)
        given = (*given, f"url={receiver.url}") if given else ()
        ours, theirs = pty.openpty()
        words = [sys.executable, "-m", "waypost", "run", target, *given]
        with subprocess.Popen(
            words, cwd=tmp_path, stderr=theirs, env={**os.environ, **KEYS, "TERM": "xterm"}
        ) as process:
            os.close(theirs)
            said = b""
            with contextlib.suppress(OSError):
                while chunk := os.read(ours, 1 << 16):
                    said += chunk
            assert process.wait(60) == 0
        os.close(ours)
    assert b" delivered" in said
    assert b" in flight" in said


def test_frozen_run_takes_only_what_was_committed(tmp_path: Path) -> None:
    """A spec that was changed and not compiled does not run. Mutation: `_committed` without its look at the inputs."""
    names = orders(tmp_path, 20)
    with Receiver(port=0) as receiver:
        write(tmp_path, one=receiver.url)
        missing = Engine(tmp_path, "run", "waypost.yaml", "--frozen")
        assert missing.end() == 2
        assert Engine(tmp_path, "compile", "waypost.yaml").end() == 0
        assert Engine(tmp_path, "run", "waypost.yaml", "--frozen").end() == 0
        assert taken(receiver) == Counter(dict.fromkeys(names, 2))
        (tmp_path / "shop.yaml").write_text((tmp_path / "shop.yaml").read_text() + "# changed\n")
        stale = Engine(tmp_path, "run", "waypost.yaml", "--frozen")
        assert stale.end() == 2
        assert taken(receiver).total() == 40
    assert any("no compiled connections" in line for line in missing.said)
    assert any("stale" in line for line in stale.said)


def test_order_holds_at_the_receiver(tmp_path: Path) -> None:
    """P9 end to end: each user's messages arrive in order, through retries, splits and dead letters.

    Mutation that turns this red: `Order.admits` always true.
    """
    rng = random.Random(9)
    rows = [
        {"type": "track", "event": "View", "userId": f"u{rng.randrange(12)}", "messageId": f"{n}"} for n in range(1200)
    ]
    (tmp_path / "events.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    bad = {f"{n}" for n in rng.sample(range(1200), 8)}
    arrived: dict[str, list[int]] = defaultdict(list)
    faults: Counter[str] = Counter()

    def answer(request: Received) -> Reply:
        messages = json.loads(request.body)["events"]
        if any(message["key"] in bad for message in messages):
            faults["bad"] += 1
            return Reply(400 if len(messages) > 1 else 422)
        trouble = rng.random()
        if trouble < 0.2:
            faults["trouble"] += 1
            return Reply(rng.choice([500, 429, 0]), delay_s=rng.random() * 0.03, headers={"retry-after": "0"})
        for message in messages:
            arrived[message["user"]].append(int(message["key"]))
        return Reply(delay_s=rng.random() * 0.01)

    with Receiver(port=0, answer=answer) as receiver:
        write(tmp_path, one=receiver.url)
        text = (tmp_path / "waypost.yaml").read_text()
        (tmp_path / "waypost.yaml").write_text(text.replace("    sources:", "    order_by: $.userId\n    sources:"))
        engine = Engine(tmp_path, "run", "waypost.yaml", "--state", "state")
        assert engine.end(120) == 3, engine.said
    assert min(faults["bad"], faults["trouble"]) > 3
    for numbers in arrived.values():
        assert numbers == sorted(set(numbers))
    assert sorted(itertools.chain(*arrived.values())) == sorted(n for n in range(1200) if f"{n}" not in bad)


@pytest.mark.parametrize("step", [86_400.0 * 365, -86_400.0 * 365], ids=["forward", "back"])
def test_clock_that_steps_changes_no_wait_and_no_budget(step: float, tmp_path: Path) -> None:
    """P15: the wall clock is stamped into what is sent; waits and budgets go by another, that never steps.

    Mutation that turns this red: `settle(..., self.options.clock())` in lane_runner.py.
    """
    names = orders(tmp_path, 200)
    now = itertools.count()

    def clock() -> float:
        return 1_800_000_000.0 + step * (next(now) // 3)

    async def go(url: str) -> Any:
        program = link(plan(), {"key": "x"}, endpoint_override=url)
        source = FileSource(tmp_path / "events.ndjson")
        try:
            return await run(
                program, [source], Transport(), Options(tmp_path / "dead.ndjson", clock=clock, jitter=lambda: 0.01)
            )
        finally:
            source.close()

    attempts: Counter[str] = Counter()

    def answer(request: Received) -> Reply:
        first = json.loads(request.body)["events"][0]["id"]
        attempts[first] += 1
        # Each batch fails twice: its budget began a step of the clock ago.
        return Reply({1: 503, 2: 408}.get(attempts[first], 200))

    with Receiver(port=0, answer=answer) as receiver:
        summary = asyncio.run(asyncio.wait_for(go(receiver.url), 60))
        assert taken(receiver) == Counter(dict.fromkeys(names, 2))
    assert next(now) > 10
    assert (summary.status, summary.ledger.delivered, summary.ledger.dead.total()) == (0, 400, 0)
