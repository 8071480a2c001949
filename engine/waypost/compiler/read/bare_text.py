"""Text in a value position that is neither a path nor a template: what it was meant as.

Takes the scalar. Reports M204, with the expression that it can only be, or with the two that it may be.
"""

from __future__ import annotations

import re

from waypost.compiler.read.closed_maps import Closed
from waypost.compiler.read.document import Scalar
from waypost.compiler.report.diagnostic import Fix
from waypost.compiler.report.suggest import nearest
from waypost.lang import fql


def report_bare(closed: Closed, node: Scalar) -> None:
    """A bare string: the path or template that it can only be, else either it or the constant."""
    meant, certain = _meant(node.text)
    kind = "event path" if meant and meant.startswith("$.") else "expression"
    written = meant or f"{{$literal: {node.raw}}}"
    closed.add(
        "M204",
        f"`{node.text[:60]}` is neither a path nor a constant"
        if node.text
        else "empty text is neither a path nor a constant",
        node.span,
        'expected `$.…`, `"{{ … }}"` or {$literal: …}',
        f"did you mean the {kind} `{meant}`?" if meant else f"write `{written}` to send this text",
        Fix(node.span, written, safe=certain) if "\n" not in node.raw else None,
    )


_FIELD = r"[A-Za-z_]\w*"
DOTTED = re.compile(rf"\.?({_FIELD})((?:\.{_FIELD}|\[(?:\d+|\*)\])*)")


def _meant(text: str) -> tuple[str | None, bool]:
    """The expression that a bare string was meant as, and whether it can have meant nothing else."""
    head, _, filters = text.partition("|")
    found = DOTTED.fullmatch(head.strip())
    if found is None:
        return None, False
    root, rest = found[1], found[2]
    dotted = bool(rest) or text.startswith(".")
    if root in ("settings", "meta", "now") and (rest or root == "now"):
        return f'"{{{{ {text} }}}}"', False
    if root == "item" and rest:
        return (f"$item{rest}", True) if not filters else (f'"{{{{ {text} }}}}"', False)
    if root == "event" and rest:
        root, rest = rest[1:].split(".", 1)[0].split("[", 1)[0], rest[1:]
        rest = rest[len(root) :]
    if root not in fql.EVENT_ROOTS:
        near = nearest(root, fql.EVENT_ROOTS) if dotted else None
        if near is None:
            return None, False
        return f"$.{near}{rest}", False
    if filters:
        return f'"{{{{ event.{root}{rest} |{filters} }}}}"', False
    return f"$.{root}{rest}", dotted
