"""A comparison as text for people, as JSON, and as Markdown for a comment on a pull request.

Takes a Comparison. Gives text that ends with a line feed. Values of events are data: in Markdown they stand in code spans that nothing
inside can close, and a table's bars are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from msgspec import Struct

from waypost.authoring.diff.change import Change
from waypost.authoring.diff.sample import Counts, Example, Summary

WIDTH = 160
"""A value longer than this is cut for people; JSON has it whole."""
MISSING = "(none)"
COLUMNS: Final = ("old", "new", "same", "differ", "appear", "vanish")


class Comparison(Struct, frozen=True, kw_only=True):
    """What was compared, what was found, and the sample where one was given."""

    name: str
    old: str
    new: str
    changes: list[Change]
    events: str = ""
    sample: Summary | None = None

    def breaking(self) -> int:
        return sum(change.breaking for change in self.changes)


def human(found: Comparison) -> str:
    if not found.changes and _quiet(found.sample):
        return f"{found.name}: no difference\n"
    rows = [f"{found.name}: {_count(found)}"]
    for index, change in enumerate(found.changes):
        rows += ["", *_human_change(change, index, found.sample)]
    if found.sample is not None:
        rows += ["", *_human_sample(found)]
    return "\n".join(rows) + "\n"


def _count(found: Comparison) -> str:
    total, broken = len(found.changes), found.breaking()
    return f"{total} {'change' if total == 1 else 'changes'}, {broken} breaking"


def _human_change(change: Change, index: int, sample: Summary | None) -> list[str]:
    where = [", ".join(change.actions), change.field]
    rows = [
        f"{'breaking' if change.breaking else 'told'}  {' '.join(part for part in where if part)}: "
        f"{change.reason} ({change.kind})"
    ]
    for sign, shown, at in (("-", change.old, change.old_at), ("+", change.new, change.new_at)):
        if shown:
            rows.append(f"  {sign} {_cut(_one_line(shown))}  {at}".rstrip())
    touched = _touched(change, index, sample)
    return [*rows, f"  {touched}"] if touched else rows


def _touched(change: Change, index: int, sample: Summary | None) -> str:
    if sample is None or not change.path:
        return ""
    counts = [sample.actions[action] for action in change.actions]
    total = sum(count.same + count.differ + count.appear + count.vanish for count in counts)
    return f"{sample.touched[index]} of {total} messages"


def _human_sample(found: Comparison) -> list[str]:
    sample = found.sample
    assert sample is not None
    rows = [f"{found.events}: {_sample_head(sample)}"]
    names = max([len(name) for name in sample.actions] or [0])
    rows.append("  ".join([f"  {'':{names}}", *(f"{word:>7}" for word in COLUMNS)]))
    for name, counts in sample.actions.items():
        rows.append("  ".join([f"  {name:{names}}", *(f"{getattr(counts, word):>7}" for word in COLUMNS)]))
        rows += [f"    {reason}" for reason in _reasons(counts)]
    for example in sample.examples:
        rows += ["", f"  {_example_head(example)}"]
        for row in example.fields:
            values = f"{_cut(row.old) or MISSING} -> {_cut(row.new) or MISSING}"
            rows.append(f"    {row.field}: {values}  {row.at}".rstrip())
        if example.more:
            rows.append(f"    and {example.more} more fields")
    return rows


def _sample_head(sample: Summary) -> str:
    head = f"{sample.events} {'event' if sample.events == 1 else 'events'}"
    return head + (f", and {sample.too_long} lines too long" if sample.too_long else "")


def _reasons(counts: Counts) -> Iterable[str]:
    for reason, count in sorted(counts.reasons.items()):
        yield f"{reason}: {count}"
    if counts.requests:
        yield f"another request: {counts.requests}"


def _example_head(example: Example) -> str:
    item = "" if example.item is None else f", item {example.item}"
    kind = "goes out by another request" if example.kind == "request" else example.kind
    why = "" if example.why == "sent -> sent" else f" ({example.why})"
    return f"{example.action}, line {example.line}{item}: {kind}{why}"


def _quiet(sample: Summary | None) -> bool:
    if sample is None:
        return True
    return not any(counts.differ or counts.requests or counts.reasons for counts in sample.actions.values())


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def as_json(found: Comparison) -> str:
    whole = {"breaking": found.breaking(), **msgspec.to_builtins(found)}
    return msgspec.json.format(msgspec.json.encode(whole), indent=2).decode() + "\n"


def markdown(found: Comparison) -> str:
    head = f"### {_code(found.name)}: "
    if not found.changes and _quiet(found.sample):
        return f"{head}no difference\n"
    rows = [head + _count(found)]
    if found.changes:
        rows += ["", "| | where | change | old | new |", "|---|---|---|---|---|"]
        rows += [_markdown_change(change, index, found.sample) for index, change in enumerate(found.changes)]
    if found.sample is not None:
        rows += ["", *_markdown_sample(found)]
    return "\n".join(rows) + "\n"


def _markdown_change(change: Change, index: int, sample: Summary | None) -> str:
    where = " ".join(_code(part) for part in (*change.actions, change.field) if part)
    touched = _touched(change, index, sample)
    reason = _plain(change.reason) + (f" ({touched})" if touched else "")
    sides = [
        " ".join([_code(_cut(_one_line(shown))), _plain(at)]) if shown else ""
        for shown, at in ((change.old, change.old_at), (change.new, change.new_at))
    ]
    return _row(["**breaking**" if change.breaking else "told", where, reason, *sides])


def _markdown_sample(found: Comparison) -> list[str]:
    sample = found.sample
    assert sample is not None
    rows = [f"#### {_code(found.events)}: {_sample_head(sample)}", ""]
    rows += [_row(["action", *COLUMNS, "why"]), "|---|" + "---:|" * len(COLUMNS) + "---|"]
    for name, counts in sample.actions.items():
        numbers = [str(getattr(counts, word)) for word in COLUMNS]
        rows.append(_row([_code(name), *numbers, _plain("; ".join(_reasons(counts)))]))
    if sample.examples:
        rows += ["", "<details><summary>Examples</summary>", ""]
        rows += [_row(["message", "field", "old", "new"]), "|---|---|---|---|"]
        for example in sample.examples:
            rows += _markdown_example(example)
        rows += ["", "</details>"]
    return rows


def _markdown_example(example: Example) -> list[str]:
    head = _plain(_example_head(example))
    if not example.fields:
        return [_row([head, "", "", ""])]
    rows = []
    for index, row in enumerate(example.fields):
        field = " ".join([_code(row.field), *([_plain(row.at)] if row.at else [])])
        rows.append(_row([head if not index else "", field, _code(_cut(row.old)), _code(_cut(row.new))]))
    return [*rows, *([_row(["", f"and {example.more} more", "", ""])] if example.more else [])]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    """A code span of its own fence: one backtick more than the longest run inside. A bar is escaped even in code."""
    if not text:
        return ""
    shown = _one_line(text).replace("|", "\\|")
    fence = "`" * (1 + max([len(run) for run in re.findall("`+", shown)] or [0]))
    pad = " " if shown[:1] == "`" or shown[-1:] == "`" else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _plain(text: str) -> str:
    """Text that is nothing but text: no markup, no link, no mention."""
    shown = re.sub(r"([\\`*_\[\]|#~])", r"\\\1", _one_line(text))
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")


FORMATS: Final[dict[str, Callable[[Comparison], str]]] = {"human": human, "json": as_json, "markdown": markdown}
