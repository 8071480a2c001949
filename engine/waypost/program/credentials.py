"""What a plan's requests make of its settings: tried once when it is linked, and every secret that comes of it known.

Takes a plan and its bound settings. `try_templates` raises SettingError where a template faults over settings alone, or makes no host of them
(hosts.py): that is no event's fault but a setting's, and is said before anything is read or sent. `secrets_of` gives the secret values and all
that is made of them (a signature, a JSON member, a Basic pair): what no output may hold.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from waypost import plan as p
from waypost.events.masking import LEAST, masker
from waypost.lang import names, values
from waypost.lang.shapes import shown
from waypost.lang.values import MISSING, Fault
from waypost.program import interpret
from waypost.program.hosts import check_hosts
from waypost.program.request import signing
from waypost.program.request.grouping import MAX_HEADER
from waypost.program.settings import Bound, SettingError
from waypost.program.support import text_part

TELLING = 8
"""A part of a secret url's path that is as long is a secret of its own."""

MAX_URL = 5_000
"""So many characters of a url may come from settings: events may add `grouping.MAX_URL`, and the client sends no more than both."""

URL, HEADER, QUERY, JSON = "url", "header", "query", "JSON"
"""What a value becomes where it stands: text but in JSON; a url has no place for a value that is not there."""
SIGNED, KEY_FORMS = "signed", {"text": "key", "base64": "base64 key"}
"""Text that is signed, and how its key is written."""
GIVEN = "given"
"""Text that cannot be left out."""
HEADERS, PARAMETERS = "headers", "parameters"
"""An object whose entries are headers, or the query's."""


class Place(NamedTuple):
    """A value with the name that its spec has for where it stands, which of these kinds it is there, and of which request: none for `auth`,
    which is of all."""

    where: str
    kind: str
    value: p.Value
    of: str = ""


FAULTS = (Fault, ArithmeticError, ValueError, TypeError, RecursionError)


def _places(plan: p.Plan) -> Iterator[Place]:
    """Every value of the plan's requests but the url's own text."""
    for name, request in plan.requests.items():
        within = "request: " if len(plan.requests) == 1 else f"the request `{name}`: "
        yield Place(f"{within}`{request.method}`", URL, request.url, name)
        yield from _named(f"{within}`headers.", HEADER, request.headers, name)
        yield from _named(f"{within}`query.", QUERY, request.query, name)
        yield from (Place(f"{within}`headers`", HEADERS, node, name) for node in request.more_headers or ())
        yield from (Place(f"{within}`query`", PARAMETERS, node, name) for node in request.more_query or ())
        if request.body is not None:
            yield Place(f"{within}`body`", JSON, request.body, name)
        if request.sign:
            yield Place(
                f"{within}`sign.hmac_{request.sign.hash}`", KEY_FORMS[request.sign.key_form], request.sign.key, name
            )
            yield Place(f"{within}`sign.text`", SIGNED, request.sign.text, name)
            yield from _named(f"{within}`sign.headers.", HEADER, request.sign.headers, name)
            yield from _named(f"{within}`sign.query.", QUERY, request.sign.query, name)
    auth = plan.auth
    if auth.basic is not None:
        yield Place("`auth.basic.username`", HEADER, auth.basic.username)
        yield Place("`auth.basic.password`", HEADER, auth.basic.password)
    if auth.bearer is not None:
        yield Place("`auth.bearer`", HEADER, auth.bearer)
    if auth.oauth2 is not None:
        yield from _of_oauth2(auth.oauth2)
    yield from _named("`auth.headers.", HEADER, auth.headers)
    yield from _named("`auth.query.", QUERY, auth.query)
    yield from _named("`auth.body.", JSON, auth.body)
    yield from (Place("`auth.headers`", HEADERS, node) for node in auth.more_headers or ())
    yield from (Place("`auth.query`", PARAMETERS, node) for node in auth.more_query or ())
    if plan.check is not None:
        yield Place(f"`check.{plan.check.method}`", URL, plan.check.url, "check:")
        yield from _named("`check.headers.", HEADER, plan.check.headers, "check:")
        yield from _named("`check.query.", QUERY, plan.check.query, "check:")
        yield from (Place("`check.headers`", HEADERS, node, "check:") for node in plan.check.more_headers or ())
        yield from (Place("`check.query`", PARAMETERS, node, "check:") for node in plan.check.more_query or ())


def _of_oauth2(oauth2: p.OAuth2) -> Iterator[Place]:
    yield Place("`auth.oauth2.token_url`", URL, oauth2.token_url, "auth.oauth2:")
    for word in ("client_id", "client_secret", "refresh_token"):
        if (node := getattr(oauth2, word)) is not None:
            yield Place(f"`auth.oauth2.{word}`", GIVEN, node)
    if oauth2.scope is not None:
        yield Place("`auth.oauth2.scope`", KEY_FORMS["text"], oauth2.scope)
    yield from _named("`auth.oauth2.form.", KEY_FORMS["text"], oauth2.form)


def _named(before: str, kind: str, held: dict[str, p.Value], of: str = "") -> Iterator[Place]:
    for key, value in held.items():
        yield Place(f"{before}{key}`", kind, value, of)


