"""What `run`, `check` and `connections` share: the plans of a connections file, compiled now or loaded as they were committed.

With `frozen` the compiler is never loaded: each committed plan says which files it was compiled from, so a stale, missing or left-over one is
known without reading YAML. Paths in the plans that are given (globs of sources, `file:` references) are as seen from the working folder.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import msgspec

from waypost.authoring.given import given_value
from waypost.cli import colours
from waypost.cli.common import FINDINGS, missing_files, read_plan, refuse
from waypost.plan import Connection, Feed, Plan, Tls, catalog, fingerprint
from waypost.program.settings import SettingError, resolve, wrong

REFERENCE = "file:"
TLS = Tls.__struct_fields__


def load_connections(path: Path, frozen: bool) -> list[Plan]:
    """The plans of a connections file in its order, also of connections that are not enabled. Ends the command when there are none to run."""
    plans = _committed(path) if frozen else _compiled(path)
    return [_from_here(plan, path.parent) for plan in plans]


def settings_of(plan: Plan) -> dict[str, Any]:
    """A connection's setting values, `env:` and `file:` bound; ends the command with one line where one cannot be."""
    found: dict[str, Any] = {}
    for name, value in (plan.connection.settings if plan.connection else {}).items():
        try:
            found[name] = given_value(plan, name, value)[0]
        except SettingError as error:
            refuse(f"{plan.connection.name if plan.connection else plan.name}: the setting `{name}`: {error}")
    return found


def check_settings(plans: Iterable[Plan], *, keys: bool = True) -> None:
    """Ends the command with all that is missing for these connections: variables, files and settings, a line each, each once. `keys`: also
    the keys and files of their sources."""
    found: list[str] = []
    for plan in plans:
        held = plan.connection
        given: dict[str, Any] = {}
        failed: set[str] = set()
        for name, value in (held.settings if held else {}).items():
            try:
                given[name] = given_value(plan, name, value)[0]
            except SettingError as error:
                failed.add(name)
                found.append(f"{held.name if held else plan.name}: the setting `{name}`: {error}")
        # What a connection gives was checked when it was compiled; only what comes from outside is to be looked at.
        found += [f"{held.name}: {text}" if held else text for text in wrong(plan, given, but=frozenset(failed))]
        for feed in held.sources if held and keys else ():
            for key in feed.write_keys:
                try:
                    resolve(key)
                except SettingError as error:
                    found.append(f"{feed.name}: a write key: {error}")
            found += [f"the source `{feed.name}`: {text}" for text in missing_files(feed.files)]
    if found:
        refuse("\n".join(dict.fromkeys(found)))


def _compiled(path: Path) -> list[Plan]:
    from waypost.cli.compiling import compile_connections_path

    plans, reports = compile_connections_path(path)
    if any(report.diagnostics for report in reports):
        click.echo(colours.findings(reports, "human", sys.stderr), err=True, nl=False)
    if not plans:
        click.get_current_context().exit(FINDINGS)
    return plans


def _committed(path: Path) -> list[Plan]:
    folder = catalog.connection_plans(path)
    again = f"run `waypost compile {path}`"
    plans = {file.stem: read_plan(file) for file in sorted(folder.glob("*.json"))}
    if not plans:
        refuse(f"there are no compiled connections in {folder}: {again}")
    for name, plan in plans.items():
        if plan.connection is None or plan.connection.name != name:
            refuse(f"{folder / name}.json is not the plan of a connection `{name}`: {again}")
        for made_from, was in plan.source.inputs.items():
            try:
                changed = fingerprint((path.parent / made_from).read_bytes()) != was
            except OSError:
                # A machine that only runs need not have the files that were compiled.
                continue
            if changed:
                refuse(f"{folder / name}.json is stale, {made_from} is not what it was compiled from: {again}")
        for other in plan.source.together:
            if other not in plans:
                refuse(f"{folder / other}.json is missing: {again}")
        if name not in plan.source.together or any(name not in other.source.together for other in plans.values()):
            refuse(f"{folder / name}.json is left over from a connection that is gone: {again}")
    return [plans[name] for name in next(iter(plans.values())).source.together]


def _from_here(plan: Plan, folder: Path) -> Plan:
    """The plan with paths as seen from the working folder instead of the connections file's."""
    held = plan.connection
    if held is None or folder == Path():
        return plan
    settings = {name: _reference(value, folder) for name, value in held.settings.items()}
    feeds = [_feed(feed, folder) for feed in held.sources]
    tls = None if held.tls is None else Tls(**{word: _reference(getattr(held.tls, word), folder) for word in TLS})
    connection: Connection = msgspec.structs.replace(held, settings=settings, sources=feeds, tls=tls)
    return msgspec.structs.replace(plan, connection=connection)


def _feed(feed: Feed, folder: Path) -> Feed:
    return msgspec.structs.replace(
        feed,
        files=[(folder / file).as_posix() for file in feed.files],
        write_keys=[_reference(key, folder) for key in feed.write_keys],
    )


def _reference(value: Any, folder: Path) -> Any:
    if isinstance(value, str) and value.startswith(REFERENCE):
        return REFERENCE + (folder / value.removeprefix(REFERENCE)).as_posix()
    return value
