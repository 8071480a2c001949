"""P8 and P11 at length: a million events, and a destination that is down for most of the run.

The engine as a process of its own reads a file (its own journal), or is sent the events over HTTP (kept in the state's journal). After the
first tenth the destination answers 503 or cuts the connection, for so long as is asked; then it works again. The engine's resident memory is
sampled all the while; its slope is taken over the outage, by least squares. At the end every event was taken, the ledger closes and tells
the same.

    python tests/million.py --events 1000000 --down 120 [--source file|http]
"""

from __future__ import annotations

import argparse
import http.client
import json
import resource
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from kills import SPEC, ledger_in
from running import KEYS, Engine, free_port, wait_for_port
from waypost.http.receiver import Received, Receiver, Reply

SAMPLE_S = 0.25
WARM = 0.2
"""The share of the outage in which windows and buffers fill; the slope is taken over the rest."""

FLAT_MB = 40.0
"""How far apart the least and the most memory of that time may be."""


class Message(msgspec.Struct):
    """What is looked at of a message."""

    key: str


class Body(msgspec.Struct):
    """What is looked at of a request."""

    events: list[Message]


@dataclass
class Destination:
    """State: which events were taken, how often, and when it was down and up again."""

    events: int
    taken: bytearray = field(init=False)
    count: int = 0
    again: int = 0
    down: threading.Event = field(default_factory=threading.Event)
    up_at: float = 0.0
    first_s: float = 0.0
    refused: int = 0

    def __post_init__(self) -> None:
        self.taken = bytearray(self.events)
        self._decode = msgspec.json.Decoder(Body).decode

    def answer(self, request: Received) -> Reply:
        """For Receiver(answer=...)."""
        if self.down.is_set():
            self.refused += 1
            return Reply(503 if self.refused % 2 else 0)
        if self.up_at and not self.first_s:
            self.first_s = time.monotonic() - self.up_at
        for message in self._decode(request.body).events:
            number = int(message.key)
            self.again += self.taken[number]
            self.count += not self.taken[number]
            self.taken[number] = 1
        return Reply()


@dataclass
class Figures:
    """What a run came to; `wrong` is empty when all is well."""

    source: str
    events: int
    lost: int
    again: int
    share: float
    slope: float
    least: float
    most: float
    first_s: float
    drain_s: float
    seconds: float
    wrong: list[str]

    def __str__(self) -> str:
        return (
            f"{self.source}: events={self.events:,} lost={self.lost} again={self.again} wrong={len(self.wrong)}; "
            f"down for {self.share:.0%} of {self.seconds:.0f} s; memory in the outage {self.least:.0f} to {self.most:.0f} MB, "
            f"slope {self.slope:+.2f} MB/min; back after {self.first_s:.1f} s, drained {self.drain_s:.0f} s later"
        )


def line(number: int) -> dict[str, object]:
    return {
        "type": "track",
        "event": "View",
        "userId": f"u{number % 1000}",
        "messageId": str(number),
        "properties": {"total": number, "pad": "x" * 100},
    }


def run(source: str, events: int, down_s: float, folder: Path) -> Figures:
    """One run. Raises AssertionError when it cannot be carried out."""
    (folder / "shop.yaml").write_text(
        SPEC.replace("max_messages: 25, max_bytes: 100kB", "max_messages: 2500, max_bytes: 500kB"), encoding="utf-8"
    )
    port = free_port()
    feed = (
        '{files: "events.ndjson"}' if source == "file" else f'{{http: "127.0.0.1:{port}", write_keys: [env:WEB_KEY]}}'
    )
    (folder / "waypost.yaml").write_text(
        "connections:\n  shop:\n    destination: shop.yaml\n    sources: [all]\n    settings: {key: env:KEY}\n"
        f"sources:\n  all: {feed}\n",
        encoding="utf-8",
    )
    if source == "file":
        with (folder / "events.ndjson").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(line(number)) + "\n" for number in range(events))
    shop = Destination(events)
    # Every body would be kept by the receiver: this run's memory is not the engine's, but it is the machine's.
    with Light(shop) as receiver:
        began = time.monotonic()
        engine = Engine(folder, "run", "waypost.yaml", "--state", "state", "--endpoint-override", receiver.url)
        try:
            found = _outage(source, shop, receiver, engine, port, down_s)
        finally:
            engine.process.kill()
    outage, samples, drain_s, status = found
    seconds = time.monotonic() - began
    held = [(at, size) for at, size in samples if at >= outage[0] + WARM * (outage[1] - outage[0]) and at <= outage[1]]
    ledger = ledger_in(folder / "state", "shop", "all")
    wrong = [] if status == 0 else [f"the engine ended with {status}: {engine.said[-5:]}"]
    if (ledger["read"], ledger["delivered"], ledger["closes"]) != (events, events, True):
        wrong.append(f"the ledger says {ledger}")
    sizes = [size for _, size in held]
    if max(sizes) - min(sizes) > FLAT_MB:
        wrong.append(f"memory grew in the outage: {min(sizes):.0f} to {max(sizes):.0f} MB")
    return Figures(
        source, events, events - shop.count, shop.again, (outage[1] - outage[0]) / seconds, slope(held) * 60, min(sizes),
        max(sizes), shop.first_s, drain_s, seconds, wrong,
    )  # fmt: skip


