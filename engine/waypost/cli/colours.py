"""Which styles text for people has on a terminal, and whether there is colour at all: the one place that says so.

Takes text as the renderers give it, row by row. Gives it with styles; click takes them out again where there is no terminal. Only text for
people comes here: JSON, SARIF, annotations and JUnit never do, and so they are the same everywhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from waypost.compiler.report.diagnostic import Report

STYLES: dict[str, dict[str, Any]] = {
    "error": {"fg": "red", "bold": True},
    "warning": {"fg": "yellow"},
    "passed": {"fg": "green"},
    "help": {"fg": "cyan"},
    "code": {"fg": "blue"},
    "removed": {"fg": "red"},
    "added": {"fg": "green"},
    "head": {"bold": True},
}

FINDING = re.compile(r"(error|warning)(\[[A-Z]\d+\])?:")
CARETS = re.compile(r"( +\| +)(\^+|-+)(.*)")
GUTTER = re.compile(r" *\d* *\|(?= |$)|\.+ \|$| +(-->|:::) | += ")
ROWS = (
    (re.compile(r"FAIL |breaking "), "error", False),
    (re.compile(r"ok   "), "passed", False),
    (re.compile(r"help:"), "help", False),
    (re.compile(r"(---|\+\+\+) "), "head", True),
    (re.compile(r"@@ "), "code", True),
    (re.compile(r"-|  - "), "removed", True),
    (re.compile(r"\+|  \+ "), "added", True),
)
"""How a row begins, its style, and whether the whole row has it or only its beginning."""

PREVIEW = (
    (re.compile(r"  \S+ +matches: "), "passed"),
    (re.compile(r"  \S+ +no: |  \S+ +matches, but "), "code"),
    (re.compile(r"Actions$|Request$|\S+: field, value, source$"), "head"),
    (re.compile(r"\S.*: nothing is sent |nothing is sent "), "warning"),
    (re.compile(r"\S.*: refused before sending |This is no event "), "error"),
    (re.compile(r"  \S+  ! [^:]*:"), "error"),
)
"""The same of `preview`: what matches is styled."""


def wanted(environ: Mapping[str, str] = os.environ) -> bool | None:
    """None: on a terminal only. NO_COLOR (https://no-color.org) is stronger than FORCE_COLOR; an empty variable says nothing."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return False if environ.get("TERM") == "dumb" else None


def columns(stream: TextIO) -> int | None:
    """The columns of the terminal that a stream is; None where it is none: there nothing is cut."""
    try:
        if not stream.isatty():
            return None
        given = os.environ.get("COLUMNS", "")
        return int(given) if given.isdecimal() and int(given) else os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


def style(text: str, name: str) -> str:
    return click.style(text, **STYLES[name]) if text else text


def findings(reports: Sequence[Report], form: str, stream: TextIO) -> str:
    """Findings in a format; those for people in colour, and cut to the terminal that they are shown on."""
    from waypost.compiler.report.render import FORMATS
    from waypost.compiler.report.render.human import render

    if form != "human":
        return FORMATS[form](reports)
    return rows(render(reports, columns(stream)))


def rows(text: str) -> str:
    """Findings, results of tests and differences, styled."""
    severity = "error"
    shown = []
    for row in text.split("\n"):
        if found := FINDING.match(row):
            severity = found[1]
            shown.append(_begun(row, found, severity))
        elif found := CARETS.fullmatch(row):
            mark = severity if found[2][0] == "^" else "code"
            shown.append(style(found[1], "code") + style(found[2] + found[3], mark))
        elif found := GUTTER.match(row):
            shown.append(_begun(row, found, "code"))
        else:
            shown.append(_row(row))
    return "\n".join(shown)


def _row(row: str) -> str:
    for begins, name, whole in ROWS:
        if found := begins.match(row):
            return style(row, name) if whole else _begun(row, found, name)
    return row


def _begun(row: str, found: re.Match[str], name: str) -> str:
    return style(found[0], name) + row[found.end() :]


def preview(text: str) -> str:
    """What `preview` says of an event, styled."""
    return "\n".join(map(_previewed, text.split("\n")))


def _previewed(row: str) -> str:
    for begins, name in PREVIEW:
        if found := begins.match(row):
            return _begun(row, found, name)
    return row
