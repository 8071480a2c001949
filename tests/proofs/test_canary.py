"""P16: a secret appears in nothing that Waypost writes: no plan, output, log, metric, dead letter, golden file, state or error.

Here every command that can know a secret runs, against a destination that answers with everything it was sent. What other tests' processes
say is searched as well: `searched` in conftest.py.
"""

from __future__ import annotations

import base64
import contextlib
import json
import signal
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import canary
from conftest import ROOT
from running import Engine, free_port, wait_for_port
from waypost.cli.main import cli
from waypost.http.receiver import Received, Receiver, Reply

SETTING, WRITE_KEY = canary.SECRETS[-2:]
ENV = {"SETTING": SETTING, "WRITE_KEY": WRITE_KEY, "BAD": WRITE_KEY + "\nx"}
HOLDING = ("typed.yaml",)
"""Files that hold a secret on purpose, beside `setting.key`: a person wrote it there."""

SPEC = """
spec: 1
name: leaky
settings:
  key: {type: string, secret: true, label: Key}
auth: {basic: {username: "{{ settings.key }}", password: "{{ settings.key }}"}}
check: {get: "https://api.leaky.example/v1/keys/{{ settings.key }}"}
request:
  post: "https://api.leaky.example/v1/{{ settings.key }}/events"
  headers: {X-Key: "{{ settings.key }}", X-Signed: "a {{ settings.key }} z"}
  query: {key: "{{ settings.key }}"}
  body: {events: $messages}
  batch: {max_messages: 2, max_bytes: 100kB, max_wait: 10ms}
  retry: {for: 1s}
  responses: {400: split, 422: reject}
actions:
  send:
    trigger: type = "track"
    mapping:
      name: {$from: $.event, type: string, required: true}
      total: {$from: $.properties.total, type: number}
"""

CONNECTIONS = """
connections:
  leaky:
    destination: leaky.yaml
    sources: [SOURCE]
    settings: {key: KEY}
sources:
  all: {files: "events.ndjson"}
  web: {http: "127.0.0.1:PORT", write_keys: [env:WRITE_KEY]}
"""


def echo(status: int) -> Callable[[Received], Reply]:
    """Answers with all that it was sent, in every form that it can take."""

    def answer(request: Received) -> Reply:
        basic = request.headers.get("authorization", "").removeprefix("Basic ")
        shown = [request.path, urllib.parse.unquote(request.path), *request.headers.values()]
        shown += [base64.b64decode(basic).decode(), SETTING, json.dumps(SETTING), urllib.parse.quote(SETTING, safe="")]
        shown += [base64.b64encode(SETTING.encode()).decode(), urllib.parse.quote_plus(SETTING)]
        headers = {"location": f"https://other.example/{urllib.parse.quote(SETTING, safe='')}", "retry-after": "0"}
        return Reply(status, headers=headers, body="\n".join(shown).encode())

    return answer


def prepare(folder: Path) -> None:
    (folder / "leaky.yaml").write_text(SPEC, encoding="utf-8")
    (folder / "setting.key").write_text(SETTING, encoding="utf-8")
    rows = [
        {"type": "track", "event": "A", "properties": {"total": 1}},
        {"type": "track"},
        {"type": "page"},
        {"type": "track", "event": "B", "properties": {"total": "x"}},
    ]
    (folder / "events.ndjson").write_text(
        "".join(json.dumps(row) + "\n" for row in rows) + "no json\n", encoding="utf-8"
    )
    text = CONNECTIONS.replace("SOURCE", "all").replace("PORT", "8080")
    (folder / "waypost.yaml").write_text(text.replace("KEY}", "env:SETTING}", 1), encoding="utf-8")
    (folder / "typed.yaml").write_text(text.replace("KEY}", json.dumps(SETTING) + "}", 1), encoding="utf-8")


