"""Inputs that cannot be read twice: pipes with and without a name, and devices, on the command line and in a connections file."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kills import SPEC
from running import KEYS
from waypost.events.lines import SourceError
from waypost.http.receiver import Receiver
from waypost.sources.pattern import openers
from waypost.sources.stream import StreamSource

LINE = '{"type":"track","userId":"u","event":"View","messageId":"m%d"}\n'
EVENTS = "".join(LINE % number for number in range(30))

FILE = """
connections:
  one: {destination: shop.yaml, sources: [piped], settings: {key: env:KEY}}
  two: {destination: shop.yaml, sources: [piped], settings: {key: env:KEY}}
sources:
  piped: {files: PATH}
"""

RUN = '"$W" -m waypost run shop.yaml --set key=env:KEY --endpoint-override "$URL" --state state'
ALL = '"$W" -m waypost run waypost.yaml --endpoint-override "$URL" --state state'


def ran(folder: Path, script: str, url: str) -> tuple[int, str]:
    env = {**os.environ, **KEYS, "W": sys.executable, "URL": url}
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=env, capture_output=True, text=True, timeout=90)
    return done.returncode, done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.yaml").write_text(SPEC, encoding="utf-8")
    (tmp_path / "events.ndjson").write_text(EVENTS, encoding="utf-8")
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


@pytest.mark.parametrize(
    ("script", "path"),
    [
        (f"{RUN} <(cat events.ndjson)", ""),
        (f"cat events.ndjson | {RUN} /dev/stdin", ""),
        (f"{RUN} /dev/stdin < events.ndjson", ""),
        (f"{RUN} /dev/fd/7 7< <(cat events.ndjson)", ""),
        (f"cat events.ndjson > pipe & {RUN} pipe", ""),
        (f"{RUN} <(head -10 events.ndjson) <(tail -20 events.ndjson)", ""),
        (f"cat events.ndjson > pipe & {ALL}", "pipe"),
        (f"cat events.ndjson | {ALL}", "/dev/stdin"),
    ],
)
def test_all_of_it_is_delivered(folder: Path, script: str, path: str) -> None:
    """Mutation that turns this red: `is_stream` that is never true; a StreamSource that opens when it is made."""
    (folder / "waypost.yaml").write_text(FILE.replace("PATH", path), encoding="utf-8")
    with Receiver(port=0) as receiver:
        status, said = ran(folder, script, receiver.url)
    assert (status, "Traceback" in said) == (0, False), said
    assert said.count("delivered 30 of 30") == (2 if path else 1), said


@pytest.mark.parametrize(
    ("script", "path", "status", "text"),
    [
        (f"{RUN} --follow pipe", "", 2, "pipe is no regular file and is read until it ends: it cannot be followed"),
        (f"{RUN} --workers 2 pipe", "", 2, "pipe is no regular file and cannot be split: leave out --workers"),
        (f"{ALL} --workers 2", "pipe", 2, "piped: pipe is no regular file and cannot be split: leave out --workers"),
        (f"{RUN} pipe pipe", "", 2, "pipe is named twice: it is no regular file and can be read only once"),
        (f"{RUN} .", "", 2, ". is a folder, not a file of events"),
        (f"{RUN} /dev/null", "", 0, "delivered 0 of 0"),
    ],
)
def test_what_it_cannot_be_asked_for_is_one_line(folder: Path, script: str, path: str, status: int, text: str) -> None:
    (folder / "waypost.yaml").write_text(FILE.replace("PATH", path), encoding="utf-8")
    found, said = ran(folder, script, "http://127.0.0.1:9")
    assert (found, "Traceback" in said, text in said) == (status, False, True), said


def test_looking_at_it_takes_nothing(folder: Path) -> None:
    """A pipe without a writer holds nobody who opens and closes it; then its reader has everything."""
    (make,) = openers((str(folder / "pipe"),), lambda: 0.0, print, lambda opener: None, follow=False)
    for _ in range(3):
        source = make()
        assert source.size is None
        source.close()
    source = make()
    writer = threading.Thread(target=(folder / "pipe").write_text, args=(EVENTS,))
    writer.start()
    lines = 0
    while (pieces := source.read()) is not None:
        lines += sum(piece.count for piece in pieces)
    writer.join()
    assert lines == 30


def test_what_cannot_be_opened_is_told(folder: Path) -> None:
    def fails(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    source = StreamSource(folder / "pipe", fails)
    with pytest.raises(SourceError, match=r"cannot read .*pipe: Permission denied"):
        while source.read() is not None:
            pass
