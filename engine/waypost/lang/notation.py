"""Plan nodes in the notation of the spec language: what an author would write for them, on one line.

Takes a node of a plan. Gives `value` (a value position: `$.a.b`, `"{{ event.x | lower }}"`, `{$from: $.x, type: string}`), `text` (a text
position, where a path stands in braces) and `constant` (YAML on one line). Whatever the compiler can make of a spec prints to what compiles
to the same node (tests/lang/test_notation.py); a node that no author can write prints as the nearest that reads well, and never raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from waypost import plan as p
from waypost.lang import filters, jsonpath, values
from waypost.lang.errors import LangError

_PLAIN = re.compile(r"[A-Za-z][\w./-]*(?: [\w./-]+)*", re.ASCII)
"""Text that YAML reads as text wherever it stands."""
_RESERVED = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_FLOW_SIGNS = frozenset(",[]{}")
_UNITS = (("d", 86400), ("h", 3600), ("m", 60))


def value(node: p.Value) -> str:
    """The node in a value position."""
    return _value(node, flow=False)


def text(node: p.Value) -> str:
    """The node in a text position (url, headers, query, auth): a constant is its own text."""
    return quoted(plain_text(node))


def plain_text(node: p.Value) -> str:
    """The same without YAML's quotes, for people."""
    if isinstance(node, p.Const) and isinstance(node.value, str) and _literal(node.value):
        return node.value
    return _template(node)


def constant(held: Any) -> str:
    """A JSON value as YAML on one line."""
    if isinstance(held, str):
        return quoted(held)
    if isinstance(held, dict):
        return _map((quoted(str(key)), constant(item)) for key, item in held.items())
    if isinstance(held, (list, tuple)):
        return _list(constant(item) for item in held)
    return values.encode(held).decode()


def fixed(held: Any) -> str:
    """A constant where a map's keys may be words: one with a key that begins with `$` is written `{$literal: …}`."""
    return f"{{$literal: {constant(held)}}}" if _has_word(held) else constant(held)


def _has_word(held: Any) -> bool:
    if isinstance(held, dict):
        return any(str(key).startswith("$") or _has_word(item) for key, item in held.items())
    return isinstance(held, list) and any(map(_has_word, held))


def quoted(held: str, *, flow: bool = True) -> str:
    """Text as a YAML scalar: plain where that is safe, else in quotes. `flow`: inside braces or brackets."""
    if _PLAIN.fullmatch(held) and held.lower() not in _RESERVED:
        return held
    if held.startswith("$") and _plain_path(held, flow):
        return held
    safe = not _UNPRINTABLE.search(held) and held.isprintable()
    if safe and '"' in held and "'" not in held:
        return f"'{held}'"
    return json_text(held)


def in_quotes(held: str) -> str:
    """Text as a YAML scalar that is quoted even where it need not be: templates and sentences."""
    shown = quoted(held)
    return shown if shown[0] in "\"'" else f'"{shown}"'


def key(name: str) -> str:
    """A literal key of a map: one that begins with `$` is written `$$`."""
    return quoted("$" + name) if name.startswith("$") else quoted(name)


def condition(held: str) -> str:
    """FQL as a YAML scalar inside braces."""
    signs = _FLOW_SIGNS & set(held) or held[:1] in "\"'!&*|>%@`#?-" or re.search(r": |:$| #|[^ -~]", held)
    return quoted(held) if signs else held


def responses(rules: list[p.ResponseRule]) -> str:
    """What stands at a status of `responses`; "" where nothing does."""
    rows = [_rule(rule) for rule in rules]
    return rows[0] if len(rows) == 1 else _list(rows) if rows else ""


def _rule(rule: p.ResponseRule) -> str:
    test = [("if", condition(rule.test))] if rule.test is not None else []
    if not rule.results:
        return _map([*test, ("then", rule.then)]) if test else rule.then
    readers = [reader(held) for held in rule.results]
    return _map([*test, ("results", readers[0] if len(readers) == 1 else _list(readers)), ("rest", rule.then)])


def reader(held: p.Reader) -> str:
    """A reader of `results`."""
    rows = [("at", _value(held.at))]
    rows += [("list", _text_or_value(held.list_name))] if held.list_name is not None else []
    rows += [(word, _value(node)) for word, node in (("index", held.index), ("value", held.value)) if node is not None]
    rows += [("of", quoted(held.of))] if held.of else []
    rows += [("where", condition(held.where))] if held.where is not None else []
    rows += [("reason", _text_or_value(held.reason))] if held.reason is not None else []
    return _map([*rows, ("then", responses(held.then))])


def _text_or_value(node: p.Value) -> str:
    return text(node) if isinstance(node, p.Const) and isinstance(node.value, str) else _value(node)


def seconds(held: float) -> str:
    """A time with its unit, as short as it can be said exactly."""
    exact = Decimal(repr(float(held)))
    for unit, size in _UNITS:
        if exact and exact % size == 0 and exact // size > (unit == "d"):
            return f"{int(exact // size)}{unit}"
    if 0 < exact < 1:
        return f"{(exact * 1000).normalize():f}ms"
    return f"{exact.normalize():f}s"


