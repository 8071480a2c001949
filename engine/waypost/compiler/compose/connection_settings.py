"""The setting values of a connection, judged against the settings that its destination has.

Takes the connection and the destination's settings. Gives the values as written: constants, and `env:NAME` or `file:PATH`, which are bound
when the plan is linked. A secret stands in the file only as one of these two.
"""

from __future__ import annotations

import re
from typing import Any

from waypost import plan as p
from waypost.compiler.read.closed_maps import Closed, describe
from waypost.compiler.read.connections_file import ConnectionSpec, is_reference
from waypost.compiler.read.document import Node, Scalar
from waypost.compiler.read.setting_values import read_value
from waypost.compiler.report.diagnostic import Fix, Report
from waypost.compiler.report.suggest import nearest
from waypost.compiler.spec import SettingSpec
from waypost.lang import shapes
from waypost.lang.urls import is_plain, url_fault

_KINDS = {"integer": ("int",), "number": ("int", "float"), "boolean": ("bool",)}


def read_settings(connection: ConnectionSpec, settings: dict[str, SettingSpec], report: Report) -> dict[str, Any]:
    closed = Closed(report)
    found: dict[str, Any] = {}
    held = connection.settings
    for name, node in held.entries if held else ():
        if name.text.startswith("x-"):
            continue
        if name.text not in settings:
            near = nearest(name.text, settings)
            closed.add(
                "T108",
                f"`{connection.destination.value}` has no setting `{name.text}`",
                name.span,
                f"did you mean `{near}`?" if near else "",
                f"its settings are {', '.join(settings)}" if settings else "it has no settings",
                Fix(name.span, near, safe=True) if near else None,
            )
            continue
        found[name.text] = _value(name.text, node, settings[name.text].setting, closed, connection.plain_http)
    for missing, item in settings.items():
        if missing not in found and item.setting.default is None and not item.setting.optional:
            example = shapes.example(item.setting) if item.setting.type in shapes.SEVERAL else "…"
            key = f"{missing}: env:{missing.upper()}" if item.setting.secret else f"{missing}: {example}"
            label = f" ({item.setting.label})" if item.setting.label else ""
            closed.add(
                "S103",
                f"the connection `{connection.name.value}` needs the setting `{missing}`{label}",
                held.span if held else connection.name.span,
                "missing here",
                f"write `{key}`" if held else f"write `settings: {{{key}}}`",
            )
    return found


def _value(name: str, node: Node, setting: p.Setting, closed: Closed, plain_http: bool) -> Any:
    if setting.type in shapes.SEVERAL and not (isinstance(node, Scalar) and shapes.is_reference(node.text)):
        return read_value(node, name, setting, closed, plain_http=plain_http)
    if not isinstance(node, Scalar) or node.kind == "null" or node.text == "":
        closed.add("S104", f"the setting `{name}` is one value", node.span, f"found {describe(node)}")
        return None
    if setting.secret or shapes.is_reference(node.text):
        return node.text if is_reference(node, f"the setting `{name}`", name, closed) else None
    if setting.type == "choice":
        return closed.one_of(node, setting.choices, f"the setting `{name}`", "")
    if setting.type in _KINDS:
        if node.kind in _KINDS[setting.type]:
            return closed.constant(node)
        closed.add(
            "S104", f"the setting `{name}` is {shapes.ARTICLES[setting.type]}", node.span, f"found {describe(node)}"
        )
        return None
    if setting.type == "url":
        fault = url_fault(node.text, plain_http=plain_http)
        if fault is not None:
            help_line = "write `plain_http: true` into the connection if an inner network has no https"
            plain = is_plain(node.text) and not plain_http
            closed.add("S104", f"the setting `{name}` {fault}", node.span, "", help_line if plain else "")
        return node.text.rstrip("/") if fault is None else None
    if re.search(r"[\r\n]", node.text):
        closed.add("S104", f"the setting `{name}` is one line of text", node.span, "found several")
    return node.text
