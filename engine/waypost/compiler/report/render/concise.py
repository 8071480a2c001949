"""One line a finding: path:line:column: severity[code] message."""

from __future__ import annotations

from collections.abc import Sequence

from waypost.compiler.report.diagnostic import Report
from waypost.compiler.report.render.human import summary


def render(reports: Sequence[Report]) -> str:
    rows = []
    for report in reports:
        for item in report.diagnostics:
            line, column = report.source.position(item.label.span.start)
            rows.append(f"{report.source.path}:{line}:{column}: {item.severity}[{item.code}] {item.message}")
    return "\n".join([*rows, summary(reports)]) + "\n"
