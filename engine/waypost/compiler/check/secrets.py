"""Secrets (family X): a secret setting reaches only auth, url, headers and query; and none is written into the spec itself."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from waypost import plan as p
from waypost.compiler.read.source import Span
from waypost.compiler.report.diagnostic import Diagnostic, Label, Report
from waypost.compiler.spec import Condition, SettingSpec, Spec, Val
from waypost.lang import fql, shapes

_PREFIXES = re.compile(
    r"(?:sk|pk|rk)_(?:live|test)_|xox[abprs]-|gh[pousr]_|AKIA[0-9A-Z]{12}|-----BEGIN "
    r"|eyJ[A-Za-z0-9_-]{10,}\.|Bearer\s+\S{8}|Basic\s+[A-Za-z0-9+/=]{8}"
)

_NAMED = re.compile(
    r"(?:^|_)(?:token|secret|password|passwd|credentials?|(?:api|private|secret|access|write)_?key)(?:_|$)"
)


def check(spec: Spec, report: Report) -> None:
    # What holds several values is no secret: X107 says so, and nothing that follows from it.
    secret = {
        name for name, item in spec.settings.items() if item.setting.secret and item.setting.type not in shapes.SEVERAL
    }
    for name in secret:
        item = spec.settings[name]
        if item.setting.default is not None:
            report.add(
                Diagnostic(
                    "X102",
                    f"the secret `{name}` has a default",
                    Label(item.spans.get("default", item.name.span)),
                    "a secret comes from the environment or a file",
                )
            )
    for action in spec.actions.values():
        for val in (
            action.mapping,
            *([action.each] if action.each else []),
            *([action.request.body] if action.request.body else []),
        ):
            _taint(val, secret, report)
        for condition in (action.trigger, action.where, *(need.test for need in action.require)):
            _conditions(condition, secret, report)
    for val in _credentials(spec):
        _literal(val, report)
    for action in spec.actions.values():
        for whole in (action.mapping, *([action.request.body] if action.request.body else [])):
            for val in whole.walk():
                _known(val.node, val.span, report)
    for item in spec.settings.values():
        span = item.spans.get("choices", item.name.span)
        for data in item.setting.choices.values():
            for value in data.values():
                _known(p.Const(value=value), span, report)
        _unmarked(item, report)
        _several(item, report)
    if "used_settings" in spec.texts:
        _unused(spec, report)


def _taint(val: Val, secret: set[str], report: Report) -> None:
    """A secret anywhere in an expression that becomes part of a message: also through filters, also when only hashed."""
    for inner in val.walk():
        _conditions(inner.condition, secret, report)
        if inner.parts:
            continue

        def look(node: p.Value, here: Val = inner) -> None:
            name = node.name.split(".")[1] if isinstance(node, p.Ref) and node.name.startswith("settings.") else None
            if name in secret:
                report.add(
                    Diagnostic(
                        "X101",
                        f"the secret `{name}` would be sent inside a message",
                        Label(here.span, "a secret may reach only auth, url, headers and query"),
                        "put it into `auth`, `headers` or `query`",
                    )
                )

        p.rewrite(inner.node, look)


def _conditions(condition: Condition | None, secret: set[str], report: Report) -> None:
    for path in fql.paths(condition.node) if condition else []:
        if condition and path.steps[0] == "settings" and len(path.steps) > 1 and path.steps[1] in secret:
            report.add(
                Diagnostic(
                    "X101",
                    f"the secret `{path.steps[1]}` decides what is sent",
                    Label(condition.span(*path.span), "a secret may reach only auth, url, headers and query"),
                )
            )


def _credentials(spec: Spec) -> Iterator[Val]:
    yield from (inner for val in spec.auth.all() for inner in val.walk())
    for action in spec.actions.values():
        yield from action.request.headers.values()
        yield from action.request.query.values()
        for objects in action.request.more.values():
            yield from (val for whole in objects for val in whole.walk())
        if action.request.sign is not None:
            yield from action.request.sign.values()
        yield action.request.url


def _literal(val: Val, report: Report) -> None:
    pieces = val.node.parts if isinstance(val.node, p.Text) else [val.node]
    for piece in pieces:
        if isinstance(piece, p.Const) and isinstance(piece.value, str) and looks_secret(piece.value):
            _written(val.span, report)


def _known(node: p.Value, span: Span, report: Report) -> None:
    """A literal that begins as credentials of known makers do; elsewhere than in auth a long word may be an id."""
    if isinstance(node, p.Const) and isinstance(node.value, str) and _PREFIXES.search(node.value):
        _written(span, report)


def _written(span: Span, report: Report) -> None:
    report.add(
        Diagnostic(
            "X103",
            "this looks like a credential written into the spec",
            Label(span),
            "make it a setting with `secret: true` and write `{{ settings.… }}`",
        )
    )


def _unmarked(item: SettingSpec, report: Report) -> None:
    found = _NAMED.search(item.name.value)
    unread = any(("S105", span) in report.found for span in item.spans.values())
    if found is None or item.setting.secret or item.setting.type != "string" or unread:
        return
    report.add(
        Diagnostic(
            "X104",
            f"`{item.name.value}` is named like a credential, and is not secret",
            Label(item.name.span, "add `secret: true`"),
            "or excuse the line: `# waypost: allow X104 (it is public)`",
            severity="warning",
        )
    )


def named_secret(name: str) -> bool:
    """Whether a setting of this name is a credential, by its name alone."""
    return _NAMED.search(name) is not None


def _several(item: SettingSpec, report: Report) -> None:
    """A list or map is shown, and stands in the plan of a connection."""
    if item.setting.type not in shapes.SEVERAL:
        return
    part = item.setting.part
    inside = [part, *part.fields.values()] if part is not None else []
    word = "of" if item.setting.type == "list" else "value"
    for where, held in (("secret", item.setting), *((word, one) for one in inside)):
        if held.secret:
            report.add(
                Diagnostic(
                    "X107",
                    f"a secret is one value, and `{item.name.value}` is a {item.setting.type}",
                    Label(item.spans.get(where, item.name.span), "this is shown, and stands in plans"),
                    "make the secret a setting of its own: `{type: string, secret: true}`",
                )
            )
    for value in shapes.text_of(item.setting.default) if item.setting.default is not None else ():
        _known(p.Const(value=value), item.spans.get("default", item.name.span), report)


def looks_secret(text: str) -> bool:
    """A known prefix, or a long word of many different characters with letters and digits mixed."""
    if _PREFIXES.search(text):
        return True
    return any(_dense(word) for word in re.findall(r"[A-Za-z0-9_+=-]{24,}", text))


def _dense(word: str) -> bool:
    counts = Counter(word)
    entropy = -sum(n / len(word) * math.log2(n / len(word)) for n in counts.values())
    return entropy > 3.5 and any(c.isdigit() for c in word) and any(c.isalpha() for c in word)


def _unused(spec: Spec, report: Report) -> None:
    for name, item in spec.settings.items():
        # In a spec with errors a part may not have been read; what names the setting there is no proof against it.
        unread = report.failed and re.search(rf"\bsettings\.{re.escape(name)}\b", report.source.text)
        if name not in spec.texts["used_settings"] and not unread:
            report.add(
                Diagnostic(
                    "C101",
                    f"the setting `{name}` is never used",
                    Label(item.name.span),
                    "use it, or remove it",
                    severity="warning",
                )
            )
