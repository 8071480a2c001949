"""A webhook's url that is itself the secret: it is sent to as it is, and shown nowhere, its path alone neither."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from running import waypost
from waypost.compiler.pipeline import compile_text

TOKEN = "SeCrEtToKeN-0123456789"
SPEC = """spec: 1
name: hook
settings:
  webhook_url: {type: TYPE, secret: true, label: Webhook URL}
request:
  post: "{{ settings.webhook_url }}"
  body: $message
actions:
  send:
    trigger: type = "track"
    mapping: {text: $.event}
"""
EVENT = b'{"type":"track","userId":"u","event":"A","messageId":"m"}\n'


class Echo(BaseHTTPRequestHandler):
    """Refuses, and says in header and body what it was asked for."""

    paths: list[str] = []

    def do_POST(self) -> None:
        self.paths.append(self.path)
        said = f'{{"error": "no hook at {self.path}, nor at {self.path[1:]}"}}'.encode()
        self.send_response(400, f"no {self.path}")
        self.send_header("content-length", str(len(said)))
        self.send_header("x-path", self.path)
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *words: object) -> None:
        return None


@pytest.fixture
def echo() -> Iterator[str]:
    Echo.paths = []
    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_only_a_url_may_be_a_secret_at_a_urls_start() -> None:
    assert compile_text(SPEC.replace("TYPE", "url"), "hook.yaml")[1].diagnostics == []
    assert "X101" in {item.code for item in compile_text(SPEC.replace("TYPE", "string"), "hook.yaml")[1].diagnostics}


@pytest.mark.parametrize("override", [False, True])
def test_a_refusal_tells_nothing(override: bool, echo: str, tmp_path: Path) -> None:
    """With `--endpoint-override` the host differs from the secret's, so that only its path can tell."""
    (tmp_path / "spec.yaml").write_text(SPEC.replace("TYPE", "url"), encoding="utf-8")
    (tmp_path / "e.ndjson").write_bytes(EVENT)
    host = "https://hooks.example.com" if override else echo
    words = ["--endpoint-override", echo] if override else []
    given = ["run", "spec.yaml", "--set", "webhook_url=env:HOOK", "--log", "json", "--dead-letters", "dead", *words]
    status, out, err = waypost(*given, "e.ndjson", cwd=tmp_path, HOOK=f"{host}/services/{TOKEN}")
    assert (status, Echo.paths) == (3, [f"/services/{TOKEN}"]), err
    letter = (tmp_path / "dead").read_text(encoding="utf-8")
    assert "no hook at" in letter
    for text in (out, err, letter):
        assert TOKEN not in text


def test_a_dry_run_shows_its_name(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC.replace("TYPE", "url"), encoding="utf-8")
    (tmp_path / "e.ndjson").write_bytes(EVENT)
    words = ("run", "spec.yaml", "--set", "webhook_url=env:HOOK", "--dry-run", "e.ndjson")
    status, out, err = waypost(*words, cwd=tmp_path, HOOK=f"https://hooks.example.com/services/{TOKEN}")
    assert (status, out.splitlines()[0]) == (0, "POST <webhook_url>"), err
    assert "hooks.example.com" not in out + err
