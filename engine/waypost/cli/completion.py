"""`waypost completion SHELL`, and what the arguments of other commands complete to.

click asks this program itself for the candidates, through the script that is printed here; so they are always those of the installed version.
"""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem, get_completion_class

from waypost.plan import catalog

SHELLS = {
    "bash": 'eval "$(waypost completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(waypost completion zsh)"   # in ~/.zshrc',
    "fish": "waypost completion fish > ~/.config/fish/completions/waypost.fish",
}
VARIABLE = "_WAYPOST_COMPLETE"


@click.command(
    name="completion",
    help="Print the script that completes commands, options, destinations and rule codes in SHELL.\n\n\b\n"
    + "\n".join(f"{shell}: {line}" for shell, line in SHELLS.items()),
)
@click.argument("shell", type=click.Choice(list(SHELLS)))
def command(shell: str) -> None:
    from waypost.cli.main import cli

    found = get_completion_class(shell)
    assert found is not None, shell
    script = found(cli, {}, "waypost", VARIABLE)
    # Not `source()`: it looks at the version of the bash on the path, which need not be the user's shell.
    click.echo(script.source_template % script.source_vars())


def spec(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """A shipped destination's name, a folder of specs/, or any file."""
    local = [target.path.parent.as_posix() for target in catalog.local_specs()]
    return _found([*catalog.names(), *local], incomplete)


def rule(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """A rule's code, in any case."""
    from waypost.compiler.report.rules import RULES

    wanted = incomplete.upper()
    return [CompletionItem(code, help=held.name) for code, held in RULES.items() if code.startswith(wanted)]


def _found(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """The names that fit, else the shell's own completion of files: bash forgets what stood before a `file`, so it stands first."""
    return [
        CompletionItem(incomplete, type="file"),
        *(CompletionItem(name) for name in names if name.startswith(incomplete)),
    ]
