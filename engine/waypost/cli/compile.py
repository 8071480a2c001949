"""`waypost compile [SPEC ...]`."""

from __future__ import annotations

from pathlib import Path

import click

from waypost import catalog
from waypost.cli.common import FINDINGS, refuse, spec_targets
from waypost.cli.compiling import compile_path
from waypost.compiler.render import FORMATS
from waypost.plan import dump


@click.command(name="compile")
@click.argument("specs", nargs=-1)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the plan of the one SPEC here ('-' is standard output).",
)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when a compiled plan is missing or stale.")
@click.option("--format", "form", type=click.Choice(sorted(FORMATS)), default="human", help="How findings are shown.")
def command(specs: tuple[str, ...], output: Path | None, check: bool, form: str) -> None:
    """Compile SPECs (a shipped name, a folder, a file; all of specs/ when none is named) into compiled/NAME.json."""
    targets = spec_targets(specs)
    if output is not None and len(targets) != 1:
        refuse("--output takes exactly one SPEC")
    reports, stale = [], []
    for target in targets:
        plan, report = compile_path(target.path)
        reports.append(report)
        if plan is None:
            continue
        path = output or catalog.plan_path(target.path)
        if check:
            if not path.is_file() or path.read_bytes() != dump(plan):
                stale.append((path, target.path))
        else:
            _write(path, dump(plan))
    if any(report.diagnostics for report in reports):
        click.echo(FORMATS[form](reports), err=True, nl=False)
    for path, spec in stale:
        click.echo(f"{path} is stale: run `waypost compile {spec}` and commit the result", err=True)
    if stale or any(report.failed for report in reports):
        click.get_current_context().exit(FINDINGS)


def _write(path: Path, data: bytes) -> None:
    if str(path) == "-":
        click.echo(data.decode(), nl=False)
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != data:
            path.write_bytes(data)
            click.echo(f"wrote {path}", err=True)
    except OSError as error:
        refuse(f"cannot write {path}: {error.strerror}")
