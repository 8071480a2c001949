"""`waypost run --workers N`: what arrives, what is counted and what is kept is what one process makes of it, whatever N is and what dies."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import resource
import select
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_delivery import Engine, orders, taken

from hostile import hostile_events
from kills import children, events, ledger_in, ordered, plan, soak_file, split_messages
from running import KEYS
from waypost.engine.workers.file_share import Portion
from waypost.engine.workers.splitting import Place, split
from waypost.http.receiver import Receiver
from waypost.lang import values
from waypost.plan import Path as JsonPath
from waypost.plan import dump
from waypost.program import interpret
from waypost.program.order_key import order_key
from waypost.program.program import link
from waypost.state.commits import merged
from waypost.state.records import Snapshot

WORDS = (sys.executable, "-m", "waypost", "run", "plan.json", "--set", "key=env:KEY", "--json")
COUNTED = (
    "read",
    "rejected_lines",
    "events",
    "deliveries",
    "delivered",
    "filtered",
    "dead",
    "in_flight",
    "closes",
    "status",
)


def run(
    folder: Path, receiver: Receiver, workers: int, *words: str, data: bytes | None = None
) -> tuple[dict[str, Any], str]:
    """The summary, and what was said. `data` is standard input."""
    done = subprocess.run(
        [*WORDS, "--endpoint-override", receiver.url, "--workers", str(workers), *words],
        input=data,
        capture_output=True,
        cwd=folder,
        env={**os.environ, **KEYS},
        timeout=120,
    )
    said = done.stderr.decode()
    assert "Traceback" not in said, said
    row = json.loads(done.stdout)
    assert done.returncode == row["status"], said
    return row, said


FALTERING = "200x9,503,200x7,429:retry-after=0,200x20,503x2,200"
"""A receiver that fails and puts off between what it takes."""


def rows_of_users() -> bytes:
    """3,000 lines of 40 users, numbered."""
    rows = [
        {"type": "identify", "messageId": f"{number}", "userId": f"u{number * 7 % 40}", "pad": "x" * (number % 90)}
        for number in range(3000)
    ]
    return "\n".join(map(json.dumps, rows)).encode()


def assert_in_order(receiver: Receiver) -> None:
    """What was taken of each user came in the order of its numbers."""
    sent = [
        item for request in receiver.requests if request.status == 200 for item in json.loads(request.body)["events"]
    ]
    for user in {item["user"] for item in sent}:
        numbers = [int(item["key"]) for item in sent if item["user"] == user]
        assert numbers == sorted(numbers)


def arrived(receiver: Receiver) -> Counter[tuple[str, bytes]]:
    """Each message that was taken, with its bytes."""
    return Counter(
        item for request in receiver.requests if request.status == 200 for item in split_messages(request.body)
    )


def letters(path: Path) -> list[str]:
    """The records, but for when they were written."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        del row["at"]
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def mixed(folder: Path) -> list[str]:
    """Files of every kind: with blank lines, long, without a last line feed, gzip, empty, one bad one, one of a single line."""
    first = b"\xef\xbb\xbf\n  \r\n" + b"\n\n".join(events(1, 900)) + b"\n\n\n"
    long = b'{"type": "track", "messageId": "long", "pad": "' + b"x" * (1 << 20) + b'"}'
    contents = {
        "a.ndjson": first,
        "b.ndjson": b"\r\n".join([*events(2, 300), long, *events(3, 300)]),
        "c.ndjson": gzip.compress(b"\n".join(events(4, 200)) + b"\n"),
        "d.ndjson": b"",
        "e.ndjson": b"no json\n\xff\xfe\n[1]\n",
        "f.ndjson": events(5, 1)[0],
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return list(contents)


@pytest.mark.parametrize("keyed", [False, True], ids=["by bytes", "by key"])
def test_any_number_of_workers_delivers_the_same(keyed: bool, tmp_path: Path) -> None:
    """Messages with their bytes, ledger, dead letters with their offsets and line numbers, the state.

    Mutations that turn this red: a `Share` that takes the lines behind its end; a `Share` that counts lines from its start; `falls_to` that
    leaves the lines out that have no key.
    """
    names = mixed(tmp_path)
    (tmp_path / "plan.json").write_bytes(dump(ordered(plan(), "$.userId") if keyed else plan()))
    found = []
    for workers in (1, 2, 3):
        with Receiver(port=0) as receiver:
            row, _ = run(tmp_path, receiver, workers, "--dead-letters", f"dead{workers}", *names)
            kept, said = run(tmp_path, receiver, workers, "--state", f"state{workers}", *names)
            again, heard = run(tmp_path, receiver, 3, "--state", f"state{workers}", *names)
            found.append((arrived(receiver), [row[name] for name in COUNTED], letters(tmp_path / f"dead{workers}")))
            assert [row[name] for name in COUNTED] == [kept[name] for name in COUNTED], said
            assert (again["read"], again["status"]) == (0, 0), heard
    assert found[0] == found[1]
    assert found[0] == found[2]
    assert set(found[0][0].values()) == {2}


def test_fewer_lines_than_workers(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes(dump(plan()))
    for count in (0, 1, 2):
        (tmp_path / "few.ndjson").write_bytes(b"".join(line + b"\n" for line in events(6, count)))
        with Receiver(port=0) as receiver:
            assert run(tmp_path, receiver, 4, "few.ndjson")[0]["read"] == count


@pytest.mark.parametrize(("order_by", "seed"), [("", 51), ("$.userId", 52)], ids=["by bytes", "by key"])
def test_killed_runs_lose_nothing_whatever_their_workers(order_by: str, seed: int, tmp_path: Path) -> None:
    """P1 to P4: each run has another number of workers, and goes on from what the one before kept.

    Mutations that turn this red: `Gathered.snapshot` without the ranges; a key's worker that passes the events of others.
    """
    outcome = soak_file(tmp_path, kills=6, seed=seed, per_kill=500, workers=(2, 3, 1), order_by=order_by)
    assert outcome.ledger == outcome.wanted
    assert (outcome.lost, outcome.twice, outcome.altered, outcome.late) == ([], [], [], [])


def at_work(folder: Path, receiver: Receiver, workers: int, *words: str) -> Engine:
    """A run that has sent something."""
    command = ("run", "plan.json", "--set", "key=env:KEY", "--endpoint-override", receiver.url, "--state", "state")
    begun = Engine(folder, *command, "--drain", "0.5", "--workers", str(workers), *words, "events.ndjson")
    with receiver.arrived:
        assert receiver.arrived.wait_for(lambda: len(receiver.requests) >= 6, 60), begun.said
    return begun


@pytest.mark.parametrize("order_by", ["", "$.messageId"], ids=["by bytes", "by key"])
def test_killed_worker_ends_the_run_and_the_next_goes_on(order_by: str, tmp_path: Path) -> None:
    names = orders(tmp_path, 4000)
    (tmp_path / "plan.json").write_bytes(dump(ordered(plan(), order_by) if order_by else plan()))
    with Receiver(port=0, script="200:delay=0.05") as receiver:
        begun = at_work(tmp_path, receiver, 2)
        os.kill(children(begun.process.pid)[0], signal.SIGKILL)
        assert begun.end() == 70, begun.said
        before = taken(receiver)
    assert any("was ended by SIGKILL" in line and "the same command goes on there" in line for line in begun.said), (
        begun.said
    )
    assert not any("Traceback" in line for line in begun.said)
    with Receiver(port=0) as receiver:
        row, _ = run(tmp_path, receiver, 3, "--state", "state", "events.ndjson")
        found = before + taken(receiver)
    assert row["status"] == 0
    assert set(found) == set(names)
    ledger = ledger_in(tmp_path / "state", "shop", "files")
    assert (ledger["read"], ledger["deliveries"], ledger["delivered"]) == (4000, 8000, 8000)


@pytest.mark.parametrize("order_by", ["", "$.messageId"], ids=["by bytes", "by key"])
@pytest.mark.parametrize("whole_group", [False, True], ids=["engine", "all"])
def test_signal_stops_every_worker_and_another_number_resumes(whole_group: bool, order_by: str, tmp_path: Path) -> None:
    """P12. A supervisor that tells every process of the group does not stop the workers twice."""
    names = orders(tmp_path, 4000)
    (tmp_path / "plan.json").write_bytes(dump(ordered(plan(), order_by) if order_by else plan()))
    with Receiver(port=0, script="200x12:delay=0.05,200:delay=30") as receiver:
        begun = at_work(tmp_path, receiver, 2)
        for pid in [*(children(begun.process.pid) if whole_group else []), begun.process.pid]:
            os.kill(pid, signal.SIGTERM)
        assert begun.end() == 5, begun.said
        before = taken(receiver)
    heard = ledger_in(tmp_path / "state", "shop", "files")["delivered"]
    after: Counter[str] = Counter()
    for workers in (3, 1):
        with Receiver(port=0) as receiver:
            row, _ = run(tmp_path, receiver, workers, "--state", "state", "events.ndjson")
            after += taken(receiver)
        assert row["status"] == 0
    assert set(before + after) == set(names)
    assert after.total() == 8000 - heard, "what was answered before the stop is not sent again"
    ledger = ledger_in(tmp_path / "state", "shop", "files")
    assert (ledger["read"], ledger["deliveries"], ledger["delivered"]) == (4000, 8000, 8000)


def test_second_signal_stops_at_once(tmp_path: Path) -> None:
    orders(tmp_path, 4000)
    (tmp_path / "plan.json").write_bytes(dump(plan()))
    with Receiver(port=0, script="200x6,200:delay=30") as receiver:
        begun = at_work(tmp_path, receiver, 2)
        begun.process.send_signal(signal.SIGINT)
        assert begun.heard("once more")
        begun.process.send_signal(signal.SIGINT)
        assert begun.end(20) == 5


def test_workers_go_with_their_engine(tmp_path: Path) -> None:
    """Nobody remembers what a worker sends when its engine has gone."""
    orders(tmp_path, 4000)
    (tmp_path / "plan.json").write_bytes(dump(plan()))
    with Receiver(port=0, script="200:delay=0.05") as receiver:
        begun = at_work(tmp_path, receiver, 2)
        workers = children(begun.process.pid)
        begun.process.kill()
        # The workers hold the other end of standard error: it ends when they have.
        begun.end(30)
    assert len(workers) == 2
    for pid in workers:
        # Its files are closed a little before it has ended.
        with contextlib.suppress(ProcessLookupError):
            ended = os.pidfd_open(pid)
            assert select.select([ended], [], [], 30)[0]
            os.close(ended)


def test_order_is_kept_for_each_key(tmp_path: Path) -> None:
    """P9, with failures between."""
    (tmp_path / "events.ndjson").write_bytes(rows_of_users())
    (tmp_path / "plan.json").write_bytes(dump(ordered(plan(), "$.userId")))
    with Receiver(port=0, script=FALTERING) as receiver:
        row, said = run(tmp_path, receiver, 2, "events.ndjson")
        assert_in_order(receiver)
    assert row["delivered"] == 3000, said


def test_refused_credentials_stop_all_workers(tmp_path: Path) -> None:
    orders(tmp_path, 2000)
    (tmp_path / "plan.json").write_bytes(dump(plan()))
    with Receiver(port=0, script="401") as receiver:
        row, said = run(tmp_path, receiver, 2, "--state", "state", "events.ndjson")
    assert (row["status"], row["delivered"], row["dead"]) == (4, 0, {}), said
    with Receiver(port=0) as receiver:
        assert run(tmp_path, receiver, 3, "--state", "state", "events.ndjson")[0]["delivered"] == 4000


@pytest.mark.parametrize("words", [[], ["--state", "state"]], ids=["file", "file and state"])
def test_full_disk_ends_all_workers_before_a_cursor_passes(words: list[str], tmp_path: Path) -> None:
    """P15: the engine's refusal reaches every worker; no worker's step goes by a dead letter that is not written."""
    lines = [b'{"no json": ' + b"x" * 500] * 4000
    (tmp_path / "events.ndjson").write_bytes(b"\n".join(lines))
    (tmp_path / "plan.json").write_bytes(dump(plan()))
    limit = 1_000_000
    with Receiver(port=0) as receiver:
        command = [*WORDS[:-1], "--endpoint-override", receiver.url, "--workers", "2", "--dead-letters", "dead", *words]
        done = subprocess.run(
            [*command, "events.ndjson"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **KEYS},
            timeout=60,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )
        assert done.returncode == 70
        assert "cannot write dead" in done.stderr
        assert "Traceback" not in done.stderr
        written = letters(tmp_path / "dead")
        if words:
            row, said = run(tmp_path, receiver, 3, *words, "--dead-letters", "dead", "events.ndjson")
            assert row["status"] == 3, said
            numbers = [json.loads(item)["position"]["line"] for item in letters(tmp_path / "dead")]
            assert sorted(numbers) == list(range(1, 4001))
    assert 0 < len(written) < 4000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--workers", "2"], "standard input cannot be split: one worker reads it all"),
        (["--workers", "2", "--follow", "events.ndjson"], "a file that is followed cannot be split"),
        (
            ["--workers", "9", "events.ndjson"],
            "shop takes 4 at once or in a window (concurrency, rate): 4 of 9 workers",
        ),
        (["--workers", "2", "gone.ndjson"], "cannot read gone.ndjson: No such file or directory"),
        (["--workers", "2", "events.ndjson", "events.ndjson"], "events.ndjson is named twice"),
        (["--workers", "0", "events.ndjson"], "0 is not in the range"),
        (["--workers", "2", "zipped.ndjson"], "zipped.ndjson is packed or has been rotated: one worker reads it"),
    ],
    ids=["stdin", "follow", "limits", "missing", "twice", "none", "gzip"],
)
def test_what_cannot_be_split_is_said(words: list[str], said: str, tmp_path: Path) -> None:
    orders(tmp_path, 20)
    (tmp_path / "zipped.ndjson").write_bytes(gzip.compress((tmp_path / "events.ndjson").read_bytes()))
    (tmp_path / "plan.json").write_bytes(dump(plan()))
    with Receiver(port=0) as receiver:
        command = ("run", "plan.json", "--set", "key=env:KEY", "--endpoint-override", receiver.url)
        begun = Engine(tmp_path, *command, *words, stdin=subprocess.DEVNULL)
        assert begun.heard(said), begun.said
        begun.process.send_signal(signal.SIGTERM)
        begun.end()


