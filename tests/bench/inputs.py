"""The events that every side is measured over. They cannot flatter: a fixed mix of types and sizes from a seed, as browsers and phones send
(0.8 kB on average), at least 95 % matched, 5 % null or numeric ids, 1 % malformed lines, no two events equal.
"""

from __future__ import annotations

import json
import random
from typing import Any


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


MALFORMED = "malformed"


def kind_of(line: bytes) -> str:
    """The event's type."""
    try:
        return str(json.loads(line)["type"])
    except json.JSONDecodeError:
        return MALFORMED


def tracks(count: int, least: int = 1_100, seed: int = 11) -> list[bytes]:
    """Well-formed track events of at least so many bytes."""
    rng = random.Random(seed)
    found: list[bytes] = []
    for number in range(count):
        event = {**_identity(rng, number), "type": "track", "context": _context(rng, "track"), **_payload(rng, "track")}
        event["userId"] = f"user-{number:x}"
        event["properties"]["email"] = f"Zoe.{rng.getrandbits(24):X}@Example.com"
        found.append(_grown(rng, event, least))
    return found


def sized(count: int, size: int, seed: int = 13) -> list[bytes]:
    """Track events of about `size` bytes: a small one, and products until it is long enough."""
    rng = random.Random(seed)
    found = []
    for number in range(count):
        identity = _identity(rng, number)
        event = {
            "type": "track",
            "event": "Order Completed",
            "userId": f"user-{number:x}",
            "messageId": identity["messageId"],
            "timestamp": identity["timestamp"],
            "context": {"locale": "en-GB"},
            "properties": {"total": 9.5},
        }
        found.append(_grown(rng, event, size))
    return found


def _grown(rng: random.Random, event: dict[str, Any], least: int) -> bytes:
    products = event["properties"].setdefault("products", [])
    line = _compact(event)
    while len(line) < least:
        missing = (least - len(line)) // 90 + 1
        products += [
            {
                "sku": f"S{rng.randrange(10**6)}",
                "name": f"Shoe {rng.getrandbits(32):x}",
                "price": rng.randrange(1, 900) / 10,
            }
            for _ in range(missing)
        ]
        line = _compact(event)
    return line


def _compact(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
