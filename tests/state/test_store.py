"""The state: commits that hold, files that are refused, and what is left after a power loss at any byte of the log."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import struct
import time
from collections import Counter
from pathlib import Path

import pytest

from waypost.delivery.ledger import Ledger, pack, unpack
from waypost.state import records
from waypost.state.journal import Journal
from waypost.state.journal_source import JournalFull
from waypost.state.records import Cursor, LaneStep, Letter, Snapshot
from waypost.state.store import SPARE, Damaged, StateError, Store, look
from waypost.state.tables import SCHEMA


def letter(number: int) -> Letter:
    return Letter(
        "c", "s", number, "a", None, "refused", False, 1.0, "", b'{"n":%d}' % number, b'{"reason":"refused"}', b"first"
    )


def step(number: int) -> LaneStep:
    """After `number` events: three in four delivered, the others dead letters."""
    dead = number // 4
    ledger = Ledger(
        read=number,
        accepted=number,
        deliveries=number,
        delivered=number - dead,
        dead=Counter({"refused": dead} if dead else {}),
    )
    letters = (letter(number),) if number % 4 == 0 else ()
    return LaneStep("c", "s", (Cursor("f", "i", Snapshot(number)),), ledger, letters)


def check(store: Store) -> int:
    """The invariants of a state, whatever happened to it: cursor, ledger and dead letters agree. Gives the cursor."""
    cursors = records.cursors_of(store.reader, "c", "s")
    at = cursors["f"].at.cursor if cursors else 0
    ledger = records.ledger_of(store.reader, "c", "s")
    held = sum(records.letter_counts(store.reader).get(("c", "s"), {}).values())
    assert ledger.closes
    assert ledger.read == at
    assert ledger.dead.total() == held == at // 4
    rows = Journal(store).read("j", 0, 1 << 30)
    assert [(number, event) for number, event, _ in rows] == [(n, b"e%d" % n) for n in range(1, len(rows) + 1)]
    # A step and its append are two commits: the second of a pair may be missing.
    assert len(rows) == Journal(store).next("j") - 1
    assert at in (len(rows), len(rows) + 1)
    return len(rows)


def test_log_cut_anywhere_leaves_a_state_that_agrees(tmp_path: Path) -> None:
    """P1, power loss: the log is cut at every frame and at random bytes; what was committed before the cut is there, whole.

    Mutation that turns this red: `LaneStep.__call__` committing between the cursor and the ledger.
    """
    folder = tmp_path / "state"
    store = Store(folder)
    # Without this, the log would be folded into the file now and then, and there would be nothing to cut.
    store.do(lambda database: database.execute("pragma wal_autocheckpoint = 0").fetchall() and None)
    ends: list[int] = []
    marks: list[bytes] = [(folder / "lock").read_bytes()]
    wal = folder / "state.sqlite-wal"
    journal = Journal(store)
    for number in range(1, 17):
        store.do(step(number))
        asyncio.run(journal.append("j", [b"e%d" % number], 1.0))
        ends.append(wal.stat().st_size)
        marks.append((folder / "lock").read_bytes())
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    store.close()
    size = (copy / "state.sqlite-wal").stat().st_size
    page = struct.unpack(">I", (copy / "state.sqlite-wal").read_bytes()[8:12])[0]
    frames = list(range(32, size + 1, page + 24))
    rng = random.Random(11)
    places = frames + [rng.randrange(32, size) for _ in range(40)] + [size]
    # A power loss: nothing is gone that was acknowledged, so nothing is said to be.
    acknowledged = {cut: sum(end <= cut for end in ends) for cut in places}
    found = {cut: state_after_cut(copy, tmp_path / "cut", cut, marks[acknowledged[cut]]) for cut in places}
    for cut, at in found.items():
        assert at == sum(end <= cut for end in ends)
    assert found[size] == 16
    # Damage: the log ends before what was acknowledged.
    for cut in places:
        if acknowledged[cut] < 16:
            with pytest.raises(Damaged, match=r"commits are gone|holds nothing|count is gone"):
                state_after_cut(copy, tmp_path / "cut", cut, marks[-1])
    assert state_after_cut(copy, tmp_path / "cut", size, marks[-1]) == 16


def state_after_cut(copy: Path, place: Path, cut: int, mark: bytes) -> int:
    """The number of pairs of commits that are left when the log ends at a byte, with the mark that there was by then."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    shutil.copy(copy / "state.sqlite", place)
    (place / "state.sqlite-wal").write_bytes((copy / "state.sqlite-wal").read_bytes()[:cut])
    (place / "lock").write_bytes(mark)
    store = Store(place)
    try:
        return check(store)
    finally:
        store.close()


