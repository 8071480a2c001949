"""What a run is told: options, and how attempts are carried out.

Takes nothing. Gives plain data, so that runners and the engine need not know each other.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from waypost.delivery.ledger import Ledger
from waypost.delivery.outcome import Answer
from waypost.engine.taps import Taps
from waypost.program.request.render import Wire


class Sender(Protocol):
    """Carries out one attempt: http/transport.py, or a dry run. Tells when the first byte is about to go (`left`)."""

    async def send(self, wire: Wire, timeout_s: float, left: Callable[[], None]) -> Answer: ...
    async def close(self) -> None: ...


BEGAN = time.time() - time.monotonic()


@dataclass
class Options:
    """`dead_letters` None: they go into the state; without one they are counted and not written (a dry run). `connect_within_s`: a run that
    never once reaches the destination stops after this long. `drain_s`: how long a first signal waits. `map_lines` maps lines instead of
    the program (a dry run that tells of each). `clock` is stamped into what is sent; waits go by `steady`, which never steps. `progress` is
    told a source, the lane's counts, and when a destination that is left alone is tried again. `notice` is told sentences (notices.py),
    `taps` each attempt that someone follows.
    """

    dead_letters: Path | None
    connect_within_s: float = 60.0
    drain_s: float = 30.0
    masked: bool = False
    map_lines: Callable[..., Any] | None = None
    progress: Callable[[Any, Ledger, float | None], None] = lambda source, ledger, again: None
    notice: Callable[[str], None] = lambda text: None
    taps: Taps = field(default_factory=Taps)
    clock: Callable[[], float] = time.time
    steady: Callable[[], float] = lambda: BEGAN + time.monotonic()
    jitter: Callable[[], float] = random.random
