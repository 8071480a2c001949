"""The rows of the kernel's tables, and what they refer to: texts, slots, calls.

Takes what nodes.py and tables.py add. Gives lists of rows: tuples of ints in the order of the structs in machine.pxd, a pool of texts, and how
much room a message may need. Nothing here knows what a row means.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from waypost import plan as p
from waypost.program.generated.layout import Layout
from waypost.program.generated.unchanged import plain_names
from waypost.program.kernel import machine
from waypost.program.kernel.machine import Op

Steps = tuple[str, ...]


class Unfit(Exception):
    """What the kernel cannot do."""


class Rows:
    """State: the rows, which grow with each node."""

    def __init__(self, layout: Layout, settings: Callable[[str], Any]) -> None:
        self.settings = settings
        self.pool = bytearray()
        self.nodes: list[list[int]] = []
        self.calls: list[tuple[Callable[..., Any], bool]] = []
        """What Python does for a node, of decoded values; and whether it wants the time behind them."""
        self.slots = 0
        self.objects: list[tuple[int, int]] = []
        self.children: list[tuple[int, ...]] = []
        self.heads: list[int] = []
        self.fixed = 2
        """At most so many bytes of a line's messages are not copied from it."""
        self.copies = 1
        """At most so many times a byte of a line is copied."""
        self._layout = layout
        self._texts: dict[bytes, int] = {}
        self._wanted: list[dict[str, tuple[int, int]]] = [{}]

    def text(self, data: bytes) -> tuple[int, int]:
        """Offset and length of a text in the pool."""
        if data not in self._texts:
            self._texts[data] = len(self.pool)
            self.pool += data
        return self._texts[data], len(data)

    def written(self, data: bytes) -> tuple[int, int]:
        """The same of a text that goes into messages."""
        self.fixed += len(data)
        return self.text(data)

    def node(self, op: Op, *fields: int, child: int = -1) -> int:
        """A new node, and its index."""
        self.nodes.append([op, *fields, *[0] * (4 - len(fields)), child, -1])
        return len(self.nodes) - 1

    def chain(self, nodes: list[int]) -> int:
        """Nodes as the children of one, and the index of the first; -1 for none."""
        for left, right in pairwise(nodes):
            self.nodes[left][6] = right
        return nodes[0] if nodes else -1

    def slot(self, steps: Steps) -> int:
        """Where the kernel keeps the value at a path of names."""
        which, slot = 0, -1
        for depth, name in enumerate(steps):
            inner, slot = self._wanted[which].get(name, (-1, -1))
            if slot < 0:
                slot, self.slots = self.slots, self.slots + 1
            if inner < 0 and depth < len(steps) - 1:
                self._wanted.append({})
                inner = len(self._wanted) - 1
            self._wanted[which][name] = (inner, slot)
            which = inner
        return slot

    def spread_names(self) -> None:
        """Spreads the wanted names of each object over lists, when all are known: `children` are the members, `heads` says where each list
        begins, `objects` which lists are whose."""
        for wanted in self._wanted:
            lists = [-1] * (1 << len(wanted).bit_length() + 1)
            for name, (inner, slot) in wanted.items():
                data = name.encode()
                which = machine.spread(data) & len(lists) - 1
                self.children.append((*self.text(data), inner, slot, lists[which]))
                lists[which] = len(self.children) - 1
            self.objects.append((len(self.heads), len(lists) - 1))
            self.heads += lists

    def steps(self, node: p.Value) -> Steps:
        """The names of a plain path."""
        steps = plain_names(node.path) if isinstance(node, p.Path) else None
        if not steps:
            raise Unfit("a path that may match several values, or the whole event")
        return steps

    def as_it_stands(self, steps: Steps) -> int:
        """Whether generated code copies the value's bytes, escapes and all, rather than decoding and writing it."""
        try:
            return int(not self._layout.at(steps).decoded)
        except KeyError:
            raise Unfit("a path that generated code does not read") from None

    def call(self, function: Callable[..., Any], *, timed: bool = False) -> int:
        """A call, and room for what it may give."""
        self.calls.append((function, timed))
        self.spare()
        return len(self.calls) - 1

    def spare(self) -> None:
        """Room for one thing whose length is not known beforehand."""
        self.copies, self.fixed = self.copies + 1, self.fixed + machine.SPARE
