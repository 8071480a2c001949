"""The values of settings as people write them: nodes of a file, or text of a command line, a variable or a file of its own.

Takes a node or a text, and the plan's Setting. Gives the value in its type (lang/shapes.py judges it); what is wrong is reported at its node
or, of a text, told in one sentence. Text is JSON or YAML, in flow style or as lines.
"""

from __future__ import annotations

import json
from typing import Any

from waypost import plan as p
from waypost.compiler.read import document
from waypost.compiler.read.closed_maps import Closed
from waypost.compiler.read.document import Map, Node, Scalar, Seq
from waypost.compiler.read.source import Source, Span
from waypost.compiler.report.diagnostic import Fix, Report
from waypost.lang import shapes
from waypost.lang.shapes import Steps

LARGEST = 256 << 10
"""The most bytes of a file that several values are read from."""

CODES = {"type": "S104", "missing": "S103", "unknown": "S101"}


def read_value(node: Node, name: str, setting: p.Setting, closed: Closed, *, plain_http: bool = False) -> Any:
    """The value of a list or map, each fault reported where it stands; None where there is any."""
    reader = _Plain(closed)
    given = reader.value(node, setting, ())
    if reader.odd:
        return None
    value, misfits = shapes.read(setting, given, plain_http=plain_http)
    for misfit in misfits:
        span = _span(node, misfit.steps, key=misfit.kind == "unknown")
        fix = Fix(span, misfit.near, safe=True) if misfit.near else None
        message = f"the setting `{shapes.place(name, misfit.steps)}` {misfit.says}"
        closed.add(CODES[misfit.kind], message, span, "missing here" if misfit.kind == "missing" else "", fix=fix)
    return None if misfits else value


class _Plain:
    """A value as it stands: where text is wanted, a number or a word is its own text. State: the ways to what is no constant of JSON."""

    def __init__(self, closed: Closed) -> None:
        self.closed = closed
        self.odd: list[Steps] = []

    def value(self, node: Node, setting: p.Setting | None, steps: Steps) -> Any:
        kind = setting.type if setting is not None else ""
        if isinstance(node, Seq):
            part = setting.of if setting is not None else None
            return [self.value(item, part, (*steps, index)) for index, item in enumerate(node.items)]
        if isinstance(node, Map):
            parts = setting.fields if setting is not None and kind == "row" else {}
            each = setting.value if setting is not None and kind == "map" else None
            return {
                key.text: self.value(item, parts.get(key.text, each), (*steps, key.text)) for key, item in node.entries
            }
        if node.kind == "null":
            return None
        if kind in shapes.TEXTS:
            return node.text
        before = len(self.closed.report.found)
        held = self.closed.constant(node)
        if len(self.closed.report.found) > before:
            self.odd.append(steps)
        return held


def _span(node: Node, steps: Steps, *, key: bool = False) -> Span:
    """Where the value at these steps stands, or the nearest around it; `key`: the last step's name."""
    for depth, step in enumerate(steps):
        if isinstance(node, Map) and isinstance(step, str):
            name, inner = node.key(step), node.get(step)
            if key and name is not None and depth == len(steps) - 1:
                return name.span
        else:
            inner = node.items[step] if isinstance(node, Seq) and isinstance(step, int) else None
        if inner is None:
            break
        node = inner
    return node.span


def from_text(name: str, text: str, setting: p.Setting, *, hidden: bool = False) -> tuple[Any, str]:
    """The value that a text holds, not judged yet; or what keeps it from being read, as a sentence that begins with the place in it, and says
    nothing of what is `hidden`."""
    source = Source("the value", text)
    report = Report(source)
    node = _from_json(text) if text.lstrip()[:1] in ("[", "{") else None
    if node is None:
        node = document.read(source, report, f"a {setting.type}")
    reader = _Plain(Closed(report))
    value = reader.value(node, setting, ()) if node is not None and not report.found else None
    for found in report.diagnostics:
        if reader.odd:
            said = "this is no value of JSON" if hidden else found.message
            return None, f"`{shapes.place(name, reader.odd[0])}`: {said}"
        line, column = source.position(found.label.span.start)
        said = f"line {line}, column {column}" if hidden else f"{found.message} (line {line}, column {column})"
        said = said.replace("the file", "it")
        return None, f"`{name}` is a {setting.type}, such as `{shapes.example(setting)}`, and cannot be read: {said}"
    return value, ""


class _Twice(Exception):
    """A key that stands twice in one object, which YAML's reader says with its place."""


def _from_json(text: str) -> Node | None:
    """The tree of a JSON text: an escape may be half a pair there, which YAML has not. None for other text."""
    source, nowhere = Source("the value", text), Span(0, 0)

    def scalar(text: str, kind: str) -> Scalar:
        return Scalar(text, text, kind, "double" if kind == "text" else "plain", nowhere, source)

    def node(value: Any) -> Node:
        if isinstance(value, list):
            return Seq(tuple(map(node, value)), nowhere)
        if isinstance(value, str):
            value.encode()
            return scalar(value, "text")
        return value if isinstance(value, (Scalar, Map)) else scalar(json.dumps(value), _WORDS[value])

    def pairs(found: list[tuple[str, Any]]) -> Map:
        if len({key for key, _ in found}) < len(found):
            raise _Twice
        return Map(tuple((_key(node(key)), node(value)) for key, value in found), nowhere)

    def _key(held: Node) -> Scalar:
        assert isinstance(held, Scalar)
        return held

    try:
        return node(
            json.loads(
                text,
                object_pairs_hook=pairs,
                parse_int=lambda token: scalar(token, "int"),
                parse_float=lambda token: scalar(token, "float"),
                parse_constant=lambda token: scalar(token, "odd"),
            )
        )
    except (ValueError, RecursionError, _Twice):
        return None


_WORDS = {True: "bool", False: "bool", None: "null"}
