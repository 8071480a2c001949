"""What commands say as JSON has the shape that docs/json.md names; and what is missing is told at once."""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from conftest import ROOT
from running import waypost
from waypost.events.results import ANSWERED, REASONS

EVENTS = [
    '{"type": "track", "event": "A", "userId": "u", "messageId": "m1"}',
    "{broken",
    '{"type": "alias", "userId": "u"}',
    '{"type": "track", "event": "A"}',
]
SECRET = "sk-live-97531"


def dry(folder: Path, *words: str) -> list[dict[str, Any]]:
    (folder / "events.ndjson").write_text("".join(line + "\n" for line in EVENTS))
    target = ("run", "segment", "--set", "source_write_key=env:K", *words, "--dry-run", "--json", "events.ndjson")
    status, out, err = waypost(*target, cwd=folder, K=SECRET)
    assert status == 3
    assert SECRET not in out + err
    assert "would deliver 1 of" in err
    return [json.loads(line) for line in out.splitlines()]


def test_dry_run_tells_each_delivery(tmp_path: Path) -> None:
    found = dry(tmp_path)
    assert [(row["line"], row["outcome"], row.get("action"), row.get("reason")) for row in found] == [
        (1, "sent", "send_track", None),
        (2, "rejected", None, "malformed"),
        (3, "filtered", None, "no_action"),
        (4, "rejected", "send_track", "require"),
    ]
    data = (tmp_path / "events.ndjson").read_bytes()
    for row in found:
        assert data[row["offset"] :].startswith(EVENTS[row["line"] - 1].encode())
        assert (row["connection"], row["input"]) == ("segment", "events.ndjson")
        assert row["outcome"] == "sent" or row["why"]
    sent = found[0]
    assert set(sent) == {"connection", "input", "line", "offset", "outcome", "action", "message", "request"}
    assert set(sent["request"]) == {"method", "url", "headers", "body"}
    assert sent["request"]["body"]["batch"] == [sent["message"]]
    assert sent["message"]["event"] == "A"


def test_preview_is_what_a_dry_run_says_with_its_fields(tmp_path: Path) -> None:
    found = dry(tmp_path)
    for row in found:
        words = ("preview", "segment", "--set", "source_write_key=env:K", "events.ndjson", "--json")
        status, out, _ = waypost(*words, "--line", str(row["line"]), cwd=tmp_path, K=SECRET)
        assert status == 0
        assert SECRET not in out
        held = json.loads(out)
        (delivery,) = held["deliveries"]
        fields = delivery.pop("fields", [])
        shown = {key: value for key, value in row.items() if key not in ("connection", "input", "line", "offset")}
        for each in (delivery, shown):
            # Where it says which byte, that is of the line.
            each.pop("why", None)
        assert delivery == shown
        if row["outcome"] == "sent":
            assert {(field["field"], field.get("value")) for field in fields} >= {("event", "A"), ("type", "track")}
            assert [action["action"] for action in held["actions"] if action["matches"]] == ["send_track"]
            assert all(action["fails"] for action in held["actions"] if not action["matches"])


def test_a_secret_that_is_left_out_is_shown_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text(EVENTS[0])
    _, out, _ = waypost("preview", "segment", "event.json", "--json", cwd=tmp_path)
    assert "<source_write_key>" in json.loads(out)["deliveries"][0]["request"]["headers"]["authorization"]


def test_dead_letters_as_json(tmp_path: Path) -> None:
    (tmp_path / "events.ndjson").write_text("".join(line + "\n" for line in EVENTS))
    words = ("run", "segment", "--set", "source_write_key=env:K", "--endpoint-override", "http://127.0.0.1:9")
    (tmp_path / "events.ndjson").write_text(EVENTS[1] + "\n" + EVENTS[3] + "\n")
    assert waypost(*words, "--state", "st", "events.ndjson", cwd=tmp_path, K=SECRET)[0] == 3

    def dead(*more: str) -> list[dict[str, Any]]:
        status, out, _ = waypost("dead", *more, "--state", "st", "--json", cwd=tmp_path, K=SECRET)
        assert status == 0
        return [json.loads(line) for line in out.splitlines()]

    listed = dead("list")
    assert [row["reason"] for row in listed] == ["malformed", "require"]
    assert "event" not in listed[0]
    (shown,) = dead("show", str(listed[1]["id"]))
    assert {**listed[1], "event": json.loads(EVENTS[3])} == shown
    foretold = dead("replay", "--dry-run", "--to", "segment", "--set", "source_write_key=env:K")
    assert [(row["id"], row["outcome"], row["reason"]) for row in foretold] == [
        (listed[0]["id"], "rejected", "malformed"),
        (listed[1]["id"], "rejected", "require"),
    ]
    assert dead("drop", "--all", "--dry-run") == [{"dropped": 0, "chosen": 2}]
    _, out, _ = waypost("dead", "list", "--state", "st", cwd=tmp_path)
    assert out.splitlines()[0].split()[:2] == ["ID", "AT"]
    assert len(out.splitlines()) == 3
    assert dead("drop", "--reason", "malformed") == [{"dropped": 1, "chosen": 1}]


