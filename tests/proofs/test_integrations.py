"""The pre-commit hooks and the GitHub Action, as far as a machine without a hosted runner can run them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from conftest import CASES, ROOT

LOAD = YAML(typ="safe", pure=True).load
HOOKS: list[dict[str, Any]] = LOAD((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = LOAD((ROOT / "action.yml").read_text(encoding="utf-8"))["runs"]["steps"]


def run(words: list[str], cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        words, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path, **env}
    )


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_hook_passes_here_and_fails_on_a_bad_spec(hook: dict[str, Any], tmp_path: Path) -> None:
    """pre-commit runs the entry with the changed files behind it."""
    files = [] if hook.get("pass_filenames") is False else ["specs/segment/destination.yaml"]
    words = [*shlex.split(hook["entry"]), *files]
    assert run(words, ROOT).returncode == 0
    bad = tmp_path / "specs" / "segment"
    bad.mkdir(parents=True)
    shutil.copy(CASES / "diagnostics" / "M204.yaml", bad / "destination.yaml")
    assert run(words, tmp_path).returncode == 1


def action(specs: str, cwd: Path) -> list[subprocess.CompletedProcess[str]]:
    """The steps after the installation, as the runner would run them: until one fails."""
    found = []
    for step in STEPS[1:]:
        found.append(run(["bash", "-e", "-c", step["run"]], cwd, SPECS=specs, STRICT="false"))
        if found[-1].returncode:
            break
    return found


def test_action_passes_on_the_shipped_specs() -> None:
    assert [step.returncode for step in action("", ROOT)] == [0, 0]
    assert [step.returncode for step in action("specs/segment", ROOT)] == [0, 0]


def test_action_annotates_a_bad_spec(tmp_path: Path) -> None:
    shutil.copy(CASES / "diagnostics" / "M204.yaml", tmp_path / "destination.yaml")
    (step,) = action("destination.yaml", tmp_path)
    assert step.returncode == 1
    assert step.stdout.startswith("::error file=destination.yaml,line=19,endLine=19,col=14,endColumn=30,title=M204::")
