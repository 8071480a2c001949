"""Constants that can never hold (M220, M203) and operands that a filter or sign can never take (T114): every event would be rejected.

Takes a Spec. What is known when the spec is compiled is computed with the functions that the runtime uses, so that nothing is judged by a
rule of its own; of what is not known, the kind is enough where no value of it can be taken.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any, Final

from waypost import plan as p
from waypost.compiler.check.mappings import kind
from waypost.compiler.read.source import Span
from waypost.compiler.report.diagnostic import Diagnostic, Label, Report
from waypost.compiler.spec import Spec, Val
from waypost.lang import arithmetic, checks, filters, template
from waypost.lang.values import MISSING, Fault

UNKNOWN: Final = object()
"""What only an event or a setting tells."""

_OF_SETTING: Final = {
    "boolean": "boolean",
    "integer": "number",
    "number": "number",
    "list": "array",
    "map": "object",
}

_SAID: Final = {
    "string": "text",
    "array": "a list",
    "object": "an object",
    "number": "a number",
    "boolean": "true or false",
}


def check(spec: Spec, report: Report) -> None:
    for val in _whole(spec):
        for inner in val.walk():
            if inner.broken:
                continue
            if isinstance(inner.node, p.From):
                _checks(inner, inner.node, report)
            elif isinstance(inner.node, p.Lookup):
                _looked_up(inner, report)
            elif isinstance(inner.node, (p.Filter, p.Arith, p.Text)) and inner.scalar is not None:
                _Template(spec, inner, report).judge(inner.node)


def _whole(spec: Spec) -> Iterator[Val]:
    yield from spec.auth.all()
    for action in spec.actions.values():
        yield action.mapping
        yield from action.request.values()
        if action.each is not None:
            yield action.each


def _checks(val: Val, node: p.From, report: Report) -> None:
    """The constants that reach the checks of a `$from`, and its own default."""
    plain = p.From(of=node.of, **{name: getattr(node, name) for name in _JUDGED})
    for constant, span in _constants(val.parts[0]):
        try:
            checks.run_checks(plain, constant, 0.0)
        except Fault as fault:
            _refused(constant, fault, span, report)
    if isinstance(node.default, p.Const) and node.default.value is not None:
        try:
            checks.run_checks(plain, node.default.value, 0.0)
        except Fault as fault:
            span = val.words.get("default", val.span)
            if ("M203", span) not in report.found:
                _refused(node.default.value, fault, span, report, "the default ", "M203")


_JUDGED = ("nulls", "empty", "single", "type", "enum", "format", "pattern", "max_length", "max_bytes")


def _refused(constant: Any, fault: Fault, span: Span, report: Report, what: str = "", code: str = "M220") -> None:
    report.add(
        Diagnostic(
            code,
            f"{what}{checks.shown(constant)} is refused by the checks of its own field",
            Label(span, fault.message),
            "change one of the two",
        )
    )


def _constants(val: Val) -> Iterator[tuple[Any, Span]]:
    """The constants that an expression may give, with their places."""
    node = val.node
    if isinstance(node, p.Const):
        if not val.broken:
            yield node.value, val.span
    elif isinstance(node, p.Lookup):
        for name, constant in node.table.items():
            yield constant, val.keys.get(name, val.span)
        for other in val.parts[1:]:
            yield from _constants(other)
    elif isinstance(node, (p.When, p.First)):
        for part in val.parts:
            yield from _constants(part)
    elif isinstance(node, p.From) and isinstance(node.default, p.Const):
        yield node.default.value, val.words.get("default", val.span)
    elif isinstance(node, (p.Filter, p.Arith, p.Text)):
        found = computed_or_unknown(node)
        if found is not UNKNOWN:
            yield found, val.span


def _looked_up(val: Val, report: Report) -> None:
    found = kind(val.parts[0])
    if found in ("object", "array", "list"):
        report.add(
            Diagnostic(
                "M201",
                "`$lookup` takes text, numbers and booleans, and this is never one",
                Label(val.parts[0].span, f"always {_SAID.get(found, found)}"),
            )
        )


def computed(node: p.Value) -> Any:
    """The value of an expression of constants, else UNKNOWN. Raises Fault."""
    if isinstance(node, p.Const):
        return node.value
    if isinstance(node, p.Filter):
        given = [computed(inner) for inner in (node.of, *node.args)]
        return UNKNOWN if UNKNOWN in given else filters.apply(node.name, given[0], tuple(given[1:]))
    if isinstance(node, p.Arith):
        left, right = computed(node.left), computed(node.right)
        return UNKNOWN if left is UNKNOWN or right is UNKNOWN else arithmetic.arith(node.sign, left, right)
    return UNKNOWN


class _Template:
    """Judges one template. State: the spec, whose settings have kinds, and the report that it adds to."""

    def __init__(self, spec: Spec, val: Val, report: Report) -> None:
        self.spec, self.val, self.report = spec, val, report

    def judge(self, node: p.Value) -> bool:
        """Whether the expression may have a value; what has none is reported, innermost first, and only once."""
        if isinstance(node, p.Text):
            return sum(not self.judge(part) for part in node.parts) == 0
        if isinstance(node, p.Filter):
            return sum(not self.judge(inner) for inner in (node.of, *node.args)) == 0 and self.filter(node)
        if isinstance(node, p.Arith):
            return sum(not self.judge(inner) for inner in (node.left, node.right)) == 0 and self.arith(node)
        return True

    def filter(self, node: p.Filter) -> bool:
        row = filters.FILTERS[node.name]
        found = self.kind(node.of)
        if found is not None and node.name != "default" and found not in row.takes:
            takes = " or ".join(_SAID[name] for name in row.takes)
            return self.never(
                f"`{node.name}` takes {takes}, and what stands before it is always {_SAID[found]}", node.name
            )
        # A value that the filter takes shows what its arguments are worth.
        known = computed_or_unknown(node.of)
        samples = (
            [known]
            if known is not UNKNOWN
            else [given for given, _, gives in row.examples if gives is not filters.FAULT]
        )
        args = [computed_or_unknown(arg) for arg in node.args]
        if UNKNOWN in args or (known is UNKNOWN and not args):
            return True
        try:
            for sample in samples:
                filters.apply(node.name, sample, tuple(args))
        except Fault as fault:
            return self.never(fault.message, node.name)
        return True

    def arith(self, node: p.Arith) -> bool:
        for side in (node.left, node.right):
            found = self.kind(side)
            if found not in (None, "number"):
                return self.never(
                    f"`{node.sign}` takes numbers, and one side is always {_SAID[found]}", node.sign, self.joined(node)
                )
        left, right = computed_or_unknown(node.left), computed_or_unknown(node.right)
        try:
            arithmetic.arith(node.sign, 1 if left is UNKNOWN else left, 1 if right is UNKNOWN else right)
        except Fault as fault:
            if left is not UNKNOWN or node.sign == "/":
                return self.never(fault.message, node.sign)
        return True

    def joined(self, node: p.Arith) -> str:
        """The template that was meant where `+` stands between texts."""
        texts = {"string"} & {self.kind(node.left), self.kind(node.right)}
        if node.sign != "+" or not texts or self.val.scalar is None:
            return "the filter `number` reads text as a number" if texts else ""
        written = ""
        for piece in template.split(self.val.scalar.text):
            written += _beside(piece.text) if piece.kind == "code" else piece.text
        quote = "'" if '"' in written else '"'
        return f"text is joined by writing it beside the braces: `{quote}{written}{quote}`"

    def kind(self, node: p.Value) -> str | None:
        """The kind that an operand has whenever it has a value, by the language alone: what senders put into an event is not judged here."""
        if isinstance(node, p.Ref):
            root, _, rest = node.name.partition(".")
            if root == "meta":
                return "string"
            held = self.spec.settings.get(rest.partition(".")[0]) if root == "settings" else None
            if held is None or "." in rest:
                return None
            return _OF_SETTING.get(held.setting.type, "string")
        if isinstance(node, p.Filter) and node.name == "default":
            given = {self.kind(node.of), self.kind(node.args[0])}
            return given.pop() if len(given) == 1 else None
        if isinstance(node, p.Path):
            found = kind(Val(node, self.val.span))
            return found if found in ("object", "boolean") else "array" if found in ("array", "list") else None
        return kind(Val(node, self.val.span))

    def never(self, message: str, sign: str, help: str = "") -> bool:
        scalar = self.val.scalar
        assert scalar is not None
        code = re.sub(r"\"[^\"]*\"|'[^']*'", lambda found: "_" * len(found[0]), scalar.text)
        at = re.search(rf"(?<![\w.]){re.escape(sign)}(?!\w)" if sign.isidentifier() else re.escape(sign), code)
        span = scalar.locate(*at.span()) if at else self.val.span
        self.report.add(Diagnostic("T114", f"{message}: this never has a value", Label(span), help))
        return False


def _beside(code: str) -> str:
    """The code of a template with what its `+` joins written beside braces."""
    blank = re.sub(r"\"[^\"]*\"|'[^']*'|\([^()]*\)", lambda found: "_" * len(found[0]), code)
    cuts = [-1, *(found.start() for found in re.finditer(r"\+", blank)), len(code)]
    parts = [code[start + 1 : end].strip() for start, end in itertools.pairwise(cuts)]
    quoted = re.compile(r"\"[^\"]*\"|'[^']*'")
    return "".join(part[1:-1] if quoted.fullmatch(part) else f"{{{{ {part} }}}}" for part in parts)


def computed_or_unknown(node: p.Value) -> Any:
    """The same where an inner fault has been reported."""
    try:
        found = computed(node)
    except Fault:
        return UNKNOWN
    return UNKNOWN if found is MISSING else found
