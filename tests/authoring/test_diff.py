"""What changes between two plans: a table of pairs, properties of any plan, revisions of a repository, and the command as a person meets it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import test_differential as random_plans
from hypothesis import given, settings
from hypothesis import strategies as st
from test_docs import filled, rows

from conftest import CASES, ROOT
from running import waypost
from waypost import plan as p
from waypost.authoring.diff import conditions, shapes
from waypost.authoring.diff.change import BREAKING, KINDS, TOLD, Change
from waypost.authoring.diff.compare import compare
from waypost.authoring.diff.render import FORMATS, Comparison
from waypost.authoring.diff.sample import Sample, Summary
from waypost.cli.show import stand_ins
from waypost.compiler.pipeline import compile_text
from waypost.events.lines import Cutter, lines_of
from waypost.lang import fql
from waypost.program.program import link
from ways import NOW

FOLDER = CASES / "diff"
PAIRS = sorted(FOLDER.iterdir())
SEGMENT = "specs/segment/destination.yaml"


def plan_of(path: Path) -> p.Plan:
    plan, report = compile_text(path.read_text(encoding="utf-8"), path.name)
    assert plan is not None, [item.message for item in report.diagnostics]
    return plan


def sampled(old: p.Plan, new: p.Plan, changes: list[Change], data: bytes, examples: int = 3) -> Summary:
    cutter = Cutter()
    lines = lines_of([*cutter.feed(data), *cutter.finish()])
    sample = Sample(link(old, stand_ins(old)), link(new, stand_ins(new)), changes, examples, NOW)
    sample.take(lines, data.split(b"\n")[0])
    return sample.summary


def compared(folder: Path) -> Comparison:
    old, new = plan_of(folder / "old.yaml"), plan_of(folder / "new.yaml")
    changes = compare(old, new)
    events = folder / "events.ndjson"
    summary = sampled(old, new, changes, events.read_bytes()) if events.is_file() else None
    return Comparison(
        name=new.name,
        old="old.yaml",
        new="new.yaml",
        changes=changes,
        events=events.name if summary else "",
        sample=summary,
    )


@pytest.mark.parametrize("folder", PAIRS, ids=lambda path: path.name)
def test_pair(folder: Path, golden: Callable[[Path, str], None]) -> None:
    golden(folder / "expected.txt", FORMATS["human"](compared(folder)))


def test_sample_as_markdown(golden: Callable[[Path, str], None]) -> None:
    golden(FOLDER / "sample" / "expected.md", FORMATS["markdown"](compared(FOLDER / "sample")))


def test_json_says_the_same() -> None:
    found = compared(FOLDER / "sample")
    whole = json.loads(FORMATS["json"](found))
    assert whole["breaking"] == found.breaking()
    assert [row["kind"] for row in whole["changes"]] == [change.kind for change in found.changes]
    assert whole["sample"]["actions"]["send_page"]["vanish"] == 1


def test_every_kind_has_a_case() -> None:
    seen = {change.kind for folder in PAIRS for change in compared(folder).changes}
    # Connections have plans of their own; an action is switched on where it is switched off from the other side.
    assert set(KINDS) - seen == {"connection_changed", "action_enabled"}
    back = compare(plan_of(FOLDER / "actions" / "new.yaml"), plan_of(FOLDER / "actions" / "old.yaml"))
    assert "action_enabled" in {change.kind for change in back}


def test_kinds_page(golden: Callable[[Path, str], None]) -> None:
    lines = [f"| breaking | `{kind}` | {why} |" for kind, why in BREAKING.items()]
    lines += [f"| told | `{kind}` | {why} |" for kind, why in TOLD.items()]
    path = ROOT / "docs" / "diff.md"
    golden(path, filled(path, "kinds", rows("| | kind | when |", lines)))


def test_connections_are_compared() -> None:
    plan = plan_of(FOLDER / "ids" / "old.yaml")
    old = msgspec.structs.replace(plan, connection=p.Connection(name="a"))
    new = msgspec.structs.replace(plan, connection=p.Connection(name="a", order_by=p.Path(path="$.userId")))
    assert [(change.kind, change.new) for change in compare(old, new)] == [("connection_changed", "$.userId")]
    assert compare(plan, old)[0].kind == "destination_renamed"


# Conditions.


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        (None, 'event = "A"', "narrower"),
        ('event = "A"', None, "wider"),
        ('event = "A" or event = "B"', 'event in ["B", "A"]', "same"),
        ("properties.a >= 1", "properties.a > 0.5", "wider"),
        ("properties.a in [1, 2]", "properties.a > 0", "wider"),
        ("properties.a > 0", "properties.a in [1, 2]", "narrower"),
        ("properties.a = 1", 'properties.a = "1"', "unclear"),
        ("properties.a > 1", "1 < properties.a", "same"),
        ("!(properties.a > 1)", "properties.a <= 1", "narrower"),
        ("contains(event, 'a')", "contains(event, 'a') and length(event) > 3", "narrower"),
        ("contains(event, 'a')", "contains(event, 'ab')", "unclear"),
        ("properties.a = properties.b", "!(properties.a != properties.b)", "same"),
        ('"x" in properties.a', '"x" in properties.a or userId != null', "wider"),
    ],
)
def test_relation(old: str | None, new: str | None, wanted: str) -> None:
    assert conditions.relation(old, new) == wanted


tests = st.recursive(
    random_plans.tests,
    lambda inner: (
        st.builds(lambda a, b: f"({a}) and ({b})", inner, inner)
        | st.builds(lambda a, b: f"({a}) or ({b})", inner, inner)
        | inner.map(lambda a: f"!({a})")
    ),
    max_leaves=4,
)
atoms = st.sampled_from([None, 0, 1, 1.5, 2, "A", "x", "1", True, ["x"], {}])


@settings(max_examples=300)
@given(tests, tests, st.lists(st.tuples(atoms, atoms, atoms, atoms), min_size=1, max_size=8))
def test_relation_is_never_wrong_about_an_event(old: str, new: str, events: list[Any]) -> None:
    """Mutation that turns this red: a negated comparison without its "or is no number"."""
    found = conditions.relation(old, new)
    for a, b, event, user in events:
        held = {"type": "track", "properties": {"a": a, "b": b}, "event": event, "userId": user, "context": {"a": {}}}
        before, after = (fql.evaluate(fql.read(text), partial(fql.walk, held)) for text in (old, new))
        if before != after:
            assert found in (("narrower", "unclear") if before else ("wider", "unclear"))


# Any plan.


groups = st.sampled_from([p.Const(value=""), p.Path(path="$.userId")])
plans = st.builds(random_plans.plan_of, random_plans.mappings, random_plans.requires, groups)


def bare(plan: p.Plan) -> Any:
    return shapes.normal(msgspec.structs.replace(plan, digest="", source=p.Source(file="", positions={})))


@settings(max_examples=100)
@given(plans)
def test_a_plan_does_not_differ_from_itself(plan: p.Plan) -> None:
    assert compare(plan, p.load(p.dump(plan))) == []


@settings(max_examples=150)
@given(plans, plans, st.integers(0, 10**9))
def test_any_two_plans_can_be_compared(old: p.Plan, new: p.Plan, seed: int) -> None:
    """Nothing raises; no change is silent; where nothing changed, no message does."""
    changes = compare(old, new)
    if not changes:
        assert bare(old) == bare(new)
    summary = sampled(old, new, changes, b"\n".join(random_plans.event_lines(seed)))
    counts = summary.actions["send"]
    assert counts.old == counts.same + counts.differ + counts.vanish
    assert counts.new == counts.same + counts.differ + counts.appear
    if not changes:
        assert counts.same == counts.old == counts.new
    found = Comparison(name="any", old="a", new="b", changes=changes, events="x", sample=summary)
    for show in FORMATS.values():
        assert show(found).endswith("\n")
    for row in FORMATS["markdown"](found).splitlines():
        assert not row.startswith("| ") or len(row.replace("\\|", "").split(" | ")) in (1, 4, 5, 8)


def test_examples_are_bounded_and_ids_are_kept() -> None:
    """A thousand events without messageId: three examples, and meta.id is the same on both sides."""
    old, new = (plan_of(FOLDER / "sample" / f"{side}.yaml") for side in ("old", "new"))
    data = b"".join(b'{"type":"track","event":"X%d","userId":"u"}\n' % number for number in range(1000))
    summary = sampled(old, new, compare(old, new), data)
    counts = summary.actions["send_track"]
    assert (counts.old, counts.differ, counts.requests) == (1000, 1000, 1000)
    assert len(summary.examples) == 6
    assert {row.field for example in summary.examples for row in example.fields} == {"event", "request.url"}


# The command.


def test_a_changed_mapping_names_the_field_both_sources_and_the_count(tmp_path: Path) -> None:
    """The issue's own words: the field, the old and new source and the count over examples/events.ndjson."""
    text = (ROOT / SEGMENT).read_text(encoding="utf-8")
    line = text[: text.index("event: {$from: $.event,")].count("\n") + 1
    new = tmp_path / "new.yaml"
    new.write_text(text.replace("event: {$from: $.event,", "event: {$from: $.name,"), encoding="utf-8")
    status, out, _ = waypost("diff", "specs/segment", str(new), "--events", "examples/events.ndjson")
    assert status == 0
    assert "breaking  send_track event: is required of another source; comes from elsewhere (check_tighter)" in out
    at = f"specs/segment/destination.yaml:{line}:7"
    assert f"- {{$from: $.event, type: string, empty: omit, required: true}}  {at}" in out
    assert f"+ {{$from: $.name, type: string, empty: omit, required: true}}  {new}:{line}:7" in out
    assert "95 of 95 messages" in out
    assert "sent -> rejected: required: 95" in out


