"""The compiler's table of contents: source -> document -> spec -> check (and excuse) -> lower -> plan.

Takes a spec's text and the path to show for it. Gives the plan (None when there are errors) and the Report of everything found in one run.
"""

from __future__ import annotations

from pathlib import Path

from waypost.compiler.check import check
from waypost.compiler.lower import lower
from waypost.compiler.read import document
from waypost.compiler.read.source import Source, Span
from waypost.compiler.read.spec_reader import read_spec
from waypost.compiler.report.diagnostic import Diagnostic, Label, Report
from waypost.compiler.report.suppress import excuse
from waypost.compiler.spec import Spec
from waypost.plan import Plan


def compile_text(text: str, path: str) -> tuple[Plan | None, Report]:
    """Compiles a spec. Never raises for anything that a person can type."""
    spec, report = checked_text(text, path)
    return (None if spec is None else lower(spec, report.source)), report


def checked_text(text: str, path: str) -> tuple[Spec | None, Report]:
    """All but the last stage: the spec, with its positions, or None when there are errors."""
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
    return (None if report.failed else spec), report


def compile_file(path: Path) -> tuple[Plan | None, Report]:
    """Compiles a file, shown as it was named. Raises OSError; bytes that are not UTF-8 are a finding."""
    report = read_file(path)
    return (None, report) if report.failed else compile_text(report.source.text, report.source.path)


def read_file(path: Path, shown: str = "") -> Report:
    """The Report of a file, with its text, shown as it was named or as said. Raises OSError; bytes that are not UTF-8 are a finding."""
    return decoded(path.read_bytes(), shown or path.as_posix())


def decoded(data: bytes, path: str) -> Report:
    """The Report of a file's bytes, with their text; bytes that are not UTF-8 are a finding."""
    try:
        return Report(Source(path, data.decode().removeprefix("\ufeff")))
    except UnicodeDecodeError as error:
        report = Report(Source(path, data[: error.start].decode()))
        end = len(report.source.text)
        report.add(
            Diagnostic(
                "Y101",
                "the file is not UTF-8",
                Label(Span(end, end), f"the byte 0x{data[error.start]:02X} stands here"),
                "save it as UTF-8",
            )
        )
        return report
