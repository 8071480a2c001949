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
    '"2026-11-24T10:00:00.123456789+05:30"',
    '"0000-01-01T00:00:00.000Z"',
    '"2026-W01-1T00:00:00.000Z"',
)
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
