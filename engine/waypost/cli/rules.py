"""`waypost rules`."""

from __future__ import annotations

import click

from waypost.compiler.report.rules import RULES


@click.command(name="rules")
def command() -> None:
    """List every rule with its code and name."""
    for rule in RULES.values():
        click.echo(f"{rule.code}  {rule.name:26}{rule.why}")
