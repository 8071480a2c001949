"""A plan becomes Python text and the event decoder it needs.

Takes a plan and what a run binds to it (settings, names for `meta.id`). Gives `Generated`: the text, the objects it refers to by name, the
output field of each line, and the layout whose decoders load events. One function an action: it tests what is left of the trigger, maps and
checks `require`; the caller has dispatched on the event's type already. It gives the message (to be encoded), a (message, group) pair where
the request takes parts of the event, or one of the signs NO_MATCH, OFF and WHERE.

The text is generated twice: the first pass only tells which paths are used and how, the second knows the layout that follows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from waypost import plan as p
from waypost.events.results import Mapped
from waypost.lang import values
from waypost.program import integrations
from waypost.program.generated import conditions, expressions
from waypost.program.generated.action_maker import Bindings, Maker
from waypost.program.generated.chunk_loop import ChunkLoop
from waypost.program.generated.layout import Layout
from waypost.program.generated.writer import Writer


class Sign:
    """What an action's function gives instead of a message. `bool` of it is False."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return self.name


NO_MATCH, OFF, WHERE = Sign("NO_MATCH"), Sign("OFF"), Sign("WHERE")
"""The trigger does not match; it does, but the action is disabled; it does, but `where` does not hold."""


@dataclass
class Generated:
    """`functions` maps an action to (event type or None, function name)."""

    text: str
    names: dict[str, Any]
    fields: list[str]
    layout: Layout
    express: ChunkLoop
    functions: dict[str, tuple[str | None, str]] = field(default_factory=dict)


def generate(plan: p.Plan, bindings: Bindings) -> Generated:
    layout, express = Layout(), ChunkLoop(plan)
    layout.use(("type",), "scalar")
    if plan.integrations:
        layout.use(("integrations",), "raw")
    _generate(plan, bindings, layout, express)
    layout.build()
    return _generate(plan, bindings, layout, express)


def _generate(plan: p.Plan, bindings: Bindings, layout: Layout, express: ChunkLoop) -> Generated:
    w = Writer()
    w.names.update(expressions.NAMES, **conditions.NAMES)
    w.names.update(
        meta_id=bindings.meta_id,
        encode=values.encode,
        partial=partial,
        Mapped=Mapped,
        DecodeError=msgspec.DecodeError,
        NO_MATCH=NO_MATCH,
        OFF=OFF,
        WHERE=WHERE,
        switched_off=integrations.switch(plan.integrations),
    )
    makers = {name: Maker(plan, name, bindings, w, layout) for name in plan.actions if plan.actions[name].each is None}
    functions = {name: maker.function() for name, maker in makers.items()}
    express.write(makers, w, layout)
    return Generated("\n".join(w.lines) + "\n", w.names, w.fields, layout, express, functions)
