"""`waypost explain CODE`."""

from __future__ import annotations

import click

from waypost.cli import completion
from waypost.cli.common import refuse
from waypost.compiler.rules import RULES
from waypost.compiler.suggest import nearest


@click.command(name="explain")
@click.argument("code", shell_complete=completion.rule)
def command(code: str) -> None:
    """What the rule CODE (such as M204) means, and why it is a fault."""
    rule = RULES.get(code.upper())
    if rule is None:
        near = nearest(code.upper(), RULES)
        refuse(f"there is no rule {code}" + (f"; did you mean {near}?" if near else ": `waypost rules` lists them"))
    click.echo(f"{rule.code} {rule.name}\n\n{rule.why}")
