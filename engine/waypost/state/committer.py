"""The commit loop: one for runs, replays, workers and the simulation.

Takes what has happened as steps (`Steps`), and what puts them on disk (`Commits`). Gives the disk's answer back: a step is acknowledged when it
is on disk, or refused. One commit is under way at a time, and the next takes all that has happened since. What a step that was refused held
(dead letters) is gone, so no later one may pass it: from then on all are refused, by the first fault (a full disk, a locked database).

A commit begins as soon as something has ended, so that what is sent again after a crash is what was answered within the last few
milliseconds; but making steps may cost no more than a twentieth of the time.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Protocol

LEAST_S = 0.005
SHARE = 20.0
"""Between two commits: at least so long, and so many times what making the step took."""


class Commits(Protocol):
    """What takes steps: the state (store.py), or in a worker the engine (workers/worker.py). Raises OSError when the disk refuses."""

    async def commit(self, step: Any) -> None: ...


class Steps(Protocol):
    """What is to be committed."""

    def step(self) -> Any:
        """All that has happened since the last step, None where that is nothing. Raises OSError when a file of it cannot be written."""

    def acknowledge(self, step: Any, fault: OSError | None) -> bool:
        """The step is on disk; or it, or an earlier one, was refused. Gives whether another is worth it at once."""


class Committer:
    """State: whether something is to be committed, and why the disk refused."""

    def __init__(self, steps: Steps, store: Commits | None, least_s: float = LEAST_S) -> None:
        """Without a store a step is acknowledged when it is made. `least_s` is between two commits at least."""
        self.fault: OSError | None = None
        self._steps = steps
        self._store = store
        self._least_s = least_s
        self._due = asyncio.Event()
        self._one = asyncio.Lock()

    def due(self) -> None:
        """Something has ended: a commit is worth it."""
        self._due.set()

    async def run(self) -> None:
        """Commits until it is cancelled."""
        while True:
            await self._due.wait()
            cost = await self.commit()
            await asyncio.sleep(max(self._least_s, cost * SHARE))

    async def commit(self) -> float:
        """One step with all that has happened. Gives what making it took, in seconds; a refusal by the disk stays in `fault`."""
        async with self._one:
            self._due.clear()
            step, began, cost = None, time.perf_counter(), 0.0
            try:
                if self.fault is None:
                    step = self._steps.step()
                    cost = time.perf_counter() - began
                    if step is not None and self._store is not None:
                        await self._store.commit(step)
            except OSError as error:
                self.fault = error
            if self._steps.acknowledge(step, self.fault):
                self.due()
        return cost
