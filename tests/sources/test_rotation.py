"""Rotated logs: every line that still exists on the disk comes once and in order, whatever the log is called by now; what is gone is
counted.
"""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks import read_lines
from rotations import KINDS, Log, Run
from waypost.events.file_parts import Part, parts_of, since
from waypost.events.lines import SourceError
from waypost.sources import opened
from waypost.sources.file import FileSource
from waypost.sources.rotation import located

OPEN: list[FileSource] = []


@pytest.fixture(autouse=True)
def _closes_files() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def file_source(path: Path, **options: Any) -> FileSource:
    OPEN.append(FileSource(path, **options))
    return OPEN[-1]


def ids(source: FileSource, ends: list[int] | None = None) -> list[str]:
    """All that is there now. `ends` gets where each line ends."""
    found: list[str] = []
    idle = 0
    while idle < 6:
        lines = read_lines(source)
        if lines is None:
            break
        idle = 0 if lines else idle + 1
        found += [line.data.decode().split('"')[3] for line in lines]
        if ends is not None:
            ends += [line.end for line in lines]
    return found


@given(
    st.sampled_from(KINDS),
    st.lists(st.sampled_from(["line", "lines", "rotate", "rotate", "read", "restart"]), max_size=20),
    st.integers(0, 3),
    st.booleans(),
)
def test_every_line_comes_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, kind: str, steps: list[str], unsettled: int, follow: bool
) -> None:
    """Between two looks a log is rotated any number of times; a restart resumes where what has ended does, some lines before what was read.

    Mutation that turns this red: `rotation.following` that gives nothing."""
    log = Log(tmp_path_factory.mktemp("logs"), kind)
    log.write(1)
    said: list[str] = []
    source = file_source(log.path, follow=follow, notice=said.append)
    found: list[str] = []
    ends: list[int] = []

    def restart() -> None:
        nonlocal source
        kept = max(0, len(found) - unsettled)
        del found[kept:], ends[kept:]
        identity = since(source.identity, ends[-1] if ends else 0)
        source.close()
        source = file_source(log.path, follow=follow, notice=said.append)
        assert source.resume(ends[-1] if ends else 0, identity) == ""
        found.extend(ids(source, ends))

    for step in steps:
        if step in ("line", "lines"):
            log.write(1 if step == "line" else 7)
        elif step == "rotate":
            log.rotate()
            log.write(1)
        elif step == "restart":
            restart()
        elif follow:
            found += ids(source, ends)
    if follow:
        found += ids(source, ends)
    else:
        restart()
    assert found == log.written
    assert ends == sorted(ends)
    assert source.losses == []


class Meanwhile:
    """Rotations that go on while the source looks: at each of its looks at the disk the next step, where `steps` says so. State: the rotation
    under way, and how many are left."""

    def __init__(self, log: Log, rotations: int, steps: list[bool]) -> None:
        self._log = log
        self._left = rotations
        self._steps = iter(steps)
        self._under_way: Iterator[None] | None = None
        self._stepping = False

    def step(self) -> None:
        if self._stepping or not next(self._steps, False):
            return
        self._stepping = True  # what it does itself is no look of the source
        self._step()
        self._stepping = False

    def _step(self) -> None:
        if self._under_way is None:
            if not self._left:
                return
            self._left -= 1
            self._log.write(1)
            self._under_way = self._log.rotating()
        if next(self._under_way, self) is self:
            self._under_way = None
            self._log.write(1)

    def finish(self) -> None:
        """What is left of a rotation that was begun."""
        for _ in self._under_way or ():
            pass
        self._under_way = None
        self._log.write(1)


