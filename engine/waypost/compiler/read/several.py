"""Settings that hold several values, where an expression names them: what may be made of a list, of rows and of a map there.

Takes the settings of a spec and the part of an expression that names one. Gives what is wanted of it, and reports what it cannot be: a list in
the middle of a text, a comparison with one, a field that its rows do not have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from waypost import plan as p
from waypost.compiler.read.closed_maps import Closed
from waypost.compiler.read.document import Scalar
from waypost.compiler.read.source import Span
from waypost.compiler.report.diagnostic import Fix
from waypost.compiler.report.suggest import nearest
from waypost.lang import fql, shapes

Settings = Mapping[str, p.Setting]

OF_LISTS = ("contains", "length")
"""Functions of conditions that take a list."""


def named(closed: Closed, settings: Settings, node: p.Value, scalar: Scalar, word: str) -> p.Ref | None:
    """The setting behind `keys` (names: a list of texts, or a map, of which it is the keys) or `in` (a table: a map)."""
    wanted = "a list of names" if word == "keys" else "a map"
    setting = _setting(settings, node.name) if isinstance(node, p.Ref) else None
    if isinstance(node, p.Ref) and node.name.startswith("settings.") and setting is None:
        return None  # T108 or T109 has been said
    label = "an event does not say" if setting is None else f"this is {_said(setting)}"
    if setting is not None and (setting.type == "map" or (word == "keys" and _of_texts(setting))):
        assert isinstance(node, p.Ref)
        return node
    closed.add("M221", f"`{word}` is {wanted}: as written, or of a setting", scalar.span, label, _HELP[word])
    return None


_HELP = {
    "keys": 'write the names, or `keys: "{{ settings.NAME }}"` with a setting of `type: list` and `of: {type: string}`',
    "in": 'write the table, or `in: "{{ settings.NAME }}"` with a setting of `type: map`',
}


def part_of(settings: Settings, node: p.Value) -> p.Setting | None:
    """What an item is, where a list or map of the settings is gone over."""
    setting = _setting(settings, node.name) if isinstance(node, p.Ref) else None
    return setting.part if setting is not None else None


def known(closed: Closed, part: p.Setting | None, steps: Sequence[Any], span: Span) -> bool:
    """Whether an item that is a part of a setting has what is named of it."""
    if part is None or not steps:
        return True
    first = steps[0]
    if part.type == "row" and first in part.fields and len(steps) == 1:
        return True
    if part.type == "row" and first in part.fields:
        closed.add("P108", f"the field `{first}` is {_said(part.fields[first])}", span, "nothing in it can be named")
        return False
    if part.type == "row":
        near = nearest(first, part.fields) if isinstance(first, str) else None
        label = f"did you mean `{near}`?" if near else ""
        shown = f"`{first}`" if isinstance(first, str) else "that"
        closed.add("P108", f"a row has no field {shown}", span, label, f"its fields are {', '.join(part.fields)}")
    else:
        closed.add("P108", f"the item is {_said(part)}", span, "nothing in it can be named", "write `$item` alone")
    return False


def refuse_text(closed: Closed, settings: Settings, nodes: Iterable[p.Value], scalar: Scalar) -> None:
    """A list or a map within text."""
    for node in nodes:
        setting = _setting(settings, node.name) if isinstance(node, p.Ref) else None
        if setting is not None and isinstance(node, p.Ref) and setting.type in shapes.SEVERAL:
            start = scalar.text.find(node.name)
            span = scalar.locate(start, start + len(node.name)) if start >= 0 else scalar.span
            joined = setting.type == "list" and _of_texts(setting)
            help = (
                f"join it: `{{{{ {node.name} | join(',') }}}}`" if joined else "a value holds it, such as one of a body"
            )
            closed.add("T116", f"{_said(setting)} is no text", span, "", help)


def refuse_condition(closed: Closed, settings: Settings, tree: fql.Node, scalar: Scalar) -> bool:
    """Whether a condition asks of a setting what it can never be."""
    broken = False

    def never(path: fql.PathRef, setting: p.Setting, help: str, fix: Fix | None = None) -> None:
        nonlocal broken
        broken = True
        name = fql.show_path(path.steps)
        closed.add("Q104", f"`{name}` is {_said(setting)}", scalar.locate(*path.span), "this never holds", help, fix)

    def operand(held: fql.Operand, function: str = "") -> None:
        setting = _named(settings, held)
        if isinstance(held, fql.PathRef) and setting is not None and setting.type in shapes.SEVERAL:
            if function not in OF_LISTS:
                name = fql.show_path(held.steps)
                never(held, setting, f"ask for membership (`event in {name}`) or for `length({name})`")
        elif isinstance(held, fql.Call):
            for index, arg in enumerate(held.args):
                operand(arg, held.name if index == 0 else "")

    for inner in fql.nodes(tree):
        if isinstance(inner, fql.Compare):
            operand(inner.left)
            operand(inner.right)
        elif isinstance(inner, fql.In):
            operand(inner.left)
            setting = _named(settings, inner.right) if isinstance(inner.right, fql.PathRef) else None
            if setting is not None and isinstance(inner.right, fql.PathRef):
                if setting.type not in shapes.SEVERAL:
                    never(
                        inner.right,
                        setting,
                        "`in` takes a list: make it a setting of `type: list`, or compare with `=`",
                    )
                elif setting.type == "list" and setting.of is not None and setting.of.type == "row":
                    never(inner.right, setting, "a field is never a whole row: make the names a list of their own")
        elif isinstance(inner, fql.Call):
            operand(inner)
    return broken


def _named(settings: Settings, held: object) -> p.Setting | None:
    if not isinstance(held, fql.PathRef) or held.steps[0] != "settings":
        return None
    return _setting(settings, ".".join(map(str, held.steps)))


def _setting(settings: Settings, name: str) -> p.Setting | None:
    """The setting of `settings.a`."""
    root, _, first = name.partition(".")
    return settings.get(first) if root == "settings" else None


def _of_texts(setting: p.Setting) -> bool:
    return setting.type == "list" and setting.of is not None and setting.of.type in shapes.TEXTS


def _said(setting: p.Setting) -> str:
    """What it is, for people."""
    part = setting.part
    if setting.type in shapes.SEVERAL and part is not None and part.type == "row":
        return f"a {setting.type} of rows"
    if setting.type in shapes.SEVERAL:
        return f"a {setting.type}"
    return {"choice": "one of its choices", "integer": "one integer"}.get(setting.type, f"one {setting.type}")
