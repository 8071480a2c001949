"""The gate on a virtual clock: rates, concurrency, breaker, the budget's clock, and turns between lanes. Each promise says which one-line
mutation turns it red."""

from __future__ import annotations

import heapq
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks import offer_one
from waypost import plan as p
from waypost.delivery.gate import FAILURES_TO_OPEN, LAPSE_S, NEVER, Gate, Limit
from waypost.delivery.lane import Lane, Position, Send
from waypost.delivery.outcome import Answer
from waypost.delivery.windows import MARGIN
from waypost.events.results import Mapped


def request(concurrency: int = 4, *rates: p.Rate) -> p.Request:
    return p.Request(method="post", url=p.Const(value="https://example.com"), concurrency=concurrency, rate=list(rates))


def send(gate: Gate, limit: Limit, now: float = 0.0, asker: str = "a") -> int:
    assert gate.ask(now, asker, limit, 1) is None
    return gate.sent(asker, limit, 1)


RATES = [p.Rate(of="requests", count=3, per_s=1.0), p.Rate(of="messages", count=10, per_s=2.0)]

Way = tuple[float, float, float, bool]
"""Of a request: seconds until its first byte leaves, until it arrives (as a share of what it may take), until its answer; whether it leaves."""

WAYS = st.tuples(st.sampled_from([0.0, 0.001, 0.3, 5.0]), st.floats(0, 1), st.floats(0, 3), st.booleans())


def arrivals(limit: Limit, steps: list[tuple[float, int, Way]]) -> list[tuple[float, int]]:
    """What a destination sees, by its own clock, of requests that go as soon as the limit lets them: they leave in any order."""
    now, seen = 0.0, []
    due: list[tuple[float, int, str, int, Way]] = []
    for ticket, (pause, messages, way) in enumerate(steps):
        wanted = now + pause
        while True:
            while due and due[0][0] <= wanted:
                at, _, what, number, (_, share, answer, _) = heapq.heappop(due)
                now = max(now, at)
                if what == "left":
                    limit.left(now, number)
                    seen.append((now + share * min(answer, MARGIN * 1.0), steps[number][1]))
                    heapq.heappush(due, (now + answer, number, "ended", number, way))
                else:
                    limit.ended(now, number, unsent=what == "unsent")
            now = max(now, wanted)
            until = limit.wait_until(now, messages)
            if until is None:
                break
            assert until > now
            wanted = min(until, due[0][0]) if due else until
        limit.sent(ticket, messages)
        heapq.heappush(due, (now + way[0], ticket, "left" if way[3] else "unsent", ticket, way))
    while due:
        at, _, what, number, (_, share, answer, _) = heapq.heappop(due)
        if what == "left":
            seen.append((at + share * min(answer, MARGIN * 1.0), steps[number][1]))
    return sorted(seen)


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 5), WAYS), max_size=40))
def test_rate_is_never_exceeded_where_the_destination_counts(steps: list[tuple[float, int, Way]]) -> None:
    """P7. However long connections take to open, and answers to come: by the receiver's clock no window has more than its count.
    Mutation: a request counts from the instant at which it is let go (`Window.leaves` with an earlier one)."""
    seen = arrivals(Limit(4, RATES), steps)
    # What is added up in another order may differ in its last bit.
    for start, _ in seen:
        assert sum(1 for at, _ in seen if start <= at < start + 1.0 - 1e-9) <= 3
        assert sum(count for at, count in seen if start <= at < start + 2.0 - 1e-9) <= 10


ONE = p.Rate(of="requests", count=1, per_s=1.0)


def test_request_counts_from_where_it_can_have_arrived() -> None:
    """Not from where it was let go, nor from where its connection was asked for. Mutation: `ended` that counts from `place.left`."""
    limit = Limit(4, [ONE])
    limit.sent(1, 1)
    assert limit.wait_until(0.7, 1) == 1.7, "what has not left counts as now"
    limit.left(2.0, 1)
    assert limit.wait_until(2.0, 1) == 3.0
    limit.ended(2.01, 1, unsent=False)
    assert limit.wait_until(2.5, 1) == 3.01


