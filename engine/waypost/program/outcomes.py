"""What the generated loop asks for when an event becomes more than messages: a rejection with its field, results of several kinds together.

Takes the output field of each generated line, and the guard. Gives results.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from waypost.events.guard import REASON, Guard
from waypost.events.mapped_chunk import Owner, Result
from waypost.events.results import Rejected
from waypost.lang import values
from waypost.lang.values import Fault


class Outcomes:
    """`file` is the name under which the generated text was compiled, `fields` the output field of each of its lines."""

    def __init__(self, file: str, fields: Sequence[str], guard: Guard) -> None:
        self._file = file
        self._fields = fields
        self._guard = guard

    def refused(self, error: Exception, action: str, item: int | str | None) -> Rejected:
        """The rejection of an event (or one item of it) by an action: what it does wrong, or what we do."""
        if isinstance(error, Fault):
            return Rejected(action, item, error.reason, error.message, self._field(error))
        return Rejected(action, item, REASON, self._guard.caught(error, "mapped"), self._field(error))

    def settled(
        self, ready: list[Any], owners: list[Owner], begun: int, ended: Sequence[tuple[int, Result]]
    ) -> list[Result]:
        """All results of one event in their order: its messages, which stand behind `begun`, and among them what has ended otherwise, each with
        how many messages were before it."""
        messages = self.encoded(ready[begun:], owners[begun:])
        del ready[begun:], owners[begun:]
        found: list[Result] = []
        taken = 0
        for at, result in ended:
            found += messages[taken:at]
            found.append(result)
            taken = at
        return found + messages[taken:]

    def encoded(self, ready: list[Any], owners: list[Owner]) -> list[Result]:
        """Messages one by one, each with its bytes."""
        return [self._message(message, owner) for message, owner in zip(ready, owners, strict=True)]

    def _message(self, message: Any, owner: Owner) -> Result:
        try:
            return owner(values.encode(message))
        except Exception as error:
            whose = owner(b"")
            return Rejected(whose.action, whose.item, REASON, self._guard.caught(error, "mapped"))

    def _field(self, fault: Exception) -> str:
        """The output field that a generated line computes, from where the fault was raised."""
        found = ""
        trace: TracebackType | None = fault.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self._file:
                found = self._fields[trace.tb_lineno - 1]
            trace = trace.tb_next
        inner = getattr(fault, "field", "")
        return f"{found}.{inner}" if found and inner else found or inner
