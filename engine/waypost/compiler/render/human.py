"""Code frames: the line, the exact stretch underlined, what was expected there, and the smallest edit.

Takes reports. Gives text without colour or control characters, so that a log and a terminal show the same.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from waypost.compiler.diagnostic import Diagnostic, Label, Report
from waypost.compiler.source import Source


def render(reports: Sequence[Report]) -> str:
    """Every finding as a frame, then one line that counts them."""
    frames = [frame(diagnostic, report.shown) for report in reports for diagnostic in report.diagnostics]
    return "\n".join([*frames, summary(reports)]) + "\n"


def summary(reports: Sequence[Report]) -> str:
    found = [diagnostic.severity for report in reports for diagnostic in report.diagnostics]
    counts = [f"{count} {kind}{'s' * (count != 1)}" for kind in ("error", "warning") if (count := found.count(kind))]
    files = f"{len(reports)} file{'s' * (len(reports) != 1)}"
    return f"{', '.join(counts)} in {files}" if counts else f"{files} checked, no findings"


def frame(diagnostic: Diagnostic, source: Source) -> str:
    labels = (diagnostic.label, *diagnostic.others)
    width = margin(labels, source)
    shown = excerpt(diagnostic.label, diagnostic.others, source)
    rows = [f"{diagnostic.severity}[{diagnostic.code}]: {diagnostic.message}", *shown]
    if diagnostic.help:
        rows.append(f"help: {diagnostic.help}")
    hints = ["fix available with --fix"] if diagnostic.fix is not None and diagnostic.fix.safe else []
    rows.append(f"{' ' * width} = " + f"   {'= '}".join([*hints, f"waypost explain {diagnostic.code}"]))
    return "\n".join(rows) + "\n"


def margin(labels: Sequence[Label], source: Source) -> int:
    """The columns that the line numbers take."""
    return max(len(str((label.source or source).position(label.span.start)[0])) for label in labels)


def excerpt(main: Label, others: Sequence[Label], source: Source) -> list[str]:
    """The place, and the lines with every label under its stretch; those of another file behind that file's name."""
    width = margin([main, *others], source)
    rows = _block(main, [main, *(label for label in others if label.source is None)], source, "-->", width)
    for other in dict.fromkeys(label.source for label in others if label.source is not None):
        within = [label for label in others if label.source is other]
        rows += _block(within[0], within, other, ":::", width)
    return rows


def _block(first: Label, labels: list[Label], source: Source, arrow: str, width: int) -> list[str]:
    """The labels that stand in one file, of which `first` gives the place to name."""
    line, column = source.position(first.span.start)
    rows = [f"{' ' * width}{arrow} {source.path}:{line}:{column}", f"{' ' * width} |"]
    last: int | None = None
    for label in sorted(labels, key=lambda label: label.span):
        number = source.position(label.span.start)[0]
        if last is not None and number > last + 1:
            rows.append(f"{'.' * width} |")
        mark = "^" if label is first and arrow == "-->" else "-"
        rows += _underlined(label, source, width, mark, repeat=number != last)
        last = number
    return [*rows, f"{' ' * width} |"]


def _underlined(label: Label, source: Source, width: int, mark: str, *, repeat: bool) -> list[str]:
    number, column = source.position(label.span.start)
    text = source.line(number)
    end_line, end_column = source.position(label.span.end)
    end = end_column if end_line == number else len(text) + 1
    before = _cells(text[: column - 1])
    length = max(1, len(_cells(text[column - 1 : max(column, end) - 1])))
    more = "" if end_line == number else f" … (to line {end_line})"
    gutter = " " * width
    shown = [f"{number:>{width}} | {text.expandtabs(4)}"] if repeat else []
    return [*shown, f"{gutter} | {' ' * len(before)}{mark * length}{more} {label.text}".rstrip()]


def _cells(text: str) -> str:
    """As many signs as the text takes columns in a terminal."""
    return "".join(
        " " * (2 if unicodedata.east_asian_width(character) in "WF" else 0 if unicodedata.combining(character) else 1)
        for character in text.expandtabs(4)
    )