def test_slow_answer_takes_no_more_than_the_margin() -> None:
    """Mutation: `_advance` that waits for answers."""
    limit = Limit(4, [ONE])
    limit.sent(1, 1)
    limit.left(0.0, 1)
    assert limit.wait_until(0.9, 1) == 1.0 + MARGIN
    assert limit.wait_until(1.0 + MARGIN, 1) is None
    limit.ended(20.0, 1, unsent=False)
    assert limit.wait_until(20.0, 1) is None


def test_request_that_never_left_gives_its_place_back() -> None:
    """Mutation: `ended` without `unsent`. One of which nobody told that it left counts from its end, if it can have left."""
    limit = Limit(4, [ONE])
    limit.sent(1, 1)
    limit.ended(5.0, 1, unsent=True)
    assert limit.wait_until(5.0, 1) is None
    limit.sent(2, 1)
    limit.ended(6.0, 2, unsent=False)
    assert limit.wait_until(6.0, 1) == 7.0


def test_other_numbers_do_not_forget_what_was_sent() -> None:
    """A reload that changes a rate, of two lanes that share it: each tells the same, which counts once. Mutation: `inherit` doing nothing,
    or without `known`."""
    old = Limit(4, [p.Rate(of="requests", count=3, per_s=10.0)])
    for ticket in range(3):
        old.sent(ticket, 2)
        old.ended(float(ticket), ticket, unsent=False)
    new = Limit(4, [p.Rate(of="requests", count=4, per_s=10.0), p.Rate(of="messages", count=6, per_s=5.0)])
    new.inherit(old)
    new.inherit(old)
    assert new.wait_until(2.0, 0, requests=1) is None
    assert new.wait_until(2.0, 0, requests=2) == 10.0
    assert new.wait_until(2.0, 1) == 5.0


def test_kinds_with_the_same_numbers_share_their_windows() -> None:
    """The credential has a rate once, however many lanes and actions use it. Mutation: `limit` giving a new Limit each time."""
    gate = Gate(4, lambda: 1.0)
    rate = p.Rate(of="requests", count=1, per_s=1.0)
    first, second = gate.limit(request(4, rate)), gate.limit(request(4, rate))
    send(gate, first)
    assert gate.ask(0.0, "b", second, 1) == 1.0
    assert gate.limit(request(2, rate)) is not first


def test_concurrency_of_a_kind_holds_within_a_larger_gate() -> None:
    """Mutation: `_wait` without `limit.under_way`."""
    gate = Gate(8, lambda: 1.0)
    narrow, wide = gate.limit(request(1)), gate.limit(request(8))
    send(gate, narrow)
    assert gate.ask(0.0, "b", narrow, 1) == NEVER
    send(gate, wide, asker="c")


def test_concurrency_is_halved_by_trouble_and_grows_by_one_a_round() -> None:
    """Additive increase, multiplicative decrease, within the spec's `concurrency`. Mutation: `_halve` without its ticket test (then one
    burst of failures takes all), or `_grow` without `self.allowed < self.concurrency`."""
    gate = Gate(8, lambda: 0.0)
    limit = gate.limit(request(8))
    tickets = [send(gate, limit, asker=str(number)) for number in range(8)]
    for ticket in tickets[:4]:
        gate.ended(0.0, ticket, limit, failed=True)
    assert gate.allowed == 4, "those that were under way together count once"
    for ticket in tickets[4:]:
        gate.ended(0.0, ticket, limit)
    assert gate.allowed == 5
    gate.ended(0.0, send(gate, limit), limit, throttled=True)
    assert gate.allowed == 2
    for _ in range(10):
        gate.ended(0.0, send(gate, limit), limit, throttled=True)
    assert gate.allowed == 1
    for _ in range(1 + 2 + 3 + 4 + 5 + 6 + 7 + 50):
        gate.ended(0.0, send(gate, limit), limit)
    assert gate.allowed == 8


