"""SIGKILL: the engine is killed again and again, and an oracle says what must have become of every event.

A seeded file (or a producer over HTTP) of events, some of them bad; the engine as a subprocess on a state; a receiver that fails by its seed,
refuses some messages always, and notes what it took. The engine gets SIGKILL at random moments. After a last run in peace: each delivery that
the plan makes was taken or is a dead letter, none is both, the ledger in the state counts each exactly once, and whatever was repeated
was repeated with the same id and the same bytes.

What may be repeated is told exactly, at any speed of the machine:

* What the state has as ended when it is read after a kill comes in no request of any later run.
* What was answered for good (taken, or refused alone) comes in no later request of the same run.
* Some kills come in a lull: the receiver takes nothing more, and the engine is killed when the state has as ended all that was answered for
  good. A state that never gets there is a fault. So nothing that was answered before such a kill is repeated.

The rest, in flight or answered and not yet in the state, may come again.

    python tests/kills.py --kills 200 --seed 1
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from running import KEYS, free_port, wait_for_port
from waypost.compiler.pipeline import compile_text
from waypost.events.results import Filtered, Mapped
from waypost.http.receiver import Received, Receiver, Reply
from waypost.plan import Connection, Plan, dump, seal
from waypost.plan import Path as JsonPath
from waypost.program.program import Program, link
from waypost.state import records
from waypost.state.records import letters
from waypost.state.store import StateError, look

SPEC = """
spec: 1
name: shop
settings:
  key: {type: string, secret: true, label: Key}
auth: {bearer: "{{ settings.key }}"}
request:
  post: https://api.shop.example/v1/events
  body: {events: $messages}
  batch: {max_messages: 25, max_bytes: 100kB, max_wait: 100ms}
  concurrency: 4
  timeout: 10m
  responses: {400: split, 422: reject}
actions:
  all:
    trigger: type in ["track", "identify"]
    mapping:
      id: "{{ meta.id }}"
      key: {$from: $.messageId, required: true}
      user: {$from: $.userId, type: string, required: true}
  orders:
    trigger: type = "track" and event = "Order"
    mapping:
      id: "{{ meta.id }}"
      key: {$from: $.messageId, required: true}
      total: {$from: $.properties.total, type: number, required: true}
