"""Makes examples/events.ndjson: what the official Python SDK sends (recorded from the real library on loopback), and browser and mobile shapes.

Run it with the test extras installed: `python examples/record.py`. Ids and times are fixed, so the file only changes when the SDK or this
script does. The browser and mobile events are written by hand after analytics.js and the mobile SDKs, varied from a seed.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from pathlib import Path
from typing import Any

from segment.analytics.client import Client

from waypost.http.receiver import Receiver

HERE = Path(__file__).resolve().parent
START = dt.datetime(2026, 11, 20, 8, 0, tzinfo=dt.UTC)
NAMES = ("Zoë Müller", "田中 太郎", "مريم", "Ada Lovelace", "José 🎉", "O'Neill", "Renée e\u0301", "ßtraße")
PRODUCTS = ("Läufer-Schuh", "Mug ☕", 'The "Best" Book', "T-Shirt\u200d", "Back\\slash")


def clock(number: int) -> dt.datetime:
    return START + dt.timedelta(seconds=37 * number, milliseconds=(number * 271) % 1000)


def recorded() -> list[dict[str, Any]]:
    """Calls of every kind through the SDK, as they arrive at its host."""
    with Receiver(port=0) as receiver:
        client = Client("example", host=receiver.url, sync_mode=True)
        for number in range(100):
            call(client, number)
    events = [event for request in receiver.requests for event in json.loads(request.body)["batch"]]
    for event in events:
        # The library's own version would change this file at every release.
        event["context"]["library"]["version"] = "2.4.0"
    return events


def call(client: Client, number: int) -> None:
    rng = random.Random(number)
    user, when, known = f"user-{number % 23}", clock(number), f"sdk-{number:04d}"
    rest = {"timestamp": when, "message_id": known}
    kind = number % 10
    if kind < 5:
        client.track(user, rng.choice(("Order Completed", "Product Viewed", "Signed Up")), order(rng), **rest)
    elif kind == 5:
        client.identify(
            user,
            {"name": rng.choice(NAMES), "email": f"{user}@example.com", "phone": None, "age": rng.randrange(18, 80)},
            **rest,
        )
    elif kind == 6:
        client.page(user, "Docs", "Setup", {"url": "https://docs.example/setup"}, **rest)
    elif kind == 7:
        client.screen(user, "Settings", "Profile", {"dark": True}, **rest)
    elif kind == 8:
        client.group(user, f"team-{number % 7}", {"plan": "pro", "employees": rng.randrange(500)}, **rest)
    elif number % 20 == 9:
        client.alias(f"anon-{number}", user, **rest)
    else:
        client.track(anonymous_id=f"anon-{number}", event="Cart Viewed", properties={"items": [], "total": 0}, **rest)


def order(rng: random.Random) -> dict[str, Any]:
    items = [
        {
            "sku": f"S{rng.randrange(999)}",
            "name": rng.choice(PRODUCTS),
            "price": rng.randrange(5, 90) + 0.95,
            "tags": ["a", ["b", None]],
        }
        for _ in range(rng.randrange(4))
    ]
    return {
        "order_id": f"o{rng.randrange(10**6)}",
        "total": sum(item["price"] for item in items),
        "coupon": None,
        "products": items,
    }


def browser(number: int) -> dict[str, Any]:
    """As analytics.js sends: full context, page call on load, track on click."""
    rng = random.Random(1000 + number)
    path = rng.choice(("/", "/shop", "/shop/läufer", "/checkout"))
    kind = rng.choice(("page", "page", "track", "track", "identify", "group"))
    event: dict[str, Any] = {
        "timestamp": clock(200 + number).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "integrations": {},
        "type": kind,
        "context": {
            "page": {
                "path": path,
                "referrer": rng.choice(("", "https://search.example/")),
                "search": "?utm_source=ads",
                "title": "Schuhe für Läufer",
                "url": f"https://shop.example{path}",
            },
            "userAgent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
            "userAgentData": {
                "brands": [{"brand": "Chromium", "version": "156"}],
                "mobile": False,
                "platform": "Windows",
            },
            "locale": "de-DE",
            "library": {"name": "analytics.js", "version": "npm:next-1.81.1"},
            "timezone": "Europe/Berlin",
            "campaign": {"name": "winter", "source": "ads", "medium": "cpc", "content": "b", "creative": "custom-utm"},
            "consent": {"categoryPreferences": {"Advertising": False, "Analytics": True}},
        },
        "messageId": f"ajs-next-{1763625600000 + number}-{rng.getrandbits(64):016x}",
        "userId": None if number % 3 else f"user-{number % 23}",
        "anonymousId": f"{rng.getrandbits(128):032x}",
        "writeKey": "example",
        "sentAt": clock(201 + number).isoformat(),
        "_metadata": {"bundled": ["Segment.io"], "unbundled": [], "bundledIds": []},
    }
    if kind == "page":
        event |= {
            "name": rng.choice(("Home", "Product", "")),
            "category": rng.choice(("Shop", None)),
            "properties": {**event["context"]["page"], "step": number},
        }
    elif kind == "track":
        event |= {"event": rng.choice(("Product Added", "Checkout Started")), "properties": order(rng)}
    else:
        event["traits"] = {"name": rng.choice(NAMES), "plan": rng.choice(("free", "pro", None))}
        if kind == "group":
            event["groupId"] = rng.choice(("team-1", 42))
    return event


def mobile(number: int) -> dict[str, Any]:
    """As the mobile SDKs send: device, os, network and screen; screens rather than pages."""
    rng = random.Random(2000 + number)
    ios = number % 2 == 0
    event: dict[str, Any] = {
        "type": rng.choice(("screen", "screen", "track", "identify")),
        "messageId": f"{rng.getrandbits(128):032X}",
        "anonymousId": f"{rng.getrandbits(128):032X}",
        "timestamp": clock(400 + number).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "context": {
            "app": {"name": "Shop", "version": "4.2.0", "build": "4200", "namespace": "com.example.shop"},
            "device": {
                "id": f"{rng.getrandbits(64):x}",
                "manufacturer": "Apple" if ios else "Google",
                "model": "iPhone18,1" if ios else "Pixel 11",
                "name": "phone",
                "type": "ios" if ios else "android",
                "version": "7",
                "adTrackingEnabled": ios,
                **({"advertisingId": f"{rng.getrandbits(64):X}"} if number % 3 else {"advertisingId": None}),
            },
            "os": {"name": "iOS" if ios else "Android", "version": "19.1"},
            "network": {"bluetooth": False, "carrier": "T-Mobile", "cellular": True, "wifi": False},
            "screen": {"density": 3, "height": 2532, "width": 1170},
            "library": {"name": "analytics-swift" if ios else "analytics-kotlin", "version": "1.9.1"},
            "locale": "ja-JP",
            "timezone": "Asia/Tokyo",
            "ip": "203.0.113.7",
            "traits": {},
        },
    }
    if event["type"] == "screen":
        event |= {
            "name": rng.choice(("カート", "Home")),
            "category": rng.choice(("shop", "")),
            "properties": {"items": number},
        }
    elif event["type"] == "track":
        event |= {"event": "Application Opened", "properties": {"from_background": True, "url": None}}
    else:
        event["traits"] = {"name": rng.choice(NAMES), "logins": number, "address": {"city": "東京", "postalCode": None}}
    return event


def odd() -> list[dict[str, Any]]:
    """What real streams also hold: some are relayed, mended, some refused, each for another reason."""
    return [
        {"type": "track", "userId": 12345, "event": "Numeric Id", "properties": {}},
        {"type": "track", "userId": "", "anonymousId": "anon-odd", "event": "Empty Id"},
        {"type": "track", "event": "Nobody", "properties": {"lost": True}},
        {"type": "track", "userId": "user-1", "properties": {"no": "event"}},
        {"type": "track", "userId": "user-1", "event": "List", "properties": [1, 2, 3]},
        {"type": "identify", "userId": "user-1", "traits": "not an object"},
        {"type": "group", "userId": "user-1", "traits": {"no": "groupId"}},
        {"type": "page", "userId": "user-1", "timestamp": "yesterday"},
        {"type": "track", "userId": "user-1", "event": "Long Id", "messageId": "x" * 120},
        {"type": "track", "userId": "user-1", "event": "Direct", "context": {"direct": True, "ip": "203.0.113.9"}},
        {
            "type": "track",
            "userId": "user-1",
            "event": "Segment Consent Preference Updated",
            "context": {"consent": {"categoryPreferences": {"Ads": "no"}}},
        },
        {
            "type": "track",
            "userId": "user-1",
            "event": "Segment Consent Preference Updated",
            "context": {"consent": {"categoryPreferences": {"Ads": False}}},
            "messageId": "consent-1",
        },
        {"type": "track", "userId": "user-1", "event": "Too Large", "properties": {"text": "x" * 40_000}},
        {"type": "delete", "userId": "user-1"},
    ]


def main() -> None:
    events = [
        *recorded(),
        *(browser(number) for number in range(80)),
        *(mobile(number) for number in range(50)),
        *odd(),
    ]
    lines = [
        json.dumps(event, ensure_ascii=number % 2 == 0, separators=(",", ":")) for number, event in enumerate(events)
    ]
    (HERE / "events.ndjson").write_text("\n".join(lines) + "\n", encoding="utf-8")
    broken = ['{"type":"track","userId":"user-1","event":"cut o', '["not","an","object"]', lines[0]]
    (HERE / "broken.ndjson").write_bytes("\n".join(broken).encode() + b'\n{"type":"track","userId":"\xff"}\n')


if __name__ == "__main__":
    main()
