"""HTTP ingest: what a request becomes, which are refused and how, that 200 means kept, and that real clients get through unchanged."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import gzip
import itertools
import json
import socket
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sdks
from blocks import read_lines
from conftest import ROOT, table
from journals import MemoryJournal
from strict_segment import StrictSegment
from waypost.engine import engine
from waypost.events.lines import SourceError
from waypost.http.receiver import Receiver
from waypost.http.transport import Transport
from waypost.plan import load
from waypost.program.program import link
from waypost.sources import ingest_server, tracking_api
from waypost.sources.body import Load
from waypost.sources.ingest import Door, Ingest, Served, parse_listen
from waypost.sources.tracking_api import Limits, Refused
from waypost.state.journal_source import GroupCommit, JournalSource

KEY = "canary-write-key-77aa"
OTHER = "canary-write-key-88bb"
NOON = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)

Answer = tuple[int, dict[str, str], Any]


def zipped(data: bytes) -> bytes:
    """Without a time in it: a test's name may hold these bytes, and has to be the same in every process."""
    return gzip.compress(data, mtime=0)


def ids() -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"id-{next(numbers)}"


def door(journal: MemoryJournal, limits: Limits | None = None, **options: Any) -> Door:
    limits = limits or Limits()
    feeds = [Served("web", "127.0.0.1:0", (KEY, "k2")), Served("app", "127.0.0.1:0", (OTHER,))]
    commits = {feed.name: GroupCommit(journal, feed.name, NOON.timestamp) for feed in feeds}
    return Door(feeds, commits, limits, clock=NOON.timestamp, new_id=ids(), **options)


