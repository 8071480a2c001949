"""What people write that YAML reads otherwise, or not at all: the finding in the author's words, with the quotes that mend it.

Takes what the YAML parser says and where, and the Source. Gives Diagnostics of family Y. A fix is offered where only one edit can have been
meant: a condition is quoted whole, a path in a flow map or list is quoted, and `!( … )` is quoted.
"""

from __future__ import annotations

import re

from waypost.compiler.read.source import Source, Span
from waypost.compiler.report.diagnostic import Diagnostic, Fix, Label

CONDITION = re.compile(r"[ \t]*(?:- )?(?:trigger|where|if|\$when):[ \t]+(?=[^\s\"'|>])")
"""The beginning of a line whose value is a condition, written plain."""

_FLOW_PATH = re.compile(r"\$(?:item)?(?:\.[\w-]+|\[[^\[\]{}\"']*\]|\[\"[^\"]*\"\])+")

_SYNTAX: tuple[tuple[str, str, str], ...] = (
    (
        "mapping values are not allowed",
        "`: ` inside an unquoted value begins a map",
        "quote the value, or check the indentation",
    ),
    ("character '\\t'", "a tab may not indent YAML", "indent with spaces"),
    ("character '@'", "a value may not begin with `@` unless it is quoted", "quote the value"),
    ("character '`'", "a value may not begin with a backquote unless it is quoted", "quote the value"),
    ("character '%'", "a value may not begin with `%` unless it is quoted", "quote the value"),
    (
        "expected alphabetic or numeric character",
        "`*` begins an alias in flow style (`[ … ]`, `{ … }`)",
        "quote the value",
    ),
    ("undefined alias", "`*` begins an alias, and aliases are not part of the language", "quote the value"),
    ("another document", "there is more than one document in the file", "remove the `---`; one file holds one spec"),
    ("unexpected end of stream", "a quote is opened and not closed", "close it"),
    (
        "unknown escape character",
        "this is no escape of a double-quoted value",
        "write `\\\\` for a backslash, or use single quotes",
    ),
    (
        "expected ',' or '}'",
        "a `{ … }` map is not closed, or holds a value that needs quotes",
        "quote a value with `[`, `]`, `{`, `}`, `,` or `: `, or close the map with `}`",
    ),
    (
        "expected ',' or ']'",
        "a `[ … ]` list is not closed, or holds a value that needs quotes",
        "quote a value with `[`, `]`, `{`, `}`, `,` or `: `, or close the list with `]`",
    ),
    ("could not find expected ':'", "expected `:` after a key", "write `key: value`"),
    ("expected <block end>", "this line is not indented like the ones it belongs to", "indent it as its neighbours"),
    ("unhashable", "a key is text", "quote the template or value"),
)


def quoted(text: str) -> str:
    """The text as a single-quoted YAML value."""
    return "'" + text.replace("'", "''") + "'"


def uncut(text: str) -> str:
    """A value up to the comment that truly follows it: a `#` within quotes is part of it."""
    held: str | None = None
    for index, character in enumerate(text):
        if held is not None:
            held = None if character == held else held
        elif character in "\"'":
            held = character
        elif character == "#" and text[index - 1 : index].isspace():
            return text[:index].rstrip()
    return text.rstrip()


def tag(name: str, value: str, start: int) -> Diagnostic:
    """`!` at the beginning of a plain value; `value` is the rest of its line."""
    whole = uncut(value)
    condition = name.startswith("!(") or re.match(r"!\w+\(", whole) is not None
    return Diagnostic(
        "Y107",
        f"`{name}` is a YAML tag here, and is lost",
        Label(Span(start, start + len(name)), "tags are not part of the language"),
        "quote the whole condition" if condition else "quote the value if it begins with `!`",
        fix=Fix(Span(start, start + len(whole)), quoted(whole), safe=True) if condition else None,
    )


