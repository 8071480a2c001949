"""`make sanitize`: the kernel's tests with a kernel that notices a read or write outside of its memory, and undefined arithmetic.

Takes nothing. Builds the kernel with gcc's address and undefined-behaviour sanitizers into a copy of engine/, and runs
tests/program/test_kernel.py against it with Python's own allocator off, so that every `bytes` has an end that is watched. Linux with gcc.

Change that turns it red: `self._state.limit = end` in machine.pyx, which lets eight bytes be read behind the data.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ("-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")


def main() -> int:
    sys.path.insert(0, str(ROOT / "engine"))
    import hatch_build

    with TemporaryDirectory() as scratch:
        for name in ("engine", "tests", "compiled", "specs", "examples"):
            shutil.copytree(ROOT / name, Path(scratch, name), ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        room = Path(scratch, "engine", *hatch_build.MODULE.split(".")[:-1])
        built = hatch_build.compiled(room, flags=FLAGS)
        shutil.copy(ROOT / "pyproject.toml", scratch)
        environment = {
            **os.environ,
            "ASAN_OPTIONS": "detect_leaks=0",
            "LD_PRELOAD": " ".join(map(_library, ("libasan.so", "libubsan.so"))),
            "PYTHONMALLOC": "malloc",
            "PYTHONPATH": f"{scratch}/engine:{scratch}/tests",
        }
        asks = (
            f"import waypost.program.kernel.machine as found; assert found.__file__ == {str(built)!r}, found.__file__"
        )
        subprocess.run([sys.executable, "-c", asks], env=environment, check=True)
        words = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", "tests/program/test_kernel.py"]
        return subprocess.run(words, env=environment, cwd=scratch, check=False).returncode


def _library(name: str) -> str:
    words = ["gcc", f"-print-file-name={name}"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
