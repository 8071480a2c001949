"""`waypost lint [PATH ...]`."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import click

from waypost.cli import colours, completion, linting
from waypost.cli.common import FINDINGS, refuse
from waypost.compiler.report.diagnostic import Report, merged
from waypost.compiler.report.render import FORMATS


@click.command(name="lint")
@click.argument("paths", nargs=-1, shell_complete=completion.spec)
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="human", help="How findings are shown.")
@click.option("--strict", is_flag=True, help="Warnings fail as errors do.")
@click.option("--fix", is_flag=True, help="Apply the safe fixes, print what changed, and lint what is left.")
@click.option("--diff", "show", is_flag=True, help="Print what --fix would change, and change nothing.")
@click.option("--no-cache", is_flag=True, help="Judge every file anew, also those that have not changed.")
@click.option("--stdin-filename", default="<stdin>", metavar="NAME", help="What to call standard input in findings.")
def command(
    paths: tuple[str, ...], form: str, strict: bool, fix: bool, show: bool, no_cache: bool, stdin_filename: str
) -> None:
    """Check specs, their tests and connections. A PATH is a file, a folder (searched through), a pattern such as 'specs/*', or a shipped
    destination's name;
    '-' is standard input; specs/ and waypost.yaml when there is none.

    Exit status 1 says that there are errors, 2 that a PATH leads nowhere.
    """
    if paths == ("-",):
        if fix or show:
            refuse("standard input can be checked, but not fixed")
        reports = [_standard_input(stdin_filename)]
    else:
        files = linting.files(paths)
        reports = merged(one for path in files for one in _lint(path, fix=fix, show=show, cached=not no_cache))
    click.echo(colours.findings(reports, form, sys.stdout), nl=False)
    if any(report.failed or (strict and report.diagnostics) for report in reports):
        click.get_current_context().exit(FINDINGS)


def _standard_input(name: str) -> Report:
    from waypost.compiler.pipeline import decoded
    from waypost.compiler.report.fixes import judge

    read = decoded(sys.stdin.buffer.read(), name)
    return read if read.failed else judge(read.source.text, name)


def _lint(path: Path, *, fix: bool, show: bool, cached: bool) -> list[Report]:
    """The reports of one file, after its fixes where they were asked for; for connections also those of their destinations."""
    reports = linting.judge(path, cached=cached)
    report = reports[0]
    if not (fix or show) or not any(item.fix is not None and item.fix.safe for item in report.diagnostics):
        return reports
    from waypost.compiler.report.fixes import apply, mend

    # A tests file is judged on disk only, and so mended one round at a time.
    text = report.source.text
    mended, _ = apply(report) if path.name == linting.TESTS else mend(text, report.source.path)
    old, new = text.splitlines(keepends=True), mended.splitlines(keepends=True)
    diff = "".join(difflib.unified_diff(old, new, report.source.path, report.source.path))
    click.echo(colours.rows(report.masked(diff)), err=True, nl=False)
    if show:
        return reports
    _write(path, mended)
    return linting.judge(path, cached=cached)


def _write(path: Path, text: str) -> None:
    try:
        mark = "\ufeff" if path.read_bytes().startswith(b"\xef\xbb\xbf") else ""
        path.write_text(mark + text, encoding="utf-8", newline="")
    except OSError as error:
        refuse(f"cannot write {path}: {error.strerror}")
