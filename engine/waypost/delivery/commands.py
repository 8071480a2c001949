"""What a lane asks its runner to do, and what it wants to know of a line.

Takes nothing. Gives the commands of lane.py as data (they say what, and lane_runner.py says how), and what the runner tells of one that broke.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from waypost.delivery.outcome import Answer
from waypost.delivery.progress import Position
from waypost.delivery.results import Named
from waypost.delivery.runs import Run
from waypost.lang.bodies.format import ONLY, Layout


class Send(Struct, frozen=True):
    """Send the messages of these runs as one request, then call `settle` with `batch`."""

    batch: int
    request: str
    group: tuple[Any, ...]
    runs: tuple[Run, ...]
    attempt: int

    @property
    def count(self) -> int:
        """How many messages these are."""
        return sum([run.count for run in self.runs])

    @property
    def bodies(self) -> tuple[bytes, ...]:
        """Each message alone."""
        return tuple([body for run in self.runs for body in run.messages()])

    def joined(self, layout: Layout) -> dict[str, list[bytes]]:
        """The messages of each run as they stand in a body of this layout, by list."""
        found: dict[str, list[bytes]] = {}
        for run in self.runs:
            found.setdefault(layout.list_of(run.action) if layout.lists else ONLY, []).append(
                run.joined(layout.separator)
            )
        return found


class Dead(Struct, frozen=True):
    """Write a dead letter. `answer` is the destination's, where there was one."""

    position: Position
    event: bytes
    reason: str
    message: str
    action: str | None = None
    item: int | str | None = None
    field: str = ""
    attempts: int = 0
    answer: Answer | None = None
    named: Named | None = None
    """What the answer says of this message alone."""


class Broken(Struct, frozen=True):
    """Why a request was not sent: a reason and sentence for its dead letters. `made`: it was rendered, and failed on its way out."""

    reason: str
    message: str
    field: str = ""
    made: bool = False


class Doubt(Struct, frozen=True):
    """Tell, once, that an answer does not name messages as the spec's `results` say."""

    request: str
    status: str
    why: str
    outcome: str

    @property
    def said(self) -> str:
        then = {"ok": "delivered", "reject": "dead letters", "stop": "kept, and the lane stops"}
        others = then.get(self.outcome, "sent again")
        what = f"an answer {self.status} is not what the spec's `results` say: {self.why}"
        return f"{what}; the messages that it does not name are {others} (said once for each status)"


Command = Send | Dead | Doubt
