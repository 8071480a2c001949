"""Connections in bounds: idle ones starve nobody, no descriptor is no flood of log, and a request that drips ends when it must."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_ingest import batch, request, serve, talk

from journals import MemoryJournal
from running import Engine, free_port
from waypost.http.accepting import Accepting, idlest, places
from waypost.http.receiver import Receiver
from waypost.sources import ingest_server
from waypost.sources.ingest import Ingest


@contextlib.contextmanager
def idle(address: str, count: int) -> Iterator[list[socket.socket]]:
    """So many connections that say nothing."""
    host, _, port = address.rpartition(":")
    held = [socket.create_connection((host, int(port)), timeout=10) for _ in range(count)]
    try:
        yield held
    finally:
        for one in held:
            one.close()


def test_idle_connections_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit the longest idle ones make room; it is said once, and again when there is room."""
    monkeypatch.setattr(ingest_server, "CONNECTIONS", 6)
    monkeypatch.setattr(ingest_server, "IDLE_S", 0.0)
    said: list[str] = []

    async def go(ingest: Ingest, address: str) -> None:
        state = ingest._servers[0]._server.server_state

        def others() -> None:
            with idle(address, 20):
                for _ in range(3):
                    assert talk(address, request(batch(1), "Connection: close")).startswith(b"HTTP/1.1 200")
                    assert len(state.connections) <= 6

        await asyncio.to_thread(others)
        while state.connections or len(said) < 2:
            await asyncio.sleep(0)

    serve(go, MemoryJournal(), notice=said.append)
    assert ["which is the limit" in said[0], "room for connections again" in said[1]] == [True, True]
    assert len(said) == 2


