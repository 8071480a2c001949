"""A local HTTP server that shows what arrives, and misbehaves when told to: for looking at the wire, for the demo and for tests.

Takes a script of answers (`200,429:retry-after=2,500x3,cut`; the last one repeats). Gives the requests as they came. It knows nothing of any
destination.
"""

from __future__ import annotations

import gzip
import json
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TextIO

BODY_LIMIT = 64 << 20


class ScriptError(ValueError):
    """A script that cannot be read. One clear line."""


@dataclass(frozen=True)
class Reply:
    """`status` 0 is a cut: the connection is closed without an answer (after reading the request)."""

    status: int = 200
    delay_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"success":true}'


@dataclass(frozen=True)
class Received:
    """A request: `body` is decompressed, `size` as it came. `status` is what was answered (0: cut)."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    size: int
    status: int


def parse_script(text: str) -> list[Reply]:
    """`STATUS[xN][:name=value...]` or `cut`, comma-separated. Names: `delay` (seconds), `body`, or a header."""
    replies: list[Reply] = []
    for part in text.split(","):
        head, *pairs = part.strip().split(":")
        status, _, times = head.partition("x")
        if status != "cut" and not (status.isdecimal() and 100 <= int(status) <= 599):
            raise ScriptError(f"`{part.strip()}` is no answer: expected a status such as 429, or `cut`")
        if times and not (times.isdecimal() and int(times) > 0):
            raise ScriptError(f"`{head}`: expected a count after the x, such as 500x3")
        reply = _reply(0 if status == "cut" else int(status), pairs)
        replies += [reply] * int(times or 1)
    return replies


def _reply(status: int, pairs: list[str]) -> Reply:
    delay, body, headers = 0.0, b'{"success":true}' if 200 <= status < 300 else b"", {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise ScriptError(f"`{pair}`: expected name=value")
        if name == "delay":
            try:
                delay = float(value)
            except ValueError:
                raise ScriptError(f"`{pair}`: expected seconds") from None
        elif name == "body":
            body = value.encode()
        else:
            headers[name] = value
    return Reply(status, delay, headers, body)


class Receiver:
    """A server on loopback. State: the requests that came. Use as a context manager; `answer` may decide each reply in code."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8080,
        script: str = "200",
        answer: Callable[[Received], Reply] | None = None,
    ) -> None:
        self.requests: list[Received] = []
        self.arrived = threading.Condition()
        self._replies = parse_script(script)
        self._answer = answer
        self._count = 0
        self._server = _Server((host, port), _Handler)
        self._server.receiver = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host if isinstance(host, str) else host.decode()}:{port}"

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def serve(self) -> None:
        """Serves until interrupted."""
        self._server.serve_forever(poll_interval=0.2)

    def take(self, request: Received) -> Reply:
        """Notes a request and says what to answer."""
        with self.arrived:
            reply = self._answer(request) if self._answer else self._replies[min(self._count, len(self._replies) - 1)]
            self._count += 1
            self.requests.append(
                Received(request.method, request.path, request.headers, request.body, request.size, reply.status)
            )
            self.arrived.notify_all()
        return reply


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    receiver: Receiver

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is not news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    # Headers and body in two packets would wait for each other (Nagle and delayed acknowledgement).
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        return None

    def _any(self) -> None:
        raw = self._body()
        if raw is None:
            # The sender went away in the middle: nobody is there to answer, and half a request is none.
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.receiver.take(
            Received(self.command, self.path, headers, _decompressed(raw, headers), len(raw), 0)
        )
        if reply.delay_s:
            time.sleep(reply.delay_s)
        if reply.status == 0:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any

    def _body(self) -> bytes | None:
        """The body; None when it was cut."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._chunked()
        length = self.headers.get("Content-Length", "0")
        wanted = min(int(length), BODY_LIMIT) if length.isdecimal() else 0
        found = self.rfile.read(wanted)
        return found if len(found) == wanted else None

    def _chunked(self) -> bytes:
        body = b""
        while len(body) < BODY_LIMIT:
            size = int(self.rfile.readline().split(b";")[0] or b"0", 16)
            body += self.rfile.read(size)
            self.rfile.readline()
            if not size:
                return body
        return body


def _decompressed(body: bytes, headers: dict[str, str]) -> bytes:
    if headers.get("content-encoding", "").lower() != "gzip":
        return body
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error):
        return body


def show(request: Received, out: TextIO) -> None:
    """One request as an NDJSON record, credentials masked."""
    try:
        body: Any = json.loads(request.body) if request.body else None
    except ValueError:
        body = request.body.decode(errors="replace")
    masked = {
        name: ("***" if name in ("authorization", "proxy-authorization", "x-api-key") else value)
        for name, value in request.headers.items()
    }
    row = {
        "method": request.method,
        "path": request.path,
        "headers": masked,
        "body": body,
        "bytes": request.size,
        "answered": request.status or "cut",
    }
    out.write(json.dumps(row, ensure_ascii=False) + "\n")
    out.flush()
