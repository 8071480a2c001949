"""Pages about destinations: everything a user needs stands there, and no spec can put markup into one."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from msgspec import UNSET
from ruamel.yaml import YAML

from conftest import CASES, ROOT
from running import waypost
from waypost import plan as p
from waypost.authoring.docs import html, markdown
from waypost.authoring.docs.blocks import Heading, Link, Listing, Page, Table
from waypost.authoring.docs.destination import Sample, calls, page
from waypost.authoring.docs.directory import directory
from waypost.cli.docs import samples
from waypost.compiler.compose.connections import compile_connections
from waypost.compiler.pipeline import compile_file, compile_text

SPECS = sorted((ROOT / "specs").glob("*/destination.yaml"))
VOID = {"meta", "img", "br", "link", "input"}


def compiled(path: Path) -> p.Plan:
    plan, _ = compile_file(path)
    assert plan is not None
    return plan


def destination_page(path: Path) -> Page:
    plan = compiled(path)
    told, given = samples(plan, path)
    return page(plan, told, given=given)


class Reader(HTMLParser):
    """Elements and their attributes, with every element closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.parent.name)
def test_committed_page_is_fresh(path: Path, golden: Callable[[Path, str], None]) -> None:
    golden(ROOT / "docs" / "destinations" / f"{path.parent.name}.md", markdown.render(destination_page(path)))


def test_committed_directory_is_fresh(golden: Callable[[Path, str], None]) -> None:
    golden(ROOT / "docs" / "destinations" / "README.md", markdown.render(directory(map(compiled, SPECS), "README")))


def test_every_shipped_spec_says_its_category() -> None:
    assert [path.parent.name for path in SPECS if not compiled(path).category] == []


def test_directory_is_grouped_by_category() -> None:
    """A table each, in the language's order; what says none is among the others, and where none says any there are no heads."""
    plans = [
        bare_plan(name, category)
        for name, category in (("z", "crm"), ("a", "crm"), ("b", "analytics"), ("c", ""), ("d", "other"))
    ]
    blocks = directory(plans, "README").blocks
    heads = [block.text for block in blocks if isinstance(block, Heading)]
    tables = [[row[0][0] for row in block.rows] for block in blocks if isinstance(block, Table)]
    assert heads == ["Analytics", "CRM", "Other"]
    assert [[link.page for link in table if isinstance(link, Link)] for table in tables] == [
        ["b"],
        ["a", "z"],
        ["c", "d"],
    ]
    bare = directory([plans[3]], "README").blocks
    assert [block.name for block in bare if isinstance(block, Table)] == ["Destinations"]
    assert not any(isinstance(block, Heading) for block in bare)


def bare_plan(name: str, category: str) -> p.Plan:
    return p.Plan(name=name, category=category or UNSET, requests={}, actions={})


def test_committed_pages_are_those_of_the_specs() -> None:
    found = {path.stem for path in (ROOT / "docs" / "destinations").iterdir()}
    assert found == {"README", *(path.parent.name for path in SPECS)}


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.parent.name)
def test_a_page_shows_lists_and_maps_and_a_connection_that_compiles(path: Path) -> None:
    plan, held = compiled(path), destination_page(path)
    (file,) = [block.text for block in held.blocks if isinstance(block, Listing) and block.language == "yaml"]
    plans, reports = compile_connections(file, "waypost.yaml")
    assert [(item.code, item.message) for report in reports for item in report.diagnostics] == []
    (connected,) = plans
    text = markdown.render(held)
    for name, setting in plan.settings.items():
        if setting.part is None:
            continue
        assert connected.connection is not None
        assert connected.connection.settings[name]
        assert f"--set {name}=" in text
        assert all(f"`{field}`" in text for field in setting.part.fields)