def test_without_a_descriptor_it_pauses_says_so_once_and_goes_on() -> None:
    """What asyncio does then: a traceback for each place of the backlog, every second."""

    class Spent(socket.socket):
        left = 3
        asked = 0

        def accept(self) -> tuple[socket.socket, object]:
            Spent.asked += 1
            if Spent.left:
                Spent.left -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    said: list[str] = []

    async def go() -> None:
        made: asyncio.Queue[asyncio.BaseTransport] = asyncio.Queue()

        class Kept(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                made.put_nowait(transport)

        with Spent(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            accepting = Accepting([listening], Kept, 10, lambda: 0, lambda: None, said.append, "here")
            with socket.create_connection(listening.getsockname()):
                transport = await asyncio.wait_for(made.get(), 10)
                transport.close()
            accepting.close()
            await accepting.wait_closed()

    asyncio.run(go())
    assert Spent.asked <= 5
    assert said == [
        "here: 0 connections are open, and the system has no room for more (Too many open files); others wait until some close",
        "here: there is room for connections again",
    ]


@pytest.mark.parametrize(
    ("soft", "found"), [(200, 100), (1024, 512), (1 << 20, 8192), (resource.RLIM_INFINITY, 8192), (5, 4)]
)
def test_delivery_keeps_its_share_of_the_descriptors(soft: int, found: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (soft, soft))
    assert places(ingest_server.CONNECTIONS, ingest_server.SHARE) == found


def test_the_longest_idle_go_first_and_only_a_few_at_a_time() -> None:
    rows = [(float(at), f"c{at}") for at in (5, 1, 9, 3)]
    assert idlest(rows, 5.0, 64) == ["c1", "c3", "c5"]
    assert idlest(rows, 5.0, 4) == ["c1"]
    assert idlest(rows, 0.0, 64) == []


def drip(address: str, head: bytes, piece: bytes, most_s: float = 20.0) -> bytes:
    """Sends a head, then a piece every few milliseconds, until the other side has closed; gives what came back."""
    host, _, port = address.rpartition(":")
    came, until = b"", time.monotonic() + most_s
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(head)
        while time.monotonic() < until:
            if select.select([client], [], [], 0.005)[0]:
                try:
                    data = client.recv(65536)
                except ConnectionResetError:
                    return came
                if not data:
                    return came
                came += data
            try:
                client.sendall(piece)
            except OSError:
                return came
    raise AssertionError("the connection is still held")


GET = b"GET /live HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
CHUNKED = request(b"", "Transfer-Encoding: chunked")


@pytest.mark.parametrize(
    ("head", "piece", "statuses"),
    [
        (b"POST /v1/batch HTTP/1.1\r\n", b"a", [408]),
        (b"POST /v1/batch HTTP/1.1\r\n", b"a: b\r\n", [408]),
        (request(b"{", length=100_000), b" ", [408]),
        (request(b"{", "Content-Encoding: gzip", length=100_000), b" ", [408]),
        (CHUNKED, b"1\r\n \r\n", [408]),
        (request(batch(1)) + request(b"{", length=100_000), b" ", [200, 408]),
        (request(b"{", path="/nowhere", length=100_000), b" ", [408]),
        (request(b"{", "Content-Encoding: br", length=100_000), b" ", [408]),
        (request(b"{", path="/v1/m", length=100_000), b" ", [408]),
        (GET, b" ", [200]),
        (request(batch(1)), b"\r\n", [200]),
    ],
    ids=["line", "headers", "body", "gzip", "chunked", "second", "nowhere", "encoding", "metrics", "probe", "between"],
)
def test_request_that_drips_ends_in_time(
    head: bytes, piece: bytes, statuses: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Head and body have one deadline together, whatever has become of the request, and nothing that is no request keeps a connection."""
    monkeypatch.setattr(ingest_server, "HEAD_S", 0.3)
    monkeypatch.setattr(ingest_server, "KEEP_ALIVE_S", 0.3)

    async def go(ingest: Ingest, address: str) -> None:
        came = await asyncio.to_thread(drip, address, head, piece)
        assert [int(part[:3]) for part in came.split(b"HTTP/1.1 ")[1:]] == statuses
        [door] = ingest.doors.values()
        while door._load.requests or door._load.held:
            await asyncio.sleep(0)

    serve(go, MemoryJournal())


def test_engine_with_few_descriptors_delivers_beside_many_idle_connections(tmp_path: Path) -> None:
    """250 idle connections at an engine that may open 200 files: it takes events in, delivers them, answers its operator, says so once."""
    (tmp_path / "shop.yaml").write_text(
        "spec: 1\nname: shop\nsettings: {}\nrequest: {post: https://api.shop.example/v1, body: $message}\n"
        'actions: {send: {trigger: type = "track", mapping: {id: $.messageId}}}\n'
    )
    port, watched = free_port(), free_port()
    (tmp_path / "waypost.yaml").write_text(
        "connections: {shop: {destination: ./shop.yaml, sources: [web]}}\n"
        f'sources: {{web: {{http: "127.0.0.1:{port}", write_keys: [env:WEB_KEY]}}}}\n'
    )

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))

    with Receiver(port=0) as receiver:
        words = ("--state", "state", "--endpoint-override", receiver.url, "--listen", str(watched))
        engine = Engine(tmp_path, "run", "waypost.yaml", *words, preexec_fn=few)
        try:
            assert engine.heard("metrics and health")
            until_open(f"127.0.0.1:{port}")
            with idle(f"127.0.0.1:{port}", 250), idle(f"127.0.0.1:{watched}", 60):
                assert engine.heard("which is the limit")
                for number in range(5):
                    body = b'{"batch":[{"type":"track","messageId":"m%d"}],"writeKey":"canary-web-key"}' % number
                    post = (
                        b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                        % len(body)
                    )
                    assert talk_long(f"127.0.0.1:{port}", post + body).startswith(b"HTTP/1.1 200")
                ready = talk_long(f"127.0.0.1:{watched}", b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert ready.startswith(b"HTTP/1.1 200")
                with receiver.arrived:
                    assert receiver.arrived.wait_for(lambda: len(receiver.requests) == 5, 30)
            engine.process.terminate()
            assert engine.end() == 0
        finally:
            engine.process.kill()
    assert sum("which is the limit" in line for line in engine.said) <= 2
    assert len(engine.said) < 30


def until_open(address: str) -> None:
    """Waits until something listens."""
    host, _, port = address.rpartition(":")
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return
    raise AssertionError("nothing listens")


def talk_long(address: str, data: bytes) -> bytes:
    """As `talk`, with patience: the place must be made free first."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=40) as client:
        client.sendall(data)
        came = b""
        while piece := client.recv(65536):
            came += piece
    return came
