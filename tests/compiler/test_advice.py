"""What a finding advises to people who know another notation: the place, the words, and an edit that mends it (tests/cases/advice.yaml)."""

from __future__ import annotations

from typing import Any

import pytest
from ruamel.yaml import YAML

from conftest import ROOT
from waypost.compiler.pipeline import compile_text
from waypost.compiler.report.diagnostic import Diagnostic, Report
from waypost.plan import dump, load

CASES: list[dict[str, Any]] = YAML(typ="safe").load(ROOT / "tests/cases/advice.yaml")
SPEC = """spec: 1
name: shop
request:
  post: https://api.shop.example/v1/events
  body: {{events: $messages}}
  batch: {{max_messages: 500}}
actions:
  send:
    trigger: {trigger}
    mapping:
      id: "{{{{ meta.id }}}}"
      field: {value}
"""


def judged(line: dict[str, Any]) -> tuple[str, Report]:
    trigger = line.get("trigger", 'type = "track"')
    text = SPEC.format(trigger=trigger, value=line.get("value", "$.event"))
    return text, compile_text(text, "shop.yaml")[1]


def words(found: Diagnostic) -> str:
    return " ".join((found.message, found.label.text, found.help))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.get("value") or case.get("trigger"))
def test_the_finding_names_the_edit(case: dict[str, Any]) -> None:
    text, report = judged(case)
    found = [item for item in report.diagnostics if item.code == case["code"]]
    assert found, [(item.code, item.message) for item in report.diagnostics]
    first = found[0]
    assert text[first.label.span.start : first.label.span.end] == case["at"]
    assert case.get("says", "") in words(first)
    if "then" not in case:
        return
    assert first.fix is not None
    mended = text[: first.fix.span.start] + first.fix.text + text[first.fix.span.end :]
    assert case["then"] in mended
    again = compile_text(mended, "shop.yaml")[1]
    assert [item.code for item in again.diagnostics if item.severity == "error"] == []


def test_dedupe_names_a_field_as_it_is_sent() -> None:
    """`$$` is how a key that begins with `$` is written in a mapping; what is sent, and what `by` names, has one `$`."""
    for by, findings in (("$insert_id", []), ("$$insert_id", ["D109"]), ("$.id", ["D109"])):
        text = SPEC.format(trigger='type = "track"', value="$.event").replace(
            "batch:", f"dedupe: {{by: {by}, within: 24h}}\n  batch:"
        )
        text = text.replace("field:", "$$insert_id:")
        report = compile_text(text, "shop.yaml")[1]
        assert [item.code for item in report.diagnostics] == findings
        if by == "$$insert_id":
            assert "`$insert_id`" in words(report.diagnostics[0])


def test_a_host_of_a_setting_is_told_apart_from_one_of_an_event() -> None:
    """A setting may be a part of the host; an event would choose where things go."""
    for host, words in (("settings.shop", ""), ("event.userId", "may not come from an event")):
        text = SPEC.format(trigger='type = "track"', value="$.event").replace(
            "https://api.shop.example/v1", f'"https://{{{{ {host} }}}}.shop.example/v1'
        )
        text = text.replace("/events\n", '/events"\n').replace("request:", "settings: {shop: {type: string}}\nrequest:")
        found = [item for item in compile_text(text, "shop.yaml")[1].diagnostics if item.code == "D102"]
        assert [words in item.label.text for item in found] == ([True] if words else [])


CATEGORIES = [
    ("analytcis", "analytics"),
    ("Analytics", "analytics"),
    ("crms", "crm"),
    ("Email Marketing", "messaging"),
    ("ads", "advertising"),
    ("data_warehouse", ""),
    ("[crm, support]", ""),
]


@pytest.mark.parametrize(("written", "meant"), CATEGORIES)
def test_a_category_is_one_of_a_closed_list(written: str, meant: str) -> None:
    text = SPEC.format(trigger='type = "track"', value="$.event") + f"category: {written}\n"
    (found,) = compile_text(text, "shop.yaml")[1].diagnostics
    assert found.code == "S105"
    assert "`category` is one of analytics, crm, advertising, messaging, support, warehouse, other" in found.message
    assert text[found.label.span.start : found.label.span.end] == written
    assert (found.fix.text if found.fix else "") == meant


def test_a_category_reaches_the_plan_and_its_absence_leaves_the_plan_as_it_was() -> None:
    text = SPEC.format(trigger='type = "track"', value="$.event")
    bare, _ = compile_text(text, "shop.yaml")
    held, _ = compile_text(text + "category: crm\n", "shop.yaml")
    assert bare is not None
    assert held is not None
    assert held.category == "crm"
    assert b"category" not in dump(bare)
    assert load(dump(held)) == held
