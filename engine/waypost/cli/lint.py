"""`waypost lint [SPEC ...]`."""

from __future__ import annotations

import click

from waypost.cli.common import FINDINGS, spec_targets
from waypost.cli.compiling import compile_path
from waypost.compiler.render import FORMATS


@click.command(name="lint")
@click.argument("specs", nargs=-1)
@click.option("--format", "form", type=click.Choice(sorted(FORMATS)), default="human", help="How findings are shown.")
@click.option("--strict", is_flag=True, help="Warnings fail as errors do.")
def command(specs: tuple[str, ...], form: str, strict: bool) -> None:
    """Check SPECs (a shipped name, a folder, a file; all of specs/ when none is named). Exit status 1 says that there are errors."""
    targets = spec_targets(specs)
    reports = [compile_path(target.path)[1] for target in targets]
    click.echo(FORMATS[form](reports), nl=False)
    if any(report.failed or (strict and report.diagnostics) for report in reports):
        click.get_current_context().exit(FINDINGS)