def _of_settings(value: p.Value, *, whole: bool = True) -> list[p.Value]:
    """The largest parts of a value that settings alone decide (and the time); text around them is a part of its own without `whole`."""
    if not whole and isinstance(value, p.Text):
        return [part for piece in value.parts for part in _of_settings(piece)]
    found: list[p.Value] = []
    names: list[p.Value | None] = []
    """Settings that hold the keys or the table of an operator: they choose among what the event has, and are no part of what is made."""

    def look(node: p.Value) -> p.Value | None:
        if p.mentions(node, _of_event):
            names.extend((getattr(node, "keys_of", None), getattr(node, "table_of", None)))
            return None
        if p.mentions(node, _is_setting) and not any(node is held for held in names):
            found.append(node)
        return node

    p.rewrite(value, look)
    return found


def _of_event(node: p.Value) -> bool:
    if isinstance(node, p.Ref):
        return not (node.name.startswith("settings.") or node.name in ("now", "timestamp"))
    return isinstance(node, (p.Path, p.When, p.Messages))


def _is_setting(node: p.Value) -> bool:
    return isinstance(node, p.Ref) and node.name.startswith("settings.")


def try_templates(plan: p.Plan, bound: Bound, owner: str) -> None:
    """Raises SettingError."""
    # Whatever is made of the instant is tried at one that is like those to come.
    env = interpret.Env(event=MISSING, settings=bound, now=interpret.SOME_INSTANT, signing=interpret.SOME_SIGNING)
    urls: Counter[str] = Counter()
    for place in _places(plan):
        header = 0
        for part in _of_settings(place.value, whole=place.kind not in (URL, HEADER, QUERY, SIGNED)):
            try:
                kind = JSON if place.kind in (HEADERS, PARAMETERS) and part is not place.value else place.kind
                size = _try(part, kind, env)
                if kind == HEADER:
                    header += size
                elif kind in (URL, QUERY, PARAMETERS):
                    urls[place.of] += size
                _measure(header, urls[""] + max((size for name, size in urls.items() if name), default=0))
            except FAULTS as error:
                raise SettingError(_fault(error, part, place.where, bound, owner)) from None
    check_hosts(plan, bound, owner)


def _measure(header: int, url: int) -> None:
    """Raises Fault for what no server takes: not to be tried for hours."""
    if header > MAX_HEADER:
        raise Fault("too_long", f"a header of {header:,} bytes, at most {MAX_HEADER:,} are sent")
    if url > MAX_URL:
        raise Fault("too_long", f"a url with {url:,} characters of settings, at most {MAX_URL:,} are sent")


def _try(part: p.Value, kind: str, env: interpret.Env) -> int:
    """The size of what settings alone make of a request there: bytes of a header, characters of a url. Raises Fault."""
    value = interpret.evaluate(part, env)
    if kind == JSON:
        values.encode(value if value is not MISSING else None)
        return 0
    if kind in (HEADERS, PARAMETERS):
        texts = names.texts_of(value, headers=kind == HEADERS) or {}
        if kind == PARAMETERS:
            return sum(len(quote(name, safe="")) + len(quote(text, safe="")) + 2 for name, text in texts.items())
        _measure(max((len(text.encode()) for text in texts.values()), default=0), 0)
        return 0
    if isinstance(value, (dict, list)):
        raise Fault("wrong_type", f"expected text, a number or a boolean, found {values.typeof(value)}")
    text = text_part(value)
    if text is MISSING:
        if kind in (URL, SIGNED, GIVEN):
            what = {URL: "a url", SIGNED: "what is signed", GIVEN: "a request for a token"}[kind]
            raise Fault("url_part_missing", f"it has no value, and {what} needs one there")
        return 0
    if kind == KEY_FORMS["base64"]:
        signing.decoded(text)
    if kind in (SIGNED, GIVEN, *KEY_FORMS.values()):
        return 0
    return len(text.encode()) if kind == HEADER else len(quote(text, safe=""))


def _fault(error: Exception, part: p.Value, where: str, bound: Bound, owner: str) -> str:
    named = p.settings_in(part)
    which = " and ".join(f"`{name}`" for name in named)
    why = error.message if isinstance(error, Fault) else "its value does not fit there"
    if any(name in bound.secret for name in named):
        # A mask knows no secret of three letters, nor what a filter has made of one.
        said = why if isinstance(error, Fault) and error.reason == signing.REASON else "its value does not fit there"
        why = f"{said} (it is secret, and not shown)"
    why = shown(masker(bound.secrets())(" ".join(why.split())))
    what = "the setting" if len(named) == 1 else "the settings"
    return f"{owner}: {what} {which} cannot be used in {where}: {why}"


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
    for place in _places(plan):
        for part in _of_settings(place.value):
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
        if isinstance(node, (p.Filter, p.Arith)) and any(name in bound.secret for name in p.settings_in(node)):
            found.append(node)
        return None

    p.rewrite(part, look)
    return found


def _texts(node: p.Value, env: interpret.Env) -> list[str]:
    """The texts in a node's value; none where it cannot be known yet."""
    if p.refers(node, "now", "timestamp"):
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
