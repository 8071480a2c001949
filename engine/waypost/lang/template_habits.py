"""How other languages write what a template cannot hold, in our words: `a.b-c`, `a || b`, `default: 'x'`.

Takes the text between the braces, and what Jinja says of one that it cannot read. Gives LangErrors with offsets into that text. Why apart:
template.py says what the language is, and this what people who know another one meant.
"""

from __future__ import annotations

import re
from typing import Any

from waypost.lang.errors import LangError


def check_hyphens(code: str, roots: tuple[str, ...]) -> None:
    """`event.traits.address-2`: to Jinja a subtraction, and where no space stands beside the sign the name of a field."""
    for found in _HYPHENED.finditer(_blank_quotes(code)):
        name = found["name"]
        head, _, last = name.rpartition("-")
        follows = code[found.end() :]
        if last in roots and follows[:1] in (".", "["):
            name = head
        elif last.isdecimal() and re.match(r"\.\d", follows):
            continue
        if "-" not in name:
            continue
        path = code[found.start() : found.start("name") - 1]
        start, end = found.start(), found.start("name") + len(name)
        written = f'{path}["{name}"]'
        raise LangError(
            "hyphen",
            f"`{code[start:end]}` is a subtraction: names with a hyphen stand in brackets",
            start,
            end,
            help=f"write `{written}`; a subtraction has spaces: `{path}.{name.replace('-', ' - ')}`",
            replacement=written,
            certain=not name.rpartition("-")[2].isdecimal(),
        )


def unread(code: str, message: str) -> LangError:
    """Jinja's complaint in our words, at the sign it names where that is found."""
    for habit, fault in _HABITS:
        if (found := habit.search(_blank_quotes(code))) is not None:
            return LangError("syntax", **fault(code, found))
    quoted = re.search(r"unexpected '(.+?)'|near '(.+?)'|unexpected char '(.+?)'", message)
    sign = next((part for part in quoted.groups() if part), None) if quoted else None
    at = code.find(sign) if sign else -1
    instead = re.match(r"\s*([\w.]+)-[a-zA-Z]", code)
    help_text = f'`-` subtracts; write a name with a dash as `{instead[1].rsplit(".", 1)[0]}["…"]`' if instead else ""
    if at >= 0 and sign:
        return LangError("syntax", f"`{sign}` is not expected here", at, at + len(sign), help=help_text)
    stripped = code.strip()
    start = code.index(stripped)
    return LangError("syntax", f"this is no expression: {message}", start, start + len(stripped), help=help_text)


_HYPHENED = re.compile(r"(?<![\w.])(?:event|item)(?:\.\w+|\[[^\]]*\])*\.(?P<name>[A-Za-z_]\w*(?:-\w+)+)(?![\w(])")
"""A path that goes on with a name in which a hyphen stands."""


def _blank_quotes(code: str) -> str:
    """The code with everything in quotes blanked, at the same offsets."""
    return re.sub(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'", lambda found: "_" * len(found[0]), code)


def _sign_in_name(code: str, found: re.Match[str]) -> dict[str, Any]:
    """`properties.$current_url`: a name with a sign stands in brackets."""
    fixed = f'["{found["name"]}"]'
    return {
        "message": f"`{found['name']}` is not a name that can follow a dot",
        "start": found.start(),
        "end": found.end(),
        "help": f"write `{found['before']}{fixed}`",
        "replacement": f"{found['before']}{fixed}",
    }


def _either(code: str, found: re.Match[str]) -> dict[str, Any]:
    """`a || b` and `a ?? b`, which say elsewhere "the first that is there"."""
    return {
        "message": f"`{found[0]}` is not part of the template language",
        "start": found.start(),
        "end": found.end(),
        "help": "use `{$first: [ … ]}`, or `| default( … )`",
    }


def _colon(code: str, found: re.Match[str]) -> dict[str, Any]:
    """`default: 'x'`, as Liquid gives a filter its arguments."""
    args = code[slice(*found.span("args"))].rstrip()
    end = found.start("args") + len(args)
    fixed = f"{found['filter']}({args})"
    return {
        "message": f"the arguments of `{found['filter']}` stand in parentheses",
        "start": found.start("filter"),
        "end": end,
        "help": f"write `{fixed}`",
        "replacement": fixed,
    }


def _path(code: str, found: re.Match[str]) -> dict[str, Any]:
    """`$.a` and `$item.a`, as paths are written outside of templates."""
    fixed = f"event.{found['path']}" if found["item"] is None else f"item{found['path'] and '.'}{found['path']}"
    return {
        "message": "in a template a path begins without `$`",
        "start": found.start(),
        "end": found.end(),
        "help": f"write `{fixed}`",
        "replacement": fixed,
    }


def _choice(code: str, found: re.Match[str]) -> dict[str, Any]:
    """`a ? b : c`."""
    return {
        "message": "`?` is not part of the template language",
        "start": found.start(),
        "end": found.end(),
        "help": "use `{$when: …, then: …, else: …}`",
    }


def _third_brace(code: str, found: re.Match[str]) -> dict[str, Any]:
    return {
        "message": "a template has two braces at each side",
        "start": 0,
        "end": 1,
        "help": "write `{{ … }}`: nothing is escaped here",
    }


_HABITS = (
    (re.compile(r"^\{(?=\s*[A-Za-z_][\w.]*\s*(\||$))"), _third_brace),
    (re.compile(r"(?<![\w.])\$(?:(?P<item>item)\b\.?|\.)(?P<path>(?:[A-Za-z_][\w.]*)?)"), _path),
    (re.compile(r"(?P<before>[A-Za-z_][\w.\[\]]*)\.(?P<name>[\w-]*[$@#][\w$@#-]*)"), _sign_in_name),
    (re.compile(r"\|\||\?\?"), _either),
    (re.compile(r"\?"), _choice),
    (re.compile(r"\|\s*(?P<filter>\w+)\s*:\s*(?P<args>[^|\s][^|]*)"), _colon),
)
"""How other languages write what Jinja cannot read -> the fault in our words."""
