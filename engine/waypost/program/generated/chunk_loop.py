"""The events of a chunk, mapped in one generated loop over what one decoder call gives: the way that almost every event takes.

Takes a plan's actions (as makers of statements) and, for each event type that exactly one simple action takes, a Layout of its own. Writes the
function that maps decoded events, and gives the decoder: a union of struct types, tagged by the event's `type`, so that the type dispatches and
most checks are made while decoding, in C. Where a mapping begins with the type (or has its fields under the event's own names), the struct that
was decoded is the message as well: what a field's checks leave alone is not touched again.

What faults, or is not so simple, is left to the line path (program/program.py), which gives the same bytes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from waypost import plan as p
from waypost.lang import fql
from waypost.program.generated.access import Values
from waypost.program.generated.action_maker import Maker
from waypost.program.generated.layout import Layout, nameable
from waypost.program.generated.writer import Expr, Writer

CHUNK = "map_chunk"
"""The name of the generated function."""

FREQUENT = ("track", "page", "identify", "screen", "group", "alias")
"""The event types, in the order of their usual numbers."""


class ChunkLoop:
    """The express way of one plan. State: the layouts, which the first of two passes fills and the second uses."""

    def __init__(self, plan: p.Plan) -> None:
        self._plan = plan
        self._layouts: dict[str, Layout] = {}
        self._types: dict[str, Any] = {}
        self.decoder: msgspec.json.Decoder[Any] | None = None
        """None where no event can take this way."""

    def write(self, makers: dict[str, Maker], w: Writer, plain: Layout) -> None:
        """Writes the function. The first time, only to learn what each type's layout must hold. `plain` is the layout of the line path."""
        takers = {kind: _takers(self._plan, makers, kind) for kind in FREQUENT}
        w.line("# the events of a chunk, those types first that are most frequent")
        with (
            w.function(
                f"def {CHUNK}(events, lines, offsets, first_line, now, ready, owners, times, idle, several, rest):"
            ),
            w.block("for index, e in enumerate(events):"),
        ):
            w.line("kind = e.__class__")
            with w.block("try:"):
                for kind, found in takers.items():
                    if found is not None:
                        with w.block(f"if kind is {self._bound(kind, w)}:"):
                            self._event(kind, found, w)
                            w.line("continue")
            with w.block("except (Fault, DecodeError, RecursionError):"):
                w.line("pass")
            w.line("rest.append(index)")
        if not self._types:
            self._build({kind: found for kind, found in takers.items() if found is not None}, plain)

    def _bound(self, kind: str, w: Writer) -> str:
        name = f"EVENT_{kind}"
        w.names[name] = self._types.get(kind)
        return name

    def _event(self, kind: str, takers: list[Maker], w: Writer) -> None:
        """The statements for one event type: a message of each action that takes it. What is switched off goes the line path, which says so."""
        layout = self._layouts.setdefault(kind, Layout(kind))
        if self._plan.integrations:
            layout.use(("integrations",), "raw")
            with w.block("if e.integrations.__class__ is Raw and switched_off(e.integrations):"):
                w.line("rest.append(index)")
                w.line("continue")
        if not takers:
            w.line("idle.append(index)")
            return
        if len(takers) == 1:
            self._only(kind, takers[0], layout, w)
            return
        made = [self._one_of_several(kind, maker, layout, w) for maker in takers]
        w.line("count = 0")
        for message, owner in made:
            with w.block(f"if {message} is not None:"):
                w.line("count += 1")
                w.line(f"ready.append({message})")
                w.line(f"owners.append({owner})")
                w.line("times.append(PLAIN)")
        with w.block("if not count:"):
            w.line("idle.append(index)")
        with w.block("elif count > 1:"):
            w.line("several[index] = count")

    def _only(self, kind: str, maker: Maker, layout: Layout, w: Writer) -> None:
        v = maker.values(kind, layout)
        test = maker.test(v)
        if test is not None:
            with w.block(f"if not {test}:"):
                w.line("idle.append(index)")
                w.line("continue")
        own = own_names(maker.action.mapping, kind) and not maker.late
        top, message, owner = maker.message(v, own=own)
        time = _assign(v, layout, top) if own else "PLAIN"
        w.line(f"ready.append({message})")
        w.line(f"owners.append({owner})")
        w.line(f"times.append({time})")

    def _one_of_several(self, kind: str, maker: Maker, layout: Layout, w: Writer) -> tuple[str, str]:
        """Nothing is appended before every action has had its turn: a fault sends the event the other way, whole."""
        v = maker.values(kind, layout)
        message, owner = w.fresh("message"), w.fresh("owner")
        test = maker.test(v)
        w.line(f"{message} = None")
        with w.block(f"if {test or 'True'}:"):
            _, made, owned = maker.message(v)
            w.line(f"{message} = {made}")
            w.line(f"{owner} = {owned}")
        return message, owner

    def _build(self, takers: dict[str, list[Maker]], plain: Layout) -> None:
        """Makes the struct types and their union, from what the first pass has used."""
        for kind in FREQUENT:
            layout = self._layouts.get(kind) or Layout(kind)
            layout.agree(plain)
            order: list[str] = []
            if len(takers.get(kind, ())) == 1 and own_names(takers[kind][0].action.mapping, kind):
                order = [key for key in _entries(takers[kind][0].action.mapping) if key != "type"]
                for key in order:
                    layout.use((key,), "raw")
            layout.build(tag=kind, order=order)
            self._types[kind] = layout.root.struct
        union: Any = self._types[FREQUENT[0]]
        for kind in FREQUENT[1:]:
            union = union | self._types[kind]
        self.decoder = msgspec.json.Decoder(union) if takers else None


