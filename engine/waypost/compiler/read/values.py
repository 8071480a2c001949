"""Value expressions and conditions: document nodes become `Val`s, which hold the plan's node and where each part stands.

Takes a node and its `Place` (which roots may be named there). Gives a Val; what cannot be read is reported (families M, P, T, Q) and read as
null, so that the rest of the spec is still checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from waypost import plan as p
from waypost.compiler.check import event_fields
from waypost.compiler.read import several
from waypost.compiler.read.closed_maps import Closed, describe
from waypost.compiler.read.document import Map, Node, Scalar, Seq
from waypost.compiler.read.named_values import NamedValues
from waypost.compiler.read.operators import OPERATORS
from waypost.compiler.read.source import Span
from waypost.compiler.report.diagnostic import Diagnostic, Fix, Label, Report
from waypost.compiler.report.suggest import nearest
from waypost.compiler.spec import Condition, Val
from waypost.lang import fql, jsonpath, template
from waypost.lang.errors import LangError

OTHER_ROOTS = ("item", "settings", "meta", "now", "status", "headers", "body")
"""Names of the language that are no fields of an event: where one stands, it is meant as what it is elsewhere."""
WORDS = ("$omit", "$message", "$messages", "$item", "$key")

_PATH_CODES = {"syntax": "P101", "unsupported": "P102", "unknown_root": "P104"}
_TEMPLATE_CODES = {
    "syntax": "T101",
    "unknown_root": "T102",
    "root_not_here": "T103",
    "unknown_filter": "T104",
    "filter_args": "T105",
    "hyphen": "T111",
    "construct": "T106",
    "loose_filter": "T115",
}
_FQL_CODES = {
    "syntax": "Q101",
    "unknown_root": "Q102",
    "unknown_function": "Q103",
    "type": "Q104",
    "bare_path": "Q105",
    "arity": "Q106",
    "unknown_type": "Q107",
}


@dataclass(frozen=True)
class Place:
    """What may be named at a place: roots of templates, whether `$item` and `$key` are legal, and roots of conditions. `body`: `$body` is, an
    answer's, and there is no event."""

    what: str
    roots: tuple[str, ...]
    item: bool = False
    key: bool = False
    messages: bool = False
    body: bool = False
    fql_roots: frozenset[str] = fql.TRIGGER_ROOTS
    part: p.Setting | None = None
    """What the item is, where it is a part of a setting."""

    def with_item(self, part: p.Setting | None = None) -> Place:
        return replace(self, item=True, roots=(*self.roots, "item"), fql_roots=self.fql_roots | {"item"}, part=part)

    def with_entry(self, part: p.Setting | None = None) -> Place:
        """Within `$each` and `$find`, where an item may be an object's entry."""
        inner = self.with_item(part)
        return replace(inner, key=True, roots=(*inner.roots, "key"), fql_roots=inner.fql_roots | {"key"})


MAPPING = Place("a mapping", ("event", "settings", "meta"))
TEXT = Place("a request", ("event", "settings", "meta", "now"))
BODY = Place("a body", ("event", "settings", "meta", "now"), messages=True)
OBJECTS = Place("a request", ("event", "settings", "meta", "now"))
"""Where an object of headers or of the query stands."""
AUTH = Place("auth", ("settings", "now"))
TRIGGER = Place("a trigger", ())
RESPONSE = Place("a response", (), fql_roots=fql.RESPONSE_ROOTS)
RESULT = Place("a result", ("item", "body"), item=True, body=True, fql_roots=fql.RESPONSE_ROOTS | {"item"})


