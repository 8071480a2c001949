"""The transport against servers on loopback that misbehave in each phase of an exchange: what left and what did not, told exactly."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waypost.delivery.outcome import BODY_LIMIT, Answer
from waypost.http.receiver import Receiver
from waypost.http.transport import Transport
from waypost.program.request.render import Wire

Talk = Callable[[socket.socket, threading.Event], None]
"""What a server does with one connection; the event says that the test is over."""


@contextlib.contextmanager
def server(talk: Talk) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives each connection to `talk`: its url, and a list with one entry a connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    over, seen, threads = threading.Event(), list[bytes](), list[threading.Thread]()

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            talk(connection, over)

    def accept() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            seen.append(b"")
            thread = threading.Thread(target=serve, args=(connection,), daemon=True)
            thread.start()
            threads.append(thread)

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x", seen
    finally:
        over.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(5)
        for thread in threads:
            thread.join(5)


def wire(url: str, body: bytes = b"{}", headers: list[tuple[str, str]] | None = None) -> Wire:
    return Wire("POST", url, headers or [], body, len(body))


def attempt(url: str, body: bytes = b"{}", timeout_s: float = 5.0, times: int = 1, **options: Any) -> list[Answer]:
    async def go() -> list[Answer]:
        transport = Transport(**options)
        try:
            return [await transport.send(wire(url, body), timeout_s) for _ in range(times)]
        finally:
            await transport.close()

    return asyncio.run(go())


def patiently(url: str, status: str) -> Answer:
    """An attempt whose time is up, with as little time as gives this status: how soon a connection stands depends on the machine."""
    for timeout_s in (0.2, 1.0, 5.0, 25.0):
        (answer,) = attempt(url, timeout_s=timeout_s)
        if answer.status == status:
            break
    return answer


def take(connection: socket.socket) -> bytes:
    """A whole request."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0
    )
    while len(rest) < length:
        rest += connection.recv(65536)
    return head + b"\r\n\r\n" + rest


def reset(connection: socket.socket) -> None:
    """Closes with a reset rather than an orderly end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


def test_refused_connection_is_unsent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/secret-path"
    (answer,) = attempt(url)
    assert answer.status == "unsent"
    assert "127.0.0.1" in answer.error
    assert "secret" not in answer.error


def test_reset_before_the_request_was_read_is_unanswered() -> None:
    """A byte can have left: whether it was read nobody knows. Mutation: `_trace` that never sets `_left`."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(1)
        reset(connection)

    with server(talk) as (url, _):
        (answer,) = attempt(url, b"x" * (8 << 20))
    assert answer.status == "unanswered"


def test_reset_after_the_request_is_unanswered() -> None:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        take(connection)
        reset(connection)

    with server(talk) as (url, _):
        assert attempt(url)[0].status == "unanswered"


def test_no_answer_in_time_is_unanswered() -> None:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        take(connection)
        over.wait(20)

    with server(talk) as (url, _):
        answer = patiently(url, "unanswered")
    assert answer.status == "unanswered"
    assert answer.error == "127.0.0.1: no answer in time"


def test_stalled_tls_is_unsent() -> None:
    """No byte of the request leaves before the handshake is done. Mutation: TimeoutError as "unanswered" whatever left."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        over.wait(20)

    with server(talk) as (url, seen):
        for timeout_s in (0.3, 1.0, 5.0, 25.0):
            (answer,) = attempt(url.replace("http:", "https:"), timeout_s=timeout_s)
            assert answer.status == "unsent"
            if seen:
                break
    assert seen


def test_no_free_connection_is_unsent() -> None:
    taken, refused = threading.Event(), threading.Event()

    def talk(connection: socket.socket, over: threading.Event) -> None:
        take(connection)
        taken.set()
        refused.wait(60)

    async def go(url: str) -> list[Answer]:
        transport = Transport(1)
        first = asyncio.create_task(transport.send(wire(url), 60.0))
        await asyncio.to_thread(taken.wait, 60)
        second = await transport.send(wire(url), 0.1)
        refused.set()
        try:
            return [await first, second]
        finally:
            await transport.close()

    with server(talk) as (url, _):
        assert [answer.status for answer in asyncio.run(go(url))] == ["unanswered", "unsent"]


@pytest.mark.parametrize("how", ["cut", "drip"])
def test_status_counts_when_the_body_behind_it_does_not_come(how: str) -> None:
    """An acknowledgement is one though its body was cut: else the messages would be sent twice. Mutation: `send` without `_response`."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        take(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
        while how == "drip" and not over.wait(0.02):
            connection.sendall(b" ")

    with server(talk) as (url, _):
        answer = patiently(url, "200")
    assert (answer.status, answer.cut, answer.body[:1]) == ("200", True, b"{")
    assert answer.error


