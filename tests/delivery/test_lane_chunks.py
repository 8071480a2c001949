"""Chunks, order keys, what has settled and is skipped, and the budgets of a lane. Each promise says which one-line mutation breaks it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_lane import ENVELOPE, drive, lane_of, offer, sends

from blocks import block_of, chunk_of, offer_rows
from waypost import plan as p
from waypost.delivery.lane import LONE_REFUSALS, Dead, Lane, Send
from waypost.delivery.outcome import Answer
from waypost.events.lines import Line, scattered
from waypost.events.results import Filtered, Mapped, Rejected
from waypost.lang.bodies.format import Layout

EVENT = b"event".ljust(99)


def lines_of(count: int, gap: int = 0) -> list[Line]:
    """With so many bytes of blank lines between two."""
    return [Line(EVENT, number * 100, number * 100 + 100 - gap, number + 1) for number in range(count)]


def whole(send: Send) -> bytes:
    return Layout().together([b"", b""], send.joined(Layout()))


def told(found: list[Send]) -> list[Any]:
    """What goes out, however it is held."""
    return [(send.batch, send.request, send.group, send.bodies, whole(send), send.attempt) for send in found]


rows = st.lists(
    st.one_of(
        st.integers(1, 120).map(lambda size: Mapped("a", None, "request", (), b"x" * size)),
        st.integers(1, 50).map(lambda size: Mapped("a", None, "request", (b"g",), b"y" * size)),
        st.just([Filtered(None, None, "no_action")]),
        st.just([Rejected(None, None, "malformed", "m")]),
        st.just([Mapped("a", None, "request", (), b"1"), Mapped("b", None, "request", (), b"2")]),
        st.just([Mapped("a", None, "request", (), b"1"), Rejected("b", None, "required", "m", "f")]),
    ),
    max_size=40,
)


@given(
    rows,
    st.integers(1, 12),
    st.lists(st.sampled_from(["200", "503", "400", "429", "422"]), max_size=60),
    st.sampled_from([0, 10]),
)
def test_block_is_its_lines_one_by_one(found: list[Any], size: int, answers: list[str], gap: int) -> None:
    """A block gives the same requests, dead letters, ledger and cursor, on exact bytes, whatever is answered."""
    batch = p.Batch(max_messages=4, max_bytes=200, max_message_bytes=100, max_wait_s=1.0)
    policy: Any = {"batch": batch, "responses": {"400": [p.ResponseRule(then="split")]}, "concurrency": 100}
    one, many = lane_of(**policy), lane_of(**policy)
    lines = lines_of(len(found), gap)
    first, second = [], []
    for row, line in zip(found, lines, strict=True):
        first += offer_rows(one, [row], [line], "s", 0.0, [None])
    for at in range(0, len(found), size):
        block = block_of(found[at : at + size])
        places = [(line.offset, line.end, line.number) for line in lines[at : at + size]]
        texts = [EVENT] * block.count
        chunk = scattered(texts, places) if gap else chunk_of(texts, at * 100, at + 1)
        second += many.offer(block, chunk, 0, "s", 0.0)
    assert second == first
    script, now = iter(answers), 0.0
    while not one.idle and not one.stopped:
        wanted = sends(one.tick(now, flush=True))
        assert told(sends(many.tick(now, flush=True))) == told(wanted)
        for send in wanted:
            assert len(ENVELOPE[0] + b",".join(send.bodies) + ENVELOPE[1]) <= 200
            answer = Answer(next(script, "200"))
            assert many.settle(send.batch, answer, now) == one.settle(send.batch, answer, now)
            assert many.ledger == one.ledger
            assert many.ledger.closes
            assert many.cursor("s") == one.cursor("s")
            assert gap or many.gaps("s") == one.gaps("s")
            assert many.events_on_their_way == one.events_on_their_way
        now += 100.0
    assert many.settled("s").cursor == one.settled("s").cursor
    assert many.stopped or (many.cursor("s"), many._held, one._held) == (max(0, len(found) * 100 - gap), 0, 0)


@pytest.mark.parametrize(("beyond", "requests"), [(-1, 1), (0, 1), (1, 2)])
@pytest.mark.parametrize("keys", [None, [None] * 3])
def test_body_at_its_limit(beyond: int, requests: int, keys: Any) -> None:
    """P6: the limit -1, 0 and +1, commas and envelope counted. Mutation: the comma's byte left out, in `Flow.room`."""
    lane = lane_of(batch=p.Batch(max_bytes=200))
    last = 200 - len(ENVELOPE[0]) - len(ENVELOPE[1]) - 2 * 41 + beyond
    found = [Mapped("a", None, "request", (), b"x" * size) for size in (40, 40, last)]
    if keys is None:
        lane.offer(block_of(found), chunk_of([EVENT] * 3), 0, "s", 0.0)
    else:
        offer_rows(lane, found, lines_of(3), "s", 0.0, keys)
    assert len(sends(lane.tick(0.0, flush=True))) == requests