SEVERAL = """\
spec: 1
name: shop
settings:
  rows:
    type: list
    of: {from: {type: string, description: What it is called here.}, kind: {choices: {a: A, b: B}}, n: {type: integer, default: 3}}
  names: {type: map, key: {label: Event}, value: {type: string, label: Name there}, default: {}}
  levels: {type: map, value: {rank: {type: integer}, hook: {type: url, optional: true}}, optional: true}
  flags: {type: list, of: {type: boolean}, default: [true]}
request: {post: "https://dest.example/in", body: $message}
actions:
  send:
    trigger: type = "track" and event in settings.names and length(settings.flags) = 1
    mapping: {rows: "{{ settings.rows }}", levels: "{{ settings.levels }}"}
"""


def test_the_shape_of_a_list_and_of_a_map(tmp_path: Path) -> None:
    plan, report = compile_text(SEVERAL, "shop.yaml")
    assert plan is not None, report.diagnostics
    text = markdown.render(page(plan, {}, "shop.yaml"))
    for row in (
        "| `rows` | list of rows: `from`, `kind`, `n` | yes |  |",
        "| `names` | map from Event to string (Name there) | default `{}` |  |",
        "| `levels` | map from a text to rows: `rank`, `hook` | no |  |",
        "| `flags` | list of boolean | default `[true]` |  |",
        "| `from` | string | yes | What it is called here. |",
        "| `kind` | one of `a` (A), `b` (B) | yes |  |",
        "| `n` | integer | default `3` |  |",
        "| `hook` | url | no |  |",
    ):
        assert row in text
    (tmp_path / "shop.yaml").write_text(SEVERAL)
    (file,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "waypost.yaml").write_text(file)
    assert waypost("lint", "waypost.yaml", cwd=tmp_path)[0] == 0
    sets = re.findall(r"--set (\w+)=('[^']*'|\S+?)`", text)
    assert [name for name, _ in sets] == ["rows", "names", "levels", "flags"]
    words = [word for name, value in sets for word in ("--set", f"{name}={value.strip(chr(39))}")]
    (tmp_path / "events.ndjson").write_text('{"type":"track","event":"Event"}\n')
    assert waypost("run", "shop.yaml", *words, "--dry-run", "events.ndjson", cwd=tmp_path)[0] == 0


def limits(request: p.Request) -> list[int]:
    """How many messages a request takes; of several lists, each its own."""
    if request.batch is None:
        return []
    most = request.batch.max_messages
    return list(most.values()) if isinstance(most, dict) else [most]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.parent.name)
