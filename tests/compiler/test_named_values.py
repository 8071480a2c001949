"""`values:` and `{$use: NAME}`: the plan is the one of the values written out, and every finding stands where a value is written."""

from __future__ import annotations

import json

import pytest

from waypost.compiler.pipeline import compile_text
from waypost.plan import dump
from waypost.program.program import link

SPEC = """\
spec: 1
name: shop
request: {post: "https://dest.example/x", body: $message}
VALUES
actions:
  a:
    trigger: type = "track"
    mapping:
      id: $.messageId
      x: X
      y: Y
"""


def compiled(values: str, x: str, y: str = "$.userId") -> tuple[object, list[tuple[str, str]], str]:
    text = SPEC.replace("VALUES", values).replace("X\n", f"{x}\n", 1).replace("Y\n", f"{y}\n", 1)
    plan, report = compile_text(text, "destination.yaml")
    found = [(item.code, text[item.label.span.start : item.label.span.end]) for item in report.diagnostics]
    return plan, found, text


WHO = "values: {who: {id: {$from: $.userId, type: string, required: true}, anon: $.anonymousId}, sku: $item.sku}"


def test_the_plan_is_that_of_the_values_written_out() -> None:
    used, found, text = compiled(WHO, "{$use: who}", "{$each: $.properties.p, to: {$use: sku}}")
    assert found == []
    who = "{id: {$from: $.userId, type: string, required: true}, anon: $.anonymousId}"
    whole, _, _ = compiled("", who, "{$each: $.properties.p, to: $item.sku}")
    assert used.actions == whole.actions  # type: ignore[attr-defined]
    assert b"$use" not in dump(used)  # type: ignore[arg-type]
    # The place of a field is where it is written.
    line, column = map(int, used.source.positions["actions.a.mapping.x.id"].split(":"))  # type: ignore[attr-defined]
    assert text.splitlines()[line - 1][column - 1 :].startswith("id: {$from: $.userId")
    line_of_event = json.dumps({"type": "track", "userId": "u", "properties": {"p": [{"sku": "s"}]}}).encode()
    [message] = link(used, {}).map(line_of_event, 0, b"", 0.0)  # type: ignore[arg-type]
    assert json.loads(message.body) == {"x": {"id": "u"}, "y": ["s"]}


@pytest.mark.parametrize(
    ("values", "x", "y", "found"),
    [
        (WHO, "{$use: who}", "{$each: $.traits, to: {$use: sku}}", []),
        (WHO, "{$use: who}", "{$use: sku}", [("P104", "$item")]),
        ("values: {v: properties.total}", "{$use: v}", "{$use: v}", [("M204", "properties.total")]),
        ("values: {v: $.userId}", "{$use: V}", "{$use: v}", [("U115", "V")]),
        ("", "{$use: v}", "$.userId", [("U115", "v")]),
        ("values: {v: $.userId}", "$.event", "$.userId", [("U116", "v")]),
        ("values: {v: {$use: v}}", "{$use: v}", "$.userId", [("U117", "v")]),
        ("values: {v: $.userId}", "{$use: $.v}", "{$use: v}", [("U115", "$.v")]),
        ("values: {v: $.userId}", "{$use: [v]}", "{$use: v}", [("S104", "[v]")]),
        ("values: {v: $.userId}", "{$use: v, a: 1}", "{$use: v}", [("M209", "a")]),
        ("values: {v: $omit}", "{$use: v}", "$.userId", [("M208", "$omit")]),
        ("values: [v]", "$.event", "$.userId", [("S104", "[v]")]),
        ("values: {Bad Name: 1}", "{$use: Bad Name}", "$.userId", [("S109", "Bad Name")]),
        ("values: {x-note: anything}", "$.event", "$.userId", []),
    ],
)
def test_what_is_wrong_stands_where_it_is_written(values: str, x: str, y: str, found: list[tuple[str, str]]) -> None:
    """Mutations that turn this red: a value that is not counted as used, a circle that is read on."""
    assert compiled(values, x, y)[1] == found


def test_filters_of_from() -> None:
    rows = {
        '{$from: $.userId, filter: "| lower"}': ("T101", "|"),
        '{$from: $.userId, filter: "{{ event.userId | lower }}"}': ("T101", "{{"),
        '{$from: $.userId, filter: "lowr"}': ("T104", "lowr"),
        '{$from: $.userId, filter: "lower + 1"}': ("T101", "lower + 1"),
        "{$from: $.userId, filter: \"trim | matches('[a')\"}": ("T105", "[a"),
        "{$from: $.userId, filter: [lower]}": ("S104", "[lower]"),
        '{$from: $.userId, filter: "default(settings.none)"}': ("T108", "settings.none"),
        "{$from: {a: $.userId}, filter: lower}": ("T114", "lower"),
        '{$from: $.userId, filter: ""}': ("T101", ""),
    }
    for value, (code, at) in rows.items():
        assert [(one, text.strip('"')) for one, text in compiled("", value)[1]] == [(code, at)], value
