"""Sources: every line once with its place, through resumes, rotation, truncation, gzip and growing files; standard input through a journal."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import signal
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks import read_lines
from journals import MemoryJournal
from kills import SPEC, plan
from running import Engine
from waypost.events.lines import LIMIT, Chunk, Cutter, Line, SourceError, TooLong, before, behind, lines_of
from waypost.http.receiver import Receiver
from waypost.plan import dump
from waypost.sources.file import FileSource, expand
from waypost.sources.members import Broken
from waypost.sources.opened import CHUNK
from waypost.sources.pattern import LOOK_S, Pattern
from waypost.sources.stdin import keep
from waypost.sources.unpack import packing_of, unpacking
from waypost.state.journal_source import JournalSource


def lines(*names: str) -> bytes:
    return b"".join(b'{"id":"%b"}\n' % name.encode() for name in names)


OPEN: list[FileSource] = []


@pytest.fixture(autouse=True)
def _closes_files() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def file_source(path: Path, **options: Any) -> FileSource:
    """Closed after the test."""
    OPEN.append(FileSource(path, **options))
    return OPEN[-1]


def drain(source: FileSource) -> list[str]:
    """The ids of all that is there now. Where nothing is waited for, an empty list is a piece in which no line ends."""
    found: list[str] = []
    while (more := read_lines(source)) or (more is not None and not source.waits):
        found += [line.data.decode().split('"')[3] for line in more]
    return found


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def reopened(path: Path, before: FileSource, offset: int, said: list[str], *, follow: bool = True) -> FileSource:
    """A source of a later run that resumes at an offset of an earlier one."""
    source = file_source(path, follow=follow, notice=said.append)
    told = source.resume(offset, before.identity)
    if told:
        said.append(told)
    return source


texts = st.one_of(
    st.sampled_from(
        [b"", b" ", b"\t", b"\r", b"{}", b'{"a":1}', b'{"a":1}\r', b"odd", b" {}", b"\xef\xbb\xbf{}", b"x" * 60 + b"}"]
    ),
    st.binary(max_size=12).map(lambda data: data.replace(b"\n", b"")),
)


@given(st.lists(texts, max_size=12), st.booleans(), st.integers(1, 40), st.integers(0, 200))
def test_chunks_are_the_lines_of_their_bytes(found: list[bytes], ended: bool, step: int, place: int) -> None:
    """However the bytes come: each line that is not blank once, at its offset and number; and chunks are cut at any offset."""
    data = b"\n".join(found) + b"\n" * ended
    wanted, offset = [], 0
    for number, text in enumerate(data.split(b"\n"), 1):
        plain = (text.removeprefix(b"\xef\xbb\xbf") if number == 1 else text).removesuffix(b"\r")
        end = min(offset + len(text) + 1, len(data))
        if plain and not plain.isspace():
            wanted.append(Line(plain, offset, end, number))
        offset += len(text) + 1
    cutter = Cutter()
    pieces = [
        piece for at in range(0, len(data), step) for piece in cutter.feed(data[at : at + step])
    ] + cutter.finish()
    assert lines_of(pieces) == wanted
    for piece in pieces:
        assert isinstance(piece, Chunk)
        assert piece.data == b"\n".join(line.data for line in piece.lines())
    assert lines_of(behind(pieces, place)) == [line for line in wanted if line.offset >= place]
    assert lines_of(before(pieces, place)) == [line for line in wanted if line.offset < place]


def test_a_line_above_the_limit_is_told_however_it_comes() -> None:
    long = b'{"a":"' + b"x" * LIMIT + b'"}'
    data = b"{}\n" + long + b"\n{}\n"
    for step in (1000, 64 << 10, len(data)):
        cutter = Cutter()
        found = lines_of(piece for at in range(0, len(data), step) for piece in cutter.feed(data[at : at + step]))
        assert [(line.offset, line.end, line.number) for line in found] == [
            (0, 3, 1),
            (3, 4 + len(long), 2),
            (4 + len(long), 7 + len(long), 3),
        ]
        told = found[1]
        assert isinstance(told, TooLong)
        assert (told.length, told.data, told.sha256) == (len(long), long[: 64 << 10], hashlib.sha256(long).hexdigest())


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": partial(lzma.compress, format=lzma.FORMAT_ALONE),
}


class TestPacked:
    @pytest.mark.parametrize("packing", PACKINGS)
    def test_a_packed_file_is_read_and_resumed_by_plain_offset(self, packing: str, tmp_path: Path) -> None:
        """Mutation that turns this red for one packing: its row of unpack._READ."""
        path = tmp_path / "e.ndjson.packed"
        plain = lines(*(str(n) for n in range(20_000)))
        pack = PACKINGS[packing]
        path.write_bytes(pack(plain[:100_000]) + pack(plain[100_000:]) + b"\0" * 100)
        source = file_source(path)
        assert source.size is not None
        assert source.size > 0
        first = read_lines(source)
        assert first
        assert drain(source)[-1] == "19999"
        assert source.read() is None
        assert source.offset == source.size == len(plain)
        again = file_source(path)
        assert again.resume(first[-1].end, source.identity) == ""
        rest = read_lines(again) or read_lines(again)
        assert rest
        assert (rest[0].offset, rest[0].number) == (first[-1].end, first[-1].number + 1)
        assert plain[rest[0].offset : rest[0].end - 1] == rest[0].data

    @pytest.mark.parametrize("cut", [-1, -5, -200])
    def test_a_file_that_is_cut_short_gives_what_is_whole_and_says_so(self, tmp_path: Path, cut: int) -> None:
        path = tmp_path / "e.gz"
        packed = gzip.compress(lines(*(f"{n * 7919 % 10007}" for n in range(10_000))))
        path.write_bytes(packed[:cut])
        said: list[str] = []
        source = file_source(path, notice=said.append)
        found = drain(source)
        assert 9000 < len(found) <= 10_000
        assert source.read() is None
        assert [text.split(" after ")[0] for text in said[:1]] == [f"{path} is cut short"]
        path.write_bytes(packed)
        again = file_source(path)
        end = len(lines(*found))
        assert again.resume(end, source.identity) == ""
        assert found + drain(again) == [f"{n * 7919 % 10007}" for n in range(10_000)]

    @pytest.mark.parametrize("packing", PACKINGS)
    @pytest.mark.parametrize("damage", ["cut", "flipped", "rest"])
    def test_damage_is_a_loss_whatever_packed_it(self, packing: str, damage: str, tmp_path: Path) -> None:
        """What stands before it is given. Mutation that turns this red: `_unpacked` that takes the end of the file for its end."""
        plain = lines(*(hashlib.sha256(b"%d" % number).hexdigest() for number in range(40_000)))
        wanted = plain.splitlines()
        packed = bytearray(PACKINGS[packing](plain))
        if damage == "cut":
            del packed[len(packed) * 3 // 4 :]
        elif damage == "flipped":
            packed[len(packed) * 3 // 4 : len(packed) * 3 // 4 + 64] = b"\xaa" * 64
        else:
            packed += b"rest"
        path = tmp_path / "e"
        path.write_bytes(packed)
        said: list[str] = []
        source = file_source(path, notice=said.append)
        found = []
        while (read := read_lines(source)) is not None:
            found += [line.data for line in read]
        assert len(source.losses) == len(said) == 1
        if damage == "rest":
            assert (found, source.losses[0].size) == (wanted, 4)
        else:
            assert len(found) > 5000
            assert damage == "flipped" or found == wanted[: len(found)]
        if damage == "flipped":
            # From a flipped bit on gzip and lzma may give wrong bytes until they notice.
            assert found[:5000] == wanted[:5000]

    def test_a_damaged_one(self, tmp_path: Path) -> None:
        path = tmp_path / "e.gz"
        path.write_bytes(gzip.compress(lines("a", "b")) + b"rest")
        said: list[str] = []
        source = file_source(path, notice=said.append)
        assert drain(source) == ["a", "b"]
        assert "after 22 bytes (decompressed): the lines up to there were read, not 4 bytes of the file" in said[0]
        assert [loss.size for loss in source.losses] == [4]

    def test_it_cannot_be_followed(self, tmp_path: Path) -> None:
        path = tmp_path / "e.gz"
        path.write_bytes(gzip.compress(b"{}\n"))
        with pytest.raises(SourceError, match="cannot be followed"):
            file_source(path, follow=True)

    def test_memory_is_bounded_whatever_a_file_unfolds_to(self, tmp_path: Path) -> None:
        path = tmp_path / "e.gz"
        with gzip.open(path, "wb", 1) as file:
            for _ in range(40):
                file.write(lines("x" * 1000) * 1024)
        source = file_source(path)
        tracemalloc.start()
        try:
            count = 0
            while (found := read_lines(source)) is not None:
                count += len(found)
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert count == 40 * 1024
        assert most < 16 * CHUNK

    @given(st.lists(st.binary(max_size=3000), min_size=1, max_size=4), st.integers(1, 300), st.integers(1, 500))
    @pytest.mark.parametrize("packing", PACKINGS)
    def test_any_pieces_give_the_same_bytes(self, packing: str, members: list[bytes], piece: int, most: int) -> None:
        packed = b"".join(map(PACKINGS[packing], members))
        assert packing_of(packed) == packing
        unpacks, found = unpacking(packing), []
        for start in range(0, len(packed), piece):
            unpacks.feed(packed[start : start + piece])
            while plain := unpacks.take(most):
                assert len(plain) <= most
                found.append(plain)
        assert b"".join(found) == b"".join(members)
        assert unpacks.whole

    @pytest.mark.parametrize("packing", PACKINGS)
    @given(st.binary(max_size=200), st.booleans())
    def test_any_bytes_are_packed_or_not(self, packing: str, data: bytes, real: bool) -> None:
        unpacks = unpacking(packing)
        unpacks.feed((PACKINGS[packing](data) if real else b"") + data)
        try:
            while unpacks.take(100):
                pass
        except Broken:
            return


class TestFollow:
    def test_what_is_appended_is_read_once_its_line_is_whole(self, tmp_path: Path) -> None:
        path = tmp_path / "log"
        path.write_bytes(b"")
        source = file_source(path, follow=True)
        assert source.read() == []
        append(path, b'{"id":"a')
        assert source.read() == []
        append(path, b'"}\n{"id":"b"}\n')
        assert drain(source) == ["a", "b"]
        assert source.first_line == b'{"id":"a"}'
        assert source.read() == []
        assert source.size == source.offset

    def test_an_identity_from_before_the_first_line_still_holds(self, tmp_path: Path) -> None:
        path = tmp_path / "log"
        path.write_bytes(b'{"id":')
        before = file_source(path, follow=True)
        said: list[str] = []
        append(path, b'"a"}\n')
        assert drain(reopened(path, before, 0, said)) == ["a"]
        assert said == []

    def test_a_renamed_file_is_finished_before_the_new_one_begins(self, tmp_path: Path) -> None:
        path = tmp_path / "log"
        path.write_bytes(lines("a"))
        source = file_source(path, follow=True)
        assert drain(source) == ["a"]
        path.rename(tmp_path / "log.1")
        assert source.read() == []
        append(tmp_path / "log.1", lines("b") + b'{"id":"c"}')
        path.write_bytes(lines("d"))
        ends: list[int] = []
        found: list[str] = []
        for _ in range(6):
            for line in read_lines(source) or []:
                found.append(line.data.decode().split('"')[3])
                ends += [line.offset, line.end]
        assert found == ["a", "b", "c", "d"][1:]
        assert ends == sorted(ends)
        assert source.first_line == b'{"id":"d"}'

    @pytest.mark.parametrize("follow", [True, False])
    @pytest.mark.parametrize(
        ("settled", "expected"),
        [(0, "abcdef"), (1, "bcdef"), (2, "cdef"), (3, "def"), (4, "ef"), (5, "f"), (6, "")],
    )
    def test_a_restart_finds_the_rest_of_renamed_files(
        self, tmp_path: Path, settled: int, expected: str, follow: bool
    ) -> None:
        """Two rotations, two lines a file; the cursor stands after `settled` of them; the rest comes in order, at the same offsets."""
        path = tmp_path / "log"
        source: FileSource | None = None
        seen: list[tuple[int, bytes]] = []
        for number, pair in enumerate(("ab", "cd", "ef")):
            path.write_bytes(lines(*pair))
            source = source or file_source(path, follow=True)
            for _ in range(4):
                seen += [(line.offset, line.data) for line in read_lines(source) or []]
            if number < 2:
                path.rename(tmp_path / f"log.{2 - number}")
        assert source is not None
        cursor = seen[settled][0] if settled < 6 else source.offset
        again = reopened(path, source, cursor, [], follow=follow)
        found = []
        for _ in range(12):
            found += [(line.offset, line.data) for line in read_lines(again) or []]
        assert found == seen[settled:]
        assert "".join(data.decode().split('"')[3] for _, data in found) == expected

    def test_rotated_while_nothing_ran(self, tmp_path: Path) -> None:
        path = tmp_path / "log"
        path.write_bytes(lines("a", "b"))
        before = file_source(path, follow=True)
        first = read_lines(before)
        assert first
        path.rename(tmp_path / "log.1")
        path.write_bytes(lines("c"))
        said: list[str] = []
        again = reopened(path, before, first[0].end, said)
        found: list[str] = []
        for _ in range(6):
            found += [line.data.decode().split('"')[3] for line in read_lines(again) or []]
        assert found == ["b", "c"]
        assert said == [f"{path} was renamed to {tmp_path / 'log.1'}: reading the rest of it first"]

    def test_a_renamed_file_that_is_gone(self, tmp_path: Path) -> None:
        path = tmp_path / "log"
        path.write_bytes(lines("a", "b"))
        before = file_source(path, follow=True)
        keeps_the_inode = path.open("rb")
        path.unlink()
        path.write_bytes(lines("c"))
        said: list[str] = []
        assert drain(reopened(path, before, 11, said)) == ["c"]
        known = "11 bytes of the earlier one were not delivered and are gone"
        assert said == [f"{path} is not the file that was read before: starting at its beginning; {known}"]
        assert [loss.size for loss in OPEN[-1].losses] == [11]
        keeps_the_inode.close()

    def test_copied_and_truncated(self, tmp_path: Path) -> None:
        path = tmp_path / "log"
        path.write_bytes(lines("a", "b"))
        said: list[str] = []
        source = file_source(path, follow=True, notice=said.append)
        assert drain(source) == ["a", "b"]
        os.truncate(path, 0)
        assert source.read() == []
        append(path, lines("c"))
        assert drain(source) == ["c"]
        assert said == [f"{path} was truncated: starting at its beginning; what it had that was not read is gone"]
        assert source.offset == 33

    def test_a_file_that_vanishes_is_waited_for(self, tmp_path: Path) -> None:
        path = tmp_path / "log"
        path.write_bytes(lines("a"))
        source = file_source(path, follow=True)
        assert drain(source) == ["a"]
        path.rename(tmp_path / "other")
        assert source.read() == []
        path.write_bytes(lines("b"))
        assert source.read() == []
        assert drain(source) == ["b"]


class Looking:
    """A pattern that is followed, read as a run does: each source until it ends, then the next. State: the clock, the sources, what is said."""

    def __init__(self, *names: str) -> None:
        self.now = 0.0
        self.said: list[str] = []
        self.sources: list[FileSource] = []
        pattern = Pattern(names, lambda: self.now, self.said.append, lambda opener: self.sources.append(opener()))
        self.sources[:0] = [opener() for opener in pattern.inputs()]
        OPEN.extend(self.sources)
        self.at = 0

    def read(self, *, looks: int = 0) -> list[str]:
        """The ids of all that is there now, then of what comes with some more looks for new files."""
        found: list[str] = []
        for seconds in (0.0, *[LOOK_S] * looks):
            self.now += seconds
            while self.at < len(self.sources):
                lines = self.sources[self.at].read()
                found += [line.data.decode().split('"')[3] for line in lines or []]
                if lines is None:
                    self.at += 1
                elif not lines:
                    break
        OPEN.extend(source for source in self.sources if source not in OPEN)
        return found


class TestPattern:
    def test_new_file_is_read_from_its_start_after_the_last(self, tmp_path: Path) -> None:
        """Mutation that turns this red: `Pattern.behind` that never looks."""
        (tmp_path / "1.log").write_bytes(lines("a"))
        run = Looking(f"{tmp_path}/*.log")
        assert run.read(looks=2) == ["a"]
        (tmp_path / "2.log").write_bytes(lines("c"))
        append(tmp_path / "1.log", lines("b"))
        assert run.read() == ["b"]
        assert run.read(looks=3) == ["c"]
        assert run.said == [f"{tmp_path}/2.log is new: reading it from its start, after {tmp_path}/1.log"]
        append(tmp_path / "2.log", lines("d"))
        assert run.read() == ["d"]

    def test_file_that_still_grows_is_not_left(self, tmp_path: Path) -> None:
        """Mutation that turns this red: `FileSource._over` that does not look at the offset."""
        (tmp_path / "1.log").write_bytes(b"")
        run = Looking(f"{tmp_path}/*.log")
        (tmp_path / "2.log").write_bytes(lines("z"))
        for name in "abc":
            assert run.read(looks=1) == []
            append(tmp_path / "1.log", lines(name))
            assert run.read() == [name]
        append(tmp_path / "1.log", b'{"id":')
        assert run.read(looks=2) == []
        append(tmp_path / "1.log", b'"d"}')
        assert run.read(looks=2) == []
        assert run.read(looks=1) == ["d", "z"], "the last line has no break"

    def test_many_new_files_in_sorted_order(self, tmp_path: Path) -> None:
        (tmp_path / "b.log").write_bytes(lines("b"))
        run = Looking(f"{tmp_path}/*.log")
        for name in ("d", "a", "c"):
            (tmp_path / f"{name}.log").write_bytes(lines(name))
        assert run.read(looks=12) == ["b", "a", "c", "d"]

    def test_renamed_file_is_none(self, tmp_path: Path) -> None:
        """Each rotation's copy fits the pattern: it is the file that was read, whether it is still open or was left for the next one."""
        log = tmp_path / "1.log"
        log.write_bytes(lines("a"))
        run = Looking(f"{tmp_path}/1.log*")
        assert run.read() == ["a"]
        log.rename(tmp_path / "1.log.1")
        append(tmp_path / "1.log.1", lines("b"))
        assert run.read(looks=2) == ["b"]
        log.write_bytes(lines("c"))
        assert run.read(looks=3) == ["c"]
        (tmp_path / "1.log.1").rename(tmp_path / "1.log.2")
        log.rename(tmp_path / "1.log.1")
        assert run.read(looks=3) == []
        log.write_bytes(lines("d"))
        assert run.read(looks=3) == ["d"]
        assert run.said == []

    def test_file_with_the_inode_of_one_that_is_gone(self, tmp_path: Path) -> None:
        """What a closed file was is known by its first line too: an inode is used again."""
        log = tmp_path / "1.log"
        log.write_bytes(lines("a"))
        run = Looking(f"{tmp_path}/*.log")
        assert run.read() == ["a"]
        log.unlink()
        log.write_bytes(lines("b"))
        assert run.read(looks=2) == ["b"]
        for name in "cdefgh":
            (tmp_path / f"{name}.log").write_bytes(lines(name))
        assert run.read(looks=20) == list("cdefgh")

    def test_packed_file_is_left_for_the_next_run(self, tmp_path: Path) -> None:
        (tmp_path / "1.log").write_bytes(lines("a"))
        run = Looking(f"{tmp_path}/*")
        (tmp_path / "2.log.gz").write_bytes(gzip.compress(lines("b")))
        (tmp_path / "3").mkdir()
        assert run.read(looks=5) == ["a"]
        assert run.said == [f"{tmp_path}/2.log.gz is new and is gzip: it cannot be followed, the next run reads it"]

    def test_name_that_is_no_pattern_stays_one_file(self, tmp_path: Path) -> None:
        (tmp_path / "1.log").write_bytes(lines("a"))
        run = Looking(f"{tmp_path}/1.log")
        (tmp_path / "2.log").write_bytes(lines("b"))
        assert run.read(looks=5) == ["a"]


