"""A Bench for people, and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

from waypost.authoring.bench.clock import Spread
from waypost.authoring.bench.report import ActionCost, Bench, FieldCost

STAGES = {"decode": "decode", "triggers": "triggers", "map": "mapping", "encode": "encode"}


def human(found: Bench) -> str:
    counts, machine = found.counts, found.machine
    out = [
        f"{found.name}: {counts.events:,} events of {counts.bytes / counts.events:,.0f} bytes on average, {found.events}",
        f"  {machine.processor}, Python {machine.python}; processor time, the median of {found.rounds} rounds in turns (lowest - highest)",
        "",
        f"  {'':24}{'us/event':>10}{'':20}{'events/s':>12}",
        _row("program", found.program),
        _row("JSON round trip", found.round_trip)
        + f"   {found.ratio.middle:.2f} times the program ({found.ratio.low:.2f} - {found.ratio.high:.2f})",
        f"  {'':24}round trip: {machine.yardstick}",
        "",
        f"  events   {_shares(counts.events, mapped=counts.mapped, filtered=counts.filtered, rejected=counts.rejected)}",
        f"  way      {_shares(counts.events, kernel=counts.kernel, express=counts.express, line=counts.line, general=counts.general)}",
        "",
    ]
    total = sum(stage.middle for stage in found.stages.values()) or 1.0
    out += [
        f"  {_stage(name, found):24}{stage.middle:10.2f}  {_range(stage):18}{stage.middle / total:6.0%}"
        for name, stage in found.stages.items()
    ]
    if (counts.kernel + counts.express) * 2 < counts.events:
        out.append("  most events go alone: to decode includes what those ways do before they know the action")
    if found.no_kernel:
        out.append(f"  no kernel: {found.no_kernel}")
    out += [f"  not for the kernel: {action}, for {why}" for action, why in found.left_out.items()]
    for action in found.actions:
        out += ["", *_action(action)]
    return "\n".join(out) + "\n"


def _stage(name: str, found: Bench) -> str:
    return STAGES[name] if name != "map" or "encode" in found.stages else "mapping and encode"


def _row(name: str, figure: Spread) -> str:
    return f"  {name:24}{figure.middle:10.2f}  {_range(figure):18}{1e6 / figure.middle:12,.0f}"


def _range(figure: Spread) -> str:
    return f"({figure.low:.2f} - {figure.high:.2f})"


def _shares(total: int, **parts: int) -> str:
    return ", ".join(f"{name} {count / total:.1%}" for name, count in parts.items())


def _action(action: ActionCost) -> list[str]:
    if action.us is None:
        return [f"  {action.name}: makes a message of no event here, so its fields are not measured"]
    rows = sorted(action.fields, key=lambda row: -(row.cost.middle if row.cost and row.heard else 0.0))
    width = max((len(row.name) for row in rows), default=0)
    return [
        f"  {action.name}: {action.us.middle:.2f} us a message {_range(action.us)}; less without each field:",
        *(_field(row, action.us.middle, action.noise, width) for row in rows),
    ]


def _field(row: FieldCost, whole: float, noise: float, width: int) -> str:
    if row.cost is None:
        told, share = "constant", ""
    elif not row.heard:
        told, share = f"< {max(noise, 0.005):.2f}", ""
    else:
        told, share = f"{row.cost.middle:.2f}", f"{row.cost.middle / whole:.0%}"
    span = _range(row.cost) if row.cost is not None and row.heard else ""
    slows = f"  ({row.slows:.0%} of the messages take a slower way for it)" if row.slows >= 0.005 else ""
    return f"    {row.name:{width}}  {told:>8}  {span:18}{share:>5}   {row.at}{slows}"


def as_json(found: Bench) -> str:
    """Every figure, in microseconds; a Spread is {middle, low, high}."""
    return json.dumps(asdict(found), ensure_ascii=False) + "\n"


FORMATS = {"human": human, "json": as_json}
