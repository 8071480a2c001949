"""The settings of a destination's page: what each takes, the shape of lists and maps, a connection that fills them in, a command.

Takes a plan and examples of its settings' values (from its own tests). Gives blocks. An example is right as it stands: it compiles, and the
command runs once its variables are set (tests/authoring/test_docs_pages.py).
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from waypost import plan as p
from waypost.authoring.docs.blocks import Block, Code, Heading, Line, Listing, Paragraph, Table, words
from waypost.lang import notation


def settings(plan: p.Plan, given: Mapping[str, Any], target: str) -> Iterator[Block]:
    if plan.settings:
        yield Heading(2, "Settings")
        rows = tuple(
            (_named(name, setting), _kind(setting), _needed(setting), (setting.description,))
            for name, setting in plan.settings.items()
        )
        yield Table("Settings", ("Setting", "Value", "Required", "What it is"), rows)
    for name, setting in plan.settings.items():
        part = setting.part
        if part is not None and part.fields:
            yield Paragraph(("Fields of each row of ", Code(name), ":"))
            fields = tuple(
                (_named(key, field), _kind(field), _needed(field), (field.description,))
                for key, field in part.fields.items()
            )
            yield Table(f"Fields of {name}", ("Field", "Value", "Required", "What it is"), fields)
    yield Listing("", command(plan, target))
    if plan.settings:
        yield Paragraph(("As a connection, in waypost.yaml:",))
        yield Listing("yaml", connection(plan, given, target))
    several = [
        f"--set {name}={shlex.quote(notation.constant(_example(name, plan.settings[name], given)))}"
        for name in _several(plan)
    ]
    if several:
        yield Paragraph(
            (
                "On the command line a list or map is a value on one line: ",
                *words([(Code(text),) for text in several]),
                ".",
            )
        )


def command(plan: p.Plan, target: str) -> str:
    """A command that works as it stands, once the variables that it names are set: of a choice it takes the first."""
    sets = [
        ("--set", f"{name}={next(iter(setting.choices)) if setting.choices else f'env:{name.upper()}'}")
        for name, setting in plan.settings.items()
        if setting.default is None and not setting.optional
    ]
    return shlex.join(["waypost", "run", target, *itertools.chain.from_iterable(sets), "events.ndjson"])


def connection(plan: p.Plan, given: Mapping[str, Any], target: str) -> str:
    """A connections file that gives what is required, and the lists and maps."""
    rows = [
        "connections:",
        "  mine:",
        f"    destination: {notation.quoted(target, flow=False)}",
        "    sources: [events]",
        "    settings:",
    ]
    for name, setting in plan.settings.items():
        scalar = setting.part is None and not setting.choices
        value = f"env:{name.upper()}" if scalar else notation.constant(_example(name, setting, given))
        if setting.part is not None or (setting.default is None and not setting.optional):
            rows.append(f"      {name}: {value}")
    return "\n".join(
        [*(rows if rows[-1] != "    settings:" else rows[:-1]), "sources:", "  events: {files: events.ndjson}"]
    )


def _several(plan: p.Plan) -> list[str]:
    return [name for name, setting in plan.settings.items() if setting.part is not None]


def _example(name: str, setting: p.Setting, given: Mapping[str, Any]) -> Any:
    """A value that the setting takes: its default, one of the destination's tests, else one of its type."""
    for held in (setting.default, given.get(name)):
        if held:
            return held
    if setting.of is not None:
        return [_example("", setting.of, {})]
    if setting.value is not None:
        return {(setting.key.label if setting.key else "") or "key": _example("", setting.value, {})}
    if setting.fields:
        return {
            key: _example(key, field, {})
            for key, field in setting.fields.items()
            if field.default is None and not field.optional
        }
    if setting.choices:
        return next(iter(setting.choices))
    plain: dict[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "url": "https://example.com"}
    return plain.get(setting.type, setting.label or name or "text")


def _named(name: str, setting: p.Setting) -> Line:
    return (setting.label, " ", Code(name)) if setting.label else (Code(name),)


def _kind(setting: p.Setting) -> Line:
    if setting.of is not None:
        return ("list of ", *_inner(setting.of))
    if setting.value is not None:
        label = setting.key.label if setting.key else ""
        return ("map from ", label or "a text", " to ", *_inner(setting.value))
    if setting.type != "choice":
        return (setting.type, ", secret" if setting.secret else "")
    choices: list[Line] = []
    for name, data in setting.choices.items():
        said = data.get("label")
        choices.append((Code(name), f" ({said})") if said else (Code(name),))
    return ("one of ", *words(choices))


def _inner(part: p.Setting) -> Line:
    if part.fields:
        return ("rows: ", *words([(Code(name),) for name in part.fields]))
    return (*_kind(part), f" ({part.label})" if part.label else "")


def _needed(setting: p.Setting) -> Line:
    if setting.default is not None:
        return ("default ", Code(shown(setting.default)))
    return ("no" if setting.optional else "yes",)


def shown(value: Any) -> str:
    """A constant as it stands in a sentence."""
    return value if isinstance(value, str) and value else notation.constant(value)
