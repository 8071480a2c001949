"""The kernel of a plan, where this installation has one.

Takes a plan with its layout and settings. Gives a Kernel, or None: then all lines go another way, to the same messages. WAYPOST_KERNEL=off in
the environment leaves it out, for an operator who wants to know whether it is to blame.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from waypost import plan as p
from waypost.program.generated.layout import Layout
from waypost.program.settings import SettingError

try:
    from waypost.program.kernel import machine
except ImportError:
    machine = None

if TYPE_CHECKING:
    from waypost.program.kernel.machine import Kernel


SWITCH = "WAYPOST_KERNEL"


def wanted() -> bool:
    """Whether the environment leaves the kernel on. Raises SettingError for a word that says neither."""
    said = os.environ.get(SWITCH) or "on"
    if said not in ("on", "off"):
        raise SettingError(f"{SWITCH} in the environment is neither `on` nor `off`")
    return said == "on"


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
    """Why no plan has a kernel here; "" where one may."""
    if machine is None:
        return "it was installed without a C compiler, or with WAYPOST_PURE=1"
    return "" if wanted() else f"{SWITCH}=off switches it off"
