"""A damaged state is never quiet: what was acknowledged is there, or it is said what is missing, status 70, and how to go on."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from pathlib import Path

import pytest
from test_store import step

from kills import plan
from running import waypost
from waypost.http.receiver import Receiver
from waypost.state import records
from waypost.state.integrity import COUNTED, SEALED
from waypost.state.journal import Journal
from waypost.state.journal_source import Unreadable
from waypost.state.repair import mend
from waypost.state.store import CHECKED, Damaged, StateError, Store, look

EVENTS = 300
Held = tuple[list[tuple[int, bytes, float]], int, object, object]


def event(number: int) -> bytes:
    return b'{"type":"track","n":%d,"pad":"%s"}' % (number, b"x" * 40)


def build(folder: Path) -> Path:
    """A state as it lies on the disk when its engine was killed: a part is in the file, a part in its log."""
    store = Store(folder / "alive")
    journal = Journal(store)

    async def go() -> None:
        for number in range(1, EVENTS + 1, 3):
            await journal.append("j", [event(one) for one in range(number, number + 3)], 1.0)
            await store.commit(step(number))
            if number == 151:
                database = sqlite3.connect(folder / "alive" / "state.sqlite")
                database.execute("pragma wal_checkpoint(passive)").fetchall()
                database.close()

    asyncio.run(go())
    shutil.copytree(folder / "alive", folder / "killed", ignore=shutil.ignore_patterns("*-shm"))
    store.close()
    return folder / "killed"


def held(folder: Path) -> Held:
    """All that a state has: raises StateError or Unreadable where it lacks something that it can tell."""
    store = Store(folder)
    try:
        rows = Journal(store).read("j", 0, 1 << 30)
        reader = store.reader
        letters = [(letter.offset, letter.event, letter.record) for letter in records.letters(reader, print)]
        return rows, Journal(store).next("j"), letters, (list(records.cursors(reader)), records.lanes(reader))
    finally:
        store.close()


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("state"))


@pytest.fixture
def copy(killed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(killed, tmp_path / "state"))


def whole() -> list[tuple[int, bytes, float]]:
    return [(number, event(number), 1.0) for number in range(1, EVENTS + 1)]


def test_killed_engine_has_left_no_damage(copy: Path) -> None:
    assert held(copy)[0] == whole()
    assert held(copy)[0] == whole()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ["state.sqlite", "state.sqlite-wal", "lock"])
def test_no_damage_is_quiet(name: str, seed: int, killed: Path, tmp_path: Path) -> None:
    """Cut anywhere, bytes flipped, blocks of zeros: all that was acknowledged, or a refusal that says what is missing."""
    rng = random.Random(f"{name} {seed}")
    good = held(Path(shutil.copytree(killed, tmp_path / "good")))
    refused = 0
    for turn in range(25):
        place = tmp_path / f"s{turn}"
        shutil.copytree(killed, place)
        data = bytearray((place / name).read_bytes())
        at = rng.randrange(len(data))
        how = rng.choice(["cut", "flip", "flip", "zeros"])
        if how == "cut":
            del data[at:]
        elif how == "flip":
            data[at] ^= 1 << rng.randrange(8)
        else:
            data[at : at + 512] = bytes(len(data[at : at + 512]))
        (place / name).write_bytes(data)
        try:
            found = held(place)
        except (StateError, Unreadable) as error:
            refused += 1
            assert "\n" not in str(error)
            continue
        assert found == good, (how, at)
    assert refused or name == "lock"


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("database emptied", "its database is empty, and had 200 commits with 300 acknowledged events"),
        ("database removed", "its database is gone, and had 200 commits with 300 acknowledged events"),
        ("log emptied", "its last 98 commits are gone, with 147 acknowledged events"),
        ("log removed", "its last 98 commits are gone, with 147 acknowledged events"),
        ("log halved", "commits are gone"),
        ("lock emptied", "the mark in its file `lock` is gone"),
        ("lock removed", "the mark in its file `lock` is gone"),
        ("all but the lock removed", "its database is gone"),
        ("another database", "it is another database than the one that was kept here last"),
    ],
)
def test_what_is_gone_is_said_with_status_70(what: str, said: str, copy: Path, tmp_path: Path) -> None:
    """By every command that opens a state; and `--accept-damage` goes on with what is there, once that was said."""
    name = {"database": "state.sqlite", "log": "state.sqlite-wal", "lock": "lock"}.get(what.split()[0], "state.sqlite")
    if what.endswith("emptied"):
        (copy / name).write_bytes(b"")
    elif what.endswith("halved"):
        data = (copy / name).read_bytes()
        (copy / name).write_bytes(data[: len(data) // 2])
    elif what == "another database":
        Store(tmp_path / "other").close()
        (copy / "state.sqlite-wal").unlink()
        shutil.copy(tmp_path / "other" / "state.sqlite", copy)
    else:
        (copy / name).unlink()
        if what.startswith("all"):
            (copy / "state.sqlite-wal").unlink()
    (tmp_path / "e.ndjson").write_bytes(b"")
    run = (
        "run",
        "segment",
        "--set",
        "source_write_key=env:KEY",
        "--set",
        "endpoint=europe",
        "--state",
        str(copy),
        str(tmp_path / "e.ndjson"),
    )
    for words in (run, ("state", str(copy)), ("dead", "list", "--state", str(copy))):
        status, _, told = waypost(*words, KEY="k")
        assert status == 70, told
        assert said in told
        assert f"waypost state {copy} --accept-damage" in told
        assert told.count("\n") == 1
    status, _, told = waypost("state", str(copy), "--accept-damage")
    assert status == 0, told
    if "with 147" in said:
        assert "147 of 300 acknowledged events are gone" in told
    assert waypost("state", str(copy))[0] == 0
    rows, following, _, _ = held(copy)
    assert rows == whole()[: len(rows)]
    assert following == len(rows) + 1
    assert "not damaged" in waypost("state", str(copy), "--accept-damage")[2]


@pytest.mark.parametrize("table", sorted(SEALED))
def test_rows_that_are_altered_are_found_and_left_out(table: str, copy: Path) -> None:
    """By whoever: the database is whole, the row is not what was written."""
    database = sqlite3.connect(copy / "state.sqlite", isolation_level=None)
    column = {"cursor": "byte_offset", "ledger": "counts", "journaled": "next", "journal": "events", "dead": "event"}[
        table
    ]
    last = database.execute(f"select max(rowid) from {table}").fetchone()[0]
    other = {"cursor": 7, "journaled": 7}.get(table, b"other")
    database.execute(f"update {table} set {column} = ? where rowid = ?", (other, last))
    database.close()
    with pytest.raises(Damaged, match=f"1 rows of `{table}` are damaged"):
        Store(copy)
    with pytest.raises(Damaged):
        look(copy)
    said = mend(copy)
    assert any(line.startswith(f"{table}: 1 rows are gone") for line in said)
    rows, following, _, _ = held(copy)
    assert rows == (whole()[:-3] if table == "journal" else whole())
    assert following == EVENTS + 1


@pytest.mark.parametrize("how", ["one", "all"])
@pytest.mark.parametrize("table", COUNTED)
def test_rows_that_somebody_deletes_are_noticed(table: str, how: str, copy: Path) -> None:
    """By SQL, in a database that is whole; every other row is what was written. Mutation that turns this red: `count_rows` that does nothing,
    or `rows_gone` that gives nothing."""
    store = Store(copy)
    store.do(lambda database: records.keep_plan(database, plan()))
    store.close()
    database = sqlite3.connect(copy / "state.sqlite", isolation_level=None)
    before = database.execute(f"select count(*) from {table}").fetchone()[0]
    last = database.execute(f"select max(rowid) from {table}").fetchone()[0]
    database.execute(f"delete from {table}" + (f" where rowid = {last}" if how == "one" else ""))
    gone = 1 if how == "one" else before
    database.close()
    for opens in (Store, look):
        with pytest.raises(Damaged, match=f"{gone} rows of `{table}` are gone"):
            opens(copy)
    told = mend(copy)
    assert any(line.startswith(f"{table}: {gone} rows are gone") for line in told)
    look(copy).close()
    assert "not damaged" in waypost("state", str(copy), "--accept-damage")[2]


def test_cursor_deleted_by_sql_sends_nothing_again_unasked(tmp_path: Path) -> None:
    """The command: refused with 70 and one line; after `--accept-damage` it goes on."""
    (tmp_path / "e.ndjson").write_bytes(b"".join(event(number) + b"\n" for number in range(5)))
    state = tmp_path / "st"
    with Receiver(port=0) as receiver:
        run = ["run", "segment", "--set", "source_write_key=env:KEY", "--set", "endpoint=europe"]
        run += ["--endpoint-override", receiver.url, "--state", str(state), str(tmp_path / "e.ndjson")]
        waypost(*run, KEY="k")
        database = sqlite3.connect(state / "state.sqlite", isolation_level=None)
        assert database.execute("delete from cursor").rowcount == 1
        database.close()
        sent = len(receiver.requests)
        status, _, told = waypost(*run, KEY="k")
        assert (status, len(receiver.requests)) == (70, sent)
        assert "1 rows of `cursor` are gone" in told
        assert "--accept-damage" in told
        assert waypost("state", str(state), "--accept-damage")[0] == 0
        assert waypost(*run, KEY="k")[0] in (0, 3)


def test_state_of_version_3_has_its_rows_counted(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.do(step(4))
    store.close()
    database = sqlite3.connect(tmp_path / "state.sqlite", isolation_level=None)
    database.execute("drop table counted")
    database.execute("pragma user_version = 3")
    database.close()
    store = Store(tmp_path)
    store.do(step(8))
    store.close()
    Store(tmp_path).close()


def test_events_between_others_are_missed(copy: Path) -> None:
    database = sqlite3.connect(copy / "state.sqlite", isolation_level=None)
    database.execute("delete from journal where first = 31")
    database.close()
    with pytest.raises(Damaged, match="3 events of the journal of j are gone"):
        Store(copy)
    # Accepted once, they are not missed again.
    mend(copy)
    assert [number for number, _, _ in held(copy)[0]] == [*range(1, 31), *range(34, EVENTS + 1)]


def test_row_of_a_long_journal_is_checked_when_it_is_read(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large state is not read whole when it is opened."""
    monkeypatch.setattr("waypost.state.store.CHECKED", 0)
    database = sqlite3.connect(copy / "state.sqlite", isolation_level=None)
    database.execute("update journal set events = ? where first = 4", (b"\x91\xc4\x02{}",))
    database.close()
    store = Store(copy)
    with pytest.raises(Unreadable, match="the events 4 to 6 of j are damaged"):
        Journal(store).read("j", 0, 1 << 30)
    store.close()


