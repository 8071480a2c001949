"""A terminal for tests: what a process shows on it, line by line, as somebody would see it.

Takes the words of a command. Gives the lines of the screen at each moment that something was written. It knows the few control sequences that
are used: carriage return, line feed, cursor up, erase line.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable
from pathlib import Path

from running import KEYS

TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\][^\x07]*\x07|\r|\n|[^\x1b\r\n]+|\x1b")


class Screen:
    """State: the lines, and where the cursor is."""

    def __init__(self) -> None:
        self.lines = [""]
        self.row = self.column = 0

    def write(self, text: str) -> None:
        for found in TOKEN.finditer(text):
            self._take(found)

    def _take(self, found: re.Match[str]) -> None:
        token = found[0]
        if token == "\r":
            self.column = 0
        elif token == "\n":
            self.row, self.column = self.row + 1, 0
            self.lines += [""] * (self.row + 1 - len(self.lines))
        elif found[2] == "A":
            self.row = max(0, self.row - int(found[1] or 1))
        elif found[2] == "K":
            self.lines[self.row] = ""
        elif not token.startswith("\x1b"):
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + token + line[self.column + len(token) :]
            self.column += len(token)


class Terminal:
    """A process whose standard output and error are a terminal. State: its screen, and every picture of it."""

    def __init__(self, folder: Path, *words: str, columns: int = 100, env: dict[str, str] | None = None) -> None:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        held = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "waypost", *words],
            stdin=subprocess.DEVNULL,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env={**held, **KEYS, "TERM": "xterm-256color", **(env or {})},
        )
        os.close(slave)
        self.raw = ""
        self.screen = Screen()
        self.pictures: list[list[str]] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, args=(master,), daemon=True)
        self._reader.start()

    def _read(self, master: int) -> None:
        held = b""
        with contextlib.suppress(OSError):
            while data := os.read(master, 1 << 16):
                held += data
                text = held.decode(errors="ignore")
                held = b"" if len(text.encode()) == len(held) else held[len(text.encode()) :]
                with self._news:
                    self.raw += text
                    self.screen.write(text)
                    self.pictures.append([line.rstrip() for line in self.screen.lines])
                    self._news.notify_all()
        os.close(master)

    def shows(self, test: Callable[[str], bool], timeout: float = 30) -> bool:
        """Waits until a line of the screen is of a kind."""
        with self._news:
            return self._news.wait_for(lambda: any(test(line) for line in self.screen.lines), timeout)

    def end(self, timeout: float = 60) -> int:
        status = self.process.wait(timeout)
        self._reader.join(timeout)
        return status