class Values:
    """Reads the expressions of one spec. State: the Report, and the settings that may be named."""

    def __init__(
        self, report: Report, settings: dict[str, p.Setting], read_map: Callable[[Values, Map, Place], Val]
    ) -> None:
        self.report = report
        self.closed = Closed(report)
        self.settings = settings
        self.used_settings: set[str] = set()
        self.named = NamedValues(report)
        self.requests: dict[int, Any] = {}
        """The destination's request, read once for all actions that do not change it."""
        self._map = read_map

    def add(self, code: str, message: str, span: Span, label: str = "", help: str = "", fix: Fix | None = None) -> None:
        self.report.add(Diagnostic(code, message, Label(span, label), help, (), fix))

    def lang_fault(self, codes: dict[str, str], error: LangError, scalar: Scalar) -> None:
        """A little language's fault, at its place in the file."""
        span = scalar.locate(error.start, error.end)
        fix = self.edit(scalar, error)
        label = f"did you mean `{error.replacement}`?" if error.replacement is not None else ""
        self.add(codes[error.kind], error.message, span, label, error.help, fix)

    @staticmethod
    def edit(scalar: Scalar, error: LangError) -> Fix | None:
        """The replacement as an edit of the file, where the quotes around the text let it stand."""
        written = error.replacement
        if written is None:
            return None
        quote = {"single": "'", "double": '"'}.get(scalar.style, "")
        if scalar.style == "plain" or (quote and not set(written) & {quote, "\\"}):
            return Fix(scalar.locate(error.start, error.end), written, safe=error.certain)
        whole = scalar.text[: error.start] + written + scalar.text[error.end :]
        if scalar.style == "double" and not set(whole) & {"'", "\\", "\n"}:
            return Fix(scalar.span, f"'{whole}'", safe=error.certain)
        return None

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
        self.bare(node)
        return nothing

    def bare(self, node: Scalar) -> None:
        """A bare string: the path or template that it can only be, else either it or the constant."""
        meant, certain = _meant(node.text)
        kind = "event path" if meant and meant.startswith("$.") else "expression"
        written = meant or f"{{$literal: {node.raw}}}"
        self.add(
            "M204",
            f"`{node.text[:60]}` is neither a path nor a constant"
            if node.text
            else "empty text is neither a path nor a constant",
            node.span,
            'expected `$.…`, `"{{ … }}"` or {$literal: …}',
            f"did you mean the {kind} `{meant}`?" if meant else f"write `{written}` to send this text",
            Fix(node.span, written, safe=certain) if "\n" not in node.raw else None,
        )

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
            near = nearest(word[0], (*WORDS, *OPERATORS))
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
            if bar and _DOTTED.fullmatch(head.removeprefix("$")):
                root = "item" if head.startswith("$item") else "event"
                written = f"{{{{ {root}{head.removeprefix('$item').removeprefix('$')} | {filters} }}}}"
                quoted = '"' if '"' not in written else "'"
                fix = Fix(node.span, f"{quoted}{written}{quoted}", safe=quoted not in written)
                self.add("P101", "a path has no filters", node.span, "expected a template", f"write `{fix.text}`", fix)
                return None
            self.lang_fault(_PATH_CODES, error, node)
            return None
        if expr.root == "event" and place.body:
            self.of_no_event(node)
            return None
        if expr.root == "event":
            self.known_fields(expr.parts, node, 0)
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

    def known_fields(self, parts: Sequence[Any], node: Scalar, at: int) -> None:
        """Whether the names of an event's path are fields; `at` is where they begin in the scalar's text."""
        for index, name in enumerate(parts):
            if not isinstance(name, str):
                return
            start = node.text.find(name, at)
            at = start + len(name) if start >= 0 else at
            if event_fields.is_known(tuple(parts[:index]), name):
                continue
            span = node.locate(start, start + len(name)) if start >= 0 else node.span
            if not self.known_field(tuple(parts[:index]), name, span):
                return

    def known_field(self, inside: tuple[Any, ...], name: str, span: Span) -> bool:
        """Whether the name may stand in that object of an event. The event itself is closed; the context is open, but not to slips."""
        if not inside and name not in event_fields.KINDS:
            near = nearest(name, event_fields.KINDS)
            self.add(
                "P103",
                f"`{name}` is not a field of an event",
                span,
                f"did you mean `{near}`?" if near else "",
                "" if near else f"an event has {', '.join(sorted(event_fields.KINDS))}",
                Fix(span, near, safe=True) if near else None,
            )
            return False
        known = event_fields.INSIDE.get(inside)
        if known is None or name in known or len(name) < 3:
            return True
        near = nearest(name, known)
        if near is None:
            return True
        place = ".".join(map(str, inside))
        self.report.add(
            Diagnostic(
                "P105",
                f"`{name}` is not a field of `{place}` that the specification names",
                Label(span, f"did you mean `{near}`?"),
                f"or excuse the line when your events carry it: `# waypost: allow P105 ({place}.{name} is ours)`",
                fix=Fix(span, near),
                severity="warning",
            )
        )
        return False

    def template(self, node: Scalar, place: Place) -> Val | None:
        try:
            found = template.parse(node.text, place.roots)
        except LangError as error:
            codes = _TEMPLATE_CODES if error.kind in _TEMPLATE_CODES else _PATH_CODES
            self.named_anyhow(node)
            self.lang_fault(codes, error, node)
            return None
        self._names(found, node, place)
        return Val(found, node.span, scalar=node)

    def filters(self, node: Scalar, of: p.Value, place: Place) -> p.Value | None:
        """The filters of `filter:` behind a value."""
        try:
            found = template.parse_filters(node.text, of, place.roots)
        except LangError as error:
            codes = _TEMPLATE_CODES if error.kind in _TEMPLATE_CODES else _PATH_CODES
            self.named_anyhow(node)
            self.lang_fault(codes, error, node)
            return None
        # What the value itself names has been judged.
        self._names(p.rewrite(found, lambda held: p.Const(value=None) if held is of else None), node, place)
        return found

    def _names(self, found: p.Value, node: Scalar, place: Place) -> None:
        """The event fields, settings and fields of rows that a template names."""

        def look(inner: p.Value) -> None:
            if isinstance(inner, p.Path) and inner.path.startswith("$."):
                parts = jsonpath.parse(inner.path).parts
                whole = node.text.find(".".join(["event", *map(str, parts)]))
                self.known_fields(parts, node, max(whole, node.text.find("event")) + len("event"))
            elif isinstance(inner, p.Path) and inner.path.startswith("$item"):
                several.known(self.closed, place.part, jsonpath.parse(inner.path, item=True).parts, node.span)
            elif isinstance(inner, p.Ref) and inner.name.startswith("settings."):
                start = node.text.find(inner.name)
                self.setting(inner.name, node.locate(start, start + len(inner.name)) if start >= 0 else node.span)
            elif isinstance(inner, p.Filter) and inner.name in ("replace", "split"):
                self.plain(inner, node)
            elif isinstance(inner, p.Text):
                several.refuse_text(self.closed, self.settings, inner.parts, node)

        p.rewrite(found, look)

    def plain(self, found: p.Filter, node: Scalar) -> None:
        """`replace('[^0-9]', '')`: what looks like a pattern is read as the text that it is."""
        text = found.args[0].value if isinstance(found.args[0], p.Const) else ""
        if not _PATTERN.search(text):
            return
        start = node.text.find(text)
        digits = found.name == "replace" and text in ("[^0-9]", "[^\\d]", "\\D", "[^0-9]+", "\\D+")
        label = Label(node.locate(start, start + len(text)) if start >= 0 else node.span, "plain text, not a pattern")
        help = (
            "the filter `digits` keeps the digits"
            if digits
            else "`replace_pattern` takes a pattern"
            if found.name == "replace"
            else "chain one filter for each text: `| replace('-', '') | …`"
        )
        message = f"`{found.name}` finds exactly `{text}`"
        self.report.add(Diagnostic("T113", message, label, help, severity="warning"))

    def named_anyhow(self, node: Scalar) -> None:
        """A setting named in what cannot be read is used all the same."""
        self.used_settings.update(re.findall(r"\bsettings\.(\w+)", node.text))

    def setting(self, name: str, span: Span) -> None:
        """Whether `settings.a` or `settings.a.key` means something."""
        _, first, *rest = name.split(".")
        setting = self.settings.get(first)
        if setting is None:
            near = nearest(first, self.settings)
            self.add(
                "T108",
                f"there is no setting `{first}`",
                span,
                f"did you mean `settings.{near}`?" if near else "",
                f"the settings are {', '.join(self.settings)}" if self.settings else "the spec has no `settings:`",
                Fix(span, ".".join(["settings", near, *rest]), safe=True) if near else None,
            )
            return
        self.used_settings.add(first)
        if not rest:
            return
        if setting.type != "choice":
            self.add("T109", f"the setting `{first}` has no keys", span, help=f"write `settings.{first}`")
        else:
            lacking = [key for key, data in setting.choices.items() if rest[0] not in data]
            if lacking:
                known = sorted({key for data in setting.choices.values() for key in data})
                near = nearest(rest[0], known)
                self.add(
                    "T109",
                    f"the choice `{lacking[0]}` of `{first}` has no `{rest[0]}`",
                    span,
                    f"did you mean `{near}`?" if near else "",
                    "every choice carries the same keys",
                )

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
            self.named_anyhow(Scalar(named, named, "text", "plain", node.span, node.source))
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

    # Conditions.

    def condition(self, node: Node, place: Place, what: str) -> Condition | None:
        if not isinstance(node, Scalar) or node.kind != "text" or not node.text.strip():
            self.add(
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
            self.named_anyhow(node)
            self.lang_fault(_FQL_CODES, error, node)
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
            self.lang_fault({**_FQL_CODES, "unknown_root": "Q112"} if elsewhere else _FQL_CODES, fault, node)
            broken = broken or elsewhere or fault.kind != "unknown_root"
        for path in fql.paths(tree):
            if of_event and path.steps[0] == "context":
                self.known_fields(path.steps, node, path.span[0])
            if path.steps[0] == "settings" and "settings" in place.fql_roots:
                if len(path.steps) < 2:
                    self.add("Q112", "`settings` is used as `settings.name`", node.locate(*path.span))
                else:
                    self.setting(".".join(map(str, path.steps[:3])), node.locate(*path.span))
            if path.steps[0] == "item" and "item" in place.fql_roots:
                several.known(self.closed, place.part, path.steps[1:], node.locate(*path.span))
        broken = several.refuse_condition(self.closed, self.settings, tree, node) or broken
        # A field that the specification does not name may be excused, so it is judged no further.
        return None if broken else Condition(tree, node)


_TEXT_PATH = re.compile(r"\$?(settings|event|meta)\.(\w+)(?:\.\w+)*")
"""What in a text position can only be a template without its braces."""


def _is_text(text: str) -> bool:
    """Whether a `$` at the start is text before a template (`$device:{{ … }}`), and no path with something behind it."""
    head = re.match(r"\$(\w*)([.\[]?)", text.partition("{{")[0])
    if head is None or "{{" not in text:
        return False
    name, sign = head.groups()
    return not sign or (name not in ("", "item", "messages", "message", *OTHER_ROOTS) and name not in fql.EVENT_ROOTS)


_PATTERN = re.compile(
    r"\[\^|\[[^\]]*\w-\w[^\]]*\]|\[[^\]]+\][+*?{]|\[[^\w\s]{2,}\]|\\[dDwWsSbB.]|\.[*+]|\((?:\?|[^()]*\|)|^\^."
)
"""What hardly stands in a text that is to be found as it is."""

_FIELD = r"[A-Za-z_]\w*"
_DOTTED = re.compile(rf"\.?({_FIELD})((?:\.{_FIELD}|\[(?:\d+|\*)\])*)")


def _meant(text: str) -> tuple[str | None, bool]:
    """The expression that a bare string was meant as, and whether it can have meant nothing else."""
    head, _, filters = text.partition("|")
    found = _DOTTED.fullmatch(head.strip())
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
