"""Names of files and folders that no command can use, in each place where a person may type one: one line and status 2, or a finding.

Mutations that turn this red: `unusable.told` that says nothing; `_is_there` that takes only what is not found; `cache.key` that encodes
a name as it is.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from conftest import CASES
from running import waypost, waypost_process

SET = ("--set", "key=env:KEY", "--set", "region=eu")
NOWHERE = ("--endpoint-override", "http://127.0.0.1:1", "--connect-within", "0")
ODD = {
    "long": "x" * 300,
    "deep": "x/" * 2100 + "x",
    "loop": "loop",
    "behind a loop": "loop/x",
    "dangling": "dangling/x",
    "within a file": "file/x",
    "a folder": "folder",
    "line break": "a\nb",
    "empty": "",
}
COMMANDS = {
    "lint": ("lint", "ODD"),
    "fix": ("lint", "ODD", "--fix"),
    "compile": ("compile", "ODD"),
    "output": ("compile", "good", "--output", "ODD"),
    "test": ("test", "ODD"),
    "junit": ("test", "good", "--junit", "ODD"),
    "preview": ("preview", "ODD", "events.ndjson"),
    "event": ("preview", "good", "ODD"),
    "target": ("run", "ODD", "events.ndjson"),
    "run": ("run", "good", *SET, *NOWHERE, "ODD"),
    "letters": ("run", "good", *SET, *NOWHERE, "events.ndjson", "--dead-letters", "ODD"),
    "kept": ("run", "good", *SET, *NOWHERE, "events.ndjson", "--state", "ODD"),
    "authority": ("run", "good", *SET, *NOWHERE, "events.ndjson", "--tls-ca", "ODD"),
    "state": ("state", "ODD"),
    "damage": ("state", "ODD", "--accept-damage"),
    "list": ("dead", "list", "--state", "ODD"),
    "replay": ("dead", "replay", "--state", "ODD"),
    "drop": ("dead", "drop", "--state", "ODD"),
    "connections": ("connections", "ODD"),
    "check": ("check", "ODD"),
    "diff": ("diff", "good", "ODD"),
    "samples": ("diff", "good", "good", "--events", "ODD"),
    "docs": ("docs", "good", "--output", "ODD"),
    "bench": ("bench", "ODD"),
    "show": ("show", "plan", "ODD"),
    "import": ("import", "segment-action", "ODD"),
    "schema": ("schema", "--output", "ODD"),
}


@pytest.mark.parametrize("odd", ODD)
def test_a_name_that_cannot_be_used_is_no_fault_of_ours(odd: str, tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "destination.yaml").write_text((CASES / "good.yaml").read_text(encoding="utf-8"))
    (tmp_path / "events.ndjson").write_text('{"type":"track","event":"A","messageId":"m"}\n')
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for name, words in COMMANDS.items():
        status, _, err = waypost(*[ODD[odd] if word == "ODD" else word for word in words], cwd=tmp_path, KEY="k")
        assert status in (0, 1, 2, 3, 4), (name, err)
        if status == 2:
            said = [line for line in err.splitlines() if line and not line.startswith(("Usage:", "Try "))]
            assert len(said) <= 2, (name, err)
            assert len(err) < 9000, (name, err)


def test_a_file_is_no_state(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for words in (("state", "file"), ("dead", "list", "--state", "file")):
        assert waypost(*words, cwd=tmp_path)[::2] == (2, "waypost: there is no state in file\n")


def test_a_spec_whose_name_is_no_text_is_judged(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.yaml")
    (tmp_path / name).write_text((CASES / "good.yaml").read_text(encoding="utf-8"))
    for words in (("lint", name), ("lint", name), ("test", name)):
        # The second time from the cache.
        status, out, err = waypost_process(*words, cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"))
        assert (status, err) == (words[0] == "test", ""), out
    assert "\\udcff.yaml" in out or "there are no tests" in out


def test_events_whose_file_has_a_name_that_is_no_text_are_delivered(tmp_path: Path) -> None:
    """Mutation that turns this red: a source's name that is the path's own text."""
    name = os.fsdecode(b"\xff.ndjson")
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "destination.yaml").write_text((CASES / "good.yaml").read_text(encoding="utf-8"))
    (tmp_path / name).write_text('{"type":"track","event":"A","messageId":"m"}\n{broken\n')
    for more in (("--state", "kept"), ("--dead-letters", "dead.ndjson")):
        status, _, err = waypost("run", "good", *SET, *NOWHERE, *more, name, cwd=tmp_path, KEY="k")
        assert status == 4, err
    assert '"source":"\\\\xff.ndjson"' in (tmp_path / "dead.ndjson").read_text(encoding="utf-8")
    assert "of \\xff.ndjson" in waypost("state", "kept", cwd=tmp_path)[1]
    _, out, _ = waypost("run", "good", *SET, "--dry-run", "--json", name, cwd=tmp_path, KEY="k")
    assert {json.loads(row)["input"] for row in out.splitlines()} == {"\\xff.ndjson"}
