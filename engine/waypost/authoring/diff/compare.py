"""Two plans become a list of changes: the table of contents of the comparison.

Takes the old plan and the new one. Gives Changes: the destination's own first, then settings, auth, the check, requests, then each action
in the new plan's order, then what is gone. `compare(plan, plan)` is empty, and nothing here raises for a plan that `plan.load` gives.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from waypost import plan as p
from waypost.authoring.diff import conditions, shapes
from waypost.authoring.diff.change import Change, Found
from waypost.authoring.diff.mapping import differences, reads_meta_id
from waypost.authoring.diff.requests import auth_changes, probe_changes, request_changes
from waypost.authoring.diff.settings import setting_changes
from waypost.authoring.diff.sides import Sides
from waypost.lang import notation

_HARMLESS = ("field_added", "check_looser", "require_removed")
"""What may happen to a field that identifies a message without changing the ids that were sent."""


def compare(old: p.Plan, new: p.Plan) -> list[Change]:
    sides = Sides(old, new)
    found = [
        *_plan(sides),
        *setting_changes(sides),
        *auth_changes(sides),
        *probe_changes(sides),
        *request_changes(sides),
        *_actions(sides),
    ]
    return _gathered(found)


def _gathered(found: list[Change]) -> list[Change]:
    """What is the same in several actions (a shared block) is told once."""
    rows: dict[tuple[str, ...], Change] = {}
    for change in found:
        shared = "in actions" if change.actions and change.field else " ".join(change.actions)
        key = (change.kind, change.field, change.reason, change.old, change.new, shared)
        held = rows.get(key)
        actions = change.actions if held is None else (*held.actions, *change.actions)
        rows[key] = msgspec.structs.replace(held or change, actions=actions)
    return list(rows.values())


def _plan(sides: Sides) -> Iterator[Change]:
    old, new = sides.old, sides.new
    before, after = _owner(old), _owner(new)
    if before != after:
        yield sides.change("destination_renamed", "another name", "name", field="name", old=before, new=after)
    for word in ("title", "description", "docs", "category"):
        before, after = (getattr(side, word) or "" for side in (old, new))
        if before != after:
            yield sides.change("title_changed", f"another {word}", word, field=word, old=before, new=after)
    if set(old.integrations) != set(new.integrations):
        before, after = (_names(side.integrations) for side in (old, new))
        reason = "other events are sent and held back"
        yield sides.change("integrations_changed", reason, "integrations", field="integrations", old=before, new=after)
    yield from _connection(sides)


def _names(integrations: list[str]) -> str:
    return notation.constant(integrations) if integrations else "ignore"


def _connection(sides: Sides) -> Iterator[Change]:
    before, after = _words(sides.old.connection), _words(sides.new.connection)
    for word in dict.fromkeys([*before, *after]):
        left, right = before.get(word, ""), after.get(word, "")
        if left != right:
            yield sides.change("connection_changed", "another value", word, field=word, old=left, new=right)


def _words(connection: p.Connection | None) -> dict[str, str]:
    """What a connection says besides its name, which is its plan's."""
    if connection is None:
        return {}
    held = {word: getattr(connection, word) for word in connection.__struct_fields__ if word != "name"}
    return {
        word: notation.value(item) if isinstance(item, p.Node) else notation.constant(msgspec.to_builtins(item))  # type: ignore[arg-type]
        for word, item in held.items()
        if item is not None
    }


def _owner(plan: p.Plan) -> str:
    """The name that goes into meta.id."""
    return plan.connection.name if plan.connection else plan.name


def _actions(sides: Sides) -> Iterator[Change]:
    old, new = sides.old.actions, sides.new.actions
    gone = [name for name in old if name not in new]
    for name, action in new.items():
        if name in old:
            yield from _action(sides, name)
            continue
        before = next((other for other in gone if shapes.same(old[other], action)), None)
        if before is not None:
            gone.remove(before)
            yield sides.change(
                "action_renamed",
                f"was {before}",
                f"actions.{name}",
                old_pointer=f"actions.{before}",
                action=name,
                old=before,
                new=name,
            )
        else:
            yield _added(sides, name, action)
    for name in gone:
        yield sides.change("action_removed", "is gone", f"actions.{name}", action=name, old=old[name].trigger)


def _added(sides: Sides, name: str, action: p.Action) -> Change:
    rival = next((other for other in sides.new.actions if other != name and _clash(sides.new, name, other)), None)
    pointer = f"actions.{name}"
    if rival is None:
        return sides.change("action_added", "is new", pointer, action=name, new=action.trigger)
    reason = f"is new, and takes events of {rival} with the same {', '.join(_keys(sides.new, name))}"
    return sides.change("action_clash", reason, pointer, action=name, new=action.trigger)


def _clash(plan: p.Plan, name: str, other: str) -> bool:
    """Whether one event may leave twice under one id: both deduplicate by the same fields, made alike and not of meta.id first."""
    keys = _keys(plan, name)
    first, second = plan.actions[name], plan.actions[other]
    if not keys or keys != _keys(plan, other) or not (first.enabled and second.enabled):
        return False
    for key in keys:
        left, right = (_at(action.mapping, key.split(".")) for action in (first, second))
        if not (_of_event(left) and _of_event(right)):
            return False
    return conditions.overlap(first.trigger, second.trigger)


