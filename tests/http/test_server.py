"""The server of all ports: what uvicorn leaves open is closed, and what an application finds beside ASGI."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from waypost.http import server
from waypost.http.receiver import Received, Receiver, Reply
from waypost.http.server import Bounds, Server

GET = b"GET /a//b?c=%2F HTTP/1.1\r\nhost: x\r\n\r\n"


def refusal(code: str, message: str) -> bytes:
    return f"{code}: {message}".encode()


def serve(app: Any, look: Callable[[str, int, Server], Awaitable[None]], **bounds: Any) -> None:
    """Looks at a server at work."""
    given = {"head": 4096, "head_s": 30.0, "keep_alive_s": 30.0, "connections": 50, "idle_s": 30.0, "refusal": refusal}

    async def go() -> None:
        held = Server(app, "127.0.0.1", 0, Bounds(**{**given, **bounds}))
        await held.start()
        try:
            host, port = held.addresses[0].split(":")
            await asyncio.wait_for(look(host, int(port), held), 30)
        finally:
            await held.stop(0)

    asyncio.run(go())


async def said(scope: Any, receive: Any, send: Any, body: bytes = b"well", **headers: str) -> None:
    rows = [(b"content-length", b"%d" % len(body)), *((name.encode(), text.encode()) for name, text in headers.items())]
    await send({"type": "http.response.start", "status": 200, "headers": rows})
    await send({"type": "http.response.body", "body": body})


async def ask(host: str, port: int, data: bytes, *, half: bool = False) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(data)
    if half:
        writer.write_eof()
    with contextlib.suppress(ConnectionError):
        found = await reader.read()
        writer.close()
        return found
    return b""


def test_target_is_as_it_came() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await said(scope, receive, send, scope["state"]["target"], connection="close")

    async def look(host: str, port: int, _: Server) -> None:
        assert (await ask(host, port, GET)).endswith(b"\r\n\r\n/a//b?c=%2F")

    serve(app, look)


def test_cut_is_no_answer() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["cut"]()

    async def look(host: str, port: int, _: Server) -> None:
        assert await ask(host, port, GET) == b""

    serve(app, look)


def test_client_that_has_closed_its_side_is_answered_and_known() -> None:
    halves: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while not scope["state"].get("half"):
            await asyncio.sleep(0)
        halves.append(scope["state"]["half"])
        await said(scope, receive, send)

    async def look(host: str, port: int, _: Server) -> None:
        assert (await ask(host, port, GET, half=True)).endswith(b"well")

    serve(app, look)
    assert halves == [True]


@pytest.mark.parametrize("kept", [False, True], ids=["closed", "kept"])
def test_answer_that_nobody_reads_is_let_go(kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation that turns this red: `leave` without `call_later`."""
    monkeypatch.setattr(server, "ANSWER_S", 0.05)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        # More than the system's buffers of both sides take.
        await said(scope, receive, send, bytes(32 << 20), **({} if kept else {"connection": "close"}))

    async def look(host: str, port: int, held: Server) -> None:
        with socket.create_connection((host, port)) as one:
            one.sendall(GET)
            state = held._server.server_state
            while not state.total_requests:
                await asyncio.sleep(0)
            while state.connections:
                await asyncio.sleep(0)

    serve(app, look, keep_alive_s=0.05)


@pytest.mark.parametrize("drain_s", [20, 0])
def test_stop_waits_for_what_is_under_way_as_long_as_it_is_told(drain_s: float) -> None:
    begun, go_on = threading.Event(), threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        while not go_on.is_set():
            await asyncio.sleep(0)
        await said(scope, receive, send)

    async def look(host: str, port: int, held: Server) -> None:
        asking = asyncio.create_task(ask(host, port, GET))
        while not begun.is_set():
            await asyncio.sleep(0)
        stopping = asyncio.create_task(held.stop(drain_s))
        # Long after it has begun to stop.
        for _ in range(50):
            await asyncio.sleep(0)
        assert stopping.done() is (not drain_s)
        go_on.set()
        assert (await asking).startswith(b"HTTP/1.1 200") is bool(drain_s)
        await stopping

    serve(app, look)


def test_answers_of_a_receiver_that_wait_hold_up_no_others() -> None:
    """More at once than a pool has threads. Mutation that turns this red: `asyncio.run` in place of `run_to_end`."""
    all_there = threading.Barrier(60)

    def answer(request: Received) -> Reply:
        all_there.wait(30)
        return Reply(body=request.path.encode())

    async def go(url: str) -> list[str]:
        async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
            return [one.text for one in await asyncio.gather(*(client.get(f"{url}/{n}") for n in range(60)))]

    with Waiting(answer) as receiver:
        assert asyncio.run(go(receiver.url)) == [f"/{n}" for n in range(60)]


class Waiting(Receiver):
    """A receiver that answers without its lock."""

    def __init__(self, answer: Callable[[Received], Reply]) -> None:
        super().__init__(port=0, answer=answer)
        self._without = answer

    def take(self, request: Received) -> Reply:
        return self._without(request)
