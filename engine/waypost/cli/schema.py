"""`waypost schema`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from waypost.cli.common import refuse, write_file
from waypost.compiler.schema import json_schema


@click.command(name="schema")
@click.option("--tests", "of_tests", is_flag=True, help="The schema of tests.yaml instead of destination.yaml.")
@click.option("--connections", "of_connections", is_flag=True, help="The schema of waypost.yaml instead.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write it here instead of to standard output."
)
def command(of_tests: bool, of_connections: bool, output: Path | None) -> None:
    """Print the JSON Schema (2020-12) of destination.yaml, for editors: keys, words and what they mean.

    The first line of a spec names it: `# yaml-language-server: $schema=PATH`.
    """
    if of_tests and of_connections:
        refuse("--tests and --connections are two schemas: ask for one")
    make = json_schema.tests if of_tests else json_schema.connections if of_connections else json_schema.destination
    text = schema_text(make())
    if output is None:
        click.echo(text, nl=False)
        return
    write_file(output, text)


def schema_text(held: dict[str, object]) -> str:
    """Reviewable JSON, LF at the end."""
    return json.dumps(held, indent=1, ensure_ascii=False) + "\n"
