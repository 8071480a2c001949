"""P16 on the wire: a destination that sends the request back, wherever HTTP has a place for it and where it has none. No channel tells.

A TCP server on loopback answers each request with itself in another shape: shapes x channels, with secrets in every place that may hold one.
"""

from __future__ import annotations

import base64
import hmac
import html
import itertools
import json
import re
import signal
import socket
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_canary import FAST, post, said_by

import canary
from raw_server import RawServer
from running import Engine, free_port, wait_for_port
from waypost.cli.tap import _told as shown_by_tap

KEY, WRITE_KEY = canary.SECRETS[-2:]
USER, TOKEN, HOOK = "canary-shop-key", "canary-sdk-key-51c2", "canary-segment-key-51c3"
DERIVED = (
    hmac.new(b"k", KEY.encode(), "sha256").hexdigest(),
    base64.b64encode(KEY.upper().encode()).decode(),
    KEY.upper(),
)
"""What requests hold because of a secret, and what is no form of the secret itself."""

SPECS = {
    "basic": """
spec: 1
name: echoed
settings:
  key: {type: string, secret: true, label: Key}
  user: {type: string, secret: true, label: User}
auth:
  basic: {username: "{{ settings.user }}", password: "{{ settings.key }}"}
  headers: {X-Key: "{{ settings.key }}", X-Signed: "{{ settings.key | hmac_sha256('k') }}"}
  query: {key: "{{ settings.key }}", up: "{{ settings.key | upper }}"}
  body: {key: "{{ settings.key }}", packed: "{{ settings.key | base64 }}"}
check: {get: "https://api.echoed.example/v1/{{ settings.key }}", headers: {X-Up: "{{ settings.key | upper | base64 }}"}}
request:
  post: "https://api.echoed.example/v1/{{ settings.key }}/events"
  headers: {X-Mixed: "a {{ settings.key }} z", X-Up: "{{ settings.key | upper | base64 }}"}
  body: {sent: $message}
  retry: {for: 1s}
  RESPONSES
actions: &actions
  send: {trigger: type = "track", mapping: {name: $.event, own: $.writeKey}}
""",
    "bearer": """
spec: 1
name: echoed
settings:
  hook: {type: url, secret: true, label: Hook}
  user: {type: string, secret: true, label: Token}
auth: {bearer: "{{ settings.user }}"}
check: {get: "{{ settings.hook }}"}
request:
  post: "{{ settings.hook }}"
  body: {sent: $message}
  retry: {for: 1s}
  RESPONSES
actions:
  send: {trigger: type = "track", mapping: {name: $.event, own: $.writeKey}}
""",
}
REJECT = "responses: {3xx: reject, 4xx: reject, 5xx: reject, unanswered: reject}"


def whole(status: str, body: bytes, *headers: bytes) -> bytes:
    rows = b"".join(header + b"\r\n" for header in headers)
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n".encode() + rows + b"\r\n" + body


def line(request: bytes) -> bytes:
    """On one line, without what no header holds."""
    return re.sub(rb"[\r\n]+", b" | ", request)


def chunks(request: bytes, size: int) -> bytes:
    pieces = [request[at : at + size] for at in range(0, len(request), size)]
    rows = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 400 Bad Request\r\ntransfer-encoding: chunked\r\n\r\n" + rows + b"0\r\n\r\n"


def told(request: bytes) -> bytes:
    """The request in the forms that a server may make of it."""
    text = request.decode("latin-1")
    packed = re.findall(r"(?i)authorization: Basic (\S+)", text)
    forms = [
        text, json.dumps(text), json.dumps(json.dumps(text)), repr(request), html.escape(text), urllib.parse.unquote_plus(text),
        urllib.parse.quote(text, safe=""), base64.b64encode(request).decode(), base64.urlsafe_b64encode(b"x" + request).decode(),
        base64.b64encode(b"xy" + request).decode(), *(base64.b64decode(one).decode() for one in packed), request.hex(), request.hex().upper(),
    ]  # fmt: skip
    return "\n".join(forms).encode("latin-1", "replace")


