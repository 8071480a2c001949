"""For machines: one JSON object. Takes Results; the keys are documented in docs/testing.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from waypost.authoring.test.suite import Outcome, Result
from waypost.compiler.read.source import Source, Span
from waypost.compiler.report.render.json import render as findings


def render(results: Sequence[Result], *, verbose: bool = False) -> str:
    whole = {
        "passed": sum(result.passed for result in results),
        "failed": sum(result.failed for result in results),
        "specs": [_result(result) for result in results],
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _result(result: Result) -> dict[str, Any]:
    row: dict[str, Any] = {
        "spec": result.spec.as_posix(),
        "tests": [_outcome(o, result.source) for o in result.outcomes],
    }
    if result.report is not None:
        row["findings"] = json.loads(findings([result.report]))
    if result.problem:
        row["problem"] = result.problem
    if result.diff:
        row["golden"] = result.diff
    if result.coverage is not None:
        row["coverage"] = result.coverage.as_dict()
        if result.least is not None:
            row["coverage"]["least"] = result.least
    return row


def _outcome(outcome: Outcome, source: Source) -> dict[str, Any]:
    failures = [
        {
            **_place(failure.label.span, source),
            "message": failure.message,
            "found": failure.label.text,
            "diff": failure.diff,
        }
        for failure in outcome.failures
    ]
    return {
        "name": outcome.case.name,
        **_place(outcome.case.span, source),
        "passed": not failures,
        "failures": failures,
    }


def _place(span: Span, source: Source) -> dict[str, Any]:
    line, column = source.position(span.start)
    return {"file": source.path, "line": line, "column": column}