@pytest.mark.parametrize(
    ("given", "near"), [("requird", "required"), ("retries", "retries_exhausted"), ("zzz", ""), ("400", "")]
)
def test_an_unknown_reason_is_refused(given: str, near: str, tmp_path: Path) -> None:
    for command in ("list", "drop", "export", "replay"):
        status, _, err = waypost("dead", command, "--reason", given, "--state", "st", cwd=tmp_path)
        assert status == 2
        assert f"no dead letter has the reason `{given}`" in err
        assert (f"did you mean `{near}`?" in err) == bool(near)
        assert all(reason in err for reason in [*REASONS, *ANSWERED])


def test_all_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    words = ("run", "segment", "--set", "source_write_key=env:NOT_THERE", "--set", "endpoint=mars", "--set", "zone=1")
    status, out, err = waypost(*words, "gone.ndjson", "none*.ndjson", cwd=tmp_path)
    assert (status, out) == (2, "")
    for part in ("NOT_THERE is not set", "`endpoint` is one of", "no setting `zone`", "gone.ndjson", "none*.ndjson"):
        assert sum(part in line for line in err.splitlines()) == 1, err
    assert all(line.startswith("waypost: ") for line in err.splitlines())


def test_all_that_connections_miss_is_told_at_once(tmp_path: Path) -> None:
    rows = "".join(
        f"  {name}:\n    destination: segment\n    sources: [web]\n    settings: {{source_write_key: 'env:{name.upper()}_KEY'}}\n"
        for name in ("one", "two")
    )
    rows = rows.replace("[web]", "[web, files, more]")
    text = f"connections:\n{rows}sources:\n  web: {{http: '127.0.0.1:0', write_keys: ['env:WEB_IN']}}\n"
    text += "  files: {files: [gone.ndjson, lost.ndjson]}\n  more: {files: 'none*.ndjson'}\n"
    (tmp_path / "waypost.yaml").write_text(text)
    keys = ["ONE_KEY is not set", "TWO_KEY is not set"]
    for command, parts in (
        ("run", [*keys, "WEB_IN is not set", "gone.ndjson", "lost.ndjson", "none*.ndjson"]),
        ("check", keys),
    ):
        status, _, err = waypost(command, "waypost.yaml", cwd=tmp_path)
        assert status == 2
        assert len(err.splitlines()) == len(parts), err
        for part in parts:
            assert sum(part in line for line in err.splitlines()) == 1, err


