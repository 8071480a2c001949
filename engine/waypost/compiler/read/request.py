"""Requests, auth and the check: document nodes become RequestSpec and AuthSpec.

Takes the map of a `request:` (after laying over). Reports what has no meaning (families S and D) and gives a RequestSpec, or None where there
is no method to speak of.
"""

from __future__ import annotations

import re

import msgspec

from waypost import plan as p
from waypost.compiler.compose.reuse import METHODS
from waypost.compiler.read import units
from waypost.compiler.read.document import Map, Node, Scalar, Seq
from waypost.compiler.read.operators import OPERATORS
from waypost.compiler.read.places import AUTH, AUTH_OBJECTS, BODY, OBJECTS, TEXT, Place
from waypost.compiler.read.responses import read_responses
from waypost.compiler.read.signing import read_sign
from waypost.compiler.read.source import Span
from waypost.compiler.read.tokens import read_oauth2
from waypost.compiler.read.values import Values
from waypost.compiler.spec import AuthSpec, Located, RequestSpec, Val
from waypost.lang.bodies import FORMATS


def request_words() -> tuple[str, ...]:
    """The keys of a request: those of the body formats among them."""
    limits = ("gzip", "timeout", "concurrency", "batch", "rate", "retry", "dedupe", "responses")
    return (*METHODS, "headers", "query", *FORMATS, "content_type", "sign", *limits)


REQUEST = request_words()
PROBE = (*METHODS, "headers", "query")
AUTH_KINDS = ("basic", "bearer", "oauth2", "headers", "query", "body")
BASIC = ("username", "password")
BATCH = ("max_messages", "max_bytes", "max_message_bytes", "max_wait")
RATE = ("requests", "messages")
RETRY = ("for", "wait_from", "max_wait")
DEDUPE = ("by", "within", "unsafe")


def read_request(node: Map, values: Values, *, probe: bool = False) -> RequestSpec | None:
    closed = values.closed
    what = "the check" if probe else "the request"
    closed.keys(node, PROBE if probe else request_words(), what)
    methods = [name for name, _ in node.entries if name.text in METHODS]
    if not methods:
        first = node.entries[0][0].span if node.entries else node.span
        if not closed.meant(node, "post"):
            closed.add("S103", f"{what} needs a method and url", first, "missing here", "write `post: https://…`")
        # What else stands in it is still read.
        methods = [Scalar("post", "post", "text", "plain", first, closed.report.source)]
        broken = True
    else:
        broken = False
    if len(methods) > 1:
        closed.add("S108", f"{what} has two methods", methods[1].span, f"`{methods[0].text}` stands above")
    method = methods[0]
    place = AUTH if probe else TEXT
    url_node = node.get(method.text)
    url = values.text(url_node, place) if url_node is not None else Val(p.Const(value=""), method.span)
    word, body = ("body", None) if probe else _body(node, values)
    responses = read_responses(node.get("responses"), values)
    more: dict[str, tuple[Val, ...]] = {}
    objects = AUTH_OBJECTS if probe else OBJECTS
    plain = p.Request(
        method=method.text,
        url=p.Const(value=""),
        gzip=closed.boolean(node.get("gzip"), "`gzip`", False),
        timeout_s=closed.quantity(node.get("timeout"), "`timeout`", units.seconds, units.TIME_HELP) or 10.0,
        concurrency=closed.integer(node.get("concurrency"), "`concurrency`", 1, 1000) or 4,
        batch=_batch(node.get("batch"), values),
        rate=_rates(node.get("rate"), values),
        retry=_retry(node.get("retry"), values),
        dedupe=_dedupe(node.get("dedupe"), values),
        responses=responses.rules,
        content_type=_content_type(node, values),
    )
    read = RequestSpec(
        plain,
        Located(method.text, method.span),
        url,
        values.texts(entries(node.get("headers"), more, "headers", values, objects), place, "`headers`"),
        values.texts(entries(node.get("query"), more, "query", values, objects), place, "`query`"),
        body,
        tuple(responses.conditions),
        node.span,
        _spans(node),
        word,
        more,
        tuple(responses.readers),
        None if probe else read_sign(node.get("sign"), values),
    )
    return None if broken else read


