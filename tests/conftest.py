"""`--update` rewrites golden files; CI demands that a run of it leaves no difference.

What the processes of all tests say, and the files that they leave, are searched for the tests' secrets (canary.py).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, settings
from ruamel.yaml import YAML

import canary

os.environ.setdefault("WAYPOST_GUARD", "off")
"""A fault of ours fails its test where it is, in every process that a test starts (engine/waypost/events/guard.py)."""

CASES = Path(__file__).resolve().parent / "cases"
ROOT = CASES.parent.parent

settings.register_profile(
    "fast", max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
settings.load_profile("fast")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite golden files")


SLOW = (
    "workers",
    "workers_journal",
    "delivery",
    "runs",
    "seeing",
    "sdks",
    "wheel",
    "canary",
    "guide",
    "store",
    "dead",
    "check",
    "bench",
)
"""The modules of which every test is slow; single tests elsewhere say so themselves."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    slow = {f"test_{name}.py" for name in SLOW}
    for item in items:
        if item.path.name in slow:
            item.add_marker("slow")


LEAKS: list[str] = []
"""What has been said of a secret since the last test ended."""

SEARCHED = 8 << 20
"""Files of more bytes hold events of a test, and nothing of ours that smaller ones have not."""


def pytest_configure() -> None:
    """Searches what every process and every command of a test says."""
    communicate, invoke = subprocess.Popen.communicate, CliRunner.invoke

    def said(self: Any, *words: Any, **options: Any) -> Any:
        found = communicate(self, *words, **options)
        for data in found:
            LEAKS.extend(canary.leaks(data) if data else [])
        return found

    def invoked(self: Any, *words: Any, **options: Any) -> Any:
        result = invoke(self, *words, **options)
        LEAKS.extend(canary.leaks(result.output))
        return result

    subprocess.Popen.communicate = said  # type: ignore[method-assign]
    CliRunner.invoke = invoked  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def searched(request: pytest.FixtureRequest) -> Iterator[None]:
    """P16: no test's processes tell a secret, nor do the files in its folder. A file that a test wrote one into is named `*.key`."""
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    found, LEAKS[:] = list(LEAKS), []
    if folder is not None:
        found += canary.leaks_in(folder, besides=("typed.yaml",), most=SEARCHED)
    assert found == []


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compares text with a golden file, or rewrites it with --update."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption("--update"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"{path} is missing: run pytest --update and review it"
        assert text == path.read_text(encoding="utf-8")

    return compare


@pytest.fixture(scope="session")
def shipped() -> Any:
    """The shipped destination for Segment, linked once (ways.py: `Both`)."""
    from waypost.plan import load
    from ways import both

    plan = load((ROOT / "compiled" / "segment.json").read_bytes())
    return both(plan, {"source_write_key": "k", "endpoint": "europe"})


def table(name: str) -> Any:
    """A table of cases: tests/cases/NAME.yaml."""
    return YAML(typ="safe", pure=True).load((CASES / f"{name}.yaml").read_text(encoding="utf-8"))
