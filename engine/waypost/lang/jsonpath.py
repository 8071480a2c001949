"""JSONPath as RFC 9535 means it: `$.a.b[0]` into the event, `$item.x` into the innermost item, `$body.x` into an answer.

Takes text. Gives a `PathExpr` (canonical text, steps) or a LangError with offsets (kinds: syntax, unsupported). `find` evaluates it.

jsonpath-ng's own parser is not the gate: it refuses `$.where` and accepts `$.a[01]`, `$.k-d` and `$.a|$.s`. So names, indexes, wildcards,
slices and `..` are tokenized strictly here; a path of names and indexes is walked in a few lines, and only one that can match several times
is evaluated by jsonpath-ng (the only module that imports it, and only then), in the forms that tests/lang/test_jsonpath.py proves equal to the
RFC. Filters are refused: `$each` with `where` says the same with FQL.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from waypost.lang.errors import LangError
from waypost.lang.values import MISSING


@dataclass(frozen=True)
class Wild:
    """`.*` or `[*]`."""


@dataclass(frozen=True)
class Descend:
    """`..` before a name, an index or a wildcard."""


@dataclass(frozen=True)
class Slice:
    """`[start:end:step]`."""

    start: int | None
    end: int | None
    step: int | None


@dataclass(frozen=True)
class Union:
    """`[0,1]`: several indexes."""

    indexes: tuple[int, ...]


Part = str | int | Wild | Descend | Slice | Union


@dataclass(frozen=True)
class PathExpr:
    """A path. `root` is "event", "item" or "body"; `steps` are the names and indexes of a path that can match once, else None."""

    text: str
    root: str
    parts: tuple[Part, ...]
    steps: tuple[str | int, ...] | None

    @property
    def multi(self) -> bool:
        """Whether it can match several times, and so gives a list."""
        return self.steps is None


_NAME = re.compile(r"[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]*")
_LOOSE = re.compile(r"(?=[$@#-]*\w)[^\s.\[\]'\"`|()?*,]+(?: +[A-Za-z0-9_\u0080-\U0010ffff-]+)*")
"""A name as people write it after a dot, with signs that only brackets take."""
_EITHER = re.compile(r"\s*(\|\||\?\?|\bor\b)\s*")
_COMPUTED = re.compile(r"\s+([+*/%-])\s")
_TEMPLATE = re.compile(r"""[^\["']*(\{\{)""")
_BODY = re.compile(r"\$body(?![A-Za-z0-9_\u0080-\U0010ffff])")
_INDEX = re.compile(r"0|-?[1-9][0-9]*")
_SLICE = re.compile(r"\s*(0|-?[1-9][0-9]*)?\s*:\s*(0|-?[1-9][0-9]*)?\s*(?::\s*(0|-?[1-9][0-9]*)?)?\s*")
_ESCAPED_APOSTROPHE = re.compile(r"(?<!\\)(?:\\\\)*\\'")
_MAX_INT = 2**53 - 1


@functools.lru_cache(maxsize=4096)
def parse(text: str, *, item: bool = False, body: bool = False) -> PathExpr:
    """The path in `text`; `$item` is a root only where `item` says so, `$body` where `body` does."""
    root, at = ("body", 5) if body and _BODY.match(text) else _root(text, item)
    parts: list[Part] = []
    if (template := _TEMPLATE.match(text)) is not None:
        raise LangError(
            "syntax",
            "a path holds no template",
            *template.span(1),
            help="text that begins with `$.` is a path; as a part of a text it stands in a template of its own: `{{ event.… }}`",
        )
    while at < len(text):
        found, at = _part(text, at)
        parts.extend(found)
    plain = all(isinstance(part, (str, int)) for part in parts)
    steps = tuple(part for part in parts if isinstance(part, (str, int))) if plain else None
    if steps is None and "*" in parts:
        raise LangError(
            "unsupported", 'a member named "*" cannot be named in a path that matches several times', 0, len(text)
        )
    return PathExpr(_show(root, parts), root, tuple(parts), steps)


def _root(text: str, item: bool) -> tuple[str, int]:
    if re.match(r"\$item(?![A-Za-z0-9_\u0080-\U0010ffff])", text):
        if not item:
            raise LangError(
                "unknown_root",
                "`$item` is the item of an `$each`, and there is none here",
                0,
                5,
                help="use it inside `to`, `where` or an action with `each`",
            )
        return "item", 5
    if text.startswith("$") and not _NAME.match(text, 1):
        return "event", 1
    near = "$." + text.lstrip("$.") if text.strip("$.") else "$"
    end = len(text) if not text.startswith("$") else 1 + len((_NAME.match(text, 1) or [""])[0])
    raise LangError(
        "syntax", "a path begins with `$`, such as `$.userId`", 0, end, help=f"write `{near}`", replacement=None
    )


def _part(text: str, at: int) -> tuple[list[Part], int]:
    if text.startswith("..", at):
        return _descendant(text, at)
    if text[at] == ".":
        if text.startswith(".*", at):
            return [Wild()], at + 2
        name, end = _name(text, at + 1)
        return [name], end
    if text[at] == "[":
        part, end = _bracket(text, at)
        return [part], end
    if (either := _EITHER.match(text, at)) is not None:
        raise _either(text, either.span(1))
    if (sign := _COMPUTED.match(text, at)) is not None:
        raise LangError(
            "syntax",
            "a path computes nothing",
            *sign.span(1),
            help='computing stands in a template, such as `"{{ event.properties.price * 100 }}"`',
        )
    if text[at].isspace():
        raise LangError(
            "syntax", "a path holds no spaces", at, at + 1, help='write a name with spaces as `["first name"]`'
        )
    if text[at] == "(":
        raise LangError(
            "syntax",
            "a path calls nothing",
            at,
            at + 1,
            help='filters stand in a template, such as `"{{ event.userId | lower }}"`',
        )
    held = re.fullmatch(r"\$\{\s*(?:event\.)?([\w.]+)\s*\}", text)
    raise LangError(
        "syntax",
        f"expected `.` or `[`, found `{text[at]}`",
        at,
        at + 1,
        help=f"write `$.{held[1]}`" if held is not None else "",
    )


def _either(text: str, span: tuple[int, int]) -> LangError:
    """`$.a || $.b`, as other languages say "the first that is there"."""
    choices = [choice.strip() for choice in _EITHER.split(text)[::2]]
    whole = all(re.match(r"\$(item)?[.\[]", choice) for choice in choices)
    return LangError(
        "syntax",
        f"`{text[slice(*span)]}` is not part of a path",
        *span,
        help=f"write `{{$first: [{', '.join(choices)}]}}`" if whole else "the first that is there is `{$first: [ … ]}`",
    )


def _descendant(text: str, at: int) -> tuple[list[Part], int]:
    if text.startswith("*", at + 2):
        return [Descend(), Wild()], at + 3
    if text.startswith("[", at + 2):
        part, end = _bracket(text, at + 2)
        if not isinstance(part, (str, int, Wild)):
            raise LangError("unsupported", "after `..` a name, an index or `*` is supported", at, end)
        return [Descend(), part], end
    name, end = _name(text, at + 2)
    return [Descend(), name], end


def _name(text: str, at: int) -> tuple[str, int]:
    match = _NAME.match(text, at)
    rest = _LOOSE.match(text, at)
    if match and (rest is None or rest.end() == match.end() or _EITHER.match(text, match.end())):
        return match[0], match.end()
    if rest:
        written = rest[0]
        fixed = f"[{written if _INDEX.fullmatch(written) else json.dumps(written, ensure_ascii=False)}]"
        raise LangError(
            "syntax",
            f"`{written}` is not a name that can follow a dot",
            at - 1,
            at + len(written),
            help=f"write `{text[: at - 1]}{fixed}`",
            replacement=None if text[at - 2 : at] == ".." else fixed,
        )
    shown = text[at : at + 1]
    raise LangError(
        "syntax",
        f"expected a name after the dot, found `{shown}`" if shown else "expected a name after the dot",
        at,
        at + len(shown),
    )


def _bracket(text: str, start: int) -> tuple[Part, int]:
    at = _skip(text, start + 1)
    if text.startswith(("'", '"'), at):
        name, at = _quoted(text, at)
        at = _skip(text, at)
        if text.startswith(",", at):
            raise LangError(
                "unsupported",
                "several names in one bracket are not supported",
                start,
                at + 1,
                help="use `{$pick: …, keys: [ … ]}`",
            )
        return name, _closed(text, start, at)
    if text.startswith("*", at):
        return Wild(), _closed(text, start, _skip(text, at + 1))
    if text.startswith("?", at):
        raise LangError(
            "unsupported",
            "filters in a path are not supported",
            start,
            len(text),
            help="use `{$each: …, where: …, to: …}`",
        )
    match = _SLICE.match(text, at)
    if match:
        start_, end_, step = (None if part is None else _integer(part, start, match.end()) for part in match.groups())
        if step == 0:
            raise LangError("unsupported", "a slice with step 0 selects nothing", start, match.end())
        return Slice(start_, end_, step), _closed(text, start, match.end())
    return _indexes(text, start, at)


def _indexes(text: str, start: int, at: int) -> tuple[Part, int]:
    found: list[int] = []
    while True:
        match = _INDEX.match(text, at)
        after = text[match.end() : match.end() + 1] if match else ""
        if match is None or after.isdecimal():
            end = text.find("]", at) + 1 or len(text)
            raise LangError(
                "syntax", f"`{text[start:end]}` is no index", start, end, help='write `[0]`, or `["name"]` for a member'
            )
        found.append(_integer(match[0], at, match.end()))
        at = _skip(text, match.end())
        if not text.startswith(",", at):
            break
        at = _skip(text, at + 1)
    end = _closed(text, start, at)
    return (found[0] if len(found) == 1 else Union(tuple(found))), end


def _integer(text: str, start: int, end: int) -> int:
    if len(text) > 17 or abs(int(text)) > _MAX_INT:
        raise LangError("syntax", "an index of more than 2^53 - 1", start, end)
    return int(text)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _closed(text: str, start: int, at: int) -> int:
    if not text.startswith("]", at):
        if at >= len(text):
            raise LangError("syntax", "this `[` is not closed", start, len(text), help="add a `]`")
        raise LangError("syntax", f"expected `]`, found `{text[at]}`", at, at + 1)
    return at + 1


def _quoted(text: str, start: int) -> tuple[str, int]:
    quote = text[start]
    at = start + 1
    while at < len(text) and text[at] != quote:
        at += 2 if text[at] == "\\" else 1
    if at >= len(text):
        raise LangError("syntax", "this name is not closed", start, len(text), help=f"add a {quote}")
    inner = text[start + 1 : at]
    as_json = inner.replace("\\'", "'").replace('"', '\\"') if quote == "'" else inner
    try:
        if quote == '"' and _ESCAPED_APOSTROPHE.search(inner):
            raise ValueError
        name = json.loads(f'"{as_json}"')
        name.encode()
    except ValueError:
        raise LangError("syntax", "this name has an escape that JSON does not know", start, at + 1) from None
    return name, at + 1


def path_of(steps: Iterable[str | int], *, item: bool = False) -> str:
    """The canonical text of a path of these steps, from the event or from an item."""
    return _show("item" if item else "event", steps)


def _show(root: str, parts: Iterable[Part]) -> str:
    """Canonical text: names that can follow a dot do, all others stand in brackets."""
    text = "$" if root == "event" else f"${root}"
    descending = False
    for part in parts:
        if isinstance(part, Descend):
            descending = True
            text += ".."
            continue
        if isinstance(part, str):
            plain = _NAME.fullmatch(part) is not None
            text += ("" if descending else ".") + part if plain else f"[{json.dumps(part, ensure_ascii=False)}]"
        elif isinstance(part, int):
            text += f"[{part}]"
        elif isinstance(part, Slice):
            bounds = ["" if bound is None else str(bound) for bound in (part.start, part.end)]
            text += f"[{':'.join(bounds)}{'' if part.step is None else f':{part.step}'}]"
        elif isinstance(part, Union):
            text += f"[{','.join(map(str, part.indexes))}]"
        else:
            text += "[*]"
        descending = False
    return text


def find(expr: PathExpr, event: Any, item: Any = MISSING) -> Any:
    """The value, MISSING, or for a path that can match several times the list of matches in document order. In place of an event stands the
    body of an answer for a path into it."""
    here = item if expr.root == "item" else event
    if expr.steps is not None:
        for step in expr.steps:
            here = member(here, step)
        return here
    if here is MISSING:
        return []
    return [match.value for match in _evaluator(expr).find(here)]


def below(parts: tuple[Part, ...]) -> PathExpr:
    """The rest of a path, as one into the value that stands before it."""
    steps = tuple(part for part in parts if isinstance(part, (str, int)))
    return PathExpr("", "event", parts, steps if len(steps) == len(parts) else None)


def member(value: Any, step: str | int) -> Any:
    """One step: a member of an object or an item of a list, else MISSING."""
    if isinstance(step, str):
        return value.get(step, MISSING) if isinstance(value, dict) else MISSING
    if isinstance(value, list) and -len(value) <= step < len(value):
        return value[step]
    return MISSING


@functools.lru_cache(maxsize=1024)
def _evaluator(expr: PathExpr) -> Any:
    """The path as jsonpath-ng's own tree, built node by node so that its parser has no say."""
    from jsonpath_ng import jsonpath as ng

    tree: Any = ng.Root()
    descending = False
    for part in expr.parts:
        if isinstance(part, Descend):
            descending = True
            continue
        right = _ng_part(ng, part)
        tree = ng.Descendants(tree, right) if descending else ng.Child(tree, right)
        descending = False
    return tree


def _ng_part(ng: Any, part: Part) -> Any:
    if isinstance(part, str):
        return ng.Fields(part)
    if isinstance(part, int):
        return ng.Index(part)
    if isinstance(part, Slice):
        # The library takes a slice without any bound for a wildcard, which would match an object's members too.
        bare = part == Slice(None, None, None)
        return ng.Slice(0 if bare else part.start, part.end, part.step)
    if isinstance(part, Union):
        return ng.Index(*part.indexes)
    return ng.Wildcard()