def _body(node: Map, values: Values) -> tuple[str, Val | None]:
    """The word that says what the body is, and the body."""
    closed = values.closed
    held = [(name, value) for name, value in node.entries if name.text in FORMATS]
    if len(held) > 1:
        first, second = held[0][0], held[1][0]
        closed.add("S108", f"the request has both `{first.text}` and `{second.text}`", second.span, "one body is sent")
    kind = node.key("content_type")
    is_text = bool(held) and FORMATS[held[0][0].text].is_text
    if kind is not None and not is_text:
        closed.add(
            "S102", "`content_type` says what `text` is", kind.span, "not legal here", "write `text: …` beside it"
        )
    if not held:
        return "body", None
    name, value = held[0]
    if not is_text:
        return name.text, values.value(value, BODY)
    if kind is None:
        help = "say what the text is, such as `content_type: text/plain`"
        closed.add("S103", f"`{name.text}` needs `content_type`", name.span, "missing here", help)
    return name.text, values.text(value, TEXT)


def _content_type(node: Map, values: Values) -> str | msgspec.UnsetType:
    held = node.get("content_type")
    found = values.closed.text(held, "`content_type`") if held is not None else ""
    if held is not None and found and not re.fullmatch(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:;[ -~]*)?", found):
        values.closed.add("S105", f"`{found}` is no content type", held.span, "expected one such as `text/plain`")
    return found or msgspec.UNSET


def _spans(node: Map, prefix: str = "") -> dict[str, Span]:
    """The span of each word's value, dotted: "retry.for"; of a key itself: "retry.for key"."""
    found: dict[str, Span] = {}
    for name, value in node.entries:
        found[prefix + name.text] = value.span
        found[prefix + name.text + " key"] = name.span
        if isinstance(value, Map) and name.text not in FORMATS:
            found.update(_spans(value, f"{prefix}{name.text}."))
    return found


def entries(
    node: Node | None, more: dict[str, tuple[Val, ...]], word: str, values: Values, place: Place
) -> Node | None:
    """The entries that are written; the objects that lie below them go to `more`."""
    if node is None:
        return node
    if isinstance(node, Scalar) and node.kind == "text" and (node.text.startswith("$") or "{{" in node.text):
        more[word] = (values.value(node, place),)
        return None
    operators = [name.text for name, _ in node.entries if name.text in OPERATORS] if isinstance(node, Map) else []
    if not isinstance(node, Map) or not operators:
        return node
    if operators != ["$merge"]:
        more[word] = (values.value(node, place),)
        return None
    merges = tuple(entry for entry in node.entries if entry[0].text == "$merge")
    rest = tuple(entry for entry in node.entries if entry[0].text != "$merge")
    merged = values.value(Map(merges, node.span), place)
    more[word] = merged.parts
    return Map(rest, node.span)


def _batch(node: Node | None, values: Values) -> p.Batch | None:
    closed = values.closed
    held = closed.map(node, "`batch`")
    if held is None:
        return None
    closed.keys(held, BATCH, "`batch`")
    wait = closed.quantity(held.get("max_wait"), "`max_wait`", units.seconds, units.TIME_HELP)
    most = held.get("max_messages")
    by_list = most if isinstance(most, Map) else None
    return p.Batch(
        max_messages=closed.integer(most, "`max_messages`", 1)
        if by_list is None
        else {name.text: closed.integer(value, f"`{name.text}`", 1) or 1 for name, value in by_list.entries},
        max_bytes=closed.quantity(held.get("max_bytes"), "`max_bytes`", units.size, units.SIZE_HELP),
        max_message_bytes=closed.quantity(
            held.get("max_message_bytes"), "`max_message_bytes`", units.size, units.SIZE_HELP
        ),
        max_wait_s=1.0 if wait is None else wait,
    )


