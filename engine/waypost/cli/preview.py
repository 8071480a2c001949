"""`waypost preview TARGET [EVENT]`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click
import msgspec

from waypost.cli import colours, completion
from waypost.cli.common import read_settings, refuse
from waypost.cli.show import stand_ins
from waypost.cli.targets import load_target


@click.command(name="preview")
@click.argument("target", shell_complete=completion.spec)
@click.argument("event", default="-")
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting; secrets may be left out, they are shown masked.",
)
@click.option(
    "--line", default=1, show_default=True, type=click.IntRange(1), help="Which line of a file of JSON lines."
)
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object on standard output.")
def command(target: str, event: str, pairs: tuple[str, ...], line: int, as_json: bool) -> None:
    """Show what EVENT (a file with one JSON object, or JSON lines; '-' is standard input) becomes at TARGET."""
    from waypost.authoring.preview import as_data, preview
    from waypost.authoring.result_json import text_of, without_secrets
    from waypost.program.program import link
    from waypost.program.settings import SettingError

    plan = load_target(target)
    given = read_settings(pairs, plan)
    try:
        program = link(plan, {**stand_ins(plan), **given})
    except SettingError as error:
        refuse(str(error))
    try:
        data = sys.stdin.buffer.read() if event == "-" else Path(event).read_bytes()
    except OSError as error:
        refuse(f"cannot read {event}: {error.strerror}")
    if as_json:
        click.echo(text_of(program, as_data(program, one_event(data, line), time.time())))
        return
    shown = without_secrets(program, preview(program, one_event(data, line), time.time()))
    click.echo(colours.preview(shown), nl=False)


def one_event(data: bytes, number: int) -> bytes:
    """The one object of a file, white space between its parts taken out; else the line of that number."""
    try:
        return msgspec.json.format(data.removeprefix(b"\xef\xbb\xbf"), indent=-1)
    except (msgspec.DecodeError, UnicodeDecodeError):
        lines = [line for line in data.splitlines() if line.strip()]
        if number > len(lines):
            refuse(f"there is no line {number}: the file has {len(lines)}")
        return lines[number - 1]
