"""HTTP ingest as its senders see it: 8 kept connections, 100 events a POST, each answered when its events are on disk.

`python -m bench.ingest` (PYTHONPATH=tests) prints the time of an answer (p50, p99) and events a second, in turn with the same server on sockets
that do not say they are TCP (`before`): asyncio then leaves Nagle's algorithm on, and the second packet of an answer waits for the
client's delayed acknowledgement. The ratio of the two p50 is what the machine's load does not change.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS, EVENTS, POSTS = 8, 100, 60
KEY = "bench"


@dataclass(frozen=True)
class Answers:
    """What the senders saw, in seconds."""

    p50: float
    p99: float
    events_a_second: float


def serve(folder: str, *, quick: bool) -> None:
    """The server, in a process of its own: prints its port, ends with its standard input."""
    from waypost.http import listening, server
    from waypost.sources.ingest import Ingest, Served
    from waypost.state.journal import Journal
    from waypost.state.store import Store

    if not quick:

        def slow(host: str, port: int) -> list[socket.socket]:
            found = listening.bind(host, port)
            return [socket.socket(one.family, one.type, 0, fileno=one.detach()) for one in found]

        server.bind = slow  # type: ignore[attr-defined]

    async def go() -> None:
        store = Store(Path(folder))
        ingest = Ingest([Served("web", "127.0.0.1:0", (KEY,))], Journal(store))
        await ingest.start()
        print(ingest.addresses[0], flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await ingest.stop(1.0)
        store.close()

    asyncio.run(go())


def body(number: int) -> bytes:
    common = {"type": "track", "event": "Order Completed"}
    rows = [
        {**common, "userId": f"u{n}", "messageId": f"m{number}-{n}", "properties": {"total": n, "sku": "x" * 200}}
        for n in range(EVENTS)
    ]
    return json.dumps({"batch": rows, "writeKey": KEY}).encode()


def measure(*, quick: bool, posts: int = POSTS) -> Answers:
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "bench.ingest", "--serve", folder, *([] if quick else ["--slow"])]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                host, _, port = process.stdout.readline().strip().rpartition(":")
                return send(host, int(port), posts)
            finally:
                process.stdin.close()


def send(host: str, port: int, posts: int) -> Answers:
    """All connections at once; the first answers of each, which warm it up, do not count."""
    seconds: list[float] = []
    content = body(0)

    def one() -> None:
        connection = http.client.HTTPConnection(host, port)
        # As SDKs have it: head and body in one packet, or at least without waiting between them.
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(posts + 5):
            began = time.perf_counter()
            connection.request("POST", "/v1/batch", content)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            if number >= 5:
                seconds.append(time.perf_counter() - began)
        connection.close()

    threads = [threading.Thread(target=one) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = time.perf_counter() - began
    cuts = statistics.quantiles(seconds, n=100)
    return Answers(cuts[49], cuts[98], CONNECTIONS * (posts + 5) * EVENTS / whole)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve")
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--posts", type=int, default=POSTS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, quick=not given.slow)
        return
    now = [measure(quick=True, posts=given.posts) for _ in range(3)]
    before = measure(quick=False, posts=given.posts)
    best = sorted(now, key=lambda item: item.p50)[1]
    for name, found in (("before", before), ("now", best)):
        print(
            f"{name:7} p50 {found.p50 * 1e3:6.2f} ms   p99 {found.p99 * 1e3:6.2f} ms   {found.events_a_second:9,.0f} events a second"
        )
    print(f"p50: {best.p50 / before.p50:.3f} of before")


if __name__ == "__main__":
    main()
