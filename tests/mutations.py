"""Each promise broken on purpose: a small change of the engine, and the test that has to notice it.

Takes tests/cases/promises.yaml. Makes each change in a copy of the engine, runs the one test against the copy, and wants it red. The table of
docs/delivery.md is made of the same rows; tests/proofs/test_promises.py holds that each test exists and each change can be made.

    python tests/mutations.py [P9 ...]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
TESTS_FAILED = 1
"""pytest's status when tests ran and some failed: a change that cannot even be imported proves nothing."""


@dataclass(frozen=True)
class Mutation:
    """A row of the table: a file under engine/waypost, and the text that is changed."""

    promise: str
    says: str
    test: str
    file: str
    old: str
    new: str
    change: str

    def made(self, text: str) -> str:
        """The file's text with the change. Raises AssertionError where it does not stand exactly once."""
        assert text.count(self.old) == 1, f"{self.promise}: {self.file} has {text.count(self.old)} times {self.old!r}"
        return text.replace(self.old, self.new)


def mutations() -> list[Mutation]:
    rows = YAML(typ="safe", pure=True).load((ROOT / "tests/cases/promises.yaml").read_text(encoding="utf-8"))
    return [Mutation(**row) for row in rows]


def noticed(mutation: Mutation) -> bool:
    """Whether the test is red with the change."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch)
        shutil.copytree(ROOT / "engine", copy / "engine", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("specs", "compiled"):
            (copy / name).symlink_to(ROOT / name)
        path = copy / "engine" / "waypost" / mutation.file
        path.write_text(mutation.made(path.read_text(encoding="utf-8")), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutation.test],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(copy / "engine")},
            capture_output=True,
            check=False,
            timeout=300,
        )
        return done.returncode == TESTS_FAILED


def main() -> int:
    wanted = sys.argv[1:]
    chosen = [mutation for mutation in mutations() if not wanted or mutation.promise in wanted]
    missed = []
    for mutation in chosen:
        began = time.monotonic()
        red = noticed(mutation)
        if not red:
            missed.append(mutation)
        print(
            f"  {mutation.promise:<4} {'red' if red else 'NOT NOTICED':<11} {time.monotonic() - began:>4.0f} s  "
            f"{mutation.change} ({mutation.test.rpartition('::')[2]})",
            flush=True,
        )
    print(
        f"{len(chosen) - len(missed)} of {len(chosen)} changes of the engine were noticed by the test that is named for them"
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
