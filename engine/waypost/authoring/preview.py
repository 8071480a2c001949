"""What one event becomes: which action takes it and why each other does not, each field with its source, and the request.

Takes a linked program and an event's bytes. Gives text for a terminal. Evaluation is the reference interpreter's, so what is shown is what a
plan means; the request is the real renderer's, with secrets masked.
"""

from __future__ import annotations

from typing import Any

import msgspec

from waypost import plan as p
from waypost.authoring import result_json
from waypost.events.results import Filtered, Mapped, Rejected
from waypost.lang import fql, values
from waypost.lang.values import MISSING, Fault
from waypost.program import integrations, interpret, interpret_actions
from waypost.program.program import Program
from waypost.state.dead_letters import field_place

WIDTH = 40
LEFT_OUT = "(left out)"


def preview(program: Program, line: bytes, now: float) -> str:
    """The whole story of one event. A line that is no event is told in one sentence."""
    line = program.redacted(line)
    results = program.map(line, 0, line, now)
    first = results[0]
    if isinstance(first, Rejected) and first.action is None:
        return f"This is no event ({first.reason}): {first.message}\n"
    event = interpret.decode_event(line)
    env = interpret.Env(event, program.settings.masked(), int(now * 1000))
    sections = [_actions(program, env)]
    if program.plan.connection and program.plan.connection.redact:
        sections.append(f"taken out of the event: {', '.join(program.plan.connection.redact)}\n")
    if results == [integrations.OFF]:
        return "\n".join([*sections, _switched_off(program.plan, event["integrations"])])
    for result in results:
        sections.append(_result(program, result, env, line, now))
    return "\n".join(sections)


def as_data(program: Program, line: bytes, now: float) -> dict[str, Any]:
    """The same as data: the actions, and of each delivery what `told.delivery` says and the fields with their sources."""
    line = program.redacted(line)
    results = program.map(line, 0, line, now)
    first = results[0]
    if isinstance(first, Rejected) and first.action is None:
        return {"actions": [], "deliveries": [result_json.delivery(program, first, now)]}
    env = interpret.Env(interpret.decode_event(line), program.settings.masked(), int(now * 1000))
    deliveries = []
    for result in results:
        row = result_json.delivery(program, result, now)
        if not isinstance(result, Filtered):
            row["fields"] = [_field(*found) for found in _rows(program, result, env, line)]
        deliveries.append(row)
    return {"actions": [_action(program, name, env) for name in program.plan.actions], "deliveries": deliveries}


def _field(name: str, value: str, source: str, place: str) -> dict[str, Any]:
    """`value` where there is one, `fault` where it cannot be had."""
    row: dict[str, Any] = {"field": name, "source": source, "spec": place}
    if value.startswith("! "):
        row["fault"] = value[2:]
    elif value != LEFT_OUT:
        row["value"] = msgspec.Raw(value.encode())
    return row


def _action(program: Program, name: str, env: interpret.Env) -> dict[str, Any]:
    action = program.plan.actions[name]
    node, resolve = fql.read(action.trigger), interpret.resolver(env)
    holds = fql.evaluate(node, resolve)
    fails = [] if holds else [{"term": term, "found": found} for term, found in fql.explain(node, resolve)]
    return {
        "action": name,
        "trigger": action.trigger,
        "enabled": action.enabled,
        "matches": holds,
        "fails": fails,
        "spec": p.place(program.plan.source, f"actions.{name}.trigger"),
    }


def _actions(program: Program, env: interpret.Env) -> str:
    plan = program.plan
    width = max(map(len, plan.actions))
    rows = ["Actions"]
    for name, action in plan.actions.items():
        node = fql.read(action.trigger)
        resolve = interpret.resolver(env)
        place = _place(plan, f"actions.{name}.trigger")
        if fql.evaluate(node, resolve):
            state = "matches" if action.enabled else "matches, but is disabled"
            rows.append(f"  {name:{width}}  {state}: {action.trigger}{place}")
        else:
            reasons = "; ".join(f"{term} fails: {found}" for term, found in fql.explain(node, resolve))
            rows.append(f"  {name:{width}}  no: {reasons}{place}")
    return "\n".join(rows) + "\n"


def _switched_off(plan: p.Plan, held: Any) -> str:
    said = {name: held[name] for name in (integrations.ALL, *plan.integrations) if name in held}
    names = " or ".join(f"`{name}`" for name in plan.integrations)
    return f"nothing is sent (integrations): the event switches this destination off with {values.encode(said).decode()}; here it is {names}\n"


