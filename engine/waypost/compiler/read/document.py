"""YAML text becomes a tree of nodes, each with its span: maps, lists and scalars, and for a scalar the place of each of its characters.

Takes a Source and a Report. Gives a Node, or None after reporting why not (family Y). The only importer of ruamel: its composer gives exact
marks; what it would do silently (tags that swallow a negation, anchors, duplicate keys, a comment that cuts a value) is reported here.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError

from waypost.compiler.read import yaml_pitfalls
from waypost.compiler.read.scalars import char_offsets
from waypost.compiler.read.source import Source, Span
from waypost.compiler.report.diagnostic import Diagnostic, Fix, Label, Report

MAX_DEPTH = 64
_QUOTED = ("single", "double")
CONDITION_KEYS = ("trigger", "where", "$when", "if")


@dataclass(frozen=True)
class Scalar:
    """A scalar. `text` is its value as text, `raw` its source; `kind`: text, int, float, bool, null, or odd (a plain scalar that YAML
    reads as a number or date of another notation); `style`: plain, single, double, literal, folded."""

    text: str
    raw: str
    kind: str
    style: str
    span: Span
    source: Source = field(repr=False, compare=False)

    def locate(self, start: int, end: int) -> Span:
        """The file span of the value's characters from `start` up to `end`."""
        offsets = char_offsets(self.source.text, self.span.start, self.span.end, self.style, self.text)
        if offsets is None:
            return self.span
        start, end = min(start, len(self.text)), min(end, len(self.text))
        if start >= end:
            return Span(offsets[start], offsets[start])
        # Behind the last character, not before the next: between them may be an indentation.
        return Span(
            offsets[start],
            max(min(offsets[end], self.span.end), offsets[end - 1] + 1)
            if self.style in _QUOTED
            else offsets[end - 1] + 1,
        )


@dataclass(frozen=True)
class Map:
    """Entries in written order."""

    entries: tuple[tuple[Scalar, Node], ...]
    span: Span

    def get(self, key: str) -> Node | None:
        return next((node for name, node in self.entries if name.text == key), None)

    def key(self, key: str) -> Scalar | None:
        return next((name for name, _ in self.entries if name.text == key), None)

    @property
    def names(self) -> list[str]:
        return [name.text for name, _ in self.entries]

    @property
    def spans(self) -> dict[str, Span]:
        """Where the value of each key stands."""
        return {name.text: value.span for name, value in self.entries}


@dataclass(frozen=True)
class Seq:
    items: tuple[Node, ...]
    span: Span


Node = Scalar | Map | Seq

_STYLES = {None: "plain", "'": "single", '"': "double", "|": "literal", ">": "folded"}
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_TAGS = "tag:yaml.org,2002:"


SPEC = "a spec, beginning with `spec: 1`"


def read(source: Source, report: Report, expected: str = SPEC) -> Node | None:
    """The document's tree. `expected` is what to say of an empty file."""
    if not source.text.strip("\ufeff \t\r\n"):
        report.add(Diagnostic("Y101", "the file is empty", Label(Span(0, 0), f"expected {expected}")))
        return None
    try:
        with warnings.catch_warnings():
            # Anchors are refused one by one; ruamel's own word about a repeated one would go to standard error.
            warnings.simplefilter("ignore", ReusedAnchorWarning)
            root = YAML(typ="safe", pure=True).compose(source.text)
    except MarkedYAMLError as error:
        report.add(yaml_pitfalls.syntax(error.problem or "", error.context or "", _marks(error), source))
        return None
    except (YAMLError, ValueError, IndexError, AttributeError, TypeError, AssertionError) as error:
        # ruamel's reader has no mark for a character that YAML forbids.
        report.add(_unreadable(str(error), source))
        return None
    except RecursionError:
        report.add(Diagnostic("Y101", "the file is nested too deeply", Label(Span(0, 0))))
        return None
    if root is None:
        report.add(Diagnostic("Y101", "the file holds only comments", Label(Span(0, 0), f"expected {expected}")))
        return None
    return _Builder(source, report).node(root, 0)


