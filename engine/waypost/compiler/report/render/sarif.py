"""SARIF 2.1.0, which code hosts show beside the code: one run, each rule that was met with its reason, each finding with its range and fix."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from waypost.compiler.read.source import Source, Span
from waypost.compiler.report.diagnostic import Diagnostic, Report
from waypost.compiler.report.rules import RULES

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render(reports: Sequence[Report]) -> str:
    met = sorted({item.code for report in reports for item in report.diagnostics})
    rules = [{"id": code, "name": RULES[code].name, "shortDescription": {"text": RULES[code].why}} for code in met]
    results = [_result(item, report.source, met) for report in reports for item in report.diagnostics]
    driver = {"name": "waypost", "rules": rules}
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _result(item: Diagnostic, source: Source, met: list[str]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": item.code,
        "ruleIndex": met.index(item.code),
        "level": item.severity,
        "message": {"text": item.message + (f" ({item.help})" if item.help else "")},
        "locations": [_location(item.label.span, source)],
    }
    if item.others:
        result["relatedLocations"] = [
            {**_location(label.span, label.source or source), "message": {"text": label.text}} for label in item.others
        ]
    if item.fix is not None:
        replacement = {"deletedRegion": _region(item.fix.span, source), "insertedContent": {"text": item.fix.text}}
        change = {"artifactLocation": {"uri": source.path}, "replacements": [replacement]}
        result["fixes"] = [{"description": {"text": "the edit that mends it"}, "artifactChanges": [change]}]
    return result


def _location(span: Span, source: Source) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": source.path}, "region": _region(span, source)}}


def _region(span: Span, source: Source) -> dict[str, int]:
    (line, column), (end_line, end_column) = source.position(span.start), source.position(span.end)
    return {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}
