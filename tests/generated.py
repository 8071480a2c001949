"""`make update` rewrites every generated file: compiled plans, golden files, generated docs.

Takes nothing, or `--check`: then a file that the rewriting has changed fails, for it was stale or edited by hand (`make ci`).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GENERATED = ("compiled", "examples/compiled", "specs", "tests/cases", "docs")
"""Folders that hold generated files."""

TESTS = (
    *("compiler/test_diagnostics", "compiler/test_schema", "cli/test_lint"),
    *("authoring/test_diff", "authoring/test_docs_pages", "proofs/test_docs", "proofs/test_promises"),
)
"""Tests that write golden files when they are given `--update`."""


def state() -> bytes:
    return b"".join(
        path.read_bytes() for folder in GENERATED for path in sorted((ROOT / folder).rglob("*")) if path.is_file()
    )


def update() -> None:
    waypost = [sys.executable, "-m", "waypost"]
    for words in (
        [*waypost, "compile"],
        [*waypost, "compile", "examples/waypost.yaml"],
        [*waypost, "test", "--update"],
        [sys.executable, "-m", "pytest", "-q", "-n", "2", *(f"tests/{name}.py" for name in TESTS), "--update"],
    ):
        subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def main() -> int:
    before = state()
    update()
    if "--check" not in sys.argv:
        return 0
    if state() != before:
        print("an update changes generated files: run `make update`, read the diff and commit it")
        return 1
    print("generated files are clean")
    return 0


if __name__ == "__main__":
    sys.exit(main())
