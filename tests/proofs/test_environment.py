"""Odd environments x commands: each works, or ends with one line and a status of its own; never a traceback, never a fault of ours.

Takes variables, limits, folders and streams that a service manager, a container or a person may leave to a process.

Mutations that turn this red: `unusable.told` that says nothing; `Store` that does not expect its second connection to fail."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from waypost.http.receiver import Receiver

SPEC = """\
spec: 1
name: shop
settings: {at: {type: url, default: "https://x.example"}, key: {type: string, secret: true}}
auth: {bearer: "{{ settings.key }}"}
check: {get: "{{ settings.at }}/me"}
request: {post: "{{ settings.at }}/in", body: $message}
actions:
  all: {trigger: type = "track", mapping: {id: $.messageId}}
"""
TESTS = "settings: {key: k}\ntests:\n  - {name: one, event: {type: track, messageId: m}, expect: {action: all}}\n"
EVENTS = '{"type":"track","event":"日本","messageId":"m1"}\n{"type":"track","messageId":"m2"}\n'
CONNECTIONS = """\
connections: {one: {destination: shop, sources: [a], settings: {key: env:KEY}}}
sources: {a: {files: events.ndjson}}
"""


def gone() -> None:
    folder = tempfile.mkdtemp(prefix="waypost-gone-")
    os.chdir(folder)
    os.rmdir(folder)


def limited(kind: int, most: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (most, most))


Environment = tuple[dict[str, str | None], Callable[[], object] | None, str]
"""Variables (None: not set; FILE: a file that is none of these), what is done before the command begins, how the shell joins its streams."""


def variables(**given: str | None) -> Environment:
    return given, None, ""


ENVIRONMENTS: dict[str, Environment] = {
    "folder gone": ({}, gone, ""),
    "8 descriptors": ({}, limited(resource.RLIMIT_NOFILE, 8), ""),
    "no byte of a file": ({}, limited(resource.RLIMIT_FSIZE, 0), ""),
    "no home": variables(HOME="/nowhere/x", XDG_CACHE_HOME=None),
    "no locale": variables(LC_ALL="POSIX", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0", PYTHONIOENCODING="ascii:strict"),
    "no streams": ({}, None, "<&- >&- 2>&-"),
    "utf-16": variables(PYTHONIOENCODING="utf-16"),
    "C": variables(LANG="C", LC_ALL="C"),
    "latin": variables(LC_ALL="en_US.ISO-8859-1", PYTHONIOENCODING="latin-1"),
    "HOME unset": variables(HOME=None, XDG_CACHE_HOME=None),
    "HOME empty": variables(HOME="", XDG_CACHE_HOME=""),
    "HOME a file": variables(HOME="FILE", XDG_CACHE_HOME="FILE"),
    "HOME long": variables(HOME="/x" * 3000, XDG_CACHE_HOME="/x" * 3000),
    "TMPDIR gone": variables(TMPDIR="/nowhere/x", TMP=None, TEMP=None),
    "TMPDIR a file": variables(TMPDIR="FILE"),
    **{f"COLUMNS={value}": variables(COLUMNS=value, LINES=value) for value in ("0", "-1", "x", "1", "9" * 30)},
    "TERM": variables(TERM="garbage\x01", FORCE_COLOR="1"),
    "TERM unset": variables(TERM=None),
    **{f"TZ={value!r}": variables(TZ=value) for value in ("Nowhere/X", ":/etc/passwd", "\x01", "")},
    "umask": ({}, lambda: os.umask(0o777), ""),
    "16 descriptors": ({}, limited(resource.RLIMIT_NOFILE, 16), ""),
    "4 KiB of a file": ({}, limited(resource.RLIMIT_FSIZE, 4096), ""),
    "keys of TLS": variables(SSLKEYLOGFILE="/nowhere/x"),
    "authorities": variables(SSL_CERT_FILE="/nowhere/x", SSL_CERT_DIR="/nowhere/x"),
    "authority": variables(SSL_CERT_FILE="FILE"),
    "OpenSSL": variables(OPENSSL_CONF="/nowhere/x"),
    "proxies": variables(HTTPS_PROXY="socks5://x", ALL_PROXY="nonsense", NO_PROXY="[::1],::1/128,*.x,,,"),
    "optimised": variables(PYTHONOPTIMIZE="2"),
    "developer": variables(PYTHONDEVMODE="1", PYTHONASYNCIODEBUG="1"),
    "guard": variables(WAYPOST_GUARD="nonsense"),
    "no input": ({}, None, "<&-"),
    "no output": ({}, None, ">&-"),
    "no errors": ({}, None, "2>&-"),
}


def commands(url: str) -> dict[str, tuple[str, ...]]:
    to = ("--set", "key=env:KEY", "--set", f"at={url}")
    return {
        "lint": ("lint", "shop"),
        "test": ("test", "shop", "--update"),
        "dry": ("run", "shop", *to, "--dry-run", "--json", "events.ndjson"),
        "run": ("run", "shop", *to, "events.ndjson"),
        "state": ("run", "shop", *to, "--state", "kept", "events.ndjson"),
        "workers": ("run", "shop", *to, "--workers", "2", "events.ndjson"),
        "stdin": ("run", "shop", *to),
        "connections": ("run", "waypost.yaml", "--endpoint-override", url),
        "check": ("check", "shop", *to),
        "new": ("new", "other"),
        "docs": ("docs", "shop"),
    }


def ended(environment: Environment, words: tuple[str, ...], folder: Path) -> subprocess.CompletedProcess[bytes]:
    given, before, streams = environment
    for name, text in {
        "shop/destination.yaml": SPEC,
        "shop/tests.yaml": TESTS,
        "events.ndjson": EVENTS,
        "waypost.yaml": CONNECTIONS,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    found = {**os.environ, "KEY": "k", **given}
    env = {
        name: str(folder / "events.ndjson") if value == "FILE" else value
        for name, value in found.items()
        if value is not None
    }
    whole = [sys.executable, "-m", "waypost", *words]
    if streams:
        whole = ["bash", "-c", f'"$@" {streams}', "bash", *whole]
    return subprocess.run(
        whole,
        cwd=folder,
        env=env,
        input=EVENTS.encode(),
        capture_output=True,
        timeout=120,
        preexec_fn=before,
        check=False,
    )


def judge(name: str, command: str, folder: Path, url: str) -> None:
    (folder / command).mkdir()
    done = ended(ENVIRONMENTS[name], commands(url)[command], folder / command)
    said = done.stderr.decode(errors="replace")
    assert "Traceback" not in said + done.stdout.decode(errors="replace"), (name, command, said)
    assert "fault of waypost" not in said, (name, command, said)
    # 70: a disk that takes nothing.
    assert done.returncode in ((0, 1, 2, 3, 4, 70) if "file" in name else (0, 1, 2, 3, 4)), (name, command, said)
    if done.returncode == 70:
        assert said.count("\n") == 1, (name, command, said)
        assert "File too large" in said, (name, command, said)


FELL = {
    "folder gone": "new",
    "8 descriptors": "state",
    "no byte of a file": "test",
    "no locale": "dry",
    "no streams": "run",
}


@pytest.mark.parametrize("name", FELL)
def test_a_command_in_an_odd_environment(name: str, tmp_path: Path) -> None:
    with Receiver(port=0) as receiver:
        judge(name, FELL[name], tmp_path, receiver.url)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_command_in_every_odd_environment(name: str, tmp_path: Path) -> None:
    with Receiver(port=0) as receiver:
        for command in commands(receiver.url):
            judge(name, command, tmp_path, receiver.url)
