"""An event's `integrations` switches destinations off: what it means, which names mean this one, and that every way of an event hears it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from test_connections import TEXT
from test_connections import compiled as connections

from conftest import table
from running import waypost
from waypost import plan as p
from waypost.compiler.pipeline import compile_text
from waypost.engine.replay import again
from waypost.events.results import Filtered, Mapped
from waypost.program.integrations import OFF
from waypost.program.program import link
from waypost.state.records import Letter
from ways import Both, all_ways, both, compiled

ROWS = table("integrations")
SPEC = """\
spec: 1
name: crm
settings: {}
request: {post: "https://dest.example/in", body: $message}
actions:
  all:
    trigger: type = "track"
    mapping: {id: $.messageId}
"""


def line(held: str, kind: str = "track") -> bytes:
    return f'{{"type":"{kind}","userId":"u","event":"A","messageId":"m","groupId":"g","integrations":{held}}}'.encode()


def test_every_way_hears_what_every_value_means(shipped: Both) -> None:
    """Mutations that turn this red: no look at `integrations` in the kernel, in the generated loop."""
    for kind in ("track", "page", "identify", "screen", "group"):
        found = all_ways(shipped, [line(row["value"], kind) for row in ROWS])
        for row, results in zip(ROWS, found, strict=True):
            assert (results == [OFF]) is row["off"], row["value"]
            assert row["off"] or isinstance(results[0], Mapped)


def test_it_is_told_of_events_that_no_action_takes_too(shipped: Both) -> None:
    off, on = all_ways(shipped, [line('{"All":false}', "alias"), line("{}", "alias")])
    assert (off, on) == ([OFF], [Filtered(None, None, "no_action")])


def test_what_does_not_switch_off_costs_no_way(shipped: Both) -> None:
    """Almost every event has no `integrations`, `{}` or others' names: they stay with the kernel."""
    program, _ = shipped
    if program.kernel is None:
        pytest.skip("no kernel in this installation")
    plain = [
        row["value"] for row in ROWS if not row["off"] and "\\u" not in row["value"] and row["value"].count("All") < 2
    ]
    *_, rest = program.kernel.map(b"\n".join(map(line, plain)))
    assert rest == []


@pytest.mark.parametrize("read", ["integrations.All = true", "integrations = null", 'integrations.crm != "x"'])
def test_a_trigger_and_a_mapping_that_read_it_too(read: str) -> None:
    text = SPEC.replace('type = "track"', f'type = "track" and ({read})').replace(
        "{id: $.messageId}", "{id: $.messageId, all: $.integrations.All, held: $.integrations}"
    )
    plan = compiled(text)
    lines = [
        line(held)
        for held in ('{"All":false}', '{"All":true}', "null", "[]", '"x"', '{"crm":false}', '{"crm":"y"}', "1")
    ]
    found = all_ways(both(plan, {}), lines)
    assert [results == [OFF] for results in found] == [True, *[False] * 4, True, False, False]


def test_an_action_with_each_is_switched_off() -> None:
    text = SPEC.replace("    mapping:", "    each: $.properties.products\n    mapping:")
    plan = compiled(text)
    event = b'{"type":"track","properties":{"products":[1,2]},"integrations":{"crm":false}}'
    assert all_ways(both(plan, {}), [event]) == [[OFF]]


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("", ["crm"]),
        ("title: My CRM\n", ["My CRM", "crm"]),
        ("title: crm\n", ["crm"]),
        ("title: My CRM\nintegrations: [CRM Inc]\n", ["CRM Inc"]),
        ("integrations: [CRM, crm, 'CRM 2']\n", ["CRM", "crm", "CRM 2"]),
    ],
)
def test_which_names_mean_a_destination(said: str, names: list[str]) -> None:
    plan = compiled(SPEC.replace("settings: {}\n", said))
    assert plan.integrations == names
    assert p.load(p.dump(plan)) == plan


@pytest.mark.parametrize(
    ("said", "code", "help_text"),
    [
        ("ignore", "S104", "a connection's to say"),
        ("CRM", "S104", "write `[CRM]`"),
        ("[]", "S104", "the names that people switch off by"),
        ("{CRM: true}", "S104", "the names that people switch off by"),
        ("[All]", "S104", "remove it"),
        ("[CRM, CRM]", "S108", ""),
        ('[""]', "S104", ""),
        ("[{a: 1}]", "S104", ""),
        ("3", "S104", ""),
    ],
)
def test_error_of_names(said: str, code: str, help_text: str) -> None:
    plan, report = compile_text(SPEC.replace("settings: {}", f"integrations: {said}"), "destination.yaml")
    assert plan is None
    assert [item.code for item in report.diagnostics] == [code]
    assert help_text in report.diagnostics[0].help


@pytest.mark.parametrize(
    ("said", "names"),
    [("", ["shop"]), ("ignore", []), ("[Shop EU, eu]", ["Shop EU", "eu"])],
)
def test_a_connection_has_names_of_its_own(said: str, names: list[str]) -> None:
    first = next(iter(connections()[0]))
    assert first.connection is not None
    head = f"  {first.connection.name}:\n"
    text = TEXT.replace(head, f"{head}    integrations: {said}\n" if said else head)
    plans, reports = connections(text)
    assert plans, [item.message for report in reports for item in report.diagnostics]
    assert plans[0].integrations == (names if said else first.integrations)


def test_ignored_integrations_switch_nothing_off() -> None:
    plan = compiled(SPEC)
    ignoring = p.seal(msgspec.structs.replace(plan, integrations=[]))
    found = all_ways(both(ignoring, {}), [line('{"All":false}'), line('{"crm":false}')])
    assert [type(results[0]) for results in found] == [Mapped, Mapped]


def test_a_dead_letter_that_is_switched_off_leaves_with_its_reason() -> None:
    plan = compiled(SPEC)
    fields: dict[str, Any] = (
        dict.fromkeys(Letter.__struct_fields__)
        if hasattr(Letter, "__struct_fields__")
        else dict.fromkeys(Letter.__dataclass_fields__)
    )
    letter = Letter(**{**fields, "event": line('{"crm":false}'), "offset": 0, "first_line": b"", "action": "all"})
    assert again(link(plan, {}), letter, 0.0) == [Filtered("all", None, "integrations")]


def test_a_run_counts_them_and_a_preview_and_a_test_say_why(tmp_path: Path) -> None:
    spec, events = tmp_path / "destination.yaml", tmp_path / "events.ndjson"
    spec.write_text(SPEC, encoding="utf-8")
    held = ['{"All":false}', '{"All":false,"crm":true}', '{"crm":false}', '{"All":false,"crm":{"list":"x"}}', "{}"]
    events.write_bytes(b"\n".join(map(line, held)) + b"\n")
    code, out, err = waypost("run", str(spec), "--dry-run", str(events))
    assert code == 0, err
    assert "5 = 3 delivered + 2 filtered (integrations 2) + 0 dead" in out + err
    code, out, err = waypost("preview", str(spec), str(events), "--line", "3")
    assert code == 0, err
    assert 'nothing is sent (integrations): the event switches this destination off with {"crm":false}' in out
    tests = {"name": "switched off", "event": json.loads(line('{"crm":false}')), "expect": {"filtered": "integrations"}}
    (tmp_path / "tests.yaml").write_text(json.dumps({"tests": [tests]}), encoding="utf-8")
    code, out, err = waypost("test", str(spec), "--update")
    assert code == 0, out + err
