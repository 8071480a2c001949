"""`waypost docs [SPEC ...]`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from waypost.authoring.docs import html, markdown
from waypost.authoring.docs.blocks import Page
from waypost.authoring.docs.destination import Sample, page
from waypost.authoring.docs.directory import directory
from waypost.authoring.test import bodies, golden
from waypost.authoring.test.suite import Wanted, run_spec
from waypost.cli import colours, completion
from waypost.cli.common import FINDINGS, spec_targets, write_file
from waypost.cli.compiling import compile_or_leave
from waypost.plan import Plan, catalog

FORMATS = {"markdown": markdown, "html": html}


@click.command(name="docs")
@click.argument("specs", nargs=-1, shell_complete=completion.spec)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("docs/destinations"),
    show_default=True,
    help="The folder for the pages.",
)
@click.option(
    "--format", "form", type=click.Choice(list(FORMATS)), default="markdown", show_default=True, help="What to write."
)
def command(specs: tuple[str, ...], output: Path, form: str) -> None:
    """Write a page about each SPEC: settings, actions with their triggers, fields, limits, a sample request from its tests.

    All of specs/ when none is named, and then the directory of destinations as well.
    """
    writer: Any = FORMATS[form]
    plans = []
    for target in spec_targets(specs):
        plan = compile_or_leave(target.path)
        plans.append(plan)
        told, given = samples(plan, target.path)
        _write(output, page(plan, told, called(target.path), given), writer)
    if not specs:
        _write(output, directory(plans, writer.INDEX), writer)


def called(spec: Path) -> str:
    """What `run` calls a spec: a shipped one by its name, another by its folder, or the file."""
    name = spec.parent.name
    if catalog.shipped_spec(name).is_file() and spec.resolve() == catalog.shipped_spec(name).resolve():
        return name
    return (spec.parent if spec.name == catalog.SPEC else spec).as_posix()


def _write(folder: Path, held: Page, writer: Any) -> None:
    write_file(folder / f"{held.name}{writer.SUFFIX}", writer.render(held))


def samples(plan: Plan, spec: Path) -> tuple[dict[str, Sample], dict[str, Any]]:
    """For each action the first test of the destination that sends something, and of each setting the first list or map that a test gives."""
    ran = run_spec(spec, plan, Wanted())
    if ran.report is not None:
        click.echo(colours.findings([ran.report], "human", sys.stderr), err=True, nl=False)
        click.get_current_context().exit(FINDINGS)
    found: dict[str, Sample] = {}
    given: dict[str, Any] = {}
    for outcome in ran.outcomes:
        for name, value in outcome.case.settings.items():
            if plan.settings[name].part is not None and value:
                given.setdefault(name, value)
        for item, row in zip(outcome.course.ended, golden.rows(outcome.course.ended), strict=True):
            if row.get("outcome") == "ok" and row["action"] not in found:
                found[row["action"]] = _sample(outcome.case.events[item.event], row["request"])
    return found, given


def _sample(event: bytes, request: dict[str, Any]) -> Sample:
    (method, url), *_ = request.items()
    lines = [f"{method.upper()} {url}", *(f"{name}: {value}" for name, value in request["headers"].items())]
    body = bodies.joined(request.get("body", {}))
    return Sample(_pretty(event), "\n".join(lines), _pretty(body.encode()) if body else "")


def _pretty(data: bytes) -> str:
    """JSON over several lines, each number as it was written."""
    try:
        return msgspec.json.format(data, indent=2).decode()
    except msgspec.DecodeError:
        return data.decode()
