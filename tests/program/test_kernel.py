"""The compiled kernel takes what it should, and gives the very bytes that the generated code gives, whatever the bytes of the line."""

from __future__ import annotations

import json
import random
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from test_differential import constants, event_lines, plan_of, plan_with

from bench import inputs
from conftest import CASES, ROOT
from hostile import hostile_events
from waypost import plan as p
from waypost.events.results import Mapped
from waypost.program.kernel import entry as kernel
from waypost.program.program import Program, link
from ways import NOW, Both, all_ways, both, in_one, in_pieces, mapped

pytestmark = pytest.mark.skipif(kernel.machine is None, reason="no kernel in this installation")

ROWS = YAML(typ="safe").load((CASES / "kernel.yaml").read_text(encoding="utf-8"))


def test_the_kernel_is_there_where_a_compiler_is_and_is_of_these_sources() -> None:
    sys.path.insert(0, str(ROOT / "engine"))
    try:
        import hatch_build
    finally:
        sys.path.pop(0)
    assert hatch_build.digest(ROOT / "engine" / "waypost" / "program" / "kernel") == kernel.machine.SOURCE, (
        "run `make` again"
    )


def program_of(value: p.Value, require: list[p.Require] | None = None) -> Both:
    mapping = p.Object(entries={"id": p.Path(path="$.messageId"), "x": value})
    plan = plan_of(mapping, require or [], p.Const(value=""))
    more = {"region": plan.settings["region"], "nothing": p.Setting(type="string", optional=True)}
    return both(p.seal(msgspec.structs.replace(plan, settings=more)), {})


def line_of(part: str, number: int) -> bytes:
    more = "," + part[1:-1] if part != "{}" else ""
    return (f'{{"type":"track","messageId":"m{number}"' + more + "}").encode()


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_what_it_takes_and_what_it_leaves(row: dict[str, Any]) -> None:
    """Mutations that turn this red: in each function of kernel/*.pxd, a test of a kind left out."""
    program, bare = program_of(msgspec.convert(row["value"], p.Value))
    lines = [line_of(part, number) for number, part in enumerate([*row["taken"], *row.get("left", [])])]
    assert program.kernel is not None
    count, encoded, owners, idle, several, rest = program.kernel.map(b"\n".join(lines))
    assert [lines[index] for index, _, _ in rest] == lines[len(row["taken"]) :]
    assert (count, len(owners), idle, several) == (len(lines), len(row["taken"]), [], {})
    assert encoded.count(b"\n") == len(owners)
    assert in_pieces(program, lines) == in_pieces(bare, lines) == in_one(bare, lines)


def test_it_leaves_out_whole_actions_and_says_why() -> None:
    odd = p.Path(path="$.properties..a")
    program, _ = program_of(odd)
    assert program.kernel is None
    plan = plan_of(p.Object(entries={"x": odd}), [], p.Const(value=""), [('type = "page"', p.Object(entries={}))])
    linked = link(plan, {})
    assert linked.kernel is not None
    assert linked.kernel.left_out == {"send": "a path that may match several values, or the whole event"}
    lines = [b'{"type":"track","event":"A"}', b'{"type":"page"}', b'{"type":"other"}']
    *_, idle, _, rest = linked.kernel.map(b"\n".join(lines))
    assert ([index for index, _, _ in rest], idle) == ([0], [2])


def test_several_messages_and_none(shipped: Both) -> None:
    other = p.Object(entries={"y": p.Path(path="$.event")})
    strict = p.Object(entries={"y": p.From(of=p.Path(path="$.userId"), type="string", nulls="omit", required=True)})
    plan = plan_of(
        p.Object(entries={"x": p.Const(value=1)}),
        [],
        p.Const(value=""),
        [('type = "track" and event = "A"', other), ('userId != "n"', strict)],
    )
    program, bare = both(plan, {})
    lines = [
        b'{"type":"track","event":"A","userId":"u"}',
        b'{"type":"track","event":"B","userId":"n"}',
        b'{"type":"track","event":"A"}',
        b'{"type":"page","userId":"n"}',
        b'{"type":"page","userId":"u"}',
        b'{"type":1,"userId":"u"}',
        b'{"userId":"u"}',
    ]
    assert program.kernel is not None
    count, encoded, owners, idle, several, rest = program.kernel.map(b"\n".join(lines))
    assert (count, len(owners), idle, several) == (7, 5, [3], {0: 3})
    assert [index for index, _, _ in rest] == [2, 5, 6]
    assert encoded == b'{"x":1}\n{"y":"A"}\n{"y":"u"}\n{"x":1}\n{"y":"u"}\n'
    assert in_pieces(program, lines) == in_pieces(bare, lines)


