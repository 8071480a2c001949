"""`make soak`, part fuzz: hostile events through random specs, and through the shipped destination, with the guard off: no run ends with 70.

Takes how many specs and events. Specs are fuzz_specs.py's. Events have hostile values in every place that a spec reads: lists, objects,
huge and odd numbers, broken and bidirectional text, null; so have the answers in every place that `results` reads. All of it goes the real
way: file, program, lane, rendering, answers; only the network is a function that checks each request as it leaves. Each run's ledger closes,
with nothing in flight, and kernel, generated code and interpreter agree on some of the events.

    python tests/fuzz.py --specs 300 --events 200000
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import random
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

os.environ["WAYPOST_GUARD"] = "off"

from fuzz_specs import FIELDS, OBJECT_FIELDS, ROOTS, Specs, setting_values
from hostile import NUMBERS, TEXTS, TIMES, hostile_events
from waypost import plan as p
from waypost.delivery.outcome import Answer
from waypost.engine.engine import run
from waypost.engine.options import Options
from waypost.http.transport import url_as_sent
from waypost.program.program import link
from waypost.program.request.render import Wire
from waypost.program.settings import SettingError
from waypost.sources.file import FileSource
from ways import all_ways, both

AGREEING = 20
"""On so many events of each spec all ways are compared."""
ROOT = Path(__file__).resolve().parent.parent
HOSTILE = (
    *NUMBERS,
    *(json.dumps(text) for text in TEXTS),
    *TIMES,
    *("null", "true", "false", "[]", "{}", '[""]', "[null]", '["a","b"]', "[[[]]]", '{"a":{"b":[1]}}', '{"":0}', '[1,true,1.0,"1"]'),
    *("1e-99999999999999999999", "0e99999999999999999999", "1e2147483647"),
    *("-1e999", "1" * 400, "0." + "3" * 500, "1e18", "-9" * 1 + "9" * 30),
    *('"\\ud800"', '"\\u0000\\r\\nX-Evil: 1"', '"../.."', '".."', '"%2f"', '"a\\u2028b"', '"' + "é" * 3000 + '"', '"' + "x" * 70_000 + '"'),
    "[" * 60 + "]" * 60,
    "[" * 300 + "]" * 300,
    '{"a":' * 60 + "1" + "}" * 60,
    "[" + ",".join(["1"] * 2000) + "]",
)  # fmt: skip


class Events:
    """Writes events with hostile values wherever a spec of ours reads. Every third has at most one, so that much of it is delivered."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.wrong = 0.4

    def good(self, kind: str) -> str:
        rng = self.rng
        if kind in OBJECT_FIELDS:
            names = ("a", "b", "id", "name", rng.choice(("c", "c", "x y", "o")))
            return (
                "{" + ",".join(f'"{name}":{self.value(name)}' for name in rng.sample(names, rng.randrange(1, 4))) + "}"
            )
        if kind == "rows":
            return "[" + ",".join(self.good("o") for _ in range(rng.randrange(4))) + "]"
        if kind == "words":
            return "[" + ",".join(rng.choice(('"a"', '"news"', '"b c"')) for _ in range(rng.randrange(4))) + "]"
        if kind == "nums":
            return rng.choice(("[1,2.5]", "[]", "[0.1,null,3]"))
        return (
            "5"
            if kind == "n"
            else rng.choice(('"a"', '"news"', "5", "1.5", '"2026-11-24T10:00:00Z"', '"a,b"', '"b@x.de"'))
        )

    def value(self, kind: str = "") -> str:
        rng = self.rng
        if rng.random() >= self.wrong:
            return self.good(kind)
        roll = rng.random()
        if roll < 0.2:
            return "[" + ",".join(rng.choice(HOSTILE[:60]) for _ in range(3)) + "]"
        if roll < 0.4:
            return "{" + ",".join(f'"{key}":{rng.choice(HOSTILE[:60])}' for key in ("a", "b")) + "}"
        return rng.choice(HOSTILE)

    def event(self) -> bytes:
        rng = self.rng
        self.wrong = rng.choice((0.02, 0.15, 0.4))
        kind = '"track"' if rng.random() < 0.93 else self.value()
        rows = [f'"type":{kind}']
        for name in ("userId", "event", "timestamp", "messageId"):
            if rng.random() < 0.9:
                rows.append(f'"{name}":{self.value()}')
        for root in ROOTS:
            if rng.random() < self.wrong / 4:
                rows.append(f'"{root}":{self.value()}')
            elif rng.random() < 0.95:
                members = [
                    f'"{field}":{self.value(field)}' for field in rng.sample(FIELDS, rng.randrange(4, len(FIELDS)))
                ]
                rows.append(f'"{root}":{{{",".join(members)}}}')
        rng.shuffle(rows)
        return ("{" + ",".join(rows) + "}").encode()


