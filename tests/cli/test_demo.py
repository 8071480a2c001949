"""`make demo` says what it installs before it does, and ends with what happened and with commands that work."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from conftest import ROOT
from running import waypost


def test_the_demo_ends_with_the_ledger_and_three_commands_that_work() -> None:
    done = subprocess.run(
        [sys.executable, "examples/demo.py"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()
    assert len(rows) <= 30
    assert max(map(len, rows)) <= 180
    assert re.search(r"deliveries  (\d+) = \d+ delivered .* \+ 0 in flight", done.stdout)
    # A folder that is gone is not named.
    assert "dead letters are in" not in done.stdout + done.stderr
    commands = re.findall(r"^  \.venv/bin/waypost (.*)$", done.stdout[done.stdout.index("Try next") :], re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        status, out, err = waypost(*shlex.split(command))
        assert status in (0, 3), f"{command}\n{err}"
        assert out


def test_what_is_installed_is_said_first(tmp_path: Path) -> None:
    """The recipe of a fresh clone, with programs that only tell that they were called."""
    fake = tmp_path / "python"
    fake.write_text(
        '#!/bin/sh\necho "CALLED $*"\n[ "$2" = venv ] || exit 0\nmkdir -p "$3/bin" && cp "$0" "$3/bin/python"\n'
    )
    fake.chmod(0o755)
    venv = tmp_path / "venv"
    words = ["make", f"VENV={venv}", f"PYTHON={fake}", "demo"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    said = [row for row in done.stdout.splitlines() if not row.startswith("make")]
    assert said[0].startswith("Making a Python environment in "), done.stdout + done.stderr
    assert said[1] == f"CALLED -m venv {venv}"
    assert said[2].startswith("Installing waypost into "), said
    for library in ("click", "httpx", "msgspec", "ruamel.yaml"):
        assert library in said[2]
    assert "pip install" in said[3]
