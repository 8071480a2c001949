"""What several commands share: finding a target, reading settings, loading a plan from either kind of file, and saying no in one line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import click

from waypost.plan import Plan, PlanError, catalog, load

FINDINGS = 1
USAGE = 2


class Refused(click.ClickException):
    """One clear line and exit status 2."""

    def __init__(self, message: str, status: int = USAGE) -> None:
        super().__init__(message)
        self.exit_code = status  # type: ignore[misc]

    def show(self, file: Any = None) -> None:
        # Where several things are missing, each has its line.
        for line in self.format_message().splitlines():
            click.echo(f"waypost: {line}", err=True)


def refuse(message: str) -> NoReturn:
    raise Refused(message)


def refuse_for(error: Exception) -> NoReturn:
    """What cannot be used, in its own words. A state that lacks what was acknowledged is no mistake of who typed: status 70."""
    raise Refused(str(error), getattr(error, "status", USAGE))


def read_settings(
    pairs: Iterable[str],
    plan: Plan,
    *,
    whole: bool = False,
    besides: Iterable[str] = (),
    plain_http: bool = False,
) -> dict[str, Any]:
    """`name=value` words (value: text, of a list or map YAML, `env:NAME`, `file:PATH`) as setting values; a secret given as plain text is
    warned of. All that is wrong is told at once: variables and files that are missing, `besides`, and with `whole` settings that are missing
    or of a wrong type."""
    from waypost.authoring.given import given_value
    from waypost.program.settings import SettingError, wrong

    problems: list[str] = []
    failed: set[str] = set()
    found: dict[str, Any] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or not name:
            # A word alone is likely the value, and the value may be a secret.
            refuse("--set takes name=value" + (f", found `{name}` alone" if name in plan.settings else ""))
        try:
            found[name], bound = given_value(plan, name, text)
        except SettingError as error:
            problems.append(str(error))
            failed.add(name)
            continue
        setting = plan.settings.get(name)
        if setting is not None and setting.secret and not bound:
            click.echo(
                f"waypost: warning: the secret `{name}` stands on the command line, where other users and the shell's history can "
                f"see it; give it as {name}=env:VARIABLE or {name}=file:PATH",
                err=True,
            )
    if whole:
        given = {**found, **dict.fromkeys(failed - found.keys(), "")}
        problems += wrong(plan, given, but=frozenset(failed), plain_http=plain_http)
    problems += besides
    if problems:
        refuse("\n".join(problems))
    return found


def local_schema(output: Path) -> Path:
    """A project that commits its schemas keeps them in docs/schema, beside specs/."""
    return output.absolute().parent / "docs" / "schema" / "destination.schema.json"


def missing_files(names: Iterable[str]) -> list[str]:
    """What is to be said of files that are not there, and of patterns without files."""
    from waypost.events.lines import SourceError
    from waypost.sources.file import expand

    found: list[str] = []
    for name in names:
        try:
            paths = [] if name == "-" else expand(name)
        except SourceError as error:
            found.append(str(error))
            continue
        found += [f"cannot read {path}: No such file or directory" for path in paths if not path.exists()]
    return found


def spec_targets(specs: tuple[str, ...], *, connections: bool = False) -> list[catalog.Target]:
    """The specs that were named, by file or folder, or all of specs/; with `connections` also connections files (./waypost.yaml)."""
    try:
        targets = [target for text in specs for target in catalog.find_specs(text)]
    except catalog.NotFound as error:
        refuse(str(error))
    targets = targets or [*catalog.local_specs(), *(catalog.local_connections() if connections else [])]
    if not targets:
        refuse("there is no specs/ folder here: name a spec")
    for target in targets:
        if target.kind == "connections" and not connections:
            refuse(f"{target.path} is a connections file, and this takes a spec")
    return targets


def read_plan(path: Path) -> Plan:
    try:
        return load(path.read_bytes(), str(path))
    except OSError as error:
        refuse(f"cannot read {path}: {error.strerror}")
    except PlanError as error:
        refuse(str(error))


def write_file(path: Path, text: str) -> None:
    """Writes a file, its folder too, and says so; a file that says the same is left alone."""
    try:
        if path.is_file() and path.read_bytes() == text.encode():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        refuse(f"cannot write {path}: {error.strerror}")
    click.echo(f"wrote {path}", err=True)
