"""Bodies of every format on their way: what arrives at a server on loopback, what is split, what is a dead letter and is sent again."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qsl

from running import waypost
from waypost.http.receiver import Received, Receiver, Reply

SPEC = """spec: 1
name: shop
settings:
  key: {type: string, secret: true}
  from: {type: string, default: "+1 555"}
auth:
  headers: {x-key: "{{ settings.key }}"}
request:
  post: https://api.example.com/lines
  lines: $messages
  gzip: true
  batch: {max_messages: 3, max_bytes: 200B}
  responses: {400: split}
actions:
  send_lines:
    trigger: type = "track"
    mapping: {id: $.messageId, n: $.properties.n}
  send_sms:
    trigger: type = "identify"
    request:
      post: "https://api.example.com/sms"
      form: {To: $.traits.phone, From: "{{ settings.from }}", Tag: $.traits.tags}
      batch: $omit
      gzip: $omit
      responses: $omit
  send_note:
    trigger: type = "page"
    request:
      post: https://api.example.com/note
      text: "seen {{ event.name }}"
      content_type: text/plain
      batch: $omit
      gzip: $omit
      responses: $omit
  forget:
    trigger: type = "alias"
    request:
      delete: "https://api.example.com/users/{{ event.previousId }}"
      lines: $omit
      batch: $omit
      gzip: $omit
      responses: $omit
"""


def run(folder: Path, spec: str, events: list[dict[str, object]], receiver: Receiver, *words: str) -> dict[str, int]:
    """The ledger of a run over these events."""
    (folder / "shop.yaml").write_text(spec)
    (folder / "events.ndjson").write_text("".join(json.dumps(event) + "\n" for event in events))
    given = ("--set", "key=env:KEY", "--endpoint-override", receiver.url, "--json")
    status, out, said = waypost("run", "shop.yaml", *given, *words, "events.ndjson", cwd=folder, KEY="k1-canary-key")
    assert status in (0, 3), said
    found: dict[str, int] = json.loads(out)
    return found


def test_each_format_arrives_as_it_is_written(tmp_path: Path) -> None:
    """Lines in batches and compressed; a form, a text and nothing for one event each, without a mapping."""
    events: list[dict[str, object]] = [
        {"type": "track", "messageId": f"m{n}", "properties": {"n": n}} for n in range(7)
    ]
    events += [
        {"type": "identify", "traits": {"phone": "+49 1", "tags": ["a", "b&"]}},
        {"type": "identify", "traits": {"phone": {"no": "text"}}},
        {"type": "page", "name": "Zoë"},
        {"type": "page"},
        {"type": "alias", "previousId": "u/1"},
    ]
    with Receiver(port=0) as receiver:
        run(tmp_path, SPEC, events, receiver, "--dead-letters", "dead.ndjson")
        arrived = {(one.method, one.path): one for one in receiver.requests}
        lines = [one for one in receiver.requests if one.path == "/lines"]
    assert [one.body.decode() for one in sorted(lines, key=lambda one: one.body)] == [
        "".join(f'{{"id":"m{n}","n":{n}}}\n' for n in group) for group in ((0, 1, 2), (3, 4, 5), (6,))
    ]
    assert {one.headers["content-type"] for one in lines} == {"application/x-ndjson"}
    assert {one.headers["content-encoding"] for one in lines} == {"gzip"}
    sms = arrived["POST", "/sms"]
    assert parse_qsl(sms.body.decode()) == [("To", "+49 1"), ("From", "+1 555"), ("Tag", "a"), ("Tag", "b&")]
    assert sms.headers["content-type"] == "application/x-www-form-urlencoded"
    note = arrived["POST", "/note"]
    assert (note.body.decode(), note.headers["content-type"]) == ("seen Zoë", "text/plain")
    gone = arrived["DELETE", "/users/u%2F1"]
    assert (gone.body, gone.headers.get("content-type")) == (b"", None)
    letters = [json.loads(line) for line in (tmp_path / "dead.ndjson").read_text().splitlines()]
    assert sorted((letter["reason"], letter["field"]) for letter in letters) == [
        ("required", "request.text"),
        ("wrong_shape", "request.form.To"),
    ]


def test_a_bad_line_is_found_by_halves(tmp_path: Path) -> None:
    """400 for the batch with the bad one: its neighbours arrive once, it is a dead letter."""

    def answer(request: Received) -> Reply:
        return Reply(400 if b'"m3"' in request.body else 200)

    events: list[dict[str, object]] = [
        {"type": "track", "messageId": f"m{n}", "properties": {"n": n}} for n in range(7)
    ]
    with Receiver(port=0, answer=answer) as receiver:
        run(tmp_path, SPEC, events, receiver, "--dead-letters", "dead.ndjson")
        taken = Counter(
            json.loads(line)["id"] for one in receiver.requests if one.status == 200 for line in one.body.splitlines()
        )
    assert taken == Counter({f"m{n}": 1 for n in (0, 1, 2, 4, 5, 6)})
    (letter,) = [json.loads(line) for line in (tmp_path / "dead.ndjson").read_text().splitlines()]
    assert (letter["reason"], letter["event"]["messageId"]) == ("refused", "m3")


LISTS = """spec: 1
name: shop
settings:
  key: {type: string, secret: true}