def cut(request: bytes) -> bytes:
    """A body that ends within the last secret that it holds."""
    at = max(request.rfind(secret.encode()) for secret in (*canary.SECRETS, b"HTTP".decode()))
    return b"HTTP/1.1 400 Bad Request\r\ncontent-length: 100000\r\n\r\n" + request[: at + 9]


SHAPES: dict[str, Callable[[bytes], bytes]] = {
    "status line": lambda request: request,
    "status line alone": lambda request: line(request) + b"\r\n\r\n",
    "status": lambda request: b"HTTP/1.1 " + line(request) + b"\r\n\r\n",
    "version": lambda request: b"HTTP/" + line(request) + b" 200 OK\r\n\r\n",
    "header name": lambda request: b"HTTP/1.1 200 OK\r\n" + line(request) + b"\r\n\r\n",
    "content length": lambda request: b"HTTP/1.1 200 OK\r\ncontent-length: " + line(request) + b"\r\n\r\n",
    "encoding": lambda request: whole("400 Bad", b"x", b"content-encoding: gzip", b"content-type: " + line(request)),
    "chunk header": lambda request: b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + line(request) + b"\r\n",
    "chunks": lambda request: chunks(request, 7),
    "body 400": lambda request: whole("400 Bad Request", request),
    "body 422": lambda request: whole("422 Bad", told(request)),
    "hexadecimal": lambda request: whole("400 Bad", request.hex().encode()),
    "HEXADECIMAL": lambda request: whole("400 Bad", request.hex().upper().encode()),
    "body 500": lambda request: whole("500 No", told(request)),
    "reason": lambda request: whole("400 " + line(request).decode("latin-1"), b""),
    "header": lambda request: whole("400 Bad", b"", b"x-echo: " + line(request), b"retry-after: " + line(request)),
    "trailing": lambda request: whole("400 Bad", b"ok") + request,
    "truncated": lambda request: b"HTTP/1.1 400 Bad\r\ncontent-length: 100000\r\n\r\n" + request,
    "cut in a secret": cut,
    "nothing": lambda request: b"",
}
STOPS: dict[str, Callable[[bytes], bytes]] = {
    "body 401": lambda request: whole("401 No", told(request), b"www-authenticate: " + line(request)),
    "location": lambda request: whole("302 Found", told(request), b"location: https://x.example/" + line(request)),
    "reason 403": lambda request: whole("403 " + line(request).decode("latin-1"), request),
    "status line": SHAPES["status line"],
    "reason 500": lambda request: whole("500 " + line(request).decode("latin-1"), b"", b"retry-after: 0"),
}


class Echo(RawServer):
    """State: the shapes to come, and the requests as they came."""

    patience_s = 10

    def __init__(self, shapes: dict[str, Callable[[bytes], bytes]]) -> None:
        self.shapes = itertools.cycle(shapes.values())
        self.requests: list[bytes] = []
        super().__init__()

    def answer(self, request: bytes, client: socket.socket) -> None:
        self.requests.append(request)
        client.sendall(next(self.shapes)(request))


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo(SHAPES) as server:
        yield server


def prepare(folder: Path, kind: str, echo: Echo, responses: str) -> list[str]:
    """The words that name the destination with its settings."""
    (folder / "echoed.yaml").write_text(SPECS[kind].replace("RESPONSES", responses).replace("&actions", ""), "utf-8")
    rows = [
        json.dumps({"type": "track", "event": f"E{number}", "messageId": f"m{number}"}) for number in range(len(SHAPES))
    ]
    (folder / "events.ndjson").write_text("\n".join(rows) + "\n", encoding="utf-8")
    held = {"key": KEY, "user": USER} if kind == "basic" else {"user": TOKEN, "hook": f"{echo.url}/services/{HOOK}/x"}
    for name, value in held.items():
        (folder / f"{name}.key").write_text(value, encoding="utf-8")
    settings = ", ".join(f"{name}: file:{name}.key" for name in held)
    (folder / "waypost.yaml").write_text(
        f"connections: {{echoed: {{destination: ./echoed.yaml, sources: [all], settings: {{{settings}}}}}}}\n"
        "sources: {all: {files: events.ndjson}}\n",
        encoding="utf-8",
    )
    return [word for name in held for word in ("--set", f"{name}=file:{name}.key")]


