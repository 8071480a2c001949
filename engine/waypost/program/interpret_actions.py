"""What a plan's actions make of an event, by the reference interpreter: every action in turn, slowly and obviously.

Takes a plan, settings and a line with what identifies it (`Origin`). Gives the results that Program.map gives for the same line, with which a
property test compares them; but a message's group is the request itself (interpret_requests.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from waypost import plan as p
from waypost.events.not_events import ENVELOPE
from waypost.events.results import Filtered, Mapped, Rejected
from waypost.lang import jsonpath, values
from waypost.lang.surrogates import repaired
from waypost.lang.values import MISSING, Fault
from waypost.program.interpret import BadEvent, Env, Watch, decode_event, evaluate, holds
from waypost.program.interpret_requests import NotSent, sent
from waypost.program.interpret_rules import is_envelope, lacks, switched_off, take_entries, without
from waypost.program.settings import Bound

Result = Mapped | Rejected | Filtered


class Refused(Rejected, frozen=True, gc=False):
    """A message whose request cannot be made of this event. `faults`: each reason for which, with its field; any of them may be told."""

    faults: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Origin:
    """What identifies one delivery's event besides its content: the line, its offset and the source's first line, and the owner's name."""

    line: bytes
    offset: int
    first_line: bytes
    owner: str
    kept: bytes | None = None
    """The line as it identifies its event, where a connection takes members out of it."""

    def meta(self, event: Any, action: str, item: object) -> Callable[[str], Any]:
        def get(name: str) -> Any:
            if name != "id":
                return MISSING
            own = event.get("messageId")
            if isinstance(own, str) and own:
                head = own.encode()
            else:
                head = b"\0".join(
                    [self.line if self.kept is None else self.kept, str(self.offset).encode(), self.first_line]
                )
            key = [head, self.owner.encode(), action.encode(), b"" if item is None else str(item).encode()]
            return hashlib.blake2b(b"\0".join(key), digest_size=16).hexdigest()

        return get


def map_event(plan: p.Plan, settings: Bound, origin: Origin, now: float) -> list[Result]:
    """What Program.map gives for the same line."""
    origin = replace(origin, line=repaired(origin.line), kept=None if origin.kept is None else repaired(origin.kept))
    try:
        event = decode_event(origin.line)
    except BadEvent as error:
        return [Rejected(None, None, error.reason, str(error))]
    for path in plan.connection.redact if plan.connection else []:
        event = without(event, jsonpath.parse(path).parts)
    if switched_off(event, plan.integrations):
        return [Filtered(None, None, "integrations")]
    out: list[Result] = []
    disabled = False
    for name in plan.actions:
        found = map_action_on(plan, name, settings, event, origin, now)
        if found is not None and not plan.actions[name].enabled:
            disabled = True
        out.extend(found or [])
    if not out and not disabled and is_envelope(event):
        return [ENVELOPE]
    return out or [Filtered(None, None, "disabled" if disabled else "no_action")]


def map_action_on(
    plan: p.Plan,
    name: str,
    settings: Bound,
    event: Any,
    origin: Origin,
    now: float,
    watch: Watch | None = None,
) -> list[Result] | None:
    action = plan.actions[name]
    env = Env(event, settings, int(now * 1000), watch=watch)
    if not holds(action.trigger, env):
        return None
    if not action.enabled:
        return []
    if action.each is None:
        return [_deliver(plan, name, replace(env, meta=origin.meta(event, name, None)), None)]
    try:
        of = evaluate(action.each, replace(env, meta=origin.meta(event, name, None)))
        if isinstance(of, dict):
            take_entries(of, [action.mapping], action.where, named=False)
        found = _each_pairs(of)
    except Fault as fault:
        return [Rejected(name, None, fault.reason, fault.message, fault.field)]
    if not found:
        return [Filtered(name, None, "where")]
    return [
        _deliver(plan, name, replace(env, item=item, meta=origin.meta(event, name, key)), key) for key, item in found
    ]


def _each_pairs(of: Any) -> list[tuple[int | str, Any]]:
    if of is MISSING or of is None:
        return []
    if isinstance(of, list):
        return list(enumerate(of))
    if isinstance(of, dict):
        return list(of.items())
    raise Fault("wrong_shape", f"expected a list or an object, found {values.typeof(of)}")


def _deliver(plan: p.Plan, name: str, env: Env, item: int | str | None) -> Result:
    action = plan.actions[name]
    try:
        if action.where is not None and not holds(action.where, env):
            return Filtered(name, item, "where")
        message = evaluate(action.mapping, env)
        message = {} if message is MISSING else message
        for need in action.require:
            if (need.test is None or holds(need.test, env)) and lacks(message, need):
                said = "needs one of " + ", ".join(".".join(path) for path in need.any)
                raise Fault("require", need.message or said)
        return Mapped(name, item, action.request, sent(plan.requests[action.request], env), values.encode(message))
    except NotSent as error:
        others = tuple((fault.reason, fault.field) for fault in error.faults)
        return Refused(name, item, error.faults[0].reason, error.faults[0].message, error.faults[0].field, others)
    except Fault as fault:
        return Rejected(name, item, fault.reason, fault.message, fault.field)
