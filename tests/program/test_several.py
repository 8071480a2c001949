"""Settings that are lists, rows and maps: what a person writes for one, how it is bound, and what expressions make of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ruamel.yaml import YAML

from conftest import CASES, ROOT
from running import waypost
from waypost import plan as p
from waypost.api import link
from waypost.authoring.given import given_value
from waypost.compiler.compose.connections import compile_connections
from waypost.compiler.pipeline import compile_text
from waypost.compiler.read import document
from waypost.compiler.read.closed_maps import Closed
from waypost.compiler.read.settings_block import read_settings
from waypost.compiler.read.source import Source
from waypost.compiler.report.diagnostic import Report
from waypost.events.results import Filtered, Mapped, Rejected
from waypost.program.settings import SettingError, bind
from ways import mapped

TEXT = (CASES / "several.yaml").read_text(encoding="utf-8")
ROWS = YAML(typ="safe", pure=True).load(TEXT)["rows"]


def settings_of_cases() -> dict[str, p.Setting]:
    report = Report(Source("several.yaml", TEXT))
    root = document.read(report.source, report)
    assert isinstance(root, document.Map)
    found = read_settings(root.get("settings"), Closed(report))
    assert report.diagnostics == []
    return {name: item.setting for name, item in found.items()}


SETTINGS = settings_of_cases()


def plan_with(name: str) -> p.Plan:
    return p.Plan(name="shop", settings={name: SETTINGS[name]}, requests={}, actions={})


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['of']} {row['text']!r}" for row in ROWS])
def test_what_is_written_for_a_setting(row: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a command line, in a variable, in a file: one value, or one line that names the place in it.

    Mutations that turn this red: `strict` left out of `shapes.one`, `_from_json` left out of `from_text`."""
    plan = plan_with(row["of"])
    (tmp_path / "value").write_text(row["text"], encoding="utf-8")
    monkeypatch.setenv("VALUE", row["text"])
    for written in (row["text"], "env:VALUE", f"file:{tmp_path / 'value'}"):
        try:
            value, _ = given_value(plan, row["of"], written)
            found: Any = bind(plan, {row["of"]: value}).values[row["of"]]
        except SettingError as error:
            assert str(error) == f"shop: {row.get('says')}"
            continue
        assert "says" not in row
        assert found == row["is"]
        assert list(map(type, found)) == list(map(type, row["is"]))


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['of']} {row['text']!r}" for row in ROWS])
def test_the_same_in_a_connection(row: dict[str, Any], tmp_path: Path) -> None:
    """What stands in waypost.yaml is judged where it stands, and is in the plan as it is bound."""
    spec = "spec: 1\nname: shop\n" + TEXT[TEXT.index("settings:") : TEXT.index("rows:\n  - ")]
    spec += 'request: {post: "https://example.com", body: $message}\nactions:\n  send:\n    trigger: type = "track"\n'
    named = ", ".join('"{{ settings.%s }}"' % name for name in SETTINGS)  # noqa: UP031
    spec += f"    mapping: {{all: [{named}]}}\n"
    (tmp_path / "shop.yaml").write_text(spec, encoding="utf-8")
    others = {name: "[]" if held.type == "list" else "{}" for name, held in SETTINGS.items() if name != row["of"]}
    flow = row["text"].rstrip("\n")
    if "\n" in flow:
        flow = "\n" + "\n".join(f"        {line}" for line in flow.splitlines())
    text = "connections:\n  mine:\n    destination: shop.yaml\n    sources: [all]\n    settings:\n"
    text += "".join(f"      {name}: {held}\n" for name, held in others.items())
    text += f"      {row['of']}: {flow}\nsources:\n  all: {{stdin: true}}\n"
    plans, reports = compile_connections(text, str(tmp_path / "waypost.yaml"))
    if "is" in row and "\\ud83d" not in row["text"]:
        assert [item.message for report in reports for item in report.diagnostics] == []
        (plan,) = plans
        assert plan.connection is not None
        assert plan.connection.settings[row["of"]] == row["is"]
        assert p.load(p.dump(plan)) == plan
        return
    assert plans == []
    said = [item.message for report in reports for item in report.diagnostics]
    assert said, text
    # What is no YAML or no constant has a finding of its own.
    judged = "is" not in row and "cannot be read" not in row["says"] and "`:" not in row["says"]
    assert not judged or row["says"] in said


