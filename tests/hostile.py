"""Hostile events: every field of every type in every shape that a client may get wrong. Seeded, so that a failure can be repeated."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

TEXTS = (
    "",
    " ",
    "a",
    "Ünïcödé",
    "😀",
    "\u202eRTL",
    "e\u0301",
    "\u0000",
    '"); import os; (',
    "{{ event.userId }}",
    "__class__",
    "a" * 98,
    "a" * 99,
    "a" * 100,
    "a" * 101,
    "é" * 99,
    "line\nbreak",
    "\\",
    "null",
)
NUMBERS = (
    "0",
    "-0",
    "1",
    "-1",
    "1.0",
    "1.50",
    "1.5e1",
    "-7.00",
    "1.2345E4",
    "-0.0",
    "1e2",
    "1E400",
    "1e-7",
    "12345678901234567890123",
    "9007199254740993",
    "1700000000",
    "1700000000000",
    "-0.0",
    "0e99999999999999999999",
    "1e-99999999999999999999",
    "-1e99999999999999999999",
    "1e2147483647",
    "1780921717355446273.0",
    "1e18",
    "0.1",
    "19.99",
    "9" * 401,
)
TIMES = (
    '"2026-11-24T10:00:00.000Z"',
    '"2026-11-24"',
    '"2026-11-24T10:00:00"',
    '"2026-11-24 10:00:00+01"',
    '"2026-02-30T00:00:00Z"',
    '"yesterday"',
    "1700000000",
    "1700000000000.5",
    "1e30",
    "1e-99999999999999999999",
    "-0e2147483648",
    '"2026-11-24T10:00:00.123456789+05:30"',
    '"0000-01-01T00:00:00.000Z"',
    '"2026-W01-1T00:00:00.000Z"',
)


def values() -> list[str]:
    """JSON texts of values that a function may choke on, each in a few words: every function of the language takes each, or says no."""
    exponents = (
        0,
        1,
        7,
        17,
        18,
        21,
        22,
        308,
        309,
        323,
        324,
        400,
        4300,
        6144,
        6145,
        999_999,
        2**31 - 1,
        2**31,
        2**63,
        10**19,
        10**20 - 1,
    )
    heads = ("0", "-0", "0.0", "1", "-1", "9.99", "-0.001")
    found = [f"{head}e{sign}{exponent}" for head in heads for exponent in exponents for sign in ("", "-")]
    found += [f"{sign}{2**bits + more}" for bits in (31, 53, 63, 64, 128) for more in (-1, 0, 1) for sign in ("", "-")]
    found += [
        sign + "9" * size
        for size in (15, 16, 18, 19, 20, 34, 35, 200, 201, 399, 400, 401, 4299, 4300, 4301, 5000)
        for sign in ("", "-")
    ]
    found += ["1" + "0" * size for size in (399, 400, 401, 4298, 4299, 4300)]
    found += [
        "1" + "0" * 5000,
        "0." + "0" * 5000 + "1",
        "0." + "3" * 5000,
        "1." + "0" * 5000,
        "1E+5",
        "1.0",
        "-0.0",
        "1e0005",
        "2.5",
    ]
    found += [
        f"{epoch}{part}"
        for epoch in (99_999_999_999, 10**11, 10**14, 253_402_300_799, 253_402_300_800)
        for part in ("", ".5", "e3")
    ]
    found += [f"-{epoch}" for epoch in (62_135_596_800, 62_135_596_801, 10**11, 10**14, 10**18)]
    texts = (
        *TEXTS,
        "NaN",
        "Infinity",
        "-inf",
        "1e5",
        "1e-99999999999999999999",
        "9" * 5000,
        "0x1F",
        "1_000",
        " 1",
        "٣",
        "true",
        "[1",
        "{}",
    )
    found += [json.dumps(text) for text in texts]
    found += [json.dumps(text * 40_000) for text in ("a", "é", "😀", " ", "A b", '"', "[", "9", "\\u0000")]
    years = ("0000", "0001", "1969", "9999", "10000", "-001")
    found += [
        json.dumps(f"{year}-{day}{rest}")
        for year in years
        for day in ("01-01", "12-31", "02-30")
        for rest in ("", "T23:59:59Z")
    ]
    zones = ("+23:59", "-23:59", "+24:00", "+99", "z", "+0530")
    found += [json.dumps(f"{year}-06-15T00:00:00{zone}") for year in ("0001", "2026", "9999") for zone in zones]
    found += [json.dumps("2026-06-15T00:00:00." + "9" * size + "Z") for size in (1, 6, 7, 5000)]
    found += [
        "null",
        "true",
        "false",
        "[]",
        "{}",
        "[[]]",
        "[null]",
        '[{"a":null}]',
        '[1,"1",true,null,1.0,[1],{}]',
        '{"a":{"b":{}}}',
    ]
    found += [
        "[1e99999999999999999999,1]",
        "[-0.0,0e99999999999999999999]",
        '{"":{"":1e-99999999999999999999}}',
        '[{"a":1e2147483647}]',
    ]
    found += [
        left * depth + "1" + right * depth
        for left, right in (("[", "]"), ('{"a":', "}"))
        for depth in (100, 200, 100_000)
    ]
    found += [
        '"\\ud83d\\ude00"',
        json.dumps("[" * 900 + "]" * 900),
        "[" + "1," * 5000 + "1]",
    ]
    return found


TYPES = ("identify", "track", "page", "screen", "group", "alias", "Track", "", "nope")


class Maker:
    """Makes JSON text (not values: tokens, escapes and repeated keys matter)."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def text(self) -> str:
        return json.dumps(self.rng.choice(TEXTS), ensure_ascii=self.rng.random() < 0.5)

    def scalar(self) -> str:
        return self.rng.choice(("null", "true", "false", self.rng.choice(NUMBERS), self.text(), self.text()))

    def any(self, depth: int = 0) -> str:
        roll = self.rng.random()
        if depth > 3 or roll < 0.6:
            return self.scalar()
        if roll < 0.8:
            return "[" + ",".join(self.any(depth + 1) for _ in range(self.rng.randrange(3))) + "]"
        return self.object(
            [(self.rng.choice(("a", "b", "direct", "x y")), self.any(depth + 1)) for _ in range(self.rng.randrange(3))]
        )

    def object(self, pairs: list[tuple[str, str]]) -> str:
        pad = " " if self.rng.random() < 0.2 else ""
        return "{" + ",".join(f"{self.key(key)}{pad}:{pad}{value}" for key, value in pairs) + pad + "}"

    def key(self, key: str) -> str:
        if key and self.rng.random() < 0.05:
            # The same name, escaped: a search for its bytes would miss it.
            return f'"{key[:-1]}\\u{ord(key[-1]):04x}"'
        return json.dumps(key)

    def maybe(
        self, pairs: list[tuple[str, str]], key: str, good: str, *, missing: float = 0.15, wrong: float = 0.1
    ) -> None:
        roll = self.rng.random()
        if roll < missing:
            return
        pairs.append((key, self.any() if roll < missing + wrong else good))
        if self.rng.random() < 0.03:
            pairs.append((key, self.any()))

    def event(self) -> str:
        pairs: list[tuple[str, str]] = []
        self.maybe(
            pairs,
            "type",
            json.dumps(self.rng.choice(TYPES[:5]) if self.rng.random() < 0.95 else self.rng.choice(TYPES)),
            missing=0.01,
            wrong=0.01,
        )
        for key in ("userId", "anonymousId", "messageId", "groupId", "name", "category"):
            self.maybe(pairs, key, self.text())
        self.maybe(
            pairs, "event", self.rng.choice(('"A"', '"Segment Consent Preference Updated"', self.text())), missing=0.1
        )
        self.maybe(pairs, "timestamp", self.rng.choice(TIMES))
        self.maybe(pairs, "context", self.context())
        for key in ("properties", "traits"):
            self.maybe(
                pairs,
                key,
                self.object(
                    [
                        (self.rng.choice(("name", "title", "url", "k", "é")), self.any())
                        for _ in range(self.rng.randrange(4))
                    ]
                ),
            )
        self.maybe(pairs, "integrations", self.integrations(("Segment", "segment")), missing=0.7)
        for key in ("sentAt", "receivedAt", "extra"):
            self.maybe(pairs, key, self.any(), missing=0.7)
        if self.rng.random() < 0.01:
            pairs.append(("properties", self.object([("big", json.dumps("x" * self.rng.randrange(31_000, 34_000)))])))
        self.rng.shuffle(pairs)
        return self.object(pairs)

    def integrations(self, names: tuple[str, ...]) -> str:
        """Mostly what switches nothing off, for what is switched off tests nothing else."""
        held = ("true", "true", "null", "{}", '{"a":false}', "0", "false")
        return self.object(
            [(name, self.rng.choice(held)) for name in ("All", "Other", *names) if self.rng.random() < 0.4]
        )

    def context(self) -> str:
        pairs: list[tuple[str, str]] = []
        self.maybe(
            pairs,
            "device",
            self.object([("id", self.text()), ("advertisingId", self.rng.choice((self.any(), '"ad"')))]),
            missing=0.4,
        )
        self.maybe(pairs, "consent", self.consent(), missing=0.4)
        self.maybe(pairs, "page", self.object([(key, self.any()) for key in ("path", "title", "url")]), missing=0.4)
        self.maybe(pairs, "direct", "true", missing=0.8)
        self.maybe(pairs, "ip", '"10.0.0.1"')
        self.maybe(pairs, "groupId", self.text(), missing=0.7)
        return self.object(pairs)

    def consent(self) -> str:
        preferences = self.object(
            [(f"c{index}", self.rng.choice(("true", "false", self.any()))) for index in range(self.rng.randrange(3))]
        )
        pairs: list[tuple[str, str]] = []
        self.maybe(pairs, "categoryPreferences", preferences, wrong=0.2)
        self.maybe(pairs, "version", self.rng.choice(("1", "2.0")), missing=0.4)
        return self.object(pairs)


def hostile_events(seed: int, count: int) -> Iterator[bytes]:
    """Lines: mostly objects, now and then something that is no event at all."""
    maker = Maker(seed)
    for number in range(count):
        roll = maker.rng.random()
        if roll < 0.01:
            yield _broken(maker, number)
        else:
            yield maker.event().encode()


def _broken(maker: Maker, number: int) -> bytes:
    whole = maker.event().encode()
    kinds: tuple[Any, ...] = (
        whole[: len(whole) // 2],
        whole + b"}",
        b"[" + whole + b"]",
        b"null",
        b'{"type":"track","userId":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}",
        b'{"a":01}',
        whole + b" " + whole,
        b'{"type":"track",}',
        b'{"a":"\x01"}',
        b"{}",
    )
    return bytes(kinds[number % len(kinds)])
