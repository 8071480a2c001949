"""The body of a request, read in bounded memory: bounded while it streams in and while it unfolds, not afterwards.

Takes an ASGI `receive`. Gives the plain bytes, or a Refused with the answer's status. `Load` counts what all requests hold together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from waypost.sources.gunzip import Gunzip
from waypost.sources.members import Broken
from waypost.sources.tracking_api import Limits, Refused

Receive = Callable[[], Awaitable[Any]]

SPILL = 16 << 20
"""How much of a body that is refused is read and dropped: a client that is still sending does not see an answer before it has sent."""


class Gone(Exception):
    """The client closed the connection: there is nobody to answer."""


class Load:
    """State: how many requests are under way, and how many bytes of bodies they hold."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.requests = 0
        self.held = 0

    def check(self) -> None:
        """Raises Refused when another request would be too many."""
        if self.requests > self.limits.requests or self.held > self.limits.held:
            raise busy(self.limits, "busy", "too many requests are waiting to be kept: try again")


def busy(limits: Limits, code: str, message: str) -> Refused:
    return Refused(503, code, message, ((b"retry-after", b"%d" % limits.retry_after_s),))


class Body:
    """State of one body: how much of it is held, and whether all of it has come. Close it when the request has been answered."""

    def __init__(self, receive: Receive, load: Load) -> None:
        self._receive = receive
        self._load = load
        self._limits = load.limits
        self._ended = False
        self._came = 0
        self._size = 0

    async def read(self, encoding: bytes, length: bytes | None) -> bytes:
        """The plain bytes. `encoding` and `length` are the headers of these names. Raises Refused or Gone."""
        encoding = encoding.strip().lower()
        if encoding not in (b"", b"identity", b"gzip", b"x-gzip"):
            raise Refused(415, "encoding", "the body's encoding is not known: expected gzip, or none", _GZIP)
        if length is not None and length.isdigit() and int(length[:20]) > self._limits.body:
            raise self._too_large()
        try:
            async with asyncio.timeout(self._limits.body_s):
                return await (self._gunzip() if encoding.endswith(b"gzip") else self._plain())
        except TimeoutError:
            raise Refused(408, "timeout", f"the body was not there within {self._limits.body_s:g} s") from None

    async def _plain(self) -> bytes:
        pieces = []
        while not self._ended:
            pieces.append(await self._piece())
            self._hold(len(pieces[-1]))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _gunzip(self) -> bytes:
        pieces, gunzip = [], Gunzip()
        try:
            while not self._ended:
                gunzip.feed(await self._piece())
                while plain := gunzip.take(self._limits.body + 1 - self._size):
                    self._hold(len(plain))
                    pieces.append(plain)
        except Broken as error:
            raise Refused(400, "malformed_gzip", f"the body says it is gzip: {error}") from None
        if not gunzip.whole:
            raise Refused(400, "malformed_gzip", "the body says it is gzip, and is cut short")
        return b"".join(pieces)

    async def _piece(self) -> bytes:
        message = await self._receive()
        if message["type"] != "http.request":
            raise Gone
        self._ended = not message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        self._came += len(piece)
        if self._came > self._limits.body:
            raise self._too_large()
        return piece

    def _hold(self, size: int) -> None:
        self._size += size
        self._load.held += size
        if self._size > self._limits.body:
            raise self._too_large()
        self._load.check()

    def _too_large(self) -> Refused:
        return Refused(
            413, "body_too_large", f"the body is too large: at most {self._limits.body} bytes are allowed, decompressed"
        )

    async def spill(self) -> None:
        """Drops what is still to come, so that the client reads its answer."""
        try:
            async with asyncio.timeout(self._limits.body_s):
                while not self._ended and self._came < SPILL:
                    message = await self._receive()
                    self._ended = message["type"] != "http.request" or not message.get("more_body", False)
                    self._came += len(message.get("body", b""))
        except TimeoutError:
            return

    def close(self) -> None:
        self._load.held -= self._size


_GZIP = ((b"accept-encoding", b"gzip"),)