@given(
    st.sampled_from(KINDS),
    st.integers(1, 3),
    st.lists(st.booleans(), max_size=80),
    st.sampled_from(["follow", "restart"]),
)
def test_a_rotation_between_two_looks_at_the_disk_hides_no_file(
    tmp_path_factory: pytest.TempPathFactory, kind: str, rotations: int, steps: list[bool], way: str
) -> None:
    """Names change between the list of a folder and the opening of one of its files.

    Mutation that turns this red: `_settled` that takes what it finds first."""
    log = Log(tmp_path_factory.mktemp("logs"), kind)
    log.write(2)
    source = file_source(log.path, follow=True)
    ends: list[int] = []
    found = ids(source, ends)
    log.write(1)
    meanwhile = Meanwhile(log, rotations, steps)
    identity = source.identity
    if way == "restart":
        source.close()
        source = file_source(log.path, follow=True)
    with pytest.MonkeyPatch.context() as patched:
        for module, name in ((os, "scandir"), (os, "stat"), (opened, "_open")):
            patched.setattr(module, name, _after(meanwhile.step, getattr(module, name)))
        if way == "restart":
            assert source.resume(ends[-1], identity) == ""
        found += ids(source, ends)
    meanwhile.finish()
    found += ids(source, ends)
    assert found == log.written
    assert source.losses == []


@pytest.mark.parametrize("follow", [False, True])
def test_a_rotated_file_that_cannot_be_opened_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, follow: bool
) -> None:
    """Its rights may be another user's. Mutation that turns this red: `_next` that gives up at the first file that it cannot open."""
    log = Log(tmp_path, "renamed")
    log.write(2)
    source = file_source(log.path, follow=follow)
    found = ids(source)
    end, identity = source.offset, source.identity
    for _ in range(2):
        log.rotate()
        log.write(1)
    real = opened._open

    def refused(path: Path) -> Any:
        if path.name == "app.log.1":
            raise SourceError(f"cannot read {path}: Permission denied")
        return real(path)

    monkeypatch.setattr(opened, "_open", refused)
    if not follow:
        source.close()
        source = file_source(log.path)
        source.resume(end, identity)
    found += ids(source)
    assert found == ["n0", "n1", "n3"]
    (loss,) = source.losses
    assert "app.log.1 came after what was read and cannot be opened (cannot read" in loss.text
    assert loss.size == (tmp_path / "app.log.1").stat().st_size


def _after(step: Callable[[], None], function: Callable[..., Any]) -> Callable[..., Any]:
    def called(*args: Any, **named: Any) -> Any:
        step()
        return function(*args, **named)

    return called


def resumed(path: Path, offset: int, identity: str, said: list[str]) -> FileSource:
    source = file_source(path, follow=True, notice=said.append)
    said.append(source.resume(offset, identity))
    return source


def test_what_is_gone_is_said_and_counted(tmp_path: Path) -> None:
    """Rotated four times while only two files are kept: what is left is read, the rest is a loss.

    Mutation that turns this red: `_replaced` that looks at nothing but the log."""
    log = Log(tmp_path, "renamed")
    log.write(4)
    before = file_source(log.path, follow=True)
    assert len(ids(before)) == 4
    log.write(3)
    end, identity = before.offset, before.identity
    gone = log.path.stat().st_size - end
    for _ in range(4):
        os.utime(log.path, (2e9 + log.rotations, 2e9 + log.rotations))
        log.rotate()
        log.write(1)
    (tmp_path / "app.log.4").unlink()
    (tmp_path / "app.log.3").unlink()
    said: list[str] = []
    source = resumed(log.path, end, identity, said)
    assert ids(source) == ["n8", "n9", "n10"]
    assert [loss.size for loss in source.losses] == [gone]
    assert f"starting with {tmp_path}/app.log.2" in said[0]


ZSTD = bytes.fromhex("28b52ffd0458") + b"\0" * 34


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("app.log.1.zst", ZSTD),
        ("app.log.1", ZSTD),
        ("app.log.1.lz4", bytes.fromhex("04224d186440a7") + b"\0" * 33),
        ("app.log.1.Z", b"\x1f\x9d\x90" + b"\0" * 37),
        ("app.log.1.zip", b"PK\x03\x04" + b"\0" * 36),
        ("app.log-20260101.zst", ZSTD),
        ("app.log.1.br", b"\x8b\x01\x80" + b"\0" * 37),
    ],
)
@pytest.mark.parametrize("follow", [True, False])
def test_what_cannot_be_unpacked_is_said_and_counted(name: str, content: bytes, follow: bool, tmp_path: Path) -> None:
    """Packed while nobody looked: its lines are there, and are not delivered.

    Mutation that turns this red: `unreadable` that gives nothing."""
    log = Log(tmp_path, "renamed")
    log.write(3)
    before = file_source(log.path, follow=follow)
    assert len(ids(before)) == 3
    end, identity = before.offset, before.identity
    before.close()
    log.write(4)
    log.rotate()
    (tmp_path / "app.log.1").unlink()
    (tmp_path / name).write_bytes(content)
    os.utime(tmp_path / name, (2e9, 2e9))
    log.write(2)
    said: list[str] = []
    source = file_source(log.path, follow=follow, notice=said.append)
    assert "is not the file that was read before" in source.resume(end, identity)
    assert ids(source) == log.written[-2:]
    assert [loss.size for loss in source.losses] == [40]
    assert f"{tmp_path / name} came after what was read" in said[0]
    again = file_source(log.path, follow=follow, notice=said.append)
    assert again.resume(source.offset, source.identity) == ""
    assert again.losses == []


