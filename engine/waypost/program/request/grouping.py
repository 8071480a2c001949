"""The parts of a request, besides its messages, that depend on the event: what divides batches.

Takes a plan.Request. `split` gives its maximal sub-expressions that read the event or `meta` and not `now` (`Part`, with the place where it
stands), the request with each of them replaced by `group.N`, and the expressions that read both the event and `now` (`Mixed`), which are
evaluated at each attempt over the parts within them. `Grouping` makes of the parts' values what is compared: only messages whose requests get
the same text (in a url, a header, the query) or the same JSON bytes (in a body) share a request. What cannot be had as text where text is
needed is a Fault that names the part, here and not when the request is rendered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Struct

from waypost import plan as p
from waypost.lang import names, values
from waypost.lang.bodies import form
from waypost.lang.values import MISSING, Fault
from waypost.program import interpret
from waypost.program.settings import Bound
from waypost.program.support import text_part

URL, TEXT, JSON = "url", "text", "json"
"""Where a part stands: in a url (text, not empty), in a header or the query (text, left out where it is missing), in a body."""

WHOLE, FORM, ENTRY, ITEM = "whole", "form", "entry", "item"
"""In the text that is a body (text, not missing), a form (an object of entries), an entry of one (text or a list of text), an item of such a
list."""

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
"""Texts of fewer characters together make no url or header too long, whatever they hold."""


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
            kinds = {key: WHOLE if p.refers(node, "signature") else TEXT for key, node in held.items()}
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
        if isinstance(node, p.Text) and kind in TEXTS:
            # Its parts one by one: text that a url takes as it stands must not be encoded with the rest.
            return p.Text(parts=[self._put(part, place, kind) for part in node.parts])
        if not later:
            return self._part(node, place, kind, "group")
        if isinstance(node, p.Object) and kind in (JSON, FORM, HEADERS, QUERY):
            inner = {FORM: ENTRY, HEADERS: TEXT, QUERY: TEXT}.get(kind, kind)
            return p.Object(
                entries={key: self._put(held, f"{place}.{key}", inner) for key, held in node.entries.items()}
            )
        if isinstance(node, p.Items) and kind in (JSON, ENTRY):
            inner = ITEM if kind == ENTRY else kind
            return p.Items(items=[self._put(held, place, inner) for held in node.items])
        return self._mix(node, place, kind)

    def _part(self, node: p.Value, place: str, kind: str, root: str) -> p.Value:
        self._parts.append(Part(node, place, kind))
        return p.Ref(name=f"{root}.{len(self._parts) - 1}")

    def _mix(self, node: p.Value, place: str, kind: str) -> p.Value:
        node = _together(node)
        conditional = p.mentions(node, _in_its_turn)
        changed = self._operands(node, place, _is_meta if conditional else _is_operand)
        if conditional:
            self._part(p.Path(path="$"), place, JSON, "operand")
            changed = interpret.OverEvent(of=changed, index=len(self._parts) - 1)  # type: ignore[assignment]
        self._mixed.append(Mixed(changed, place, kind))
        return changed

    def _operands(self, node: p.Value, place: str, wanted: Callable[[p.Value], bool]) -> p.Value:
        """The node with the parts within it replaced, each with its own place."""

        def change(held: p.Value) -> p.Value | None:
            if wanted(held):
                return self._part(held, place, JSON, "operand")
            if not isinstance(held, (p.Object, p.Merge)):
                return None
            of = [self._operands(one, place, wanted) for one in held.of] if isinstance(held, p.Merge) else []
            entries = {key: self._operands(one, f"{place}.{key}", wanted) for key, one in held.entries.items()}
            return p.Merge(of=of, entries=entries) if isinstance(held, p.Merge) else p.Object(entries=entries)

        return p.rewrite(node, change)


def _body_place(request: p.Request) -> tuple[str, str]:
    """Where the body stands, and what."""
    word = request.format or "body"
    return f"request.{word}", {"form": FORM, "text": WHOLE}.get(word, JSON)


def _is_meta(node: p.Value) -> bool:
    return isinstance(node, p.Ref) and node.name.startswith("meta.")


def _together(node: p.Value) -> p.Value:
    """The choices of `$first` before one that holds `now` as one choice, for each is only looked at where those before it have no value."""

    def change(held: p.Value) -> p.Value | None:
        if not isinstance(held, p.First):
            return None
        timed = [p.mentions(one, _later) for one in held.of]
        count = timed.index(True) if True in timed else 0
        choices = [p.First(of=held.of[:count]), *held.of[count:]] if count > 1 else held.of
        return p.First(of=[_together(one) for one in choices]) if count else None

    return p.rewrite(node, change)


def _in_its_turn(node: p.Value) -> bool:
    """Whether something in it is evaluated for some events only, and may be a fault of others. A part without `now` sees to that itself."""
    if not p.mentions(node, _later):
        return False
    choices = node.of[1:] if isinstance(node, p.First) else []
    held = [*choices, getattr(node, "default", None), getattr(node, "otherwise", None)]
    return isinstance(node, (p.When, p.Each, p.Find)) or any(
        one is not None and _is_operand(one) and not isinstance(one, (p.Path, p.Ref)) for one in held
    )


def _is_operand(node: p.Value) -> bool:
    return p.mentions(node, _of_event) and not p.mentions(node, _later)


def _of_event(node: p.Value) -> bool:
    return isinstance(node, (p.When, p.Path)) or _is_meta(node)


def _later(node: p.Value) -> bool:
    return isinstance(node, p.Messages) or (isinstance(node, p.Ref) and node.name in ("now", *interpret.OF_SIGNING))


class Grouping:
    """What makes a group of the values of a request's parts: a text, JSON bytes or MISSING for each. Frozen after construction."""

    def __init__(self, request: p.Request, settings: Bound) -> None:
        found = split(request)
        self.parts = found.parts
        self._mixed = found.mixed
        self._settings = settings

    def __call__(self, *held: Any) -> tuple[Any, ...]:
        """Raises Fault, with the place of the part that is to blame."""
        found: list[Any] = []
        size = 0
        for part, value in zip(self.parts, held, strict=True):
            kind = part.kind
            if kind not in TEXTS:
                value = _entries(part, value)
                found.append(value if value is MISSING else values.encode(value))
                if kind in (HEADERS, QUERY):
                    size += len(found[-1] or b"")
                continue
            text = value if value.__class__ is str else _text(part, value)
            if text is MISSING or text == "":
                _missing(part, text)
            else:
                size += len(text)
            found.append(text)
        group = tuple(found)
        if self._mixed or size > SHORT:
            # Evaluated at each attempt: what the event does wrong in it is to be known before.
            later = [self._try(mixed, group) for mixed in self._mixed]
            objects = [
                values.decode(one) if one is not MISSING and part.kind in (HEADERS, QUERY) else one
                for part, one in zip(self.parts, group, strict=True)
            ]
            _measure(zip([*self.parts, *self._mixed], [*objects, *later], strict=True))
        return group

    def _try(self, mixed: Mixed, group: tuple[Any, ...]) -> Any:
        try:
            env = interpret.Env(
                MISSING, self._settings, interpret.SOME_INSTANT, group=group, signing=interpret.SOME_SIGNING
            )
            value = interpret.evaluate(mixed.node, env)
            if mixed.kind not in TEXTS:
                return _entries(mixed, value)
            text = _text(mixed, value)
            if text is MISSING or text == "":
                _missing(mixed, text)
            return text
        except Fault as fault:
            if not fault.field.startswith(mixed.place):
                fault.field = f"{mixed.place}.{fault.field}" if fault.field else mixed.place
            raise


def _measure(taken: Iterable[tuple[Part | Mixed, Any]]) -> None:
    """A url or a header that no server takes is no reason to try for hours."""
    url: Counter[str] = Counter()
    headers: Counter[str] = Counter()
    for part, value in taken:
        if value is MISSING or part.kind not in (*TEXTS, HEADERS, QUERY) or part.place in NO_LIMIT:
            continue
        for name, text in ({"": value} if part.kind in TEXTS else value).items():
            place = f"{part.place}.{name}" if name else part.place
            if place.startswith(("request.headers.", "request.sign.headers.")):
                headers[place] += len(text.encode())
            else:
                url[place] += len(quote(name, safe="")) + len(quote(text, safe=""))
    for place, size in headers.items():
        if size > MAX_HEADER:
            raise Fault("too_long", f"a header of {size:,} bytes, at most {MAX_HEADER:,} are sent", place)
    if url.total() > MAX_URL:
        [(place, _)] = url.most_common(1)
        raise Fault("too_long", f"a url of {url.total():,} characters, at most {MAX_URL:,} are sent", place)


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
        elif part.kind == ITEM:
            form.flat("", [value])
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