@pytest.mark.slow
def test_run_follows_a_log_through_a_rotation(tmp_path: Path) -> None:
    """The command, whole: it waits for lines, goes on with the new file, and ends with all delivered when it is told to."""

    def event(name: str) -> bytes:
        return json.dumps({"type": "track", "userId": "u", "event": "A", "messageId": name}).encode() + b"\n"

    def arrived() -> list[str]:
        return [row["messageId"] for one in receiver.requests for row in json.loads(one.body)["batch"]]

    log = tmp_path / "log"
    log.write_bytes(event("a"))
    with Receiver(port=0) as receiver:
        command = [
            sys.executable,
            "-m",
            "waypost",
            "run",
            "segment",
            "--set",
            "source_write_key=env:KEY",
            "--state",
            "state",
        ]
        running = subprocess.Popen(
            [*command, "--set", "endpoint=europe", "--endpoint-override", receiver.url, "--follow", "log"],
            cwd=tmp_path, env={**os.environ, "KEY": "k"}, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        for step, expected in ((None, ["a"]), ("append", ["a", "b"]), ("rotate", ["a", "b", "c"])):
            if step == "append":
                append(log, event("b"))
            elif step == "rotate":
                log.rename(tmp_path / "log.1")
                log.write_bytes(event("c"))
            with receiver.arrived:
                assert receiver.arrived.wait_for(lambda expected=expected: arrived() == expected, timeout=30)
        running.send_signal(signal.SIGTERM)
        said = running.communicate(timeout=30)[1]
    assert running.returncode == 0, said
    assert "delivered 3 of 3 deliveries" in said


@pytest.mark.slow
@pytest.mark.parametrize("target", ["plan", "connections"])
def test_run_takes_files_that_come_later(target: str, tmp_path: Path) -> None:
    """The command, whole, alone and with two lanes of one source: new files while it runs, and none twice after a restart.

    Mutation that turns this red: `Engine._added` that tells no lane.
    """
    (tmp_path / "plan.json").write_bytes(dump(plan()))
    (tmp_path / "shop.yaml").write_text(SPEC, encoding="utf-8")
    row = "{destination: shop.yaml, sources: [files], settings: {key: env:KEY}}"
    (tmp_path / "waypost.yaml").write_text(
        f"connections:\n  one: {row}\n  two: {row}\nsources:\n  files: {{files: 'log/*', follow: true}}\n"
    )
    one = ["run", "plan.json", "--set", "key=env:KEY", "--follow", "log/*"]
    words = [*(one if target == "plan" else ["run", "waypost.yaml"]), "--state", "state"]
    times = 1 if target == "plan" else 2
    names: list[str] = []

    def more(file: str, *added: str) -> None:
        for name in added:
            event = {"type": "track", "userId": "u", "event": "View", "messageId": name}
            append(tmp_path / "log" / file, json.dumps(event).encode() + b"\n")
            names.append(name)

    def all_came() -> bool:
        came = Counter(row["key"] for one in receiver.requests for row in json.loads(one.body)["events"])
        return came == Counter(names * times)

    def wait() -> None:
        with receiver.arrived:
            assert receiver.arrived.wait_for(all_came, 60), engine.said

    (tmp_path / "log").mkdir()
    with Receiver(port=0) as receiver:
        for last in (1, 3):
            # What is there when it begins is none of the new files.
            more(f"{last}", f"a{last}", f"b{last}")
            engine = Engine(tmp_path, *words, "--endpoint-override", receiver.url)
            wait()
            for number in (last + 1, last + 2):
                more(f"{number}", f"a{number}", f"b{number}")
                wait()
            engine.process.send_signal(signal.SIGTERM)
            assert engine.end() == 0, engine.said
            assert sum("is new: reading it from its start" in line for line in engine.said) == 2, engine.said


class TestGlobs:
    def test_files_in_sorted_order(self, tmp_path: Path) -> None:
        for name in ("b.ndjson", "a.ndjson", "c.txt", "d/e.ndjson"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(b"")
        (tmp_path / "z.ndjson").mkdir()
        assert [path.name for path in expand(f"{tmp_path}/*.ndjson")] == ["a.ndjson", "b.ndjson"]
        assert [path.name for path in expand(f"{tmp_path}/**/*.ndjson")] == ["a.ndjson", "b.ndjson", "e.ndjson"]

    def test_a_name_is_itself_and_a_pattern_without_files_is_told(self, tmp_path: Path) -> None:
        odd = tmp_path / "a[1].ndjson"
        odd.write_bytes(b"")
        assert expand(str(odd)) == [odd]
        assert expand("missing.ndjson") == [Path("missing.ndjson")]
        with pytest.raises(SourceError, match="no file matches"):
            expand(f"{tmp_path}/*.csv")


class TestStandardInput:
    def test_lines_are_in_the_journal_before_they_are_offered(self) -> None:
        long = b"x" * (LIMIT + 10)
        data = b"\xef\xbb\xbf" + lines("a", "b") + b"\n" + long + b"\r\n" + b"\xff\n" + b'{"id":"c"}'

        async def go() -> JournalSource:
            journal = MemoryJournal()
            await keep(io.BytesIO(data), journal, "stdin", clock=lambda: 7.0)
            return JournalSource(journal, "stdin", from_start=True)

        found = read_lines(asyncio.run(go()))
        assert found is not None
        assert [line.data[:11] for line in found] == [b'{"id":"a"}', b'{"id":"b"}', b"x" * 11, b"\xff", b'{"id":"c"}']
        assert [line.offset for line in found] == [1, 2, 3, 4, 5]
        told = found[2]
        assert isinstance(told, TooLong)
        assert (told.length, len(told.sha256)) == (LIMIT + 10, 64)

    def test_a_full_journal_holds_the_producer_back(self) -> None:
        async def go() -> None:
            journal = MemoryJournal(limit=5)
            waited: list[float] = []

            async def sleep(seconds: float) -> None:
                waited.append(seconds)
                assert journal.events("stdin") == []
                if len(waited) == 3:
                    journal.limit = 1 << 20

            await keep(io.BytesIO(lines("a", "b")), journal, "stdin", sleep=sleep)
            assert len(waited) == 3
            assert journal.events("stdin") == [b'{"id":"a"}', b'{"id":"b"}']

        asyncio.run(go())

    def test_a_next_run_begins_with_what_was_journaled(self) -> None:
        async def go() -> None:
            journal = MemoryJournal()
            await keep(io.BytesIO(lines("a", "b", "c")), journal, "stdin")
            again = JournalSource(journal, "stdin")
            again.resume(2, "journal")
            await keep(io.BytesIO(lines("d")), journal, "stdin")
            again.ended = True
            found = read_lines(again)
            assert found is not None
            assert [line.data for line in found] == [b'{"id":"b"}', b'{"id":"c"}', b'{"id":"d"}']
            assert again.read() is None

        asyncio.run(go())


@given(st.lists(st.sampled_from(["line", "part", "rotate", "read", "restart"]), max_size=25))
def test_every_line_of_a_log_comes_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    """Whatever a writer does between reads: lines, pieces of lines, rotations; and restarts that resume where all has ended."""
    folder = tmp_path_factory.mktemp("logs")
    path = folder / "log"
    path.write_bytes(b"")
    said: list[str] = []
    source = file_source(path, follow=True, notice=said.append)
    written, found, rotations, end = 0, [], 0, 0

    def read() -> None:
        nonlocal end
        for _ in range(4 * rotations + 4):
            for line in read_lines(source) or []:
                found.append(line.data)
                assert line.offset >= end
                end = line.end

    for step in steps:
        if step in ("line", "part"):
            whole = b'{"id":%d}\n' % written
            append(path, whole[:3])
            if step == "part":
                read()
            append(path, whole[3:])
            written += 1
        elif step == "rotate":
            # A source that has not looked since the last rotation cannot know of a file in between.
            read()
            rotations += 1
            path.rename(folder / f"log.{rotations}")
            path.write_bytes(b"")
        elif step == "read":
            read()
        else:
            read()
            source.close()
            source = reopened(path, source, end, said)
    read()
    source.close()
    assert found == [b'{"id":%d}' % number for number in range(written)]
    assert all("renamed" in text for text in said)
