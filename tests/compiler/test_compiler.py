"""The compiler as a whole: positions, determinism, and any file at all gives findings inside it or a plan that runs."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import CASES, ROOT
from hostile import hostile_events
from waypost.cli.show import stand_ins
from waypost.compiler.pipeline import compile_file, compile_text
from waypost.compiler.read import document
from waypost.compiler.read.document import Scalar
from waypost.compiler.read.source import Source, Span
from waypost.compiler.report.diagnostic import Report
from waypost.compiler.report.render import FORMATS
from waypost.compiler.report.rules import RULES
from waypost.plan import PlanError, dump, load, seal
from waypost.program.program import link

SPEC = (ROOT / "specs" / "segment" / "destination.yaml").read_text(encoding="utf-8")
EVENT = b'{"type":"track","userId":"u","event":"A","context":{"device":{}},"properties":{"a":[{"b":1}]}}'


RETYPED = [
    *(
        "3",
        "true",
        "null",
        "[]",
        "{}",
        "''",
        "[1, {a: b}]",
        "$omit",
        "$",
        "$.x[*]",
        "{$merge: $.a}",
        "2026-01-01",
        "1e999",
        "-0",
    ),
    *(
        "$messages",
        "$message",
        "!x",
        "&a x",
        "*a",
        "{$each: $.a, to: $item}",
        "{$each: $, to: {$each: $item, to: $item.b}}",
    ),
    *(
        "{$from: $.a, type: string}",
        "{$from: $.timestamp, type: unix_us, max_age: 1s}",
        "{$lookup: $.a, in: {x: 1}, else: $.b}",
    ),
    *(
        "{$when: a, then: 1}",
        "{$when: properties.total > 1, then: {$pick: $, keys: [a]}, else: $}",
        "{$first: [$.a, [$.b]]}",
    ),
    *(
        '"{{ event.a | lower }}"',
        '"{{ event.a * 3 }}"',
        "\"{{ event.a | split(',') | join('') }}\"",
        '"a{{ event.b }}{{ meta.id }}"',
    ),
    *(
        "{{ x }}",
        "- a",
        "'{{'",
        "'\u2028'",
        "\U0001f600",
        "identify",
        "{use: message}",
        "500kB",
        "1s",
        "1000/s",
        "retry",
        "x: y: z",
    ),
]


HOSTILE = list(hostile_events(7, 50))


def judge(text: str) -> None:
    """Compiles: every span lies in the file, every format renders, and a plan that comes out maps hostile events."""
    plan, report = compile_text(text, "x.yaml")
    for item in report.diagnostics:
        assert item.code in RULES
        for span in (item.label.span, *(other.span for other in item.others), *([item.fix.span] if item.fix else [])):
            assert 0 <= span.start <= span.end <= len(report.source.text)
    for render in FORMATS.values():
        render([report])
    assert (plan is None) == report.failed or (plan is None and not report.diagnostics)
    if plan is not None:
        loaded = load(dump(plan))
        program = link(loaded, stand_ins(loaded))
        for line in (EVENT, *HOSTILE):
            program.map(line)


@pytest.mark.parametrize("part", range(8))
def test_file_cut_anywhere(part: int) -> None:
    for end in range(part, len(SPEC), 8 * 7):
        judge(SPEC[:end])


@pytest.mark.slow
def test_file_without_any_one_line() -> None:
    """Deletes each line, and each with what is indented below it."""
    lines = SPEC.splitlines()
    for at, line in enumerate(lines):
        judge("\n".join([*lines[:at], *lines[at + 1 :]]))
        indent = len(line) - len(line.lstrip())
        end = at + 1
        while end < len(lines) and len(lines[end]) - len(lines[end].lstrip()) > indent:
            end += 1
        judge("\n".join([*lines[:at], *lines[end:]]))


def nodes_of(text: str) -> list[Span]:
    """Where each key, value, map and list of a text stands."""
    source = Source("x", text)
    root = document.read(source, Report(source))
    assert root is not None
    found = [node.span for node in document.walk(root)]
    found += [name.span for node in document.walk(root) if isinstance(node, document.Map) for name, _ in node.entries]
    return [span for span in found if span.start < span.end]


SPECS = {path.parent.name: path.read_text(encoding="utf-8") for path in (ROOT / "specs").glob("*/destination.yaml")}
SPECS["laying_over"] = (CASES / "laying_over.yaml").read_text(encoding="utf-8")
SPANS = {name: nodes_of(text) for name, text in SPECS.items()}


@pytest.mark.slow
@given(st.sampled_from(sorted(SPECS)), st.integers(0, 10**9))
@settings(max_examples=400)
def test_mutated_nodes(name: str, seed: int) -> None:
    """Nodes deleted, doubled, renamed, retyped, swapped: any key, value, map or list of a shipped spec."""
    rng = random.Random(seed)
    text, spans = SPECS[name], SPANS[name]
    edits: dict[Span, str] = {}
    for _ in range(rng.randrange(1, 4)):
        span, other = rng.choice(spans), rng.choice(spans)
        held = text[span.start : span.end]
        edits[span] = rng.choice(
            [
                "",
                f"{held} {held}",
                f"{held}\n{held}",
                held.swapcase(),
                held[::-1],
                held[: len(held) // 2],
                f"x{held}",
                text[other.start : other.end],
                rng.choice(RETYPED),
                rng.choice(RETYPED),
                json.dumps(held),
                f"{{{held}}}",
                f"[{held}]",
            ]
        )
    reached = len(text) + 1
    for span in sorted(edits, reverse=True):
        if span.end <= reached:
            text = text[: span.start] + edits[span] + text[span.end :]
            reached = span.start
    judge(text)


@pytest.mark.slow
@given(st.integers(0, 10**9))
def test_mutated_lines(seed: int) -> None:
    """Lines deleted, doubled, moved, keys renamed, values retyped."""
    rng = random.Random(seed)
    lines = SPEC.splitlines()
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(lines))
        kind = rng.randrange(7)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, lines[at])
        elif kind == 2:
            lines[at] = lines[at].replace(
                rng.choice("aeio$:{}[]\"'.,"), rng.choice(["", "x", "$", ":", "{", "'", '"', "|", "é", "\t"]), 1
            )
        elif kind == 3:
            head = lines[at].split(":")[0]
            lines[at] = f"{head}: {rng.choice(RETYPED)}"
        elif kind == 4:
            lines[at] = " " * rng.randrange(4) + lines[at]
        elif kind == 5:
            lines[at] = lines[at].lstrip()
        else:
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
    judge("\n".join(lines) + "\n")


@pytest.mark.slow
@given(
    st.integers(0, len(SPEC)), st.text(alphabet="\u2028\x85\ufeff\U0001f600\ud800\x00\x7f\u200b\ré\u0301", max_size=3)
)
def test_odd_characters_anywhere(at: int, odd: str) -> None:
    judge(SPEC[:at] + odd + SPEC[at:])


@given(st.text(max_size=80))
def test_any_text(text: str) -> None:
    judge(text)
    judge("spec: 1\nname: x\nactions:\n  a:\n    trigger: " + text)


def test_deep_nesting_is_a_finding() -> None:
    judge("[" * 3000)
    judge("a: " + "{a: " * 200 + "1" + "}" * 200)
    judge("\n".join(" " * depth + "a:" for depth in range(300)))


scalars = st.text(alphabet="abc $.{}é\"'\\#:|>\n\t", min_size=1, max_size=25)


@given(scalars, st.sampled_from(["double", "single", "literal", "folded", "plain"]))
def test_each_character_of_a_value_is_found_in_the_file(value: str, style: str) -> None:
    """A scalar is written in each style; where it reads back as itself, every character's place holds that character."""
    written = {
        "double": json.dumps(value),
        "single": "'" + value.replace("'", "''") + "'",
        "literal": "|-\n" + "\n".join("  " + line for line in value.split("\n")),
        "folded": ">-\n" + "\n".join("  " + line for line in value.split("\n")),
        "plain": value,
    }[style]
    source = Source("x", f"key: {written}\n")
    report = Report(source)
    root = document.read(source, report)
    if root is None or report.failed or not hasattr(root, "entries") or not root.entries:
        return
    node = root.entries[0][1]
    if not isinstance(node, Scalar) or not node.text:
        return
    for index, character in enumerate(node.text):
        span = node.locate(index, index + 1)
        assert node.span.start <= span.start <= span.end <= len(source.text)
        here = source.text[span.start : span.end]
        if span != node.span and not here.startswith("\\") and not here[:1].isspace():
            assert here[:1] == character


