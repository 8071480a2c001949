"""Conditions: a scalar of FQL becomes a tree whose names have been looked up.

Takes the node, its Place, and what the condition is called. Gives a Condition, or None for what cannot be read or can never hold, which is
reported (family Q).
"""

from __future__ import annotations

from waypost.compiler.read import several
from waypost.compiler.read.closed_maps import describe
from waypost.compiler.read.document import Node, Scalar
from waypost.compiler.read.lang_faults import FQL_CODES, report_fault
from waypost.compiler.read.names import Names
from waypost.compiler.read.places import OTHER_ROOTS, Place
from waypost.compiler.spec import Condition
from waypost.lang import fql
from waypost.lang.errors import LangError


def read_condition(names: Names, node: Node, place: Place, what: str) -> Condition | None:
    closed = names.closed
    if not isinstance(node, Scalar) or node.kind != "text" or not node.text.strip():
        closed.add(
            "Q101",
            f"{what} is a condition",
            node.span,
            f"found {describe(node)}",
            'write `type in ["identify", "track"]` with the types that you mean'
            if isinstance(node, Scalar) and node.kind == "bool"
            else 'write one, such as `type = "track"`',
        )
        return None
    try:
        tree = fql.read(node.text)
    except LangError as error:
        names.named_anyhow(node)
        report_fault(closed, FQL_CODES, error, node)
        return None
    of_event = "type" in place.fql_roots
    faults = fql.lint(tree, roots=place.fql_roots, event_types=of_event)
    broken = False
    for fault in faults:
        named = node.text[fault.start : fault.end]
        if fault.kind == "unknown_root" and fault.replacement is None and "item" in place.fql_roots:
            fault.help = f"a field of the item is `item.{named}`"
        elif fault.kind == "unknown_root" and named == "item":
            fault.help = "`item` stands only in `where`, beside `each` or within `$each`"
        elif fault.kind == "unknown_root" and named == "key":
            fault.help = "the name of an entry is `key` only within `$each` and `$find`"
        elsewhere = fault.kind == "unknown_root" and (not of_event or named in OTHER_ROOTS)
        if fault.kind == "unknown_root" and not elsewhere:
            excuse = f"excuse the line when your events carry it: `# waypost: allow Q102 ({named} is ours)`"
            near = (fault.replacement or "").isidentifier()
            fault.help = f"or {excuse}" if near else f"{fault.help}; or {excuse}"
        report_fault(closed, {**FQL_CODES, "unknown_root": "Q112"} if elsewhere else FQL_CODES, fault, node)
        broken = broken or elsewhere or fault.kind != "unknown_root"
    for path in fql.paths(tree):
        if of_event and path.steps[0] == "context":
            names.known_fields(path.steps, node, path.span[0])
        if path.steps[0] == "settings" and "settings" in place.fql_roots:
            if len(path.steps) < 2:
                closed.add("Q112", "`settings` is used as `settings.name`", node.locate(*path.span))
            else:
                names.setting(".".join(map(str, path.steps[:3])), node.locate(*path.span))
        if path.steps[0] == "item" and "item" in place.fql_roots:
            several.known(closed, place.part, path.steps[1:], node.locate(*path.span))
    broken = several.refuse_condition(closed, names.settings, tree, node) or broken
    # A field that the specification does not name may be excused, so it is judged no further.
    return None if broken else Condition(tree, node)