def syntax(problem: str, context: str, marks: tuple[int | None, int | None], source: Source) -> Diagnostic:
    """The one fault for which the text is no YAML."""
    mark = marks[0] if marks[0] is not None else marks[1]
    at = min(mark, len(source.text)) if mark is not None else 0
    begun = marks[1] if marks[1] is not None and marks[1] != at and marks[1] < len(source.text) else None
    found = _condition(at, source) or _cut_in_flow(begun, problem, source) or _template(at, source)
    if found is not None:
        return found
    others = (Label(Span(begun, begun + 1), "it begins here"),) if begun is not None else ()
    span = Span(at, min(at + 1, len(source.text)))
    said = f"{problem} {context}"
    for needle, message, help_text in _SYNTAX:
        if needle in said:
            path = _flow_path(at, source)
            label = Label(
                path or span, "YAML cannot be read from here" if path is None else "a path with `[` needs quotes here"
            )
            fix = None if path is None else Fix(path, quoted(source.text[path.start : path.end]), safe=True)
            return Diagnostic("Y101", message, label, "quote the path" if path else help_text, others, fix)
    return Diagnostic("Y101", f"this is not YAML: {problem or context}", Label(span), "", others)


def _condition(at: int, source: Source) -> Diagnostic | None:
    """The fault lies in a plain condition: the parser stops within it, or at the next line."""
    line = source.position(at)[0]
    for number in (line, line - 1):
        begin = CONDITION.match(source.line(number)) if number else None
        if begin is None:
            continue
        start = source.starts[number - 1] + begin.end()
        whole = uncut(source.line(number)[begin.end() :])
        if whole.startswith("!"):
            name = re.match(r"![^ \t]*", whole)
            return tag(name[0] if name else "!", whole, start)
        if ": " in whole and number == line:
            colon = start + whole.index(": ")
            return Diagnostic(
                "Y101",
                "`: ` inside an unquoted condition begins a map",
                Label(Span(colon, colon + 1), "YAML cannot be read from here"),
                "quote the whole condition",
                fix=Fix(Span(start, start + len(whole)), quoted(whole), safe=True),
            )
    return None


_TEMPLATE = re.compile(r"[ \t]*(?:- )?(?:[\w$.\"'-]+:[ \t]+)?(?=\{\{)")
"""The beginning of a line whose value begins with a template, written plain."""


def _template(at: int, source: Source) -> Diagnostic | None:
    """`key: {{ event.a }}-x`: the parser stops behind the braces, or at the next line."""
    line = source.position(at)[0]
    for number in (line, line - 1):
        text = source.line(number) if number else ""
        begin = _TEMPLATE.match(text)
        whole = uncut(text[begin.end() :]) if begin else ""
        if begin is None or "}}" not in whole or (whole.endswith("}}") and whole.count("{{") == 1):
            continue
        start = source.starts[number - 1] + begin.end()
        span = Span(start, start + len(whole))
        fix = Fix(span, quoted(whole) if '"' in whole else f'"{whole}"', safe=True)
        return Diagnostic(
            "Y103",
            "an unquoted `{{` is a map to YAML, not a template",
            Label(span, "expected quotes around it"),
            fix=fix,
        )
    return None


def _cut_in_flow(begun: int | None, problem: str, source: Source) -> Diagnostic | None:
    """A `{ … }` or `[ … ]` on one line whose end a ` #` has made a comment."""
    if begun is None or source.text[begun] not in "{[" or "expected ','" not in problem:
        return None
    rest = source.line(source.position(begun)[0])[source.position(begun)[1] - 1 :]
    cut = re.search(r"[ \t]#", rest)
    if cut is None or rest[: cut.start()].count(rest[0]) <= rest[: cut.start()].count("}" if rest[0] == "{" else "]"):
        return None
    value = re.search(r"[^{}\[\],:\s][^{}\[\],:]*$", rest[: cut.start()])
    start = begun + (value.start() if value else 0)
    end = begun + cut.start() + len(re.match(r"[^}\],]*", rest[cut.start() :])[0].rstrip())  # type: ignore[index]
    return Diagnostic(
        "Y106",
        "` #` begins a comment, which cuts this value",
        Label(Span(start, end), "quote the whole value"),
        "put single quotes around the value",
        fix=Fix(Span(start, end), quoted(source.text[start:end]), safe=value is not None),
    )


def _flow_path(at: int, source: Source) -> Span | None:
    """The plain path of a flow map or list in which the parser has stopped."""
    number, column = source.position(at)
    for found in _FLOW_PATH.finditer(source.line(number)):
        before = source.line(number)[: found.start()]
        if (
            found.start() < column <= found.end() + 1
            and before.rstrip()[-1:] in (":", ",", "[", "{")
            and "[" in found[0]
        ):
            start = source.starts[number - 1]
            return Span(start + found.start(), start + found.end())
    return None
