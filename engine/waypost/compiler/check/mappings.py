"""Mappings (family M): types that can never hold, checks that contradict each other, and `require` of what is never produced."""

from __future__ import annotations

from collections.abc import Sequence

from waypost import plan as p
from waypost.compiler.check.event_fields import SAID, can_be, kind_of
from waypost.compiler.read.source import Span
from waypost.compiler.report.diagnostic import Diagnostic, Label, Report
from waypost.compiler.report.suggest import nearest
from waypost.compiler.spec import ActionSpec, RequireSpec, Spec, Val
from waypost.lang import filters, jsonpath, patterns, values
from waypost.lang.errors import LangError
from waypost.lang.formats import TEXT_FORMATS

TIMES = ("datetime", "unix", "unix_ms", "unix_us")
_KIND_OF_CONSTANT = {"string": "string", "number": "number", "boolean": "boolean", "object": "object", "array": "array"}


def check(spec: Spec, report: Report) -> None:
    for action in spec.actions.values():
        for val in action.mapping.walk():
            _leaf(val, report)
        if not action.mapping.broken and not isinstance(
            action.mapping.node, (p.Object, p.Merge, p.From, p.When, p.First, p.Path)
        ):
            report.add(
                Diagnostic(
                    "M212",
                    "a mapping makes an object",
                    Label(action.mapping.span, "found another value"),
                    "write the fields as keys",
                )
            )
        for need in action.require:
            _require(action, need, report)
    for action in spec.actions.values():
        for val in action.request.values():
            for inner in val.walk():
                _leaf(inner, report)


def kind(val: Val) -> str | None:
    """The kind that an expression has whenever it has a value, where that is known."""
    node = val.node
    if isinstance(node, p.Const):
        return _KIND_OF_CONSTANT.get(values.typeof(node.value))
    if isinstance(node, p.Path):
        if node.path.startswith("$item"):
            return None
        expr = jsonpath.parse(node.path)
        return "array" if expr.multi else kind_of(expr.steps)
    if isinstance(node, p.Filter):
        given = filters.FILTERS[node.name].gives
        return None if given == "any" else given
    if isinstance(node, p.Arith):
        return "number"
    if isinstance(node, p.From):
        return _kind_of_type(node.type) if node.type else kind(val.parts[0]) if val.parts else None
    if isinstance(node, p.Each):
        return "object" if node.key is not None else "array" if node.single else None
    return {
        p.Text: "string",
        p.Object: "object",
        p.Merge: "object",
        p.Pick: "object",
        p.Drop: "object",
        p.Items: "array",
    }.get(type(node))


def _kind_of_type(name: str) -> str:
    return {"datetime": "string", "unix": "number", "unix_ms": "number", "unix_us": "number", "integer": "number"}.get(
        name, name
    )


def _leaf(val: Val, report: Report) -> None:
    node = val.node
    if isinstance(node, p.From):
        _checks(val, node, report)
    elif isinstance(node, (p.Merge, p.Pick, p.Drop, p.Get)):
        for operand in val.parts[: len(node.of) if isinstance(node, p.Merge) else 1]:
            found = kind(operand)
            if found not in (None, "object"):
                word = {p.Merge: "$merge", p.Pick: "$pick", p.Drop: "$drop", p.Get: "$get"}[type(node)]
                report.add(
                    Diagnostic(
                        "M201", f"`{word}` takes objects, and this is never one", Label(operand.span, f"always {found}")
                    )
                )
    elif isinstance(node, p.First):
        _order(val, report)
    if (
        isinstance(node, (p.Each, p.Get))
        and node.key is not None
        and kind(val.parts[-1]) in ("object", "array", "list")
    ):
        message, label = (
            "a name is text, and this is never that",
            f"always {SAID.get(str(kind(val.parts[-1])), 'an object')}",
        )
        report.add(Diagnostic("M201", message, Label(val.parts[-1].span, label)))
    elif isinstance(node, (p.Each, p.Find)):
        found = kind(val.parts[0])
        if found not in (None, "array", "list", "object") and not (isinstance(node, p.Each) and node.single):
            report.add(
                Diagnostic(
                    "M201",
                    f"`{'$each' if isinstance(node, p.Each) else '$find'}` goes over a list or an object, and this is never one",
                    Label(val.parts[0].span, f"always {found}"),
                )
            )


def _as_text(node: p.Value) -> str:
    """How a boolean becomes text, which no `type` does: nothing is guessed from a value's form."""
    path = node.path if isinstance(node, p.Path) else None
    if path is None or '"' in path:
        return "the filter `string` gives its text"
    root = path.removeprefix("$item") if path.startswith("$item") else path.removeprefix("$")
    return f'write `"{{{{ {"item" if path.startswith("$item") else "event"}{root} | string }}}}"`'


def _order(val: Val, report: Report) -> None:
    for part in val.parts[:-1]:
        if isinstance(part.node, p.Const) and part.node.value is not None and not part.broken:
            report.add(
                Diagnostic(
                    "M219",
                    "a constant is never missing, so what follows it is never reached",
                    Label(part.span),
                    "put the constant last",
                )
            )
            return


