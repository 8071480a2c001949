"""What a run shows on a terminal: how much is delivered and not how much is read, what is down, and messages on lines of their own."""

from __future__ import annotations

import re
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from test_delivery import orders, write

from running import Engine
from terminals import Terminal
from waypost.cli.board import Board
from waypost.delivery.ledger import Ledger
from waypost.events.notices import Notice
from waypost.http.receiver import Receiver


class Input:
    """As much of a source as the board sees."""

    def __init__(self, offset: int) -> None:
        self.offset = offset


def board(total: int | None) -> tuple[Board, list[float]]:
    now = [1000.0]
    return Board(total, clock=lambda: now[0], began=1000.0), now


def told(found: Board, source: Any, ledger: Ledger, again: float | None = None) -> str:
    found.progress(source, ledger, again)
    return found.counts()


def test_reading_is_not_delivering() -> None:
    found, now = board(1000)
    source, ledger = Input(0), Ledger()
    assert told(found, source, ledger).startswith("0 %, 0 delivered")
    source.offset, ledger.deliveries, ledger.in_flight = 1000, 100, 100
    assert told(found, source, ledger) == "0 %, 0 delivered, 0/s, 100 in flight, 0 s"
    now[0], ledger.delivered, ledger.in_flight, ledger.dead = 1004.0, 40, 58, Counter(required=2)
    assert told(found, source, ledger) == "42 %, 40 delivered, 10/s, 58 in flight, 2 dead, 4 s"
    ledger.delivered, ledger.in_flight = 98, 0
    assert told(found, source, ledger).startswith("100 %, 98 delivered")


def test_a_run_that_goes_on_begins_where_the_last_one_ended() -> None:
    found, _ = board(1000)
    source, ledger = Input(900), Ledger()
    assert told(found, source, ledger).startswith("90 %")
    source.offset, ledger.deliveries, ledger.in_flight = 1000, 10, 5
    assert told(found, source, ledger).startswith("95 %")


def test_a_changed_plan_counts_once() -> None:
    """After a reload the lane has another ledger with the same counts."""
    found, _ = board(1000)
    source = Input(0)
    told(found, source, Ledger(deliveries=10, delivered=10))
    source.offset = 500
    assert told(found, source, Ledger(deliveries=20, delivered=20)).startswith("50 %, 20 delivered")


def test_several_lanes_share_the_whole() -> None:
    found, _ = board(2000)
    quick, slow = Input(0), Input(0)
    ledgers = Ledger(), Ledger()
    for source, ledger in zip((quick, slow), ledgers, strict=True):
        told(found, source, ledger)
    quick.offset = slow.offset = 1000
    ledgers[0].deliveries = ledgers[0].delivered = ledgers[1].deliveries = ledgers[1].in_flight = 50
    told(found, slow, ledgers[1])
    assert told(found, quick, ledgers[0]).startswith("50 %, 50 delivered")


def test_an_outage_is_told_until_it_is_over() -> None:
    found, now = board(None)
    source, ledger = Input(0), Ledger(deliveries=1, in_flight=1)
    assert "%" not in told(found, source, ledger)
    assert found.troubles() == []
    found.heard(Notice("fails", "outage", connection="crm", source="web", reason="it answers 503"))
    told(found, source, ledger, 1012.0)
    (row,) = found.troubles()
    assert re.fullmatch(r"crm: down since \d\d:\d\d:\d\d \(it answers 503\), next try in 12 s", row), row
    now[0] = 1013.0
    assert found.troubles()[0].endswith("trying now")
    found.heard(Notice("works", "recovery", connection="crm", source="web"))
    assert found.troubles() == []
    told(found, source, ledger, 1043.0)
    assert found.troubles() == ["the destination asks for patience, next try in 30 s"]


def test_terminal_shows_the_outage_and_messages_above(tmp_path: Path) -> None:
    """All is read at once, and nothing delivered: the bar stands at 0 %. What is said never shares a line with it."""
    orders(tmp_path, 3000)
    write(tmp_path)
    with Receiver(port=0, script="503") as receiver:
        words = ("run", "shop.yaml", "--set", "key=env:KEY", "--set", f"url={receiver.url}", "--drain", "0")
        run = Terminal(tmp_path, *words, "events.ndjson")
        assert run.shows(lambda line: "down since" in line and "next try in" in line), run.screen.lines
        run.process.send_signal(signal.SIGINT)
        assert run.end() == 5, run.screen.lines
    bars = {line for picture in run.pictures for line in picture if "in flight, " in line and " %" in line}
    assert bars
    assert all(re.search(r" 0 %, 0 delivered, 0/s, [\d,]+ in flight, \d+ s$", line) for line in bars), bars
    said = [line for line in run.screen.lines if "waypost:" in line]
    assert all(line.startswith("waypost: ") for line in said), run.screen.lines
    for text in ("the destination fails", "stopping: waiting", "interrupted: nothing was delivered"):
        assert any(text in line for line in said), (text, run.screen.lines)
    assert not any("━" in line for line in run.screen.lines), "the board goes when the run ends"


def test_narrow_terminal_cuts_the_board(tmp_path: Path) -> None:
    orders(tmp_path, 500)
    write(tmp_path)
    with Receiver(port=0, script="503") as receiver:
        words = ("run", "shop.yaml", "--set", "key=env:KEY", "--set", f"url={receiver.url}", "--drain", "0")
        run = Terminal(tmp_path, *words, "events.ndjson", columns=40)
        assert run.shows(lambda line: "down since" in line), run.screen.lines
        run.process.send_signal(signal.SIGINT)
        assert run.end() == 5
    shown = [line for picture in run.pictures for line in picture if "━" in line or "down since" in line]
    assert all(len(line) <= 40 for line in shown), shown


def test_pipes_get_no_board(tmp_path: Path) -> None:
    orders(tmp_path, 50)
    write(tmp_path)
    with Receiver(port=0) as receiver:
        words = ("run", "shop.yaml", "--set", "key=env:KEY", "--set", f"url={receiver.url}")
        engine = Engine(tmp_path, *words, "events.ndjson")
        assert engine.end() == 0
    assert "\x1b" not in "".join(engine.said)