@pytest.mark.parametrize(
    ("change", "fail_on", "wanted"),
    [
        ("title: Segment", "any", 0),
        ("title: Other", "breaking", 0),
        ("title: Other", "any", 1),
        ('title: Segment\nx-note: ""', "any", 0),
    ],
)
def test_fail_on(tmp_path: Path, change: str, fail_on: str, wanted: int) -> None:
    new = tmp_path / "new.yaml"
    new.write_text((ROOT / SEGMENT).read_text(encoding="utf-8").replace("title: Segment", change, 1), encoding="utf-8")
    if "x-note" in change:
        new.write_text("# a comment\n" + (ROOT / SEGMENT).read_text(encoding="utf-8"), encoding="utf-8")
    assert waypost("diff", "segment", str(new), "--fail-on", fail_on)[0] == wanted


WRONG = [
    (("nope", "segment"), "no spec, plan or shipped destination `nope`"),
    (("segmet", "segment"), "did you mean `segment`?"),
    (("segment", "docs"), "the folder docs has no destination.yaml"),
    (("segment", "segment", "--events", "nope.ndjson"), "cannot read nope.ndjson"),
    (
        ("segment", "segment", "--events", "examples/events.ndjson", "--set", "endpont=europe"),
        "there is no setting `endpont` on either side",
    ),
    (("segment", "segment", "--set", "endpoint=europe"), "--set serves --events"),
    (("no-such-rev..HEAD", "segment"), "`no-such-rev` in `no-such-rev..HEAD` is no git revision"),
    (("no-such-rev:x", "segment"), "`no-such-rev` in `no-such-rev:x` is no git revision"),
]


