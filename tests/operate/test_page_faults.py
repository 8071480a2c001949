"""A fault of ours in a page of the operators' port: 500 with one line, told once, and the port goes on."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from canary import leaks
from waypost.engine.taps import Taps
from waypost.operate.operator_server import Watching

PAGES = ("/ready", "/metrics", "/lanes", "/tap")


class Broken(dict[Any, Any]):
    """Lanes at which nothing can be seen."""

    def items(self) -> Any:
        raise ValueError("canary-shop-key")

    def values(self) -> Any:
        raise KeyError("canary-shop-key")


async def get(server: Watching, path: str) -> tuple[int, str]:
    host, port = server.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
    if path == "/tap":
        # It goes on for ever where it is not refused.
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        body = "" if " 200 " in head else (await reader.read()).decode()
    else:
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


def test_fault_in_a_page_is_answered_500_and_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation that turns this red: a page that `_route` awaits without `_guarded`."""
    monkeypatch.setenv("WAYPOST_GUARD", "on")
    said: list[str] = []
    options = SimpleNamespace(notice=said.append, taps=Taps(), clock=lambda: 0.0, steady=lambda: 0.0)
    stopping = SimpleNamespace(count=0)
    engine: Any = SimpleNamespace(options=options, store=None, runners=Broken(), stopping=stopping, started=True)

    async def look() -> None:
        server = Watching("127.0.0.1", 0)
        await server.start(engine)
        try:
            for path in (*PAGES, *PAGES):
                status, body = await get(server, path)
                error = json.loads(body)["error"]
                assert (status, body.count("\n")) == (500, 1)
                assert error.startswith("a fault of waypost: ")
                assert "Error at operate/" in error
                assert f"in the page {path};" in error
                assert leaks(body) == []
            assert await get(server, "/live") == (200, '{"live": true}\n')
            engine.runners = {}
            assert [(await get(server, path))[0] for path in PAGES] == [200] * 4
        finally:
            await server.stop()

    asyncio.run(look())
    faults = [notice for notice in said if getattr(notice, "event", "") == "fault"]
    assert len(faults) == len(PAGES), said
    assert all(notice.level == "error" for notice in faults)  # type: ignore[attr-defined]
    assert leaks("".join(said)) == []
