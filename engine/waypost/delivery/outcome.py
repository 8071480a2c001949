"""What a destination's answer means for the messages that were sent: one of six outcomes, for all of them or for each that it names.

Takes a request's response rules and an `Answer`. Gives the outcome (`verdict_of`: with those of the messages that are named), and how long to
wait where the destination says so. Pure: the instant is an argument.

ok: acknowledged. retry: again, within the budget. throttle: again, and everything that shares the gate waits; not counted. split: halve the
batch until the refused message stands alone. reject: dead letters. stop: credentials or configuration; nothing is lost, the lane stops.
"""

from __future__ import annotations

import email.utils
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Final

from waypost import plan as p
from waypost.delivery.results import Item, Named, Sent, named_by
from waypost.lang import fql, values
from waypost.lang.values import MISSING

BUILT_IN: Final = {
    "2xx": "ok",
    "408": "retry",
    "425": "retry",
    "429": "throttle",
    "5xx": "retry",
    "501": "reject",
    "505": "reject",
    "401": "stop",
    "403": "stop",
    "404": "stop",
    "407": "stop",
    "413": "split",
    "3xx": "stop",
    "4xx": "reject",
    "1xx": "retry",
    "unsent": "retry",
    "unanswered": "retry",
}
"""The outcome of each status that a spec says nothing of. The most specific status wins, the spec's before this table's."""

BODY_LIMIT: Final = 64 * 1024
"""How much of a response is kept, in bytes."""


@dataclass(frozen=True)
class Answer:
    """`status` is the HTTP status as text, or "unsent" (no request left) or "unanswered" (sent, no answer). Header names are lower case. `cut`:
    the body did not come whole. `hopeless`: what went wrong stays so until a person changes something (a certificate, say)."""

    status: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: str = ""
    cut: bool = False
    hopeless: bool = False


ANSWER_LIMIT: Final = 4 << 20
"""How much of a response is kept where `results` reads it: a request of thousands of messages may name each."""

READS_NOTHING: Final = ("204", "205", "304")
"""Answers that have no body, whatever the spec says of it."""

Read = Callable[[p.Value, Mapping[str, Any], Any, Any], Any]
"""The value of a node over an answer ({status, headers, body}) and an item of it. Raises Fault."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of each message that an answer names, by its place in the request, and that of all others. `doubt` says why the answer does
    not hold what the spec's `results` say: then nothing is taken for delivered, and nothing sent again, on its word."""

    outcome: str
    named: Mapping[int, Named] = field(default_factory=dict)
    doubt: str = ""
    key: str = ""
    """The rule that decided, as `deciding` calls it."""


def verdict_of(request: p.Request, answer: Answer, sent: Sent, read: Read) -> Verdict:
    """What an answer means for the messages that were sent."""
    rules = deciding(request, answer)
    for key, rule in rules:
        if not rule.results:
            return Verdict(rule.then, key=key)
        named, doubt = _named(rule, answer, sent, read)
        if doubt:
            own = next(later.then for _, later in rules if not later.results)
            return Verdict(_in_doubt(answer.status, rule, own), named, doubt, key)
        if named:
            return Verdict(rule.then, named, key=key)
    raise AssertionError("the built-in table has the last word")


def deciding(request: p.Request, answer: Answer) -> Iterator[tuple[str, p.ResponseRule]]:
    """The rules that hold for an answer, in order, each with its key ("STATUS INDEX", "" for the built-in one, which is the last). The first
    decides; one with `results` only when the answer names a message. An answer that was cut is none where a rule for its status reads it."""
    if answer.hopeless:
        yield "", p.ResponseRule(then="stop")
        return
    status = answer.status
    general = f"{status[:1]}xx" if status.isdecimal() else status
    for name in (status, general):
        if name == general != status and status in BUILT_IN:
            break
        rules = request.responses.get(name)
        if not rules:
            continue
        resolve = resolver(answer)
        for index, rule in enumerate(rules):
            reads = bool(rule.results) or (rule.test is not None and "body" in rule.test)
            if answer.cut and reads:
                yield from deciding(request, Answer("unanswered", error=answer.error))
                return
            if rule.test is None or fql.evaluate(_parsed(rule.test), resolve):
                yield f"{name} {index}", rule
        break
    yield "", p.ResponseRule(then=BUILT_IN.get(status) or BUILT_IN.get(general, "retry"))