def _keys(plan: p.Plan, name: str) -> list[str]:
    dedupe = plan.requests[plan.actions[name].request].dedupe
    return dedupe.by if dedupe else []


def _at(node: p.Value | None, keys: list[str]) -> p.Value | None:
    for key in keys:
        node = node.entries.get(key) if isinstance(node, (p.Object, p.Merge)) else None
    return node


def _of_event(node: p.Value | None) -> bool:
    """Whether a field's first choice is the event's own value."""
    while isinstance(node, (p.First, p.From)):
        node = node.of[0] if isinstance(node, p.First) else node.of
    return node is not None and p.mentions(node, lambda inner: isinstance(inner, p.Path)) and not reads_meta_id(node)


# One action of both plans.


def _action(sides: Sides, name: str) -> Iterator[Change]:
    old, new = sides.old.actions[name], sides.new.actions[name]
    pointer = f"actions.{name}"
    if old.enabled != new.enabled:
        kind, reason = ("action_enabled", "is switched on") if new.enabled else ("action_disabled", "is switched off")
        shown = [f"enabled: {notation.constant(side.enabled)}" for side in (old, new)]
        yield sides.change(kind, reason, pointer, action=name, old=shown[0], new=shown[1])
    for word in ("title", "description"):
        before, after = getattr(old, word), getattr(new, word)
        if before != after:
            yield sides.change(
                "title_changed", f"another {word}", f"{pointer}.{word}", action=name, field=word, old=before, new=after
            )
    yield from _condition(sides, name, "trigger", old.trigger, new.trigger)
    if not shapes.same(old.each, new.each):
        shown = ["" if node is None else notation.value(node) for node in (old.each, new.each)]
        yield sides.change(
            "items_changed", "other items", f"{pointer}.each", action=name, field="each", old=shown[0], new=shown[1]
        )
    yield from _condition(sides, name, "where", old.where, new.where)
    yield from _fields(sides, name, old, new)
    yield from _require(sides, name, old.require, new.require)


def _condition(sides: Sides, name: str, word: str, old: str | None, new: str | None) -> Iterator[Change]:
    if old == new:
        return
    kind, reason = {
        "same": ("trigger_rewritten", "takes the same events"),
        "narrower": ("trigger_narrower", "takes fewer events"),
        "wider": ("trigger_wider", "takes more events"),
        "unclear": ("trigger_unclear", "takes other events"),
    }[conditions.relation(old, new)]
    yield sides.change(kind, reason, f"actions.{name}.{word}", action=name, field=word, old=old or "", new=new or "")


def _fields(sides: Sides, name: str, old: p.Action, new: p.Action) -> Iterator[Change]:
    ids = {tuple(key.split(".")) for plan in (sides.old, sides.new) for key in _keys(plan, name)}
    for found in differences(old.mapping, new.mapping):
        before = _at(old.mapping, list(found.path))
        is_id = any(found.path[: len(key)] == key for key in ids) or (bool(found.path) and reads_meta_id(before))
        if is_id and found.kind not in _HARMLESS:
            found = Found("id_changed", found.path, f"the id is made otherwise: {found.reason}", found.old, found.new)
        yield sides.field(found, f"actions.{name}.mapping", action=name)


def _require(sides: Sides, name: str, old: list[p.Require], new: list[p.Require]) -> Iterator[Change]:
    pointer = f"actions.{name}"
    for index, need in enumerate(new):
        at = f"{pointer}.require.{index}"
        same = next((other for other in old if _implies(other, need) and _implies(need, other)), None)
        if same is not None and same.message != need.message and need.message not in {other.message for other in old}:
            shown = {"old": same.message, "new": need.message}
            yield sides.change(
                "title_changed", "another message", at, old_pointer=pointer, action=name, field="require", **shown
            )
        elif not any(_implies(other, need) for other in old):
            reason = "events without it are refused"
            yield sides.change(
                "require_added", reason, at, old_pointer=pointer, action=name, field="require", new=_need(need)
            )
    for index, need in enumerate(old):
        if not any(_implies(other, need) for other in new):
            at = f"{pointer}.require.{index}"
            reason = "is no longer asked for"
            yield sides.change(
                "require_removed", reason, pointer, old_pointer=at, action=name, field="require", old=_need(need)
            )


def _implies(strong: p.Require, weak: p.Require) -> bool:
    """Whether whoever meets the one meets the other."""
    fields = {tuple(path) for path in strong.any} <= {tuple(path) for path in weak.any}
    return fields and conditions.relation(strong.test, weak.test) in ("same", "narrower")


def _need(need: p.Require) -> str:
    words = [f"any: {notation.constant(['.'.join(path) for path in need.any])}"]
    if need.test is not None:
        words.append(f"if: {notation.condition(need.test)}")
    return "{" + ", ".join(words) + "}"
