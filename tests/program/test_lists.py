"""One object where `$each` expects a list is a dead letter; a map of items, and a map whose values are taken whole, are gone over."""

from __future__ import annotations

import json

import pytest

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
      x: {$each: $.properties.p, EACH}
"""
READ = [
    "to: {sku: $item.sku}",
    'to: "$item.sku[0]"',
    "to: '$item.sku.a[0]'",
    'to: "{{ item.sku | upper }}"',
    'to: "n-{{ item.sku }}"',
    "to: {$from: $item.sku, type: string}",
    "to: {$first: [$item.sku, $item.id]}",
    'to: $item, where: item.sku = "A"',
    'to: {$when: item.sku = "A", then: $item}',
    "to: {$each: $item.sku, to: $item}",
]
WHOLE = ["to: $item", 'to: "{{ item | string }}"', "to: {v: $item}", "to: {$each: $item, to: $item.sku}"]


def mapped(each: str, held: object) -> Mapped | Rejected:
    plan = compiled(SPEC.replace("EACH", each))
    line = json.dumps({"type": "track", "messageId": "m", "properties": {"p": held}}).encode()
    [[found]] = all_ways(both(plan, {}), [line])
    assert isinstance(found, (Mapped, Rejected))
    return found


@pytest.mark.parametrize("each", READ)
@pytest.mark.parametrize("one", [{"sku": "A"}, {"sku": "A", "more": {"a": 1}}, {"other": 1}, {"list": [{"sku": "A"}]}])
def test_error_one_object_is_no_list(each: str, one: object) -> None:
    found = mapped(each, one)
    assert isinstance(found, Rejected)
    assert (found.reason, found.field.split(".")[0]) == ("wrong_shape", "x")


@pytest.mark.parametrize("each", READ[:4])
@pytest.mark.parametrize("held", [{"a": {"sku": "A"}, "b": None}, {}, [{"sku": "A"}], [], None])
def test_a_map_of_items_and_a_list_are_gone_over(each: str, held: object) -> None:
    assert isinstance(mapped(each, held), Mapped)


@pytest.mark.parametrize("each", WHOLE[:3])
def test_values_that_are_taken_whole_may_be_anything(each: str) -> None:
    found = mapped(each, {"a": True, "b": 1})
    assert isinstance(found, Mapped)
    assert set(json.loads(found.body)["x"]) == {"a", "b"}


def test_an_action_with_each() -> None:
    text = SPEC.replace("    mapping:", "    each: $.properties.p\n    mapping:").replace(
        "x: {$each: $.properties.p, EACH}", "x: $item.sku"
    )
    plan = compiled(text)
    one, several = (
        json.dumps({"type": "track", "properties": {"p": held}}).encode()
        for held in ({"sku": "A", "price": 1}, {"a": {"sku": "A"}, "b": {"sku": "B"}})
    )
    found = all_ways(both(plan, {}), [one, several])
    assert [getattr(row, "reason", "sent") for rows in found for row in rows] == ["wrong_shape", "sent", "sent"]
