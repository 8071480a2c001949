"""Strict stand-ins for destinations that take a part of a request and say which part they refused, and the engine killed between them.

Five shapes of answers are in use: a 400 that names what is wrong by its index and takes the rest; a 207 that names it by an id, some of it to
be tried again; a success with errors inside; a success that lists values; a 400 that takes nothing and names what is wrong by field. A
stand-in notes what it took and what it refused, and what comes again after it was answered.

`soak` delivers a file to one of them with the real command, kills it at random moments, and judges: each message was taken once or is a dead
letter with its own reason, never both; the ledger closes; nothing comes again that was answered, unless that answer was lost.

    python tests/partial.py --kills 20 [SHAPE ...]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kills as harness
from kills import Kept, agrees, events, some
from waypost.events.results import Mapped
from waypost.http.receiver import Reply
from waypost.plan import Plan, dump
from waypost.program.program import link
from waypost.state import records
from waypost.state.records import letters
from waypost.state.store import look

SPEC = """
spec: 1
name: shop
settings:
  key: {{type: string, secret: true, label: Key}}
auth: {{bearer: "{{{{ settings.key }}}}"}}
request:
  post: https://api.shop.example/v1/events
  body: {{events: $messages}}
  batch: {{max_messages: 25, max_bytes: 100kB, max_wait: 100ms}}
  timeout: 10m
  responses:
    {responses}
actions:
  send:
    trigger: type in ["track", "identify"]
    mapping:
      id: "{{{{ meta.id }}}}"
      key: {{$from: $.messageId, required: true}}
      user: {{$from: $.userId, type: string, required: true}}
"""

Answer = tuple[int, dict[str, Any], bool]
"""Status, body, and whether those that are not named were taken."""


def index_in_a_400(names: list[str], bad: list[int], later: list[int]) -> Answer:
    if not bad:
        return 200, {"code": 200, "num_records_imported": len(names)}, True
    failed = [
        {"index": at, "insert_id": names[at], "field": "time", "message": f"{names[at]} is too old"} for at in bad
    ]
    return 400, {"code": 400, "num_records_imported": len(names) - len(bad), "failed_records": failed}, True


def several_statuses(names: list[str], bad: list[int], later: list[int]) -> Answer:
    errors = [_error("VALIDATION_ERROR", names[at], "has no owner") for at in bad]
    errors += [_error("RATE_LIMITS", names[at], "comes too early") for at in later]
    return (207, {"numErrors": len(errors), "errors": errors}, True) if errors else (200, {"results": names}, True)


def _error(category: str, name: str, why: str) -> dict[str, Any]:
    return {"category": category, "message": f"{name} {why}", "context": {"ids": [name]}}


def errors_in_a_success(names: list[str], bad: list[int], later: list[int]) -> Answer:
    errors = [{"type": f"{names[at]} has no name", "input_array": "events", "index": at} for at in bad]
    return 201, {"message": "success", **({"errors": errors} if errors else {})}, True


def values_in_a_success(names: list[str], bad: list[int], later: list[int]) -> Answer:
    failed = {"invalidIds": [names[at] for at in bad], "busyIds": [names[at] for at in later], "otherIds": []}
    return 200, {"successCount": len(names) - len(bad) - len(later), "failedUpdates": failed}, True


def all_or_nothing(names: list[str], bad: list[int], later: list[int]) -> Answer:
    if not bad:
        return 200, {"code": 200, "events_ingested": len(names)}, True
    fields = {"events_with_missing_fields": {"type": bad[::2]}, "events_with_invalid_fields": {"time": bad[1::2]}}
    return 400, {"code": 400, "error": "invalid events", **fields}, False


@dataclass(frozen=True)
class Shape:
    """`reason`: what a dead letter's message ends with, of a message with this id."""

    answer: Callable[[list[str], list[int], list[int]], Answer]
    responses: str
    reason: str

    def plan(self) -> Plan:
        return harness.plan(SPEC.format(responses=self.responses))


SHAPES = {
    "index": Shape(
        index_in_a_400,
        '400: {results: {at: $body.failed_records, index: $item.index, reason: "{{ item.field }}: {{ item.message }}", '
        "then: reject}, rest: ok}",
        "the destination answered 400: time: {id} is too old",
    ),
    "several": Shape(
        several_statuses,
        "207: {results: {at: $body.errors, value: $item.context.ids, of: id, reason: $item.message, "
        'then: [{if: item.category = "RATE_LIMITS", then: retry}, reject]}, rest: ok}',
        "the destination answered 207: {id} has no owner",
    ),
    "inside": Shape(
        errors_in_a_success,
        "201: {results: {at: $body.errors, index: $item.index, reason: $item.type, then: reject}, rest: ok}",
        "the destination answered 201: {id} has no name",
    ),
    "value": Shape(
        values_in_a_success,
        "200: {results: {at: [$body.failedUpdates.invalidIds, $body.failedUpdates.otherIds, "
        "{at: $body.failedUpdates.busyIds, then: retry}], value: $item, of: id, then: reject}, rest: ok}",
        "the destination answered 200",
    ),
    "nothing": Shape(
        all_or_nothing,
        "400: {results: {at: [$body.events_with_invalid_fields, $body.events_with_missing_fields], index: $item, "
        'reason: "{{ body.error }}", then: reject}, rest: retry}',
        "the destination answered 400: invalid events",
    ),
}


def refuses(name: str) -> bool:
    """Messages that no stand-in ever takes: one in sixteen."""
    return name.startswith("0")


def busy(name: str) -> bool:
    """Messages that are taken at the second attempt, where the shape has a word for that."""
    return name.startswith("1")


