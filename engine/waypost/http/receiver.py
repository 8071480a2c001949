"""A local HTTP server that shows what arrives, and misbehaves when told to: for looking at the wire, for the demo and for tests.

Takes a script of answers (`200,429:retry-after=2,500x3,cut`; the last one repeats). Gives the requests as they came. It knows nothing of any
destination.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TextIO

from waypost.http.accepting import places
from waypost.http.listening import LOOPBACK
from waypost.http.loop import run_to_end
from waypost.http.server import Bounds, Server

BODY_LIMIT = 64 << 20

HEAD, PATIENCE_S, CONNECTIONS = 1 << 20, 3600.0, 8192
"""It bears what a sender on one's own machine may do wrong: large heads, long pauses."""


class ScriptError(ValueError):
    """A script that cannot be read. One clear line."""


@dataclass(frozen=True)
class Reply:
    """`status` 0 is a cut: the connection is closed without an answer (after reading the request)."""

    status: int = 200
    delay_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"success":true}'


@dataclass(frozen=True)
class Received:
    """A request: `body` is decompressed, `size` as it came. `status` is what was answered (0: cut)."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    size: int
    status: int


def parse_script(text: str) -> list[Reply]:
    """`STATUS[xN][:name=value...]` or `cut`, comma-separated. Names: `delay` (seconds), `body`, or a header."""
    replies: list[Reply] = []
    for part in text.split(","):
        head, *pairs = part.strip().split(":")
        status, _, times = head.partition("x")
        if status != "cut" and not (status.isdecimal() and 100 <= int(status) <= 599):
            raise ScriptError(f"`{part.strip()}` is no answer: expected a status such as 429, or `cut`")
        if times and not (times.isdecimal() and int(times) > 0):
            raise ScriptError(f"`{head}`: expected a count after the x, such as 500x3")
        reply = _reply(0 if status == "cut" else int(status), pairs)
        replies += [reply] * int(times or 1)
    return replies


def _reply(status: int, pairs: list[str]) -> Reply:
    delay, body, headers = 0.0, b'{"success":true}' if 200 <= status < 300 else b"", {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise ScriptError(f"`{pair}`: expected name=value")
        if name == "delay":
            try:
                delay = float(value)
            except ValueError:
                raise ScriptError(f"`{pair}`: expected seconds") from None
        elif name == "body":
            body = value.encode()
        else:
            headers[name] = value
    return Reply(status, delay, headers, body)


def _refusal(code: str, message: str) -> bytes:
    return json.dumps({"code": code, "message": message}).encode()


class Receiver:
    """A server on loopback. State: the requests that came. Use as a context manager; `answer` may decide each reply in code, and may wait."""

    def __init__(
        self,
        host: str = LOOPBACK,
        port: int = 8080,
        script: str = "200",
        answer: Callable[[Received], Reply] | None = None,
    ) -> None:
        """Raises ScriptError, and listening.Taken."""
        self.requests: list[Received] = []
        self.arrived = threading.Condition()
        self._replies = parse_script(script)
        self._answer = answer
        self._count = 0
        bounds = Bounds(HEAD, PATIENCE_S, PATIENCE_S, places(CONNECTIONS, 0.5), PATIENCE_S, _refusal)
        self._server = Server(self._take, host, port, bounds)
        self._thread = threading.Thread(target=lambda: run_to_end(self._serve()), daemon=True)
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._over: asyncio.Event

    @property
    def url(self) -> str:
        return f"http://{self._server.addresses[0]}"

    def __enter__(self) -> Receiver:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def serve(self) -> None:
        """Serves until interrupted."""
        run_to_end(self._serve())

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        await self._server.start()
        self._started.set()
        try:
            await self._over.wait()
        finally:
            await self._server.stop(0)

    def take(self, request: Received) -> Reply:
        """Notes a request and says what to answer."""
        with self.arrived:
            reply = self._answer(request) if self._answer else self._replies[min(self._count, len(self._replies) - 1)]
            self._count += 1
            self.requests.append(
                Received(request.method, request.path, request.headers, request.body, request.size, reply.status)
            )
            self.arrived.notify_all()
        return reply

    async def _take(self, scope: Any, receive: Any, send: Any) -> None:
        """As an ASGI application."""
        raw = await _body(receive)
        if raw is None:
            # The sender went away in the middle: nobody is there to answer, and half a request is none.
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        target = scope["state"]["target"].decode("latin-1")
        request = Received(scope["method"], target, headers, _decompressed(raw, headers), len(raw), 0)
        try:
            # An answer in code may wait for something.
            reply = await asyncio.to_thread(self.take, request) if self._answer else self.take(request)
        except Exception:
            reply = Reply(0)
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        if reply.status == 0:
            scope["state"]["cut"]()
            await _body(receive)
            return
        body = b"" if reply.status in (204, 304) else reply.body
        rows = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
        rows.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": reply.status, "headers": rows})
        await send({"type": "http.response.body", "body": body})


async def _body(receive: Any) -> bytes | None:
    """The body, as much as is kept of it; None when it was cut."""
    found, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        found += message["body"][: BODY_LIMIT - len(found)]
        more = message["more_body"]
    return bytes(found)


def _decompressed(body: bytes, headers: dict[str, str]) -> bytes:
    if headers.get("content-encoding", "").lower() != "gzip":
        return body
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error):
        return body


def show(request: Received, out: TextIO) -> None:
    """One request as an NDJSON record, credentials masked."""
    try:
        body: Any = json.loads(request.body) if request.body else None
    except ValueError:
        body = request.body.decode(errors="replace")
    masked = {
        name: ("***" if name in ("authorization", "proxy-authorization", "x-api-key") else value)
        for name, value in request.headers.items()
    }
    row = {
        "method": request.method,
        "path": request.path,
        "headers": masked,
        "body": body,
        "bytes": request.size,
        "answered": request.status or "cut",
    }
    out.write(json.dumps(row, ensure_ascii=False) + "\n")
    out.flush()