def test_what_it_leaves_is_woven_in() -> None:
    """Messages of two ways stand in one piece, in the order of their lines; alone goes only what neither takes.

    Mutations that turn this red: rows of their own for what is left; an index of the lines that are left for one of the chunk's."""
    whole, rare = p.Path(path="$.userId"), p.Object(entries={"x": p.Path(path="$.properties..a")})
    actions = [
        p.Action(trigger='type = "page"', request="request", mapping=p.Object(entries={"u": whole})),
        p.Action(trigger='type = "track" and event = "A"', request="request", mapping=rare),
        p.Action(trigger='type = "track" and userId = "2"', request="request", mapping=p.Object(entries={"t": rare})),
        p.Action(trigger='type = "screen"', request="request", mapping=rare, where="userId != null"),
    ]
    linked = both(plan_with(actions, p.Const(value="")), {})
    kinds = ["page", "track", "screen", "identify", "other"]
    lines = [
        f'{{"type":"{kinds[at % 7 % 5]}","event":"{"AB"[at % 2]}","userId":"{at % 3}","properties":{{"a":\r{at}}}}}'.encode()
        for at in range(200)
    ]
    all_ways(linked, [*lines, b"{", b"7", *lines[:30]])
    program = linked[0]
    assert program.kernel is not None
    block = next(iter(program.map_data(b"\n".join(lines), 7, b"first", NOW)))
    assert block.count == 200
    assert len(block.owners) == block.encoded.count(b"\n") > 100
    assert block.others == {}
    assert len(block.several) > 5


def test_it_takes_almost_every_event_of_the_mix(shipped: Both) -> None:
    lines = [line for line in inputs.events(3000) if inputs.kind_of(line) != inputs.MALFORMED]
    assert shipped[0].kernel is not None
    assert shipped[0].kernel.map(b"\n".join(lines))[5] == []


def test_an_object_keeps_its_white_space_whatever_else_is_read_of_it(shipped: Both) -> None:
    """A page that is null does not fit the type in which generated code reads its members; the context around it is left alone all the same."""
    contexts = [
        '{"page": null , "x":1}',
        '{"page": {"title" : 1.50} , "x":1}',
        '{"page":{} , "device": null}',
        "{ }",
        "null",
    ]
    lines = [b'{"type":"page","userId":"u","messageId":"m","context":%b}' % context.encode() for context in contexts]
    rows = in_pieces(shipped[0], lines)
    assert rows == in_pieces(shipped[1], lines) == in_one(shipped[1], lines)
    assert b'"context":{"page": null , "x":1}' in rows[0][0].body


def same(linked: Both, lines: list[bytes]) -> None:
    """Together and with each line at the very end of the data, where nothing may be read beyond it."""
    program, bare = linked
    rows = mapped(bare, lines)
    assert mapped(program, lines) == rows
    for index, line in enumerate(lines):
        assert mapped(program, [line], [index]) == [rows[index]], line


def test_every_beginning_of_an_event(shipped: Both) -> None:
    rng = random.Random(3)
    for line in rng.sample(list(hostile_events(3, 200)), 12) + inputs.events(6):
        same(shipped, [line[:size] for size in range(1, len(line))])


def mutated(line: bytes, rng: random.Random) -> bytes:
    """A line with one to three small changes: a byte taken out, put in, doubled or changed, a piece moved or repeated."""
    data = bytearray(line)
    for _ in range(rng.randrange(1, 4)):
        if not data:
            break
        at, other = rng.randrange(len(data)), rng.randrange(len(data))
        odd = rng.choice(b'{}[]:,"\\0123456789-+.eEtfnul \t\r/bu\x00\x1f\x7f\x80\xbf\xc2\xed\xa0\xf0\xf4\xff')
        change = rng.randrange(5)
        if change == 0:
            del data[at]
        elif change == 1:
            data.insert(at, odd)
        elif change == 2:
            data[at] = odd
        elif change == 3:
            data[at:at] = data[other : other + rng.randrange(12)]
        else:
            data[at] ^= 1 << rng.randrange(8)
    return bytes(data).replace(b"\n", b" ")


@pytest.mark.parametrize("seed", range(4))
def test_changed_bytes(shipped: Both, seed: int) -> None:
    """Mutations that turn this red: `number` without its look at a leading zero, `beyond_ascii` without that at surrogates."""
    rng = random.Random(seed)
    whole = [*hostile_events(seed, 300), *inputs.events(60, seed=seed)]
    same(shipped, [mutated(rng.choice(whole), rng) for _ in range(2500)])