def basic(key: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


async def ask(
    app: Door,
    path: str,
    body: bytes | list[bytes] = b"",
    headers: dict[str, str] | None = None,
    method: str = "POST",
    raw: list[tuple[bytes, bytes]] | None = None,
) -> Answer:
    """One request, as a server hands it to the application. A list is a body in pieces."""
    pieces = body if isinstance(body, list) else [body]
    messages = [
        {"type": "http.request", "body": piece, "more_body": index < len(pieces) - 1}
        for index, piece in enumerate(pieces)
    ] or [{"type": "http.disconnect"}]
    coming = iter(messages)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return next(coming, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    found = raw if raw is not None else [(n.encode(), v.encode()) for n, v in (headers or {}).items()]
    await app({"type": "http", "method": method, "path": path, "headers": found}, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    names = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    content = sent[1]["body"]
    return sent[0]["status"], names, json.loads(content) if content else None


def one(path: str, body: bytes | list[bytes] = b"", headers: dict[str, str] | None = None, **options: Any) -> Answer:
    """One request to a door of its own."""
    method = options.pop("method", "POST")
    return asyncio.run(ask(door(MemoryJournal(), **options), path, body, headers, method))


def batch(count: int, start: int = 0, **members: Any) -> bytes:
    rows = [{"type": "track", "event": "A", "userId": "u", "messageId": f"m{start + n}"} for n in range(count)]
    return json.dumps({"batch": rows, **members}).encode()


@pytest.mark.parametrize("case", table("tracking"), ids=lambda case: case["name"])
def test_what_a_request_becomes(case: dict[str, Any]) -> None:
    call = tracking_api.CALLS[case["at"]]
    try:
        envelope = tracking_api.opened(call, case["body"].encode(), Limits())
        rows = [row.decode() for row in tracking_api.rows(call, envelope, NOON, ids())]
    except Refused as refused:
        status, code, message = case["refused"]
        assert (refused.status, refused.code) == (status, code)
        assert message in refused.message
    else:
        assert rows == case["rows"]


JSON_TEXT = st.recursive(
    st.one_of(
        st.sampled_from(["null", "true", "1.10", "1E400", "-0", "1e2", "123456789012345678901234567890", '"\\u00e9"']),
        st.text().map(json.dumps).filter(lambda text: "\\ud" not in text),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda rows: "[" + " ,".join(rows) + "]"),
        st.lists(st.tuples(st.sampled_from(["a", "b", "type", "sentAt", "é"]), inner), max_size=3).map(
            lambda rows: "{" + ", ".join(f"{json.dumps(name)} : {value}" for name, value in rows) + "}"
        ),
    ),
    max_leaves=8,
)


@given(JSON_TEXT, JSON_TEXT, st.sampled_from(["track", tracking_api.BATCH]))
def test_what_is_inside_an_event_survives_byte_for_byte(properties: str, traits: str, call: str) -> None:
    text = f'{{"type":"track","properties":{properties},"traits":{traits},"context":{{"x":{properties}}}}}'
    body = text if call == "track" else f'{{"batch":[{text}]}}'
    [row] = tracking_api.rows(call, tracking_api.opened(call, body.encode(), Limits()), NOON, ids())
    assert f'"properties":{properties},"traits":{traits},"context":{{"x":{properties}}}'.encode() in row


@pytest.mark.parametrize(
    ("headers", "member", "source"),
    [
        (basic(KEY), None, "web"),
        (basic("k2"), None, "web"),
        (basic(OTHER), None, "app"),
        ({"authorization": "basic " + base64.b64encode(KEY.encode()).decode()}, None, "web"),
        ({}, KEY, "web"),
        ({}, OTHER, "app"),
        ({"authorization": "Bearer x"}, KEY, "web"),
        ({"authorization": "Basic Og=="}, KEY, "web"),
        (basic(KEY), OTHER, "web"),
        ({}, None, None),
        ({}, "", None),
        ({}, 7, None),
        ({}, KEY + "x", None),
        ({}, KEY[:-1], None),
        (basic("nobody"), KEY, None),
        ({"authorization": "Basic ???"}, KEY, None),
        ({"authorization": "Bearer x"}, None, None),
    ],
)
@pytest.mark.parametrize("path", ["/v1/batch", "/v1/t"])
def test_write_keys(path: str, headers: dict[str, str], member: Any, source: str | None) -> None:
    journal = MemoryJournal()
    body = json.loads(batch(1)) if path == "/v1/batch" else {"event": "A"}
    if member is not None:
        body["writeKey"] = member
    status, _, answer = asyncio.run(ask(door(journal), path, json.dumps(body).encode(), headers))
    if source is None:
        assert status == 401
        assert answer["code"] in ("write_key", "authorization")
        assert journal.rows == {}
    else:
        assert (status, answer) == (200, {"success": True})
        assert [name for name, rows in journal.rows.items() if rows] == [source]
    assert KEY not in repr(answer) + repr(journal.rows)


def test_every_key_is_compared_whatever_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """In constant time: as many digests of one length are compared for the first key, the last and an unknown one."""
    import hmac

    compared: list[tuple[int, int]] = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: (compared.append((len(a), len(b))), real(a, b))[1])
    for key in (KEY, OTHER, "x", "x" * 1000):
        compared.clear()
        one("/v1/batch", batch(1), basic(key))
        assert compared == [(32, 32)] * 3


@pytest.mark.parametrize("path", sorted(tracking_api.CALLS))
@pytest.mark.parametrize("slash", ["", "/"])
def test_every_path_of_the_api(path: str, slash: str) -> None:
    body = batch(2) if tracking_api.CALLS[path] == tracking_api.BATCH else b'{"userId":"u"}'
    assert one(path + slash, body, basic(KEY))[0] == 200


def test_a_body_in_many_pieces() -> None:
    whole = batch(40)
    assert one("/v1/batch", [whole[n : n + 7] for n in range(0, len(whole), 7)], basic(KEY))[0] == 200


def test_beacons_of_text() -> None:
    headers = {"content-type": "text/plain;charset=UTF-8", "origin": "https://shop.example"}
    status, names, _ = one("/v1/t", json.dumps({"event": "A", "writeKey": KEY}).encode(), headers)
    assert (status, names["access-control-allow-origin"]) == (200, "*")


def test_a_preflight_lets_any_page_send_but_none_with_credentials() -> None:
    headers = {"origin": "https://shop.example", "access-control-request-method": "POST"}
    status, names, _ = one("/v1/batch", b"", headers, method="OPTIONS")
    assert status == 204
    assert names["access-control-allow-origin"] == "*"
    assert "Authorization" in names["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in names
    assert one("/v1/batch", batch(1), {})[1]["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("path", "method", "status", "allow"),
    [
        ("/", "GET", 404, None),
        ("/v1/batch/x", "POST", 404, None),
        ("/V1/batch", "POST", 404, None),
        ("/v1/track//", "POST", 404, None),
        ("/v1/track", "GET", 405, "POST, OPTIONS"),
        ("/live", "POST", 405, "GET, HEAD"),
        ("/live", "GET", 200, None),
        ("/live", "HEAD", 200, None),
        ("/ready", "GET", 200, None),
    ],
)
def test_other_paths_and_methods(path: str, method: str, status: int, allow: str | None) -> None:
    found, names, _ = one(path, b"", {}, method=method)
    assert (found, names.get("allow")) == (status, allow)


class TestBodies:
    @pytest.mark.parametrize("pieces", [1, 5])
    @pytest.mark.parametrize("members", [1, 3])
    def test_gzip(self, pieces: int, members: int) -> None:
        whole = batch(50)
        cut = len(whole) // members + 1
        packed = b"".join(zipped(whole[n : n + cut]) for n in range(0, len(whole), cut)) + b"\0\0"
        size = len(packed) // pieces + 1
        body = [packed[n : n + size] for n in range(0, len(packed), size)]
        journal = MemoryJournal()
        headers = {**basic(KEY), "content-encoding": "gzip"}
        assert asyncio.run(ask(door(journal), "/v1/batch", body, headers))[0] == 200
        assert len(journal.events()) == 50

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            (zipped(batch(5))[:-1], 400, "malformed_gzip"),
            (zipped(batch(5))[:5], 400, "malformed_gzip"),
            (b"", 400, "malformed_gzip"),
            (batch(5), 400, "malformed_gzip"),
            (zipped(batch(5)) + b"rest", 400, "malformed_gzip"),
            (zlib.compress(batch(5)), 400, "malformed_gzip"),
            (zipped(b"") * 2000, 400, "malformed_gzip"),
            (zipped(b"[" * (16 << 20)), 413, "body_too_large"),
            (zipped(zipped(batch(5))), 400, "invalid_utf8"),
        ],
    )
    def test_gzip_that_is_refused(self, body: bytes, status: int, code: str) -> None:
        found, _, answer = one("/v1/batch", body, {**basic(KEY), "content-encoding": "gzip"})
        assert (found, answer["code"]) == (status, code)

    def test_a_bomb_is_never_held(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """20 MiB of blanks in 90 kB: what is held at any time is bounded by the limit, not by what it would unfold to."""
        limits = Limits(body=100_000)
        most = 0
        held = Load.check

        def check(load: Load) -> None:
            nonlocal most
            most = max(most, load.held)
            held(load)

        monkeypatch.setattr(Load, "check", check)
        bomb = gzip.compress(b" " * (20 << 20), 1, mtime=0)[:90_000]
        pieces = [bomb[n : n + 4096] for n in range(0, len(bomb), 4096)]
        headers = {**basic(KEY), "content-encoding": "gzip"}
        assert one("/v1/batch", pieces, headers, limits=limits)[0] == 413
        assert most <= limits.body + 1

    def test_other_encodings(self) -> None:
        status, names, _ = one("/v1/batch", batch(1), {**basic(KEY), "content-encoding": "br"})
        assert (status, names["accept-encoding"]) == (415, "gzip")

    @pytest.mark.parametrize(
        ("path", "body", "limits", "status", "code"),
        [
            ("/v1/batch", batch(100), Limits(body=3000), 413, "body_too_large"),
            ("/v1/batch", [batch(100)[:2999], batch(100)[2999:]], Limits(body=3000), 413, "body_too_large"),
            ("/v1/batch", batch(11), Limits(events=10), 413, "too_many_events"),
            ("/v1/batch", batch(10), Limits(events=10), 200, None),
            ("/v1/batch", b'{"batch":[{"type":"page"},{"type":"page","a":"xxxxxx"}]}', Limits(event=20), 413, "event_too_large"),
            ("/v1/track", b'{"a":"' + b"x" * 32753 + b'"}' + b" " * 9, Limits(), 200, None),
            ("/v1/track", b'{"a":"' + b"x" * (32 * 1024) + b'"}', Limits(), 413, "event_too_large"),
            ("/v1/track", b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", Limits(), 400, "too_deep"),
            ("/v1/track", b'{"a":"\xff"}', Limits(), 400, "invalid_utf8"),
        ],
    )  # fmt: skip
    def test_limits(self, path: str, body: bytes | list[bytes], limits: Limits, status: int, code: str | None) -> None:
        found, _, answer = one(path, body, basic(KEY), limits=limits)
        assert (found, answer.get("code")) == (status, code)

    def test_a_length_that_is_too_large_is_refused_before_the_body_is_read(self) -> None:
        headers = {**basic(KEY), "content-length": str(1 << 40)}
        assert one("/v1/batch", batch(1), headers)[2]["code"] == "body_too_large"

    def test_a_body_that_does_not_come(self) -> None:
        async def go() -> Answer:
            app = door(MemoryJournal(), Limits(body_s=0.01))
            sent: list[Any] = []

            async def receive() -> Any:
                await asyncio.Event().wait()

            async def send(message: Any) -> None:
                sent.append(message)

            scope = {"type": "http", "method": "POST", "path": "/v1/batch", "headers": []}
            await app(scope, receive, send)
            return sent[0]["status"], {}, json.loads(sent[1]["body"])

        status, _, answer = asyncio.run(go())
        assert (status, answer["code"]) == (408, "timeout")


def run(go: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(go())  # type: ignore[arg-type]


class TestKept:
    def test_200_comes_only_after_the_commit_and_many_requests_share_one(self) -> None:
        async def go() -> None:
            journal = MemoryJournal()
            app = door(journal)
            journal.hold.clear()
            asked = [asyncio.create_task(ask(app, "/v1/batch", batch(10, n * 10), basic(KEY))) for n in range(50)]
            for _ in range(20):
                await asyncio.sleep(0)
            assert not any(task.done() for task in asked)
            assert journal.events() == []
            journal.hold.set()
            assert {(await task)[0] for task in asked} == {200}
            assert journal.commits == 1
            kept = [json.loads(row)["messageId"] for row in journal.events()]
            assert sorted(kept) == sorted(f"m{n}" for n in range(500))
            assert kept[:3] == ["m0", "m1", "m2"]

        run(go)

    def test_a_full_journal_is_503_and_nothing_of_the_request_is_kept(self) -> None:
        async def go() -> None:
            said: list[str] = []
            journal = MemoryJournal(limit=1000)
            app = door(journal, notice=said.append)
            assert (await ask(app, "/v1/batch", batch(2), basic(KEY)))[0] == 200
            status, names, answer = await ask(app, "/v1/batch", batch(20), basic(KEY))
            assert (status, names["retry-after"], answer["code"]) == (503, "5", "full")
            assert names["access-control-expose-headers"] == "Retry-After"
            assert len(journal.events()) == 2
            # Another source of this address has room still, as far as anybody knows.
            assert (await ask(app, "/ready", method="GET"))[0] == 200
            assert (await ask(app, "/v1/batch", batch(20), basic(OTHER)))[0] == 503
            assert (await ask(app, "/ready", method="GET"))[0] == 503
            assert (await ask(app, "/live", method="GET"))[0] == 200
            journal.limit = 1 << 20
            assert (await ask(app, "/v1/batch", batch(20), basic(KEY)))[0] == 200
            assert (await ask(app, "/ready", method="GET"))[0] == 200
            full, room = "the journal is full: senders of", "the journal has room again: it takes what"
            assert [text.partition(" are")[0] for text in said[:2]] == [f"{full} web", f"{full} app"]
            assert [text.partition(" is sent")[0] for text in said[2:]] == [f"{room} web"]

        run(go)

    def test_in_a_group_that_is_too_much_what_fits_is_kept(self) -> None:
        async def go() -> None:
            journal = MemoryJournal(limit=1000)
            app = door(journal)
            journal.hold.clear()
            sizes = [1, 1, 100, 1]
            asked = [asyncio.create_task(ask(app, "/v1/batch", batch(n), basic(KEY))) for n in sizes]
            for _ in range(20):
                await asyncio.sleep(0)
            journal.hold.set()
            assert [(await task)[0] for task in asked] == [200, 200, 503, 200]
            assert len(journal.events()) == 3

        run(go)

    def test_a_fault_of_the_journal_is_500_and_ends_nothing(self) -> None:
        async def go() -> None:
            said: list[str] = []
            journal = MemoryJournal()
            app = door(journal, notice=said.append)
            journal.fails = OSError(28, "No space left", KEY)
            for _ in range(3):
                status, _, answer = await ask(app, "/v1/batch", batch(2), basic(KEY))
                assert (status, answer["code"]) == (500, "fault")
            assert len(said) == 1
            assert "OSError" in said[0]
            assert KEY not in said[0]
            journal.fails = None
            assert (await ask(app, "/v1/batch", batch(2), basic(KEY)))[0] == 200

        run(go)

    def test_what_waits_is_bounded(self) -> None:
        async def go() -> None:
            journal = MemoryJournal()
            app = door(journal, Limits(requests=3))
            journal.hold.clear()
            asked = [asyncio.create_task(ask(app, "/v1/batch", batch(1), basic(KEY))) for _ in range(5)]
            for _ in range(20):
                await asyncio.sleep(0)
            journal.hold.set()
            assert sorted([(await task)[0] for task in asked]) == [200, 200, 200, 503, 503]
            assert (await ask(app, "/v1/batch", batch(1), basic(KEY)))[0] == 200

        run(go)

    def test_the_journal_gives_them_to_the_engine(self) -> None:
        async def go() -> None:
            journal = MemoryJournal()
            app = door(journal)
            source = JournalSource(journal, "web", from_start=True)
            assert source.read() == []
            await ask(app, "/v1/batch", batch(3), basic(KEY))
            lines = read_lines(source)
            assert lines is not None
            assert [(line.offset, line.end, line.number) for line in lines] == [(1, 2, 1), (2, 3, 2), (3, 4, 3)]
            assert [at for _, _, at in journal.read("web", 0, 1 << 20)] == [NOON.timestamp()] * 3
            again = JournalSource(journal, "web")
            again.resume(2, "journal")
            found = read_lines(again)
            assert found is not None
            assert [json.loads(line.data)["messageId"] for line in found] == ["m1", "m2"]
            assert again.read() == []
            again.ended = True
            assert again.read() is None

        run(go)


def serve(go: Callable[[Ingest, str], Awaitable[None]], journal: MemoryJournal, **options: Any) -> None:
    """Runs `go` beside a real server; it gets HOST:PORT."""

    async def main() -> None:
        feeds = [Served("web", "127.0.0.1:0", (KEY,))]
        ingest = Ingest(feeds, journal, **options)
        await ingest.start()
        try:
            await go(ingest, ingest.addresses[0])
        finally:
            await ingest.stop(5)

    asyncio.run(main())


def talk(address: str, data: bytes, *, wait: bool = True) -> bytes:
    """Sends bytes and gives all that comes back until the server closes, or says nothing more for a moment."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        try:
            client.sendall(data)
            if wait:
                client.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        came = b""
        try:
            while piece := client.recv(65536):
                came += piece
                if not wait and b"\r\n\r\n" in came:
                    break
        except ConnectionResetError:
            pass
        return came


def request(body: bytes, *lines: str, path: str = "/v1/batch", length: int | None = None) -> bytes:
    head = [f"POST {path} HTTP/1.1", "Host: x", *[f"{name}: {value}" for name, value in basic(KEY).items()], *lines]
    if not any(line.lower().startswith("transfer-encoding") for line in lines):
        head.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*head, "", ""]).encode() + body


RAW: list[tuple[bytes, set[int]]] = [
    (b"\x16\x03\x01\x02\x00\x01\x00", {400}),
    (b"GET\r\n\r\n", {400}),
    (b"GET / HTTP/9.9\r\n\r\n", {400}),
    (b"POST /v1/batch HTTP/1.1\r\nContent-Length: x\r\n\r\n", {400}),
    (b"POST /v1/batch HTTP/1.1\r\nContent-Length: -1\r\n\r\n", {400}),
    (b"POST /v1/batch HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", {400, 413}),
    (b"POST /v1/batch HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400, 401}),
    (b"POST /v1/batch HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", {400}),
    (request(b"zz\r\n", "Transfer-Encoding: chunked"), {400}),
    (request(b"1\r\n{}\r\n", "Transfer-Encoding: chunked"), {400}),
    (request(b"2\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked", "Connection: close"), {400}),
    (request(zipped(batch(3))[:20], "Content-Encoding: gzip", "Connection: close"), {400}),
    (request(b"\xff\xfe", "Connection: close"), {400}),
    (request(batch(1), "Connection: close", path="/v1/\xff"), {400, 404}),
    (request(batch(1), "Connection: close", path="/v1/%ff%00"), {404}),
    (request(batch(1), "Connection: close", path="//v1/batch"), {200, 400, 404}),
    (request(batch(1), "Connection: close", path="http://x/v1/batch"), {200}),
    (request(batch(1), "Connection: Upgrade, close", "Upgrade: websocket"), {200, 400}),
    (request(batch(1), "Connection: Upgrade, close", "Upgrade: h2c"), {200, 400}),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 404, 405}),
    (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404}),
    (b"GET /" + b"a" * 500_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404, 431}),
    (b"GET /live HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 90) for n in range(9000)), {431}),
    (request(b"[" * (3 << 20), "Connection: close"), {413}),
]  # fmt: skip
"""What a sender may write, and the statuses that are right."""


class TestServer:
    def test_it_says_nothing_of_itself(self) -> None:
        async def go(ingest: Ingest, address: str) -> None:
            came = await asyncio.to_thread(talk, address, request(batch(1), "Connection: close"))
            assert came.startswith(b"HTTP/1.1 200 OK\r\n")
            assert came.endswith(b'{"success": true}')
            assert b"server:" not in came.lower()
            assert b"uvicorn" not in came.lower()

        serve(go, MemoryJournal())

    def test_raw_bytes_get_an_answer(self) -> None:
        """One server for all of them: none of it may keep it from what comes next."""

        async def go(ingest: Ingest, address: str) -> None:
            for data, statuses in RAW:
                came = await asyncio.to_thread(talk, address, data)
                assert came.startswith(b"HTTP/1.1 "), (data[:80], came[:80])
                assert int(came[9:12]) in statuses, data[:80]
                assert KEY.encode() not in came
                well = await asyncio.to_thread(talk, address, request(batch(1), "Connection: close"))
                assert well[9:12] == b"200", data[:80]

        serve(go, MemoryJournal())

    def test_a_client_that_sends_less_than_it_said_is_let_go(self) -> None:
        async def go(ingest: Ingest, address: str) -> None:
            assert await asyncio.to_thread(talk, address, request(batch(1), length=5000)) == b""
            assert ingest.doors[("127.0.0.1", 0)]._load.requests == 0

        serve(go, MemoryJournal())

    def test_a_head_that_does_not_come(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ingest_server, "HEAD_S", 0.05)

        async def go(ingest: Ingest, address: str) -> None:
            for data in (b"", b"POST /v1/ba"):
                came = await asyncio.to_thread(talk, address, data, wait=False)
                assert came.startswith(b"HTTP/1.1 408")

        serve(go, MemoryJournal())

    def test_stopping_answers_what_is_under_way_and_refuses_the_rest(self) -> None:
        async def main() -> None:
            journal = MemoryJournal()
            ingest = Ingest([Served("web", "127.0.0.1:0", (KEY,))], journal)
            await ingest.start()
            address = ingest.addresses[0]
            journal.hold.clear()
            asked = asyncio.create_task(asyncio.to_thread(talk, address, request(batch(3)), wait=False))
            while ingest.doors[("127.0.0.1", 0)]._load.held == 0:
                await asyncio.sleep(0)
            stopping = asyncio.create_task(ingest.stop(5))
            await asyncio.sleep(0)
            status, names, answer = await ask(ingest.doors[("127.0.0.1", 0)], "/v1/batch", batch(1), basic(KEY))
            assert (status, names["retry-after"], answer["code"]) == (503, "5", "stopping")
            assert (await ask(ingest.doors[("127.0.0.1", 0)], "/ready", method="GET"))[0] == 503
            journal.hold.set()
            assert (await asked)[9:12] == b"200"
            await stopping
            with pytest.raises(OSError):
                await asyncio.to_thread(talk, address, request(batch(3)))
            assert len(journal.events()) == 3

        asyncio.run(main())

    def test_an_address_that_is_taken(self) -> None:
        async def go(ingest: Ingest, address: str) -> None:
            second = Ingest([Served("b", address, ("k",))], MemoryJournal())
            with pytest.raises(SourceError, match=r"cannot listen on 127\.0\.0\.1:"):
                await second.start()

        serve(go, MemoryJournal())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8080", ("127.0.0.1", 8080)),
        (":8080", ("127.0.0.1", 8080)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("localhost:1", ("localhost", 1)),
        ("[::1]:8080", ("::1", 8080)),
        ("[::]:8080", ("::", 8080)),
        ("", None),
        ("host", None),
        ("host:", None),
        ("::1", None),
        ("::1:8080", None),
        ("host:99999", None),
        ("host:-1", None),
        ("host:٣", None),
    ],
)
def test_addresses(text: str, expected: tuple[str, int] | None) -> None:
    if expected is None:
        with pytest.raises(SourceError, match="no address to listen on"):
            parse_listen(text)
    else:
        assert parse_listen(text) == expected


@pytest.mark.parametrize(
    "feeds",
    [[Served("a", "1", ())], [Served("a", "1", ("",))], [Served("a", "1", (KEY,)), Served("b", ":1", ("x", KEY))]],
)
def test_feeds_that_cannot_be_told_apart(feeds: list[Served]) -> None:
    with pytest.raises(SourceError) as raised:
        Ingest(feeds, MemoryJournal())
    assert KEY not in str(raised.value) + repr(feeds)


HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"authorization", b"content-encoding", b"content-length", b"content-type", b"expect", b"x"]),
        st.one_of(
            st.binary(max_size=20),
            st.sampled_from(
                [b"gzip", b"Basic " + base64.b64encode(KEY.encode() + b":"), b"Basic", b"0", b"\xb2", b"7"]
            ),
        ),
    ),
    max_size=4,
)
BODIES = st.one_of(
    st.binary(max_size=200),
    JSON_TEXT.map(str.encode),
    JSON_TEXT.map(lambda text: f'{{"batch":[{text},{{"type":"track","timestamp":{text}}}],"sentAt":{text}}}'.encode()),
    JSON_TEXT.map(lambda text: zipped(text.encode())),
    st.binary(max_size=60).map(lambda data: zipped(batch(1))[: len(data)] + data),
    st.integers(1, 20_000).map(lambda depth: b'{"batch":[{"type":"page","x":' + b"[" * depth),
)


@given(
    st.sampled_from([*sorted(tracking_api.CALLS), "/live"]) | st.text(max_size=9), HEADERS, st.lists(BODIES, max_size=3)
)
def test_anything_gets_an_answer(path: str, headers: list[tuple[bytes, bytes]], pieces: list[bytes]) -> None:
    """Any path, headers and body: 2xx or 4xx, never a fault of ours, and never the key."""
    journal = MemoryJournal()
    app = door(journal, Limits(body=50_000, body_s=5))
    status, _, answer = asyncio.run(ask(app, path, pieces or [b""], raw=headers))
    assert 200 <= status < 300 or 400 <= status < 500
    assert KEY not in repr(answer)
    for row in journal.events():
        event, odd, said = row.partition(b"\n")
        if odd:
            assert said.split()[0] in (b"!not_object", b"!type_missing", b"!type_unknown")
            json.loads(event)
        else:
            assert json.loads(row)["messageId"]
    assert app._load.requests == app._load.held == 0


COUNT = 200


def expected(sent: dict[str, Any]) -> dict[str, Any]:
    """A sent event without what the ingest is documented to change."""
    return {name: value for name, value in sent.items() if name not in ("timestamp", "originalTimestamp", "sentAt")}


def check_times(sent: dict[str, Any], kept: dict[str, Any]) -> None:
    """The sender's own time is in the event still, as it was; `timestamp` is off by no more than the way took."""
    original = kept.get("originalTimestamp", kept["timestamp"])
    assert original == sent["timestamp"]
    moved = dt.datetime.fromisoformat(kept["timestamp"]) - dt.datetime.fromisoformat(original)
    assert dt.timedelta(0) <= moved < dt.timedelta(seconds=60)


@pytest.mark.parametrize("zipped", [False, True])
def test_the_python_sdk(zipped: bool) -> None:
    sent: list[dict[str, Any]] = []

    async def go(ingest: Ingest, address: str) -> None:
        sent.extend(await asyncio.to_thread(sdks.python_sdk, address, COUNT, key=KEY, gzip=zipped))

    journal = MemoryJournal()
    serve(go, journal)
    kept = [json.loads(row) for row in journal.events()]
    assert len(kept) == len(sent) == COUNT
    for before, after in zip(sent, kept, strict=True):
        assert expected(after) == expected(before)
        check_times(before, after)


def test_from_the_ingest_to_a_strict_destination(tmp_path: Path) -> None:
    """Requests of every call in, batches out; nothing silently discarded, and every event has an id, a type and a time."""

    async def go() -> None:
        journal, strict = MemoryJournal(), StrictSegment()
        app = door(journal)
        for call in tracking_api.TYPES[:5]:
            body = {"userId": "u", "event": "A", "groupId": "g", "name": "N", "properties": {"n": 1}}
            assert (await ask(app, f"/v1/{call}", json.dumps(body).encode(), basic(KEY)))[0] == 200
        source = JournalSource(journal, "web", from_start=True)
        source.ended = True
        with Receiver(port=0, answer=strict.answer) as receiver:
            plan = load((ROOT / "compiled" / "segment.json").read_bytes())
            program = link(plan, {"source_write_key": "k", "endpoint": "europe"}, endpoint_override=receiver.url)
            summary = await engine.run(program, [source], Transport(), engine.Options(tmp_path / "dead.ndjson"))
        assert summary.status == 0
        assert summary.ledger.delivered == 5
        assert strict.discards == []
        assert {event["type"] for event in strict.taken} == set(tracking_api.TYPES[:5])
        assert [event["messageId"] for event in strict.taken] == [f"id-{n}" for n in range(1, 6)]
        assert {event["timestamp"] for event in strict.taken} == {"2026-11-25T12:00:00.000Z"}

    run(go)


def test_the_node_sdk() -> None:
    found: list[dict[str, Any]] = []

    async def go(ingest: Ingest, address: str) -> None:
        found.extend(await asyncio.to_thread(sdks.node_sdk, address, COUNT, key=KEY))

    journal = MemoryJournal()
    try:
        serve(go, journal)
    except sdks.NotTried as error:
        pytest.skip(str(error))
    sent = {event["messageId"]: event for event in found}
    kept = [json.loads(row) for row in journal.events()]
    assert len(kept) == len(sent) == COUNT
    for after in kept:
        before = sent.pop(after["messageId"])
        assert expected(after) == expected(before)
        check_times(before, after)


class TestAsides:
    """What SDKs ask for beside sending."""

    @pytest.mark.parametrize(
        ("key", "known"), [(KEY, True), ("k2", True), (OTHER, True), (KEY + "x", False), ("", False)]
    )
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_settings_of_a_source(self, key: str, known: bool, method: str) -> None:
        status, names, answer = one(f"/v1/projects/{key}/settings", b"", {}, method=method)
        assert status == (200 if known else 404)
        assert (names["access-control-allow-origin"], names["content-type"]) == ("*", "application/json")
        if known and method == "GET":
            assert answer["integrations"]["Segment.io"]["apiKey"] == key
            assert answer["plan"]["track"]["__default"]["enabled"] is True
            assert answer["edgeFunction"] == {}
        elif method == "GET":
            assert answer["code"] == "not_found"
            assert KEY not in repr(answer)

    def test_settings_compare_every_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import hmac

        compared: list[int] = []
        real = hmac.compare_digest
        monkeypatch.setattr(hmac, "compare_digest", lambda a, b: (compared.append(len(a)), real(a, b))[1])
        for key in (KEY, OTHER, "x", "x" * 900):
            compared.clear()
            one(f"/v1/projects/{key}/settings", b"", {}, method="GET")
            assert compared == [32] * 3

    def test_settings_are_asked_for_with_get(self) -> None:
        status, names, _ = one(f"/v1/projects/{KEY}/settings", b"{}", {})
        assert (status, names["allow"]) == (405, "GET, HEAD")

    @pytest.mark.parametrize("body", [b'{"series":[]}', b"", b"nonsense", b"\xff"])
    def test_metrics_of_sdks_are_taken_and_dropped(self, body: bytes) -> None:
        journal = MemoryJournal()
        assert asyncio.run(ask(door(journal), "/v1/m", body, basic(KEY)))[0] == 200
        assert journal.events() == []

    @pytest.mark.parametrize("data", ["std", "urlsafe"])
    def test_the_pixel_is_a_single_call(self, data: str) -> None:
        journal = MemoryJournal()
        sent: list[Any] = []
        event = json.dumps({"event": "A>>>???", "userId": "u", "writeKey": KEY}).encode()
        text = (base64.b64encode if data == "std" else base64.urlsafe_b64encode)(event).decode()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "GET", "path": "/v1/pixel/track", "headers": [],
            "query_string": f"data={text}".encode(),
        }  # fmt: skip
        asyncio.run(door(journal)(scope, None, send))  # type: ignore[arg-type]
        assert sent[0]["status"] == 200
        assert (b"content-type", b"image/gif") in sent[0]["headers"]
        assert sent[1]["body"].startswith(b"GIF89a")
        [row] = journal.events()
        assert json.loads(row)["event"] == "A>>>???"
        assert json.loads(row)["type"] == "track"
        assert b"writeKey" not in row

    @pytest.mark.parametrize(
        ("query", "status"), [(b"", 401), (b"data=%25", 400), (b"data=e30", 401), (b"data=W10", 400)]
    )
    def test_error_pixel_without_an_event(self, query: bytes, status: int) -> None:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b""}

        scope = {"type": "http", "method": "GET", "path": "/v1/pixel/page", "headers": [], "query_string": query}
        asyncio.run(door(MemoryJournal())(scope, receive, send))
        assert sent[0]["status"] in (400, status)


def test_answers_leave_at_once_on_kept_connections() -> None:
    """asyncio switches Nagle's algorithm off only on sockets that say they are TCP; otherwise the second packet of each answer waits 40 ms."""
    from waypost.http.listening import bind

    for listening in bind("localhost", 0):
        with listening:
            assert listening.proto == socket.IPPROTO_TCP

    async def go(ingest: Ingest, address: str) -> None:
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port))) as client:
            await asyncio.to_thread(client.sendall, request(batch(1)))
            assert (await asyncio.to_thread(client.recv, 65536)).startswith(b"HTTP/1.1 200")
            [connection] = ingest._servers[0]._server.server_state.connections
            kept = connection.transport.get_extra_info("socket")
            assert kept.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0

    serve(go, MemoryJournal())


