"""Text: a template as body, under the content type that the request says."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Raw

from waypost import plan as p
from waypost.lang import values
from waypost.lang.bodies.format import BodyFormat, Layout
from waypost.lang.values import MISSING, Fault


class PlainText(BodyFormat):
    word = "text"
    doc = "A template as body, beside `content_type`: no message is in it."
    name = "text"
    content_type = "text/plain; charset=utf-8"
    kinds = re.compile(r".*")
    is_text = True
    members = False

    def layout(self, body: p.Value) -> Layout:
        return Layout()

    def written(self, value: Any) -> bytes:
        if value is MISSING or value is None:
            raise Fault("required", "no value for the request's text")
        if isinstance(value, str):
            # A NUL byte would be taken for the place of messages, and no API takes one.
            return value.replace("\0", "\ufffd").encode()
        if isinstance(value, bool):
            return b"true" if value else b"false"
        return values.encode(value) if isinstance(value, (dict, list, Raw)) else values.number_as_text(value).encode()


TEXT = PlainText()