def test_page_says_what_a_user_needs(path: Path) -> None:
    plan = compiled(path)
    text = "".join(Reader(html.render(destination_page(path))).text)
    for name, setting in plan.settings.items():
        assert name in text
        assert setting.description in text
        assert all(choice in text for choice in setting.choices)
    for action in plan.actions.values():
        assert action.trigger in text
        assert action.description in text
    for request in plan.requests.values():
        for limit in limits(request):
            assert f"{limit:,}" in text


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.parent.name)
def test_page_can_be_heard(path: Path) -> None:
    """One title, headings without a gap, every table with a name and scopes, links that lead to a place on the page."""
    reader = Reader(html.render(destination_page(path)))
    levels = [int(tag[1]) for tag, _ in reader.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all(attrs.get("scope") in ("col", "row") for tag, attrs in reader.elements if tag == "th")
    assert len([tag for tag, _ in reader.elements if tag == "table"]) == len(
        [tag for tag, _ in reader.elements if tag == "caption"]
    )
    ids = [attrs["id"] for _, attrs in reader.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for tag, attrs in reader.elements:
        if tag == "a" and (attrs["href"] or "").startswith("#"):
            assert (attrs["href"] or "")[1:] in ids
    assert ("html", {"lang": "en"}) in reader.elements


HOSTILE = """</table><script>alert(1)</script><img src=x onerror="a()">' | ` | [x](javascript:a) {{ 1 }} &lt;"""


def hostile_plan() -> p.Plan:
    """A spec that says something hostile wherever it may say anything."""
    text = json.dumps(HOSTILE.replace("{{ 1 }}", ""), ensure_ascii=False)
    found, report = compile_text(
        f"""
spec: 1
name: shop
title: {text}
description: {text}
docs: "javascript:alert(1)//</a><script>"
settings:
  key: {{type: string, secret: true, label: {text}, description: {text}}}
  plan: {{choices: {{{text}: {{label: {text}}}}}, default: {text}}}
auth:
  bearer: "{{{{ settings.key }}}}"
check: {{get: "https://example.com/<script>"}}
request:
  post: "https://example.com/<script>?a={{{{ settings.plan }}}}"
  body: {{events: $messages}}
  batch: {{max_messages: 1}}
actions:
  send:
    title: {text}
    description: {text}
    trigger: 'type = "track" and event = "<script> | `"'
    require: [{{any: [id], if: 'name = "<script>"'}}]
    mapping:
      {text}: {{$literal: {text}}}
      id: {{$from: $.messageId, type: string, pattern: "<script>|`|(?s:.*)", default: {text}}}
      x: {{$first: ['$.properties["<script>"]', {{$literal: {text}}}]}}
      y: {{$when: 'properties.a = "<script>"', then: 1, else: {{$literal: {text}}}}}
""",
        "x.yaml",
    )
    assert found is not None, [(item.code, item.message) for item in report.diagnostics]
    return found


def test_no_spec_can_put_html_into_a_page() -> None:
    """Mutation that turns this red: `_inline` without `escape`."""
    plan = hostile_plan()
    samples = {"send": Sample(HOSTILE, HOSTILE, HOSTILE)}
    for held in (page(plan, samples), directory([plan], "index")):
        text = html.render(held)
        reader = Reader(text)
        assert {tag for tag, _ in reader.elements} <= {
            *(
                "html",
                "head",
                "meta",
                "title",
                "style",
                "body",
                "a",
                "header",
                "nav",
                "ul",
                "li",
                "main",
                "h1",
                "h2",
                "h3",
            ),
            *("p", "code", "pre", "div", "table", "caption", "thead", "tbody", "tr", "th", "td"),
        }
        assert not any(name.startswith("on") for _, attrs in reader.elements for name in attrs)
        assert not any("javascript" in (attrs.get("href") or "") for _, attrs in reader.elements)
        assert "alert(1)" in "".join(reader.text)


def test_no_spec_can_put_markup_into_markdown() -> None:
    plan = hostile_plan()
    text = markdown.render(page(plan, {"send": Sample("```\n" + HOSTILE, "x", "")}))
    outside = re.sub(r"^(`{3,})\w*\n.*?\n\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    bare = re.sub(r"(?<!\\)(`+)(?!`).*?(?<!`)\1(?!`)", "", outside)
    assert not re.search(r"(?<!\\)<", bare)
    assert not re.search(r"(?<!\\)\[x", bare)
    widths = {}
    for line in outside.splitlines():
        if line.startswith("|"):
            widths.setdefault(re.sub(r"\\.", "", line).count("|"), []).append(line)
    assert set(widths) <= {3, 4, 5}


def test_trigger_types_are_the_calls() -> None:
    head = (CASES / "good.yaml").read_text(encoding="utf-8")

    def of(trigger: str) -> list[str]:
        plan, _ = compile_text(head.replace('type = "track"', trigger), "x.yaml")
        assert plan is not None
        return calls(plan)

    every = ["identify", "track", "page", "screen", "group", "alias"]
    assert of('type = "track" and event = "A"') == ["track"]
    assert of('type in ["page", "screen"]') == ["page", "screen"]
    assert of('type = "page" or type = "track"') == ["track", "page"]
    assert of('event = "A"') == every
    assert of('event = "A" or type = "track"') == every


def test_pages_are_written(tmp_path: Path) -> None:
    status, _, err = waypost("docs", "--format", "html", "--output", str(tmp_path))
    assert status == 0
    assert "wrote" in err
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", *(f"{path.parent.name}.html" for path in SPECS)}
    assert waypost("docs", "--format", "html", "--output", str(tmp_path)) == (0, "", "")
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    for _, attrs in Reader(index).elements:
        target = attrs.get("href") or ""
        assert target.startswith("#") or (tmp_path / target).exists()


def test_one_page_leaves_the_directory_alone(tmp_path: Path) -> None:
    assert waypost("docs", "segment", "--output", str(tmp_path))[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["segment.md"]


def test_broken_spec_gives_findings_and_no_page(tmp_path: Path) -> None:
    status, _, err = waypost("docs", str(CASES / "diagnostics" / "M204.yaml"), "--output", str(tmp_path))
    assert status == 1
    assert "M204" in err
    assert list(tmp_path.iterdir()) == []


OTHER = """
spec: 1
name: other
settings:
  key: {type: string, secret: true}
  shop: {type: string}
  tier: {choices: {"big ones": {}, small: {}}}
  host: {type: url}
  size: {type: number, default: 3}
auth: {bearer: "{{ settings.key }}"}
request:
  post: "https://api.example.com/{{ settings.shop }}"
  body: $message
actions:
  send:
    trigger: type = "track"
    mapping: {id: $.messageId, tier: "{{ settings.tier }}", host: "{{ settings.host }}", size: "{{ settings.size }}"}
"""
BARE = """
spec: 1
name: bare
request: {post: "https://api.example.com/x", body: $message}
actions:
  send: {trigger: type = "track", mapping: {id: $.messageId}}
"""


def dry_run(page_text: str, cwd: Path, own: str = "") -> tuple[int, str, str]:
    """The command that a page names, as it stands, with its variables set; nothing is sent.

    The events are of today: some destinations refuse old ones."""
    (line,) = re.findall(r"^waypost run .*$", page_text, re.MULTILINE)
    words = shlex.split(line)[1:]
    whole = {name.upper() for name in re.findall(r"`(\w+)` \| integer", page_text)}
    named = {name: "17" if name in whole else "https://a.example" for name in re.findall(r"=env:(\w+)", line)}
    lines = (ROOT / "examples" / "events.ndjson").read_text(encoding="utf-8").splitlines(keepends=True)
    events = "".join(lines[::50])  # a dry run keeps to the rate, and some destinations take one request a second
    today = re.sub(r'("timestamp": ?")[^"]*', rf"\g<1>{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", events)
    (cwd / "events.ndjson").write_text(today + own, encoding="utf-8")
    return waypost(*words, "--dry-run", cwd=cwd, **named)


def own_event(path: Path) -> str:
    """A line with the first event of the destination's tests: some send only what asks for it."""
    tests = YAML(typ="safe").load((path.parent / "tests.yaml").read_text(encoding="utf-8"))["tests"]
    return json.dumps(next(test["event"] for test in tests if "event" in test), default=str) + "\n"


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.parent.name)
def test_the_command_of_a_committed_page_works(path: Path, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "destinations" / f"{path.parent.name}.md").read_text(encoding="utf-8")
    status, out, err = dry_run(text, tmp_path, own_event(path))
    assert status in (0, 3), err
    assert "POST " in out


@pytest.mark.parametrize(("name", "text"), [("other", OTHER), ("bare", BARE)])
def test_the_command_of_any_page_works(name: str, text: str, tmp_path: Path) -> None:
    folder = tmp_path / "specs" / name
    folder.mkdir(parents=True)
    given = 'settings: {key: k, shop: s, tier: small, host: "https://a.example"}\n' if name == "other" else ""
    (folder / "destination.yaml").write_text(text, encoding="utf-8")
    (folder / "tests.yaml").write_text(
        given + "tests: [{name: a, event: {type: track, messageId: m}, expect: {action: send}}]\n", encoding="utf-8"
    )
    status, _, err = waypost("docs", f"specs/{name}", cwd=tmp_path)
    assert status == 0, err
    status, out, err = dry_run(
        (tmp_path / "docs" / "destinations" / f"{name}.md").read_text(encoding="utf-8"), tmp_path
    )
    assert status in (0, 3), err
    assert "POST https://api.example.com/" in out
