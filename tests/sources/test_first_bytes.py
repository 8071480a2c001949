"""An input that is not one JSON object a line is known by its first bytes: one line of help, status 2, and nothing is sent.

Mutations that turn this red: `_good_lines_follow` that is always or never so; `more` ignored; a judgement after the first chunk was cut."""

from __future__ import annotations

import bz2
import gzip
import itertools
import json
import lzma
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.http.receiver import Receiver
from waypost.sources.file import FileSource, SourceError
from waypost.sources.first_bytes import HEAD, judged

EVENTS = [
    {"type": "track", "userId": f"u{number}", "event": "A\nB", "properties": {"a": [1, {"b": None}]}}
    for number in range(4)
]
LINES = "".join(json.dumps(event) + "\n" for event in EVENTS).encode()

REFUSED = {
    "array": (json.dumps(EVENTS).encode(), "jq -c '.[]'"),
    "array of one": (json.dumps(EVENTS[:1]).encode() + b"\n", "jq -c '.[]'"),
    "array over lines": (json.dumps(EVENTS, indent=2).encode(), "jq -c '.[]'"),
    "array, an object a line": (b"[\n" + LINES.rstrip().replace(b"\n", b",\n") + b"\n]\n", "jq -c '.[]'"),
    "empty array": (b"[]", "jq -c '.[]'"),
    "pretty": (json.dumps(EVENTS[0], indent=2).encode() + b"\n", "jq -c ."),
    "pretty, several": ("\n".join(json.dumps(event, indent=4) for event in EVENTS).encode(), "jq -c ."),
    "pretty, an inner object on a line": (
        b'{\n"type": "track", "userId": "u",\n"properties":\n{"type": "track", "userId": "u", "event": "A"}\n}\n',
        "jq -c .",
    ),
    "CR": (LINES.replace(b"\n", b"\r"), r"tr '\r' '\n'"),
    "UTF-16": (LINES.decode().encode("utf-16"), "iconv -f UTF-16"),
    "UTF-16LE": (LINES.decode().encode("utf-16-le"), "iconv -f UTF-16LE"),
    "UTF-16BE": (LINES.decode().encode("utf-16-be"), "iconv -f UTF-16BE"),
    "gzip": (gzip.compress(LINES), "gzip -dc"),
    "bzip2": (bz2.compress(LINES), "bzip2 -dc"),
    "xz": (lzma.compress(LINES), "xz -dc"),
    "zstd": (bytes.fromhex("28b52ffd0458") + b"\0" * 20, "zstd -dc"),
    "zip": (b"PK\x03\x04\x14\0\0\0\x08\0" + b"\0" * 20, "unzip -p"),
    "lz4": (bytes.fromhex("04224d186440a7") + b"\0" * 20, "lz4 -dc"),
}
TAKEN = {
    "lines": LINES,
    "CRLF": LINES.replace(b"\n", b"\r\n"),
    "a byte order mark": b"\xef\xbb\xbf" + LINES,
    "blank lines first": b"\n \n" + LINES,
    "a damaged first line": b'{"type": "tra\n' + LINES,
    "a first line cut within an object": b'{"type": "track", "properties": {"a": 1\n' + LINES,
    "a word first": b"event\n" + LINES,
    "a list among events": b"[1]\n" + LINES,
    "one short line": b'{"type": "track"}',
    "one line that is cut short": LINES[:40],
    "nothing": b"",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    data, help_text = REFUSED[name]
    assert help_text in str(judged(data[:HEAD], more=len(data) > HEAD))


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name: str) -> None:
    assert judged(TAKEN[name], more=False) == ""


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(min_size=1), values, min_size=1, max_size=4)


@given(st.lists(objects, min_size=1, max_size=4), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.data())
def test_lines_are_never_refused_and_other_forms_always(
    found: list[object], feed: str, plain: bool, data: st.DataObject
) -> None:
    lines = feed.join(json.dumps(one, ensure_ascii=plain) for one in found).encode()
    assert judged(lines, more=False) == ""
    assert judged(lines + feed.encode(), more=False) == ""
    cut = data.draw(st.integers(0, len(lines)))
    assert not judged(lines[:cut], more=True), "a head that is cut anywhere is no reason"
    indent = data.draw(st.sampled_from([0, 1, 2, 4, "\t"]))
    assert judged(json.dumps(found, indent=indent).encode(), more=False)
    assert judged(json.dumps(found).encode(), more=False)
    assert judged(feed.join(json.dumps(one, indent=indent) for one in found).encode(), more=False)


