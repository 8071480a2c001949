"""Every rule: its bad example gives that finding with its exact frame, and nothing that only follows from it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from conftest import CASES
from waypost.cli import explain
from waypost.compiler.compose.connections import compile_connections
from waypost.compiler.pipeline import compile_text
from waypost.compiler.report.diagnostic import Report
from waypost.compiler.report.fixes import judge, mend
from waypost.compiler.report.render import FORMATS
from waypost.compiler.report.rules import RULES
from waypost.plan import catalog
from waypost.plan.catalog import is_connections

FOLDER = CASES / "diagnostics"
GOOD = sorted(FOLDER.glob("*.good.yaml"))
BAD = sorted(set(FOLDER.glob("*.yaml")) - set(GOOD))


def test_every_rule_has_a_bad_and_a_good_example() -> None:
    assert [path.stem for path in BAD] == sorted(RULES)
    assert [path.name.split(".")[0] for path in GOOD] == sorted(RULES)


BESIDE = ("C104", "C105")
"""What these find is not in a spec's text but beside it: tests/cli/test_lint.py."""


@pytest.mark.parametrize("path", [path for path in BAD if path.stem not in BESIDE], ids=lambda path: path.stem)
def test_bad_example(path: Path, golden: Callable[[Path, str], None]) -> None:
    text = path.read_text(encoding="utf-8")
    report = judge(text, path.name)
    plans = (
        compile_connections(text, path.name)[0] if is_connections(path.name, text) else compile_text(text, path.name)[0]
    )
    assert {item.code for item in report.diagnostics} == {path.stem}
    assert (not plans) == report.failed
    golden(path.with_suffix(".txt"), FORMATS["human"]([report]))


@pytest.mark.parametrize(
    "path", [CASES / "good.yaml", *(path for path in GOOD if path.stem[:4] not in BESIDE)], ids=lambda path: path.name
)
def test_good_example_is_silent(path: Path) -> None:
    report = judge(path.read_text(encoding="utf-8"), path.name)
    assert report.diagnostics == []


@pytest.mark.parametrize("code", sorted(RULES))
def test_explain_shows_why_wrong_and_right(code: str) -> None:
    text = explain.page(RULES[code])
    example = catalog.example(code)
    assert example is not None
    assert RULES[code].why in text
    assert explain.indented(explain.frame(example)) in text
    changed = [line for line in example.good.splitlines() if line not in example.bad.splitlines()]
    assert all(f"    {line}\n" in text for line in changed)


def test_ten_faults_give_ten_findings(golden: Callable[[Path, str], None]) -> None:
    path = CASES / "ten_faults.yaml"
    _, report = compile_text(path.read_text(encoding="utf-8"), path.name)
    assert len(report.diagnostics) == 10
    golden(path.with_suffix(".txt"), FORMATS["concise"]([report]))


def test_habits_of_other_systems_are_named(golden: Callable[[Path, str], None]) -> None:
    """A first spec by someone who knows other tools: everything is found in one run, with our word for theirs."""
    path = CASES / "other_habits.yaml"
    _, report = compile_text(path.read_text(encoding="utf-8"), path.name)
    golden(path.with_suffix(".txt"), FORMATS["human"]([report]))


def test_machine_format_says_the_same() -> None:
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


def fixed(text: str) -> tuple[str, int]:
    return mend(text, "x.yaml")


