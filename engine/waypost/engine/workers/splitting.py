"""How work is split among workers, and how what they report becomes one place in a file and one ledger again.

Takes files with the cursors of earlier runs. Gives each worker's portions: equal bytes of what has not ended, cut at line feeds; where order
is asked for each gets all of it, and takes the keys that fall to it (cli/working.py). `Gathered` adds up what workers report: the state
then holds what it holds after a run of one process, so that the next run may have any number of workers.

Pure but for `line_start`, which looks for a line feed.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from waypost.delivery import ledger as ledgers
from waypost.delivery.ledger import Ledger
from waypost.engine.gates import Key, gate_key
from waypost.engine.workers.file_share import Portion
from waypost.engine.workers.frames import Step
from waypost.engine.workers.journal_share import blocks_of
from waypost.plan import Plan
from waypost.program.program import Program
from waypost.state.commits import merged, outside
from waypost.state.records import Cursor, LaneStep, Letter, Snapshot


@dataclass(frozen=True)
class Place:
    """A file, and where an earlier run left it. `cut`: whether it can be read from the middle (a gzip file cannot)."""

    path: str
    identity: str
    size: int
    at: Snapshot
    cut: bool = True

    def portion(self, start: int, end: int | None) -> Portion:
        last = self.size if end is None else end
        ranges = tuple(row for row in self.at.ranges if row[1] > start and (end is None or row[0] < last))
        parts = tuple(part for part in self.at.parts if part[0] >= start and (end is None or part[0] < last))
        return Portion(self.path, self.identity, start, end, ranges, parts)

    def left(self) -> list[tuple[int, int]]:
        """What has not ended: ranges of bytes."""
        found, last = [], self.at.cursor
        for start, end in [*self.at.ranges, (self.size, self.size)]:
            if last < start:
                found.append((last, start))
            last = max(last, end)
        return found


def split(
    places: list[Place], workers: int, line_start: Callable[[str, int], int | None] | None = None
) -> list[list[Portion]]:
    """The portions of each worker, as even as line feeds allow; fewer workers where there is not so much."""
    find = line_start or _line_start
    left = [place.left() for place in places]
    total = sum(end - start for rows in left for start, end in rows)
    found: list[list[Portion]] = [[] for _ in range(workers)]
    targets = [total * number // workers for number in range(1, workers)]
    worker = before = 0
    for place, rows in zip(places, left, strict=True):
        size = sum(end - start for start, end in rows)
        start = place.at.cursor
        while place.cut and worker < len(targets) and targets[worker] < before + size:
            at = find(place.path, _position(rows, targets[worker] - before))
            if at is None or at >= place.size:
                break
            if at > start:
                found[worker].append(place.portion(start, at))
                start = at
            worker += 1
        if start < place.size:
            found[worker].append(place.portion(start, None))
        before += size
        while worker < len(targets) and targets[worker] <= before:
            worker += 1
    return [portions for portions in found if portions]


def _position(rows: list[tuple[int, int]], target: int) -> int:
    """Where so many bytes of the ranges lie before."""
    for start, end in rows:
        if target < end - start:
            return start + target
        target -= end - start
    raise AssertionError("the target lies within the ranges")


def _line_start(path: str, offset: int) -> int | None:
    """The first line's beginning at or behind an offset; None when no line begins there."""
    if offset == 0:
        return 0
    at = offset - 1
    with open(path, "rb", buffering=0) as file:
        file.seek(at)
        while piece := file.read(64 << 10):
            found = piece.find(b"\n")
            if found >= 0:
                return at + found + 1
            at += len(piece)
    return None


def falls_to(key: Any, line: bytes, workers: int) -> int:
    """Whose an event is: that of its key's hash, of the line's where it has no key."""
    return zlib.crc32(line if key is None else key) % workers


def most(plan: Plan) -> int:
    """So many workers can share what a destination allows at once and in a window, and still keep within it."""
    found = [
        count
        for request in plan.requests.values()
        for count in (request.concurrency, *(rate.count for rate in request.rate))
    ]
    return min(found, default=1)


