"""Actions beyond the plain one: items, conditions, disabled ones, requests that take parts of the event; through YAML, program and lane."""

from __future__ import annotations

import json
from typing import Any

import pytest

from waypost.compiler.pipeline import compile_text
from waypost.events.results import Filtered, Mapped, Rejected
from waypost.program import interpret_actions
from waypost.program.program import Program, link
from ways import spread, told_alike

SPEC = """
spec: 1
name: many
settings:
  token: {type: string, secret: true}
  base: {type: url}
  note: {type: string, optional: true}
auth:
  headers: {x-token: "{{ settings.token }}"}
  query: {key: "{{ settings.token }}"}
  body: {api_key: "{{ settings.token }}"}
request:
  post: "{{ settings.base }}/v1/{{ event.context.tenant }}/events"
  headers: {x-user: "{{ event.userId }}", x-note: "{{ settings.note }}"}
  body: {events: $messages, at: "{{ now | unix }}"}
  batch: {max_messages: 10}
actions:
  each_product:
    trigger: type = "track" and event = "Order"
    each: $.properties.products
    where: item.price > 0
    mapping: {id: "{{ meta.id }}", sku: {$from: $item.sku, type: string, required: true}, user: $.userId}
  whole:
    trigger: type = "track" and event = "Order"
    where: properties.total != null
    mapping: {total: $.properties.total, kind: {$literal: order}}
  resting:
    trigger: type = "page"
    enabled: false
    mapping: {a: 1}
  single:
    trigger: type = "group"
    request: {put: https://other.example/one, body: {events: $omit, at: $omit, one: $message}, batch: $omit}
    mapping: {g: $.groupId}
"""

GIVEN = {"token": "secret-token", "base": "https://api.example/"}


@pytest.fixture(scope="module")
def program() -> Program:
    plan, report = compile_text(SPEC, "many.yaml")
    assert report.diagnostics == []
    assert plan is not None
    return link(plan, GIVEN)


def mapped(program: Program, event: dict[str, Any]) -> list[Any]:
    line = json.dumps(event).encode()
    results = program.map(line, 5, b"f", 0.0)
    assert results == spread(program.map_text(line, [5], b"f", 0.0).rows())[0]
    origin = interpret_actions.Origin(line, 5, b"f", program.owner)
    slow = interpret_actions.map_event(program.plan, program.settings, origin, 0.0)
    assert len(results) == len(slow)
    assert all(map(told_alike, results, slow))
    return results


ORDER = {"type": "track", "event": "Order", "userId": "u", "messageId": "m", "context": {"tenant": "t/1"}}


def test_one_message_an_item(program: Program) -> None:
    products = [{"sku": "a", "price": 1}, {"sku": "b", "price": 0}, {"price": 2}, {"sku": 7, "price": 3}]
    results = mapped(program, {**ORDER, "properties": {"products": products}})
    kinds = [(item.action, item.item, type(item).__name__, getattr(item, "reason", "")) for item in results]
    assert kinds == [
        ("each_product", 0, "Mapped", ""), ("each_product", 1, "Filtered", "where"), ("each_product", 2, "Rejected", "required"),
        ("each_product", 3, "Mapped", ""), ("whole", None, "Filtered", "where"),
    ]  # fmt: skip
    bodies = [json.loads(item.body) for item in results if isinstance(item, Mapped)]
    assert [(body["sku"], body["user"]) for body in bodies] == [("a", "u"), ("7", "u")]
    assert bodies[0]["id"] != bodies[1]["id"]


def test_items_of_an_object_and_of_nothing(program: Program) -> None:
    results = mapped(program, {**ORDER, "properties": {"products": {"x": {"sku": "a", "price": 1}}, "total": 5}})
    assert [(item.action, item.item) for item in results] == [("each_product", "x"), ("whole", None)]
    for products in ([], None, {}):
        results = mapped(program, {**ORDER, "properties": {"products": products, "total": 1}})
        assert results[0] == Filtered("each_product", None, "where")
    (first, _) = mapped(program, {**ORDER, "properties": {"products": "x", "total": 1}})
    assert isinstance(first, Rejected)
    assert first.reason == "wrong_shape"


def test_disabled_and_unmatched(program: Program) -> None:
    assert mapped(program, {"type": "page", "userId": "u"}) == [Filtered(None, None, "disabled")]
    assert mapped(program, {"type": "identify", "userId": "u"}) == [Filtered(None, None, "no_action")]


def test_request_takes_parts_of_the_event(program: Program) -> None:
    (_, result) = mapped(program, {**ORDER, "properties": {"total": 3}})
    assert isinstance(result, Mapped)
    kind = program.requests[result.request]
    wire = kind.render(result.group, [result.body, result.body], 1_800_000_000.0)
    assert wire.url == "https://api.example/v1/t%2F1/events?key=secret-token"
    headers = dict(wire.headers)
    assert (headers["x-user"], headers["x-token"], "x-note" in headers) == ("u", "secret-token", False)
    assert (
        wire.body
        == b'{"events":[{"total":3,"kind":"order"},{"total":3,"kind":"order"}],"at":1800000000,"api_key":"secret-token"}'
    )
    around = kind.envelope(result.group, 0.0)
    assert around is not None
    # The envelope's length does not change with the instant (of the same number of digits), so batches are cut on it.
    assert len(around[0]) + len(around[1]) + 2 * len(result.body) + 1 == len(
        kind.render(result.group, [result.body] * 2, 0.0).body
    )


def test_masked_request_shows_no_secret(program: Program) -> None:
    (_, result) = mapped(program, {**ORDER, "properties": {"total": 3}})
    wire = program.requests[result.request].render(result.group, [result.body], 0.0, masked=True)
    shown = repr(wire)
    assert "secret-token" not in shown
    assert shown.count("<token>") == 3
    assert '"at":"<now>"' in wire.body.decode()


def test_missing_part_of_the_url_rejects(program: Program) -> None:
    (_, result) = mapped(program, {**ORDER, "context": {}, "properties": {"total": 3}})
    assert isinstance(result, Rejected)
    assert result.reason == "url_part_missing"


def test_request_of_one_message(program: Program) -> None:
    (result,) = mapped(program, {"type": "group", "groupId": "g", "userId": "u"})
    wire = program.requests["single"].render(result.group, [result.body], 0.0)
    assert (wire.method, wire.url.split("?")[0], wire.body) == (
        "PUT",
        "https://other.example/one",
        b'{"one":{"g":"g"},"api_key":"secret-token"}',
    )


@pytest.mark.parametrize("constant", ["fixed", 1, None, True])
def test_a_constant_in_the_place_of_the_events_own_field(constant: Any) -> None:
    """The generated code compared the two by `is not`, of which Python warns whoever runs the engine (warnings are errors here)."""
    text = json.dumps(
        {
            "spec": 1,
            "name": "over",
            "request": {"post": "https://over.example/", "body": {"e": "$messages"}, "batch": {"max_messages": 9}},
            "actions": {
                "send": {
                    "trigger": 'type = "track"',
                    "mapping": {
                        "type": "$.type",
                        "name": {"$from": "$.event", "type": "string"},
                        "event": {"$literal": constant},
                    },
                }
            },
        }
    )
    plan, report = compile_text(text, "over.yaml")
    assert plan is not None, report.diagnostics
    (message,) = mapped(link(plan, {}, use_kernel=False), {"type": "track", "event": "A"})
    assert json.loads(message.body) == {"type": "track", "name": "A", "event": constant}
