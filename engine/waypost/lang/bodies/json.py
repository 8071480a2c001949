"""JSON: the messages are the items of a list, or one stands where the body says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Raw

from waypost import plan as p
from waypost.lang import values
from waypost.lang.bodies.format import PLACE, BodyFormat, Layout, by_action, one_place


class Json(BodyFormat):
    doc = "JSON around the messages: `$message`, or `$messages` with `batch`; several lists by action."

    def layout(self, body: p.Value) -> Layout:
        return Layout(b",", None, by_action(body))

    def mark(self, node: p.Messages) -> Any:
        return Raw(b"[" + PLACE + b"]" if node.many else PLACE)

    def written(self, value: Any) -> bytes:
        return values.encode(value)

    def faults(self, body: p.Value, *, batched: bool) -> Iterator[tuple[p.Value | None, str, str]]:
        return one_place(body, batched=batched)


JSON = Json()
