"""`make demo`: a receiver on loopback, `waypost run` on examples/events.ndjson, the ledger, what arrived, and what to try next.

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

from waypost.http.receiver import Receiver

HERE = Path(__file__).resolve().parent


NEXT = (
    ("what one event becomes, field by field", "preview segment examples/events.ndjson --line 3"),
    (
        "every request, without sending it",
        "run segment --set source_write_key=file:examples/demo.key --dry-run examples/events.ndjson",
    ),
    ("the checks of the destination's spec, its tests and connections", "lint"),
)
"""What to try after the demo, from the root of the repository: why, and the words of the command."""


def main() -> int:
    with Receiver(port=0, script="429:retry-after=1,200") as receiver, tempfile.TemporaryDirectory() as scratch:
        print(
            f"A receiver on {receiver.url} plays Segment; its first answer is 429, try again in a second.", flush=True
        )
        dead = Path(scratch) / "dead.ndjson"
        words = ["run", "segment", "--set", "source_write_key=env:DEMO_WRITE_KEY", "--endpoint-override", receiver.url]
        print(f"$ waypost {' '.join(words)} examples/events.ndjson\n", flush=True)
        command = [*(sys.executable, "-m", "waypost", *words), "--dead-letters", str(dead), str(HERE / "events.ndjson")]
        env = {**os.environ, "DEMO_WRITE_KEY": "demo"}
        done = subprocess.run(command, env=env, stderr=subprocess.PIPE, text=True, check=False)
        # The scratch folder is gone when this is read.
        print("".join(row for row in done.stderr.splitlines(keepends=True) if str(dead) not in row), end="")
        # Some example events are refused on purpose (exit status 3 says so); anything else is a failure of the demo.
        if done.returncode not in (0, 3):
            return done.returncode
        show(receiver, dead.read_text(encoding="utf-8").splitlines() if dead.is_file() else [])
    return 0


def show(receiver: Receiver, dead: list[str]) -> None:
    """What happened, and what to try next."""
    print("\nWhat arrived:")
    for request in receiver.requests:
        messages = len(json.loads(request.body).get("batch", [])) if request.body else 0
        print(f"  {request.method} {request.path}  {messages} messages -> {request.status}")
    print("\nThe ledger above closes: each event was delivered, filtered by the spec, or kept with its reason:")
    for (reason, message), count in sorted(Counter(map(reason_of, dead)).items()):
        print(f"  {count:3d}  {reason}: {message}")
    print("\nTry next (docs/guide.md: a destination of your own in ten minutes):")
    for why, words in NEXT:
        print(f"  .venv/bin/waypost {words}\n      {why}")


def reason_of(line: str) -> tuple[str, str]:
    row = json.loads(line)
    return row["reason"], row["message"]


if __name__ == "__main__":
    sys.exit(main())
