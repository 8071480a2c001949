"""Half of a surrogate pair in JSON text becomes U+FFFD. Takes and gives bytes.

Why: text that was cut inside an emoji (`"\\ud83d`) is common in browsers and old SDKs, and is no character; the event around it is sound.
Ingest does this to bodies, a program to lines, so that an event is the same whichever way it came. Sound JSON has none, and is not changed.
"""

from __future__ import annotations

import re
from typing import Final

_ESCAPE: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)


def repaired(text: bytes) -> bytes:
    if b"\\ud" not in text and b"\\uD" not in text:
        return text
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found["half"] else found[0], text)
