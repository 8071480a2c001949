"""Workflow commands that annotate a pull request: `::error file=…,line=…::message`."""

from __future__ import annotations

from collections.abc import Sequence

from waypost.compiler.report.diagnostic import Report


def render(reports: Sequence[Report]) -> str:
    rows = []
    for report in reports:
        for item in report.diagnostics:
            line, column = report.source.position(item.label.span.start)
            end_line, end_column = report.source.position(item.label.span.end)
            # A column range on several lines is not understood.
            place = f"line={line},endLine={end_line}"
            if end_line == line:
                place += f",col={column},endColumn={end_column}"
            text = item.message + (f"\n{item.help}" if item.help else "")
            title = _property(item.code)
            rows.append(f"::{item.severity} file={_property(report.source.path)},{place},title={title}::{_data(text)}")
    return "".join(f"{row}\n" for row in rows)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
