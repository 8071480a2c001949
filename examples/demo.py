"""`make demo`: a receiver on loopback, `waypost run` on examples/events.ndjson, what arrived, and the ledger.

Everything is local: the write key is made up and the receiver answers as an HTTP API that accepts all would.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from waypost.runtime.receive import Receiver

HERE = Path(__file__).resolve().parent


def main() -> int:
    with Receiver(port=0, script="429:retry-after=1,200") as receiver:
        print(f"A receiver listens on {receiver.url}; its first answer is a 429 with Retry-After: 1.\n", flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            command = [
                *(sys.executable, "-m", "waypost", "run", "segment"),
                *("--set", "source_write_key=env:DEMO_WRITE_KEY", "--set", "endpoint=europe"),
                *("--endpoint-override", receiver.url, "--dead-letters", str(Path(scratch) / "dead.ndjson")),
                str(HERE / "events.ndjson"),
            ]
            print(
                "$ waypost",
                " ".join(part if " " not in part else repr(part) for part in command[3:-1]),
                "examples/events.ndjson\n",
                flush=True,
            )
            status = subprocess.run(command, env={**os.environ, "DEMO_WRITE_KEY": "demo"}, check=False).returncode
            dead = Path(scratch) / "dead.ndjson"
            show_dead(dead.read_text(encoding="utf-8") if dead.is_file() else "")
        show_requests(receiver)
    # Some example events are refused on purpose (exit status 3 says so); anything else is a failure of the demo.
    return 0 if status in (0, 3) else status


def show_dead(text: str) -> None:
    rows = [json.loads(line) for line in text.splitlines()]
    if not rows:
        return
    print("\nDead letters (each with its event, ready to be replayed), by reason:")
    for (reason, message), count in sorted(Counter((row["reason"], row["message"]) for row in rows).items()):
        print(f"  {count:3d}  {reason}: {message}")


def show_requests(receiver: Receiver) -> None:
    print("\nWhat arrived:")
    for request in receiver.requests:
        body = json.loads(request.body) if request.body else {}
        types = Counter(message.get("type") for message in body.get("batch", []))
        shown = ", ".join(f"{count} {name}" for name, count in sorted(types.items()))
        print(f"  {request.method} {request.path}  {len(request.body):,} bytes -> {request.status}  [{shown}]")
    accepted = [request for request in receiver.requests if request.status == 200]
    if accepted and accepted[0].body:
        first = json.loads(accepted[0].body)["batch"][0]
        print("\nThe first message on the wire:\n" + json.dumps(first, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    sys.exit(main())
