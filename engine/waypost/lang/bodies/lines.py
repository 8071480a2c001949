"""NDJSON: one message a line, each with its line feed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from waypost import plan as p
from waypost.lang import values
from waypost.lang.bodies.format import PLACE, BodyFormat, Layout, wanted


class Lines(BodyFormat):
    word = "lines"
    doc = "JSON lines (NDJSON): `$messages` with `batch`, else `$message`. Limits count the line feeds."
    name = "JSON lines"
    content_type = "application/x-ndjson"
    kinds = re.compile(r"application/(?:x-)?(?:ndjson|jsonlines|jsonl|json-seq|ldjson)|application/json|text/plain")
    members = False

    def layout(self, body: p.Value) -> Layout:
        return Layout(b"\n")

    def written(self, value: Any) -> bytes:
        # What stands for the messages is the mark; anything else is one line.
        return (PLACE if values.encode(value) == PLACE else values.encode(value)) + b"\n"

    def faults(self, body: p.Value, *, batched: bool) -> Iterator[tuple[p.Value | None, str, str]]:
        node, word = wanted(batched)
        if body != node:
            yield (
                None,
                f"`lines` holds `{word}` and nothing else",
                f"write `lines: {word}`; what a line holds is the mapping's",
            )


LINES = Lines()
