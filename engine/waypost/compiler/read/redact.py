"""`redact` of a connection: paths to the members that are taken out of every event before any action sees it.

Takes the node and the readers of values. Gives the paths in canonical form. What would cut nothing, or another thing than was meant, is
reported at its place (P109): an index or a slice, an end that is no member, the event's type, its opt-outs, a path within another.
"""

from __future__ import annotations

from waypost.compiler.read.bare_text import DOTTED
from waypost.compiler.read.closed_maps import Closed, describe
from waypost.compiler.read.document import Node, Scalar, Seq
from waypost.compiler.read.places import OTHER_ROOTS, Place
from waypost.compiler.read.values import Values
from waypost.compiler.report.diagnostic import Fix
from waypost.lang import jsonpath
from waypost.lang.jsonpath import Part, Wild

REDACT = Place("`redact`", ("event",))
KEPT = {
    "type": "an event without its type is no event; `enabled: false` sends nothing",
    "integrations": "people's opt-outs stand there; `integrations: ignore` is how a connection does not hear them",
}
"""Members that mean something before any action is asked."""


def read_redact(node: Node | None, values: Values) -> list[str]:
    if node is None:
        return []
    closed = values.closed
    if not isinstance(node, Seq) or not node.items:
        fix = Fix(node.span, f"[{node.raw}]") if isinstance(node, Scalar) and node.text.startswith("$") else None
        closed.add(
            "S104", "`redact` is a list of paths", node.span, f"found {describe(node)}", "write `[$.traits.email]`", fix
        )
        return []
    found: dict[tuple[Part, ...], str] = {}
    for item in node.items:
        path = _path(item, values)
        if path is None:
            continue
        parts = jsonpath.parse(path).parts
        near = next((held for held in found if held[: len(parts)] == parts[: len(held)]), None)
        if near is None:
            found[parts] = path
        elif len(near) <= len(parts):
            closed.add("S108", f"`{path}` is cut with `{found[near]}`, which is named before", item.span, "remove it")
        else:
            closed.add(
                "S108", f"`{found[near]}`, which is named before, is cut with `{path}`", item.span, "one is enough"
            )
    return list(found.values())


def _path(item: Node, values: Values) -> str | None:
    closed = values.closed
    if not isinstance(item, Scalar) or item.kind == "null":
        closed.add(
            "S104", "an item of `redact` is a path", item.span, f"found {describe(item)}", "write `$.traits.email`"
        )
        return None
    if not item.text.startswith("$"):
        _no_path(item, closed)
        return None
    read = values.path(item, REDACT)
    if read is None:
        return None
    path = str(getattr(read.node, "path", ""))
    parts = jsonpath.parse(path).parts
    if not parts:
        _refuse(item, 0, 1, "`$` is the whole event", "`enabled: false` sends nothing", closed)
    elif parts[0] in KEPT:
        _refuse(item, 2, 2 + len(str(parts[0])), f"`{parts[0]}` is not redacted", KEPT[str(parts[0])], closed)
    elif (odd := next((part for part in parts if not isinstance(part, (str, Wild))), None)) is not None:
        start = item.text.find("..") if isinstance(odd, jsonpath.Descend) else item.text.find("[")
        help_text = "name the members, with `[*]` for each item of a list, such as `$.properties.products[*].price`"
        _refuse(item, max(start, 0), len(item.text), "`redact` cuts members, by their names", help_text, closed)
    elif isinstance(parts[-1], Wild):
        start = max(item.text.rfind("["), item.text.rfind(".*"))
        help_text = (
            f"cut the list itself: `{item.text[:start]}`" if len(parts) > 1 else "`enabled: false` sends nothing"
        )
        _refuse(item, start, len(item.text), "a path of `redact` ends with a member's name", help_text, closed)
    else:
        return path
    return None


def _no_path(item: Scalar, closed: Closed) -> None:
    near = "$." + item.text.removeprefix("event.").lstrip(".")
    meant = DOTTED.fullmatch(item.text) is not None and item.text.partition(".")[0] not in OTHER_ROOTS
    fix = Fix(item.span, near) if meant else None
    label = f"did you mean `{near}`?" if meant else f"found {describe(item)}"
    closed.add("P101", "a path begins with `$`, such as `$.traits.email`", item.span, label, fix=fix)


def _refuse(item: Scalar, start: int, end: int, message: str, help_text: str, closed: Closed) -> None:
    closed.add("P109", message, item.locate(start, end), "not cut", help_text)
