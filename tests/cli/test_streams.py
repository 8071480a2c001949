"""Standard streams that are closed, full, or have nobody at their other end: nothing that is said can fail, and no event is at fault for it.

Mutations that turn this red: `prepare` without the loop that opens /dev/null;
`_Err.write` without its `except`; `_Out` that is a plain FileIO."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from waypost.http.receiver import Receiver

SPEC = """\
spec: 1
name: shop
settings: {at: {type: url, default: "https://x.example"}}
request: {post: "{{ settings.at }}/in", body: $message}
actions:
  all: {trigger: type = "track", mapping: {id: $.messageId}}
"""
EVENTS = 3000
"""More than a pipe holds of what a dry run prints."""


def shell(folder: Path, words: str) -> subprocess.CompletedProcess[str]:
    (folder / "shop.yaml").write_text(SPEC)
    rows = [json.dumps({"type": "track", "event": "A", "messageId": f"m{number}"}) for number in range(EVENTS)]
    (folder / "many.ndjson").write_text("\n".join(rows))
    (folder / "one.ndjson").write_text(rows[0])
    script = f'waypost() {{ {sys.executable} -m waypost "$@"; }}\n{words}'
    return subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "words",
    ["run shop.yaml --dry-run many.ndjson", "run shop.yaml --dry-run --json many.ndjson"],
)
def test_a_reader_that_has_gone_ends_the_command_without_a_word(tmp_path: Path, words: str) -> None:
    done = shell(tmp_path, f"waypost {words} | head -c 20; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    "words",
    [
        "run shop.yaml --dry-run many.ndjson",
        "run shop.yaml --dry-run --json many.ndjson",
        "lint shop.yaml",
        "preview shop.yaml one.ndjson",
        "rules",
    ],
)
def test_a_full_disk_is_one_line(tmp_path: Path, words: str) -> None:
    done = shell(tmp_path, f"waypost {words} > /dev/full")
    assert (done.returncode, done.stderr) == (
        70,
        "waypost: cannot write to standard output: No space left on device\n",
    )


@pytest.mark.parametrize(
    "streams",
    ["2>/dev/full", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2> >(exec head -c 1 > /dev/null)", "--log json 2>/dev/full"],
)
@pytest.mark.parametrize("more", ["", "--state kept", "--workers 2"])
def test_a_run_delivers_though_nobody_listens(tmp_path: Path, streams: str, more: str) -> None:
    with Receiver(port=0) as receiver:
        done = shell(tmp_path, f"waypost run shop.yaml --set at={receiver.url} one.ndjson {more} {streams}")
        assert [json.loads(request.body) for request in receiver.requests] == [{"id": "m0"}]
    assert done.returncode == 0


def test_a_closed_input_is_an_empty_one(tmp_path: Path) -> None:
    done = shell(tmp_path, "waypost run shop.yaml --dry-run <&-")
    assert done.returncode == 0
    assert "read        0 lines" in done.stderr
