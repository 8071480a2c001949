"""A server on loopback that takes requests as bytes and sends whatever bytes it likes: what no library of HTTP would.

Takes what a subclass answers. Gives its url, as long as it is open.
"""

from __future__ import annotations

import re
import socket
import socketserver
import threading


class RawServer(socketserver.ThreadingTCPServer):
    """`answer` gets each request when it is whole. `patience_s`: how long one waits for the client."""

    allow_reuse_address = daemon_threads = True
    patience_s: float | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def __exit__(self, *words: object) -> None:
        self.shutdown()
        self.server_close()

    def answer(self, request: bytes, client: socket.socket) -> None:
        raise NotImplementedError


class _Handler(socketserver.StreamRequestHandler):
    server: RawServer

    def handle(self) -> None:
        self.connection.settimeout(self.server.patience_s)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            row = self.rfile.readline()
            if not row:
                return
            head += row
        length = re.search(rb"(?i)content-length: (\d+)", head)
        self.server.answer(head + self.rfile.read(int(length[1]) if length else 0), self.connection)
