"""Value expressions: document nodes become `Val`s, which hold the plan's node and where each part stands.

Takes a node and its `Place` (which roots may be named there). Gives a Val; what cannot be read is reported (families M, P, T, Q) and read as
null, so that the rest of the spec is still checked. What the parts of an expression name is judged in names.py, conditions in conditions.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from waypost import plan as p
from waypost.compiler.compose.reuse import is_omit
from waypost.compiler.read import several
from waypost.compiler.read.bare_text import DOTTED, report_bare
from waypost.compiler.read.closed_maps import Closed, describe
from waypost.compiler.read.conditions import read_condition
from waypost.compiler.read.document import Map, Node, Scalar, Seq
from waypost.compiler.read.lang_faults import PATH_CODES, TEMPLATE_CODES, report_fault
from waypost.compiler.read.named_values import NamedValues
from waypost.compiler.read.names import Names
from waypost.compiler.read.operators import OPERATORS
from waypost.compiler.read.places import OTHER_ROOTS, Place
from waypost.compiler.read.source import Span
from waypost.compiler.report.diagnostic import Fix, Report
from waypost.compiler.report.suggest import nearest
from waypost.compiler.spec import Condition, Val
from waypost.lang import fql, jsonpath, template
from waypost.lang.errors import LangError

WORDS = ("$omit", "$message", "$messages", "$item", "$key")


class Values:
    """Reads the expressions of one spec. State: the Report, and the settings that may be named."""

    def __init__(
        self, report: Report, settings: dict[str, p.Setting], read_map: Callable[[Values, Map, Place], Val]
    ) -> None:
        self.report = report
        self.closed = Closed(report)
        self.add = self.closed.add
        self.settings = settings
        self.names = Names(self.closed, settings)
        self.named = NamedValues(report)
        self.requests: dict[int, Any] = {}
        """The destination's request, read once for all actions that do not change it."""
        self._map = read_map

    # Value positions.

    def value(self, node: Node, place: Place) -> Val:
        if isinstance(node, Seq):
            parts = tuple(self.value(item, place) for item in node.items)
            return Val(p.Items(items=[part.node for part in parts]), node.span, parts)
        if isinstance(node, Map):
            return self._map(self, node, place)
        if node.kind == "text":
            return self.string(node, place)
        if node.kind == "null" and not node.raw:
            self.add(
                "M217", "there is no value here", node.span, "nothing, which is null", "write the value, or `null`"
            )
            return Val(p.Const(value=None), node.span, scalar=node, broken=True)
        return Val(p.Const(value=self.closed.constant(node, value=True)), node.span, scalar=node)

    def string(self, node: Scalar, place: Place) -> Val:
        nothing = Val(p.Const(value=None), node.span, scalar=node, broken=True)
        if node.text in ("$message", "$messages"):
            if place.messages:
                return Val(p.Messages(many=node.text == "$messages"), node.span, scalar=node)
            self.add("M207", f"`{node.text}` stands only in a request's body", node.span)
            return nothing
        if node.text == "$omit":
            self.add("M208", "`$omit` stands only as the value of a key", node.span, help="leave the value out instead")
            return nothing
        if re.match(r"\$key(?![\w:{-])", node.text):
            return self.key(node, place) or nothing
        if node.text.startswith("$") and not _is_text(node.text):
            return self.path(node, place) or nothing
        if template.has_template(node.text) or "{%" in node.text or "}}" in node.text:
            found = self.template(node, place)
            if found is not None and isinstance(found.node, p.Path) and "|" not in node.text:
                path = found.node.path
                self.add(
                    "T107",
                    "a template that is only a path",
                    node.span,
                    "expected the path itself",
                    fix=Fix(node.span, f"'{path}'" if '"' in path else path, safe=True),
                )
            return found or nothing
        report_bare(self.closed, node)
        return nothing

    def key(self, node: Scalar, place: Place) -> Val | None:
        """`$key`: the name of the entry that is gone over."""
        if place.key and node.text == "$key":
            return Val(p.Ref(name="key"), node.span, scalar=node)
        if place.key:
            self.add("P107", "`$key` is text and has no members", node.span, help="the entry's value is `$item`")
        else:
            help_text = "a member of the event is `$.key`"
            self.add("P107", "`$key` stands only within `$each` and `$find`", node.span, help=help_text)
        return None

    def path(self, node: Scalar, place: Place) -> Val | None:
        if (whole := re.match(r"\$messages?(?=[.\[])", node.text)) is not None:
            self.add(
                "M207",
                f"`{whole[0]}` stands alone",
                node.span,
                "nothing in it can be named",
                f"write `{{events: {whole[0]}}}` for an object that holds it, or map the field in `mapping`",
            )
            return None
        word = re.match(r"\$[A-Za-z_]+", node.text)
        if word and word[0] not in ("$item", "$body" if place.body else "$item"):
            if word[0] in OPERATORS:
                shown = f"`{{{word[0]}: …}}`"
                self.add("M205", f"`{word[0]}` is the key of a map", node.span, f"expected {shown}", f"write {shown}")
                return None
            near = nearest(word[0], WORDS)
            span = node.locate(0, word.end())
            as_path = "$." + node.text[1:]
            known = word[0][1:] in fql.EVENT_ROOTS
            label = f"did you mean `{as_path if known else near}`?" if known or near else ""
            self.add(
                "M205",
                f"there is no word `{word[0]}`",
                span,
                label,
                "a path begins with `$.`",
                Fix(node.span, as_path, safe=node.style == "plain") if known else None,
            )
            return None
        try:
            expr = jsonpath.parse(node.text, item=place.item, body=place.body)
        except LangError as error:
            head, bar, filters = node.text.partition(" | ")
            if bar and DOTTED.fullmatch(head.removeprefix("$")):
                root = "item" if head.startswith("$item") else "event"
                written = f"{{{{ {root}{head.removeprefix('$item').removeprefix('$')} | {filters} }}}}"
                quoted = '"' if '"' not in written else "'"
                fix = Fix(node.span, f"{quoted}{written}{quoted}", safe=quoted not in written)
                self.add("P101", "a path has no filters", node.span, "expected a template", f"write `{fix.text}`", fix)
                return None
            report_fault(self.closed, PATH_CODES, error, node)
            return None
        if expr.root == "event" and place.body:
            self.of_no_event(node)
            return None
        if expr.root == "event" and "event" not in place.roots:
            help_text = 'a setting holds it: `"{{ settings.… }}"`'
            self.add(
                "P104", f"no event is known in {place.what}", node.span, "nothing is there to take it from", help_text
            )
            return None
        if expr.root == "event":
            self.names.known_fields(expr.parts, node, 0)
        elif not several.known(self.closed, place.part, expr.parts, node.span):
            return None
        return Val(p.Path(path=expr.text), node.span, scalar=node)

    def of_no_event(self, node: Scalar) -> None:
        meant = "$body" + node.text[1:]
        fix = Fix(node.span, meant) if node.style == "plain" else None
        help_text = "what is read here is the answer, not an event"
        self.add(
            "P104", "a path begins with `$body` or `$item` here", node.span, f"did you mean `{meant}`?", help_text, fix
        )

    def template(self, node: Scalar, place: Place) -> Val | None:
        try:
            found = template.parse(node.text, place.roots)
        except LangError as error:
            self.unread(node, error)
            return None
        self.names.of_template(found, node, place)
        return Val(found, node.span, scalar=node)

    def filters(self, node: Scalar, of: p.Value, place: Place) -> p.Value | None:
        """The filters of `filter:` behind a value."""
        try:
            found = template.parse_filters(node.text, of, place.roots)
        except LangError as error:
            self.unread(node, error)
            return None
        # What the value itself names has been judged.
        self.names.of_template(p.rewrite(found, lambda held: p.Const(value=None) if held is of else None), node, place)
        return found

    def unread(self, node: Scalar, error: LangError) -> None:
        """A template that cannot be read: what it names is used all the same."""
        self.names.named_anyhow(node)
        report_fault(self.closed, TEMPLATE_CODES if error.kind in TEMPLATE_CODES else PATH_CODES, error, node)

    # Maps: objects and operators.

    def entries(self, node: Map, place: Place) -> tuple[dict[str, p.Value], tuple[Val, ...], dict[str, Span]]:
        """The ordinary keys of a map: `$$` is a `$`, `$omit` takes a key out."""
        nodes: dict[str, p.Value] = {}
        parts: list[Val] = []
        spans: dict[str, Span] = {}
        for name, value in node.entries:
            if name.text == "$merge":
                continue
            self.fixed_key(name)
            key = name.text[1:] if name.text.startswith("$$") else name.text
            omit = isinstance(value, Scalar) and value.style == "plain" and value.text == "$omit"
            found = Val(p.Omit(), value.span) if omit else self.value(value, place)
            nodes[key] = found.node
            parts.append(found)
            spans[key] = name.span
        return nodes, tuple(parts), spans

    def fixed_key(self, name: Scalar) -> None:
        """A key is text: nothing in it is evaluated."""
        if re.search(r"\{\{.*\}\}", name.text):
            self.add(
                "T112",
                "a template in a key is sent as it is written",
                name.span,
                "keys are fixed",
                'names that an event gives are made by `{$each: V, key: "{{ … }}", to: V}`; all others are part of the spec',
            )

    def object(self, node: Map, place: Place) -> Val:
        nodes, parts, spans = self.entries(node, place)
        return Val(p.Object(entries=nodes), node.span, parts, keys=spans)

    # Text positions.

    def text(self, node: Node, place: Place) -> Val:
        """Text with `{{ }}` inside; a plain scalar is its source text."""
        nothing = Val(p.Const(value=""), node.span)
        if not isinstance(node, Scalar) or node.kind == "null":
            self.add("S104", "this is text", node.span, f"found {describe(node)}")
            return nothing
        found = _TEXT_PATH.fullmatch(node.text)
        if (node.text.startswith("$") and not _is_text(node.text)) or (
            found and (found[1] != "settings" or found[2] in self.settings)
        ):
            bare = node.text.lstrip("$.")
            named = bare if re.match(r"(settings|meta|event|now)\b", bare) else f"event.{bare}"
            self.names.named_anyhow(Scalar(named, named, "text", "plain", node.span, node.source))
            self.add(
                "T110",
                "a path does not stand in text, where it would be sent as it is written",
                node.span,
                'expected text, or `"{{ … }}"`',
                f'write `"{{{{ {named} }}}}"`',
                Fix(node.span, f'"{{{{ {named} }}}}"', safe=bool(found)),
            )
            return nothing
        found_val = self.template(node, place)
        if found_val is not None:
            several.refuse_text(self.closed, self.settings, [found_val.node], node)
        return found_val or nothing

    def texts(self, node: Node | None, place: Place, what: str) -> dict[str, Val]:
        """The entries of a map of texts."""
        held = self.closed.map(node, what)
        found: dict[str, Val] = {}
        for name, value in held.entries if held else ():
            # Below a written entry may lie another, which it takes out.
            found[name.text] = Val(p.Omit(), value.span) if is_omit(value) else self.text(value, place)
        return found

    # Conditions.

    def condition(self, node: Node, place: Place, what: str) -> Condition | None:
        return read_condition(self.names, node, place, what)


_TEXT_PATH = re.compile(r"\$?(settings|event|meta)\.(\w+)(?:\.\w+)*")
"""What in a text position can only be a template without its braces."""


def _is_text(text: str) -> bool:
    """Whether a `$` at the start is text before a template (`$device:{{ … }}`), and no path with something behind it."""
    head = re.match(r"\$(\w*)([.\[]?)", text.partition("{{")[0])
    if head is None or "{{" not in text:
        return False
    name, sign = head.groups()
    return not sign or (name not in ("", "item", "messages", "message", *OTHER_ROOTS) and name not in fql.EVENT_ROOTS)
