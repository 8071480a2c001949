"""What an answer makes of a batch when it names messages: a portion for each place where messages end, and one that goes again.

Takes a batch and a Verdict. Gives Portions. All that goes again is one batch, in the order of its messages, so that equal order keys stay
together; where outcomes that send again differ, the gravest holds for it: stop, throttle, split, retry.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from waypost.delivery.batches import Batch
from waypost.delivery.outcome import Verdict
from waypost.delivery.progress import Progress
from waypost.delivery.results import Named
from waypost.delivery.runs import Run

AGAIN = ("stop", "throttle", "split", "retry")
"""The outcomes after which messages go again, the gravest first."""

ENDED = ("ok", "reject")


class Portion(Struct, frozen=True):
    """Messages of a batch with one outcome, and what the answer says of each (None: it is not named; empty: nobody is)."""

    outcome: str
    batch: Batch
    named: list[Named | None]


def portions_of(batch: Batch, verdict: Verdict, ids: Iterator[int]) -> list[Portion]:
    """The portions, those that end first; the batch itself where all have one outcome."""
    if not verdict.named:
        return [Portion(verdict.outcome, batch, [])]
    named = [verdict.named.get(place) for place in range(batch.count)]
    outcomes = [verdict.outcome if one is None else one.then for one in named]
    again = next((outcome for outcome in AGAIN if outcome in outcomes), "")
    outcomes = [outcome if outcome in ENDED else again for outcome in outcomes]
    if len(set(outcomes)) == 1:
        return [Portion(outcomes[0], batch, named)]
    runs = _divided(batch, outcomes)
    found = []
    for outcome in (*ENDED, again):
        own = [run for its, run in runs if its == outcome]
        if own:
            part = msgspec.structs.replace(batch, id=next(ids), ticket=0)
            part.keep(own)
            found.append(
                Portion(outcome, part, [one for one, its in zip(named, outcomes, strict=True) if its == outcome])
            )
    return found


def _divided(batch: Batch, outcomes: list[str]) -> list[tuple[str, Run]]:
    """The batch's runs, cut where the outcome changes, each with its outcome; and so is what their progress has of them."""
    found: list[tuple[str, Run]] = []
    stretches: dict[Progress, list[tuple[int, int]]] = {}
    first = 0
    for run in batch.runs:
        groups = [(its, len(list(same))) for its, same in itertools.groupby(outcomes[first : first + run.count])]
        pieces = run.pieces([count for _, count in groups])
        if len(pieces) > 1:
            stretches.setdefault(run.progress, []).extend((piece.offset, piece.end) for piece in pieces)
        found += zip([its for its, _ in groups], pieces, strict=True)
        first += run.count
    for progress, own in stretches.items():
        progress.divide_into(own)
    return found
