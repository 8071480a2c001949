"""A connection laid over its destination's spec: two files become one tree, are judged as one, and each finding goes back to its own file.

Takes a ConnectionSpec and the Destination it names. Gives the Spec of both, read and checked by what reads and checks any spec, and reports
into the two files' Reports. A finding in the destination's file that the spec has by itself is told once; one that only the connection brings
names the connection, and what would only be untidy there (an unused setting or block) is none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from waypost.compiler.check import check
from waypost.compiler.compose.reuse import Layer
from waypost.compiler.pipeline import read_file
from waypost.compiler.read import document
from waypost.compiler.read.connections_file import ConnectionSpec
from waypost.compiler.read.document import Map, Node
from waypost.compiler.read.source import Source, Span, joined
from waypost.compiler.read.spec_reader import read_spec
from waypost.compiler.report.diagnostic import Diagnostic, Fix, Label, Report
from waypost.compiler.report.suppress import excuse
from waypost.compiler.spec import Spec

UNTIDY = ("C101", "U106", "U116")
"""An override may leave a setting, a block or a value of the destination without use; that is no fault of its spec."""


@dataclass(frozen=True)
class Destination:
    """A spec that connections lie over. `shown` names its file in plans: as seen from the connections file, or within the shipped specs.

    `path` is None for a shipped one. `root` is None when there is nothing to lay over: the file is not YAML, or holds no action.
    """

    source: Source
    root: Node | None
    report: Report
    shown: str
    path: Path | None = None


def read_destination(file: Path, path: str, shown: str, shipped: bool) -> Destination:
    """Reads and judges the spec by itself. Raises OSError."""
    report = read_file(file, path)
    root = document.read(report.source, report) if not report.failed else None
    spec = read_spec(root, report) if root is not None else None
    if spec is not None:
        check(spec, report)
    excuse(report)
    usable = root if spec is not None and spec.actions else None
    return Destination(report.source, usable, report, shown, None if shipped else file)


def overlay(connection: ConnectionSpec, destination: Destination, report: Report) -> Spec | None:
    """The spec of both. `report` is the connections file's."""
    if destination.root is None:
        return None
    both = joined(destination.source, report.source)
    by = len(destination.source.text) + 1
    held = connection.layer
    whole = Report(both)
    layer = Layer(*(_moved(node, by, both) for node in (held.request, held.shared, held.actions)))
    spec = read_spec(destination.root, whole, layer)
    if spec is not None:
        check(spec, whole)
    _share_out(whole, connection, destination, report)
    return spec


def _moved(node: Map | None, by: int, both: Source) -> Map | None:
    moved = document.moved(node, by, both) if node is not None else None
    return moved if isinstance(moved, Map) else None


def _share_out(whole: Report, connection: ConnectionSpec, destination: Destination, report: Report) -> None:
    """Each finding to the file that it stands in."""
    brought = Report(destination.source)
    for item in whole.found.values():
        part, begin = whole.source.part(item.label.span.start)
        local = _local(item, whole.source, part, begin)
        if part is not destination.source:
            report.add(local)
        elif item.code not in UNTIDY and (item.code, item.label.span) not in destination.report.found:
            label = Label(connection.name.span, f"`{connection.name.value}` lies over it", report.source)
            brought.add(replace(local, others=(*local.others, label)))
    excuse(brought)
    for item in brought.found.values():
        if item.code not in ("C102", "C103"):
            destination.report.add(item)


def _local(item: Diagnostic, both: Source, part: Source, begin: int) -> Diagnostic:
    """The finding with spans that count within `part`; a label in the other file says so."""

    def label(held: Label) -> Label:
        home, start = both.part(held.span.start)
        return replace(held, span=_back(held.span, start), source=None if home is part else home)

    fix = item.fix
    if fix is not None:
        fix = Fix(_back(fix.span, begin), fix.text, fix.safe)
    return replace(item, label=label(item.label), others=tuple(label(other) for other in item.others), fix=fix)


def _back(span: Span, by: int) -> Span:
    return Span(span.start - by, span.end - by)
