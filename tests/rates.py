"""P7 where it counts: rates by the destination's own clock, over real connections.

Takes rates in requests a second and for how long. Runs the engine as a process of its own against a receiver on loopback, each rate in a pair
of its own and all at once; gives for each the largest count in any second, the least distance, and the share of the rate that went.

    python tests/rates.py --seconds 60 --rates 1,10,100
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from running import Engine
from waypost.http.receiver import Received, Receiver, Reply

SPEC = """
spec: 1
name: shop
settings:
  key: {{type: string, secret: true, label: Key}}
auth: {{bearer: "{{{{ settings.key }}}}"}}
request:
  post: https://api.shop.example/v1/events
  body: $message
  rate: {{requests: {rate}/s}}
  concurrency: 8
actions:
  all:
    trigger: type = "track"
    mapping:
      id: "{{{{ meta.id }}}}"
"""


@dataclass
class Figures:
    rate: int
    requests: int
    largest: int
    gap: float
    share: float

    def __str__(self) -> str:
        return (
            f"{self.rate}/s: requests={self.requests}, at most {self.largest} in any second, least distance of {self.rate} requests "
            f"{self.gap:.4f} s, {self.share:.1%} of the rate"
        )


def measured(rate: int, seconds: float) -> Figures:
    """One run of about so many seconds."""
    seen: list[float] = []
    lock = threading.Lock()

    def answer(request: Received) -> Reply:
        with lock:
            seen.append(time.monotonic())
        return Reply()

    count = max(2, round(rate * seconds))
    event = {"type": "track", "event": "E", "userId": "u"}
    with tempfile.TemporaryDirectory() as name, Receiver(port=0, answer=answer) as receiver:
        folder = Path(name)
        (folder / "shop").mkdir()
        (folder / "shop" / "destination.yaml").write_text(SPEC.format(rate=rate))
        lines = [json.dumps({**event, "messageId": f"m{number}"}) for number in range(count)]
        (folder / "events.ndjson").write_text("\n".join(lines) + "\n")
        words = (
            "run",
            "shop/destination.yaml",
            "events.ndjson",
            "--set",
            "key=env:KEY",
            "--endpoint-override",
            receiver.url,
        )
        engine = Engine(folder, *words)
        try:
            status = engine.end(seconds * 2 + 60)
        finally:
            engine.process.kill()
    assert status == 0, "".join(engine.said)
    assert len(seen) == count
    return figures(rate, sorted(seen))


def figures(rate: int, seen: list[float]) -> Figures:
    """Of a receiver's instants. The first window goes at once, so the rate is taken behind it."""
    largest, first = 0, 0
    for last, at in enumerate(seen):
        while seen[first] <= at - 1.0:
            first += 1
        largest = max(largest, last - first + 1)
    gaps = [later - at for at, later in zip(seen, seen[rate:], strict=False)]
    took = seen[-1] - seen[0]
    share = (len(seen) - rate) / took / rate if took else 0.0
    return Figures(rate, len(seen), largest, min(gaps, default=0.0), share)


def main() -> int:
    parser = argparse.ArgumentParser(description="rates by the destination's own clock")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rates", default="1,10,100")
    given = parser.parse_args()
    rates = [int(word) for word in given.rates.split(",")]
    with ThreadPoolExecutor(len(rates)) as pool:
        found = list(pool.map(lambda rate: measured(rate, given.seconds), rates))
    for row in found:
        print(row)
    return 1 if any(row.largest > row.rate for row in found) else 0


if __name__ == "__main__":
    sys.exit(main())
