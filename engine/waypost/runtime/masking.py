"""Secrets that come back: a destination may answer with what it was sent, in whatever form it likes.

Takes the secret values. Gives a function that masks them in a text: as they are, within JSON or HTML, percent-encoded, in base64 at any
alignment (Basic authorization puts a user name before the password), and cut short at the text's end.
"""

from __future__ import annotations

import base64
import functools
import html
import json
import re
import urllib.parse
from collections.abc import Callable, Iterable

LEAST = 4
"""A shorter secret would mask half of any text."""

LEAST_ENCODED = 6
"""So many characters of base64 say that it is the secret."""

MASK = "***"


def masker(secrets: Iterable[str]) -> Callable[[str], str]:
    """Masks these secrets."""
    return _masker(tuple(secrets))


@functools.lru_cache(64)
def _masker(secrets: tuple[str, ...]) -> Callable[[str], str]:
    found = [secret for secret in secrets if len(secret) >= LEAST]
    if not found:
        return lambda text: text
    plain = sorted({form for secret in found for form in _forms(secret)}, key=lambda form: (-len(form), form))
    cores = sorted({core for secret in found for core in _cores(secret)}, key=lambda core: (-len(core), core))
    rows = [re.escape(form) for form in plain]
    # What stands beside the core is of the secret in part.
    rows += [f"[A-Za-z0-9+/_-]{{0,4}}{re.escape(core)}[A-Za-z0-9+/_-]{{0,4}}=*" for core in cores]
    pattern = re.compile("|".join(rows))

    def mask(text: str) -> str:
        return _without_beginning(pattern.sub(MASK, text), [*plain, *cores])

    return mask


def _forms(secret: str) -> set[str]:
    return {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        html.escape(secret),
        html.escape(secret, quote=False),
        urllib.parse.quote(secret),
        urllib.parse.quote(secret, safe=""),
        urllib.parse.quote_plus(secret),
        re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), urllib.parse.quote(secret, safe="")),
    }


def _cores(secret: str) -> set[str]:
    """What of the secret's base64 depends on nothing but the secret, at each of the three alignments."""
    data = secret.encode()
    found = set()
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + data).decode()
        core = encoded[4 if shift else 0 : len(encoded) - 4]
        if len(core) >= LEAST_ENCODED:
            found |= {core, core.replace("+", "-").replace("/", "_")}
    return found


def _without_beginning(text: str, forms: list[str]) -> str:
    """A text that was cut may end with the beginning of a secret."""
    longest = 0
    for form in forms:
        for size in range(min(len(form) - 1, len(text)), max(LEAST - 1, longest), -1):
            if text.endswith(form[:size]):
                longest = size
                break
    return text[: len(text) - longest] + MASK if longest else text
