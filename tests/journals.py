"""Stand-ins for the journal: what the ingest and the sources need of state/store.py, and no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from waypost.state.journal_source import JournalFull


class MemoryJournal:
    """State: the rows of each source, how often it committed, and how many bytes it takes. `hold` makes a commit wait."""

    def __init__(self, limit: int = 1 << 40) -> None:
        self.rows: dict[str, list[tuple[int, bytes, float]]] = {}
        self.commits = 0
        self.limit = limit
        self.hold = asyncio.Event()
        self.hold.set()
        self.fails: Exception | None = None
        self._size = 0
        self._listeners: list[Callable[[], object]] = []

    async def append(self, source: str, rows: list[bytes], received_at: float) -> None:
        await asyncio.sleep(0)
        await self.hold.wait()
        if self.fails is not None:
            raise self.fails
        size = sum(map(len, rows))
        if self._size + size > self.limit:
            raise JournalFull
        self._size += size
        self.commits += 1
        kept = self.rows.setdefault(source, [])
        for row in rows:
            kept.append((len(kept) + 1, row, received_at))
        for told in self._listeners:
            told()

    def read(self, source: str, after: int, limit_bytes: int) -> list[tuple[int, bytes, float]]:
        found: list[tuple[int, bytes, float]] = []
        for row in self.rows.get(source, [])[after:]:
            if found and sum(len(one[1]) for one in found) + len(row[1]) > limit_bytes:
                break
            found.append(row)
        return found

    def next(self, source: str) -> int:
        return len(self.rows.get(source, [])) + 1

    def listen(self, told: Callable[[], object]) -> None:
        self._listeners.append(told)

    def events(self, source: str = "web") -> list[bytes]:
        return [row for _, row, _ in self.rows.get(source, [])]
