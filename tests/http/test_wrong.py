"""Why a request failed is told in a sentence: no exception's name, no url, whatever the client, the TLS library or the system raises."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable

import h11
import httpcore
import httpx
import pytest

from waypost.http import wrong
from waypost.http.transport import Transport
from waypost.http.wrong import what_went_wrong
from waypost.program.request.render import Wire

SECRET = "https://host.example/SECRET"
RAISED: list[type[Exception]] = [
    kind
    for module in (httpx, httpcore, h11, ssl, socket)
    for name in sorted(dir(module))
    if isinstance(kind := getattr(module, name), type) and issubclass(kind, Exception)
]
SYSTEM = sorted(number for number in errno.errorcode if number > 0)


def built(kind: type[Exception], text: str) -> Exception:
    try:
        return kind(text)
    except TypeError:
        return kind.__new__(kind)


def is_a_sentence(said: str) -> None:
    host, _, why = said.partition(": ")
    assert host == "host.example"
    assert len(why.split()) >= 2, said
    assert not re.search(
        r"[A-Za-z]+(Error|Exception|Timeout|Stream\w+|Protocol\b)|Errno|SECRET|://\S|\bE[A-Z]{4,}\b", why
    ), said


@pytest.mark.parametrize("kind", RAISED, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
@pytest.mark.parametrize("text", ["", SECRET, "All connection attempts failed", "[Errno 104] x"])
def test_no_exception_is_told_by_its_name(kind: type[Exception], text: str) -> None:
    """Mutation that turns this red: the exception's name where its text is empty."""
    for outer in (None, httpx.ReadError, httpx.ConnectError, OSError):
        error = built(kind, text)
        if outer is not None:
            error, behind = outer(""), error
            error.__cause__ = behind
        is_a_sentence(what_went_wrong(error, "https://host.example/SECRET", None).said)


@pytest.mark.parametrize("number", SYSTEM, ids=lambda number: errno.errorcode[number])
def test_what_the_system_says_is_told_in_words(number: int) -> None:
    error = httpx.ConnectError("All connection attempts failed")
    error.__cause__ = OSError(number, "x")
    said = what_went_wrong(error, "https://host.example/", None).said
    is_a_sentence(said)
    assert wrong.NUMBERS.get(number, "") in said


def test_tables_have_one_sentence_each() -> None:
    for table in (wrong.KINDS, wrong.NUMBERS, wrong.NAMES):
        for said in table.values():
            assert said[0].islower()
            assert not said.endswith(".")


def closes(one: socket.socket) -> None:
    one.recv(1)
    one.close()


def resets(one: socket.socket) -> None:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.recv(1)
    one.close()


def speaks_tls(one: socket.socket) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(OSError):
        context.wrap_socket(one, server_side=True)
    one.close()


@pytest.mark.parametrize(
    ("serve", "said"),
    [
        (closes, "erver "),
        (
            resets,
            "the server closed the connection before it answered; a server that speaks TLS is reached by https://",
        ),
        (speaks_tls, "127.0.0.1: "),
        (None, "the connection is refused: nothing listens there"),
    ],
)
@pytest.mark.parametrize("size", [1, 20_000_000])
def test_of_real_servers(serve: Callable[[socket.socket], None] | None, said: str, size: int) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        thread = threading.Thread(target=lambda: None)
        if serve is not None:
            listening.listen()
            thread = threading.Thread(target=lambda: serve(listening.accept()[0]), daemon=True)
        thread.start()

        async def go() -> str:
            transport = Transport()
            try:
                wire = Wire("POST", f"http://127.0.0.1:{port}/", [], b"x" * size, size)
                return (await transport.send(wire, 5.0)).error
            finally:
                await transport.close()

        told = asyncio.run(go())
        thread.join(5)
    if size == 1 and serve is not speaks_tls:
        assert said in told
    is_a_sentence(told.replace("127.0.0.1", "host.example"))
