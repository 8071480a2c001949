"""What a source gives becomes what a lane takes: whole lines together, and beside them lines that no program ever sees."""

from __future__ import annotations

from typing import Any

import pytest

from blocks import chunk_of
from waypost import plan as p
from waypost.delivery.commands import Dead
from waypost.delivery.gate import Gate
from waypost.delivery.lane import Lane
from waypost.engine.lane_mapper import LaneMapper
from waypost.events.lines import Line, Piece, TooLong, Turned
from waypost.program.program import Program, link


class Named:
    """A source as far as it is asked here."""

    name = "s"
    first_line = b""


def program_of(order_by: p.Value | None) -> Program:
    request = p.Request(
        method="post",
        url=p.Const(value="https://any.example/"),
        body=p.Messages(many=True),
        batch=p.Batch(max_messages=9),
    )
    action = p.Action(
        trigger='type = "track"', request="request", mapping=p.Object(entries={"id": p.Path(path="$.messageId")})
    )
    connection = None if order_by is None else p.Connection(name="any", order_by=order_by)
    return link(
        p.seal(p.Plan(name="any", requests={"request": request}, actions={"a": action}, connection=connection)), {}
    )


@pytest.mark.parametrize("ordered", [False, True])
def test_lines_that_are_turned_away_may_hold_anything(ordered: bool) -> None:
    """A turned event is kept as it came in, line feeds and all, and does not shift the results of the lines around it.

    Mutation that turns this red: `many` maps what is turned away with the others."""
    program = program_of(p.Path(path="$.userId") if ordered else None)
    lane = Lane(dict(program.requests), {"request": Gate(1, lambda: 1.0)}, lambda: 1.0)
    mapper = LaneMapper(None, None)
    assert list(mapper.link(program)) == []
    good = [b'{"type":"track","userId":"u","messageId":"m%d"}' % number for number in range(4)]
    at = len(good[0]) + 1
    pieces: list[Piece] = [
        chunk_of(good[:2]),
        Turned(b'{\n"messageId":\n"m9"}', 2 * at, 2 * at + 1, 3, "type_missing", "no type"),
        TooLong(b'{"type":"track",\n', 2 * at + 1, 2 * at + 9, 4, 8, "00"),
        chunk_of(good[2:], 2 * at + 9, 5),
    ]
    source: Any = Named()
    commands = [one for found in mapper.take(lane, source, pieces, 0.0, lambda: 0.0) for one in found]
    # The same lines once more, all at once.
    lines = [line for piece in pieces for line in (piece.lines() if hasattr(piece, "lines") else [piece])]
    rows = mapper._map_lines(program, source, lines, 0.0)
    assert [row if row == [] else "mapped" for row in rows] == ["mapped", "mapped", [], [], "mapped", "mapped"]
    assert [(one.reason, one.event) for one in commands if isinstance(one, Dead)] == [
        ("type_missing", b'{\n"messageId":\n"m9"}'),
        ("line_too_long", b'{"type":"track",\n'),
    ]
    assert (lane.ledger.read, lane.ledger.accepted, lane.ledger.in_flight) == (6, 4, 4)
    assert all(isinstance(line, Line) for line in lines)