def said_by(folder: Path, *words: str, stdin: bytes = b"") -> str:
    """What a command says: a failure of any kind is welcome, a traceback is not."""
    with contextlib.chdir(folder):
        done = CliRunner(env={**ENV, "XDG_STATE_HOME": str(folder / "xdg")}).invoke(cli, words, input=stdin)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


SET = ("--set", "key=env:SETTING")
FAST = ("--connect-within", "0.2", "--drain", "0.1")


@pytest.mark.parametrize("given", ["env:SETTING", "file:setting.key", SETTING], ids=["env", "file", "typed"])
def test_no_failure_of_a_run_tells_a_secret(given: str, tmp_path: Path) -> None:
    """P16. Mutation that turns this red: `Writer.record` without the masking of the response."""
    prepare(tmp_path)
    said = ""
    for status in (200, 400, 401, 302, 404, 418, 422):
        with Receiver(port=0, answer=echo(status)) as receiver:
            words = ("run", "leaky.yaml", "--set", f"key={given}", "--endpoint-override", receiver.url)
            said += said_by(tmp_path, *words, *FAST, "--state", f"state{status}", "events.ndjson")
            said += said_by(tmp_path, *words, *FAST, "--dead-letters", "dead.ndjson", "--json", "events.ndjson")
            assert receiver.requests
            assert canary.leaks(receiver.requests[0].path), "else nothing is proved"
    said += said_by(tmp_path, "run", "leaky.yaml", "--set", f"key={given}", "--dry-run", "events.ndjson")
    nobody = f"http://127.0.0.1:{free_port()}"
    words = ("run", "leaky.yaml", "--set", f"key={given}", "--endpoint-override", nobody)
    said += said_by(tmp_path, *words, *FAST, "events.ndjson")
    said += said_by(tmp_path, "preview", "leaky.yaml", "events.ndjson", "--set", f"key={given}")
    assert "dead" in said
    assert "never reached" in said
    assert canary.leaks(said) == []
    assert canary.leaks_in(tmp_path, besides=HOLDING) == []


def test_no_other_command_tells_a_secret(tmp_path: Path) -> None:
    """P16. Mutations that turn this red: `typed` naming the value of a secret; a plan that holds what `env:` gave."""
    prepare(tmp_path)
    said = ""
    with Receiver(port=0, answer=echo(422)) as receiver:
        to = ("--endpoint-override", receiver.url)
        said += said_by(tmp_path, "run", "waypost.yaml", "--state", "state", *to)
        for words in (("list",), ("list", "--json"), ("show", "1"), ("show", "2"), ("export",)):
            said += said_by(tmp_path, "dead", words[0], "--state", "state", *words[1:])
        said += said_by(tmp_path, "dead", "export", "--state", "state", "--output", "letters.ndjson")
        said += said_by(tmp_path, "dead", "replay", "--state", "state", "--dry-run", *to)
        said += said_by(tmp_path, "dead", "replay", "--state", "state", *to)
        said += said_by(tmp_path, "state", "state") + said_by(tmp_path, "state", "state", "--json")
        for status in (200, 302, 401, 500):
            receiver._answer = echo(status)
            said += said_by(tmp_path, "check", "leaky.yaml", *SET, *to) + said_by(tmp_path, "check", *to)
    for words in (
        ("check", "leaky.yaml", *SET, "--endpoint-override", f"http://127.0.0.1:{free_port()}"),
        ("compile", "leaky.yaml", "--output", "leaky.json"),
        ("compile", "waypost.yaml"),
        ("connections", "waypost.yaml"),
        ("connections", "--frozen"),
        ("show", "plan", "leaky.yaml"),
        ("show", "program", "leaky.yaml"),
        ("docs", "leaky.yaml"),
        ("run", "leaky.yaml", "--set", "key=env:BAD", "events.ndjson"),
        ("run", "leaky.yaml", "--set", f"kez={SETTING}", "events.ndjson"),
        ("run", "leaky.yaml", "--set", SETTING, "events.ndjson"),
    ):
        said += said_by(tmp_path, *words)
    for form in ("human", "json", "concise", "github", "sarif", "junit"):
        said += said_by(tmp_path, "lint", "typed.yaml", "--format", form)
    said += said_by(tmp_path, "run", "typed.yaml") + said_by(tmp_path, "compile", "typed.yaml")
    assert "dead" in said
    assert canary.leaks(said) == []
    assert canary.leaks_in(tmp_path, besides=HOLDING) == []