def run(receiver: Receiver, *words: str, given: bytes = b"", cwd: Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "waypost", "run", "segment", "--set", "source_write_key=env:KEY"]
    return subprocess.run(
        [*command, "--endpoint-override", receiver.url, *words],
        input=given,
        capture_output=True,
        cwd=cwd,
        env={**os.environ, "KEY": "k"},
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", ["array", "pretty, an inner object on a line", "CR", "UTF-16", "zstd"])
@pytest.mark.parametrize("way", ["file", "gzip", "second of two files", "stdin", "journal", "state"])
def test_nothing_is_sent_and_one_line_says_what_to_do(name: str, way: str, tmp_path: Path) -> None:
    data, help_text = REFUSED[name]
    (tmp_path / "good.ndjson").write_bytes(LINES)
    (tmp_path / "bad").write_bytes(gzip.compress(data) if way == "gzip" else data)
    words = {
        "stdin": ["-"],
        "journal": ["--journal", "--state", "st"],
        "state": ["--state", "st", "bad"],
        "second of two files": ["good.ndjson", "bad"],
    }.get(way, ["bad"])
    with Receiver(port=0) as receiver:
        done = run(receiver, *words, given=data if way in ("stdin", "journal") else b"", cwd=tmp_path)
        said = done.stderr.decode()
        assert (done.returncode, receiver.requests) == (2, []), said
    assert help_text in said
    assert re.search(r"Traceback|fault", said) is None


@pytest.mark.parametrize("name", ["lines", "a damaged first line", "a first line cut within an object"])
def test_lines_are_delivered(name: str, tmp_path: Path) -> None:
    (tmp_path / "events.ndjson").write_bytes(TAKEN[name])
    for words, given_ in ((["events.ndjson"], b""), (["-"], TAKEN[name])):
        with Receiver(port=0) as receiver:
            done = run(receiver, *words, given=given_, cwd=tmp_path)
            sent = sum(len(json.loads(request.body)["batch"]) for request in receiver.requests)
        assert (done.returncode, sent) == (0 if name == "lines" else 3, len(EVENTS)), done.stderr


GROWING = {
    "UTF-16, cut in its mark": (LINES.decode().encode("utf-16"), 1, "iconv -f UTF-16"),
    "UTF-16LE": (LINES.decode().encode("utf-16-le"), 2, "iconv -f UTF-16LE"),
    "UTF-16LE, cut in a character": (LINES.decode().encode("utf-16-le"), 3, "iconv -f UTF-16LE"),
    "UTF-16BE": (LINES.decode().encode("utf-16-be"), 1, "iconv -f UTF-16BE"),
    "CR": (LINES.replace(b"\n", b"\r"), 30, r"tr '\r' '\n'"),
    "CR, cut behind a line": (LINES.replace(b"\n", b"\r"), LINES.index(b"\n") + 1, r"tr '\r' '\n'"),
    "pretty": (json.dumps(EVENTS[0], indent=2).encode() + b"\n", 20, "jq -c ."),
    "array over lines": (json.dumps(EVENTS, indent=1).encode(), 1, "jq -c '.[]'"),
    "arrays": ((json.dumps(EVENTS) + "\n").encode() * 2, 40, "jq -c '.[]'"),
    "gzip, cut in its mark": (gzip.compress(LINES), 1, "is gzip: it cannot be followed"),
    "lines": (LINES, 3, ""),
    "lines, cut in the first": (LINES, 50, ""),
    "nothing, then lines": (LINES, 0, ""),
}


@pytest.mark.parametrize("name", GROWING)
def test_a_file_that_grows_is_looked_at_again(name: str, tmp_path: Path) -> None:
    """While its first bytes do not tell what it is, nothing of it is read."""
    data, cut, said = GROWING[name]
    path = tmp_path / "log"
    path.write_bytes(data[:cut])
    source = FileSource(path, follow=True)
    assert [source.read() for _ in range(3)] == [[], [], []]
    assert source.offset == 0
    for at in range(cut, len(data)):
        with path.open("ab") as file:
            file.write(data[at : at + 1])
        if at < cut + 8 or at == len(data) - 1:
            try:
                found = source.read()
            except SourceError as error:
                assert said
                assert said in str(error)
                break
            assert not found or not said
    else:
        assert not said
        assert source.offset == len(data)
    source.close()


@given(st.sampled_from([name for name in GROWING if GROWING[name][2]]), st.data())
def test_nothing_of_a_file_that_is_no_lines_is_ever_given(name: str, data: st.DataObject) -> None:
    """Wherever its growth is seen."""
    whole, _, said = GROWING[name]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(b"")
        source = FileSource(path, follow=True)
        try:
            with pytest.raises(SourceError, match=re.escape(said)):
                for start, end in itertools.pairwise([0, *cuts, len(whole)]):
                    with path.open("ab") as file:
                        file.write(whole[start:end])
                    assert source.read() == []
        finally:
            source.close()


def test_a_file_that_is_rotated_while_it_is_unknown_is_judged_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "log"
    line = LINES.splitlines(keepends=True)[0]
    path.write_bytes(line.rstrip())
    source = FileSource(path, follow=True)
    assert source.read() == []
    path.rename(tmp_path / "log.1")
    path.write_bytes(LINES)
    found = b"".join(piece.data for _ in range(8) for piece in source.read() or ())
    assert found.count(b'"type"') == 1 + len(EVENTS)
    source.close()
