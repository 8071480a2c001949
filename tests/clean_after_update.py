"""For `make ci`: rewriting every golden file leaves no difference, so none is stale and none was edited by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GENERATED = ("compiled", "examples/compiled", "specs", "tests/cases", "docs")


def state() -> bytes:
    return b"".join(
        path.read_bytes() for folder in GENERATED for path in sorted((ROOT / folder).rglob("*")) if path.is_file()
    )


def main() -> int:
    before = state()
    waypost = [sys.executable, "-m", "waypost"]
    for words in (
        [*waypost, "compile"],
        [*waypost, "compile", "examples/waypost.yaml"],
        [*waypost, "test", "--update"],
    ):
        subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    names = ("diagnostics", "docs", "docs_pages", "schema")
    tests = [f"tests/test_{name}.py" for name in names]
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *tests, "--update"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    if state() != before:
        print("an update changes generated files: run `make update`, read the diff and commit it")
        return 1
    print("generated files are clean")
    return 0


if __name__ == "__main__":
    sys.exit(main())
