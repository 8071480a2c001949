"""Every rule: its bad example gives that finding with its exact frame, and nothing that only follows from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import CASES
from waypost.compiler.pipeline import compile_text
from waypost.compiler.render import FORMATS
from waypost.compiler.rules import RULES

FOLDER = CASES / "diagnostics"
BAD = sorted(FOLDER.glob("*.yaml"))


def test_every_rule_has_a_bad_example() -> None:
    assert [path.stem for path in BAD] == sorted(RULES)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_example(path: Path, golden: Callable[[Path, str], None]) -> None:
    plan, report = compile_text(path.read_text(encoding="utf-8"), path.name)
    assert {item.code for item in report.diagnostics} == {path.stem}
    assert (plan is None) == report.failed
    golden(path.with_suffix(".txt"), FORMATS["human"]([report]))


def test_good_example_is_silent() -> None:
    plan, report = compile_text((CASES / "good.yaml").read_text(encoding="utf-8"), "good.yaml")
    assert report.diagnostics == []
    assert plan is not None


def test_ten_faults_give_ten_findings(golden: Callable[[Path, str], None]) -> None:
    path = CASES / "ten_faults.yaml"
    _, report = compile_text(path.read_text(encoding="utf-8"), path.name)
    assert len(report.diagnostics) == 10
    golden(path.with_suffix(".txt"), FORMATS["concise"]([report]))


def test_machine_format_says_the_same() -> None:
    import json

    _, report = compile_text((FOLDER / "M204.yaml").read_text(encoding="utf-8"), "M204.yaml")
    (row,) = json.loads(FORMATS["json"]([report]))
    assert (row["code"], row["name"], row["line"], row["column"], row["end_column"]) == (
        "M204",
        "bare-string",
        19,
        14,
        30,
    )
    assert row["fix"]["text"] == "$.properties.total"
