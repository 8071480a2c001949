"""A connections file becomes plans, one a connection: source -> document -> connections -> (each laid over its destination) -> check -> plans.

Takes the file's text and the path to show for it. Gives the plans (none when there are errors anywhere: a file compiles whole or not at all)
and the Reports of everything found, the file's own first, then those of destinations' specs in which something was found.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from waypost import plan as p
from waypost.compiler.check.connections import check
from waypost.compiler.compose.connection_hosts import check_hosts
from waypost.compiler.compose.connection_settings import read_settings
from waypost.compiler.compose.overlay import Destination, overlay, read_destination
from waypost.compiler.lower import lower
from waypost.compiler.read import document
from waypost.compiler.read.connections_file import ConnectionsFile, ConnectionSpec, read_connections
from waypost.compiler.read.places import Place
from waypost.compiler.read.redact import read_redact
from waypost.compiler.read.source import Source, joined
from waypost.compiler.read.value_operators import values_reader
from waypost.compiler.report.diagnostic import Diagnostic, Fix, Label, Report
from waypost.compiler.report.suggest import nearest
from waypost.compiler.report.suppress import excuse
from waypost.compiler.spec import Spec
from waypost.plan import catalog

EXPECTED = "`connections:` and `sources:`"
ORDER = Place("`order_by`", ("event",))


@dataclass(frozen=True)
class Laid:
    """A connection that could be read together with its destination."""

    connection: ConnectionSpec
    destination: Destination
    spec: Spec
    settings: dict[str, Any]
    order_by: p.Value | None
    redact: list[str]


def compile_connections(text: str, path: str) -> tuple[list[p.Plan], list[Report]]:
    """Never raises for anything that a person can type, here or in a destination's spec."""
    source = Source(path, text.removeprefix("\ufeff"))
    report = Report(source)
    root = document.read(source, report, EXPECTED)
    if root is None:
        return [], [report]
    file = read_connections(root, report)
    destinations: dict[str, Destination | None] = {}
    laid: list[Laid] = []
    for connection in file.connections.values():
        word = connection.destination.value
        if word not in destinations:
            destinations[word] = _destination(word, Path(path).parent)
        laid += _lay(connection, destinations[word], report)
    check(file, {item.connection.name.value: item.spec for item in laid}, report)
    excuse(report)
    reports = [report, *(item.report for item in destinations.values() if item and item.report.diagnostics)]
    if any(item.failed for item in reports):
        return [], reports
    return [_lower(item, file, source) for item in laid], reports


def _destination(word: str, folder: Path) -> Destination | None:
    """The spec that a connection names: a shipped one, else a path as seen from the connections file."""
    shipped = word in catalog.names()
    file = catalog.shipped_spec(word) if shipped else folder / word
    file = file / catalog.SPEC if file.is_dir() else file
    if not file.is_file():
        return None
    shown = Path(os.path.relpath(file, catalog.ROOT if shipped else folder)).as_posix()
    return read_destination(file, catalog.near(file), shown, shipped)


def _lay(connection: ConnectionSpec, destination: Destination | None, report: Report) -> list[Laid]:
    if destination is None:
        _no_destination(connection, report)
        return []
    spec = overlay(connection, destination, report)
    if spec is None:
        return []
    settings = read_settings(connection, spec.settings, report)
    check_hosts(connection, spec, settings, report)
    values = values_reader(report, {name: item.setting for name, item in spec.settings.items()})
    order_by = None if connection.order_by is None else values.value(connection.order_by, ORDER).node
    redact = read_redact(connection.redact, values)
    return [Laid(connection, destination, spec, settings, order_by, redact)]


def _no_destination(connection: ConnectionSpec, report: Report) -> None:
    word, span = connection.destination.value, connection.destination.span
    near = nearest(word, catalog.names())
    report.add(
        Diagnostic(
            "U108",
            f"there is no destination `{word}`",
            Label(span, f"did you mean `{near}`?" if near else "neither a shipped name nor a spec at this path"),
            "a path is as seen from this file"
            if near
            else f"the shipped ones are {', '.join(catalog.names())}; a path is as seen from this file",
            fix=Fix(span, near, safe=True) if near else None,
        )
    )


def _lower(laid: Laid, file: ConnectionsFile, source: Source) -> p.Plan:
    connection, destination = laid.connection, laid.destination
    name = Path(source.path).name
    inputs = {name: p.fingerprint(source.text.encode())}
    if destination.path is not None:
        inputs[destination.shown] = p.fingerprint(destination.source.text.encode())
    return lower(
        laid.spec,
        joined(replace(destination.source, path=destination.shown), replace(source, path=name)),
        p.Connection(
            name=connection.name.value,
            enabled=connection.enabled,
            settings=laid.settings,
            sources=[file.sources[used.value].feed for used in connection.sources],
            order_by=laid.order_by,
            tls=connection.tls,
            plain_http=connection.plain_http,
            redact=laid.redact,
        ),
        inputs,
        list(file.connections),
        connection.integrations,
    )
