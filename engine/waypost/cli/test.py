"""`waypost test [SPEC ...]`."""

from __future__ import annotations

from pathlib import Path

import click

from waypost.cli.common import FINDINGS, refuse, spec_targets
from waypost.cli.compiling import compile_or_leave
from waypost.compiler.render import FORMATS
from waypost.runtime.settings import SettingError
from waypost.testing import BadTests, golden_diff, golden_text, read_cases, run_case


@click.command(name="test")
@click.argument("specs", nargs=-1)
@click.option("--update", is_flag=True, help="Rewrite golden.json; then review its diff.")
@click.option("-v", "--verbose", is_flag=True, help="Name every test.")
def command(specs: tuple[str, ...], update: bool, verbose: bool) -> None:
    """Run the tests.yaml beside each SPEC (all of specs/ when none is named) and compare each request with golden.json."""
    targets = spec_targets(specs)
    passed = failed = 0
    for target in targets:
        good, bad = _test(target.path, update=update, verbose=verbose)
        passed, failed = passed + good, failed + bad
    click.echo(f"{passed} passed, {failed} failed")
    if failed:
        click.get_current_context().exit(FINDINGS)


def _test(spec: Path, *, update: bool, verbose: bool) -> tuple[int, int]:
    """(passed, failed) of one spec; a golden file that differs counts as one failure."""
    plan = compile_or_leave(spec)
    path = spec.with_name("tests.yaml")
    if not path.is_file():
        click.echo(f"{path}: there are no tests")
        return 0, 1
    try:
        cases = read_cases(path)
        outcomes = [run_case(plan, case) for case in cases]
    except BadTests as error:
        click.echo(FORMATS["human"]([error.report]), nl=False)
        return 0, 1
    except SettingError as error:
        refuse(f"{path}: {error}")
    for outcome in outcomes:
        if outcome.faults:
            click.echo(f"FAIL {path}:{outcome.case.line}: {outcome.case.name}")
            click.echo("".join(f"     {fault}\n" for fault in outcome.faults), nl=False)
        elif verbose:
            click.echo(f"ok   {path}:{outcome.case.line}: {outcome.case.name}")
    bad = sum(bool(outcome.faults) for outcome in outcomes)
    golden, text = spec.with_name("golden.json"), golden_text(outcomes)
    if update:
        golden.write_text(text, encoding="utf-8")
    elif diff := golden_diff(golden, text):
        click.echo(
            f"FAIL {golden}: what goes over the wire has changed; review, then `waypost test {spec.parent} --update`\n{diff}",
            nl=False,
        )
        return len(outcomes) - bad, bad + 1
    return len(outcomes) - bad, bad
