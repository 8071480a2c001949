"""The signature of a request: what is signed, with which key, and how it is written.

Takes a plan.Sign, an Env and the body's exact bytes before compression. Gives the Env in which `signature` has its value. Pure: `timestamp` is
the second of the instant in the Env, which is that of the attempt. Raises Fault; `Unsigned` is what a run makes of one: no event's fault, so
that the lane stops and keeps what it holds.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import replace
from typing import Any

from waypost import plan as p
from waypost.lang.values import MISSING, Fault
from waypost.program import interpret
from waypost.program.support import text_part

REASON = "signature"
"""Of a Fault whose message holds no value."""

SHOWN = {"timestamp": "<timestamp>", "signature": "<signature>", "body": "<body>"}
"""Shown in place of what is made at each attempt."""


class Unsigned(Exception):
    """A request whose signature cannot be made. The message says why."""


def key_of(sign: p.Sign, env: interpret.Env) -> bytes | None:
    """The key's bytes; None without one. Raises Fault for one that is not written as the spec says."""
    text = text_part(interpret.evaluate(sign.key, env))
    if text is MISSING:
        return None
    return decoded(text) if sign.key_form == "base64" else _bytes(text)


def decoded(text: str) -> bytes:
    """Base64 of either alphabet, with its padding or without."""
    plain = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        found = base64.b64decode((plain + "=" * (-len(plain) % 4)).encode(), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if not found:
        raise Fault(REASON, "it is no base64")
    return found


def signing(sign: p.Sign, env: interpret.Env, body: bytes) -> interpret.Env | None:
    """The Env for the headers and the query of a signature; None where no key is given: then nothing is signed."""
    known = {"timestamp": env.now // 1000, "body": body.decode("utf-8", "surrogateescape")}
    env = replace(env, signing=known)
    key = key_of(sign, env)
    if key is None:
        return None
    made = hmac.new(key, digestmod=sign.hash)
    for piece in sign.text.parts if isinstance(sign.text, p.Text) else [sign.text]:
        made.update(body if piece == p.Ref(name="body") else _part(piece, env))
    digest = made.digest()
    written = digest.hex() if sign.encoding == "hex" else base64.b64encode(digest).decode()
    found = replace(env, signing={**known, "signature": written})
    for name, node in {**sign.headers, **sign.query}.items():
        # Left out, as others without a value are, it would take the signature with it.
        if p.refers(node, "signature") and text_part(interpret.evaluate(node, found)) is MISSING:
            raise Fault(REASON, f"a part of `{name}` has no value")
    return found


def _part(piece: p.Value, env: interpret.Env) -> bytes:
    text: Any = text_part(interpret.evaluate(piece, env))
    if text is MISSING:
        raise Fault(REASON, "a part of what is signed has no value")
    return _bytes(text)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
