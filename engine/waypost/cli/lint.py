"""`waypost lint [SPEC ...]`."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import click

from waypost import catalog
from waypost.cli import completion
from waypost.cli.common import FINDINGS, refuse, spec_targets
from waypost.cli.compiling import compile_connections_path, compile_path, merged
from waypost.compiler.diagnostic import Report
from waypost.compiler.fixes import judge, mend
from waypost.compiler.render import FORMATS


@click.command(name="lint")
@click.argument("specs", nargs=-1, shell_complete=completion.spec)
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="human", help="How findings are shown.")
@click.option("--strict", is_flag=True, help="Warnings fail as errors do.")
@click.option("--fix", is_flag=True, help="Apply the safe fixes, print what changed, and lint what is left.")
@click.option("--diff", "show", is_flag=True, help="Print what --fix would change, and change nothing.")
def command(specs: tuple[str, ...], form: str, strict: bool, fix: bool, show: bool) -> None:
    """Check SPECs (a shipped name, a folder, a file, '-' for standard input; all of specs/ when none is named).

    Exit status 1 says that there are errors.
    """
    if specs == ("-",):
        if fix or show:
            refuse("standard input can be checked, but not fixed")
        reports = [judge(sys.stdin.buffer.read().decode(errors="replace"), "<stdin>")]
    else:
        targets = spec_targets(specs, connections=True)
        reports = merged(report for target in targets for report in _lint(target, fix=fix, show=show))
    click.echo(FORMATS[form](reports), nl=False)
    if any(report.failed or (strict and report.diagnostics) for report in reports):
        click.get_current_context().exit(FINDINGS)


def _judge(target: catalog.Target) -> list[Report]:
    """The report of a spec; for connections, theirs and those of their destinations."""
    return compile_connections_path(target.path)[1] if target.kind == "connections" else [compile_path(target.path)[1]]


def _lint(target: catalog.Target, *, fix: bool, show: bool) -> list[Report]:
    """The reports of one file, after its fixes where they were asked for."""
    reports = _judge(target)
    report = reports[0]
    if not (fix or show) or not report.diagnostics:
        return reports
    mended, count = mend(report.source.text, report.source.path)
    if not count:
        return reports
    old, new = report.source.text.splitlines(keepends=True), mended.splitlines(keepends=True)
    diff = "".join(difflib.unified_diff(old, new, report.source.path, report.source.path))
    click.echo(report.masked(diff), err=True, nl=False)
    if show:
        return reports
    _write(target.path, mended)
    return _judge(target)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        refuse(f"cannot write {path}: {error.strerror}")
