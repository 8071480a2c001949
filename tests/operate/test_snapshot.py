"""What an operator sees of a running engine: metrics, health, top, tap, the log. It holds no secret and costs no delivery."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import http.client
import json
import os
import pty
import re
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from test_delivery import Engine, orders, write

from kills import SPEC, plan
from running import KEYS, free_port, waypost
from waypost.cli import logs
from waypost.delivery.ledger import Ledger
from waypost.delivery.outcome import Answer
from waypost.engine.options import Options
from waypost.engine.taps import A_SECOND, HELD, SHOWN, Attempt, Follower
from waypost.engine.traffic import BOUNDS, Traffic
from waypost.events.notices import EVENTS
from waypost.http.listening import is_loopback, read_address
from waypost.http.receiver import Received, Receiver, Reply
from waypost.operate.metrics import METRICS, LaneView, Snapshot, text
from waypost.operate.snapshot import Looking

CANARY = 'canary "key"/ü'

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(exposition: str) -> Samples:
    """Every sample, by name and labels, as Prometheus' own parser reads them."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }


def view(connection: str = "shop", source: str = "all", **held: Any) -> LaneView:
    row: dict[str, Any] = {
        "state": "running",
        "ledger": Ledger(),
        "traffic": Traffic(),
        "events_read": 0,
        "lag_bytes": None,
        "lag_events": None,
        "oldest_s": 0.0,
        "breaker_open": False,
        "paused_s": 0.0,
        "held_bytes": 0,
        "under_way": 0,
        "allowed": 4,
        "stopped": "",
    }
    return LaneView(connection=connection, source=source, **{**row, **held})


class Port:
    """The port of a running engine."""

    def __init__(self, engine: Engine) -> None:
        assert engine.heard("metrics and health on"), engine.said
        found = re.search(r"on http://([\d.]+):(\d+)", "".join(engine.said))
        assert found
        self.address = found[1], int(found[2])
        self.url = f"http://{found[1]}:{found[2]}"

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def metrics(self) -> Callable[..., float]:
        """The metrics of one lane: name and labels -> value."""
        status, exposition = self.get("/metrics")
        assert status == 200
        samples = parsed(exposition)

        def of(name: str, **labels: str) -> float:
            own = {"connection": "one", "source": "all", **labels}
            return samples[f"waypost_{name}", frozenset(own.items())]

        return of

    def until(self, ready: Callable[[Any], bool]) -> Any:
        """Looks until what `top` shows is so; the engine answers each look when it has had its turn."""
        for _ in range(3000):
            found = json.loads(self.get("/lanes")[1])
            if ready(found):
                return found
        raise AssertionError(found)


@contextlib.contextmanager
def running(folder: Path, *words: str, **options: Any) -> Iterator[tuple[Engine, Port]]:
    """An engine at work; ended at once when the test is done with it."""
    engine = Engine(folder, "run", "waypost.yaml", "--state", "state", "--listen", "0", *words, **options)
    try:
        yield engine, Port(engine)
    finally:
        if engine.process.poll() is None:
            engine.process.kill()
            engine.end()


def following(folder: Path) -> None:
    """The source of waypost.yaml goes on for ever."""
    path = folder / "waypost.yaml"
    path.write_text(path.read_text().replace("{files: '*.ndjson'}", "{files: '*.ndjson', follow: true}"))


# The text.


def test_names_and_units_are_prometheus_own() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"waypost_[a-z]+(_[a-z]+)*", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert not re.search(r"_(ms|kb|mb|minutes|milliseconds)\b", metric.name)
        assert metric.help
        assert not metric.help.endswith(".")
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_every_family_is_there_from_the_beginning() -> None:
    families = {family.name: family.type for family in text_string_to_metric_families(text(Snapshot("1", [])))}
    # The parser takes the ending off a counter's name.
    assert families == {
        metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name: metric.kind
        for metric in METRICS
    }


