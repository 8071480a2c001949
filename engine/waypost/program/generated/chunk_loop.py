"""The events of a chunk, mapped in one generated loop: the one way from decoded events to messages.

Takes a plan's actions (as makers of statements). Writes the function, with a block of statements for each event type, and one for events of any
shape. Events of the six types come from one decoder call a chunk: a union of struct types, tagged by the event's `type`, so that the type
dispatches and most checks are made while decoding, in C. Where a mapping begins with the type (or has its fields under the event's own names),
the struct that was decoded is the message as well: what a field's checks leave alone is not touched again. What that decoder refuses comes from
the general loader (program/loader.py), one by one, and goes through the last block.

A line's outcome is a message in `ready`, so many of them in `several`, its index in `idle` (no action takes it), or its results in `others`,
where some are no messages. `rest` is left to the general loader.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from waypost import plan as p
from waypost.program.generated.access import Values
from waypost.program.generated.action_maker import Maker
from waypost.program.generated.layout import Layout, nameable
from waypost.program.generated.writer import Expr, Writer

CHUNK = "map_chunk"
"""The name of the generated function."""

FREQUENT = ("track", "page", "identify", "screen", "group", "alias")
"""The event types, in the order of their usual numbers."""

GENERAL = "EVENT"
"""The name of the struct type of events of any shape."""

WHOLE = "index, e, lines, offsets, first_line, now, ready, owners, idle, several, others, rest"
"""What a function is given that maps one event with several actions."""

HEAD = (
    f"def {CHUNK}(events, lines, offsets, first_line, now, ready, owners, times, timed, idle, several, others, rest):"
)


class ChunkLoop:
    """The loop of one plan. State: the layouts, which the first of two passes fills and the second uses."""

    def __init__(self, plan: p.Plan) -> None:
        self._plan = plan
        self._layouts: dict[str, Layout] = {}
        self._types: dict[str, Any] = {}
        self.decoder: msgspec.json.Decoder[Any]

    def write(self, makers: list[Maker], w: Writer, plain: Layout) -> None:
        """Writes the function. The first time, only to learn what each type's layout must hold. `plain` is the layout of the general loader."""
        takers = {kind: [maker for maker in makers if maker.takes(kind)] for kind in FREQUENT}
        apart = [kind for kind in FREQUENT if takers[kind] and not _alone(takers[kind])]
        for kind in apart:
            _apart(self._layouts.setdefault(kind, Layout(kind)), self._plan, takers[kind], w)
        _apart(plain, self._plan, makers, w)
        w.line("# the events of a chunk, those types first that are most frequent")
        with w.function(HEAD), w.block("for index, e in enumerate(events):"):
            w.line("kind = e.__class__")
            for kind in FREQUENT:
                w.names[f"EVENT_{kind}"] = self._types.get(kind)
                with w.block(f"if kind is EVENT_{kind}:"):
                    if kind in apart:
                        w.line(f"map_{kind}({WHOLE})")
                    else:
                        _simply(self._layouts.setdefault(kind, Layout(kind)), self._plan, takers[kind], w)
                    w.line("continue")
            with w.block(f"if kind is {GENERAL}:"):
                w.line(f"map_any({WHOLE})")
                w.line("continue")
            w.line("rest.append(index)")
        if not self._types:
            self._build(makers, plain)

    def _build(self, makers: list[Maker], plain: Layout) -> None:
        """Makes the struct types and their union, from what the first pass has used."""
        for kind in FREQUENT:
            layout = self._layouts[kind]
            layout.agree(plain)
            takers = [maker for maker in makers if maker.takes(kind)]
            order = [key for key in _entries(takers[0].action.mapping) if key != "type"] if _own(takers, kind) else []
            for key in order:
                layout.use((key,), "raw")
            layout.build(tag=kind, order=order)
            self._types[kind] = layout.root.struct
        union: Any = self._types[FREQUENT[0]]
        for kind in FREQUENT[1:]:
            union = union | self._types[kind]
        self.decoder = msgspec.json.Decoder(union)


def _alone(takers: list[Maker]) -> bool:
    """Whether a type has one action, with one message."""
    return len(takers) == 1 and takers[0].action.each is None and takers[0].action.enabled


def _simply(layout: Layout, plan: p.Plan, takers: list[Maker], w: Writer) -> None:
    """The statements for a type that one action takes, or none."""
    with w.block("try:"):
        _switched_off(layout, plan, w, "continue")
        if takers:
            _only(takers[0], layout, w)
        else:
            w.line("idle.append(index)")
    with w.block("except (DecodeError, RecursionError):"):
        w.line("rest.append(index)")


def _apart(layout: Layout, plan: p.Plan, takers: list[Maker], w: Writer) -> None:
    """A function for the events of a type with several actions (a layout without a name: of any shape). Apart, because where a fault was raised
    is searched from the beginning of its function."""
    with w.function(f"def map_{layout.name or 'any'}({WHOLE}):"):
        w.line("begun, ended, off = len(ready), [], False")
        with w.block("try:"):
            _switched_off(layout, plan, w, "return")
            for maker in takers:
                _one_of_several(maker, layout, w)
            _gather(layout, takers, w)
        with w.block(f"except {'(DecodeError, RecursionError)' if layout.name else 'RecursionError'}:"):
            w.line("del ready[begun:], owners[begun:]")
            w.line("rest.append(index)")


