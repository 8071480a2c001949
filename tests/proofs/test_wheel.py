"""What a user installs: the wheel carries specs and plans, and a shipped destination runs outside the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from conftest import ROOT
from waypost.program.kernel import entry as kernel


@pytest.mark.skipif(os.environ.get("WAYPOST_PURE") == "1", reason="asked for without a kernel")
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler on this machine")
def test_a_compiler_means_a_kernel() -> None:
    """Else all tests of the kernel would be skipped, and nobody would know."""
    assert kernel.machine is not None, kernel.why_none()


def test_wheel_runs_a_shipped_destination(tmp_path: Path) -> None:
    def run(*words: str) -> str:
        done = subprocess.run(
            words,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            input='{"type":"track","userId":"u","event":"A"}\n',
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT))
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    binary = tmp_path / "venv" / "bin"
    run(str(binary / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel))
    out = run(str(binary / "waypost"), "run", "segment", "--set", "source_write_key=k", "--dry-run")
    assert "POST https://api.segment.io/v1/batch" in out
    run(str(binary / "waypost"), "lint", "segment")
    if shutil.which("cc"):
        run(str(binary / "python"), "-c", "from waypost.program.kernel.machine import Kernel")
    assert "Right:" in run(str(binary / "waypost"), "explain", "M204")
    run(str(binary / "python"), "-c", "from waypost.plan import catalog; assert catalog.example_events().is_file()")
    assert "_catalog" in run(str(binary / "python"), "-c", "from waypost.plan import catalog; print(catalog.ROOT)")