@dataclass
class StandIn(harness.Shop):
    """State, beside that of a Shop: the messages that were put off once, and those whose answer was lost.

    `ended`: taken, or refused, with an answer that left. `refusals`: how often each was refused, with an answer that left."""

    shape: Shape = SHAPES["index"]
    waited: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    refusals: Counter[str] = field(default_factory=Counter)

    def _answer(self, run: int, messages: list[tuple[str, bytes]]) -> Reply:
        self.requests += 1
        names = [name for name, _ in messages]
        for name, body in messages:
            if self.bodies.setdefault(name, body) != body:
                self.altered.append(name)
            self.came.setdefault(name, set()).add(run)
            if name in self.ended:
                (self.late.append if self.ended[name] == run else self.repeats.add)(name)
        if self.lull:
            return Reply(429, headers={"retry-after": "3600"})
        delay = self._rng.random() * 0.01
        trouble = 1.0 if self.calm else self._rng.random()
        if trouble < 0.06:
            return Reply((500, 429, 0)[int(trouble * 50)], headers={"retry-after": "0"}, delay_s=delay)
        bad = [at for at, name in enumerate(names) if refuses(name)]
        late = [at for at, name in enumerate(names) if busy(name) and name not in self.waited]
        if self.shape.answer not in (several_statuses, values_in_a_success):
            late = []
        status, body, rest = self.shape.answer(names, bad, late)
        answered = trouble >= 0.08
        self.waited |= {names[at] for at in late}
        for at, name in enumerate(names):
            if at in bad:
                self.refusals[name] += answered
            elif rest and at not in late:
                self.taken[name] += 1
            else:
                continue
            if answered:
                self.ended[name] = run
            else:
                self.unsure.add(name)
        return Reply(status if answered else 0, delay_s=delay, body=json.dumps(body).encode())


@dataclass
class Judged:
    """What is wrong, each in words; `again`: how many messages were taken twice, all of them after an answer that was lost or not yet kept."""

    faults: list[str]
    messages: int
    refused: int
    again: int
    requests: int


def soak(folder: Path, name: str, kills: int, seed: int, per_kill: int = 500) -> Judged:
    rng = random.Random(seed)
    shape = SHAPES[name]
    lines = events(seed, max(1, kills) * per_kill)
    (folder / "plan.json").write_bytes(dump(shape.plan()))
    (folder / "events.ndjson").write_bytes(b"".join(line + b"\n" for line in lines))
    wanted, places, at = {}, {}, 0
    program = link(shape.plan(), {"key": "x"})
    for line in lines:
        for item in program.map(line, at, lines[0]):
            if isinstance(item, Mapped):
                own = json.loads(item.body)["id"]
                wanted[own], places[own] = item.body, (at, item.action, item.item)
        at += len(line) + 1
    shop = StandIn(seed, shape=shape)
    kept = Kept(folder / "state", "files", "events.ndjson", places.__getitem__)
    words = ["run", "plan.json", "--set", "key=env:KEY", "--state", "state", "--drain", "5", "events.ndjson"]
    lulls = some(kills, rng) if kills else set()
    status = harness.killed_runs(shop, kept, kills, lulls, rng, words, (1,))
    return judged(shape, shop, kept, wanted, status)


def judged(shape: Shape, shop: StandIn, kept: Kept, wanted: dict[str, bytes], status: int) -> Judged:
    damaged: list[int] = []
    with contextlib.closing(look(kept.folder)) as database:
        held = list(letters(database, damaged.append))
        ledger = records.ledger_of(database, "shop", kept.source)
    agrees(kept.folder)
    program = link(shape.plan(), {"key": "x"})
    dead: Counter[str] = Counter()
    faults = [f"dead letter {number} is damaged" for number in damaged]
    for letter in held:
        if letter.reason != "refused":
            continue
        (own,) = [json.loads(item.body)["id"] for item in program.map(letter.event, letter.offset, letter.first_line)]
        dead[own] += 1
        said = json.loads(letter.record)["message"]
        if said != shape.reason.format(id=own):
            faults.append(f"{own} is dead with the words {said!r}")
    bad = {name for name in wanted if refuses(name)}
    twice = {name for name, count in shop.taken.items() if count > 1}
    faults += [f"{name} is lost" for name in wanted if name not in bad and name not in shop.taken]
    faults += [f"{name} is dead and not refused" for name in dead if name not in bad]
    faults += [f"{name} has {dead[name]} dead letters" for name in bad if dead[name] != 1]
    faults += [f"{name} was altered" for name in shop.altered]
    faults += [f"{name} was answered, and came again" for name in shop.late if name not in shop.unsure]
    faults += [f"{name} had ended in the state, and came again" for name in kept.again(shop)]
    faults += [f"{name} was taken twice, and no answer was lost" for name in twice - shop.unsure - shop.repeats]
    count = ledger.delivered, ledger.dead["refused"], ledger.closes
    if count != (len(wanted) - len(bad), len(bad), True):
        faults.append(f"the ledger has {count}")
    # The last run may find everything done: 0.
    if status not in (0, 3):
        faults.append(f"the status is {status}")
    return Judged(faults, len(wanted), len(bad), len(twice), shop.requests)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("shapes", nargs="*", choices=[*SHAPES, []], default=[])
    given = parser.parse_args()
    wrong = 0
    for name in given.shapes or SHAPES:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as scratch:
            found = soak(Path(scratch), name, given.kills, given.seed)
        wrong += bool(found.faults)
        print(
            f"{name:<8} {given.kills} kills, {found.messages} messages, {found.refused} refused, {found.requests} requests, "
            f"{found.again} taken again after a lost answer, {len(found.faults)} faults, {time.monotonic() - began:.0f} s"
        )
        for fault in found.faults[:10]:
            print(f"  {fault}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
