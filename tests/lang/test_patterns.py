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
from waypost.lang.values import Fault
from waypost.program.program import link
from waypost.program.settings import SettingError
from ways import all_ways, both, walked

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
            for found in (program.map(event), walked(program, event)):
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


FILTERS: list[dict[str, Any]] = YAML(typ="safe").load(CASES / "pattern_filters.yaml")


def with_filter(code: str) -> tuple[p.Plan | None, Report, str]:
    value = "'{{ event.event | " + code.replace("'", "''") + " }}'"
    text = f"""spec: 1
name: shop
request: {{post: "https://api.shop.example/v1", body: $message}}
actions:
  send:
    trigger: type = "track"
    mapping:
      id: $.messageId
      x: {value}
"""
    return *compile_text(text, "shop.yaml"), text


@pytest.mark.parametrize("row", [row for row in FILTERS if "at" not in row], ids=lambda row: row["code"])
def test_a_filter_reads_the_pattern_as_it_stands(row: dict[str, Any]) -> None:
    """Mutation that turns this red: the pattern with the escapes that Jinja makes of it (`\\b` is a backspace)."""
    plan, report, _ = with_filter(row["code"])
    assert plan is not None, report.diagnostics
    for text, wanted in row["of"].items():
        event = json.dumps({"type": "track", "event": text, "messageId": "m"}).encode()
        [[found]] = all_ways(both(plan, {}), [event])
        assert isinstance(found, Mapped), found
        assert json.loads(found.body).get("x", "<absent>") == wanted, text


@pytest.mark.parametrize("row", [row for row in FILTERS if "at" in row], ids=lambda row: row["code"])
def test_a_pattern_that_no_filter_reads_is_shown_at_its_place(row: dict[str, Any]) -> None:
    _, report, text = with_filter(row["code"])
    (found,) = report.diagnostics
    span = found.label.span
    assert text[span.start : span.end].replace("''", "'") == row["at"]
    assert row["says"] in f"{found.message} {found.label.text} {found.help}"


@given(
    st.text("ab1 é€\n"),
    st.sampled_from(["a", "[ab]+", "(a)(b)?", "é|a*", r"\d", "^a|b$", "(?s).", ""]),
    st.sampled_from(["", "-", "<$0>", "$$"]),
)
def test_what_is_replaced_is_what_another_implementation_replaces(text: str, pattern: str, to: str) -> None:
    other = re.sub(pattern, lambda found: to.replace("$0", found[0]).replace("$$", "$"), text)
    assert patterns.replaced(text, pattern, to) == other


def test_a_text_in_which_every_match_looks_to_the_end() -> None:
    """What is replaced is bounded: else a text of a megabyte would take an hour."""
    hostile = "x" * patterns.MOST_REPLACED
    assert patterns.replaced(hostile, "x.*y|x", "") == ""
    with pytest.raises(Fault, match="at most"):
        patterns.replaced(hostile + "x", "x", "")