auth:
  body: {api_key: "{{ settings.key }}"}
request:
  post: https://api.example.com/track
  body: {events: {$messages: [send_event]}, app: {$literal: a}, attributes: {$messages: [send_user, send_group]}}
  batch: {max_messages: {events: 3, attributes: 2}, max_bytes: 300B}
  responses: {400: split}
actions:
  send_event:
    trigger: type = "track"
    mapping: {id: $.messageId, pad: $.properties.pad}
  send_user:
    trigger: type in ["identify", "track"] and userId = "both"
    mapping: {id: $.messageId}
  send_group:
    trigger: type = "group"
    mapping: {id: $.messageId}
"""


def test_lists_by_action_share_a_request(tmp_path: Path) -> None:
    """Each list within its own limit and the body within its bytes; a list without messages is left out; a refused one stands alone; an
    event of two actions is in both lists. Mutations: `Flow._before` without what a new list needs around it; the order by action lost."""

    def answer(request: Received) -> Reply:
        return Reply(400 if b'"m11"' in request.body else 200)

    kinds = [
        "track",
        "track",
        "identify",
        "group",
        "track",
        "track",
        "track",
        "group",
        "group",
        "group",
        "track",
        "group",
    ]
    events: list[dict[str, object]] = [
        {"type": kind, "messageId": f"m{n}", "userId": "both" if kind == "identify" or n == 4 else "u"}
        for n, kind in enumerate(kinds)
    ]
    events.append({"type": "track", "messageId": "big", "userId": "u", "properties": {"pad": "x" * 180}})
    events.append({"type": "track", "messageId": "huge", "userId": "u", "properties": {"pad": "x" * 400}})
    with Receiver(port=0, answer=answer) as receiver:
        run(tmp_path, LISTS, events, receiver, "--dead-letters", "dead.ndjson")
        bodies = [json.loads(one.body) for one in receiver.requests]
        assert all(len(one.body) <= 300 for one in receiver.requests)
        taken = [json.loads(one.body) for one in receiver.requests if one.status == 200]
    assert all(set(body) <= {"events", "app", "attributes", "api_key"} and body["app"] == "a" for body in bodies)
    assert all(body.get("events") or body.get("attributes") for body in bodies)
    assert all(len(body.get("events", [])) <= 3 and len(body.get("attributes", [])) <= 2 for body in bodies)
    assert all(body["api_key"] == "k1-canary-key" for body in bodies)
    found = {
        name: Counter(item["id"] for body in taken for item in body.get(name, [])) for name in ("events", "attributes")
    }
    assert found["events"] == Counter(["m0", "m1", "m4", "m5", "m6", "m10", "big"])
    assert found["attributes"] == Counter(["m2", "m3", "m4", "m7", "m8", "m9"])
    assert any(len(body.get("events", [])) and len(body.get("attributes", [])) for body in taken)
    letters = [json.loads(line) for line in (tmp_path / "dead.ndjson").read_text().splitlines()]
    assert sorted((letter["reason"], letter["event"]["messageId"]) for letter in letters) == [
        ("message_too_large", "huge"),
        ("refused", "m11"),
    ]


def test_dead_letters_of_a_form_are_replayed(tmp_path: Path) -> None:
    """A message that the form could not hold dies, and arrives when the spec is mended."""
    broken = LISTS.partition("request:")[0].replace("auth:\n  body: {api_key:", "auth:\n  body: {token:")
    broken += "request: {post: https://api.example.com/form, form: $message}\n"
    broken += 'actions:\n  send: {trigger: type = "track", mapping: {a: $.properties}}\n'
    events: list[dict[str, object]] = [{"type": "track", "messageId": "m", "properties": {"x": "y z"}}]
    with Receiver(port=0) as receiver:
        run(tmp_path, broken, events, receiver, "--state", "state")
        assert receiver.requests == []
        status, out, _ = waypost("dead", "list", "--state", "state", cwd=tmp_path)
        assert (status, "wrong_shape" in out) == (0, True)
        (tmp_path / "shop.yaml").write_text(broken.replace("{a: $.properties}", "{a: $.properties.x}"))
        given = ("--set", "key=env:KEY", "--endpoint-override", receiver.url)
        words = ("dead", "replay", "--to", "shop.yaml", "--state", "state", *given)
        status, out, said = waypost(*words, cwd=tmp_path, KEY="k1-canary-key")
        assert status == 0, said
        assert [one.body.decode() for one in receiver.requests] == ["token=k1-canary-key&a=y+z"]