def test_one_that_was_read_to_its_end_before_it_was_packed_is_no_loss(tmp_path: Path) -> None:
    """Its time of change is the one that it had: nothing was added. One between two that can be read is missed by itself."""
    log = Log(tmp_path, "renamed")
    log.write(3)
    before = file_source(log.path, follow=True)
    assert len(ids(before)) == 3
    end, identity = before.offset, before.identity
    before.close()
    changed = log.path.stat().st_mtime_ns
    for _ in range(3):
        log.rotate()
        log.write(2)
        os.utime(log.path, ns=(changed + log.rotations, changed + log.rotations))
    for number in (3, 2):
        (tmp_path / f"app.log.{number}").unlink()
        (tmp_path / f"app.log.{number}.zst").write_bytes(ZSTD)
        os.utime(tmp_path / f"app.log.{number}.zst", ns=(changed + 3 - number, changed + 3 - number))
    said: list[str] = []
    source = resumed(log.path, end, identity, said)
    assert ids(source) == log.written[-4:]
    assert f"{tmp_path}/app.log.2.zst" in said[0]
    assert "app.log.3" not in "".join(said)
    assert source.losses[0].size == 40


def test_a_folder_in_the_folder_that_has_none_of_its_files_is_left_alone(tmp_path: Path) -> None:
    log = Log(tmp_path, "moved")
    log.write(2)
    (tmp_path / "another").mkdir()
    (tmp_path / "another" / "app.log.1").write_bytes(b'{"id":"another"}\n')
    os.utime(tmp_path / "another" / "app.log.1", (2e9, 2e9))
    source = file_source(log.path, follow=True)
    assert ids(source) == ["n0", "n1"]
    for _ in range(2):
        log.rotate()
        log.write(1)
    assert ids(source) == ["n2", "n3"]


def test_rotated_away_and_nothing_tells_what_it_had_more_is_missing(tmp_path: Path) -> None:
    """A state from before 2.0 knows no times. Mutation that turns this red: `shows_rotation` that says no."""
    log = Log(tmp_path, "renamed")
    log.write(2)
    before = file_source(log.path)
    assert len(ids(before)) == 2
    old = parts_of(before.identity)[0].identity
    log.rotate()
    log.write(1)
    (tmp_path / "app.log.1").write_bytes(b'{"id":"older"}\n')
    said: list[str] = []
    source = resumed(log.path, before.offset, old, said)
    assert "whether the earlier one had more than was read of it is not known" in said[0]
    assert len(source.losses) == 1


def test_a_file_that_was_replaced_when_all_of_it_was_read_is_no_loss(tmp_path: Path) -> None:
    path = tmp_path / "day.ndjson"
    log = Log(tmp_path, "renamed")
    log.write(3)
    log.path.rename(path)
    before = file_source(path)
    assert len(ids(before)) == 3
    path.unlink()
    log.write(1)
    shutil.copy(log.path, path)
    again = file_source(path)
    assert "starting at its beginning" in again.resume(before.offset, before.identity)
    assert ids(again) == ["n3"]
    assert again.losses == []