@given(st.text(), st.text(), st.text())
def test_any_name_survives_as_a_label(connection: str, source: str, reason: str) -> None:
    """Mutation that turns this red: `_escaped` without the backslash."""
    names = [
        re.sub(r"[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029\ud800-\udfff]", "", name) for name in (connection, source, reason)
    ]
    lane = view(*names[:2], ledger=Ledger(rejected=Counter({names[2]: 3})))
    samples = parsed(text(Snapshot("1", [lane])))
    labels = dict(zip(("connection", "source", "reason"), names, strict=True))
    assert samples["waypost_lines_rejected_total", frozenset(labels.items())] == 3


@given(st.lists(st.floats(0, 1e4)))
def test_histogram_counts_every_duration_in_its_bucket(durations: list[float]) -> None:
    traffic = Traffic()
    for seconds in durations:
        traffic.attempt("200", seconds, 1)
    samples = parsed(text(Snapshot("1", [view(traffic=traffic)])))

    def value(name: str, **labels: str) -> float:
        own = {"connection": "shop", "source": "all", **labels}
        return samples[f"waypost_request_duration_seconds{name}", frozenset(own.items())]

    for bound in BOUNDS:
        assert value("_bucket", le=f"{bound:g}") == sum(seconds <= bound for seconds in durations)
    assert value("_bucket", le="+Inf") == value("_count") == len(durations)
    assert value("_sum") == pytest.approx(sum(durations), abs=1e-5)


@pytest.mark.parametrize(
    ("given_text", "address"),
    [
        ("9090", ("127.0.0.1", 9090)),
        (":0", ("127.0.0.1", 0)),
        ("0.0.0.0:9090", ("0.0.0.0", 9090)),
        ("metrics.internal:80", ("metrics.internal", 80)),
        ("[::1]:9090", ("::1", 9090)),
        ("::1:9090", None),
        ("host", None),
        ("host:", None),
        ("127.0.0.1:65536", None),
        ("http://127.0.0.1:9090", None),
        ("", None),
    ],
)
def test_address_of_the_option(given_text: str, address: tuple[str, int] | None) -> None:
    assert read_address(given_text) == address


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("localhost.evil.example", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_what_is_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) is local


# A running engine.


def test_metrics_are_the_ledger(tmp_path: Path) -> None:
    """Conservation, as Prometheus sees it. Mutation that turns this red: `Traffic.attempt` left out of `LaneRunner._attempt`."""
    orders(tmp_path, 400)
    with (tmp_path / "events.ndjson").open("ab") as file:
        file.write(b'not json\n{"type":"page"}\n{"type":"track","event":"no id"}\n')
    with Receiver(port=0, script="500,cut,200") as receiver:
        write(tmp_path, one=receiver.url)
        following(tmp_path)
        with running(tmp_path) as (engine, port):
            port.until(lambda seen: seen["lanes"][0]["delivered"] == 800)
            of = port.metrics()
            assert of("events_read_total") == 402
            assert of("lines_rejected_total", reason="malformed") == 1
            assert of("deliveries_total", outcome="delivered", reason="") == 800
            assert of("deliveries_total", outcome="filtered", reason="no_action") == 1
            assert of("deliveries_total", outcome="dead", reason="required") == 1
            assert of("in_flight") == of("held_bytes") == of("requests_under_way") == of("lag_bytes") == 0
            assert of("requests_total", status="5xx") == of("requests_total", status="unanswered") == 1
            assert of("retries_total") == 2
            assert of("duplicates_possible_total") == 25
            ended = sum(of("requests_total", status=status) for status in ("2xx", "5xx", "unanswered"))
            assert of("request_duration_seconds_count") == ended == len(receiver.requests)
            assert of("request_bytes_total") == sum(request.size for request in receiver.requests)
            assert of("dead_letters") == 2
            engine.process.send_signal(signal.SIGTERM)
            assert engine.end() == 3
    assert not (tmp_path / "state" / "listening").exists()


