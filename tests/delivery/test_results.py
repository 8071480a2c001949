"""An outcome for each message: what an answer names, what becomes of a batch then, and that nothing is lost, repeated or counted twice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from blocks import offer_one
from conftest import CASES, ROOT
from waypost import plan as p
from waypost.compiler.pipeline import compile_text
from waypost.delivery.commands import Dead, Doubt, Send
from waypost.delivery.gate import Gate
from waypost.delivery.lane import Lane
from waypost.delivery.outcome import ANSWER_LIMIT, Answer, verdict_of
from waypost.delivery.progress import Position
from waypost.delivery.results import Sent
from waypost.events.lines import Chunk
from waypost.lang import notation
from waypost.program.program import Program, link

ROWS: list[dict[str, Any]] = YAML(typ="safe", pure=True).load((CASES / "results.yaml").read_text(encoding="utf-8"))
LETTERS = {"o": "ok", "r": "reject", "t": "retry", "h": "throttle", "s": "stop", "p": "split"}
MAILS = ("a@x", "b@x", "c@x", "d@x", "d@x")
SENT = [
    json.dumps({"id": name, "n": number, "mail": mail, "inner": {"id": name}}).encode()
    for number, (name, mail) in enumerate(zip("abcde", MAILS, strict=True))
]


MAPPING = {"id": "$.messageId", "n": "$.properties.n", "mail": "$.properties.mail", "inner": {"id": "$.messageId"}}


def program_of(responses: Any, batch: int = 100, mapping: Any = MAPPING) -> Program:
    """Each event is one message, with its own id."""
    spec = {
        "spec": 1,
        "name": "shop",
        "request": {
            "post": "https://api.shop.example/v1/events",
            "body": {"events": "$messages"},
            "batch": {"max_messages": batch},
            "responses": responses,
        },
        "actions": {
            "send": {
                "trigger": 'type = "track"',
                "mapping": mapping,
            }
        },
    }
    plan, report = compile_text(json.dumps(spec), "destination.yaml")
    assert plan is not None, [found.message for found in report.diagnostics]
    return link(plan, {})


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_answer(row: dict[str, Any]) -> None:
    kind = program_of({str(status): held for status, held in row["responses"].items()}).requests["request"]
    body = row["text"].encode() if "text" in row else json.dumps(row["body"]).encode()
    answer = Answer(str(row["status"]), body=body)
    verdict = verdict_of(kind.policy, answer, Sent(len(SENT), lambda: SENT), kind.read)
    named = {place: one.then for place, one in verdict.named.items()}
    assert [named.get(place, verdict.outcome) for place in range(5)] == [LETTERS[letter] for letter in row["outcomes"]]
    assert {place: verdict.named[place].reason for place in row.get("said", {})} == row.get("said", {})
    assert row["doubt"] in verdict.doubt if "doubt" in row else not verdict.doubt


def test_body_that_is_too_long_is_not_read() -> None:
    kind = program_of({"400": {"results": {"at": "$body.e", "index": "$item", "then": "reject"}, "rest": "ok"}})
    long = Answer("400", body=(b'{"e": [1], "pad": "' + b"x" * ANSWER_LIMIT)[:ANSWER_LIMIT])
    verdict = verdict_of(kind.requests["request"].policy, long, Sent(5, lambda: SENT), kind.requests["request"].read)
    assert (verdict.outcome, verdict.named, verdict.doubt) == ("reject", {}, "its body is longer than 4 MiB")


def test_answer_that_was_cut_is_none() -> None:
    kind = program_of({"207": {"results": {"at": "$body.e", "index": "$item", "then": "reject"}, "rest": "ok"}})
    cut = Answer("207", body=b'{"e": [', error="closed", cut=True)
    request = kind.requests["request"]
    assert verdict_of(request.policy, cut, Sent(5, lambda: SENT), request.read).outcome == "retry"


def example(title: str) -> Any:
    """The first block of YAML below a heading of the reference."""
    below = (ROOT / "docs" / "spec-reference.md").read_text(encoding="utf-8").split(f"### {title}\n")[1]
    return YAML(typ="safe", pure=True).load(below.split("```yaml\n")[1].split("```")[0])


def test_example_of_the_reference() -> None:
    responses = {str(status): held for status, held in example("An outcome for each message")["responses"].items()}
    mapping = {"id": "$.messageId", "customer": {"email": "$.userId"}}
    kind = program_of(responses, mapping=mapping).requests["request"]
    sent = [json.dumps({"id": f"m{at}", "customer": {"email": f"u{at}@x"}}).encode() for at in range(4)]

    def outcomes(status: str, body: Any) -> list[str]:
        verdict = verdict_of(
            kind.policy, Answer(status, body=json.dumps(body).encode()), Sent(4, lambda: sent), kind.read
        )
        assert not verdict.doubt
        return [verdict.named[at].then if at in verdict.named else verdict.outcome for at in range(4)]

    assert outcomes("207", {"errors": [{"index": 1, "message": "no"}]}) == ["ok", "reject", "ok", "ok"]
    assert outcomes("400", {"failed_records": [{"id": "m3"}]}) == ["retry", "retry", "retry", "reject"]
    later = [{"position": 0, "code": "busy"}, {"position": 1, "code": "duplicate"}, {"position": 2, "status": "done"}]
    found = outcomes("200", {"failed": {"unknown": ["u3@x"]}, "later": later})
    assert found == ["retry", "ok", "ok", "reject"]


# The lane.

EVERYTHING = {
    "207": {
        "results": {
            "at": "$body.e",
            "index": "$item.i",
            "reason": "{{ item.m }}",
            "then": [
                {"if": 'item.then = "ok"', "then": "ok"},
                {"if": 'item.then = "retry"', "then": "retry"},
                {"if": 'item.then = "throttle"', "then": "throttle"},
                "reject",
            ],
        },
        "rest": "ok",
    },
    "400": {
        "results": {"at": "$body.e", "index": "$item.i", "reason": "{{ item.m }}", "then": "reject"},
        "rest": "retry",
    },
}


def lines(count: int) -> list[bytes]:
    return [
        json.dumps(
            {"type": "track", "messageId": f"m{number}", "userId": f"u{number % 3}", "properties": {"n": number}}
        ).encode()
        for number in range(count)
    ]


class Stand:
    """A lane of a real program over the lines of one source, and what has become of each."""

    def __init__(self, program: Program, count: int, *, keys: bool = False) -> None:
        self.program, self.keys, self.lines = program, keys, lines(count)
        self.offsets = [sum(len(line) + 1 for line in self.lines[:at]) for at in range(count)]
        self.taken: list[str] = []
        self.dead: dict[str, Dead] = {}
        self.doubts: list[Doubt] = []
        self.now = 0.0
        self.sent: list[list[bytes]] = []
        self.start()

    def start(self) -> None:
        gate = Gate(4, lambda: 1.0)
        self.lane = Lane(dict(self.program.requests), {"request": gate}, lambda: 1.0)

    def offer(self) -> None:
        if not self.keys:
            end = self.offsets[-1] + len(self.lines[-1]) + 1
            chunk = Chunk(b"\n".join(self.lines), 0, 1, [*self.offsets, end])
            first = 0
            for block in self.program.map_data(chunk.data, 0, self.lines[0], 0.0):
                self.take(self.lane.offer(block, chunk, first, "s", self.now))
                first += block.count
            return
        for number, (line, offset) in enumerate(zip(self.lines, self.offsets, strict=True)):
            results = list(self.program.map(line, offset, self.lines[0], 0.0))
            key = f"u{number % 3}"
            self.take(
                offer_one(
                    self.lane, results, line, Position("s", offset, number + 1, offset + len(line) + 1), self.now, key
                )
            )

    def take(self, commands: list[Any]) -> list[Send]:
        for command in commands:
            if isinstance(command, Dead):
                name = json.loads(command.event)["messageId"]
                assert name not in self.dead
                self.dead[name] = command
            elif isinstance(command, Doubt):
                self.doubts.append(command)
        return [command for command in commands if isinstance(command, Send)]

    def step(self, answer: Any) -> bool:
        """One round of requests. Whether anything is left."""
        sends = self.take(self.lane.tick(self.now, flush=True))
        for send in sends:
            bodies = list(send.bodies)
            self.sent.append(bodies)
            status, body = answer([json.loads(one)["id"] for one in bodies])
            self.take(self.lane.settle(send.batch, Answer(status, body=json.dumps(body).encode()), self.now))
            assert self.lane.ledger.closes
        if self.lane.idle or self.lane.stopped:
            return False
        if not sends:
            wake = self.lane.next_wake(self.now)
            assert wake is not None
            self.now = max(self.now, wake)
        return True

    def run(self, answer: Any) -> None:
        for _ in range(5000):
            if not self.step(answer):
                return
        raise AssertionError("the lane does not come to rest")


FATES = st.lists(st.sampled_from(["ok", "ok", "reject", "retry", "throttle", "twice"]), min_size=1, max_size=24)


class Server:
    """Answers 207 by the fate of each message. `all_or_nothing`: a request with a bad one is refused whole, and each is named."""

    def __init__(self, fates: list[str], *, all_or_nothing: bool = False) -> None:
        self.fates = {f"m{at}": fate for at, fate in enumerate(fates)}
        self.all_or_nothing = all_or_nothing
        self.taken: list[str] = []
        self.tried: dict[str, int] = {}

    def __call__(self, names: list[str]) -> tuple[str, Any]:
        bad = []
        for at, name in enumerate(names):
            fate = self.fates[name]
            self.tried[name] = self.tried.get(name, 0) + 1
            if fate == "reject" or (
                not self.all_or_nothing and fate != "ok" and self.tried[name] <= 1 + (fate == "twice")
            ):
                bad.append({"i": at, "m": f"{name} is bad", "then": "retry" if fate == "twice" else fate})
        if self.all_or_nothing and bad:
            return "400", {"e": bad}
        self.taken += [name for at, name in enumerate(names) if at not in {one["i"] for one in bad}]
        return "207", {"e": bad}


@pytest.mark.parametrize("keys", [False, True])
@given(fates=FATES, batch=st.integers(1, 9), nothing=st.booleans())
@settings(max_examples=60)
def test_only_what_failed_goes_again_or_is_dead(keys: bool, fates: list[str], batch: int, nothing: bool) -> None:
    """Mutation that turns this red: `again` in partial.py also takes what was named `ok`."""
    stand = Stand(program_of(EVERYTHING, batch), len(fates), keys=keys)
    server = Server(fates, all_or_nothing=nothing)
    stand.offer()
    stand.run(server)
    bad = {f"m{at}" for at, fate in enumerate(fates) if fate == "reject"}
    good = {f"m{at}" for at in range(len(fates))} - bad
    assert sorted(server.taken) == sorted(good), "each is taken once"
    assert stand.dead.keys() == bad
    for name, letter in stand.dead.items():
        assert letter.message.endswith(f": {name} is bad")
    ledger = stand.lane.ledger
    assert (ledger.delivered, ledger.dead.total(), ledger.in_flight) == (len(good), len(bad), 0)
    first: dict[bytes, bytes] = {}
    for body in [one for bodies in stand.sent for one in bodies]:
        name = json.dumps(json.loads(body)["id"]).encode()
        assert first.setdefault(name, body) == body, "the same bytes at every attempt"
    assert stand.lane.held_bytes == 0
    assert stand.lane.cursor("s") == stand.offsets[-1] + len(stand.lines[-1]) + 1
    if not nothing:
        tries = {"ok": 1, "reject": 1, "retry": 2, "throttle": 2, "twice": 3}
        assert server.tried == {f"m{at}": tries[fate] for at, fate in enumerate(fates)}


@given(fates=FATES, batch=st.integers(2, 9))
@settings(max_examples=40)
def test_equal_keys_go_in_order_and_never_at_once(fates: list[str], batch: int) -> None:
    stand = Stand(program_of(EVERYTHING, batch), len(fates), keys=True)
    server = Server(fates)
    stand.offer()
    for _ in range(5000):
        sends = stand.take(stand.lane.tick(stand.now, flush=True))
        names = [[json.loads(one)["id"] for one in send.bodies] for send in sends]
        under_way = [int(name[1:]) % 3 for one in names for name in set(map(str, one))]
        for key in set(under_way):
            assert sum(any(int(name[1:]) % 3 == key for name in one) for one in names) == 1
        for send, own in zip(sends, names, strict=True):
            assert own == sorted(own, key=lambda name: (int(name[1:]) % 3, int(name[1:]))) or len(set(own)) == len(own)
            for key in range(3):
                mine = [int(name[1:]) for name in own if int(name[1:]) % 3 == key]
                assert mine == sorted(mine)
            status, body = server(own)
            stand.take(stand.lane.settle(send.batch, Answer(status, body=json.dumps(body).encode()), stand.now))
        if stand.lane.idle:
            break
        if not sends:
            wake = stand.lane.next_wake(stand.now)
            assert wake is not None
            stand.now = max(stand.now, wake)
    assert stand.lane.idle
    assert len(server.taken) == len(set(server.taken))


@given(fates=FATES, batch=st.integers(2, 9), crash=st.integers(0, 6))
@settings(max_examples=60)
def test_what_had_ended_before_a_crash_is_not_sent_again(fates: list[str], batch: int, crash: int) -> None:
    """The state has what `settled` told; the rest of an answered batch comes again, no more. Mutation: `divide_into` without its stretches."""
    stand = Stand(program_of(EVERYTHING, batch), len(fates))
    server = Server(fates)
    stand.offer()
    for _ in range(crash):
        if not stand.step(server):
            break
    kept = stand.lane.settled("s")
    before, ended = stand.lane.ledger.settled(stand.lane.events_on_their_way), set(server.taken) | stand.dead.keys()
    assert before.closes
    stand.start()
    stand.lane.skip("s", kept.cursor, kept.ranges, kept.parts)
    for number, (line, offset) in enumerate(zip(stand.lines, stand.offsets, strict=True)):
        if offset >= kept.cursor:
            results = list(stand.program.map(line, offset, stand.lines[0], 0.0))
            stand.take(
                offer_one(
                    stand.lane, results, line, Position("s", offset, number + 1, offset + len(line) + 1), stand.now
                )
            )
    stand.sent.clear()
    stand.run(server)
    again = {json.loads(one)["id"] for bodies in stand.sent for one in bodies}
    assert not again & ended
    assert before.delivered + stand.lane.ledger.delivered + len(stand.dead) == len(fates)


def test_doubt_is_told_once_a_status() -> None:
    stand = Stand(
        program_of({"207": {"results": {"at": "$body.e", "index": "$item", "then": "reject"}, "rest": "ok"}}, 2), 6
    )
    stand.offer()
    stand.run(lambda names: ("207", {"e": [7]}))
    assert [(doubt.status, doubt.outcome) for doubt in stand.doubts] == [("207", "ok")]
    assert stand.lane.ledger.delivered == 6


def test_message_named_for_a_stop_stops_the_lane_and_loses_nothing() -> None:
    stand = Stand(
        program_of({"200": {"results": {"at": "$body.e", "index": "$item", "then": "stop"}, "rest": "ok"}}), 4
    )
    stand.offer()
    stand.run(lambda names: ("200", {"e": [1]}))
    assert "check its credentials" in stand.lane.stopped
    assert (stand.lane.ledger.delivered, stand.lane.ledger.in_flight, stand.dead) == (3, 1, {})
    assert [json.loads(of.mapped.body)["id"] for of in stand.lane.begun()] == ["m1"]


def test_rest_is_halved_where_it_says_split() -> None:
    rules = {"400": {"results": {"at": "$body.e", "index": "$item", "then": "reject"}, "rest": "split"}}
    stand = Stand(program_of(rules), 8)
    stand.offer()

    def answer(names: list[str]) -> tuple[str, Any]:
        if "m0" in names:
            return "400", {"e": [names.index("m0")]}
        return ("400", {"e": []}) if "m5" in names else ("200", {})

    stand.run(answer)
    assert set(stand.dead) == {"m0", "m5"} or stand.lane.ledger.dead.total() >= 2
    assert stand.lane.ledger.closes


def test_message_that_is_named_for_a_retry_has_a_budget() -> None:
    rules = {
        "207": {"results": {"at": "$body.e", "index": "$item", "reason": "{{ 'busy' }}", "then": "retry"}, "rest": "ok"}
    }
    stand = Stand(program_of(rules), 3)
    stand.offer()
    stand.run(lambda names: ("207", {"e": [names.index("m1")]} if "m1" in names else {}))
    letter = stand.dead["m1"]
    assert letter.reason == "retries_exhausted"
    assert letter.message.endswith("the last answer was 207: busy")
    assert stand.lane.ledger.delivered == 2


def test_ordinary_answers_read_no_messages() -> None:
    """What happens at each request costs nothing that an answer by message needs."""

    def bodies() -> list[bytes]:
        raise AssertionError("not wanted")

    request = program_of({"400": "split"}).requests["request"]
    assert verdict_of(request.policy, Answer("200"), Sent(3, bodies), request.read).outcome == "ok"
    assert not any(rule.results for rules in request.policy.responses.values() for rule in rules)
    assert isinstance(request.policy, p.Request)


SEVERAL = """
spec: 1
name: shop
request:
  post: https://api.shop.example/v1/track
  body: {events: {$messages: [send_event]}, users: {$messages: [send_user]}}
  batch: {max_messages: 50}
  responses:
    201: {results: {at: $body.errors, LISTindex: $item.index, reason: $item.type, then: reject}, rest: ok}
