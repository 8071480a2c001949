"""The HTTP server under the ingest: the only importer of uvicorn, which `waypost[serve]` brings. Files and plans never load it.

Takes an ASGI application and an address. Gives a server in the running event loop, without an access log, without signal handlers (the engine
has them), and with what uvicorn leaves open closed: a bound on the head of a request, on the time that head and body take together, on idling,
on how many connections are open (accepting.py), and answers in JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from waypost.events.lines import SourceError
from waypost.http.accepting import Accepting, idlest
from waypost.http.listening import Taken, bind, name_of

HEAD = 64 << 10
"""The most bytes of a request's line and headers."""

HEAD_S = 30.0
"""How long a client may take for them, and for the body."""

SPILT = 16 << 20
"""How much of a body may still come once its request has been answered."""

KEEP_ALIVE_S = 75
"""How long a connection is kept between two requests."""

CONNECTIONS, SHARE = 8192, 0.5
"""So many connections of senders are open at once; at most this share of the process's descriptors, for delivery and state need some too."""

IDLE_S = 5.0
"""Where there is no room for another connection, one that has idled for so long is closed."""


class Protocol(HttpToolsProtocol):
    """One connection. State: how much of a head has come, since when it idles, and the timer that ends the wait for the rest of a request."""

    _head = 0
    _spilt = 0
    _complete = True
    _timer: asyncio.TimerHandle | None = None
    idle_since = 0.0

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        answered = self.cycle is None or self.cycle.response_complete
        return answered and self._complete and not self.pipeline

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.idle_since = self.loop.time()
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
        elif self.timeout_keep_alive_task is None and self.idle and self._timer is None:
            # Bytes that are no request (line breaks, the rest of a refused body) do not keep a connection.
            left = self.idle_since + KEEP_ALIVE_S - self.loop.time()
            self.timeout_keep_alive_task = self.loop.call_later(max(0.0, left), self.timeout_keep_alive_handler)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head, self._spilt, self._complete = 0, 0, False
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_S, self._late)

    def on_headers_complete(self) -> None:
        self._complete = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self.idle_since = self.loop.time()
        super().on_response_complete()

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
        if self.transport.is_closing():
            return
        earlier = self.cycle is not None and not self.cycle.response_complete and not self._complete
        if self.pipeline or earlier:
            # The request before it has not been answered, which is not the client's doing.
            self._timer = self.loop.call_later(HEAD_S, self._late)
        elif self.cycle is not None and self._complete and self.cycle.response_started:
            # It was refused long ago, and its body is still coming.
            self.transport.close()
        else:
            self._refuse(408, "timeout", f"headers and body were not there within {HEAD_S:g} s")

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
    """uvicorn inside a process that is not its own. State: how many connections it takes, and who hears that there is no room."""

    limit = CONNECTIONS
    notice: Callable[[str], None]
    name = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        config, state = self.config, self.server_state

        def protocol() -> Protocol:
            return Protocol(config=config, server_state=state, app_state=self.lifespan.state)

        self._accepting = Accepting(
            sockets or [], protocol, self.limit, lambda: len(state.connections), self._make_room, self.notice, self.name
        )
        self.servers = [self._accepting]  # type: ignore[list-item]
        self.started = True

    def _make_room(self) -> None:
        now = asyncio.get_running_loop().time()
        held: Any = self.server_state.connections
        idle = [(one.idle_since, one) for one in held if one.idle]
        for connection in idlest(idle, now - IDLE_S, self.limit):
            connection.transport.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Server:
    """State: the bound sockets and the task that serves them."""

    def __init__(
        self,
        app: Any,
        host: str,
        port: int,
        *,
        limit: int = CONNECTIONS,
        notice: Callable[[str], None] = lambda text: None,
    ) -> None:
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
        self._server.limit, self._server.notice = limit, notice
        self._task: asyncio.Task[None] | None = None
        self.addresses = [name_of(one.getsockname()) for one in self._sockets]
        self._server.name = self.addresses[0]

    async def start(self) -> None:
        self._task = asyncio.create_task(self._server.serve(self._sockets))
        while not self._server.started and not self._task.done():
            await asyncio.sleep(0)

    def close(self) -> None:
        """The sockets of a server that never served."""
        for one in self._sockets:
            one.close()

    async def stop(self, drain_s: float) -> None:
        """Closes the sockets, waits for what is under way, then closes every connection."""
        if self._task is None:
            self.close()
            return
        self._server.config.timeout_graceful_shutdown = drain_s  # type: ignore[assignment]
        self._server.should_exit = True
        await self._task
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
