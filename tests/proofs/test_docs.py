"""Documents that cannot go stale: tables are generated from the code, and the README's examples run."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import click
import pytest

from conftest import ROOT
from running import waypost
from waypost.authoring.test import cases
from waypost.cli import explain
from waypost.cli.main import COMMANDS, STATUSES, cli
from waypost.compiler.pipeline import compile_text
from waypost.compiler.report.rules import JUDGEMENT, RULES
from waypost.events.notices import EVENTS
from waypost.events.results import FILTERED, REASONS
from waypost.lang import filters
from waypost.operate.metrics import METRICS

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def filled(path: Path, mark: str, table: str) -> str:
    """The document with the table behind its mark replaced."""
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition(f"<!-- {mark} -->\n")
    rest = re.sub(r"\A\n?(\|.*\n)*\n*", "", rest)
    return f"{head}<!-- {mark} -->\n\n{table}\n{rest}".rstrip("\n") + "\n"


def rows(header: str, lines: list[str]) -> str:
    return "\n".join([header, "|" + "---|" * header.count("|", 1), *lines]) + "\n"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_blank_line_ends_each_table(path: Path) -> None:
    """What stands directly under a table's last row is another row of it. Mutation that turns this red: `filled` without it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    fences = 0
    for one, following in pairwise(lines):
        fences += one.startswith("```")
        if fences % 2 == 0 and one.startswith("|") and not following.startswith("|"):
            assert following.strip() in ("", "</details>"), f"{path.name}: {following}"


def test_reference_names_every_word_of_a_test() -> None:
    """Mutation that turns this red: a word of `cases.WORDS` that the section leaves out."""
    section = (DOCS / "spec-reference.md").read_text(encoding="utf-8").partition("\n## Tests\n")[2]
    for word in {*cases.TEST, *cases.FILE, *cases.EXPECT}:
        assert f"`{word}`" in section, word


def test_filter_table(golden: Callable[[Path, str], None]) -> None:
    lines = []
    for name, row in filters.FILTERS.items():
        value, args, found = row.examples[0]
        shown = "missing" if found is filters.MISSING else f"`{found!r}`"
        given = "missing" if value is filters.MISSING else f"`{value!r}`"
        shown_args = [f"'{arg}'" if isinstance(arg, str) else repr(arg) for arg in args]
        words = f"({', '.join(shown_args)})" if args else ""
        lines.append(f"| `{name}{words}` | {row.doc} | {given} -> {shown} |")
    path = DOCS / "spec-reference.md"
    golden(path, filled(path, "filters", rows("| filter | gives | example |", lines)))


def test_excusable_rules(golden: Callable[[Path, str], None]) -> None:
    lines = [f"| `{code}` {RULES[code].name} | {RULES[code].why} |" for code in JUDGEMENT]
    path = DOCS / "spec-reference.md"
    golden(path, filled(path, "judgement", rows("| rule | what it finds |", lines)))


def test_reason_table(golden: Callable[[Path, str], None]) -> None:
    lines = [f"| dead | `{name}` | {why} |" for name, why in REASONS.items()]
    lines += [f"| filtered | `{name}` | {why} |" for name, why in FILTERED.items()]
    path = DOCS / "delivery.md"
    golden(path, filled(path, "reasons", rows("| place | reason | when |", lines)))


def test_metrics_table(golden: Callable[[Path, str], None]) -> None:
    lines = []
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |")
    path = DOCS / "operating.md"
    golden(path, filled(path, "metrics", rows("| name | kind | labels | what |", lines)))


def test_events_table(golden: Callable[[Path, str], None]) -> None:
    lines = [f"| `{name}` | {text} |" for name, text in EVENTS.items()]
    path = DOCS / "operating.md"
    golden(path, filled(path, "events", rows("| event | when, and its fields |", lines)))


def test_rules_page(golden: Callable[[Path, str], None]) -> None:
    parts = [
        "# Rules\n\nGenerated from `compiler/report/rules.py` and tests/cases/diagnostics, as `waypost explain CODE` shows them: "
        "what is said of a bad example, and the lines that make it good.\n"
    ]
    parts += [f"## {explain.page(rule)}" for rule in RULES.values()]
    golden(DOCS / "rules.md", "\n".join(parts))