class _Builder:
    """Turns ruamel's nodes into ours. State: the nodes seen, to know an alias."""

    def __init__(self, source: Source, report: Report) -> None:
        self.source = source
        self.report = report
        self.seen: set[int] = set()

    def node(self, raw: Any, depth: int, key: str = "") -> Node:
        span = self.span(raw)
        self.refuse_extras(raw, span)
        if depth > MAX_DEPTH or id(raw) in self.seen:
            if id(raw) not in self.seen:
                self.add("Y101", f"more than {MAX_DEPTH} levels within each other", span)
            return Scalar("", "", "null", "plain", span, self.source)
        if not isinstance(raw.value, list):
            return self.scalar(raw, span, key)
        self.seen.add(id(raw))
        if raw.value and isinstance(raw.value[0], tuple):
            return self.map(raw, span, depth)
        if raw.tag.endswith(":map") or type(raw).__name__ == "MappingNode":
            return Map((), span)
        return Seq(tuple(self.node(item, depth + 1) for item in raw.value), span)

    def span(self, raw: Any) -> Span:
        start, end = raw.start_mark.index, raw.end_mark.index
        if isinstance(raw.value, list):
            # A block collection ends at the next token; its own text ends before the white space.
            while end > start and self.source.text[end - 1].isspace():
                end -= 1
        return Span(start, max(start, end))

    def map(self, raw: Any, span: Span, depth: int) -> Node:
        entries: list[tuple[Scalar, Node]] = []
        first: dict[str, Span] = {}
        for raw_key, raw_value in raw.value:
            key = self.key(raw_key, raw_value, span)
            if key is None:
                continue
            if key.text in first:
                self.add(
                    "Y102",
                    f"the key `{key.text}` stands twice in one map",
                    key.span,
                    "the second one",
                    (Label(first[key.text], "the first one"),),
                )
                continue
            first[key.text] = key.span
            node = self.node(raw_value, depth + 1, key.text)
            if isinstance(node, Scalar) and not node.raw and self.source.text.startswith(":", key.span.end):
                # Nothing stands there; the parser's own place for it is the next token.
                node = replace(node, span=Span(key.span.end, key.span.end + 1))
            entries.append((key, node))
        return Map(tuple(entries), span)

    def key(self, raw: Any, value: Any, inside: Span) -> Scalar | None:
        span = self.span(raw)
        if isinstance(raw.value, list):
            if (
                self.source.text.startswith("{", span.start)
                and self.source.text[inside.start : inside.start + 2] == "{{"
            ):
                end = self.source.text.find("}}", span.start) + 2
                whole = Span(inside.start, end if end > 1 else inside.end)
                self.add(
                    "Y103",
                    "an unquoted `{{` is a map to YAML, not a template",
                    whole,
                    "expected quotes around it",
                    fix=Fix(whole, '"' + self.source.text[whole.start : whole.end].replace('"', "'") + '"', safe=True),
                )
            else:
                self.add("Y104", "a key is text", span, "found a map or a list")
            return None
        self.refuse_extras(raw, span)
        if raw.tag == _TAGS + "merge":
            self.add(
                "Y105",
                "`<<` is not part of the language",
                span,
                help="put what is shared into `shared:` and name it in `use:`",
            )
            return None
        scalar = self.scalar(raw, span, "")
        if scalar.kind not in ("text", "odd") and scalar.style == "plain" and scalar.kind != "int":
            self.add(
                "Y104",
                f"a key is text, and `{scalar.raw}` is not",
                span,
                "quote it",
                fix=Fix(span, f'"{scalar.raw}"', safe=True),
            )
        return scalar

    def scalar(self, raw: Any, span: Span, key: str) -> Scalar:
        text = self.source.text
        if text.startswith(("!", "&"), span.start):
            # The value begins behind its tag or anchor.
            inner = re.compile(r"[!&][^ \t\r\n]*[ \t]*").match(text, span.start)
            span = Span(inner.end() if inner else span.start, span.end)
        style = _STYLES[raw.style]
        value = self.written(str(raw.value), span)
        kind = "text" if style != "plain" else _kind(value, raw.tag)
        if style in ("literal", "folded"):
            span = Span(span.start, max(span.start, len(text[: span.end].rstrip())))
        scalar = Scalar(value, text[span.start : span.end], kind, style, span, self.source)
        if style == "plain" and value:
            self.refuse_cut(scalar, key)
        return scalar

    def written(self, value: str, span: Span) -> str:
        """A value that can be written again: an escape may make half a character."""
        try:
            value.encode()
        except UnicodeEncodeError:
            self.add("Y101", "half of a surrogate pair is no character", span, help="write the character itself")
            return value.encode(errors="replace").decode()
        return value

    def refuse_cut(self, scalar: Scalar, key: str) -> None:
        """` #` begins a comment: a value that was meant to hold it is cut without a word."""
        rest = self.source.line(self.source.position(scalar.span.end)[0])[
            self.source.position(scalar.span.end)[1] - 1 :
        ]
        if not re.match(r"[ \t]+#", rest):
            return
        odd = scalar.text.count('"') % 2 == 1 or (scalar.text.count("'") % 2 == 1 and key in CONDITION_KEYS)
        if odd:
            whole = yaml_pitfalls.uncut(scalar.text + rest)
            span = Span(scalar.span.start, scalar.span.start + len(whole))
            self.add(
                "Y106",
                "` #` begins a comment, which cuts this value",
                span,
                "quote the whole value",
                help="put single quotes around the value",
                fix=Fix(span, yaml_pitfalls.quoted(whole), safe=True),
            )

    def refuse_extras(self, raw: Any, span: Span) -> None:
        text = self.source.text
        if text.startswith("!", span.start):
            tag = re.compile(r"![^ \t\r\n]*").match(text, span.start)
            end = tag.end() if tag else span.start + 1
            line_end = (
                span.start
                + len(self.source.line(self.source.position(span.start)[0]))
                - self.source.position(span.start)[1]
                + 1
            )
            value = text[span.start : max(end, line_end)].rstrip()
            self.report.add(yaml_pitfalls.tag(text[span.start : end], value, span.start))
        if text.startswith("&", span.start):
            anchor = re.compile(r"&[^ \t\r\n]*").match(text, span.start)
            end = anchor.end() if anchor else span.start + 1
            self.add(
                "Y105",
                "anchors and aliases are not part of the language",
                Span(span.start, end),
                help="put what is shared into `shared:` and name it in `use:`",
            )

    def add(
        self,
        code: str,
        message: str,
        span: Span,
        label: str = "",
        others: tuple[Label, ...] = (),
        help: str = "",
        fix: Fix | None = None,
    ) -> None:
        self.report.add(Diagnostic(code, message, Label(span, label), help, others, fix))


