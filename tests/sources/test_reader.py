"""One input for several lanes: each gets every line once and in order, however fast or slow it is."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from blocks import read_lines
from waypost.events.lines import Line, Piece, alone
from waypost.events.loss import Loss
from waypost.sources.file import FileSource
from waypost.sources.shared import Shared, Tap, cost_of

COST = cost_of(alone(Line(b"x" * 10, 0, 1, 1)))


class Pieces:
    """A source of numbered lines, a few at a time. State: where it is."""

    identity = "i"
    name = "pieces"
    first_line = b"line"
    waits = False
    journaled = False
    losses: Sequence[Loss] = ()

    def __init__(self, count: int, step: int, *, again: bool = True) -> None:
        self.size: int | None = count if again else None
        self.resumable = again
        self.offset = 0
        self._count = count
        self._step = step

    def resume(self, offset: int, identity: str) -> str:
        self.offset = offset
        return ""

    def read(self) -> list[Piece] | None:
        start = self.offset
        self.offset = min(self._count, start + self._step)
        return [alone(Line(b"x" * 10, at, at + 1, at + 1)) for at in range(start, self.offset)] or None

    def close(self) -> None:
        return None


@given(
    st.integers(0, 10**9), st.integers(1, 4), st.integers(1, 30), st.lists(st.integers(0, 60), min_size=1, max_size=4)
)
def test_every_lane_reads_every_line_once(seed: int, step: int, window: int, starts: list[int]) -> None:
    """Mutation that turns this red: `Tap.read` without the lines before its place being left out."""
    rng = random.Random(seed)
    shared = Shared(lambda: Pieces(60, step), window=window * COST)
    taps = [shared.tap() for _ in starts]
    seen: list[list[int]] = [[] for _ in starts]
    for tap, start in zip(taps, starts, strict=True):
        assert tap.resume(start, "i") == ""
    weights = [rng.random() + 0.05 for _ in taps]
    open_taps = set(range(len(taps)))
    while open_taps:
        at = rng.choices(range(len(taps)), weights)[0]
        lines = read_lines(taps[at])
        if lines is None:
            open_taps.discard(at)
        else:
            seen[at] += [line.offset for line in lines]
    assert seen == [list(range(start, 60)) for start in starts]


def test_lanes_of_one_pace_share_one_reader() -> None:
    shared = Shared(lambda: Pieces(100, 10))
    taps = [shared.tap() for _ in range(3)]
    while [tap.read() for tap in taps] != [None, None, None]:
        pass
    assert shared.reads == 10
    assert not any(tap.detached for tap in taps)


def test_slow_lane_detaches_and_rejoins() -> None:
    """It never holds the fast one up, and reads alone only until it has caught up."""
    shared = Shared(lambda: Pieces(1000, 10), window=50 * COST)
    fast, slow = shared.tap(), shared.tap()
    slow.read()
    for _ in range(30):
        fast.read()
    slow.read()
    assert slow.detached
    while slow.at < fast.at:
        slow.read()
    assert not slow.detached
    assert slow.at == fast.at


def test_input_that_cannot_be_read_twice_waits_for_its_slowest_lane() -> None:
    shared = Shared(lambda: Pieces(1000, 10, again=False), window=50 * COST)
    fast, slow = shared.tap(), shared.tap()
    while fast.read():
        pass
    assert fast.at < 100
    first = read_lines(slow)
    assert first is not None
    assert first[0].offset == 0


def test_other_file_under_the_name_is_told_to_each_lane(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b'{"a":1}\n{"a":2}\n')
    shared = Shared(lambda: FileSource(path))
    taps: list[Tap] = [shared.tap(), shared.tap()]
    assert all("not the file" in tap.resume(8, "another") for tap in taps)
    assert [[line.offset for line in read_lines(tap) or ()] for tap in taps] == [[0, 8], [0, 8]]
    for tap in taps:
        tap.close()
