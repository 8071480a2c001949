"""Odd environments and TLS, as people meet them: what works without a variable goes on; what cannot is one line that names it, status 2."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pki
from running import Engine, free_port, waypost, waypost_process
from waypost.http import trust
from waypost.http.receiver import Receiver

needs_openssl = pytest.mark.skipif(pki.OPENSSL is None, reason="openssl makes the certificates")

SPEC = """
spec: 1
name: plain
settings:
  base: {type: url, default: "https://dest.example"}
  key: {type: string, secret: true, optional: true}
auth: {bearer: "{{ settings.key }}"}
check: {get: "{{ settings.base }}/check"}
request:
  post: "{{ settings.base }}/in"
  body: $message
actions:
  all:
    trigger: type = "track"
    mapping: {$merge: $}
"""
TESTS = """
tests:
  - name: goes
    event: {type: track, event: A, messageId: m}
    expect: {action: all}
"""
EVENT = '{"type":"track","event":"A","messageId":"m1"}\n'


def prepare(folder: Path, **connections: str) -> Path:
    (folder / "specs" / "plain").mkdir(parents=True, exist_ok=True)
    (folder / "specs" / "plain" / "destination.yaml").write_text(SPEC, encoding="utf-8")
    (folder / "specs" / "plain" / "tests.yaml").write_text(TESTS, encoding="utf-8")
    (folder / "events.ndjson").write_text(EVENT, encoding="utf-8")
    (folder / "empty").write_text("", encoding="utf-8")
    (folder / "text").write_text("no certificate\n", encoding="utf-8")
    rows = [f"  {name}: {{destination: specs/plain, sources: [all], {text}}}\n" for name, text in connections.items()]
    text = "connections:\n" + "".join(rows) + "sources:\n  all: {files: events.ndjson}\n"
    if connections:
        (folder / "waypost.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pki.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("SSL"):
            monkeypatch.delenv(name)


def run(folder: Path, *words: str, **env: str) -> tuple[int, str]:
    """(status, all that it said) of a command that has made no context of TLS before. One with workers is a process of its own."""
    trust._trust_of.cache_clear()
    status, out, err = (waypost_process if "--workers" in words else waypost)(*words, cwd=folder, **env)
    return status, out + err


ODD: dict[str, dict[str, str]] = {
    "NO_PROXY": {"NO_PROXY": "localhost,127.0.0.0/8,::1/129,[::1", "HTTPS_PROXY": "http://127.0.0.1:1"},
    "ALL_PROXY": {"ALL_PROXY": "socks://127.0.0.1:1080"},
    "https_proxy": {"https_proxy": "htp://u:canary-web-key@127.0.0.1:3128"},
    "HTTPS_PROXY": {"HTTPS_PROXY": "http://127.0.0.1:99999"},
    "SSL_CERT_FILE": {"SSL_CERT_FILE": "gone.pem"},
    "SSL_CERT_FILE ": {"SSL_CERT_FILE": "empty"},
    "SSL_CERT_FILE  ": {"SSL_CERT_FILE": "text"},
    "SSL_CERT_FILE   ": {"SSL_CERT_FILE": "specs"},
    "SSL_CERT_DIR": {"SSL_CERT_DIR": "gone"},
    "SSL_CERT_DIR ": {"SSL_CERT_DIR": "specs"},
    "SSL_CERT_DIR  ": {"SSL_CERT_DIR": "text"},
    "SSLKEYLOGFILE": {"SSLKEYLOGFILE": "gone/keys.log"},
}
GOES_ON = ("NO_PROXY", "SSLKEYLOGFILE")
"""Where nothing is missing: it is said, and that is all."""

RUN = ("run", "specs/plain", "--connect-within", "0", "--state", "state")


@pytest.mark.parametrize("name", ODD)
def test_what_needs_no_variable_goes_on(name: str, tmp_path: Path) -> None:
    """Offline commands, and a run to loopback. Mutation: `Transport._make` with `verify` always made."""
    prepare(tmp_path)
    assert run(tmp_path, "lint", **ODD[name])[0] == 0
    assert run(tmp_path, "test", "specs/plain", **ODD[name])[0] in (0, 1), "no golden file yet"
    assert run(tmp_path, "preview", "specs/plain", "events.ndjson", **ODD[name])[0] == 0
    assert run(tmp_path, "run", "specs/plain", "--dry-run", "events.ndjson", **ODD[name])[0] == 0
    with Receiver(port=0) as receiver:
        to = ("--set", f"base={receiver.url}")
        assert run(tmp_path, "run", "specs/plain", *to, "events.ndjson", **ODD[name])[0] == 0
        assert run(tmp_path, "check", "specs/plain", *to, **ODD[name])[0] == 0
        assert run(tmp_path, "run", "specs/plain", *to, "--workers", "2", "events.ndjson", **ODD[name])[0] == 0
        assert [request.method for request in receiver.requests] == ["POST", "GET", "POST"]


@pytest.mark.parametrize("name", [name for name in ODD if name not in GOES_ON])
def test_what_needs_a_variable_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    """Before anything is read or sent, by every command that sends. Mutation: a command without `prepare_to_send`."""
    prepare(tmp_path, crm="enabled: true", other="enabled: true")
    with Receiver(port=0, script="422x9") as receiver:
        words = ("run", "waypost.yaml", "--state", "state", "--endpoint-override", receiver.url)
        assert run(tmp_path, *words)[0] == 3, "dead letters to send again"
    for words in (
        ("run", "specs/plain", "events.ndjson"),
        ("run", "specs/plain", "--state", "other", "--workers", "2", "events.ndjson"),
        ("run", "waypost.yaml"),
        ("run", "waypost.yaml", "--workers", "2", "--state", "other"),
        ("check", "specs/plain"),
        ("check",),
        ("dead", "replay", "--state", "state"),
    ):
        status, said = run(tmp_path, *words, **ODD[name])
        assert status == 2, said
        assert said.count("\n") == 1, said
        assert name.strip() in said


def test_entries_of_no_proxy_that_mean_nothing_are_said_once(tmp_path: Path) -> None:
    prepare(tmp_path)
    with Receiver(port=0) as receiver:
        words = ("run", "specs/plain", "--set", f"base={receiver.url}", "events.ndjson")
        status, said = run(tmp_path, *words, NO_PROXY="a.example,::1/128,::1/129,u:p@h")
    assert status == 0
    assert said.count("warning: NO_PROXY: passed over `::1/129`, one with an `@`: no host, domain") == 1


def test_ssl_key_log_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    prepare(tmp_path)
    status, said = run(
        tmp_path, "check", "specs/plain", "--set", f"base=https://127.0.0.1:{free_port()}", SSLKEYLOGFILE="no/k"
    )
    assert status == 4
    assert said.count("warning: SSLKEYLOGFILE cannot be written (No such file or directory): keys are not logged") == 1


# TLS.

FAULTS = [
    ("server", None, {}, "certificate is not to be trusted"),
    ("elsewhere", None, {"ca": "ca"}, "Hostname mismatch"),
    ("expired", None, {"ca": "ca"}, "certificate has expired"),
    ("server", None, {"ca": "other"}, "certificate is not to be trusted"),
    ("server", "ca", {"ca": "ca"}, "the server wants a client certificate"),
    ("server", "ca", {"ca": "ca", "certificate": "stranger"}, "authority of the client certificate"),
]


def options(folder: Path, tls: dict[str, str]) -> list[str]:
    found = [f"--tls-{word}={folder / name}.pem" for word, name in tls.items()]
    if "certificate" in tls:
        found.append(f"--tls-key={folder / tls['certificate']}.key")
    return found


@needs_openssl
@pytest.mark.parametrize("tls12", [False, True])
@pytest.mark.parametrize(("name", "client_ca", "tls", "said"), FAULTS)
def test_what_tls_cannot_heal_stops_with_its_reason(
    name: str, client_ca: str | None, tls: dict[str, str], said: str, tls12: bool, certificates: Path, tmp_path: Path
) -> None:
    """Status 4, in whatever phase it comes: with TLS 1.3 a refused client hears of it at its first read. Mutation: `hopeless=False`."""
    prepare(tmp_path)
    with pki.serving(context=pki.tls_server(certificates, name, client_ca, tls12=tls12)) as port:
        to = ("--set", f"base=https://localhost:{port}", *options(certificates, tls))
        status, _, err = waypost("run", "specs/plain", *to, "events.ndjson", cwd=tmp_path)
        probed = waypost("check", "specs/plain", *to, cwd=tmp_path)
    assert status == 4, err
    assert "cannot write" not in err
    if not (tls12 and client_ca):
        assert said in err
    assert probed[0] == 4


@needs_openssl
@pytest.mark.parametrize("tls12", [False, True])
def test_private_authority_and_client_certificate(certificates: Path, tmp_path: Path, tls12: bool) -> None:
    """By options, by SSL_CERT_FILE, for a connection; key beside the certificate or in its file. Each process has its own context."""
    server = pki.tls_server(certificates, client_ca="ca", tls12=tls12)
    with pki.serving(context=server) as port:
        base = f"https://localhost:{port}"
        files = f"ca: file:{certificates}/ca.pem, certificate: file:{certificates}"
        prepare(
            tmp_path,
            apart=f"settings: {{base: {base}}}, tls: {{{files}/client.pem, key: file:{certificates}/client.key}}",
            together=f"settings: {{base: {base}}}, tls: {{{files}/both.pem}}",
        )
        to = ("--set", f"base={base}", f"--tls-certificate={certificates}/both.pem")
        words = ("run", "specs/plain", *to, "--tls-ca", f"{certificates}/ca.pem", "events.ndjson")
        assert run(tmp_path, *words)[0] == 0
        assert run(tmp_path, *words, "--workers", "2", "--state", "state")[0] == 0
        assert run(tmp_path, "run", "specs/plain", *to, "events.ndjson", SSL_CERT_FILE=f"{certificates}/ca.pem")[0] == 0
        assert run(tmp_path, "run", "waypost.yaml", SSL_CERT_FILE="gone.pem")[0] == 0, (
            "an authority of its own is enough"
        )
        assert run(tmp_path, "check", SSL_CERT_FILE="gone.pem")[0] == 0
        assert run(tmp_path, "compile", "waypost.yaml")[0] == 0
        assert run(tmp_path, "run", "waypost.yaml", "--frozen", "--workers", "2", "--state", "s")[0] == 0


@needs_openssl
@pytest.mark.parametrize(
    ("tls", "said"),
    [
        ({"ca": "gone.pem"}, "`tls.ca`: cannot read"),
        ({"ca": "empty"}, "`tls.ca`: empty is empty"),
        ({"ca": "text"}, "`tls.ca`: text holds no certificates"),
        ({"ca": "specs"}, "`tls.ca`: cannot read specs: Is a directory"),
        ({"certificate": "gone.pem"}, "`tls.certificate`: cannot read"),
        ({"certificate": "PKI/client.pem"}, "`tls.certificate`: PKI/client.pem holds no private key"),
        ({"certificate": "PKI/client.key"}, "`tls.certificate`: PKI/client.key holds no certificate"),
        ({"certificate": "PKI/client.pem", "key": "PKI/server.key"}, "`tls.key`: the key in PKI/server.key is not the one of"),
        ({"certificate": "PKI/client.pem", "key": "PKI/locked.key"}, "`tls.key`: the key in PKI/locked.key is encrypted"),
        ({"certificate": "PKI/client.pem", "key": "gone.key"}, "`tls.key`: cannot read"),
        ({"certificate": "PKI/client.pem", "key": "text"}, "`tls.key`: text holds no private key"),
    ],
)  # fmt: skip
def test_file_of_tls_that_cannot_be_used_is_one_line(
    tls: dict[str, str], said: str, certificates: Path, tmp_path: Path
) -> None:
    """Named by the setting in a connections file, by the option on the command line. Mutation: `_read` without the check for nothing."""
    held = ", ".join(f"{word}: file:{name.replace('PKI', str(certificates))}" for word, name in tls.items())
    prepare(tmp_path, crm=f"tls: {{{held}}}")
    said = said.replace("PKI", str(certificates))
    status, _, err = waypost("run", "waypost.yaml", cwd=tmp_path)
    assert (status, err.count("\n")) == (2, 1), err
    assert f"crm: {said}" in err
    words = [f"--tls-{word}={name.replace('PKI', str(certificates))}" for word, name in tls.items()]
    for command in (("run", "specs/plain", "events.ndjson"), ("check", "specs/plain")):
        status, _, err = waypost(*command, *words, cwd=tmp_path)
        assert (status, err.count("\n")) == (2, 1), err
        assert said.replace("`tls.", "--tls-").replace("`", "") in err


@needs_openssl
def test_end_of_a_lane_is_told_at_once_and_shown(certificates: Path, tmp_path: Path) -> None:
    """Of several connections one is refused by TLS: the others go on, and `/ready` shows the one. Mutation: `_tell_end` without `_among`."""
    with Receiver(port=0, script="200:delay=60") as receiver, pki.serving(context=pki.tls_server(certificates)) as port:
        prepare(
            tmp_path,
            good=f"settings: {{base: {receiver.url}}}",
            bad=f"settings: {{base: 'https://localhost:{port}'}}, tls: {{ca: file:{certificates}/other.pem}}",
        )
        engine = Engine(tmp_path, "run", "waypost.yaml", "--listen", "0", "--state", "state", "--drain", "0.1")
        try:
            assert engine.heard("bad: stopped: localhost: the server's certificate is not to be trusted")
            address = (tmp_path / "state" / "listening").read_text().strip()
            ready = json.loads(get(address + "/ready"))
            assert ready["ready"] is True
            assert [text.partition(":")[0] for text in ready["stopped"]] == ["bad from all"]
        finally:
            engine.process.kill()
            engine.end()


def get(url: str) -> bytes:
    import urllib.request

    with urllib.request.urlopen(url, timeout=10) as answer:
        found: bytes = answer.read()
    return found


# Proxies.


@pytest.fixture
def proxy() -> Iterator[tuple[int, list[bytes], list[int]]]:
    """A forward proxy that sends every tunnel to one port: its own port, the heads that it saw, and that port."""
    heads: list[bytes] = []
    back: list[int] = []

    def talk(connection: Any) -> None:
        import socket

        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(65536)
            if not piece:
                return
            head += piece
        heads.append(head)
        if not back:
            echo = head.split(b"\r\n")[0]
            connection.sendall(b"HTTP/1.1 407 " + echo + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", back[0]), 10) as behind:
            connection.sendall(b"HTTP/1.1 200 ok\r\n\r\n")
            thread = threading.Thread(target=pump, args=(connection, behind), daemon=True)
            thread.start()
            pump(behind, connection)
            thread.join(10)

    def pump(source: Any, target: Any) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, target):
                with contextlib.suppress(OSError):
                    end.shutdown(2)

    with pki.serving(talk) as port:
        yield port, heads, back


@needs_openssl
def test_private_authority_is_believed_through_a_proxy(
    certificates: Path, tmp_path: Path, proxy: tuple[int, list[bytes], list[int]]
) -> None:
    """Mutation: `_through` without `auth`."""
    port, heads, back = proxy
    pki.certificate(certificates, "named", "DNS:dest.example")
    prepare(tmp_path)
    env = {"HTTPS_PROXY": f"http://us%40er:canary-web-key@127.0.0.1:{port}", "NO_PROXY": ".other.example"}
    with pki.serving(context=pki.tls_server(certificates, "named")) as behind:
        back.append(behind)
        words = ("run", "specs/plain", "events.ndjson")
        assert run(tmp_path, *words, **env, SSL_CERT_FILE=f"{certificates}/ca.pem")[0] == 0
        status, said = run(tmp_path, *words, **env)
        assert status == 4
        assert "dest.example through the proxy of HTTPS_PROXY: the server's certificate is not to be trusted" in said
    assert heads[0].startswith(b"CONNECT dest.example:443 ")
    assert b"proxy-authorization: basic" in heads[0].lower()


def test_proxy_that_wants_a_password_stops(tmp_path: Path, proxy: tuple[int, list[bytes], list[int]]) -> None:
    prepare(tmp_path)
    status, said = run(tmp_path, "run", "specs/plain", "events.ndjson", HTTPS_PROXY=f"127.0.0.1:{proxy[0]}")
    assert status == 4
    assert "the proxy of HTTPS_PROXY wants a user and a password (407)" in said


# http inside a network.


def test_plain_http_is_asked_for_by_name_and_said(tmp_path: Path) -> None:
    """Mutation: `url_fault` that takes http anywhere; `warn_of_plain` left out."""
    prepare(tmp_path, crm="settings: {base: 'http://collector.internal:8000'}, plain_http: true")
    words = ("run", "specs/plain", "--set", "base=http://collector.internal:8000", "--dry-run", "events.ndjson")
    status, _, err = waypost(*words, cwd=tmp_path)
    assert (status, err.count("\n")) == (2, 1)
    assert "`plain_http: true` in a connection, --plain-http for a single run" in err
    status, out, err = waypost(*words, "--plain-http", cwd=tmp_path)
    assert status == 0
    assert "POST http://collector.internal:8000/in" in out
    loud = "plain http: events and credentials go unencrypted to collector.internal:8000"
    assert f"warning: plain: {loud}" in err
    assert waypost("lint", "waypost.yaml", cwd=tmp_path)[0] == 0
    status, out, err = waypost("run", "waypost.yaml", "--dry-run", cwd=tmp_path)
    assert status == 0
    assert f"warning: crm: {loud}" in err
    prepare(tmp_path, crm="settings: {base: 'http://collector.internal:8000'}")
    status, out, err = waypost("lint", "waypost.yaml", cwd=tmp_path)
    assert status == 1
    assert "`plain_http: true`" in out + err


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://dest.example/v1?region=eu", "a url without a query: leave out the `?`"),
        ("https://dest.example/v1#x", "a url without a fragment"),
        ("https://u:p@dest.example", "a url without user and password"),
        ("https://dest.example:x", "its host or port cannot be read"),
        ("https://dest. example", "white space stands in it"),
        ("ftp://dest.example", "is an https url (http for loopback hosts only)"),
    ],
)
def test_url_that_is_not_taken_says_what_is_wrong_with_it(url: str, said: str, tmp_path: Path) -> None:
    prepare(tmp_path)
    status, _, err = waypost("run", "specs/plain", "--set", f"base={url}", "--dry-run", "events.ndjson", cwd=tmp_path)
    assert status == 2
    assert said in err
