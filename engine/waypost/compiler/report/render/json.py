"""A list of findings as JSON: the same code, range, message, help and fix as the frames show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from waypost.compiler.read.source import Source, Span
from waypost.compiler.report.diagnostic import Diagnostic, Report
from waypost.compiler.report.rules import RULES


def render(reports: Sequence[Report]) -> str:
    rows = [_row(item, report.source) for report in reports for item in report.diagnostics]
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


def _row(item: Diagnostic, source: Source) -> dict[str, Any]:
    return {
        "code": item.code,
        "name": RULES[item.code].name,
        "severity": item.severity,
        "message": item.message,
        "path": source.path,
        **_range(item.label.span, source),
        "label": item.label.text,
        "help": item.help,
        "related": [
            {"path": (label.source or source).path, **_range(label.span, label.source or source), "label": label.text}
            for label in item.others
        ],
        "fix": None
        if item.fix is None
        else {**_range(item.fix.span, source), "text": item.fix.text, "safe": item.fix.safe},
    }


def _range(span: Span, source: Source) -> dict[str, Any]:
    (line, column), (end_line, end_column) = source.position(span.start), source.position(span.end)
    return {"line": line, "column": column, "end_line": end_line, "end_column": end_column}
