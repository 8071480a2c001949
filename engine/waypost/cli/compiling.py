"""What `compile`, `lint` and `run` on a spec share: compiling files and showing what was found."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from waypost.cli import colours
from waypost.cli.common import FINDINGS, refuse
from waypost.compiler.compose.connections import compile_connections
from waypost.compiler.pipeline import compile_file, read_file
from waypost.compiler.report.diagnostic import Report
from waypost.plan import Plan


def compile_path(path: Path) -> tuple[Plan | None, Report]:
    """`compile_file`, with a file that cannot be read as one clear line."""
    try:
        return compile_file(path)
    except OSError as error:
        refuse(f"cannot read {path}: {error.strerror}")


def compile_connections_path(path: Path) -> tuple[list[Plan], list[Report]]:
    """The plans of a connections file, and the reports of it and of its destinations' specs."""
    try:
        report = read_file(path)
        return ([], [report]) if report.failed else compile_connections(report.source.text, report.source.path)
    except OSError as error:
        refuse(f"cannot read {error.filename or path}: {error.strerror}")


def compile_or_leave(path: Path) -> Plan:
    """The plan of a spec; findings are shown and end the command with status 1."""
    plan, report = compile_path(path)
    if report.diagnostics:
        click.echo(colours.findings([report], "human", sys.stderr), err=True)
    if plan is None:
        click.get_current_context().exit(FINDINGS)
    return plan
