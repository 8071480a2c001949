"""Connections files: each finding in the file it belongs to, plans that say all that a run needs, and the commands over them."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_compiler import RETYPED

from conftest import CASES, ROOT, table
from running import waypost
from waypost.cli.show import stand_ins
from waypost.compiler.compose.connections import compile_connections
from waypost.compiler.pipeline import compile_text
from waypost.compiler.report.diagnostic import Report
from waypost.compiler.report.render import FORMATS
from waypost.events.results import Filtered, Mapped
from waypost.plan import Feed, Plan, dump, load, place
from waypost.plan import Path as JsonPath
from waypost.program.program import link

FOLDER = CASES / "connections"
TEXT = (FOLDER / "waypost.yaml").read_text(encoding="utf-8")


def compiled(text: str = TEXT) -> tuple[list[Plan], list[Report]]:
    return compile_connections(text, str(FOLDER / "waypost.yaml"))


def places(reports: list[Report]) -> list[str]:
    """Every finding as file:line:column code."""
    found = []
    for report in reports:
        for item in report.diagnostics:
            line, column = report.source.position(item.label.span.start)
            found.append(f"{Path(report.source.path).name}:{line}:{column} {item.code}")
    return found


@pytest.mark.parametrize("case", table("connections"), ids=lambda case: case["name"])
def test_finding_is_told_in_its_file_at_its_place(case: dict[str, Any]) -> None:
    text = TEXT
    if case["edit"]:
        old, new = case["edit"]
        assert text.count(old) == 1
        text = text.replace(old, new)
    plans, reports = compiled(text)
    assert places(reports) == case["found"]
    assert bool(plans) != any(report.failed for report in reports)


def test_label_in_the_other_file_is_shown_with_its_file() -> None:
    """Two actions that take the same events: one of the spec, one that the connection adds."""
    _, reports = compiled(
        TEXT.replace('        mapping: {id: "{{ meta.id }}"}\n', "").replace(
            '        trigger: type = "track" and event != "Debug"\n', ""
        )
    )
    shown = FORMATS["human"](reports)
    assert "waypost.yaml:19:18\n" in shown
    assert "::: " in shown
    assert "shop.yaml:32:14\n" in shown
    (row,) = json.loads(FORMATS["json"](reports))
    assert [Path(item["path"]).name for item in row["related"]] == ["shop.yaml"]
    (run,) = json.loads(FORMATS["sarif"](reports))["runs"]
    (related,) = run["results"][0]["relatedLocations"]
    assert related["physicalLocation"]["artifactLocation"]["uri"].endswith("shop.yaml")


def test_finding_in_the_spec_names_the_connection_that_brings_it() -> None:
    _, reports = compiled(TEXT.replace("{concurrency: 2}", "{batch: {max_bytes: 10kB}}"))
    assert "`shop_eu` lies over it" in FORMATS["human"](reports)


def test_literal_secret_is_not_shown() -> None:
    _, reports = compiled(TEXT.replace("env:SHOP_KEY", "sk-12345").replace("region: eu", "region: eeu"))
    for name, render in FORMATS.items():
        assert "sk-12345" not in render(reports), name
    assert "key: ********" in FORMATS["human"](reports)


def test_what_a_connection_lays_over() -> None:
    plan = compiled()[0][0]
    program = link(plan, {"key": "k", "region": "eu"})
    assert program.owner == "shop_eu"
    event = (
        b'{"type":"track","event":"A","userId":"u","messageId":"m","context":{"ip":"1.2.3.4","os":1},'
        b'"properties":{"card_number":"4","total":2000}}'
    )
    first, second = program.map(event)
    assert isinstance(first, Mapped)
    assert isinstance(second, Mapped)
    assert first.body == b'{"id":"m","context":{"os":1},"event":"A","properties":{"total":2000}}'
    assert (second.action, json.loads(second.body)["id"] != "m") == ("send_big_order", True)
    assert json.loads(second.body)["properties"] == {"total": 2000}
    (debug,) = program.map(event.replace(b'"A"', b'"Debug"').replace(b"2000", b"1"))
    (page,) = program.map(b'{"type":"page","userId":"u","messageId":"m"}')
    assert [item.reason for item in (debug, page) if isinstance(item, Filtered)] == ["no_action", "disabled"]
    assert list(plan.actions) == ["send_track", "send_page", "send_big_order"]
    assert plan.requests["request"].concurrency == 2


def test_same_event_has_another_id_in_another_connection() -> None:
    (eu, us) = compiled()[0]
    spec, _ = compile_text((FOLDER / "shop.yaml").read_text(encoding="utf-8"), "shop.yaml")
    assert spec is not None
    given = {"key": "k", "region": "eu"}
    event = b'{"type":"track","event":"A","userId":"u","messageId":"m","properties":{"total":2000}}'
    again = compiled(TEXT.replace("shop_eu:", "shop_eu2:"))[0][0]
    ids = {json.loads(link(plan, given).map(event)[1].body)["id"] for plan in (eu, again, eu)}  # type: ignore[union-attr]
    assert len(ids) == 2
    assert us.connection is not None
    assert spec.connection is None


def test_plan_says_all_that_a_run_needs() -> None:
    (eu, us) = compiled()[0]
    assert load(dump(eu)) == eu
    assert eu.connection is not None
    assert us.connection is not None
    assert (eu.connection.name, eu.connection.enabled, us.connection.enabled) == ("shop_eu", True, False)
    assert eu.connection.settings == {"key": "env:SHOP_KEY", "region": "eu"}
    assert us.connection.settings == {
        "key": "file:keys/shop us.key",
        "region": "us",
        "account": 7,
        "note": "2026-07-15",
    }
    assert eu.connection.order_by == JsonPath(path="$.userId")
    web = Feed(name="web", http="127.0.0.1:8080", write_keys=["env:WEB_KEY"], emits=["identify", "track"])
    backfill = Feed(name="backfill", files=["events/*.ndjson"], follow=True, start="start")
    assert eu.connection.sources == [web, backfill]
    assert us.connection.sources == [web]


def test_what_comes_from_the_environment_is_not_shown() -> None:
    text = TEXT.replace("account: 7", "account: env:SHOP_ACCOUNT")
    program = link(compiled(text)[0][1], {"key": "k", "region": "us", "account": "424242"})
    wire = program.requests["request"].render((), [b"{}"], 0.0, masked=True)
    assert dict(wire.headers)["x-account"] == "<account>"


def test_source_map_points_into_both_files() -> None:
    plan = compiled()[0][0]
    files = {"waypost.yaml": TEXT, "shop.yaml": (FOLDER / "shop.yaml").read_text(encoding="utf-8")}
    met = set()
    for pointer in plan.source.positions:
        name, line, column = place(plan.source, pointer).rsplit(":", 2)
        met.add(name)
        if ".mapping." in pointer:
            here = files[name].splitlines()[int(line) - 1][int(column) - 1 :]
            assert here.startswith(pointer.rsplit(".", 1)[-1]), pointer
    assert met == set(files)
    assert set(plan.source.inputs) == set(files)


def test_comment_does_not_change_the_digest_of_a_connection() -> None:
    first, second = compiled()[0][0], compiled("# a comment\n" + TEXT)[0][0]
    assert first.digest == second.digest
    assert first.source != second.source


def judge(text: str) -> None:
    """Compiles: every span lies in its file, every format renders, and plans that come out run."""
    plans, reports = compiled(text)
    for report in reports:
        for item in report.diagnostics:
            for label in (item.label, *item.others):
                source = label.source or report.source
                assert 0 <= label.span.start <= label.span.end <= len(source.text)
    for render in FORMATS.values():
        render(reports)
    for plan in plans:
        loaded = load(dump(plan))
        link(loaded, stand_ins(loaded)).map(b'{"type":"track","userId":"u","event":"A"}')


@pytest.mark.parametrize("part", range(4))
def test_file_cut_anywhere(part: int) -> None:
    for end in range(part, len(TEXT), 4 * 5):
        judge(TEXT[:end])


@given(st.integers(0, 10**9))
def test_mutated_file(seed: int) -> None:
    """Lines deleted, doubled, moved; values retyped; characters changed."""
    rng = random.Random(seed)
    lines = TEXT.splitlines()
    for _ in range(rng.randrange(1, 4)):
        at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        kind = rng.randrange(5)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, lines[other])
        elif kind == 2:
            lines[at] = lines[at].replace(
                rng.choice("aeio$:{}[]\"'.,"), rng.choice(["", "x", "$", ":", "{", "'", "é"]), 1
            )
        elif kind == 3:
            lines[at] = f"{lines[at].split(':')[0]}: {rng.choice(RETYPED)}"
        else:
            lines[at], lines[other] = lines[other], lines[at]
    judge("\n".join(lines) + "\n")


# The commands.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_compile_writes_checks_and_removes(folder: Path) -> None:
    plans = folder / "compiled" / "connections"
    status, _, err = waypost("compile", "--check", cwd=folder)
    assert status == 1
    assert "shop_eu.json is missing" in err
    assert waypost("compile", cwd=folder)[0] == 0
    assert sorted(path.name for path in plans.iterdir()) == ["shop_eu.json", "shop_us.json"]
    assert waypost("compile", "--check", cwd=folder)[0] == 0
    assert waypost("compile", "--check", str(folder / "waypost.yaml"), cwd=ROOT)[0] == 0, "the same from another folder"
    file = folder / "waypost.yaml"
    file.write_text(TEXT.replace("shop_us:", "shop_usa:"), encoding="utf-8")
    status, _, err = waypost("compile", "--check", "waypost.yaml", cwd=folder)
    assert status == 1
    for part in ("shop_eu.json is stale", "shop_usa.json is missing", "shop_us.json is left over"):
        assert part in err
    assert "removed" in waypost("compile", cwd=folder)[2]
    assert sorted(path.name for path in plans.iterdir()) == ["shop_eu.json", "shop_usa.json"]


def test_file_with_a_fault_changes_no_plan(folder: Path) -> None:
    waypost("compile", cwd=folder)
    before = {path: path.read_bytes() for path in (folder / "compiled").rglob("*.json")}
    (folder / "waypost.yaml").write_text(TEXT.replace("region: us", "region: uss"), encoding="utf-8")
    status, _, err = waypost("compile", cwd=folder)
    assert status == 1
    assert "error[S105]" in err
    assert before == {path: path.read_bytes() for path in (folder / "compiled").rglob("*.json")}


def test_file_of_another_name_is_known_by_its_words_and_has_its_own_plans(folder: Path) -> None:
    (folder / "waypost.yaml").rename(folder / "staging.yaml")
    assert waypost("compile", "staging.yaml", cwd=folder)[0] == 0
    assert (folder / "compiled" / "connections" / "staging" / "shop_eu.json").is_file()


def test_lint_and_fix(folder: Path) -> None:
    file = folder / "waypost.yaml"
    file.write_text(TEXT.replace("region: us", "region: uss").replace("like: send_track", "like: send_trakc"))
    assert waypost("lint", cwd=folder)[0] == 1
    status, out, err = waypost("lint", "--fix", cwd=folder)
    assert '+    settings: {key: "file:keys/shop us.key", region: us, account: 7' in err
    assert status == 1
    assert "U104" in out
    assert "S105" not in out
    status, out, _ = waypost("lint", "-", cwd=folder, stdin=TEXT.encode())
    assert (status, out) == (0, "1 file checked, no findings\n")


def test_diff_of_a_fix_shows_no_secret(folder: Path) -> None:
    file = folder / "waypost.yaml"
    file.write_text(TEXT.replace("env:SHOP_KEY", "sk-12345").replace("region: eu", "region: eeu"))
    _, out, err = waypost("lint", "--diff", cwd=folder)
    assert "+      region: eu" in err
    assert "sk-12345" not in out + err


def test_connections_are_listed(folder: Path) -> None:
    status, out, _ = waypost("connections", cwd=folder)
    assert status == 0
    assert out.splitlines() == [
        "shop_eu -> shop (enabled)",
        "  from web       http 127.0.0.1:8080  identify, track",
        "  from backfill  files events/*.ndjson  any event",
        '  send_track      web, backfill  type = "track" and event != "Debug"',
        '  send_page       disabled       type = "page"',
        '  send_big_order  web, backfill  type = "track" and properties.total > 1000',
        "",
        "shop_us -> shop (disabled)",
        "  from web  http 127.0.0.1:8080  identify, track",
        '  send_track  web        type = "track"',
        '  send_page   no source  type = "page"',
        '  send_alias  no source  type = "alias"',
    ]
    rows = json.loads(waypost("connections", "--json", cwd=folder)[1])
    assert [row["connection"] for row in rows] == ["shop_eu", "shop_us"]
    assert rows[1]["actions"][0]["reached_by"] == ["web"]


STALE = [
    ("nothing is compiled", lambda folder: shutil.rmtree(folder / "compiled"), "there are no compiled connections in"),
    (
        "the file has changed",
        lambda folder: append(folder / "waypost.yaml"),
        "waypost.yaml is not what it was compiled from",
    ),
    ("the spec has changed", lambda folder: append(folder / "shop.yaml"), "shop.yaml is not what it was compiled from"),
    ("one is gone", lambda folder: (folder / "compiled/connections/shop_us.json").unlink(), "shop_us.json is missing"),
    ("one is renamed", lambda folder: rename(folder), "is not the plan of a connection `other`"),
    ("one is cut", lambda folder: cut(folder), "is not JSON"),
]


def append(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8") + "# more\n", encoding="utf-8")


def rename(folder: Path) -> None:
    (folder / "compiled/connections/shop_us.json").rename(folder / "compiled/connections/other.json")


def cut(folder: Path) -> None:
    path = folder / "compiled/connections/shop_us.json"
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(("name", "change", "part"), STALE, ids=[row[0] for row in STALE])
def test_error_frozen_refuses_what_is_not_fresh(folder: Path, name: str, change: Any, part: str) -> None:
    assert waypost("compile", cwd=folder)[0] == 0
    assert waypost("connections", "--frozen", cwd=folder)[0] == 0
    change(folder)
    status, out, err = waypost("connections", "--frozen", cwd=folder)
    assert (status, out) == (2, "")
    assert part in err
    assert len(err.splitlines()) == 1


def test_frozen_runs_without_the_yaml(folder: Path) -> None:
    assert waypost("compile", cwd=folder)[0] == 0
    for name in ("waypost.yaml", "shop.yaml"):
        (folder / name).unlink()
    assert waypost("connections", "--frozen", cwd=folder)[0] == 0


def test_frozen_loads_no_compiler(folder: Path) -> None:
    waypost("compile", cwd=folder)
    code = (
        "import sys\nfrom pathlib import Path\nfrom waypost.cli.connecting import load_connections\n"
        "print(len(load_connections(Path('waypost.yaml'), True)), [name for name in sys.modules"
        " if name.split('.')[0] in ('ruamel', 'jinja2', 'jsonpath_ng') or name.startswith('waypost.compiler')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder)
    assert done.stdout == "2 []\n"


def test_paths_are_as_seen_from_the_connections_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from waypost.cli.connecting import load_connections

    monkeypatch.chdir(folder.parent)
    plans = load_connections(Path(folder.name) / "waypost.yaml", False)
    eu, us = (plan.connection for plan in plans)
    assert eu is not None
    assert us is not None
    assert us.settings["key"] == f"file:{folder.name}/keys/shop us.key"
    assert eu.settings["key"] == "env:SHOP_KEY"
    assert eu.sources[1].files == [f"{folder.name}/events/*.ndjson"]


def test_example_is_fresh() -> None:
    assert waypost("compile", "--check", "examples/waypost.yaml")[0] == 0
    assert waypost("lint", "--strict", "examples/waypost.yaml")[0] == 0


def test_docs_example_compiles() -> None:
    (text,) = re.findall(
        r"```yaml\n(.*?)```", (ROOT / "docs" / "connections.md").read_text(encoding="utf-8"), re.DOTALL
    )
    plans, reports = compile_connections(text, "waypost.yaml")
    assert places(reports) == []
    assert [plan.connection.name for plan in plans if plan.connection] == ["segment_eu"]


def test_error_a_connections_file_is_no_spec(folder: Path) -> None:
    for words in (
        ("test", "waypost.yaml"),
        ("preview", "waypost.yaml"),
        ("show", "plan", "waypost.yaml"),
        ("diff", "waypost.yaml", "segment"),
    ):
        status, _, err = waypost(*words, cwd=folder)
        assert status == 2
        assert "connections" in err


def test_the_plan_of_a_connection_runs_with_its_own_settings(tmp_path: Path) -> None:
    """`waypost run compiled/connections/NAME.json FILE`: what the connection says is given, `--set` may say otherwise."""
    plan = ROOT / "examples/compiled/connections/segment_eu.json"
    event = tmp_path / "event.ndjson"
    event.write_text('{"type": "identify", "userId": "u1"}\n', encoding="utf-8")
    for words, host in (((), "events.eu1.segmentapis.com"), (("--set", "endpoint=north_america"), "api.segment.io")):
        status, out, err = waypost("run", str(plan), *words, "--dry-run", str(event), SEGMENT_WRITE_KEY="k")
        assert (status, host in out) == (0, True), err
