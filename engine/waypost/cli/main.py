"""The command line: one thin command a file beside this one.

Takes words, calls one function, prints. Each command imports what it needs when it runs, so that `run` on a compiled plan never loads the
compiler and `--version` loads next to nothing (tests/proofs/test_layers.py keeps both).
"""

from __future__ import annotations

import importlib
import sys
import traceback
from typing import Any

import click

from waypost.cli import streams
from waypost.version import __version__

FAULT = 70

STATUSES = {
    0: "clean; all delivered or filtered",
    1: "findings: lint, compile, test",
    2: "usage: a missing file, setting, plan or key",
    3: "some dead letters",
    4: "stopped by credentials, configuration or an unreachable host; the last line says what is kept",
    5: "interrupted before all was delivered; the last line says what is kept, and what to do",
    70: "a fault of ours, a full disk, or a ledger that does not close",
    141: "who reads standard output has gone, as in `| head`",
}
"""The exit statuses, of every command; where several hold: 70 > 2 > 4 > 5 > 3 > 0."""

COMMANDS = {
    "new": ("waypost.cli.new", "Write the first spec of a destination, with a passing test."),
    "import": ("waypost.cli.importing", "Write a first spec from a destination's public metadata in another format."),
    "lint": ("waypost.cli.lint", "Check specs, tests and connections; every finding with its line, column and fix."),
    "compile": ("waypost.cli.compile", "Write compiled/NAME.json, or check that it is not stale."),
    "test": ("waypost.cli.test", "Run specs' tests.yaml to the bytes on the wire."),
    "explain": ("waypost.cli.explain", "What a rule code means, with a bad and a good example."),
    "rules": ("waypost.cli.rules", "List every rule."),
    "diff": ("waypost.cli.diff", "What changes between two specs, plans or git revisions, and on the wire."),
    "schema": ("waypost.cli.schema", "The JSON Schema of a spec, for editors."),
    "docs": ("waypost.cli.docs", "A page about each destination, and their directory."),
    "run": ("waypost.cli.run", "Deliver events to a destination."),
    "top": ("waypost.cli.top", "A running engine at a glance: a lane a row."),
    "tap": ("waypost.cli.tap", "Follow the requests of a running engine, secrets masked."),
    "state": ("waypost.cli.state", "What a state holds: cursors, lag, ledgers, dead letters, the journal."),
    "dead": ("waypost.cli.dead", "Dead letters: list, show, replay, drop, export."),
    "connections": ("waypost.cli.connections", "The connections of waypost.yaml: state, sources, actions."),
    "check": ("waypost.cli.check", "Send the credential probe of a destination or of each connection."),
    "preview": ("waypost.cli.preview", "What one event becomes, field by field."),
    "bench": ("waypost.cli.bench", "What mapping costs: the whole, by stage, by field."),
    "receive": ("waypost.cli.receive", "A local server that shows what arrives, and misbehaves when told to."),
    "show": ("waypost.cli.show", "A destination's plan, or the program generated from it."),
    "completion": ("waypost.cli.completion", "The script for completion in bash, zsh or fish."),
}
"""name -> (module with a click command `command`, the line in --help)."""


class Lazy(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, help_line = COMMANDS[cmd_name]
        command: click.Command = importlib.import_module(module).command
        command.short_help = help_line
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1, 0.6)
            if near:
                raise click.UsageError(f"{error.message} Did you mean '{near[0]}'?", ctx) from None
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])
        with formatter.section("Exit status"):
            formatter.write_dl([(str(status), text) for status, text in STATUSES.items()])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="waypost")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Customer-data events in, HTTP destinations out: each destination a YAML file."""
    from waypost.cli import colours

    # What a caller decided stands; every command has its group's answer.
    ctx.color = colours.wanted() if ctx.color is None else ctx.color


def main() -> None:
    """Runs the command line."""
    streams.prepare()
    status: object = 0
    try:
        # Without standalone mode, click returns the status of `ctx.exit(status)`.
        status = cli.main(standalone_mode=False, complete_var="_WAYPOST_COMPLETE")
    except click.Abort:
        click.echo("interrupted", err=True)
        _leave(5)
    except click.ClickException as error:
        error.show()
        _leave(error.exit_code)
    except Exception as error:
        from waypost.cli import unusable

        said = unusable.told(error) if isinstance(error, OSError) else None
        if said is not None:
            click.echo(f"waypost: {said[0]}", err=True)
            _leave(said[1])
        # Nobody below catches what is our fault; here it gets its status, and its traceback for the report.
        traceback.print_exc()
        click.echo("waypost: this is a fault of waypost, please report it with the lines above", err=True)
        _leave(FAULT)
    _leave(status)


def _leave(status: object) -> None:
    # Here, not when the interpreter ends: what cannot be written has its status.
    sys.stdout.flush()
    sys.exit(status if isinstance(status, int) else 0)
