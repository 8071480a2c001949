"""One language, one meaning: the compiled kernel, generated code with the fast loader, the same with the general loader, and the reference
interpreter agree."""

from __future__ import annotations

import functools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import ROOT
from hostile import Maker, hostile_events
from strict_segment import discard_reason
from waypost import plan as p
from waypost.events.results import Mapped, Rejected
from waypost.plan import load
from waypost.program import interpret_actions
from ways import NOW, Both, all_ways, both, mapped


def test_three_ways_agree_on_hostile_events(shipped: Both) -> None:
    """Mutation that turns this red: `filled_string_of` without its look at empty lists."""
    all_ways(shipped, list(hostile_events(11, 5000)))


@pytest.mark.slow
def test_sixty_thousand_hostile_events_without_a_silent_discard(shipped: Both) -> None:
    """Whatever the program lets pass, the destination takes: by the table of what it answers 200 to and drops."""
    count = 0
    lines = list(hostile_events(5, 60_000))
    limit = 32 * 1024
    for row in mapped(shipped[0], lines):
        for result in row:
            if isinstance(result, Mapped) and len(result.body) <= limit:
                count += 1
                assert discard_reason(json.loads(result.body)) is None, result.body
    assert count > 10_000


names = st.sampled_from(["userId", "event", "properties", "traits", "context"])
inner = st.sampled_from(["a", "b", "direct", "x y", "é", 'q"'])
event_paths = st.one_of(
    names.map(lambda name: f"$.{name}"),
    st.tuples(names, inner).map(lambda pair: f"$.{pair[0]}[{json.dumps(pair[1], ensure_ascii=False)}]"),
    st.sampled_from(
        ["$", "$.properties.a[0]", "$.properties.a[*]", "$.context.a.b", "$.context.a.direct", "$.properties..a"]
    ),
)
path_nodes = event_paths.map(lambda text: p.Path(path=canonical(text)))
constants = st.sampled_from([None, True, 0, 1.5, "", "x", '\n"{{', [1], {"k": None}, []]).map(
    lambda value: p.Const(value=value)
)
tests = st.sampled_from(
    [
        'event = "A"',
        "properties.a > 1",
        'contains(event, "A")',
        "userId != null",
        'properties.a in ["x", 1, true]',
        "length(context) = 0",
        '"x" in properties.a',
        "context.a.b = properties.b",
        'typeof(traits) = "object"',
        "!(properties.b = null)",
        "event in settings.names",
        "properties.a in settings.numbers",
        "!(properties.b in settings.table)",
        "length(settings.nobody) = 0 or userId in settings.names",
        "contains(settings.absent, event)",
        '"x" in settings.table and event in settings.rare',
    ]
)
types = st.sampled_from([None, "string", "number", "integer", "boolean", "object", "array", "datetime", "unix"])


def canonical(text: str) -> str:
    from waypost.lang import jsonpath

    return jsonpath.parse(text).text


CHECKED = p.From(of=p.Path(path="$.event"), type="number", nulls="omit")
"""What rejects most events, where it is asked at all."""


def checks(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda of, type_, nulls, empty, invalid, required, length, default, enum, single, form: p.From(
            of=of,
            type=type_,
            nulls=nulls,
            empty=empty,
            invalid=invalid,
            required=required,
            max_length=length,
            default=default,
            enum=enum,
            single=single,
            format=form,
        ),
        of,
        types,
        st.sampled_from(["keep", "omit", "omit", "empty"]),
        st.sampled_from(["keep", "omit"]),
        st.sampled_from(["error", "omit"]),
        st.booleans(),
        st.sampled_from([None, None, 3]),
        st.sampled_from([None, None, p.Const(value="d"), CHECKED]),
        st.sampled_from([None, None, None, ["A", "x", "é"], [1, True, None]]),
        st.sampled_from([False, False, False, True]),
        st.sampled_from([None, None, None, None, "email", "datetime", "uuid"]),
    )


