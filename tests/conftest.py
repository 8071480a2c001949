"""`--update` rewrites golden files; CI demands that a run of it leaves no difference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from ruamel.yaml import YAML

CASES = Path(__file__).resolve().parent / "cases"
ROOT = CASES.parent.parent

settings.register_profile(
    "fast", max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
settings.load_profile("fast")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite golden files")


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


def table(name: str) -> Any:
    """A table of cases: tests/cases/NAME.yaml."""
    return YAML(typ="safe", pure=True).load((CASES / f"{name}.yaml").read_text(encoding="utf-8"))
