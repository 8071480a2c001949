"""`redact` of a connection: the named members are gone before any action sees the event, and from what is kept of it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import table
from running import waypost
from waypost import plan as p
from waypost.events.results import Mapped, Rejected
from waypost.http.receiver import Receiver
from waypost.lang import jsonpath
from waypost.program.redact import cutter
from ways import all_ways, both, compiled

ROWS = table("redact")
SPEC = """\
spec: 1
name: shop
request: {post: "https://dest.example/in", body: {events: $messages}, batch: {max_messages: 10}}
actions:
  send:
    trigger: type = "track" and properties.vip != true
    mapping:
      id: "{{ meta.id }}"
      whole: $
      mail: $.traits.email
      either: {$first: [$.traits.email, $.properties.email]}
      total: {$from: $.properties.total, type: number, required: true}
      items: {$each: $.properties.products, to: {$merge: $item}}
"""
PATHS = ["$.traits.email", "$.properties.vip", "$.properties.products[*].price", "$.context.ip"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['redact']} {row['event']}")
def test_what_is_left_of_an_event(row: dict[str, Any]) -> None:
    cut = cutter(tuple(jsonpath.parse(path).text for path in row["redact"]))
    left = cut(row["event"].encode())
    assert left == (None if row["left"] is None else row["left"].encode())
    if left is not None:
        assert cut(left) == left


NAMES = st.sampled_from(["a", "b", "é", 'c"d', "e f"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
STEPS = st.lists(NAMES | st.just("*"), min_size=0, max_size=3)


@settings(deadline=None, max_examples=300)
@given(
    st.dictionaries(NAMES, VALUES, max_size=4),
    st.lists(st.builds(lambda steps, last: [*steps, last], STEPS, NAMES), min_size=1, max_size=3),
    st.booleans(),
)
def test_it_is_what_deleting_members_of_the_value_is(event: Any, paths: list[list[str]], ascii_only: bool) -> None:
    texts = ["$" + "".join("[*]" if step == "*" else f"[{json.dumps(step)}]" for step in steps) for steps in paths]
    left = cutter(tuple(texts))(json.dumps(event, ensure_ascii=ascii_only).encode())
    wanted = copy.deepcopy(event)
    for steps in paths:
        delete(wanted, steps)
    assert left is not None
    assert json.loads(left) == wanted


def delete(value: Any, steps: list[str]) -> None:
    head, *rest = steps
    held = (
        value if isinstance(value, dict) else dict(enumerate(value)) if isinstance(value, list) and head == "*" else {}
    )
    if not rest:
        held.pop(head, None)
        return
    for inner in [*held.values()] if head == "*" else [held.get(head)]:
        delete(inner, rest)


def redacting(paths: list[str], spec: str = SPEC) -> p.Plan:
    return msgspec.structs.replace(compiled(spec), connection=p.Connection(name="eu", redact=paths))


def track(**held: Any) -> dict[str, Any]:
    return {"type": "track", "event": "E", "properties": {"total": 1}, **held}


EVENTS: list[Any] = [
    track(messageId="m1", traits={"email": "secret@x.y", "plan": "pro"}),
    track(messageId="m2", traits={"email": "secret@x.y"}, properties={"total": 2, "vip": True, "email": "other@x.y"}),
    track(
        properties={"total": 3, "products": [{"price": "secret", "sku": "s"}, {"sku": "t"}]}, context={"ip": "secret"}
    ),
    track(messageId="m3", properties={"total": "secret-no-number"}, traits={"email": {"secret": 1}}),
    {"type": "page", "traits": {"email": "secret"}},
    {"batch": [{"traits": {"email": "secret"}}]},
    "no object",
]


def lines() -> list[bytes]:
    held = [json.dumps(event).encode() for event in EVENTS]
    return [
        *held,
        b'{"type":"track","traits":{"email":"secret"',
        b'{"type":"track","traits":{"\\u0065mail":"secret"},"properties":{"total":1}}',
    ]


def test_every_way_sees_the_event_without_them() -> None:
    """Mutations that turn this red: no cut in `map`, `map_text`, `map_data` or `map_event`."""
    found = all_ways(both(redacting(PATHS), {}), lines())
    plain = all_ways(both(redacting([]), {}), [cutter(tuple(PATHS))(line) or line for line in lines()])
    assert found == plain
    bodies = [item.body for results in found for item in results if isinstance(item, Mapped)]
    assert len(bodies) == 4
    assert not any(b"secret@" in body or b'"secret"' in body or b"price" in body for body in bodies)
    assert json.loads(bodies[1])["either"] == "other@x.y"


def test_what_it_redacts_not_is_mapped_as_ever() -> None:
    nothing = all_ways(both(redacting(["$.context.no_such"]), {}), lines())
    assert nothing == all_ways(both(redacting([]), {}), lines())


def test_an_event_that_needs_what_is_redacted_is_dead_and_says_so() -> None:
    (results,) = all_ways(both(redacting(["$.properties.total"]), {}), [json.dumps(EVENTS[0]).encode()])
    (found,) = results
    assert isinstance(found, Rejected)
    assert (found.reason, found.field) == ("required", "total")


# A run: what is sent, what is kept, and what a replay makes of it.


def write(folder: Path, redact: str, more: str = "") -> None:
    (folder / "shop.yaml").write_text(SPEC.replace("batch: {", "responses: {4xx: reject}, batch: {"))
    (folder / "waypost.yaml").write_text(
        f"connections:\n  eu: {{destination: shop.yaml, sources: [all]{redact}{more}}}\n"
        "sources:\n  all: {files: events.ndjson}\n"
    )


def run(folder: Path, *words: str, script: str = "200") -> tuple[int, list[dict[str, Any]], str]:
    """A command against a destination that answers so: its status, the messages that came, and what it said."""
    with Receiver(port=0, script=script) as receiver:
        status, out, err = waypost(*words, "--state", "state", "--endpoint-override", receiver.url, cwd=folder)
    return (
        status,
        [message for request in receiver.requests for message in json.loads(request.body)["events"]],
        out + err,
    )


def everything(folder: Path) -> bytes:
    """All that the state holds, in its file and beside it."""
    return b"".join(path.read_bytes() for path in sorted((folder / "state").rglob("*")) if path.is_file())


def test_what_a_run_keeps_has_nothing_of_it(tmp_path: Path) -> None:
    """Refused by the destination, by the mapping, unreadable, too long, not UTF-8: no dead letter holds what is redacted.

    Mutations that turn this red: `_take_lines` that offers the lines as they came; a malformed or too long line that is kept.
    """
    lines = [
        *lines_of_a_file(),
        b'{"type":"track","traits":{"email":"secret"',
        b'{"type":"track","traits":{"email":"secret"},"x":"\xff"}',
        b'{"traits":{"email":"secret"},"x":"' + b"y" * (1 << 20) + b'"}',
    ]
    (tmp_path / "events.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    write(
        tmp_path,
        ', redact: [$.traits.email, "$.properties.products[*].price", $.properties.bad]',
        ", order_by: $.traits.email",
    )
    status, sent, _ = run(tmp_path, "run", "waypost.yaml", script="400")
    assert status == 3
    assert len(sent) == 2
    assert b"secret" not in json.dumps(sent).encode()
    assert b"secret" not in everything(tmp_path)
    letters = [
        json.loads(line) for line in waypost("dead", "list", "--json", "--state", "state", cwd=tmp_path)[1].splitlines()
    ]
    assert sorted(letter["reason"] for letter in letters) == [
        "invalid_utf8", "line_too_long", "malformed", "refused", "refused", "required",
    ]  # fmt: skip


def lines_of_a_file() -> list[bytes]:
    return [
        json.dumps(event).encode()
        for event in (
            track(messageId="m1", traits={"email": "secret@x.y", "plan": "pro"}),
            track(messageId="m2", traits={"email": "secret"}, properties={"bad": "secret"}),
            track(
                traits={"email": "secret@x.y"}, properties={"total": 1, "products": [{"price": "secret", "sku": "s"}]}
            ),
        )
    ]


def test_a_replay_sends_what_was_kept_with_the_ids_of_the_run(tmp_path: Path) -> None:
    """The list of today is heard, too; what an earlier one has cut does not come back. An event without a messageId is known by what it holds:
    under another list it is another."""
    (tmp_path / "events.ndjson").write_bytes(b"\n".join(lines_of_a_file()) + b"\n")
    write(tmp_path, ", redact: [$.traits.email]")
    _, refused, _ = run(tmp_path, "run", "waypost.yaml", script="400")
    ids = {message["id"] for message in refused}
    _, again, _ = run(tmp_path, "dead", "replay", script="400")
    assert {message["id"] for message in again} == ids
    write(tmp_path, ', redact: [$.traits.plan, "$.properties.products[*].price"]')
    status, sent, said = run(tmp_path, "dead", "replay", script="200")
    assert status in (0, 3), said
    assert sent[0]["id"] == refused[0]["id"]
    assert sent[0]["whole"] == {key: value for key, value in refused[0]["whole"].items() if key != "traits"} | {
        "traits": {}
    }
    assert sent[1]["items"] == [{"sku": "s"}]
    assert "secret" not in json.dumps(sent)


def test_order_is_by_the_event_as_it_came(tmp_path: Path) -> None:
    """What is ordered by goes nowhere: one who is redacted keeps the order of their events."""
    held = [track(messageId=f"m{number}", traits={"email": f"u{number % 2}"}) for number in range(40)]
    (tmp_path / "events.ndjson").write_text("".join(json.dumps(event) + "\n" for event in held))
    write(tmp_path, ", redact: [$.traits.email]", ", order_by: $.traits.email, request: {batch: {max_messages: 4}}")
    status, sent, said = run(tmp_path, "run", "waypost.yaml")
    assert status == 0, said
    numbers = [int(message["whole"]["messageId"][1:]) for message in sent]
    assert sorted(numbers) == list(range(40))
    for parity in (0, 1):
        own = [number for number in numbers if number % 2 == parity]
        assert own == sorted(own)


def test_commands_know_it(tmp_path: Path) -> None:
    (tmp_path / "events.ndjson").write_bytes(lines_of_a_file()[0] + b"\n")
    write(tmp_path, ", redact: [$.traits.email]")
    assert "without $.traits.email" in waypost("connections", cwd=tmp_path)[1]
    (row,) = json.loads(waypost("connections", "--json", cwd=tmp_path)[1])
    assert row["redact"] == ["$.traits.email"]
    assert waypost("compile", "waypost.yaml", cwd=tmp_path)[0] == 0
    plan = "compiled/connections/eu.json"
    status, out, err = waypost("preview", plan, "events.ndjson", cwd=tmp_path)
    assert (status, err) == (0, "")
    assert "taken out of the event: $.traits.email" in out
    assert "secret" not in out
    assert "secret" not in waypost("preview", plan, "events.ndjson", "--json", cwd=tmp_path)[1]
    for words in (("--dry-run",), ("--dry-run", "--json")):
        status, out, err = waypost("run", "waypost.yaml", *words, cwd=tmp_path)
        assert status == 0, err
        assert "pro" in out
        assert "secret" not in out
    (tmp_path / "old.json").write_bytes((tmp_path / plan).read_bytes())
    write(tmp_path, "")
    waypost("compile", "waypost.yaml", cwd=tmp_path)
    status, out, err = waypost("diff", "old.json", plan, cwd=tmp_path)
    assert "redact: another value (connection_changed)" in out, err
