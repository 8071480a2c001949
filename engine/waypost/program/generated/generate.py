"""A plan becomes Python text and the event decoder it needs.

Takes a plan and what a run binds to it (settings, names for `meta.id`). Gives `Generated`: the text, the objects it refers to by name, the
output field of each line, and the layout and the loop whose decoders load events.

The text is generated twice: the first pass only tells which paths are used and how, the second knows the layout that follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from waypost import plan as p
from waypost.events.not_events import ENVELOPE, is_envelope
from waypost.events.results import Filtered, Mapped
from waypost.lang import values
from waypost.program import integrations
from waypost.program.generated import conditions, expressions
from waypost.program.generated.action_maker import Bindings, Maker
from waypost.program.generated.chunk_loop import GENERAL, ChunkLoop
from waypost.program.generated.layout import Layout
from waypost.program.generated.writer import Writer
from waypost.program.support import id_of


@dataclass
class Generated:
    text: str
    names: dict[str, Any]
    fields: list[str]
    layout: Layout
    loop: ChunkLoop


def generate(plan: p.Plan, bindings: Bindings) -> Generated:
    layout, loop = Layout(), ChunkLoop(plan)
    layout.use(("type",), "scalar")
    _generate(plan, bindings, layout, loop)
    layout.build()
    return _generate(plan, bindings, layout, loop)


def _generate(plan: p.Plan, bindings: Bindings, layout: Layout, loop: ChunkLoop) -> Generated:
    w = Writer()
    w.names.update(expressions.NAMES, **conditions.NAMES)
    w.names.update(
        {GENERAL: layout.root.struct},
        id_head=bindings.id_head,
        id_of=id_of,
        encode=values.encode,
        partial=partial,
        Mapped=Mapped,
        Filtered=Filtered,
        DecodeError=msgspec.DecodeError,
        DISABLED=Filtered(None, None, "disabled"),
        ENVELOPE=ENVELOPE,
        SWITCHED_OFF=integrations.OFF,
        is_envelope=is_envelope,
        switched_off=integrations.switch(plan.integrations),
    )
    w.line(f"# {plan.name!r}")
    loop.write([Maker(plan, name, bindings, w) for name in plan.actions], w, layout)
    w.finish()
    return Generated("\n".join(w.lines) + "\n", w.names, w.fields, layout, loop)
