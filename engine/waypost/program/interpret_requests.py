"""The request that one event's message goes in, by the reference interpreter: what url, headers and body become, but for the messages.

Takes a plan's Request and what an expression may reach (`Env`, with the instant of the attempt). Gives `Sent`, or NotSent with all that is
wrong. Two messages may share a request where both have the same one: program/request/grouping.py, which divides batches without rendering, is
compared with this by the tests, and so is what program/request/render.py makes of a group.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

from waypost import plan as p
from waypost.lang import values
from waypost.lang.names import OURS, TOKEN
from waypost.lang.values import MISSING, Fault
from waypost.program.interpret import SOME_SIGNING, Env, evaluate, text_of, within

MESSAGES = "<messages>"
"""Stands in a body for the messages."""
MAX_URL, MAX_HEADER = 60_000, 16_000
"""So many characters of a url, and bytes of a header, may come from an event."""
WHOLE = ("request.text", "request.sign.text")
"""Texts that are something by themselves, of any length."""


class Sent(NamedTuple):
    """A request without its messages, and without what `auth`, `sign` and the engine add; `signed` are the texts of `sign`, by their places,
    with some signature."""

    url: str
    headers: dict[str, str]
    body: bytes | None
    signed: dict[str, Any]


class NotSent(Exception):
    """Each fault that an event makes in a request: the docs do not say which of several is told."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(faults[0].message)
        self.faults = faults


def sent(request: p.Request, env: Env) -> Sent:
    """Raises NotSent."""
    env = replace(env, signing=SOME_SIGNING)
    faults = _faults(request, env) or _too_long(request, env)
    if faults:
        raise NotSent(faults)
    headers = _over(request.headers, request.more_headers or [], env, "headers")
    query = _over(request.query, request.more_query or [], env, "query")
    url = _url(request.url, env)
    for name, text in query.items():
        url += f"{'&' if '?' in url else '?'}{quote(name, safe='')}={quote(text, safe='')}"
    clean = {name: re.sub(r"[\x00-\x08\x0a-\x1f\x7f]", " ", text).strip() for name, text in headers.items()}
    signed = {place: _joined(node, env) for place, node in _signed(request)}
    return Sent(url, clean, None if request.body is None else _body(request, env), signed)


def _faults(request: p.Request, env: Env) -> list[Fault]:
    found = []
    for place, node, need in _pieces(request):
        found += _told(place, _text, node, env, need)
    for word, node in _objects(request):
        found += _told(f"request.{word}", _entries, node, env, word)
    if request.body is not None and request.format == "form":
        body = _marked(request)
        entries: dict[str, p.Value] = body.entries if isinstance(body, p.Object) else {}
        for one in [body, *(p.Object(entries={key: held}) for key, held in entries.items())]:
            found += _told("request.form", _form, one, env)
    elif request.body is not None and request.format != "text":
        for place, node in _leaves(_marked(request), f"request.{request.format or 'body'}"):
            found += _told(place, evaluate, node, env)
    return found


def _told(place: str, make: Callable[..., Any], *given: Any) -> list[Fault]:
    """What `make` faults with, told of this place."""
    try:
        with within(place):
            make(*given)
    except Fault as fault:
        return [fault]
    return []


def _too_long(request: p.Request, env: Env) -> list[Fault]:
    """What of an event is too much for a url or a header."""
    url: dict[str, int] = {}
    headers: dict[str, int] = {}
    for place, node, need in _pieces(request):
        text = _text(node, env, need) if _of_event(node) else MISSING
        if text is not MISSING and place.startswith(("request.headers.", "request.sign.headers.")):
            headers[place] = headers.get(place, 0) + len(text.encode())
        elif text is not MISSING and place not in WHOLE:
            url[place] = url.get(place, 0) + len(quote(text, safe=""))
    for word, node in _objects(request):
        for name, text in _entries(node, env, word).items() if _of_event(node) else ():
            size = len(text.encode()) if word == "headers" else len(quote(name + text, safe=""))
            (headers if word == "headers" else url)[f"request.{word}.{name}"] = size
    long = {place: size for place, size in headers.items() if size > MAX_HEADER}
    if sum(url.values()) > MAX_URL:
        longest = max(url, key=url.__getitem__)
        long[longest] = url[longest]
    return [Fault("too_long", f"{size:,} characters are more than a request takes", at) for at, size in long.items()]


def _pieces(request: p.Request) -> Iterator[tuple[str, p.Value, str]]:
    """The parts of each text of a request: the text's place, the part, and the reason for which an event is refused where it has no value."""
    texts = [(f"request.{request.method}", request.url, "url_part_missing")]
    texts += [(f"request.headers.{name}", node, "") for name, node in request.headers.items()]
    texts += [(f"request.query.{name}", node, "") for name, node in request.query.items()]
    if request.format == "text" and request.body is not None:
        texts.append(("request.text", request.body, "required"))
    for place, node in _signed(request):
        whole = place in WHOLE or p.mentions(node, lambda held: isinstance(held, p.Ref) and held.name == "signature")
        texts.append((place, node, "required" if whole else ""))
    return ((place, piece, need) for place, node, need in texts for piece in _split(node))