def rate(held: p.Rate) -> str:
    """A rate with its time: `1000/s`, `3000/3s`."""
    return f"{held.count}/{seconds(held.per_s).removeprefix('1')}"


def size(held: int) -> str:
    """A size with its unit."""
    for unit, factor in (("MiB", 2**20), ("MB", 10**6), ("KiB", 2**10), ("kB", 10**3)):
        if held and held % factor == 0:
            return f"{held // factor}{unit}"
    return f"{held}B"


def json_text(held: str) -> str:
    """Text in double quotes: JSON, and what YAML, JSONPath and a template read as that text."""
    shown = json.dumps(held, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04X}", shown)


def _plain_path(held: str, flow: bool) -> bool:
    if re.search(r": |:$| #|[\x00-\x1f]", held) or not held.isprintable():
        return False
    return not (flow and (_FLOW_SIGNS & set(held) or ":" in held or "*" in held))


def _map(pairs: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{key}: {item}" for key, item in pairs) + "}"


def _list(items: Iterable[str]) -> str:
    return "[" + ", ".join(items) + "]"


# Value positions.


def _value(node: p.Value, *, flow: bool = True) -> str:
    if isinstance(node, p.Path):
        return quoted(node.path, flow=flow)
    if isinstance(node, p.Const):
        if isinstance(node.value, (str, dict, list)):
            return _map([("$literal", constant(node.value))])
        return constant(node.value)
    if isinstance(node, p.Omit):
        return "$omit"
    if isinstance(node, p.Messages):
        word = "$messages" if node.many else "$message"
        return _map([(word, _list(map(quoted, node.actions)))]) if node.actions else word
    if isinstance(node, p.Items):
        return _list(map(_value, node.items))
    if node == p.Ref(name="key"):
        return "$key"
    if isinstance(node, p.Filter) and not _coded(node):
        return _map(_from(p.From(of=node)))
    if isinstance(node, (p.Ref, p.Text, p.Filter, p.Arith)):
        return in_quotes(_template(node))
    return _map(_WORDS[type(node)](node))


def _entries(entries: dict[str, p.Value]) -> list[tuple[str, str]]:
    return [(key(name), _value(entry)) for name, entry in entries.items()]


def _merge(node: p.Merge) -> list[tuple[str, str]]:
    alone = len(node.of) == 1 and not isinstance(node.of[0], p.Items)
    of = _value(node.of[0]) if alone else _list(map(_value, node.of))
    return [("$merge", of), *_entries(node.entries)]


def _from(node: p.From) -> list[tuple[str, str]]:
    """Filters over what no template holds stand in a word of their own."""
    base: p.Value = node.of
    chain: list[str] = []
    while isinstance(base, p.Filter) and not _coded(base):
        chain.insert(0, _filter_text(base))
        base = base.of
    filters = [("filter", in_quotes(" | ".join(chain)))] if chain else []
    return [("$from", _value(base)), *filters, *checks(node)]


def _coded(node: p.Value) -> bool:
    """Whether a template can hold it."""
    if isinstance(node, p.Path):
        return jsonpath.parse(node.path, item=True, body=True).steps is not None
    if isinstance(node, p.Filter):
        return _coded(node.of)
    if isinstance(node, p.Arith):
        return _coded(node.left) and _coded(node.right)
    return isinstance(node, p.Ref) or (isinstance(node, p.Const) and not isinstance(node.value, (dict, list)))


def checks(node: p.From) -> list[tuple[str, str]]:
    """The words of a `$from` that are not as they would be without being written."""
    plain = p.From(of=node.of, nulls="omit" if node.type else "keep")
    found: list[tuple[str, str]] = []
    for field, word, show in _CHECKS:
        held = getattr(node, field)
        if held != getattr(plain, field):
            found.append((word, show(held)))
    return found


def _default(node: p.Value) -> str:
    return fixed(node.value) if isinstance(node, p.Const) else _value(node)


_CHECKS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("type", "type", str),
    ("single", "single", lambda held: "wrap"),
    ("nulls", "nulls", str),
    ("empty", "empty", str),
    ("enum", "enum", lambda held: _list(map(fixed, held))),
    ("format", "format", str),
    ("pattern", "pattern", quoted),
    ("max_length", "max_length", str),
    ("max_bytes", "max_bytes", str),
    ("max_age_s", "max_age", seconds),
    ("max_ahead_s", "max_ahead", seconds),
    ("invalid", "invalid", str),
    ("default", "default", _default),
    ("required", "required", constant),
)


def _when(node: p.When) -> list[tuple[str, str]]:
    rows = [("$when", condition(node.test)), ("then", _value(node.then))]
    return rows if node.otherwise is None else [*rows, ("else", _value(node.otherwise))]


