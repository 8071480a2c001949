"""`dedupe`: an id that the destination knows repeated messages by, or the choice that is made without one."""

from __future__ import annotations

import pytest

from waypost import plan as p
from waypost.compiler.pipeline import compile_text

SPEC = """spec: 1
name: shop
request:
  post: https://api.example.com/events
  body: $message
  dedupe: {dedupe}
  responses: {responses}
actions:
  send:
    trigger: type = "track"
    mapping: {{id: $.messageId}}
  send_too:
    trigger: type = "track"
    mapping: {{id: $.messageId, again: true}}
"""


@pytest.mark.parametrize(
    ("dedupe", "responses", "wanted"),
    [
        ("{unsafe: true}", "{}", ["D122"]),
        ("{unsafe: true}", "{5xx: retry}", ["D122"]),
        ("{unsafe: true}", "{unanswered: retry}", []),
        ("{unsafe: true}", "{unanswered: reject}", []),
        ("{unsafe: true}", "{unanswered: [{if: status = 1, then: reject}, retry]}", []),
        ("{unsafe: true, by: id, within: 1h}", "{}", ["D122", "Q109"]),
        ("{unsafe: true, by: id, within: 1h}", "{unanswered: retry}", ["Q109"]),
        ("{unsafe: true, by: id}", "{unanswered: retry}", ["Q109", "S103"]),
        ("{unsafe: true, within: 1h}", "{unanswered: retry}", ["S103"]),
        ("{unsafe: true, by: no, within: 1h}", "{unanswered: retry}", ["D109"]),
        ("{unsafe: false}", "{unanswered: retry}", ["S103"]),
        ("{}", "{unanswered: retry}", ["S103"]),
        ("{by: id, within: 24h}", "{}", ["Q109"]),
        ("{by: id, within: 1h}", "{}", ["D105", "Q109"]),
        ("{unsafe: 1}", "{unanswered: retry}", ["S103", "S104"]),
    ],
)
def test_without_an_id_the_author_chooses(dedupe: str, responses: str, wanted: list[str]) -> None:
    """Mutations that turn this red: no D122; D105 beside `unsafe`; Q109 for two actions without an id."""
    _, report = compile_text(SPEC.format(dedupe=dedupe, responses=responses), "shop.yaml")
    assert sorted(found.code for found in report.diagnostics) == wanted


def test_the_plan_of_one_with_an_id_keeps_its_bytes() -> None:
    text = SPEC.format(dedupe="{unsafe: true}", responses="{unanswered: reject}")
    plan, _ = compile_text(text, "shop.yaml")
    assert plan is not None
    assert p.load(p.dump(plan)).requests["request"].dedupe == p.Dedupe(unsafe=True)
    assert b"unsafe" in p.dump(plan)
    kept = text.replace("{unsafe: true}", "{by: at, within: 24h}").replace("id: $.messageId", "at: $.timestamp")
    plan, report = compile_text(kept.replace("again: true", 'again: true, at: "{{ meta.id }}"'), "shop.yaml")
    assert b"unsafe" not in p.dump(plan) if plan is not None else report.diagnostics
