"""The HTTP server of every port that Waypost opens: sources over HTTP, `--listen`, `receive`. The only importer of uvicorn.

Takes an ASGI application, an address, and bounds. Gives a server in the running event loop, without an access log and without signal handlers
(whoever runs it has them), and with what uvicorn leaves open closed: a bound on the head of a request, on the time that head and body take
together, on idling, on the time that an answer is read in, and on how many connections are open (accepting.py).

Beside what ASGI says, the application finds in `scope["state"]`: `target`, the request's target as it came; `cut`, which closes the connection
without an answer; and `half` when the client has closed its side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from waypost.http.accepting import Accepting, idlest
from waypost.http.listening import bind, name_of

App = Callable[[Any, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]

SPILT = 16 << 20
"""How much of a body may still come once its request has been answered."""

ANSWER_S = 30.0
"""How long a client may take to read an answer after which the connection is closed."""

DATE_S = 1.0
"""How often the `date` header is made."""


@dataclass(frozen=True)
class Bounds:
    """What a port bears. `head`: the most bytes of a request's line and headers; `head_s`: how long a client may take for them and for the
    body; `keep_alive_s`: how long a connection is kept between two requests; `connections`: so many are open at once, and where there is no
    room for another, one that has idled for `idle_s` is closed. `refusal` makes the JSON of an answer outside the application, from a code and
    a message."""

    head: int
    head_s: float
    keep_alive_s: float
    connections: int
    idle_s: float
    refusal: Callable[[str, str], bytes]


class Protocol(HttpToolsProtocol):
    """One connection. State: how much of a head has come, since when it idles, and the timer that ends the wait for the rest of a request."""

    _head = 0
    _spilt = 0
    _complete = True
    _timer: asyncio.TimerHandle | None = None
    idle_since = 0.0

    def __init__(self, server: uvicorn.Server, bounds: Bounds) -> None:
        super().__init__(server.config, server.server_state, {})
        self.timeout_keep_alive = bounds.keep_alive_s  # type: ignore[assignment]
        self.lost: asyncio.Future[None] = self.loop.create_future()
        self._bounds = bounds

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        answered = self.cycle is None or self.cycle.response_complete
        return answered and self._complete and not self.pipeline

    def leave(self) -> None:
        """Closes the connection; a client that does not read what it was sent holds it no longer than it may."""
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self.loop.call_later(ANSWER_S, self.transport.abort)

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.idle_since = self.loop.time()
        self._timer = self.loop.call_later(self._bounds.head_s, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)
        self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._complete:
            self._head += len(data)
            most = self._bounds.head
            if self._head > most and not self.transport.is_closing():
                self._refuse(431, "head_too_large", f"the headers are too large: at most {most} bytes are allowed")
        elif self.timeout_keep_alive_task is None and self.idle and self._timer is None:
            # Bytes that are no request (line breaks, the rest of a refused body) do not keep a connection.
            left = self.idle_since + self._bounds.keep_alive_s - self.loop.time()
            self.timeout_keep_alive_task = self.loop.call_later(max(0.0, left), self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        self.leave()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head, self._spilt, self._complete = 0, 0, False
        if self._timer is None:
            self._timer = self.loop.call_later(self._bounds.head_s, self._late)

    def on_headers_complete(self) -> None:
        self._complete = True
        self.scope["state"].update(target=self.url, cut=self.transport.close)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self.idle_since = self.loop.time()
        if self.transport.is_closing():
            self.leave()
        super().on_response_complete()

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        if self.cycle.response_complete:
            self._spilt += len(body)
            if self._spilt > SPILT:
                self.transport.close()

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that has sent its request and closed its side still reads the answer."""
        cycle = self.cycle
        waits = cycle is not None and not (cycle.more_body or cycle.response_started or cycle.response_complete)
        if waits:
            cycle.keep_alive = False
            cycle.scope["state"]["half"] = True
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
            self._timer = self.loop.call_later(self._bounds.head_s, self._late)
        elif self.cycle is not None and self._complete and self.cycle.response_started:
            # It was refused long ago, and its body is still coming.
            self.transport.close()
        else:
            self._refuse(408, "timeout", f"headers and body were not there within {self._bounds.head_s:g} s")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: int, code: str, message: str) -> None:
        """An answer outside the application, to a client of which no request could be read."""
        content = self._bounds.refusal(code, message)
        self.transport.write(
            STATUS_LINE[status]
            + b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(content)
            + content
        )
        self.leave()


class Server:
    """State: the bound sockets, the connections, and who takes new ones."""

    def __init__(self, app: App, host: str, port: int, bounds: Bounds) -> None:
        """Raises listening.Taken."""
        self.bounds = bounds
        self._sockets = bind(host, port)
        self.addresses = [name_of(one.getsockname()) for one in self._sockets]
        config = uvicorn.Config(
            app,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="critical",
            proxy_headers=False,
        )
        config.load()
        self._server = uvicorn.Server(config)
        self._accepting: Accepting | None = None
        self._dating: asyncio.TimerHandle | None = None

    async def start(self, notice: Callable[[str], None] = lambda text: None) -> None:
        """`notice` hears when there is no room for connections."""
        connections = self._server.server_state.connections
        self._date()
        self._accepting = Accepting(
            self._sockets,
            lambda: Protocol(self._server, self.bounds),
            self.bounds.connections,
            lambda: len(connections),
            self._make_room,
            notice,
            self.addresses[0],
        )

    def _date(self) -> None:
        self._server.server_state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        self._dating = asyncio.get_running_loop().call_later(DATE_S, self._date)

    def _make_room(self) -> None:
        before = asyncio.get_running_loop().time() - self.bounds.idle_s
        held: Any = self._server.server_state.connections
        for connection in idlest([(one.idle_since, one) for one in held if one.idle], before, self.bounds.connections):
            connection.leave()

    def close(self) -> None:
        """Takes no more connections."""
        if self._dating is not None:
            self._dating.cancel()
        if self._accepting is not None:
            self._accepting.close()
        for one in self._sockets:
            one.close()

    async def stop(self, drain_s: float) -> None:
        """Takes no more connections, waits for what is under way, then closes every connection."""
        self.close()
        if self._accepting is None:
            return
        await self._accepting.wait_closed()
        state: Any = self._server.server_state
        held = list(state.connections)
        for connection in held:
            connection.shutdown()
        if held and drain_s:
            await asyncio.wait({connection.lost for connection in held}, timeout=drain_s)
        for connection in held:
            connection.transport.abort()
        for task in list(state.tasks):
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)
