"""The names that mean a destination in an event's `integrations`: in a spec, and in a connection, which may also ignore what events say.

Takes the node and the Closed of its file. Gives the names, or None where nothing is said: then they are the destination's title and name.
"""

from __future__ import annotations

from waypost.compiler.read.closed_maps import Closed, describe
from waypost.compiler.read.document import Node, Scalar, Seq
from waypost.compiler.report.diagnostic import Fix

IGNORE = "ignore"
ALL = "All"


def read_names(node: Node | None, closed: Closed, *, may_ignore: bool = False) -> list[str] | None:
    """`may_ignore`: the word `ignore` gives no names, and so nothing that switches off."""
    if node is None:
        return None
    if may_ignore and isinstance(node, Scalar) and node.text == IGNORE:
        return []
    if not isinstance(node, Seq) or not node.items:
        _no_list(node, closed, may_ignore)
        return None
    found: list[str] = []
    for item in node.items:
        text = closed.text(item, "a name in `integrations`")
        if text == ALL:
            closed.add("S104", f"`{ALL}` means every destination", item.span, "it cannot mean this one", "remove it")
        elif text in found:
            closed.add("S108", f"`{text}` is named twice", item.span, "remove it")
        elif text:
            found.append(text)
        elif isinstance(item, Scalar) and item.kind == "text":
            closed.add("S104", "a name in `integrations` is not empty", item.span, "found empty text")
    return found


def _no_list(node: Node, closed: Closed, may_ignore: bool) -> None:
    what = "`integrations` is a list of names" + (f", or `{IGNORE}`" if may_ignore else "")
    help_text, fix = "write the names that people switch off by, such as `[My CRM, crm]`", None
    if isinstance(node, Scalar) and node.text == IGNORE:
        help_text = f"`integrations: {IGNORE}` is a connection's to say, in waypost.yaml"
    elif isinstance(node, Scalar) and node.kind == "text" and node.text:
        help_text = f"write `[{node.raw}]`"
        fix = Fix(node.span, f"[{node.raw}]", safe=True)
    closed.add("S104", what, node.span, f"found {describe(node)}", help_text, fix)


def meaning(names: list[str] | None, title: str, name: str) -> list[str]:
    """What a plan keeps: the names that are said, else title and name."""
    return list(dict.fromkeys(word for word in (title, name) if word)) if names is None else names