def is_fixable(path: Path, text: str) -> bool:
    report = judge(text, path.name)
    return any(item.fix is not None and item.fix.safe for item in report.diagnostics)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_safe_fix_removes_the_finding_and_nothing_else(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    mended, count = mend("# kept\n" + text, path.name)
    if not is_fixable(path, text):
        assert (mended, count) == ("# kept\n" + text, 0)
        return
    # Quoted, a lone path is seen to be one, and is mended in turn.
    assert count == (2 if path.stem == "Y103" else 1)
    assert mended.startswith("# kept\n")
    assert judge(mended, path.name).diagnostics == []
    changed = [
        line for line in difflib.ndiff(text.splitlines(), mended.splitlines()[1:]) if line.startswith(("+ ", "- "))
    ]
    assert len(changed) == 2


SLIPS = {
    "id: $.messageId": [
        "id: messageId",
        "id: .messageId",
        "id: event.messageId",
        "id: $messageId",
        "id: $.mesageId",
        'id: "{{ event.messageId }}"',
        "id: {{ event.messageId | upper }}",
        "id: {$from: $.messageId, tpye: strnig, required: yes}",
        "id: {$frm: $.messageId, max_length: '5'}",
        "id: {a: $.properties.list[0], b: [$.properties.list[*].x]}",
        'id: $.properties["a #1"]  # a note',
        "id: {$literal: Order #1}  # a note",
        "id: {$each: $.properties.list, to: {sku: item.sku}}",
    ],
    'trigger: type = "track"': [
        'trigger: !(type = "track")  # a note',
        'trigger: !contains(event, "x")',
        'trigger: event = "a: b"  # a note',
        'trigger: event = "a #1" and type = "track"  # a note',
        "trgger: type = 'track'",
    ],
    "batch: {max_messages: 100}": [
        "batch: {max_messages: '100', max_wait: 10 seconds}",
        "batch: {max_mesages: 100}",
        "batch: {max_messages: 100}\n  rate: {requests: 1000 per second}\n  responses: {4XX: rejct}",
    ],
    "spec: 1": ['spec: "1"'],
}
"""Lines of good.yaml, and what people write instead."""


@pytest.mark.parametrize("line", [line for lines in SLIPS.values() for line in lines])
def test_slips_are_mended_until_nothing_can_be(line: str) -> None:
    """Fixes converge, mend what they can and break nothing: the text after them has no safe fix left, and its comments."""
    (right,) = [name for name, lines in SLIPS.items() if line in lines]
    text = (CASES / "good.yaml").read_text(encoding="utf-8").replace(right, line) + "# the end\n"
    before = compile_text(text, "x.yaml")[1]
    assert before.diagnostics
    mended, count = fixed(text)
    after = compile_text(mended, "x.yaml")[1].diagnostics
    assert not [item for item in after if item.fix is not None and item.fix.safe]
    assert fixed(mended) == (mended, 0)
    assert mended.count("# ") == text.count("# ")
    certain = line not in ("id: messageId",)
    assert (count > 0) == certain
    assert [item.code for item in after] == ([] if certain else ["M204"])


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_fixes_of_a_bad_example_converge(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    before = judge(text, path.name)
    mended, count = mend(text, path.name)
    after = judge(mended, path.name)
    assert not [item for item in after.diagnostics if item.fix is not None and item.fix.safe]
    assert (count > 0) == (mended != text) == (len(after.diagnostics) < len(before.diagnostics))


@pytest.mark.parametrize(
    ("comment", "codes"),
    [
        ("", ["P103"]),
        ("# waypost: allow P103 (our gateway adds it)", []),
        ("# waypost: allow P103", ["P103", "C103"]),
        ("# waypost: allow P102 (no)", ["P103", "C103"]),
        ("# waypost: allow Q109 (other)", ["P103", "C102"]),
        ("# waypost: allow nonsense (x)", ["P103", "C103"]),
    ],
)
def test_one_line_is_excused_from_one_rule(comment: str, codes: list[str]) -> None:
    text = (CASES / "good.yaml").read_text(encoding="utf-8").replace("id: $.messageId", f"id: $.tenant  {comment}")
    plan, report = compile_text(text, "x.yaml")
    assert [item.code for item in report.diagnostics] == codes
    assert (plan is not None) == (not report.failed)


def reports_of(*names: str) -> list[Report]:
    return [compile_text((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), f"{name}.yaml")[1] for name in names]


def test_github_annotations() -> None:
    assert FORMATS["github"](reports_of("Q101")) == (
        "::error file=Q101.yaml,line=17,endLine=17,col=19,endColumn=21,title=Q101::`==` is not an operator here%0Awrite `=`\n"
    )


def test_sarif_names_rules_ranges_and_fixes() -> None:
    (run,) = json.loads(FORMATS["sarif"](reports_of("S101", "M204", "M204")))["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["M204", "S101"]
    first = run["results"][0]
    assert (first["ruleId"], first["ruleIndex"], first["level"]) == ("S101", 1, "error")
    assert first["fixes"][0]["artifactChanges"][0]["replacements"][0]["insertedContent"]["text"] == "description"
    region = run["results"][1]["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 19, "startColumn": 14, "endLine": 19, "endColumn": 30}


def test_junit_is_xml_with_a_case_a_finding() -> None:
    clean = compile_text((CASES / "good.yaml").read_text(encoding="utf-8"), "good.yaml")[1]
    root = ElementTree.fromstring(FORMATS["junit"]([*reports_of("Y101", "Q101"), clean]))
    assert [(suite.get("tests"), suite.get("failures")) for suite in root] == [("1", "1"), ("1", "1"), ("1", "0")]
    failure = root.find(".//failure")
    assert failure is not None
    assert "Y101" in (failure.text or "")
