"""Logs as rotation leaves them, written as fast as a test wants.

Takes a folder and a kind of rotation. Gives the log, the ids of all lines that were ever written, and rotates it; and runs of the command on it
while the engine or its destination is down (`Run`), as a program for each kind:

    python tests/rotations.py --rotations 20
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import json
import lzma
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kills import plan
from running import Engine
from waypost.http.receiver import Receiver, Reply
from waypost.plan import dump

PACKED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}

KINDS = (
    "renamed",
    "packed",
    "dated",
    "copied",
    "copied and packed",
    "counted up",
    "packed .bz2",
    "packed .xz",
    "copied and packed .xz",
    "moved",
    "moved and packed",
    "moved and packed .bz2",
)


class Log:
    """State: what was written, and how often it was rotated."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.path = folder / "app.log"
        self.kind = kind
        self.written: list[str] = []
        self.rotations = 0

    def write(self, count: int) -> None:
        with self.path.open("ab") as file:
            for _ in range(count):
                name = f"n{len(self.written)}"
                self.written.append(name)
                event = {"id": name, "type": "track", "userId": "u", "event": "View", "messageId": name}
                file.write(json.dumps(event, separators=(",", ":")).encode() + b"\n")

    def rotate(self) -> None:
        for _ in self.rotating():
            pass

    def rotating(self) -> Iterator[None]:
        """As logrotate does (the youngest is 1; `packed`: by gzip, or what makes files with that ending; `moved`: into a folder of their own),
        or with a date, or counting up; a step at a time."""
        self.rotations += 1
        if self.kind == "dated":
            self.path.rename(self.path.with_name(f"app-2026{self.rotations:04}.log"))
        elif self.kind == "counted up":
            self.path.rename(self.path.with_name(f"app.log.{self.rotations}"))
        else:
            yield from self._shift()
        yield
        self.path.touch()

    def _shift(self) -> Iterator[None]:
        for number in range(self.rotations - 1, 0, -1):
            for end in ("", *PACKED):
                old = self._numbered(number, end)
                if old.exists():
                    old.rename(self._numbered(number + 1, end))
                    yield
        first = self._numbered(1)
        if self.kind.startswith("copied"):
            shutil.copyfile(self.path, first)
            yield
            with self.path.open("r+b") as file:
                file.truncate(0)
        else:
            self.path.rename(first)
        if "packed" in self.kind:
            yield
            end = self.kind.partition("packed")[2].strip() or ".gz"
            with first.open("rb") as plain, PACKED[end](self._numbered(1, end), "wb") as packed:
                shutil.copyfileobj(plain, packed)
            yield
            first.unlink()

    def _numbered(self, number: int, end: str = "") -> Path:
        folder = self.path.parent
        if self.kind.startswith("moved"):
            folder = folder / "old"
            folder.mkdir(exist_ok=True)
        return folder / f"app.log.{number}{end}"


class Run:
    """`waypost run --follow` on a log while the engine or its destination is down, again and again. State: the log, what came, what the engine
    said, and its last status."""

    def __init__(self, folder: Path, kind: str, down: str) -> None:
        (folder / "plan.json").write_bytes(dump(plan()))
        self.folder = folder
        self.down = down
        self.log = Log(folder, kind)
        self.said: list[str] = []
        self.status = -1
        self._refusing = False

    def run(self, rotations: int) -> None:
        """So many rotations, one to four of them while something is down."""
        self.log.write(10)
        left = rotations
        with Receiver(port=0, answer=lambda request: Reply(503 if self._refusing else 200)) as receiver:
            engine = self._engine(receiver)
            self._until_all_came(receiver, engine)
            while left > 0:
                count = min(left, 1 + left % 4)
                left -= count
                if self.down == "engine":
                    self._stop(engine)
                elif self.down == "destination":
                    self._refusing = True
                for _ in range(count):
                    self.log.write(3)
                    self.log.rotate()
                    self.log.write(2)
                self._refusing = False
                if self.down == "engine":
                    engine = self._engine(receiver)
                self._until_all_came(receiver, engine)
            self._stop(engine)
        self.came = came(receiver)

    def run_once_each(self, rotations: int) -> None:
        """The same by runs that end."""
        with Receiver(port=0) as receiver:
            for number in range(rotations):
                self.log.write(3)
                for _ in range(number % 3):
                    self.log.rotate()
                    self.log.write(2)
                engine = self._engine(receiver, follow=False)
                self.status = engine.end()
                self.said += engine.said
            self.came = came(receiver)

    def _engine(self, receiver: Receiver, *, follow: bool = True) -> Engine:
        words = ["run", "plan.json", "--set", "key=env:KEY", "--state", "state", "--endpoint-override", receiver.url]
        return Engine(self.folder, *words, *(["--follow"] if follow else []), "app.log")

    def _stop(self, engine: Engine) -> None:
        engine.process.send_signal(signal.SIGTERM)
        self.status = engine.end()
        self.said += engine.said

    def _until_all_came(self, receiver: Receiver, engine: Engine) -> None:
        wanted = set(self.log.written)
        with receiver.arrived:
            if not receiver.arrived.wait_for(lambda: came(receiver) >= wanted, 60):
                engine.process.kill()
                engine.end()
                missing = sorted(wanted - came(receiver))
                raise AssertionError(f"{len(missing)} lines are lost: {missing[:5]}\n{''.join(engine.said)}")


def came(receiver: Receiver) -> set[str]:
    return {
        row["key"] for one in list(receiver.requests) if one.status == 200 for row in json.loads(one.body)["events"]
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="a log is rotated while the engine or its destination is down")
    parser.add_argument("--rotations", type=int, default=20, help="of each kind")
    given = parser.parse_args()
    lines = lost = 0
    for kind in KINDS:
        for down in ("engine", "destination", "nothing", "between runs"):
            with tempfile.TemporaryDirectory() as folder:
                run = Run(Path(folder), kind, down)
                (run.run_once_each if down == "between runs" else run.run)(given.rotations)
                missing = set(run.log.written) - run.came
                lines, lost = lines + len(run.log.written), lost + len(missing)
                print(f"  {kind}, {down} down: {len(run.log.written)} lines, {len(missing)} lost, status {run.status}")
                if run.status:
                    print("".join(run.said))
                    lost += 1
    print(f"rotations: {lines:,} lines, {lost} lost")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
