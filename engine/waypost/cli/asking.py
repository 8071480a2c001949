"""Asking a running engine: the address that `--listen` gave it, and what it answers there.

Takes an address, or the state of an engine, which knows its address. Gives JSON or lines; ends the command in one line when nobody answers.
"""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

from waypost.cli import state_folder
from waypost.cli.common import refuse
from waypost.http.listening import FILE, read_address

ANSWER_S = 10.0


class Gone(Exception):
    """The engine does not answer. One clear line."""


def address_of(given: str | None, state: str | None) -> tuple[str, int]:
    """`http://HOST:PORT`, `HOST:PORT` or a port; without one, that of the engine at work on a state (default: ./waypost.yaml's)."""
    if given is not None and state is not None:
        refuse("name an address or --state, not both")
    text = _kept(state) if given is None else given
    plain = urlsplit(text).netloc if text.startswith("http://") else text
    address = read_address(plain)
    if address is None:
        refuse(f"`{text}` is no address of an engine: expected http://HOST:PORT, as `waypost run --listen` says it")
    return address


def _kept(state: str | None) -> str:
    folder = state_folder.to_look_at(state)
    try:
        return (folder / FILE).read_text(encoding="utf-8").strip()
    except OSError:
        refuse(f"no engine with --listen is at work on {folder}: name its address, such as http://127.0.0.1:9090")


def ask(address: tuple[str, int], path: str) -> Any:
    """An answer as data. Raises Gone."""
    with _open(address, path) as answer:
        try:
            return json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Gone(f"{_name(address)} is no engine of waypost: {error}") from None


def follow(address: tuple[str, int], path: str, query: dict[str, str]) -> Iterator[Any]:
    """Records as they come, until the engine ends. Raises Gone when it was never there."""
    with (
        _open(address, f"{path}?{urlencode(query)}", forever=True) as answer,
        # A cut connection is an engine that has ended.
        contextlib.suppress(OSError, http.client.HTTPException, ValueError),
    ):
        for line in answer:
            yield json.loads(line)


@contextlib.contextmanager
def _open(address: tuple[str, int], path: str, *, forever: bool = False) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(*address, timeout=ANSWER_S)
    try:
        try:
            connection.request("GET", path)
            sock = connection.sock
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise Gone(f"no engine answers at {_name(address)}: {error}") from None
        if answer.status != 200:
            raise Gone(f"{_name(address)} answers {answer.status}: {_why(answer)}")
        if forever:
            # The connection has let go of it: the answer ends with it.
            sock.settimeout(None)
        yield answer
    finally:
        connection.close()


def _why(answer: http.client.HTTPResponse) -> str:
    try:
        return str(json.loads(answer.read(1 << 16))["error"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return answer.reason


def _name(address: tuple[str, int]) -> str:
    host, port = address
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