tokens = st.text(alphabet='{}[]:,"\\0123.-+eEtrufalsn é\x7f\t', max_size=24) | st.recursive(
    st.sampled_from(["0", "-1.5e+3", "null", "true", "false", '"a"', '"\\n"', '"é"', "[ ]", "{ }"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{' , '.join(items)}]")
        | st.lists(inner, max_size=3).map(lambda items: "{" + ",".join(f'"k" :{item}' for item in items) + "}")
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def copies() -> Program:
    return program_of(p.Path(path="$.properties"))[0]


@settings(max_examples=1500)
@given(token=tokens)
def test_what_it_takes_is_json_and_passes_as_it_stands(copies: Program, token: str) -> None:
    line = f'{{"type":"track","messageId":"m","properties":{token}}}'
    assert copies.kernel is not None
    _, encoded, _, _, _, rest = copies.kernel.map(line.encode())
    try:
        json.loads(line)
        valid = True
    except ValueError:
        valid = False
    if not rest:
        assert valid
        assert encoded == f'{{"id":"m","x":{token.strip(chr(32) + chr(9))}}}\n'.encode()
    elif valid:
        # Left although it is JSON: half a surrogate, a member twice, or a member more than once of the event itself.
        assert "\\" in token or line.count('"properties"') > 1 or "," in token


PATHS = [
    "$.userId",
    "$.event",
    "$.traits",
    "$.properties",
    "$.properties.a",
    "$.properties.b",
    "$.context.a.b",
    "$.context.a",
]
paths = st.sampled_from([p.Path(path=path) for path in PATHS])
fit_tests = st.sampled_from(
    [
        *('event = "A"', "userId != null", "properties.a = true or !(traits.a = null)"),
        'context.a.b in ["x", null, false]',
        "length(settings.nobody) = 0 and event in settings.names",
        "!(properties.a in settings.table) or userId in settings.absent",
    ]
)
texts = st.sampled_from(
    [
        p.From(of=p.Path(path=path), type="string", nulls="omit", empty=empty, max_length=length, invalid="omit")
        for path in ("$.event", "$.properties.a", "$.context.a.b")
        for empty in ("keep", "omit")
        for length in (None, 3)
    ]
)
typed = st.builds(
    lambda of, kind: p.From(of=of, type=kind, nulls="omit"),
    paths,
    st.sampled_from(["number", "integer", "boolean", "datetime", "object"]),
)
fit_picks = st.builds(
    lambda path, keys: p.Pick(of=p.Path(path=path), keys=keys),
    st.sampled_from(["$", "$.context", "$.context.a"]),
    st.lists(st.sampled_from(["a", "b", "event", "userId"]), min_size=1, max_size=3, unique=True),
)
fit_drops = st.builds(
    lambda path, keys, held: p.Drop(of=p.Path(path=path), keys=keys if held is None else [], keys_of=held),
    st.sampled_from(["$.properties", "$.context", "$.context.a"]),
    st.lists(st.sampled_from(["a", "b", "direct", "x y"]), max_size=3, unique=True),
    st.none() | st.sampled_from([p.Ref(name=f"settings.{name}") for name in ("table", "nobody", "absent")]),
)
fit_leaves = st.one_of(
    paths,
    texts,
    typed,
    fit_picks,
    fit_drops,
    constants,
    st.sampled_from([p.Ref(name="meta.id"), p.Ref(name="settings.region.api")]),
    st.builds(lambda pick, last: p.Merge(of=[pick, last]), fit_picks, st.sampled_from([p.Path(path="$.properties")])),
)


def fit_trees(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    entries = st.dictionaries(st.sampled_from(["a", "b", "direct", "é"]), inner | st.just(p.Omit()), max_size=3)
    objects = st.sampled_from([p.Path(path=path) for path in ("$.properties", "$.context", "$.context.a")])
    return st.one_of(
        entries.map(lambda found: p.Object(entries=found)),
        st.builds(lambda of, found: p.Merge(of=[of], entries=found), objects, entries),
        st.lists(inner, max_size=3).map(lambda items: p.Items(items=items)),
        st.lists(inner, min_size=1, max_size=3).map(lambda of: p.First(of=of)),
        st.builds(lambda test, then, other: p.When(test=test, then=then, otherwise=other), fit_tests, inner, inner),
        st.builds(lambda of, other: msgspec.structs.replace(of, default=other), texts, inner),
        texts.map(lambda of: msgspec.structs.replace(of, required=True)),
        texts.map(lambda of: msgspec.structs.replace(of, enum=["A", "x", ""])),
        st.builds(lambda of, other: p.Lookup(of=of, table={"A": [1], "true": ""}, otherwise=other), inner, inner),
        st.builds(
            lambda of, other: p.Lookup(of=of, table={}, table_of=p.Ref(name="settings.table"), otherwise=other),
            inner,
            inner,
        ),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: p.Text(parts=[p.Const(value="t-"), *parts])),
        st.builds(lambda name, of: p.Filter(name=name, of=of), st.sampled_from(["lower", "upper", "trim"]), inner),
        st.builds(lambda of, other: p.Filter(name="default", of=of, args=[other]), inner, constants),
    )


fit_mappings = st.dictionaries(
    st.sampled_from(["a", "b", "id", "x.y"]), st.recursive(fit_leaves, fit_trees, max_leaves=6), min_size=1, max_size=3
).map(lambda entries: p.Object(entries=entries))


@settings(max_examples=500)
@given(fit_mappings, st.none() | fit_tests, st.booleans(), st.integers(0, 10**9))
def test_every_way_agrees_on_plans_that_are_for_it(
    mapping: p.Object, more: str | None, needed: bool, seed: int
) -> None:
    """Mutations that turn this red: `_joined` that stops at the first missing part, `_edited` without its look at repeated names."""
    require = [p.Require(any=[[next(iter(mapping.entries))]], test=more)] if needed else []
    others = [(f'type = "track" and ({more})', mapping)] if more else []
    linked = both(p.load(p.dump(plan_of(mapping, require, p.Const(value=""), others))), {})
    assert linked[0].kernel is not None
    assert linked[0].kernel.left_out == {}
    all_ways(linked, event_lines(seed))


def test_depth_and_length(copies: Program) -> None:
    assert copies.kernel is not None
    for depth, taken in ((60, True), (61, False), (5000, False)):
        line = b'{"type":"track","properties":' + b"[" * depth + b"]" * depth + b"}"
        assert (copies.kernel.map(line)[5] == []) is taken
    long = b'{"type":"track","messageId":"m","properties":"' + b"x" * 3_000_000 + b'"}'
    ((row,),) = mapped(copies, [long])
    assert isinstance(row, Mapped)
    assert row.body == b'{"id":"m","x":"' + b"x" * 3_000_000 + b'"}'


def test_what_grows_stays_in_its_room(shipped: Both) -> None:
    """Each of these may write as much as its line and a little more; what wants more is left to generated code. Run by `make sanitize`, too."""
    of = p.Path(path="$.event")
    replace = p.Filter(name="replace", of=of, args=[p.Const(value="a"), p.Const(value="long " * 50)])
    encoded = p.Filter(name="json", of=p.Filter(name="json", of=p.Path(path="$.properties")))
    copies = {f"c{index}": p.Path(path="$.properties") for index in range(20)}
    mapping = p.Object(
        entries={"r": replace, "j": encoded, "b": p.Filter(name="base64", of=of), **copies, "s": replace}
    )
    linked = both(plan_of(mapping, [], p.Const(value="")), {})
    sizes = [*range(1, 12), 60, 300, 3_000, 30_000]
    lines = [b'{"type":"track","event":"%b","properties":{"k":"%b"}}' % (b"a" * n, b"\\" * (2 * n)) for n in sizes]
    same(linked, [*lines, *(b'{"type":"track","event":"%b"}' % (b"a" * n) for n in sizes)])
    assert linked[0].kernel is not None
    assert linked[0].kernel.map(lines[0])[5] == []
    assert linked[0].kernel.map(lines[-1])[5] == [(0, 0, len(lines[-1]))]


def test_only_whole_lines_within_the_data(copies: Program) -> None:
    assert copies.kernel is not None
    data = b'{"type":"page"}\n{"type":"track"}\n\n'
    assert copies.kernel.map(data, 0, 15)[:4] == (1, b"", [], [0])
    assert copies.kernel.map(data, 16, 32)[:2] == (1, b"{}\n")
    assert copies.kernel.map(data)[5] == [(2, 33, 33), (3, 34, 34)]
    for start, stop in ((-1, 5), (5, 3), (0, 99)):
        with pytest.raises(IndexError):
            copies.kernel.map(data, start, stop)
    with pytest.raises(TypeError):
        copies.kernel.map(bytearray(data))  # type: ignore[arg-type]


def test_without_a_kernel_all_is_as_it_was(monkeypatch: pytest.MonkeyPatch, shipped: Both) -> None:
    monkeypatch.setattr(kernel, "machine", None)
    bare = link(shipped[0].plan, {"source_write_key": "k"})
    assert bare.kernel is None
    assert kernel.why_none()
    lines = inputs.events(50)
    assert in_pieces(bare, lines) == in_pieces(shipped[0], lines)


def test_the_kernel_is_switched_off_at_run_time(monkeypatch: pytest.MonkeyPatch, shipped: Both) -> None:
    monkeypatch.setenv(kernel.SWITCH, "off")
    bare = link(shipped[0].plan, {"source_write_key": "k"})
    assert bare.kernel is None
    lines = inputs.events(50)
    assert in_pieces(bare, lines) == in_pieces(shipped[0], lines)
