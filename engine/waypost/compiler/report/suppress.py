"""`# waypost: allow Q109 (reason)` at the end of a line excuses that line from one rule that leaves room for judgement.

Takes a Report with all its findings. Takes the excused ones out, and reports suppressions that hide nothing, name no such rule or give no
reason.
"""

from __future__ import annotations

import re

from waypost.compiler.read.source import Span
from waypost.compiler.report.diagnostic import Diagnostic, Label, Report
from waypost.compiler.report.rules import JUDGEMENT, RETIRED, RULES

_MARK = re.compile(
    r"(?:^|(?<=[ \t]))#[ \t]*waypost:[ \t]*allow\b[ \t]*(?P<code>\w*)[ \t]*(?:\((?P<reason>[^)]*)\))?[^\n]*",
    re.MULTILINE,
)


_REMOVE = "remove the suppression"


def excuse(report: Report) -> None:
    """Applies the suppressions of the file."""
    source = report.source
    for mark in _MARK.finditer(source.text):
        code, reason = mark["code"].upper(), (mark["reason"] or "").strip()
        span = Span(*mark.span())
        if code in RETIRED:
            _report(report, "C102", f"there is no rule {code} any more: {RETIRED[code]}", span, _REMOVE, "warning")
        elif code not in JUDGEMENT:
            known = code in RULES
            message = (
                f"{code} cannot be excused: what it finds has no meaning"
                if known
                else f"there is no rule `{mark['code']}`"
            )
            _report(report, "C103", message, span, f"the rules that can be are {', '.join(JUDGEMENT)}", "error")
        elif not reason:
            _report(
                report, "C103", "a suppression says why", span, f"write `# waypost: allow {code} (reason)`", "error"
            )
        else:
            line = source.position(mark.start())[0]
            hidden = [key for key in report.found if key[0] == code and source.position(key[1].start)[0] == line]
            for key in hidden:
                del report.found[key]
            if not hidden:
                _report(
                    report,
                    "C102",
                    f"nothing on this line is found by {code}",
                    span,
                    _REMOVE,
                    "warning",
                )


def _report(report: Report, code: str, message: str, span: Span, help: str, severity: str) -> None:
    report.add(Diagnostic(code, message, Label(span), help, severity=severity))
