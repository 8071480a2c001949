"""Order: two messages with equal keys are never in two requests at once, and go in the order in which they came.

Takes keys as batches take messages, split, wait and end. Gives which batch may go, and which messages may join one now. A message whose key is
held by a batch that has left is parked until that batch has ended; other keys of the source go on. A split leaves a key in both halves: then
the right one waits for the left. A batch that has to wait for another try lets go of those behind it: the messages of its keys leave them and
are parked, so that their other keys need not wait with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from waypost.delivery.batches import Batch
from waypost.delivery.runs import Run


class Order:
    """State: for each key the batches that hold its messages, in order, and the messages that are parked behind them."""

    def __init__(self) -> None:
        self._chains: dict[Any, list[int]] = {}
        self._parked: dict[Any, deque[Run]] = {}
        self._halves: dict[int, Batch] = {}

    def admits(self, key: Any, open_id: int | None) -> bool:
        """Whether a message with this key may be added to the open batch with this id (None: to a new one)."""
        chain = self._chains.get(key)
        return chain is None or (chain == [open_id] and key not in self._parked)

    def enter(self, key: Any, batch_id: int) -> None:
        self._chains[key] = [batch_id]

    def park(self, run: Run) -> None:
        self._parked.setdefault(run.key, deque()).append(run)

    def may_go(self, batch: Batch) -> bool:
        """Whether no earlier batch holds a key of this one. Only halves of a split can be behind another."""
        return batch.id not in self._halves or all(self._chains[key][0] == batch.id for key in _keys(batch))

    def split(self, whole: Batch, left: Batch, right: Batch) -> None:
        """The halves take the place of the batch that was split."""
        self._halves.pop(whole.id, None)
        held = [(half.id, _keys(half)) for half in (left, right)]
        for key in _keys(whole):
            chain = self._chains[key]
            at = chain.index(whole.id)
            chain[at : at + 1] = [id_ for id_, keys in held if key in keys]
        for half in (left, right):
            self._halves[half.id] = half

    def divide(self, whole: Batch, parts: Sequence[Batch]) -> None:
        """The parts that an answer makes of a batch take its place: at most one of them goes again, so none has to wait for another."""
        self._halves.pop(whole.id, None)
        held = [(part.id, _keys(part)) for part in parts]
        for key in _keys(whole):
            chain = self._chains[key]
            at = chain.index(whole.id)
            chain[at : at + 1] = [id_ for id_, keys in held if key in keys]

    def waits(self, batch: Batch) -> None:
        """The batch waits for another try: what is behind it goes on without its keys. A half may be left with no message."""
        for key in _keys(batch):
            followers = self._chains[key][1:]
            if not followers:
                continue
            shed: list[Run] = []
            for follower in followers:
                half = self._halves[follower]
                shed += [run for run in half.runs if run.key == key]
                half.keep([run for run in half.runs if run.key != key])
            self._chains[key] = [batch.id]
            self._parked.setdefault(key, deque()).extendleft(reversed(shed))

    def ended(self, batch: Batch) -> list[Run]:
        """The batch has ended. Gives the parked messages whose keys nothing holds now: each is to be placed again, in this order."""
        self._halves.pop(batch.id, None)
        freed: list[Run] = []
        for key in _keys(batch):
            chain = self._chains[key]
            chain.remove(batch.id)
            if not chain:
                del self._chains[key]
                freed += self._parked.pop(key, ())
        return freed


def _keys(batch: Batch) -> dict[Any, None]:
    """The keys of a batch's messages, each once, in order."""
    return dict.fromkeys(run.key for run in batch.runs if run.key is not None)
