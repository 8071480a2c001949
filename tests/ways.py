"""Every way that an event may take through a program, and that they agree: the kernel, generated code with the fast loader and with the
general one, a line at a time and a piece of data at a time, and the reference interpreter.

Takes a plan, linked with the kernel and without, and lines; gives what becomes of each line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote_plus

from waypost import plan as p
from waypost.compiler.pipeline import compile_text
from waypost.events.results import Mapped, Rejected
from waypost.program import interpret_actions
from waypost.program.interpret_requests import MESSAGES, Sent
from waypost.program.program import Program, link

NOW = 1_795_000_000.0


def comparable(result: Any) -> Any:
    """A result without its group, its message as JSON (number tokens kept) instead of bytes; of a rejection what a dead letter is sorted by."""
    if isinstance(result, Mapped):
        return (result.action, result.item, result.request, tokens(result.body))
    if isinstance(result, Rejected):
        return (result.action, result.item, result.reason, result.field if result.action else "")
    return result


def told_alike(fast: Any, slow: Any) -> bool:
    """Whether a program's result is the reference interpreter's; of several faults in a request it tells any."""
    if isinstance(slow, interpret_actions.Refused) and isinstance(fast, Rejected):
        return (fast.action, fast.item) == (slow.action, slow.item) and (fast.reason, fast.field) in slow.faults
    return bool(comparable(fast) == comparable(slow))


def tokens(body: bytes) -> Any:
    """JSON with each number as its own text, so that 1.50 is not 1.5, and each object as its members in order."""
    return json.loads(
        body,
        parse_float=lambda text: ("number", text),
        parse_int=lambda text: ("number", text),
        object_pairs_hook=lambda pairs: list(dict(pairs).items()),
    )


def compiled(text: str) -> p.Plan:
    """The plan of a spec in which nothing is wrong."""
    plan, report = compile_text(text, "destination.yaml")
    assert plan is not None, report.diagnostics
    return plan


Both = tuple[Program, Program]
"""The same plan, linked with the kernel and without."""


def both(plan: p.Plan, given: dict[str, Any]) -> Both:
    return link(plan, given), link(plan, given, use_kernel=False)


def all_ways(linked: Both, lines: list[bytes]) -> list[list[Any]]:
    """Maps lines in every way, asserts that they agree, and gives the results."""
    program, bare = linked
    together = mapped(program, lines)
    assert mapped(bare, lines) == together
    pairs: list[tuple[Mapped, Mapped]] = []
    for offset, line in enumerate(lines):
        fast = program.map(line, offset, b"first", NOW)
        assert fast == together[offset]
        assert fast == program._chunks.alone(program.redacted(line), offset, b"first", NOW)
        assert fast == walked(program, line, offset)
        origin = interpret_actions.Origin(line, offset, b"first", program.owner, program.redacted(line))
        slow = interpret_actions.map_event(program.plan, program.settings, origin, NOW)
        assert len(fast) == len(slow), (line, fast, slow)
        for one, other in zip(fast, slow, strict=True):
            assert told_alike(one, other), (line, one, other)
            if isinstance(one, Mapped) and isinstance(other, Mapped):
                pairs.append((one, other))
    share_what_reads_the_same(program, pairs)
    if not any(b"\n" in line for line in lines) and all(lines):
        assert in_pieces(program, lines) == in_pieces(bare, lines) == in_one(program, lines)
    return together


def mapped(program: Program, lines: Sequence[bytes], offsets: Sequence[int] | None = None) -> list[Any]:
    """The results of each line, mapped together: those that may stand in one piece of data."""
    offsets = range(len(lines)) if offsets is None else offsets
    whole = [index for index, line in enumerate(lines) if line and b"\n" not in line]
    data = b"\n".join(lines[index] for index in whole)
    rows = spread(program.map_text(data, [offsets[index] for index in whole], b"first", NOW).rows()) if whole else []
    found = dict(zip(whole, rows, strict=True))
    return [
        found[index] if index in found else program.map(line, offsets[index], b"first", NOW)
        for index, line in enumerate(lines)
    ]


def walked(program: Program, line: bytes, offset: int = 0) -> list[Any]:
    """The results of a line by the general loader's slowest way."""
    return program._chunks.alone(program.redacted(line), offset, b"first", NOW, walk=True)


