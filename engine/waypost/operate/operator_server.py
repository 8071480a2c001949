"""The port of an operator (`--listen`): /live, /ready, /metrics, /lanes and /tap.

Takes an address, then the engine when it begins. Gives a small HTTP/1.1 server in the engine's loop: GET only, an answer a connection,
everything bounded. It is bound before the engine begins, so that an address that is taken changes nothing.

A fault of ours in a page is that page's alone: it is answered 500 with the fault's type and place, told once, and all else goes on.

What it shows holds no secret. /tap shows customers' data: only this machine gets it, whatever the address. A page in a browser must not get at
it either, so a port on loopback answers only to names of loopback (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from waypost.engine.engine import Engine
from waypost.engine.taps import Follower
from waypost.events.guard import Guard, told
from waypost.events.notices import Notice
from waypost.http.accepting import Accepting, idlest, places
from waypost.http.listening import bind, is_loopback, name_of
from waypost.operate.metrics import CONTENT_TYPE, text
from waypost.operate.snapshot import Looking, as_data

HEAD, HEAD_S = 16 << 10, 10.0
"""The most bytes of a request's head, and how long it may take."""

ANSWER_S = 30.0
"""How long a client may take to read an answer."""

CLIENTS = 64
"""So many connections at once, and at most this share of the process's descriptors; more wait until some close."""

SHARE = 0.125

IDLE_S = 1.0
"""Where there is no room for another connection, one that has not asked for anything within so long is closed."""

FOLLOWERS = 8

FILE = "listening"
"""In the state's folder: the address of the engine that is at work on it."""

REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

JSON = "application/json"
LINES = "application/x-ndjson"


Page = Callable[[], Awaitable[tuple[int, str, bytes]]]
"""Gives status, content type and body."""


