"""Shell completion: the printed script, run by the shell itself, offers what exists."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT
from running import waypost
from waypost.cli.main import COMMANDS

BASH = shutil.which("bash")
WAYPOST = Path(sys.executable).with_name("waypost")


def complete(line: str, cwd: Path = ROOT) -> list[str]:
    """What bash offers for the last word of a line."""
    assert BASH is not None
    words = line.split(" ")
    status, script, _ = waypost("completion", "bash")
    assert status == 0
    # `compopt` and `complete` belong to an interactive shell; the function is what decides.
    program = (
        f"compopt() {{ :; }}\ncomplete() {{ :; }}\n{script}\n"
        f"COMP_WORDS=({' '.join(words)!s}); COMP_CWORD={len(words) - 1}\n"
        f'_waypost_completion "{WAYPOST}"\nprintf "%s\\n" "${{COMPREPLY[@]}}"\n'
    )
    done = subprocess.run(
        [BASH, "--norc", "-c", program],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    assert "Traceback" not in done.stderr
    return done.stdout.split()


@pytest.mark.skipif(BASH is None, reason="there is no bash here")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("waypost li", ["lint"]),
        ("waypost run segm", ["segment"]),
        ("waypost lint specs/se", ["specs/segment"]),
        ("waypost lint segment specs/se", ["specs/segment"]),
        ("waypost explain m21", ["M210", "M211", "M212", "M213", "M214", "M216", "M217", "M218", "M219"]),
        ("waypost lint --format sa", ["sarif"]),
        ("waypost lint --di", ["--diff"]),
        ("waypost completion z", ["zsh"]),
        ("waypost run nothing-like-it", []),
    ],
)
def test_bash_offers_what_there_is(line: str, offered: list[str]) -> None:
    assert complete(line) == offered


@pytest.mark.skipif(BASH is None, reason="there is no bash here")
def test_bash_offers_every_command() -> None:
    assert complete("waypost ") == list(COMMANDS)


@pytest.mark.parametrize(
    ("shell", "part"), [("zsh", "#compdef waypost"), ("fish", "complete --no-files --command waypost")]
)
def test_other_shells_get_their_script(shell: str, part: str) -> None:
    status, out, _ = waypost("completion", shell)
    assert status == 0
    assert part in out


def test_unknown_shell_is_refused() -> None:
    status, _, err = waypost("completion", "tcsh")
    assert status == 2
    assert "'bash', 'zsh', 'fish'" in err
