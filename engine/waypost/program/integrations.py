"""Whether an event's `integrations` switches this destination off: a person's opt-out, as SDKs send it.

Takes the names that mean the destination (plan.integrations) and the value of `integrations`. Gives whether nothing may be sent. `false` alone
switches off, under a name or under `All`; true and an object (options) under a name switch on again what `All` has switched off. Names are
case-sensitive. Where two names disagree, off wins. Whatever is no object says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from waypost.events.results import Filtered

ALL = "All"
OFF = Filtered(None, None, "integrations")

_decode: Callable[[bytes], dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def switched_off(names: Sequence[str], held: Any) -> bool:
    if not names or not isinstance(held, dict):
        return False
    named = [held.get(name) for name in names]
    if any(value is False for value in named):
        return True
    return held.get(ALL) is False and not any(value is True or isinstance(value, dict) for value in named)


def switch(names: Sequence[str]) -> Callable[[Any], bool]:
    """`switched_off` of the bytes of an event's `integrations`. Few have the word that alone can switch off."""

    def off(raw: Any) -> bool:
        data = bytes(raw)
        if data[:1] != b"{" or b"false" not in data:
            return False
        held = _decode(data)
        return switched_off(names, {name: _said(held[name]) for name in (*names, ALL) if name in held})

    return off


def _said(raw: msgspec.Raw) -> Any:
    """True, False and objects, which mean something; None for whatever else there is."""
    data = bytes(raw)
    return {} if data[:1] == b"{" else True if data == b"true" else False if data == b"false" else None
