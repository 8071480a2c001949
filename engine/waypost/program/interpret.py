"""The reference interpreter: what a plan means, slowly and obviously.

Takes plan nodes and an event. Gives JSON values, or Faults. Written straight from docs/spec-reference.md, one function a node kind, without
regard to speed; generated code is compared with it by a property test. In production it evaluates what happens once a request (urls, headers,
the body around the messages), and what `preview` shows; it maps nothing.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from msgspec import Raw

from waypost import plan as p
from waypost.events.not_events import malformed
from waypost.lang import filters, fql, jsonpath, values
from waypost.lang.surrogates import repaired
from waypost.lang.values import MISSING, Fault
from waypost.program import interpret_numbers
from waypost.program.interpret_rules import checked, name_of, take_entries
from waypost.program.settings import Bound

NO_LOOP = object()
"""The entry's name outside of `$each` and `$find`."""


@dataclass(frozen=True)
class Env:
    """What an expression may reach. `key` is the name of the entry that is gone over, MISSING in a list.

    `group` holds a request's event parts (program/request/grouping.py); `meta` gives `meta.*`; `now` is Unix milliseconds.

    `signing` gives `timestamp`, `body` and `signature` where a request is signed.

    `watch` evaluates in place of `evaluate`, by `step`, and so sees every node with its value: how test coverage is measured."""

    event: Any
    settings: Bound
    now: int = 0
    item: Any = MISSING
    key: Any = NO_LOOP
    group: tuple[Any, ...] = ()
    meta: Callable[[str], Any] = lambda name: MISSING
    watch: Watch | None = None
    signing: Mapping[str, Any] | None = None


Watch = Callable[[p.Value, Env], Any]


SOME_INSTANT = 1_800_000_000_000
OF_SIGNING = ("timestamp", "body", "signature")
"""Known where a request is signed: at each attempt."""
SOME_SIGNING = {"timestamp": 1_800_000_000, "body": "{}", "signature": "0" * 64}