actions:
  send_event: {trigger: type = "track", mapping: {id: $.messageId}}
  send_user: {trigger: type = "identify", mapping: {id: $.messageId}}
"""


def test_index_counts_in_the_list_that_the_item_names() -> None:
    plan, report = compile_text(SEVERAL.replace("LIST", "list: $item.input_array, "), "destination.yaml")
    assert plan is not None, [found.message for found in report.diagnostics]
    program = link(plan, {})
    stand = Stand(program, 0)
    kinds = ["track", "identify", "track", "identify", "track"]
    for number, kind in enumerate(kinds):
        line = json.dumps({"type": kind, "messageId": f"m{number}"}).encode()
        position = Position("s", number * 100, number + 1, number * 100 + 100)
        stand.take(offer_one(stand.lane, list(program.map(line, number * 100, line, 0.0)), line, position, 0.0))
    errors = [
        {"input_array": "events", "index": 2, "type": "no time"},
        {"input_array": "users", "index": 0, "type": "no id"},
        {"input_array": "users", "index": 2, "type": "nobody"},
        {"input_array": "purchases", "index": 0, "type": "nobody"},
    ]
    stand.run(lambda names: ("201", {"errors": errors}))
    assert {name: letter.message.rpartition(": ")[2] for name, letter in stand.dead.items()} == {
        "m4": "no time",
        "m1": "no id",
    }
    assert [doubt.why for doubt in stand.doubts] == ["it names message 2, counted from 0, and the request had 2"]


@pytest.mark.parametrize(
    ("word", "said"),
    [("", "the body has several lists"), ("list: orders, ", "the body has no list `orders`"), ("list: users, ", "")],
)
def test_index_needs_one_of_several_lists(word: str, said: str) -> None:
    _, report = compile_text(SEVERAL.replace("LIST", word), "destination.yaml")
    found = [one.message for one in report.diagnostics if one.code == "D108"]
    assert (said in found[0]) if said else (found == [])


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_notation_is_what_compiles_to_it(row: dict[str, Any]) -> None:
    for rules in program_of({str(status): held for status, held in row["responses"].items()}).requests.values():
        for status, held in rules.policy.responses.items():
            written = YAML(typ="safe", pure=True).load(notation.responses(held))
            again = program_of({status: written}).requests["request"].policy.responses
            assert again[status] == held


WRONG = {
    "{results: {at: $body.e, index: $item, then: reject}}": "S103",
    "{results: {at: $body.e, then: reject}, rest: ok}": "S103",
    "{results: {index: $item, then: reject}, rest: ok}": "S103",
    "{results: {at: $body.e, index: $item}, rest: ok}": "S103",
    "{results: {at: $body.e, value: $item, then: reject}, rest: ok}": "S103",
    "{results: {at: $body.e, value: $item, index: $item, of: id, then: reject}, rest: ok}": "S108",
    "{results: {at: $body.e, index: $item, of: id, then: reject}, rest: ok}": "S108",
    "{results: {at: $body.e, value: $item, of: name, then: reject}, rest: ok}": "D120",
    "{results: {at: $body.e, value: $item, of: $.id, then: reject}, rest: ok}": "D120",
    "{results: {at: $.e, index: $item, then: reject}, rest: ok}": "P104",
    "{results: {at: $item.e, index: $item, then: reject}, rest: ok}": "P104",
    "{results: {at: body.e, index: $item, then: reject}, rest: ok}": "S104",
    "{results: {at: [], index: $item, then: reject}, rest: ok}": "S104",
    "{results: [], rest: ok}": "S104",
    "{results: {at: $body.e, index: $item, then: []}, rest: ok}": "S104",
    "{results: {at: $body.e, index: $item, then: drop}, rest: ok}": "S105",
    "{results: {at: $body.e, index: $item, then: reject}, rest: done}": "S105",
    "{results: {at: $body.e, idx: $item, then: reject}, rest: ok}": "S101",
    "{results: {at: $body.e, index: $item, where: event = 1, then: reject}, rest: ok}": "Q112",
    "{results: {at: $body.e, index: $item, then: split}, rest: ok}": "D108",
    "{results: {at: $body.e, index: $item, then: [{if: item.a = 1, then: retry}]}, rest: ok}": "D108",
    "{results: {at: $body.e, index: $item, then: [retry, reject]}, rest: ok}": "D108",
    "{results: {at: $body.e, index: $item, list: events, then: reject}, rest: ok}": "D108",
    "{results: {at: $body.e, index: $item, then: reject}, rest: retry}": "D113",
    "{results: {at: $body.e, index: $item, then: reject}, rest: throttle}": "D113",
    "{results: {at: $body.e, index: $item, then: reject}, rest: stop}": "D113",
    "{if: body.none = true, results: {at: $body.e, index: $item, then: reject}, rest: split}": "D113",
    "{if: status = 207, results: {at: $body.e, index: $item, then: reject}, rest: retry}": "D113",
    "[{results: {at: $body.e, index: $item, then: reject}, rest: ok}, retry]": "D113",
    "{results: {at: $body.e, index: $item, then: ok}, rest: retry}": "D121",
    "{results: {at: $body.e, index: '{{ event.x }}', then: reject}, rest: ok}": "T103",
}


@pytest.mark.parametrize("rule", WRONG)
def test_wrong_reader_is_one_finding(rule: str) -> None:
    head = "spec: 1\nname: shop\nrequest:\n  post: https://x.example/v1\n  body: {events: $messages}\n  batch: {max_messages: 9}\n"
    tail = 'actions:\n  send: {trigger: type = "track", mapping: {id: $.messageId}}\n'
    _, report = compile_text(f"{head}  responses:\n    207: {rule}\n{tail}", "x.yaml")
    assert [found.code for found in report.diagnostics] == [WRONG[rule]]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["e", "i", "m", "id", "a"]), inner, max_size=4)
    ),
    max_leaves=12,
)


KINDS = {
    row["name"]: program_of({str(status): held for status, held in row["responses"].items()}).requests["request"]
    for row in ROWS[:12]
}


@given(body=JSON, row=st.sampled_from(ROWS[:12]))
@settings(max_examples=150, deadline=None)
def test_no_answer_raises(body: Any, row: dict[str, Any]) -> None:
    """Each message has one outcome, whatever an answer holds."""
    request = KINDS[row["name"]]
    status = str(next(iter(row["responses"]))).replace("xx", "00")
    answer = Answer(status, body=json.dumps(body).encode())
    verdict = verdict_of(request.policy, answer, Sent(len(SENT), lambda: SENT), request.read)
    assert set(verdict.named) <= set(range(len(SENT)))
