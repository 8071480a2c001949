"""`make bench`: the generated program against other ways to map the same events, as ratios measured in one interleaved run.

The input cannot flatter: a fixed mix of types and sizes from a seed (0.8 kB on average, as browsers and phones send), at least 95 % matched,
5 % null or numeric ids, 1 % malformed lines, no two events equal. Default gc, no cache by event bytes, every side consumes its output. The
share that took the fast path is printed.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jinja2
import jsonpath_ng
import orjson

from waypost.plan import load
from waypost.runtime.program import Program, link
from waypost.runtime.results import Mapped

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 7


def events(count: int, seed: int = 7) -> list[bytes]:
    """Seeded lines: track 60 %, page 15 %, identify 12 %, screen 6 %, group 4 %, alias 2 %, malformed 1 %."""
    rng = random.Random(seed)
    kinds = ["track"] * 60 + ["page"] * 15 + ["identify"] * 12 + ["screen"] * 6 + ["group"] * 4 + ["alias"] * 2 + [""]
    return [_line(rng, rng.choice(kinds), number) for number in range(count)]


def _line(rng: random.Random, kind: str, number: int) -> bytes:
    event = {**_identity(rng, number), "type": kind, "context": _context(rng, kind), **_payload(rng, kind)}
    line = json.dumps(event, ensure_ascii=rng.random() < 0.5, separators=(",", ":")).encode()
    return line if kind else line[: len(line) // 2]


def _identity(rng: random.Random, number: int) -> dict[str, Any]:
    user: Any = f"user-{rng.getrandbits(40):x}"
    if rng.random() < 0.05:
        user = rng.choice([None, rng.randrange(1, 10**9)])
    return {
        "messageId": f"ajs-next-{number}-{rng.getrandbits(96):024x}",
        "anonymousId": f"{rng.getrandbits(128):032x}",
        "userId": user,
        "timestamp": f"2026-11-{rng.randrange(1, 25):02d}T{rng.randrange(24):02d}:{rng.randrange(60):02d}:07.{rng.randrange(1000):03d}Z",
        "integrations": {},
    }


def _context(rng: random.Random, kind: str) -> dict[str, Any]:
    context: dict[str, Any] = {
        "library": {"name": "analytics.js", "version": "next-1.70.0"},
        "ip": f"10.{rng.randrange(256)}.{rng.randrange(256)}.7",
        "locale": "en-GB",
        "timezone": "Europe/Berlin",
    }
    if kind == "screen":
        context["device"] = {
            "id": f"{rng.getrandbits(64):x}",
            "advertisingId": f"{rng.getrandbits(64):x}",
            "type": "ios",
        }
        context["os"] = {"name": "iOS", "version": "19.1"}
    else:
        context["userAgent"] = (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
        )
        if rng.random() < 0.7:  # Chromium browsers send it, others do not
            brands = [{"brand": "Chromium", "version": "156"}, {"brand": "Not;A=Brand", "version": "8"}]
            context["userAgentData"] = {"brands": brands, "mobile": False, "platform": "Linux"}
        if rng.random() < 0.3:
            context["campaign"] = {
                "name": "winter",
                "source": "ads",
                "medium": "cpc",
                "creative": f"{rng.getrandbits(16):x}",
            }
        path = f"/shop/{rng.getrandbits(24):x}"
        context["page"] = {
            "path": path,
            "referrer": "",
            "search": "?a=1",
            "title": "Schuhe für Läufer",
            "url": f"https://shop.example{path}",
        }
    return context


def _payload(rng: random.Random, kind: str) -> dict[str, Any]:
    goods = {
        "order_id": f"{rng.getrandbits(40):x}",
        "total": round(rng.uniform(1, 500), 2),
        "currency": "EUR",
        "coupon": None,
    }
    if kind in ("track", ""):
        products = [
            {"sku": f"S{rng.randrange(9999)}", "price": rng.randrange(1, 90), "quantity": 1}
            for _ in range(rng.randrange(4))
        ]
        return {
            "event": rng.choice(["Order Completed", "Product Viewed", "Signed Up"]),
            "properties": {**goods, "products": products},
        }
    if kind in ("page", "screen"):
        return {
            "name": rng.choice(["Home", "Product", "Checkout"]),
            "properties": {"plan": "pro", "step": rng.randrange(9)},
        }
    traits = {
        "email": f"{rng.getrandbits(32):x}@example.com",
        "name": "Zoë",
        "plan": "pro",
        "age": rng.randrange(18, 90),
    }
    if kind == "group":
        return {"groupId": f"g{rng.randrange(999)}", "traits": traits}
    return {"traits": traits, "previousId": "p"} if kind == "alias" else {"traits": traits}


def round_trip(lines: list[bytes]) -> int:
    """The limit for code that parses everything."""
    size = 0
    for line in lines:
        try:
            size += len(orjson.dumps(orjson.loads(line)))
        except orjson.JSONDecodeError:
            size += 1
    return size


def generated(program: Program, data: bytes) -> Callable[[list[bytes]], int]:
    """The program over `data`, the same lines as a file holds them and the engine reads them: in pieces of 256 KiB."""
    pieces = list(cut(data, 256 << 10))

    def run(lines: list[bytes]) -> int:
        size = 0
        for data, offset in pieces:
            for block in program.map_data(data, offset):
                size += len(block.encoded)
                for results in block.others.values():
                    size += sum(len(result.body) if isinstance(result, Mapped) else 1 for result in results)
        return size

    return run


def cut(data: bytes, size: int) -> Iterator[tuple[bytes, int]]:
    """(whole lines, their offset) of at least `size` bytes."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start + size)
        end = len(data) if end < 0 else end
        yield data[start:end], start
        start = end + 1