@pytest.mark.parametrize(
    ("script", "state"),
    [("503", "failing"), ("429:retry-after=3600", "paused"), ("401", "stopped")],
)
def test_trouble_is_seen_and_the_engine_stays_ready(script: str, state: str, tmp_path: Path) -> None:
    """A destination that fails is no reason to send events elsewhere."""
    orders(tmp_path, 400)
    with Receiver(port=0, script=script) as receiver:
        write(tmp_path, one=receiver.url)
        following(tmp_path)
        with running(tmp_path, "--log", "json") as (engine, port):
            seen = port.until(lambda seen: seen["lanes"][0]["state"] == state)
            of = port.metrics()
            assert of("breaker_open") == (state == "failing")
            assert (of("throttled_seconds") > 3000) == (state == "paused")
            assert of("lane_stopped") == (state == "stopped")
            assert of("lag_bytes") == (tmp_path / "events.ndjson").stat().st_size
            assert 0 < of("lag_seconds") < 1e6
            assert of("in_flight") == 800
            assert of("requests_allowed") < 4 or state == "stopped"
            status, ready = port.get("/ready")
            stopped = [f"one from all: {seen['lanes'][0]['stopped']}"] if state == "stopped" else None
            assert (status, json.loads(ready)["ready"], json.loads(ready).get("stopped")) == (200, True, stopped)
            status, once, _ = waypost("top", "--state", "state", "--once", cwd=tmp_path)
            assert status == 0
            assert state in once
            assert "kB" in once
            if state == "stopped":
                assert seen["lanes"][0]["stopped"] in once
                assert engine.heard('"event": "stopped"')


def test_stopped_lane_goes_on_when_it_is_loaded_again(tmp_path: Path) -> None:
    """Mutation that turns this red: `LaneRunner._read_all` that returns where a source has not ended; `Engine.apply` without `lane.stopped`."""
    orders(tmp_path, 100)
    known = threading.Event()
    with Receiver(port=0, answer=lambda request: Reply(200 if known.is_set() else 401)) as receiver:
        write(tmp_path, one=receiver.url)
        following(tmp_path)
        with running(tmp_path) as (engine, port):
            port.until(lambda seen: seen["lanes"][0]["state"] == "stopped")
            known.set()
            engine.process.send_signal(signal.SIGHUP)
            lane = port.until(lambda seen: seen["lanes"][0]["delivered"] == 200)["lanes"][0]
            assert (lane["state"], lane["stopped"]) == ("running", None)


def test_draining_is_alive_and_not_ready(tmp_path: Path) -> None:
    orders(tmp_path, 100)
    with Receiver(port=0, script="200:delay=60") as receiver:
        write(tmp_path, one=receiver.url)
        with running(tmp_path) as (engine, port):
            with receiver.arrived:
                assert receiver.arrived.wait_for(lambda: bool(receiver.requests), 30)
            assert port.get("/ready")[0] == 200
            engine.process.send_signal(signal.SIGTERM)
            assert engine.heard("stopping")
            status, body = port.get("/ready")
            assert (status, json.loads(body)) == (503, {"ready": False, "why": ["draining: a signal has come"]})
            assert port.get("/live") == (200, '{"live": true}\n')
            assert parsed(port.get("/metrics")[1])["waypost_ready", frozenset()] == 0
            engine.process.send_signal(signal.SIGTERM)
            assert engine.end() == 5


def test_state_that_takes_no_commits_is_not_ready(tmp_path: Path) -> None:
    """Mutation that turns this red: `not_ready` without the empty step."""
    orders(tmp_path, 1)
    with Receiver(port=0) as receiver:
        write(tmp_path, one=receiver.url)
        following(tmp_path)
        with running(tmp_path) as (_, port):
            port.until(lambda seen: seen["lanes"][0]["delivered"] == 2)
            with contextlib.closing(
                sqlite3.connect(tmp_path / "state" / "state.sqlite", isolation_level=None)
            ) as other:
                other.execute("begin immediate")
                status, body = port.get("/ready")
                assert (status, json.loads(body)["why"]) == (503, ["the state has not taken a commit within 2 s"])
                assert port.get("/live")[0] == 200
                other.execute("rollback")
            assert port.get("/ready")[0] == 200