def three_batches(lane: Lane) -> list[Send]:
    for number in range(6):
        offer(lane, number)
    return sends(lane.tick(0.0))


def test_settled_tells_each_range_once() -> None:
    """Mutation: `end_all` without `ended.append`, or `settled` that does not forget."""
    lane = lane_of(batch=p.Batch(max_messages=2), concurrency=3)
    first, second, third = three_batches(lane)
    lane.settle(third.batch, Answer("200"), 0.0)
    assert lane.settled("s").ranges == [(400, 600)]
    lane.settle(second.batch, Answer("200"), 0.0)
    found = lane.settled("s")
    assert (found.cursor, found.ranges) == (0, [(200, 400)])
    assert lane.gaps("s") == [(200, 600)]
    lane.settle(first.batch, Answer("200"), 0.0)
    found = lane.settled("s")
    assert (found.cursor, found.ranges) == (600, [])
    assert lane.gaps("s") == []


def test_settled_part_of_an_event_is_told_and_skipped() -> None:
    lane = lane_of()
    both: list[Any] = [
        Mapped("a", None, "request", (), b"1"),
        Mapped("b", 3, "request", (), b"2"),
        Filtered("c", None, "where"),
    ]
    offer_rows(lane, [both], lines_of(1), "s", 0.0)
    _, second = sends(lane.tick(0.0))
    lane.settle(second.batch, Answer("200"), 0.0)
    found = lane.settled("s")
    assert (found.cursor, found.ranges) == (0, [])
    assert sorted(found.parts, key=str) == [(0, "b", 3), (0, "c", None)]
    again = lane_of()
    again.skip("s", found.cursor, found.ranges, found.parts)
    offer_rows(again, [both], lines_of(1), "s", 0.0)
    (send,) = sends(again.tick(0.0))
    assert send.bodies == (b"1",)
    assert again.ledger.deliveries == 1


def test_whole_events_are_skipped_and_not_counted() -> None:
    """Mutation: `_offer` without `skipped.whole`."""
    lane = lane_of(batch=p.Batch(max_messages=10))
    lane.skip("s", 100, [(200, 300), (300, 400), (900, 1000)])
    lines = lines_of(12)[1:]
    offer_rows(lane, [Mapped("a", None, "request", (), b"%d" % line.offset) for line in lines], lines, "s", 0.0)
    (send,) = sends(lane.tick(0.0, flush=True))
    assert [int(body) for body in send.bodies] == [100, 400, 500, 600, 700, 800, 1000, 1100]
    assert lane.ledger.read == 8
    lane.settle(send.batch, Answer("200"), 0.0)
    assert lane.cursor("s") == 1200


def test_what_has_settled_behind_a_stuck_event_takes_no_memory() -> None:
    """A store that never asks: 100,000 events settle behind one that does not. Mutation: `tidy` left out."""
    lane = lane_of(batch=p.Batch(max_messages=100), concurrency=2)
    offer(lane, 0)
    (stuck,) = sends(lane.tick(0.0, flush=True))
    for number in range(1, 100_001):
        offer(lane, number)
        if number % 100 == 0:
            (send,) = sends(lane.tick(0.0))
            lane.settle(send.batch, Answer("200"), 0.0)
    progress = lane._progress("s")
    assert len(progress.ended) + len(progress.open) < 5000
    assert lane.gaps("s") == [(100, 10_000_100)]
    lane.settle(stuck.batch, Answer("200"), 0.0)
    assert lane.cursor("s") == 10_000_100


# Order.


def keyed(lane: Lane, number: int, key: str, now: float = 0.0) -> None:
    offer_rows(lane, [Mapped("a", None, "request", (), b"%d" % number)], [lines_of(number + 1)[-1]], "s", now, [key])


def numbers(found: list[Send]) -> list[list[int]]:
    return [[int(body) for body in send.bodies] for send in found]


def test_equal_keys_are_never_in_two_requests_at_once() -> None:
    """P9. Mutation: `Order.admits` always true."""
    lane = lane_of(batch=p.Batch(max_messages=2), concurrency=10)
    for number, key in enumerate("aabaacd"):
        keyed(lane, number, key)
    first, second, *_ = found = sends(lane.tick(0.0, flush=True))
    assert numbers(found) == [[0, 1], [2, 5], [6]]
    lane.settle(first.batch, Answer("503"), 0.0)
    assert lane.tick(0.4, flush=True) == []
    assert numbers(sends(lane.tick(0.5, flush=True))) == [[0, 1]]
    lane.settle(second.batch, Answer("200"), 0.5)
    lane.settle(first.batch, Answer("200"), 0.6)
    assert numbers(sends(lane.tick(0.6, flush=True))) == [[3, 4]]