SHOP = """
spec: 1
name: shop
settings:
  event_names: {type: map, key: {label: Event}, value: {type: string}, default: {}}
  allowed_events: {type: list, of: {type: string}, default: []}
  allowed_traits: {type: list, of: {type: string}, optional: true}
  dropped: {type: list, of: {type: string}, default: [ssn]}
  rows: {type: list, of: {from: {type: string}, to: {type: string}}, default: []}
  extra: {type: map, value: {type: string}, default: {}}
request: {post: "https://example.com", body: $messages, batch: {max_messages: 10}}
actions:
  send:
    trigger: type = "track" and (length(settings.allowed_events) = 0 or event in settings.allowed_events)
    mapping:
      event: {$lookup: $.event, in: "{{ settings.event_names }}", else: $.event}
      traits: {$pick: $.context.traits, keys: "{{ settings.allowed_traits }}"}
      rest: {$drop: $.properties, keys: "{{ settings.dropped }}"}
      bare: {$drop: $.properties, keys: [ssn, age]}
      rows: {$each: "{{ settings.rows }}", to: {is: $item.to, of: "{{ item.from | upper }}"}, where: item.from != "x"}
      known: {$when: event in settings.event_names, then: true}
      extra: {$merge: "{{ settings.extra }}", own: $.userId}
"""
EVENT = {
    "type": "track",
    "event": "Order",
    "userId": "u",
    "context": {"traits": {"email": "e", "age": 3}},
    "properties": {"ssn": 1, "b": 2, "age": 3},
}


def plan_of_shop(text: str = SHOP) -> p.Plan:
    plan, report = compile_text(text, "shop.yaml")
    assert plan is not None, [item.message for item in report.diagnostics]
    return plan


def sent(given: dict[str, Any], event: dict[str, Any] | None = None) -> Any:
    program = link(plan_of_shop(), given)
    (found,) = program.map(json.dumps(event or EVENT).encode())
    if isinstance(found, Filtered):
        return found.reason
    return (found.reason, found.field) if isinstance(found, Rejected) else json.loads(found.body)


def test_what_they_make_of_an_event() -> None:
    """Mutation that turns this red: `put_in` without its `$drop`."""
    assert sent({}) == {
        "event": "Order",
        "rest": {"b": 2, "age": 3},
        "bare": {"b": 2},
        "rows": [],
        "extra": {"own": "u"},
    }
    given = {
        "event_names": {"Order": "purchase", "Other": "o"},
        "allowed_events": ["Other", "Order"],
        "allowed_traits": ["email", "phone", "email"],
        "dropped": ["b", "age", "ssn"],
        "rows": [{"from": "a", "to": "A"}, {"from": "x", "to": "X"}],
        "extra": {"own": "other", "k": "v"},
    }
    assert sent(given) == {
        "event": "purchase",
        "traits": {"email": "e"},
        "bare": {"b": 2},
        "rows": [{"is": "A", "of": "A"}],
        "known": True,
        "extra": {"own": "u", "k": "v"},
    }
    assert sent({**given, "allowed_events": ["order"]}) == "no_action"


def test_what_is_no_object_is_refused_whatever_the_setting_holds() -> None:
    for keys in ([], ["a"]):
        assert sent({"allowed_traits": keys}, {**EVENT, "context": {"traits": "t"}}) == ("wrong_shape", "traits")
        assert sent({"dropped": keys}, {**EVENT, "properties": [1]}) == ("wrong_shape", "rest")
    for nothing in (None, []):
        assert "rest" not in sent({}, {**EVENT, "properties": nothing})


def test_keys_and_tables_of_settings_in_a_request() -> None:
    """They choose among what the event has: none of them is tried as a part of the url itself.

    Mutation that turns this red: `_of_settings` that looks for values in `keys_of` and `table_of`."""
    told = '"https://example.com/{{ event.userId }}", query: {q: "{{ event.event }}"}, body: {sent: $messages, how: '
    told += '{$lookup: $.event, in: "{{ settings.event_names }}"}, who: {$pick: $.context.traits, keys: "{{ settings.allowed_traits }}"}}'
    plan = plan_of_shop(SHOP.replace('"https://example.com", body: $messages', told))
    program = link(plan, {"event_names": {"Order": "o"}, "allowed_traits": ["email"]})
    (found,) = program.map(json.dumps(EVENT).encode())
    assert isinstance(found, Mapped)
    wire = program.requests[found.request].render(found.group, [found.body], 0.0)
    assert wire.url == "https://example.com/u?q=Order"
    assert {key: held for key, held in json.loads(wire.body).items() if key != "sent"} == {
        "how": "o",
        "who": {"email": "e"},
    }
    for node in (
        p.Lookup(of=p.Path(path="$.event"), table={}, table_of=p.Ref(name="settings.event_names")),
        p.Filter(name="json", of=p.Pick(of=p.Path(path="$"), keys=[], keys_of=p.Ref(name="settings.dropped"))),
    ):
        request = msgspec.structs.replace(
            plan.requests["request"], url=p.Text(parts=[p.Const(value="https://example.com/"), node])
        )
        link(p.seal(msgspec.structs.replace(plan, requests={"request": request})), {})