def share_what_reads_the_same(program: Program, pairs: list[tuple[Mapped, Mapped]]) -> None:
    """Messages of one group have the very request that the reference interpreter makes for each of them; and where that tells, those of one
    request are of one group. The second of each pair has that request as its group."""
    requests: dict[Any, Sent] = {}
    groups: dict[Any, Any] = {}
    for fast, slow in pairs:
        wanted: Any = slow.group
        known = requests.get((fast.request, fast.group))
        if known is None:
            requests[fast.request, fast.group] = wanted
            goes_out_as(program, fast, wanted)
        assert known in (None, wanted), (known, wanted)
        if tells(program.plan.requests[fast.request]) and all(map(is_clean, fast.group)):
            key = fast.request, wanted.url, wanted.body, *sorted(wanted.headers.items())
            assert groups.setdefault(key, fast.group) == fast.group, (groups[key], fast.group)


def is_clean(part: Any) -> bool:
    """Whether a text reads in a header as it is."""
    return not isinstance(part, str) or re.search(r"^\s|[\x00-\x1f\x7f]|\s$", part) is None


def tells(request: p.Request) -> bool:
    """Whether a request shows each value that is taken for it: of two parts in one text, of the entries of forms and objects, and of what lists
    leave out, several may make one request. Such messages need not share it."""

    def parts(node: p.Value) -> int:
        return sum(map(parts, node.parts)) if isinstance(node, p.Text) else not isinstance(node, p.Const)

    texts = [request.url, *request.headers.values(), *request.query.values()]
    held = [*texts, *([request.body] if request.body is not None else [])]
    return (
        request.format != "form"
        and not request.sign
        and not request.more_headers
        and not request.more_query
        and all(parts(node) <= 1 for node in texts)
        and not any(p.mentions(node, lambda one: isinstance(one, p.Ref) and one.name == "now") for node in held)
        and (request.body is None or not p.mentions(request.body, lambda one: isinstance(one, p.Items)))
    )


def goes_out_as(program: Program, mapped: Mapped, wanted: Sent) -> None:
    """What is rendered of the group alone is the request that the reference interpreter makes of the event."""
    kind, auth = program.requests[mapped.request], program.plan.auth
    sign = kind.policy.sign or p.Sign(text=p.Const(value=""), key=p.Const(value=""), hash="")
    around = kind.envelope(mapped.group, NOW, list(dict.fromkeys(kind.layout.lists.values())))
    mark = json.dumps(MESSAGES).encode()
    mark = quote_plus(mark).encode() if kind.policy.format == "form" else mark
    if not auth.body:
        assert (None if around is None else mark.join(around)) == wanted.body
    if kind.refusal(mapped) is not None:
        return
    wire = kind.render(mapped.group, kind.by_list([(mapped.action, mapped.body)]), NOW)
    if not auth.query and not auth.more_query and not sign.query:
        assert wire.url == wanted.url
    engine = {
        "user-agent",
        "content-type",
        "content-encoding",
        "authorization",
        *map(str.lower, [*auth.headers, *sign.headers]),
    }
    above = set(map(str.lower, [*auth.headers, *sign.headers]))
    assert {
        name: text for name, text in wire.headers if name not in engine or name in wanted.headers.keys() - above
    } == {name: text for name, text in wanted.headers.items() if name not in above}


def spread(rows: Iterable[Any]) -> list[Any]:
    return [[row] if isinstance(row, Mapped) else row for row in rows]


def in_pieces(program: Program, lines: list[bytes]) -> list[Any]:
    """The rows of the lines as one piece of data, with their offsets in it."""
    blocks = program.map_data(b"\n".join(lines), 7, b"first", NOW)
    return spread(row for block in blocks for row in block.rows())


def in_one(program: Program, lines: list[bytes]) -> list[Any]:
    offset, found = 7, []
    for line in lines:
        found.append(program.map(line, offset, b"first", NOW))
        offset += len(line) + 1
    return found