def own_names(mapping: p.Value, kind: str) -> bool:
    """Whether the decoded struct can be the message: it is written with its type first, as msgspec writes a tag."""
    names = _entries(mapping)
    first = next(iter(names.items()), None)
    return (
        first is not None
        and first[0] == "type"
        and first[1] in (p.Path(path="$.type"), p.Const(value=kind))
        and all(map(nameable, names))
    )


def _entries(mapping: p.Value) -> dict[str, p.Value]:
    if not isinstance(mapping, p.Object):
        return {}
    return {key: entry for key, entry in mapping.entries.items() if not isinstance(entry, p.Omit)}


def _assign(v: Values, layout: Layout, top: dict[str, Expr]) -> str:
    """Statements that turn the decoded event into its message: fields that differ are set, those that are only read are taken out.

    Gives the local of the time that is still to be judged.
    """
    time = "PLAIN"
    for name, slot in layout.root.children.items():
        expr, target = top.get(name), f"e.{slot.attribute}"
        held = v.w.known(target)
        if expr is None:
            v.w.line(f"{target} = MISSING")
        elif expr.stored and expr.form == "time" and time == "PLAIN":
            time = expr.text
        elif expr.stored and expr.form == "time":
            v.w.line(f"{target} = datetime_of({held})")
        elif held is None or not expr.text.isidentifier():  # nothing of the event's own, or a constant
            v.w.line(f"{target} = {expr.text}")
        elif held != expr.text and not expr.stored:
            with v.w.block(f"if {expr.text} is not {held}:"):
                v.w.line(f"{target} = {expr.text}")
    return time


def _takers(plan: p.Plan, makers: dict[str, Maker], kind: str) -> list[Maker] | None:
    """The actions that may take events of a type, in written order; None where one of them is not for this way."""
    for name, action in plan.actions.items():
        if name not in makers and fql.simple_type(fql.read(action.trigger))[0] in (
            None,
            kind,
        ):
            return None
    found = [maker for maker in makers.values() if maker.type in (None, kind)]
    return found if all(maker.action.enabled and maker.action.where is None for maker in found) else None
