"""A plan with the lists and maps of its settings put in where it names them: what they hold is known when it is linked.

Takes a plan and its bound settings. Gives a plan of which the tables of `$lookup` and the keys of `$pick` and `$drop` are constants again, for
the generated code and the kernel, which so know one form of each. `program/interpret.py` looks the setting up at each event instead; a
property test compares the two. Conditions name the setting still: program/generated/conditions.py and the kernel's take its `members`, and what
settings alone decide is `decided`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from waypost import plan as p
from waypost.lang import fql, shapes
from waypost.lang.values import MISSING

Settings = Callable[[str], Any]


def put_in(plan: p.Plan, settings: Settings) -> p.Plan:
    """The plan itself where no setting holds several values."""
    if not any(setting.type in shapes.SEVERAL for setting in plan.settings.values()):
        return plan
    actions = {name: _action(action, settings) for name, action in plan.actions.items()}
    return msgspec.structs.replace(plan, actions=actions)


def _action(action: p.Action, settings: Settings) -> p.Action:
    each = None if action.each is None else value(action.each, settings)
    return msgspec.structs.replace(action, mapping=value(action.mapping, settings), each=each)


def value(node: p.Value, settings: Settings) -> p.Value:
    """An expression with the settings put in."""

    def change(inner: p.Value) -> p.Value | None:
        if isinstance(inner, (p.Pick, p.Drop)) and inner.keys_of is not None:
            return msgspec.structs.replace(
                inner, of=value(inner.of, settings), keys=names(settings(inner.keys_of.name)), keys_of=None
            )
        if isinstance(inner, p.Lookup) and inner.table_of is not None:
            other = None if inner.otherwise is None else value(inner.otherwise, settings)
            table = settings(inner.table_of.name)
            return msgspec.structs.replace(
                inner,
                of=value(inner.of, settings),
                table={} if table is MISSING else table,
                otherwise=other,
                table_of=None,
            )
        return None

    return p.rewrite(node, change)


def decided(node: fql.Node, settings: Settings) -> bool | None:
    """Whether a condition that asks of settings alone holds; None for one that asks of anything else."""
    found = fql.paths(node)
    if not found or any(path.steps[0] != "settings" for path in found):
        return None
    return fql.evaluate(node, lambda steps: shapes.keys(settings(".".join(map(str, steps)))))


def members(path: fql.PathRef, settings: Settings) -> list[Any]:
    """What `in` looks through in a setting: the items of a list, the keys of a map; nothing in what is neither."""
    held = shapes.keys(settings(".".join(map(str, path.steps))))
    return held if isinstance(held, list) else []


def names(held: Any) -> list[str]:
    """The keys that a setting holds, each once: a list's texts, a map's keys; none where it is not given."""
    return [] if held is MISSING else list(dict.fromkeys(shapes.keys(held)))