def test_counters_do_not_go_back_while_events_are_read_again() -> None:
    """Mutation that turns this red: `Looking._lane` giving `ledger.accepted`."""
    lane = SimpleNamespace(ledger=Ledger(accepted=1000), oldest=lambda: None, stopped="", held_bytes=0)
    runner = SimpleNamespace(
        lane=lane,
        keeping=SimpleNamespace(connection="one", source="all", fault=None),
        sources=[],
        gates={},
        traffic=Traffic(),
        over=False,
        fault="",
        options=Options(None),
    )
    engine: Any = SimpleNamespace(
        runners={("one", "all"): runner}, store=None, started=True, stopping=SimpleNamespace(count=0)
    )
    looking = Looking(engine)
    found = []
    for accepted in (1000, 400, 1600):
        lane.ledger = Ledger(accepted=accepted)
        found.append(asyncio.run(looking.snapshot()).lanes[0].events_read)
    assert found == [1000, 1000, 1600]


def test_journal_is_seen(tmp_path: Path) -> None:
    """Events over HTTP that the destination does not take: lag in events, their age since they came, bytes of the journal."""
    calm = threading.Event()
    with Receiver(port=0, answer=lambda request: Reply(200 if calm.is_set() else 408)) as receiver:
        write(tmp_path, one=receiver.url)
        door = free_port()
        path = tmp_path / "waypost.yaml"
        feed = f'{{http: "127.0.0.1:{door}", write_keys: [env:WEB_KEY]}}'
        path.write_text(path.read_text().replace("{files: '*.ndjson'}", feed))
        with running(tmp_path) as (engine, port):
            port.until(lambda seen: seen["ready"])
            event = {"type": "identify", "userId": "u", "messageId": "m"}
            body = json.dumps({"batch": [event] * 5})
            token = base64.b64encode(f"{KEYS['WEB_KEY']}:".encode()).decode()
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", door, timeout=30)) as client:
                client.request("POST", "/v1/batch", body, {"authorization": f"Basic {token}"})
                assert client.getresponse().status == 200
            port.until(lambda seen: seen["lanes"][0]["requests"].get("4xx"))
            of = port.metrics()
            assert of("lag_events") == of("in_flight") == of("events_read_total") == 5
            assert 0 < of("lag_seconds") < 1e6
            samples = parsed(port.get("/metrics")[1])
            assert samples["waypost_journal_bytes", frozenset({("source", "all")})] > 5 * len(json.dumps(event)) - 50
            assert ("waypost_lag_bytes", frozenset({("connection", "one"), ("source", "all")})) not in samples
            calm.set()
            port.until(lambda seen: seen["lanes"][0]["lag_events"] == 0 and seen["journal_bytes"] == {"all": 0})
            assert port.metrics()("lag_seconds") == 0
            engine.process.send_signal(signal.SIGTERM)
            assert engine.end() in (0, 5)


def test_change_of_a_plan_is_seen_through(tmp_path: Path) -> None:
    orders(tmp_path, 3000)
    with Receiver(port=0, script="200:delay=0.05") as receiver:
        write(tmp_path, one=receiver.url)
        following(tmp_path)
        with running(tmp_path) as (engine, port):
            before = port.until(lambda seen: seen["lanes"][0]["in_flight"] > 1000)["lanes"][0]["events_read"]
            write(tmp_path, SPEC.replace("concurrency: 4", "concurrency: 2"), one=receiver.url)
            following(tmp_path)
            engine.process.send_signal(signal.SIGHUP)
            assert engine.heard("reloaded"), engine.said
            assert port.metrics()("events_read_total") >= before


# The port.


def test_port_answers_what_it_does_not_take(tmp_path: Path) -> None:
    orders(tmp_path, 1)
    with Receiver(port=0) as receiver:
        write(tmp_path, one=receiver.url)
        following(tmp_path)
        with running(tmp_path) as (engine, port):
            assert port.get("/")[0] == 404
            assert port.get("/metrics", "POST")[0] == 405
            assert port.get("/metrics", "HEAD") == (200, "")
            assert port.get("/metrics", Host="evil.example")[0] == 403
            assert port.get("/metrics", Host="localhost:1")[0] == 200
            assert port.get("//[")[0] == 400
            assert "there is one" in port.get("/tap?connection=two")[1]
            assert "there is all, orders" in port.get("/tap?action=other")[1]
            for junk in (
                b"\0" * 9 + b"\r\n\r\n",
                b"GET / HTTP/9\r\n\r\n",
                b"x" * 40_000,
                b"GET /metrics HTTP/1.1\r\n",
                b"",
            ):
                with socket.create_connection(port.address, timeout=30) as one:
                    one.sendall(junk)
                    one.shutdown(socket.SHUT_WR)
                    with contextlib.suppress(ConnectionError):
                        assert one.recv(1 << 16)[:12] in (b"HTTP/1.1 400", b"")
            idle = [socket.create_connection(port.address) for _ in range(80)]
            with contextlib.suppress(ConnectionError, http.client.RemoteDisconnected):
                port.get("/live")
            for one in idle:
                one.close()
            port.until(lambda seen: seen["ready"])
            engine.process.send_signal(signal.SIGTERM)
            assert engine.end() == 0
            assert not any("Traceback" in line or "never retrieved" in line for line in engine.said), engine.said