def silent(folder: Path, said: str | bytes) -> None:
    """Nothing that was said and no file tells a secret, nor what is made of one."""
    data = said.encode("utf-8", "surrogateescape") if isinstance(said, str) else said
    assert canary.leaks(data) == []
    assert canary.leaks_in(folder) == []
    files = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".key")
    for derived in DERIVED:
        assert derived.encode() not in data + files, derived


@pytest.mark.parametrize("kind", SPECS)
def test_no_dead_letter_tells_what_came_back(kind: str, echo: Echo, tmp_path: Path) -> None:
    """Mutations that turn this red: `wrong.py` that quotes what is no HTTP; a dead letter's response without the mask; `secrets_of` without
    what filters make of a secret."""
    settings = prepare(tmp_path, kind, echo, REJECT)
    to = ("--endpoint-override", echo.url, *FAST)
    said = said_by(tmp_path, "run", "waypost.yaml", "--state", "state", "--log", "json", *to)
    assert len(echo.requests) > len(SHAPES) // 2, said
    assert all(canary.leaks(request) for request in echo.requests), "else nothing is proved"
    listed = said_by(tmp_path, "dead", "list", "--state", "state", "--json")
    exported = said_by(tmp_path, "dead", "export", "--state", "state")
    said += listed + exported + said_by(tmp_path, "dead", "list", "--state", "state")
    letters = [json.loads(row) for row in listed.splitlines()]
    assert len(letters) >= len(SHAPES) - len(TAKEN)
    assert sum(masked(row) for row in exported.splitlines()) > MASKED, exported
    said += "".join(said_by(tmp_path, "dead", "show", str(letter["id"]), "--state", "state") for letter in letters)
    said += said_by(tmp_path, "dead", "replay", "--state", "state", "--dry-run", *to[:2])
    before = len(echo.requests)
    said += said_by(tmp_path, "dead", "replay", "--state", "state", *to[:2])
    # One that is sent on a connection which the server has just closed has not come.
    assert len(echo.requests) > before + len(letters) // 2
    said += said_by(tmp_path, "state", "state") + said_by(tmp_path, "state", "state", "--json")
    words = ("--dead-letters", "dead.ndjson", "--log", "json", *to, "events.ndjson")
    said += said_by(tmp_path, "run", "echoed.yaml", *settings, *words)
    written = (tmp_path / "dead.ndjson").read_text("utf-8").splitlines()
    assert len(written) >= len(SHAPES) - len(TAKEN)
    assert sum(masked(row) for row in written) > MASKED
    silent(tmp_path, said)


TAKEN = ("chunk header",)
"""Their status has come, whole, and says that the message was taken."""

MASKED = 5
"""At least so many shapes give the request back in what a dead letter keeps."""


def masked(letter: str) -> bool:
    return "***" in letter


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in STOPS for kind in SPECS])
def test_no_end_of_a_lane_tells_what_came_back(name: str, kind: str, tmp_path: Path) -> None:
    """A lane that stops, or that waits for its destination until it is told to end, says why: in a sentence and as a record."""
    with Echo({name: STOPS[name]}) as echo:
        settings = prepare(tmp_path, kind, echo, "")
        words = (
            "run",
            "echoed.yaml",
            *settings,
            "--endpoint-override",
            echo.url,
            *FAST,
            "--state",
            "state",
            "events.ndjson",
        )
        if name in WAITS:
            said = told_to_end(tmp_path, *words, "--log", "human" if kind == "basic" else "json")
        else:
            said = said_by(tmp_path, *words) + said_by(tmp_path, *words, "--log", "json")
            assert "stopped" in said
        assert echo.requests
    silent(tmp_path, said)


