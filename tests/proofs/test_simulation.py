"""Lanes, gate and store under seeded faults (tests/simulation.py): nothing is lost, whatever happens when.

One-line mutations that turn this red: in progress.py `cursor` giving `self.reached`, `end_all` without `ended.append`, `end` without
`_parts.append`; in lane.py `skipped.whole(offset)` never true, `_halves(batch)[:1]`; in gate.py `pause` without its assignment, `_wait`
without its concurrency, `Window.sent` adding 1; in order.py `admits` always true, `may_go` always true; in committer.py a fault that is not
kept; in commits.py a step without the dead letters, `resumed` without the ranges.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation import Figures, Schedule, World, simulate

SEEDS = (Path(__file__).parent.parent / "cases" / "simulation" / "seeds.txt").read_text(encoding="utf-8").splitlines()


@settings(max_examples=200, deadline=None)
@given(
    st.builds(
        Schedule,
        seed=st.integers(0, 10**9),
        events=st.integers(1, 40),
        lanes=st.integers(1, 3),
        faults=st.integers(0, 5),
        crashes=st.integers(0, 3),
        ordered=st.integers(0, 1),
    )
)
def test_no_schedule_of_faults_breaks_a_promise(schedule: Schedule) -> None:
    """P2 to P7, P9, P11: conservation at every instant, nothing lost, duplicates only of attempts without an acknowledgement, polite, in
    order, and drained when the faults have stopped."""
    simulate(schedule)


@pytest.mark.parametrize("line", [line for line in SEEDS if not line.startswith("#")])
def test_schedule_that_once_failed(line: str) -> None:
    simulate(Schedule.parse(line))


def test_schedules_meet_what_they_are_for() -> None:
    """The faults that the promises speak of do happen: else the tests above prove nothing."""
    total = Figures()
    for seed in range(40):
        total.add(simulate(Schedule.drawn(seed)))
    assert {"200", "400", "408", "429", "503", "unsent", "unanswered"} <= total.answers.keys()
    assert min(total.crashes, total.duplicates, total.dead) > 10
    assert min(total.torn, total.refusals) > 2


@pytest.mark.parametrize("seed", range(30))
def test_failing_destination_does_not_slow_another(seed: int) -> None:
    """P10: lane B's schedule is the same with and without A's fault."""
    calm = Schedule(seed, 40, 1, 0, 0, 0)
    other = Schedule(seed + 1000, 40, 1, 4, 0, seed % 2)
    alone, beside = World(calm), World(calm)
    alone.run()
    run_together(beside, World(other))
    assert beside.sent_log == alone.sent_log
    assert alone.sent_log


def run_together(*worlds: World) -> None:
    """One loop for several destinations, as the engine has one: the earliest event of any of them is next."""
    while waiting := [world for world in worlds if world.queue]:
        min(waiting, key=lambda world: world.queue[0][0]).step()


@pytest.mark.parametrize("ordered", [0, 1])
def test_same_seed_same_run(ordered: int) -> None:
    first, second = World(Schedule(7, 50, 2, 3, 2, ordered)), World(Schedule(7, 50, 2, 3, 2, ordered))
    first.run()
    second.run()
    assert first.sent_log == second.sent_log
