"""`make soak`, part ways: hostile events over HTTP, standard input and files through `waypost run`, the guard off: no run ends with 70.

Takes how many events each way gets. The shipped destination delivers to a receiver on loopback. Over HTTP every request is answered (200, 400
or 413), the engine is there to the end and stops at SIGTERM with status 0 or 3; the others end by themselves with one of these.

    python tests/fuzz_ways.py --events 100000
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

os.environ["WAYPOST_GUARD"] = "off"

import msgspec

from fuzz import Events
from hostile import hostile_events
from running import KEYS, Engine, free_port, wait_for_port, waypost
from waypost.http.receiver import Received, Receiver, Reply

BATCH = 100
MOST, LARGEST = 400_000, 32_000
"""So many bytes of a request over HTTP, which takes 500 KB, and of an event in it."""

CONNECTIONS = """connections:
  fuzzed:
    destination: segment
    sources: [web]
    settings: {{source_write_key: env:KEY, endpoint: europe}}
sources:
  web: {{http: "127.0.0.1:{port}", write_keys: [env:WEB_KEY]}}
"""


class Counting:
    """A destination that takes everything and remembers only how often it was asked."""

    def __init__(self) -> None:
        self.requests = 0

    def answer(self, request: Received) -> Reply:
        self.requests += 1
        return Reply()


def lines(count: int, seed: int) -> Iterator[bytes]:
    """Half of them are events gone wrong, half hold hostile values wherever a spec reads."""
    maker = Events(seed)
    for number, line in enumerate(hostile_events(seed, count)):
        yield maker.event() if number % 2 or b"\n" in line else line


def over_http(count: int, seed: int, folder: Path, url: str) -> Counter[str]:
    """Batches of events, as SDKs post them. Gives the answers by status."""
    port = free_port()
    (folder / "waypost.yaml").write_text(CONNECTIONS.format(port=port), encoding="utf-8")
    engine = Engine(folder, "run", "waypost.yaml", "--state", "st", "--endpoint-override", url, "--drain", "60")
    found: Counter[str] = Counter()
    try:
        wait_for_port(port)
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for body in bodies(count, seed):
            key = base64.b64encode(f"{KEYS['WEB_KEY']}:".encode()).decode()
            headers = {"authorization": f"Basic {key}", "content-type": "application/json"}
            until = time.monotonic() + 120
            while True:
                client.request("POST", "/v1/batch", body, headers)
                answer = client.getresponse()
                answer.read()
                if answer.status != 503 or time.monotonic() > until:
                    break
                # The journal is full, as documented: its lane makes room.
                time.sleep(0.2)
            found[str(answer.status)] += 1
        client.close()
        wait_for_all(folder)
    finally:
        engine.process.send_signal(signal.SIGTERM)
        status = engine.end(120)
    said = "".join(engine.said)
    assert status in (0, 3), (status, said[-3000:])
    assert "Traceback" not in said, said[-3000:]
    assert set(found) <= {"200", "400", "413"}, found
    return found


def wait_for_all(folder: Path) -> None:
    """Until every event of the journal has ended: a signal before that rightly gives status 5, and keeps the rest."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        status, out, _ = waypost("state", str(folder / "st"), "--json")
        lanes = json.loads(out)["lanes"] if status == 0 else []
        inputs = [item for lane in lanes for item in lane["inputs"]]
        if inputs and all(item["lag"] == 0 for item in inputs):
            return
        time.sleep(0.05)
    raise AssertionError("the lane does not reach the end of the journal")


def bodies(count: int, seed: int) -> Iterator[bytes]:
    """What is no JSON, or too large for an event, goes alone: the answer is about the whole request."""
    held: list[bytes] = []
    for line in lines(count, seed):
        if len(line) > LARGEST or not _is_json(line):
            yield b'{"batch":[' + line + b"]}"
            continue
        if sum(map(len, held)) + len(line) > MOST or len(held) == BATCH:
            yield b'{"batch":[' + b",".join(held) + b"]}"
            held = []
        held.append(line)
    yield b'{"batch":[' + b",".join(held) + b"]}"


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except (ValueError, RecursionError):
        return False
    return True


def over_files(count: int, seed: int, folder: Path, url: str, *words: str, stdin: bool = False) -> None:
    path = folder / "events.ndjson"
    path.write_bytes(b"\n".join(lines(count, seed)) + b"\n")
    given = ("--set", "source_write_key=env:KEY", "--set", "endpoint=europe", "--endpoint-override", url, *words)
    with path.open("rb") as events:
        inputs = () if stdin else (str(path),)
        engine = Engine(folder, "run", "segment", *given, *inputs, stdin=events if stdin else None)
        status = engine.end(600)
    said = "".join(engine.said)
    assert status in (0, 3), (status, said[-3000:])
    assert "Traceback" not in said, said[-3000:]


def ways(count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Each way with its figures. Raises AssertionError where one has failed."""
    counting = Counting()
    runs = {
        "stdin": lambda folder, url: over_files(count, seed, folder, url, stdin=True),
        "stdin --journal": lambda folder, url: over_files(
            count, seed + 1, folder, url, "--journal", "--state", "st", stdin=True
        ),
        "a file": lambda folder, url: over_files(count, seed + 2, folder, url, "--state", "st"),
        "a file, 2 workers": lambda folder, url: over_files(count, seed + 3, folder, url, "--workers", "2"),
    }
    with Receiver(port=0, answer=counting.answer) as receiver:
        with tempfile.TemporaryDirectory() as folder:
            found = over_http(count, seed, Path(folder), receiver.url)
            answers = ", ".join(f"{status} {times:,}" for status, times in sorted(found.items()))
            yield "HTTP", f"{count:,} events, answered {answers}"
        for name, way in runs.items():
            before = counting.requests
            with tempfile.TemporaryDirectory() as folder:
                way(Path(folder), receiver.url)
            yield name, f"{count:,} events, {counting.requests - before:,} requests"


def main() -> int:
    parser = argparse.ArgumentParser(description="hostile events over HTTP, standard input and files")
    parser.add_argument("--events", type=int, default=60_000, help="each way")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    try:
        for name, figures in ways(given.events, given.seed):
            print(f"{name}: {figures}, 0 faults of ours", flush=True)
    except AssertionError as error:
        print(f"a run has failed: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
