"""Which points of a spec a test reaches, seen by the reference interpreter.

Takes Points and, test by test, a Case and its Course. State: the points that were reached. The fast program is not involved: the interpreter,
which gives the same messages (tests/program/test_differential.py), evaluates the event again and shows every node to `_watch`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from waypost import plan as p
from waypost.authoring.test.case_run import Course
from waypost.authoring.test.cases import Case
from waypost.authoring.test.points import Point, Points
from waypost.compiler.spec import ActionSpec, Condition, RequireSpec
from waypost.delivery.outcome import Verdict
from waypost.events.results import Mapped
from waypost.lang import fql
from waypost.lang.checks import run_checks
from waypost.lang.each_items import key_text
from waypost.lang.values import MISSING, Fault, encode
from waypost.plan import Plan
from waypost.program import interpret, interpret_actions
from waypost.program.integrations import switched_off
from waypost.program.interpret import BadEvent, Env
from waypost.program.interpret_actions import Origin
from waypost.program.put_in import names
from waypost.program.require import any_present
from waypost.program.settings import Bound, bind


@dataclass
class Frame:
    """What was evaluated inside one node, in order, and the refusal that ended it."""

    inner: list[tuple[p.Value, Any]]
    fault: Fault | None = None


class Tracer:
    """State: the points that tests have reached, and the nodes that are being evaluated."""

    def __init__(self, points: Points, plan: Plan) -> None:
        self.points = points
        self.plan = plan
        self.reached: set[Point] = set()
        self._frames: list[Frame] = [Frame([])]
        self._mappings = {id(action.mapping.node): action for action in points.spec.actions.values()}

    def trace(self, case: Case, course: Course) -> None:
        self._responses(course)
        bound = bind(self.plan, case.settings)
        for line, offset in zip(case.events, case.offsets(), strict=True):
            try:
                event = interpret.decode_event(line)
            except BadEvent:
                continue
            if switched_off(self.plan.integrations, event.get("integrations")):
                continue
            origin = Origin(line, offset, case.event, self.plan.name)
            for action in self.points.spec.actions.values():
                if action.enabled:
                    self._action(action, event, bound, origin, case.now)

    def _mark(self, node: object, thing: str) -> None:
        point = self.points.at.get((id(node), thing))
        if point is not None:
            self.reached.add(point)

    # Actions.

    def _action(self, action: ActionSpec, event: Any, bound: Bound, origin: Origin, now: float) -> None:
        env = Env(event, bound, int(now * 1000))
        if not self._holds(action.trigger, env):
            return
        self._frames = [Frame([])]
        name = action.name.value
        results = interpret_actions.map_action_on(self.plan, name, bound, event, origin, now, self._watch)
        assert results is not None, "the spec's trigger and the plan's are one condition"
        items: Iterable[Any] = (MISSING,)
        if action.each is not None:
            of = self._frames[0].inner[0][1] if self._frames[0].inner else None
            items = [item for _, item in _entries(of)]
            self._mark(action, "item" if items else "no item")
        if action.where is not None:
            for item in items:
                self._mark(action, "kept" if self._holds(action.where, replace(env, item=item)) else "dropped")
        if any(isinstance(result, Mapped) for result in results):
            self._mark(action, "sends")

    def _message(self, action: ActionSpec, message: Any, env: Env) -> None:
        """A message is mapped: what is required of it, and the request that would carry it."""
        body = encode({} if message is MISSING else message)
        for need in action.require:
            if self._refuses(need, body, env):
                self._mark(need, "refused")
                return
        values = [*action.request.values(), *self.points.spec.auth.all()]
        # What is made at each attempt is there for whatever an event gives.
        env = replace(env, signing=interpret.SOME_SIGNING)
        for value in values:
            try:
                self._watch(value.node, env)
            except Fault:
                continue

    def _refuses(self, need: RequireSpec, body: bytes, env: Env) -> bool:
        if need.test is not None and not self._holds(need.test, env):
            return False
        return not any_present(need.require.any)(body)

    # Answers.

    def _responses(self, course: Course) -> None:
        for name, verdict, count in course.judged:
            keys = _rule_keys(verdict, count)
            for action, spec in self.points.spec.actions.items():
                if self.plan.actions[action].request == name:
                    for key in keys:
                        self._mark(spec.request, key)

    # Conditions.

    def _holds(self, condition: Condition, env: Env) -> bool:
        return self._test(condition.node, interpret.resolver(env))

    def _test(self, node: fql.Node, resolve: fql.Resolve) -> bool:
        """As fql.evaluate: what an earlier term decides, a later one does not see."""
        if isinstance(node, fql.And):
            return all(self._test(inner, resolve) for inner in node.of)
        if isinstance(node, fql.Or):
            return any(self._test(inner, resolve) for inner in node.of)
        if isinstance(node, fql.Not):
            return not self._test(node.of, resolve)
        held = fql.evaluate(node, resolve)
        self._mark(node, "true" if held else "false")
        return held

    # Values.

    def _watch(self, node: p.Value, env: Env) -> Any:
        if isinstance(node, p.Messages):
            return []
        if isinstance(node, p.When):
            self._mark(node, "then" if self._holds(self.points.conditions[id(node)], env) else "else")
        frame = Frame([])
        self._frames.append(frame)
        try:
            value = interpret.step(node, env)
        except Fault as fault:
            frame.fault = fault
            raise
        finally:
            self._frames.pop()
            look = _LOOKS.get(type(node))
            if look is not None:
                look(self, node, frame, env)
        self._frames[-1].inner.append((node, value))
        if value is not MISSING:
            self._mark(node, "value")
        action = self._mappings.get(id(node))
        if action is not None:
            self._message(action, value, replace(env, watch=self._watch))
        return value

    def _first(self, node: p.First, frame: Frame, env: Env) -> None:
        if frame.fault is None and frame.inner and frame.inner[-1][1] not in (MISSING, None):
            self._mark(node, f"choice {len(frame.inner) - 1}")

    def _keyed(self, node: p.Pick | p.Drop, frame: Frame, env: Env) -> None:
        of = frame.inner[0][1] if frame.inner else None
        named = names(env.settings.get(node.keys_of.name)) if node.keys_of is not None else []
        for key in of if isinstance(of, dict) else ():
            self._mark(node, f"key {key}")
            if key in named:
                self._mark(node, "any key")

    def _lookup(self, node: p.Lookup, frame: Frame, env: Env) -> None:
        if frame.fault is not None or not frame.inner:
            return
        key = interpret.text_of(frame.inner[0][1])
        if node.table_of is not None:
            table = env.settings.get(node.table_of.name)
            self._mark(node, "any entry" if table is not MISSING and key in table else "else")
            return
        self._mark(node, f"entry {key}" if key is not MISSING and key in node.table else "else")

    def _from(self, node: p.From, frame: Frame, env: Env) -> None:
        if not frame.inner:
            return
        if len(frame.inner) > 1:
            self._mark(node, "default")
        if frame.fault is not None and frame.fault.reason == "required":
            self._mark(node, "required")
        held = frame.inner[0][1]
        if node.single and not isinstance(held, list) and held not in (MISSING, None):
            self._mark(node, "wrapped")
        if node.invalid == "omit":
            try:
                run_checks(msgspec.structs.replace(node, invalid="error"), frame.inner[0][1], env.now / 1000)
            except Fault:
                self._mark(node, "invalid")

    def _each(self, node: p.Each, frame: Frame, env: Env) -> None:
        if not frame.inner:
            return
        of = frame.inner[0][1]
        if node.single and not isinstance(of, list) and of not in (MISSING, None):
            self._mark(node, "wrapped")
            of = [of]
        condition = self.points.conditions.get(id(node))
        # Where an item is refused, the ones behind it are not seen.
        left = _begun(node, frame) if frame.fault is not None else math.inf
        for name, item in _entries(of):
            if not left:
                break
            held = condition is None or self._holds(condition, replace(env, item=item, key=name))
            self._mark(node, "kept" if held else "dropped")
            if held:
                self._mark(node, "item")
                left -= 1

    def _find(self, node: p.Find, frame: Frame, env: Env) -> None:
        if not frame.inner:
            return
        of, condition = frame.inner[0][1], self.points.conditions[id(node)]
        found = any(self._holds(condition, replace(env, item=item, key=name)) for name, item in _entries(of))
        if frame.fault is None or found:
            self._mark(node, "found" if found else "none")

    def _get(self, node: p.Get, frame: Frame, env: Env) -> None:
        held = [value for _, value in frame.inner]
        if frame.fault is None and isinstance(held[0], dict) and key_text(held[1], "") in held[0]:
            self._mark(node, "got")

    def _merge(self, node: p.Merge, frame: Frame, env: Env) -> None:
        merged = [value for _, value in frame.inner[: len(node.of)] if isinstance(value, dict)]
        for key, entry in node.entries.items():
            if isinstance(entry, p.Omit) and any(key in operand for operand in merged):
                self._mark(entry, "removed")


def _begun(node: p.Each, frame: Frame) -> int:
    """How many items an `$each` had begun with when one was refused."""
    first = node.to if node.key is None else node.key
    seen = [held for held, _ in frame.inner[1:]]
    within = node.key is not None and seen and seen[-1] is first and frame.inner[-1][1] not in (MISSING, None)
    return sum(held is first for held in seen) + (not within)


def _entries(of: Any) -> list[tuple[Any, Any]]:
    """Items with the names of their entries."""
    return (
        list(of.items()) if isinstance(of, dict) else [(MISSING, item) for item in of] if isinstance(of, list) else []
    )


def _rule_keys(verdict: Verdict, count: int) -> set[str]:
    """The keys (points.response_rules) of the spec's own rules that decided; none where a built-in outcome did."""
    if not verdict.named or verdict.doubt:
        return {verdict.key}
    keys = {f"{verdict.key} {reader} {number}" for reader, number in (one.by for one in verdict.named.values())}
    return keys | ({f"{verdict.key} rest"} if len(verdict.named) < count else set())


_LOOKS: dict[type, Callable[[Tracer, Any, Frame, Env], None]] = {
    p.First: Tracer._first,
    p.Pick: Tracer._keyed,
    p.Drop: Tracer._keyed,
    p.Lookup: Tracer._lookup,
    p.From: Tracer._from,
    p.Each: Tracer._each,
    p.Find: Tracer._find,
    p.Get: Tracer._get,
    p.Merge: Tracer._merge,
}
