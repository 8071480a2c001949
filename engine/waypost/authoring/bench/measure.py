"""A plan is run over events, whole and less one thing at a time.

Takes a plan, settings and lines. Gives a `report.Bench`. Three measurements, each a run in turns (`clock`):

    the whole    against a JSON round trip of the same lines
    by stage     against the plan of which no action takes an event (what that costs is decoding, the dispatch on its type included), the same
                 after the rest of the triggers, and the encoding of the same messages, read into structs of raw members beforehand; what
                 is left is mapping. The kernel writes while it maps: there is no encoding to be told apart
    by field     each action alone, over the events that it makes a message of, against itself less one field; against itself once more,
                 linked anew, to learn what a difference of nothing looks like
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from waypost import plan as p
from waypost.authoring.bench import ablation
from waypost.authoring.bench.clock import Side, Spread, differences, interleaved, middle_half, ratios, spread
from waypost.authoring.bench.report import ActionCost, Bench, Counts, FieldCost, Machine
from waypost.authoring.bench.sample import repeated
from waypost.events.results import Filtered, Mapped, Rejected
from waypost.program.generated.layout import nameable
from waypost.program.kernel import entry as kernel
from waypost.program.program import Program, link

PIECE = 256 << 10
"""Bytes of whole lines that a program is given at once: as the engine reads a file."""

EVENTS = 4_000
"""At least so many events a round of the whole."""

TURN_S = 0.004
"""How long one run of a field's measurement is to take: long beside the clock, short beside the machine's moods."""

SAME = 4
"""How often a plan is measured against itself."""

Settings = dict[str, Any]


def measure(plan: p.Plan, settings: Settings, lines: list[bytes], *, events: str, rounds: int, now: float) -> Bench:
    """`events` names the lines in the report; `now` serves the checks of ages. Raises settings.SettingError."""
    program = link(plan, settings)
    whole = repeated(lines, EVENTS)
    trip, yardstick = round_trip()
    run = over(program, whole, now)
    size = len(whole)
    counts = count(program, whole, now)
    sides: dict[str, Side] = {
        "program": run,
        "trip": lambda: trip(whole),
        "decode": over(link(ablation.idle(plan), settings), whole, now),
        "triggers": over(link(ablation.idle(plan, tested=True), settings), whole, now),
    }
    if counts.kernel * 2 < counts.events:
        sides["encode"] = encoding(program, whole, now)
    found = interleaved(sides, rounds)
    return Bench(
        name=program.owner,
        events=events,
        machine=Machine(processor(), platform.python_version(), yardstick),
        rounds=rounds,
        counts=counts,
        program=spread(found["program"]).times(1e6 / size),
        round_trip=spread(found["trip"]).times(1e6 / size),
        ratio=ratios(found["trip"], found["program"]),
        stages=_stages(found, size),
        no_kernel=kernel.why_none(),
        left_out={} if program.kernel is None else program.kernel.left_out,
        actions=[_action(plan, settings, name, program, lines, rounds, now) for name in plan.actions],
    )


def over(program: Program, lines: list[bytes], now: float) -> Callable[[], int]:
    """The program over the lines as a file holds them; what it gives is consumed."""
    pieces = list(cut(b"\n".join(lines)))

    def run() -> int:
        size = 0
        for data, offset in pieces:
            for block in program.map_data(data, offset, lines[0], now):
                size += block.count + len(block.encoded)
                for results in block.others.values():
                    size += sum(len(result.body) if isinstance(result, Mapped) else 1 for result in results)
        return size

    return run


def cut(data: bytes, size: int = PIECE) -> Iterator[tuple[bytes, int]]:
    """(whole lines, their offset) of at least `size` bytes, the last piece but for."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start + size)
        end = len(data) if end < 0 else end
        yield data[start:end], start
        start = end + 1


def left(program: Program, lines: list[bytes], now: float) -> tuple[int, int]:
    """How many of the lines are not for the kernel, and how many of them go alone."""
    before = program.ways()
    for data, at in cut(b"\n".join(lines)):
        for _ in program.map_data(data, at, lines[0], now):
            pass
    kernel, express, _ = (after - was for after, was in zip(program.ways(), before, strict=True))
    return len(lines) - kernel, len(lines) - kernel - express


def round_trip() -> tuple[Callable[[list[bytes]], int], str]:
    """Parsing and printing each event, with the fastest library there is, and what it is called."""
    loads: Callable[[bytes], Any]
    dumps: Callable[[Any], Any]
    try:
        import orjson

        loads, dumps, name = orjson.loads, orjson.dumps, f"orjson {orjson.__version__}"
    except ImportError:
        loads, dumps, name = json.loads, json.dumps, "json of the standard library: orjson is not installed"

    def run(lines: list[bytes]) -> int:
        size = 0
        for line in lines:
            try:
                size += len(dumps(loads(line)))
            except (ValueError, RecursionError):
                size += 1
        return size

    return run, name


