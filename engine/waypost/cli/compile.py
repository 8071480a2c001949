"""`waypost compile [SPEC ...]`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from waypost.cli import colours, completion
from waypost.cli.common import FINDINGS, refuse, spec_targets
from waypost.cli.compiling import compile_connections_path, compile_path
from waypost.compiler.report.diagnostic import Report, merged
from waypost.compiler.report.render import FORMATS
from waypost.plan import Plan, catalog, dump


@click.command(name="compile")
@click.argument("specs", nargs=-1, shell_complete=completion.spec)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the plan of the one SPEC here ('-' is standard output).",
)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when a compiled plan is missing or stale.")
@click.option("--format", "form", type=click.Choice(sorted(FORMATS)), default="human", help="How findings are shown.")
def command(specs: tuple[str, ...], output: Path | None, check: bool, form: str) -> None:
    """Compile SPECs (a shipped name, a folder, a file; all of specs/ and ./waypost.yaml when none is named) into compiled/NAME.json.

    A connections file becomes one plan a connection, compiled/connections/NAME.json beside it.
    """
    targets = spec_targets(specs, connections=True)
    if output is not None and (len(targets) != 1 or targets[0].kind == "connections"):
        refuse("--output takes exactly one SPEC")
    reports: list[Report] = []
    stale: list[str] = []
    for target in targets:
        plans, found = _compile(target, output)
        reports += found
        # While something is wrong, no plan is written and none is missed.
        old = [] if any(report.failed for report in found) else left_over(target, plans)
        if check:
            stale += _stale(target, plans, old)
            continue
        for path, plan in plans.items():
            _write(path, dump(plan))
        for path in old:
            path.unlink()
            click.echo(f"removed {path}", err=True)
    if any(report.diagnostics for report in reports):
        click.echo(colours.findings(merged(reports), form, sys.stderr), err=True, nl=False)
    for line in stale:
        click.echo(line, err=True)
    if stale or any(report.failed for report in reports):
        click.get_current_context().exit(FINDINGS)


def _compile(target: catalog.Target, output: Path | None) -> tuple[dict[Path, Plan], list[Report]]:
    """Each plan of a target by the path it is committed at."""
    if target.kind == "connections":
        folder = catalog.connection_plans(target.path)
        compiled, reports = compile_connections_path(target.path)
        return {folder / f"{plan.connection.name}.json": plan for plan in compiled if plan.connection}, reports
    plan, report = compile_path(target.path)
    return ({} if plan is None else {output or catalog.plan_path(target.path): plan}), [report]


def _stale(target: catalog.Target, plans: dict[Path, Plan], old: list[Path]) -> list[str]:
    """One line for each committed plan that is not what would be written."""
    again = f"run `waypost compile {target.path}` and commit"
    rows = []
    for path, plan in plans.items():
        if not path.is_file():
            rows.append(f"{path} is missing: {again} the result")
        elif path.read_bytes() != dump(plan):
            rows.append(f"{path} is stale: {again} the result")
    return [*rows, *(f"{path} is left over: {again} its removal" for path in old)]


def left_over(target: catalog.Target, plans: dict[Path, Plan]) -> list[Path]:
    """Plans of connections that the file has no more."""
    if target.kind != "connections":
        return []
    return [path for path in sorted(catalog.connection_plans(target.path).glob("*.json")) if path not in plans]


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
