"""The parts of a request, besides its messages, that depend on the event: what divides batches.

Takes a plan.Request. `split` gives its maximal sub-expressions that read the event or `meta` and not `now` (`Part`, with the place where it
stands), the request with each of them replaced by `group.N`, and the expressions that read both the event and `now` (`Mixed`), which are
evaluated at each attempt over the parts within them. `Grouping` makes of the parts' values what is compared: only messages whose requests get
the same text (in a url, a header, the query) or the same JSON bytes (in a body) share a request. What cannot be had as text where text is
needed is a Fault that names the part, here and not when the request is rendered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Struct

from waypost import plan as p
from waypost.lang import names, values
from waypost.lang.bodies import form
from waypost.lang.values import MISSING, Fault
from waypost.program.support import text_part

URL, TEXT, JSON = "url", "text", "json"
"""Where a part stands: in a url (text, not empty), in a header or the query (text, left out where it is missing), in a body."""

WHOLE, FORM, ENTRY = "whole", "form", "entry"
"""In the text that is a body (text, not missing), a form (an object of entries), an entry of one (text or a list of text)."""

OF_SIGNING = ("timestamp", "body", "signature")
"""Known where a request is signed: at each attempt."""

TEXTS = (URL, TEXT, WHOLE)
"""Where text stands."""

HEADERS, QUERY = "headers", "query"
"""An object whose entries are headers, or the query's."""

MAX_URL = 60_000
"""So many characters of a url may come from the event: the client sends no url of more than 65,536."""

MAX_HEADER = 16_000
"""So many bytes of a header may come from the event: servers refuse all headers together from 8 to 64 KiB on, or close the connection."""

NO_LIMIT = ("request.text", "request.sign.text")
"""Text that is a body, or that is signed."""

SHORT = 1_000
"""A text of fewer characters is in no url or header too long, whatever it holds."""


class Part(Struct, frozen=True):
    """An expression over the event. `place` is dotted, as a field of a dead letter: `request.post`, `request.query.q`."""

    node: p.Value
    place: str
    kind: str


class Mixed(Struct, frozen=True):
    """An expression over the event and `now`, with its parts replaced."""

    node: p.Value
    place: str
    kind: str


class OverEvent(p.Node, frozen=True, kw_only=True, tag="over_event"):
    """`of` evaluated over the event that the group has as its part `index`: for conditions and loops over the event that hold `now`."""

    of: p.Value
    index: int


class Split(Struct, frozen=True):
    request: p.Request
    parts: list[Part]
    mixed: list[Mixed]


def split(request: p.Request) -> Split:
    """The parts are in the order url, headers, query, body."""
    return _Splitting(request).whole()


def event_parts(request: p.Request) -> list[Part]:
    return split(request).parts


