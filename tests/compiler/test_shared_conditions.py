"""A condition of a shared block is judged over all the actions that use it, and one on a field of the sender's own can be excused."""

from __future__ import annotations

import json

import pytest

from waypost import plan as p
from waypost.compiler.pipeline import compile_text
from waypost.events.results import Mapped
from waypost.program.program import link
from ways import walked

HEAD = 'spec: 1\nname: shop\nrequest: {post: "https://api.shop.example/v1", body: $message}\n'
SHARED = """shared:
  common:
    BLOCK
actions:
  a: {use: common, trigger: TRIGGER_A, mapping: {a: $.event}}
  b: {use: common, trigger: TRIGGER_B, mapping: {b: $.event}}
"""
BLOCKS = {
    "require": 'require: [{any: [id], if: type = "group"}]\n    mapping: {id: $.userId}',
    "$when": 'mapping: {id: {$when: type = "group", then: $.groupId, else: $.userId}}',
    "where in $each": 'mapping: {id: {$each: $.properties.list, to: $item, where: type = "group"}}',
    "where": 'each: $.properties.list\n    where: groupId != null and type = "group"\n    mapping: {id: $.userId}',
}


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
@pytest.mark.parametrize(
    ("triggers", "codes"),
    [
        (('type = "track"', 'type = "group"'), []),
        (('type = "group"', 'type = "track"'), []),
        (('type = "track"', 'type = "page"'), ["Q108"]),
        (('type = "track"', 'type = "track"'), ["Q108"]),
    ],
)
def test_a_use_is_enough(block: str, triggers: tuple[str, str], codes: list[str]) -> None:
    text = SHARED.replace("BLOCK", block).replace("TRIGGER_A", triggers[0]).replace("TRIGGER_B", triggers[1])
    report = compile_text(HEAD + text, "shop.yaml")[1]
    # A warning that the field is another type's beside it is right.
    assert [item.code for item in report.diagnostics if item.code != "P106"] == codes
    if not codes:
        assert report.diagnostics == []


OWN = HEAD + "actions:\n  a:\n    trigger: TRIGGER\n    mapping: {id: $.userId}\n"


@pytest.mark.parametrize(
    ("condition", "event", "sent"),
    [
        ('rudderId = "r1"', {"rudderId": "r1"}, True),
        ('rudderId = "r1"', {"rudderId": 1}, False),
        ('type = "track" and _metadata.bundled[0] = "x"', {"_metadata": {"bundled": ["x"]}}, True),
        ("_metadata.nodeVersion != null", {}, False),
        ('contains(rudderId, "r")', {"rudderId": "r1"}, True),
    ],
)
def test_a_field_of_the_senders_own_is_excused_and_read(condition: str, event: dict[str, object], sent: bool) -> None:
    plan, report = compile_text(OWN.replace("TRIGGER", condition), "shop.yaml")
    assert plan is None
    assert [item.code for item in report.diagnostics] == ["Q102"]
    assert "allow Q102" in report.diagnostics[0].help
    plan, report = compile_text(
        OWN.replace("TRIGGER", condition + "  # waypost: allow Q102 (our relay adds it)"), "shop.yaml"
    )
    assert report.diagnostics == []
    assert plan is not None
    plan = p.load(p.dump(plan))
    line = json.dumps({"type": "track", "userId": "u", **event}).encode()
    for use_kernel in (True, False):
        program = link(plan, {}, use_kernel=use_kernel)
        for found in (program.map(line), walked(program, line)):
            assert [type(item) is Mapped for item in found] == [sent]


@pytest.mark.parametrize("condition", ["item.price > 3", "settings != null", 'status = "x"', 'meta.id = "x"'])
def test_a_name_of_the_language_in_another_place_cannot_be_excused(condition: str) -> None:
    for code, found in (("Q112", "C103"), ("Q102", "C102")):
        report = compile_text(OWN.replace("TRIGGER", condition + f"  # waypost: allow {code} (no)"), "shop.yaml")[1]
        assert [item.code for item in report.diagnostics] == ["Q112", found]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("$device:{{ event.anonymousId }}", None),
        ("${{ event.properties.total }}", None),
        ("$5 off {{ event.event }}", None),
        ("$x.y {{ event.event }}", None),
        ("$omit {{ event.event }}", None),
        ("$.event {{ event.event }}", "P101"),
        ("$event.x {{ event.event }}", "M205"),
        ("$item.a {{ event.event }}", "P104"),
        ("$device", "M205"),
    ],
)
def test_a_dollar_before_a_template_is_text(value: str, code: str | None) -> None:
    for spec in (
        OWN.replace("TRIGGER", 'type = "track"').replace("$.userId", json.dumps(value)),
        OWN.replace("TRIGGER", 'type = "track"').replace("body:", f"headers: {{x-id: {json.dumps(value)}}}, body:"),
    ):
        plan, report = compile_text(spec, "shop.yaml")
        assert (plan is None) == (code is not None), report.diagnostics
        assert report.failed == (code is not None)
    if code is not None:
        mapped = compile_text(
            OWN.replace("TRIGGER", 'type = "track"').replace("$.userId", json.dumps(value)), "shop.yaml"
        )[1]
        assert [item.code for item in mapped.diagnostics] == [code]