def test_the_page_names_every_key(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
    for row in dry(tmp_path):
        assert all(f"`{key}`" in page for key in row)


MADE = """
spec: 1
name: made
settings:
  key: {type: string, secret: true, label: Key}
  other: {type: string, secret: true, label: Other}
auth:
  headers: {X-Up: "{{ settings.key | upper }}", X-Signed: "{{ settings.key | hmac_sha256('k') }}"}
  query: {other: "{{ settings.other | upper }}"}
request: {post: https://api.made.example/v1/events, body: {sent: $message}}
actions:
  send: {trigger: type = "track", mapping: {name: $.event, made: $.properties.made}}
"""


def test_what_filters_make_of_a_secret_is_masked(tmp_path: Path) -> None:
    """An event may hold it, as an echo does. A secret that is left out is shown by its name, and so is what is made of that.

    Mutation that turns this red: `_secrets` with the settings' values alone."""
    signed = hmac.new(b"k", SECRET.encode(), "sha256").hexdigest()
    made = [SECRET.upper(), signed, SECRET, SECRET.encode().hex()]
    event = {"type": "track", "event": "A", "properties": {"made": made}}
    (tmp_path / "made.yaml").write_text(MADE, encoding="utf-8")
    (tmp_path / "event.json").write_text(json.dumps(event), encoding="utf-8")
    for words, other in (
        (("preview", "made.yaml", "event.json", "--json"), ()),
        (("preview", "made.yaml", "event.json", "--json"), ("--set", "other=env:K")),
        (("run", "made.yaml", "event.json", "--dry-run", "--json"), ("--set", "other=env:K")),
    ):
        status, out, err = waypost(*words, "--set", "key=env:K", *other, cwd=tmp_path, K=SECRET)
        assert status == 0, err
        assert not [one for one in made if one in out], out
        if words[0] == "preview":
            _, shown, _ = waypost(*words[:-1], "--set", "key=env:K", *other, cwd=tmp_path, K=SECRET)
            assert "***" in shown
            assert not [one for one in made if one in shown], shown
        (delivery,) = json.loads(out)["deliveries"] if words[0] == "preview" else [json.loads(out)]
        assert delivery["message"]["made"] == ["***"] * 4
        assert "<other>" in unquote(delivery["request"]["url"]).lower()


FOLDERS = {
    "good": "",
    "bad": "settngs: {}\n",
    "broken": "x: [\n",
    "bytes": "\x00",
}
JSON = {
    "lint": ("lint", "T", "--format", "json"),
    "fix": ("lint", "T", "--fix", "--format", "json"),
    "plan": ("compile", "T", "--format", "json", "--output", "-"),
    "test": ("test", "T", "--format", "json"),
    "coverage": ("test", "T", "--format", "json", "--min", "100"),
    "preview": ("preview", "T", "events.ndjson", "--json"),
    "dry run": ("run", "T", "--set", "key=env:K", "--set", "region=eu", "--dry-run", "--json", "events.ndjson"),
    "run": ("run", "T", "--set", "key=env:K", "--set", "region=eu", "--endpoint-override", "http://127.0.0.1:1",
            "--connect-within", "0", "--json", "events.ndjson"),
    "check": ("check", "T", "--set", "key=env:K", "--set", "region=eu", "--json"),
    "connections": ("connections", "T", "--json"),
    "state": ("state", "T", "--json"),
    "list": ("dead", "list", "--state", "T", "--json"),
    "drop": ("dead", "drop", "--state", "T", "--all", "--json"),
    "diff": ("diff", "segment", "T", "--format", "json"),
    "events": ("diff", "T", "good", "--events", "events.ndjson", "--format", "json"),
    "bench": ("bench", "T", "events.ndjson", "--json", "--rounds", "3"),
    "top": ("top", "http://127.0.0.1:1", "--json"),
}  # fmt: skip


@pytest.mark.parametrize("name", JSON)
def test_standard_output_is_json_or_empty_whatever_is_wrong(name: str, tmp_path: Path) -> None:
    """Mutations that turn this red: `test` that says findings for people; `check` that says in words what has no probe."""
    good = (ROOT / "tests" / "cases" / "good.yaml").read_text(encoding="utf-8")
    for folder, more in FOLDERS.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "destination.yaml").write_text(good + more, encoding="utf-8")
    (tmp_path / "events.ndjson").write_text("".join(line + "\n" for line in EVENTS))
    for target in (*FOLDERS, "nowhere", "segment", "events.ndjson"):
        status, out, err = waypost(*(target if word == "T" else word for word in JSON[name]), cwd=tmp_path, K=SECRET)
        assert status in (0, 1, 2, 3, 4), err
        for line in [out] if out.startswith(("{\n", "[")) else out.splitlines():
            json.loads(line)
        if status == 2:
            assert (out == "") is (name != "check" or target != "good"), (target, out)
        if name in ("lint", "test", "coverage"):
            assert bool(out) is (status != 2), (target, err)


def test_findings_of_a_spec_stand_beside_the_results_of_another(tmp_path: Path) -> None:
    text = (ROOT / "tests" / "cases" / "good.yaml").read_text(encoding="utf-8")
    for folder, more in (("bad", FOLDERS["bad"]), ("good", "")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "destination.yaml").write_text(text + more, encoding="utf-8")
    status, out, err = waypost("test", "bad", "good", "--format", "json", cwd=tmp_path)
    assert (status, err) == (1, "")
    bad, other = json.loads(out)["specs"]
    assert [finding["code"] for finding in bad["findings"]] == ["S101"]
    assert other["problem"] == "there are no tests"
    status, out, _ = waypost("test", "bad", "good", cwd=tmp_path)
    assert status == 1
    assert "error[S101]" in out
    assert "0 passed, 2 failed" in out