def test_address_that_is_taken_changes_nothing(tmp_path: Path) -> None:
    orders(tmp_path, 1)
    write(tmp_path, one="http://127.0.0.1:9")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        engine = Engine(tmp_path, "run", "waypost.yaml", "--state", "state", "--listen", str(port))
        assert engine.end() == 2
        assert engine.said == [f"waypost: cannot listen on 127.0.0.1:{port}: Address already in use\n"]
    assert not (tmp_path / "state").exists()
    engine = Engine(tmp_path, "run", "waypost.yaml", "--listen", "x:y")
    assert engine.end() == 2
    assert engine.said == ["waypost: --listen takes HOST:PORT or a port, such as 127.0.0.1:9090, not `x:y`\n"]


# Following.


def attempt(count: int = 1, body: bytes = b"{}", began: float = 0.0, **held: Any) -> Attempt:
    from waypost.delivery.lane import Position, Send
    from waypost.delivery.progress import Progress
    from waypost.delivery.runs import one
    from waypost.events.results import Mapped
    from waypost.program.program import link

    program = link(plan(), {"key": CANARY})
    name, kind = next(iter(program.requests.items()))
    mapped = Mapped("all", None, name, (), body)
    progress = Progress("s")
    runs = [one(mapped, b"{}", Position("s", number, 1, number + 1), progress) for number in range(count)]
    deliveries = [delivery for run in runs for delivery in run.deliveries()]
    send = Send(1, name, (), tuple(runs), 1)
    row: dict[str, Any] = {"answer": Answer("200"), "seconds": 0.0, "secrets": (CANARY,), **held}
    return Attempt("shop", "all", kind, send, deliveries, began=began, **row)


def test_slow_follower_loses_records_and_is_told_how_many() -> None:
    """Mutation that turns this red: `Follower.offer` without its bound."""
    follower = Follower()
    for number in range(HELD + 40):
        follower.offer(attempt(began=float(number)))
    found = [json.loads(line) for line in follower.take()]
    assert len(found) == HELD + 1
    assert found[-1] == {"skipped": 40}
    follower.offer(attempt(began=1e6))
    assert "skipped" not in json.loads(follower.take()[0])


def test_fast_follower_gets_so_many_a_second() -> None:
    follower, count = Follower(), 0
    for _ in range(3 * A_SECOND):
        follower.offer(attempt(began=5.0))
        count += sum(b'"skipped"' not in line for line in follower.take())
    assert count == A_SECOND


def test_large_batch_is_shown_in_part() -> None:
    body = json.dumps({"pad": "x" * 10_000}).encode()
    follower = Follower(action="all")
    follower.offer(attempt(100, body))
    (line,) = follower.take()
    record = json.loads(line)
    assert len(line) < SHOWN * 1.1 + 1000
    assert len(record["messages"]) + record["left_out"] == 100
    assert len(record["body"]["events"]) == len(record["messages"]) > 1
    follower.offer(attempt(1, json.dumps({"pad": "x" * 2_000_000}).encode()))
    assert len(follower.take()[0]) < SHOWN * 1.1 + 1000
    other = Follower(action="orders")
    other.offer(attempt())
    assert other.take() == []