def _named(rule: p.ResponseRule, answer: Answer, sent: Sent, read: Read) -> tuple[dict[int, Named], str]:
    if answer.status in READS_NOTHING:
        return {}, ""
    try:
        body = values.decode(answer.body)
    except (values.Malformed, values.TooDeep):
        much = f"longer than {ANSWER_LIMIT >> 20} MiB" if len(answer.body) >= ANSWER_LIMIT else "no JSON"
        return {}, f"its body is {much}"
    whole = {"status": int(answer.status), "headers": dict(answer.headers), "body": body}
    of_answer = resolver(answer)

    def holds(test: str, item: Item) -> bool:
        held = {"item": item.value, "key": item.key, "body": body}

        def resolve(steps: tuple[str | int, ...]) -> Any:
            return fql.walk(held[str(steps[0])], steps[1:]) if steps[0] in held else of_answer(steps)

        return fql.evaluate(_parsed(test), resolve)

    return named_by(rule.results, sent, lambda node, item: read(node, whole, item.value, item.key), holds)


def _in_doubt(status: str, rule: p.ResponseRule, own: str) -> str:
    """The outcome of those whom an answer does not name when it cannot be read as the spec says: that of its status, but never `ok` where the
    status is none of success, and never again what may have been accepted."""
    if status.startswith("2"):
        return own if own in ("ok", "reject") else "reject"
    accepted = rule.then == "ok" or any(inner.then == "ok" for reader in rule.results for inner in reader.then)
    return "reject" if own == "ok" or (accepted and own != "reject") else own


@functools.lru_cache(maxsize=256)
def _parsed(test: str) -> fql.Node:
    return fql.parse(test, roots=fql.RESPONSE_ROOTS | {"item", "key"})


def resolver(answer: Answer) -> fql.Resolve:
    """`status`, `headers.name` (any case) and `body` (JSON, else text) of an answer. The body is read once, when a test asks for it."""

    @functools.cache
    def body() -> Any:
        try:
            return values.decode(answer.body)
        except (values.Malformed, values.TooDeep):
            return answer.body.decode(errors="replace")

    def resolve(steps: tuple[str | int, ...]) -> Any:
        if steps[0] == "status":
            return int(answer.status) if answer.status.isdecimal() else answer.status
        if steps[0] == "headers":
            return answer.headers.get(str(steps[1]).lower(), MISSING) if len(steps) == 2 else MISSING
        return fql.walk(body(), steps[1:])

    return resolve


def wait_asked(retry: p.Retry, answer: Answer, now: float) -> float | None:
    """The seconds that the answer asks to wait, at most `max_wait`; None when it asks for none that can be read.

    A header holds seconds, an HTTP date, or (as reset headers do) an instant: Unix seconds, milliseconds or microseconds. What lies in the past
    asks for no wait.
    """
    for name in retry.wait_from:
        text = answer.headers.get(name.lower())
        wait = _seconds(text.strip(), now) if text is not None else None
        if wait is not None:
            return min(max(wait, 0.0), retry.max_wait_s)
    return None


_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?", re.ASCII)


def _seconds(text: str, now: float) -> float | None:
    if _NUMBER.fullmatch(text) is None:
        try:
            date = email.utils.parsedate_to_datetime(text)
            # A date without a zone is in UTC, as HTTP's are.
            return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    number = float(text)
    # No destination asks to wait thirty years: such a number is an instant, its unit told by its size as everywhere in Waypost.
    if number < 1e9:
        return number
    return number / (1.0 if number < 1e11 else 1e3 if number < 1e14 else 1e6) - now


def backoff(attempt: int, jitter: Callable[[], float], *, base: float = 0.5, cap: float = 60.0) -> float:
    """Full jitter: a random share of an exponentially growing wait. `attempt` counts from 1; `jitter` gives 0 to 1."""
    return float(min(cap, base * 2 ** min(attempt - 1, 30)) * jitter())