def by_hand(lines: list[bytes]) -> int:
    """The same mapping as a careful programmer would write it over orjson."""
    size = 0
    for line in lines:
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            size += 1
            continue
        message = _hand_mapped(event) if isinstance(event, dict) else None
        size += len(orjson.dumps(message)) if message is not None else 1
    return size


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or value is None or value == "":
        return None
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return value
    raise ValueError("not text")


def _hand_mapped(event: dict[str, Any]) -> dict[str, Any] | None:
    kind = event.get("type")
    if kind not in ("identify", "group", "screen", "page", "track"):
        return None
    message: dict[str, Any] = {}
    for key in ("userId", "anonymousId", "messageId"):
        text = _text(event.get(key))
        if text is not None:
            message[key] = text
    if "userId" not in message and "anonymousId" not in message:
        return None
    if isinstance(event.get("timestamp"), str):
        message["timestamp"] = event["timestamp"]
    context = event.get("context")
    if isinstance(context, dict):
        context.pop("direct", None)
        device = context.get("device")
        if isinstance(device, dict) and "advertisingId" in device and not isinstance(device["advertisingId"], str):
            del device["advertisingId"]
        message["context"] = context
    message["type"] = kind
    return _hand_payload(event, kind, message)


def _hand_payload(event: dict[str, Any], kind: str, message: dict[str, Any]) -> dict[str, Any] | None:
    if kind in ("identify", "group"):
        traits = event.get("traits")
        if traits is not None and not isinstance(traits, dict):
            return None
        message["traits"] = traits or {}
        if kind == "group":
            message["groupId"] = _text(event.get("groupId"))
        return message
    properties = event.get("properties") or {}
    if not isinstance(properties, dict):
        return None
    if kind == "track":
        name = _text(event.get("event"))
        if name is None:
            return None
        message["event"] = name
    else:
        merged: dict[str, Any] = {}
        if kind == "page":
            page = (message.get("context") or {}).get("page") or {}
            merged = {key: page[key] for key in ("path", "referrer", "search", "title", "url") if key in page}
        for key in ("name", "category"):
            if key in event:
                merged[key] = event[key]
                text = _text(event[key])
                if text is not None:
                    message[key] = text
        properties = {**merged, **properties}
    message["properties"] = properties
    return message


FIELDS = (
    "userId",
    "anonymousId",
    "messageId",
    "timestamp",
    "context",
    "type",
    "event",
    "properties",
    "traits",
    "name",
    "groupId",
)


def by_jsonpath(lines: list[bytes]) -> int:
    """One pre-parsed jsonpath-ng `.find` a field."""
    paths = [(name, jsonpath_ng.parse(f"$.{name}")) for name in FIELDS]
    size = 0
    for line in lines:
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        message = {name: found[0].value for name, path in paths if (found := path.find(event))}
        size += len(orjson.dumps(message))
    return size


def by_jinja(lines: list[bytes]) -> int:
    """One compiled Jinja template a field, rendered."""
    environment = jinja2.Environment(autoescape=False)
    templates = [(name, environment.from_string(f"{{{{ event.{name} | tojson }}}}")) for name in FIELDS]
    size = 0
    for line in lines:
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        event = {name: event.get(name) for name in FIELDS}
        size += len(orjson.dumps({name: template.render(event=event) for name, template in templates}))
    return size


def measure(sides: dict[str, tuple[Callable[[list[bytes]], int], int]], lines: list[bytes]) -> dict[str, list[float]]:
    """Microseconds an event, a list a side: every round runs every side once, so that a slow moment hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, (run, count) in sides.items():
            part = lines[:count]
            start = time.perf_counter()
            assert run(part) > 0
            times[name].append((time.perf_counter() - start) / len(part) * 1e6)
    return times


def main() -> int:
    plan = load((ROOT / "compiled" / "segment.json").read_bytes())
    program = link(plan, {"source_write_key": "bench", "endpoint": "north_america"})
    lines = events(20_000)
    sides: dict[str, tuple[Callable[[list[bytes]], int], int]] = {
        "generated program": (generated(program, b"\n".join(lines)), len(lines)),
        "orjson loads + dumps": (round_trip, len(lines)),
        "hand-written Python": (by_hand, len(lines)),
        "jsonpath-ng, one find a field": (by_jsonpath, 2_000),
        "Jinja, one render a field": (by_jinja, 1_000),
    }
    generated(program, b"\n".join(lines))(lines)
    matched = sum(isinstance(result, Mapped) for line in lines for result in program.map(line))
    program.slow = 0
    generated(program, b"\n".join(lines))(lines)
    size = statistics.mean(map(len, lines))
    print(
        f"{len(lines):,} events of {size:.0f} bytes on average, {matched / len(lines):.1%} mapped, "
        f"{1 - program.slow / len(lines):.1%} on the fast path, {ROUNDS} rounds\n"
    )
    times = measure(sides, lines)
    base = statistics.median(times["generated program"])
    print(f"{'':32}{'us/event':>10}{'spread':>16}{'times the program':>20}")
    for name, found in times.items():
        middle = statistics.median(found)
        print(f"{name:32}{middle:10.2f}{min(found):9.2f}-{max(found):.2f}{middle / base:18.2f}x")
    return 0


if __name__ == "__main__":
    sys.exit(main())