"""

Place = tuple[int, str, int | str | None]
"""A delivery in its source: (offset of the event, action, item)."""

LOST_S = 60.0
"""What did not come after so long is said never to come: the last events, or what was answered in the state."""


LINES = SPEC.replace("body: {events: $messages}", "lines: $messages\n  gzip: true")
LISTS = SPEC.replace(
    "body: {events: $messages}", "body: {events: {$messages: [all]}, orders: {$messages: [orders]}}"
).replace("max_messages: 25", "max_messages: {events: 20, orders: 5}")
"""The same with other bodies."""


def plan(spec: str = SPEC) -> Plan:
    compiled, report = compile_text(spec, "specs/shop/destination.yaml")
    assert compiled is not None, report
    return compiled


def ordered(whole: Plan, path: str) -> Plan:
    """The plan of a connection that keeps the order of events with equal values there."""
    return seal(msgspec.structs.replace(whole, connection=Connection(name="shop", order_by=JsonPath(path=path))))


def events(seed: int, count: int) -> list[bytes]:
    """Lines: most are well, some are no JSON, some lack a field for one action or both; ids are unique."""
    rng = random.Random(seed)
    return [_line(rng, f"{seed}-{number}") for number in range(count)]


def _line(rng: random.Random, name: str) -> bytes:
    kind = rng.random()
    if kind < 0.01:
        return b'{"broken": ' + name.encode()
    event: dict[str, Any] = {
        "type": rng.choice(["track", "track", "identify", "page"]),
        "messageId": name,
        "event": rng.choice(["Order", "View"]),
        "properties": {"total": rng.choice([1, 2.5, "many"]) if rng.random() < 0.1 else 7},
        "pad": "x" * rng.randrange(200),
    }
    if kind > 0.02:
        event["userId"] = f"u{rng.randrange(50)}"
    return json.dumps(event).encode()


@dataclass
class Expected:
    """What the plan makes of the lines: messages by id, and how many deliveries end where."""

    messages: dict[str, bytes] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    filtered: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    rejected: int = 0
    accepted: int = 0


def expected(program: Program, lines: list[tuple[bytes, int]], first_line: bytes) -> Expected:
    """The oracle. `lines` with their offsets."""
    found = Expected()
    for line, offset in lines:
        results = program.map(line, offset, first_line)
        if not isinstance(results[0], (Mapped, Filtered)) and results[0].action is None:
            found.rejected += 1
            continue
        found.accepted += 1
        for item in results:
            if isinstance(item, Mapped):
                name = json.loads(item.body)["id"]
                assert name not in found.messages
                found.messages[name] = item.body
                found.places[name] = (offset, item.action, item.item)
                if refuses(name):
                    found.refused.add(name)
            elif isinstance(item, Filtered):
                found.filtered += 1
            else:
                found.dead[item.reason] += 1
    return found


def refuses(name: str) -> bool:
    """Messages that the receiver never takes."""
    return name.startswith("00")


@dataclass
class Shop:
    """The receiver's side, over all runs of the engine. State: for each id how often it was taken, with which bytes, in which runs it came, and
    in which run it was answered for good: taken, or refused alone.

    `lull`: everything is put off. `calm`: nothing goes wrong any more."""

    seed: int
    calm: bool = False
    lull: bool = False
    taken: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, bytes] = field(default_factory=dict)
    altered: list[str] = field(default_factory=list)
    came: dict[str, set[int]] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    repeats: set[str] = field(default_factory=set)
    """What came in a later run than the one in which it was answered for good."""
    late: list[str] = field(default_factory=list)
    """What came again in the run in which it had been answered for good."""
    requests: int = 0

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        # A request of an engine that was killed may be read beside those of the next one.
        self._one = threading.Lock()

    def open(self, run: int) -> Receiver:
        """A receiver for one run of the engine: what comes there was sent by that run, whenever it is read."""

        def answer(request: Received) -> Reply:
            with self._one:
                return self._answer(run, split_messages(request.body))

        return Receiver(port=0, answer=answer)

    def ended_in(self, run: int) -> set[str]:
        """What was answered for good in a run."""
        with self._one:
            return {name for name, last in self.ended.items() if last == run}

    def _answer(self, run: int, messages: list[tuple[str, bytes]]) -> Reply:
        self.requests += 1
        for name, body in messages:
            if self.bodies.setdefault(name, body) != body:
                self.altered.append(name)
            self.came.setdefault(name, set()).add(run)
            if name in self.ended:
                if self.ended[name] == run:
                    self.late.append(name)
                else:
                    self.repeats.add(name)
        if self.lull:
            return Reply(429, headers={"retry-after": "3600"})
        if any(refuses(name) for name, _ in messages):
            if len(messages) > 1:
                return Reply(400, body=b"no")
            self.ended[messages[0][0]] = run
            return Reply(422, body=b"no")
        delay = self._rng.random() * 0.01
        trouble = 1.0 if self.calm else self._rng.random()
        if trouble < 0.03:
            return Reply(500, delay_s=delay)
        if trouble < 0.05:
            return Reply(429, headers={"retry-after": "0"})
        if trouble < 0.07:
            # Cut before anything was taken.
            return Reply(0)
        answered = trouble >= 0.09
        for name, _ in messages:
            self.taken[name] += 1
            if answered:
                self.ended[name] = run
        # Taken, and then the answer is lost or late.
        return Reply(200 if answered else 0, delay_s=delay)


@dataclass
class Kept:
    """What the states had as ended after each kill. `places` says where a message stands in the source."""

    folder: Path
    source: str
    input: str
    places: Callable[[str], Place]
    read: list[tuple[int, records.Snapshot]] = field(default_factory=list)

    def look(self) -> records.Snapshot:
        """Where the lane is, by the state as it is now."""
        try:
            database = look(self.folder)
        except StateError:
            return records.Snapshot()
        with contextlib.closing(database):
            cursor = records.cursors_of(database, "shop", self.source).get(self.input)
        return cursor.at if cursor else records.Snapshot()

    def killed(self, run: int) -> None:
        """Reads the state after this run was killed."""
        agrees(self.folder)
        self.read.append((run, self.look()))

    def missing(self, names: set[str], at: records.Snapshot) -> set[str]:
        """Those of the messages that a state does not have as ended."""
        parts = set(at.parts)
        starts = [start for start, _ in at.ranges]
        found = set()
        for name in names:
            place = self.places(name)
            before = bisect_right(starts, place[0]) - 1
            within = before >= 0 and place[0] < at.ranges[before][1]
            if not (place[0] < at.cursor or within or place in parts):
                found.add(name)
        return found

    def wait(self, process: subprocess.Popen[bytes], names: set[str]) -> list[str]:
        """Waits until the state has all of these as ended; gives what it does not have when there is nothing more to wait for."""
        until = time.monotonic() + LOST_S
        while True:
            ended = process.poll() is not None or time.monotonic() > until
            missing = self.missing(names, self.look())
            if ended or not missing:
                return sorted(missing)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.01)

    def again(self, shop: Shop) -> list[str]:
        """Messages that came in a later run than one after whose kill the state had them as ended."""
        found = set()
        for run, at in self.read:
            later = {name for name, runs in shop.came.items() if max(runs) > run}
            found |= later - self.missing(later, at)
        return sorted(found)


def split_messages(body: bytes) -> list[tuple[str, bytes]]:
    """(id, bytes) of each message, as it stands in the body."""
    found = []
    lines = body.endswith(b"\n")
    held = {"events": list(map(json.loads, body.splitlines()))} if lines else json.loads(body)
    for item in [*held.get("events", ()), *held.get("orders", ())]:
        data = json.dumps(item, separators=(",", ":"), ensure_ascii=False).encode()
        found.append((item["id"], data))
    return found


@dataclass
class Outcome:
    """What a soak came to."""

    kills: int
    deliveries: int
    lost: list[str]
    twice: list[str]
    altered: list[str]
    duplicates: list[str]
    repeats: int
    late: list[str]
    lulls: int
    ledger: dict[str, Any]
    wanted: dict[str, Any]

    @property
    def well(self) -> bool:
        return not (self.lost or self.twice or self.altered or self.late) and self.ledger == self.wanted


def engine(words: list[str], folder: Path, stdin: int | None = None) -> subprocess.Popen[bytes]:
    env = {**os.environ, **KEYS}
    with (folder / "err.txt").open("ab") as err:
        return subprocess.Popen(
            [sys.executable, "-m", "waypost", *words],
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=err,
            env=env,
            cwd=folder,
        )


def soak_file(
    folder: Path,
    kills: int,
    seed: int,
    per_kill: int = 1500,
    *,
    workers: tuple[int, ...] = (1,),
    order_by: str = "",
    spec: str = SPEC,
) -> Outcome:
    """SIGKILL while a file is delivered; each run has one of these numbers of workers."""
    whole = plan(spec)
    rng = random.Random(seed)
    lines = events(seed, kills * per_kill)
    (folder / "plan.json").write_bytes(dump(ordered(whole, order_by) if order_by else whole))
    (folder / "events.ndjson").write_bytes(b"".join(line + b"\n" for line in lines))
    offsets, at = [], 0
    for line in lines:
        offsets.append((line, at))
        at += len(line) + 1
    wanted = expected(link(whole, {"key": "x"}), offsets, lines[0])
    shop = Shop(seed)
    kept = Kept(folder / "state", "files", "events.ndjson", wanted.places.__getitem__)
    words = ["run", "plan.json", "--set", "key=env:KEY", "--state", "state", "--drain", "5", "events.ndjson"]
    lulls = some(kills, rng)
    killed_runs(shop, kept, kills, lulls, rng, words, workers)
    return judge(kept, shop, wanted, kills, len(lulls))


def killed_runs(
    shop: Shop, kept: Kept, kills: int, lulls: set[int], rng: random.Random, words: list[str], workers: tuple[int, ...]
) -> int:
    """Runs over a file, each killed at some moment, then one in peace: its status."""
    folder = kept.folder.parent
    for run in range(kills):
        with shop.open(run) as receiver:
            each = str(workers[run % len(workers)])
            process = engine([*words, "--workers", each, "--endpoint-override", receiver.url], folder)
            until_some_moment(shop, receiver, rng)
            if run in lulls and not shop.late:
                shop.lull = True
                shop.late += kept.wait(process, shop.ended_in(run))
            process.kill()
            process.wait()
        shop.lull = False
        kept.killed(run)
    shop.calm = kills > 0
    with shop.open(kills) as receiver:
        process = engine([*words, "--workers", str(workers[-1]), "--endpoint-override", receiver.url], folder)
        return process.wait(timeout=300)


def until_some_moment(shop: Shop, receiver: Receiver, rng: random.Random) -> None:
    """Some moments lie in the start, some behind the last request."""
    more = shop.requests + rng.randrange(1, 60)
    with receiver.arrived:
        receiver.arrived.wait_for(lambda: shop.requests >= more, rng.choice([0.3, 5.0]))


def some(kills: int, rng: random.Random) -> set[int]:
    """Which kills come in a lull: a third of them, one at least."""
    return set(rng.sample(range(kills), max(1, kills // 3)))


def soak_stdin(
    folder: Path, kills: int, seed: int, per_kill: int = 1500, *, workers: tuple[int, ...] = (1,), order_by: str = ""
) -> Outcome:
    """SIGKILL of the engine or of a worker while standard input is journaled and delivered: its producer gives again what the journal does not
    have."""
    rng = random.Random(seed)
    lines = events(seed, kills * per_kill)
    (folder / "plan.json").write_bytes(dump(ordered(plan(), order_by) if order_by else plan()))
    wanted = expected(link(plan(), {"key": "x"}), [(line, row) for row, line in enumerate(lines, 1)], b"")
    shop = Shop(seed)
    kept = Kept(folder / "state", "stdin", "stdin", wanted.places.__getitem__)
    words = ["run", "plan.json", "--set", "key=env:KEY", "--state", "state", "--drain", "5", "--journal"]
    lulls = some(kills, rng)
    for run in range(kills):
        with shop.open(run) as receiver:
            each = ["--workers", str(workers[run % len(workers)]), "--endpoint-override", receiver.url]
            process = engine([*words, *each], folder, subprocess.PIPE)
            feeding = feed(process, lines[journaled(folder / "state") :])
            until_some_moment(shop, receiver, rng)
            if run in lulls and not shop.late:
                shop.lull = True
                shop.late += kept.wait(process, shop.ended_in(run))
            elif run % 2 and (victims := children(process.pid)):
                # A worker: the engine stops the others, and ends.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(rng.choice(victims), signal.SIGKILL)
                process.wait()
            process.kill()
            process.wait()
            feeding.join()
        shop.lull = False
        kept.killed(run)
    shop.calm = True
    with shop.open(kills) as receiver:
        each = ["--workers", str(workers[-1]), "--endpoint-override", receiver.url]
        process = engine([*words, *each], folder, subprocess.PIPE)
        feed(process, lines[journaled(folder / "state") :]).join()
        process.wait(timeout=300)
    return judge(kept, shop, wanted, kills, len(lulls))


def children(pid: int) -> list[int]:
    rows = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout.split("\n")
    pairs = [tuple(map(int, row.split())) for row in rows if row.strip()]
    return [child for child, parent in pairs if parent == pid]


def feed(process: subprocess.Popen[bytes], lines: list[bytes]) -> threading.Thread:
    """Gives a process its standard input, as far as it takes it."""

    def give() -> None:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            for line in lines:
                process.stdin.write(line + b"\n")
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()

    thread = threading.Thread(target=give, daemon=True)
    thread.start()
    return thread


def journaled(folder: Path) -> int:
    """How many lines of standard input the journal has taken so far."""
    try:
        database = look(folder)
    except StateError:
        return 0
    with contextlib.closing(database):
        row = database.execute("select next from journaled where source = 'stdin'").fetchone()
    return row[0] - 1 if row else 0


def soak_http(folder: Path, kills: int, seed: int, per_kill: int = 40, *, workers: tuple[int, ...] = (1,)) -> Outcome:
    """SIGKILL while events come over HTTP: what was answered 200 is delivered. Each run has one of these numbers of workers."""
    rng = random.Random(seed)
    (folder / "shop.yaml").write_text(SPEC, encoding="utf-8")
    port = free_port()
    (folder / "waypost.yaml").write_text(
        "connections:\n  shop:\n    destination: shop.yaml\n    sources: [web]\n    settings: {key: env:KEY}\n"
        f'sources:\n  web: {{http: "127.0.0.1:{port}", write_keys: [env:WEB_KEY]}}\n',
        encoding="utf-8",
    )
    shop = Shop(seed)
    intake = Intake(folder / "state")

    def place(name: str) -> Place:
        message = json.loads(shop.bodies[name])
        return intake.rows[message["key"]], "orders" if "total" in message else "all", None

    kept = Kept(folder / "state", "web", "web", place)
    words = ["run", "waypost.yaml", "--state", "state", "--drain", "20", "--endpoint-override"]
    lulls = some(kills, rng)
    for run in range(kills):
        with shop.open(run) as receiver:
            process = engine([*words, receiver.url, "--workers", str(workers[run % len(workers)])], folder)
            wait_for_port(port)
            post_events(port, rng, f"{seed}-{run}", per_kill, intake, None if run in lulls else process)
            if run in lulls and not shop.late:
                shop.lull = True
                shop.late += kept.wait(process, shop.ended_in(run))
            process.kill()
            process.wait()
        shop.lull = False
        intake.killed()
        kept.killed(run)
    shop.calm = True
    with shop.open(kills) as receiver:
        process = engine([*words, receiver.url, "--workers", str(workers[-1])], folder)
        wait_for_port(port)
        post_events(port, rng, f"{seed}-{kills}", per_kill, intake, None)
        with receiver.arrived:
            receiver.arrived.wait_for(lambda: set(intake.rows) - set(intake.lost) <= shop_keys(shop), LOST_S)
        process.terminate()
        process.wait(timeout=60)
    ledger = ledger_in(folder / "state", "shop", "web")
    pairs = Counter(place(name)[:2] for name in shop.bodies)
    return Outcome(
        kills=kills,
        deliveries=len(shop.taken),
        lost=sorted(set(intake.rows) - shop_keys(shop)) + intake.lost,
        twice=[f"row {row}, {action}" for (row, action), ids in pairs.items() if ids > 1],
        altered=shop.altered,
        duplicates=[name for name, count in shop.taken.items() if count > 1],
        repeats=len(shop.repeats),
        late=shop.late + kept.again(shop),
        lulls=len(lulls),
        ledger={"closes": ledger["closes"]},
        wanted={"closes": True},
    )


@dataclass
class Intake:
    """The producer's side: in which row of the journal each event is. It sends one at a time, so the rows are in its order. State: the events
    that are in the journal, those among them that should be and are not, and the one of which nobody knows."""

    folder: Path
    rows: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    unsure: str = ""

    def acknowledged(self, name: str) -> None:
        self.rows[name] = len(self.rows) + 1

    def killed(self) -> None:
        """Looks whether the event that was not answered is in the journal after all; and that no other is missing."""
        try:
            database = look(self.folder)
        except StateError:
            found = None
        else:
            with contextlib.closing(database):
                found = database.execute("select next from journaled where source = 'web'").fetchone()
        held = found[0] - 1 if found else 0
        if self.unsure and held > len(self.rows):
            self.acknowledged(self.unsure)
        self.unsure = ""
        self.lost += [name for name, row in self.rows.items() if row > held]
        assert held <= len(self.rows), "the journal holds what nobody sent"


def shop_keys(shop: Shop) -> set[str]:
    """The events (by messageId) of which a message was taken, or refused as it always is."""
    return {json.loads(body)["key"] for name, body in list(shop.bodies.items()) if shop.taken[name] or refuses(name)}


def post_events(
    port: int, rng: random.Random, prefix: str, count: int, intake: Intake, victim: subprocess.Popen[bytes] | None
) -> None:
    """Sends events one by one. The victim is killed somewhere on the way."""
    fatal = rng.randrange(count) if victim is not None else -1
    for number in range(count):
        name = f"{prefix}-{number}"
        event = {"userId": "u", "event": rng.choice(["Order", "View"]), "properties": {"total": 1}, "messageId": name}
        if number == fatal and victim is not None:
            victim.kill()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
            connection.request(
                "POST",
                "/v1/track",
                json.dumps({**event, "writeKey": "canary-web-key"}),
                {"content-type": "application/json"},
            )
            status = connection.getresponse().status
            connection.close()
        except (OSError, http.client.HTTPException):
            intake.unsure = name
            return
        assert status == 200, status
        intake.acknowledged(name)


def agrees(folder: Path) -> None:
    """P2, at whatever instant the engine died: each lane's ledger closes, and the dead letters that it counts are there."""
    try:
        database = look(folder)
    except StateError:
        # It died before there was a state.
        return
    with contextlib.closing(database):
        held = records.letter_counts(database)
        for connection, source, ledger in records.lanes(database):
            assert ledger.closes, ledger
            letters_held = sum(held.get((connection, source), {}).values())
            assert ledger.dead.total() + ledger.rejected.total() - ledger.let_go == letters_held


