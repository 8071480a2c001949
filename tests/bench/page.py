"""The parts of docs/performance.md that a run writes: what stands between `<!-- bench: NAME -->` and `<!-- end -->`."""

from __future__ import annotations

import re
from pathlib import Path


def rewritten(text: str, parts: dict[str, str]) -> str:
    """The page with each part replaced. A part whose marks are missing is a KeyError; one not given stays."""
    for name, part in parts.items():
        pattern = re.compile(rf"(<!-- bench: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            raise KeyError(f"the page has no part `{name}`")
        text = pattern.sub(lambda found, part=part: f"{found[1]}\n{part.strip()}\n\n{found[2]}", text)  # type: ignore[misc]
    return text


def rewrite(path: Path, parts: dict[str, str]) -> None:
    path.write_text(rewritten(path.read_text(encoding="utf-8"), parts), encoding="utf-8")


def table(header: list[str], rows: list[list[str]]) -> str:
    """A table that reads well as it stands, too."""
    header, *rows = ([cell.replace("|", "\\|") for cell in row] for row in [header, *rows])
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(header), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])
