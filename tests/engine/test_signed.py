"""Signed requests on their way: what a server on loopback verifies, and what becomes of a run that cannot sign."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from running import waypost
from waypost.http.receiver import Received, Receiver, Reply

KEY = "canary-signing-key"
SPEC = """spec: 1
name: hook
settings:
  key: {type: string, secret: true}
request:
  post: https://api.example.com/hook
  gzip: true
  body: $messages
  batch: {max_messages: 4}
  sign:
    text: "v0:{{ timestamp }}:{{ body }}"
    hmac_sha256: "{{ settings.key }}"
    headers: {x-signature: "v0={{ signature }}", x-timestamp: "{{ timestamp }}"}
actions:
  send:
    trigger: type = "track"
    mapping: {id: $.messageId, name: $.event}
"""


def run(folder: Path, spec: str, receiver: Receiver, *words: str) -> tuple[int, dict[str, Any], str]:
    (folder / "hook.yaml").write_text(spec)
    events = [{"type": "track", "messageId": f"m{n}", "event": "Zoë 🚀"} for n in range(10)]
    (folder / "events.ndjson").write_text("".join(json.dumps(event) + "\n" for event in events))
    given = ("--set", "key=env:KEY", "--endpoint-override", receiver.url, "--dead-letters", "dead.ndjson", "--json")
    status, out, said = waypost("run", "hook.yaml", *given, *words, "events.ndjson", cwd=folder, KEY=KEY)
    return status, json.loads(out), said


def is_signed(request: Received) -> bool:
    text = f"v0:{request.headers['x-timestamp']}:".encode() + request.body
    return request.headers["x-signature"] == "v0=" + hmac.new(KEY.encode(), text, hashlib.sha256).hexdigest()


def test_a_server_that_verifies_takes_each_attempt(tmp_path: Path) -> None:
    """It refuses every other request, signed or not, and answers with what it was sent: that stands in no dead letter."""
    seen: list[bool] = []

    def answer(request: Received) -> Reply:
        seen.append(is_signed(request))
        return Reply(503 if len(seen) % 2 else 200 if seen[-1] else 403)

    with Receiver(port=0, answer=answer) as receiver:
        status, ledger, _ = run(tmp_path, SPEC, receiver)
    assert (status, ledger["delivered"]) == (0, 10)
    assert all(seen)
    assert len(seen) >= 4


def test_a_run_that_cannot_sign_stops_and_loses_nothing(tmp_path: Path) -> None:
    """What is signed is no number, whatever the event: status 4, nothing sent, nothing dead, and the next run sends all."""
    with Receiver(port=0) as receiver:
        bad = SPEC.replace("{{ body }}", "{{ body | integer }}")
        status, ledger, _ = run(tmp_path, bad, receiver, "--state", "state")
        assert (status, receiver.requests) == (4, [])
        assert (ledger["delivered"], ledger["dead"], ledger["in_flight"]) == (0, {}, 10)
        assert ledger["stopped"].startswith("the request cannot be signed: integer: expected number")
        status, ledger, _ = run(tmp_path, SPEC, receiver, "--state", "state")
    assert (status, ledger["delivered"]) == (0, 10)
    assert (tmp_path / "dead.ndjson").exists() is False


def test_error_a_key_that_is_no_base64_is_told_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "hook.yaml").write_text(f"{SPEC}".replace('.key }}"\n', '.key }}"\n    key: base64\n'))
    (tmp_path / "none.ndjson").write_text("no event")
    given = ("--set", "key=env:KEY", "--endpoint-override", "http://127.0.0.1:1")
    status, out, said = waypost("run", "hook.yaml", *given, "none.ndjson", cwd=tmp_path, KEY="no base64!")
    assert (status, out) == (2, "")
    assert said == (
        "waypost: hook: the setting `key` cannot be used in request: `sign.hmac_sha256`: it is no base64 (it is secret, and not shown)\n"
    )
