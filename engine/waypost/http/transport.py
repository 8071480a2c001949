"""Requests over the network: the only importer of httpx.

Takes a rendered request (request.Wire) and a timeout. Gives an Answer, never an exception: "unsent" when no byte of the request can have left,
"unanswered" when one can and no status came. A status that came counts, though the body behind it was cut or took too long (`Answer.cut`).
Redirects are never followed on a write; which proxy a url goes through says proxies.py, and whom a connection believes trust.py: the client
reads no environment of its own. Connections are kept alive, but not for ever, because the addresses of a destination change; of a response
only the first bytes are kept, however well they are packed; no value makes a header of its own. wrong.py says what went wrong.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import re
import ssl
import sys
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from waypost.delivery.outcome import ANSWER_LIMIT, BODY_LIMIT, Answer
from waypost.events.masking import masker
from waypost.http.proxies import Proxies, Proxy
from waypost.http.trust import trust_of
from waypost.http.wrong import Wrong, what_went_wrong
from waypost.plan import Tls
from waypost.program.program import Program
from waypost.program.request.render import Wire
from waypost.program.settings import SettingError

MAX_AGE_S = 300.0
"""A pool of connections is replaced after this long, so that names are resolved again."""

LEAVES = "send_request_headers.started"
"""How the event ends that httpcore tells when the first bytes of a request are about to leave."""

NO_URL = "the url cannot be sent to"

if importlib.util.find_spec("sniffio") is None:
    # httpcore imports it for each lock and each connection that it looks at, and a miss is not remembered: without this, each of some twenty
    # a request searches the whole path again.
    sys.modules["sniffio"] = None  # type: ignore[assignment]

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


Route = tuple[Proxy | None, bool]
"""The proxy that a request goes through, and whether it is TLS."""


class Pool:
    """Connections, by route. State: when the pool was made, and how many requests use it."""

    def __init__(self, made: float) -> None:
        self.clients: dict[Route, httpx.AsyncClient] = {}
        self.made = made
        self.users = 0

    async def close(self) -> None:
        for client in self.clients.values():
            await client.aclose()


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


class Transport:
    """State: the current pool of connections, and older ones whose requests have not ended. `script` takes the place of the network.
    Connections with different `tls` are never in one transport. `secrets` are shown nowhere, whoever sends them back."""

    def __init__(
        self,
        connections: int = 16,
        script: Script | None = None,
        *,
        max_age_s: float = MAX_AGE_S,
        tls: Tls | None = None,
        secrets: Iterable[str] = (),
        notice: Callable[[str], None] = lambda text: None,
        owner: str = "",
    ) -> None:
        # httpx logs every url at INFO, and a url may hold a secret.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._limits = httpx.Limits(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=30.0
        )
        self._max_age = max_age_s
        self._network = None if script is None else Scripted(script)
        self._secrets = secrets
        self._proxies = Proxies(os.environ)
        self._trust = trust_of(tls or Tls(), owner)
        # A proxy is no part of a connection: it is believed as any server is, and is shown no certificate of the connection's.
        self._usual = trust_of(Tls())
        self._notice = notice
        self._pool = Pool(self._now)
        self._old: list[Pool] = []

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _client(self, pool: Pool, url: str) -> tuple[httpx.AsyncClient, Proxy | None]:
        """The client of a url's route. Raises SettingError for a proxy or a file of TLS that cannot be used, ValueError for no url."""
        split = urlsplit(url)
        proxy = None if self._network is not None else self._proxies.of(url)
        route = proxy, split.scheme == "https" and self._network is None
        if route not in pool.clients:
            pool.clients[route] = self._make(*route)
        return pool.clients[route], proxy

    def _make(self, proxy: Proxy | None, encrypted: bool) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            limits=self._limits,
            follow_redirects=False,
            http2=False,
            headers={"accept-encoding": "gzip, deflate"},
            transport=self._network,
            # A client of http has no use for authorities, and must not fail for want of them.
            verify=self._trust.context(self._notice) if encrypted else False,
            proxy=None if proxy is None else self._through(proxy),
            trust_env=False,
        )

    def _through(self, proxy: Proxy) -> httpx.Proxy:
        context = self._usual.context(self._notice) if proxy.scheme == "https" else None
        auth = None if proxy.user is None else (proxy.user, proxy.password)
        try:
            return httpx.Proxy(proxy.url, ssl_context=context, auth=auth)
        except (httpx.InvalidURL, ValueError):
            raise SettingError(f"{proxy.variable} is no proxy's address that can be used") from None

    async def send(self, wire: Wire, timeout_s: float, left: Callable[[], None] = lambda: None) -> Answer:
        """One attempt. `left` is told when the first byte is about to go, on a connection that is open."""
        pool = await self._current()
        pool.users += 1
        try:
            client, proxy = self._client(pool, wire.url)
            return await _Attempt(client, left, self._describing(wire.url, proxy)).send(wire, timeout_s)
        except SettingError as error:
            return Answer("unsent", error=str(error), hopeless=True)
        except ValueError:
            return Answer("unsent", error=NO_URL)
        finally:
            pool.users -= 1
            await self._close_idle()

    def _describing(self, url: str, proxy: Proxy | None) -> Callable[[BaseException], Wrong]:
        """What went wrong, told with the host but never the url, and without a secret whoever wrote it there."""

        def describe(error: BaseException) -> Wrong:
            wrong = what_went_wrong(error, url, proxy)
            # Tokens join them while requests are under way.
            mask = masker((*self._secrets, *(proxy.secrets() if proxy else ())))
            return Wrong(mask(wrong.said), wrong.hopeless)

        return describe

    async def _current(self) -> Pool:
        if self._now - self._pool.made > self._max_age:
            # Requests under way end on the old pool.
            self._old.append(self._pool)
            self._pool = Pool(self._now)
            await self._close_idle()
        return self._pool

    async def _close_idle(self) -> None:
        idle = [pool for pool in self._old if not pool.users]
        self._old = [pool for pool in self._old if pool.users]
        for pool in idle:
            await pool.close()

    async def close(self) -> None:
        for pool in (*self._old, self._pool):
            await pool.close()