def test_tap_shows_what_is_sent_and_no_secret(tmp_path: Path) -> None:
    """P16: an event that holds the secret, a destination that echoes it, a name that is looked for in every form.

    Mutation that turns this red: `taps.record` without `masked`.
    """
    names = orders(tmp_path, 3)

    def answer(request: Received) -> Reply:
        return Reply(422, body=f"who is {CANARY}?".encode())

    with Receiver(port=0, answer=answer) as receiver:
        write(tmp_path, one=receiver.url)
        (tmp_path / "key").write_text(CANARY)
        text_of = (tmp_path / "waypost.yaml").read_text().replace("env:KEY", "file:key")
        (tmp_path / "waypost.yaml").write_text(text_of)
        following(tmp_path)
        with running(tmp_path, "--log", "json") as (engine, port):
            port.until(lambda seen: seen["lanes"][0]["dead"] == {"refused": 6})
            tap = subprocess.Popen(
                [sys.executable, "-m", "waypost", "tap", port.url, "--json", "-n", "1", "--action", "orders"],
                stdout=subprocess.PIPE,
                cwd=tmp_path,
            )
            more: dict[str, Any] = {"type": "track", "event": "Order", "userId": CANARY, "properties": {"total": 2}}
            assert tap.stdout is not None
            found = b""
            for number in range(200):
                # The first requests may end before the tap is there.
                line = json.dumps({**more, "messageId": f"{CANARY}{number}"}) + "\n"
                with (tmp_path / "events.ndjson").open("a", encoding="utf-8") as file:
                    file.write(line)
                if select.select([tap.stdout], [], [], 0.2)[0]:
                    found = tap.stdout.readline()
                    break
            assert tap.wait(30) == 0
            tap.stdout.close()
            record = json.loads(found)
            assert (record["status"], record["response"]) == (422, "who is ***?")
            assert record["headers"]["authorization"] == "Bearer <key>"
            assert {message["action"] for message in record["messages"]} == {"orders"}
            assert record["body"]["events"][0]["key"].startswith("***")
            seen = found.decode() + port.get("/metrics")[1] + port.get("/lanes")[1]
            engine.process.send_signal(signal.SIGTERM)
            assert engine.end() == 3
            seen += "".join(engine.said)
    assert len(names) == 3
    written = [CANARY, json.dumps(CANARY)[1:-1], json.dumps(CANARY, ensure_ascii=False)[1:-1], quote(CANARY)]
    for form in [*written, quote(CANARY, safe=""), base64.b64encode(CANARY.encode()).decode()]:
        assert form not in seen


def test_follower_that_reads_nothing_holds_up_nothing(tmp_path: Path) -> None:
    """Mutation that turns this red: `_attempt` waiting for followers, or `Follower` without a bound (the skipped line)."""
    # Small batches: far more requests a second than a follower is given, on a slow machine too.
    orders(tmp_path, 3000, pad=500)
    spec = SPEC.replace("max_messages: 25", "max_messages: 4").replace(
        "userId, type: string, required: true}", "userId}\n      pad: {$from: $.properties.pad}"
    )
    with contextlib.ExitStack() as closing, Receiver(port=0, script="200:delay=0.005") as receiver:
        write(tmp_path, spec, one=receiver.url)
        following(tmp_path)
        lines = (tmp_path / "events.ndjson").read_text()
        (tmp_path / "events.ndjson").write_text("")
        with running(tmp_path) as (engine, port):
            stuck = closing.enter_context(socket.create_connection(port.address))
            stuck.sendall(b"GET /tap HTTP/1.1\r\n\r\n")
            assert stuck.recv(15) == b"HTTP/1.1 200 OK"
            with (tmp_path / "events.ndjson").open("a") as file:
                file.write(lines)
            seen = port.until(lambda seen: seen["lanes"][0]["delivered"] == 6_000)
            assert seen["lanes"][0]["in_flight"] == 0
            assert b'"skipped"' in read_until(stuck, b'"skipped"')
            engine.process.send_signal(signal.SIGTERM)
            assert engine.end() == 0


def read_until(one: socket.socket, mark: bytes) -> bytes:
    one.settimeout(30)
    found = b""
    while mark not in found:
        data = one.recv(1 << 16)
        if not data:
            break
        found += data
    return found


# The commands.


