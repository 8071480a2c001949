"""What a destination's answer means for the messages that were sent: one of six outcomes.

Takes a request's response rules and an `Answer`. Gives the outcome, and how long to wait where the destination says so. Pure: the instant is
an argument.

ok: acknowledged. retry: again, within the budget. throttle: again, and everything that shares the gate waits; not counted. split: halve the
batch until the refused message stands alone. reject: dead letters. stop: credentials or configuration; nothing is lost, the lane stops.
"""

from __future__ import annotations

import email.utils
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Final

from waypost import plan as p
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


def outcome_of(request: p.Request, answer: Answer) -> str:
    """The outcome of an answer. One that was cut is none when the spec's rules for its status read the body."""
    if answer.hopeless:
        return "stop"
    status = answer.status
    general = f"{status[:1]}xx" if status.isdecimal() else status
    for rules in (request.responses.get(status), None if status in BUILT_IN else request.responses.get(general)):
        for rule in rules or ():
            if rule.test is not None and answer.cut and "body" in rule.test:
                return outcome_of(request, Answer("unanswered", error=answer.error))
            if rule.test is None or _holds(rule.test, answer):
                return rule.then
        if rules:
            break
    return BUILT_IN.get(status) or BUILT_IN.get(general, "retry")


@functools.lru_cache(maxsize=256)
def _parsed(test: str) -> fql.Node:
    return fql.parse(test, roots=fql.RESPONSE_ROOTS)


def _holds(test: str, answer: Answer) -> bool:
    return fql.evaluate(_parsed(test), resolver(answer))


def resolver(answer: Answer) -> Callable[[tuple[str | int, ...]], Any]:
    """`status`, `headers.name` (any case) and `body` (JSON, else text) of an answer."""

    def resolve(steps: tuple[str | int, ...]) -> Any:
        if steps[0] == "status":
            return int(answer.status) if answer.status.isdecimal() else answer.status
        if steps[0] == "headers":
            return answer.headers.get(str(steps[1]).lower(), MISSING) if len(steps) == 2 else MISSING
        return fql.walk(_body(answer), steps[1:])

    return resolve


def _body(answer: Answer) -> Any:
    try:
        return values.decode(answer.body)
    except (values.Malformed, values.TooDeep):
        return answer.body.decode(errors="replace")


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
