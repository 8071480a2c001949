"""Events that a program has at hand: any iterable or async iterable of JSON objects, as bytes, text or decoded.

Takes the iterable and a name. Gives a source: lines with the offsets that they would have in a file of JSON lines, so that a run with a state
goes on where an earlier one with the same events stood. What is asked for is held in bounded memory: nothing is drawn before there is room.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from waypost.events.lines import Cutter, Piece
from waypost.events.loss import Loss

PIECE = 64 << 10
"""So many bytes are drawn at a time."""

AHEAD = 1000
"""So many events of an async iterable wait to be read."""


def as_line(event: Any) -> bytes:
    """An event as a line of JSON, with its line feed. Line breaks between JSON tokens are white space, so that they may go."""
    if isinstance(event, Mapping):
        return msgspec.json.encode(event) + b"\n"
    data = event.encode("utf-8", "surrogatepass") if isinstance(event, str) else bytes(event)
    return data.strip(b"\r\n").replace(b"\r\n", b" ").replace(b"\n", b" ") + b"\n"


class IterableSource:
    """State: the iterator, the first event while it has not been read, and how much of what an earlier run has done is still to be passed."""

    size: int | None = None
    resumable = False
    waits = False
    journaled = False
    losses: Sequence[Loss] = ()

    def __init__(self, events: Iterator[Any], name: str) -> None:
        self.name = name
        self.offset = 0
        self._lines = map(as_line, events)
        self._cutter = Cutter()
        self._passing = 0
        # The first event says whether these are the events of an earlier run.
        self._first = next(self._lines, None)
        self.first_line = (self._first or b"").rstrip(b"\n")
        self.identity = f"events:{hashlib.sha256(self.first_line).hexdigest()[:32]}"

    def listen(self, told: Callable[[], object]) -> None:
        """Whom to tell of an event that has come, where one that reads may have to wait for it."""

    def resume(self, offset: int, identity: str) -> str:
        if identity != self.identity:
            return f"{self.name}: other events than those of the last run: beginning with the first"
        self.offset = self._passing = offset
        self._cutter = Cutter(offset)
        return ""

    def _draw(self) -> bytes | None:
        """The next line, or None where there is none now."""
        first, self._first = self._first, None
        return first if first is not None else next(self._lines, None)

    def _over(self) -> bool:
        """Whether there will be no more where there is none now."""
        return True

    def read(self) -> list[Piece] | None:
        """The next lines; none where none has come yet, None at the end."""
        over = self._over()
        drawn: list[bytes] = []
        size = 0
        while size < PIECE and (line := self._draw()) is not None:
            if self._passing >= len(line):
                self._passing -= len(line)
                continue
            # Within an event that has other bytes now: it is sent.
            self._passing = 0
            drawn.append(line)
            size += len(line)
        self.offset += size
        return self._cutter.feed(b"".join(drawn)) if drawn else None if over else []

    def close(self) -> None:
        return None


class AsyncIterableSource(IterableSource):
    """The same of an async iterable: a task draws from it while the lane works, as far ahead as there is room."""

    waits = True

    def __init__(self, first: Iterator[Any], rest: AsyncIterator[Any], name: str) -> None:
        self._events: asyncio.Queue[Any] = asyncio.Queue(AHEAD)
        self._rest = rest
        self._ended = False
        self._fault: BaseException | None = None
        self._told: Callable[[], object] = lambda: None
        super().__init__(first, name)

    def listen(self, told: Callable[[], object]) -> None:
        self._told = told

    async def draw(self) -> None:
        """Draws until the end. What the iterable raises is raised to whoever reads."""
        try:
            async for event in self._rest:
                await self._events.put(event)
                self._told()
        except Exception as error:
            self._fault = error
        self._ended = True
        self._told()

    def _draw(self) -> bytes | None:
        if (line := super()._draw()) is not None:
            return line
        if not self._events.empty():
            return as_line(self._events.get_nowait())
        if self._fault is not None:
            raise self._fault
        return None

    def _over(self) -> bool:
        return self._ended and self._events.empty()


@contextlib.asynccontextmanager
async def opened(events: Iterable[Any] | AsyncIterable[Any], name: str) -> AsyncIterator[IterableSource]:
    """The source of an iterable. An async one is drawn from as long as the context is open."""
    if isinstance(events, Iterable):
        yield IterableSource(iter(events), name)
        return
    rest = aiter(events)
    first = [event async for event in _one(rest)]
    source = AsyncIterableSource(iter(first), rest, name)
    drawing = asyncio.create_task(source.draw())
    try:
        yield source
    finally:
        drawing.cancel()
        await asyncio.gather(drawing, return_exceptions=True)


async def _one(events: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for event in events:
        yield event
        return
