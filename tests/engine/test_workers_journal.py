"""`waypost run --workers N` on a journal and on connections: standard input and HTTP, by blocks of rows and by key. What arrives, what is
counted and what is kept is what one process makes of it, whatever N is and what dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import test_workers
from hypothesis import given
from hypothesis import strategies as st
from test_delivery import taken
from test_runs import small_disk
from test_workers import COUNTED, FALTERING, WORDS, arrived, assert_in_order, letters, rows_of_users

from kills import (
    SPEC,
    Intake,
    Shop,
    children,
    events,
    feed,
    journaled,
    ledger_in,
    ordered,
    plan,
    post_events,
    shop_keys,
    soak_http,
    soak_stdin,
)
from running import KEYS, Engine, free_port, wait_for_port
from waypost.delivery import ledger as ledgers
from waypost.delivery.ledger import Ledger
from waypost.engine.workers import frames
from waypost.engine.workers.journal_share import BLOCK, Followed, Following, blocks_of
from waypost.engine.workers.splitting import Gathered
from waypost.events.lines import lines_of
from waypost.http.receiver import Receiver
from waypost.plan import dump
from waypost.state.journal import Journal
from waypost.state.records import Cursor, Snapshot, cursors_of
from waypost.state.store import Store, look

BY = pytest.mark.parametrize("order_by", ["", "$.userId"], ids=["by blocks", "by key"])
KINDS = pytest.mark.parametrize("order_by", ["", "$.messageId"], ids=["by blocks", "by key"])


def run(folder: Path, receiver: Receiver, workers: int, data: bytes, *words: str) -> tuple[dict[str, Any], str]:
    """The summary of a run on standard input, and what was said."""
    return test_workers.run(folder, receiver, workers, "--journal", *words, data=data)


def held(folder: Path) -> tuple[int, int]:
    """The first row that the journal of standard input holds, and the next it will have."""
    with contextlib.closing(look(folder)) as database:
        (following,) = database.execute("select next from journaled where source = 'stdin'").fetchone()
        row = database.execute("select min(first) from journal where source = 'stdin'").fetchone()
    return row[0] or following, following


def mixed() -> bytes:
    """Some blocks of rows, with blank lines, bad ones and one that is too long."""
    long = b'{"type": "track", "messageId": "long", "pad": "' + b"x" * (1 << 20) + b'"}'
    bad = [b"", b"no json", b"\xff\xfe", b"[1]", long, b"  \r"]
    return b"\n".join([*events(7, 1500), *bad, *events(8, 2 * BLOCK)])


@BY
def test_any_number_of_workers_delivers_the_same(order_by: str, tmp_path: Path) -> None:
    """Messages with their bytes, ledger, dead letters with their numbers, the state.

    Mutations that turn this red: `Following._own` that gives a block to the next worker; `falls_to` that leaves the rows out that have no key;
    `Following.read` without the end of its block.
    """
    (tmp_path / "plan.json").write_bytes(dump(ordered(plan(), order_by) if order_by else plan()))
    data, found = mixed(), []
    for workers in (1, 2, 3):
        with Receiver(port=0) as receiver:
            row, said = run(
                tmp_path, receiver, workers, data, "--state", f"s{workers}", "--dead-letters", f"d{workers}"
            )
            again, heard = run(tmp_path, receiver, 4 - workers, b"", "--state", f"s{workers}")
            found.append((arrived(receiver), [row[name] for name in COUNTED], letters(tmp_path / f"d{workers}")))
        assert row["read"] == 1500 + 2 * BLOCK + 4, said
        assert (again["read"], again["status"]) == (0, 0), heard
        assert Snapshot(journaled(tmp_path / f"s{workers}") + 1) == place(tmp_path / f"s{workers}")
    assert found[0] == found[1]
    assert found[0] == found[2]
    assert set(found[0][0].values()) == {1}


def place(folder: Path, source: str = "stdin", connection: str = "shop") -> Snapshot:
    with contextlib.closing(look(folder)) as database:
        return cursors_of(database, connection, source)[source].at


@pytest.mark.parametrize(("order_by", "seed"), [("", 61), ("$.userId", 62)], ids=["by blocks", "by key"])
def test_killed_runs_lose_nothing_whatever_their_workers(order_by: str, seed: int, tmp_path: Path) -> None:
    """P1 to P4: the engine is killed, and each run has another number of workers.

    Mutations that turn this red: `Gathered.snapshot` that counts blocks of others as ended; `JointLane` that trims rows above the cursor.
    """
    outcome = soak_stdin(tmp_path, kills=5, seed=seed, per_kill=800, workers=(2, 3, 1), order_by=order_by)
    assert outcome.ledger == outcome.wanted
    assert (outcome.lost, outcome.twice, outcome.altered, outcome.late) == ([], [], [], [])


def test_killed_intake_delivers_what_it_acknowledged(tmp_path: Path) -> None:
    """P1 over HTTP."""
    outcome = soak_http(tmp_path, kills=3, seed=63, workers=(2, 3, 1))
    assert (outcome.lost, outcome.altered, outcome.late) == ([], [], [])
    assert outcome.ledger == outcome.wanted


def orders(count: int) -> tuple[list[str], list[bytes]]:
    """Events that make two messages each."""
    names = [f"e{number}" for number in range(count)]
    event = {"type": "track", "event": "Order", "userId": "u", "properties": {"total": 1}}
    return names, [json.dumps({**event, "messageId": name}).encode() for name in names]


def at_work(folder: Path, receiver: Receiver, workers: int, lines: list[bytes]) -> Engine:
    """A run whose journal has all lines, and which has sent something; its producer goes on."""
    command = ("run", "plan.json", "--set", "key=env:KEY", "--endpoint-override", receiver.url, "--state", "state")
    begun = Engine(folder, *command, "--drain", "0.5", "--journal", "--workers", str(workers), stdin=subprocess.PIPE)
    assert begun.process.stdin is not None
    begun.process.stdin.write(b"".join(line + b"\n" for line in lines))
    begun.process.stdin.flush()
    with receiver.arrived:
        assert receiver.arrived.wait_for(lambda: len(receiver.requests) >= 6, 60), begun.said
    until_journaled(folder / "state", len(lines), begun)
    return begun


def until_journaled(folder: Path, count: int, engine: Engine) -> None:
    with contextlib.closing(sqlite3.connect(folder / "state.sqlite", timeout=30)) as database:
        while engine.process.poll() is None:
            row = database.execute("select next from journaled where source = 'stdin'").fetchone()
            if row and row[0] > count:
                return
    raise AssertionError(engine.said)


@KINDS
def test_killed_worker_ends_the_run_and_the_next_goes_on(order_by: str, tmp_path: Path) -> None:
    names, lines = orders(4000)
    (tmp_path / "plan.json").write_bytes(dump(ordered(plan(), order_by) if order_by else plan()))
    with Receiver(port=0, script="200:delay=0.05") as receiver:
        begun = at_work(tmp_path, receiver, 2, lines)
        os.kill(children(begun.process.pid)[0], signal.SIGKILL)
        assert begun.end() == 70, begun.said
        before = taken(receiver)
    assert any("was ended by SIGKILL" in line and "the same command goes on there" in line for line in begun.said), (
        begun.said
    )
    first, following = held(tmp_path / "state")
    assert following == 4001
    assert first <= place(tmp_path / "state").cursor, "rows that have not ended are kept"
    with Receiver(port=0) as receiver:
        row, _ = run(tmp_path, receiver, 3, b"", "--state", "state")
        found = before + taken(receiver)
    assert row["status"] == 0
    assert set(found) == set(names)
    ledger = ledger_in(tmp_path / "state", "shop", "stdin")
    assert (ledger["read"], ledger["deliveries"], ledger["delivered"]) == (4000, 8000, 8000)


@KINDS
@pytest.mark.parametrize("whole_group", [False, True], ids=["engine", "all"])
def test_signal_stops_every_worker_and_another_number_resumes(whole_group: bool, order_by: str, tmp_path: Path) -> None:
    """P12: what is left in the journal goes on with any number of workers, also with one; more events may come meanwhile."""
    names, lines = orders(4000)
    (tmp_path / "plan.json").write_bytes(dump(ordered(plan(), order_by) if order_by else plan()))
    # Some answers, then none: however late the signal is, not all is delivered.
    with Receiver(port=0, script="200x12:delay=0.05,200:delay=30") as receiver:
        begun = at_work(tmp_path, receiver, 2, lines[:3500])
        for pid in [*(children(begun.process.pid) if whole_group else []), begun.process.pid]:
            os.kill(pid, signal.SIGTERM)
        assert begun.end() == 5, begun.said
        before = taken(receiver)
    heard = ledger_in(tmp_path / "state", "shop", "stdin")["delivered"]
    after: Counter[str] = Counter()
    for workers, more in ((3, lines[3500:]), (1, [])):
        with Receiver(port=0) as receiver:
            row, _ = run(tmp_path, receiver, workers, b"\n".join(more), "--state", "state")
            after += taken(receiver)
        assert row["status"] == 0
    assert set(before + after) == set(names)
    assert after.total() == 8000 - heard, "what was answered before the stop is not sent again"
    ledger = ledger_in(tmp_path / "state", "shop", "stdin")
    assert (ledger["read"], ledger["deliveries"], ledger["delivered"]) == (4000, 8000, 8000)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("words", [["--journal", "--state", "state"], []], ids=["journal", "plain"])
def test_signal_while_the_producer_goes_on(words: list[str], workers: int, tmp_path: Path) -> None:
    """P12: a thread that waits for its producer holds nothing that the process needs to end."""
    _, lines = orders(50)
    (tmp_path / "plan.json").write_bytes(dump(plan()))
    with Receiver(port=0) as receiver:
        command = ("run", "plan.json", "--set", "key=env:KEY", "--endpoint-override", receiver.url, *words)
        begun = Engine(tmp_path, *command, "--workers", str(workers), stdin=subprocess.PIPE)
        assert begun.process.stdin is not None
        begun.process.stdin.write(b"".join(line + b"\n" for line in lines))
        begun.process.stdin.flush()
        with receiver.arrived:
            assert receiver.arrived.wait_for(lambda: len(taken(receiver)) == 50, 60), begun.said
        begun.process.send_signal(signal.SIGTERM)
        assert begun.end() == 5, begun.said


def test_events_are_delivered_while_their_producer_goes_on(tmp_path: Path) -> None:
    """Workers hear of what came; nobody waits for a block to be full. What they have passed leaves the journal."""
    names, lines = orders(300)
    (tmp_path / "plan.json").write_bytes(dump(plan()))
    with Receiver(port=0) as receiver:
        begun = at_work(tmp_path, receiver, 2, lines[:200])
        with receiver.arrived:
            assert receiver.arrived.wait_for(lambda: len(taken(receiver)) == 200, 60), begun.said
        feed(begun.process, lines[200:])
        assert begun.end() == 0, begun.said
        assert taken(receiver) == Counter(dict.fromkeys(names, 2))
    assert held(tmp_path / "state") == (301, 301)


def test_order_is_kept_for_each_key(tmp_path: Path) -> None:
    """P9, with failures between."""
    (tmp_path / "plan.json").write_bytes(dump(ordered(plan(), "$.userId")))
    with Receiver(port=0, script=FALTERING) as receiver:
        row, said = run(tmp_path, receiver, 2, rows_of_users(), "--state", "state")
        assert_in_order(receiver)
    assert row["delivered"] == 3000, said


def test_journal_on_a_full_disk_ends_the_run(tmp_path: Path) -> None:
    """P15: what cannot be kept is not taken; the workers are stopped, and the run says why."""
    (tmp_path / "plan.json").write_bytes(dump(plan()))
    row = json.dumps({"type": "track", "event": "View", "userId": "u", "messageId": "m", "pad": "x" * 1000}) + "\n"
    words = ("run", "plan.json", "--set", "key=env:KEY", "--journal", "--state", "state", "--workers", "2")
    with Receiver(port=0, script="503") as receiver:
        engine = Engine(
            tmp_path,
            *words,
            "--endpoint-override",
            receiver.url,
            "--drain",
            "1",
            stdin=subprocess.PIPE,
            preexec_fn=small_disk,
        )
        feeding = feed(engine.process, [row.encode()] * 3000)
        assert engine.process.wait(60) == 70, engine.said
        feeding.join()
        engine.end()
    assert any("cannot write" in line for line in engine.said)
    assert not any("Traceback" in line for line in engine.said), engine.said


# Connections.


def service(folder: Path, *, http: int = 0, spec: str = SPEC, order_by: str = "") -> None:
    """A waypost.yaml with two connections: `shop` has all sources, `other` files alone."""
    (folder / "shop.yaml").write_text(spec, encoding="utf-8")
    (folder / "slow.yaml").write_text(
        spec.replace("concurrency: 4", "concurrency: 1").replace("name: shop", "name: slow"), encoding="utf-8"
    )
    web = f'  web: {{http: "127.0.0.1:{http}", write_keys: [env:WEB_KEY]}}\n' if http else ""
    order = f"    order_by: {order_by}\n" if order_by else ""
    (folder / "waypost.yaml").write_text(
        f"connections:\n  shop:\n    destination: shop.yaml\n    sources: [all{', web' if http else ''}]\n{order}"
        "    settings: {key: env:KEY}\n"
        "  other:\n    destination: slow.yaml\n    sources: [all]\n    settings: {key: env:WEB_KEY}\n"
        f"sources:\n  all: {{files: '*.ndjson'}}\n{web}",
        encoding="utf-8",
    )


def run_all(folder: Path, receiver: Receiver, workers: int, *words: str) -> tuple[list[dict[str, Any]], str]:
    """The summaries of the lanes, and what was said."""
    command = [*WORDS[:4], "waypost.yaml", "--json", "--endpoint-override", receiver.url, "--workers", str(workers)]
    done = subprocess.run(
        [*command, *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **KEYS},
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return json.loads(done.stdout)["lanes"], done.stderr


@pytest.mark.parametrize("order_by", ["", "$.userId"], ids=["by bytes", "by key"])
def test_connections_of_files_by_any_number_of_workers(order_by: str, tmp_path: Path) -> None:
    service(tmp_path, order_by=order_by)
    for number in range(3):
        (tmp_path / f"{number}.ndjson").write_bytes(b"\n".join(events(70 + number, 400 * number)))
    found = []
    for workers in (1, 2, 3):
        with Receiver(port=0) as receiver:
            rows, said = run_all(tmp_path, receiver, workers, "--dead-letters", f"dead{workers}")
            kept, _ = run_all(tmp_path, receiver, workers, "--state", f"state{workers}")
            again, heard = run_all(tmp_path, receiver, 4 - workers, "--state", f"state{workers}")
            arrivals = Counter(
                (request.headers["authorization"], json.dumps(item))
                for request in receiver.requests
                for item in json.loads(request.body)["events"]
            )
        counted = {row["connection"]: [row[name] for name in COUNTED] for row in rows}
        assert counted == {row["connection"]: [row[name] for name in COUNTED] for row in kept}
        assert [(row["read"], row["status"]) for row in again] == [(0, 0)] * 2, heard
        found.append((arrivals, counted, letters(tmp_path / f"dead{workers}")))
        # The limits of one connection bound its workers, not those of the other.
        assert ("slow" in said or "other takes 1" in said) == (workers > 1), said
    assert found[0] == found[1]
    assert found[0] == found[2]
    assert set(found[0][0].values()) == {2}


def test_worker_of_a_service_that_dies_ends_it_and_nothing_is_lost(tmp_path: Path) -> None:
    """HTTP: what was answered 200 is delivered by the next engine, with another number of workers; that one is stopped with 0."""
    port = free_port()
    service(tmp_path, http=port)
    (tmp_path / "few.ndjson").write_bytes(b"\n".join(events(80, 30)))
    shop, intake, rng = Shop(1, calm=True), Intake(tmp_path / "state"), random.Random(1)
    words = ("run", "waypost.yaml", "--state", "state", "--drain", "60")
    with shop.open(0) as receiver:
        begun = Engine(tmp_path, *words, "--workers", "2", "--endpoint-override", receiver.url)
        wait_for_port(port)
        post_events(port, rng, "a", 60, intake, None)
        with receiver.arrived:
            assert receiver.arrived.wait_for(lambda: set(intake.rows) <= shop_keys(shop), 60), begun.said
        post_events(port, rng, "b", 20, intake, None)
        os.kill(children(begun.process.pid)[-1], signal.SIGKILL)
        assert begun.end() == 70, begun.said
    with shop.open(1) as receiver:
        again = Engine(tmp_path, *words, "--workers", "3", "--endpoint-override", receiver.url)
        wait_for_port(port)
        post_events(port, rng, "c", 20, intake, None)
        with receiver.arrived:
            assert receiver.arrived.wait_for(lambda: set(intake.rows) <= shop_keys(shop), 60), again.said
        again.process.send_signal(signal.SIGHUP)
        assert again.heard("nothing is changed"), again.said
        again.process.send_signal(signal.SIGTERM)
        assert again.end() in (0, 3), again.said
    assert len(intake.rows) == 100
    ledger = ledger_in(tmp_path / "state", "shop", "web")
    assert (ledger["read"], ledger["closes"]) == (100, True)


@pytest.mark.parametrize(
    ("sources", "words", "said"),
    [
        ("in: {stdin: true}", [], "standard input cannot be split: add --journal, or leave out --workers"),
        ("in: {files: '*.ndjson', follow: true}", [], "followed cannot be split: leave out --workers, or `follow`"),
        ("in: {files: '*.ndjson'}", ["--watch"], "--watch needs one process: leave out --workers, or stop the run"),
        ("in: {files: '*.ndjson'}", ["--listen", "0"], "--listen shows the lanes of one process: leave out --workers"),
    ],
    ids=["stdin", "follow", "watch", "listen"],
)
def test_what_workers_cannot_do_is_refused_with_what_to_do(
    sources: str, words: list[str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "shop.yaml").write_text(SPEC)
    (tmp_path / "events.ndjson").write_bytes(b"")
    (tmp_path / "waypost.yaml").write_text(
        "connections:\n  shop: {destination: shop.yaml, sources: [in], settings: {key: env:KEY}}\n"
        f"sources:\n  {sources}\n"
    )
    begun = Engine(tmp_path, "run", "waypost.yaml", "--workers", "2", *words, stdin=subprocess.DEVNULL)
    assert begun.end() == 2
    assert any(said in line for line in begun.said), begun.said


# The parts.


@given(st.integers(1, 9000), st.integers(0, 9000), st.integers(1, 5))
def test_each_row_falls_to_one_worker(start: int, count: int, shares: int) -> None:
    rows = [
        row
        for share in range(shares)
        for begin, end in blocks_of(start, start + count, share, shares)
        for row in range(begin, end)
    ]
    assert sorted(rows) == list(range(start, start + count))


def test_workers_read_what_is_theirs_and_wait_for_the_slowest(tmp_path: Path) -> None:
    """Each row once, in order, whatever the appends are; a worker that is far ahead goes on when the others have come after it.

    Mutation that turns this red: `Following.read` that never asks how far the others are.
    """
    store = Store(tmp_path)
    try:
        journal = Journal(store)
        rows = [b"%d" % number + b"x" * 20_000 for number in range(1, 2 * BLOCK + 300)]
        for at in range(0, len(rows), 77):
            asyncio.run(journal.append("in", rows[at : at + 77], 0.0))
        where = Followed(str(store.path), "in", 5)
        for keyed in (False, True):
            passed = [5]
            found: list[int] = []
            for share in range(2):
                source = Following(where, share, 2, lambda passed=passed: passed[0], keyed=keyed)  # type: ignore[misc]
                assert source.read() == []
                source.grown(journal.next("in"), ended=True)
                passed[0] = 5
                own, waited = [], 0
                while (pieces := source.read()) is not None:
                    own += [(line.offset, line.data) for line in lines_of(pieces)]
                    if not pieces:
                        waited += 1
                        passed[0] = own[-1][0] + 1
                source.close()
                assert waited
                assert own == [(number, rows[number - 1]) for number, _ in own]
                assert own == sorted(own)
                found += [number for number, _ in own]
            assert sorted(found) == sorted([*range(5, len(rows) + 1)] * (2 if keyed else 1))
    finally:
        store.close()


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, list[tuple[int, int, set[int]]]]:
    """(workers, [(worker, rows that it has read, of its own those on their way)])."""
    shares = draw(st.integers(1, 4))
    return shares, [
        (
            draw(st.integers(0, shares - 1)),
            draw(st.integers(0, 6 * BLOCK)),
            draw(st.sets(st.integers(1, 6 * BLOCK), max_size=8)),
        )
        for _ in range(draw(st.integers(1, 6)))
    ]


@given(histories())
def test_reports_of_workers_make_exactly_what_has_ended(drawn: tuple[int, list[tuple[int, int, set[int]]]]) -> None:
    """Whatever a worker says of rows that are not its own does not count; what it says of its own does."""
    shares, reports = drawn
    before = {"in": Cursor("in", "journal", Snapshot(1))}
    gathered = Gathered("c", "in", plan(), before, Ledger(), {(share, "in"): 1 for share in range(shares)}, shares)
    read, going = [0] * shares, [set[int]() for _ in range(shares)]
    for worker, to, under_way in reports:
        mine = {row for begin, end in blocks_of(1, 6 * BLOCK + 1, worker, shares) for row in range(begin, end)}
        # What has ended stays ended; what is read further may be on its way.
        going[worker] = {row for row in under_way & mine if row <= to and (row > read[worker] or row in going[worker])}
        read[worker] = max(read[worker], to)
        cursor = min(going[worker], default=read[worker] + 1)
        edges = sorted(going[worker])
        ranges = tuple((a + 1, b) for a, b in zip(edges, [*edges[1:], read[worker] + 1], strict=False) if a + 1 < b)
        step = frames.Step(0, [Cursor("in", "journal", Snapshot(cursor, ranges))], ledgers.pack(Ledger()), [])
        gathered.take(worker, step)
        at = gathered.snapshot("in")
        ended = {
            row
            for share in range(shares)
            for begin, end in blocks_of(1, read[share] + 1, share, shares)
            for row in range(begin, end)
            if row not in going[share]
        }
        told = {*range(1, at.cursor), *(row for begin, end in at.ranges for row in range(begin, end))}
        assert told == ended
        assert at.cursor not in ended
