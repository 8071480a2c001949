"""SIGKILL: the engine is killed again and again, and an oracle says what must have become of every event.

A seeded file (or a producer over HTTP) of events, some of them bad; the engine as a subprocess on a state; a receiver that fails by its seed,
refuses some messages always, and notes what it took. The engine gets SIGKILL at random moments. After a last run in peace: each delivery that
the plan makes was taken or is a dead letter, none is both, the ledger in the state counts each exactly once, whatever was repeated
was repeated with the same bytes, and nothing was repeated that had been acknowledged long before a kill.

    python tests/kills.py --kills 200 --seed 1
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from running import KEYS, free_port, wait_for_port
from waypost.compiler.pipeline import compile_text
from waypost.plan import Connection, Plan, dump, seal
from waypost.plan import Path as JsonPath
from waypost.runtime import records
from waypost.runtime.program import Program, link
from waypost.runtime.receive import Received, Receiver, Reply
from waypost.runtime.records import letters
from waypost.runtime.results import Filtered, Mapped
from waypost.runtime.store import StateError, look

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

RECENT = 160
"""An answer may be lost with the engine when it was one of so many last before a kill: what was under way, and the commit that was. A commit
may take a tenth of a second and more where the disk is shared, and then covers many answers."""


def plan() -> Plan:
    compiled, report = compile_text(SPEC, "specs/shop/destination.yaml")
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
    places: dict[str, tuple[int, str, int | str | None]] = field(default_factory=dict)
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
    """The receiver's side. State: for each id how often it was taken, with which bytes, and which request was acknowledged with it."""

    seed: int
    calm: bool = False
    taken: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, bytes] = field(default_factory=dict)
    altered: list[str] = field(default_factory=list)
    served: dict[str, int] = field(default_factory=dict)
    repeats: list[tuple[str, int, int]] = field(default_factory=list)
    """(id, the request that was acknowledged with it, the request that had it again)."""
    requests: int = 0

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)

    def answer(self, request: Received) -> Reply:
        """For Receiver(answer=...)."""
        self.requests += 1
        messages = split_messages(request.body)
        for name, body in messages:
            if self.bodies.setdefault(name, body) != body:
                self.altered.append(name)
        if any(refuses(name) for name, _ in messages):
            return Reply(400 if len(messages) > 1 else 422, body=b"no")
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
            if name in self.served:
                self.repeats.append((name, self.served[name], self.requests))
            self.taken[name] += 1
            if answered:
                self.served[name] = self.requests
        # Taken, and then the answer is lost or late.
        return Reply(200 if answered else 0, delay_s=delay)


def split_messages(body: bytes) -> list[tuple[str, bytes]]:
    """(id, bytes) of each message, as it stands in the body."""
    found = []
    for item in json.loads(body)["events"]:
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
    acknowledged: int
    late: list[str]
    ledger: dict[str, Any]
    wanted: dict[str, Any]

    @property
    def well(self) -> bool:
        return not (self.lost or self.twice or self.altered or self.late) and self.ledger == self.wanted


def engine(words: list[str], folder: Path) -> subprocess.Popen[bytes]:
    env = {**os.environ, **KEYS}
    with (folder / "err.txt").open("ab") as err:
        return subprocess.Popen(
            [sys.executable, "-m", "waypost", *words], stdout=subprocess.DEVNULL, stderr=err, env=env, cwd=folder
        )


def soak_file(
    folder: Path,
    kills: int,
    seed: int,
    per_kill: int = 1500,
    *,
    workers: tuple[int, ...] = (1,),
    order_by: str = "",
) -> Outcome:
    """SIGKILL while a file is delivered; each run has one of these numbers of workers."""
    rng = random.Random(seed)
    lines = events(seed, kills * per_kill)
    (folder / "plan.json").write_bytes(dump(ordered(plan(), order_by) if order_by else plan()))
    (folder / "events.ndjson").write_bytes(b"".join(line + b"\n" for line in lines))
    shop = Shop(seed)
    kill_marks: list[int] = []
    kept: list[tuple[int, records.Snapshot]] = []
    with Receiver(port=0, answer=shop.answer) as receiver:
        words = ["run", "plan.json", "--set", "key=env:KEY", "--endpoint-override", receiver.url]
        words += ["--state", "state", "--drain", "5", "events.ndjson"]
        for run in range(kills):
            process = engine([*words, "--workers", str(workers[run % len(workers)])], folder)
            # Some moments lie in the start, some behind the last request.
            more = shop.requests + rng.randrange(1, 60)
            with receiver.arrived:
                receiver.arrived.wait_for(lambda more=more: shop.requests >= more, rng.choice([0.3, 5.0]))  # type: ignore[misc]
            process.kill()
            process.wait()
            kill_marks.append(shop.requests)
            agrees(folder / "state")
            kept.append((shop.requests, snapshot_in(folder / "state")))
        shop.calm = True
        process = engine([*words, "--workers", str(workers[-1])], folder)
        process.wait(timeout=300)
    offsets, at = [], 0
    for line in lines:
        offsets.append((line, at))
        at += len(line) + 1
    program = link(plan(), {"key": "x"})
    wanted = expected(program, offsets, lines[0])
    outcome = judge(folder, shop, wanted, kill_marks, kills, "files")
    outcome.late += settled_repeats(shop, wanted, kept)
    return outcome


