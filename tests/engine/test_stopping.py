"""Every run ends: on one signal when its drain is over, on two at once, whatever the destination, a sender, a name or a worker is doing.

A table: what holds a run up x how it runs x the signals. Each row is a process on its own; a row that hangs is killed, and red.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raw_server import RawServer
from running import Engine, free_port, wait_for_port

SPEC = """
spec: 1
name: held
settings: {key: {type: string, secret: true, label: Key}}
auth: {bearer: "{{ settings.key }}"}
check: {get: https://api.held.example/v1/me}
request:
  post: https://api.held.example/v1/events
  body: {events: $messages}
  batch: {max_messages: 5, max_wait: 10ms}
actions:
  send: {trigger: type = "track", mapping: {name: $.event}}
"""

LATE = """
import socket, sys, threading
def late(host, *words, **more):
    print("looking", file=sys.stderr, flush=True)
    threading.Event().wait()
socket.getaddrinfo = late
from waypost.cli.main import main
main()
"""
"""waypost where no name is ever found: a resolver that waits for servers that are gone."""

BOUND_S = 40
"""What a row may take after its last signal: a second or two, on a machine that does much else. Without an end it would be for ever."""

Answer = Callable[[socket.socket], None]


def failing(client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")


def hanging(client: socket.socket) -> None:
    client.recv(1)


def dripping(client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    client.settimeout(0.05)
    for _ in range(1000):
        with contextlib.suppress(TimeoutError):
            if not client.recv(1):
                return
        client.sendall(b"x")


def no_http(client: socket.socket) -> None:
    client.sendall(b"hello\r\n")


def throttling(client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 429 Later\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n")


ANSWERS: dict[str, Answer] = {
    "500": failing,
    "hangs": hanging,
    "drips": dripping,
    "no HTTP": no_http,
    "429 for an hour": throttling,
}


class Destination(RawServer):
    """State: how it answers, and whether a request has come."""

    def __init__(self, how: Answer) -> None:
        self.how = how
        self.asked = threading.Event()
        super().__init__()

    def answer(self, request: bytes, client: socket.socket) -> None:
        self.asked.set()
        with contextlib.suppress(OSError):
            self.how(client)


def prepare(folder: Path, port: int, count: int = 40) -> None:
    (folder / "held.yaml").write_text(SPEC, encoding="utf-8")
    rows = [json.dumps({"type": "track", "event": f"E{number}", "messageId": f"m{number}"}) for number in range(count)]
    (folder / "events.ndjson").write_text("\n".join(rows) + "\n", encoding="utf-8")
    given = "destination: ./held.yaml, settings: {key: env:KEY}"
    for name, source in (
        ("files", "files: events.ndjson"),
        ("web", f'http: "127.0.0.1:{port}", write_keys: [env:WEB_KEY]'),
    ):
        (folder / f"{name}.yaml").write_text(
            f"connections:\n  a: {{{given}, sources: [in]}}\n  b: {{{given}, sources: [in]}}\nsources: {{in: {{{source}}}}}\n",
            encoding="utf-8",
        )


ONE = ("run", "held.yaml", "--set", "key=env:KEY")
WAYS: dict[str, tuple[str, ...]] = {
    "a file": (*ONE, "events.ndjson"),
    "a file with a state": (*ONE, "--state", "st", "events.ndjson"),
    "a file that is followed": (*ONE, "--follow", "events.ndjson"),
    "standard input": ONE,
    "standard input, journaled": (*ONE, "--journal", "--state", "st"),
    "workers": (*ONE, "--workers", "2", "events.ndjson"),
    "workers with a state": (*ONE, "--workers", "2", "--state", "st", "events.ndjson"),
    "connections": ("run", "files.yaml", "--state", "st", "--listen", "0"),
    "HTTP": ("run", "web.yaml", "--state", "st"),
    "HTTP, workers": ("run", "web.yaml", "--state", "st", "--workers", "2"),
}
SIGNALS = {"one": (0.1, 1), "two": (600, 2)}
"""The drain, and how many signals."""


def stop(engine: Engine, count: int, name: signal.Signals) -> int:
    """The status of a run that is told to stop."""
    engine.process.send_signal(name)
    for _ in range(count - 1):
        assert engine.heard("stopping: waiting up to"), engine.said
        engine.process.send_signal(name)
    return engine.end(BOUND_S)


@contextlib.contextmanager
def running(folder: Path, *words: str, begin: tuple[str, ...] = ()) -> Iterator[Engine]:
    engine = Engine(folder, *words, env={"XDG_STATE_HOME": str(folder / "xdg")}, stdin=subprocess.PIPE)
    try:
        yield engine
    finally:
        engine.process.kill()
        engine.process.wait()


def held_up(folder: Path, answer: str, way: str, signals: str, name: signal.Signals) -> None:
    port = free_port()
    prepare(folder, port)
    drain, count = SIGNALS[signals]
    with Destination(ANSWERS[answer]) as to:
        words = (*WAYS[way], "--endpoint-override", to.url, "--drain", str(drain))
        with running(folder, *words) as engine:
            assert engine.process.stdin is not None
            if way.startswith("standard input"):
                # It stays open: the run waits for more.
                engine.process.stdin.write((folder / "events.ndjson").read_bytes())
                engine.process.stdin.flush()
            if way.startswith("HTTP"):
                wait_for_port(port)
                body = json.dumps({"writeKey": "canary-web-key", "batch": [{"type": "track", "event": "E"}] * 20})
                head = f"POST /v1/batch HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
                with socket.create_connection(("127.0.0.1", port), 30) as sender:
                    sender.sendall((head + body).encode())
                    assert sender.recv(100).startswith(b"HTTP/1.1 200")
            assert to.asked.wait(30), engine.said
            status = stop(engine, count, name)
    # 0: with two connections of one gate a lane may have had its answers; a run that is killed has a negative one.
    assert status in (5, 3), "".join(engine.said)
    assert "in flight" in "".join(engine.said) or way.startswith("HTTP")


QUICK = [
    ("500", "a file with a state", "one", signal.SIGTERM),
    ("hangs", "a file", "two", signal.SIGINT),
    ("drips", "connections", "one", signal.SIGINT),
    ("500", "workers with a state", "two", signal.SIGTERM),
    ("hangs", "HTTP", "one", signal.SIGTERM),
    ("429 for an hour", "standard input, journaled", "two", signal.SIGTERM),
]
ALL = [
    (answer, way, signals, signal.SIGINT if (len(answer) + len(way)) % 2 else signal.SIGTERM)
    for answer in ANSWERS
    for way in WAYS
    for signals in SIGNALS
]


@pytest.mark.parametrize(("answer", "way", "signals", "name"), QUICK)
def test_a_run_that_is_held_up_ends(answer: str, way: str, signals: str, name: signal.Signals, tmp_path: Path) -> None:
    """Mutations that turn this red: `Stopping.over` that counts three signals; `_drain` that waits for the gate to open."""
    held_up(tmp_path, answer, way, signals, name)


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "way", "signals", "name"), [row for row in ALL if row not in QUICK])
def test_every_run_that_is_held_up_ends(
    answer: str, way: str, signals: str, name: signal.Signals, tmp_path: Path
) -> None:
    held_up(tmp_path, answer, way, signals, name)


@pytest.mark.parametrize(
    "words", [WAYS["a file"], WAYS["connections"], ("check", *ONE[1:])], ids=["a file", "connections", "check"]
)
def test_a_name_that_is_never_found_holds_no_end(words: tuple[str, ...], tmp_path: Path) -> None:
    """Mutation that turns this red: `asyncio.run` in place of `run_to_end`, whose threads are waited for."""
    prepare(tmp_path, free_port())
    (tmp_path / "late.py").write_text(LATE, encoding="utf-8")
    more = () if words[0] == "check" else ("--drain", "0.1")
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "late.py"), *words, "--endpoint-override", "https://held.example", *more],
        cwd=tmp_path,
        env={
            **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
            "KEY": "canary-shop-key",
        },
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert process.stderr is not None
    try:
        while b"looking" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(BOUND_S) == 5
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_a_sender_that_drips_holds_no_end(tmp_path: Path) -> None:
    """Everything is delivered, and one body is still coming: the second signal ends that too, with the run's own status.

    Mutation that turns this red: `close_intake` that only waits for the intake."""
    port = free_port()
    prepare(tmp_path, port)
    with running(tmp_path, *WAYS["HTTP"], "--drain", "600") as engine:
        wait_for_port(port)
        with socket.create_connection(("127.0.0.1", port), 30) as sender:
            sender.sendall(
                b"POST /v1/batch HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1000\r\n\r\n"
            )
            assert sender.recv(100).startswith(b"HTTP/1.1 100")
            assert stop(engine, 2, signal.SIGTERM) == 0, engine.said
            with contextlib.suppress(ConnectionResetError):
                assert b" 408 " not in sender.recv(100), "it was waited for until it was too late for its body"


def test_a_worker_that_is_stopped_holds_no_end(tmp_path: Path) -> None:
    """Mutation that turns this red: `_end_late` left out."""
    prepare(tmp_path, free_port(), count=2000)
    with (
        Destination(failing) as to,
        running(tmp_path, *WAYS["workers with a state"], "--endpoint-override", to.url, "--drain", "600") as engine,
    ):
        assert engine.heard("fails"), engine.said
        found = subprocess.run(["pgrep", "-P", str(engine.process.pid)], capture_output=True, check=True)
        worker = int(found.stdout.split()[0])
        os.kill(worker, signal.SIGSTOP)
        try:
            assert stop(engine, 2, signal.SIGTERM) == 70
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
    assert any("did not stop in time" in line for line in engine.said), engine.said


@pytest.mark.slow
@pytest.mark.parametrize("signals", SIGNALS)
def test_a_commit_that_waits_for_its_disk_holds_no_end(signals: str, tmp_path: Path) -> None:
    """Somebody else writes to the state's file: the commit under way is given up after 10 s, and the end says so."""
    prepare(tmp_path, free_port())
    drain, count = SIGNALS[signals]
    with (
        Destination(failing) as to,
        running(tmp_path, *WAYS["a file with a state"], "--endpoint-override", to.url, "--drain", str(drain)) as engine,
    ):
        assert to.asked.wait(30)
        other = sqlite3.connect(tmp_path / "st" / "state.sqlite", isolation_level=None, timeout=20)
        other.execute("begin immediate")
        try:
            assert stop(engine, count, signal.SIGTERM) in (5, 70)
        finally:
            other.close()
