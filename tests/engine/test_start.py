"""A start that is refused (status 2) has read and sent nothing: ports, files and settings of every lane are there before any lane begins."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from kills import SPEC
from running import Engine
from waypost.http.receiver import Receiver

EVENTS = "".join(
    json.dumps({"type": "track", "userId": "u", "event": "View", "messageId": f"m{number}"}) + "\n"
    for number in range(300)
)

CONNECTIONS = """
connections:
  one: {destination: shop.yaml, sources: [first], settings: {key: env:KEY}}
  two: {destination: shop.yaml, sources: [SECOND], settings: {key: env:KEY}}
sources:
  first: {files: events.ndjson}
  more: {files: gone.ndjson}
  web: {http: "127.0.0.1:PORT", write_keys: [env:WEB_KEY]}
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
@pytest.mark.parametrize("fault", ["port", "listen", "file"])
def test_a_start_that_is_refused_has_sent_nothing(fault: str, workers: tuple[str, ...], tmp_path: Path) -> None:
    """Repeated, because what is wrong here is a race. Mutation that turns this red: `Engine.apply` that starts each lane as it is ready."""
    (tmp_path / "shop.yaml").write_text(SPEC, encoding="utf-8")
    (tmp_path / "events.ndjson").write_text(EVENTS, encoding="utf-8")
    with Receiver(port=0) as receiver, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        text = CONNECTIONS.replace("PORT", port).replace("SECOND", "web" if fault == "port" else "more")
        (tmp_path / "waypost.yaml").write_text(text.replace("gone", "gone" if fault == "file" else "events"))
        words = ["run", "waypost.yaml", "--endpoint-override", receiver.url, "--state", "state", *workers]
        if fault == "listen":
            words = [word for word in words if word not in workers] + ["--listen", port]
        for _ in range(3):
            engine = Engine(tmp_path, *words)
            assert engine.end() == 2, engine.said
            assert "Traceback" not in "".join(engine.said)
            assert engine.said[-1].startswith("waypost: "), engine.said
        assert receiver.requests == []
