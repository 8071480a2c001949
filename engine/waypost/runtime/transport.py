"""Requests over the network: the only importer of httpx.

Takes a rendered request (request.Wire) and a timeout. Gives an Answer, never an exception: what did not leave is "unsent", what left and got
no answer is "unanswered". Redirects are never followed on a write; proxies are not used for loopback; connections are kept alive, but not for
ever, because a destination's addresses change; of a response only the first bytes are kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from waypost.runtime.outcome import BODY_LIMIT, Answer
from waypost.runtime.request import Wire

MAX_AGE_S = 300.0
"""A pool of connections is replaced after this long, so that names are resolved again."""

UNSENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.ProxyError,
)


@dataclass(frozen=True)
class Sent:
    """A request as it leaves: what the client made of a Wire."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes


Script = Callable[[Sent], Answer]
"""Stands for the network: sees each request that leaves, and answers it."""


class Scripted(httpx.AsyncBaseTransport):
    """The place of the sockets, taken by a script: everything before and after them stays real (`waypost test`)."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = [(name.decode(), value.decode()) for name, value in request.headers.raw]
        answer = self._script(Sent(request.method, str(request.url), headers, await request.aread()))
        if answer.status == "unsent":
            raise httpx.ConnectError("the script lets no request leave", request=request)
        if answer.status == "unanswered":
            raise httpx.ReadTimeout("the script does not answer", request=request)
        raw = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        return httpx.Response(int(answer.status), headers=raw, stream=httpx.ByteStream(answer.body))


def url_as_sent(url: str) -> str:
    """A url as the client writes it. Raises ValueError for one that cannot be sent to."""
    try:
        return str(httpx.URL(url))
    except httpx.InvalidURL as error:
        raise ValueError(str(error)) from None


class Transport:
    """State: the current pool of connections and when it was made. `script` takes the place of the network."""

    def __init__(self, connections: int = 16, script: Script | None = None) -> None:
        # httpx logs every url at INFO, and a url may hold a secret.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._connections = connections
        self._network = None if script is None else Scripted(script)
        self._client = self._make()
        self._made = asyncio.get_running_loop().time()
        self._old: list[httpx.AsyncClient] = []

    def _make(self) -> httpx.AsyncClient:
        limits = httpx.Limits(
            max_connections=self._connections, max_keepalive_connections=self._connections, keepalive_expiry=30.0
        )
        direct = {f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")}
        return httpx.AsyncClient(
            limits=limits, follow_redirects=False, mounts=direct, http2=False, transport=self._network
        )

    async def send(self, wire: Wire, timeout_s: float) -> Answer:
        """One attempt."""
        client = self._current()
        headers = [(name.encode(), value.encode()) for name, value in wire.headers]
        try:
            request = client.build_request(wire.method, wire.url, headers=headers, content=wire.body, timeout=timeout_s)
            # The whole exchange, not only each read of it: a body that drips may not hold a place for ever.
            async with asyncio.timeout(timeout_s):
                return await self._exchange(client, request)
        except UNSENT as error:
            return Answer("unsent", error=_describe(error, wire.url))
        except (httpx.InvalidURL, UnicodeError, ValueError):
            return Answer("unsent", error="the url cannot be sent to")
        except (httpx.HTTPError, TimeoutError) as error:
            return Answer("unanswered", error=_describe(error, wire.url))

    async def _exchange(self, client: httpx.AsyncClient, request: httpx.Request) -> Answer:
        response = await client.send(request, stream=True)
        try:
            body = b""
            async for chunk in response.aiter_bytes(16 << 10):
                body += chunk
                if len(body) >= BODY_LIMIT:
                    break
        except httpx.DecodingError:
            body = b""
        finally:
            await response.aclose()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(str(response.status_code), headers, body[:BODY_LIMIT])

    def _current(self) -> httpx.AsyncClient:
        now = asyncio.get_running_loop().time()
        if now - self._made > MAX_AGE_S:
            # Requests under way end on the old pool; it is closed with the transport.
            self._old.append(self._client)
            self._client, self._made = self._make(), now
        return self._client

    async def close(self) -> None:
        for client in (*self._old, self._client):
            await client.aclose()


def _describe(error: Exception, url: str) -> str:
    """What went wrong, with the host but never the url, which may hold a secret."""
    host = urlsplit(url).hostname or "the host"
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return f"{host}: no answer in time"
    text = str(error) or type(error).__name__
    return f"{host}: {text}" if "://" not in text else f"{host}: {type(error).__name__}"
