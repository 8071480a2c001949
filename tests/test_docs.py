"""Documents that cannot go stale: tables are generated from the code, and the README's examples run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT
from waypost.compiler.pipeline import compile_text
from waypost.compiler.rules import RULES
from waypost.lang import filters
from waypost.runtime.results import FILTERED, REASONS

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = ROOT / "docs"


def filled(path: Path, mark: str, table: str) -> str:
    """The document with the table behind its mark replaced."""
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition(f"<!-- {mark} -->\n")
    rest = re.sub(r"\A\n?(\|.*\n)*", "", rest)
    return f"{head}<!-- {mark} -->\n\n{table}{rest}"


def rows(header: str, lines: list[str]) -> str:
    return "\n".join([header, "|" + "---|" * header.count("|", 1), *lines]) + "\n"


def test_filter_table(golden: Callable[[Path, str], None]) -> None:
    lines = []
    for name, row in filters.FILTERS.items():
        value, args, found = row.examples[0]
        shown = "missing" if found is filters.MISSING else f"`{found!r}`"
        given = "missing" if value is filters.MISSING else f"`{value!r}`"
        words = f"({', '.join(map(repr, args))})" if args else ""
        lines.append(f"| `{name}{words}` | {row.doc} | {given} -> {shown} |")
    path = DOCS / "spec-reference.md"
    golden(path, filled(path, "filters", rows("| filter | gives | example |", lines)))


def test_reason_table(golden: Callable[[Path, str], None]) -> None:
    lines = [f"| dead | `{name}` | {why} |" for name, why in REASONS.items()]
    lines += [f"| filtered | `{name}` | {why} |" for name, why in FILTERED.items()]
    path = DOCS / "delivery.md"
    golden(path, filled(path, "reasons", rows("| place | reason | when |", lines)))


def test_rules_page(golden: Callable[[Path, str], None]) -> None:
    parts = [
        "# Rules\n\nGenerated from `compiler/rules.py` and tests/cases/diagnostics. Each with what the tool says of a bad example.\n"
    ]
    for rule in RULES.values():
        frame = (ROOT / "tests" / "cases" / "diagnostics" / f"{rule.code}.txt").read_text(encoding="utf-8")
        parts.append(f"## {rule.code} {rule.name}\n\n{rule.why}\n\n```\n{frame.split(chr(10) * 2)[0]}\n```\n")
    golden(DOCS / "rules.md", "\n".join(parts))


def test_readme_destination_compiles() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    plan, report = compile_text(text, "specs/shop/destination.yaml")
    assert report.diagnostics == []
    assert plan is not None


COMMANDS = [
    line.removeprefix("$ ")
    for text in (README, (DOCS / "connections.md").read_text(encoding="utf-8"))
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.parametrize("line", COMMANDS)
def test_readme_command_runs(line: str) -> None:
    wanted = int(found[1]) if (found := re.search(r"exit status (\d+)", line)) else 0
    words = shlex.split(line, comments=True)[1:]
    done = subprocess.run([sys.executable, "-m", "waypost", *words], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == wanted, done.stderr.decode()


def test_links_lead_somewhere() -> None:
    for path in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path}: {target}"
