"""Reports become text: `human` (code frames), `concise` (one line each), `json`, `sarif`, `github` (annotations), `junit`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from waypost.compiler.report.diagnostic import Report
from waypost.compiler.report.render.concise import render as concise
from waypost.compiler.report.render.github import render as github
from waypost.compiler.report.render.human import render as human
from waypost.compiler.report.render.json import render as json
from waypost.compiler.report.render.junit import render as junit
from waypost.compiler.report.render.sarif import render as sarif

FORMATS: dict[str, Callable[[Sequence[Report]], str]] = {
    "human": human,
    "concise": concise,
    "json": json,
    "sarif": sarif,
    "github": github,
    "junit": junit,
}
