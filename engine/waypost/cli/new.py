"""`waypost new NAME`."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from waypost.authoring.new.write import EXAMPLE, Brief, Draft, draft, expectation, form_fields, tests_text
from waypost.authoring.test import golden
from waypost.authoring.test.suite import GOLDEN, TESTS, Result, Wanted, run_spec
from waypost.cli import colours
from waypost.cli.common import FINDINGS, local_schema, refuse, write_file
from waypost.cli.preview import one_event
from waypost.cli.schema import schema_text
from waypost.compiler.pipeline import compile_text
from waypost.compiler.read.spec_reader import SPEC_NAME
from waypost.compiler.report.suggest import nearest
from waypost.compiler.schema import json_schema
from waypost.lang import fql, values
from waypost.lang.words import snakecase
from waypost.plan import Plan, catalog

SCHEMAS = {"destination.schema.json": json_schema.destination, "tests.schema.json": json_schema.tests}
DEPTH = 32


@click.command(name="new")
@click.argument("name")
@click.option("--event", "event_file", metavar="FILE", help="A sample event (JSON): shapes the trigger and the paths.")
@click.option(
    "--request",
    "request_file",
    metavar="FILE",
    help="A sample of the JSON or the form that the API takes: shapes the fields.",
)
@click.option("--url", default="", help="Where the API takes it.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("specs"),
    show_default=True,
    help="The folder of specs.",
)
def command(name: str, event_file: str | None, request_file: str | None, url: str, output: Path) -> None:
    """Write the first spec of a destination, specs/NAME/destination.yaml, with a test that passes and its golden request.

    Fields of the sample request are found in the sample event by equal value, then by name; what is not found is a `# todo` line.
    """
    _check_name(name)
    folder = output / name
    if folder.exists():
        refuse(f"{folder} is there already: choose another name, or remove it")
    event = _event(event_file) if event_file else EXAMPLE
    form = _form(request_file) if request_file else None
    request = form if form is not None else _request(request_file) if request_file else values.MISSING
    brief = Brief(name, event, request, url, _schema_path(output, folder), form=form is not None)
    made = draft(brief)
    spec = folder / catalog.SPEC
    plan, report = compile_text(made.text, spec.as_posix())
    if plan is None or report.diagnostics:
        click.echo(colours.findings([report], "human", sys.stderr), err=True, nl=False)
        click.echo("nothing was written: these samples or this url give a spec with findings", err=True)
        click.get_current_context().exit(FINDINGS)
    tests, requests = _tests(plan, brief, made)
    files = {spec: made.text, folder / TESTS: tests, folder / GOLDEN: requests}
    if not local_schema(output).is_file():
        files |= {output / file: schema_text(make()) for file, make in SCHEMAS.items() if not (output / file).exists()}
    for path, text in files.items():
        write_file(path, text)
    _next(folder, made, sampled=request_file is not None)


def _check_name(name: str) -> None:
    if re.fullmatch(SPEC_NAME, name):
        return
    near = snakecase(name)
    guess = f"; did you mean `{near}`?" if re.fullmatch(SPEC_NAME, near) else ""
    refuse(f"`{name}` is not a name: a name is lower-case words joined by `_` or `-`{guess}")


def _json(file: str, what: str) -> bytes:
    try:
        return one_event(Path(file).read_bytes(), 1)
    except OSError as error:
        refuse(f"cannot read {file}: {error.strerror}")
    except RecursionError:
        refuse(f"{what} in {file} is nested too deeply")


def _decoded(file: str, what: str) -> Any:
    data = _json(file, what)
    try:
        held = values.decode(data)
    except (values.Malformed, values.TooDeep, UnicodeDecodeError) as error:
        refuse(f"{what} in {file} is not JSON: {error}")
    if values.deeper(held, DEPTH):
        refuse(f"{what} in {file} is nested more than {DEPTH} levels deep")
    return held


def _event(file: str) -> dict[str, Any]:
    event = _decoded(file, "the event")
    if not isinstance(event, dict):
        refuse(f"the event in {file} is {values.typeof(event)}, not an object")
    kind = event.get("type")
    if kind not in fql.EVENT_TYPES:
        near = nearest(kind, fql.EVENT_TYPES) if isinstance(kind, str) else None
        guess = f"; did you mean `{near}`?" if near else ""
        refuse(f"the event in {file} has no known `type`: it is one of {', '.join(fql.EVENT_TYPES)}{guess}")
    return event


def _form(file: str) -> dict[str, Any] | None:
    """The fields of a form (`a=1&b=2`), a key that comes again as a list; None where the file holds none."""
    try:
        text = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    if not re.fullmatch(r"[^\s={}\[\]&\"]+=[^\s&]*(&[^\s=&]+=[^\s&]*)*", text):
        return None
    return form_fields(text)


def _request(file: str) -> Any:
    request = _decoded(file, "the request")
    first = request[0] if isinstance(request, list) and request else request
    if not isinstance(first, dict) or not first:
        refuse(f"the request in {file} is no JSON object with fields, and no list of them")
    return request


def _schema_path(output: Path, folder: Path) -> str:
    """From the spec to the schema: the project's, else one that is written beside the specs."""
    held = local_schema(output)
    target = held if held.is_file() else output.absolute() / "destination.schema.json"
    return Path(os.path.relpath(target, folder.absolute())).as_posix()


def _tests(plan: Plan, brief: Brief, made: Draft) -> tuple[str, str]:
    """tests.yaml and golden.json: the expectation is what the plan does with the sample."""
    line = values.encode(brief.event)
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / catalog.SPEC

        def run(expect: dict[str, Any], *, as_line: bool) -> Result:
            text = tests_text(brief, made, line, expect, as_line=as_line)
            spec.with_name(TESTS).write_text(text, encoding="utf-8")
            return run_spec(spec, plan, Wanted(update=True))

        (row,) = golden.rows(run({"filtered": "no_action"}, as_line=True).outcomes[0].course.ended)
        expect = expectation(made.action, row, line) if row.get("outcome") == "ok" else row
        found = run(expect, as_line=False)
        if found.report is not None or found.outcomes[0].case.event != line:
            # YAML cannot hold this event as a map; the line's own text it can.
            found = run(expect, as_line=True)
        assert not found.failed, found
        return found.source.text, found.golden.read_text(encoding="utf-8")


def _next(folder: Path, made: Draft, *, sampled: bool) -> None:
    found = (
        f" ({made.matched} of {made.matched + made.open} fields of the request were found in the event)"
        if sampled
        else ""
    )
    click.echo(f"1. Read {folder / catalog.SPEC} and settle each `# todo`{found}.")
    click.echo(f"2. waypost lint {folder} && waypost test {folder} --update; read what golden.json says is sent.")
    click.echo(f"3. waypost receive, and beside it: {_run_line(folder, made)}")


def _run_line(folder: Path, made: Draft) -> str:
    sets = " ".join(f"--set {name}=env:{name.upper()}" for name in made.settings)
    return f"waypost run {folder} {sets} --endpoint-override http://127.0.0.1:8080 events.ndjson"
