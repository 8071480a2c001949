"""What a plan's actions make of an event, by the reference interpreter: every action in turn, slowly and obviously.

Takes a plan, settings and a line with what identifies it (`Origin`). Gives the results that Program.map gives for the same line, with which a
property test compares them. In production it maps actions with `each`. Values are interpret.py's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from waypost import plan as p
from waypost.events.not_events import ENVELOPE, is_envelope
from waypost.events.results import Filtered, Mapped, Rejected
from waypost.lang import each_items, values
from waypost.lang.surrogates import repaired
from waypost.lang.values import MISSING, Fault
from waypost.program import integrations
from waypost.program.interpret import BadEvent, Env, Watch, decode_event, evaluate, group_of, holds
from waypost.program.redact import redaction
from waypost.program.require import any_present, require_message
from waypost.program.settings import Bound

Result = Mapped | Rejected | Filtered


@dataclass(frozen=True)
class Origin:
    """What identifies one delivery's event besides its content: the line, its offset and the source's first line, and the owner's name."""

    line: bytes
    offset: int
    first_line: bytes
    owner: str

    def meta(self, event: Any, action: str, item: object) -> Callable[[str], Any]:
        def get(name: str) -> Any:
            if name != "id":
                return MISSING
            own = event.get("messageId")
            if isinstance(own, str) and own:
                head = own.encode()
            else:
                head = b"\0".join([self.line, str(self.offset).encode(), self.first_line])
            key = [head, self.owner.encode(), action.encode(), b"" if item is None else str(item).encode()]
            return hashlib.blake2b(b"\0".join(key), digest_size=16).hexdigest()

        return get


def map_event(plan: p.Plan, settings: Bound, origin: Origin, now: float) -> list[Result]:
    """What Program.map gives for the same line."""
    cut = redaction(plan)
    line = repaired(origin.line)
    origin = replace(origin, line=line if cut is None else cut(line) or line)
    try:
        event = decode_event(origin.line)
    except BadEvent as error:
        return [Rejected(None, None, error.reason, str(error))]
    if integrations.switched_off(plan.integrations, event.get("integrations")):
        return [integrations.OFF]
    out: list[Result] = []
    disabled = False
    for name in plan.actions:
        found = map_action_on(plan, name, settings, event, origin, now)
        if found is not None and not plan.actions[name].enabled:
            disabled = True
        out.extend(found or [])
    if not out and not disabled and is_envelope(origin.line):
        return [ENVELOPE]
    return out or [Filtered(None, None, "disabled" if disabled else "no_action")]


def map_action(plan: p.Plan, name: str, settings: Bound, origin: Origin, now: float) -> list[Result] | None:
    """The results of one action; None when its trigger does not match."""
    return map_action_on(plan, name, settings, decode_event(origin.line), origin, now)


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
        of = evaluate(action.each, env)
        if isinstance(of, dict) and each_items.reads_members((action.mapping,), action.where):
            each_items.check_map(of)
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
        body = values.encode({} if message is MISSING else message)
        for need in action.require:
            applies = need.test is None or holds(need.test, env)
            if applies and not any_present(need.any)(body):
                raise Fault("require", require_message(need))
        return Mapped(name, item, action.request, group_of(plan.requests[action.request], env), body)
    except Fault as fault:
        return Rejected(name, item, fault.reason, fault.message, fault.field)
