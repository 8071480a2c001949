"""The two plans that are compared, and a Change made of what was found at a place in them.

Takes a pointer of plan.Source (`actions.send.mapping.event`). Gives the position on each side: the pointer's own, else that of the nearest
place around it, else the file.
"""

from __future__ import annotations

from dataclasses import dataclass

from waypost import plan as p
from waypost.authoring.diff.change import BREAKING, Change, Found


@dataclass(frozen=True)
class Sides:
    old: p.Plan
    new: p.Plan

    def change(
        self,
        kind: str,
        reason: str,
        pointer: str,
        *,
        action: str | tuple[str, ...] = (),
        field: str = "",
        old: str = "",
        new: str = "",
        old_pointer: str | None = None,
    ) -> Change:
        """`old_pointer`: the place on the old side, where it is not the same."""
        return Change(
            kind=kind,
            breaking=kind in BREAKING,
            actions=(action,) if isinstance(action, str) else action,
            field=field,
            reason=reason,
            old=old,
            new=new,
            old_at=position(self.old.source, pointer if old_pointer is None else old_pointer),
            new_at=position(self.new.source, pointer),
        )

    def field(self, found: Found, pointer: str, *, action: str) -> Change:
        """A Change of a field of the mapping at `pointer`."""
        inner = ".".join([pointer, *(key.removesuffix("[]") for key in found.path)])
        return Change(
            kind=found.kind,
            breaking=found.kind in BREAKING,
            actions=(action,),
            field=".".join(found.path),
            reason=found.reason,
            old=found.old,
            new=found.new,
            old_at=position(self.old.source, inner),
            new_at=position(self.new.source, inner),
            path=found.path,
        )


def position(source: p.Source, pointer: str) -> str:
    """`file:line:column` of the pointer or of what encloses it."""
    while pointer:
        at = p.place(source, pointer)
        if at:
            return at
        pointer = pointer.rpartition(".")[0]
    return source.file
