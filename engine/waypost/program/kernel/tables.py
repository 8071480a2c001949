"""A plan becomes the tables that the compiled kernel runs on.

Takes a plan, its Layout (how generated code reads each path) and what a run binds. Gives Tables, which machine.pyx lays out. An action with
anything that the kernel cannot do is left out, and the types of events that it may take go the other ways whole; `left_out` says what and why.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from waypost import plan as p
from waypost.events.results import Mapped
from waypost.lang import fql, values
from waypost.program import integrations
from waypost.program.generated.layout import Layout
from waypost.program.kernel import conditions, nodes
from waypost.program.kernel.machine import Op
from waypost.program.kernel.rows import Rows, Steps, Unfit
from waypost.program.request import grouping

if TYPE_CHECKING:
    from waypost.events.mapped_chunk import Owner

MOST_BITS = 30


class Tables(Rows):
    """All rows of one plan: those of its event types, actions and needs besides."""

    def __init__(
        self, plan: p.Plan, layout: Layout, settings: Callable[[str], Any], meta_id: Callable[..., str]
    ) -> None:
        super().__init__(layout, settings)
        self.meta_id = meta_id
        self.tags: list[tuple[int, int, int, int]] = []
        self.takers: list[tuple[int, int, int, int]] = []
        self.needs: list[tuple[int, int]] = []
        self.owners: list[Owner] = []
        self.actions: list[str] = []
        """The name of each taker's action."""
        self.left_out: dict[str, str] = {}
        """Action and why it is left to the other ways."""
        self._plan = plan
        self.type_slot = self.slot(("type",))
        self.id_slot = self.slot(("messageId",))
        self.switch_slot, self.switch = self._switch(plan.integrations)
        self._tags()
        self.spread_names()

    def _tags(self) -> None:
        """The takers of each event type that a trigger names, and of every other type behind them."""
        read = {name: _trigger(action) for name, action in self._plan.actions.items()}
        made = {name: self._action(name, rest) for name, (_, rest) in read.items()}
        types = list(dict.fromkeys(kind for kind, _ in read.values() if kind is not None))
        for wanted in (*types, None):
            names = [name for name, (kind, _) in read.items() if kind is None or kind == wanted]
            rows = [made[name] for name in names]
            first = len(self.takers)
            text = (0, 0) if wanted is None else self.text(values.encode(wanted))
            if None in rows:
                self.tags.append((*text, -1, 0))
                continue
            for name, row in zip(names, rows, strict=True):
                assert row is not None
                self.takers.append(row)
                self.actions.append(name)
                self.owners.append(partial(Mapped, name, None, self._plan.actions[name].request, ()))
            self.tags.append((*text, first, len(names)))

    def _switch(self, names: list[str]) -> tuple[int, int]:
        """The slot of the event's `integrations`, and the test that they switch this destination off; -1 for both where they say nothing."""
        if not names:
            return -1, -1
        named = [self.slot(("integrations", name)) for name in names]
        off = [self.node(Op.NO, slot) for slot in named]
        on = [self.node(op, slot) for slot in named for op in (Op.YES, Op.BRACED)]
        none = self.node(Op.NEITHER, child=self.node(Op.ANY, child=self.chain(on)))
        every = self.node(Op.NO, self.slot(("integrations", integrations.ALL)))
        off.append(self.node(Op.ALL, child=self.chain([every, none])))
        return self.slot(("integrations",)), self.node(Op.ANY, child=self.chain(off))

    def _action(self, name: str, rest: fql.Node | None) -> tuple[int, int, int, int] | None:
        """The row of one action; None, with its reason in `left_out`, where the kernel cannot do it."""
        action = self._plan.actions[name]
        try:
            if not action.enabled or action.where is not None or action.each is not None:
                raise Unfit("it is disabled, or has `where` or `each`")
            if grouping.event_parts(self._plan.requests[action.request]):
                raise Unfit("its request takes parts of the event")
            test = -1 if rest is None else conditions.test(self, rest)
            if not isinstance(action.mapping, p.Object):
                raise Unfit("its mapping is not a map of fields")
            bits: dict[Steps, int] = {}
            needs = [self._need(need, action.mapping, bits) for need in action.require]
            node = nodes.members(self, action.mapping, bits, whole=True)
        except Unfit as why:
            self.left_out[name] = str(why)
            return None
        self.needs += needs
        return test, node, len(self.needs) - len(needs), len(needs)

    def _need(self, need: p.Require, mapping: p.Object, bits: dict[Steps, int]) -> tuple[int, int]:
        """`require`: a bit for each of its fields, which stand in maps."""
        found = 0
        for path in need.any:
            held: p.Value = mapping
            for key in path:
                held = held.entries.get(key, p.Omit()) if isinstance(held, p.Object) else p.Omit()
            if isinstance(held, p.Omit) or len(bits) == MOST_BITS:
                raise Unfit("`require` over a field that is no map's")
            found |= bits.setdefault(tuple(path), 1 << len(bits))
        return found, -1 if need.test is None else conditions.condition(self, need.test)


def _trigger(action: p.Action) -> tuple[str | None, fql.Node | None]:
    return fql.simple_type(fql.read(action.trigger))
