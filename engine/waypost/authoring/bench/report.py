"""What a measurement of a plan comes to: data, for `render`."""

from __future__ import annotations

from dataclasses import dataclass, field

from waypost.authoring.bench.clock import Spread


@dataclass(frozen=True)
class Machine:
    """Where it was measured. `yardstick` is what the round trip was made with."""

    processor: str
    python: str
    yardstick: str


@dataclass(frozen=True)
class Counts:
    """What became of the events, and the way that they took: `kernel` (in compiled code), `express` (in one generated loop), `line` (alone),
    `general` (alone, of any shape)."""

    events: int
    bytes: int
    messages: int
    mapped: int
    filtered: int
    rejected: int
    kernel: int
    express: int
    line: int
    general: int


@dataclass(frozen=True)
class FieldCost:
    """What a message of its action costs more with the field than without: microseconds, the middle half of the rounds.

    `cost` is None for a field that holds a constant, or whose action takes no event of the sample. `heard` is False where the difference is no
    larger than `ActionCost.noise`, or no surer than not. `slows` is the share of the action's events that take a slower way for it alone.
    """

    name: str
    at: str
    cost: Spread | None = None
    heard: bool = False
    slows: float = 0.0


@dataclass(frozen=True)
class ActionCost:
    """`us` is a message's whole cost, `events` those of the sample that the action takes, `noise` how far the same plan is from itself."""

    name: str
    events: int
    us: Spread | None = None
    noise: float = 0.0
    fields: list[FieldCost] = field(default_factory=list)


@dataclass(frozen=True)
class Bench:
    """Microseconds an event. `stages` holds decode, triggers, map and encode (no encode where the kernel maps: it writes at once); `ratio` is
    the round trip's time by the program's. `no_kernel`: why this installation has none; `left_out`: the actions that are not for it, and why.
    """

    name: str
    events: str
    machine: Machine
    rounds: int
    counts: Counts
    program: Spread
    round_trip: Spread
    ratio: Spread
    stages: dict[str, Spread]
    actions: list[ActionCost]
    no_kernel: str = ""
    left_out: dict[str, str] = field(default_factory=dict)
