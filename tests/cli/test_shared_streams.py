"""Two sources of one connections file never share a pipe or standard input; a regular file they may.

Mutations that turn this red: the pipe's name taken for what it is; standard input left out; a regular file taken for a pipe.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from running import waypost

SPEC = """spec: 1
name: shop
request:
  post: https://shop.example/x
  body: $message
actions:
  send:
    trigger: type = "track"
    mapping: {id: $.messageId}
"""
EVENT = b'{"type":"track","userId":"u","event":"A","messageId":"m"}\n'


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("files: pipe", "files: pipe", "pipe"),
        ("files: pipe", "files: link", "`pipe` there"),
        ("files: [events, pipe]", "files: ./pipe", "pipe"),
        ("stdin: true", "stdin: true", "standard input"),
        ("files: events", "files: events", ""),
        ("files: pipe", "files: pipe", None),
    ],
)
def test_one_pipe_has_one_source(one: str, other: str, said: str | None, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "second")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "events").write_bytes(EVENT)
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")
    settings = "destination: spec.yaml"
    # In the last case pipes are named by a connection that is not enabled: nobody reads them.
    first, second = ("a", other) if said is not None else ("b", "files: events")
    (tmp_path / "waypost.yaml").write_text(
        f"sources:\n  a: {{{one}}}\n  b: {{{second}}}\n  c: {{{other}}}\n"
        f"connections:\n  one: {{{settings}, sources: [{first}]}}\n"
        f"  two: {{{settings}, sources: [b]}}\n  three: {{{settings}, sources: [a, c], enabled: false}}\n",
        encoding="utf-8",
    )
    status, out, err = waypost("run", "waypost.yaml", "--dry-run", cwd=tmp_path)
    if said:
        line = [row for row in err.splitlines() if "both read" in row]
        assert (status, len(line), out) == (2, 1, ""), err
        assert said in line[0]
        assert "`a` and `b`" in line[0]
    else:
        assert status == 0, err
        assert out.count("POST ") == 2
