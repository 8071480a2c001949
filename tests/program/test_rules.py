"""Each rule of the language by itself, over every value that it may meet, on every way: the reference interpreter says it again.

The plans of test_differential.py are of everything, and meet few values that a rule decides.
"""

from __future__ import annotations

import functools
import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_differential import NEAR, plan_of

from waypost import plan as p
from ways import all_ways, both

VALUES = (
    *NEAR,
    *('"A"', '"é€"', '"abc"', '"2026-11-18T00:00:00.000Z"', '"2026-11-18T18:13:20+01:00"', '"2026-11-17"'),
    *("1795000000", "1794999989", "1795000011", "1795000010123", "12345.0", "-0", "0", "false", '"a@b.co"'),
    *('[{"a":"x"},{"a":null},{"b":1},{"a":[1]}]', '[{"a":true},{"a":1.50},{"a":"1.5"}]', '["x",null,true,1.0,[],{}]'),
    *('{"k":null}', '{"k":{"a":1},"n":null}', '{"a":"x","b":{"a":"y"}}', '{"k":{"a":["x"]},"x":{"a":{"a":1}}}'),
    *('[{"a":null},{"a":"y"}]', '{"k":{"a":null},"l":{"a":2}}'),
    *('{"a":["x"],"b":1}', '{"k":["x"],"a":["y"]}', "[[]]", '[null,{"a":""}]', '{"":{"a":"x"}}', '"k"', '"true"'),
)
"""What stands in `properties.a`, as JSON text; None: nothing does."""


def lines(of: str = '{"a":%s,"b":"k"}') -> list[bytes]:
    events = [of % value if value is not None else '{"b":"k"}' for value in VALUES]
    return [b'{"type":"track","userId":"u","event":"A","properties":%s}' % event.encode() for event in events]


LINES = lines()
A, B = p.Path(path="$.properties.a"), p.Path(path="$.properties.b")
STATES = {"nulls": ["keep", "omit", "empty"], "empty": ["keep", "omit"], "invalid": ["error", "omit"]}
CHECKS: dict[str, list[Any]] = {
    "single": [True],
    "type": ["string", "number", "integer", "boolean", "object", "array", "datetime", "unix", "unix_ms"],
    "enum": [["A", 1], [True], ["1", None, 1.5], [[1], {"a": 1}]],
    "format": ["email", "date", "datetime"],
    "pattern": ["[a-z]+", "1?", ".*0Z"],
    "max_length": [0, 1, 2, 3],
    "max_bytes": [0, 1, 3, 5],
    "max_age_s": [10.0, 600_000.0],
    "max_ahead_s": [10.0, 0.0],
    "default": [p.Const(value="d"), B],
    "required": [True],
}
froms = st.fixed_dictionaries(
    {name: st.sampled_from(states) for name, states in STATES.items()},
    optional={name: st.sampled_from(one) for name, one in CHECKS.items()},
).map(lambda held: p.From(of=A, **held))


def agree(mapping: p.Value, given_lines: list[bytes] = LINES, **more: Any) -> list[list[Any]]:
    plan = plan_of(p.Object(entries={"x": mapping, "id": p.Path(path="$.userId")}), [], p.Const(value=""))
    action = msgspec.structs.replace(plan.actions["send"], **more)
    return all_ways(both(p.seal(msgspec.structs.replace(plan, actions={"send": action})), {}), given_lines)


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_what_from_checks_and_in_which_order(count: int) -> None:
    """Mutations of lang/checks.py that turn this red: `{}` is not empty; `nulls: omit` gives ""; `single: wrap` leaves objects; what is invalid
    becomes null; `enum` by `==`; no type; a limit that is one short; age and future exchanged."""

    @settings(max_examples=count)
    @given(st.lists(froms, min_size=4, max_size=4))
    def same(nodes: list[p.From]) -> None:
        for node in nodes:
            agree(node)

    same()


def test_each_check_alone() -> None:
    """The same mutations turn this red."""
    for name, held in CHECKS.items():
        for one in held:
            for states in (("keep", "keep", "error"), ("omit", "omit", "error"), ("empty", "keep", "omit")):
                agree(p.From(of=A, **dict(zip(STATES, states, strict=True)), **{name: one}))


