"""What a lane holds and how far it is in each source: its state, and what may be asked of it at any time.

Takes the kinds of request with their gates; lane.py and offering.py alone change what it holds. Gives what the engine asks (is there room,
what is on its way, since when) and the positions that a store keeps (progress.py, one a source). Nothing in here decides anything.

What a store keeps, a transaction a step: `settled(source)` gives the cursor (no event before it is still on its way) and what has ended above
it since the last call: ranges of whole events by offset, and single deliveries (offset, action, item) of events that have others on their
way. Add these to what is kept, and forget what lies before the cursor. After a crash read from the kept cursor, and `skip` what is kept above
it before the first offer: what has ended is then not offered again, nor counted. `gaps(source)` gives all ranges, to write the kept ones
afresh when they have become many.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

from waypost.delivery.batches import Batch, Flow, RequestKind
from waypost.delivery.gate import Gate
from waypost.delivery.ledger import Ledger
from waypost.delivery.order import Order
from waypost.delivery.progress import Part, Progress, Settled, Skipped
from waypost.delivery.runs import Delivery
from waypost.events.guard import Guard

WINDOW = 64 << 20
"""So many bytes of messages and their events a lane holds, and reads no more events then."""


class Holding:
    """State: open batches and those ready to go (in the flows), those under way, those that wait for another try, and the ledger.

    `stopped` says why the lane sends no more; what was not delivered then stays in flight and is kept for the next run.
    """

    def __init__(
        self,
        requests: dict[str, RequestKind],
        gates: dict[str, Gate],
        jitter: Callable[[], float],
        *,
        window_bytes: int = WINDOW,
        shared: bool = False,
        guard: Guard | None = None,
    ) -> None:
        """`shared`: other workers have some of the events (ELSEWHERE), and what lies between events is told as ended too."""
        self.shared = shared
        self.ledger = Ledger()
        self.stopped = ""
        self._jitter = jitter
        self.window_bytes = window_bytes
        self._held = 0
        self._ids = itertools.count(1)
        self._guard = guard or Guard()
        self._flows = {name: Flow(name, kind, gates[name], self._ids, self._guard) for name, kind in requests.items()}
        self._turns = list(self._flows.values())
        self._under_way: dict[int, tuple[Flow, Batch]] = {}
        self._waiting: list[tuple[float, int, Flow, Batch]] = []
        self._successes = 0
        self._order = Order()
        self._ordered = False
        self._sources: dict[str, Progress] = {}

    # What the engine asks.

    @property
    def room(self) -> bool:
        """Whether more events may be offered: what is held in memory is bounded."""
        return self._held < self.window_bytes and not self.stopped

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way."""
        return not (self._under_way or self._waiting or any(flow.open or flow.ready for flow in self._turns))

    @property
    def held_bytes(self) -> int:
        """What is held in memory: messages on their way, with their events."""
        return self._held

    def oldest(self) -> float | None:
        """The instant at which the oldest message on its way was put into a batch. Looks at every batch."""
        opened = [batch.opened for batch in self._closed()]
        opened += [batch.opened for flow in self._turns for batch in flow.open.values()]
        return min(opened, default=None)

    def _closed(self) -> list[Batch]:
        batches = [batch for _, batch in self._under_way.values()] + [row[3] for row in self._waiting]
        return batches + [batch for flow in self._turns for batch in flow.ready if batch.count]

    def begun(self) -> list[Delivery]:
        """What is on its way in batches that are closed: whatever has been sent and has not ended is among it."""
        return [delivery for batch in self._closed() for delivery in batch.deliveries()]

    def under_way(self, batch_id: int) -> list[Delivery]:
        """What a request that has not been settled carries."""
        return self._under_way[batch_id][1].deliveries()

    # Positions.

    @property
    def events_on_their_way(self) -> int:
        return sum(progress.events for progress in self._sources.values())

    @property
    def sources_on_their_way(self) -> set[str]:
        return {name for name, progress in self._sources.items() if progress.open}

    def cursor(self, source: str) -> int:
        """The offset up to which every event of a source has ended: where a next run resumes."""
        return self._progress(source).cursor

    def settled(self, source: str) -> Settled:
        """The cursor, and what has ended above it since the last call."""
        return self._progress(source).settled()

    def gaps(self, source: str) -> list[tuple[int, int]]:
        """All ranges of whole events that have ended above the cursor."""
        return self._progress(source).gaps()

    def skip(
        self, source: str, cursor: int, ranges: Iterable[tuple[int, int]] = (), parts: Iterable[Part] = ()
    ) -> None:
        """What a former run had settled: reading resumes at the cursor, and what had ended above it is passed over."""
        progress = self._progress(source)
        progress.reached = cursor
        progress.skipped = Skipped(ranges, parts)

    def caught_up(self, source: str, cursor: int) -> None:
        """The run as a whole has passed an offset: events of other workers before it are no longer waited for."""
        self._progress(source).caught_up(cursor)

    def _progress(self, source: str) -> Progress:
        found = self._sources.get(source)
        if found is None:
            found = self._sources[source] = Progress(source)
        return found
