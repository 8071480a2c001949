"""The HTTP server under the ingest: the only importer of uvicorn, which `waypost[serve]` brings. Files and plans never load it.

Takes an ASGI application and an address. Gives a server in the running event loop, without an access log, without signal handlers (the engine
has them), and with what uvicorn leaves open closed: a bound on the head of a request and on the time it takes, and answers in JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from waypost.runtime.listening import Taken, bind, name_of
from waypost.runtime.sources.opened import SourceError

HEAD = 64 << 10
"""The most bytes of a request's line and headers."""

HEAD_S = 30.0
"""How long a client may take for them."""

SPILT = 16 << 20
"""How much of a body may still come once its request has been answered."""

KEEP_ALIVE_S = 75


class Protocol(HttpToolsProtocol):
    """One connection. State: how much of a head has come, and the timer that ends the wait for the rest."""

    _head = 0
    _spilt = 0
    _complete = True
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._timer = self.loop.call_later(HEAD_S, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._complete:
            self._head += len(data)
            if self._head > HEAD and not self.transport.is_closing():
                self._refuse(431, "head_too_large", f"the headers are too large: at most {HEAD} bytes are allowed")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head, self._spilt, self._complete = 0, 0, False
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_S, self._late)

    def on_headers_complete(self) -> None:
        self._complete = True
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        if self.cycle.response_complete:
            self._spilt += len(body)
            if self._spilt > SPILT:
                self.transport.close()

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that has sent its request and closed its side still reads the answer."""
        waits = self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete
        if waits:
            self.cycle.keep_alive = False
        return waits

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "malformed_http", "the request is not HTTP/1.1")

    def _late(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self._refuse(408, "timeout", f"the headers were not there within {HEAD_S:g} s")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: int, code: str, message: str) -> None:
        """An answer outside the application, to a client of which no request could be read."""
        content = f'{{"success":false,"code":"{code}","message":"{message}"}}'.encode()
        self.transport.write(
            STATUS_LINE[status]
            + b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(content)
            + content
        )
        self.transport.close()


class _Uvicorn(uvicorn.Server):
    """uvicorn inside a process that is not its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Server:
    """State: the bound sockets and the task that serves them."""

    def __init__(self, app: Any, host: str, port: int) -> None:
        try:
            self._sockets = bind(host, port)
        except Taken as error:
            raise SourceError(str(error)) from None
        config = uvicorn.Config(
            app,
            http=Protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        self._server = _Uvicorn(config)
        self._task: asyncio.Task[None] | None = None
        self.addresses = [name_of(one.getsockname()) for one in self._sockets]

    async def start(self) -> None:
        self._task = asyncio.create_task(self._server.serve(self._sockets))
        while not self._server.started and not self._task.done():
            await asyncio.sleep(0)

    async def stop(self, drain_s: float) -> None:
        """Closes the sockets, waits for what is under way, then closes every connection."""
        if self._task is None:
            for one in self._sockets:
                one.close()
            return
        self._server.config.timeout_graceful_shutdown = drain_s  # type: ignore[assignment]
        self._server.should_exit = True
        await self._task
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
