"""Urls of requests (family D): where they go is fixed by the spec or by settings, never by an event, and it is https.

Takes a spec and the url of one of its requests. What settings may hold in a host is in lang/hosts.py: known here of choices and defaults, of
other values when the plan is linked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from waypost import plan as p
from waypost.compiler.read.source import Span
from waypost.compiler.report.diagnostic import Report
from waypost.compiler.spec import SettingSpec, Spec, Val
from waypost.lang.hosts import HOST, PORT, SCHEME, Origin, Piece, host_fault, of_settings, origin_of, piece_fault
from waypost.lang.urls import LOOPBACK, url_fault

KINDS = ("string", "integer", "choice")
"""Types of settings whose values may be a part of a host."""


def check_url(spec: Spec, url: Val, report: Report) -> None:
    node, span = url.node, url.span
    pieces: list[p.Value] = [*node.parts] if isinstance(node, p.Text) else [node]
    origin = origin_of(node)
    if origin is None:
        _no_origin(spec, pieces, span, report)
        return
    if origin.based:
        _based(spec, origin.pieces[0].node, span, report)
    else:
        _origin(spec, origin, span, report)
    spaced = not origin.based and re.search(r"\s", _text(origin.rest[0]) if origin.rest else "")
    if spaced or any("#" in _text(piece) for piece in origin.rest):
        report.say("D102", "a url holds no user, fragment or spaces", span, help="put credentials into `auth`")


def _text(piece: p.Value) -> str:
    return str(piece.value) if isinstance(piece, p.Const) else ""


def _no_origin(spec: Spec, pieces: list[p.Value], span: Span, report: Report) -> None:
    first = pieces[0] if pieces else p.Const(value="")
    if isinstance(first, p.Ref) and first.name.startswith("settings."):
        item = spec.settings.get(first.name.split(".")[1])
        if item is not None and not _is_base(item, first.name):
            _based(spec, first, span, report)
        else:
            label = "else it would become part of the host"
            report.say("D102", "what follows the base url must begin with `/`", span, label)
        return
    label, help = "", ""
    # Of a url with a scheme something else than a setting stands in the host; without one that is not yet the question.
    if any(not of_settings(piece) for piece in pieces) and not _text(first).startswith("/"):
        label, help = "the host may not come from an event", "write `https://host/…` or `{{ settings.endpoint.api }}/…`"
    message = "a url begins with its scheme and host, or with a setting that holds them"
    report.say("D102", message, span, label, help or "write `https://host/…` or `{{ settings.endpoint.api }}/…`")


def _is_base(item: SettingSpec, name: str) -> bool:
    return item.setting.type == "url" or (item.setting.type == "choice" and name.count(".") == 2)


def _origin(spec: Spec, origin: Origin, span: Span, report: Report) -> None:
    """A url that has its scheme, with settings somewhere up to the end of the host."""
    found = len(report.diagnostics)
    for piece in origin.chosen:
        for name in _names(piece.node):
            _piece(spec, piece, name, span, report)
    if len(report.diagnostics) > found:
        return
    # What a setting holds is not known: something that could stand there is put in its place.
    text = "".join({"": _text(piece.node), SCHEME: "https", PORT: "1"}.get(piece.place, "x") for piece in origin.pieces)
    scheme, _, authority = text.partition("://")
    scheme, host, fault = scheme.lower(), "", ""
    try:
        host, port = urlsplit(text).hostname or "", urlsplit(text).port
        if port == 0:
            fault = "its port is not one"
    except ValueError:
        fault = "its host or port cannot be read"
    if "@" in authority or re.search(r"\s", text):
        report.say("D102", "a url holds no user, fragment or spaces", span, help="put credentials into `auth`")
    elif scheme not in ("http", "https") or not host or fault:
        report.say("D102", "a url begins with its scheme and host, or with a setting that holds them", span, fault)
    elif origin.chosen and (wrong := host_fault(re.sub(r":\d*$", "", authority))) is not None:
        message = "a url begins with its scheme and host, or with a setting that holds them"
        report.say("D102", message, span, f"the host {wrong}")
    elif (
        scheme == "http" and host not in LOOPBACK and not any(piece.place in (SCHEME, HOST) for piece in origin.chosen)
    ):
        # A whole host that a setting chooses may be a loopback one: that is asked when it is known.
        report.say("D101", "this url is not https", span, "`http://` is accepted for loopback hosts only")


def _names(node: p.Value) -> Iterator[str]:
    names: dict[str, None] = {}

    def look(inner: p.Value) -> None:
        if isinstance(inner, p.Ref):
            names[inner.name] = None

    p.rewrite(node, look)
    yield from names


def _piece(spec: Spec, piece: Piece, name: str, span: Span, report: Report) -> None:
    """A setting within the host."""
    _, first, *rest = name.split(".")
    item = spec.settings.get(first)
    if item is None:
        return
    setting = item.setting
    if setting.secret:
        help = "where the url itself is the secret (an incoming webhook), it is `type: url, secret: true`, and the url begins with it"
        report.say("X101", f"the secret `{first}` would choose the host", span, help=help)
        return
    if setting.type not in KINDS:
        what = "holds its scheme itself" if setting.type == "url" else f"is of type {setting.type}"
        help = (
            f"begin the url with it: `{{{{ settings.{name.removeprefix('settings.')} }}}}/…`"
            if setting.type == "url"
            else ""
        )
        report.say(
            "D102",
            f"the setting `{first}` is no part of a host",
            span,
            f"it {what}",
            help or "give it `type: string`",
        )
        return
    # What filters make of a value is known when the plan is linked.
    if not isinstance(piece.node, p.Ref):
        return
    for key, value in _known(item, rest):
        fault = piece_fault(str(value), piece)
        if fault is not None:
            what = f"the choice `{key}` of `{first}`" if key else f"the default of `{first}`"
            where = item.spans.get("choices" if key else "default", span)
            report.say("D102", f"{what} is no part of a host", where, f"`{value}` {fault}")


def _known(item: SettingSpec, rest: list[str]) -> Iterator[tuple[str, object]]:
    """What a setting may hold as far as the spec says: (choice, text); "" for the default."""
    choices = item.setting.choices
    if rest and not any(rest[0] in data for data in choices.values()):
        # A name that no choice has is told where it is read.
        return
    for key, data in choices.items():
        yield key, data.get(rest[0], "") if rest else key
    if not choices and item.setting.default is not None:
        yield "", item.setting.default


def _based(spec: Spec, node: p.Value, span: Span, report: Report) -> None:
    """A url that begins with a setting, which holds scheme and host."""
    if not isinstance(node, p.Ref):
        report.say("D102", "a url begins with its scheme and host, or with a setting that holds them", span)
        for name in _names(node):
            item = spec.settings.get(name.split(".")[1])
            if item is not None and item.setting.secret:
                report.say("X101", f"the secret `{name.split('.')[1]}` would choose the host", span)
        return
    _, first, *rest = node.name.split(".")
    item = spec.settings.get(first)
    if item is None:
        return
    if item.setting.secret and item.setting.type != "url":
        help = "where the url itself is the secret (an incoming webhook), it is `type: url, secret: true`"
        report.say("X101", f"the secret `{first}` would choose the host", span, help=help)
        return
    if not rest and item.setting.type != "url":
        label = f"it is of type {item.setting.type}"
        report.say("D102", f"the setting `{first}` begins a url, and is no url", span, label, _url_advice(first, item))
    for key, data in item.setting.choices.items() if rest else ():
        value = data.get(rest[0])
        if not isinstance(value, str) or url_fault(value) is not None:
            where = item.spans.get("choices", span)
            report.say("D101", f"the choice `{key}` of `{first}` is no https url", where, f"found `{value}`")


def _url_advice(name: str, item: SettingSpec) -> str:
    if item.setting.type != "choice":
        text = "give the setting `type: url`"
        if item.setting.type == "string":
            text += f", or write its scheme before it: `https://{{{{ settings.{name} }}}}/…`"
        return text
    keys = [
        key
        for key in next(iter(item.setting.choices.values()), {})
        if all(str(data.get(key, "")).startswith("http") for data in item.setting.choices.values())
    ]
    key = keys[0] if keys else "api"
    return f"write `{{{{ settings.{name}.{key} }}}}`" + ("" if keys else ", and give each choice its `api:`")
