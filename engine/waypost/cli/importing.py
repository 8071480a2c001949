"""`waypost import FORMAT METADATA.json`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from waypost.authoring.importing import FORMATS, metadata, told
from waypost.authoring.importing.imported import Imported, imported
from waypost.authoring.importing.names import spec_name
from waypost.authoring.test.suite import GOLDEN, TESTS, Wanted, run_spec
from waypost.cli.common import FINDINGS, local_schema, refuse, write_file
from waypost.compiler.report.suggest import nearest
from waypost.lang import values
from waypost.plan import catalog

PAGE = "import.md"


@click.command(name="import")
@click.argument("format", type=click.Choice(list(FORMATS)))
@click.argument("metadata_file", metavar="METADATA.json")
@click.option("--destination", metavar="NAME", help="Which destination of a file that holds several.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("specs"),
    show_default=True,
    help="The folder of specs.",
)
def command(format: str, metadata_file: str, destination: str | None, output: Path) -> None:
    """Write a first spec of a destination from its public metadata in another format: settings, triggers and mappings.

    Writes destination.yaml, tests.yaml with golden.json, and import.md with the new names and all that does not mean the same. The request is
    left to fill in. Each approximation and each field without a source is listed with its line; while there is one, the status is 1.
    """
    one = _chosen(_read(metadata_file), metadata_file, destination)
    folder = output / spec_name(one.slug)
    if folder.exists():
        refuse(f"{folder} is there already: remove it, or choose another folder with -o")
    spec = folder / catalog.SPEC
    made = imported(one, spec.as_posix(), _schema(output, folder))
    if made.settled.plan is None or not made.draft.actions:
        refuse(f"{one.name or one.slug} in {metadata_file} has no action that can be imported")
    tests, golden = _tested(made)
    files = {
        spec: made.text,
        folder / TESTS: tests,
        folder / GOLDEN: golden,
        folder / PAGE: told.page(made, spec.as_posix()),
    }
    for path, text in files.items():
        write_file(path, text)
    for kind, there, here in made.draft.names:
        click.echo(f"{kind} {there} -> {here}")
    for row in told.rows(made, spec.as_posix()):
        click.echo(row)
    for text in told.EVERYWHERE:
        click.echo(f"everywhere: {text}")
    click.echo(
        f"{told.count(made)} open. Next: fill in `request:` in {spec}, then `waypost lint {folder} && waypost test {folder}`"
    )
    if made.open:
        click.get_current_context().exit(FINDINGS)


def _read(file: str) -> list[metadata.Destination]:
    try:
        held = values.decode(Path(file).read_bytes().removeprefix(b"\xef\xbb\xbf"))
        return metadata.destinations(held)
    except OSError as error:
        refuse(f"cannot read {file}: {error.strerror}")
    except (values.Malformed, values.TooDeep, UnicodeDecodeError) as error:
        refuse(f"{file} is not JSON: {error}")
    except metadata.Unreadable as error:
        refuse(f"{file} {error}")


def _chosen(found: list[metadata.Destination], file: str, name: str | None) -> metadata.Destination:
    """The destination of that name, slug or folder name; without a name, the only one."""
    named = {spec_name(one.slug): one for one in reversed(found)}
    if name is None:
        if len(found) > 1:
            shown = ", ".join(sorted(named)[:8]) + (" …" if len(named) > 8 else "")
            refuse(f"{file} holds {len(found)} destinations: choose one with --destination ({shown})")
        return found[0]
    chosen = [one for one in found if name in (one.slug, one.id)]
    chosen += [one for one in found if name == one.name]
    chosen += [one for one in found if spec_name(name) == spec_name(one.slug)]
    if not chosen:
        near = nearest(spec_name(name), named)
        refuse(f"{file} holds no destination `{name}`" + (f"; did you mean `{near}`?" if near else ""))
    return chosen[0]


def _schema(output: Path, folder: Path) -> str:
    """From the spec to the editors' schema, in a project that commits it."""
    held = local_schema(output)
    return Path(os.path.relpath(held, folder.absolute())).as_posix() if held.is_file() else ""


def _tested(made: Imported) -> tuple[str, str]:
    """tests.yaml and golden.json: the requests of the samples, as they would be sent."""
    assert made.settled.plan is not None
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / catalog.SPEC
        spec.with_name(TESTS).write_text(made.tests, encoding="utf-8")
        found = run_spec(spec, made.settled.plan, Wanted(update=True))
        if found.report is not None or not found.golden.is_file():
            return made.tests, "{}\n"
        return made.tests, found.golden.read_text(encoding="utf-8")