@pytest.mark.parametrize("count", [0, 1, 100, 101, 5000])
def test_lists_of_any_length(count: int) -> None:
    """Long ones leave the kernel for a look into a set; what is sent is the same."""
    plan = plan_of_shop(SHOP[: SHOP.index("      traits:")])
    names = [f"E{index}" for index in range(count)]
    given = {"allowed_events": [*names, "last"], "event_names": dict.fromkeys(names, "seen") | {"last": "end"}}
    program, lines = (
        link(plan, given),
        [json.dumps({"type": "track", "event": name}).encode() for name in ("last", "E0", "E", 5)],
    )
    assert program.kernel is None or program.kernel.left_out == {}
    assert (program.kernel is not None) == (count < 100)
    rows = mapped(program, lines)
    shown = [json.loads(row[0].body)["event"] if isinstance(row[0], Mapped) else row[0].reason for row in rows]
    assert shown == ["end", "seen" if count else "no_action", "no_action", "no_action"]


FAULTS = [
    ("of: {from: {type: string}, to: {type: string}}", "of: string", "S104"),
    ("of: {from: {type: string}, to: {type: string}}", "of: {}", "S103"),
    ("of: {from: {type: string}, to: {type: string}}", "of: {from: string, to: {type: string}}", "S104"),
    ("of: {from: {type: string}, to: {type: string}}", "of: {from: {type: strin}, to: {type: string}}", "S105"),
    (
        "of: {from: {type: string}, to: {type: string}}",
        "of: {From: {type: string}, from: {type: string}, to: {type: string}}",
        "S109",
    ),
    ("of: {from: {type: string}, to: {type: string}}", "of: {from: {type: list}, to: {type: string}}", "S105"),
    (
        "of: {from: {type: string}, to: {type: string}}",
        "of: {from: {type: string, secret: true}, to: {type: string}}",
        "X107",
    ),
    ("of: {from: {type: string}, to: {type: string}}", "of: {from: {type: string, of: a}, to: {type: string}}", "S101"),
    (
        "of: {from: {type: string}, to: {type: string}}",
        "of: {from: {choices: {a: {label: A, api: x}}}, to: {type: string}}",
        "S104",
    ),
    ("of: {type: string}, default: [ssn]", "of: {type: string}, default: {ssn: 1}", "S104"),
    ("of: {type: string}, default: [ssn]", "of: {type: string}, default: ssn", "S104"),
    ("of: {type: string}, default: [ssn]", "of: {type: integer}, default: [1]", "M221"),
    ("of: {type: string}, default: [ssn]", "of: {type: string, default: a}, default: [ssn]", "S101"),
    ("type: list, of: {type: string}, default: [ssn]", "type: list, value: {type: string}, default: [ssn]", "S103"),
    ("type: map, value: {type: string}, default: {}}", "type: map, of: {type: string}, default: {}}", "S103"),
    ("type: map, value: {type: string}, default: {}}", "type: map, default: {}}", "S103"),
    ("type: map, value: {type: string}, default: {}}", "type: string, value: {type: string}}", "S108"),
    ("type: map, value: {type: string}, default: {}}", "type: map, value: {type: string}, default: {a: [1]}}", "S104"),
    ("key: {label: Event}", "key: Event", "S104"),
    ("key: {label: Event}", "key: {type: string}", "S101"),
    ("event in settings.allowed_events", "event = settings.allowed_events", "Q104"),
    ("event in settings.allowed_events", "settings.allowed_events in settings.event_names", "Q104"),
    ("event in settings.allowed_events", "event in settings.rows", "Q104"),
    ("event in settings.allowed_events", "event in settings.allowed_event", "T108"),
    ("event in settings.allowed_events", "event in settings.allowed_events.first", "T109"),
    ("event in settings.allowed_events", "lowercase(settings.allowed_events) = event", "Q104"),
    ("event in settings.allowed_events", "contains(event, settings.allowed_events)", "Q104"),
    ("length(settings.allowed_events) = 0", "settings.allowed_events = null", "Q104"),
    ('in: "{{ settings.event_names }}"', 'in: "{{ settings.allowed_events }}"', "M221"),
    ('in: "{{ settings.event_names }}"', 'in: "{{ event.properties }}"', "M221"),
    ('in: "{{ settings.event_names }}"', 'in: "a {{ settings.event_names }}"', "T116"),
    ('in: "{{ settings.event_names }}"', 'in: "{{ settings.event_names | keys }}"', "M221"),
    ('in: "{{ settings.event_names }}"', 'in: "{{ settings.event_nam }}"', "T108"),
    ('in: "{{ settings.event_names }}"', "in: settings.event_names", "S104"),
    ('keys: "{{ settings.dropped }}"', 'keys: "{{ settings.rows }}"', "M221"),
    ('keys: "{{ settings.dropped }}"', 'keys: ["{{ settings.dropped }}"]', "M218"),
    ('keys: "{{ settings.dropped }}"', "keys: [a, a]", "M211"),
    ("keys: [ssn, age]}", "kys: [ssn, age]}", "M209"),
    ("is: $item.to", "is: $item.too", "P108"),
    ("is: $item.to", "is: $item.to.x", "P108"),
    ("is: $item.to", 'is: "$item[0]"', "P108"),
    ("item.from | upper", "item.form | upper", "P108"),
    ('where: item.from != "x"', 'where: item.form != "x"', "P108"),
    (
        '"{{ settings.rows }}", to: {is: $item.to, of: "{{ item.from | upper }}"}, where: item.from != "x"',
        '"{{ settings.extra }}", to: $item.a',
        "P108",
    ),
    ('"{{ item.from | upper }}"', '"a {{ settings.dropped }}"', "T116"),
    ('"{{ item.from | upper }}"', '"{{ settings.dropped | upper }}"', "T114"),
    ('post: "https://example.com"', 'post: "https://example.com/{{ settings.dropped }}"', "T116"),
]


