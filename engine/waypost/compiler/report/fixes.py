"""Safe fixes applied to a spec's text: comments and layout stay, because each is a replacement of a few characters.

Takes a Report. Gives the mended text and how many fixes went in. Fixes that overlap are applied one a round: the caller compiles again until
nothing safe is left, so that each fix is judged on the text that it changes.
"""

from __future__ import annotations

from waypost.compiler.compose.connections import compile_connections
from waypost.compiler.pipeline import compile_text
from waypost.compiler.report.diagnostic import Report
from waypost.plan.catalog import is_connections

ROUNDS = 20
"""A fix that brings its own finding back would go on for ever."""


def apply(report: Report) -> tuple[str, int]:
    """The text with every safe fix of one report that does not overlap another."""
    text = report.source.text
    fixes = {item.fix.span: item.fix for item in report.diagnostics if item.fix is not None and item.fix.safe}
    count, reached = 0, len(text) + 1
    for span in sorted(fixes, reverse=True):
        if span.end <= reached:
            text = text[: span.start] + fixes[span].text + text[span.end :]
            count, reached = count + 1, span.start
    return text, count


def judge(text: str, path: str) -> Report:
    """The findings in a spec or a connections file itself."""
    return compile_connections(text, path)[1][0] if is_connections(path, text) else compile_text(text, path)[1]


def mend(text: str, path: str) -> tuple[str, int]:
    """The text after all safe fixes, and how many there were."""
    total = 0
    for _ in range(ROUNDS):
        mended, count = apply(judge(text, path))
        if not count or mended == text:
            break
        text, total = mended, total + count
    return text, total