def shares_of(programs: list[Program], workers: int) -> list[int]:
    """How many workers may share each lane. Lanes that share a gate are divided alike: so the sum of what the workers' gates let through keeps
    within what one would."""
    found = [min(workers, most(program.plan)) for program in programs]
    keys = [{gate_key(program, kind.policy) for kind in program.requests.values()} for program in programs]
    changed = True
    while changed:
        lowest: dict[Key, int] = {}
        for count, held in zip(found, keys, strict=True):
            for key in held:
                lowest[key] = min(count, lowest.get(key, count))
        again = [min((lowest[key] for key in held), default=count) for count, held in zip(found, keys, strict=True)]
        changed, found = again != found, again
    return found


def divided(plan: Plan, workers: int) -> Plan:
    """The plan with a worker's share of the destination's limits. Its digest stays that of the whole."""
    requests = {
        name: msgspec.structs.replace(
            request,
            concurrency=max(1, request.concurrency // workers),
            rate=[msgspec.structs.replace(rate, count=max(1, rate.count // workers)) for rate in request.rate],
        )
        for name, request in plan.requests.items()
    }
    return msgspec.structs.replace(plan, requests=requests)


@dataclass
class Gathered:
    """State: what each worker has reported last. `starts` is where each began in each input. `blocks`: the input is a journal that so many
    share by blocks; a worker passes those of others without knowing of them, so what it says of them does not count."""

    connection: str
    source: str
    plan: Plan
    before: dict[str, Cursor]
    earlier: Ledger
    starts: dict[tuple[int, str], int]
    blocks: int = 0
    missing: Ledger = field(default_factory=Ledger)
    """What was found to be gone before there were workers."""
    let_go: int = 0
    _at: dict[tuple[int, str], Snapshot] = field(default_factory=dict)
    _identities: dict[str, str] = field(default_factory=dict)
    _ledgers: dict[int, Ledger] = field(default_factory=dict)
    _reached: dict[str, int] = field(default_factory=dict)
    """The last cursor of each input: what lies before is not looked at again."""

    def take(self, worker: int, step: Step) -> None:
        for cursor in step.cursors:
            self._at[worker, cursor.input] = cursor.at
            self._identities[cursor.input] = cursor.identity
        self._ledgers[worker] = ledgers.unpack(step.ledger)

    def ended(self, worker: int, portions: Iterable[Portion]) -> None:
        """The worker has read all of these and nothing of it is on its way: also the blank lines at their ends."""
        for portion in portions:
            if portion.end is not None:
                self._at[worker, portion.path] = Snapshot(portion.end)

    def snapshot(self, name: str) -> Snapshot:
        """What has ended of an input: before the run, or in any worker."""
        before = self.before[name].at
        reached = self._reached.get(name, before.cursor)
        ranges, parts = list(before.ranges), list(before.parts)
        for (worker, of), at in self._at.items():
            if of == name:
                start = max(self.starts[worker, name], reached)
                own = [(start, at.cursor), *at.ranges] if at.cursor > start else at.ranges
                ranges += self._own(own, worker, reached) if self.blocks else own
                parts += at.parts
        whole = merged(ranges, reached)
        cursor = reached
        if whole and whole[0][0] <= cursor:
            cursor, whole = whole[0][1], whole[1:]
        self._reached[name] = cursor
        return Snapshot(cursor, whole, outside(sorted(set(parts), key=repr), whole, cursor))

    def _own(self, ranges: Iterable[tuple[int, int]], worker: int, reached: int) -> list[tuple[int, int]]:
        return [own for start, end in ranges for own in blocks_of(max(start, reached), end, worker, self.blocks)]

    def ledger(self) -> Ledger:
        """What has ended in this run."""
        found = self.missing
        for one in self._ledgers.values():
            found = found.plus(one)
        return found

    def step(self, letters: list[Letter], trims: dict[str, int] | None = None) -> LaneStep:
        """All that was reported, as one step of the lane."""
        names = sorted({name for _, name in self._at})
        rows = [
            Cursor(name, self._identities.get(name, self.before[name].identity), self.snapshot(name)) for name in names
        ]
        whole = self.earlier.plus(self.ledger())
        return LaneStep(
            self.connection,
            self.source,
            tuple(row for row in rows if row.kept),
            replace(whole, let_go=whole.let_go + self.let_go),
            tuple(letters),
            self.plan,
            trims or {},
        )