def _each(node: p.Each) -> list[tuple[str, str]]:
    rows = [("$each", _value(node.of))]
    if node.single:
        rows.append(("single", "wrap"))
    if node.key is not None:
        rows.append(("key", _value(node.key)))
    rows.append(("to", _value(node.to)))
    return rows if node.where is None else [*rows, ("where", condition(node.where))]


def _find(node: p.Find) -> list[tuple[str, str]]:
    rows = [("$find", _value(node.of)), ("where", condition(node.where))]
    return rows if node.to is None else [*rows, ("to", _value(node.to))]


def _lookup(node: p.Lookup) -> list[tuple[str, str]]:
    table = _map((quoted(name), fixed(held)) for name, held in node.table.items())
    rows = [("$lookup", _value(node.of)), ("in", table if node.table_of is None else _value(node.table_of))]
    return rows if node.otherwise is None else [*rows, ("else", _value(node.otherwise))]


def _keys(node: p.Pick | p.Drop) -> tuple[str, str]:
    return "keys", constant(node.keys) if node.keys_of is None else _value(node.keys_of)


_WORDS: dict[type[p.Node], Callable[[Any], list[tuple[str, str]]]] = {
    p.Object: lambda node: _entries(node.entries),
    p.Merge: _merge,
    p.From: _from,
    p.First: lambda node: [("$first", _list(map(_value, node.of)))],
    p.Pick: lambda node: [("$pick", _value(node.of)), _keys(node)],
    p.Drop: lambda node: [("$drop", _value(node.of)), _keys(node)],
    p.Each: _each,
    p.Find: _find,
    p.Get: lambda node: [("$get", _value(node.of)), ("key", _value(node.key))],
    p.When: _when,
    p.Lookup: _lookup,
}


# Templates.


def _template(node: p.Value) -> str:
    if not isinstance(node, p.Text):
        return f"{{{{ {_code(node)} }}}}"
    shown: list[str] = []
    after_literal = False
    for index, part in enumerate(node.parts):
        raw = part.value if isinstance(part, p.Const) and isinstance(part.value, str) else None
        # Two literals in a row would be read as one.
        after_literal = not after_literal and raw is not None and _literal(raw, first=index == 0)
        shown.append(raw if after_literal and raw is not None else f"{{{{ {_code(part)} }}}}")
    return "".join(shown)


def _literal(held: str, *, first: bool = True) -> bool:
    """Whether text can stand outside of braces."""
    if not held or held.endswith("{") or (first and held.startswith("$")):
        return False
    return not any(mark in held for mark in ("{{", "}}", "{%", "{#"))


def _code(node: p.Value) -> str:
    """An expression between braces."""
    if isinstance(node, p.Path):
        return _member(node.path)
    if isinstance(node, p.Const):
        return _code_constant(node.value)
    if isinstance(node, p.Ref):
        root, *steps = node.name.split(".", 2)
        return root + "".join(map(_step, steps))
    if isinstance(node, p.Filter):
        of = f"({_code(node.of)})" if isinstance(node.of, p.Arith) else _code(node.of)
        return f"{of} | {_filter_text(node)}"
    if isinstance(node, p.Arith):
        loose = isinstance(node.left, p.Arith) and node.sign in "*/" and node.left.sign in "+-"
        left = f"({_code(node.left)})" if loose or isinstance(node.left, p.Filter) else _code(node.left)
        right = f"({_code(node.right)})" if isinstance(node.right, (p.Arith, p.Filter)) else _code(node.right)
        return f"{left} {node.sign} {right}"
    return _value(node)


def _filter_text(node: p.Filter) -> str:
    """A filter with its arguments."""
    kinds = filters.FILTERS[node.name].args if node.name in filters.FILTERS else ()
    shown = [_argument(node.name, arg, kind) for arg, kind in zip_longest(node.args, kinds[: len(node.args)])]
    return f"{node.name}({', '.join(shown)})" if node.args else node.name


def _argument(name: str, node: p.Value, kind: str | None) -> str:
    """An argument of a filter: a pattern stands as RE2 reads it, a flag with its name."""
    if kind == "flag" and isinstance(node, p.Const):
        return f"{filters.FILTERS[name].flag}: {_code(node)}"
    if kind != "pattern" or not isinstance(node, p.Const) or not isinstance(node.value, str):
        return _code(node)
    if "'" not in node.value:
        return f"'{node.value}'"
    if '"' not in node.value:
        return f'"{node.value}"'
    bare = re.sub(r"\\.|'", lambda sign: "\\'" if sign[0] == "'" else sign[0], node.value, flags=re.DOTALL)
    return f"'{bare}'"


def _member(path: str) -> str:
    try:
        expr = jsonpath.parse(path, item=True, body=True)
    except LangError:
        return path
    if expr.steps is None:
        return path
    return expr.root + "".join(map(_step, expr.steps))


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _NAME.fullmatch(step) else f"[{_code_constant(step)}]"


def _code_constant(held: Any) -> str:
    if held is None:
        return "none"
    if not isinstance(held, str):
        return constant(held)
    if held.isprintable() and "\\" not in held and "'" not in held:
        return f"'{held}'"
    return json.dumps(held, ensure_ascii=False)