def test_plan_is_deterministic_and_reads_back() -> None:
    first, _ = compile_text(SPEC, "a.yaml")
    second, _ = compile_text(SPEC, "a.yaml")
    assert first is not None
    assert second is not None
    assert dump(first) == dump(second)
    assert load(dump(first)) == first


def test_comment_does_not_change_the_digest() -> None:
    first, _ = compile_text(SPEC, "a.yaml")
    second, _ = compile_text("# a comment\n" + SPEC, "b.yaml")
    assert first is not None
    assert second is not None
    assert first.digest == second.digest
    assert first.source != second.source


def test_error_newer_edited_or_foreign_plans_are_refused() -> None:
    plan, _ = compile_text(SPEC, "a.yaml")
    assert plan is not None
    data = dump(plan)
    for bad, part in (
        (data.replace(b'"waypost_plan": 1', b'"waypost_plan": 2'), "version 2"),
        (data.replace(b"identify", b"identity"), "digest"),
        (b"{}", "not a compiled plan"),
        (b"nonsense", "not JSON"),
        (data[: len(data) // 2], "not JSON"),
        (data.replace(b'"op": "merge"', b'"op": "melt"'), "damaged"),
    ):
        with pytest.raises(PlanError, match=part):
            load(bad)


def test_compiled_plan_is_fresh() -> None:
    path = Path("specs/segment/destination.yaml")
    plan, report = compile_text((ROOT / path).read_text(encoding="utf-8"), path.as_posix())
    assert report.diagnostics == []
    assert plan is not None
    assert dump(plan) == (ROOT / "compiled" / "segment.json").read_bytes()


def test_source_map_points_at_each_field() -> None:
    plan, _ = compile_text(SPEC, "x.yaml")
    assert plan is not None
    lines = SPEC.splitlines()
    for pointer, place in plan.source.positions.items():
        line, column = map(int, place.split(":"))
        key = pointer.rsplit(".", 1)[-1]
        if ".mapping." in pointer:
            assert lines[line - 1][column - 1 :].startswith(key)


def test_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"spec: 1\nname: \xff\n")
    plan, report = compile_file(path)
    assert plan is None
    assert [item.message for item in report.diagnostics] == ["the file is not UTF-8"]


def test_laying_over() -> None:
    """Section 6 of the language: maps join, lists replace, require adds up, $omit removes or stays beside a $merge."""
    text = (CASES / "laying_over.yaml").read_text(encoding="utf-8")
    plan, report = compile_text(text, "laying_over.yaml")
    assert report.diagnostics == []
    assert plan is not None
    program = link(plan, {})
    event = (
        b'{"type":"track","userId":"u","messageId":"m","context":{"ip":"1","direct":true,"groupId":"g",'
        b'"page":{"url":"x","title":"t"}},"properties":{"a":1}}'
    )
    bodies = {item.action: getattr(item, "body", None) for item in program.map(event)}
    assert bodies == {
        "base": b'{"id":"m","user":"u","context":{"ip":"1","groupId":"g","page":{"url":"x","title":"t"}},"tags":["$.x"]}',
        "over": b'{"user":"u","context":{"ip":"1","page":{"url":"x"}},"tags":["u"],"more":1}',
    }
    assert [need.any for need in plan.actions["over"].require] == [[["user"]], [["context"]]]
    assert plan.requests["over"].method == "put"
    assert plan.requests["over"].batch == plan.requests["request"].batch


def test_seal_covers_everything_but_the_source() -> None:
    plan, _ = compile_text(SPEC, "a.yaml")
    assert plan is not None
    import msgspec

    assert seal(msgspec.structs.replace(plan, title="Other")).digest != plan.digest