class Light(Receiver):
    """A receiver that keeps no request."""

    def __init__(self, shop: Destination) -> None:
        super().__init__(port=0, answer=shop.answer)

    def take(self, request: Received) -> Reply:
        reply = super().take(request)
        with self.arrived:
            self.requests.clear()
        return reply


def _outage(
    source: str, shop: Destination, receiver: Receiver, engine: Engine, port: int, down_s: float
) -> tuple[tuple[float, float], list[tuple[float, float]], float, int]:
    """The run itself: when the outage began and ended, the samples, how long the rest took, and the exit status."""
    producing = threading.Thread(target=lambda: post(port, shop.events), daemon=True)
    if source == "http":
        wait_for_port(port)
        producing.start()
    samples: list[tuple[float, float]] = []
    ended = threading.Event()
    sampling = threading.Thread(target=lambda: samples.extend(sizes(engine.process.pid, ended)), daemon=True)
    sampling.start()
    with receiver.arrived:
        assert receiver.arrived.wait_for(lambda: shop.count >= shop.events // 10, 300), engine.said
    shop.down.set()
    began = time.monotonic()
    if source == "http":
        # Events keep coming, and are acknowledged: they wait in the journal.
        producing.join(600)
    ended.wait(max(0.0, began + down_s - time.monotonic()))
    shop.up_at = time.monotonic()
    shop.down.clear()
    with receiver.arrived:
        receiver.arrived.wait_for(lambda: shop.count == shop.events, 600)
    drained = time.monotonic() - shop.up_at - shop.first_s
    ended.set()
    sampling.join()
    if source == "http":
        engine.process.send_signal(signal.SIGTERM)
    return (began, shop.up_at), samples, drained, engine.end(60)


def sizes(pid: int, ended: threading.Event) -> Iterator[tuple[float, float]]:
    """(instant, resident megabytes) of a process, until it is told to end."""
    while not ended.wait(SAMPLE_S):
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError):
            return
        yield time.monotonic(), pages * resource.getpagesize() / 1e6


def slope(samples: list[tuple[float, float]]) -> float:
    """Of the line through the samples with the least squares, a second."""
    mean_at = sum(at for at, _ in samples) / len(samples)
    mean = sum(size for _, size in samples) / len(samples)
    return sum((at - mean_at) * (size - mean) for at, size in samples) / sum((at - mean_at) ** 2 for at, _ in samples)


def post(port: int, events: int, size: int = 1000) -> None:
    """All events over HTTP, a batch a request; one that is not acknowledged is sent again."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"content-type": "application/json"}
    for first in range(0, events, size):
        rows = [line(number) for number in range(first, min(first + size, events))]
        body = json.dumps({"batch": rows, "writeKey": KEYS["WEB_KEY"]})
        while True:
            connection.request("POST", "/v1/batch", body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                break
            assert answer.status == 503, answer.status
            time.sleep(0.2)
    connection.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="many events, and a destination that is down for most of the run")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--down", type=float, default=120.0, help="seconds")
    parser.add_argument("--source", choices=["file", "http"])
    words = parser.parse_args()
    bad = 0
    for source in [words.source] if words.source else ["file", "http"]:
        with tempfile.TemporaryDirectory() as scratch:
            found = run(source, words.events, words.down, Path(scratch))
        print(found, flush=True)
        for text in found.wrong:
            print(f"  {text}", flush=True)
        bad += bool(found.wrong or found.lost)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