def ledger_in(folder: Path, connection: str, source: str) -> dict[str, Any]:
    database = look(folder)
    with contextlib.closing(database):
        return records.ledger_of(database, connection, source).as_dict()


def judge(kept: Kept, shop: Shop, wanted: Expected, kills: int, lulls: int) -> Outcome:
    database = look(kept.folder)
    with contextlib.closing(database):
        held = list(letters(database, damaged))
        ledger = records.ledger_of(database, "shop", kept.source)
    refused = Counter(
        json.loads(item.body)["id"]
        for letter in held
        if letter.reason == "refused"
        for item in link(plan(), {"key": "x"}).map(letter.event, letter.offset, letter.first_line)
        if isinstance(item, Mapped) and item.action == letter.action
    )
    taken = set(shop.taken)
    lost = sorted(set(wanted.messages) - taken - set(refused))
    twice = sorted((taken & set(refused)) | {name for name, count in refused.items() if count > 1})
    altered = sorted(
        set(shop.altered) | {name for name in taken if shop.bodies[name] != _compact(wanted.messages[name])}
    )
    found = {
        "read": ledger.read,
        "rejected": ledger.rejected.total(),
        "delivered": ledger.delivered,
        "filtered": ledger.filtered.total(),
        "dead": dict(ledger.dead),
        "letters": len(held),
        "closes": ledger.closes,
    }
    dead = wanted.dead + Counter({"refused": len(wanted.refused)})
    should = {
        "read": wanted.accepted + wanted.rejected,
        "rejected": wanted.rejected,
        "delivered": len(wanted.messages) - len(wanted.refused),
        "filtered": wanted.filtered,
        "dead": dict(dead),
        "letters": dead.total() + wanted.rejected,
        "closes": True,
    }
    return Outcome(
        kills=kills,
        deliveries=len(wanted.messages),
        lost=lost,
        twice=twice,
        altered=altered,
        duplicates=[name for name, count in shop.taken.items() if count > 1],
        repeats=len(shop.repeats),
        late=shop.late + kept.again(shop),
        lulls=lulls,
        ledger=found,
        wanted=should,
    )


