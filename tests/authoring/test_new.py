"""`waypost new`: whatever the samples are, what is written lints clean and its test passes, and nothing in it is a guess."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conftest import ROOT
from running import waypost
from waypost.authoring.new.match import Each, Field, Todo, fields, leaves
from waypost.cli import new
from waypost.compiler.pipeline import compile_text

EVENT = {
    "type": "track",
    "messageId": "m-1",
    "userId": "u-42",
    "event": "Order Completed",
    "timestamp": "2026-11-24T10:00:00.000Z",
    "context": {"ip": "203.0.113.9", "page": {"url": "https://shop.example/thanks"}},
    "properties": {
        "order_id": "o-77",
        "total": 99.5,
        "paid": True,
        "zip": "10115",
        "email": " Ada@Example.com",
        "first name": "Ada",
        "tags": ["a", "b"],
        "products": [{"sku": "A1", "price": 10, "quantity": 2}, {"sku": "B2", "price": 79.5, "quantity": 1}],
    },
}
HASH = hashlib.sha256(b"ada@example.com").hexdigest()

MATCHES: list[tuple[str, Any, str]] = [
    ("ref", "o-77", "$.properties.order_id"),
    ("amount", 99.5, "$.properties.total"),
    ("external_id", "u-42", "$.userId"),
    ("id", "m-1", '{$first: [$.messageId, "{{ meta.id }}"]}'),
    ("url", "https://shop.example/thanks", "$.context.page.url"),
    ("given", "Ada", "'$.properties[\"first name\"]'"),
    ("tags", ["a", "b"], "$.properties.tags"),
    ("time", 1795514400, "{$from: $.timestamp, type: unix}"),
    ("time", 1795514400000, "{$from: $.timestamp, type: unix_ms}"),
    ("time", "2026-11-24T11:00:00+01:00", "{$from: $.timestamp, type: datetime}"),
    ("em", HASH, '"{{ event.properties.email | trim | lower | sha256 }}"'),
    ("key_name", "order_completed", '"{{ event.event | snakecase }}"'),
    ("postcode", 10115, "{$from: $.properties.zip, type: number}"),
    ("total_text", "99.5", "{$from: $.properties.total, type: string}"),
    # By name, when no value is equal.
    ("order_id", "o-1", "$.properties.order_id"),
    ("orderId", "o-1", "$.properties.order_id"),
    ("user_id", "someone", "$.userId"),
    ("created_at", 1600000000, "{$from: $.timestamp, type: unix}"),
    ("created_at", "2020-01-01T00:00:00Z", "{$from: $.timestamp, type: datetime}"),
    ("paid", False, "$.properties.paid"),
    ("event_id", "7b1f", '{$first: [$.messageId, "{{ meta.id }}"]}'),
    ("properties", {"x": 1}, "$.properties"),
]
OPEN: list[tuple[str, Any, str]] = [
    ("currency", "EUR", 'the sample has "EUR"'),
    ("is_test", True, "the sample has true"),
    ("zero", 0, "the sample has 0"),
    ("order_id", 12, '$.properties.order_id is "o-77"'),
    ("paid", "yes", "$.properties.paid is true"),
    ("api_key", "u-42", "a credential belongs into"),
    ("nested", {"a": "x"}, "an object"),
    ("rows", [{"a": "x"}], "a list of 1"),
]


@pytest.mark.parametrize(("key", "value", "source"), MATCHES, ids=lambda item: str(item)[:30])
def test_field_is_found(key: str, value: Any, source: str) -> None:
    (entry,) = fields({key: value}, list(leaves(EVENT)))
    assert isinstance(entry, Field)
    assert entry.value == source


@pytest.mark.parametrize(("key", "value", "said"), OPEN, ids=lambda item: str(item)[:30])
def test_field_that_is_not_there_is_said_to_be_open(key: str, value: Any, said: str) -> None:
    """Mutation that turns this red: `_telling` that takes any value."""
    (entry,) = fields({key: value}, list(leaves(EVENT)))
    assert isinstance(entry, Todo)
    assert said in entry.text


def test_rows_are_made_of_items() -> None:
    (entry,) = fields({"lines": [{"article": "A1", "unit_price": 10, "gift": "no"}]}, list(leaves(EVENT)))
    assert isinstance(entry, Each)
    assert entry.of == "$.properties.products"
    found = {inner.key: inner.value if isinstance(inner, Field) else None for inner in entry.to}
    assert found == {"article": "$item.sku", "unit_price": "$item.price", "gift": None}


def test_equal_value_comes_before_equal_name() -> None:
    (entry,) = fields({"total": "o-77"}, list(leaves(EVENT)))
    assert isinstance(entry, Field)
    assert entry.value == "$.properties.order_id"


REQUEST = {
    "api_key": "sk-1234567890",
    "strict": True,
    "sent_at": "2026-11-24T10:00:01Z",
    "meta": {"odd": 1},
    "events": [
        {
            "id": "m-1",
            "customer": {"external_id": "u-42", "email": HASH, "tier": "gold"},
            "name": "Order Completed",
            "time": 1795514400,
            "amount": {"value": 99.5, "currency": "EUR"},
            "lines": [{"article": "A1", "unit_price": 10, "qty": 2}],
        }
    ],
}


def files(folder: Path, event: Any = None, request: Any = None) -> list[str]:
    words = []
    for name, held in (("event", event), ("request", request)):
        if held is not None:
            (folder / f"{name}.json").write_text(json.dumps(held))
            words += [f"--{name}", f"{name}.json"]
    return words


def test_new_from_both_samples(tmp_path: Path) -> None:
    words = files(tmp_path, EVENT, REQUEST)
    status, out, err = waypost("new", "acme", *words, "--url", "https://api.acme.example/v2", cwd=tmp_path)
    assert status == 0, err
    assert len(out.splitlines()) == 3
    text = (tmp_path / "specs" / "acme" / "destination.yaml").read_text()
    assert 'body: {events: $messages, strict: true, sent_at: "{{ now | datetime }}"}' in text
    assert "# todo: the body of the sample also has meta" in text
    assert '    api_key: "{{ settings.api_key }}"' in text
    assert "sk-1234567890" not in text
    assert 'trigger: type = "track" and event = "Order Completed"' in text
    assert '# todo: tier: the sample has "gold"' in text
    for command in (("lint", "--strict"), ("test",), ("compile",)):
        assert waypost(*command, cwd=tmp_path)[0] == 0
    golden = json.loads((tmp_path / "specs" / "acme" / "golden.json").read_text())
    (row,) = golden["Order Completed is sent"]
    assert json.loads(row["request"]["body"]["messages"][0])["customer"] == {"external_id": "u-42", "email": HASH}
    before = (tmp_path / "specs" / "acme" / "golden.json").read_bytes()
    assert waypost("test", "--update", cwd=tmp_path)[0] == 0
    assert (tmp_path / "specs" / "acme" / "golden.json").read_bytes() == before


def test_new_without_samples(tmp_path: Path) -> None:
    assert waypost("new", "plain", cwd=tmp_path)[0] == 0
    assert waypost("lint", "--strict", cwd=tmp_path)[0] == 0
    assert waypost("test", cwd=tmp_path)[0] == 0


@pytest.mark.parametrize(
    ("request_body", "body", "message"),
    [
        ([{"who": "u-42"}], "body: $messages", "who: $.userId"),
        ({"who": "u-42"}, "body: $message\n", "who: $.userId"),
        ({"token": "x", "event": {"who": "u-42"}}, "body: {event: $message}", "who: $.userId"),
        (
            {"who": "u-42", "lines": [{"article": "A1", "unit_price": 10}]},
            "body: $message\n",
            "$each: $.properties.products",
        ),
        (
            {"$set": {"who": "u-42"}, "$each": "o-77"},
            "body: $message\n",
            "$$set:\n        who: $.userId\n      $$each: $.properties.order_id",
        ),
        ({"nothing": "here"}, "body: $message\n", 'id: "{{ meta.id }}"   # todo'),
    ],
)
def test_shapes_of_a_request(tmp_path: Path, request_body: Any, body: str, message: str) -> None:
    assert waypost("new", "acme", *files(tmp_path, EVENT, request_body), cwd=tmp_path)[0] == 0
    text = (tmp_path / "specs" / "acme" / "destination.yaml").read_text()
    assert body in text
    assert message in text
    assert waypost("test", cwd=tmp_path)[0] == 0


def test_project_with_its_own_schema_is_pointed_at_it(tmp_path: Path) -> None:
    schema = tmp_path / "docs" / "schema"
    schema.mkdir(parents=True)
    (schema / "destination.schema.json").write_text("{}")
    assert waypost("new", "plain", cwd=tmp_path)[0] == 0
    first = (tmp_path / "specs" / "plain" / "destination.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../../docs/schema/destination.schema.json"
    assert [path.name for path in (tmp_path / "specs").iterdir()] == ["plain"]


WRONG = [
    (("My Shop",), None, None, "did you mean `my_shop`?"),
    (("../x",), None, None, "is not a name"),
    (("acme", "--event", "nope.json"), None, None, "cannot read nope.json"),
    (("acme",), [1], None, "is array, not an object"),
    (("acme",), {"type": "trak"}, None, "did you mean `track`?"),
    (("acme",), {"userId": "u"}, None, "has no known `type`"),
    (("acme",), None, "text", "is no JSON object"),
    (("acme",), None, [], "is no JSON object"),
]


@pytest.mark.parametrize(("words", "event", "request_body", "said"), WRONG)
def test_error_is_one_clear_line(
    tmp_path: Path, words: tuple[str, ...], event: Any, request_body: Any, said: str
) -> None:
    status, _, err = waypost("new", *words, *files(tmp_path, event, request_body), cwd=tmp_path)
    assert status == 2
    assert said in err
    assert not (tmp_path / "specs").exists()


def test_error_not_json(tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text("{nope")
    status, _, err = waypost("new", "acme", "--event", "event.json", cwd=tmp_path)
    assert status == 2
    assert "is not JSON" in err


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "specs" / "acme").mkdir(parents=True)
    status, _, err = waypost("new", "acme", cwd=tmp_path)
    assert status == 2
    assert "is there already" in err
    assert list((tmp_path / "specs" / "acme").iterdir()) == []


def test_url_that_is_wrong_gives_the_finding_and_no_file(tmp_path: Path) -> None:
    status, _, err = waypost("new", "acme", "--url", "http://example.com", cwd=tmp_path)
    assert status == 1
    assert "D101" in err
    assert "nothing was written" in err
    assert not (tmp_path / "specs").exists()


def test_every_example_event_makes_a_spec(tmp_path: Path) -> None:
    lines = (ROOT / "examples" / "events.ndjson").read_text(encoding="utf-8").splitlines()
    made = 0
    for number, line in enumerate(lines[:60]):
        (tmp_path / "event.json").write_text(line, encoding="utf-8")
        try:
            known = json.loads(line).get("type") in ("identify", "track", "page", "screen", "group", "alias")
        except (ValueError, AttributeError):
            known = False
        if known:
            check(tmp_path, f"event_{number}", ["--event", str(tmp_path / "event.json")])
            made += 1
    assert made > 30


def check(folder: Path, name: str, words: list[str]) -> None:
    """In this process, for speed: the command asserts that its own test passes, and refuses a spec with findings."""
    done = CliRunner().invoke(new.command, [name, *words, "--output", str(folder / "specs")])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    assert done.exit_code == 0, done.output
    text = (folder / "specs" / name / "destination.yaml").read_text(encoding="utf-8")
    assert compile_text(text, "x.yaml")[1].diagnostics == []


keys = st.sampled_from(
    ["userId", "event", "name", "id", "total", "order_id", "a b", "$set", "é", 'q"', "time", "items", "key"]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        ["u1", "Order #1: done", "2026-11-24T10:00:00Z", "1700000000", "{{ x }}", "$.userId", "<absent>", "yes"]
    )
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)
events = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    st.sampled_from(["identify", "track", "page", "screen", "group", "alias"]),
    st.fixed_dictionaries(
        {},
        optional={
            "event": scalars,
            "userId": scalars,
            "messageId": scalars,
            "timestamp": scalars,
            "properties": documents,
            "traits": documents,
            "context": documents,
            "extra": documents,
        },
    ),
)
bodies = st.dictionaries(keys, documents, min_size=1, max_size=5)


@pytest.mark.slow
@given(events, bodies | bodies.map(lambda held: [held]) | bodies.map(lambda held: {"events": [held]}))
@example({"type": "track", "properties": {"total\x7f": True}}, {"total": "no"})
@settings(max_examples=60)
def test_any_samples_make_a_spec_that_passes(tmp_path_factory: pytest.TempPathFactory, event: Any, body: Any) -> None:
    """Mutation that turns this red: notes written without `_printable`."""
    folder = tmp_path_factory.mktemp("new")
    check(
        folder, "acme", [word if word.startswith("--") else str(folder / word) for word in files(folder, event, body)]
    )


def test_what_an_item_lacks_is_looked_for_beside_the_list() -> None:
    """An order's id and its email stand once in the event, and the API wants them in every item."""
    sample = [
        {
            "sku": "A1",
            "price": 10,
            "order_ref": "o-77",
            "email_sha": HASH,
            "url": "https://shop.example/thanks",
            "odd": 3,
        }
    ]
    (each,) = fields({"lines": sample}, list(leaves(EVENT)))
    assert isinstance(each, Each)
    made = {entry.key: entry.value if isinstance(entry, Field) else None for entry in each.to}
    assert made == {
        "sku": "$item.sku",
        "price": "$item.price",
        "order_ref": "$.properties.order_id",
        "email_sha": '"{{ event.properties.email | trim | lower | sha256 }}"',
        "url": "$.context.page.url",
        "odd": None,
    }


