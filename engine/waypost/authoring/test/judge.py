"""What was expected against what was found: failures, each with its place in tests.yaml and a diff.

Takes a Case and its Course. Gives Failures; none says that the test passed. Of a message or request a subset is expected: objects may have
more than is written, everything else is equal, numbers by value; `<absent>` says that a key must not be there.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from waypost.authoring.test import bodies
from waypost.authoring.test.case_run import MAX_ATTEMPTS, Course, Delivered
from waypost.authoring.test.cases import Case, Expectation
from waypost.compiler.read.document import Map, Node
from waypost.compiler.report.diagnostic import Label
from waypost.lang import fql, values

ABSENT = "<absent>"
CLOCK_STEP = 0.0015
"""The virtual clock's own steps are shorter than this many seconds: a wait may be off by as much."""


@dataclass(frozen=True)
class Failure:
    """`label` is the expectation that was not met, `others` more of the same delivery. `diff`: expected against found, or empty."""

    message: str
    label: Label
    others: tuple[Label, ...] = ()
    diff: str = ""


def judge(case: Case, course: Course) -> list[Failure]:
    if course.endless:
        last = course.answered[-1][1] if course.answered else None
        because = f"; the last answer was {last.status}{f' ({last.error})' if last.error else ''}" if last else ""
        label = Label(case.span, f"not over after {MAX_ATTEMPTS:,} attempts")
        return [Failure(f"the delivery never ends{because}", label)]
    found: list[Failure] = []
    if len(case.expect) != len(course.ended):
        label = Label(case.expect_span, f"found {'; '.join(_told(item, case) for item in course.ended)}")
        found.append(Failure(f"expected {_deliveries(len(case.expect))}, found {len(course.ended)}", label))
    else:
        for wanted, item in zip(case.expect, course.ended, strict=True):
            failure = _judge_one(wanted, item, course)
            if failure is not None:
                found.append(failure)
    found += _judge_requests(case, course)
    if course.unasked:
        count = len(course.unasked)
        label = Label(course.unasked[0].span, "never asked for")
        found.append(
            Failure(f"{count} of {len(case.replies)} replies {'was' if count == 1 else 'were'} not used", label)
        )
    return found


def told(item: Delivered) -> str:
    """One delivery in a few words."""
    reason = f": {item.reason}{f' ({item.said})' if item.said else ''}" if item.reason else ""
    return f"{item.action or 'no action'} {item.outcome}{reason}{f' at {item.at}' if item.at else ''}"


def _told(item: Delivered, case: Case) -> str:
    return f"event {item.event + 1}: {told(item)}" if case.several else told(item)


def _judge_requests(case: Case, course: Course) -> Iterator[Failure]:
    """Each request in turn, where the test says what is expected of them."""
    if case.requests is None:
        return
    found = [_request(shown) for shown in course.requests]
    if len(found) != len(case.requests):
        sizes = ", ".join(str(row["messages"]) for row in found) or "none"
        label = Label(case.requests_span or case.span, f"found {len(found)}, with so many messages: {sizes}")
        yield Failure(f"expected {len(case.requests)} requests, found {len(found)}", label)
        return
    for number, (expected, row) in enumerate(zip(case.requests, found, strict=True), 1):
        labels = list(_differences(expected.wanted, row, expected.node, expected.node))
        if labels:
            paths = ", ".join(f"`{path}`" for path, _ in labels)
            text = f"request {number}: {paths} {'is' if len(labels) == 1 else 'are'} not as expected"
            diff = _diff(expected.wanted, _shown(expected.wanted, row))
            yield Failure(text, labels[0][1], tuple(label for _, label in labels[1:]), diff)


def _request(shown: dict[str, Any]) -> dict[str, Any]:
    """A request as golden.json shows it, and the number of its messages."""
    return {**shown, "messages": len(bodies.messages_of(shown.get("body", {})))}


def _deliveries(count: int) -> str:
    return f"{count} {'delivery' if count == 1 else 'deliveries'}"


def _judge_one(expected: Expectation, item: Delivered, course: Course) -> Failure | None:
    wanted, node = dict(expected.wanted), expected.node
    if not {"outcome", "rejected", "filtered"} & wanted.keys():
        wanted["outcome"] = "ok"
    found = {key: value for key, value in _found(item, course).items() if key in wanted}
    if "waited" in wanted:
        close = abs(wanted["waited"] - course.waited) <= CLOCK_STEP
        found["waited"] = wanted["waited"] if close else round(course.waited, 3)
        wanted["waited"], found["waited"] = f"{wanted['waited']:g}s", f"{found['waited']:g}s"
    differences = list(_differences(wanted, found, node, node))
    if not differences:
        return None
    paths = ", ".join(f"`{path}`" for path, _ in differences)
    message = f"{paths} {'is' if len(differences) == 1 else 'are'} not as expected; found {told(item)}"
    if course.stopped:
        message += f" ({course.stopped})"
    if course.doubts:
        message += f" ({course.doubts[0]})"
    labels = [label for _, label in differences]
    return Failure(message, labels[0], tuple(labels[1:]), _diff(wanted, _shown(wanted, found)))


def _found(item: Delivered, course: Course) -> dict[str, Any]:
    found: dict[str, Any] = {"outcome": item.outcome, "attempts": course.attempts}
    for key, value in (
        ("action", item.action),
        ("rejected", item.reason if item.outcome == "rejected" else ""),
        ("filtered", item.reason if item.outcome == "filtered" else ""),
        ("field", item.at),
        ("reason", item.said),
    ):
        if value:
            found[key] = value
    if item.body:
        found["message"] = values.decode(item.body)
    if item.request:
        found["request"] = item.request
    return found


def _differences(
    wanted: Any, found: Any, node: Node | None, parent: Node, path: str = ""
) -> Iterator[tuple[str, Label]]:
    """A dotted path and a label where `found` lacks what is wanted, at the innermost place that is written."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            inner = node.get(key) if isinstance(node, Map) else None
            place, at = inner or node or parent, f"{path}.{key}" if path else key
            if value == ABSENT:
                if key in found:
                    yield at, Label(place.span, f"found {_text(found[key])}")
            elif key in found:
                yield from _differences(value, found[key], inner, place, at)
            else:
                yield at, Label(place.span, "found nothing")
    elif not fql.equal(wanted, found):
        yield path, Label((node or parent).span, f"found {_text(found)}")


def _shown(wanted: Any, found: Any) -> Any:
    """The part of `found` that is spoken of, in the order and notation of what is wanted."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        shown = {}
        for key, value in wanted.items():
            if key in found:
                shown[key] = _shown(value, found[key])
            elif value == ABSENT:
                shown[key] = ABSENT
        return shown
    return wanted if fql.equal(wanted, found) else found


def _diff(wanted: Any, found: Any) -> str:
    rows = difflib.unified_diff(_pretty(wanted), _pretty(found), "expected", "found", lineterm="")
    return "".join(f"{row}\n" for row in rows)


def _pretty(value: Any) -> list[str]:
    return msgspec.json.format(values.encode(value), indent=2).decode().splitlines()


def _text(value: Any) -> str:
    text = values.encode(value).decode()
    return text if len(text) <= 120 else text[:117] + "..."
