"""A canary: a secret that is known by its looks, in whatever form it is written.

Takes text or bytes. Says which forms of which canaries stand in it: as it is, within JSON, percent-encoded, in base64 at any of the three
alignments (Basic authorization puts something before it), in hexadecimal digits. tests/conftest.py searches what every test's processes say.
"""

from __future__ import annotations

import base64
import os
import urllib.parse
from functools import cache
from pathlib import Path

SECRETS = (
    "canary-shop-key",
    "canary-web-key",
    "canary-sdk-key-51c2",
    "canary-segment-key-51c3",
    "canary-write-key-3f9a",
    "canary-write-key-77aa",
    "canary-write-key-88bb",
    'canary+/9f3a Zq7="&%k',
    "canary+/77bb:Xw3='<k",
)
"""All that tests use. The last two look different in each encoding."""


@cache
def forms(secret: str) -> tuple[bytes, ...]:
    """How a secret may stand in an output."""
    data = secret.encode()
    found = {
        data,
        secret.replace("\\", "\\\\").replace('"', '\\"').encode(),
        urllib.parse.quote(secret).encode(),
        urllib.parse.quote(secret, safe="").encode(),
        urllib.parse.quote_plus(secret).encode(),
        data.hex().encode(),
        data.hex().upper().encode(),
    }
    for shift in range(3):
        # What of the encoded text depends on the secret alone.
        encoded = base64.b64encode(b"x" * shift + data)
        inner = encoded[4 if shift else 0 : len(encoded) - 4]
        found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return tuple(sorted(found))


def leaks(said: str | bytes, secrets: tuple[str, ...] = SECRETS) -> list[str]:
    """The forms that stand in it."""
    data = said.encode("utf-8", "surrogateescape") if isinstance(said, str) else said
    return [form.decode() for secret in secrets for form in forms(secret) if form in data]


def leaks_in(
    folder: Path, secrets: tuple[str, ...] = SECRETS, besides: tuple[str, ...] = (), most: int = 1 << 40
) -> list[str]:
    """The same for all files under a folder of at most so many bytes, but those that hold a secret on purpose: `*.key`, and these names."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place) / name
            if name not in besides and path.suffix != ".key" and path.is_file() and path.stat().st_size <= most:
                found += [f"{path.relative_to(folder)}: {form}" for form in leaks(path.read_bytes(), secrets)]
    return found
