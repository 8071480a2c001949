"""`make soak`, part fuzz: hostile events through random specs, and through the shipped destination, with the guard off: no run ends with 70.

Takes how many specs and events. A spec is YAML: its request parts (url, query, headers, body), mapping, `each`, `where` and `order_by` read
the event in every position that the language allows; the compiler takes it. Events have hostile values in every place that a spec reads: lists,
objects, huge and odd numbers, broken and bidirectional text, null. All of it goes the real way: file, program, lane, rendering, answers; only
the network is a function that checks each request as it leaves. Each run's ledger closes, with nothing in flight.

    python tests/fuzz.py --specs 300 --events 200000
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
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

os.environ["WAYPOST_GUARD"] = "off"

from hostile import NUMBERS, TEXTS, TIMES, hostile_events
from waypost import plan as p
from waypost.compiler.pipeline import compile_text
from waypost.delivery.outcome import Answer
from waypost.engine.engine import run
from waypost.engine.options import Options
from waypost.http.transport import url_as_sent
from waypost.program.program import link
from waypost.program.request.render import Wire
from waypost.sources.file import FileSource

ROOT = Path(__file__).resolve().parent.parent
FIELDS = ("a", "b", "c", "id", "list_id", "at", "name")
ROOTS = ("properties", "traits", "context")
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
FILTERS = (
    *("lower", "upper", "trim", "snakecase", "kebabcase", "titlecase", "slice(0, 3)", "replace('a', 'b')", "split(',')", "join(',')"),
    *("first", "last", "length", "unique", "sum", "keys", "values", "flatten('.')", "json", "from_json", "string", "number", "integer"),
    *("round(2)", "default('x')", "default(0)", "datetime", "unix", "unix_ms", "unix_us", "format_time('%Y')", "sha256", "md5", "base64"),
    *("matches('[a-z]+')", "capture('(.)b')", "replace_pattern('(a|b)', '$1$0')", "flatten('.', lists: true)", "compact", "cents"),
    *("truncate_bytes(3)", "url", "digits", "e164('DE')", "hash_id(8)", "uuid5", "map('a')", "ulid(event.timestamp)"),
)  # fmt: skip
TYPES = ("string", "number", "integer", "boolean", "object", "array", "datetime", "unix", "unix_ms", "unix_us")
CHECKS = (
    "required: true",
    "empty: omit",
    "nulls: keep",
    "nulls: empty",
    "max_length: 5",
    "max_bytes: 5",
    "default: x",
    "single: wrap",
    "format: email",
    "format: datetime",
)


class Specs:
    """Writes specs. State: the random numbers."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def path(self) -> str:
        roots = [
            *(f"{root}.{field}" for root in ROOTS for field in FIELDS),
            "userId",
            "event",
            "timestamp",
            "messageId",
        ]
        return self.rng.choice(roots)

    def code(self, *, now: bool = False) -> str:
        """What stands in braces."""
        rng = self.rng
        text = f"event.{self.path()}"
        for _ in range(rng.choice((0, 0, 0, 0, 1, 1, 2))):
            text += f" | {rng.choice(FILTERS)}"
        roll = rng.random()
        if roll < 0.08:
            text = f"({text}) {rng.choice('+-*/')} ({rng.choice((f'event.{self.path()}', '7', '0', 'event.properties.a | number'))})"
        elif now and roll < 0.16:
            text = f"({text}) {rng.choice('+-')} (now | unix)"
        return text

    def text(self, *, now: bool = True) -> str:
        """A text position."""
        rng = self.rng
        pieces = [rng.choice(("", "a-", "x ")), "{{ " + self.code(now=now) + " }}"]
        if rng.random() < 0.3:
            pieces += ["-", "{{ " + self.code() + " }}"]
        return json.dumps("".join(pieces))

    def value(self, depth: int = 0, *, now: bool = False, item: bool = False) -> str:
        """A value position, in flow style."""
        rng = self.rng
        kinds = ["path", "path", "code", "text", "from", "const"]
        if depth < 3:
            kinds += ["object", "merge", "list", "first", "pick", "each", "find", "get", "when", "lookup", "from"]
        kind = rng.choice(kinds)

        def inner() -> str:
            return self.value(depth + 1, now=now, item=item)

        path = f"$.{self.path()}" if not item or rng.random() < 0.5 else rng.choice(("$item", "$item.a", "$item.b"))
        if kind == "path":
            return rng.choice((path, f"{path}[0]", f"{path}[*].a", "$.properties", "$")) if path[1] == "." else path
        if kind == "code":
            return json.dumps("{{ " + self.code(now=now) + " }}")
        if kind == "text":
            return self.text(now=now)
        if kind == "const":
            return rng.choice(("3", "true", "null", "{$literal: x}", "1.5"))
        if kind == "from":
            checks = (
                [f"type: {rng.choice(TYPES)}, invalid: {rng.choice(('error', 'omit', 'omit'))}"]
                if rng.random() < 0.7
                else []
            )
            checks += rng.sample(CHECKS, rng.randrange(3))
            if not checks:
                checks = ["empty: omit"]
            return f"{{$from: {inner()}, {', '.join(checks)}}}"
        if kind == "object":
            return "{" + ", ".join(f"{key}: {inner()}" for key in rng.sample(FIELDS, rng.randrange(1, 3))) + "}"
        if kind == "merge":
            return f"{{$merge: [{inner()}, {path}], {rng.choice(FIELDS)}: {inner()}}}"
        if kind == "list":
            return f"[{inner()}, {inner()}]"
        if kind == "first":
            return f"{{$first: [{inner()}, {inner()}]}}"
        if kind == "pick":
            return f"{{$pick: {path}, keys: [a, b]}}"
        if kind == "each":
            where = f", where: {self.test(rng.choice(('item.a', 'key')))}" if rng.random() < 0.4 else ""
            where += rng.choice(
                ("", "", ", single: wrap", ", key: $key", ", key: $item.a", ', key: "{{ key | lower }}"')
            )
            return f"{{$each: {path}, to: {self.value(depth + 1, now=now, item=True)}{where}}}"
        if kind == "find":
            return f"{{$find: {path}, where: {self.test('item')}, to: {self.value(depth + 1, now=now, item=True)}}}"
        if kind == "get":
            return f"{{$get: {path}, key: {inner()}}}"
        if kind == "when":
            return f"{{$when: {self.test(self.path())}, then: {inner()}, else: {inner()}}}"
        return f"{{$lookup: {path}, in: {{x: 1, a: {{b: c}}}}, else: {inner()}}}"

    def test(self, path: str) -> str:
        tests = (
            *(f"{path} = 1", f'{path} != "a"', f"{path} > 5", f'contains({path}, "a")', f"length({path}) > 1", f'match({path}, "a*")'),
            *(f'"a" in {path}', f'typeof({path}) = "string"', f'lowercase({path}) = "a"', f"number({path}) > 2", f'{path} in ["a", 1]'),
        )  # fmt: skip
        return "'" + self.rng.choice(tests) + "'"

    def spec(self) -> str:
        rng = self.rng
        method = rng.choice(("post", "put", "patch"))
        many = rng.random() < 0.7
        rows = ["spec: 1", "name: fuzz", "auth:", "  bearer: fixed", "  query: {key: fixed}", "request:"]
        url = "https://example.com/v1/" + "/".join(
            rng.choice(("x", "{{ event." + self.path() + " }}", json.loads(self.text(now=False))))
            for _ in range(rng.randrange(1, 3))
        )
        rows.append(f"  {method}: {json.dumps(url)}")
        if rng.random() < 0.6:
            rows.append(f"  headers: {{X-A: {self.text()}, X-B: {self.text()}}}")
        if rng.random() < 0.6:
            rows.append(f"  query: {{q: {self.text()}, r: {self.text()}}}")
        now = rng.random() < 0.5
        members = [f"{key}: {self.value(now=now)}" for key in rng.sample(FIELDS, rng.randrange(3))]
        members.insert(rng.randrange(len(members) + 1), f"sent: {'$messages' if many else '$message'}")
        rows.append("  body: {" + ", ".join(members) + "}")
        if many:
            rows.append(
                f"  batch: {{max_messages: {rng.choice((1, 3, 50))}, max_bytes: {rng.choice(('2kB', '1MB'))}, max_wait: 1s}}"
            )
        rows.append('  responses: {400: %s, 202: [{if: body.e = "x", then: reject}]}' % ("split" if many else "reject"))
        rows.append("  gzip: true" if rng.random() < 0.2 else "  timeout: 5s")
        rows.append("actions:")
        for number in range(rng.choice((1, 1, 2))):
            rows += [
                f"  act_{number}:",
                f"    trigger: {rng.choice(('type = ' + chr(34) + 'track' + chr(34), 'userId != null'))}",
            ]
            if rng.random() < 0.25:
                rows.append(f"    each: {rng.choice(('$.properties.a', '$.context', '$.traits.b'))}")
            if rng.random() < 0.1:
                rows.append(f"    where: {self.test(self.path())}")
            fields = [f"{key}: {self.value()}" for key in rng.sample(FIELDS, rng.randrange(1, 5))]
            rows.append("    mapping: {" + ", ".join(fields) + "}")
        return "\n".join(rows) + "\n"

    def plan(self) -> p.Plan:
        """A plan of a spec that the compiler takes; in some, messages have an order."""
        while True:
            plan, _ = compile_text(self.spec(), "fuzz/destination.yaml")
            if plan is None:
                continue
            if self.rng.random() < 0.3:
                order = p.Path(path=f"$.{self.path()}")
                connection = p.Connection(name="fuzz", order_by=order)
                import msgspec

                plan = p.seal(msgspec.structs.replace(plan, connection=connection))
            return plan