class Watching:
    """State: the sockets, the connections, and the engine while it works."""

    def __init__(self, host: str, port: int) -> None:
        """Raises listening.Taken."""
        self._sockets = bind(host, port)
        self.address = name_of(self._sockets[0].getsockname())
        self._local = is_loopback(host)
        self._server: Accepting | None = None
        self._asking: dict[asyncio.Task[None], float] = {}
        self._clients: set[asyncio.Task[None]] = set()
        self._file: Path | None = None
        self._guard = Guard()
        self._said: set[str] = set()
        self._engine: Engine
        self._looking: Looking

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    async def start(self, engine: Engine) -> None:
        self._engine = engine
        self._looking = Looking(engine)
        self._limit = places(CLIENTS, SHARE)
        counted = (self._limit, lambda: len(self._clients), self._make_room)
        self._server = Accepting(self._sockets, self._protocol, *counted, engine.options.notice, self.address)
        if engine.store is not None:
            self._file = engine.store.folder / FILE
            # Only for those who look; a disk that is full says so where it matters.
            with contextlib.suppress(OSError):
                self._file.write_text(self.url + "\n", encoding="utf-8")
        wide = "" if self._local else "; other machines can reach it"
        engine.options.notice(Notice(f"metrics and health on {self.url}{wide}", "listening", address=self.address))

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for one in self._sockets:
            one.close()
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        if self._server is not None:
            self._looking.close()
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def _protocol(self) -> asyncio.BaseProtocol:
        reader = asyncio.StreamReader(limit=HEAD)
        return asyncio.StreamReaderProtocol(reader, self._connected)

    def _make_room(self) -> None:
        before = asyncio.get_running_loop().time() - IDLE_S
        for task in idlest([(since, task) for task, since in self._asking.items()], before, self._limit):
            task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)
        try:
            # A client that goes away or dawdles is not news.
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        except asyncio.CancelledError:
            # The engine ends, or another wants the place. (A task that ends cancelled would be reported by asyncio's streams.)
            writer.transport.abort()
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._asking[task] = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(HEAD_S):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            await self._say(writer, 400, "the request's head is too large")
            return
        finally:
            del self._asking[task]
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            await self._say(writer, 400, "the request is not HTTP/1.1")
            return
        method, target, _ = words
        if method not in ("GET", "HEAD"):
            await self._say(writer, 405, "only GET is answered here", {"allow": "GET, HEAD"})
            return
        hosts = [line.partition(":")[2].strip() for line in lines[1:] if line.lower().startswith("host:")]
        if self._local and not all(is_loopback(_host(host)) for host in hosts):
            await self._say(writer, 403, "this port answers only to a name of this machine, such as 127.0.0.1")
            return
        await self._route(method, target, reader, writer)

    async def _route(
        self, method: str, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        except ValueError:
            await self._say(writer, 400, "the request's path cannot be read")
            return
        answers: dict[str, Page] = {
            "/live": self._live,
            "/ready": self._ready,
            "/metrics": self._metrics,
            "/lanes": self._lanes,
        }
        if path == "/tap":
            await self._tap(query, reader, writer)
        elif path in answers:
            status, kind, body = await self._guarded(path, answers[path])
            await self._answer(writer, status, kind, body, head_only=method == "HEAD")
        else:
            await self._say(writer, 404, f"there is nothing here: ask for {', '.join(sorted([*answers, '/tap']))}")

    async def _guarded(self, path: str, page: Page) -> tuple[int, str, bytes]:
        """A page, or 500 with what went wrong in it; that is raised where the guard is off."""
        try:
            return await page()
        except Exception as error:
            return 500, JSON, _json({"error": self._fault(path, error)})

    def _fault(self, path: str, error: Exception) -> str:
        if not self._guard.on:
            raise error
        said = f"a fault of waypost: {told(error)}, in the page {path}; it cannot be shown, the rest goes on"
        if said not in self._said:
            self._said.add(said)
            self._engine.options.notice(Notice(said, "fault", level="error"))
        return said

    async def _live(self) -> tuple[int, str, bytes]:
        """The loop turns: it has answered."""
        return 200, JSON, _json({"live": True})

    async def _ready(self) -> tuple[int, str, bytes]:
        why = await self._looking.not_ready()
        said: dict[str, Any] = {"ready": not why, "why": list(why)}
        if stopped := self._looking.stopped():
            said["stopped"] = stopped
        return 503 if why else 200, JSON, _json(said)

    async def _metrics(self) -> tuple[int, str, bytes]:
        return 200, CONTENT_TYPE, text(await self._looking.snapshot()).encode()

    async def _lanes(self) -> tuple[int, str, bytes]:
        return 200, JSON, _json(as_data(await self._looking.snapshot(), self._engine.options.clock()))

    async def _tap(
        self, query: dict[str, list[str]], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Records as they come, until the client goes or the engine ends."""
        followers = self._engine.options.taps.followers
        connection, action = (query.get(name, [""])[0] for name in ("connection", "action"))

        async def refusal() -> tuple[int, str, bytes]:
            status, why = self._refusal(writer, connection, action)
            return status, JSON, _json({"error": why})

        status, kind, body = await self._guarded("/tap", refusal)
        if status != 200:
            await self._answer(writer, status, kind, body)
            return
        follower = Follower(connection, action)
        followers.append(follower)
        gone = asyncio.create_task(_ended(reader))
        try:
            # Without a length the answer ends with the connection.
            writer.write(_head(200, LINES, {}))
            while not gone.done():
                for line in follower.take():
                    writer.write(line)
                await writer.drain()
                news = asyncio.create_task(follower.news.wait())
                await asyncio.wait({gone, news}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
        finally:
            followers.remove(follower)
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)

    def _refusal(self, writer: asyncio.StreamWriter, connection: str, action: str) -> tuple[int, str]:
        """The status of an answer to who wants to follow, and why where it is not 200."""
        peer = writer.get_extra_info("peername")
        if not peer or not is_loopback(str(peer[0])):
            return 403, "requests hold customers' data: only this machine may follow them"
        if len(self._engine.options.taps.followers) >= FOLLOWERS:
            return 503, f"{FOLLOWERS} others follow already"
        wrong = self._unknown(connection, action)
        return (404, wrong) if wrong else (200, "")

    def _unknown(self, connection: str, action: str) -> str:
        """What is asked for that is not there."""
        programs = {name: runner.program for (name, _), runner in self._engine.runners.items()}
        if connection and connection not in programs:
            return f"no connection {connection}: there is {', '.join(sorted(programs))}"
        actions = {
            action for name, program in programs.items() if connection in ("", name) for action in program.plan.actions
        }
        if action and action not in actions:
            return f"no action {action}: there is {', '.join(sorted(actions))}"
        return ""

    async def _say(
        self, writer: asyncio.StreamWriter, status: int, message: str, headers: dict[str, str] | None = None
    ) -> None:
        await self._answer(writer, status, JSON, _json({"error": message}), headers=headers or {})

    async def _answer(
        self,
        writer: asyncio.StreamWriter,
        status: int,
        kind: str,
        body: bytes,
        *,
        head_only: bool = False,
        headers: dict[str, str] | None = None,
    ) -> None:
        head = _head(status, kind, {"content-length": str(len(body)), **(headers or {})})
        writer.write(head if head_only else head + body)
        async with asyncio.timeout(ANSWER_S):
            await writer.drain()


async def _ended(reader: asyncio.StreamReader) -> None:
    """Returns when the client has gone."""
    with contextlib.suppress(OSError):
        while await reader.read(HEAD):
            pass


def _head(status: int, kind: str, headers: dict[str, str]) -> bytes:
    every = {
        "content-type": kind,
        "connection": "close",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        **headers,
    }
    rows = "".join(f"{name}: {value}\r\n" for name, value in every.items())
    return f"HTTP/1.1 {status} {REASONS[status]}\r\n{rows}\r\n".encode()


def _host(host: str) -> str:
    """A Host header without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