def opened(gate: Gate, limit: Limit, now: float = 0.0) -> int:
    """Opens the breaker. Gives the ticket of a request that is still under way."""
    tickets = [send(gate, limit, now, str(number)) for number in range(FAILURES_TO_OPEN + 1)]
    for ticket in tickets[:-1]:
        gate.ended(now, ticket, limit, failed=True)
    assert gate.open
    return tickets[-1]


def test_breaker_probes_one_at_a_time() -> None:
    """Half open means one request. Mutation: `_wait` with `self.allowed` whether or not it is open."""
    gate = Gate(100, lambda: 1.0)
    limit = gate.limit(request(100))
    late = opened(gate, limit)
    assert gate.allowed > 1
    until = gate.ask(0.0, "a", limit, 1)
    assert until is not None
    assert until > 0
    assert gate.ask(until, "a", limit, 1) == NEVER, "what is under way is the probe"
    gate.ended(until, late, limit, failed=True)
    assert gate.ask(until, "a", limit, 1) is None, "what was under way when it opened moves the probe no further"
    probe = send(gate, limit, until)
    assert gate.ask(until, "b", limit, 1) == NEVER
    gate.ended(until, probe, limit)
    assert not gate.open
    assert gate.ask(until, "b", limit, 1) is None


def test_probes_come_with_growing_waits_and_no_longer_than_a_minute() -> None:
    """P11: delivery resumes within one backoff step."""
    gate = Gate(8, lambda: 1.0)
    limit = gate.limit(request(8))
    gate.ended(0.0, opened(gate, limit), limit, failed=True)
    now, waits = 0.0, []
    for _ in range(12):
        until = gate.ask(now, "a", limit, 1)
        assert until is not None
        waits.append(until - now)
        now = until
        gate.ended(now, send(gate, limit, now), limit, failed=True)
    assert waits == sorted(waits)
    assert waits[-1] == 60.0


def test_late_success_ends_the_breakers_wait_but_not_a_pause() -> None:
    gate = Gate(8, lambda: 1.0)
    limit = gate.limit(request(8))
    late = opened(gate, limit)
    gate.pause(0.0, 50.0)
    gate.ended(0.1, late, limit)
    assert gate.ask(0.1, "a", limit, 1) == 50.0


def test_budget_clock_runs_only_while_requests_can_go() -> None:
    """P7. Mutation: `_advance` without `if not self.open`, or without `self.paused_until`."""
    gate = Gate(8, lambda: 1.0)
    limit = gate.limit(request(8))
    assert gate.ran(0.0) == 0.0
    assert gate.ran(10.0) == 10.0
    gate.pause(10.0, 15.0)
    assert gate.ran(20.0) == 15.0
    late = opened(gate, limit, 20.0)
    assert gate.ran(500.0) == 15.0
    gate.ended(500.0, late, limit)
    assert gate.ran(501.0) == 16.0


def test_throttle_without_a_wait_grows_one() -> None:
    """A 429 with `Retry-After: 0`, for ever, is no hot loop. Mutation: `wait or 0.0` in `throttle`."""
    gate = Gate(1, lambda: 1.0)
    limit = gate.limit(request(1))
    now, waits = 0.0, []
    for _ in range(5):
        gate.ended(now, send(gate, limit, now), limit, throttled=True)
        gate.throttle(now, 0.0)
        waits.append(gate.paused_until - now)
        now = gate.paused_until
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0]


def test_pause_is_never_shortened() -> None:
    """P7. Mutation: `pause` that sets instead of taking the later instant."""
    gate = Gate(1, lambda: 1.0)
    gate.pause(0.0, 100.0)
    gate.pause(0.0, 5.0)
    assert gate.paused_until == 100.0


def test_lane_with_another_plan_goes_on_within_its_window() -> None:
    """Mutation: `Lane.succeed` doing nothing."""
    gate = Gate(4, lambda: 1.0)
    (former,) = lanes_of(gate, request(4, ONE), 1)
    offer(former, 1)
    (going,) = former.tick(0.0)
    assert isinstance(going, Send)
    former.left(going.batch, 0.5)
    former.settle(going.batch, Answer("200"), 0.51)
    (lane,) = lanes_of(gate, request(4, p.Rate(of="requests", count=1, per_s=2.0)), 1)
    lane.succeed(former)
    offer(lane, 1)
    assert lane.tick(2.5) == []
    assert lane.next_wake(2.5) == 2.51


