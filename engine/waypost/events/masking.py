"""Secrets that come back: a destination may answer with what it was sent, in whatever form it likes.

Takes the secret values. Gives a function that masks them in a text: as they are, within JSON, HTML or Python's way to show bytes,
percent-encoded in whole or in part, in base64 at any alignment (Basic authorization puts a user name before the password), in hexadecimal
digits, and cut short at the text's end.
"""

from __future__ import annotations

import base64
import functools
import html
import re
from collections.abc import Callable, Iterable

LEAST = 4
"""A shorter secret would mask half of any text."""

LEAST_ENCODED = 6
"""So many characters of base64 say that it is the secret."""

LONGEST = 1024
"""A longer secret is masked in pieces of so many characters."""

MASK = "***"


def masker(secrets: Iterable[str]) -> Callable[[str], str]:
    """Masks these secrets."""
    return _masker(tuple(secrets))


@functools.lru_cache(64)
def _masker(secrets: tuple[str, ...]) -> Callable[[str], str]:
    found = [secret for secret in secrets if len(secret) >= LEAST]
    if not found:
        return lambda text: text
    plain = sorted({piece for secret in found for piece in _pieces(secret)}, key=lambda secret: (-len(secret), secret))
    cores = sorted({core for secret in found for core in _cores(secret)}, key=lambda core: (-len(core), core))
    rows = ["".join(map(_character, secret)) for secret in plain]
    # What stands beside the core is of the secret in part.
    beside = "[A-Za-z0-9+/_-]{0,4}"
    rows += [f"{beside}{''.join(map(_character, core))}{beside}(?:=|%3[dD])*" for core in cores]
    digits = [secret.encode("utf-8", "surrogatepass").hex() for secret in plain]
    rows += ["".join(map(_digit, form)) for form in digits]
    pattern = re.compile("|".join(rows))
    forms = [*plain, *cores, *digits, *(form.upper() for form in digits)]
    # A number in a text is the beginning of no secret: of hexadecimal digits it takes as many as the characters take that tell.
    shortest = [LEAST] * (len(plain) + len(cores)) + [2 * LEAST] * (2 * len(digits))
    begins = re.compile(
        "|".join(f"(?={''.join(map(_character, form[:least]))})" for form, least in zip(forms, shortest, strict=True))
    )

    # One answer of a destination may stand in the dead letters of a whole batch.
    @functools.lru_cache(8)
    def mask(text: str) -> str:
        text = pattern.sub(MASK, text)
        for place in begins.finditer(text):
            if any(_is_cut(text, place.start(), form) for form in forms):
                return text[: place.start()] + MASK
        return text

    return mask


def _pieces(secret: str) -> list[str]:
    """A secret as long as a file is known by its pieces: a pattern of all of it takes too long to make."""
    starts = range(0, len(secret), LONGEST)
    return [piece for piece in (secret[at : at + LONGEST] for at in starts) if len(piece) >= LEAST]


def _is_cut(text: str, start: int, form: str) -> bool:
    """Whether a text ends within a form that begins at `start`."""
    for character in form:
        found = _compiled(character).match(text, start)
        if found is None:
            return start == len(text) or _escape_is_cut(text, start)
        start = found.end()
    return start == len(text)


def _escape_is_cut(text: str, start: int) -> bool:
    """Whether what is left is the beginning of an escaped character."""
    return re.fullmatch(r"(?:%[0-9A-Fa-f]?|\\+(?:[ux][0-9A-Fa-f]{0,3})?|&#?\w{0,5})", text[start:]) is not None


@functools.lru_cache(512)
def _compiled(character: str) -> re.Pattern[str]:
    return re.compile(_character(character))


_ESCAPES = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}


@functools.lru_cache(512)
def _character(character: str) -> str:
    """A pattern of a character in whatever form it may come back, each by itself: as it is, percent-encoded, as JSON, Python or HTML escape it
    (once or within each other), and as bytes that were read as Latin-1."""
    if character.isascii() and character.isalnum():
        return character
    code = ord(character)
    data = character.encode("utf-8", "surrogatepass")
    forms = [
        # A backslash may be doubled as often as text is put into text.
        r"\\*" + re.escape(character),
        "".join(f"%(?:25)*{_hex(byte)}" for byte in data),
        "".join(rf"\\+x{_hex(byte)}" for byte in data),
        "".join(r"\\+u" + "".join(_digit(digit) for digit in unit) for unit in _units(character)),
        rf"&(?:amp;)?#(?:0*{code}|[xX]0*{''.join(map(_digit, f'{code:x}'))});",
    ]
    if character == "\\":
        forms[0] = r"\\+"
    if character in _ESCAPES:
        forms.append(r"\\+" + _ESCAPES[character])
    if character == " ":
        forms.append(r"\+")
    if not character.isascii():
        forms.append(re.escape(data.decode("latin-1")))
    named = html.escape(character)
    if named != character:
        forms.append("&(?:amp;)?" + re.escape(named[1:]))
    return f"(?:{'|'.join(forms)})"


def _hex(byte: int) -> str:
    return "".join(_digit(digit) for digit in f"{byte:02x}")


def _digit(digit: str) -> str:
    return digit if digit.isdigit() else f"[{digit}{digit.upper()}]"


def _units(character: str) -> list[str]:
    """The UTF-16 units of a character, four hexadecimal digits each, as JSON escapes them."""
    data = character.encode("utf-16-be", "surrogatepass")
    return [data[at : at + 2].hex() for at in range(0, len(data), 2)]


def _cores(secret: str) -> set[str]:
    """What of the secret's base64 depends on nothing but the secret, at each of the three alignments."""
    data = secret.encode()
    found = set()
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + data).decode()
        core = encoded[4 if shift else 0 : len(encoded) - 4]
        for piece in _pieces(core) if len(core) >= LEAST_ENCODED else ():
            found |= {piece, piece.replace("+", "-").replace("/", "_")}
    return found
