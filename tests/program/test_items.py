"""`$each` with names, `$find`, `$get` and `single: wrap`: a table of what each makes of a value, on every way that an event may take."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conftest import table
from waypost.events.results import Mapped, Rejected
from ways import all_ways, both, compiled

SPEC = """\
spec: 1
name: shop
request: {post: "https://dest.example/x", body: $message}
actions:
  a:
    trigger: type = "track"
    mapping:
      id: $.messageId
      x: VALUE
"""
ROWS = [(row["value"], held, wanted) for row in table("items") for held, wanted in row["of"]]


@pytest.mark.parametrize(("value", "held", "wanted"), ROWS)
def test_what_becomes_of_a_value(value: str, held: Any, wanted: Any) -> None:
    """Mutations that turn this red: a name that is kept although its entry has no value; a find that goes on behind the first."""
    plan = compiled(SPEC.replace("VALUE", value))
    line = json.dumps(
        {"type": "track", "event": "A", "messageId": "m", "properties": {"p": held}, "context": {"locale": "en"}}
    )
    [[found]] = all_ways(both(plan, {}), [line.encode()])
    if isinstance(wanted, dict) and "rejected" in wanted:
        assert isinstance(found, Rejected)
        assert (found.reason, found.field.split(".")[0]) == (wanted["rejected"], "x")
        return
    assert isinstance(found, Mapped)
    message = json.loads(found.body)
    assert message.get("x", "<absent>") == wanted
    assert json.dumps(message.get("x", "<absent>")) == json.dumps(wanted)
