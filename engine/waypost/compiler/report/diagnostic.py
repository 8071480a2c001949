"""Diagnostics are data: what was found, where, what was expected, and the edit that mends it. `render/` turns them into text.

Takes what the stages report. Gives one `Report` a file: sorted, without repeats.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from waypost.compiler.read.source import Source, Span

SPOILING = ("Y103", "Y106", "Y107")
"""Rules after which the value on that line is not what the author wrote."""


@dataclass(frozen=True)
class Label:
    """A stretch of the file and what to say of it. `source` is set where that file is another than the finding's."""

    span: Span
    text: str = ""
    source: Source | None = None


@dataclass(frozen=True)
class Fix:
    """Replace `span` by `text`. `safe`: the meaning that the author can only have had."""

    span: Span
    text: str
    safe: bool = False


@dataclass(frozen=True)
class Diagnostic:
    """`code` is a rule of rules/. `message` says what was found, the label what was expected there, `help` the smallest edit."""

    code: str
    message: str
    label: Label
    help: str = ""
    others: tuple[Label, ...] = ()
    fix: Fix | None = None
    severity: str = "error"
    hidden: bool = False
    """What the label marks is a secret, and is not shown."""


@dataclass
class Report:
    """Collects the findings of one file. State: the findings."""

    source: Source
    found: dict[tuple[str, Span], Diagnostic] = field(default_factory=dict)

    def add(self, diagnostic: Diagnostic) -> None:
        """A second finding of one rule at one place is the same fault, met on another way (a shared block used twice)."""
        self.found.setdefault((diagnostic.code, diagnostic.label.span), diagnostic)

    def say(self, code: str, message: str, span: Span, label: str = "", help: str = "", fix: Fix | None = None) -> None:
        """Adds a finding with one label, as most have."""
        self.add(Diagnostic(code, message, Label(span, label), help, (), fix))

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """In order of the file; what only follows from a value that YAML has cut or changed is left out."""
        spoiled = {
            self.source.position(item.label.span.start)[0] for item in self.found.values() if item.code in SPOILING
        }
        kept = [
            item
            for item in self.found.values()
            if item.code in SPOILING or self.source.position(item.label.span.start)[0] not in spoiled
        ]
        return sorted(kept, key=lambda item: (item.label.span, item.code))

    @property
    def shown(self) -> Source:
        """The file as it may be shown: what is secret in it is `*`, character by character, so that every position holds."""
        text = self.source.text
        for span in (item.label.span for item in self.found.values() if item.hidden):
            text = text[: span.start] + re.sub(r"[^\r\n]", "*", text[span.start : span.end]) + text[span.end :]
        return self.source if text is self.source.text else replace(self.source, text=text)

    def masked(self, text: str) -> str:
        """Another text (a diff of the file) without the secrets that were found in the file."""
        for span in (item.label.span for item in self.found.values() if item.hidden):
            secret = self.source.text[span.start : span.end]
            text = text.replace(secret, "*" * len(secret)) if secret else text
        return text

    @property
    def failed(self) -> bool:
        return any(item.severity == "error" for item in self.found.values())


def merged(reports: Iterable[Report]) -> list[Report]:
    """One report a file: a destination's spec may have been judged by itself and under several connections files."""
    found: dict[str, Report] = {}
    for report in reports:
        first = found.setdefault(report.source.path, report)
        for item in report.found.values() if first is not report else ():
            first.add(item)
    return list(found.values())
