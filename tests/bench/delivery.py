"""End to end: `waypost run` as a process of its own, from a file to a receiver on loopback that is not the limit (sink.c), with a cursor,
acknowledgements and the ledger.

Gives wall-clock time, processor time and the largest memory of the engine's process, as the system counts them, and checks that what the ledger
says was delivered is what arrived.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import inputs

SOURCE = Path(__file__).with_name("sink.c")
LAUNCH = Path(__file__).with_name("launch.py")
FREE = 2
"""A file of events is only written where so many times its size is free."""

_NUMBER = re.compile(rb"ajs-next-(\d+)-")


@dataclass(frozen=True)
class Delivery:
    events: int
    bytes: int
    delivered: int
    requests: int
    wall_s: float
    cpu_s: float
    rss_mb: float
    status: int


class Sink:
    """State: the receiver's process. `port` is where it listens."""

    def __init__(self, binary: Path) -> None:
        self._process = subprocess.Popen([str(binary)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def close(self) -> int:
        """How many requests arrived."""
        out, _ = self._process.communicate()
        return int(out.split()[0])


def built(folder: Path) -> Path | str:
    """The receiver, compiled, or a word why there is none."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return "not measured: there is no C compiler here for the receiver"
    binary = folder / "sink"
    done = subprocess.run(
        [compiler, "-O2", "-pthread", "-o", str(binary), str(SOURCE)], capture_output=True, text=True, check=False
    )
    return binary if done.returncode == 0 else f"not measured: {compiler} cannot build the receiver"


def write_events(path: Path, count: int, lines: list[bytes]) -> str:
    """A file of `count` events, the lines repeated with other ids; or a word why it is not written."""
    size = sum(map(len, lines)) // len(lines) * count
    if shutil.disk_usage(path.parent).free < FREE * size:
        return f"not measured: {count:,} events need {FREE * size >> 20:,} MiB of disk"
    with path.open("wb") as file:
        for start in range(0, count, len(lines)):
            part = b"\n".join(lines[: count - start]) + b"\n"
            turn = start // len(lines)
            file.write(_NUMBER.sub(lambda found, turn=turn: b"ajs-next-%d.%s-" % (turn, found[1]), part))  # type: ignore[misc]
    return ""


def deliver(binary: Path, events: Path, count: int, words: tuple[str, ...], folder: Path) -> Delivery:
    """One run of `waypost run WORDS` from the start, over a file of so many events; dead letters and the cursor are in the state."""
    sink = Sink(binary)
    state = Path(tempfile.mkdtemp(dir=folder))
    command = [
        *(sys.executable, "-m", "waypost", "run", *words),
        *("--endpoint-override", f"http://127.0.0.1:{sink.port}", "--state", str(state / "state"), "--json"),
    ]
    used = state / "used.json"
    done = subprocess.run(
        [sys.executable, str(LAUNCH), str(used), *command], capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 3):
        raise RuntimeError(f"waypost run ended with {done.returncode}: {done.stderr}")
    found, usage = json.loads(done.stdout), json.loads(used.read_text(encoding="utf-8"))
    lanes = found.get("lanes", [found])
    requests = sum(lane["requests"] for lane in lanes)
    arrived = sink.close()
    shutil.rmtree(state)
    assert arrived == requests, (arrived, found)
    return Delivery(
        events=count,
        bytes=events.stat().st_size,
        delivered=sum(lane["delivered"] for lane in lanes),
        requests=arrived,
        status=done.returncode,
        **usage,
    )


@contextmanager
def events_file(folder: Path, count: int, lines: list[bytes]) -> Iterator[Path | str]:
    path = folder / "events.ndjson"
    word = write_events(path, count, lines)
    try:
        yield word or path
    finally:
        path.unlink(missing_ok=True)


def mixed(count: int = 50_000) -> list[bytes]:
    return inputs.events(count)


def connections(count: int, events: Path) -> Path:
    """A connections file beside the events: so many connections to the first shipped plan, all of one source."""
    path = events.with_name("waypost.yaml")
    rows = [
        f"  c{index}: {{destination: segment, sources: all, settings: {{source_write_key: env:BENCH_KEY}}}}"
        for index in range(count)
    ]
    path.write_text(
        "\n".join(["connections:", *rows, "sources:", f"  all: {{files: {events.name}}}", ""]), encoding="utf-8"
    )
    return path
