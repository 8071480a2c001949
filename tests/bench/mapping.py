"""Mapping alone: a shipped plan against the other ways, over the mix, over large track events, with templates everywhere, and every plan."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from bench import inputs, node_peer, peers, plans
from bench.page import table
from bench.turns import Turn, compared, take, timed, told
from waypost import plan as p
from waypost.authoring.bench.clock import differences, middle_half, ratios, spread
from waypost.authoring.bench.measure import count, over, round_trip
from waypost.cli.show import stand_ins
from waypost.plan import load
from waypost.program.program import Program, link

ROOT = Path(__file__).resolve().parent.parent.parent
HOME = ROOT / ".bench" / "node"
FIRST = "segment"
"""The plan whose mapping the other ways were written for."""
NOW = 0.0
TRIP = "JSON round trip"


def shipped(name: str) -> Program:
    plan = load((ROOT / "compiled" / f"{name}.json").read_bytes())
    return link(plan, stand_ins(plan))


def mix(rounds: int) -> str:
    """The program against everything else."""
    program, lines = shipped(FIRST), inputs.events(20_000)
    trip, yardstick = round_trip()
    sides: dict[str, Turn] = {"the program": timed(over(program, lines, NOW), len(lines))}

    def add(name: str, run: Callable[[list[bytes]], int], most: int) -> None:
        part = lines[:most]
        sides[name] = timed(lambda: run(part), len(part))

    add(f"{TRIP} ({yardstick})", trip, len(lines))
    add("hand-written Python over orjson", peers.by_hand, len(lines))
    word = node_peer.installed(HOME)
    with tempfile.TemporaryDirectory() as folder:
        node = None if word else node_peer.NodePeer(HOME, lines[:5_000], Path(folder))
        if node is not None:
            sides["Segment's actions-core in Node"] = node.turn
        add("jsonpath-ng, one find a field", peers.jsonpath_each(), 2_000)
        add("Jinja, one render a field", peers.jinja_each(), 1_000)
        found = take(sides, rounds)
        if node is not None:
            node.close()
    skipped = f"\n\nSegment's actions-core in Node: {word}." if word else ""
    return f"{described(program, lines)}\n\n{compared(found, 'the program')}{skipped}"


def types(rounds: int) -> str:
    """The mix, a type of events at a time: which one holds the whole back."""
    program, lines = shipped(FIRST), inputs.events(12_000)
    trip, _ = round_trip()
    kinds: dict[str, list[bytes]] = {"all": lines, "well-formed": []}
    for line in lines:
        kind = inputs.kind_of(line)
        kinds.setdefault(kind, []).append(line)
        if kind != inputs.MALFORMED:
            kinds["well-formed"].append(line)
    sides: dict[str, Turn] = {}
    for kind, some in kinds.items():
        sides[kind] = timed(over(program, some, NOW), len(some))
        sides[f"{kind} trip"] = timed(lambda some=some: trip(some), len(some))  # type: ignore[misc]
    found = take(sides, rounds)
    rows = [
        [
            kind,
            f"{len(some) / len(lines):.0%}",
            f"{statistics.mean(map(len, some)):,.0f}",
            told(spread(found[kind])),
            told(spread(found[f"{kind} trip"])),
            told(ratios(found[f"{kind} trip"], found[kind])),
        ]
        for kind, some in kinds.items()
    ]
    return table(["events", "share", "bytes", "the program, µs", f"{TRIP}, µs", "round trip by it"], rows)


def large_tracks(rounds: int) -> str:
    program, lines = shipped(FIRST), inputs.tracks(8_000)
    trip, _ = round_trip()
    sides = {
        "the program": timed(over(program, lines, NOW), len(lines)),
        TRIP: timed(lambda: trip(lines), len(lines)),
    }
    return f"{described(program, lines)}\n\n{compared(take(sides, rounds), 'the program')}"


def templates(rounds: int) -> str:
    """Every leaf a template with one or two filters, whole; then one of them alone against its render."""
    lines = inputs.tracks(4_000, 0)
    program = plans.program_of(plans.templates())
    some = lines[:1_000]
    jinja = peers.jinja_each(plans.TEMPLATES)
    sides = {
        "the program": timed(over(program, lines, NOW), len(lines)),
        "Jinja, one render a field": timed(lambda: jinja(some), len(some)),
    }
    whole = f"{described(program, lines)}\n\n{compared(take(sides, rounds), 'the program')}"
    return f"{whole}\n\n{_leaves(lines, rounds)}"


def _leaves(lines: list[bytes], rounds: int) -> str:
    """A leaf costs what a plan of one other field costs more with it, reading its path included; its render is timed on parsed events."""
    plan = plans.plan_of(plans.templates())
    (whole,) = plan.actions.values()
    scale = 1e6 / len(lines)
    rows = []
    for name, text in plans.TEMPLATES.items():
        both = {"id": p.Path(path="$.messageId"), name: whole.mapping.entries[name]}
        with_it, less = (
            over(link(replace(plan, actions={"send": replace(whole, mapping=p.Object(entries=held))}), {}), lines, NOW)
            for held in (both, {"id": both["id"]})
        )
        cost = middle_half(differences(with_it, less, rounds)).times(scale)
        render = timed(peers.render_alone(text, lines[:1_000]), 1_000)
        rendered = spread(take({"render": render}, rounds)["render"])
        share = f"{cost.middle / rendered.middle:.3f}" if cost.low > 0 else "below noise"
        rows.append([f"`{text}`", told(cost), told(rendered), share])
    return table(["leaf", "µs more with it (middle half)", "its Jinja render, µs", "share of the render"], rows)


def every_plan(rounds: int) -> str:
    """All shipped plans over the same mix."""
    lines = inputs.events(6_000)
    trip, _ = round_trip()
    programs = {path.stem: shipped(path.stem) for path in sorted((ROOT / "compiled").glob("*.json"))}
    sides = {name: timed(over(program, lines, NOW), len(lines)) for name, program in programs.items()}
    sides[TRIP] = timed(lambda: trip(lines), len(lines))
    found = take(sides, rounds)
    rows = []
    for name, program in programs.items():
        counts = count(program, lines, NOW)
        times = told(ratios(found[TRIP], found[name]))
        rows.append(
            [name, f"{counts.mapped / counts.events:.0%}", _ways(program, lines), told(spread(found[name])), times]
        )
    rows.append([TRIP, "", "", told(spread(found[TRIP])), ""])
    return table(["plan", "mapped", "kernel / express / line / general", "µs an event", "round trip by it"], rows)


def described(program: Program, lines: list[bytes]) -> str:
    """What was measured, and that it was no flattering choice."""
    counts = count(program, lines, NOW)
    size = statistics.mean(map(len, lines))
    valid = counts.events - counts.rejected
    return (
        f"{counts.events:,} events of {size:,.0f} bytes on average, {counts.mapped / counts.events:.1%} mapped, "
        f"{counts.filtered / counts.events:.1%} filtered, {counts.rejected / counts.events:.1%} rejected; "
        f"by the kernel {counts.kernel / counts.events:.1%}, by the generated loop {counts.express / counts.events:.1%} "
        f"(of the valid ones at least {min((counts.kernel + counts.express) / valid, 1.0):.1%} by either), "
        f"line {counts.line / counts.events:.1%}, general {counts.general / counts.events:.1%}."
    )


def _ways(program: Program, lines: list[bytes]) -> str:
    counts = count(program, lines, NOW)
    return " / ".join(
        f"{way / counts.events:.0%}" for way in (counts.kernel, counts.express, counts.line, counts.general)
    )