class _Splitting:
    """State: what has been found so far."""

    def __init__(self, request: p.Request) -> None:
        self._request = request
        self._parts: list[Part] = []
        self._mixed: list[Mixed] = []

    def whole(self) -> Split:
        request = self._request
        changed = msgspec.structs.replace(
            request,
            url=self._put(request.url, f"request.{request.method}", URL),
            headers={key: self._put(node, f"request.headers.{key}", TEXT) for key, node in request.headers.items()},
            query={key: self._put(node, f"request.query.{key}", TEXT) for key, node in request.query.items()},
            more_headers=[self._put(node, "request.headers", HEADERS) for node in request.more_headers or ()] or UNSET,
            more_query=[self._put(node, "request.query", QUERY) for node in request.more_query or ()] or UNSET,
            body=None if request.body is None else self._put(request.body, *_body_place(request)),
            sign=self._sign(request.sign) if request.sign else UNSET,
        )
        return Split(changed, self._parts, self._mixed)

    def _sign(self, sign: p.Sign) -> p.Sign:
        """Without a part that it is made of, a signature would be of something else: such an event is refused."""

        def entries(word: str, held: dict[str, p.Value]) -> dict[str, p.Value]:
            kinds = {key: WHOLE if p.mentions(node, _is_signature) else TEXT for key, node in held.items()}
            return {key: self._put(node, f"request.sign.{word}.{key}", kinds[key]) for key, node in held.items()}

        return msgspec.structs.replace(
            sign,
            text=self._put(sign.text, "request.sign.text", WHOLE),
            headers=entries("headers", sign.headers),
            query=entries("query", sign.query),
        )

    def _put(self, node: p.Value, place: str, kind: str) -> p.Value:
        if not p.mentions(node, _of_event):
            return node
        later = p.mentions(node, _later)
        if isinstance(node, p.Text) and (kind in TEXTS or later):
            # Its parts one by one: text that a url takes as it stands must not be encoded with the rest.
            return p.Text(parts=[self._put(part, place, kind) for part in node.parts])
        if not later:
            return self._part(node, place, kind, "group")
        if isinstance(node, p.Object) and kind not in TEXTS:
            inner = {FORM: ENTRY, HEADERS: TEXT, QUERY: TEXT}.get(kind, kind)
            return p.Object(
                entries={key: self._put(held, f"{place}.{key}", inner) for key, held in node.entries.items()}
            )
        if isinstance(node, p.Items) and kind not in TEXTS:
            return p.Items(items=[self._put(held, place, kind) for held in node.items])
        return self._mix(node, place, kind)

    def _part(self, node: p.Value, place: str, kind: str, root: str) -> p.Value:
        self._parts.append(Part(node, place, kind))
        return p.Ref(name=f"{root}.{len(self._parts) - 1}")

    def _mix(self, node: p.Value, place: str, kind: str) -> p.Value:
        conditional = p.mentions(node, lambda held: isinstance(held, (p.When, p.Each, p.Find)))

        def change(held: p.Value) -> p.Value | None:
            wanted = _is_meta(held) if conditional else p.mentions(held, _of_event) and not p.mentions(held, _later)
            return self._part(held, place, JSON, "operand") if wanted else None

        changed = p.rewrite(node, change)
        if conditional:
            self._part(p.Path(path="$"), place, JSON, "operand")
            changed = OverEvent(of=changed, index=len(self._parts) - 1)  # type: ignore[assignment]
        self._mixed.append(Mixed(changed, place, kind))
        return changed


def _body_place(request: p.Request) -> tuple[str, str]:
    """Where the body stands, and what."""
    word = request.format or "body"
    return f"request.{word}", {"form": FORM, "text": WHOLE}.get(word, JSON)


def _is_meta(node: p.Value) -> bool:
    return isinstance(node, p.Ref) and node.name.startswith("meta.")


def _of_event(node: p.Value) -> bool:
    return isinstance(node, (p.When, p.Path)) or _is_meta(node)


def _later(node: p.Value) -> bool:
    return isinstance(node, p.Messages) or (isinstance(node, p.Ref) and node.name in ("now", *OF_SIGNING))


def _is_signature(node: p.Value) -> bool:
    return isinstance(node, p.Ref) and node.name == "signature"


Evaluate = Callable[[p.Value, tuple[Any, ...]], Any]
"""The value of an expression of a request, given the group. Raises Fault."""