WAITS = ("status line", "reason 500")
"""With these a destination may work again: a run tries it now and then, until a signal ends it."""


def told_to_end(folder: Path, *words: str) -> str:
    engine = Engine(folder, *words)
    try:
        assert engine.heard("the destination fails")
        engine.process.send_signal(signal.SIGTERM)
        assert engine.process.stdout is not None
        out = engine.process.stdout.read().decode()
        assert engine.end() == 5
    finally:
        engine.process.kill()
    return out + "".join(engine.said)


@pytest.mark.parametrize("kind", SPECS)
def test_no_check_tells_what_came_back(kind: str, tmp_path: Path) -> None:
    said = ""
    with Echo({**SHAPES, **STOPS}) as echo:
        settings = prepare(tmp_path, kind, echo, "")
        for _ in range(len(SHAPES) + len(STOPS)):
            said += said_by(tmp_path, "check", "echoed.yaml", *settings, "--endpoint-override", echo.url)
        assert len(echo.requests) >= len(SHAPES) + len(STOPS) - 1
    silent(tmp_path, said)


VIEWS = ("/live", "/ready", "/metrics", "/lanes", "/nothing")


def test_no_view_of_an_engine_tells_what_came_back(echo: Echo, tmp_path: Path) -> None:
    """The port of operators, `tap`, `top` and the log of an engine that takes events over HTTP, each of which holds its write key.

    Mutations that turn this red: a tap without the mask; `Refused` of an unknown write key naming it."""
    prepare(tmp_path, "basic", echo, REJECT)
    web, port = free_port(), free_port()
    (tmp_path / "web.key").write_text(WRITE_KEY, encoding="utf-8")
    (tmp_path / "user.key").write_text(USER, encoding="utf-8")
    (tmp_path / "waypost.yaml").write_text(
        "connections: {echoed: {destination: ./echoed.yaml, sources: [web], settings: {key: file:key.key, user: file:user.key}}}\n"
        f"sources: {{web: {{http: '127.0.0.1:{web}', write_keys: [file:web.key]}}}}\n",
        encoding="utf-8",
    )
    words = (
        "run",
        "waypost.yaml",
        "--state",
        "state",
        "--log",
        "json",
        "--listen",
        str(port),
        "--endpoint-override",
        echo.url,
    )
    said = ""
    engine = Engine(tmp_path, *words, "--drain", "1")
    try:
        wait_for_port(web)
        wait_for_port(port)
        tapped = urllib.request.urlopen(f"http://127.0.0.1:{port}/tap", timeout=60)
        for number in range(len(SHAPES)):
            event = {"type": "track", "event": f"E{number}", "messageId": f"m{number}", "writeKey": WRITE_KEY}
            said += post(
                f"http://127.0.0.1:{web}/v1/batch", json.dumps({"batch": [event], "writeKey": WRITE_KEY}).encode()
            ).decode()
        said += post(
            f"http://127.0.0.1:{web}/v1/track", json.dumps({"event": "E", "writeKey": WRITE_KEY + "x"}).encode()
        ).decode()
        with tapped:
            records = [tapped.readline().decode() for _ in SHAPES]
        said += "".join(records) + "\n".join(row for record in records for row in shown_by_tap(json.loads(record)))
        assert said.count("***") > MASKED
        for path in VIEWS:
            said += post(f"http://127.0.0.1:{port}{path}", None).decode()
        for more in ((), ("--json",)):
            said += said_by(tmp_path, "top", f"http://127.0.0.1:{port}", "--once", *more)
        engine.process.send_signal(signal.SIGTERM)
        assert engine.process.stdout is not None
        said += engine.process.stdout.read().decode()
        engine.end()
    finally:
        engine.process.kill()
    said += "".join(engine.said)
    assert len(echo.requests) > len(SHAPES) // 2
    assert "waypost_requests_total" in said
    for words in (("list",), ("export",)):
        said += said_by(tmp_path, "dead", *words, "--state", "state")
    silent(tmp_path, said)
