"""The compiled way from lines to messages. This is its door: `kernel_of`.

    tables.py      a plan becomes tables: for each event type the actions that may take it
    nodes.py       ... and for each action a tree of nodes: what to write
    conditions.py  ... and of tests
    rows.py        what all three add to: rows of ints, texts, what to look for in an event
    machine.pyx    runs the tables over chunks of lines: has a line read into slots, then its messages written
    machine.pxd    what the rows and the slots are, for the files below
    read.pxd       one line into slots
    write.pxd      the nodes
    texts.pxd      the filters of text among them
    scan.pxd       JSON tokens

The .pyx and .pxd files are Cython, compiled when Waypost is installed (engine/hatch_build.py). Without a C compiler there is no `machine`, and
all lines go the way of program/generated/chunk_loop.py: the same bytes, more slowly (docs/decisions/0010-kernel.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from waypost import plan as p
from waypost.program.generated.layout import Layout

try:
    from waypost.program.kernel import machine
except ImportError:
    machine = None

if TYPE_CHECKING:
    from waypost.program.kernel.machine import Kernel

__all__ = ["kernel_of", "machine", "why_none"]


def kernel_of(
    plan: p.Plan, layout: Layout, settings: Callable[[str], Any], meta_id: Callable[..., str]
) -> Kernel | None:
    """The kernel of a plan; None where there is none in this installation, or it could do nothing.

    `layout` says how generated code reads each path, `settings` gives the value of a dotted name, `meta_id` is support.message_ids.
    """
    if machine is None:
        return None
    from waypost.program.kernel.tables import Tables

    tables = Tables(plan, layout, settings, meta_id)
    return machine.Kernel(tables) if tables.owners else None


def why_none() -> str:
    """Why this installation has no kernel; "" where it has one."""
    return "" if machine is not None else "it was installed without a C compiler, or with WAYPOST_PURE=1"
