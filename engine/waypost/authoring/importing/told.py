"""What an import says of itself: new names, every place where the two do not mean the same, and what holds everywhere.

Takes an Imported and the spec's path. Gives lines for a terminal, and the text of import.md, which stands beside the spec until all is done.
"""

from __future__ import annotations

from collections.abc import Iterator

from waypost.authoring.importing.imported import Imported
from waypost.authoring.importing.yaml_lines import APPROXIMATION, SAID, TODO

EVERYWHERE = (
    "A list of one item where one value is meant is refused here; there its item is taken.",
    "true and false for a text, and true, 1 and 0 for one another, are refused here; there they are converted.",
    "An email address may hold letters beyond ASCII here, and is refused with them there.",
    "An object in which nothing is present is left out; there it is sent as `{}`.",
    "Numbers keep their digits; there an integer beyond 2^53 is rounded.",
    "A path through a value that is no object gives nothing; there 0, false and empty text above it are taken for it.",
)
"""What differs in any field: docs/migrating.md has the whole."""


def rows(of: Imported, spec: str) -> Iterator[str]:
    """`path:line: kind: action: text`, in order of the file."""
    for line, action, note in of.notes:
        yield f"{spec}:{line}: {note.kind}: {f'{action}: ' if action else ''}{note.text}"


def count(of: Imported) -> str:
    kinds = [note.kind for _, _, note in of.open]
    parts = [f"{kinds.count(kind)} {kind}{'s' if kinds.count(kind) != 1 else ''}" for kind in (APPROXIMATION, TODO)]
    return " and ".join(parts)


def page(of: Imported, spec: str) -> str:
    """import.md."""
    out = [
        f"# What was imported into `{spec}`",
        "",
        f"{count(of)} are open. Settle each in the spec, fill in `request:` and `auth:`, then delete this file.",
    ]
    if of.draft.names:
        out += ["", "## Names", "", "| what | there | here |", "|---|---|---|"]
        out += [f"| {kind} | {_cell(there)} | `{here}` |" for kind, there, here in of.draft.names]
    for kind, title in ((TODO, "To do"), (APPROXIMATION, "Approximations"), (SAID, "Said in other words")):
        found = [(line, action, note.text) for line, action, note in of.notes if note.kind == kind]
        if found:
            out += ["", f"## {title}", "", "| line | action | what |", "|---|---|---|"]
            out += [f"| {line} | {action} | {_cell(text)} |" for line, action, text in found]
    out += ["", "## Everywhere", "", *(f"- {text}" for text in EVERYWHERE)]
    return "\n".join(out) + "\n"


def _cell(text: str) -> str:
    """Text in a table: no sign of it is markup."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