item_leaves = st.sampled_from(
    [
        p.Path(path="$item"),
        p.Path(path="$item.a"),
        p.Path(path="$item.a[0]"),
        p.Path(path="$item.a[*]"),
        p.Path(path="$item['x y']"),
        p.Path(path="$.event"),
        p.Ref(name="meta.id"),
        p.From(of=p.Path(path="$item"), type="string", nulls="omit"),
        p.From(of=p.Path(path="$item.a"), type="number", nulls="omit", required=True),
        p.From(of=p.Path(path="$item"), type="object", nulls="omit"),
        p.Ref(name="key"),
        p.Filter(name="upper", of=p.Ref(name="key")),
        p.When(test='match(key, "?") and item != null', then=p.Ref(name="key")),
        p.Get(of=p.Path(path="$item"), key=p.Const(value="a")),
        p.Get(of=p.Path(path="$.context"), key=p.Ref(name="key")),
        p.Find(of=p.Path(path="$item"), where='item != null and key != "b"', to=p.Ref(name="key")),
        p.Each(of=p.Path(path="$item.a"), to=p.Ref(name="key"), single=True),
        p.Pick(of=p.Path(path="$item"), keys=["a", "b"]),
        p.Merge(of=[p.Path(path="$item"), p.Path(path="$item.a")], entries={"b": p.Omit()}),
        p.Filter(name="lower", of=p.Path(path="$item.a")),
        p.Text(parts=[p.Const(value="i-"), p.Path(path="$item.a")]),
        p.When(test='item.a = "x" or event = "A"', then=p.Path(path="$item"), otherwise=p.Const(value=None)),
        p.Lookup(of=p.Path(path="$item"), table={"x": 1}),
        p.Each(of=p.Path(path="$item"), to=p.Path(path="$item.a")),
    ]
)
item_values = item_leaves | st.lists(item_leaves, min_size=1, max_size=2).map(
    lambda of: p.Object(entries={f"k{index}": one for index, one in enumerate(of)})
)
item_tests = st.none() | st.sampled_from(
    ['item != "x"', "item.a = null", 'typeof(item) = "object" and event = "A"', "item.direct != null", 'key != "a"']
)
item_names = st.none() | st.sampled_from(
    [
        p.Path(path="$item"),
        p.Path(path="$item.a"),
        p.Ref(name="key"),
        p.Text(parts=[p.Path(path="$item"), p.Ref(name="key")]),
    ]
)
loops = st.just(p.Path(path="$.properties")) | st.just(p.Path(path="$.context.a"))


row_values = st.sampled_from(
    [
        p.Path(path="$item.from"),
        p.Object(entries={"k": p.Path(path="$item.to"), "n": p.Path(path="$item.note"), "e": p.Path(path="$.event")}),
        p.When(test="item.from = event", then=p.Path(path="$item"), otherwise=p.Path(path="$item.to")),
    ]
)
tables = st.sampled_from(["settings.table", "settings.absent"]).map(lambda name: p.Ref(name=name))
names_of = st.sampled_from(
    ["settings.names", "settings.table", "settings.nobody", "settings.absent", "settings.rare"]
).map(lambda name: p.Ref(name=name))