def test_other_keys_go_on_while_a_half_is_retried() -> None:
    """P9. The half that waits holds its keys, not those beside them. Mutation: `_retry` without `waits`."""
    lane = lane_of(batch=p.Batch(max_messages=4), responses={"400": [p.ResponseRule(then="split")]}, concurrency=10)
    for number, key in enumerate("axax"):
        keyed(lane, number, key)
    keyed(lane, 4, "z")
    whole, *_ = sends(lane.tick(0.0))
    lane.settle(whole.batch, Answer("400"), 0.0)
    left, *rest = sends(lane.tick(0.0))
    assert numbers([left, *rest]) == [[0, 1]]
    lane.settle(left.batch, Answer("400"), 0.0)
    left, *rest = sends(lane.tick(0.0))
    assert numbers([left, *rest]) == [[0], [1]]
    lane.settle(left.batch, Answer("503"), 0.0)
    lane.settle(rest[0].batch, Answer("200"), 0.0)
    assert numbers(sends(lane.tick(0.0))) == [[3]], "x goes on while a waits"


def test_lone_bad_message_does_not_hold_its_key_for_ever() -> None:
    lane = lane_of(batch=p.Batch(max_messages=8), responses={"400": [p.ResponseRule(then="split")]}, concurrency=4)
    for number in range(30):
        keyed(lane, number, "k")
    taken: list[int] = []

    def answer(send: Send, now: float) -> Answer:
        found = [int(body) for body in send.bodies]
        if 11 in found:
            return Answer("400")
        taken.extend(found)
        return Answer("200")

    dead, _, _ = drive(lane, answer)
    assert [item.position.line for item in dead] == [12]
    assert taken == [number for number in range(30) if number != 11]


# Limits, budgets and stops.


def test_rate_in_messages_bounds_a_batch() -> None:
    """A batch that no window could hold would never go, or break it. Mutation: `Flow.max_messages` without the rates."""
    rate = [p.Rate(of="messages", count=3, per_s=1.0)]
    lane = lane_of(batch=p.Batch(max_messages=100), rate=rate)
    for number in range(7):
        offer(lane, number)
    (first,) = sends(lane.tick(0.0, flush=True))
    assert len(first.bodies) == 3
    # A window counts a request from where it has arrived.
    lane.settle(first.batch, Answer("200"), 0.0)
    assert [len(send.bodies) for send in sends(lane.tick(1.0, flush=True))] == [3]


def test_poison_is_split_only_while_others_succeed() -> None:
    """P5. A success long ago says nothing. Mutation: `poisoned` with `self._successes > 0`."""
    lane = lane_of(jitter=0.0, batch=p.Batch(max_messages=2), retry=p.Retry(for_s=1e9), concurrency=1)
    offer(lane, 0)
    offer(lane, 1)
    drive(lane, lambda send, now: Answer("200"))
    offer(lane, 2)
    offer(lane, 3)
    for _ in range(20):
        (send,) = sends(lane.tick(0.0, flush=True))
        assert len(send.bodies) == 2
        lane.settle(send.batch, Answer("503"), 0.0)


def test_trickle_that_is_refused_one_by_one_stops() -> None:
    """P5: a systemic 400 is no storm, whether or not the messages come in batches. Mutation: `refused` without the flow's count."""
    lane = lane_of(batch=p.Batch(max_messages=10), responses={"400": [p.ResponseRule(then="split")]})
    dead: list[Any] = []
    for number in range(20):
        if lane.stopped:
            break
        offer(lane, number)
        (send,) = sends(lane.tick(0.0, flush=True))
        dead += lane.settle(send.batch, Answer("400"), 0.0)
    assert len(dead) == LONE_REFUSALS
    assert "one by one" in lane.stopped


def test_unanswered_may_be_at_most_once() -> None:
    lane = lane_of(responses={"unanswered": [p.ResponseRule(then="reject")]})
    offer(lane, 0)
    (send,) = sends(lane.tick(0.0))
    (dead,) = lane.settle(send.batch, Answer("unanswered", error="cut"), 0.0)
    assert isinstance(dead, Dead)
    assert (dead.reason, dead.message) == ("refused", "the request was unanswered")
    assert lane.idle


def test_cut_answer_is_one_unless_the_rules_read_its_body() -> None:
    """P4: an acknowledgement whose body was cut acknowledges. Mutation: `deciding` without `answer.cut`."""
    for test, retried in ((None, False), ("body.ok = false", True)):
        lane = lane_of(responses={"200": [p.ResponseRule(then="reject" if test else "ok", test=test)]})
        offer(lane, 0)
        (send,) = sends(lane.tick(0.0))
        lane.settle(send.batch, Answer("200", body=b'{"ok":fal', cut=True), 0.0)
        assert (lane.ledger.in_flight == 1) is retried


def test_budget_counts_the_time_not_only_the_waits() -> None:
    """Slow failures use the budget up as well. Mutation: `_retry` that adds up its own waits."""
    lane = lane_of(jitter=0.0, retry=p.Retry(for_s=25.0), concurrency=1)
    offer(lane, 1)
    now, dead = 0.0, []
    while not dead:
        (send,) = sends(lane.tick(now))
        now += 10.0
        dead = lane.settle(send.batch, Answer("408"), now)
    assert now == 40.0
