"""`waypost test [SPEC ...]`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from waypost.authoring.test.render import human, json, junit
from waypost.authoring.test.suite import GOLDEN, TESTS, Result, Wanted, run_spec
from waypost.authoring.test.watch import changes
from waypost.cli import colours, completion
from waypost.cli.common import FINDINGS, refuse, spec_targets
from waypost.cli.compiling import compile_path
from waypost.plan import catalog
from waypost.program.settings import SettingError

RENDER: dict[str, Callable[..., str]] = {"human": human.render, "json": json.render, "junit": junit.render}


@click.command(name="test")
@click.argument("specs", nargs=-1, shell_complete=completion.spec)
@click.option("--update", is_flag=True, help="Rewrite golden.json; then review its diff.")
@click.option("-k", "named", default="", metavar="TEXT", help="Run only tests whose name contains TEXT.")
@click.option("--coverage", is_flag=True, help="Say what of each spec no test reaches.")
@click.option("--min", "least", type=click.FloatRange(0, 100), help="Fail when tests reach less of a spec, in percent.")
@click.option("--format", "form", type=click.Choice(list(RENDER)), default="human", help="How results are shown.")
@click.option("--junit", "junit_path", type=click.Path(path_type=Path), help="Write JUnit XML to this file as well.")
@click.option("--watch", is_flag=True, help="Run again when a spec, its tests or golden.json changes; Ctrl-C ends.")
@click.option("-v", "--verbose", is_flag=True, help="Name every test.")
def command(
    specs: tuple[str, ...],
    update: bool,
    named: str,
    coverage: bool,
    least: float | None,
    form: str,
    junit_path: Path | None,
    watch: bool,
    verbose: bool,
) -> None:
    """Run the tests.yaml beside each SPEC (all of specs/ when none is named) and compare each request with golden.json.

    Exit status 0: all passed, 1: something failed or is wrong with a spec or its tests, 2: usage.
    """
    targets = spec_targets(specs)
    wanted = Wanted(named, update, coverage or least is not None, least)

    def once() -> int:
        results = [_run(target, wanted) for target in targets]
        if named and not any(result.outcomes or result.failed for result in results):
            refuse(f"no test has `{named}` in its name")
        click.echo(_shown(results, form, verbose=verbose), nl=False)
        if junit_path is not None:
            _write(junit_path, junit.render(results))
        return FINDINGS if any(result.failed for result in results) else 0

    if watch:
        _watch(targets, once)
    else:
        click.get_current_context().exit(once())


def _shown(results: list[Result], form: str, *, verbose: bool) -> str:
    if form != "human":
        return RENDER[form](results, verbose=verbose)
    return colours.rows(human.render(results, verbose=verbose, columns=colours.columns(sys.stdout)))


def _run(target: catalog.Target, wanted: Wanted) -> Result:
    plan, report = compile_path(target.path)
    if plan is None:
        # In the form that was asked for, and beside what the other specs' tests say.
        return Result(target.path, report.source, report)
    if report.diagnostics:
        click.echo(colours.findings([report], "human", sys.stderr), err=True)
    try:
        return run_spec(target.path, plan, wanted)
    except SettingError as error:
        refuse(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        refuse(f"cannot read or write {error.filename}: {error.strerror}")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        refuse(f"cannot write {path}: {error.strerror}")


def _watch(targets: Sequence[catalog.Target], once: Callable[[], int]) -> None:
    """Runs now and after each change, until Ctrl-C. What a run says is wrong does not end the watch."""
    paths = [path for target in targets for path in (target.path, *(target.path.with_name(n) for n in (TESTS, GOLDEN)))]
    try:
        _once(once)
        for changed in changes(paths, time.sleep):
            click.echo(f"\n{', '.join(map(str, changed))} changed")
            _once(once)
    except KeyboardInterrupt:
        return


def _once(once: Callable[[], int]) -> None:
    try:
        once()
    except click.exceptions.Exit:
        pass
    except click.ClickException as error:
        error.show()
