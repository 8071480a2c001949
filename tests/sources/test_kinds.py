"""A new kind of source: one class that yields lines from a list, and one line in KINDS. Nothing else of the engine or the commands knows it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from kills import plan
from waypost.cli.run import command
from waypost.events.lines import Line, Piece, alone
from waypost.events.loss import Loss
from waypost.http.receiver import Receiver
from waypost.plan import Connection, Feed, catalog, dump, seal
from waypost.sources import kinds
from waypost.sources.port import Opener


class ListSource:
    """Lines of a list; offsets are places in it. State: how many were read."""

    identity = "list"
    first_line = b""
    resumable = True
    waits = False
    journaled = False
    losses: Sequence[Loss] = ()

    def __init__(self, name: str, lines: list[str]) -> None:
        self.name = name
        self.offset = 0
        self._lines = lines

    @property
    def size(self) -> int | None:
        return len(self._lines)

    def resume(self, offset: int, identity: str) -> str:
        self.offset = offset
        return ""

    def read(self) -> list[Piece] | None:
        at = self.offset
        self.offset = len(self._lines)
        found: list[Piece] = [
            alone(Line(line.encode(), place, place + 1, place + 1)) for place, line in enumerate(self._lines[at:], at)
        ]
        return found or None

    def close(self) -> None:
        return None


class ListKind(kinds.Kind):
    """`list: [LINE, ...]`."""

    def inputs(self, added: Callable[[Opener], None]) -> Sequence[Opener]:
        return [lambda: ListSource(self.feed.name, self.feed.other["list"])]


def run(folder: Path, url: str, lines: list[str]) -> str:
    """`waypost run waypost.yaml --frozen` with one connection whose source is a list. Gives what is said."""
    feed = Feed(name="made", other={"list": lines})
    made = plan()
    connection = Connection(name="shop", settings={"key": "k"}, sources=[feed])
    together = msgspec.structs.replace(made.source, together=["shop"])
    connected = msgspec.structs.replace(made, connection=connection, source=together)
    plans = catalog.connection_plans(folder / "waypost.yaml")
    plans.mkdir(parents=True, exist_ok=True)
    (plans / "shop.json").write_bytes(dump(seal(connected)))
    words = [str(folder / "waypost.yaml"), "--frozen", "--state", str(folder / "state"), "--endpoint-override", url]
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_kind_of_source_is_a_class_and_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a state, so that a second run goes on behind what has ended.

    Mutation that turns this red: `Feed.kind` that knows the three kinds only."""
    monkeypatch.setitem(kinds.KINDS, "list", ListKind)
    (tmp_path / "waypost.yaml").write_text("connections: {shop: {}}\n")
    events = [{"id": f"n{n}", "messageId": f"n{n}", "type": "track", "userId": "u", "event": "A"} for n in range(5)]
    lines = [json.dumps(event) for event in events]
    with Receiver(port=0) as receiver:
        run(tmp_path, receiver.url, lines[:3])
        run(tmp_path, receiver.url, lines)
        came = [row["key"] for one in receiver.requests for row in json.loads(one.body)["events"]]
    assert sorted(came) == [f"n{n}" for n in range(5)]
