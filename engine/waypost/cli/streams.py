"""The process's standard streams, whatever they are: closed, a pipe whose reader has gone, a full disk, an encoding that cannot say all.

Takes the streams as they came. Gives streams on which nothing that is said can fail: what standard error does not take is dropped, so that a
run never ends because nobody listens; where standard output takes no more, the command ends at once, quietly where its reader has gone
(`| head`), else with one line. Nothing that is printed while an event is handled can become that event's fault this way.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, NoReturn, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

GONE = 141
"""What a shell says of a program that SIGPIPE has ended; by `set -o pipefail` it is neither 0 nor the command's own finding."""

FULL = 70


def prepare() -> None:
    """Closed descriptors are opened on /dev/null: else the next file that is opened would be standard output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    # Where this is called as a function, its caller has put others in their place.
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Out(1, "w", closefd=False), sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Err(2, "w", closefd=False), sys.stderr)


def _text(raw: io.FileIO, before: TextIO | None) -> TextIO:
    """In the encoding of the stream before, and flushed as often."""
    encoding = before.encoding if before is not None else "utf-8"
    lines = isinstance(before, io.TextIOWrapper) and before.line_buffering
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=lines)


class _Err(io.FileIO):
    """Standard error."""

    def write(self, data: ReadableBuffer) -> int:
        try:
            # None: a terminal or pipe that is not to be waited for has no room.
            return super().write(data) or len(memoryview(data))
        except OSError:
            return len(memoryview(data))


class _Out(io.FileIO):
    """Standard output. An error that nobody below catches, since it is nobody's fault below."""

    def write(self, data: ReadableBuffer) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            _end(GONE)
        except BlockingIOError:
            raise
        except OSError as error:
            _end(FULL, f"waypost: cannot write to standard output: {error.strerror}\n")


def _end(status: int, said: str = "") -> NoReturn:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.stderr.write(said)
    sys.stderr.flush()
    raise SystemExit(status)
