"""The compiler's table of contents: source -> document -> spec -> check (and excuse) -> lower -> plan.

Takes a spec's text and the path to show for it. Gives the plan (None when there are errors) and the Report of everything found in one run.
"""

from __future__ import annotations

from pathlib import Path

from waypost.compiler import document
from waypost.compiler.check import check
from waypost.compiler.diagnostic import Report
from waypost.compiler.lower import lower
from waypost.compiler.reader import read_spec
from waypost.compiler.source import Source
from waypost.compiler.suppress import excuse
from waypost.plan import Plan


def compile_text(text: str, path: str) -> tuple[Plan | None, Report]:
    """Compiles a spec. Never raises for anything that a person can type."""
    source = Source(path, text.removeprefix("\ufeff"))
    report = Report(source)
    root = document.read(source, report)
    if root is None:
        return None, report
    spec = read_spec(root, report)
    if spec is None:
        return None, report
    check(spec, report)
    excuse(report)
    return (None if report.failed else lower(spec, source)), report


def compile_file(path: Path) -> tuple[Plan | None, Report]:
    """Compiles a file, shown as it was named. Raises OSError; bytes that are not UTF-8 are a finding."""
    data = path.read_bytes()
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        from waypost.compiler.diagnostic import Diagnostic, Label
        from waypost.compiler.source import Span

        source = Source(str(path), data[: error.start].decode())
        report = Report(source)
        end = len(source.text)
        report.add(
            Diagnostic(
                "Y101",
                "the file is not UTF-8",
                Label(Span(end, end), f"the byte 0x{data[error.start]:02X} stands here"),
                "save it as UTF-8",
            )
        )
        return None, report
    return compile_text(text, path.as_posix())