def bare_kind(text: str) -> str:
    """The kind that a text would have without quotes: int, float, bool or text."""
    match = _JSON_NUMBER.fullmatch(text)
    if match:
        return "float" if match[1] or match[2] else "int"
    return "bool" if text in ("true", "false") else "text"


def _kind(text: str, tag: str) -> str:
    if tag == _TAGS + "null":
        return "null"
    if tag == _TAGS + "bool":
        return "bool" if text in ("true", "false") else "odd"
    match = _JSON_NUMBER.fullmatch(text)
    if match:
        # YAML and JSON agree on these; what a float would not give back is told apart by the reader.
        return "float" if match[1] or match[2] else "int"
    return "odd" if tag in (_TAGS + "int", _TAGS + "float", _TAGS + "timestamp") else "text"


def keeps_digits(text: str) -> bool:
    """Whether a plain number, read and written again, is the same text."""
    try:
        return text == (repr(float(text)) if re.search(r"[.eE]", text) else str(int(text)))
    except (ValueError, OverflowError):
        return False


def walk(node: Node) -> Iterator[Node]:
    yield node
    children = (
        [value for _, value in node.entries]
        if isinstance(node, Map)
        else list(node.items)
        if isinstance(node, Seq)
        else []
    )
    for child in children:
        yield from walk(child)


def moved(node: Node, by: int, source: Source) -> Node:
    """The tree as part of a joined source: each span counts `by` characters more."""
    span = Span(node.span.start + by, node.span.end + by)
    if isinstance(node, Seq):
        return Seq(tuple(moved(item, by, source) for item in node.items), span)
    if isinstance(node, Map):
        entries = ((moved(name, by, source), moved(value, by, source)) for name, value in node.entries)
        return Map(tuple((name, value) for name, value in entries if isinstance(name, Scalar)), span)
    return replace(node, span=span, source=source)


def _unreadable(message: str, source: Source) -> Diagnostic:
    bad = re.search(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff\ufeff]", source.text)
    if bad is None:
        return Diagnostic(
            "Y101", "this is not YAML that can be read", Label(Span(0, 0), message.splitlines()[0] if message else "")
        )
    return Diagnostic(
        "Y101",
        f"the character U+{ord(bad[0]):04X} may not stand in YAML",
        Label(Span(*bad.span())),
        help="remove it, or write it as an escape in double quotes",
    )


def _marks(error: MarkedYAMLError) -> tuple[int | None, int | None]:
    """(where the problem is, where what it is in begins)."""
    problem, context = error.problem_mark, error.context_mark
    return problem.index if problem is not None else None, context.index if context is not None else None