def count(program: Program, lines: list[bytes], now: float) -> Counts:
    """What becomes of each event, and by which way."""
    before, rejected, filtered, messages, mapped = program.ways(), 0, 0, 0, 0
    for data, offset in cut(b"\n".join(lines)):
        for block in program.map_data(data, offset, lines[0], now):
            for row in block.rows():
                results = [row] if isinstance(row, Mapped) else row
                made = sum(isinstance(result, Mapped) for result in results)
                messages += made
                mapped += made > 0
                rejected += not made and any(isinstance(result, Rejected) for result in results)
                filtered += all(isinstance(result, Filtered) for result in results)
    kernel, express, slow = (after - was for after, was in zip(program.ways(), before, strict=True))
    others = len(lines) - kernel - express
    general = min(slow, others)
    return Counts(
        events=len(lines),
        bytes=sum(map(len, lines)),
        messages=messages,
        mapped=mapped,
        filtered=filtered,
        rejected=rejected,
        kernel=kernel,
        express=express,
        line=others - general,
        general=general,
    )


def encoding(program: Program, lines: list[bytes], now: float) -> Side:
    """The encoding alone, of the messages that the program makes: structs with the same names, whose members are raw bytes."""
    encode = msgspec.json.Encoder().encode_lines
    types: dict[tuple[str, ...], Any] = {}
    ready: list[list[Any]] = []
    for data, offset in cut(b"\n".join(lines)):
        for block in program.map_data(data, offset, lines[0], now):
            ready.append([_raw(body, types) for body in block.encoded.split(b"\n") if body])
    return lambda: [len(encode(messages)) for messages in ready]


def _raw(body: bytes, types: dict[tuple[str, ...], Any]) -> Any:
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    names = tuple(members)
    if not all(map(nameable, names)):
        return members
    if names not in types:
        own = {f"f{index}": name for index, name in enumerate(names)}
        types[names] = msgspec.defstruct("Message", [(name, msgspec.Raw) for name in own], rename=own, gc=False)
    return types[names](*members.values())


def _stages(found: dict[str, list[float]], size: int) -> dict[str, Spread]:
    encode = found.get("encode", [0.0] * len(found["program"]))
    rows = list(zip(*(found[side] for side in ("program", "decode", "triggers")), encode, strict=True))
    figures = {
        "decode": found["decode"],
        "triggers": [max(tested - read, 0.0) for _, read, tested, _ in rows],
        "map": [max(whole - max(tested, read) - written, 0.0) for whole, read, tested, written in rows],
    }
    if "encode" in found:
        figures["encode"] = encode
    return {name: spread(times).times(1e6 / size) for name, times in figures.items()}


def _action(
    plan: p.Plan, settings: Settings, name: str, program: Program, lines: list[bytes], rounds: int, now: float
) -> ActionCost:
    """The cost of each field, over the events that the action makes a message of."""
    fields = ablation.fields(plan, name)
    taken = [line for line in lines if _takes(program.map(line, now=now), name)]
    if not taken:
        return ActionCost(name, 0, fields=[FieldCost(field.name, field.at) for field in fields])
    only = ablation.alone(plan, name)
    used = _enough(link(only, settings), taken, now)
    scale = 1e6 / len(used)
    whole = over(link(only, settings), used, now)
    same = [differences(whole, over(link(only, settings), used, now), rounds) for _ in range(SAME)]
    noise = max(abs(middle_half(found).middle) for found in same) * scale
    leave = left(link(only, settings), used, now)
    rows: list[FieldCost] = []
    for field in fields:
        if isinstance(field.node, p.Const):
            rows.append(FieldCost(field.name, field.at))
            continue
        less = link(ablation.without(only, field), settings)
        cost = middle_half(differences(whole, over(less, used, now), rounds)).times(scale)
        sure = cost.low > 0 or cost.high < 0
        slows = max(0, *(with_it - gone for with_it, gone in zip(leave, left(less, used, now), strict=True))) / len(
            used
        )
        rows.append(FieldCost(field.name, field.at, cost, heard=sure and abs(cost.middle) > noise, slows=slows))
    us = spread(interleaved({"whole": whole}, rounds)["whole"]).times(scale)
    return ActionCost(name, len(taken), us, noise, rows)


def _takes(results: list[Mapped | Rejected | Filtered], action: str) -> bool:
    return any(isinstance(result, Mapped) and result.action == action for result in results)


def _enough(program: Program, lines: list[bytes], now: float) -> list[bytes]:
    """So many of the lines, repeated or cut, that one run takes TURN_S."""
    trial = repeated(lines, 200)
    run = over(program, trial, now)
    run()
    start = time.process_time()
    run()
    wanted = int(TURN_S / max(time.process_time() - start, 1e-6) * len(trial)) + 1
    return repeated(lines, wanted)[: max(wanted, 50)]


def processor() -> str:
    """The processor's name, as the machine tells it."""
    try:
        rows = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [row.partition(":")[2].strip() for row in rows if row.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.machine()
