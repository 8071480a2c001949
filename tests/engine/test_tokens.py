"""OAuth 2 on loopback: one server is the authorization server and the destination, and real runs send to it."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

import pki
from running import waypost
from waypost.http.receiver import Received, Receiver, Reply

SECRET = "canary-client-secret"
SPEC = """spec: 1
name: shop
settings:
  client: {type: string, default: "my client"}
  key: {type: string, secret: true}
auth:
  oauth2:
    token_url: https://auth.example.com/oauth/token
    client_id: "{{ settings.client }}"
    client_secret: "{{ settings.key }}"
    scope: a b
check: {get: https://api.example.com/me}
request:
  post: https://api.example.com/events
  body: $message
  concurrency: 8
actions:
  send:
    trigger: type = "track"
    mapping: {id: $.messageId}
"""


class Server:
    """State: the tokens that were given, those that are refused now, what came. `grant` answers for the n-th token, `accept` for the n-th
    request with a good one."""

    def __init__(self, **given: Any) -> None:
        self.grant = given.get("grant", lambda count: self.token(count))
        self.accept = given.get("accept", lambda count: Reply(200))
        self.refused: set[str] = set()
        self.tokens: list[Received] = []
        self.sent: list[tuple[str, str, int]] = []
        self.lock = threading.Lock()

    @staticmethod
    def token(count: int, **more: Any) -> Reply:
        held = {"access_token": f"canary-token-{count:04}", "token_type": "bearer", "expires_in": 3600, **more}
        return Reply(200, body=json.dumps(held).encode())

    def __call__(self, request: Received) -> Reply:
        with self.lock:
            if request.path == "/oauth/token":
                self.tokens.append(request)
                reply: Reply = self.grant(len(self.tokens))
                return reply
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            good = token.startswith("canary-token-") and token not in self.refused
            reply = self.accept(len(self.sent)) if good else Reply(401)
            self.sent.append((token, request.path, reply.status))
            return reply


def run(folder: Path, server: Server, *words: str, count: int = 20, spec: str = SPEC) -> tuple[int, Any, str]:
    (folder / "shop.yaml").write_text(spec)
    lines = [json.dumps({"type": "track", "messageId": f"m{n}"}) + "\n" for n in range(count)]
    (folder / "events.ndjson").write_text("".join(lines))
    with Receiver(port=0, answer=server) as receiver:
        given = ("--set", "key=env:KEY", "--endpoint-override", receiver.url, "--state", "state")
        status, out, said = waypost(
            "run", "shop.yaml", *given, *words, "--json", "events.ndjson", cwd=folder, KEY=SECRET
        )
    assert "canary" not in out + said
    return status, json.loads(out), said


def test_one_token_for_all_requests(tmp_path: Path) -> None:
    """Asked for as the standard has it. Mutation that turns this red: a fetch for each request that finds none."""
    server = Server()
    status, ledger, _ = run(tmp_path, server)
    assert (status, ledger["delivered"]) == (0, 20)
    (asked,) = server.tokens
    assert (asked.method, asked.headers["content-type"]) == ("POST", "application/x-www-form-urlencoded")
    assert dict(parse_qsl(asked.body.decode())) == {"grant_type": "client_credentials", "scope": "a b"}
    basic = base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")).decode()
    assert basic == f"my+client:{SECRET}"
    assert set(server.sent) == {("canary-token-0001", "/events", 200)}


def test_the_form_takes_the_client_where_the_server_wants_it(tmp_path: Path) -> None:
    server = Server()
    spec = SPEC.replace("scope: a b", "client: form\n    form: {audience: x y}")
    assert run(tmp_path, server, count=1, spec=spec)[0] == 0
    (asked,) = server.tokens
    assert "authorization" not in asked.headers
    assert dict(parse_qsl(asked.body.decode())) == {
        "grant_type": "client_credentials",
        "client_id": "my client",
        "client_secret": SECRET,
        "audience": "x y",
    }


def test_connections_with_one_credential_share_its_token(tmp_path: Path) -> None:
    """Three lanes begin at once, and the server is slow. Mutation that turns this red: a credential for each lane."""
    server = Server(grant=lambda count: replace(Server.token(count), delay_s=0.5))
    (tmp_path / "shop.yaml").write_text(SPEC)
    (tmp_path / "e.ndjson").write_text("".join(f'{{"type":"track","messageId":"m{n}"}}\n' for n in range(10)))
    rows = [f"  c{n}: {{destination: ./shop.yaml, sources: [s], settings: {{key: env:KEY}}}}\n" for n in range(3)]
    other = "  other: {destination: ./shop.yaml, sources: [s], settings: {key: env:KEY, client: two}}\n"
    (tmp_path / "waypost.yaml").write_text(
        "connections:\n" + "".join(rows) + other + "sources:\n  s: {files: e.ndjson, from: start}\n"
    )
    with Receiver(port=0, answer=server) as receiver:
        words = ("run", "waypost.yaml", "--endpoint-override", receiver.url)
        status, out, said = waypost(*words, cwd=tmp_path, KEY=SECRET)
    assert status == 0, said
    assert len(server.tokens) == 2
    assert [row[2] for row in server.sent] == [200] * 40
    assert "canary" not in out + said


def test_a_401_renews_once_and_goes_on(tmp_path: Path) -> None:
    """The first token is withdrawn in the middle of a run: each event arrives once. Mutation: a 401 that drops whatever token there is."""
    server = Server()

    def accept(count: int) -> Reply:
        if count == 7:
            server.refused.add("canary-token-0001")
            return Reply(401)
        return Reply(200)

    server.accept = accept
    status, ledger, _ = run(tmp_path, server)
    assert (status, ledger["delivered"]) == (0, 20)
    assert len(server.tokens) == 2
    assert sum(row[2] == 200 for row in server.sent) == 20


def test_a_token_that_is_always_refused_stops_the_lane(tmp_path: Path) -> None:
    """No loop: at most two attempts for each request that was under way, and nothing is lost."""
    server = Server(accept=lambda count: Reply(401))
    status, ledger, _ = run(tmp_path, server)
    assert (status, ledger["delivered"], ledger["dead"], ledger["in_flight"]) == (4, 0, {}, ledger["deliveries"])
    assert ledger["stopped"] == "the destination answered 401: check its credentials and settings"
    assert len(server.sent) <= 16
    assert len(server.tokens) <= 9
    status, ledger, _ = run(tmp_path, Server())
    assert (status, ledger["delivered"]) == (0, 20)


REFUSED = [
    (
        Reply(400, body=b'{"error":"invalid_client","error_description":"canary"}'),
        "it answered 400 (invalid_client): check its credentials and settings",
    ),
    (Reply(401), "it answered 401: check its credentials and settings"),
    (
        Reply(302, headers={"location": "/elsewhere"}),
        "it answered 302, and a request with credentials is not sent elsewhere: check `token_url`",
    ),
    (
        Reply(307, headers={"location": "/elsewhere"}),
        "it answered 307, and a request with credentials is not sent elsewhere: check `token_url`",
    ),
    (Reply(200, body=b"<html>canary</html>"), "its answer is no JSON"),
    (Reply(200, body=b'{"error":"invalid_grant"}'), "its answer holds no access_token (invalid_grant)"),
    (Reply(200, body=b'{"access_token":"a b"}'), "its answer holds no access_token"),
    (Reply(200, body=b'{"access_token":7}'), "its answer holds no access_token"),
    (Reply(200, body=b"[]"), "its answer holds no access_token"),
    (Reply(204), "its answer is no JSON"),
]


@pytest.mark.parametrize(("reply", "wanted"), REFUSED, ids=[row[1] for row in REFUSED])
def test_no_token_stops_the_lane_and_loses_nothing(tmp_path: Path, reply: Reply, wanted: str) -> None:
    """Asked once, whatever the answer; the next run delivers all. Mutation that turns this red: a 4xx that is asked again."""
    server = Server(grant=lambda count: reply)
    status, ledger, _ = run(tmp_path, server, count=5)
    assert (status, ledger["delivered"], ledger["dead"]) == (4, 0, {})
    assert ledger["stopped"].startswith("no token: 127.0.0.1:")
    assert ledger["stopped"].endswith(f": {wanted}")
    assert (len(server.tokens), server.sent) == (1, [])
    status, ledger, _ = run(tmp_path, Server(), count=5)
    assert (status, ledger["delivered"]) == (0, 5)


@pytest.mark.parametrize(
    "reply", [Reply(500), Reply(503, headers={"retry-after": "0"}), Reply(429, {"retry-after": "0"}), Reply(408)]
)
def test_a_server_that_fails_is_asked_again(tmp_path: Path, reply: Reply) -> None:
    server = Server(grant=lambda count: reply if count < 3 else Server.token(count))
    status, ledger, _ = run(tmp_path, server)
    assert (status, ledger["delivered"], len(server.tokens)) == (0, 20, 3)


def test_a_destination_that_tells_the_token_back(tmp_path: Path) -> None:
    """In a dead letter and on standard error it is masked. Mutation that turns this red: a mask that is made before the token is there."""
    server = Server(accept=lambda count: Reply(422, body=b'{"got":"Bearer canary-token-0001"}'))
    status, ledger, _ = run(tmp_path, server, count=2)
    assert (status, ledger["dead"]) == (3, {"refused": 2})
    status, out, _ = waypost("dead", "export", "--state", "state", cwd=tmp_path)
    assert (status, "canary" in out, "***" in out) == (0, False, True)


@pytest.mark.parametrize(
    ("grant", "wanted", "said"),
    [
        (Server.token(1), 0, "the probe was answered 200"),
        (Reply(400, body=b'{"error":"invalid_client"}'), 4, "it answered 400 (invalid_client)"),
        (Reply(503), 4, "answered 503"),
    ],
)
def test_check_asks_for_a_token(tmp_path: Path, grant: Reply, wanted: int, said: str) -> None:
    server = Server(grant=lambda count: grant)
    (tmp_path / "shop.yaml").write_text(SPEC)
    with Receiver(port=0, answer=server) as receiver:
        words = ("check", "shop.yaml", "--set", "key=env:KEY", "--endpoint-override", receiver.url)
        status, out, _ = waypost(*words, cwd=tmp_path, KEY=SECRET)
    assert (status, len(server.tokens)) == (wanted, 1)
    assert said in out
    assert "canary" not in out
    assert [row[:2] for row in server.sent] == ([("canary-token-0001", "/me")] if wanted == 0 else [])


OVER_TLS = """spec: 1
name: shop
settings:
  base: {type: url}
  key: {type: string, secret: true}
auth:
  oauth2: {token_url: "{{ settings.base }}/oauth/token", client_id: me, client_secret: "{{ settings.key }}"}
request: {post: "{{ settings.base }}/events", body: $message}
actions:
  send:
    trigger: type = "track"
    mapping: {id: $.messageId}
"""


@pytest.mark.skipif(pki.OPENSSL is None, reason="openssl makes the certificates")
@pytest.mark.parametrize(("believed", "wanted"), [(True, 0), (False, 4)])
def test_a_token_is_asked_for_as_the_connection_says(tmp_path: Path, believed: bool, wanted: int) -> None:
    """A private authority. Mutation that turns this red: a transport for tokens without the connection's `tls`."""
    (tmp_path / "pki").mkdir()
    keys = pki.make(tmp_path / "pki")
    (tmp_path / "shop.yaml").write_text(OVER_TLS)
    (tmp_path / "e.ndjson").write_text('{"type":"track","messageId":"m1"}\n')
    asked: list[bytes] = []

    def talk(sock: Any) -> None:
        with sock.makefile("rb") as file:
            asked.append(file.readline())
            size = 0
            while (line := file.readline()) not in (b"\r\n", b""):
                size = int(line.split(b":")[1]) if line.lower().startswith(b"content-length:") else size
            file.read(size)
        body = Server.token(1).body
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body)

    with pki.serving(talk, context=pki.tls_server(keys)) as port:
        ca = ("--tls-ca", str(keys / "ca.pem")) if believed else ()
        to = ("--set", "key=env:KEY", "--set", f"base=https://localhost:{port}", *ca)
        status, out, said = waypost("run", "shop.yaml", *to, "e.ndjson", cwd=tmp_path, KEY=SECRET)
    assert status == wanted, out + said
    assert ("no token: " in said) is not believed
    assert [one.split(b" ")[1] for one in asked] == [b"/oauth/token", b"/events"][: 2 * believed]


def test_nothing_is_asked_for_where_nothing_is_sent(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(SPEC)
    (tmp_path / "e.ndjson").write_text('{"type":"track","messageId":"m1"}\n')
    status, out, _ = waypost("preview", "shop.yaml", "e.ndjson", cwd=tmp_path)
    assert status == 0
    assert "authorization: Bearer <token>" in out