class _Attempt:
    """State of one attempt: whether a byte of the request can have left, and what has come back so far."""

    def __init__(
        self, client: httpx.AsyncClient, left: Callable[[], None], describe: Callable[[BaseException], Wrong]
    ) -> None:
        self._client = client
        self._tell = left
        self._describe = describe
        self._left = False
        self._response: httpx.Response | None = None
        self._body = _Body("", BODY_LIMIT)
        self._limit = BODY_LIMIT

    async def send(self, wire: Wire, timeout_s: float) -> Answer:
        self._limit = ANSWER_LIMIT if wire.by_message else BODY_LIMIT
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
        except (ssl.SSLError, httpx.HTTPError, TimeoutError) as error:
            return self._failed(error)
        except (httpx.InvalidURL, UnicodeError, ValueError):
            return Answer("unsent", error=NO_URL)
        except (OSError, httpx.StreamError) as error:
            return self._failed(error)
        assert self._response is not None
        return self._answer(self._response, "")

    def _failed(self, error: BaseException) -> Answer:
        wrong = self._describe(error)
        if self._response is not None:
            return self._answer(self._response, wrong.said)
        return Answer("unanswered" if self._left else "unsent", error=wrong.said, hopeless=wrong.hopeless)

    async def _trace(self, event: str, info: dict[str, Any]) -> None:
        """httpcore tells each step. The request to a proxy that opens a tunnel is not ours yet."""
        if event.endswith(LEAVES) and info["request"].method != b"CONNECT":
            self._left = True
            self._tell()

    async def _exchange(self, request: httpx.Request) -> None:
        response = await self._client.send(request, stream=True)
        self._response = response
        self._body = _Body(response.headers.get("content-encoding", ""), self._limit)
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
    """The first `limit` bytes of a response, unpacked no further than that. What cannot be unpacked is dropped."""

    def __init__(self, encoding: str, limit: int) -> None:
        self.read = b""
        self._limit = limit
        packed = encoding.strip().lower()
        # 47: zlib or gzip, told by their first bytes.
        self._unpack = zlib.decompressobj(47) if packed in ("gzip", "x-gzip", "deflate") else None

    def full(self, chunk: bytes) -> bool:
        """Takes a chunk; says whether no more is wanted."""
        room = self._limit - len(self.read)
        try:
            self.read += (self._unpack.decompress(chunk, room) if self._unpack else chunk)[:room]
        except zlib.error:
            self.read = b""
            return True
        return len(self.read) >= self._limit


def transport_of(program: Program, notice: Callable[[str], None] = lambda text: None) -> Transport:
    """The way to a program's destination, with as many connections as it sends requests at once."""
    most = max(kind.policy.concurrency for kind in program.requests.values())
    tls, secrets = program.settings.tls, program.secrets
    return Transport(most, tls=tls, secrets=secrets, owner=program.owner, notice=notice)