class Events:
    """Writes events with hostile values wherever a spec of ours reads."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def value(self) -> str:
        rng = self.rng
        roll = rng.random()
        if roll < 0.6:
            return rng.choice(('"a"', '"news"', "5", "1.5", '"2026-11-24T10:00:00Z"', '"a,b"'))
        if roll < 0.68:
            return "[" + ",".join(rng.choice(HOSTILE[:60]) for _ in range(3)) + "]"
        if roll < 0.75:
            return "{" + ",".join(f'"{key}":{rng.choice(HOSTILE[:60])}' for key in ("a", "b")) + "}"
        return rng.choice(HOSTILE)

    def event(self) -> bytes:
        rng = self.rng
        kind = '"track"' if rng.random() < 0.93 else self.value()
        rows = [f'"type":{kind}']
        for name in ("userId", "event", "timestamp", "messageId"):
            if rng.random() < 0.8:
                rows.append(f'"{name}":{self.value()}')
        for root in ROOTS:
            if rng.random() < 0.1:
                rows.append(f'"{root}":{self.value()}')
            elif rng.random() < 0.9:
                members = [f'"{field}":{self.value()}' for field in rng.sample(FIELDS, rng.randrange(2, 8))]
                rows.append(f'"{root}":{{{",".join(members)}}}')
        rng.shuffle(rows)
        return ("{" + ",".join(rows) + "}").encode()


class Checking:
    """The network: each request is one that can be sent, and is answered by turns. State: what it has seen, and the answers to come."""

    def __init__(self, seed: int) -> None:
        self.requests = 0
        rng = random.Random(seed)
        answers = [("200", b"")] * 6 + [
            ("202", b'{"e":"y"}'),
            ("202", b"[[["),
            ("400", b""),
            ("503", b""),
            ("202", b'{"e":"x"}'),
        ]
        self._answers = itertools.cycle(rng.sample(answers, len(answers)))

    async def send(self, wire: Wire, timeout_s: float, left: Callable[[], None]) -> Answer:
        self.requests += 1
        # A space of the spec itself is the only sign that the client writes otherwise.
        assert url_as_sent(wire.url) == wire.url.replace(" ", "%20")
        for name, value in wire.headers:
            assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value), name
            value.encode()
        if not any(name == "content-encoding" for name, _ in wire.headers):
            json.loads(wire.body)
        status, body = next(self._answers)
        return Answer(status, {"retry-after": "0"}, body)

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
    total: Counter[str] = Counter()
    requests, faults = 0, []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(specs):
            plan = writer.plan()
            lines = [maker.event() for _ in range(events // specs)]
            try:
                found, sent = one(plan, {}, lines, Path(folder), number)
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
