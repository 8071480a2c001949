"""`format` of `$from`: which texts have one, on every way an event may take, and that it takes time in proportion to the text alone."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import table
from waypost.events.results import Mapped, Rejected
from waypost.lang.formats import TEXT_FORMATS
from ways import all_ways, both, compiled

SPEC = """spec: 1
name: shop
request: {post: "https://api.shop.example/v1", body: $message}
actions:
  send:
    trigger: type = "track"
    mapping:
      id: $.messageId
      x: {$from: $.properties.x, CHECKS}
"""
ROWS = table("formats")


def test_every_format_has_its_texts() -> None:
    assert list(ROWS) == list(TEXT_FORMATS)


@pytest.mark.parametrize("name", TEXT_FORMATS)
@pytest.mark.parametrize("checks", ["format: NAME", "format: NAME, type: string, invalid: omit"])
def test_which_texts_have_it(name: str, checks: str) -> None:
    """Mutation that turns this red: a search for the format, where the whole text is asked for."""
    plan = compiled(SPEC.replace("CHECKS", checks.replace("NAME", name)))
    linked = both(plan, {})
    for text, fits in [(text, True) for text in ROWS[name]["fits"]] + [(text, False) for text in ROWS[name]["not"]]:
        line = json.dumps({"type": "track", "messageId": "m", "properties": {"x": text}}).encode()
        [[found]] = all_ways(linked, [line])
        if fits or "omit" in checks:
            assert isinstance(found, Mapped), (text, found)
            assert (json.loads(found.body).get("x") == text) is fits, text
        else:
            assert isinstance(found, Rejected), text
            assert (found.reason, found.field) == ("format", "x")


@pytest.mark.parametrize(("held", "reason"), [("1", "wrong_type"), ("{}", "wrong_type"), ("true", "wrong_type")])
def test_what_is_no_text(held: str, reason: str) -> None:
    plan = compiled(SPEC.replace("CHECKS", "format: email"))
    [[found]] = all_ways(both(plan, {}), [f'{{"type":"track","properties":{{"x":{held}}}}}'.encode()])
    assert isinstance(found, Rejected)
    assert found.reason == reason


@given(st.text(), st.sampled_from(["a", "a.", "a-", "1:", "%20", "a@", "/", "0"]), st.integers(0, 20_000))
def test_any_text_is_judged(text: str, part: str, count: int) -> None:
    for name, fits in TEXT_FORMATS.items():
        assert fits(text + part * count) in (True, False), name
