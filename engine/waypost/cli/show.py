"""`waypost show plan|program TARGET`."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from waypost.cli import completion
from waypost.cli.common import refuse
from waypost.cli.targets import load_target
from waypost.lang.hosts import HOST, PORT, SCHEME, origin_of
from waypost.lang.urls import LEFT_OUT
from waypost.plan import Plan, Ref, Setting, Value, dump, settings_in

if TYPE_CHECKING:
    from waypost.program.program import Program


@click.command(name="show")
@click.argument("what", type=click.Choice(["plan", "program"]))
@click.argument("target", shell_complete=completion.spec)
def command(what: str, target: str) -> None:
    """Print the plan of TARGET (a shipped name, a spec or a plan), or the Python program that the engine generates from it."""
    plan = load_target(target)
    if what == "plan":
        click.echo(dump(plan).decode(), nl=False)
        return
    from waypost.program.program import link
    from waypost.program.settings import SettingError

    try:
        program = link(plan, stand_ins(plan))
    except SettingError as error:
        refuse(str(error))
    click.echo(_ways(program), nl=False)
    click.echo(program.text, nl=False)


def _ways(program: Program) -> str:
    """Comments that say which actions this text is for, and which the compiled kernel takes first."""
    from waypost.program.kernel.entry import why_none

    if program.kernel is None:
        return f"# The kernel has no part in it: {why_none() or 'no action is for it'}.\n"
    left_out = program.kernel.left_out
    first = ", ".join(name for name in program.plan.actions if name not in left_out)
    rows = [f"# The kernel takes what it can of {first}; the rest, and all others, come here."]
    return "\n".join([*rows, *(f"#   {name}: not for the kernel, for {why}" for name, why in left_out.items())]) + "\n"


def stand_ins(*plans: Plan) -> dict[str, object]:
    """A value for each setting without a default, so that a program can be generated without anybody's secrets."""
    found: dict[str, object] = {}
    for plan in plans:
        missing = {name: setting for name, setting in plan.settings.items() if setting.default is None}
        found |= {name: _stand_in(name, setting) for name, setting in missing.items()}
    # What stands in a host in one of them must be able to in all.
    for plan in plans:
        urls = [request.url for request in plan.requests.values()] + ([plan.check.url] if plan.check else [])
        for url in urls:
            found |= {name: text for name, text in _in_hosts(url) if found.get(name) == f"<{name}>"}
        for request in plan.requests.values():
            if request.sign and request.sign.key_form == "base64":
                for name in settings_in(request.sign.key):
                    if found.get(name) == f"<{name}>":
                        found[name] = base64.b64encode(f"<{name}>".encode()).decode()
    return found


def _in_hosts(url: Value) -> Iterator[tuple[str, str]]:
    origin = origin_of(url)
    for piece in origin.chosen if origin is not None else ():
        if isinstance(piece.node, Ref):
            name = piece.node.name.removeprefix("settings.")
            word = name.replace("_", "-").strip("-").lower() or "x"
            yield name, {SCHEME: "https", PORT: "443", HOST: f"{word}.example"}.get(piece.place, word)


def _stand_in(name: str, setting: Setting) -> object:
    if setting.type == "choice":
        return next(iter(setting.choices))
    if setting.type in ("list", "map"):
        return [] if setting.type == "list" else {}
    return {"integer": 1, "number": 1, "boolean": True, "url": LEFT_OUT}.get(setting.type, f"<{name}>")