def test_state_of_version_2_has_its_rows_sealed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    asyncio.run(Journal(store).append("j", [b"a", b"b"], 1.5))
    store.do(step(4))
    store.close()
    database = sqlite3.connect(tmp_path / "state.sqlite", isolation_level=None)
    for table in SEALED:
        database.execute(f"alter table {table} drop column crc")
    database.execute("drop table mark")
    database.execute("drop table counted")
    database.execute("pragma user_version = 2")
    database.close()
    (tmp_path / "lock").write_bytes(b"")
    store = Store(tmp_path)
    assert Journal(store).read("j", 0, 100) == [(1, b"a", 1.5), (2, b"b", 1.5)]
    asyncio.run(Journal(store).append("j", [b"c"], 1.5))
    store.close()
    assert held(tmp_path)[1] == 4


def test_error_mending_beside_an_engine(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StateError, match="another engine"):
        mend(tmp_path)
    store.close()


@pytest.mark.parametrize(
    "alter",
    [
        "update dead set event = x'7b7d' where id = 2",
        "update dead set record = x'00' where id = 2",
        "update dead set item = x'00' where id = 2",
        "update dead set origin = 77 where id = 2",
        "update origin set first_line = x'00' where id = (select origin from dead where id = 2)",
    ],
)
def test_dead_letters_of_a_large_state_are_looked_at_when_they_are_read(alter: str, copy: Path, tmp_path: Path) -> None:
    """A state that is too large to be looked at whole when it is opened."""
    database = sqlite3.connect(copy / "state.sqlite", isolation_level=None)
    database.execute("insert into plan values ('large', zeroblob(?))", (CHECKED + (1 << 20),))
    held = database.execute("select count(*) from dead").fetchone()[0]
    bad = 1 if "update dead" in alter else held
    database.execute(alter)
    database.execute("pragma wal_checkpoint(truncate)").fetchall()
    database.close()
    said = f"{bad:,} dead letter{'s are' if bad > 1 else ' is'} not as written and left alone (numbers: "
    state = ("--state", str(copy))
    for words, good in (
        (("dead", "list", *state, "--json", "--limit", "1000"), held - bad),
        (("dead", "export", *state), held - bad),
        (("dead", "show", "1", "2", *state, "--json"), min(1, held - bad)),
        (("dead", "drop", "--all", "--dry-run", *state), 0),
        (
            (
                "dead",
                "replay",
                *state,
                "--dry-run",
                "--to",
                "segment",
                "--set",
                "source_write_key=env:KEY",
                "--set",
                "endpoint=europe",
            ),
            None,
        ),
    ):
        status, out, err = waypost(*words, cwd=tmp_path, KEY="k")
        assert status == 70, (words, err)
        assert good is None or len(out.splitlines()) == good
        assert ("1 dead letter is not as written" if bad == 1 else "dead letters are not as written") in err
        assert "show" in words or said in err
        assert "--accept-damage" in err
        assert "Traceback" not in err
    assert f"{held - bad:,} dead letters would be dropped" in waypost("dead", "drop", "--all", "--dry-run", *state)[2]
