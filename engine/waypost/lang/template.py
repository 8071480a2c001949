"""Templates: text with `{{ }}` becomes plan nodes, or a LangError with the offsets of what cannot be taken.

Takes text and the roots that may be named at its place. Gives a Const (no braces), the bare expression (one `{{ }}` alone: its native
value) or Text (mixed: a string). The only importer of jinja2, which reads the expression; what the language leaves out (statements, tests,
calls, comparisons, inline if) is refused by name with what to write instead.

Why Jinja reads but does not run: the subset is paths, constants, filters and arithmetic, so its tree is also the plan's, one meaning serves
every path of the engine, and data is never rendered twice. Jinja's nodes carry a line but no column: offsets come from our own scan of the
names in the expression, in order.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import jinja2
from jinja2 import nodes as j

from waypost import plan as p
from waypost.lang import jsonpath, template_filters, template_habits, template_scan, values
from waypost.lang.errors import LangError

T = TypeVar("T")

ROOTS = ("event", "item", "key", "settings", "meta", "now", "timestamp", "body", "signature")
META = ("id",)
"""`meta.received_at` is a word of the language that nothing fills yet: until something does, it is refused."""

MAX_DEPTH = 64
"""Parts of an expression within each other: more is refused rather than risked."""

_ENVIRONMENT = jinja2.Environment(autoescape=False)
_ARITHMETIC: dict[type, str] = {j.Add: "+", j.Sub: "-", j.Mul: "*", j.Div: "/"}
_INSTEAD: dict[type, tuple[str, str]] = {
    j.CondExpr: ("an inline if", "use `{$when: …, then: …, else: …}`"),
    j.Compare: ("a comparison", "use `{$when: …, then: …, else: …}`"),
    j.And: ("`and`", "use `{$when: …, then: …, else: …}`"),
    j.Or: ("`or`", "use `{$first: [ … ]}`, or `| default( … )`"),
    j.Not: ("`not`", "use `{$when: …, then: …, else: …}`"),
    j.Call: ("a call", "use a filter: `value | name`"),
    j.Test: ("a test (`is`)", "use `{$when: …, then: …, else: …}`"),
    j.Concat: ("`~`", "write the text beside the braces"),
    j.List: ("a list", "write a YAML list"),
    j.Tuple: ("a list", "write a YAML list"),
    j.Dict: ("an object", "write a YAML map"),
    j.Mod: ("`%`", "only + - * / are supported"),
    j.FloorDiv: ("`//`", "use `/` and the filter `integer` or `round`"),
    j.Pow: ("`**`", "only + - * / are supported"),
    j.Slice: ("a slice", "use the filter `slice(a, b)`"),
}


@dataclass(frozen=True)
class Piece:
    """A stretch of a template: `kind` is "text" or "code" (what stands between the braces), with its offsets."""

    kind: str
    text: str
    start: int
    end: int


def has_template(text: str) -> bool:
    return "{{" in text


def parse(text: str, roots: frozenset[str] | tuple[str, ...] = ROOTS) -> p.Value:
    """The plan node of a template. Raises LangError: syntax, construct, unknown_root, root_not_here, unknown_filter, filter_args."""
    pieces = list(split(text))
    parts: list[p.Value] = []
    for piece in pieces:
        parts.append(p.Const(value=piece.text) if piece.kind == "text" else _Reader(piece, frozenset(roots)).value())
    if not parts:
        return p.Const(value="")
    return parts[0] if len(parts) == 1 else p.Text(parts=parts)


def parse_filters(text: str, of: p.Value, roots: frozenset[str] | tuple[str, ...] = ROOTS) -> p.Value:
    """The filters of `text` (`sum | round(2)`) behind a value. Raises LangError as `parse` does."""
    before = "event | "
    if "{{" in text or text.lstrip().startswith("|"):
        start = text.find("{{") if "{{" in text else text.find("|")
        end = start + (2 if "{{" in text else 1)
        help_text = 'such as `filter: "sum | round(2)"`'
        raise LangError("syntax", "filters stand here alone, the first without a sign", start, end, help=help_text)
    try:
        found = _Reader(Piece("code", before + text, -len(before), len(text)), frozenset(roots) | {"event"}).value()
    except LangError as error:
        error.start, error.end = max(error.start, 0), max(error.end, 1)
        raise
    chain: list[p.Filter] = []
    inner = found
    while isinstance(inner, p.Filter):
        chain.append(inner)
        inner = inner.of
    if not chain or inner != p.Path(path="$"):
        raise LangError(
            "syntax", "`filter` holds filters and nothing else", 0, len(text), help='compute in the value: `"{{ … }}"`'
        )
    for held in reversed(chain):
        of = p.Filter(name=held.name, of=of, args=held.args)
    return of


def split(text: str) -> Iterator[Piece]:
    """The text and code of a template, in order. `}}` inside quotes does not end a code."""
    at = 0
    while True:
        start = text.find("{{", at)
        literal = text[at:] if start < 0 else text[at:start]
        _check_literal(literal, at)
        if literal:
            yield Piece("text", literal, at, at + len(literal))
        if start < 0:
            return
        end = _code_end(text, start)
        yield Piece("code", text[start + 2 : end], start + 2, end)
        at = end + 2


def _check_literal(text: str, at: int) -> None:
    for mark, what in (("{%", "a statement"), ("{#", "a comment")):
        found = text.find(mark)
        if found >= 0:
            raise LangError(
                "construct",
                f"`{mark}` begins {what}, and templates have none",
                at + found,
                at + found + 2,
                help="use `{$when: …, then: …, else: …}`" if mark == "{%" else "use a YAML comment",
            )
    found = text.find("}}")
    if found >= 0:
        raise LangError(
            "syntax", "`}}` closes a template that is not open", at + found, at + found + 2, help="open it with `{{`"
        )


def _code_end(text: str, start: int) -> int:
    at = start + 2
    quote = ""
    while at < len(text):
        character = text[at]
        if quote:
            at += character == "\\"
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif text.startswith("}}", at):
            return at
        at += 1
    raise LangError("syntax", "this `{{` is not closed", start, len(text), help="close it with `}}`")


class _Reader:
    """Reads one code. State: where in its text the search for the next name begins, and how deep in the tree this is."""

    def __init__(self, piece: Piece, roots: frozenset[str]) -> None:
        self.piece = piece
        self.roots = roots
        self.at = 0
        self.depth = 0

    def value(self) -> p.Value:
        code = self.piece.text
        for mark in ("-", "+"):
            if code.startswith(mark) and code[1:2].isspace():
                raise self.fault(
                    "construct", "white space control is not needed here", 0, 1, help=f"remove the `{mark}`"
                )
        if not code.strip():
            raise self.fault(
                "syntax", "the template is empty", 0, len(code), help="name a path, such as `{{ event.userId }}`"
            )
        self.scanned(template_habits.check_hyphens, ROOTS)
        self.scanned(template_scan.check_numbers)
        try:
            tree = _ENVIRONMENT.parse("{{" + template_scan.for_jinja(code) + "}}")
        except jinja2.TemplateSyntaxError as error:
            raise self.placed(template_habits.unread(code, str(error.message))) from None
        except (RecursionError, MemoryError):
            raise self.fault("syntax", "the expression is nested too deeply", 0, len(code)) from None
        output = tree.body[0] if len(tree.body) == 1 else None
        if not isinstance(output, j.Output) or len(output.nodes) != 1:
            raise self.fault("syntax", "this is not one expression", 0, len(code))
        node = output.nodes[0]
        if isinstance(node, j.TemplateData):
            return p.Const(value=node.data)
        try:
            found = self.expression(node)
        except RecursionError:
            raise self.fault("syntax", "the expression is nested too deeply", 0, len(code)) from None
        self.scanned(template_scan.check_filters)
        return found

    def scanned(self, look: Callable[..., T], *given: Any) -> T:
        """What is seen in the code besides Jinja's tree, a fault at its place in the template."""
        try:
            return look(self.piece.text, *given)
        except LangError as error:
            raise self.placed(error) from None

    def placed(self, error: LangError) -> LangError:
        error.start, error.end = error.start + self.piece.start, error.end + self.piece.start
        return error

    def expression(self, node: Any) -> p.Value:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise RecursionError
        found = self.any(node)
        self.depth -= 1
        return found

    def any(self, node: Any) -> p.Value:
        if isinstance(node, j.Const):
            return p.Const(value=self.text(node.value))
        if isinstance(node, (j.Name, j.Getattr, j.Getitem)):
            return self.path(node)
        if isinstance(node, j.Filter):
            return self.filter(node)
        if type(node) in _ARITHMETIC:
            left = self.expression(node.left)
            return p.Arith(sign=_ARITHMETIC[type(node)], left=left, right=self.expression(node.right))
        if isinstance(node, j.Neg):
            inner = self.expression(node.node)
            if isinstance(inner, p.Const) and values.is_number(inner.value):
                return p.Const(value=-inner.value)
            return p.Arith(sign="-", left=p.Const(value=0), right=inner)
        what, instead = _INSTEAD.get(
            type(node), (f"`{type(node).__name__}`", "templates hold paths, constants, filters and + - * /")
        )
        start, end = self.construct(node)
        raise self.fault("construct", f"{what} is not part of the template language", start, end, help=instead)

    def text(self, held: Any) -> Any:
        """A constant; text that could not be written is refused."""
        if isinstance(held, str) and not held.isascii():
            try:
                held.encode()
            except UnicodeEncodeError:
                raise self.fault("syntax", "half of a surrogate pair is no character", *self.construct(None)) from None
        return held

    def construct(self, node: Any) -> tuple[int, int]:
        """The offsets of a construct that is refused: its own sign where it has one, else the whole code."""
        sign = {
            j.CondExpr: r"\bif\b",
            j.And: r"\band\b",
            j.Or: r"\bor\b",
            j.Not: r"\bnot\b",
            j.Test: r"\bis\b",
            j.Concat: "~",
            j.Mod: "%",
            j.FloorDiv: "//",
            j.Pow: r"\*\*",
            j.Compare: r"[=!<>]=|[<>]|\bin\b",
            j.Call: r"\w+\s*\(",
        }.get(type(node))
        found = re.compile(sign).search(self.piece.text) if sign else None
        if found:
            return found.span()
        stripped = self.piece.text.strip()
        start = self.piece.text.index(stripped)
        return start, start + len(stripped)

    def path(self, node: Any) -> p.Value:
        steps: list[Any] = []
        inner = node
        while isinstance(inner, (j.Getattr, j.Getitem)):
            steps.append(self.step(inner))
            inner = inner.node
        if not isinstance(inner, j.Name):
            what = "a filter's result" if isinstance(inner, j.Filter) else "this"
            start, end = self.construct(node)
            raise self.fault("construct", f"{what} has no members to name", start, end, help="name a path of the event")
        root, span = inner.name, self.find(inner.name)
        steps.reverse()
        self.check_root(root, span)
        # Beside items of an answer, `body` is what the answer holds.
        if root in ("event", "item") or (root == "body" and "item" in self.roots):
            text = ("$" if root == "event" else f"${root}") + "".join(f"[{_quoted(step)}]" for step in steps)
            return p.Path(path=jsonpath.parse(text, item=root == "item", body=root == "body").text)
        return self.reference(root, steps, span)

    def step(self, node: Any) -> str | int:
        if isinstance(node, j.Getattr):
            return str(node.attr)
        if isinstance(node.arg, j.Const):
            self.text(node.arg.value)
        if (
            isinstance(node.arg, j.Const)
            and isinstance(node.arg.value, (str, int))
            and not isinstance(node.arg.value, bool)
        ):
            return node.arg.value
        if isinstance(node.arg, j.Neg) and isinstance(node.arg.node, j.Const) and isinstance(node.arg.node.value, int):
            return -node.arg.node.value
        start, end = self.construct(node.arg)
        raise self.fault(
            "construct",
            "only a name in quotes or a number stands in brackets",
            start,
            end,
            help='write `["first name"]` or `[0]`',
        )

    def check_root(self, root: str, span: tuple[int, int]) -> None:
        if root in self.roots:
            return
        if root in ROOTS and root != "timestamp":
            allowed = ", ".join(f"`{name}`" for name in ROOTS if name in self.roots)
            unsigned = f"{self.as_sign(root)}; " if root in ("body", "signature") else ""
            raise self.fault(
                "root_not_here", f"`{root}` cannot be named here", *span, help=f"{unsigned}here you may name {allowed}"
            )
        near = difflib.get_close_matches(root, sorted(self.roots), 1, 0.67)
        replacement = near[0] if near else None
        help_text = f"a path begins with one of {', '.join(f'`{name}`' for name in ROOTS if name in self.roots)}"
        if not near and "event" in self.roots:
            help_text = (
                f"`${root}` stands in a request's body as it is, outside of templates"
                if root in ("message", "messages")
                else f"did you mean `event.{root}`?"
            )
        raise self.fault(
            "unknown_root", f"`{root}` is not known in a template", *span, help=help_text, replacement=replacement
        )

    def as_sign(self, root: str) -> str:
        """How a signature is written, in the words of one that was tried elsewhere."""
        tried = re.fullmatch(r"\s*body\s*\|\s*(hmac_\w+)\((.*)\)\s*", self.piece.text)
        if root == "body" and tried is not None and {"signature", "timestamp"}.isdisjoint(self.roots):
            made = f'{tried[1]}: "{{{{ {tried[2].strip()} }}}}"'
            return f'write `sign: {{text: "{{{{ body }}}}", {made}, headers: {{…: "{{{{ signature }}}}"}}}}` in the request'
        where = (
            "in the `text` of a request's `sign`"
            if root == "body"
            else "in the `headers` and `query` of a request's `sign`"
        )
        return f"it is known {where}"

    def reference(self, root: str, steps: list[Any], span: tuple[int, int]) -> p.Value:
        wanted = {"settings": (1, 2), "meta": (1, 1)}.get(root, (0, 0))
        if not wanted[0] <= len(steps) <= wanted[1] or not all(isinstance(step, str) for step in steps):
            shape = {"settings": "`settings.name` or `settings.name.key`", "meta": "`meta.id`"}.get(
                root, f"`{root}` alone"
            )
            raise self.fault("syntax", f"`{root}` is used as {shape}", *span)
        if root == "meta" and steps[0] not in META:
            raise self.fault(
                "unknown_root",
                f"there is no `meta.{steps[0]}`",
                *span,
                help=f"there is {' and '.join(f'`meta.{name}`' for name in META)}",
            )
        return p.Ref(name=".".join([root, *steps]))

    def filter(self, node: Any) -> p.Value:
        if node.node is None:
            raise self.fault("construct", "a filter needs a value before it", 0, len(self.piece.text))
        of = self.expression(node.node)
        name = node.name
        span = self.find(name, after=r"\|\s*")
        row = self.scanned(template_filters.row_of, name, span)
        named = {held.key: held.value for held in node.kwargs}
        if row.flag and list(named) == [row.flag] and len(node.args) == len(row.args) - 1:
            node.args.append(named[row.flag])
        elif node.kwargs or node.dyn_args or node.dyn_kwargs:
            raise self.fault("filter_args", f"`{name}` takes its arguments by place, not by name", *span)
        args = [self.expression(arg) for arg in node.args]
        self.scanned(template_filters.check, name, row, args, span)
        return p.Filter(name=name, of=of, args=args)

    def find(self, name: str, after: str = "") -> tuple[int, int]:
        """The next place of a name in the code; names are met in written order."""
        pattern = re.compile(rf"{after}(?<![\w.])(?P<name>{re.escape(name)})(?!\w)")
        match = pattern.search(self.piece.text, self.at) or pattern.search(self.piece.text)
        if match is None:
            return self.construct(None)
        self.at = max(self.at, match.end("name"))
        return match.span("name")

    def fault(
        self,
        kind: str,
        message: str,
        start: int,
        end: int,
        *,
        help: str = "",
        replacement: str | None = None,
        certain: bool = False,
    ) -> LangError:
        at = self.piece.start
        return LangError(kind, message, at + start, at + end, help=help, replacement=replacement, certain=certain)


def _quoted(step: str | int) -> str:
    if isinstance(step, int):
        return str(step)
    return values.encode(step).decode()
