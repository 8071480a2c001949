"""`make bench`: `waypost lint` on 100 specs, cold and from the cache, against composing their YAML alone: as ratios of one run.

Each round measures all three ways in turn, and the least of the rounds counts; the start of Python is in none of them.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ruamel.yaml import YAML

from waypost.cli import linting
from waypost.compiler import cache
from waypost.compiler.report.render import FORMATS

ROOT = Path(__file__).resolve().parent.parent
COUNT = 100
ROUNDS = 3


def specs(folder: Path) -> list[Path]:
    """Copies that are not equal: names and settings differ, so that nothing is shared by text."""
    text = (ROOT / "specs" / "segment" / "destination.yaml").read_text(encoding="utf-8")
    found = []
    for number in range(COUNT):
        path = folder / f"d{number}" / "spec.yaml"
        path.parent.mkdir()
        varied = text.replace("name: segment", f"name: d{number}").replace("source_write_key", f"key_{number}")
        path.write_text(varied, encoding="utf-8")
        found.append(path)
    return found


def compose(paths: list[Path]) -> None:
    for path in paths:
        YAML(typ="safe", pure=True).compose(path.read_text(encoding="utf-8"))


def lint(paths: list[Path]) -> None:
    reports = [report for path in paths for report in linting.judge(path, cached=True)]
    with contextlib.redirect_stdout(io.StringIO()):
        print(FORMATS["human"](reports))
    assert not any(report.diagnostics for report in reports)


def seconds(work: Callable[[list[Path]], None], paths: list[Path]) -> float:
    start = time.perf_counter()
    work(paths)
    return time.perf_counter() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_CACHE_HOME"] = f"{name}/cache"
        folder = Path(name, "specs")
        folder.mkdir()
        paths = specs(folder)
        lint(paths[:1])
        composed, cold, warm = [], [], []
        for _ in range(ROUNDS):
            cache.engine.cache_clear()
            for held in Path(name, "cache").rglob("*.json"):
                held.unlink()
            composed.append(seconds(compose, paths))
            cold.append(seconds(lint, paths))
            warm.append(seconds(lint, paths))
    base = min(composed)
    print(f"lint of {COUNT} specs          seconds   x composing")
    for what, found in (
        ("composing the YAML alone", base),
        ("lint, cold", min(cold)),
        ("lint, nothing changed", min(warm)),
    ):
        print(f"  {what:27}{found:7.3f}{found / base:12.2f}")


if __name__ == "__main__":
    main()
