"""`waypost import`: a mapping means here what it means there, or the difference is listed; whatever is read, it lints."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import corpus
from conftest import ROOT, table
from waypost.authoring.importing import metadata
from waypost.authoring.importing.imported import Imported, imported
from waypost.authoring.importing.triggers import trigger
from waypost.authoring.importing.yaml_lines import APPROXIMATION, TODO
from waypost.cli import importing
from waypost.compiler.pipeline import compile_text
from waypost.events.results import Filtered, Mapped, Rejected
from waypost.lang import values
from waypost.program.program import link

FENCE = re.compile(r"^```(\w+) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CASES = table("importing")
MISSING = object()


def described(fields: dict[str, Any], mapping: Any = MISSING, **besides: Any) -> dict[str, Any]:
    """Metadata of one destination with one action and one preset."""
    action = {"title": "Send Event", "fields": fields, "defaultSubscription": 'type = "track"'}
    preset = {
        "name": "Send Event",
        "type": "automatic",
        "partnerAction": "sendEvent",
        "subscribe": 'type = "track"',
        "mapping": {} if mapping is MISSING else mapping,
    }
    return {"slug": "actions-shop", "name": "Shop", "actions": {"sendEvent": action}, "presets": [preset], **besides}


def read(held: Any) -> Imported:
    # As a file is read: numbers keep their tokens.
    (one,) = metadata.destinations(values.decode(json.dumps(held).encode()))
    return imported(one, "shop/destination.yaml")


def clean(made: Imported) -> None:
    assert made.settled.plan is not None, made.settled.report.diagnostics
    plan, report = compile_text(made.text, "x/destination.yaml")
    assert plan is not None
    assert report.diagnostics == [], [(item.code, item.message) for item in report.diagnostics]


def open_notes(made: Imported) -> list[str]:
    return [note.text for _, _, note in made.open]


def becomes(made: Imported, event: dict[str, Any]) -> Any:
    """The field `f` of what the event becomes, `<absent>`, or the reason why it is rejected."""
    assert made.settled.plan is not None
    line = json.dumps({"type": "track", **event}).encode()
    (found,) = link(made.settled.plan, made.draft.sample_settings).map(line, now=1.8e9)
    if isinstance(found, Rejected):
        return found.reason
    assert isinstance(found, Mapped)
    return json.loads(found.body).get("f", "<absent>")


@pytest.mark.parametrize("case", CASES["fields"], ids=lambda case: case["name"])
def test_a_field_means_what_it_meant(case: dict[str, Any]) -> None:
    mapping = {"f": case["mapping"]} if "mapping" in case else MISSING
    made = read(described({"f": case["field"]}, mapping))
    clean(made)
    if "spec" in case:
        assert f"      f: {case['spec']}\n" in made.text
    for event, wanted in case.get("events", []):
        assert becomes(made, event) == wanted, (event, made.text)
    for words, text in zip(case.get("notes", []), open_notes(made), strict=True):
        assert words in text


@pytest.mark.parametrize("row", CASES["triggers"], ids=lambda row: row[0])
def test_a_trigger_is_said_in_documented_fql(row: list[str]) -> None:
    written, wanted, *said = row
    found = trigger(written, "send_event")
    assert found.open is (wanted == "todo")
    assert found.text == ('event = "todo: send_event"' if wanted == "todo" else wanted)
    if not said:
        assert found.notes == ()
    for words in said:
        assert any(words in note.text for note in found.notes), found.notes


# The parts of the file.


def test_settings_are_renamed_and_passwords_are_secret() -> None:
    fields = {
        "apiKey": {"label": "API Key", "type": "password", "required": True},
        "api_token": {"type": "string", "required": True},
        "Region": {
            "type": "string",
            "choices": [{"value": "us", "label": "USA"}, {"value": "eu", "label": "Europe"}],
            "default": "eu",
        },
        "host": {"type": "string", "format": "uri"},
        "limit": {"type": "number", "default": 5},
        "dry-run": {"type": "boolean", "default": False},
        "1st": {"type": "string"},
    }
    made = read(described({}, settings=fields))
    clean(made)
    plan = made.settled.plan
    assert plan is not None
    assert {name: (one.type, one.secret, one.optional, one.default) for name, one in plan.settings.items()} == {
        "api_key": ("string", True, False, None),
        "api_token": ("string", True, False, None),
        "region": ("choice", False, False, "eu"),
        "host": ("url", False, True, None),
        "limit": ("number", False, False, 5),
        "dry_run": ("boolean", False, False, False),
        "n1st": ("string", False, True, None),
    }
    assert ("setting", "apiKey", "api_key") in made.draft.names
    assert ("action", "Send Event / sendEvent", "send_event") in made.draft.names


def test_a_basic_scheme_becomes_auth() -> None:
    auth = {
        "scheme": "basic",
        "fields": {
            "username": {"type": "string", "required": True},
            "password": {"type": "password", "required": True},
        },
    }
    made = read(described({}, authentication=auth))
    clean(made)
    assert 'auth: {basic: {username: "{{ settings.username }}", password: "{{ settings.password }}"}}\n' in made.text


def test_batch_fields_move_into_the_request() -> None:
    fields = {name: {"type": "boolean"} for name in ("enable_batching", "batch_size", "batch_bytes", "batch_keys")}
    made = read(
        described(
            {**fields, "f": {"type": "string"}},
            {"enable_batching": True, "batch_size": 75, "batch_bytes": 4000000, "f": "x"},
        )
    )
    clean(made)
    plan = made.settled.plan
    assert plan is not None
    batch = plan.requests[plan.actions["send_event"].request].batch
    assert batch is not None
    assert (batch.max_messages, batch.max_bytes) == (75, 4000000)
    assert becomes(made, {}) == "x"
    assert "enable_batching" not in made.text


def test_without_batches_one_message_is_one_request() -> None:
    made = read(
        described(
            {"enable_batching": {"type": "boolean"}, "batch_size": {"type": "number"}},
            {"enable_batching": False, "batch_size": 5},
        )
    )
    assert "batch" not in made.text


def test_an_event_slug_is_never_guessed() -> None:
    held = described({"f": {"type": "string"}}, {"f": {"@path": "$.userId"}})
    held["presets"][0] |= {"type": "specificEvent", "eventSlug": "warehouse_entity_added_track", "subscribe": None}
    made = read(held)
    clean(made)
    assert (
        "    trigger: 'event = \"todo: warehouse_entity_added_track\"'   # todo: the events that set it off"
        in made.text
    )
    assert any("warehouse_entity_added_track" in text for text in open_notes(made))
    line = json.dumps({"type": "track", "event": "Warehouse Entity Added", "userId": "u"}).encode()
    assert made.settled.plan is not None
    assert isinstance(link(made.settled.plan, {}).map(line, now=0.0)[0], Filtered)


def test_an_action_without_a_preset_waits_switched_off() -> None:
    held = described({}, {})
    held["actions"]["other"] = {
        "title": "Other",
        "defaultSubscription": 'type = "page"',
        "fields": {"n": {"type": "string", "default": {"@path": "$.name"}}},
    }
    made = read(held)
    clean(made)
    assert made.settled.plan is not None
    assert {name: one.enabled for name, one in made.settled.plan.actions.items()} == {
        "send_event": True,
        "other": False,
    }


def test_without_presets_the_actions_defaults_are_the_mapping() -> None:
    held = described({"f": {"type": "string", "default": {"@path": "$.event"}}})
    held["presets"] = []
    made = read(held)
    clean(made)
    assert becomes(made, {"event": "A"}) == "A"


CONDITIONS: list[tuple[dict[str, Any], Any, dict[str, Any], str]] = [
    (
        {"conditions": [{"fieldKey": "other", "operator": "is", "value": "sms"}]},
        {"@path": "$.properties.c"},
        {"properties": {"c": "sms"}},
        "require",
    ),
    (
        {"conditions": [{"fieldKey": "other", "operator": "is", "value": "sms"}]},
        {"@path": "$.properties.c"},
        {"properties": {"c": "mail"}},
        "<absent>",
    ),
    (
        {"conditions": [{"fieldKey": "other", "operator": "is_not", "value": "sms"}]},
        {"@path": "$.properties.c"},
        {"properties": {"c": "mail"}},
        "require",
    ),
    ({"conditions": [{"fieldKey": "other", "operator": "is"}]}, {"@path": "$.properties.c"}, {}, "require"),
    (
        {"conditions": [{"fieldKey": "other", "operator": "is"}]},
        {"@path": "$.properties.c"},
        {"properties": {"c": ""}},
        "require",
    ),
    (
        {"conditions": [{"fieldKey": "other", "operator": "is"}]},
        {"@path": "$.properties.c"},
        {"properties": {"c": "x"}},
        "<absent>",
    ),
    ({"conditions": [{"fieldKey": "other", "operator": "is", "value": "x"}]}, "x", {}, "required"),
    ({"conditions": [{"fieldKey": "other", "operator": "is", "value": "x"}]}, "y", {}, "<absent>"),
    ({"conditions": [{"fieldKey": "other", "operator": "is", "value": ["x", "y"]}]}, "x", {}, "<absent>"),
    (
        {"match": "any", "conditions": [{"fieldKey": "other", "operator": "is", "value": v} for v in ("a", "b")]},
        {"@if": {"exists": {"@path": "$.event"}, "then": {"@path": "$.event"}, "else": {"@path": "$.name"}}},
        {"name": "b"},
        "require",
    ),
    (
        {
            "conditions": [
                {"fieldKey": "other", "operator": "is", "value": "a"},
                {"fieldKey": "third", "operator": "is"},
            ]
        },
        "a",
        {},
        "required",
    ),
]


@pytest.mark.parametrize(("required", "other", "event", "wanted"), CONDITIONS)
def test_a_condition_on_another_field(required: Any, other: Any, event: dict[str, Any], wanted: str) -> None:
    fields = {"f": {"type": "string", "required": required}, "other": {"type": "string"}, "third": {"type": "string"}}
    made = read(described(fields, {"f": {"@path": "$.traits.f"}, "other": other}))
    clean(made)
    assert becomes(made, event) == wanted, made.text
    assert becomes(made, {**event, "traits": {"f": "x"}}) == "x"


def test_a_condition_that_cannot_be_said_is_listed() -> None:
    required = {"conditions": [{"type": "syncMode", "operator": "is", "value": "upsert"}]}
    made = read(described({"f": {"type": "string", "required": required}}, {"f": {"@path": "$.userId"}}))
    clean(made)
    assert any("cannot be said here" in text for text in open_notes(made))


def test_each_note_has_the_line_of_its_field() -> None:
    fields = {"a": {"type": "string"}, "when": {"type": "datetime"}, "need": {"type": "string", "required": True}}
    made = read(described(fields, {"a": {"@path": "$.userId"}, "when": {"@path": "$.timestamp"}}))
    rows = made.text.splitlines()
    for line, _, note in made.open:
        assert rows[line - 1].strip().startswith("when:" if note.kind == APPROXIMATION else "need:"), (line, note)
    assert {note.kind for _, _, note in made.open} == {APPROXIMATION, TODO}
    assert "# todo: name its source" in made.text


def test_what_cannot_be_compiled_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from waypost.authoring.importing import fields

    monkeypatch.setitem(fields.TYPES, "odd", "no_such_type")
    made = read(
        described(
            {"f": {"type": "odd"}, "g": {"type": "string"}}, {"f": {"@path": "$.userId"}, "g": {"@path": "$.event"}}
        )
    )
    clean(made)
    assert any("`f` cannot be compiled" in text for text in open_notes(made))
    assert "$.event" in made.text


def test_a_finding_that_leaves_room_is_excused_with_its_reason() -> None:
    made = read(described({"f": {"type": "string"}}, {"f": {"@path": "$.context.page.urls"}}))
    clean(made)
    assert "# waypost: allow P105 (as the imported metadata has it)" in made.text


# The three published forms.

AS_OPTIONS = {
    "name": "Shop",
    "options": {
        "apiKey": {"label": "Key", "type": "string", "encrypt": True, "validators": [["required", "x"]], "default": ""},
        "oauth": {"type": "oauth"},
    },
    "authenticationScheme": "custom",
    "actions": [
        {
            "slug": "sendEvent",
            "name": "Send Event",
            "defaultTrigger": 'type = "track"',
            "fields": [
                {"fieldKey": "f", "type": "string", "required": True, "defaultValue": {"@path": "$.event"}},
                {
                    "fieldKey": "o",
                    "type": "object",
                    "defaultValue": {"@path": "$.properties"},
                    "fieldSchema": {
                        "type": "object",
                        "properties": {"o": {"type": "object", "properties": {"n": {"type": "number"}}}},
                    },
                },
            ],
        }
    ],
    "presets": [],
}


def test_the_form_with_options_and_lists() -> None:
    made = read(AS_OPTIONS)
    clean(made)
    assert made.settled.plan is not None
    assert list(made.settled.plan.settings) == ["api_key"]
    assert made.settled.plan.settings["api_key"].secret
    line = b'{"type":"track","event":"A","properties":{"n":"1","m":2}}'
    (found,) = link(made.settled.plan, {"api_key": "k"}).map(line, now=0.0)
    assert isinstance(found, Mapped)
    assert json.loads(found.body) == {"f": "A", "o": {"n": 1}}


def test_the_form_with_nulls_and_fields_under_authentication() -> None:
    field = {
        "type": "string",
        "required": False,
        "multiple": False,
        "choices": None,
        "default": None,
        "properties": None,
        "format": None,
    }
    auth = {
        "scheme": "custom",
        "fields": {"apiKey": {"type": "password", "required": True, "choices": None, "default": None}},
    }
    made = read(described({"f": field}, {"f": {"@path": "$.userId"}}, authentication=auth, audienceConfig=None))
    clean(made)
    assert becomes(made, {"userId": "u"}) == "u"


# The command.


def run(tmp_path: Path, held: Any, *words: str) -> Result:
    file = tmp_path / "metadata.json"
    file.write_text(held if isinstance(held, str) else json.dumps(held), encoding="utf-8")
    return CliRunner().invoke(importing.command, ["segment-action", str(file), "-o", str(tmp_path / "specs"), *words])


def test_the_command_writes_a_spec_its_tests_and_what_is_open(tmp_path: Path) -> None:
    fields = {"id": {"type": "string"}, "need": {"type": "string", "required": True}}
    done = run(tmp_path, described(fields, {"id": {"@path": "$.userId"}}))
    folder = tmp_path / "specs" / "shop"
    spec = (folder / "destination.yaml").read_text()
    line = next(at for at, row in enumerate(spec.splitlines(), 1) if "todo: name its source" in row)
    assert done.exit_code == 1
    assert f"{folder.as_posix()}/destination.yaml:{line}: todo: send_event: `need` is required" in done.output
    assert sorted(path.name for path in folder.iterdir()) == [
        "destination.yaml",
        "golden.json",
        "import.md",
        "tests.yaml",
    ]
    assert "| action | Send Event / sendEvent | `send_event` |" in (folder / "import.md").read_text()
    assert "todo send_event has a source for need" in (folder / "tests.yaml").read_text()


def test_what_is_whole_ends_with_status_0_and_its_tests_pass(tmp_path: Path) -> None:
    from waypost.authoring.test.suite import Wanted, run_spec
    from waypost.compiler.pipeline import compile_file

    done = run(tmp_path, described({"id": {"type": "string", "required": True}}, {"id": {"@path": "$.userId"}}))
    assert done.exit_code == 0, done.output
    spec = tmp_path / "specs" / "shop" / "destination.yaml"
    plan, _ = compile_file(spec)
    assert plan is not None
    found = run_spec(spec, plan, Wanted())
    assert (found.passed, found.failed) == (1, 0), found


def test_a_field_without_a_source_is_a_test_that_fails(tmp_path: Path) -> None:
    from waypost.authoring.test.suite import Wanted, run_spec
    from waypost.compiler.pipeline import compile_file

    run(tmp_path, described({"need": {"type": "string", "required": True}}))
    spec = tmp_path / "specs" / "shop" / "destination.yaml"

    def failed() -> int:
        plan, _ = compile_file(spec)
        assert plan is not None
        return run_spec(spec, plan, Wanted(update=True)).failed

    assert failed() == 1
    spec.write_text(spec.read_text().replace("$.context.todo.need", "$.userId"))
    assert failed() == 0


SEVERAL = {"destinations": [described({}, slug="actions-shop"), described({}, slug="actions-till", name="Till")]}
REFUSED: list[tuple[Any, tuple[str, ...], str]] = [
    ("{", (), "is not JSON"),
    ("[1, 2]", (), "holds no destination"),
    ("5", (), "is number"),
    ("{}", (), "holds no destination"),
    ('{"actions": {}, "presets": []}', (), "no action that can be imported"),
    (SEVERAL, (), "holds 2 destinations: choose one with --destination (shop, till)"),
    (SEVERAL, ("--destination", "shp"), "no destination `shp`; did you mean `shop`?"),
    ("[" * 3000 + "]" * 3000, (), "is not JSON"),
    (
        json.dumps({"actions": {}, "presets": [{"mapping": {}}]}).replace(
            "{}}]", '{"a": ' * 300 + "1" + "}" * 300 + "}]"
        ),
        (),
        "nested",
    ),
]


@pytest.mark.parametrize(("held", "words", "wanted"), REFUSED, ids=lambda held: str(held)[:30])
def test_what_cannot_be_imported_is_one_line(tmp_path: Path, held: Any, words: tuple[str, ...], wanted: str) -> None:
    done = run(tmp_path, held, *words)
    assert (done.exit_code, wanted in done.output) == (2, True), done.output
    assert not (tmp_path / "specs").exists()


def test_one_of_several_by_its_name(tmp_path: Path) -> None:
    several = {"destinations": [*SEVERAL["destinations"], described({}, slug="actions-kiosk", id="stall")]}
    assert run(tmp_path, several, "--destination", "stall").exit_code == 0
    assert (tmp_path / "specs" / "kiosk" / "destination.yaml").is_file()
    assert run(tmp_path, several, "--destination", "Till").exit_code == 0
    assert (tmp_path / "specs" / "till" / "destination.yaml").is_file()


def test_a_field_whose_key_no_spec_can_hold_is_told(tmp_path: Path) -> None:
    """Mutation that turns this red: `_take` that deletes without a note."""
    source = {"@path": "$.userId"}
    field = {"label": "X", "type": "string"}
    done = run(tmp_path, described({"{{x}}": field, "kept": field}, {"{{x}}": source, "kept": source}))
    assert "kept" in (tmp_path / "specs" / "shop" / "destination.yaml").read_text(encoding="utf-8")
    assert (done.exit_code, "the field `{{x}}` is left out" in done.output) == (1, True), done.output


def test_a_folder_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "specs" / "shop").mkdir(parents=True)
    assert "is there already" in run(tmp_path, described({})).output


def test_the_worked_example_of_the_migration_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8").split("\n## Import it\n")[1].split("\n## ")[0]
    blocks = {name or language: body for language, name, body in FENCE.findall(text)}
    monkeypatch.chdir(tmp_path)
    Path("metadata.json").write_text(blocks["metadata.json"], encoding="utf-8")
    done = CliRunner().invoke(importing.command, ["segment-action", "metadata.json"])
    assert done.exit_code == 1
    assert "import segment-action metadata.json   # exit status 1" in blocks["console"]
    assert Path("specs/shop/destination.yaml").read_text(encoding="utf-8") == blocks["specs/shop/destination.yaml"]
    told = [row for row in done.stdout.splitlines() if not row.startswith("everywhere: ")]
    assert told == blocks["text"].splitlines()


# Whatever metadata holds.

KEYS = st.sampled_from(
    [
        "f",
        "g",
        "a b",
        "$x",
        "x-y",
        "Ümläut",
        "<<",
        "null",
        "1",
        "",
        "a.b",
        "{{x}}",
        "#",
        "true",
        "enable_batching",
        "batch_size",
    ]
)
PATHS = st.sampled_from(
    [
        "$.userId",
        "$",
        "$.",
        "",
        "properties.x",
        "$.a..b",
        "$.properties['k']",
        "$.properties[0].y",
        "$.context.page.urls",
        "$.nope.x",
        "$.{{",
        '$."',
        "a,b",
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-5, 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
)


def directives(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(
        [*("@path", "@template", "@liquid", "@literal", "@if", "@case", "@replace", "@json", "@flatten"), "@nope"]
    )
    return st.one_of(
        st.builds(lambda path: {"@path": path}, PATHS | inner),
        st.builds(lambda path: {"@template": "a {{ " + path + " }} b"}, PATHS),
        st.builds(lambda a, b, c: {"@if": {"exists": a, "then": b, "else": c}}, inner, inner, inner),
        st.builds(lambda a, b: {"@if": {"blank": a, "then": b}}, inner, inner),
        st.builds(
            lambda path, shape: {"@arrayPath": [path, shape]},
            PATHS | inner,
            st.dictionaries(KEYS, inner, max_size=2) | inner,
        ),
        st.builds(
            lambda of, way: {"@case": {"operator": way, "value": of}}, inner, st.sampled_from(["lower", "up", None])
        ),
        st.builds(
            lambda of, a: {"@replace": {"pattern": a, "replacement": "x", "value": of}},
            inner,
            st.text(max_size=3) | st.none(),
        ),
        st.builds(
            lambda of, mode: {"@json": {"mode": mode, "value": of}}, inner, st.sampled_from(["encode", "decode", "x"])
        ),
        st.builds(lambda a, b: {"@merge": {"objects": [a, b], "direction": "left"}}, inner, inner),
        st.builds(lambda a, b: {"@transform": {"apply": a, "mapping": b}}, inner, inner),
        st.builds(lambda of: {"@flatten": {"separator": "_", "value": of}}, inner),
        st.builds(lambda of: {"@excludeWhenNull": of}, inner),
        st.builds(lambda name, of: {name: of}, names, inner),
    )


MAPPINGS = st.recursive(
    SCALARS | st.builds(lambda path: {"@path": path}, PATHS),
    lambda inner: directives(inner) | st.dictionaries(KEYS, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.recursive(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(
                ["string", "text", "number", "integer", "boolean", "datetime", "object", "password", "nope", None]
            )
        },
        optional={
            "required": st.booleans()
            | st.fixed_dictionaries(
                {
                    "conditions": st.lists(
                        st.fixed_dictionaries(
                            {"fieldKey": KEYS, "operator": st.sampled_from(["is", "is_not", "has"]), "value": SCALARS}
                        ),
                        max_size=2,
                    )
                }
            ),
            "multiple": st.booleans(),
            "allowNull": st.booleans(),
            "choices": st.lists(SCALARS | st.builds(lambda v: {"value": v, "label": "L"}, SCALARS), max_size=3),
            "format": st.sampled_from(["email", "uri", "date-time", "ipv4", "nope"]),
            "minimum": SCALARS,
            "maximum": SCALARS,
            "default": MAPPINGS,
            "label": SCALARS,
        },
    ),
    lambda inner: st.builds(
        lambda one, more, is_open: {**one, "type": "object", "properties": more, "additionalProperties": is_open},
        inner,
        st.dictionaries(KEYS, inner, max_size=3),
        st.booleans(),
    ),
    max_leaves=4,
)
TRIGGERS = st.sampled_from(
    ["", 'type = "track"', "type == 'page'", "a b c", 'type = "track" and', 'event = "a\nb"', "((((", "x = 1"]
) | st.text(max_size=12)
SETTINGS = st.dictionaries(
    KEYS | st.text(max_size=5),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["string", "password", "number", "boolean", "x"])},
        optional={
            "default": SCALARS,
            "label": SCALARS,
            "description": st.text(max_size=20),
            "required": st.booleans(),
            "choices": st.lists(st.builds(lambda v: {"value": v, "label": "L"}, SCALARS), max_size=2),
            "format": st.just("uri"),
        },
    ),
    max_size=3,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    fields=st.dictionaries(KEYS, FIELDS, max_size=3),
    mapping=st.dictionaries(KEYS, MAPPINGS, max_size=3) | SCALARS,
    written=TRIGGERS,
    given_settings=SETTINGS,
    name=st.text(max_size=8),
)
def test_whatever_metadata_holds_lints_and_its_tests_run(
    fields: Any, mapping: Any, written: str, given_settings: Any, name: str
) -> None:
    held = described(fields, mapping, settings=given_settings, name=name or "x", description=name)
    held["presets"][0]["subscribe"] = written
    held["presets"].append({"name": name, "partnerAction": "gone", "mapping": mapping, "subscribe": written})
    made = read(held)
    clean(made)
    assert made.settled.plan is not None
    assert made.tests
    program = link(made.settled.plan, made.draft.sample_settings)
    for event in (
        {"type": "track"},
        {"type": "track", "userId": "u", "properties": {"x": [1], "k": None}, "context": {}},
    ):
        program.map(json.dumps(event).encode(), now=0.0)


# The public corpus, where it is.


@pytest.mark.slow
def test_the_corpus_within_its_bounds() -> None:
    folder = corpus.corpus()
    if folder is None:
        pytest.skip("the corpus is not here")
    figures = corpus.measure(folder)
    assert figures.lint >= 0.97 * figures.presets, figures.faults
    assert len(figures.differ) <= 0.002 * figures.pairs, figures.told()
    assert figures.silent == []
