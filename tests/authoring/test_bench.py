"""`waypost bench`: the fields are the plan's leaves, surgery takes away what it says, and nothing is said of time."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import delivery, growth, inputs, mapping, page, peers, plans, plot
from bench.__main__ import SECTIONS, WORDS
from conftest import ROOT
from running import waypost
from waypost import plan as p
from waypost.authoring.bench import ablation, clock, render, sample
from waypost.authoring.bench.measure import measure, round_trip
from waypost.cli.show import stand_ins
from waypost.compiler.pipeline import compile_text
from waypost.events.results import Filtered, Mapped
from waypost.program.kernel import entry as kernel
from waypost.program.program import link

SPEC = """spec: 1
name: shop
settings:
  api_key: {type: string, secret: true, label: API key}
auth: {bearer: "{{ settings.api_key }}"}
request:
  post: https://api.shop.example/v1/events
  body: {events: $messages}
  batch: {max_messages: 500}
actions:
  send_order:
    trigger: type = "track" and (event = "Order" or event = "Refund")
    mapping:
      type: $.type
      id: "{{ meta.id }}"
      user: {$from: $.userId, type: string, required: true}
      fixed: {$literal: shop}
      order:
        email: "{{ event.properties.email | lower }}"
        deep: {sku: $.properties.sku}
      context:
        $merge: $.context
        ip: $omit
    require:
      - any: [user, order.email]
  send_view:
    trigger: type = "page"
    mapping: {name: $.name}
