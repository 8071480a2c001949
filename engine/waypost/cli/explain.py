"""`waypost explain CODE`."""

from __future__ import annotations

import difflib

import click

from waypost.cli import completion
from waypost.cli.common import refuse
from waypost.compiler.report.rules import JUDGEMENT, RULES, Rule
from waypost.compiler.report.suggest import nearest
from waypost.plan import catalog


@click.command(name="explain")
@click.argument("code", shell_complete=completion.rule)
def command(code: str) -> None:
    """What the rule CODE (such as M204, or its name: bare-string) means, why it is a fault, and how it looks wrong and right."""
    rule = RULES.get(code.upper()) or next((item for item in RULES.values() if item.name == code.lower()), None)
    if rule is None:
        near = nearest(code, [*RULES, *(item.name for item in RULES.values())])
        refuse(f"there is no rule {code}" + (f"; did you mean {near}?" if near else ": `waypost rules` lists them"))
    click.echo(page(rule), nl=False)


def page(rule: Rule) -> str:
    """The rule's text, the frame of its bad example, and the lines that make it good."""
    parts = [f"{rule.code} {rule.name}\n", f"{rule.why}\n"]
    example = catalog.example(rule.code)
    if example is not None:
        parts.append(f"Wrong:\n\n{indented(frame(example))}")
        if example.good != example.bad:
            parts.append(f"Right:\n\n{indented(mended(example))}")
    if rule.code in JUDGEMENT:
        parts.append(f"One line may be excused from it, with a reason: `# waypost: allow {rule.code} (reason)`\n")
    return "\n".join(parts)


def frame(example: catalog.Example) -> str:
    """What is said of the bad example: its first finding."""
    return example.said.split("\n\n")[0] + "\n"


def mended(example: catalog.Example) -> str:
    """The lines of the good example that differ from the bad one, with the line above for the place; all of it when most differ."""
    bad, good = example.bad.splitlines(), example.good.splitlines()
    lines: set[int] = set()
    for word, _, _, start, end in difflib.SequenceMatcher(None, bad, good, autojunk=False).get_opcodes():
        if word != "equal":
            lines.update(range(max(0, start - 1), min(len(good), max(end, start + 1))))
    shown: list[str] = []
    for number in sorted(lines):
        if shown and number - 1 not in lines:
            shown.append("...")
        shown.append(good[number])
    return "\n".join(shown) + "\n"


def indented(text: str) -> str:
    return "".join(f"    {line}".rstrip() + "\n" for line in text.splitlines())