def test_new_from_a_sample_of_a_form(tmp_path: Path) -> None:
    """Text of a form is found as the number that it was; a key that comes again is a list, which one value may stand for."""
    event = {
        "type": "track",
        "messageId": "m1",
        "event": "SMS",
        "properties": {"to": "+4930123456", "total": 99.5, "pic": "https://x.example/a.png"},
    }
    (tmp_path / "event.json").write_text(json.dumps(event))
    (tmp_path / "request.txt").write_text("To=%2B4930123456&Total=99.5&From=%2B15005550006\n")
    status, _, err = waypost("new", "sms", "--event", "event.json", "--request", "request.txt", cwd=tmp_path)
    assert status == 0, err
    text = (tmp_path / "specs" / "sms" / "destination.yaml").read_text()
    assert "  form: $message\n" in text
    assert "      To: $.properties.to\n" in text
    assert "      Total: {$from: $.properties.total, type: string}\n" in text
    assert "todo: From" in text
    for command in (("lint", "--strict"), ("test",), ("compile",)):
        assert waypost(*command, cwd=tmp_path)[0] == 0
    golden = json.loads((tmp_path / "specs" / "sms" / "golden.json").read_text())
    assert json.dumps(golden).count("To=%2B4930123456&Total=99.5") == 1


def test_one_value_where_the_api_takes_a_list_may_be_a_list(tmp_path: Path) -> None:
    (entry,) = fields({"tags": ["o-77"]}, list(leaves(EVENT)))
    assert isinstance(entry, Field)
    assert entry.value == "{$from: $.properties.order_id, type: array, single: wrap}"


@pytest.mark.parametrize("text", ["a=1 b", "=1", "a", "{}", '{"a=1": "b"}', "[a=1]", ""])
def test_what_is_no_form_is_read_as_json(text: str, tmp_path: Path) -> None:
    (tmp_path / "request.txt").write_text(text)
    status, out, err = waypost("new", "sms", "--request", "request.txt", cwd=tmp_path)
    assert (status, out) == (2, "") or (status == 0 and text.startswith('{"a'))
    assert "Traceback" not in err
