"""The lane on a virtual clock: batches, outcomes, waits and the ledger, under any schedule of answers."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks import offer_one
from waypost import plan as p
from waypost.delivery.gate import Gate
from waypost.delivery.lane import LONE_REFUSALS, Dead, Lane, Position, Send
from waypost.delivery.outcome import Answer, backoff, verdict_of, wait_asked
from waypost.delivery.results import Sent
from waypost.events.results import Filtered, Mapped, Rejected

ENVELOPE = (b'{"batch":[', b'],"sentAt":"2026-11-24T10:00:00.000Z"}')


class Kind:
    """A linked request, as far as a lane needs one."""

    def __init__(self, **policy: Any) -> None:
        self.policy = p.Request(method="post", url=p.Const(value="https://example.com"), **policy)

    def envelope(self, group: tuple[Any, ...], now: float) -> tuple[bytes, bytes]:
        return ENVELOPE


def lane_of(jitter: float = 1.0, **policy: Any) -> Lane:
    kind = Kind(**policy)
    return Lane({"request": kind}, {"request": Gate(kind.policy.concurrency, lambda: jitter)}, lambda: jitter)


def offer(lane: Lane, number: int, size: int = 10, now: float = 0.0, group: tuple[Any, ...] = ()) -> list[Any]:
    body = str(number).encode().rjust(size, b"x")
    return offer_one(
        lane,
        [Mapped("send", None, "request", group, body)],
        b"event",
        Position("s", number * 100, number + 1, number * 100 + 100),
        now,
    )


def sends(commands: list[Any]) -> list[Send]:
    return [command for command in commands if isinstance(command, Send)]


def drive(lane: Lane, answer: Any, now: float = 0.0, limit: int = 10_000) -> tuple[list[Dead], int, float]:
    """Ticks and answers until nothing is on its way: (dead letters, requests, instant)."""
    dead: list[Dead] = []
    requests = 0
    for _ in range(limit):
        found = sends(lane.tick(now, flush=True))
        for send in found:
            requests += 1
            dead += [item for item in lane.settle(send.batch, answer(send, now), now) if isinstance(item, Dead)]
            assert lane.ledger.closes
        if lane.idle or lane.stopped:
            return dead, requests, now
        wake = lane.next_wake(now)
        if not found:
            assert wake is not None
            now = max(now, wake)
    raise AssertionError("the lane does not come to rest")


batching = p.Batch(max_messages=4, max_bytes=200, max_message_bytes=100, max_wait_s=1.0)


@given(st.lists(st.integers(1, 120), max_size=30))
def test_no_body_is_ever_larger_than_allowed(sizes: list[int]) -> None:
    """Sizes around every limit. Mutation that turns this red: `_add` without the comma's byte."""
    lane = lane_of(batch=batching, concurrency=100)
    dead = [item for number, size in enumerate(sizes) for item in offer(lane, number, size)]
    found = sends(lane.tick(0.0, flush=True))
    for send in found:
        body = ENVELOPE[0] + b",".join(send.bodies) + ENVELOPE[1]
        assert len(body) <= 200
        assert len(send.bodies) <= 4
        assert all(len(message) <= 100 for message in send.bodies)
    too_large = [size for size in sizes if max(size, 2) > 100]
    assert len(dead) == len(too_large)
    assert sum(len(send.bodies) for send in found) == len(sizes) - len(too_large)


@pytest.mark.parametrize(("size", "fits"), [(99, True), (100, True), (101, False)])
def test_limit_of_a_message(size: int, fits: bool) -> None:
    lane = lane_of(batch=batching)
    assert bool(offer(lane, 1, size)) is not fits


def test_batch_goes_when_it_is_old_enough_and_not_before() -> None:
    lane = lane_of(batch=batching)
    offer(lane, 1, now=5.0)
    assert lane.tick(5.999) == []
    assert lane.next_wake(5.0) == 6.0
    assert len(sends(lane.tick(6.0))) == 1


def test_only_equal_groups_share_a_request() -> None:
    lane = lane_of(batch=batching)
    offer(lane, 1, group=("a",))
    offer(lane, 2, group=("b",))
    offer(lane, 3, group=("a",))
    assert sorted((send.group, len(send.bodies)) for send in sends(lane.tick(0.0, flush=True))) == [
        (("a",), 2),
        (("b",), 1),
    ]


@given(st.integers(1, 40), st.sets(st.integers(0, 39)))
def test_split_delivers_the_complement_of_the_bad(count: int, bad_set: set[int]) -> None:
    """P5. Mutation that turns this red: `_split` keeping only the left half."""
    bad = {number for number in bad_set if number < count}
    lane = lane_of(batch=p.Batch(max_messages=100), responses={"400": [p.ResponseRule(then="split")]}, concurrency=1)
    for number in range(count):
        offer(lane, number)
    taken: list[int] = []

    def answer(send: Send, now: float) -> Answer:
        numbers = [int(body.lstrip(b"x")) for body in send.bodies]
        if bad & set(numbers):
            return Answer("400")
        taken.extend(numbers)
        return Answer("200")

    dead, requests, _ = drive(lane, answer)
    if lane.stopped:
        assert len(dead) >= LONE_REFUSALS
        assert not taken
        return
    assert sorted(taken) == sorted(set(range(count)) - bad)
    assert {item.position.line - 1 for item in dead} == bad
    assert requests <= 2 * max(1, len(bad)) * math.ceil(math.log2(max(2, count))) + 1