class Answers:
    """Writes answers. Half of those that name messages are as an API gives them, half hold hostile values wherever `results` reads."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def answer(self, wire: Wire) -> Answer:
        rng = self.rng
        roll = rng.random()
        if roll < 0.4:
            return self._of("200", b"")
        if roll < 0.5:
            return self._of(
                *rng.choice((("202", b'{"e":"y"}'), ("202", b"[[["), ("400", b""), ("503", b""), ("202", b'{"e":"x"}')))
            )
        items = ",".join(self._item(wire.body) for _ in range(rng.randrange(4)))
        every = f'{{"errors":[{items}],"failed":{{"x":[{items}]}},"a":{{"b":[{items}]}}}}'
        body = rng.choice((every, every, every, f"[{items}]", f'{{"errors":{rng.choice(HOSTILE)}}}'))
        encoded = body.encode("utf-8", "surrogatepass")
        if rng.random() < 0.05:
            encoded = encoded[: len(encoded) // 2]
        return self._of(rng.choice(("200", "207", "400", "422")), encoded)

    def _of(self, status: str, body: bytes) -> Answer:
        return Answer(status, {"retry-after": "0"}, body)

    def _item(self, sent: bytes) -> str:
        rng = self.rng
        index = (
            str(rng.choice((0, 1, 2)))
            if rng.random() < 0.7
            else rng.choice((*HOSTILE, "-1", '"1"', "[0,1]", "99", "1.0", '"01"', "1e0"))
        )
        found = re.findall(rb'"id":("[^"]*"|[\d.]+)', sent)
        known = rng.choice(found).decode() if found and rng.random() < 0.7 else rng.choice(HOSTILE)
        if rng.random() < 0.3:
            return rng.choice((index, known))
        code = rng.choice(('"busy"', "3", '"x"', rng.choice(HOSTILE)))
        name = rng.choice(('"events"', '"people"', '"nope"', rng.choice(HOSTILE)))
        members = {
            "index": index,
            "id": known,
            "ids": f"[{known}]",
            "code": code,
            "list": name,
            "message": rng.choice(HOSTILE),
        }
        members |= {"p": f'"/x/{index}"' if index.isdigit() else index, "n": rng.choice(("1", '"a"', index))}
        kept = [name for name in members if rng.random() < 0.8]
        return "{" + ",".join(f'"{name}":{members[name]}' for name in kept) + "}"


class Checking:
    """The network: each request is one that can be sent. State: how many there were."""

    def __init__(self, seed: int) -> None:
        self.requests = 0
        self._answers = Answers(seed)

    async def send(self, wire: Wire, timeout_s: float, left: Callable[[], None]) -> Answer:
        self.requests += 1
        assert url_as_sent(wire.url) == wire.url
        for name, value in wire.headers:
            assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", name + value), name
            name.encode("ascii")
            value.encode()
        self._check_body(wire)
        return self._answers.answer(wire)

    def _check_body(self, wire: Wire) -> None:
        """The body is what its header says."""
        headers = {name.lower(): value for name, value in wire.headers}
        kind = headers.get("content-type")
        body = gzip.decompress(wire.body) if headers.get("content-encoding") == "gzip" else wire.body
        if kind == "application/json":
            json.loads(body)
        elif kind == "application/x-ndjson":
            assert body.endswith(b"\n")
            for line in body.splitlines():
                json.loads(line)
        elif kind == "application/x-www-form-urlencoded":
            parse_qsl(
                body.decode("ascii"),
                keep_blank_values=True,
                strict_parsing=bool(body),
                errors="strict",
                max_num_fields=10_000,
            )
        elif kind is None:
            assert not body
        else:
            assert kind.startswith("text/plain"), kind
            body.decode()

    async def close(self) -> None:
        return None


class Clock:
    """Instants that run by themselves, so that a wait costs nothing."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        self.now += 0.5
        return self.now