def test_damaged_log_never_gives_a_torn_state(tmp_path: Path) -> None:
    """Bytes of the log that are wrong: everything before them is there, nothing of what follows."""
    folder = tmp_path / "state"
    store = Store(folder)
    journal = Journal(store)
    for number in range(1, 21):
        store.do(step(number))
        asyncio.run(journal.append("j", [b"e%d" % number], 1.0))
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    store.close()
    data = (copy / "state.sqlite-wal").read_bytes()
    rng = random.Random(5)
    for _ in range(25):
        place = tmp_path / "torn"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(copy, place, ignore=shutil.ignore_patterns("*-shm"))
        at = rng.randrange(len(data))
        (place / "state.sqlite-wal").write_bytes(data[:at] + bytes([data[at] ^ 0x5A]) + data[at + 1 :])
        try:
            store = Store(place)
        except StateError:
            continue
        check(store)
        store.close()


def test_many_wait_for_one_commit(tmp_path: Path) -> None:
    """Group commit: what waits goes together, and each caller hears of its own."""
    store = Store(tmp_path)
    journal = Journal(store, bound=1000)
    begun: list[str] = []
    store.do(
        lambda database: database.set_trace_callback(
            lambda text: begun.append(text) if text.startswith("BEGIN") else None
        )
    )

    async def go() -> list[BaseException | None]:
        rows = [journal.append("j", [b"x" * 20], float(number)) for number in range(60)]
        return await asyncio.gather(*rows, return_exceptions=True)

    found = asyncio.run(go())
    assert sum(isinstance(item, JournalFull) for item in found) == 10
    assert sum(item is None for item in found) == 50
    assert len(begun) < 30
    assert journal.size() == 1000
    assert len(journal.read("j", 0, 10**6)) == 50
    store.close()


def test_journal_is_read_by_number_and_trimmed_behind_the_last_lane(tmp_path: Path) -> None:
    store = Store(tmp_path)
    journal = Journal(store)

    async def fill() -> None:
        heard = journal.wait()
        await journal.append("j", [b"a", b"b", b"c"], 1.5)
        assert heard.is_set()
        await journal.append("j", [b"d"], 2.5)
        await journal.append("other", [b"z"], 3.5)

    asyncio.run(fill())
    assert journal.read("j", 0, 1) == [(1, b"a", 1.5)]
    assert journal.read("j", 1, 100) == [(2, b"b", 1.5), (3, b"c", 1.5), (4, b"d", 2.5)]
    # A segment goes when all of it has been passed.
    store.do(LaneStep("c", "j", (), Ledger(), trims={"j": 3}))
    assert journal.read("j", 0, 100)[0] == (1, b"a", 1.5)
    store.do(LaneStep("c", "j", (), Ledger(), trims={"j": 4}))
    assert journal.read("j", 0, 100) == [(4, b"d", 2.5)]
    assert (journal.next("j"), journal.next("other"), journal.next("none")) == (5, 2, 1)
    assert journal.size() == 2
    store.close()


def test_rows_survive_the_store(tmp_path: Path) -> None:
    at = Snapshot(7, ((9, 12), (20, 1 << 40)), ((15, "a", None), (15, "b", "k"), (16, "b", 3)))
    ledger = Ledger(3, Counter(malformed=1), 2, 2, 1, Counter(where=1), let_go=4)
    store = Store(tmp_path)
    store.do(LaneStep("c", "s", (Cursor("f", "i", at),), ledger, (letter(4),)))
    store.close()
    database = look(tmp_path)
    assert records.cursors_of(database, "c", "s") == {"f": Cursor("f", "i", at)}
    assert records.lanes(database) == [("c", "s", ledger)]
    (found,) = records.letters(database, print)
    assert (found.id, found.event, found.first_line) == (1, b'{"n":4}', b"first")
    database.close()
    assert unpack(pack(ledger)) == ledger


