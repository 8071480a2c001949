"""Settings of a connection that choose a part of a host, judged as far as they stand in the file; what is bound later is asked then."""

from __future__ import annotations

from typing import Any

from waypost import plan as p
from waypost.compiler.read.connections_file import ConnectionSpec
from waypost.compiler.report.diagnostic import Diagnostic, Label, Report
from waypost.compiler.spec import Spec
from waypost.lang.hosts import Piece, origin_fault, origin_of, piece_fault
from waypost.lang.shapes import is_reference


def check_hosts(connection: ConnectionSpec, spec: Spec, settings: dict[str, Any], report: Report) -> None:
    said: set[str] = set()
    for request in spec.requests():
        origin = origin_of(request.url.node)
        if origin is None or origin.based:
            continue
        texts: list[str | None] = []
        for piece in origin.pieces:
            name, text = _written(piece, spec, settings)
            texts.append(text)
            fault = piece_fault(text, piece) if piece.place and text is not None else None
            if fault is not None and name in settings and name not in said:
                said.add(name)
                _refuse(connection, [name], f"it {fault}", report)
        if origin.chosen and not said and None not in texts:
            fault = origin_fault("".join(text or "" for text in texts), plain_http=connection.plain_http)
            names = [
                name for name in (_written(piece, spec, settings)[0] for piece in origin.chosen) if name in settings
            ]
            if fault is not None and names:
                said.update(names)
                _refuse(connection, names, f"the url with it {fault}", report)


def _written(piece: Piece, spec: Spec, settings: dict[str, Any]) -> tuple[str, str | None]:
    """The setting's name and its text, which is None where it is not known yet."""
    if isinstance(piece.node, p.Const):
        return "", str(piece.node.value)
    if not isinstance(piece.node, p.Ref):
        return "", None
    _, name, *rest = piece.node.name.split(".")
    setting = spec.settings[name].setting
    value = settings.get(name, setting.default)
    if value is None or is_reference(value):
        return name, None
    return name, str(setting.choices.get(value, {}).get(rest[0], "")) if rest else str(value)


def _refuse(connection: ConnectionSpec, names: list[str], why: str, report: Report) -> None:
    held = connection.settings
    node = held.get(names[0]) if held else None
    span = node.span if node else connection.name.span
    named = " and ".join(f"`{name}`" for name in names)
    what = "the setting" if len(names) == 1 else "the settings"
    report.add(Diagnostic("S104", f"{what} {named} cannot choose where requests go: {why}", Label(span)))
