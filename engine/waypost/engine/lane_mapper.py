"""What a source gave becomes what a lane takes: chunks are mapped whole, or line by line where something is to be known of each line.

Takes pieces of a source, and the program that maps them. Offers what comes of them to the lane and gives the commands that it answers with.
Line by line go events that have an order, events of which a part has ended under an earlier plan (that plan maps them), and all of them where
a run maps in a way of its own (a replay, a dry run that tells of each) or the connection redacts: then what the lane holds of an event, and
keeps of a dead one, is without the members that are redacted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from waypost.delivery.lane import Command, Lane
from waypost.delivery.offering import ELSEWHERE
from waypost.events.lines import Chunk, Line, Piece, Turned, lines_of, scattered
from waypost.events.mapped_chunk import Block, block_of
from waypost.events.results import Mapped, Rejected
from waypost.program.order_key import order_key
from waypost.program.program import Program, Result
from waypost.sources.port import Source

MapLines = Callable[[Program, Source, list[Line], float], list[Mapped | list[Result]]]
"""What becomes of a chunk of lines: for each its one message, or the list of its results."""


class LaneMapper:
    """State: the program that maps, and earlier ones with the events that are still theirs."""

    def __init__(self, map_lines: MapLines | None, mine: Callable[[Any, bytes], bool] | None) -> None:
        """`map_lines` maps in another way than the program. `mine` says of a key and a line whether this worker has the event."""
        self._map_lines = map_lines or many
        self._mine = mine
        self._older: dict[tuple[str, int], Program] = {}
        """Events of which a part has ended under an earlier plan: that plan maps them."""
        self._prefixes: dict[int, str] = {}

    def link(self, program: Program) -> Iterator[tuple[str, Program]]:
        """Maps by this program from now on. Gives the earlier ones that still have events, each with what its requests' names begin with."""
        self.program = program
        self._key_of = order_key(program)
        self._prefixes = {}
        for older in self._older.values():
            if id(older) not in self._prefixes:
                self._prefixes[id(older)] = f"{len(self._prefixes)}/"
                yield self._prefixes[id(older)], older

    def keep(self, begun: list[tuple[str, int]]) -> None:
        """These events stay with the program that has them now: (source, offset) of each."""
        self._older = {event: self._older.get(event, self.program) for event in begun}

    def take(
        self, lane: Lane, source: Source, pieces: list[Piece], now: float, steady: Callable[[], float]
    ) -> Iterator[list[Command]]:
        """Offers pieces to a lane. `now`: when they are mapped (epoch seconds); `steady`: the clock of waits. Gives what the lane asks for."""
        for piece in pieces:
            if not isinstance(piece, Chunk) or self._one_by_one(source, piece):
                yield self._take_lines(lane, source, lines_of([piece]), now, steady())
                continue
            first = 0
            for block in self._blocks(source, piece, now):
                yield lane.offer(block, piece, first, source.name, steady())
                first += block.count

    def _one_by_one(self, source: Source, chunk: Chunk) -> bool:
        """Whether something is to be known of each line, or one of them is mapped in another way."""
        if self._key_of is not None or self._map_lines is not many or self.program.cut is not None:
            return True
        return any(name == source.name and chunk.offset <= at < chunk.end for name, at in self._older)

    def _blocks(self, source: Source, chunk: Chunk, now: float) -> Iterator[Block]:
        if chunk.places is not None:
            offsets = [offset for offset, _, _ in chunk.places]
            return iter([self.program.map_text(chunk.data, offsets, source.first_line, now)])
        return self.program.map_data(chunk.data, chunk.offset, source.first_line, now)

    def _take_lines(self, lane: Lane, source: Source, lines: list[Line], now: float, steady: float) -> list[Command]:
        keys = None if self._key_of is None else [self._key(line) for line in lines]
        rows: list[Mapped | list[Result]] = [ELSEWHERE] * len(lines)
        own = [index for index, line in enumerate(lines) if keys is None or self._has(keys[index], line)]
        kept = [self._kept(line) for line in lines]
        # Cut once here, so that the program finds little to cut. Of what cannot be read nothing is kept: the program says why.
        cut = [kept[at] if kept[at].data else lines[at] for at in own]
        for index, row in zip(own, self._map_lines(self.program, source, cut, now), strict=True):
            rows[index] = row
        for index in own:
            line = lines[index]
            if line.__class__ is not Line:
                rows[index] = [turned_away(kept[index])]
            elif self._older and (older := self._older.get((source.name, line.offset))) is not None:
                found = older.map(line.data, line.offset, older.kept(source.first_line), now)
                rows[index] = [_renamed(item, self._prefixes[id(older)]) for item in found]
        held = scattered([line.data for line in kept], [(line.offset, line.end, line.number) for line in lines])
        return lane.offer(block_of(rows), held, 0, source.name, steady, keys)

    def _has(self, key: Any, line: Line) -> bool:
        return self._mine is None or self._mine(key, line.data)

    def _kept(self, line: Line) -> Line:
        """A line as the lane holds it."""
        if self.program.cut is None:
            return line
        # The head of a line that is too long is no object.
        return msgspec.structs.replace(line, data=self.program.kept(line.data))

    def _key(self, line: Line) -> Any:
        assert self._key_of is not None
        try:
            return self._key_of(line.data)
        except Exception as error:
            self.program.guard.caught(error, "ordered", then="it has no place in the order")
            return None


def many(program: Program, source: Source, lines: list[Line], now: float) -> list[Mapped | list[Result]]:
    """The results of a chunk of lines. Those that are turned away (they may hold line feeds) have none yet."""
    whole = [line for line in lines if line.__class__ is Line]
    if not whole:
        return [[] for _ in lines]
    data, offsets = b"\n".join(line.data for line in whole), [line.offset for line in whole]
    rows = iter(program.map_text(data, offsets, program.kept(source.first_line), now).rows())
    return [next(rows) if line.__class__ is Line else [] for line in lines]


def turned_away(line: Any) -> Rejected:
    """A line that the program never sees: it is too long, or was found wanting when it came in."""
    if isinstance(line, Turned):
        return Rejected(None, None, line.reason, line.message)
    message = f"the line has {line.length} bytes (SHA-256 {line.sha256}); its first {len(line.data)} are kept"
    return Rejected(None, None, "line_too_long", message)


def _renamed(result: Result, prefix: str) -> Result:
    return msgspec.structs.replace(result, request=prefix + result.request) if isinstance(result, Mapped) else result
