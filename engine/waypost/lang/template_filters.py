"""The filters of a template: whether there is one of a name, and whether it can take its arguments.

Takes the text between the braces, a filter's name with the offsets of that name, and its arguments as plan nodes. Gives its row of filters.py,
or a LangError with offsets into that text. Why apart: template.py reads any filter in one way, and this is what each kind of argument may be.
"""

from __future__ import annotations

import difflib
import re
from typing import Any

from waypost import plan as p
from waypost.lang import filters, jsonpath, patterns, phones, template_scan, time_format
from waypost.lang.errors import LangError

Span = tuple[int, int]

_SYNONYMS = {
    "upcase": "upper",
    "uppercase": "upper",
    "downcase": "lower",
    "lowercase": "lower",
    "strip": "trim",
    "to_json": "json",
    "tojson": "json",
    "parse_json": "from_json",
    "str": "string",
    "to_string": "string",
    "int": "integer",
    "float": "number",
    "to_number": "number",
    "strftime": "format_time",
    "date": "datetime",
    "substring": "slice",
    "substr": "slice",
    "capitalize": "titlecase",
    "title": "titlecase",
    "iso8601": "datetime",
    "timestamp": "unix",
    "hash": "sha256",
    "b64encode": "base64",
    "base64encode": "base64",
    "urlencode": "url",
    "size": "length",
    "count": "length",
    "uniq": "unique",
    "coalesce": "default",
    "match": "matches",
    "test": "matches",
    "regex": "matches",
    "extract": "capture",
    "regex_extract": "capture",
    "regex_replace": "replace_pattern",
    "replace_regex": "replace_pattern",
    "gsub": "replace_pattern",
    "truncate": "truncate_bytes",
}
"""Names of filters elsewhere -> ours."""

_PARTS = {
    "YYYY": "%Y",
    "yyyy": "%Y",
    "YY": "%y",
    "MM": "%m",
    "DD": "%d",
    "dd": "%d",
    "HH": "%H",
    "mm": "%M",
    "ss": "%S",
    "SSS": "%f",
}
"""Parts of a time as other languages write them -> ours."""


def row_of(code: str, name: str, span: Span) -> filters.Filter:
    """The filter of that name; one that is called otherwise elsewhere is named in the fault."""
    row = filters.FILTERS.get(name)
    if row is None:
        if name == "date" and code[span[1] :].lstrip().startswith("("):
            name = "strftime"
        near = [_SYNONYMS[name]] if name in _SYNONYMS else difflib.get_close_matches(name, filters.FILTERS, 1, 0.67)
        raise LangError(
            "unknown_filter",
            f"there is no filter `{code[slice(*span)]}`",
            *span,
            help=f"did you mean `{near[0]}`?" if near else f"the filters are {', '.join(filters.FILTERS)}",
            replacement=near[0] if near else None,
        )
    return row


def check(code: str, name: str, row: filters.Filter, args: list[p.Value], span: Span) -> None:
    """Whether the filter can take these arguments."""
    least, most = len(row.args) - row.optional, len(row.args)
    if not least <= len(args) <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        raise LangError("filter_args", f"`{name}` takes {wanted} argument{'s' * (most != 1)}, found {len(args)}", *span)
    for kind, arg in zip(row.args, args, strict=False):
        if kind == "any" or (kind == "text" and not isinstance(arg, p.Const)):
            continue
        found = arg.value if isinstance(arg, p.Const) else None
        fits = (
            isinstance(found, bool)
            if kind == "flag"
            else isinstance(found, int) and not isinstance(found, bool)
            if kind == "integer"
            else isinstance(found, str)
        )
        if not fits:
            shape = {
                "integer": "a whole number",
                "path": "a path in quotes",
                "format": "a format in quotes",
                "text": "text in quotes",
                "pattern": "a pattern in quotes",
                "replacement": "text in quotes",
                "flag": f"`{row.flag}: true`",
            }[kind]
            raise LangError("filter_args", f"`{name}` takes {shape} here", *span)
        if kind == "pattern":
            _check_pattern(code, str(found), span)
        _check_text(name, kind, found, span)
    if name == "replace_pattern":
        _check_replacement(args, span)
    elif name == "e164":
        _check_phone(args[0], span)


def _check_pattern(code: str, pattern: str, span: Span) -> None:
    """A pattern that RE2 refuses, at its place in the code."""
    try:
        patterns.check_filter(pattern)
    except LangError as error:
        held = (found for found in template_scan.PATTERN.finditer(code) if found.end() > span[0])
        quoted = next(held, None)
        at = quoted.start("text") if quoted is not None and quoted["text"] == pattern else None
        start, end = (at + error.start, at + error.end) if at is not None else span
        raise LangError("filter_args", error.message, start, end, help=error.help) from None


def _check_phone(country: p.Value, span: Span) -> None:
    try:
        phones.check(country.value if isinstance(country, p.Const) else None)
    except LangError as error:
        raise LangError("filter_args", error.message, *span, help=error.help) from None


def _check_replacement(args: list[p.Value], span: Span) -> None:
    pattern, to = (arg.value if isinstance(arg, p.Const) else "" for arg in args)
    try:
        patterns.check_replacement(pattern, to)
    except LangError as error:
        raise LangError("filter_args", error.message, *span, help=error.help) from None


def _check_signs(form: str) -> None:
    """`YYYY-MM-DD` is the text that it is, at every time."""
    if "%" not in form:
        fixed = re.sub("|".join(_PARTS), lambda found: _PARTS[found[0]], form)
        told = f"write `{fixed}`" if fixed != form else "use %Y %m %d %H %M %S %f %j %y %z %Z %%"
        raise LangError(
            "filter_args", f"`{form}` has no `%`: it would be the same text for every time", 0, 0, help=told
        )


def _check_text(name: str, kind: str, found: Any, span: Span) -> None:
    try:
        if kind == "format":
            _check_signs(found)
            time_format.check_format(found)
        elif kind == "path":
            jsonpath.parse(found if found.startswith("$") else f"$.{found}")
        elif name == "split" and not found:
            raise LangError("filter_args", "the separator of `split` is empty", 0, 0)
        elif name == "truncate_bytes" and isinstance(found, int) and found < 0:
            raise LangError("filter_args", "`truncate_bytes` takes 0 or more here", 0, 0)
        elif name in ("hash_id", "round") and isinstance(found, int) and not 0 <= found <= 52:
            raise LangError("filter_args", f"`{name}` takes 0 to 52 here", 0, 0)
    except LangError as error:
        raise LangError("filter_args", error.message, *span, help=error.help) from None
