"""The port of an operator (`--listen`): /live, /ready, /metrics, /lanes and /tap.

Takes an address, then the engine when it begins. Gives pages on the server that all ports share (http/server.py), in the engine's loop: GET
only, an answer a connection, everything bounded. It is bound before the engine begins, so that an address that is taken changes nothing.

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
from waypost.http.accepting import places
from waypost.http.listening import FILE, is_loopback
from waypost.http.server import Bounds, Server
from waypost.operate.metrics import CONTENT_TYPE, text
from waypost.operate.snapshot import Looking, as_data

HEAD, HEAD_S = 16 << 10, 10.0
"""The most bytes of a request's head, and how long it may take."""

CLIENTS = 64
"""So many connections at once, and at most this share of the process's descriptors; more wait until some close."""

SHARE = 0.125

IDLE_S = 1.0
"""Where there is no room for another connection, one that has not asked for anything within so long is closed."""

FOLLOWERS = 8

JSON = "application/json"
LINES = "application/x-ndjson"

Page = Callable[[], Awaitable[tuple[int, str, bytes]]]
"""Gives status, content type and body."""

Send = Callable[[Any], Awaitable[None]]
Receive = Callable[[], Awaitable[Any]]


class Watching:
    """State: the server, and the engine while it works."""

    def __init__(self, host: str, port: int) -> None:
        """Raises listening.Taken."""
        limit = places(CLIENTS, SHARE)
        refusal = lambda code, message: _json({"error": message})  # noqa: E731
        self._server = Server(self, host, port, Bounds(HEAD, HEAD_S, HEAD_S, limit, IDLE_S, refusal))
        self.address = self._server.addresses[0]
        self._local = is_loopback(host)
        self._file: Path | None = None
        self._guard = Guard()
        self._said: set[str] = set()
        self._engine: Engine
        self._looking: Looking | None = None

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    async def start(self, engine: Engine) -> None:
        self._engine = engine
        self._looking = Looking(engine)
        await self._server.start(engine.options.notice)
        if engine.store is not None:
            self._file = engine.store.folder / FILE
            # Only for those who look; a disk that is full says so where it matters.
            with contextlib.suppress(OSError):
                self._file.write_text(self.url + "\n", encoding="utf-8")
        wide = "" if self._local else "; other machines can reach it"
        engine.options.notice(Notice(f"metrics and health on {self.url}{wide}", "listening", address=self.address))

    async def stop(self) -> None:
        await self._server.stop(0)
        if self._looking is not None:
            self._looking.close()
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """As an ASGI application."""
        if scope["method"] not in ("GET", "HEAD"):
            await _say(send, 405, "only GET is answered here", {"allow": "GET, HEAD"})
            return
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if self._local and not all(is_loopback(_host(host)) for host in hosts):
            await _say(send, 403, "this port answers only to a name of this machine, such as 127.0.0.1")
            return
        pages: dict[str, Page] = {
            "/live": self._live,
            "/ready": self._ready,
            "/metrics": self._metrics,
            "/lanes": self._lanes,
        }
        try:
            target = urlsplit(scope["state"]["target"].decode("latin-1"))
            path, query = target.path, parse_qs(target.query)
        except ValueError:
            await _say(send, 400, "the request's path cannot be read")
            return
        if path == "/tap":
            await self._tap(query, scope, receive, send)
        elif path in pages:
            await _answer(send, *await self._guarded(path, pages[path]))
        else:
            await _say(send, 404, f"there is nothing here: ask for {', '.join(sorted([*pages, '/tap']))}")

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
        assert self._looking is not None
        why = await self._looking.not_ready()
        said: dict[str, Any] = {"ready": not why, "why": list(why)}
        if stopped := self._looking.stopped():
            said["stopped"] = stopped
        return 503 if why else 200, JSON, _json(said)

    async def _metrics(self) -> tuple[int, str, bytes]:
        assert self._looking is not None
        return 200, CONTENT_TYPE, text(await self._looking.snapshot()).encode()

    async def _lanes(self) -> tuple[int, str, bytes]:
        assert self._looking is not None
        return 200, JSON, _json(as_data(await self._looking.snapshot(), self._engine.options.clock()))

    async def _tap(self, query: dict[str, list[str]], scope: Any, receive: Receive, send: Send) -> None:
        """Records as they come, until the client goes or the engine ends."""
        followers = self._engine.options.taps.followers
        connection, action = (query.get(name, [""])[0] for name in ("connection", "action"))

        async def refusal() -> tuple[int, str, bytes]:
            status, why = self._refusal(scope["client"], connection, action)
            return status, JSON, _json({"error": why})

        status, kind, body = await self._guarded("/tap", refusal)
        if status != 200 or scope["method"] == "HEAD":
            await _answer(send, status, kind, body)
            return
        follower = Follower(connection, action)
        followers.append(follower)
        gone = asyncio.create_task(_until_gone(receive))
        try:
            await send(_head(200, LINES, {}))
            while not gone.done() and not scope["state"].get("half"):
                await send({"type": "http.response.body", "body": b"".join(follower.take()), "more_body": True})
                news = asyncio.create_task(follower.news.wait())
                await asyncio.wait({gone, news}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
            await send({"type": "http.response.body"})
        finally:
            followers.remove(follower)
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)

    def _refusal(self, client: tuple[str, int] | None, connection: str, action: str) -> tuple[int, str]:
        """The status of an answer to who wants to follow, and why where it is not 200."""
        if not client or not is_loopback(client[0]):
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


async def _say(send: Send, status: int, message: str, headers: dict[str, str] | None = None) -> None:
    await _answer(send, status, JSON, _json({"error": message}), headers)


async def _answer(send: Send, status: int, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
    await send(_head(status, kind, {"content-length": str(len(body)), **(headers or {})}))
    await send({"type": "http.response.body", "body": body})


async def _until_gone(receive: Receive) -> None:
    """Returns when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _head(status: int, kind: str, headers: dict[str, str]) -> Any:
    every = {
        "content-type": kind,
        "connection": "close",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        **headers,
    }
    rows = [(name.encode(), value.encode()) for name, value in every.items()]
    return {"type": "http.response.start", "status": status, "headers": rows}


def _host(host: str) -> str:
    """A Host header without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