def cli_page() -> str:
    """docs/cli.md: every command of the table, its arguments, options and statuses."""
    parts = ["# The command line\n\nGenerated from the commands. `waypost COMMAND --help` says the same.\n"]
    parts.append(rows("| status | meaning |", [f"| {status} | {text} |" for status, text in STATUSES.items()]))
    parts.append("Where several hold: 70 > 2 > 4 > 5 > 3 > 0.\n")
    for name, command in every_command():
        first = f"{COMMANDS[name][1]}\n\n" if name in COMMANDS else ""
        depth = "#" * (2 + name.count(" "))
        parts.append(f"{depth} waypost {name}\n\n{first}```\nwaypost {name} {usage(command)}\n```\n")
        text = inspect.cleandoc(command.help or "")
        parts += [f"{paragraph(part)}\n" for part in re.split(r"\n\n", text) if part.strip()]
        options = [param for param in command.params if isinstance(param, click.Option)]
        if options:
            parts.append(rows("| option | meaning |", list(map(option_row, options))))
    return "\n".join(parts)


def every_command() -> Iterator[tuple[str, click.Command]]:
    """Each command with the words that call it; a group before what is in it."""

    def walk(prefix: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield prefix, command
        if isinstance(command, click.Group):
            for name in command.list_commands(click.Context(command)):
                inner = command.get_command(click.Context(command), name)
                assert inner is not None
                yield from walk(f"{prefix} {name}", inner)

    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        yield from walk(name, command)


def usage(command: click.Command) -> str:
    if isinstance(command, click.Group):
        return "COMMAND"
    words = ["[OPTIONS]"] if any(isinstance(param, click.Option) for param in command.params) else []
    for param in command.params:
        if isinstance(param, click.Argument):
            word = "|".join(param.type.choices) if isinstance(param.type, click.Choice) else (param.name or "").upper()
            words.append((word if param.required else f"[{word}]") + ("..." if param.nargs == -1 else ""))
    return " ".join(words)


def paragraph(text: str) -> str:
    """A paragraph of help; `\\b` keeps its lines as they are."""
    if text.startswith("\b"):
        return "\n".join(f"    {line}" for line in text.splitlines()[1:])
    return re.sub(r"([<>|*])", r"\\\1", " ".join(text.split()))


def option_row(option: click.Option) -> str:
    kind = option.metavar or ("" if option.is_flag else option.type.name.upper())
    if isinstance(option.type, click.Choice):
        kind = "\\|".join(map(str, option.type.choices))
    told = re.sub(r"([<>|*])", r"\\\1", option.help or "")
    default = f" Default `{option.default}`." if option.show_default and option.default not in (None, False, ()) else ""
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    return f"| {names}{f' {kind}' if kind else ''} | {told}{default} |"


def test_cli_page(golden: Callable[[Path, str], None]) -> None:
    golden(DOCS / "cli.md", cli_page())


def test_every_option_says_what_it_does() -> None:
    silent = []
    for name, command in every_command():
        assert command.help
        options = [param for param in command.params if isinstance(param, click.Option)]
        silent += [f"{name} {option.opts[0]}" for option in options if not option.help]
    assert silent == []


def test_readme_names_every_command() -> None:
    for name in COMMANDS:
        assert re.search(rf"^\| .*`{name}\b", README, re.MULTILINE), f"the README's table has no row for {name}"


def test_readme_destination_compiles() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    plan, report = compile_text(text, "specs/shop/destination.yaml")
    assert report.diagnostics == []
    assert plan is not None


LINES = [
    line.removeprefix("$ ")
    for text in (README, (DOCS / "connections.md").read_text(encoding="utf-8"))
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.parametrize("line", LINES)
def test_readme_command_runs(line: str) -> None:
    wanted = int(found[1]) if (found := re.search(r"exit status (\d+)", line)) else 0
    words = shlex.split(line, comments=True)[1:]
    status, _, err = waypost(*words)
    assert status == wanted, err


def test_links_lead_somewhere() -> None:
    for path in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
            assert target.startswith("https://") or (path.parent / target).exists(), f"{path}: {target}"


REFERENCE = (DOCS / "spec-reference.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(spec: 1\n.*?)```", REFERENCE, re.DOTALL))
def test_specs_of_the_reference_compile(text: str) -> None:
    plan, report = compile_text(text, "specs/shop/destination.yaml")
    assert plan is not None, [(item.code, item.message) for item in report.diagnostics]
    assert report.diagnostics == []