@pytest.mark.parametrize(("right", "wrong", "code"), FAULTS, ids=[f"{code} {wrong}" for _, wrong, code in FAULTS])
def test_each_way_to_get_it_wrong(right: str, wrong: str, code: str) -> None:
    assert right in SHOP
    plan, report = compile_text(SHOP.replace(right, wrong, 1), "shop.yaml")
    codes = [item.code for item in report.diagnostics]
    assert code in codes, [item.message for item in report.diagnostics]
    assert plan is None or codes == ["M218"]


def blocks_of_page() -> list[str]:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    return re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)


def test_the_page_about_them_works_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/settings.md: its spec, its connection, its command line and its refusal."""
    spec, connections = blocks_of_page()
    (tmp_path / "shop.yaml").write_text(spec, encoding="utf-8")
    (tmp_path / "waypost.yaml").write_text(connections, encoding="utf-8")
    (tmp_path / "names.yaml").write_text("Order Completed: purchase\n", encoding="utf-8")
    event = {
        "type": "track",
        "event": "Order Completed",
        "messageId": "m",
        "context": {"traits": {"email": "e", "x": 1}},
    }
    lines = json.dumps(event) + "\n" + json.dumps({**event, "event": "Other"}) + "\n"
    (tmp_path / "events.ndjson").write_text(lines, encoding="utf-8")
    given = (
        "--set",
        "api_key=k",
        "--set",
        "allowed_events=[Order Completed, Signed Up]",
        "--set",
        "event_names=file:names.yaml",
    )
    status, out, err = waypost("run", "shop.yaml", *given, "--dry-run", "--json", "events.ndjson", cwd=tmp_path)
    rows = [json.loads(line) for line in out.splitlines()]
    assert (status, [row["outcome"] for row in rows[:2]]) == (0, ["sent", "filtered"]), err
    assert rows[0]["message"] == {"name": "purchase", "user": {"email": "e"}, "other": {"x": 1}, "renamed": []}
    wrong = ("--set", "properties=[{from: a, to: b}, {from: c}]")
    status, _, err = waypost("run", "shop.yaml", *given, *wrong, "events.ndjson", cwd=tmp_path)
    assert status == 2
    assert "waypost: shop: the setting `properties[1].to` is missing\n" in err
    plans, reports = compile_connections(connections, str(tmp_path / "waypost.yaml"))
    assert [item.message for report in reports for item in report.diagnostics] == []
    found = link(plans[0], {**plans[0].connection.settings, "api_key": "k"}).map(json.dumps(event).encode())
    assert json.loads(found[0].body)["renamed"] == [{"source": "total", "target": "value"}]
