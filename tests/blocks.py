"""Rows and lines, as blocks and chunks: what a program and a source give, made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from itertools import accumulate
from typing import Any

from waypost.delivery.commands import Command
from waypost.delivery.lane import Lane, Position
from waypost.events.lines import Chunk, Line, lines_of, scattered
from waypost.events.mapped_chunk import NO_ACTION, Block, Owner
from waypost.events.mapped_chunk import block_of as block_of_rows
from waypost.events.results import Mapped
from waypost.sources.shared import Source


@cache
def owner(action: str, item: Any, request: str, group: tuple[Any, ...]) -> Owner:
    """One for all messages of a kind, as in a program."""
    return partial(Mapped, action, item, request, group)


def block_of(rows: Sequence[Mapped | list[Any]]) -> Block:
    """A block with these results of its lines (`Block.rows`)."""
    block = Block(len(rows), b"", [])
    for index, row in enumerate(rows):
        results = [row] if isinstance(row, Mapped) else row
        if results == [NO_ACTION]:
            block.idle.append(index)
        elif results and all(isinstance(item, Mapped) for item in results):
            if len(results) > 1:
                block.several[index] = len(results)
            for item in results:
                block.encoded += item.body + b"\n"
                block.owners.append(owner(item.action, item.item, item.request, item.group))
        else:
            block.others[index] = list(results)
    return block


def read_lines(source: Source) -> list[Line] | None:
    """What a source reads next, a line at a time."""
    pieces = source.read()
    return None if pieces is None else lines_of(pieces)


def chunk_of(texts: Sequence[bytes], offset: int = 0, number: int = 1) -> Chunk:
    """Lines that follow each other in a file."""
    starts = [0, *accumulate(len(text) + 1 for text in texts)]
    return Chunk(b"\n".join(texts), offset, number, starts)


def offer_rows(
    lane: Lane, rows: Sequence[Mapped | list[Any]], lines: Sequence[Line], source: str, now: float, keys: Any = None
) -> list[Command]:
    """Offers lines of which each was mapped alone."""
    chunk = scattered([line.data for line in lines], [(line.offset, line.end, line.number) for line in lines])
    return lane.offer(block_of_rows(rows), chunk, 0, source, now, keys)


def offer_one(
    lane: Lane, results: list[Any], event: bytes, position: Position, now: float, key: Any = None
) -> list[Command]:
    """Offers one event."""
    line = Line(event, position.offset, position.end, position.line)
    return offer_rows(lane, [results], [line], position.source, now, None if key is None else [key])
