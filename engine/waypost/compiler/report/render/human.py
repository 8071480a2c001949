"""Code frames: the line, the exact stretch underlined, what was expected there, and the smallest edit.

Takes reports, and for a terminal its columns: lines of the file that do not fit are cut there, so that no caret is wrapped away from what it
underlines (cells.py). Gives text without colour (cli/colours.py adds it) or control characters.
"""

from __future__ import annotations

from collections.abc import Sequence

from waypost.compiler.read.source import Source
from waypost.compiler.report.diagnostic import Diagnostic, Label, Report
from waypost.compiler.report.render import cells

LABEL = 32
"""A label that does not fit behind its carets begins under them, if so many columns are left there."""


def render(reports: Sequence[Report], columns: int | None = None) -> str:
    """Every finding as a frame, then one line that counts them."""
    frames = [frame(diagnostic, report.shown, columns) for report in reports for diagnostic in report.diagnostics]
    return "\n".join([*frames, summary(reports)]) + "\n"


def summary(reports: Sequence[Report]) -> str:
    found = [diagnostic.severity for report in reports for diagnostic in report.diagnostics]
    counts = [f"{count} {kind}{'s' * (count != 1)}" for kind in ("error", "warning") if (count := found.count(kind))]
    files = f"{len(reports)} file{'s' * (len(reports) != 1)}"
    return f"{', '.join(counts)} in {files}" if counts else f"{files} checked, no findings"


def frame(diagnostic: Diagnostic, source: Source, columns: int | None = None) -> str:
    labels = (diagnostic.label, *diagnostic.others)
    width = margin(labels, source)
    shown = excerpt(diagnostic.label, diagnostic.others, source, columns)
    rows = [f"{diagnostic.severity}[{diagnostic.code}]: {diagnostic.message}", *shown]
    if diagnostic.help:
        rows.append(f"help: {diagnostic.help}")
    hints = ["fix available with --fix"] if diagnostic.fix is not None and diagnostic.fix.safe else []
    rows.append(f"{' ' * width} = " + f"   {'= '}".join([*hints, f"waypost explain {diagnostic.code}"]))
    return "\n".join(rows) + "\n"


def margin(labels: Sequence[Label], source: Source) -> int:
    """The columns that the line numbers take."""
    return max(len(str((label.source or source).position(label.span.start)[0])) for label in labels)


def excerpt(main: Label, others: Sequence[Label], source: Source, columns: int | None = None) -> list[str]:
    """The place, and the lines with every label under its stretch; those of another file behind that file's name."""
    width = margin([main, *others], source)
    room = None if columns is None else columns - width - len(" | ")
    rows = _block(main, [main, *(label for label in others if label.source is None)], source, "-->", width, room)
    for other in dict.fromkeys(label.source for label in others if label.source is not None):
        within = [label for label in others if label.source is other]
        rows += _block(within[0], within, other, ":::", width, room)
    return rows


def _block(first: Label, labels: list[Label], source: Source, arrow: str, width: int, room: int | None) -> list[str]:
    """The labels that stand in one file, of which `first` gives the place to name; `room`: the columns right of the line numbers."""
    line, column = source.position(first.span.start)
    gutter = f"{' ' * width} | "
    rows = [f"{' ' * width}{arrow} {source.path}:{line}:{column}", gutter.rstrip()]
    last: int | None = None
    shown: cells.Shown | None = None
    for label in sorted(labels, key=lambda label: label.span):
        number = source.position(label.span.start)[0]
        if last is not None and number > last + 1:
            rows.append(f"{'.' * width} |")
        start, end, text = _stretch(label, source)
        if shown is None or number != last or not shown.holds(start, end):
            shown = cells.part(source.line(number), start, end, room)
            rows.append(f"{number:>{width}} | {shown.text}".rstrip(" "))
        mark = "^" if label is first and arrow == "-->" else "-"
        rows += [f"{gutter}{row}".rstrip(" ") for row in _marked(shown.marks(start, end), mark, text, room)]
        last = number
    return [*rows, gutter.rstrip()]


def _stretch(label: Label, source: Source) -> tuple[int, int, str]:
    """The columns of its first line that a label underlines, and what is said behind the carets."""
    number, first = source.position(label.span.start)
    end_line, last = source.position(label.span.end)
    line = source.line(number)
    at = cells.columns_before(line)
    start = at[min(first - 1, len(line))]
    end = at[min(last - 1, len(line))] if end_line == number else at[-1]
    more = "" if end_line == number else f"… (to line {end_line}) "
    return start, max(start + 1, end), f"{more}{label.text}".rstrip()


def _marked(marks: tuple[int, int], mark: str, text: str, room: int | None) -> list[str]:
    """The carets and their text: behind them, and where that does not fit in rows of its own below."""
    before, length = marks
    row = f"{' ' * before}{mark * length}"
    if not text:
        return [row]
    if room is None or before + length + 1 + cells.columns(text) <= room:
        return [f"{row} {text}"]
    room = max(cells.LEAST, room)
    indent = min(before, max(0, room - LABEL))
    return [row, *(f"{' ' * indent}{one}" for one in cells.wrapped(text, room - indent))]
