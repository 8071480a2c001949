"""The general loader: one line becomes an event, whatever its shape, or is told why it is none.

Takes the layout of a plan. Gives the struct for which the generated loop has a block for events of any shape. Two ways fill it alike: its own
decoder, which takes what it can hold without loss, and a walk through the line's members, which takes anything.
"""

from __future__ import annotations

from typing import Any

import msgspec

from waypost.events.not_events import malformed
from waypost.events.results import Rejected
from waypost.lang.surrogates import repaired
from waypost.program.generated import layout as layouts
from waypost.program.generated.layout import Layout

NOT_OBJECT = Rejected(None, None, "not_object", "the line is JSON, but no object", "")
TOO_DEEP = Rejected(None, None, "too_deep", "the event is nested too deeply", "")


class Loader:
    """`walked` counts the lines that were walked through."""

    def __init__(self, layout: Layout) -> None:
        self.walked = 0
        self._layout = layout
        self._decode = msgspec.json.Decoder(layout.root.struct).decode

    def load(self, line: bytes, *, walk: bool = False) -> tuple[Any, bytes]:
        """The event, or a Rejected; and the line as it is meant, without halves of surrogate pairs. `walk`: without the struct's decoder."""
        wrong = _not_utf8(line)
        if wrong is not None:
            return wrong, line
        found = self._walked(line) if walk else self._loaded(line)
        if found.__class__ is Rejected and (whole := repaired(line)) != line:
            return self.load(whole, walk=walk)
        return found, line

    def _loaded(self, line: bytes) -> Any:
        try:
            return self._decode(line)
        except msgspec.ValidationError:
            return self._walked(line)
        except msgspec.DecodeError as error:
            return malformed(error, line)
        except RecursionError:
            return TOO_DEEP

    def _walked(self, line: bytes) -> Any:
        self.walked += 1
        try:
            return layouts.fill_root(self._layout, layouts.members_of(line))
        except msgspec.ValidationError:
            return NOT_OBJECT
        except msgspec.DecodeError as error:
            return malformed(error, line)
        except RecursionError:
            return TOO_DEEP


def _not_utf8(line: bytes) -> Rejected | None:
    if line.isascii():
        return None
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return Rejected(None, None, "invalid_utf8", f"byte {error.start} of the line is not UTF-8", "")
    return None