def test_error_two_engines_on_one_state(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StateError, match="another engine"):
        Store(tmp_path)
    look(tmp_path).close()
    store.close()
    Store(tmp_path).close()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("text", "not a state"),
        ("foreign", "something else"),
        ("newer", "newer waypost"),
        ("torn", "damaged"),
        ("folder", "cannot use"),
    ],
)
def test_error_file_that_cannot_be_used(what: str, said: str, tmp_path: Path) -> None:
    """One clear line, and the file stays as it was."""
    path = tmp_path / "state.sqlite"
    if what == "text":
        path.write_bytes(b"this is no database" * 100)
    elif what == "folder":
        path.mkdir()
    elif what == "foreign":
        database = sqlite3.connect(path)
        database.execute("create table somebody_elses (a)")
        database.close()
    else:
        store = Store(tmp_path)
        for number in range(1, 60):
            store.do(step(number))
        store.close()
        if what == "newer":
            database = sqlite3.connect(path)
            database.execute(f"pragma user_version = {SCHEMA + 1}")
            database.close()
        else:
            data = bytearray(path.read_bytes())
            data[4096 : len(data)] = b"\x00" * (len(data) - 4096)
            path.write_bytes(data)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(StateError, match=said) as caught:
        Store(tmp_path)
    assert "\n" not in str(caught.value)
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_state_of_version_1_is_brought_up_to_date(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "state.sqlite", isolation_level=None)
    database.execute("pragma journal_mode = wal")
    database.execute(
        "create table cursor (source text not null, lane text not null, identity text not null, "
        "byte_offset integer not null, primary key (source, lane)) strict"
    )
    database.execute("insert into cursor values ('events.ndjson', 'shop', 'i', 42)")
    database.execute("pragma user_version = 1")
    database.close()
    found = look(tmp_path)
    assert records.cursors_of(found, "shop", "files") == {"events.ndjson": Cursor("events.ndjson", "i", Snapshot(42))}
    found.close()


def test_error_no_state_there(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no state"):
        look(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_sources_have_room_of_their_own(tmp_path: Path) -> None:
    """What one source holds (its lane is stopped) is not the other ones' loss."""
    store = Store(tmp_path)
    journal = Journal(store, bound=1000, sources=2)
    asyncio.run(journal.append("stopped", [b"x" * 100] * 5, 1.0))
    with pytest.raises(JournalFull, match="stopped"):
        asyncio.run(journal.append("stopped", [b"x"], 1.0))
    asyncio.run(journal.append("works", [b"x" * 100] * 5, 1.0))
    store.do(LaneStep("c", "works", (), Ledger(), trims={"works": 6}))
    asyncio.run(journal.append("works", [b"x" * 100] * 5, 1.0))
    assert journal.size() == 1000
    store.close()


def fill(folder: Path, appends: int) -> int:
    """A journal that has grown and was drained. Gives how large its file has been."""
    store = Store(folder)
    journal = Journal(store)
    for _ in range(appends):
        asyncio.run(journal.append("j", [b"x" * (1 << 20)] * 4, 1.0))
    size = 4096 * int(store.reader.execute("pragma page_count").fetchone()[0])
    store.do(LaneStep("c", "j", (), Ledger(), trims={"j": journal.next("j")}))
    store.close()
    return size


def test_space_is_given_back(tmp_path: Path) -> None:
    """48 MiB of events that have gone leave no more than what is kept for the next ones, and the state holds."""
    grown = fill(tmp_path, 12)
    assert grown > 48 << 20
    assert (tmp_path / "state.sqlite").stat().st_size < (SPARE + 1000) * 4096
    store = Store(tmp_path)
    assert Journal(store).next("j") == 49
    assert store.reader.execute("pragma integrity_check").fetchone() == ("ok",)
    store.close()


def test_space_is_given_back_while_the_engine_runs(tmp_path: Path) -> None:
    store = Store(tmp_path)
    journal = Journal(store)
    for _ in range(12):
        asyncio.run(journal.append("j", [b"x" * (1 << 20)] * 4, 1.0))
    store.do(LaneStep("c", "j", (), Ledger(), trims={"j": journal.next("j")}))
    path = tmp_path / "state.sqlite"
    until = time.monotonic() + 60
    while time.monotonic() < until:
        store.do(lambda database: None)
        if (
            path.stat().st_size < (SPARE + 1000) * 4096
            and store.reader.execute("pragma freelist_count").fetchone()[0] <= SPARE
        ):
            break
    else:
        raise AssertionError("the file is as large as it was")
    store.close()


def test_state_of_before_can_give_space_back(tmp_path: Path) -> None:
    """A file that was made without that is rewritten once, with all that it holds."""
    store = Store(tmp_path)
    asyncio.run(Journal(store).append("j", [b"kept"], 1.0))
    store.do(step(4))
    store.close()
    database = sqlite3.connect(tmp_path / "state.sqlite", isolation_level=None)
    database.execute("pragma auto_vacuum = none")
    database.execute("vacuum")
    assert database.execute("pragma auto_vacuum").fetchone() == (0,)
    database.close()
    store = Store(tmp_path)
    assert store.reader.execute("pragma auto_vacuum").fetchone() == (2,)
    assert Journal(store).read("j", 0, 100) == [(1, b"kept", 1.0)]
    assert records.ledger_of(store.reader, "c", "s").read == 4
    store.close()
