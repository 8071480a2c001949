"""How a run is asked to end: signals, and the time that is left for what is under way."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from waypost.engine.options import Options
from waypost.events.notices import Notice

ANSWERS = 0.2
"""The share of the time to stop that is left for answers, so that what was sent is not sent again by the next run."""


@dataclass
class Stopping:
    """The signals that came. State: how many, the instant after which nothing is waited for, and whom to wake."""

    count: int = 0
    until: float | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    _last: float | None = None
    _told: list[Callable[[], object]] = field(default_factory=list)

    def heard(self, now: float, drain_s: float) -> None:
        """The first stops the intake and drains, the second stops at once."""
        self.count += 1
        self.asked.set()
        if self.until is None:
            self.until = now + drain_s
            self._last = now + drain_s * (1 - ANSWERS)
        for told in list(self._told):
            told()

    def sending(self, now: float) -> bool:
        """Whether requests may still go: the last part of the time is for the answers of those under way."""
        return self._last is None or now < self._last

    def over(self, now: float) -> bool:
        """Whether the run is to end now, whatever is still on its way."""
        return self.count > 1 or (self.until is not None and now >= self.until)

    async def until_over(self, steady: Callable[[], float]) -> None:
        """Returns when the run is to end now."""
        woken = asyncio.Event()
        self.tell(woken.set)
        try:
            while not self.over(now := steady()):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), None if self.until is None else self.until - now)
                woken.clear()
        finally:
            self.forget(woken.set)

    def tell(self, told: Callable[[], object]) -> None:
        self._told.append(told)

    def forget(self, told: Callable[[], object]) -> None:
        if told in self._told:
            self._told.remove(told)


@contextlib.contextmanager
def signals(stopping: Stopping, options: Options, reload: Callable[[], None] | None = None) -> Iterator[None]:
    """Hears the signals of the process: the first to end stops the intake and drains, the second stops at once; SIGHUP reloads."""
    loop = asyncio.get_running_loop()
    drain = options.drain_s

    def heard(*_: Any) -> None:
        stopping.heard(options.steady(), drain)
        said = f"stopping: waiting up to {drain:g} s for requests under way; once more to stop at once"
        said = said if stopping.count == 1 else "stopping at once"
        options.notice(Notice(said, "stopping", drain_seconds=drain * (stopping.count == 1)))

    names = {signal.SIGINT: heard, signal.SIGTERM: heard}
    if reload is not None:
        names[signal.SIGHUP] = lambda *_: reload()
    # Not the main thread (a test): signals stay with whoever has it.
    with contextlib.suppress(ValueError, RuntimeError):
        for name, told in names.items():
            loop.add_signal_handler(name, told)
    try:
        yield
    finally:
        for name in names:
            with contextlib.suppress(ValueError, RuntimeError):
                loop.remove_signal_handler(name)
