"""`waypost` as tests run it: a process of its own where they kill it, signal it and talk to it, within this one where they only read.

Takes the words of a command and a folder. Gives what it said, its status, and the address at which it listens.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock

from click.testing import CliRunner

from canary import leaks
from waypost.cli.main import main

ROOT = Path(__file__).resolve().parent.parent
KEYS = {"KEY": "canary-shop-key", "WEB_KEY": "canary-web-key"}


class Engine:
    """State: the process, and what it has said so far on standard error."""

    def __init__(self, folder: Path, *words: str, env: dict[str, str] | None = None, **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "waypost", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={**os.environ, **KEYS, **(env or {})},
            **options,
        )
        self.said: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self.said.append(line.decode())
                self._news.notify_all()

    def heard(self, *texts: str, after: int = 0, timeout: float = 30) -> bool:
        """Waits until the engine has said one of these since its line number `after`."""
        with self._news:
            return self._news.wait_for(
                lambda: any(text in line for line in self.said[after:] for text in texts), timeout
            )

    def end(self, timeout: float = 60) -> int:
        status = self.process.wait(timeout)
        self._reader.join(timeout)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        assert leaks("".join(self.said)) == []
        return status


def waypost(*words: str, cwd: Path = ROOT, stdin: bytes = b"", **env: str) -> tuple[int, str, str]:
    """(status, output, what was said on standard error) of a command, run within this process: no start of an interpreter, no imports."""
    with (
        contextlib.chdir(cwd),
        mock.patch.object(sys, "argv", ["waypost", *words]),
        CliRunner().isolation(stdin, {"COLUMNS": "120", **env}) as (out, err, _),
    ):
        try:
            main()
        except SystemExit as end:
            status = end.code
        sys.stdout.flush()
        found = out.getvalue().decode(), err.getvalue().decode()
    return _said(status, *found)


def waypost_process(*words: str, cwd: Path = ROOT, stdin: bytes = b"", **env: str) -> tuple[int, str, str]:
    """The same as a process of its own: for what its start, its imports or its streams decide."""
    done = subprocess.run(
        [sys.executable, "-m", "waypost", *words],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "120", **env},
        check=False,
    )
    return _said(done.returncode, done.stdout.decode(), done.stderr.decode())


def _said(status: object, out: str, err: str) -> tuple[int, str, str]:
    assert isinstance(status, int)
    assert "Traceback" not in out + err, err
    assert leaks(out + err) == []
    return status, out, err


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def wait_for_port(port: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError("the engine does not listen")
