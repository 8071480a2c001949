"""JUnit XML: a test suite a file, a failed case a finding, one passed case for a file without any."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from waypost.compiler.report.diagnostic import Report
from waypost.compiler.report.render.human import frame


def render(reports: Sequence[Report]) -> str:
    rows = ['<?xml version="1.0" encoding="utf-8"?>', '<testsuites name="waypost lint">']
    for report in reports:
        found = report.diagnostics
        path = quoteattr(report.source.path)
        rows.append(f'  <testsuite name={path} tests="{max(1, len(found))}" failures="{len(found)}">')
        if not found:
            rows.append(f'    <testcase classname={path} name="lint"/>')
        for item in found:
            line, column = report.source.position(item.label.span.start)
            rows.append(f"    <testcase classname={path} name={quoteattr(f'{item.code} at {line}:{column}')}>")
            shown = escape(printable(frame(item, report.shown)))
            rows.append(f"      <failure message={quoteattr(printable(item.message))}>{shown}</failure>")
            rows.append("    </testcase>")
        rows.append("  </testsuite>")
    return "\n".join([*rows, "</testsuites>"]) + "\n"


def printable(text: str) -> str:
    """Without the control characters that XML has no way to hold."""
    return "".join(character if character >= " " or character in "\t\n" else "\ufffd" for character in text)
