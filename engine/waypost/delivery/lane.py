"""One lane: the deliveries of one source to one connection, as a pure state machine.

Takes results of the program (`offer`, in offering.py), answers (`settle`) and the passing of time (`tick`), each with the
instant. Gives commands: requests to send and dead letters to write. No I/O, no clock and no random in here, so that years of faults can be
simulated in seconds. The instants must not run backwards.

What is held are runs of messages (runs.py), cut where a batch ends. The bytes of a message never change; a batch that is retried keeps its
messages, and one that is split keeps their order (batches.py). With order keys, two messages with equal keys are never in two requests at
once (order.py). Lanes that share a gate wait for each other there (gate.py): after any answer, each lane of the gate whose `next_wake` has
come is to be ticked. `stop` a lane that is given up: it then leaves the gate.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence

from waypost.delivery.batches import Batch, Family, Flow, RequestKind
from waypost.delivery.commands import Broken, Command, Dead, Doubt, Send
from waypost.delivery.gate import NEVER
from waypost.delivery.offering import Offering
from waypost.delivery.outcome import Answer, Verdict, backoff, verdict_of, wait_asked
from waypost.delivery.partial import Portion, portions_of
from waypost.delivery.progress import Position, Settled, end_all
from waypost.delivery.results import Named, Sent
from waypost.events.guard import REASON

__all__ = ["Command", "Dead", "Lane", "Position", "RequestKind", "Send", "Settled"]

LONE_REFUSALS = 8
"""A split whose messages are refused one by one this often, while none is delivered, is a fault of the configuration, not of the data; so is a
request kind of which none was ever delivered."""

POISON_AFTER = 5
"""After so many failures of one batch, while others are delivered, it is split once: one message may break the destination."""


class Lane(Offering):
    """What it holds (holding.py), what is put there (offering.py), and what moves it on: the passing of time, and answers."""

    # Time.

    def next_wake(self, now: float) -> float | None:
        """The instant at which `tick` may have something to do, if nothing else happens before."""
        if self.stopped:
            return None
        wakes = [self._waiting[0][0]] if self._waiting else []
        for flow in self._flows.values():
            due = flow.oldest_due()
            if due is not None:
                wakes.append(due)
            batch = self._next(flow)
            if batch is not None:
                until = flow.gate.ask(now, flow, flow.limit, batch.count)
                if until != NEVER:
                    wakes.append(now if until is None else until)
        return min(wakes) if wakes else None

    def tick(self, now: float, *, flush: bool = False) -> list[Command]:
        """Closes batches that are old enough (all with `flush`), wakes those that waited, and sends what the gates allow."""
        if self.stopped:
            return []
        for flow in self._turns:
            flow.close_old(now, flush=flush)
        self._wake(now)
        commands: list[Command] = []
        blocked: set[Flow] = set()
        going = [flow for flow in self._turns if flow.ready]
        while going:
            going = [flow for flow in going if self._send_next(flow, now, commands, blocked)]
        for flow in self._turns:
            if flow not in blocked:
                flow.gate.leave(flow)
        return commands

    def _wake(self, now: float) -> None:
        """Those that have waited long enough go before those that never went, older messages before newer ones."""
        woken: list[tuple[float, int, Flow, Batch]] = []
        while self._waiting and self._waiting[0][0] <= now:
            woken.append(heapq.heappop(self._waiting))
        for _, _, flow, batch in sorted(woken, key=lambda row: row[1], reverse=True):
            flow.ready.appendleft(batch)

    def _next(self, flow: Flow) -> Batch | None:
        """The oldest batch that its order keys let go."""
        while flow.ready and not flow.ready[0].count:
            flow.ready.popleft()
        return next((batch for batch in flow.ready if self._may_go(batch)), None)

    def _may_go(self, batch: Batch) -> bool:
        return not self._ordered or (bool(batch.count) and self._order.may_go(batch))

    def _send_next(self, flow: Flow, now: float, commands: list[Command], blocked: set[Flow]) -> bool:
        """Sends a flow's next batch, if its gate lets it. Kinds of request take turns, one request each."""
        batch = self._next(flow)
        if batch is None:
            return False
        count = batch.count
        if flow.gate.ask(now, flow, flow.limit, count) is not None:
            blocked.add(flow)
            return False
        if batch is flow.ready[0]:
            flow.ready.popleft()
        else:
            flow.ready.remove(batch)
        self._turns.remove(flow)
        self._turns.append(flow)
        batch.ticket = flow.gate.sent(flow, flow.limit, count)
        batch.attempts += 1
        self._under_way[batch.id] = (flow, batch)
        self.ledger.requests += 1
        self.ledger.attempts_again += batch.attempts > 1
        commands.append(Send(batch.id, flow.name, batch.group, tuple(batch.runs), batch.attempts))
        return True

    def left(self, batch_id: int, now: float) -> None:
        """The first byte of a request is about to go, on a connection that is open."""
        flow, batch = self._under_way[batch_id]
        flow.gate.left(now, batch.ticket, flow.limit)

    def succeed(self, former: Lane) -> None:
        """Takes the place of a lane with another plan: windows whose numbers have changed do not forget what was sent."""
        for name, flow in self._flows.items():
            same = former._flows.get(name)
            for old in former._turns if same is None else [same]:
                if old.gate is flow.gate and old.limit is not flow.limit:
                    flow.limit.inherit(old.limit)

    # Answers.

    def settle(self, batch_id: int, answer: Answer, now: float) -> list[Command]:
        """The answer to a request that was sent."""
        flow, batch = self._under_way.pop(batch_id)
        gate = flow.gate
        unsent = answer.status == "unsent"
        try:
            verdict = verdict_of(
                flow.policy, answer, Sent(batch.count, batch.messages, lambda: flow.lists(batch)), flow.read
            )
            portions = portions_of(batch, verdict, self._ids)
            outcome = portions[-1].outcome
            asked = wait_asked(flow.policy.retry, answer, now) if outcome in ("retry", "throttle") else None
        except Exception as error:
            # It may have been accepted: it is not sent again.
            message = self._guard.caught(error, "settled")
            gate.ended(now, batch.ticket, flow.limit, unsent=unsent)
            return self._kill(batch, REASON, message, now, answer)
        # A 4xx that is to be retried is about this request, and an answer that names messages about those: the destination itself works.
        failed = outcome == "retry" and not (
            answer.status.startswith("4") or (verdict.named and answer.status[0] == "2")
        )
        gate.ended(now, batch.ticket, flow.limit, failed=failed, throttled=outcome == "throttle", unsent=unsent)
        commands: list[Command] = []
        if verdict.doubt and answer.status not in flow.doubted:
            flow.doubted.add(answer.status)
            commands.append(Doubt(flow.name, answer.status, verdict.doubt, verdict.outcome))
        if len(portions) > 1:
            self._held += sum([portion.batch.cost for portion in portions]) - batch.cost
            if self._ordered:
                self._order.divide(batch, [portion.batch for portion in portions])
        for portion in portions:
            commands += self._settle(flow, portion, verdict, answer, asked, now)
        return commands

    def _settle(
        self, flow: Flow, portion: Portion, verdict: Verdict, answer: Answer, asked: float | None, now: float
    ) -> list[Command]:
        """What becomes of the messages of a request that have one outcome."""
        batch, outcome = portion.batch, portion.outcome
        if outcome == "ok":
            return self._delivered(flow, batch, now)
        if outcome == "retry":
            if verdict.named and not any(portion.named) and answer.status[0] == "4" and asked is None:
                # Another request than the one that was refused, and the destination works: it goes at once.
                flow.ready.appendleft(batch)
                return []
            return self._retry(flow, portion, answer, asked, now)
        if outcome == "throttle":
            flow.gate.throttle(now, asked)
            flow.ready.appendleft(batch)
            return []
        if outcome == "split" and batch.count > 1:
            batch.family = batch.family or Family()
            flow.ready.extendleft(reversed(self._halves(batch)))
            return []
        if outcome == "stop":
            flow.ready.appendleft(batch)
            said = f"the destination answered {answer.status}: check its credentials and settings"
            self.stop(answer.error if answer.hopeless else said)
            return []
        return self._refused(flow, portion, answer, now)

    def broke(self, batch_id: int, why: Broken, now: float) -> list[Command]:
        """A request that could not be made or sent, by a fault: halved until the message to blame stands alone, which is a dead letter.

        One that was made and not sent says little of its message: after LONE_REFUSALS of these, with nothing delivered, the lane stops."""
        flow, batch = self._under_way.pop(batch_id)
        flow.gate.ended(now, batch.ticket, flow.limit, unsent=not why.made)
        if batch.count > 1:
            flow.ready.extendleft(reversed(self._halves(batch)))
            return []
        if why.made:
            flow.refused += 1
            if flow.refused >= LONE_REFUSALS and not flow.delivered:
                flow.ready.appendleft(batch)
                self.stop(f"no request can be sent ({why.message})")
                return []
        return self._kill(batch, why.reason, why.message, now, field=why.field)

    def _delivered(self, flow: Flow, batch: Batch, now: float) -> list[Command]:
        count = batch.count
        self._successes += 1
        self.ledger.delivered += count
        flow.delivered += count
        if batch.family is not None:
            batch.family.delivered += count
        self._end(batch, now)
        return []

    def _retry(self, flow: Flow, portion: Portion, answer: Answer, asked: float | None, now: float) -> list[Command]:
        batch = portion.batch
        retry, ran = flow.policy.retry, flow.gate.ran(now)
        if batch.since is None:
            batch.since, batch.successes = ran, self._successes
        batch.failures += 1
        if ran - batch.since >= retry.for_s:
            because = f" ({answer.error})" if answer.error else ""
            message = f"no success in {retry.for_s:g} s of retries; the last answer was {answer.status}{because}"
            return self._kill(batch, "retries_exhausted", message, now, answer, named=portion.named)
        until = now + (backoff(batch.failures, self._jitter) if asked is None else asked)
        poisoned = batch.failures >= POISON_AFTER and self._successes > batch.successes
        if poisoned and not batch.split_once and batch.count > 1:
            batch.split_once = True
            waiting = self._halves(batch)
        else:
            waiting = (batch,)
        for item in waiting:
            if self._ordered:
                self._order.waits(item)
            heapq.heappush(self._waiting, (until, item.id, flow, item))
        return []

    def _halves(self, batch: Batch) -> tuple[Batch, ...]:
        left, right = batch.halves(self._ids)
        self._held += left.cost + right.cost - batch.cost
        if self._ordered:
            self._order.split(batch, left, right)
        return left, right

    def _refused(self, flow: Flow, portion: Portion, answer: Answer, now: float) -> list[Command]:
        batch = portion.batch
        said = (
            f"the destination answered {answer.status}"
            if answer.status.isdecimal()
            else f"the request was {answer.status}"
        )
        dead = self._kill(batch, "refused", said, now, answer, named=portion.named)
        if portion.outcome == "split":
            family = batch.family or Family()
            family.refused += 1
            flow.refused += 1
            refused = max(family.refused * (not family.delivered), flow.refused * (not flow.delivered))
            if refused >= LONE_REFUSALS:
                self.stop(f"the destination refused {refused} messages one by one ({answer.status}) and took none")
        return dead

    def _kill(
        self,
        batch: Batch,
        reason: str,
        message: str,
        now: float,
        answer: Answer | None = None,
        field: str = "",
        named: Sequence[Named | None] = (),
    ) -> list[Command]:
        """`named` is what the answer says of each message."""
        self.ledger.dead[reason] += batch.count
        dead: list[Command] = [
            Dead(
                item.position,
                item.event,
                reason,
                f"{message}: {own.reason}" if own is not None and own.reason else message,
                item.mapped.action,
                item.mapped.item,
                field,
                attempts=batch.attempts,
                answer=answer,
                named=own,
            )
            for item, own in itertools.zip_longest(batch.deliveries(), named)
        ]
        self._end(batch, now)
        return dead

    def _end(self, batch: Batch, now: float) -> None:
        """A batch's deliveries have ended in one of the three places; messages that waited for its keys take their turn."""
        self.ledger.in_flight -= batch.count
        self._held -= batch.cost
        end_all(batch.runs)
        if self._ordered:
            for run in self._order.ended(batch):
                mapped = run.only()
                self._place(mapped.request, mapped.group, run, now)

    def stop(self, reason: str) -> None:
        """Stops the lane; what it holds stays in flight."""
        self.stopped = self.stopped or reason
        for flow in self._turns:
            flow.gate.leave(flow)
