"""Every way that an event may take through a program, and that they agree: the kernel, generated code with the fast loader and with the
general one, a line at a time and a piece of data at a time, and the reference interpreter.

Takes a plan, linked with the kernel and without, and lines; gives what becomes of each line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from waypost import plan as p
from waypost.compiler.pipeline import compile_text
from waypost.events.results import Mapped, Rejected
from waypost.program import interpret_actions
from waypost.program.program import Program, link

NOW = 1_795_000_000.0


def comparable(result: Any) -> Any:
    """A result with its message as JSON (number tokens kept) instead of bytes; of a rejection what a dead letter is sorted by."""
    if isinstance(result, Mapped):
        return (result.action, result.item, result.request, list(map(repr, result.group)), tokens(result.body))
    if isinstance(result, Rejected):
        return (result.action, result.item, result.reason, result.field if result.action else "")
    return result


def tokens(body: bytes) -> Any:
    """JSON with each number as its own text, so that 1.50 is not 1.5, and each object as its members in order."""
    return json.loads(
        body,
        parse_float=lambda text: ("number", text),
        parse_int=lambda text: ("number", text),
        object_pairs_hook=lambda pairs: list(dict(pairs).items()),
    )


def compiled(text: str) -> p.Plan:
    """The plan of a spec in which nothing is wrong."""
    plan, report = compile_text(text, "destination.yaml")
    assert plan is not None, report.diagnostics
    return plan


Both = tuple[Program, Program]
"""The same plan, linked with the kernel and without."""


def both(plan: p.Plan, given: dict[str, Any]) -> Both:
    return link(plan, given), link(plan, given, use_kernel=False)


def all_ways(linked: Both, lines: list[bytes]) -> list[list[Any]]:
    """Maps lines in every way, asserts that they agree, and gives the results."""
    program, bare = linked
    together = mapped(program, lines)
    assert mapped(bare, lines) == together
    for offset, line in enumerate(lines):
        fast = program.map(line, offset, b"first", NOW)
        assert fast == together[offset]
        assert fast == program._chunks.alone(program.redacted(line), offset, b"first", NOW)
        assert fast == walked(program, line, offset)
        origin = interpret_actions.Origin(line, offset, b"first", program.owner)
        slow = interpret_actions.map_event(program.plan, program.settings, origin, NOW)
        assert list(map(comparable, fast)) == list(map(comparable, slow)), line
    if not any(b"\n" in line for line in lines) and all(lines):
        assert in_pieces(program, lines) == in_pieces(bare, lines) == in_one(program, lines)
    return together


def mapped(program: Program, lines: Sequence[bytes], offsets: Sequence[int] | None = None) -> list[Any]:
    """The results of each line, mapped together: those that may stand in one piece of data."""
    offsets = range(len(lines)) if offsets is None else offsets
    whole = [index for index, line in enumerate(lines) if line and b"\n" not in line]
    data = b"\n".join(lines[index] for index in whole)
    rows = spread(program.map_text(data, [offsets[index] for index in whole], b"first", NOW).rows()) if whole else []
    found = dict(zip(whole, rows, strict=True))
    return [
        found[index] if index in found else program.map(line, offsets[index], b"first", NOW)
        for index, line in enumerate(lines)
    ]


def walked(program: Program, line: bytes, offset: int = 0) -> list[Any]:
    """The results of a line by the general loader's slowest way."""
    return program._chunks.alone(program.redacted(line), offset, b"first", NOW, walk=True)


def spread(rows: Iterable[Any]) -> list[Any]:
    return [[row] if isinstance(row, Mapped) else row for row in rows]


def in_pieces(program: Program, lines: list[bytes]) -> list[Any]:
    """The rows of the lines as one piece of data, with their offsets in it."""
    blocks = program.map_data(b"\n".join(lines), 7, b"first", NOW)
    return spread(row for block in blocks for row in block.rows())


def in_one(program: Program, lines: list[bytes]) -> list[Any]:
    offset, found = 7, []
    for line in lines:
        found.append(program.map(line, offset, b"first", NOW))
        offset += len(line) + 1
    return found