class Grouping:
    """What makes a group of the values of a request's parts: a text, JSON bytes or MISSING for each. Frozen after construction."""

    def __init__(self, request: p.Request, evaluate: Evaluate) -> None:
        found = split(request)
        self.parts = found.parts
        self._mixed = found.mixed
        self._evaluate = evaluate

    def __call__(self, *held: Any) -> tuple[Any, ...]:
        """Raises Fault, with the place of the part that is to blame."""
        found: list[Any] = []
        long = False
        for part, value in zip(self.parts, held, strict=True):
            if part.kind not in TEXTS:
                value = _entries(part, value)
                found.append(value if value is MISSING else values.encode(value))
                long = long or (part.kind in (HEADERS, QUERY) and len(found[-1] or b"") > SHORT)
                continue
            text = value if value.__class__ is str else _text(part, value)
            if text is MISSING or text == "":
                _missing(part, text)
            long = long or (text is not MISSING and len(text) > SHORT)
            found.append(text)
        group = tuple(found)
        for mixed in self._mixed:
            # Evaluated at each attempt: what the event does wrong in it is to be known before.
            self._try(mixed, group)
        if long:
            self._measure(group)
        return group

    def _try(self, mixed: Mixed, group: tuple[Any, ...]) -> None:
        try:
            value = self._evaluate(mixed.node, group)
            if mixed.kind in TEXTS:
                text = _text(mixed, value)
                if text is MISSING or text == "":
                    _missing(mixed, text)
            else:
                _entries(mixed, value)
        except Fault as fault:
            if not fault.field.startswith(mixed.place):
                fault.field = f"{mixed.place}.{fault.field}" if fault.field else mixed.place
            raise

    def _measure(self, group: tuple[Any, ...]) -> None:
        """A url or a header that no server takes is no reason to try for hours."""
        url, longest = 0, 0
        place = ""
        for part, text in zip(self.parts, group, strict=True):
            if text is MISSING or part.kind not in (*TEXTS, HEADERS, QUERY) or part.place in NO_LIMIT:
                continue
            if part.kind in (HEADERS, QUERY):
                for name, held in values.decode(text).items():
                    if part.kind == QUERY:
                        url += len(quote(name, safe="")) + len(quote(held, safe="")) + 2
                        longest, place = MAX_URL, f"{part.place}.{name}"
                    elif len(held.encode()) > MAX_HEADER:
                        said = f"a header of {len(held.encode()):,} bytes, at most {MAX_HEADER:,} are sent"
                        raise Fault("too_long", said, f"{part.place}.{name}")
                continue
            if part.place.startswith(("request.headers.", "request.sign.headers.")):
                size = len(text.encode())
                if size > MAX_HEADER:
                    raise Fault("too_long", f"a header of {size:,} bytes, at most {MAX_HEADER:,} are sent", part.place)
                continue
            size = len(quote(text, safe=""))
            url += size
            if size > longest:
                longest, place = size, part.place
        if url > MAX_URL:
            raise Fault("too_long", f"a url of {url:,} characters, at most {MAX_URL:,} are sent", place)


def _text(part: Part | Mixed, value: Any) -> Any:
    if isinstance(value, (dict, list)):
        raise Fault(
            "wrong_type",
            f"expected text, a number or a boolean {_where(part)}, found {values.typeof(value)}",
            part.place,
        )
    return text_part(value)


def _missing(part: Part | Mixed, text: Any) -> None:
    """What is missing or "" where a text cannot do without."""
    if part.kind == URL:
        raise Fault("url_part_missing", f"no value {_where(part)}", part.place)
    if part.kind == WHOLE and text is MISSING:
        raise Fault("required", f"no value {_where(part)}", part.place)


def _entries(part: Part | Mixed, value: Any) -> Any:
    """The value as its place takes it. What a form, headers or the query cannot hold is told now, and not when the request is rendered."""
    try:
        if part.kind in (HEADERS, QUERY):
            texts = names.texts_of(value, headers=part.kind == HEADERS)
            return MISSING if texts is None else texts
        if part.kind == FORM:
            form.encoded(form.as_map(value))
        elif part.kind == ENTRY:
            form.flat("", value)
        return value
    except Fault as fault:
        fault.field = f"{part.place}.{fault.field}" if fault.field else part.place
        raise


def _where(part: Part | Mixed) -> str:
    """In words, with the event's paths as the author knows them."""
    sources: list[str] = []

    def look(node: p.Value) -> None:
        if isinstance(node, p.Path):
            sources.append(node.path)
        elif isinstance(node, p.Ref) and not node.name.startswith(("group.", "operand.")):
            sources.append(node.name)

    p.rewrite(part.node, look)
    name = part.place.removeprefix("request.").removeprefix("sign.")
    group, _, key = name.partition(".")
    if part.place == "request.sign.text":
        group = "signed"
    where = {
        "headers": f"in the header `{key}`",
        "query": f"in the query's `{key}`",
        "text": "in the request's text",
        "signed": "in what the request signs",
    }.get(group, "in the request's url")
    return f"{where} ({', '.join(dict.fromkeys(sources))})" if sources else where
