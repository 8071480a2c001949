"""What a destination echoes is masked, in each form that a secret can take."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import canary
from waypost.events.masking import masker

SECRET = canary.SECRETS[-2]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("nothing here", "nothing here"),
        (f"bad key {SECRET}!", "bad key ***!"),
        (json.dumps({"key": SECRET}), '{"key": "***"}'),
        ("canary%2B%2f9f3a%20Zq7%3D%22%26%25k", "***"),
        ("canary+%2f9f3a+Zq7=%22&%25k", "***"),
        (repr(bytearray(SECRET.encode())), "bytearray(b'***')"),
        (json.dumps(json.dumps({"key": SECRET})), '"{\\"key\\": \\"***\\"}"'),
        ("canary\\x2b\\x2f9f3a\\x20Zq7\\x3d\\x22\\x26\\x25k", "***"),
        ("canary\\u002b\\u002F9f3a Zq7\\u003d\\u0022\\u0026%k", "***"),
        ("canary&#43;&#x2F;9f3a Zq7=&amp;quot;&#38;%k", "***"),
        ("cut in an escape: canary%2B%2", "cut in an escape: ***"),
        (f"{base64.b64encode(b'me:' + SECRET.encode()).decode()}".replace("/", r"\/"), "***"),
        ("k=canary%2b%2f9f3a%20Zq7%3d%22%26%25k.", "k=***."),
        ("canary+/9f3a Zq7=&quot;&amp;%k", "***"),
        (f"Basic {base64.b64encode(SECRET.encode()).decode()}", "Basic ***"),
        ("cut short: canary+/9f", "cut short: ***"),
        (f"<{SECRET.encode().hex()}>", "<***>"),
        (f"0x{SECRET.encode().hex().upper()}00", "0x***00"),
        (f"all of it: {b'k: '.hex()}{SECRET.encode().hex()}", f"all of it: {b'k: '.hex()}***"),
        (f"cut: {SECRET.encode().hex()[:15]}", "cut: ***"),
        (f"cut: {SECRET.encode().hex().upper()[:15]}", "cut: ***"),
        ("order 6361", "order 6361"),
        ("a can", "a can"),
    ],
)
def test_what_is_masked(text: str, masked: str) -> None:
    """Mutation that turns this red: `_forms` without one of its rows; `_without_beginning` left out."""
    assert masker([SECRET, "abc", ""])(text) == masked


@given(st.binary(max_size=7), st.sampled_from(canary.SECRETS), st.binary(max_size=7), st.booleans())
def test_no_alignment_shows_it(before: bytes, secret: str, after: bytes, urlsafe: bool) -> None:
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    said = masker([secret])(f"<{encode(before + secret.encode() + after).decode()}>")
    assert canary.leaks(said, (secret,)) == []


@given(st.text(max_size=40), st.lists(st.text(max_size=12), max_size=3))
def test_anything_can_be_masked(text: str, secrets: list[str]) -> None:
    said = masker(secrets)(text)
    assert not any(
        secret in said for secret in secrets if len(secret) >= 4 and "***" not in secret and "*" not in secret
    )


def test_other_letters_are_masked_too() -> None:
    """Read as Latin-1 (what a header holds), as bytes, as JSON. Mutation: `_character` without `data.decode("latin-1")`."""
    secret = "pässwörd-é😀"
    mask = masker([secret])
    forms = [secret, secret.encode().decode("latin-1"), repr(secret.encode())[2:-1], json.dumps(secret)[1:-1]]
    for form in forms:
        assert mask(f"<{form}>") == "<***>"


def test_secret_as_long_as_a_file_is_masked_in_pieces() -> None:
    secret = "".join(f"{number:05}/" for number in range(2_000))
    mask = masker([secret])
    assert not canary.leaks(mask(f"x{secret}y"), (secret[:1000], secret[5000:6000], secret[-500:]))
    assert mask(f"cut: {secret[:700]}") == "cut: ***"