def one(plan: p.Plan, given: dict[str, Any], lines: list[bytes], folder: Path, seed: int) -> tuple[Counter[str], int]:
    """A run of a plan over events. Gives what became of them, and how many requests there were."""
    path = folder / "events.ndjson"
    path.write_bytes(b"\n".join(lines) + b"\n")
    source = FileSource(path)
    checking = Checking(seed)
    options = Options(None, steady=Clock(), jitter=lambda: 0.0)
    try:
        program = link(plan, given, use_kernel=seed % 2 == 0)
        summary = asyncio.run(run(program, [source], checking, options))
    finally:
        source.close()
    ledger = summary.ledger
    assert ledger.closes
    assert not ledger.in_flight, summary
    assert summary.status in (0, 3), summary
    found = Counter({f"dead {name}": count for name, count in ledger.dead.items()})
    found += Counter({f"rejected {name}": count for name, count in ledger.rejected.items()})
    found.update({"delivered": ledger.delivered, "filtered": ledger.filtered.total(), "events": len(lines)})
    return found, checking.requests


def fuzz(specs: int, events: int, seed: int, *, show: bool = False) -> tuple[Counter[str], int, list[str]]:
    """Gives what became of all events, how many requests left, and the faults."""
    writer, maker = Specs(seed), Events(seed + 1)
    rng = random.Random(seed + 2)
    total: Counter[str] = Counter()
    requests, faults = 0, []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(specs):
            plan = writer.plan()
            lines = [maker.event() for _ in range(events // specs)]
            given = setting_values(rng)
            try:
                all_ways(both(plan, given), lines[:AGREEING])
                found, sent = one(plan, given, lines, Path(folder), number)
            except SettingError:
                # A setting that the request cannot have: status 2, before anything is read.
                total["settings refused"] += 1
                continue
            except Exception:
                faults.append(f"spec {number} of seed {seed}: {traceback.format_exc()}")
                continue
            total += found
            requests += sent
            if show and number % 50 == 49:
                print(
                    f"  {number + 1} specs, {total['events']:,} events, {requests:,} requests, {len(faults)} faults",
                    flush=True,
                )
    return total, requests, faults


def shipped(events: int, seed: int) -> tuple[Counter[str], int, list[str]]:
    """The shipped destination under hostile events of two kinds."""
    plan = p.load((ROOT / "compiled" / "segment.json").read_bytes())
    maker = Events(seed)
    total: Counter[str] = Counter()
    requests, faults = 0, []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(max(1, events // 5000)):
            count = min(events, 5000)
            lines = [line for line in hostile_events(seed + number, count // 2) if b"\n" not in line]
            lines += [maker.event() for _ in range(count - len(lines))]
            try:
                found, sent = one(plan, {"source_write_key": "k", "endpoint": "europe"}, lines, Path(folder), number)
            except Exception:
                faults.append(f"shipped, part {number} of seed {seed}: {traceback.format_exc()}")
                continue
            total += found
            requests += sent
    return total, requests, faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--specs", type=int, default=300)
    parser.add_argument("--events", type=int, default=200_000, help="over the random specs")
    parser.add_argument("--shipped", type=int, default=300_000, help="through the shipped destination")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    failed = False
    parts = (
        (f"{given.specs} random specs", lambda: fuzz(given.specs, given.events, given.seed, show=True)),
        ("the shipped destination", lambda: shipped(given.shipped, given.seed)),
    )
    for name, part in parts:
        began = time.monotonic()
        total, requests, faults = part()
        # One of each kind: the last lines say which it is.
        for fault in {fault.strip().splitlines()[-1]: fault for fault in faults}.values():
            print("  " + fault.strip().replace("\n", "\n  "))
        ends = ", ".join(f"{reason} {count:,}" for reason, count in sorted(total.items()) if reason != "events")
        print(f"  {ends}")
        seconds = time.monotonic() - began
        print(
            f"{name}: {total['events']:,} events, {requests:,} requests, {len(faults)} faults of ours in {seconds:.0f} s"
        )
        failed = failed or bool(faults)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
