"""Requests over the network: the only importer of httpx.

Takes a rendered request (request.Wire) and a timeout. Gives an Answer, never an exception: "unsent" when no byte of the request can have left,
"unanswered" when one can and no status came. A status that came counts, though the body behind it was cut or took too long (`Answer.cut`).
Redirects are never followed on a write; proxies are not used for loopback; connections are kept alive, but not for ever, because the addresses
of a destination change; of a response only the first bytes are kept, however well they are packed; no value makes a header of its own.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import logging
import re
import ssl
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from waypost.runtime.outcome import BODY_LIMIT, Answer
from waypost.runtime.request import Wire

MAX_AGE_S = 300.0
"""A pool of connections is replaced after this long, so that names are resolved again."""

CERTIFICATES_S = 3600.0

LEAVES = "send_request_headers.started"
"""How the event ends that httpcore tells when the first bytes of a request are about to leave."""

if importlib.util.find_spec("sniffio") is None:
    # httpcore imports it for each lock and each connection that it looks at, and a miss is not remembered: without this, each of some twenty
    # a request searches the whole path again.
    sys.modules["sniffio"] = None  # type: ignore[assignment]

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Pool:
    """A pool of connections. State: when it was made, and how many requests use it."""

    def __init__(self, client: httpx.AsyncClient, made: float) -> None:
        self.client = client
        self.made = made
        self.users = 0


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
        await request.extensions["trace"](LEAVES, {"request": request})
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


@functools.lru_cache(maxsize=1)
def _certificates(hour: int) -> ssl.SSLContext:
    """What servers are believed by, read once an hour for all connections: it takes 25 ms each time."""
    return httpx.create_ssl_context()


class Transport:
    """State: the current pool of connections, and older ones whose requests have not ended. `script` takes the place of the network."""

    def __init__(self, connections: int = 16, script: Script | None = None, *, max_age_s: float = MAX_AGE_S) -> None:
        # httpx logs every url at INFO, and a url may hold a secret.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._connections = connections
        self._max_age = max_age_s
        self._network = None if script is None else Scripted(script)
        self._pool = self._make()
        self._old: list[Pool] = []

    def _make(self) -> Pool:
        now = asyncio.get_running_loop().time()
        limits = httpx.Limits(
            max_connections=self._connections, max_keepalive_connections=self._connections, keepalive_expiry=30.0
        )
        direct = {f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")}
        headers = {"accept-encoding": "gzip, deflate"}
        client = httpx.AsyncClient(
            limits=limits,
            follow_redirects=False,
            mounts=direct,
            http2=False,
            headers=headers,
            transport=self._network,
            verify=_certificates(int(now // CERTIFICATES_S)),
        )
        return Pool(client, now)

    async def send(self, wire: Wire, timeout_s: float) -> Answer:
        """One attempt."""
        pool = await self._current()
        pool.users += 1
        try:
            return await _Attempt(pool.client).send(wire, timeout_s)
        finally:
            pool.users -= 1
            await self._close_idle()

    async def _current(self) -> Pool:
        if asyncio.get_running_loop().time() - self._pool.made > self._max_age:
            # Requests under way end on the old pool.
            self._old.append(self._pool)
            self._pool = self._make()
            await self._close_idle()
        return self._pool

    async def _close_idle(self) -> None:
        idle = [pool for pool in self._old if not pool.users]
        self._old = [pool for pool in self._old if pool.users]
        for pool in idle:
            await pool.client.aclose()

    async def close(self) -> None:
        for pool in (*self._old, self._pool):
            await pool.client.aclose()


class _Attempt:
    """State of one attempt: whether a byte of the request can have left, and what has come back so far."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._left = False
        self._response: httpx.Response | None = None
        self._body = _Body("")

    async def send(self, wire: Wire, timeout_s: float) -> Answer:
        headers = [(name.encode(), _CONTROL.sub(" ", value).strip().encode()) for name, value in wire.headers]
        try:
            request = self._client.build_request(
                wire.method,
                wire.url,
                headers=headers,
                content=wire.body,
                # TCP and TLS have a part each, so that the attempt ends in httpx, which then closes the socket, and not by our own limit.
                timeout=httpx.Timeout(timeout_s, connect=0.45 * timeout_s),
                extensions={"trace": self._trace},
            )
            # The whole exchange, not only each read of it: a body that drips may not hold a place for ever.
            async with asyncio.timeout(timeout_s):
                await self._exchange(request)
        except (httpx.InvalidURL, UnicodeError, ValueError):
            return Answer("unsent", error="the url cannot be sent to")
        except (httpx.HTTPError, TimeoutError) as error:
            said = _describe(error, wire.url)
            if self._response is not None:
                return self._answer(self._response, said)
            return Answer("unanswered" if self._left else "unsent", error=said)
        assert self._response is not None
        return self._answer(self._response, "")

    async def _trace(self, event: str, info: dict[str, Any]) -> None:
        """httpcore tells each step. The request to a proxy that opens a tunnel is not ours yet."""
        if event.endswith(LEAVES) and info["request"].method != b"CONNECT":
            self._left = True

    async def _exchange(self, request: httpx.Request) -> None:
        response = await self._client.send(request, stream=True)
        self._response = response
        self._body = _Body(response.headers.get("content-encoding", ""))
        try:
            async for chunk in response.aiter_raw():
                if self._body.full(chunk):
                    break
        finally:
            await response.aclose()

    def _answer(self, response: httpx.Response, error: str) -> Answer:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(str(response.status_code), headers, self._body.read, error, cut=bool(error))


class _Body:
    """The first BODY_LIMIT bytes of a response, unpacked no further than that. What cannot be unpacked is dropped."""

    def __init__(self, encoding: str) -> None:
        self.read = b""
        packed = encoding.strip().lower()
        # 47: zlib or gzip, told by their first bytes.
        self._unpack = zlib.decompressobj(47) if packed in ("gzip", "x-gzip", "deflate") else None

    def full(self, chunk: bytes) -> bool:
        """Takes a chunk; says whether no more is wanted."""
        room = BODY_LIMIT - len(self.read)
        try:
            self.read += (self._unpack.decompress(chunk, room) if self._unpack else chunk)[:room]
        except zlib.error:
            self.read = b""
            return True
        return len(self.read) >= BODY_LIMIT


def _describe(error: Exception, url: str) -> str:
    """What went wrong, with the host but never the url, which may hold a secret."""
    try:
        host = urlsplit(url).hostname or "the host"
    except ValueError:
        host = "the host"
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return f"{host}: no answer in time"
    text = str(error) or type(error).__name__
    return f"{host}: {text}" if "://" not in text else f"{host}: {type(error).__name__}"
