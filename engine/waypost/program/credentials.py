"""What a plan's requests make of its settings: tried once when it is linked, and every secret that comes of it known.

Takes a plan and its bound settings. `try_templates` raises SettingError where a template faults over settings alone: that is no event's fault
but a setting's, and is said before anything is read or sent. `secrets_of` gives the secret values and all that is made of them (a signature, a
JSON member, a Basic pair): what no output may hold.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from waypost import plan as p
from waypost.events.masking import LEAST, masker
from waypost.lang.values import MISSING, Fault
from waypost.program import interpret
from waypost.program.settings import Bound, SettingError
from waypost.program.support import text_part

TELLING = 8
"""A part of a secret url's path that is as long is a secret of its own."""

LONGEST = 300
"""So much of a fault is shown: it may hold the value, and a file may hold anything."""

Place = tuple[str, p.Value]
"""Where a value stands, and the value."""

FAULTS = (Fault, ArithmeticError, ValueError, TypeError, RecursionError)


def _places(plan: p.Plan) -> Iterator[Place]:
    """Every value of the plan's requests but the url's own text, with the name that its spec has for it."""
    for name, request in plan.requests.items():
        within = "request" if len(plan.requests) == 1 else f"the request `{name}`"
        yield f"{within}: `{request.method}`", request.url
        yield from _named(f"{within}: `headers.", request.headers)
        yield from _named(f"{within}: `query.", request.query)
        if request.body is not None:
            yield f"{within}: `body`", request.body
    auth = plan.auth
    if auth.basic is not None:
        yield "`auth.basic.username`", auth.basic.username
        yield "`auth.basic.password`", auth.basic.password
    if auth.bearer is not None:
        yield "`auth.bearer`", auth.bearer
    yield from _named("`auth.headers.", auth.headers)
    yield from _named("`auth.query.", auth.query)
    yield from _named("`auth.body.", auth.body)
    if plan.check is not None:
        yield f"`check.{plan.check.method}`", plan.check.url
        yield from _named("`check.headers.", plan.check.headers)
        yield from _named("`check.query.", plan.check.query)


def _named(before: str, held: dict[str, p.Value]) -> Iterator[Place]:
    for key, value in held.items():
        yield f"{before}{key}`", value


def _of_settings(value: p.Value) -> list[p.Value]:
    """The largest parts of a value that settings alone decide (and the time, which never faults)."""
    found: list[p.Value] = []

    def look(node: p.Value) -> p.Value | None:
        if p.mentions(node, _of_event):
            return None
        if p.mentions(node, _is_setting):
            found.append(node)
        return node

    p.rewrite(value, look)
    return found


def _of_event(node: p.Value) -> bool:
    if isinstance(node, p.Ref):
        return not (node.name.startswith("settings.") or node.name == "now")
    return isinstance(node, (p.Path, p.When, p.Messages))


def _is_setting(node: p.Value) -> bool:
    return isinstance(node, p.Ref) and node.name.startswith("settings.")


def _settings_in(node: p.Value) -> list[str]:
    found: list[str] = []

    def look(inner: p.Value) -> None:
        if isinstance(inner, p.Ref) and _is_setting(inner):
            found.append(inner.name.split(".")[1])

    p.rewrite(node, look)
    return list(dict.fromkeys(found))


def try_templates(plan: p.Plan, bound: Bound, owner: str) -> None:
    """Raises SettingError."""
    env = interpret.Env(event=MISSING, settings=bound)
    for where, value in _places(plan):
        for part in _of_settings(value):
            try:
                text_part(interpret.evaluate(part, env))
            except FAULTS as error:
                raise SettingError(_fault(error, part, where, bound, owner)) from None


def _fault(error: Exception, part: p.Value, where: str, bound: Bound, owner: str) -> str:
    names = _settings_in(part)
    shown = " and ".join(f"`{name}`" for name in names)
    why = error.message if isinstance(error, Fault) else "its value does not fit there"
    if any(name in bound.secret for name in names):
        # A mask knows no secret of three letters, nor what a filter has made of one.
        why = "its value does not fit there (it is secret, and not shown)"
    why = masker(bound.secrets())(" ".join(why.split()))
    why = why if len(why) <= LONGEST else why[:LONGEST] + "…"
    what = "the setting" if len(names) == 1 else "the settings"
    return f"{owner}: {what} {shown} cannot be used in {where}: {why}"


def secrets_of(plan: p.Plan, bound: Bound) -> list[str]:
    """The secret settings' values, and the texts that requests hold because of them."""
    found = dict.fromkeys(bound.secrets())
    for name in sorted(bound.secret):
        # Of a url that is a secret, an echo or another host (`--endpoint-override`) shows the path, without the host that is known.
        if name in plan.settings and plan.settings[name].type == "url" and name in bound.values:
            path = urlsplit(str(bound.values[name])).path
            found.update(
                dict.fromkeys(part for part in (path, path.strip("/"), *path.split("/")) if len(part) >= TELLING)
            )
    env = interpret.Env(event=MISSING, settings=bound)
    for _, value in _places(plan):
        for part in _of_settings(value):
            for node in _of_secrets(part, bound):
                for text in _texts(node, env):
                    found[text] = None
    if plan.auth.basic is not None:
        pair = [_texts(node, env) for node in (plan.auth.basic.username, plan.auth.basic.password)]
        if bound.secret and any(pair):
            found[base64.b64encode(":".join("".join(text) for text in pair).encode()).decode()] = None
    return list(found)


def _of_secrets(part: p.Value, bound: Bound) -> list[p.Value]:
    """What is made of a secret within a value: filters and sums of one, and not the text around it, which tells nothing."""
    found: list[p.Value] = []

    def look(node: p.Value) -> p.Value | None:
        if isinstance(node, (p.Filter, p.Arith)) and any(name in bound.secret for name in _settings_in(node)):
            found.append(node)
        return None

    p.rewrite(part, look)
    return found


def _texts(node: p.Value, env: interpret.Env) -> list[str]:
    """The texts in a node's value; none where it cannot be known yet."""
    if p.mentions(node, lambda inner: isinstance(inner, p.Ref) and inner.name == "now"):
        return []
    try:
        return [text for text in _leaves(interpret.evaluate(node, env)) if len(text) >= LEAST]
    except FAULTS:
        return []


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif value is not MISSING and value is not None and not isinstance(value, bool):
        text = text_part(value)
        if isinstance(text, str):
            yield text
