"""`pattern:` is RE2: one meaning in a spec, the reference, generated code and the kernel; what RE2 does not read is a finding at its place."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from conftest import CASES
from waypost import plan as p
from waypost.compiler.pipeline import compile_text
from waypost.compiler.report.diagnostic import Report
from waypost.events.results import Mapped, Rejected
from waypost.lang import patterns
from waypost.lang.errors import LangError
from waypost.program.program import link
from waypost.program.settings import SettingError

ROWS: list[dict[str, Any]] = YAML(typ="safe").load(CASES / "patterns.yaml")
GOOD = [row for row in ROWS if "says" not in row]
BAD = [row for row in ROWS if "says" in row]


def compiled(pattern: str) -> tuple[p.Plan | None, Report, str]:
    text = f"""spec: 1
name: shop
request: {{post: "https://api.shop.example/v1", body: $message}}
actions:
  send:
    trigger: type = "track"
    mapping:
      id: {{$from: $.userId, pattern: {json.dumps(pattern)}}}
"""
    return *compile_text(text, "shop.yaml"), text


@pytest.mark.parametrize("row", GOOD, ids=lambda row: row["pattern"])
def test_the_whole_text_is_judged_alike_on_every_way(row: dict[str, Any]) -> None:
    plan, report, _ = compiled(row["pattern"])
    assert plan is not None
    assert report.diagnostics == []
    for text, fits in [(text, True) for text in row["fits"]] + [(text, False) for text in row.get("not", [])]:
        event = json.dumps({"type": "track", "userId": text}).encode()
        for use_kernel in (True, False):
            program = link(plan, {}, use_kernel=use_kernel)
            for found in (program.map(event), program.map_general(event)):
                assert isinstance(found[0], Mapped if fits else Rejected), (text, found)
                assert fits or found[0].reason == "pattern"


@pytest.mark.parametrize("row", BAD, ids=lambda row: row["pattern"])
def test_what_cannot_be_read_is_shown_at_its_place(row: dict[str, Any]) -> None:
    plan, report, text = compiled(row["pattern"])
    (found,) = report.diagnostics
    assert plan is None
    assert found.code == "M214"
    assert row["says"] in found.message + found.help
    marked = text[found.label.span.start : found.label.span.end]
    assert "at" not in row or marked in (row["at"], json.dumps(row["at"])[1:-1])


@given(st.text(alphabet="ab(){}[]|*+?\\.^$-,09pLPi:<=!\n\ud800é", max_size=20))
def test_any_text_is_a_pattern_or_a_fault_within_it(text: str) -> None:
    try:
        patterns.compiled(text).fits("ab")
    except LangError as error:
        assert error.kind == "pattern"
        assert error.help
        assert 0 <= error.start <= error.end <= len(text)


@given(st.from_regex(r"\A[ab.]([ab]|a\*|b\?|\(a\|b\)|[ab]{1,3}){0,6}\Z"), st.text("abc", max_size=8))
def test_what_both_read_means_what_it_means_elsewhere(pattern: str, text: str) -> None:
    assert patterns.compiled(pattern).fits(text) == (re.fullmatch(pattern, text) is not None)


def test_a_plan_of_a_version_that_read_more_is_one_line() -> None:
    plan, _, _ = compiled("[a-z]+")
    assert plan is not None
    old = p.seal(msgspec.convert(json.loads(p.dump(plan).replace(b"[a-z]+", b"(?=a).+")), p.Plan))
    with pytest.raises(
        SettingError, match=r"`send` has a pattern that this version cannot run.*compile its spec again"
    ):
        link(old, {})


def test_a_line_that_was_excused_from_the_rule_there_was() -> None:
    _, _, text = compiled("(a+)+b")
    _, report = compile_text(text.rstrip("\n") + "  # waypost: allow M215 (short texts)\n", "shop.yaml")
    assert [(item.code, item.severity) for item in report.diagnostics] == [("C102", "warning")]
    assert "M215 any more" in report.diagnostics[0].message