def _signed(request: p.Request) -> list[tuple[str, p.Value]]:
    """The texts of a signature: what is signed, and where it is put."""
    if not request.sign:
        return []
    found = [(f"request.sign.headers.{name}", node) for name, node in request.sign.headers.items()]
    found += [(f"request.sign.query.{name}", node) for name, node in request.sign.query.items()]
    return [("request.sign.text", request.sign.text), *found]


def _split(node: p.Value) -> list[p.Value]:
    return [piece for part in node.parts for piece in _split(part)] if isinstance(node, p.Text) else [node]


def _objects(request: p.Request) -> list[tuple[str, p.Value]]:
    """The objects of headers and of the query."""
    return [
        *(("headers", node) for node in request.more_headers or []),
        *(("query", node) for node in request.more_query or []),
    ]


def _leaves(node: p.Value, place: str) -> Iterator[tuple[str, p.Value]]:
    """What stands in maps and lists that are written in a spec, with its place."""
    if isinstance(node, p.Object):
        for name, held in node.entries.items():
            yield from _leaves(held, f"{place}.{name}")
    elif isinstance(node, p.Items):
        for held in node.items:
            yield from _leaves(held, place)
    else:
        yield place, node


def _of_event(node: p.Value) -> bool:
    def reads(inner: p.Value) -> bool:
        return isinstance(inner, (p.Path, p.When)) or (isinstance(inner, p.Ref) and inner.name.startswith("meta."))

    return p.mentions(node, reads)


def _text(node: p.Value, env: Env, need: str) -> Any:
    """The text of a part; MISSING where it has none and may have none. What settings alone decide has been tried when they were bound."""
    value = evaluate(node, env)
    text = text_of(value)
    if not _of_event(node):
        return text
    if isinstance(value, (dict, list)):
        raise Fault("wrong_type", f"expected text, a number or a boolean, found {values.typeof(value)}")
    if need and (text is MISSING or (text == "" and need == "url_part_missing")):
        raise Fault(need, "no value for a part of the text")
    return text


def _joined(node: p.Value, env: Env) -> Any:
    """A text of several parts; MISSING where one has no value."""
    found = [text_of(evaluate(piece, env)) for piece in _split(node)]
    return MISSING if MISSING in found else "".join(found)


def _url(node: p.Value, env: Env) -> str:
    """Scheme and host as they stand, the event's parts and those of settings behind them percent-encoded."""
    found = ""
    for piece in node.parts if isinstance(node, p.Text) else [node]:
        text = _joined(piece, env)
        text = "" if text is MISSING else text
        if not isinstance(piece, p.Const) and re.match(r"[^/]+://[^/]+/", found):
            text = "%2E" * len(text) if text in (".", "..") else quote(text, safe="")
        found += text
    return found


def _entries(node: p.Value, env: Env, word: str) -> dict[str, str]:
    """An object of headers or of the query as texts; what has no value is left out."""
    held = evaluate(node, env)
    if held is MISSING or held is None or held == []:
        return {}
    if not isinstance(held, dict):
        raise Fault("wrong_shape", f"expected an object, found {values.typeof(held)}")
    found = {}
    for name, value in held.items():
        if value is None:
            continue
        if word == "headers" and (not TOKEN.fullmatch(name) or name.lower() in OURS):
            raise Fault("wrong_shape", f"{name[:40]!r} is no header of an event's")
        if isinstance(value, (dict, list)):
            raise Fault("wrong_type", f"expected text, a number or a boolean, found {values.typeof(value)}", name)
        found[name.lower() if word == "headers" else name] = text_of(value)
    return found


def _over(written: dict[str, p.Value], objects: list[p.Value], env: Env, word: str) -> dict[str, str]:
    """The written entries over those of objects."""
    found: dict[str, str] = {}
    for node in objects:
        found |= _entries(node, env, word)
    for name, node in written.items():
        name, text = name.lower() if word == "headers" else name, _joined(node, env)
        if text is MISSING:
            found.pop(name, None)
        else:
            found[name] = text
    return found


def _marked(request: p.Request) -> p.Value:
    """The body with a mark in the place of messages."""

    def mark(node: p.Value) -> p.Value | None:
        if not isinstance(node, p.Messages):
            return None
        held = [MESSAGES] if node.many and request.format != "lines" else MESSAGES
        return p.Const(value=values.encode(held).decode() if request.format == "form" else held)

    assert request.body is not None
    return p.rewrite(request.body, mark)


def _body(request: p.Request, env: Env) -> bytes:
    body = _marked(request)
    if request.format == "text":
        return str(_joined(body, env)).replace("\0", "\ufffd").encode()
    if request.format == "form":
        return _form(body, env)
    return values.encode(evaluate(body, env)) + (b"\n" if request.format == "lines" else b"")


def _form(body: p.Value, env: Env) -> bytes:
    """Entries of text: a list repeats its key, what has no value is left out."""
    held = evaluate(body, env)
    if held is MISSING or held is None or held == []:
        return b""
    if isinstance(held, str) and isinstance(body, p.Const):
        return quote_plus(held).encode()
    if not isinstance(held, dict):
        raise Fault("wrong_shape", f"expected an object for a form, found {values.typeof(held)}")
    pairs = []
    for name, value in held.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, (dict, list)):
                raise Fault("wrong_shape", f"expected text, a number or a boolean, found {values.typeof(one)}", name)
            if one is not None:
                pairs.append(f"{quote_plus(name)}={quote_plus(text_of(one))}")
    return "&".join(pairs).encode()
