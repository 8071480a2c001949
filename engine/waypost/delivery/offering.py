"""What becomes of events that are offered to a lane: they end at once, or their messages are put into batches.

Takes results of the program, a block of lines at a time or those of one line (`Offering.offer`), and the instant. Gives dead letters; batches
wait in the flows (batches.py) until lane.py sends them. With order keys a message waits behind one that holds its key (order.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from waypost.delivery.commands import Command, Dead
from waypost.delivery.holding import Holding
from waypost.delivery.progress import Position, Progress
from waypost.delivery.runs import Alone, Idle, Run, Where, one, runs_of
from waypost.events.lines import Chunk, Line
from waypost.events.mapped_chunk import NO_ACTION, Block
from waypost.events.results import Filtered, Mapped, Rejected

ELSEWHERE: list[Any] = []
"""In place of an event's results: another worker has it."""


class Offering(Holding):
    """What it holds (holding.py), and what puts something there."""

    def offer(
        self, block: Block, lines: Chunk, first: int, source: str, now: float, keys: Sequence[Any] | None = None
    ) -> list[Command]:
        """What the program made of a block's lines, the first of which is the one of `lines` with the index `first`. Gives dead letters at
        once; requests come from `tick`. `keys` order, one a line (see order.py)."""
        progress = self._progress(source)
        commands: list[Command] = []
        if keys is not None or progress.skipped is not None:
            for index, row in enumerate(block.rows()):
                results = [row] if isinstance(row, Mapped) else row
                key = keys[index] if keys else None
                commands += self._offer(results, lines.line(first + index), progress, now, key)
            return commands
        for found in runs_of(block, lines, first, progress):
            if isinstance(found, tuple):
                commands += self._offer_run(*found, now)
            elif isinstance(found, Alone):
                commands += self._offer(found.results, lines.line(found.index), progress, now, None)
            else:
                self._pass_over(found, lines, progress)
        return commands

    def _pass_over(self, idle: Idle, lines: Chunk, progress: Progress) -> None:
        count = idle.last - idle.first
        self.ledger.read += count
        self.ledger.accepted += count
        self.ledger.deliveries += count
        self.ledger.filtered[NO_ACTION.reason] += count
        progress.passed(lines.place(idle.first)[0], lines.place(idle.last - 1)[1])

    def _offer_run(self, where: Where, run: Run, now: float) -> list[Command]:
        flow, group = self._flows[where[0]], where[1]
        if flow.exceeds(group, run, now):
            commands: list[Command] = []
            for item in run.deliveries():
                at = item.position
                line = Line(item.event, at.offset, at.end, at.line)
                commands += self._offer([item.mapped], line, run.progress, now, None)
            return commands
        count = run.count
        self.ledger.read += count
        self.ledger.accepted += count
        self.ledger.deliveries += count
        self.ledger.in_flight += count
        rest: Run | None = run
        while rest is not None:
            _, part, rest = flow.add(group, rest, now)
            self._held += part.cost
            part.progress.begin_all(part.offset, part.end, part.count)
        return []

    def _offer(self, results: list[Any], line: Line, progress: Progress, now: float, key: Any) -> list[Command]:
        position = Position(progress.source, line.offset, line.number, line.end)
        event, offset, end = line.data, line.offset, line.end
        if self.shared:
            progress.between(offset)
        skipped = progress.skipped
        if skipped is not None:
            if offset >= skipped.end:
                progress.skipped = None
            elif skipped.whole(offset):
                progress.reached = end
                return []
            elif results is not ELSEWHERE:
                gone = skipped.parts(offset)
                results = [result for result in results if (result.action, result.item) not in gone]
        if results is ELSEWHERE:
            progress.leave_to_others(offset, end)
            return []
        if not results:
            progress.passed(offset, end)
            return []
        self.ledger.read += 1
        if len(results) == 1 and isinstance(results[0], Rejected) and results[0].action is None:
            rejected = results[0]
            self.ledger.rejected[rejected.reason] += 1
            progress.passed(offset, end)
            return [Dead(position, event, rejected.reason, rejected.message, field=rejected.field)]
        self.ledger.accepted += 1
        self.ledger.deliveries += len(results)
        going = [result for result in results if isinstance(result, Mapped)]
        commands = self._end_at_once(results, going, event, position, now)
        if not going:
            progress.passed(offset, end)
            return commands
        progress.begin(offset, end, len(going))
        if len(going) < len(results):
            sent = {id(result) for result in going}
            for result in results:
                if id(result) not in sent:
                    progress.part_ended(offset, result.action, result.item)
        self.ledger.in_flight += len(going)
        for mapped in going:
            run = one(mapped, event, position, progress, key)
            self._held += run.cost
            self._place(mapped.request, mapped.group, run, now)
        return commands

    def _end_at_once(
        self, results: list[Any], going: list[Mapped], event: bytes, position: Position, now: float
    ) -> list[Command]:
        """The results that end here; a message that can never be sent is one, and leaves `going`."""
        commands: list[Command] = []
        for result in results:
            if isinstance(result, Mapped):
                refused = self._flows[result.request].refusal(result, now)
                if refused is None:
                    continue
                going.remove(result)
                result = refused
            if isinstance(result, Filtered):
                self.ledger.filtered[result.reason] += 1
            else:
                self.ledger.dead[result.reason] += 1
                commands.append(
                    Dead(position, event, result.reason, result.message, result.action, result.item, result.field)
                )
        return commands

    def _place(self, request: str, group: tuple[Any, ...], run: Run, now: float) -> None:
        """Puts a message into its batch, or parks it behind one that holds its key."""
        flow = self._flows[request]
        if run.key is None:
            flow.add(group, run, now)
            return
        self._ordered = True
        batch = flow.open.get(group)
        fits = batch is not None and flow.fitting(batch, run, now, group) > 0
        if self._order.admits(run.key, batch.id if batch is not None and fits else None):
            self._order.enter(run.key, flow.add(group, run, now)[0])
        else:
            self._order.park(run)
