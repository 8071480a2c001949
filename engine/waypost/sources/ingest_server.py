"""What the HTTP server bears on the port of a source: many senders that keep their connections.

Takes an ASGI application and an address. Gives a server (http/server.py) that answers in the form of the tracking API.
"""

from __future__ import annotations

from waypost.events.lines import SourceError
from waypost.http.listening import Taken
from waypost.http.server import App, Bounds, Server

HEAD = 64 << 10
"""The most bytes of a request's line and headers."""

HEAD_S = 30.0
"""How long a client may take for them, and for the body."""

KEEP_ALIVE_S = 75
"""How long a connection is kept between two requests."""

CONNECTIONS, SHARE = 8192, 0.5
"""So many connections of senders are open at once; at most this share of the process's descriptors, for delivery and state need some too."""

IDLE_S = 5.0
"""Where there is no room for another connection, one that has idled for so long is closed."""


def bound(app: App, host: str, port: int, limit: int) -> Server:
    """A server for at most so many connections at once, bound to its address. Raises SourceError."""
    try:
        return Server(app, host, port, Bounds(HEAD, HEAD_S, KEEP_ALIVE_S, limit, IDLE_S, _refusal))
    except Taken as error:
        raise SourceError(str(error)) from None


def _refusal(code: str, message: str) -> bytes:
    return f'{{"success":false,"code":"{code}","message":"{message}"}}'.encode()
