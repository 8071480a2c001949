"""An engine looked at: what is at an instant, without touching anything.

Takes the engine. Gives a Snapshot (metrics.py) and, as plain data, what `waypost top` shows. What only the database knows is read by a
connection of its own in a thread, so that a look never holds up a delivery.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from dataclasses import dataclass, field
from typing import Any

from waypost.engine.engine import Engine
from waypost.engine.lane_runner import LaneRunner
from waypost.operate.metrics import LaneView, Snapshot
from waypost.state.records import letter_counts
from waypost.state.store import reading
from waypost.version import __version__

COMMIT_S = 2.0
"""A store that has not taken an empty step for so long takes none."""


@dataclass(frozen=True)
class Kept:
    """What the state holds: journal bytes by source, dead letters by lane, and when the oldest event that a lane has not passed came."""

    journal: dict[str, int] = field(default_factory=dict)
    dead: dict[tuple[str, str], int] = field(default_factory=dict)
    came: dict[tuple[str, int], float] = field(default_factory=dict)


class Looking:
    """State: how far each lane had read when it was looked at last, and the database as seen from here."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._read: dict[tuple[str, str], int] = {}
        self._database: sqlite3.Connection | None = None
        self._one = threading.Lock()

    def close(self) -> None:
        with self._one:
            if self._database is not None:
                self._database.close()

    async def snapshot(self) -> Snapshot:
        engine = self._engine
        cursors = {
            (source.name, runner.inputs.at(source))
            for runner in engine.runners.values()
            for source in runner.sources
            if source.journaled
        }
        kept = await asyncio.to_thread(self._kept, cursors) if engine.store is not None else Kept()
        not_ready = await self.not_ready()
        lanes = [self._lane(runner, kept) for _, runner in sorted(engine.runners.items())]
        return Snapshot(__version__, lanes, kept.journal, kept.dead, not_ready)

    async def not_ready(self) -> tuple[str, ...]:
        """Why the engine is not to be sent events; empty when it is ready."""
        engine = self._engine
        found: list[str] = []
        if engine.stopping.count:
            found.append("draining: a signal has come")
        elif not engine.started:
            found.append("starting: not every lane has begun")
        for (connection, source), runner in sorted(engine.runners.items()):
            if runner.fault:
                found.append(f"{connection} from {source}: ended by {runner.fault}")
            elif runner.keeping.fault is not None:
                found.append(
                    f"{connection} from {source}: the state cannot be written: {runner.keeping.fault.strerror}"
                )
        if engine.store is not None:
            try:
                await asyncio.wait_for(engine.store.commit(lambda database: None), COMMIT_S)
            except TimeoutError:
                found.append(f"the state has not taken a commit within {COMMIT_S:g} s")
            except OSError as error:
                found.append(f"the state cannot be written: {error.strerror}")
        return tuple(found)

    def stopped(self) -> list[str]:
        """The lanes that send no more and why. Others go on, so the engine is ready; a person is needed."""
        rows = sorted(self._engine.runners.items())
        return [f"{lane[0]} from {lane[1]}: {runner.lane.stopped}" for lane, runner in rows if runner.lane.stopped]

    def _kept(self, cursors: set[tuple[str, int]]) -> Kept:
        """In a thread."""
        assert self._engine.store is not None
        with self._one, contextlib.suppress(sqlite3.Error):
            if self._database is None:
                self._database = reading(self._engine.store.path)
            rows = self._database.execute("select source, size from journaled").fetchall()
            # A gauge that was dropped to nothing says 0, it does not vanish.
            dead = dict.fromkeys(self._engine.runners, 0)
            dead |= {lane: sum(counts.values()) for lane, counts in letter_counts(self._database).items()}
            came = {}
            for source, cursor in cursors:
                row = self._database.execute(
                    "select received_at, last from journal where source = ? and first <= ? order by first desc limit 1",
                    (source, cursor),
                ).fetchone()
                if row is not None and row[1] >= cursor:
                    came[source, cursor] = row[0]
            return Kept(dict(rows), dead, came)
        return Kept()

    def _lane(self, runner: LaneRunner, kept: Kept) -> LaneView:
        lane, ledger = runner.lane, runner.lane.ledger
        name = runner.keeping.connection, runner.keeping.source
        now, clock = runner.options.steady(), runner.options.clock()
        # A plan that is changed reads again what was on its way: a counter may not go back for that.
        read = self._read[name] = max(self._read.get(name, 0), ledger.accepted)
        gates = list({id(gate): gate for gate in runner.gates.values()}.values())
        paused = max([0.0, *(gate.paused_until - now for gate in gates)])
        failing = any(gate.open for gate in gates)
        oldest = lane.oldest()
        ages = [] if oldest is None else [now - oldest]
        lags: dict[bool, list[int | None]] = {True: [], False: []}
        for source in runner.sources:
            journaled = source.journaled
            lags[journaled].append(runner.inputs.lag(source))
            at = kept.came.get((source.name, runner.inputs.at(source))) if journaled else None
            if at is not None:
                ages.append(clock - at)
        state = (
            "fault"
            if runner.fault
            else "ended"
            if runner.over
            else "stopped"
            if lane.stopped
            else "failing"
            if failing
            else "running"
        )
        return LaneView(
            *name,
            "paused" if state == "running" and paused else state,
            ledger,
            runner.traffic,
            read,
            _sum(lags[False]),
            _sum(lags[True]),
            max([0.0, *ages]),
            failing,
            paused,
            lane.held_bytes,
            ledger.requests - runner.traffic.ended.total(),
            sum(gate.allowed for gate in gates),
            lane.stopped or runner.fault,
        )


def _sum(lags: list[int | None]) -> int | None:
    """None where a part is not known, or there is none."""
    known = [lag for lag in lags if lag is not None]
    return sum(known) if known and len(known) == len(lags) else None


def as_data(snapshot: Snapshot, now: float) -> dict[str, Any]:
    """What `/lanes` answers."""
    return {
        "version": snapshot.version,
        "at": now,
        "ready": not snapshot.not_ready,
        "not_ready": list(snapshot.not_ready),
        "journal_bytes": snapshot.journal,
        "lanes": [_row(lane, snapshot.dead.get((lane.connection, lane.source))) for lane in snapshot.lanes],
    }


def _row(lane: LaneView, letters: int | None) -> dict[str, Any]:
    ledger = lane.ledger.as_dict()
    return {
        "connection": lane.connection,
        "source": lane.source,
        "state": lane.state,
        "stopped": lane.stopped or None,
        "events_read": lane.events_read,
        **{name: ledger[name] for name in ("rejected_lines", "delivered", "filtered", "dead", "in_flight", "retries")},
        "requests": dict(sorted(lane.traffic.ended.items())),
        "requests_under_way": lane.under_way,
        "requests_allowed": lane.allowed,
        "duplicates_possible": lane.traffic.maybe_twice,
        "request_bytes": ledger["bytes"],
        "held_bytes": lane.held_bytes,
        "lag_bytes": lane.lag_bytes,
        "lag_events": lane.lag_events,
        "oldest_seconds": round(lane.oldest_s, 3),
        "breaker_open": lane.breaker_open,
        "paused_seconds": round(lane.paused_s, 3),
        "dead_letters": letters,
    }