def soak_http(folder: Path, kills: int, seed: int, per_kill: int = 40) -> Outcome:
    """SIGKILL while events come over HTTP: what was answered 200 is delivered."""
    rng = random.Random(seed)
    (folder / "shop.yaml").write_text(SPEC, encoding="utf-8")
    port = free_port()
    (folder / "waypost.yaml").write_text(
        "connections:\n  shop:\n    destination: shop.yaml\n    sources: [web]\n    settings: {key: env:KEY}\n"
        f'sources:\n  web: {{http: "127.0.0.1:{port}", write_keys: [env:WEB_KEY]}}\n',
        encoding="utf-8",
    )
    shop = Shop(seed)
    accepted: set[str] = set()
    marks: list[int] = []
    with Receiver(port=0, answer=shop.answer) as receiver:
        words = ["run", "waypost.yaml", "--endpoint-override", receiver.url, "--state", "state", "--drain", "20"]
        for round_ in range(kills + 1):
            process = engine(words, folder)
            wait_for_port(port)
            for name in post_events(port, rng, f"{seed}-{round_}", per_kill, process if round_ < kills else None):
                accepted.add(name)
            if round_ < kills:
                process.kill()
                process.wait()
                marks.append(shop.requests)
                agrees(folder / "state")
        shop.calm = True
        with receiver.arrived:
            receiver.arrived.wait_for(lambda: accepted <= shop_keys(shop), 60)
        process.terminate()
        process.wait(timeout=60)
    lost = sorted(accepted - shop_keys(shop))
    ledger = ledger_in(folder / "state", "shop", "web")
    closes = {"closes": ledger["closes"]}
    late = late_repeats(shop, marks)
    duplicates = [name for name, count in shop.taken.items() if count > 1]
    return Outcome(
        kills, len(shop.taken), lost, [], shop.altered, duplicates, len(shop.repeats), late, closes, {"closes": True}
    )


def shop_keys(shop: Shop) -> set[str]:
    """The events (by messageId) of which a message was taken, or refused as it always is."""
    return {json.loads(body)["key"] for name, body in list(shop.bodies.items()) if shop.taken[name] or refuses(name)}


def post_events(
    port: int, rng: random.Random, prefix: str, count: int, victim: subprocess.Popen[bytes] | None
) -> Iterator[str]:
    """Sends events one by one; gives the ids that were answered 200. The engine is killed somewhere on the way."""
    fatal = rng.randrange(count) if victim is not None else -1
    for number in range(count):
        name = f"{prefix}-{number}"
        event = {"userId": "u", "event": rng.choice(["Order", "View"]), "properties": {"total": 1}, "messageId": name}
        if number == fatal and victim is not None:
            victim.kill()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request(
                "POST",
                "/v1/track",
                json.dumps({**event, "writeKey": "canary-web-key"}),
                {"content-type": "application/json"},
            )
            status = connection.getresponse().status
            connection.close()
        except (OSError, http.client.HTTPException):
            return
        if status == 200:
            yield name


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


def late_repeats(shop: Shop, marks: list[int]) -> list[str]:
    """Messages that were sent again though they had been acknowledged, and that long before the engine was killed."""
    return [name for name, at, _ in shop.repeats if not any(mark - RECENT < at <= mark for mark in marks)]


def settled_repeats(shop: Shop, wanted: Expected, kept: list[tuple[int, records.Snapshot]]) -> list[str]:
    """Messages that came again after a kill although the state had them as ended when it was read after that kill: exact, at any speed."""
    found = []
    for name, _, again in shop.repeats:
        offset, action, item = wanted.places[name]
        for mark, at in kept:
            ended = offset < at.cursor or any(start <= offset < end for start, end in at.ranges)
            if again > mark and (ended or (offset, action, item) in at.parts):
                found.append(name)
    return found


def snapshot_in(folder: Path) -> records.Snapshot:
    """Where the file's lane is, by the state."""
    try:
        database = look(folder)
    except StateError:
        return records.Snapshot()
    with contextlib.closing(database):
        cursor = records.cursors_of(database, "shop", "files").get("events.ndjson")
    return cursor.at if cursor else records.Snapshot()


def judge(folder: Path, shop: Shop, wanted: Expected, marks: list[int], kills: int, source: str) -> Outcome:
    database = look(folder / "state")
    with contextlib.closing(database):
        held = list(letters(database))
        ledger = records.ledger_of(database, "shop", source)
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
    duplicates = [name for name, count in shop.taken.items() if count > 1]
    return Outcome(
        kills,
        len(wanted.messages),
        lost,
        twice,
        altered,
        duplicates,
        len(shop.repeats),
        late_repeats(shop, marks),
        found,
        should,
    )


def _compact(body: bytes) -> bytes:
    return json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode()


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
        for kind, run in (("file", soak_file), ("http", soak_http)):
            with tempfile.TemporaryDirectory() as scratch:
                half = max(1, count // 2)
                outcome = run(Path(scratch), half, seed)
            done += half
            bad += not outcome.well
            lost += len(outcome.lost)
            duplicates += len(outcome.duplicates)
            deliveries += outcome.deliveries
            print(
                f"{kind} seed={seed} kills={outcome.kills} deliveries={outcome.deliveries} lost={len(outcome.lost)} "
                f"twice={len(outcome.twice)} altered={len(outcome.altered)} duplicates={len(outcome.duplicates)} "
                f"(answered before a kill: {outcome.acknowledged}) "
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