def _rates(node: Node | None, values: Values) -> list[p.Rate]:
    closed = values.closed
    if node is None:
        return []
    found: list[p.Rate] = []
    for item in node.items if isinstance(node, Seq) else (node,):
        written = item.text if isinstance(item, Scalar) and units.rate(item.text) is not None else "1000/s"
        held = closed.map(item, "`rate`", f"write `rate: {{requests: {written}}}`")
        if held is None:
            continue
        closed.keys(held, RATE, "`rate`")
        for name, value in held.entries:
            read = closed.quantity(value, f"`{name.text}`", units.rate, units.RATE_HELP) if name.text in RATE else None
            if read is not None:
                found.append(p.Rate(of=name.text, count=read[0], per_s=read[1]))
    return found


def _retry(node: Node | None, values: Values) -> p.Retry:
    closed = values.closed
    held = closed.map(node, "`retry`")
    if held is None:
        return p.Retry()
    closed.keys(held, RETRY, "`retry`")
    length = closed.quantity(held.get("for"), "`for`", units.seconds, units.TIME_HELP)
    wait = closed.quantity(held.get("max_wait"), "`max_wait`", units.seconds, units.TIME_HELP)
    headers = [name.text for name in closed.texts(held.get("wait_from"), "`wait_from`")]
    return p.Retry(
        for_s=14400.0 if length is None else length,
        wait_from=headers or ["Retry-After"],
        max_wait_s=3600.0 if wait is None else wait,
    )


def _dedupe(node: Node | None, values: Values) -> p.Dedupe | None:
    closed = values.closed
    held = closed.map(node, "`dedupe`")
    if held is None:
        return None
    closed.keys(held, DEDUPE, "`dedupe`")
    unsafe = closed.boolean(held.get("unsafe"), "`unsafe`", False)
    if not unsafe or held.get("by") is not None or held.get("within") is not None:
        closed.need(
            held, "by", "`dedupe`", "name the output fields, such as `by: messageId`; without one, `unsafe: true`"
        )
        closed.need(held, "within", "`dedupe`", "say for how long, such as `within: 24h`")
    by = closed.texts(held.get("by"), "`by`")
    within = closed.quantity(held.get("within"), "`within`", units.seconds, units.TIME_HELP)
    return p.Dedupe(by=[name.text for name in by], within_s=within or 0.0, unsafe=unsafe)


def read_auth(node: Node | None, values: Values) -> AuthSpec:
    closed = values.closed
    held = closed.map(node, "`auth`")
    found: dict[str, Val] = {}
    oauth2: p.OAuth2 | None = None
    more: dict[str, tuple[Val, ...]] = {}
    if held is None:
        return AuthSpec()
    closed.keys(held, AUTH_KINDS, "`auth`")
    for name, value in held.entries:
        if name.text == "basic":
            basic = closed.map(value, "`basic`")
            if basic is not None:
                closed.keys(basic, BASIC, "`basic`")
                for part in BASIC:
                    text = closed.need(
                        basic, part, "`basic`", 'an empty one is `password: ""`' if part == "password" else ""
                    )
                    if text is not None:
                        found[f"basic.{part}"] = values.text(text, AUTH)
        elif name.text == "bearer":
            found["bearer"] = values.text(value, AUTH)
        elif name.text == "oauth2":
            oauth2, texts = read_oauth2(value, values)
            found |= texts
        elif name.text in ("headers", "query", "body"):
            below = value if name.text == "body" else entries(value, more, name.text, values, AUTH_OBJECTS)
            for key, val in values.texts(below, AUTH, f"`{name.text}`").items():
                found[f"{name.text}.{key}"] = val
    return AuthSpec(found, oauth2, more)