class BadEvent(Exception):
    """A line that is no event: a reason of results.REASONS and a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def decode_event(line: bytes) -> dict[str, Any]:
    """The event of a line, number tokens kept; of members with one name the last wins, half a surrogate pair is U+FFFD. Raises BadEvent."""
    try:
        text = repaired(line).decode()
    except UnicodeDecodeError as error:
        raise BadEvent("invalid_utf8", f"byte {error.start} of the line is not UTF-8") from None
    try:
        event = json.loads(text, parse_float=values.Num, parse_int=values.integer_token, parse_constant=_refuse)
        _refuse_surrogates(event)
    except RecursionError:
        raise BadEvent("too_deep", "the event is nested too deeply") from None
    except ValueError as error:
        raise BadEvent("malformed", malformed(error, repaired(line)).message) from None
    if not isinstance(event, dict):
        raise BadEvent("not_object", "the line is JSON, but no object")
    return event


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _refuse_surrogates(value: Any) -> None:
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, list):
        for item in value:
            _refuse_surrogates(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_surrogates(key)
            _refuse_surrogates(item)


def evaluate(node: p.Value, env: Env) -> Any:
    """The value of a node, or MISSING. Raises Fault, with the field inside the node where one is to blame."""
    return step(node, env) if env.watch is None else env.watch(node, env)


def step(node: p.Value, env: Env) -> Any:
    """`evaluate` of this node itself; what is inside it is watched again."""
    return _EVALUATORS[type(node)](node, env)


@contextmanager
def within(key: str) -> Iterator[None]:
    try:
        yield
    except Fault as fault:
        fault.field = f"{key}.{fault.field}" if fault.field else key
        raise


def _path(node: p.Path, env: Env) -> Any:
    expr = jsonpath.parse(node.path, item=True, body=True)
    # Where an answer is read, it stands in the event's place: {status, headers, body}.
    return jsonpath.find(expr, env.event["body"] if expr.root == "body" else env.event, env.item)


def _const(node: p.Const, env: Env) -> Any:
    return node.value


def _ref(node: p.Ref, env: Env) -> Any:
    root, _, rest = node.name.partition(".")
    if root == "key":
        return MISSING if env.key is NO_LOOP else env.key
    if root == "settings":
        return env.settings.get(rest)
    if root == "group":
        held = env.group[int(rest)]
        return Raw(held) if held.__class__ is bytes else held
    if root == "operand":
        held = env.group[int(rest)]
        return values.decode(held) if held.__class__ is bytes else held
    if root in OF_SIGNING:
        return MISSING if env.signing is None else env.signing.get(root, MISSING)
    return env.now if root == "now" else env.meta(rest)


def text_of(value: Any) -> Any:
    """A value as part of a mixed template."""
    if value is MISSING or value is None:
        return MISSING
    found = values.scalar_text(value)
    return values.encode(value).decode() if found is None else found


def _text(node: p.Text, env: Env) -> Any:
    found = [text_of(evaluate(part, env)) for part in node.parts]
    return MISSING if any(part is MISSING for part in found) else "".join(found)


def _filter(node: p.Filter, env: Env) -> Any:
    of = evaluate(node.of, env)
    args = tuple(evaluate(arg, env) for arg in node.args)
    if node.name == "sum" and isinstance(of, list):
        return interpret_numbers.total(of)
    if node.name == "round" and values.is_number(of):
        return interpret_numbers.rounded(of, *args)
    return filters.apply(node.name, of, args)


def _arith(node: p.Arith, env: Env) -> Any:
    return interpret_numbers.arith(node.sign, evaluate(node.left, env), evaluate(node.right, env))


def _object(node: p.Object, env: Env) -> Any:
    found = {}
    for key, entry in node.entries.items():
        with within(key):
            value = evaluate(entry, env)
        if value is not MISSING:
            found[key] = value
    return found if found or not node.entries else MISSING


def _as_object(value: Any) -> dict[str, Any] | None:
    if value is MISSING or value is None or value == []:  # an empty list is PHP's empty object
        return None
    if isinstance(value, dict):
        return value
    raise Fault("wrong_shape", f"expected an object, found {values.typeof(value)}")


def _merge(node: p.Merge, env: Env) -> Any:
    operands = [_as_object(evaluate(operand, env)) for operand in node.of]
    found: dict[str, Any] = {}
    seen = False
    for members in reversed(operands):
        if members is not None:
            seen = True
            found.update({key: value for key, value in members.items() if key not in found})
    for key, entry in node.entries.items():
        with within(key):
            value = evaluate(entry, env)
        if value is MISSING:
            found.pop(key, None)
        else:
            found[key] = value
    return found if found or seen else MISSING


def _omit(node: p.Omit, env: Env) -> Any:
    return MISSING


def _items(node: p.Items, env: Env) -> Any:
    found = [value for value in (evaluate(item, env) for item in node.items) if value is not MISSING]
    return found if found or not node.items else MISSING


def _from(node: p.From, env: Env) -> Any:
    value = checked(node, evaluate(node.of, env), env.now / 1000)
    if value is MISSING and node.default is not None:
        value = evaluate(node.default, env)
    if value is MISSING and node.required:
        raise Fault("required", "a value is required and there is none")
    return value


def _first(node: p.First, env: Env) -> Any:
    for choice in node.of:
        value = evaluate(choice, env)
        if value is not MISSING and value is not None:
            return value
    return MISSING


def _pick(node: p.Pick, env: Env) -> Any:
    members = _as_object(evaluate(node.of, env))
    if members is None:
        return MISSING
    return {key: members[key] for key in _keys(node, env) if key in members} or MISSING


def _drop(node: p.Drop, env: Env) -> Any:
    members = _as_object(evaluate(node.of, env))
    if members is None:
        return MISSING
    dropped = _keys(node, env)
    return {key: value for key, value in members.items() if key not in dropped} or MISSING


def _keys(node: p.Pick | p.Drop, env: Env) -> list[str]:
    """The names that are written, or those that a setting holds: the texts of a list, the keys of a map."""
    if node.keys_of is None:
        return node.keys
    held = env.settings.get(node.keys_of.name)
    return [] if held is MISSING else list(held)


def _each(node: p.Each, env: Env) -> Any:
    of = evaluate(node.of, env)
    if of is MISSING or of is None:
        return MISSING
    if node.single and not isinstance(of, list):
        of = [of]
    found: dict[Any, Any] = {}
    for place, inner in _loop(node, of, env):
        if node.where is not None and not holds(node.where, inner):
            continue
        name = place
        if node.key is not None:
            name = name_of(evaluate(node.key, inner), "the name of an entry")
            if name is MISSING:
                continue
        value = evaluate(node.to, inner)
        if value is not MISSING:
            found[name] = value
    if of and not found:
        return MISSING
    return found if node.key is not None or isinstance(of, dict) else list(found.values())


def _loop(node: p.Each | p.Find, of: Any, env: Env) -> Iterator[tuple[int | str, Env]]:
    """Each item's place and what is reached with it. Raises Fault for what is no list or map of items."""
    if isinstance(of, list):
        return ((index, replace(env, item=item, key=MISSING)) for index, item in enumerate(of))
    if isinstance(of, dict):
        parts = (node.to, node.key) if isinstance(node, p.Each) else (node.to,)
        take_entries(of, [part for part in parts if part is not None], node.where)
        return ((name, replace(env, item=item, key=name)) for name, item in of.items())
    raise Fault("wrong_shape", f"expected a list or an object, found {values.typeof(of)}")


