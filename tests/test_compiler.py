"""The compiler as a whole: positions, determinism, and any file at all gives findings inside it or a plan that runs."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import CASES, ROOT
from waypost.cli.show import stand_ins
from waypost.compiler import document
from waypost.compiler.diagnostic import Report
from waypost.compiler.document import Scalar
from waypost.compiler.pipeline import compile_file, compile_text
from waypost.compiler.render import FORMATS
from waypost.compiler.source import Source
from waypost.plan import PlanError, dump, load, seal
from waypost.runtime.program import link

SPEC = (ROOT / "specs" / "segment" / "destination.yaml").read_text(encoding="utf-8")
EVENT = b'{"type":"track","userId":"u","event":"A","context":{"device":{}},"properties":{"a":[{"b":1}]}}'


RETYPED = [
    *(
        "3",
        "true",
        "null",
        "[]",
        "{}",
        "[1, {a: b}]",
        "$omit",
        "$.x[*]",
        "{$merge: $.a}",
        "2026-01-01",
        "$messages",
        "!x",
    ),
    *(
        "{$each: $.a, to: $item}",
        "{$from: $.a, type: string}",
        "{$when: a, then: 1}",
        '"{{ event.a | lower }}"',
        "{{ x }}",
        "- a",
    ),
]


def judge(text: str) -> None:
    """Compiles: every span lies in the file, every format renders, and a plan that comes out runs."""
    plan, report = compile_text(text, "x.yaml")
    for item in report.diagnostics:
        for label in (item.label, *item.others):
            assert 0 <= label.span.start <= label.span.end <= len(report.source.text)
    for render in FORMATS.values():
        render([report])
    assert (plan is None) == report.failed or (plan is None and not report.diagnostics)
    if plan is not None:
        loaded = load(dump(plan))
        link(loaded, stand_ins(loaded)).map(EVENT)


@pytest.mark.parametrize("part", range(8))
def test_file_cut_anywhere(part: int) -> None:
    for end in range(part, len(SPEC), 8 * 7):
        judge(SPEC[:end])


@given(st.integers(0, 10**9))
def test_mutated_spec(seed: int) -> None:
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
    import json

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