def drops(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.lists(st.sampled_from(["a", "b", "direct", "x y", 'q"', "é"]), max_size=3, unique=True)
    return st.builds(lambda of, keys: p.Drop(of=of, keys=keys), of, keys) | st.builds(
        lambda of, held: p.Drop(of=of, keys=[], keys_of=held), of, names_of
    )


def trees(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    entries = st.dictionaries(
        st.sampled_from(["a", "b", "direct", "k.k", '"); import os; (', "class", "é"]),
        children | st.just(p.Omit()),
        max_size=3,
    )
    one_path = st.sampled_from(["$.context", "$.properties", "$.context.a"])
    return st.one_of(
        entries.map(lambda found: p.Object(entries=found)),
        st.builds(lambda of, found: p.Merge(of=of, entries=found), st.lists(children, min_size=1, max_size=3), entries),
        st.builds(lambda path, found: p.Merge(of=[p.Path(path=path)], entries=found), one_path, entries),
        one_path.flatmap(lambda path: identities(path)),
        st.builds(lambda picks, last: p.Merge(of=[*picks, last]), st.lists(picks, min_size=1, max_size=2), path_nodes),
        st.lists(children, max_size=3).map(lambda items: p.Items(items=items)),
        checks(children),
        st.lists(children, min_size=1, max_size=3).map(lambda of: p.First(of=of)),
        picks,
        drops(children),
        st.builds(
            lambda test, then, other: p.When(test=test, then=then, otherwise=other),
            tests,
            children,
            st.none() | children,
        ),
        st.builds(
            lambda of, to, where, key, single: p.Each(of=of, to=to, where=where, key=key, single=single),
            children | loops,
            item_values | children,
            item_tests,
            item_names,
            st.booleans(),
        ),
        st.builds(
            lambda of, where, to: p.Find(of=of, where=where, to=to),
            children | loops,
            item_tests.filter(bool),
            st.none() | item_values,
        ),
        st.builds(lambda of, key: p.Get(of=of, key=key), children, children),
        st.builds(
            lambda of, other: p.Lookup(of=of, table={"x": 1, "true": "yes", "1.50": None}, otherwise=other),
            children,
            st.none() | constants,
        ),
        st.builds(
            lambda of, other, held: p.Lookup(of=of, table={}, table_of=held, otherwise=other),
            children,
            st.none() | children,
            tables,
        ),
        st.builds(
            lambda of, to: p.Each(of=p.Ref(name=of), to=to),
            st.sampled_from(["settings.rows", "settings.table"]),
            row_values,
        ),
        st.lists(children, min_size=1, max_size=3).map(lambda parts: p.Text(parts=[p.Const(value="t-"), *parts])),
        st.builds(
            lambda name, of: p.Filter(name=name, of=of),
            st.sampled_from(
                ["lower", "upper", "trim", "sha256", "json", "length", "first", "string", "keys", "number", "datetime"]
            ),
            children,
        ),
        st.builds(lambda of, other: p.Filter(name="default", of=of, args=[other]), children, constants),
        st.builds(
            lambda sign, left, right: p.Arith(sign=sign, left=left, right=right),
            st.sampled_from("+-*/"),
            children,
            children,
        ),
    )


def identities(path: str) -> st.SearchStrategy[Any]:
    """Merges of one object whose keys mostly change nothing: what passes as raw bytes."""
    from waypost.lang import jsonpath

    def sometimes(own: p.Path) -> p.When:
        return p.When(test='event = "A"', then=p.Const(value=1), otherwise=own)

    def entry(key: str) -> st.SearchStrategy[Any]:
        own = p.Path(path=jsonpath.parse(f"{path}[{json.dumps(key)}]").text)
        deeper = p.Merge(
            of=[own],
            entries={"direct": p.Omit(), "b": p.From(of=p.Path(path=f"{own.path}.b"), type="string", nulls="omit")},
        )
        return st.sampled_from(
            [
                p.Omit(),
                own,
                p.From(of=own, type="string", nulls="omit"),
                p.From(of=own, type="string", nulls="omit", empty="omit", max_length=3),
                p.From(of=own, type="boolean", nulls="omit"),
                p.From(of=own, type="boolean", nulls="omit", invalid="omit"),
                p.From(of=own, type="string", nulls="keep"),
                p.From(of=own, type="string", nulls="empty", invalid="omit"),
                deeper,
                p.Merge(of=[own], entries={"b": sometimes(p.Path(path=f"{own.path}.b"))}),
                sometimes(own),
            ]
        )

    return st.fixed_dictionaries({}, optional={key: entry(key) for key in ("a", "b", "direct")}).map(
        lambda found: p.Merge(of=[p.Path(path=path)], entries=found)
    )


picks = st.builds(
    lambda path, keys: p.Pick(of=p.Path(path=path), keys=keys),
    st.sampled_from(["$", "$.context", "$.context.a", "$.properties"]),
    st.lists(st.sampled_from(["a", "b", "event", "direct", "userId"]), min_size=1, max_size=3, unique=True),
) | st.builds(
    lambda path, held: p.Pick(of=p.Path(path=path), keys=[], keys_of=held),
    st.sampled_from(["$", "$.context", "$.properties"]),
    names_of,
)
leaves = (
    path_nodes
    | path_nodes
    | constants
    | st.just(p.Ref(name="meta.id"))
    | st.sampled_from(["region.api", "names", "table", "rows", "absent"]).map(
        lambda name: p.Ref(name=f"settings.{name}")
    )
)
values = st.recursive(leaves, trees, max_leaves=8)
mappings = st.dictionaries(
    st.sampled_from(["a", "b", "id", "class", "x.y", '"""']), values, min_size=1, max_size=4
).map(lambda entries: p.Object(entries=entries))
requires = st.lists(
    st.builds(
        lambda paths, test: p.Require(any=paths, test=test),
        st.lists(st.lists(st.sampled_from(["a", "b", "id"]), min_size=1, max_size=2), min_size=1, max_size=2),
        st.none() | tests,
    ),
    max_size=1,
)


TIMES = (
    "2026-11-05T12:34:07.123Z",
    "2026-11-05T12:34:07.123Z",
    "2026-11-05T12:34:07+01:00",
    "2026-11-05 12:34:07Z",
    "2026-11-05T12:34:07.12345678901Z",
    "2026-11-05",
    "2026-02-30T00:00:00Z",
    "9999-12-31T23:59:59-10:00",
    '2026-11-05T12:34:07Z","2026-11-05T12:34:07Z',
    "x\\",
)


def own(name: str) -> st.SearchStrategy[Any]:
    """What a mapping that relays the event's own field may do with it."""
    of = p.Path(path=f"$.{name}")
    text = [
        p.From(of=of, type="string", nulls="omit"),
        p.From(of=of, type="string", nulls="omit", empty="omit"),
        p.From(of=of, type="string", nulls="omit", empty="omit", required=True),
        p.From(of=of, type="string", nulls="omit", empty="omit", max_length=3, invalid="omit"),
        p.From(of=of, type="string", nulls="omit", max_length=3),
        p.From(of=of, type="datetime", nulls="omit"),
    ]
    wide = [of, p.Merge(of=[of]), p.Merge(of=[of], entries={"direct": p.Omit()}), p.Const(value={"c": 1})]
    first = p.First(of=[text[3], p.Ref(name="meta.id")])
    return (
        st.sampled_from([*text, *wide, first, p.From(of=p.Path(path="$.event"), type="string", nulls="omit")]) | values
    )


OWN = ("userId", "event", "messageId", "timestamp", "properties", "context", "a")
relays = st.fixed_dictionaries({}, optional={name: own(name) for name in OWN}).map(
    lambda entries: p.Object(entries={"type": p.Const(value="track"), **entries})
)
others = st.lists(
    st.tuples(
        st.sampled_from(
            ['type = "track"', 'type = "track" and event = "A"', 'type = "page"', 'event != "A"', "userId != null"]
        ),
        mappings | relays,
    ),
    max_size=2,
)


item_mappings = st.dictionaries(
    st.sampled_from(["a", "b", "id", "class"]), item_values | values, min_size=1, max_size=3
).map(lambda entries: p.Object(entries=entries))
gone_over = (
    loops
    | values
    | st.sampled_from(
        [
            p.Path(path="$.properties.a"),
            p.Path(path="$.properties.*"),
            p.Path(path="$"),
            p.Ref(name="settings.rows"),
            p.Ref(name="settings.table"),
            p.Each(of=p.Path(path="$.properties"), to=p.Path(path="$item"), where="item != null"),
            p.From(of=p.Path(path="$.properties.b"), type="array", nulls="omit"),
        ]
    )
)
triggers = st.sampled_from(
    [
        'type = "track"',
        'type = "track"',
        'type = "track" and event = "A"',
        'type = "page"',
        'event != "A"',
        "properties.a != null",
    ]
)
wheres = st.none() | st.sampled_from(
    [
        'event = "A"',
        "properties.a > 1",
        "properties.b in settings.numbers",
        "length(settings.nobody) = 0 or userId != null",
    ]
)
with_items = st.builds(
    lambda trigger, mapping, each, where, require, enabled: p.Action(
        trigger=trigger, request="request", mapping=mapping, each=each, where=where, require=require, enabled=enabled
    ),
    triggers,
    item_mappings | item_mappings | st.sampled_from([p.Path(path="$item"), p.Merge(of=[p.Path(path="$item")])]),
    gone_over,
    wheres | item_tests,
    requires,
    st.sampled_from([True, True, True, False]),
)
without_items = st.builds(
    lambda trigger, mapping, where, require, enabled: p.Action(
        trigger=trigger, request="request", mapping=mapping, where=where, require=require, enabled=enabled
    ),
    triggers,
    mappings | relays,
    wheres,
    requires,
    st.sampled_from([True, True, True, False]),
)


def event_lines(seed: int) -> list[bytes]:
    maker = Maker(seed)
    found = []
    for _ in range(6):
        pairs: list[tuple[str, str]] = []
        maker.maybe(pairs, "type", '"track"', missing=0.05)
        maker.maybe(pairs, "userId", maker.text())
        maker.maybe(pairs, "event", maker.rng.choice(('"A"', maker.text())))
        maker.maybe(pairs, "messageId", '"m"')
        maker.maybe(pairs, "timestamp", maker.rng.choice((*map(json.dumps, TIMES), maker.scalar())))
        for key in ("properties", "traits", "context"):
            nested = maker.object([("direct", maker.any()), ("b", maker.any())])
            members = [
                (name, maker.rng.choice((maker.any(), nested, '"x"', '[1,"x",{"a":1}]')))
                for name in ("a", "b", "direct", "x y", "é", 'q"')
                if maker.rng.random() < 0.4
            ]
            maker.maybe(pairs, key, maker.object(members))
        maker.maybe(pairs, "integrations", maker.integrations(("any", "Any")), missing=0.7)
        found.append(maker.object(pairs).encode())
    return found


NEAR = (None, "null", '""', "1", "true", "1.0", '"1"', "1e0", '"true"', '" 1"', "[1]", '["1"]', "[]", "[null]", "{}")
NEAR += ('{"a":1}', '{ "a" : 1 }', '{"a":true}', '{"a":1,"b":1}', '{"b":1,"a":1}', '[{"a":1}]', '{"a":{"b":1}}')
"""JSON that Python, a url or PHP takes for the same as another; None: the member is not there."""


NEAR_PATHS = ("$.userId", "$.event", "$.properties.a", "$.properties.b", "$.context.a", "$.traits")


def near_lines(seed: int) -> list[bytes]:
    """Events each of which differs from the first in one place, and there by little or nothing: what shares a request, and what must not."""
    rng = Maker(seed).rng
    whole = {"type": '"track"', "userId": '"u"', "event": '"A"', "messageId": '"m"', "traits": '{"a":1}'}
    found = []
    for number in range(12):
        value = rng.choice(NEAR)
        place = rng.choice(NEAR_PATHS) if number else ""
        _, root, *inner = place.split(".") if place else ("", "")
        held = {"properties": {"a": '"x"', "b": "1"}, "context": {"a": '["x"]'}}
        if inner:
            held[root][inner[0]] = value  # type: ignore[assignment]
        pairs = {**whole, **{name: object_text(members) for name, members in held.items()}}
        found.append(object_text(pairs if inner or not root else {**pairs, root: value}).encode())
    return found


def object_text(pairs: dict[str, Any]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in pairs.items() if text is not None) + "}"


def plan_of(
    mapping: p.Value, require: list[p.Require], group: p.Value, more: list[tuple[str, p.Value]] | None = None
) -> p.Plan:
    actions = [p.Action(trigger='type = "track"', request="request", mapping=mapping, require=require)]
    actions += [p.Action(trigger=trigger, request="request", mapping=other) for trigger, other in more or []]
    return plan_with(actions, group)


def plan_with(actions: list[p.Action], group: p.Value) -> p.Plan:
    """A plan of these actions. `group`: what the request's url takes of the event, or of the item."""
    request = p.Request(
        method="post",
        url=p.Text(parts=[p.Const(value="https://example.com/"), group])
        if not isinstance(group, p.Const)
        else p.Const(value="https://example.com/"),
        body=p.Object(entries={"batch": p.Messages(many=True)}),
        batch=p.Batch(max_messages=5),
    )
    region = p.Setting(type="choice", default="eu", choices={"eu": {"api": "https://eu.example.com"}})
    text = p.Setting(type="string")
    row = p.Setting(type="row", fields={"from": text, "to": text, "note": p.Setting(type="string", optional=True)})
    several = {
        "names": p.Setting(type="list", of=text, default=["A", "a", "event", "x y", "direct", "a"]),
        "numbers": p.Setting(type="list", of=p.Setting(type="number"), default=[1, 1.5, -7]),
        "nobody": p.Setting(type="list", of=text, default=[]),
        "rare": p.Setting(type="list", of=text, default=[f"r{index}" for index in range(200)] + ["A", 'q"', "b"]),
        "absent": p.Setting(type="map", value=text, optional=True),
        "table": p.Setting(
            type="map", value=text, default={"A": "one", "x": "two", "true": "yes", "1.50": "n", "é": "e"}
        ),
        "rows": p.Setting(
            type="list", of=row, default=[{"from": "A", "to": "b"}, {"from": "a", "to": "é", "note": "n"}]
        ),
    }
    return p.seal(
        p.Plan(
            name="any",
            integrations=["any", "Any"],
            requests={"request": request},
            actions={f"more_{index - 1}" if index else "send": action for index, action in enumerate(actions)},
            settings={"region": region, **several},
        )
    )


groups = st.sampled_from([p.Const(value=""), p.Path(path="$.userId")])


item_groups = st.sampled_from(
    [
        p.Const(value=""),
        p.Path(path="$.userId"),
        p.Path(path="$item.a"),
        p.Filter(name="lower", of=p.Path(path="$item")),
        p.Ref(name="meta.id"),
    ]
)
varied_plan = st.builds(
    plan_with, st.lists(with_items | without_items, min_size=1, max_size=3), item_groups
) | st.builds(lambda action, group: plan_with([action], group), with_items, item_groups)
any_plan = st.builds(plan_of, mappings, requires, groups)
relaying_plan = st.builds(plan_of, relays, requires, groups, others)
COUNTS = [250, pytest.param(2500, marks=pytest.mark.slow)]
"""How many plans: a part of them in the fast suite, many more in the whole one."""


def agree_on(plans: st.SearchStrategy[p.Plan], count: int) -> None:
    @settings(max_examples=count)
    @given(plans, st.integers(0, 10**9))
    def agree(plan: p.Plan, seed: int) -> None:
        all_ways(both(p.load(p.dump(plan)), {}), event_lines(seed))

    agree()


@pytest.mark.parametrize("count", COUNTS)
def test_three_ways_agree_on_any_plan(count: int) -> None:
    """Mutation that turns this red: a default's statements before the test whether it is needed."""
    agree_on(any_plan, count)


@pytest.mark.parametrize("count", COUNTS)
def test_three_ways_agree_on_items_conditions_and_disabled_actions(count: int) -> None:
    """Actions with `each`, `where`, `enabled: false`, parts of the item in the request, several of them for one event, rejected and filtered
    results among the messages.

    Mutations that turn this red: an item's place left out of `meta.id`; `settled` in another order; `off` not told; `begun` after the first."""
    agree_on(varied_plan, count)


@pytest.mark.parametrize("count", COUNTS)
def test_three_ways_agree_on_messages_that_are_the_event(count: int) -> None:
    """Mutations that turn this red: `_assign` without its MISSING, `are_plain` without its look at marks, one message's time for another's."""
    agree_on(relaying_plan, count)


NESTS = {
    "each": lambda inner: p.Each(of=p.Path(path="$item"), to=inner, where="item != 7"),
    "each of one": lambda inner: p.Each(of=p.Path(path="$item"), to=inner, single=True),
    "find": lambda inner: p.Find(of=p.Path(path="$item"), where="item != 7", to=inner),
    "when": lambda inner: p.When(test='event = "A"', then=inner, otherwise=p.Path(path="$item")),
    "first": lambda inner: p.First(of=[p.Path(path="$.none"), inner]),
    "merge": lambda inner: p.Merge(of=[p.Path(path="$.context")], entries={"m": inner, "id": p.Ref(name="meta.id")}),
    "object": lambda inner: p.Object(entries={"o": inner, "u": p.Path(path="$.userId")}),
    "default": lambda inner: p.From(of=p.Path(path="$.none"), type="string", nulls="omit", default=inner),
}


@pytest.mark.parametrize("items", [False, True])
@pytest.mark.parametrize("depth", [5, 30, 55])
@pytest.mark.parametrize("name", NESTS)
def test_values_as_deep_as_a_file_may_nest_them(name: str, depth: int, items: bool) -> None:
    """Mutation that turns this red: nothing is written apart, so that Python refuses the generated code."""
    node: p.Value = p.Object(entries={"i": p.Path(path="$item"), "k": p.Ref(name="key"), "e": p.Path(path="$.event")})
    for _ in range(depth):
        node = NESTS[name](node)
    if not items:
        node = p.Each(of=p.Path(path="$.properties.a"), to=node)
    action = p.Action(
        trigger='type = "track"',
        request="request",
        mapping=p.Object(entries={"a": node}),
        each=p.Path(path="$.properties.a") if items else None,
    )
    held = "[" * depth + "1" + "]" * depth
    lines = [f'{{"type":"track","event":"{event}","properties":{{"a":[{held},7,"x"]}}}}'.encode() for event in "AB"]
    all_ways(both(plan_with([action], p.Const(value="")), {}), lines)


def test_a_choice_of_very_many() -> None:
    many: list[p.Value] = [p.Path(path=f"$.properties.p{index}") for index in range(300)]
    plan = plan_with(
        [p.Action(trigger='type = "track"', request="request", mapping=p.First(of=many))], p.Const(value="")
    )
    lines = [
        b'{"type":"track","properties":{"p%d":%d}}' % (index, index) for index in (0, 1, 15, 16, 17, 150, 299, 300)
    ]
    all_ways(both(plan, {}), lines)


def test_a_line_of_two_values_before_one_that_the_decoder_refuses(shipped: Both) -> None:
    """The decoder counts values: the place that it names may lie behind the last line. Mutation that turns this red: `bad` is not bounded."""
    good = b'{"type":"track","userId":"u","event":"A","messageId":"m"}'
    wrong = b'{"type":"track","userId":"u","event":"A","timestamp":12345678901234567890123}'
    for lines in (
        [good + b" " + good, wrong],
        [good, good + good + good, wrong, good],
        [good + good, good, wrong, wrong],
    ):
        all_ways(shipped, lines)


def test_lines_that_share_or_span_values_are_not_mixed_up(shipped: Both) -> None:
    """`decode_lines` would count these right: two values on one line, one value on two, blank lines."""
    good = b'{"type":"track","userId":"u","event":"A","messageId":"m%d"}'
    lines = [
        good % 1,
        good % 2 + good % 3,
        b'{"type":"track","userId":"u"',
        b',"event":"A"}',
        good % 4,
        b"{}",
        good % 5 + b" ",
        b" " + good % 6,
        b"[]",
        b'{"a":"}',
        b'{"b":"{',
    ]
    results = all_ways(shipped, lines)
    ids = [json.loads(item.body)["messageId"] for row in results for item in row if isinstance(item, Mapped)]
    assert ids == ["m1", "m4", "m5", "m6"]


def test_depth(shipped: Both) -> None:
    """256 levels pass; far more may be rejected, and never crash."""
    deep = b'{"type":"track","userId":"u","event":"A","properties":{"a":' + b"[" * 250 + b"]" * 250 + b"}}"
    deeper = deep.replace(b"[" * 250, b"[" * 100_000).replace(b"]" * 250, b"]" * 100_000)
    rows = all_ways(shipped, [deep, deeper])
    assert isinstance(rows[0][0], Mapped)
    assert rows[1][0].reason == "too_deep"


HALVES = st.lists(
    st.sampled_from(["a", "\\ud83d", "\\uDE00", "\\ud83d\\ude00", "\\\\", "\\\\ud83d", "\\n", "é"]), max_size=6
).map("".join)


@settings(max_examples=300)
@given(st.lists(HALVES, min_size=5, max_size=5))
def test_half_a_surrogate_is_repaired_in_every_way(shipped: Both, texts: list[str]) -> None:
    """Mutation that turns this red: `repaired` left out of the loader or the reference interpreter."""
    user, event, key, value, more = texts
    line = f'{{"type":"track","userId":"u{user}","event":"e{event}","properties":{{"{key}":["{value}"]}},"x":"{more}"}}'
    [[found]] = all_ways(shipped, [line.encode()])
    assert isinstance(found, Mapped)
    whole = json.loads(line)
    fixed = json.loads(json.dumps(whole).encode().decode("ascii"))
    sent = json.loads(found.body)
    repair = lambda text: text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # noqa: E731
    assert (sent["userId"], sent["event"]) == (repair(fixed["userId"]), repair(fixed["event"]))


WORDS = [
    "NaN",
    "-NaN",
    "Infinity",
    "-Infinity",
    "undefined",
    "None",
    "True",
    "nan",
    "NULL",
    "nul",
    "secret",
    "'a'",
    "01",
]


@given(
    st.sampled_from(WORDS),
    st.sampled_from(['{"a":%s}', "[1,%s]", "%s"]),
    st.text("ab é", max_size=5),
    st.sampled_from(["properties", "traits", "userId", "x"]),
)
def test_a_word_that_is_no_json_is_named_in_the_same_words_on_every_way(
    shipped: Both, word: str, form: str, text: str, field: str
) -> None:
    """Mutation that turns this red: the reference's own words."""
    line = f'{{"type":"track","event":{json.dumps(text, ensure_ascii=False)},"{field}":{form % word}}}'.encode()
    [[found]] = all_ways(shipped, [line])
    program = shipped[0]
    [slow] = interpret_actions.map_event(
        program.plan, program.settings, interpret_actions.Origin(line, 0, b"first", "x"), NOW
    )
    assert isinstance(found, Rejected)
    assert isinstance(slow, Rejected)
    assert (found.reason, found.message) == (slow.reason, slow.message)
    at = line.rindex(form.encode().split(b"%s")[0] + word.encode()) + form.index("%s")
    told = word in WORDS[:9]
    assert found.message == f"{word} is no JSON (byte {at})" if told else "is no JSON" not in found.message
    assert "secret" not in found.message


ENVELOPES = [
    (b'{"batch":[]}', True),
    (b'{"batch":[{"type":"track"}],"sentAt":"2026-01-01T00:00:00Z","context":{"a":1}}', True),
    (b'{ "sentAt":1, "batch" : [ {"type":"track","event":"x"} ] }', True),
    (b'{"type":null,"batch":[1]}', True),
    (b'{"batch":{"a":1}}', False),
    (b'{"batch":"[]"}', False),
    (b'{"type":"other","batch":[1]}', False),
    (b'{"properties":{"batch":[1]}}', False),
    (b'{"x":"\\"batch\\":[1]"}', False),
]


@functools.cache
def tracking_alone(trigger: str) -> Both:
    """The shipped plan with one of its actions, and that with another trigger."""
    plan = load((ROOT / "compiled" / "segment.json").read_bytes())
    name = next(name for name, action in plan.actions.items() if action.trigger == 'type = "track"')
    actions = {name: msgspec.structs.replace(plan.actions[name], trigger=trigger)}
    return both(msgspec.structs.replace(plan, actions=actions), {"source_write_key": "k"})


@given(st.lists(st.sampled_from([*ENVELOPES, (b'{"type":"other"}', False)]), min_size=1, max_size=8))
def test_a_batch_in_a_line_is_rejected_on_every_way(rows: list[tuple[bytes, bool]]) -> None:
    """Neither a plan whose action names its type, nor one that looks at all events, passes it over.

    Mutation that turns this red: `is_envelope` left out of one way (the kernel and the generated loop leave what has no type to the others)."""
    for trigger in ('type = "track"', 'type = "track" or event = "never"', 'event = "never"'):
        linked = tracking_alone(trigger)
        for given_rows in (rows, rows[::-1]):
            found = all_ways(linked, [line for line, _ in given_rows])
            reasons = ["batch_envelope" if batch else "no_action" for _, batch in given_rows]
            assert [[one.reason for one in row] for row in found] == [[reason] for reason in reasons]