def _find(node: p.Find, env: Env) -> Any:
    of = evaluate(node.of, env)
    if of is MISSING or of is None:
        return MISSING
    for _, inner in _loop(node, of, env):
        if holds(node.where, inner):
            return inner.item if node.to is None else evaluate(node.to, inner)
    return MISSING


def _get(node: p.Get, env: Env) -> Any:
    members = _as_object(evaluate(node.of, env))
    name = name_of(evaluate(node.key, env), "the name of a member")
    return MISSING if members is None or name is MISSING else members.get(name, MISSING)


def _when(node: p.When, env: Env) -> Any:
    if holds(node.test, env):
        return evaluate(node.then, env)
    return MISSING if node.otherwise is None else evaluate(node.otherwise, env)


def _lookup(node: p.Lookup, env: Env) -> Any:
    of = evaluate(node.of, env)
    if isinstance(of, (dict, list)):
        raise Fault("wrong_type", f"expected text, a number or a boolean to look up, found {values.typeof(of)}")
    key = text_of(of)
    table = node.table
    if node.table_of is not None:
        held = env.settings.get(node.table_of.name)
        table = {} if held is MISSING else held
    value = MISSING if key is MISSING else table.get(key, MISSING)
    if value is MISSING and node.otherwise is not None:
        return evaluate(node.otherwise, env)
    return value


class OverEvent(p.Node, frozen=True, kw_only=True, tag="over_event"):
    """`of` evaluated over the event that the group has as its part `index`: for conditions and loops over the event that hold `now`."""

    of: p.Value
    index: int


def _over_event(node: OverEvent, env: Env) -> Any:
    return evaluate(node.of, replace(env, event=values.decode(env.group[node.index])))


def _messages(node: p.Messages, env: Env) -> Any:
    raise AssertionError("the messages are put in by program/request/render.py")


_EVALUATORS: dict[type, Callable[[Any, Env], Any]] = {
    p.Path: _path,
    p.Const: _const,
    p.Ref: _ref,
    p.Text: _text,
    p.Filter: _filter,
    p.Arith: _arith,
    p.Object: _object,
    p.Merge: _merge,
    p.Omit: _omit,
    p.Items: _items,
    p.From: _from,
    p.First: _first,
    p.Pick: _pick,
    p.Drop: _drop,
    p.Each: _each,
    p.Find: _find,
    p.Get: _get,
    p.When: _when,
    p.Lookup: _lookup,
    p.Messages: _messages,
    OverEvent: _over_event,
}


def holds(text: str, env: Env) -> bool:
    """Whether an FQL condition holds over the event (and settings, and the item)."""
    return fql.evaluate(_condition(text), resolver(env))


_condition = functools.lru_cache(maxsize=1024)(fql.read)
"""A plan has few conditions, and a list of an event may have very many items."""


def resolver(env: Env) -> fql.Resolve:
    def resolve(steps: tuple[str | int, ...]) -> Any:
        if steps[0] == "settings":
            held = env.settings.get(".".join(map(str, steps[1:])))
            # To a condition a map is the list of its keys.
            return list(held) if isinstance(held, dict) else held
        if steps[0] == "key" and env.key is not NO_LOOP:
            return fql.walk(env.key, steps[1:])
        if steps[0] == "item":
            return fql.walk(env.item, steps[1:])
        return fql.walk(env.event, steps)

    return resolve
