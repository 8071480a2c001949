"""Reports become text: `human` (code frames), `concise` (one line each), `json`, `sarif`, `github` (annotations), `junit`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from waypost.compiler.diagnostic import Report
from waypost.compiler.render.concise import render as concise
from waypost.compiler.render.github import render as github
from waypost.compiler.render.human import render as human
from waypost.compiler.render.json import render as json
from waypost.compiler.render.junit import render as junit
from waypost.compiler.render.sarif import render as sarif

FORMATS: dict[str, Callable[[Sequence[Report]], str]] = {
    "human": human,
    "concise": concise,
    "json": json,
    "sarif": sarif,
    "github": github,
    "junit": junit,
}
