"""The filter `e164`: numbers as people write them, and what is said where its package is not there."""

from __future__ import annotations

import json
import sys

import pytest

from waypost.compiler.pipeline import compile_text
from waypost.events.results import Mapped, Rejected
from waypost.lang import filters
from waypost.lang.values import Fault
from waypost.program.program import link
from waypost.program.settings import SettingError
from ways import all_ways, both, compiled

SPEC = """spec: 1
name: shop
request: {post: "https://api.shop.example/v1", body: $message}
actions:
  send:
    trigger: type = "track"
    mapping: {id: $.messageId, x: "{{ event.traits.phone | FILTER }}"}
"""


@pytest.mark.parametrize(
    ("written", "country", "wanted"),
    [
        ("030 / 123 456", "DE", "+4930123456"),
        ("0049 30 123456", "de", "+4930123456"),
        ("(415) 555-2671", "US", "+14155552671"),
        ("+44 20 7946 0958", "DE", "+442079460958"),
        (4155552671, "US", "+14155552671"),
        ("02 1234 5678", "IT", "+390212345678"),
        ("415-555-2671 ext. 12", "US", "+14155552671"),
    ],
)
def test_numbers_as_people_write_them(written: object, country: str, wanted: str) -> None:
    plan = compiled(SPEC.replace("FILTER", f"e164('{country}')"))
    line = json.dumps({"type": "track", "traits": {"phone": written}}).encode()
    [[found]] = all_ways(both(plan, {}), [line])
    assert isinstance(found, Mapped)
    assert json.loads(found.body)["x"] == wanted


@pytest.mark.parametrize("written", ["n/a", "1", "+49", "0" * 400, "12345678901234567890", "\u0000", "+999 1234567"])
def test_what_is_no_number_rejects_and_is_not_told(written: str) -> None:
    plan = compiled(SPEC.replace("FILTER", "e164('DE')"))
    [[found]] = all_ways(both(plan, {}), [json.dumps({"type": "track", "traits": {"phone": written}}).encode()])
    assert isinstance(found, Rejected)
    assert (found.reason, found.field) == ("filter", "x")
    assert written not in found.message or len(written) < 3


def test_a_country_of_the_event() -> None:
    assert filters.apply("e164", "030 123456", ("DE",)) == "+4930123456"
    with pytest.raises(Fault):
        filters.apply("e164", "030 123456", ("nowhere",))


@pytest.mark.parametrize("country", ["XX", "Germany", ""])
def test_a_country_that_there_is_not(country: str) -> None:
    _, report = compile_text(SPEC.replace("FILTER", f"e164('{country}')"), "destination.yaml")
    assert [(item.code, "is no country" in item.message) for item in report.diagnostics] == [("T105", True)]


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that says what to install, when a spec is compiled and when a plan is linked."""
    text = SPEC.replace("FILTER", "e164('DE')")
    plan = compiled(text)
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    _, report = compile_text(text, "destination.yaml")
    assert [(item.code, "waypost[phone]" in item.message) for item in report.diagnostics] == [("T105", True)]
    with pytest.raises(SettingError, match=r"waypost\[phone\]"):
        link(plan, {})
