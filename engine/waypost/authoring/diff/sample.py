"""What a change does to a sample of events: both programs map each line, and the messages are counted against each other.

Takes two linked programs, the Changes, and chunks of lines. Gives a Summary: for each action how many messages stay, differ, appear and
vanish, why, how many each Change touches, and the first examples field by field. Memory does not grow with the file: counters, whose keys
come from the plans and the closed list of reasons, and the first examples are all that is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct, field

from waypost import plan as p
from waypost.authoring.diff import shapes
from waypost.authoring.diff.change import Change
from waypost.authoring.diff.sides import position
from waypost.events.lines import Line, TooLong
from waypost.events.results import Mapped, Rejected
from waypost.lang import values
from waypost.lang.values import MISSING
from waypost.program.program import Program, Result

VALUE = 2000
"""How many characters of a value an example keeps."""
FIELDS = 20
"""How many fields one example shows."""

Key = tuple[str, int | str | None]


class FieldChange(Struct, frozen=True):
    """One output field of an example: its values as JSON text ("" for none) and where the spec asks for it."""

    field: str
    old: str
    new: str
    at: str


class Example(Struct, frozen=True):
    """`kind`: differs, appears, vanishes or request. `why` says from what to what; `line` counts from 1; `more` fields are not shown."""

    action: str
    item: int | str | None
    kind: str
    line: int
    why: str
    fields: list[FieldChange]
    more: int = 0


class Counts(Struct):
    """Messages of one action. `reasons`: how many deliveries went from one end to another, such as "sent -> rejected: required"."""

    old: int = 0
    new: int = 0
    same: int = 0
    differ: int = 0
    appear: int = 0
    vanish: int = 0
    requests: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


class Summary(Struct):
    """`touched[i]`: how many messages the i-th Change touches."""

    events: int
    too_long: int
    actions: dict[str, Counts]
    touched: list[int]
    examples: list[Example]


class Sample:
    """State: the counters and examples so far."""

    def __init__(self, old: Program, new: Program, changes: Sequence[Change], examples: int, now: float) -> None:
        self._old, self._new = old, new
        self._changes = changes
        self._most = examples
        self._now = now
        names = dict.fromkeys([*new.plan.actions, *old.plan.actions])
        self.summary = Summary(0, 0, {name: Counts() for name in names}, [0] * len(changes), [])
        self._shown: Counter[tuple[str, str]] = Counter()
        self._other_requests = _differing_requests(old.plan, new.plan)

    def take(self, lines: Sequence[Line], first_line: bytes) -> None:
        """Maps the lines in both ways and counts."""
        whole = [line for line in lines if not isinstance(line, TooLong)]
        self.summary.too_long += len(lines) - len(whole)
        self.summary.events += len(whole)
        if not whole:
            return
        data, offsets = b"\n".join(line.data for line in whole), [line.offset for line in whole]
        before, after = (
            program.map_text(data, offsets, first_line, self._now).rows() for program in (self._old, self._new)
        )
        for line, left, right in zip(whole, before, after, strict=True):
            lefts, rights = _by_action(left), _by_action(right)
            for key in dict.fromkeys([*rights, *lefts]):
                self._pair(line, key, lefts.get(key), rights.get(key))

    def _pair(self, line: Line, key: Key, old: Result | None, new: Result | None) -> None:
        counts = self.summary.actions[key[0]]
        counts.old += isinstance(old, Mapped)
        counts.new += isinstance(new, Mapped)
        if isinstance(old, Mapped) and isinstance(new, Mapped):
            self._both_sent(line, counts, old, new)
            return
        before, after = _end(old), _end(new)
        if before == after:
            return
        why = f"{before} -> {after}"
        counts.reasons[why] = counts.reasons.get(why, 0) + 1
        if isinstance(old, Mapped):
            counts.vanish += 1
            self._one_sent(line, key, "vanishes", why, old, new)
        elif isinstance(new, Mapped):
            counts.appear += 1
            self._one_sent(line, key, "appears", why, new, old)

    def _one_sent(self, line: Line, key: Key, kind: str, why: str, sent: Mapped, other: Result | None) -> None:
        """A message of one side alone; where the other refuses it, the field that is to blame."""
        if not isinstance(other, Rejected):
            self._example(line, key, kind, why, [])
            return
        path = tuple(other.field.split(".")) if other.field else ()
        self._touch(key[0], [path] if path else [])
        if self._wanted(key[0], kind):
            held = values.decode(sent.body)
            for name in path:
                held = held.get(name, MISSING) if isinstance(held, dict) else MISSING
            was, is_now = (held, MISSING) if kind == "vanishes" else (MISSING, held)
            rows = [self._row(key[0], path, was, is_now)] if path else []
            self._example(line, key, kind, f"{why}: {other.message}", rows)

    def _both_sent(self, line: Line, counts: Counts, old: Mapped, new: Mapped) -> None:
        key = (new.action, new.item)
        if new.action in self._other_requests:
            shown = [
                side.requests[mapped.request].render(mapped.group, [], self._now, masked=True)
                for side, mapped in ((self._old, old), (self._new, new))
            ]
            rows = _request_rows(*([wire.method, wire.url, wire.headers] for wire in shown))
            if rows:
                counts.requests += 1
                self._example(line, key, "request", "sent -> sent", rows)
        if old.body == new.body:
            counts.same += 1
            return
        before, after = values.decode(old.body), values.decode(new.body)
        differing = list(_differences(before, after, ()))
        if not differing:
            counts.same += 1
            return
        counts.differ += 1
        self._touch(new.action, [path for path, _, _ in differing])
        if self._wanted(new.action, "differs"):
            rows = [self._row(new.action, path, left, right) for path, left, right in differing]
            self._example(line, key, "differs", "sent -> sent", rows)

    def _row(self, action: str, path: tuple[str, ...], old: Any, new: Any) -> FieldChange:
        pointer = ".".join(["actions", action, "mapping", *(key.partition("[")[0] for key in path)])
        sides = (self._new, self._old) if action in self._new.plan.actions else (self._old,)
        # The deepest place: a field that is gone stands only in the old spec.
        found = max((position(side.plan.source, pointer) for side in sides), key=lambda at: at.count(":"))
        return FieldChange(_dotted(path), _json(old), _json(new), found)

    def _touch(self, action: str, paths: list[tuple[str, ...]]) -> None:
        """Counts the message for each Change of a field at, above or below one of the paths."""
        for index, change in enumerate(self._changes):
            if not change.path or action not in change.actions:
                continue
            keys = tuple(key.partition("[")[0] for key in change.path)
            if any(_meets(keys, tuple(key.partition("[")[0] for key in path)) for path in paths):
                self.summary.touched[index] += 1

    def _wanted(self, action: str, kind: str) -> bool:
        return self._shown[action, kind] < self._most

    def _example(self, line: Line, key: Key, kind: str, why: str, rows: list[FieldChange]) -> None:
        if self._wanted(key[0], kind):
            self._shown[key[0], kind] += 1
            more = max(0, len(rows) - FIELDS)
            self.summary.examples.append(Example(*key, kind, line.number, why, rows[:FIELDS], more))


def _by_action(found: Mapped | list[Result]) -> dict[Key, Result]:
    if isinstance(found, Mapped):
        return {(found.action, found.item): found}
    return {(item.action, item.item): item for item in found if item.action is not None}


def _end(result: Result | None) -> str:
    if result is None:
        return "not taken"
    if isinstance(result, Mapped):
        return "sent"
    return f"{'rejected' if isinstance(result, Rejected) else 'filtered'}: {result.reason}"


def _differing_requests(old: p.Plan, new: p.Plan) -> set[str]:
    """The actions whose requests may differ in more than their messages."""

    def around(plan: p.Plan, action: str) -> Any:
        request = plan.requests[plan.actions[action].request]
        choices = {name: (setting.choices, setting.default) for name, setting in plan.settings.items()}
        return shapes.normal(
            [
                request.method,
                request.url,
                request.headers,
                request.query,
                request.more_headers or None,
                request.more_query or None,
                request.sign or None,
                plan.auth,
                choices,
            ]
        )

    return {name for name in new.actions if name in old.actions and around(old, name) != around(new, name)}


def _request_rows(old: list[Any], new: list[Any]) -> list[FieldChange]:
    before, after = (
        {"method": method, "url": url, **{f"headers.{name}": text for name, text in headers}}
        for method, url, headers in (old, new)
    )
    return [
        FieldChange(f"request.{name}", before.get(name, "")[:VALUE], after.get(name, "")[:VALUE], "")
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]


def _differences(old: Any, new: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """The deepest members that differ; lists of one length item by item."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*new, *old]):
            yield from _differences(old.get(key, MISSING), new.get(key, MISSING), (*path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new) and path:
        for index, (left, right) in enumerate(zip(old, new, strict=True)):
            yield from _differences(left, right, (*path[:-1], f"{path[-1]}[{index}]"))
    elif not shapes.same(old, new):
        yield path, old, new


def _meets(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    """Whether one path is the other or leads to it."""
    shorter = min(len(left), len(right))
    return left[:shorter] == right[:shorter]


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(path) or "(the whole message)"


def _json(value: Any) -> str:
    if value is MISSING:
        return ""
    text = values.encode(value).decode()
    return text if len(text) <= VALUE else text[: VALUE - 1] + "…"
