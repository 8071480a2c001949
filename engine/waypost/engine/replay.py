"""Dead letters, sent again: to the plan that made them or to another, with the same ids.

Takes letters of one lane and a program. Gives what became of them, and moves it in the state in the same step: a letter that is delivered or
filtered goes, one that is refused again stays with its new reason, and the lane's ledger says so. A letter's delivery is (event, action, item);
the other deliveries of its event have ended long ago and are not made again. A crash leaves each letter as it was or as it has become.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from waypost.delivery.lane import Dead
from waypost.delivery.ledger import Ledger
from waypost.engine.engine import run
from waypost.engine.lane_mapper import MapLines
from waypost.engine.lane_runner import Role
from waypost.engine.options import Options, Sender
from waypost.engine.summary import Summary
from waypost.events.lines import Line, Piece, alone
from waypost.events.loss import Loss
from waypost.events.results import Filtered, Mapped
from waypost.program import integrations
from waypost.program.program import Program, Result
from waypost.sources.port import Source
from waypost.state.commits import LaneSteps
from waypost.state.dead_letters import Writer
from waypost.state.records import Letter, add_letters, keep_plan, ledger_of, remove_letters, save_ledger
from waypost.state.store import Store

CHUNK = 500

LEAST_S = 0.02
"""Between two commits: each looks through all letters for plans and first lines that nobody needs any more."""

NEVER = frozenset({"line_too_long"})
"""Reasons of letters that hold only a part of their event: they cannot be sent."""


class LetterSource:
    """Letters as lines: offsets are places in the list. State: how many have been read."""

    name = "dead letters"
    identity = "dead letters"
    first_line = b""
    resumable = True
    waits = False
    journaled = False
    losses: Sequence[Loss] = ()

    def __init__(self, letters: list[Letter]) -> None:
        self.letters = letters
        self.size: int | None = len(letters)
        self.offset = 0

    def resume(self, offset: int, identity: str) -> str:
        self.offset = offset
        return ""

    def read(self) -> list[Piece] | None:
        start = self.offset
        found = self.letters[start : start + CHUNK]
        self.offset += len(found)
        return [alone(Line(letter.event, at, at + 1, at + 1)) for at, letter in enumerate(found, start)] or None

    def close(self) -> None:
        return None


def mapping(letters: list[Letter]) -> MapLines:
    """Each letter as its event was mapped at first: at its own offset, and only the delivery that it stands for."""

    def map_lines(program: Program, source: Source, lines: list[Line], now: float) -> list[Mapped | list[Result]]:
        return [again(program, letters[line.offset], now) for line in lines]

    return map_lines


def again(program: Program, letter: Letter, now: float) -> list[Result]:
    results = program.map(letter.event, letter.offset, letter.first_line, now)
    if letter.whole or (len(results) == 1 and results[0].action is None and not isinstance(results[0], Filtered)):
        return results
    found = [item for item in results if (item.action, item.item) == (letter.action, letter.item)]
    if not found and results == [integrations.OFF]:
        return [Filtered(letter.action, letter.item, integrations.OFF.reason)]
    return found or [Filtered(letter.action, letter.item, "no_action")]


@dataclass(frozen=True)
class Moved:
    """A step of a replay: letters that have ended, those that died again, and what it changes in the ledger."""

    connection: str
    source: str
    gone: tuple[Letter, ...]
    died: tuple[Letter, ...]
    change: Ledger
    writer: Writer

    def __call__(self, database: sqlite3.Connection) -> None:
        remove_letters(database, [letter.id for letter in self.gone])
        if self.died:
            keep_plan(database, self.writer.plan)
        add_letters(database, self.died)
        before = ledger_of(database, self.connection, self.source)
        save_ledger(database, self.connection, self.source, before.plus(self.change))


def taken_out(letters: tuple[Letter, ...]) -> Ledger:
    """What these letters stand for in a ledger, with the sign turned."""
    whole = [letter for letter in letters if letter.whole]
    parts = [letter for letter in letters if not letter.whole]
    return Ledger(
        read=-len(whole),
        rejected=_less(letter.reason for letter in whole),
        deliveries=-len(parts),
        dead=_less(letter.reason for letter in parts),
    )


def _less(reasons: Iterable[str]) -> Counter[str]:
    return Counter({reason: -count for reason, count in Counter(reasons).items()})


class Moving(LaneSteps):
    """State: letters that have not ended, those that died again, and how much of the lane's ledger is in the state already."""

    def __init__(
        self, connection: str, source: str, letters: list[Letter], store: Store | None, clock: Callable[[], float]
    ) -> None:
        super().__init__(connection, source, store, clock, LEAST_S)
        self._letters = letters
        self._left = dict(enumerate(letters))
        self._whole = any(letter.whole for letter in letters)
        self._died: dict[int, list[Letter]] = {}
        self._cursor = 0
        self._stored = Ledger()

    def dead(self, letters: list[Dead]) -> None:
        now = self._clock()
        for found in letters:
            at = found.position.offset
            old = self._letters[at]
            self._died.setdefault(at, []).append(
                replace(
                    old,
                    id=0,
                    action=found.action,
                    item=found.item,
                    reason=found.reason,
                    whole=found.action is None,
                    at=now,
                    plan=self._writer.plan.digest,
                    record=_record(old, self._writer.record(found, now)),
                )
            )
        self.committer.due()

    def step(self) -> Moved | None:
        """All letters that have ended since the last step, with what became of them."""
        if self._store is None or (self._whole and self._lane.events_on_their_way):
            # A line that could not be read may make several deliveries now: they are counted together.
            return None
        news = self._lane.settled(LetterSource.name)
        ended = [at for start, end in [(self._cursor, news.cursor), *news.ranges] for at in range(start, end)]
        self._cursor = news.cursor
        ended = [at for at in ended if at in self._left]
        if not ended:
            return None
        gone = tuple(self._left.pop(at) for at in ended)
        now = self.settled()
        change = now.plus(_negative(self._stored))
        self._stored = now
        # An event of which one delivery died was read and accepted long ago.
        counted = sum(not letter.whole for letter in gone)
        change = replace(change, read=change.read - counted, accepted=change.accepted - counted).plus(taken_out(gone))
        died = tuple(letter for at in ended for letter in self._died.pop(at, ()))
        return Moved(self.connection, self.source, gone, died, change, self._writer)


def _record(old: Letter, record: bytes) -> bytes:
    """A record with the position that the event has in its source, and all attempts counted."""
    row, before = msgspec.json.decode(record), msgspec.json.decode(old.record)
    row["position"] = before.get("position")
    row["attempts"] = row.get("attempts", 0) + before.get("attempts", 0)
    return msgspec.json.encode(row)


def _negative(ledger: Ledger) -> Ledger:
    counts: Any = {}
    for name, held in ledger.counts().items():
        counts[name] = Counter({key: -count for key, count in held.items()}) if isinstance(held, Counter) else -held
    return Ledger(**counts)


async def replay(
    program: Program, name: str, source: LetterSource, sender: Sender, options: Options, store: Store
) -> Summary:
    """Sends the letters of one lane again, until each has ended, the destination stops it, or a signal comes."""
    moving = Moving(program.owner, name, source.letters, store, options.clock)
    role = Role(map_lines=mapping(source.letters))
    return await run(program, [source], sender, options, source=name, role=role, keeping=moving)
