"""HTTP ingest: SDKs that speak the tracking API send here, and are answered 200 once their events are safe in the journal.

Takes feeds (a source's name, its address, its write keys) and a journal, from which the engine reads (`JournalSource`). `Door` is the ASGI
application of one address: it knows paths, keys and answers. What a body means is in tracking_api.py, how it is read in body.py, what its
server bears in ingest_server.py.

An answer is JSON: `{"success": true}`, or `{"success": false, "code": ..., "message": ...}`, in which nothing of the request is repeated. A
request is kept before it is answered 200, or not at all; of a batch, what is no event is kept with its reason and becomes a dead letter.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime as dt
import hashlib
import hmac
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from waypost.events.lines import SourceError
from waypost.events.notices import Notice as Said
from waypost.http.accepting import places
from waypost.sources import asides, tracking_api
from waypost.sources.body import Body, Gone, Load, Receive, busy
from waypost.sources.tracking_api import Limits, Refused
from waypost.state.journal_source import GroupCommit, Journal, JournalFull

if TYPE_CHECKING:
    from waypost.http.server import Server

Headers = tuple[tuple[bytes, bytes], ...]
Notice = Callable[[str], None]

# Any page may send, and none may do so with a visitor's cookies or saved passwords: `*` excludes them.
CORS: Headers = ((b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", b"Retry-After"))
PREFLIGHT: Headers = (
    (b"access-control-allow-methods", b"POST, OPTIONS"),
    (b"access-control-allow-headers", b"Authorization, Content-Type, Content-Encoding, X-Retry-Count, *"),
    (b"access-control-max-age", b"7200"),
)
JSON: Headers = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))
IMAGE: Headers = ((b"content-type", b"image/gif"), (b"cache-control", b"no-store"))
SUCCESS = b'{"success": true}'


@dataclass(frozen=True)
class Served:
    """A source that is sent to: `listen` is HOST:PORT (see `parse_listen`), `keys` its write keys."""

    name: str
    listen: str
    keys: tuple[str, ...] = field(repr=False)


def parse_listen(text: str) -> tuple[str, int]:
    """HOST:PORT, `[::1]:PORT`, `:PORT` or PORT; without a host it is this machine alone. Raises SourceError."""
    host, colon, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if (
        not port.isdecimal()
        or not port.isascii()
        or int(port[:6]) > 65535
        or (colon and ":" in host and "[" not in text)
    ):
        raise SourceError(f"`{text}` is no address to listen on: expected HOST:PORT, such as 127.0.0.1:8080")
    return host or "127.0.0.1", int(port)


class Door:
    """The ASGI application of one address. State: what is under way, and whether it is being closed or the journal is full for a source."""

    def __init__(
        self,
        feeds: list[Served],
        commits: dict[str, GroupCommit],
        limits: Limits,
        *,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        notice: Notice = lambda text: None,
    ) -> None:
        self.closing = False
        self._keys = [(_digest(key.encode(errors="surrogateescape")), feed.name) for feed in feeds for key in feed.keys]
        self._commits = commits
        self._limits = limits
        self._load = Load(limits)
        self._clock = clock
        self._new_id = new_id
        self._notice = notice
        self._names = {feed.name for feed in feeds}
        self._full_until: dict[str, float] = {}
        self._faults: set[str] = set()

    async def __call__(self, scope: Any, receive: Receive, send: Callable[[Any], Awaitable[None]]) -> None:
        if scope["type"] != "http":
            return
        body = Body(receive, self._load)
        self._load.requests += 1
        try:
            status, headers, content = await self._answer(scope, body)
        except Gone:
            return
        except Refused as refused:
            if refused.status != 408:
                # Who has had all the time there is for a body has no more of it.
                await body.spill()
            status, headers, content = refused.status, refused.headers, _refusal(refused.code, refused.message)
        finally:
            self._load.requests -= 1
            body.close()
        length = () if status == 204 else ((b"content-length", b"%d" % len(content)),)
        kind = () if headers is IMAGE else JSON
        await send({"type": "http.response.start", "status": status, "headers": [*kind, *CORS, *headers, *length]})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})

    async def _answer(self, scope: Any, body: Body) -> tuple[int, Headers, bytes]:
        path, method = scope["path"], scope["method"]
        call = tracking_api.CALLS.get(path) or tracking_api.CALLS.get(path.removesuffix("/"))
        image = asides.PIXELS.get(path.removesuffix("/"))
        if call is None and image is None and path not in asides.METRICS:
            return self._looked_up(path, method)
        if image is not None:
            _expect(method, "GET", "HEAD")
        elif method == "OPTIONS":
            return 204, PREFLIGHT, b""
        else:
            _expect(method, "POST", "OPTIONS")
        try:
            if image is not None:
                await self._keep(image, asides.pixel(scope.get("query_string", b"")), "")
            elif call is not None:
                await self._take(call, dict(scope["headers"]), body)
            else:
                await body.spill()
        except (Refused, Gone):
            raise
        except Exception as error:
            # One request must not end the server; the client keeps its events and comes again.
            self._fault(error)
            raise Refused(500, "fault", "a fault of the receiver: the events were not kept, send them again") from None
        return (200, IMAGE, asides.GIF) if image is not None else (200, (), SUCCESS)

    def _looked_up(self, path: str, method: str) -> tuple[int, Headers, bytes]:
        key = asides.asked_settings(path)
        if key is None and path not in ("/live", "/ready"):
            raise Refused(404, "not_found", "no such path: expected /v1/batch, /v1/track and the like, /live or /ready")
        _expect(method, "GET", "HEAD")
        if key is not None:
            if not self._find(key):
                raise Refused(404, "not_found", "no source has this write key")
            return 200, (), asides.settings(key)
        if path == "/ready":
            if self.closing:
                raise self._stopping()
            now = self._clock()
            if all(now < self._full_until.get(name, 0.0) for name in self._names):
                raise busy(self._limits, "full", "the journal is full")
        return 200, (), SUCCESS

    async def _take(self, call: str, headers: dict[bytes, bytes], body: Body) -> None:
        if self.closing:
            raise self._stopping()
        self._load.check()
        key = _basic(headers.get(b"authorization", b""))
        source = self._source(key) if key else ""
        text = await body.read(headers.get(b"content-encoding", b""), headers.get(b"content-length"))
        await self._keep(call, text, source)

    async def _keep(self, call: str, text: bytes, source: str) -> None:
        """The events of a body, in the journal. Without a source its write key says which."""
        if self.closing:
            raise self._stopping()
        self._load.check()
        envelope = tracking_api.opened(call, text, self._limits)
        if not source:
            source = self._source(tracking_api.write_key(envelope).encode())
        received = dt.datetime.fromtimestamp(int(self._clock() * 1000) / 1000, dt.UTC)
        rows = tracking_api.rows(call, envelope, received, self._new_id)
        if rows:
            try:
                await self._commits[source].append(rows)
            except JournalFull:
                raise self._journal_full(source) from None
            self._has_room(source)

    def _source(self, key: bytes) -> str:
        """The source of a write key. Raises Refused."""
        found = self._find(key)
        if not found:
            # Without `WWW-Authenticate`, at which a browser would ask a visitor for a password.
            what = "this write key is not known" if key else "no write key: expected Basic authorization, or `writeKey`"
            raise Refused(401, "write_key", what)
        return found

    def _find(self, key: bytes) -> str:
        """The source of a write key, or nothing. Every key is compared, in constant time, whatever is found."""
        digest = _digest(key)
        found = ""
        for known, name in self._keys:
            if hmac.compare_digest(known, digest):
                found = name
        return found

    def _stopping(self) -> Refused:
        return busy(self._limits, "stopping", "the receiver is stopping: send the events again")

    def _journal_full(self, source: str) -> Refused:
        if source not in self._full_until:
            said = f"the journal is full: senders of {source} are answered 503 and keep their events"
            self._notice(Said(said, "journal_full", level="warning", source=source))
        self._full_until[source] = self._clock() + self._limits.retry_after_s
        return busy(self._limits, "full", "the journal is full: send the events again")

    def _has_room(self, source: str) -> None:
        if self._full_until.pop(source, None) is not None:
            self._notice(
                Said(f"the journal has room again: it takes what {source} is sent", "journal_room", source=source)
            )

    def _fault(self, error: Exception) -> None:
        """Told once a kind: by its type and place, for its text may hold data."""
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f" at {trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else ""
        text = f"{type(error).__name__}{place}"
        if text not in self._faults:
            self._faults.add(text)
            self._notice(f"a request was answered 500: {text}; this is a fault of waypost, or of the disk")


def _expect(method: str, *allowed: str) -> None:
    if method not in allowed:
        raise Refused(405, "method", f"expected {allowed[0]}", ((b"allow", ", ".join(allowed).encode()),))


def _digest(key: bytes) -> bytes:
    """Keys are compared by digest, so that not even their length can be told by time."""
    return hashlib.sha256(key).digest()


def _basic(header: bytes) -> bytes:
    """The user name of Basic authorization, which is the write key; empty for none and for another scheme."""
    scheme, _, credentials = header.strip().partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(credentials.strip(), validate=True).partition(b":")[0]
    except (binascii.Error, ValueError):
        raise Refused(401, "authorization", "the authorization header is not Basic: expected base64 of KEY:") from None


def _refusal(code: str, message: str) -> bytes:
    return msgspec.json.encode({"success": False, "code": code, "message": message})


class Ingest:
    """All feeds of a run, a server an address. State: the servers that are up."""

    def __init__(
        self,
        feeds: list[Served],
        journal: Journal,
        *,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
        notice: Notice = lambda text: None,
    ) -> None:
        _check(feeds)
        limits = limits or Limits()
        commits = {feed.name: GroupCommit(journal, feed.name, clock) for feed in feeds}
        by_address: dict[tuple[str, int], list[Served]] = {}
        for feed in feeds:
            by_address.setdefault(parse_listen(feed.listen), []).append(feed)
        self.doors = {
            address: Door(group, commits, limits, clock=clock, notice=notice) for address, group in by_address.items()
        }
        self._notice = notice
        self._servers: list[Server] = []

    @property
    def addresses(self) -> list[str]:
        """HOST:PORT of every socket that is bound: with port 0, the one that was given."""
        return [address for server in self._servers for address in server.addresses]

    def bind(self) -> None:
        """Binds every address. Raises SourceError; nothing is left open then."""
        # Runs on files never load it.
        from waypost.sources.ingest_server import CONNECTIONS, SHARE, bound

        try:
            limit = places(CONNECTIONS, SHARE / len(self.doors))
            for (host, port), door in self.doors.items():
                self._servers.append(bound(door, host, port, limit))
        except BaseException:
            servers, self._servers = self._servers, []
            for server in servers:
                server.close()
            raise

    async def start(self) -> None:
        """Serves every address, bound before or now. Raises SourceError; nothing is left open then."""
        if not self._servers:
            self.bind()
        try:
            for server in self._servers:
                await server.start(self._notice)
        except BaseException:
            await self.stop(0)
            raise

    async def stop(self, drain_s: float) -> None:
        """Takes nothing new, lets what is under way end for `drain_s` seconds, closes."""
        for door in self.doors.values():
            door.closing = True
        servers, self._servers = self._servers, []
        # All at once: each takes the whole time where a sender is slow.
        for end in await asyncio.gather(*(server.stop(drain_s) for server in servers), return_exceptions=True):
            if isinstance(end, BaseException) and not isinstance(end, OSError):
                raise end


def _check(feeds: list[Served]) -> None:
    """Every feed has a key, and no key has two feeds on one address. Says names, never keys."""
    owners: dict[tuple[tuple[str, int], str], str] = {}
    for feed in feeds:
        if not feed.keys or not all(feed.keys):
            raise SourceError(f"the source {feed.name} has no write key, or an empty one")
        for key in feed.keys:
            other = owners.setdefault((parse_listen(feed.listen), key), feed.name)
            if other != feed.name:
                raise SourceError(f"the sources {other} and {feed.name} share a write key on {feed.listen}")
