"""Objects for the headers and the query of `auth` and `check`: what settings hold goes with every request, and no event decides it."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from running import waypost
from waypost.compiler.pipeline import compile_text
from waypost.http.receiver import Receiver

SPEC = """spec: 1
name: shop
settings:
  key: {type: string, secret: true}
  more: {type: map, value: {type: string}, default: {X-A: "1", x-key: of the map}}
  params: {type: map, value: {type: string}, default: {v: "2", q: a b}}
auth:
  headers: {$merge: "{{ settings.more }}", x-key: "{{ settings.key }}"}
  query: "{{ settings.params }}"
check:
  get: https://api.example.com/me
  headers: {$merge: [{x-c: {$literal: "3"}}, {x-a: {$literal: "4"}}], accept: text/plain}
  query: {$when: 'length(settings.params) > 1', then: {w: {$literal: "5"}}}
request:
  post: https://api.example.com/events
  headers: {x-b: "6"}
  query: {v: "{{ event.messageId }}"}
  body: $message
actions:
  send:
    trigger: type = "track"
    mapping: {id: $.messageId}
"""
KEY = "canary-key-of-auth"


def call(
    folder: Path, *words: str, spec: str = SPEC
) -> tuple[int, str, list[tuple[dict[str, str], dict[str, list[str]]]]]:
    """The exit status, what was said, and the headers and query of what arrived."""
    (folder / "shop.yaml").write_text(spec)
    (folder / "e.ndjson").write_text(json.dumps({"type": "track", "messageId": "m1"}) + "\n")
    with Receiver(port=0) as receiver:
        to = ("--set", "key=env:KEY", "--endpoint-override", receiver.url)
        status, out, said = waypost(words[0], "shop.yaml", *to, *words[1:], cwd=folder, KEY=KEY)
    return status, out + said, [(dict(one.headers), parse_qs(urlsplit(one.path).query)) for one in receiver.requests]


def test_every_request_carries_them_below_what_is_written(tmp_path: Path) -> None:
    """Mutation that turns this red: an object over a written entry."""
    status, _, ((headers, query),) = call(tmp_path, "run", "e.ndjson")
    assert status == 0
    assert {name: headers.get(name) for name in ("x-a", "x-b", "x-key")} == {"x-a": "1", "x-b": "6", "x-key": KEY}
    assert query == {"v": ["m1"], "q": ["a b"]}


def test_the_check_has_its_own_besides(tmp_path: Path) -> None:
    status, _, ((headers, query),) = call(tmp_path, "check")
    assert status == 0
    wanted = {"x-c": "3", "accept": "text/plain", "x-key": KEY, "x-a": "1"}
    assert {name: headers.get(name) for name in wanted} == wanted
    assert query == {"w": ["5"], "v": ["2"], "q": ["a b"]}


@pytest.mark.parametrize("params", ["{v: '2'}", "{}"])
def test_a_condition_over_settings_decides(tmp_path: Path, params: str) -> None:
    """In `auth`, for the request and the check."""
    spec = SPEC.replace(
        'query: "{{ settings.params }}"', "query: {$when: 'length(settings.params) > 0', then: {t: {$literal: \"1\"}}}"
    ).replace('{v: "2", q: a b}', params)
    for words in (["run", "e.ndjson"], ["check"]):
        status, said, ((_, query),) = call(tmp_path, *words, spec=spec)
        assert status == 0, said
        assert query.get("t") == (None if params == "{}" else ["1"])


def test_preview_shows_them(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(SPEC)
    (tmp_path / "e.ndjson").write_text('{"type":"track","messageId":"m1"}\n')
    status, out, _ = waypost("preview", "shop.yaml", "e.ndjson", cwd=tmp_path)
    assert status == 0
    assert "x-a: 1\n" in out
    assert "x-key: <key>\n" in out


@pytest.mark.parametrize("command", ["run", "check"])
def test_error_a_map_that_is_none_of_headers(tmp_path: Path, command: str) -> None:
    """Said before anything is sent. Mutation that turns this red: objects of `auth` that are not tried when a plan is linked."""
    status, said, arrived = call(
        tmp_path, command, "--set", "more={a b: 1}", *(["e.ndjson"] if command == "run" else [])
    )
    assert (status, arrived) == (2, [])
    assert said == "waypost: shop: the setting `more` cannot be used in `auth.headers`: 'a b' is not a header name\n"


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ('query: "{{ settings.params }}"', "query: $.properties", "P104"),
        ('$merge: "{{ settings.more }}", x-key', "$merge: $.traits, x-key", "P104"),
        ('query: "{{ settings.params }}"', "query: {$pick: $.traits, keys: [a]}", "P104"),
        ('query: "{{ settings.params }}"', 'query: "{{ event.properties }}"', "T103"),
        ("length(settings.params) > 1", 'userId = "u"', "Q112"),
        ('query: "{{ settings.params }}"', 'query: {$literal: "a"}', "M201"),
        ('query: "{{ settings.params }}"', "query: a", "S104"),
        ("[{x-c:", "[{host:", "D103"),
        ('{$merge: "{{ settings.more }}", x-key', "{$merge: {a b: 1}, x-key", "D103"),
    ],
)
def test_error_what_no_request_can_hold(old: str, new: str, wanted: str) -> None:
    assert old in SPEC
    plan, report = compile_text(SPEC.replace(old, new), "shop.yaml")
    assert plan is None
    assert wanted in {found.code for found in report.diagnostics}


def test_a_secret_in_them_is_masked_and_a_constant_one_is_refused() -> None:
    text = SPEC.replace('$merge: "{{ settings.more }}", x-key', '$merge: {x-d: {$literal: "Bearer abcdefgh12"}}, x-key')
    _, report = compile_text(text, "shop.yaml")
    assert "X103" in {found.code for found in report.diagnostics}
