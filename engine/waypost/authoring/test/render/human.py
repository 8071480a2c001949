"""For people: each failure with the place of its expectation, a frame, and a diff of expected and found.

Takes Results, and for a terminal its columns. Gives text without colour (cli/colours.py adds it).
"""

from __future__ import annotations

from collections.abc import Sequence

from waypost.authoring.test.coverage import Coverage
from waypost.authoring.test.judge import Failure
from waypost.authoring.test.points import KINDS
from waypost.authoring.test.suite import Outcome, Result
from waypost.compiler.read.source import Source
from waypost.compiler.report.render.human import excerpt
from waypost.compiler.report.render.human import render as findings


def render(results: Sequence[Result], *, verbose: bool = False, columns: int | None = None) -> str:
    passed, failed = sum(result.passed for result in results), sum(result.failed for result in results)
    parts = [_result(result, verbose, columns) for result in results]
    return "".join([*parts, f"{passed} passed, {failed} failed\n"])


def _result(result: Result, verbose: bool, columns: int | None) -> str:
    if result.report is not None:
        return findings([result.report], columns)
    if result.problem:
        return f"FAIL {result.source.path}: {result.problem}\n"
    parts = [_outcome(outcome, result.source, verbose, columns) for outcome in result.outcomes]
    if result.diff:
        parts.append(f"FAIL {result.golden}: {changed(result)}\n{result.diff}\n")
    if result.coverage is not None:
        parts.append(_coverage(result.coverage, result))
    return "".join(parts)


def changed(result: Result) -> str:
    return f"what goes over the wire has changed; review, then `waypost test {result.spec.parent} --update`"


def _outcome(outcome: Outcome, source: Source, verbose: bool, columns: int | None) -> str:
    head = f"{place(outcome, source)}: {outcome.case.name}\n"
    if not outcome.failures:
        return f"ok   {head}" if verbose else ""
    return f"FAIL {head}" + "".join(f"{failure_text(failure, source, columns)}\n" for failure in outcome.failures)


def place(outcome: Outcome, source: Source) -> str:
    """tests.yaml:LINE:COLUMN of the first expectation that was not met, else of the test's name."""
    span = outcome.failures[0].label.span if outcome.failures else outcome.case.span
    line, column = source.position(span.start)
    return f"{source.path}:{line}:{column}"


def failure_text(failure: Failure, source: Source, columns: int | None = None) -> str:
    rows = [f"error: {failure.message}", *excerpt(failure.label, failure.others, source, columns)]
    return "".join(f"{row}\n" for row in rows) + failure.diff


def _coverage(coverage: Coverage, result: Result) -> str:
    kinds = ", ".join(f"{kind} {reached}/{of}" for kind in KINDS for reached, of in (coverage.counts(kind),))
    rows = [f"{coverage.source.path}: {coverage.percent():g} % reached by tests ({kinds})"]
    for point in coverage.missed:
        rows.append(f"  {coverage.place(point)}: no test reaches this of the {point.kind}: {point.what}")
    if result.below:
        rows.append(f"FAIL {coverage.source.path}: {below(result)}")
    return "".join(f"{row}\n" for row in rows)


def below(result: Result) -> str:
    percent = result.coverage.percent() if result.coverage else 0.0
    return f"tests reach {percent:g} %, at least {result.least or 0:g} % were asked for"