@pytest.mark.parametrize(
    ("words", "part"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_error_is_one_clear_line_and_status_2(words: tuple[str, ...], part: str) -> None:
    status, _, err = waypost("diff", *words)
    assert (status, err.count("\n")) == (2, 1)
    assert part in err


# Revisions.


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits: total is text, then a number; a working tree in which it is gone."""
    folder = tmp_path / "specs" / "shop"
    folder.mkdir(parents=True)
    spec = folder / "destination.yaml"
    text = (CASES / "good.yaml").read_text(encoding="utf-8")

    def git(*words: str) -> None:
        env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        who = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, env=env)

    git("init", "-q", "-b", "main")
    for kind in ("string", "number"):
        spec.write_text(f"{text}      total: {{$from: $.properties.total, type: {kind}}}\n", encoding="utf-8")
        git("add", ".")
        git("commit", "-q", "-m", kind)
    spec.write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "folder", "parts"),
    [
        (("HEAD", "specs/shop"), ".", ("total: is gone (field_removed)", "HEAD:specs/shop/destination.yaml:20:7")),
        (("HEAD", "specs/shop/destination.yaml"), ".", ("field_removed",)),
        (("HEAD~1", "destination.yaml"), "specs/shop", ("field_removed", "HEAD~1:destination.yaml:20:7")),
        (("HEAD~1..HEAD", "specs/shop"), ".", ("string becomes number (type_changed)",)),
        (("HEAD~1...main", "specs/shop"), ".", ("type_changed",)),
        (("main~1..", "specs/shop"), ".", ("type_changed",)),
        (("HEAD~1:specs/shop", "HEAD:specs/shop/destination.yaml"), "specs", ("type_changed",)),
        (("specs/shop", "HEAD"), ".", ("total: is new (field_added)",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_revisions(repository: Path, words: tuple[str, ...], folder: str, parts: tuple[str, ...]) -> None:
    status, out, err = waypost("diff", *words, cwd=repository / folder)
    assert (status, err) == (0, "")
    for part in parts:
        assert part in out


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("HEAD", "main"), "are revisions, but of which spec?"),
        (("HEAD~9", "specs/shop"), "nor is `HEAD~9` a git revision"),
        (("HEAD:specs/shoe", "specs/shop"), "there is no specs/shoe in the revision `HEAD`"),
        (("HEAD..main", "specs/shoe"), "there is no specs/shoe in the revision `main`"),
        (("HEAD", str(ROOT / SEGMENT)), "is not in this git repository"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_error_of_a_revision_is_one_clear_line(repository: Path, words: tuple[str, ...], part: str) -> None:
    status, _, err = waypost("diff", *words, cwd=repository)
    assert (status, err.count("\n")) == (2, 1)
    assert part in err


def test_error_without_git_is_told(repository: Path) -> None:
    status, _, err = waypost("diff", "HEAD", "specs/shop", cwd=repository, PATH="/nowhere")
    assert status == 2
    assert "(git is not installed)" in err


def test_error_a_revision_that_does_not_compile_shows_its_findings(repository: Path) -> None:
    spec = repository / "specs" / "shop" / "destination.yaml"
    spec.write_text(spec.read_text(encoding="utf-8").replace("id: $.messageId", "id: messageId"), encoding="utf-8")
    status, _, err = waypost("diff", "HEAD", "specs/shop", cwd=repository)
    assert status == 1
    assert "error[M204]" in err
