"""JUnit XML: a test suite a spec, a test case a test; golden.json and coverage are cases of their own. No times: the clock is virtual."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from waypost.authoring.test.render import human
from waypost.authoring.test.suite import Result
from waypost.compiler.report.render.human import render as findings
from waypost.compiler.report.render.junit import printable

Row = tuple[str, int, str, str]
"""A test's name, its line, and when it failed the message and the whole text."""


def render(results: Sequence[Result], *, verbose: bool = False) -> str:
    out = ['<?xml version="1.0" encoding="utf-8"?>', '<testsuites name="waypost test">']
    for result in results:
        rows = list(_rows(result))
        failures = sum(bool(message) for _, _, message, _ in rows)
        path = _quoted(result.source.path)
        out.append(f'  <testsuite name={path} tests="{len(rows)}" failures="{failures}">')
        for name, line, message, text in rows:
            head = f'    <testcase classname={path} name={_quoted(name)} file={path} line="{line}"'
            if not message:
                out.append(f"{head}/>")
                continue
            shown = escape(printable(text))
            out += [f"{head}>", f"      <failure message={_quoted(message)}>{shown}</failure>", "    </testcase>"]
        out.append("  </testsuite>")
    return "\n".join([*out, "</testsuites>"]) + "\n"


def _rows(result: Result) -> Iterator[Row]:
    if result.report is not None:
        first = result.report.diagnostics[0]
        line = result.source.position(first.label.span.start)[0]
        yield "the file can be read", line, first.message, findings([result.report])
        return
    if result.problem:
        yield "the file exists", 1, result.problem, result.problem
        return
    for outcome in result.outcomes:
        line = result.source.position(outcome.case.span.start)[0]
        texts = [human.failure_text(failure, result.source) for failure in outcome.failures]
        yield outcome.case.name, line, outcome.failures[0].message if texts else "", "\n".join(texts)
    yield result.golden.name, 1, human.changed(result) if result.diff else "", result.diff
    if result.coverage is not None:
        yield (
            "coverage",
            1,
            human.below(result) if result.below else "",
            "".join(f"{result.coverage.place(point)}: {point.what}\n" for point in result.coverage.missed),
        )


def _quoted(text: str) -> str:
    return quoteattr(printable(text))