def test_redirect_of_a_write_is_not_followed() -> None:
    with Receiver(port=0) as other:

        def talk(connection: socket.socket, over: threading.Event) -> None:
            take(connection)
            connection.sendall(f"HTTP/1.1 307 X\r\nlocation: {other.url}\r\ncontent-length: 0\r\n\r\n".encode())

        with server(talk) as (url, _):
            (answer,) = attempt(url)
        assert answer.status == "307"
        assert other.requests == []


def keep_alive(connection: socket.socket, over: threading.Event) -> None:
    while take(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


def test_connection_is_kept_alive_and_not_for_ever() -> None:
    """A destination's addresses change. Mutation: `_current` that always gives the first pool."""
    with server(keep_alive) as (url, seen):
        assert {answer.status for answer in attempt(url, times=5)} == {"200"}
        assert len(seen) == 1
        attempt(url, times=3, max_age_s=-1.0)
        assert len(seen) == 4


def test_old_pools_are_closed_when_their_requests_have_ended() -> None:
    async def go(url: str) -> int:
        transport = Transport(max_age_s=-1.0)
        for _ in range(5):
            await transport.send(wire(url), 5.0)
        kept = len(transport._old)
        await transport.close()
        return kept

    with server(keep_alive) as (url, _):
        assert asyncio.run(go(url)) == 0


def test_request_under_way_outlives_its_pools_age() -> None:
    """Mutation: `_close_idle` without `users`."""

    begun, others = threading.Event(), threading.Event()

    def talk(connection: socket.socket, over: threading.Event) -> None:
        if b"slow" in take(connection):
            begun.set()
            others.wait(60)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async def go(url: str) -> list[str]:
        transport = Transport(max_age_s=-1.0)
        slow = asyncio.create_task(transport.send(wire(url, b"slow"), 60.0))
        await asyncio.to_thread(begun.wait, 60)
        quick = [await transport.send(wire(url), 60.0) for _ in range(3)]
        others.set()
        found = [answer.status for answer in [*quick, await slow]]
        await transport.close()
        return found

    with server(talk) as (url, _):
        assert asyncio.run(go(url)) == ["200"] * 4


def test_proxy_is_ignored_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Receiver(port=0) as receiver:
        assert attempt(receiver.url)[0].status == "200"


def test_refused_proxy_leaves_it_unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request that opens a tunnel is not ours. Mutation: `_trace` without the CONNECT test."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        take(connection)
        over.wait(20)

    with server(talk) as (url, _):
        monkeypatch.setenv("HTTPS_PROXY", url.removesuffix("/x"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert attempt("https://destination.invalid/x", timeout_s=0.3)[0].status == "unsent"


@pytest.mark.parametrize(
    ("encoding", "body", "kept"),
    [
        ("gzip", gzip.compress(b"\0" * (32 << 20), 9), b"\0" * BODY_LIMIT),
        ("gzip", gzip.compress(b'{"a":1}'), b'{"a":1}'),
        ("gzip", b"this is not gzip", b""),
        ("identity", b"y" * (1 << 20), b"y" * BODY_LIMIT),
    ],
    ids=["bomb", "packed", "broken", "long"],
)
def test_response_bodies_are_bounded(encoding: str, body: bytes, kept: bytes) -> None:
    """P15: a bomb is unpacked no further than what is kept. Mutation: `decompress(chunk)` without the room."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        take(connection)
        head = f"HTTP/1.1 400 X\r\ncontent-encoding: {encoding}\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    tracemalloc.start()
    try:
        with server(talk) as (url, _):
            (answer,) = attempt(url)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (answer.status, answer.body, answer.cut) == ("400", kept, False)
    assert peak < 8 << 20


def test_endless_headers_are_unanswered() -> None:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        take(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not over.is_set():
            connection.sendall(b"x-a: " + b"y" * 8000 + b"\r\n")

    with server(talk) as (url, _):
        assert attempt(url)[0].status == "unanswered"


@pytest.fixture(scope="module")
def looking() -> Iterator[Receiver]:
    with Receiver(port=0) as receiver:
        yield receiver


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=8))
def test_no_value_makes_a_header_of_its_own(looking: Receiver, values: list[str]) -> None:
    """Whatever stands in a value, the server sees the headers that were written. Mutation: `_CONTROL` left out."""
    hostile = [*values, "a\r\nx-injected: 1", "b\nx-injected: 1", "\x00", "c\r\n\r\nPOST /y HTTP/1.1"]

    async def go(url: str) -> Answer:
        transport = Transport()
        try:
            headers = [(f"x-{number}", value) for number, value in enumerate(hostile)]
            return await transport.send(wire(url, headers=headers), 5.0)
        finally:
            await transport.close()

    answer = asyncio.run(go(looking.url))
    assert answer.status == "200", answer.error
    request = looking.requests[-1]
    names = {name.lower() for name in request.headers}
    assert "x-injected" not in names
    assert {f"x-{number}" for number in range(len(hostile))} <= names


def test_url_that_cannot_be_sent_to_is_unsent() -> None:
    assert attempt("http://[/")[0].status == "unsent"
