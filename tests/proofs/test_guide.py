"""The guide and the migration page are true: files are written, commands run and their output is compared, pairs map as they say."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import CASES, ROOT
from waypost.compiler.pipeline import compile_text
from waypost.events.results import Mapped
from waypost.program.program import link

FENCE = re.compile(r"^```(\w+)(?: ([^\n]*))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


def call(line: str) -> tuple[list[str], dict[str, str], int]:
    """A command line of the guide: its words, its environment and the exit status that it says."""
    words = shlex.split(line, comments=True)
    added: dict[str, str] = {}
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        added[name] = value
    wanted = int(found[1]) if (found := re.search(r"# exit status (\d+)", line)) else 0
    if words[0] == "sed":
        return ["sh", "-c", line], dict(os.environ), wanted
    assert words[0] == "waypost"
    # The command as it is installed beside this Python.
    return [str(Path(sys.executable).parent / "waypost"), *words[1:]], {**os.environ, "COLUMNS": "120", **added}, wanted


def run_block(text: str, folder: Path, background: list[subprocess.Popen[str]]) -> None:
    """Each `$` line runs; each line below it is a line of what it prints."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, *printed = part.splitlines()
        words, env, wanted = call(line)
        if words[-1] == "&":
            process = subprocess.Popen(
                words[:-1], cwd=folder, env=env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
            )
            background.append(process)
            assert process.stderr is not None
            assert "listening" in process.stderr.readline()
            continue
        done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
        out = done.stdout + done.stderr
        assert done.returncode == wanted, f"{line}\n{out}"
        for expected in printed:
            assert expected.strip() in [row.strip() for row in out.splitlines()], f"{line}\n{expected}\n---\n{out}"


def test_the_guide_works_as_it_is_written(tmp_path: Path) -> None:
    background: list[subprocess.Popen[str]] = []
    text = GUIDE.replace(":8080", f":{(port := free_port())}").replace("--port 8080", f"--port {port}")
    blocks = FENCE.findall(text)
    assert list(tmp_path.iterdir()) == []
    try:
        for language, name, body in blocks:
            if language == "console":
                run_block(body, tmp_path, background)
            elif name.startswith("part of "):
                assert body in (tmp_path / name.removeprefix("part of ")).read_text(encoding="utf-8")
            elif name:
                (tmp_path / name).write_text(body, encoding="utf-8")
    finally:
        for process in background:
            process.terminate()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()
    assert len(background) == 1


@pytest.mark.parametrize("page", ["answers.md", "requests.md"])
def test_a_page_of_examples_works_as_it_is_written(page: str, tmp_path: Path) -> None:
    """A 207 by ids; a form, and several lists in one request."""
    ran = 0
    for language, name, body in FENCE.findall((ROOT / "docs" / page).read_text(encoding="utf-8")):
        if language == "console":
            run_block(body, tmp_path, [])
            ran += body.count("$ waypost test")
        elif name:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(body, encoding="utf-8")
    assert ran


# The migration page.

MIGRATING = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
SECTIONS = [
    (part.splitlines()[0], FENCE.findall(part)) for part in re.split(r"^#+ ", MIGRATING, flags=re.MULTILINE)[1:]
]
PAIRS = [(title, blocks) for title, blocks in SECTIONS if any(name == "Segment" for _, name, _ in blocks)]
HEAD = (CASES / "good.yaml").read_text(encoding="utf-8").split("actions:")[0]


def named(blocks: list[tuple[str, str, str]], name: str) -> list[str]:
    return [body for _, found, body in blocks if found == name]


def mapped(actions: str, event: Any) -> list[Any]:
    """What an event becomes: messages, or the reason why there is none."""
    head = "spec: 1\nname: shop\n" if "request:" in actions else HEAD
    plan, report = compile_text(head + actions, "x.yaml")
    assert report.diagnostics == [], [(item.code, item.message) for item in report.diagnostics]
    assert plan is not None
    line = json.dumps(event).encode()
    given = {"key": "k", "region": "eu"} if plan.settings else {}
    results = link(plan, given).map(line, 0, line, 1.8e9)
    return [json.loads(item.body) if isinstance(item, Mapped) else item.reason for item in results]


def as_actions(text: str) -> str:
    """A snippet as a spec's actions: a whole `actions:`, an action's parts, or fields of a mapping."""
    if text.startswith("actions:"):
        return text
    if not re.match(r"(trigger|require|mapping|each|request):", text):
        text = "mapping:\n" + re.sub(r"^", "  ", text, flags=re.MULTILINE)
    if "trigger:" not in text:
        text = 'trigger: type = "track"\n' + text
    if "mapping:" not in text:
        text += "mapping: {event: $.event}\n"
    return "actions:\n  send:\n" + re.sub(r"^(?=.)", "    ", text, flags=re.MULTILINE)


@pytest.mark.parametrize(("title", "blocks"), PAIRS, ids=[title for title, _ in PAIRS])
def test_pair_maps_as_it_says(title: str, blocks: list[tuple[str, str, str]]) -> None:
    (snippet,) = named(blocks, "Waypost")
    for peer in named(blocks, "Segment"):
        assert peer.strip()
    events, results = named(blocks, "event"), named(blocks, "becomes")
    assert events
    assert len(events) == len(results)
    for event, result in zip(events, results, strict=True):
        expected = json.loads(result)
        assert mapped(as_actions(snippet), json.loads(event)) == (
            expected if isinstance(expected, list) else [expected]
        )


@pytest.mark.parametrize(
    ("trigger", "event", "sent"),
    [
        ('event = "A" and type = "page" or type = "track"', {"type": "track", "event": "B"}, True),
        ("'!(type = \"page\")'", {"type": "page"}, False),
        ("event != null", {"type": "page"}, False),
        ("event != null", {"type": "track", "event": "A"}, True),
        ("properties.premium != true", {"type": "track", "properties": {"premium": True}}, False),
        ("properties.n != 1", {"type": "track"}, True),
        ("properties.n != 1", {"type": "track", "properties": {"n": "1"}}, True),
        ('match(event, "Order")', {"type": "track", "event": "My Order"}, False),
        ("event = 'A'", {"type": "track", "event": "A"}, True),
    ],
)
def test_triggers_that_change_their_meaning(trigger: str, event: Any, sent: bool) -> None:
    """The right column of the table at the page's end."""
    found = mapped(f"actions:\n  send:\n    trigger: {trigger}\n    mapping: {{x: 1}}\n", event)
    assert found == ([{"x": 1}] if sent else ["no_action"])


def test_every_directive_has_its_pair() -> None:
    titles = " ".join(title for title, _ in PAIRS)
    for word in (
        *(
            "@path",
            "@template",
            "@liquid",
            "@if",
            "@arrayPath",
            "@case",
            "@replace",
            "@literal",
            "@merge",
            "@json",
            "@flatten",
        ),
        *("@excludeWhenNull", "@transform", "required", "batch_keys", "subscribe"),
    ):
        assert word in titles, word