def test_systemic_refusal_is_no_storm() -> None:
    lane = lane_of(batch=p.Batch(max_messages=2500), responses={"400": [p.ResponseRule(then="split")]}, concurrency=1)
    for number in range(2500):
        offer(lane, number)
    dead, requests, _ = drive(lane, lambda send, now: Answer("400"))
    assert lane.stopped
    assert len(dead) == LONE_REFUSALS
    assert requests < 40
    assert lane.ledger.in_flight == 2500 - LONE_REFUSALS
    assert lane.ledger.closes


statuses = st.sampled_from(
    ["200", "200", "400", "401", "408", "413", "429", "500", "503", "302", "unsent", "unanswered"]
)


@given(st.integers(0, 10**9), st.lists(statuses, min_size=1, max_size=12), st.integers(1, 30))
def test_ledger_closes_at_every_step(seed: int, script: list[str], count: int) -> None:
    """P2: under any answers, each delivery ends in exactly one place or is still in flight."""
    rng = random.Random(seed)
    lane = lane_of(
        jitter=0.5,
        batch=p.Batch(max_messages=5),
        retry=p.Retry(for_s=30.0),
        responses={"400": [p.ResponseRule(then="split")]},
    )
    ended: list[int] = []
    for number in range(count):
        kind = rng.random()
        position = Position("s", number * 100, number, number * 100 + 100)
        if kind < 0.1:
            offer_one(lane, [Rejected(None, None, "malformed", "")], b"", position, 0.0)
        elif kind < 0.2:
            offer_one(lane, [Filtered(None, None, "no_action"), Rejected("a", None, "require", "")], b"", position, 0.0)
        else:
            offer(lane, number)

    def answer(send: Send, now: float) -> Answer:
        status = rng.choice(script) if lane.ledger.requests < 300 else "200"
        if status == "200":
            ended.extend(int(body.lstrip(b"x")) for body in send.bodies)
        return Answer(status, {"retry-after": rng.choice(["1", "0", "x", "-5", "Wed, 21 Oct 2015 07:28:00 GMT"])})

    dead, _, _ = drive(lane, answer)
    ended += [item.position.offset // 100 for item in dead]
    assert len(ended) == len(set(ended))
    assert lane.ledger.closes
    assert lane.stopped or lane.ledger.in_flight == 0
    if not lane.stopped:
        assert lane.cursor("s") == count * 100


def test_cursor_stands_before_the_first_event_on_its_way() -> None:
    lane = lane_of(batch=p.Batch(max_messages=1), concurrency=4)
    for number in range(3):
        offer(lane, number)
    first, second, third = sends(lane.tick(0.0))
    lane.settle(second.batch, Answer("200"), 0.0)
    assert lane.cursor("s") == 0
    lane.settle(first.batch, Answer("200"), 0.0)
    assert lane.cursor("s") == 200
    lane.settle(third.batch, Answer("200"), 0.0)
    assert lane.cursor("s") == 300


NOW = 1_800_000_000.0
WAITS = [
    ({"retry-after": "2"}, 2.0),
    ({"retry-after": "0"}, 0.0),
    ({"retry-after": "-5"}, 0.0),
    ({"retry-after": "1.5"}, 1.5),
    ({"retry-after": "99999999"}, 3600.0),
    ({"retry-after": "Fri, 15 Jan 2027 08:00:10 GMT"}, 10.0),
    ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ({"retry-after": "soon"}, None),
    ({"retry-after": "nan"}, None),
    ({"x-ratelimit-reset": "1800000007"}, 7.0),
    ({"x-ratelimit-reset": "1800000007000"}, 7.0),
    ({"x-ratelimit-reset": "30"}, 30.0),
    ({}, None),
]


@pytest.mark.parametrize(("headers", "wanted"), WAITS)
def test_wait_that_an_answer_asks_for(headers: dict[str, str], wanted: float | None) -> None:
    retry = p.Retry(wait_from=["Retry-After", "X-RateLimit-Reset"])
    assert wait_asked(retry, Answer("429", headers), NOW) == wanted


def test_throttle_pauses_everything_and_does_not_count() -> None:
    """P7: no request of the gate before the header's instant. Mutation that turns this red: `gate.pause` left out."""
    lane = lane_of(batch=p.Batch(max_messages=1), retry=p.Retry(for_s=1.0), concurrency=1)
    offer(lane, 1)
    offer(lane, 2)
    (send,) = sends(lane.tick(0.0))
    lane.settle(send.batch, Answer("429", {"retry-after": "500"}), 0.0)
    assert lane.tick(499.9) == []
    assert lane.next_wake(499.9) == 500.0
    (send,) = sends(lane.tick(500.0))
    lane.settle(send.batch, Answer("429", {"retry-after": "500"}), 500.0)
    dead, requests, _ = drive(lane, lambda send, now: Answer("200"), now=500.0)
    assert (dead, requests, lane.ledger.delivered) == ([], 2, 2)


def test_budget_of_retries_ends_in_a_dead_letter_with_the_answer() -> None:
    lane = lane_of(retry=p.Retry(for_s=10.0))
    offer(lane, 1)
    dead, requests, _ = drive(lane, lambda send, now: Answer("408", body=b"late"))
    assert (len(dead), dead[0].reason, dead[0].attempts) == (1, "retries_exhausted", requests)
    assert dead[0].answer is not None
    assert dead[0].answer.body == b"late"
    assert lane.ledger.dead == {"retries_exhausted": 1}


def test_budget_does_not_run_while_the_breaker_is_open() -> None:
    lane = lane_of(retry=p.Retry(for_s=60.0), concurrency=1)
    offer(lane, 1)
    answers = iter([*["503"] * 60, "200"])
    dead, requests, now = drive(lane, lambda send, now: Answer(next(answers)))
    assert (dead, requests) == ([], 61)
    assert now > 600


def test_poison_behind_a_5xx_is_split_once() -> None:
    """One message breaks the destination: after some failures of its batch, the others are delivered."""
    lane = lane_of(jitter=0.1, batch=p.Batch(max_messages=4), retry=p.Retry(for_s=600.0), concurrency=1)
    for number in range(8):
        offer(lane, number)
    taken: set[int] = set()

    def answer(send: Send, now: float) -> Answer:
        numbers = {int(body.lstrip(b"x")) for body in send.bodies}
        if 2 in numbers:
            return Answer("500")
        taken.update(numbers)
        return Answer("200")

    with pytest.raises(AssertionError, match="come to rest"):
        drive(lane, answer, limit=200)
    assert taken == {0, 1, 4, 5, 6, 7}


def test_stop_loses_nothing() -> None:
    lane = lane_of(batch=p.Batch(max_messages=2))
    for number in range(6):
        offer(lane, number)
    first, *_ = sends(lane.tick(0.0))
    lane.settle(first.batch, Answer("401"), 0.0)
    assert "401" in lane.stopped
    assert lane.ledger.in_flight == 6
    assert lane.tick(100.0, flush=True) == []
    assert not lane.room


def test_memory_is_bounded() -> None:
    lane = Lane({"request": Kind()}, {"request": Gate(1, lambda: 1.0)}, lambda: 1.0, window_bytes=1000)
    number = 0
    while lane.room:
        offer(lane, number, 100)
        number += 1
    assert number == 10
    (send,) = sends(lane.tick(0.0))
    lane.settle(send.batch, Answer("200"), 0.0)
    assert lane.room


RULES: dict[str, list[p.ResponseRule]] = {
    "400": [
        p.ResponseRule(then="retry", test='body.code = "slow"'),
        p.ResponseRule(then="split", test='headers.x-kind = "batch"'),
    ],
    "4xx": [p.ResponseRule(then="retry")],
    "200": [p.ResponseRule(then="reject", test="body.ok = false")],
    "unanswered": [p.ResponseRule(then="reject")],
}


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (Answer("400", body=b'{"code":"slow"}'), "retry"),
        (Answer("400", {"x-kind": "batch"}), "split"),
        (Answer("400", body=b"nonsense"), "reject"),
        (Answer("429"), "throttle"),  # the built-in status is more specific than the spec's class
        (Answer("418"), "retry"),
        (Answer("200", body=b'{"ok":false}'), "reject"),
        (Answer("200", body=b'{"ok":true}'), "ok"),
        (Answer("204"), "ok"),
        (Answer("301"), "stop"),
        (Answer("404"), "stop"),
        (Answer("413"), "split"),
        (Answer("501"), "reject"),
        (Answer("599"), "retry"),
        (Answer("unsent"), "retry"),
        (Answer("unanswered"), "reject"),
    ],
)
def test_outcome_of_an_answer(answer: Answer, wanted: str) -> None:
    request = p.Request(method="post", url=p.Const(value=""), responses=RULES)
    assert verdict_of(request, answer, Sent(0, tuple), lambda *_: None).outcome == wanted


@given(st.integers(1, 1000), st.floats(0, 1))
def test_backoff_is_bounded_full_jitter(attempt: int, share: float) -> None:
    wait = backoff(attempt, lambda: share)
    assert 0 <= wait <= 60
    assert wait <= 0.5 * 2 ** min(attempt - 1, 30)