def _place(plan: p.Plan, pointer: str) -> str:
    at = p.place(plan.source, pointer)
    return f"   ({at})" if at else ""


def _result(program: Program, result: Mapped | Rejected | Filtered, env: interpret.Env, line: bytes, now: float) -> str:
    if isinstance(result, Mapped):
        result = program.requests[result.request].refusal(result) or result
    head = result.action or "no action"
    if isinstance(result, Filtered):
        return f"{head}: nothing is sent ({result.reason})\n"
    rows = [] if result.action is None else _fields(program, result, env, line)
    if isinstance(result, Rejected):
        at = field_place(program.plan, result.action, result.field) if result.field and result.action else ""
        place = f"   ({at})" if at else ""
        sentence = f"{head}: refused before sending ({result.reason}{' at ' + result.field if result.field else ''}): {result.message}{place}"
        return "\n".join([*rows, "", sentence, ""])
    wire = result_json.wire(program, result, now)
    request = [f"{wire.method} {wire.url}", *(f"{name}: {value}" for name, value in wire.headers)]
    try:
        body = msgspec.json.format(wire.body, indent=2).decode() if wire.body else ""
    except msgspec.DecodeError:
        body = wire.body.decode()
    return "\n".join(
        [*rows, "", "Request", *(f"  {row}" for row in request), "", *(f"  {row}" for row in body.splitlines()), ""]
    )


def _fields(program: Program, result: Mapped | Rejected, env: interpret.Env, line: bytes) -> list[str]:
    """A row for each output field: value, the event paths it comes from, and the line of the spec."""
    rows = _rows(program, result, env, line)
    if not rows:
        return [f"{result.action}: a request without a message of its own"]
    names = max([len(row[0]) for row in rows] or [0])
    sources = min(WIDTH, max([len(row[2]) for row in rows] or [0]))
    return [
        f"{result.action}: field, value, source",
        *(
            f"  {name:{names}}  {_cut(value):{WIDTH}}  {_cut(source):{sources}}  {place}".rstrip()
            for name, value, source, place in rows
        ),
    ]


def _rows(
    program: Program, result: Mapped | Rejected, env: interpret.Env, line: bytes
) -> list[tuple[str, str, str, str]]:
    assert result.action is not None
    plan = program.plan
    action = plan.actions[result.action]
    item: Any = MISSING
    if action.each is not None:
        held: Any = interpret.evaluate(action.each, env)
        item = held[result.item]
    origin = interpret_actions.Origin(line, 0, line, program.owner)
    meta = origin.meta(env.event, result.action, result.item)
    inner = interpret.Env(env.event, env.settings, env.now, item, meta=meta)
    rows: list[tuple[str, str, str, str]] = []
    _collect(plan, action.mapping, f"actions.{result.action}.mapping", "", inner, rows)
    return rows


def _collect(
    plan: p.Plan, node: p.Value, pointer: str, prefix: str, env: interpret.Env, rows: list[tuple[str, str, str, str]]
) -> None:
    if not isinstance(node, (p.Object, p.Merge)):
        return
    for key, entry in node.entries.items():
        name, at = f"{prefix}{key}", f"{pointer}.{key}"
        rows.append((name, _value(entry, env), _sources(entry), plan.source.positions.get(at, "")))
        _collect(plan, entry, at, f"{name}.", env, rows)


def _value(node: p.Value, env: interpret.Env) -> str:
    try:
        value = interpret.evaluate(node, env)
    except Fault as fault:
        return f"! {fault.reason}: {fault.message}"
    return LEFT_OUT if value is MISSING else values.encode(value).decode()


def _sources(node: p.Value) -> str:
    """The event paths, settings and constants that an expression reads."""
    found: list[str] = []

    def look(inner: p.Value) -> None:
        if isinstance(inner, p.Path):
            found.append(inner.path)
        elif isinstance(inner, p.Ref):
            found.append("$key" if inner.name == "key" else inner.name)
        elif isinstance(inner, p.Omit):
            found.append("$omit")

    # The keys of an object have rows of their own.
    for part in node.of if isinstance(node, p.Merge) else [] if isinstance(node, p.Object) else [node]:
        p.rewrite(part, look)
    if not found and isinstance(node, p.Const):
        return "constant"
    return ", ".join(dict.fromkeys(found))


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"