def test_no_write_key_is_told_by_a_service(tmp_path: Path) -> None:
    """P16 over HTTP: good keys, wrong ones, and bodies that are refused.

    Mutation that turns this red: `Refused` of an unknown write key naming it.
    """
    prepare(tmp_path)
    port = free_port()
    text = CONNECTIONS.replace("SOURCE", "web").replace("PORT", str(port)).replace("KEY}", "file:setting.key}", 1)
    (tmp_path / "waypost.yaml").write_text(text, encoding="utf-8")
    with Receiver(port=0, answer=echo(422)) as receiver:
        words = ("run", "waypost.yaml", "--state", "state", "--drain", "5", "--endpoint-override", receiver.url)
        engine = Engine(tmp_path, *words, env=ENV)
        try:
            wait_for_port(port)
            answers = b""
            event = {"type": "track", "event": "A"}
            for body in (
                {"batch": [event], "writeKey": WRITE_KEY},
                {"batch": [event], "writeKey": WRITE_KEY + "x"},
                {"batch": [event], "writeKey": [WRITE_KEY]},
                {"batch": [{**event, "timestamp": "no time"}], "writeKey": WRITE_KEY},
                {"batch": WRITE_KEY, "writeKey": WRITE_KEY},
            ):
                answers += post(f"http://127.0.0.1:{port}/v1/batch", json.dumps(body).encode())
            answers += post(f"http://127.0.0.1:{port}/v1/batch", b'{"batch": [' + WRITE_KEY.encode())
            answers += post(f"http://127.0.0.1:{port}/v1/nothing?k={urllib.parse.quote(WRITE_KEY)}", b"{}")
            for path in ("live", "ready", "metrics"):
                answers += post(f"http://127.0.0.1:{port}/{path}", None)
            with receiver.arrived:
                assert receiver.arrived.wait_for(lambda: receiver.requests, 30)
            engine.process.send_signal(signal.SIGTERM)
            out = engine.process.stdout.read() if engine.process.stdout else b""
            engine.end()
        finally:
            engine.process.kill()
    assert b"write_key" in answers
    assert canary.leaks(answers + out + "".join(engine.said).encode()) == []
    assert canary.leaks_in(tmp_path, besides=HOLDING) == []


def post(url: str, body: bytes | None) -> bytes:
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: bytes = answer.read()
    except urllib.error.HTTPError as error:
        with error:
            found = error.read()
    return found


def test_no_canary_is_in_the_repository() -> None:
    """No golden file, plan or page holds a secret of a test."""
    for folder in ("compiled", "docs", "examples", "specs", "tests/cases"):
        assert canary.leaks_in(ROOT / folder) == []


def test_canary_is_seen_in_each_form() -> None:
    for secret in canary.SECRETS:
        for text in (
            secret,
            json.dumps({"a": secret}),
            urllib.parse.quote(secret, safe=""),
            urllib.parse.urlencode({"k": secret}),
            base64.b64encode(secret.encode()).decode(),
            base64.b64encode(f"{secret}:".encode()).decode(),
            base64.b64encode(f"user:{secret}".encode()).decode(),
            base64.urlsafe_b64encode(f"us:{secret}:".encode()).decode(),
            f"user:{secret}".encode().hex(),
            secret.encode().hex().upper(),
        ):
            assert canary.leaks(f"..{text}.."), text
    assert canary.leaks("nothing of the kind") == []
