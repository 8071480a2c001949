"""What a run shows on a terminal while it works: how much of the known work is delivered, how fast, what is in flight, and what is down.

Takes what runners tell (`progress`: a source, a ledger, when a destination is tried again) and what is said (`note`). Gives lines at the foot
of the terminal, drawn again four times a second; what is said is printed above them.

Reading is not delivering: of an input's bytes, those count as done whose deliveries have ended, so that 100 % is the end.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from waypost.cli import logs
from waypost.delivery.ledger import Ledger
from waypost.engine.options import BEGAN
from waypost.events.notices import Notice
from waypost.sources.port import Source

if TYPE_CHECKING:
    from rich.console import RenderableType

Progress = Callable[..., None]

RATE_S = 5.0
"""A rate is that of so many seconds."""

BAR = 24
"""The columns of the bar."""

FEW = 3
"""So many destinations that are down get a line; of more only the number is told."""


def steady() -> float:
    return BEGAN + time.monotonic()


def on_terminal() -> bool:
    """Whether standard error is a terminal that can be drawn on."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


@contextlib.contextmanager
def progress_board(total: int | None, *, shown: bool) -> Iterator[Progress]:
    """`total`: the bytes that all lanes have to read; None: nobody knows how many."""
    if not (shown and on_terminal()):
        yield lambda source, ledger, again=None: None
        return
    from rich.console import Console
    from rich.live import Live

    board = Board(total)
    console = Console(stderr=True, highlight=False)
    with Live(
        console=console, get_renderable=board.render, refresh_per_second=4, transient=True, redirect_stdout=False
    ):

        def say(text: str) -> None:
            board.heard(text)
            console.print(f"waypost: {text}", markup=False, soft_wrap=True)

        before, logs.say = logs.say, say
        try:
            yield board.progress
        finally:
            logs.say = before


@dataclass
class Read:
    """One input of one lane: from where this run reads it, and how far it is."""

    start: int
    offset: int


@dataclass
class LaneShown:
    """State: the lane's inputs, its ledger, and until when its destination is left alone."""

    ledger: Ledger
    inputs: dict[int, Read] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    again: float | None = None

    def done(self) -> float:
        """The bytes that have ended: what was ended before this run, and of what it read the share whose deliveries have ended."""
        ledger = self.ledger
        share = 1.0 if not ledger.deliveries else (ledger.deliveries - ledger.in_flight) / ledger.deliveries
        return sum(read.start + (read.offset - read.start) * share for read in self.inputs.values())


@dataclass
class Board:
    """State: the lanes, what is down and since when, and the counts of the last seconds."""

    total: int | None
    clock: Callable[[], float] = steady
    lanes: dict[int, LaneShown] = field(default_factory=dict)
    down: dict[tuple[str, str, Any], tuple[float, str]] = field(default_factory=dict)
    _counts: deque[tuple[float, int]] = field(default_factory=deque)
    began: float = field(default_factory=steady)

    def progress(self, source: Source, ledger: Ledger, again: float | None = None) -> None:
        """Told after each read and each wait."""
        lane = self.lanes.get(id(ledger)) or self._lane(source, ledger)
        read = lane.inputs.get(id(source))
        if read is None:
            read = lane.inputs[id(source)] = Read(source.offset, source.offset)
            # Held, so that no other source gets its id.
            lane.sources.append(source)
        read.offset = source.offset
        lane.again = again

    def _lane(self, source: Source, ledger: Ledger) -> LaneShown:
        """A new lane, or one that goes on with another ledger because its plan was changed."""
        before = next((key for key, lane in self.lanes.items() if id(source) in lane.inputs), None)
        lane = LaneShown(ledger) if before is None else self.lanes.pop(before)
        lane.ledger = ledger
        self.lanes[id(ledger)] = lane
        return lane

    def heard(self, text: str) -> None:
        if not isinstance(text, Notice):
            return
        about = (text.connection, text.source, text.fields.get("worker"))
        if text.event == "outage":
            self.down[about] = (self.clock(), str(text.fields.get("reason", "")))
        elif text.event in ("recovery", "stopped"):
            self.down.pop(about, None)

    def percent(self) -> float:
        if not self.total:
            return 0.0
        return min(100.0, 100 * sum(lane.done() for lane in self.lanes.values()) / self.total)

    def rate(self, delivered: int, now: float) -> float:
        self._counts.append((now, delivered))
        while len(self._counts) > 2 and self._counts[1][0] <= now - RATE_S:
            self._counts.popleft()
        since, before = self._counts[0]
        return (delivered - before) / (now - since) if now > since else 0.0

    def counts(self) -> str:
        now = self.clock()
        ledgers = [lane.ledger for lane in list(self.lanes.values())]
        delivered = sum(one.delivered for one in ledgers)
        dead = sum(one.dead.total() + one.rejected.total() for one in ledgers)
        parts = [
            # The unknown rest is in bytes, so the whole is told in percent.
            *([f"{int(self.percent())} %"] if self.total is not None else []),
            f"{delivered:,} delivered",
            f"{self.rate(delivered, now):,.0f}/s",
            f"{sum(one.in_flight for one in ledgers):,} in flight",
            *([f"{dead:,} dead"] if dead else []),
            _span(now - self.began),
        ]
        return ", ".join(parts)

    def troubles(self) -> list[str]:
        """A line for each destination that is down, or that has asked for patience."""
        now = self.clock()
        waits = [lane.again for lane in list(self.lanes.values()) if lane.again is not None and lane.again > now]
        wait = f", next try in {_span(min(waits) - now)}" if waits else ", trying now"
        if not self.down:
            asked = bool(waits) and min(waits) - now >= 1
            return [f"the destination asks for patience{wait}"] if asked else []
        rows = []
        for (connection, _, _), (since, reason) in list(self.down.items())[:FEW]:
            at = time.strftime("%H:%M:%S", time.localtime(since))
            rows.append(f"{connection or 'the destination'}: down since {at} ({reason}){wait}")
        more = len(self.down) - FEW
        return [*rows, f"and {more} more are down"] if more > 0 else rows

    def render(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        counts = Text(self.counts(), no_wrap=True, overflow="ellipsis")
        grid = Table.grid(padding=(0, 1))
        if self.total is None:
            grid.add_row(counts)
        else:
            grid.add_row(ProgressBar(100, self.percent(), width=BAR), counts)
        rows = [Text(row, style="red", no_wrap=True, overflow="ellipsis") for row in self.troubles()]
        return Group(grid, *rows)


def _span(seconds: float) -> str:
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