@pytest.mark.parametrize("follow", [True, False])
@pytest.mark.parametrize("grown", [0, 2])
@pytest.mark.parametrize("how", ["moved away", "deleted", "moved and packed"])
def test_a_log_that_is_moved_to_where_nobody_looks(how: str, grown: int, follow: bool, tmp_path: Path) -> None:
    """While no engine ran. What it had more is not known: of a log that is followed that is a place that is missing, of an export it is not.

    Mutation that turns this red: `moved` that is never so."""
    folder, away = tmp_path / "logs", tmp_path / "archive"
    folder.mkdir()
    away.mkdir()
    log = Log(folder, "renamed")
    log.write(3)
    before = file_source(log.path, follow=follow)
    assert len(ids(before)) == 3
    end, identity = before.offset, before.identity
    before.close()
    log.write(grown)
    if how == "moved and packed":
        (away / "app.log.1.gz").write_bytes(gzip.compress(log.path.read_bytes()))
    kept = away / "app.log"
    log.path.rename(kept)
    log.write(1)
    if how != "moved away":
        kept.unlink()
    source = file_source(log.path, follow=follow)
    said = source.resume(end, identity)
    assert "whether the earlier one had more than was read of it is not known" in said
    assert ids(source) == log.written[-1:]
    assert [(loss.size, loss.text) for loss in source.losses] == ([(0, said)] if follow else [])


def test_truncated_without_a_copy_is_a_loss(tmp_path: Path) -> None:
    """Truncated and grown again at once, beyond where it was read: only its bytes tell.

    Mutation that turns this red: `_altered` that looks at the size alone."""
    log = Log(tmp_path, "copied")
    log.write(3)
    said: list[str] = []
    source = file_source(log.path, follow=True, notice=said.append)
    assert len(ids(source)) == 3
    os.truncate(log.path, 0)
    log.write(9)
    assert ids(source) == log.written[3:]
    assert "was truncated" in said[0]
    assert len(source.losses) == 1


def test_older_files_and_strangers_are_not_taken_for_rotated_ones(tmp_path: Path) -> None:
    log = Log(tmp_path, "renamed")
    for name in ("app.log.7", "app-notes.log", "app.log.copy", "other.log.1"):
        (tmp_path / name).write_bytes(b'{"id":"%b"}\n' % name.encode())
    log.write(2)
    source = file_source(log.path, follow=True)
    assert ids(source) == ["n0", "n1"]
    for name in ("app.log.1", "app.log.copy2"):
        (tmp_path / name).write_bytes(b'{"id":"%b"}\n' % name.encode())
    log.rotations = 6
    (tmp_path / "app.log.1").unlink()
    log.rotate()
    log.write(1)
    assert ids(source) == ["n2"]


def test_a_log_is_written_to_until_the_new_one_has_a_line(tmp_path: Path) -> None:
    """Its writer goes over to the new file some time after the old one was renamed."""
    log = Log(tmp_path, "renamed")
    log.write(1)
    source = file_source(log.path, follow=True)
    assert ids(source) == ["n0"]
    log.rotate()
    assert ids(source) == []
    with (tmp_path / "app.log.1").open("ab") as late:
        late.write(b'{"id":"late"}\n')
    assert ids(source) == ["late"]
    log.write(1)
    assert ids(source) == ["n1"]


def test_the_identity_of_a_state_from_before_is_read(tmp_path: Path) -> None:
    log = Log(tmp_path, "renamed")
    log.write(2)
    source = file_source(log.path)
    part = parts_of(source.identity)[0]
    old = part.identity
    assert parts_of(f"{old} {old}@70") == [Part(old), Part(old, 70)]
    assert str(part) != old
    log.rotate()
    found = located(log.path, Part(old))
    assert found is not None
    assert found.path == tmp_path / "app.log.1"
    found.close()


@pytest.mark.slow
@pytest.mark.parametrize("down", ["engine", "destination"])
@pytest.mark.parametrize("kind", KINDS)
def test_run_loses_no_line_of_a_rotated_log(kind: str, down: str, tmp_path: Path) -> None:
    """The command, whole. `make soak` does it with more rotations."""
    run = Run(tmp_path, kind, down)
    run.run(3)
    assert run.came == set(run.log.written)
    assert run.status == 0, run.said


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_runs_that_end_lose_no_line_of_a_log_that_is_rotated_between_them(kind: str, tmp_path: Path) -> None:
    run = Run(tmp_path, kind, "between runs")
    run.run_once_each(3)
    assert run.came == set(run.log.written)
    assert run.status == 0, run.said
