"""What a command works on, by the word that names it: a shipped destination, a plan file, or a spec.

Takes that word. Gives its plan, or ends the command with one line.
"""

from __future__ import annotations

from pathlib import Path

from waypost.cli.common import read_plan, refuse
from waypost.plan import Plan, catalog


def load_target(text: str) -> Plan:
    """The plan of a shipped name, a plan file, or a spec (which is compiled first; its findings end the command)."""
    try:
        target = catalog.find(text)
    except catalog.NotFound as error:
        refuse(str(error))
    if target.kind == "plan":
        return read_plan(target.path)
    if target.kind == "connections":
        refuse(holds_connections(target.path))
    # Late: what runs a plan does not load the compiler.
    from waypost.cli.compiling import compile_or_leave

    return compile_or_leave(target.path)


def holds_connections(path: Path) -> str:
    """What to say where one plan is asked for, and a connections file was named."""
    return f"{path} holds connections: name the plan of one, in {catalog.connection_plans(path)}/"