# Turns.


class Kind:
    def __init__(self, policy: p.Request) -> None:
        self.policy = policy

    def envelope(self, group: tuple[Any, ...], now: float) -> tuple[bytes, bytes]:
        return b"[", b"]"


def lanes_of(gate: Gate, policy: p.Request, count: int) -> list[Lane]:
    return [Lane({"r": Kind(policy)}, {"r": gate}, lambda: 1.0) for _ in range(count)]


def offer(lane: Lane, count: int, now: float = 0.0) -> None:
    for number in range(count):
        position = Position("s", number * 10, number, number * 10 + 10)
        offer_one(lane, [Mapped("a", None, "r", (), b"x")], b"e", position, now)


@pytest.mark.parametrize(
    "rates", [(), (p.Rate(of="requests", count=1, per_s=1.0),), (p.Rate(of="messages", count=1, per_s=1.0),)]
)
def test_busy_lane_does_not_starve_another(rates: tuple[p.Rate, ...]) -> None:
    """Each waits for at most one request of each other, though the busy one always asks first. Mutation: `ask` without `_behind`."""
    policy = request(1, *rates)
    gate = Gate(1, lambda: 1.0)
    busy, quiet, third = lanes = lanes_of(gate, policy, 3)
    offer(busy, 50)
    offer(quiet, 5)
    offer(third, 5)
    served: list[int] = []
    now = 0.0
    while len(served) < 16:
        for index, lane in enumerate(lanes):
            for command in lane.tick(now):
                assert isinstance(command, Send)
                served.append(index)
                lane.settle(command.batch, Answer("200"), now)
        wakes = [wake for lane in lanes if (wake := lane.next_wake(now)) is not None]
        now = max(now, min(wakes))
    # The first has asked for its second before the others came.
    assert all(set(served[at : at + 3]) == {0, 1, 2} for at in range(1, 15, 3)), served


def test_large_batches_are_not_starved_by_small_ones() -> None:
    """A window that has room for one more message is kept for the lane that came first, though it needs ten."""
    gate = Gate(8, lambda: 1.0)
    limit = gate.limit(request(8, p.Rate(of="messages", count=10, per_s=1.0)))
    gate.ended(0.0, gate.sent("small", limit, 1), limit)
    assert gate.ask(0.0, "large", limit, 10) == 1.0
    assert gate.ask(0.5, "small", limit, 1) == 1.0
    assert gate.ask(1.0, "small", limit, 1) == 1.0 + LAPSE_S
    assert gate.ask(1.0, "large", limit, 10) is None


def test_lane_that_went_away_wedges_nobody() -> None:
    """Mutation: `_behind` without `lapsed`."""
    gate = Gate(1, lambda: 1.0)
    limit = gate.limit(request(1))
    ticket = send(gate, limit, asker="a")
    assert gate.ask(0.0, "gone", limit, 1) == NEVER
    assert gate.ask(0.0, "b", limit, 1) == NEVER
    gate.ended(1.0, ticket, limit)
    until = gate.ask(1.0, "b", limit, 1)
    assert until == 1.0 + LAPSE_S
    gate.ask(until, "b", limit, 1)
    assert gate.ask(until, "b", limit, 1) is None


def test_stopped_lane_leaves_the_queue() -> None:
    """Mutation: `Lane.stop` without `leave`."""
    gate = Gate(1, lambda: 1.0)
    first, second, third = lanes_of(gate, request(1), 3)
    for lane in (first, second, third):
        offer(lane, 1)
    (going,) = first.tick(0.0)
    assert isinstance(going, Send)
    assert second.tick(0.0) == third.tick(0.0) == []
    second.stop("enough")
    first.settle(going.batch, Answer("200"), 0.0)
    assert len(third.tick(0.0)) == 1