def test_one_bad_event_takes_no_other_with_it(tmp_path: Path) -> None:
    """Of a batch the good are delivered, 200; the bad are dead letters as they came; the ledger counts them as rejected."""

    async def go() -> None:
        journal, strict = MemoryJournal(), StrictSegment()
        app = door(journal)
        good = '{"type":"track","event":"A","userId":"u","messageId":"%s"}'
        bad = ["null", '{"event":"B"}', '{"type":"Track"}', '[{"type":"track"}]', '"\\ud83d"', "1e999"]
        for number, item in enumerate(bad):
            body = f'{{"batch":[{good % f"a{number}"},{item},{good % f"b{number}"}]}}'
            assert (await ask(app, "/v1/batch", body.encode(), basic(KEY)))[0] == 200
        source = JournalSource(journal, "web", from_start=True)
        source.ended = True
        with Receiver(port=0, answer=strict.answer) as receiver:
            plan = load((ROOT / "compiled" / "segment.json").read_bytes())
            program = link(plan, {"source_write_key": "k", "endpoint": "europe"}, endpoint_override=receiver.url)
            summary = await engine.run(program, [source], Transport(), engine.Options(tmp_path / "dead.ndjson"))
        assert summary.status == 3
        assert summary.ledger.closes
        assert summary.ledger.read == 18
        assert summary.ledger.rejected == {"not_object": 4, "type_missing": 1, "type_unknown": 1}
        assert {event["messageId"] for event in strict.taken} == {f"{side}{n}" for side in "ab" for n in range(6)}
        letters = [json.loads(line) for line in (tmp_path / "dead.ndjson").read_text().splitlines()]
        assert [letter["reason"] for letter in letters[:3]] == ["not_object", "type_missing", "type_unknown"]
        assert [letter["event"] for letter in letters[:3]] == [{"text": "null"}, {"event": "B"}, {"type": "Track"}]
        assert [letter["position"]["offset"] for letter in letters] == [2, 5, 8, 11, 14, 17]
        assert letters[1]["message"].startswith("`batch[1].type` is missing")

    run(go)
