"""What commands say on standard error while they work: sentences, or with `--log json` one JSON object a line.

Takes notices (events/notices.py). With JSON, whatever else is written to standard error becomes a record too (a refusal, the findings of a
spec that is loaded again, a traceback), so that who collects the lines can read each.
"""

from __future__ import annotations

import io
import json
import sys
import time
from typing import TextIO

import click

from waypost.events.notices import Notice, record


def _say(text: str) -> None:
    if isinstance(sys.stderr, Lines):
        sys.stderr.say(text)
    else:
        click.echo(f"waypost: {text}", err=True)


say = _say
"""How a thing is said. A board at the foot of a terminal (board.py) has it printed above itself."""


def note(text: str) -> None:
    """Says one thing."""
    say(text)


def as_json() -> None:
    """From now on, for the rest of the process."""
    if not isinstance(sys.stderr, Lines):
        sys.stderr = Lines(sys.stderr)


class Lines(io.TextIOBase):
    """Standard error as records. State: the text since the last flush, which becomes one."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._text: list[str] = []

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            # click tries whether a stream takes bytes.
            raise TypeError("text is expected")
        self._text.append(text)
        return len(text)

    def flush(self) -> None:
        text, self._text = "".join(self._text).strip(), []
        if not text:
            return
        said = text.removeprefix("waypost: ")
        level = "warning" if said.startswith("warning") else "error"
        self.say(Notice(said.removeprefix("warning: "), "text", level=level))

    def say(self, text: str) -> None:
        self._out.write(json.dumps(record(text, time.time()), ensure_ascii=False) + "\n")
        self._out.flush()
