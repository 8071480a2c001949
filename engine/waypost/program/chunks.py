"""Lines become messages: the compiled kernel first, then one generated loop over decoded events, then the same loop over what the general
loader makes of a line.

Takes what a program has for each of these ways. Gives a Block. All ways give the same bytes, so which one a line takes is a matter of speed:

    kernel    one scan in compiled code (kernel/), where it is installed and the plan is for it
    express   one decoder call a chunk and one generated loop (generated/chunk_loop.py), over what the kernel leaves, or over all
    alone     the loader (loader.py), and the loop's block for events of any shape: what neither takes, as malformed lines are
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

import msgspec

from waypost.events.guard import REASON, Guard
from waypost.events.mapped_chunk import (
    NO_ACTION,
    Block,
    Indexed,
    Lines,
    Offsets,
    are_plain,
    decode_clean,
    is_utf8,
    ragged,
    without,
)
from waypost.events.results import Filtered, Mapped, Rejected
from waypost.lang import values
from waypost.program.loader import TOO_DEEP, Loader
from waypost.program.outcomes import Outcomes

if TYPE_CHECKING:
    from waypost.program.kernel.machine import Kernel

Result = Mapped | Rejected | Filtered

FEW = 3
"""So few lines are mapped alone sooner than a call of the decoder pays."""


PART = 4
"""Where the kernel leaves this part of a chunk, the messages of both ways are put into one piece: a lane takes them sooner. For fewer lines,
that does not pay."""


class Chunks:
    """The ways of one program. `map_chunk` is the generated loop, `decoder` what its events are decoded with, `loader` for all others."""

    def __init__(
        self,
        kernel: Kernel | None,
        map_chunk: Callable[..., None],
        decoder: msgspec.json.Decoder[Any],
        loader: Loader,
        outcomes: Outcomes,
        guard: Guard,
    ) -> None:
        self._kernel = kernel
        self._map_chunk = map_chunk
        self._decoder = decoder
        self._loader = loader
        self._outcomes = outcomes
        self._guard = guard
        self.by_kernel = 0
        """How many lines the kernel has taken."""
        self.by_express = 0
        """How many lines the generated loop has taken in chunks."""

    def block(
        self, data: bytes, start: int, stop: int, offsets: int | Indexed[int], first_line: bytes, now: float
    ) -> Block:
        """What becomes of the whole lines in `data[start:stop]`, without a line feed at the end. `offsets` is where `data` stands in its
        source, or what gives that of each line by its index."""
        try:
            return self._block(data, start, stop, offsets, first_line, now)
        except Exception as error:
            held = Lines(data[start:stop])
            places = Offsets(held, offsets + start) if isinstance(offsets, int) else offsets
            return self._one_by_one(error, held.all(), places, first_line, now)

    def _one_by_one(
        self, error: Exception, lines: Sequence[bytes], offsets: Indexed[int], first_line: bytes, now: float
    ) -> Block:
        """What was not foreseen while lines were mapped together: each alone, where the one to blame is found."""
        self._guard.caught(error, "mapped with others", then="each is mapped alone")
        others = {index: self.alone(line, offsets[index], first_line, now) for index, line in enumerate(lines)}
        return Block(len(lines), b"", [], others=others)

    def _block(
        self, data: bytes, start: int, stop: int, offsets: int | Indexed[int], first_line: bytes, now: float
    ) -> Block:
        if self._kernel is not None:
            count, encoded, owners, idle, several, rest = self._kernel.map(data, start, stop, offsets, first_line, now)
            block = Block(count, encoded, owners, idle, several)
            return self._with_rest(block, rest, data, offsets, first_line, now)
        piece = data[start:stop]
        held = Lines(piece)
        places = Offsets(held, offsets + start) if isinstance(offsets, int) else offsets
        events = self._decoded(piece)
        if events is None:
            return self._odd(held.all(), places, first_line, now)
        return self._express(events, held, places, first_line, now)

    def alone(self, line: bytes, offset: int, first_line: bytes, now: float, *, walk: bool = False) -> list[Result]:
        """The results of one line, by the general loader (with `walk` by its slowest way, which gives the same)."""
        try:
            event, line = self._loader.load(line, walk=walk)
            if event.__class__ is Rejected:
                return [event]
            ready: list[Any] = []
            block, rest = Block(1, b"", []), list[int]()
            self._loop([event], [line], [offset], first_line, now, ready, [], [], block, rest)
            if rest:
                return [TOO_DEEP]
            return block.others.get(0) or self._outcomes.encoded(ready, block.owners) or [NO_ACTION]
        except Exception as error:
            return [Rejected(None, None, REASON, self._guard.caught(error, "mapped"))]

    def _loop(
        self,
        events: list[Any],
        lines: Indexed[bytes],
        offsets: Indexed[int],
        first_line: bytes,
        now: float,
        ready: list[Any],
        times: list[str],
        timed: list[int],
        block: Block,
        rest: list[int],
    ) -> None:
        """The generated function, with what it adds to."""
        into = block.owners, times, timed, block.idle, block.several, block.others, rest
        self._map_chunk(events, lines, offsets, first_line, now, ready, *into)

    def _with_rest(
        self,
        block: Block,
        rest: list[tuple[int, int, int]],
        data: bytes,
        offsets: int | Indexed[int],
        first_line: bytes,
        now: float,
    ) -> Block:
        """The kernel's block, completed with the lines that it has left."""
        self.by_kernel += block.count - len(rest)
        lines = [data[begin:end] for _, begin, end in rest]
        places = [offsets + begin if isinstance(offsets, int) else offsets[index] for index, begin, _ in rest]
        if len(rest) <= FEW:
            rows: Sequence[Any] = [self.alone(*line, first_line, now) for line in zip(lines, places, strict=True)]
        else:
            left = self._odd(lines, places, first_line, now)
            if len(rest) * PART >= block.count:
                block.weave([index for index, _, _ in rest], left)
                return block
            rows = left.rows()
        for (index, _, _), row in zip(rest, rows, strict=True):
            block.others[index] = [row] if isinstance(row, Mapped) else row
        return block

    def _decoded(self, data: bytes) -> list[Any] | None:
        """The event of each line, None for what is not for the decoder; None for all where the bytes are not UTF-8 throughout."""
        count, odd = ragged(data)
        clean = without(data, odd) if odd else data
        if not is_utf8(clean):
            return None
        events = decode_clean(self._decoder, clean, count - len(odd)) if clean else []
        for index, _, _ in odd:
            events.insert(index, None)
        return events

    def _odd(self, lines: Sequence[bytes], offsets: Indexed[int], first_line: bytes, now: float) -> Block:
        """Lines of which some may be anything: those that are one JSON object are decoded together."""
        good = [line[:1] == b"{" and line[-1:] == b"}" for line in lines]
        data = b"\n".join(compress(lines, good))
        if not is_utf8(data):
            good = [fine and is_utf8(line) for fine, line in zip(good, lines, strict=True)]
            data = b"\n".join(compress(lines, good))
        events = iter(decode_clean(self._decoder, data, sum(good)) if data else ())
        spread = [next(events, None) if fine else None for fine in good]
        return self._express(spread, lines, offsets, first_line, now)

    def _express(
        self, events: list[Any], lines: Indexed[bytes], offsets: Indexed[int], first_line: bytes, now: float
    ) -> Block:
        ready: list[Any] = []
        times: list[str] = []
        timed: list[int] = []
        rest: list[int] = []
        block = Block(len(events), b"", [])
        self._loop(events, lines, offsets, first_line, now, ready, times, timed, block, rest)
        if times and not are_plain(times):
            _take_out(ready, times, timed, block, rest)
        self.by_express += len(events) - len(rest)
        block.encoded = values.encode_lines(ready)
        for index in rest:
            block.others[index] = self.alone(lines[index], offsets[index], first_line, now)
        return block


def _take_out(ready: list[Any], times: list[str], timed: list[int], block: Block, rest: list[int]) -> None:
    """Takes out the messages with a time that is not sent as it stands; their lines are mapped alone."""
    wrong = {index for index, time in zip(timed, times, strict=True) if not are_plain([time])}
    left = {*rest, *block.others, *block.idle}
    message, gone = 0, []
    for index in range(block.count):
        if index in wrong:
            gone.append(message)
        if index not in left:
            message += block.several.get(index, 1)
    for message in reversed(gone):
        del ready[message], block.owners[message]
    rest += sorted(wrong)