def test_worker_loads_no_compiler_and_no_command_line() -> None:
    code = (
        "import sys, waypost.engine.workers.worker\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('ruamel', 'jinja2', 'jsonpath_ng', 'uvicorn')"
        " or name.startswith(('waypost.compiler', 'waypost.cli'))])\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@st.composite
def places(draw: st.DrawFn) -> tuple[list[Place], dict[str, list[int]]]:
    """Files with their line beginnings, and what an earlier run had settled."""
    found, starts = [], {}
    for number in range(draw(st.integers(1, 4))):
        lines = draw(st.lists(st.integers(1, 30), max_size=12))
        edges = [0]
        for length in lines:
            edges.append(edges[-1] + length)
        cursor = draw(st.sampled_from(edges))
        cuts = sorted(draw(st.sets(st.sampled_from(edges), max_size=6)))
        ranges = merged([(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False) if a > cursor], cursor)
        name = f"f{number}"
        found.append(Place(name, "id", edges[-1], Snapshot(cursor, ranges), draw(st.booleans())))
        starts[name] = edges
    return found, starts


@given(places(), st.integers(1, 6))
def test_portions_are_all_that_is_left_once(drawn: tuple[list[Place], dict[str, list[int]]], workers: int) -> None:
    """Whole lines, each in one portion, in no more lists than workers; a file that cannot be cut is in one."""
    held, starts = drawn
    found = split(held, workers, lambda name, at: next((edge for edge in starts[name] if edge >= at), None))
    assert len(found) <= workers
    for place in held:
        portions: list[Portion] = [item for rows in found for item in rows if item.path == place.path]
        edges = [place.at.cursor, *(item.end if item.end is not None else place.size for item in portions)]
        assert [item.start for item in portions] == edges[:-1]
        assert edges[-1] == (place.size if portions else place.at.cursor)
        assert set(edges) <= {*starts[place.path]}
        assert [item.end is None for item in portions] == [False] * (len(portions) - 1) + [True] * bool(portions)
        assert place.cut or len(portions) <= 1
        assert {row for item in portions for row in item.ranges} == set(place.at.ranges) or not portions


def test_quick_keys_are_those_of_the_interpreter() -> None:
    """Whose an event is must not depend on the way in which its key was had: escapes, repeated names, other types, lines that are no event.

    Mutation that turns this red: `_quick` that takes any text.
    """
    odd = [
        b'{"userId": "a", "userId": "b"}',
        b'{"userId": "a", "user\\u0049d": "b"}',
        b'{"userId": "\\u0061"}',
        b'{"userId": "a", "x": "\\ud800"}',
        b'{"userId": "a", "x": "\xff"}',
        b'{"userId": "\xc3\xa9"}',
        b'{"userId": "a/b"}',
        b'{"userId": "a\\/b"}',
        b'{"userId": 1e2}',
        b'{"userId": null}',
        b'{"userId": "a"} x',
        b'{"userId": "a", "x": NaN}',
        b'[{"userId": "a"}]',
        b'{"context": {"group": "g"}, "context": 5}',
        b'{"context": {"group": "g"}}',
        b'{"context": {"group": "g", "group": "h"}}',
        b"",
    ]
    for path in ("$.userId", "$.context.group", "$.properties.products[0].sku"):
        program = link(ordered(plan(), path), {"key": "x"})
        key_of = order_key(program)
        assert key_of is not None
        node = JsonPath(path=path)
        for line in [*odd, *hostile_events(9, 600)]:
            try:
                value = interpret.evaluate(node, interpret.Env(interpret.decode_event(line), program.settings))
            except interpret.BadEvent:
                value = None
            if values.is_number(value):  # one person, whether the id comes as a number or as text
                value = values.number_as_text(value)
            wanted = None if value is values.MISSING or value is None else values.encode(value)
            assert key_of(line) == wanted, line