def test_top_looks_once(tmp_path: Path) -> None:
    orders(tmp_path, 10)
    with Receiver(port=0) as receiver:
        write(tmp_path, one=receiver.url, two=receiver.url)
        following(tmp_path)
        with running(tmp_path) as (_, port):
            port.until(lambda seen: [lane["delivered"] for lane in seen["lanes"]] == [20, 20])
            _, by_state, _ = waypost("top", "--state", "state", "--json", cwd=tmp_path)
            assert [lane["connection"] for lane in json.loads(by_state)["lanes"]] == ["one", "two"]
            table = waypost("top", port.url, cwd=tmp_path)[1].splitlines()
            assert table[1].split() == [
                "connection",
                "source",
                "state",
                "rate",
                "lag",
                "in",
                "flight",
                "breaker",
                "oldest",
                "delivered",
                "dead",
            ]
            assert table[2].split() == ["one", "all", "running", "0", "B", "0", "closed", "0.0", "s", "20", "0"]
    status, _, said = waypost("top", port.url, "--json", cwd=tmp_path)
    assert status == 2
    assert said.startswith(f"waypost: no engine answers at {port.url}: ")
    (tmp_path / "state" / "listening").unlink()
    _, _, said = waypost("tap", "--state", "state", cwd=tmp_path)
    assert said.startswith("waypost: no engine with --listen is at work")
    assert "is no address of an engine" in waypost("top", "nowhere", cwd=tmp_path)[2]
    assert "not both" in waypost("top", "9090", "--state", "state", cwd=tmp_path)[2]


@pytest.mark.parametrize("command", ["top", "tap"])
def test_ctrl_c_leaves_quietly(command: str, tmp_path: Path) -> None:
    orders(tmp_path, 10)
    with Receiver(port=0, script="200:delay=0.01") as receiver:
        write(tmp_path, one=receiver.url)
        following(tmp_path)
        with running(tmp_path) as (_, port):
            master, slave = pty.openpty()
            process = subprocess.Popen(
                [sys.executable, "-m", "waypost", command, port.url],
                stdout=slave,
                stderr=slave,
                cwd=tmp_path,
                env={**os.environ, "TERM": "xterm", "COLUMNS": "200"},
            )
            os.close(slave)
            found = b""
            mark = b"running" if command == "top" else b"Bearer <key>"
            for number in range(200):
                event = {"type": "identify", "userId": "u", "messageId": f"m{number}"}
                with (tmp_path / "events.ndjson").open("a") as file:
                    file.write(json.dumps(event) + "\n")
                if select.select([master], [], [], 0.2)[0]:
                    found += os.read(master, 1 << 16)
                if mark in found:
                    break
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(OSError):
                while chunk := os.read(master, 1 << 16):
                    found += chunk
            os.close(master)
            assert process.wait(30) == 0
    assert mark in found
    assert b"Traceback" not in found


# The log.


def test_log_is_one_object_a_line(tmp_path: Path) -> None:
    """Every kind of notice a service has. Mutation that turns this red: `logs.as_json` that leaves standard error as it is."""
    orders(tmp_path, 300)
    with Receiver(port=0, script="503x6,200:delay=0.01") as receiver:
        write(tmp_path, one=receiver.url)
        following(tmp_path)
        with running(tmp_path, "--log", "json") as (engine, port):
            port.until(lambda seen: seen["lanes"][0]["delivered"] == 600)
            (tmp_path / "waypost.yaml").write_text((tmp_path / "waypost.yaml").read_text() + "nonsense: 1\n")
            engine.process.send_signal(signal.SIGHUP)
            assert engine.heard("reload_refused"), engine.said
            write(tmp_path, one=receiver.url, two=receiver.url)
            following(tmp_path)
            engine.process.send_signal(signal.SIGHUP)
            assert engine.heard('"reload"'), engine.said
            engine.process.send_signal(signal.SIGTERM)
            assert engine.end() in (0, 5), engine.said
    rows = [json.loads(line) for line in engine.said]
    for row in rows:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["time"])
        assert row["level"] in ("info", "warning", "error")
        assert row["message"]
    kinds = [row["event"] for row in rows]
    assert set(kinds) <= set(EVENTS)
    assert [kind for kind in kinds if kind != "summary"] == [
        "listening",
        "outage",
        "recovery",
        "text",
        "reload_refused",
        "reload",
        "stopping",
    ]
    of = {row["event"]: row for row in rows}
    assert "nonsense" in of["text"]["message"]
    assert (of["outage"]["connection"], of["outage"]["source"], of["outage"]["reason"]) == (
        "one",
        "all",
        "it answers 503",
    )
    assert of["reload"]["lanes"] == 2
    summaries = {row["connection"]: row for row in rows if row["event"] == "summary"}
    assert set(summaries) == {"one", "two"}
    assert (summaries["one"]["delivered"], summaries["one"]["closes"]) == (600, True)