def _compact(body: bytes) -> bytes:
    return json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode()


def damaged(number: int) -> None:
    raise AssertionError(f"the dead letter {number} is not as it was written")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=20, help="kills a state, then a new one")
    given = parser.parse_args()
    began, done, bad = time.monotonic(), 0, 0
    lost = duplicates = deliveries = 0
    while done < given.kills:
        seed = given.seed * 1000 + done
        count = min(given.batch, given.kills - done)
        for kind, run in (("file", soak_file), ("http", soak_http), ("stdin", soak_stdin)):
            with tempfile.TemporaryDirectory() as scratch:
                part = max(1, count // 3)
                outcome = run(Path(scratch), part, seed, workers=(1, 2, 3))
            done += part
            bad += not outcome.well
            lost += len(outcome.lost)
            duplicates += len(outcome.duplicates)
            deliveries += outcome.deliveries
            print(
                f"{kind} seed={seed} kills={outcome.kills} deliveries={outcome.deliveries} lost={len(outcome.lost)} "
                f"twice={len(outcome.twice)} altered={len(outcome.altered)} duplicates={len(outcome.duplicates)} "
                f"(answered before a kill: {outcome.repeats}) lulls={outcome.lulls} "
                f"late={len(outcome.late)} ledger={'closes' if outcome.ledger == outcome.wanted else outcome.ledger}",
                flush=True,
            )
            if outcome.duplicates:
                print(f"  sent twice, with the same id: {' '.join(outcome.duplicates[:8])} ...", flush=True)
    print(
        f"kills={done} deliveries={deliveries} lost={lost} duplicates={duplicates} failed={bad} "
        f"in {time.monotonic() - began:.0f} s"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