"""
EVENTS = [
    b'{"type":"track","event":"Order","userId":"u-12","properties":{"email":"A@B.C","sku":"s"},"context":{"ip":"1","x":2}}',
    b'{"type":"track","event":"Refund","userId":4,"properties":{},"context":null}',
    b'{"type":"track","event":"Other","userId":"u-13"}',
    b'{"type":"track","event":"Order"}',
    b'{"type":"alias"}',
    b'{"type":"track","event":"Ord',
]
FIELDS = [
    ("type", "type: $.type"),
    ("id", "id:"),
    ("user", "user:"),
    ("fixed", "fixed:"),
    ("order.email", "email:"),
    ("order.deep.sku", "deep:"),
    ("context", "context:"),
    ("context.ip", "ip:"),
]
"""Each leaf of send_order, and what its line begins with."""


def line_of(beginning: str) -> int:
    return next(number for number, row in enumerate(SPEC.split("\n"), 1) if row.strip().startswith(beginning))


@pytest.fixture(scope="module")
def plan() -> p.Plan:
    found, report = compile_text(SPEC, "shop.yaml")
    assert found is not None, report.diagnostics
    return found


def bodies(plan: p.Plan) -> list[list[Any]]:
    """What each event becomes: messages as JSON, other results as they are."""
    program = link(plan, stand_ins(plan))
    return [
        [json.loads(result.body) if isinstance(result, Mapped) else result for result in program.map(line)]
        for line in EVENTS
    ]


def test_fields_are_the_leaves_with_their_lines(plan: p.Plan) -> None:
    found = ablation.fields(plan, "send_order")
    assert [(field.name, field.at) for field in found] == [(name, f"shop.yaml:{line_of(row)}") for name, row in FIELDS]


@pytest.mark.parametrize("name", [name for name, _ in FIELDS])
def test_without_a_field_the_rest_is_the_same(plan: p.Plan, name: str) -> None:
    (field,) = (field for field in ablation.fields(plan, "send_order") if field.name == name)
    before, after = bodies(plan)[0][0], bodies(ablation.without(plan, field))[0][0]
    keys = name.split(".")
    expected = json.loads(json.dumps(before))
    inner = expected
    for key in keys[:-1]:
        inner = inner[key]
    if name == "context.ip":
        inner["ip"] = "1"  # no longer left out
    elif name != "type":  # the event's type stays, as a constant
        del inner[keys[-1]]
    if name == "order.deep.sku":
        del expected["order"]["deep"]
    assert after == expected


def test_without_a_field_nothing_requires_it(plan: p.Plan) -> None:
    """Else every event would be rejected, and the rejections be measured."""
    (user,) = (field for field in ablation.fields(plan, "send_order") if field.name == "user")
    assert ablation.without(plan, user).actions["send_order"].require == []
    assert isinstance(bodies(ablation.without(plan, user))[3][0], dict)


def test_an_idle_plan_reads_the_same_and_sends_nothing(plan: p.Plan) -> None:
    found = bodies(ablation.idle(plan))
    assert all(isinstance(result, Filtered) for results in found[:5] for result in results)


def test_the_shipped_plans_can_be_operated_on() -> None:
    for path in sorted((ROOT / "compiled").glob("*.json")):
        whole = p.load(path.read_bytes())
        link(ablation.idle(whole), stand_ins(whole))
        for name in whole.actions:
            only = ablation.alone(whole, name)
            for field in ablation.fields(only, name):
                assert field.at.partition(":")[2].isdigit(), field
                link(ablation.without(only, field), stand_ins(whole))


def test_sample_repeats_with_other_ids_of_the_same_length() -> None:
    lines = sample.lines_of(
        b'\xef\xbb\xbf{"messageId":"abcd-1","userId":"","anonymousId":"\xc3\xa4b"}\r\n\n{"userId": "x\\u0041zz"}\n'
    )
    assert len(lines) == 2
    found = sample.repeated(lines, 5)
    assert len(found) == 6
    assert found[2] == '{"messageId":"0001-1","userId":"","anonymousId":"äb"}'.encode()
    assert found[4] == '{"messageId":"0002-1","userId":"","anonymousId":"äb"}'.encode()
    assert found[3] == b'{"userId": "x\\u0041zz"}'


def test_measure_counts_every_event_once(plan: p.Plan) -> None:
    found = measure(plan, stand_ins(plan), EVENTS, events="these", rounds=3, now=0.0)
    counts = found.counts
    turns = counts.events // len(EVENTS)
    assert counts.events == turns * len(EVENTS) >= 4_000
    assert (counts.mapped, counts.filtered, counts.rejected) == (2 * turns, 2 * turns, 2 * turns)
    assert counts.kernel + counts.express + counts.line + counts.general == counts.events
    # The kernel writes while it maps.
    assert list(found.stages) == (["decode", "triggers", "map"] + ["encode"] * (kernel.machine is None))
    order, view = found.actions
    assert (order.name, order.events) == ("send_order", 2)
    assert [field.name for field in order.fields] == [name for name, _ in FIELDS]
    assert [field.name for field in order.fields if field.cost is None] == ["fixed"]
    assert (view.events, view.us, [field.cost for field in view.fields]) == (0, None, [None])
    shown = render.human(found)
    assert "send_view: makes a message of no event here" in shown
    assert f"shop.yaml:{line_of('email:')}" in shown


def test_what_is_not_heard_is_told_as_less_than_the_noise(plan: p.Plan) -> None:
    found = measure(plan, stand_ins(plan), EVENTS, events="these", rounds=3, now=0.0)
    for action in found.actions:
        for field in action.fields:
            if field.cost is not None and field.heard:
                assert abs(field.cost.middle) > action.noise
                assert field.cost.low > 0 or field.cost.high < 0


def test_sides_take_turns() -> None:
    ran: list[str] = []
    found = clock.interleaved({name: lambda name=name: ran.append(name) for name in "ab"}, 3)  # type: ignore[misc]
    assert "".join(ran) == "ab" + "ab" + "ba" + "ab"
    assert {name: len(times) for name, times in found.items()} == {"a": 3, "b": 3}


def test_spreads() -> None:
    assert clock.spread([3.0, 1.0, 2.0]) == clock.Spread(2.0, 1.0, 3.0)
    assert clock.middle_half([9.0, 1.0, 2.0, 3.0, -8.0]) == clock.Spread(2.0, 1.0, 3.0)
    assert clock.ratios([2.0, 6.0], [1.0, 2.0]) == clock.Spread(2.5, 2.0, 3.0)


def test_without_orjson_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "orjson", None)
    run, name = round_trip()
    assert "orjson is not installed" in name
    assert run([b'{"a":1}', b"{"]) > 0


def test_command_gives_json(tmp_path: Path) -> None:
    spec = tmp_path / "shop.yaml"
    spec.write_text(SPEC, encoding="utf-8")
    status, out, err = waypost("bench", str(spec), "-", "--json", "--rounds", "3", stdin=b"\n".join(EVENTS))
    assert status == 0, err
    found = json.loads(out)
    assert set(found) >= {"name", "machine", "rounds", "counts", "program", "round_trip", "ratio", "stages", "actions"}
    assert found["events"] == "standard input"
    assert set(found["program"]) == {"middle", "low", "high"}
    assert set(found["machine"]) == {"processor", "python", "yardstick"}


WRONG = [
    (("nothing",), b"", 2, "no spec, plan or shipped destination"),
    (("segment", "nope.ndjson"), b"", 2, "cannot read nope.ndjson"),
    (("segment", "-"), b"\n \n", 2, "holds no event"),
    (("segment", "--set", "endpont=europe"), b"", 2, "did you mean `endpoint`"),
    (("segment", "--rounds", "1"), b"", 2, "--rounds"),
]


@pytest.mark.parametrize(("words", "stdin", "wanted", "part"), WRONG)
def test_command_says_no_in_one_line(words: tuple[str, ...], stdin: bytes, wanted: int, part: str) -> None:
    status, _, err = waypost("bench", *words, stdin=stdin)
    assert (status, part in err) == (wanted, True), err


def test_a_broken_spec_is_findings(tmp_path: Path) -> None:
    spec = tmp_path / "shop.yaml"
    spec.write_text(SPEC.replace("$.name", "$.nam e"), encoding="utf-8")
    assert waypost("bench", str(spec))[0] == 1


# What `make bench` is made of (tests/bench); its figures are nobody's test.


def test_inputs_cannot_flatter() -> None:
    lines = inputs.events(4_000)
    assert len(set(lines)) == len(lines)
    kinds = Counter(inputs.kind_of(line) for line in lines)
    assert 0.005 < kinds["malformed"] / len(lines) < 0.02
    assert kinds["alias"] / len(lines) < 0.05
    assert set(kinds) == {"track", "page", "identify", "screen", "group", "alias", "malformed"}
    assert 600 < sum(map(len, lines)) / len(lines) < 900
    assert min(map(len, inputs.tracks(200))) >= 1_100
    for size in (300, 3_000, 30_000):
        mean = sum(map(len, inputs.sized(50, size))) / 50
        assert size <= mean < size * 1.5


def test_hand_written_python_makes_the_same_messages() -> None:
    """The peer is no straw man: over well-formed events it makes what the program makes."""
    program = mapping.shipped(mapping.FIRST)
    for line in inputs.events(600, seed=3):
        if inputs.kind_of(line) in ("malformed", "alias"):
            continue
        (result,) = program.map(line)
        by_hand = peers._hand_mapped(json.loads(line))
        if isinstance(result, Mapped):
            assert by_hand == json.loads(result.body)


@pytest.mark.parametrize("text", [plans.templates(), plans.fields(7, 3), plans.actions(4)])
def test_specs_made_to_measure_compile_and_take_the_express_way(text: str) -> None:
    program = plans.program_of(text)
    line = b'{"type":"track","event":"Event 0","userId":"u","messageId":"m","properties":{"p0":"A","p6":"B"}}'
    (block,) = program.map_data(line)
    assert not block.others
    assert len(block.owners) == 1


def test_page_parts_are_replaced_and_others_stay() -> None:
    text = "a\n<!-- bench: x -->\nold\n<!-- end -->\nb\n<!-- bench: y -->\nkept\n<!-- end -->\n"
    found = page.rewritten(text, {"x": "new \\1"})
    assert found == "a\n<!-- bench: x -->\n\nnew \\1\n\n<!-- end -->\nb\n<!-- bench: y -->\nkept\n<!-- end -->\n"
    assert page.rewritten(found, {"x": "new \\1"}) == found
    with pytest.raises(KeyError):
        page.rewritten(text, {"z": ""})


def test_performance_page_has_a_place_for_each_section() -> None:
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    page.rewritten(text, dict.fromkeys(("machine", *SECTIONS), ""))


def curve(of: str, points: list[tuple[float, float]]) -> growth.Curve:
    return growth.Curve(of, "kB", [growth.Point(at, clock.Spread(us, us * 0.9, us * 1.2)) for at, us in points])


def test_slopes() -> None:
    assert curve("a", [(1, 2), (10, 20), (100, 200)]).slope == pytest.approx(1)
    assert curve("a", [(1, 2), (10, 2), (100, 2)]).slope == pytest.approx(0)
    assert curve("a", [(1, 2), (10, 200), (100, 20_000)]).slope == pytest.approx(2)


def test_plot_is_one_picture_with_a_panel_a_curve() -> None:
    curves = [
        curve("size", [(1, 2), (10, 20)]),
        curve("share", [(0, 2), (50, 3)]),
        growth.Curve("none", "", skipped="no"),
    ]
    root = ElementTree.fromstring(plot.svg(curves))
    spaces = {"s": "http://www.w3.org/2000/svg"}
    titles = [item.text for item in root.findall(".//s:text[@class='title']", spaces)]
    assert titles == ["size", "share"]
    assert len(root.findall(".//s:circle", spaces)) == 4
    assert len(root.findall(".//s:line[@class='linear']", spaces)) == 1
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for dot in root.findall(".//s:circle", spaces):
        assert 0 < float(dot.get("cx", -1)) < width
        assert 0 < float(dot.get("cy", -1)) < height


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_everything_delivered_arrives_at_the_receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_KEY", "k")
    binary = delivery.built(tmp_path)
    assert isinstance(binary, Path)
    with delivery.events_file(tmp_path, 500, inputs.events(200)) as events:
        assert isinstance(events, Path)
        ids = [line.partition(b"ajs-next-")[2][:20] for line in events.read_bytes().splitlines()]
        assert len(set(ids)) == len(ids) == 500
        found = delivery.deliver(binary, events, 500, (*WORDS, str(events)), tmp_path)
        several = delivery.deliver(binary, events, 500, (str(delivery.connections(3, events)),), tmp_path)
    assert found.requests >= 1
    assert several.delivered == 3 * found.delivered
    assert 450 < found.delivered < 500
    assert not events.exists()


@pytest.mark.skipif(kernel.machine is None, reason="no kernel in this installation")
def test_the_field_that_sends_messages_a_slower_way_is_named(plan: p.Plan) -> None:
    """A member that is there twice, which the kernel leaves to generated code where it is wanted."""
    lines = [EVENTS[0].replace(b'"u-12"', b'"u-12","userId":"u-12"'), *[EVENTS[0]] * 99]
    found = measure(plan, stand_ins(plan), lines, events="these", rounds=3, now=0.0)
    assert (found.counts.express + found.counts.line) * 100 == found.counts.events
    slows = {field.name: field.slows for field in found.actions[0].fields if field.slows}
    assert slows == {"user": pytest.approx(0.01, abs=0.005)}
    assert "(1% of the messages take a slower way for it)" in render.human(found)


@pytest.mark.skipif(kernel.machine is None, reason="no kernel in this installation")
def test_an_action_that_is_not_for_the_kernel_is_named_with_its_reason(plan: p.Plan) -> None:
    deep, _ = compile_text(SPEC.replace("$.properties.sku", "$.properties..sku"), "shop.yaml")
    assert deep is not None
    found = measure(deep, stand_ins(deep), EVENTS, events="these", rounds=3, now=0.0)
    assert list(found.stages) == ["decode", "triggers", "map", "encode"]
    assert "not for the kernel: send_order, for a path that may match several values" in render.human(found)