def test_refusal_is_a_record_too(tmp_path: Path) -> None:
    status, _, err = waypost("run", "segment", "--log", "json", "nowhere.ndjson", cwd=tmp_path)
    assert status == 2
    # All that is missing is told at once: the key and the file.
    rows = [json.loads(line) for line in err.splitlines()]
    assert [(row["level"], row["event"]) for row in rows] == [("error", "text")] * 2
    assert "source_write_key" in rows[0]["message"]
    assert "nowhere.ndjson" in rows[1]["message"]


def test_one_write_of_many_lines_is_one_record() -> None:
    import io

    out = io.StringIO()
    lines = logs.Lines(out)
    lines.write("Traceback\n")
    lines.write("  line\n")
    lines.flush()
    lines.flush()
    lines.write("waypost: warning: careful\n")
    lines.flush()
    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(row["level"], row["message"]) for row in rows] == [
        ("error", "Traceback\n  line"),
        ("warning", "careful"),
    ]


@pytest.mark.parametrize("kind", ["plain", "gzip", "pattern", "removed", "refused", "emptied"])
def test_sources_that_have_ended_are_shown_beside_one_that_goes_on(kind: str, tmp_path: Path) -> None:
    """A lane that has read its files to the end is looked at with the others: its files are closed by then."""
    data = b"".join(b'{"type":"track","messageId":"m%d"}\n' % number for number in range(20))
    (tmp_path / "events.ndjson").write_bytes(gzip.compress(data) if kind == "gzip" else data)
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "one.yaml").write_text(
        "spec: 1\nname: one\nsettings: {}\nrequest: {post: https://api.one.example/v1, body: $message}\n"
        "actions: {send: {trigger: all, mapping: {id: $.messageId}}}\n".replace(
            "trigger: all", 'trigger: type = "track"'
        )
    )
    files = "'*.ndjson'" if kind == "pattern" else "events.ndjson"
    (tmp_path / "waypost.yaml").write_text(
        "connections: {one: {destination: ./plan/one.yaml, sources: [old, web]}}\n"
        f'sources: {{old: {{files: {files}}}, web: {{http: "127.0.0.1:0", write_keys: [env:WEB_KEY]}}}}\n'
    )
    with (
        Receiver(port=0, answer=lambda request: Reply(401 if kind == "refused" else 200)) as receiver,
        running(tmp_path, "--endpoint-override", receiver.url) as (engine, port),
    ):
        wanted = "stopped" if kind == "refused" else "ended"
        port.until(
            lambda found: any(lane["source"] == "old" and lane["state"] in (wanted, "ended") for lane in found["lanes"])
        )
        if kind == "removed":
            (tmp_path / "events.ndjson").unlink()
        elif kind == "emptied":
            (tmp_path / "events.ndjson").write_bytes(b"")
        for path in ("/lanes", "/metrics", "/ready", "/live"):
            assert port.get(path)[0] in (200, 503), path
        lanes = {lane["source"]: lane for lane in json.loads(port.get("/lanes")[1])["lanes"]}
        assert lanes["web"]["state"] == "running"
        if kind != "refused":
            assert lanes["old"]["lag_bytes"] == 0
        status, _, said = waypost("top", port.url, "--once", cwd=tmp_path)
        assert status == 0, said
        engine.process.send_signal(signal.SIGTERM)
        assert engine.end() in (0, 4)
        assert not any("Traceback" in line for line in engine.said)