def _checks(val: Val, node: p.From, report: Report) -> None:
    of = kind(val.parts[0]) if not node.single else None
    if node.single and node.type != "array":
        message = "`single: wrap` makes a list" + (f", and type {node.type} is none" if node.type else "")
        report.add(
            Diagnostic("M230", message, Label(val.words.get("single", val.span)), "write `type: array` beside it")
        )
        return
    if node.type is not None and of is not None and not can_be(of, node.type):
        report.add(
            Diagnostic(
                "M201",
                f"this can never be of type {node.type}",
                Label(val.words.get("type", val.span), f"the value is always {SAID.get(of, of)}"),
                _as_text(val.parts[0].node)
                if of == "boolean" and node.type == "string"
                else "remove `type`, or take another value",
            )
        )
        return
    result = _kind_of_type(node.type) if node.type else None
    for word, given in (
        ("format", node.format),
        ("pattern", node.pattern),
        ("max_length", node.max_length),
        ("max_bytes", node.max_bytes),
    ):
        if given is not None and result not in (None, "string"):
            report.add(
                Diagnostic(
                    "M202",
                    f"`{word}` judges text, and type {node.type} is none",
                    Label(val.words.get(word, val.span)),
                    "remove one of the two",
                )
            )
    timed = result if node.type not in TIMES else None
    for word, limit in (("max_age", node.max_age_s), ("max_ahead", node.max_ahead_s)):
        if limit is not None and timed is not None:
            report.add(
                Diagnostic(
                    "M202",
                    f"`{word}` judges times, and type {node.type} is none",
                    Label(val.words.get(word, val.span)),
                    "use `type: datetime`, `unix`, `unix_ms` or `unix_us`",
                )
            )
    for member in node.enum or []:
        if result is not None and values.typeof(member) != result:
            report.add(
                Diagnostic(
                    "M203",
                    f"`enum` has {values.encode(member).decode()}, and type {node.type} is never that",
                    Label(val.words.get("enum", val.span)),
                )
            )
            break
    else:
        _members(node, node.enum or [], val.words.get("enum", val.span), report)
    if isinstance(node.default, p.Const):
        _default(node, node.default.value, val.words.get("default", val.span), result, report)


def _default(node: p.From, default: object, span: Span, result: str | None, report: Report) -> None:
    if node.required:
        report.add(
            Diagnostic("M213", "`required` has no effect beside a `default`", Label(span), "remove one of the two")
        )
    if default is None or (result is not None and values.typeof(default) != result):
        report.add(
            Diagnostic(
                "M203",
                f"the default is {values.typeof(default)}",
                Label(span, f"expected {result or 'a value'}"),
                "a default is of the field's type",
            )
        )
    elif node.enum is not None and default not in node.enum:
        report.add(
            Diagnostic("M203", "the default is not in `enum`", Label(span), "add it to `enum`, or choose another")
        )


def _members(node: p.From, members: Sequence[object], span: Span, report: Report) -> None:
    """Members of `enum` that the field's own checks on text refuse."""
    for member in members:
        if not isinstance(member, str):
            continue
        refused = (
            "format"
            if node.format is not None and not TEXT_FORMATS[node.format](member)
            else "pattern"
            if node.pattern is not None and not _fits(node.pattern, member)
            else "max_length"
            if node.max_length is not None and len(member) > node.max_length
            else "max_bytes"
            if node.max_bytes is not None and len(member.encode()) > node.max_bytes
            else None
        )
        if refused is not None:
            report.add(
                Diagnostic(
                    "M203",
                    f"`enum` has {values.encode(member).decode()}, which `{refused}` refuses",
                    Label(span),
                    "change one of the two",
                )
            )
            return


def _fits(pattern: str, text: str) -> bool:
    """Whether a pattern lets the text through; of one that cannot be read M214 has spoken."""
    try:
        return patterns.compiled(pattern).fits(text)
    except LangError:
        return True


def _require(action: ActionSpec, need: RequireSpec, report: Report) -> None:
    for path, keys in zip(need.paths, need.require.any, strict=True):
        found = produces(action.mapping.node, keys)
        if found is not None:
            near = nearest(keys[found], _keys(action.mapping.node, keys[:found]))
            sent = _sent_as(action.mapping.node, "$." + ".".join(keys))
            report.add(
                Diagnostic(
                    "M216",
                    f"`{action.name.value}` never produces `{'.'.join(keys[: found + 1])}`",
                    Label(
                        path.span,
                        f"did you mean `{sent or '.'.join([*keys[:found], str(near)])}`?" if sent or near else "",
                    ),
                    "`require` names output fields, not event fields",
                )
            )


def produces(node: p.Value, keys: list[str]) -> int | None:
    """None when the mapping can produce the field, else the index of the first key that it cannot."""
    for index, key in enumerate(keys):
        if isinstance(node, p.Object):
            if key not in node.entries or isinstance(node.entries[key], p.Omit):
                return index
            node = node.entries[key]
        elif isinstance(node, p.Merge):
            if key not in node.entries:
                return None
            if isinstance(node.entries[key], p.Omit):
                return index
            node = node.entries[key]
        else:
            return None
    return None


def _sent_as(node: p.Value, path: str) -> str | None:
    """The output field that an event's path is sent as."""
    for key, value in node.entries.items() if isinstance(node, (p.Object, p.Merge)) else ():
        of = value.of if isinstance(value, p.From) else value
        if isinstance(of, p.Path) and of.path == path:
            return key
        inner = _sent_as(value, path)
        if inner is not None:
            return f"{key}.{inner}"
    return None


def _keys(node: p.Value, keys: list[str]) -> list[str]:
    for key in keys:
        if not isinstance(node, (p.Object, p.Merge)) or key not in node.entries:
            return []
        node = node.entries[key]
    return list(node.entries) if isinstance(node, (p.Object, p.Merge)) else []