def _switched_off(layout: Layout, plan: p.Plan, w: Writer, end: str) -> None:
    if plan.integrations:
        layout.use(("integrations",), "raw")
        with w.block("if e.integrations.__class__ is Raw and switched_off(e.integrations):"):
            w.line("others[index] = [SWITCHED_OFF]")
            w.line(end)


def _only(maker: Maker, layout: Layout, w: Writer) -> None:
    """The one action for a type, with one message: nothing is to be gathered."""
    v = maker.values(layout)
    test = maker.test(v)
    if test is not None:
        with w.block(f"if not {test}:"):
            w.line("idle.append(index)")
            w.line("continue")
    own = _own([maker], layout.name)
    with w.block("try:"):
        if maker.action.where is not None:
            with w.block(f"if not ({v.scope.condition(maker.action.where)}):"):
                w.line(f"others[index] = [{maker.filtered('None')}]")
                w.line("continue")
        top, message, owner = maker.message(v, own=own)
        time = _assign(v, layout, top) if own else "PLAIN"
        w.line(f"ready.append({message})")
        w.line(f"owners.append({owner})")
        if time != "PLAIN":
            w.line(f"times.append({time})")
            w.line("timed.append(index)")
    with w.block("except Fault as fault:"):
        # Times are judged later, and one that is wrong may come before this fault.
        w.line("rest.append(index)" if own else f"others[index] = [refused(fault, {maker.name!r}, None)]")


def _one_of_several(maker: Maker, layout: Layout, w: Writer) -> None:
    """One of several actions, or one with `each`: its messages and what else it ends with, in their order."""
    v = maker.values(layout)
    if layout.name:
        # What the triggers read is read once for all of them.
        with w.block(f"if {maker.test(v) or 'True'}:"):
            _taken(maker, v)
        return
    with _refusing(maker, "None", v):
        kind = "True" if maker.type is None else f"{v.slot(('type',), 'scalar').text} == {maker.type!r}"
        with w.block(f"if {kind}:"), w.block(f"if {maker.test(v) or 'True'}:"):
            _taken(maker, v)


def _taken(maker: Maker, v: Values) -> None:
    if not maker.action.enabled:
        v.w.line("off = True")
    elif maker.action.each is None:
        with _refusing(maker, "None", v):
            _deliver(maker, v, None)
    else:
        _each(maker, v)


def _each(maker: Maker, v: Values) -> None:
    """An action with `each`: a message an item, the item's place in it being part of what identifies it."""
    w, of = v.w, v.w.fresh("of")
    w.line(f"{of} = None")
    with _refusing(maker, "None", v):
        w.line(f"{of} = {maker.items(v)}")
        with w.block(f"if not {of}:"):
            w.line(f"ended.append((len(ready) - begun, {maker.filtered('None')}))")
    with w.block(f"if {of}:"):
        maker.touch(v)
        place, item = w.fresh("place"), w.fresh("item")
        with w.block(f"for {place}, {item} in ({of}.items() if {of}.__class__ is dict else enumerate({of})):"):
            v.item, v.place = item, place
            with _refusing(maker, place, v):
                _deliver(maker, v, place)
            v.item = v.place = None


def _deliver(maker: Maker, v: Values, place: str | None) -> None:
    """One message, where `where` holds."""
    w = v.w

    def made() -> None:
        _, message, owner = maker.message(v)
        w.line(f"ready.append({message})")
        w.line(f"owners.append({owner})")

    if maker.action.where is None:
        made()
        return
    with w.block(f"if {v.scope.condition(maker.action.where)}:"):
        made()
    with w.block("else:"):
        w.line(f"ended.append((len(ready) - begun, {maker.filtered(place or 'None')}))")


@contextmanager
def _refusing(maker: Maker, place: str, v: Values) -> Iterator[None]:
    """Statements of which a Fault is a rejection by this action. What else is raised sends an event of a known type to the general loader, and
    there the guard makes a rejection of it."""
    with v.w.block("try:"):
        yield
    if v.scope.kind is None:
        with v.w.block("except RecursionError:"):
            v.w.line("raise")
    with v.w.block(f"except {'Exception' if v.scope.kind is None else 'Fault'} as fault:"):
        v.w.line(f"ended.append((len(ready) - begun, refused(fault, {maker.name!r}, {place})))")


def _gather(layout: Layout, takers: list[Maker], w: Writer) -> None:
    """What the event's actions have made of it, where that is not one message."""
    w.line("count = len(ready) - begun")
    with w.block("if ended:"):
        w.line("others[index] = settled(ready, owners, begun, ended)")
    with w.block("elif count > 1:"):
        w.line("several[index] = count")
    with w.block("elif not count:"):
        if not all(maker.action.enabled for maker in takers):
            with w.block("if off:"):
                w.line("others[index] = [DISABLED]")
                w.line("return")
        if not layout.name:
            with w.block("if is_envelope(lines[index]):"):
                w.line("others[index] = [ENVELOPE]")
                w.line("return")
        w.line("idle.append(index)")


def _own(takers: list[Maker], kind: str) -> bool:
    """Whether the decoded struct of a type becomes the message of its one action."""
    return _alone(takers) and own_names(takers[0].action.mapping, kind) and not takers[0].late


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
