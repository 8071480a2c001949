"""What SDKs ask a tracking server for beside sending: the settings of a source, their own metrics, and the pixel.

Takes a path and what stands in it. Gives the write key that a settings path names, the settings document, the event that a pixel's query
carries. Pure: whether the key is known is the door's to say (ingest.py).

Mobile SDKs and analytics.js fetch the settings before they send anything; without them they start no destination and drop what they have.
The document (sdk_settings.json, in the words of the SDKs) says no more than "this source is there, send": the host stays the SDK's own.
"""

from __future__ import annotations

import base64
import binascii
import re
from importlib import resources
from typing import Final
from urllib.parse import parse_qs

import msgspec

from waypost.sources.tracking_api import TYPES, Refused

METRICS: Final = frozenset({"/v1/m"})
"""Where SDKs send counts about themselves: taken and dropped."""

PIXELS: Final = {f"/v1/pixel/{name}": name for name in TYPES}

GIF: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""One transparent pixel."""

_SETTINGS: Final = re.compile(r"/v1/projects/([^/]+)/settings/?")


def asked_settings(path: str) -> bytes | None:
    """The write key of a settings path; None for another path."""
    found = _SETTINGS.fullmatch(path)
    return found[1].encode(errors="surrogateescape") if found else None


def settings(key: bytes) -> bytes:
    """The document for a key that is known."""
    text = resources.files(__package__).joinpath("sdk_settings.json").read_bytes()
    return text.replace(b'"WRITE_KEY"', msgspec.json.encode(key.decode(errors="replace")))


def pixel(query: bytes) -> bytes:
    """The body of the single call that `?data=BASE64` stands for. Raises Refused."""
    given = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("data", [""])[0]
    # A plus sign that was not escaped reads as a blank.
    text = given.replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, "invalid_request", "`data` is not base64: expected ?data= with an event in base64") from None