ITEM = p.Path(path="$item")
MADE: list[p.Value] = [
    ITEM,
    p.Path(path="$item.a"),
    p.Path(path="$item.a[*]"),
    p.Path(path="$item[0]"),
    p.Path(path='$item["a"].a'),
    p.Ref(name="key"),
    p.Object(entries={"k": p.Ref(name="key"), "a": p.Path(path="$item.a")}),
    p.When(test='item.a = "x"', then=ITEM, otherwise=p.Const(value=None)),
    p.When(test='key = "k"', then=p.Path(path="$item.a")),
    p.Each(of=ITEM, to=p.Path(path="$item.a")),
    p.Each(of=p.Path(path="$item.a"), to=p.Ref(name="key"), single=True),
    p.Find(of=ITEM, where='item.a = "x"', to=p.Ref(name="key")),
    p.Get(of=ITEM, key=p.Const(value="a")),
]
WHERE = [None, "item != null", "item.a != null", 'item[0] = "x"', 'key != "k"', 'event = "A"']
NAMES: list[p.Value | None] = [None, ITEM, p.Path(path="$item.a"), p.Ref(name="key")]
LOOPS: list[p.Value] = [
    *(
        p.Each(of=A, to=to, where=where, key=key, single=single)
        for to, where, key, single in itertools.product(MADE, WHERE, NAMES, (False, True))
    ),
    *(p.Find(of=A, where=where, to=to) for where in WHERE if where is not None for to in (None, *MADE)),
    *(p.Get(of=of, key=key) for of, key in itertools.product((A, p.Path(path="$.properties")), (A, B))),
]


@pytest.mark.parametrize("count", [130, pytest.param(len(LOOPS), marks=pytest.mark.slow)])
def test_what_loops_go_over_and_how_entries_are_called(count: int) -> None:
    """Mutations of lang/each_items.py that turn this red: null is no item; a name that is read makes no map; a condition reads no member; a
    name of null; `True` for `true`."""
    step = max(len(LOOPS) // count, 1)
    for node in LOOPS[::step]:
        agree(node)


@pytest.mark.parametrize("made", MADE[:9], ids=str)
@pytest.mark.parametrize("where", WHERE[:4])
def test_what_an_action_goes_over(made: p.Value, where: str | None) -> None:
    if not p.mentions(made, lambda node: isinstance(node, p.Ref)):
        agree(made, each=A, where=where)


PATHS = [["x"], ["x", "a"], ["x", "k", "a"], ["id", "a"], ["none"]]


@pytest.mark.parametrize("where", [None, "properties.a != null"])
def test_what_require_counts_as_present(where: str | None) -> None:
    """Mutations of program/require.py that turn this red: "" is present; a path goes on through what is no object."""
    for paths in ([one] for one in PATHS):
        agree(A, require=[p.Require(any=paths, test=where)])
    for first, second in itertools.combinations(PATHS, 2):
        agree(A, require=[p.Require(any=[first, second], test=where)])


def test_what_integrations_switch_off() -> None:
    """Mutations of program/integrations.py that turn this red: off loses; whatever is said under a name is on."""
    said = (None, "true", "false", "null", "{}", '{"a":false}', "0", '"false"', "[]")
    held = [
        dict(zip(("All", "any", "Any", "ANY"), one, strict=True))
        for one in itertools.product(said, said, said, said[:3])
    ]
    events = [",".join(f'"{name}":{value}' for name, value in one.items() if value is not None) for one in held]
    whole = [*(f"{{{event}}}" for event in events), *(value for value in VALUES if value is not None)]
    found = agree(A, [b'{"type":"track","userId":"u","integrations":%s}' % one.encode() for one in whole])
    assert {result.reason for [result] in found if hasattr(result, "reason")} == {"integrations"}


@functools.cache
def envelopes() -> list[bytes]:
    held = [f'"type":{value}' for value in VALUES if value is not None] + ['"sentAt":1']
    return [
        f"{{{kind},{batch}}}".encode()
        for kind, value in itertools.product(held, VALUES)
        for batch in [f'"batch":{value}' if value is not None else '"x":"\\"batch\\""']
    ]


def test_what_an_envelope_is() -> None:
    """Mutations of events/not_events.py that turn this red: one that has a type; one whose batch is an object."""
    found = agree(A, envelopes())
    assert {result.reason for [result] in found} == {"batch_envelope", "no_action"}
    assert json.loads(envelopes()[0])
