"""The text of a first spec and of its tests.

Takes a `Brief`: the name, a sample event, and what is known of the API. Gives a `Draft`, whose text compiles without a finding and whose
test passes; what the author must decide stands in it as `# todo` comments. tests/authoring/test_new.py holds both for any sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from waypost.authoring.new.match import CREDENTIAL, Each, Entry, Field, Leaf, Todo, count, fields, leaves, shown
from waypost.compiler.read.spec_reader import CATEGORIES
from waypost.lang import fql, notation, values
from waypost.lang.errors import LangError
from waypost.lang.words import snakecase, titlecase, words

URL = "https://api.example.com/v1/events"
WIDTH = 100

EXAMPLE: dict[str, Any] = {
    "type": "track",
    "messageId": "m1",
    "userId": "u1",
    "event": "Order Completed",
    "timestamp": "2026-01-01T12:00:00.000Z",
    "properties": {"total": 42},
}
"""The sample event of somebody who gives none."""


@dataclass(frozen=True)
class Brief:
    """`request` is the JSON that the API takes (`form`: the fields of a form), or values.MISSING.

    `schema` is the path from the spec to the editors' schema, or ""."""

    name: str
    event: dict[str, Any]
    request: Any = values.MISSING
    url: str = ""
    schema: str = ""
    form: bool = False


@dataclass(frozen=True)
class Draft:
    """`matched` and `open` count the request's fields with and without a source in the event."""

    text: str
    action: str
    settings: dict[str, str]
    matched: int
    open: int


@dataclass(frozen=True)
class Shape:
    """What the API's JSON is: the body around the messages, one message, the credentials in the body, whether it takes many, and
    what stands around the messages that is no constant."""

    body: str
    message: dict[str, Any]
    credentials: tuple[str, ...] = ()
    many: bool = False
    open: tuple[str, ...] = ()


def draft(brief: Brief) -> Draft:
    found = list(leaves(brief.event))
    if brief.request is values.MISSING:
        shape = Shape("$message", {})
        entries = _own(brief.event)
    else:
        shape = Shape("$message", brief.request) if brief.form else shape_of(brief.request, found)
        entries = fields(shape.message, found)
    matched, missing = count(entries)
    if not matched:
        entries = (Field("id", '"{{ meta.id }}"', "todo: nothing of the request was found in the event"), *entries)
    action = _action_name(brief.event)
    settings = [_setting_name(name) for name in shape.credentials] or ["api_key"]
    rows = [*_head(brief, settings, shape), *_request(brief, shape), *_action(brief, action, entries)]
    return Draft("\n".join(rows) + "\n", action, dict.fromkeys(settings, "test"), matched, missing)


def shape_of(request: Any, found: list[Leaf]) -> Shape:
    """Where in the API's JSON the messages stand. One list of objects, with nothing of the event beside it, is a batch."""
    if isinstance(request, list):
        return Shape("$messages", request[0], many=True)
    secret = tuple(key for key in request if CREDENTIAL.search(snakecase(key)) and isinstance(request[key], str))
    rest = {key: value for key, value in request.items() if key not in secret}
    lists = [
        key
        for key, value in rest.items()
        if isinstance(value, list) and value and isinstance(value[0], dict) and value[0]
    ]
    beside = {key: value for key, value in rest.items() if key not in lists}
    if len(lists) == 1 and not _carries(beside, found) and not _is_items(rest[lists[0]], found):
        envelope = [f"{notation.key(lists[0])}: $messages", *_around(beside)]
        kept = {row.split(": ", 1)[0] for row in envelope}
        open_keys = tuple(key for key in beside if notation.key(key) not in kept)
        return Shape("{" + ", ".join(envelope) + "}", rest[lists[0]][0], secret, many=True, open=open_keys)
    if secret and len(rest) == 1:
        ((key, value),) = rest.items()
        if isinstance(value, dict):
            return Shape(f"{{{notation.key(key)}: $message}}", value, secret)
    return Shape("$message", request)


def _carries(beside: dict[str, Any], found: list[Leaf]) -> bool:
    """Whether what stands beside a list comes from the event, so that the list is part of a message."""
    return any(isinstance(entry, Field) and not entry.note for entry in fields(beside, found))


def _is_items(held: list[Any], found: list[Leaf]) -> bool:
    return any(fql.equal(leaf.value, held) for leaf in found if isinstance(leaf.value, list))


def _around(beside: dict[str, Any]) -> Iterator[str]:
    """What is the same in every request."""
    for key, value in beside.items():
        if snakecase(key) in ("sent_at", "sent", "now"):
            yield f'{notation.key(key)}: "{{{{ now | datetime }}}}"'
        elif value is None or isinstance(value, bool) or (values.is_number(value) and _keeps(value)):
            yield f"{notation.key(key)}: {values.encode(value).decode()}"
        elif isinstance(value, str) and shown(value) != "a text":
            yield f"{notation.key(key)}: {{$literal: {notation.quoted(value)}}}"


def _keeps(value: Any) -> bool:
    """Whether a number is the same text after it was read and written."""
    text = values.encode(value).decode()
    return text == (str(int(text)) if text.lstrip("-").isdigit() else repr(float(text)))


# The parts of the file.


def _head(brief: Brief, settings: list[str], shape: Shape) -> Iterator[str]:
    if brief.schema:
        yield f"# yaml-language-server: $schema={brief.schema}"
    yield "spec: 1"
    yield f"name: {brief.name}"
    yield f"title: {notation.quoted(titlecase(brief.name))}"
    yield "description: What this destination is for, in a sentence.   # todo"
    yield f"category: {CATEGORIES[-1]}   # todo: or {', '.join(CATEGORIES[:-1])}"
    yield ""
    yield "settings:"
    for name in dict.fromkeys(settings):
        yield f"  {name}: {{type: string, secret: true, label: {notation.quoted(titlecase(name))}, description: Where to find it.}}   # todo"
    yield ""
    yield "auth:"
    if shape.credentials:
        yield "  body:"
        for key, name in zip(shape.credentials, settings, strict=True):
            yield f'    {notation.quoted(key)}: "{{{{ settings.{name} }}}}"'
    else:
        yield f'  bearer: "{{{{ settings.{settings[0]} }}}}"   # todo: or basic, headers, query, body'
    yield ""


def _request(brief: Brief, shape: Shape) -> Iterator[str]:
    yield "request:"
    yield f"  post: {notation.quoted(brief.url)}" if brief.url else f"  post: {URL}   # todo: the API's address"
    yield f"  {'form' if brief.form else 'body'}: {shape.body}"
    for key in shape.open:
        yield _printable(f"  # todo: the body of the sample also has {notation.quoted(key)}")
    if shape.many:
        yield "  batch: {max_messages: 100, max_wait: 1s}   # todo: the API's own limits"
    yield ""


def _action(brief: Brief, name: str, entries: tuple[Entry, ...]) -> Iterator[str]:
    yield "actions:"
    yield f"  {name}:"
    yield f"    title: {notation.quoted(titlecase(name))}"
    yield f"    trigger: {_trigger(brief.event)}"
    yield "    mapping:"
    yield from _entries(entries, "      ")


def _trigger(event: dict[str, Any]) -> str:
    """FQL over the type, and over the event's name where it has one that FQL can hold."""
    text = f'type = "{event["type"]}"'
    named = f"{text} and event = {values.encode(event.get('event')).decode()}"
    if event["type"] == "track" and isinstance(event.get("event"), str) and event["event"]:
        try:
            whole = fql.show(fql.parse(named))
        except LangError:
            return text
        plain = (
            whole.isascii()
            and whole.isprintable()
            and not {" #", ": "} & {whole[at : at + 2] for at in range(len(whole))}
        )
        return whole if plain else notation.quoted(whole)
    return text


def _action_name(event: dict[str, Any]) -> str:
    told = event.get("event") if event["type"] == "track" else None
    parts = words(told) if isinstance(told, str) else []
    ascii_parts = [part.lower() for part in parts if part.isascii()]
    return "_".join(["send", *(ascii_parts[:6] or [event["type"]])])


def _setting_name(text: str) -> str:
    name = snakecase(text)
    return name if name.isascii() and name[:1].isalpha() else "api_key"


def _entries(entries: tuple[Entry, ...], pad: str) -> Iterator[str]:
    for entry in entries:
        key = notation.key(entry.key)
        if isinstance(entry, Todo):
            yield _printable(f"{pad}# todo: {key}: {entry.text}")
        elif isinstance(entry, Each):
            yield f"{pad}{key}:"
            yield f"{pad}  $each: {notation.quoted(entry.of)}"
            yield f"{pad}  to:"
            yield from _entries(entry.to, f"{pad}    ")
        elif isinstance(entry.value, tuple):
            yield f"{pad}{key}:"
            yield from _entries(entry.value, f"{pad}  ")
        else:
            yield f"{pad}{key}: {entry.value}" + (_printable(f"   # {entry.note}") if entry.note else "")


def _printable(text: str) -> str:
    """A comment holds no escapes: what YAML may not hold is left out."""
    return "".join(character for character in text if character.isprintable())


def _own(event: dict[str, Any]) -> tuple[Entry, ...]:
    """A message in the event's own shape, for an API of which nothing is known: ids, time, and each property or trait."""
    rows: list[Entry] = [Field("id", '{$first: [$.messageId, "{{ meta.id }}"]}')]
    for name, output in (("userId", "user_id"), ("anonymousId", "anonymous_id"), ("groupId", "group_id")):
        if isinstance(event.get(name), str):
            rows.append(Field(output, f"{{$from: $.{name}, type: string, empty: omit}}"))
    for name in ("event", "name"):
        if isinstance(event.get(name), str):
            rows.append(Field(name, f"$.{name}"))
    if isinstance(event.get("timestamp"), str) and _is_time(event["timestamp"]):
        rows.append(Field("time", "{$from: $.timestamp, type: datetime}"))
    for name in ("properties", "traits"):
        inner = [leaf for leaf in leaves(event) if len(leaf.steps) == 2 and leaf.steps[0] == name]
        if inner:
            rows.append(Field(name, tuple(Field(leaf.name, notation.quoted(leaf.path)) for leaf in inner)))
    return tuple(rows)


def _is_time(text: str) -> bool:
    try:
        values.to_datetime(text)
    except values.Fault:
        return False
    return True


# The tests.


def tests_text(brief: Brief, made: Draft, line: bytes, expect: dict[str, Any], *, as_line: bool) -> str:
    """The file of tests: the sample event is sent as `expect` says, an event of another type is not."""
    told = brief.event.get("event") if isinstance(brief.event.get("event"), str) else brief.event["type"]
    name = " ".join(str(told).split()) or brief.event["type"]
    other = {"type": "identify" if brief.event["type"] != "identify" else "track", "userId": "u1"}
    rows = (
        [f"# yaml-language-server: $schema={brief.schema.rpartition('/')[0]}/tests.schema.json"] if brief.schema else []
    )
    rows += [
        f"settings: {_flow(made.settings)}",
        "tests:",
        f"  - name: {notation.in_quotes(f'{name} is sent')}",
    ]
    rows += [f"    line: {notation.quoted(line.decode())}"] if as_line else _block("event", brief.event, "    ")
    rows += _block("expect", expect, "    ")
    rows += [
        "  - name: an event of another type is not sent",
        f"    event: {_flow(other)}",
        "    expect: {filtered: no_action}",
    ]
    return "\n".join(rows) + "\n"


def expectation(action: str, golden: dict[str, Any], event: bytes) -> dict[str, Any]:
    """What the first test expects: the message as it was sent, without what a constant cannot hold and without our own ids."""
    request = golden["request"]
    (method, url), *_ = request.items()
    sent = request["body"]["messages"][0]
    message = _expected(values.decode(sent.encode()) if sent[:1] in ("{", "[") else form_fields(sent), event.decode())
    return {"action": action, "request": {method: url}, **({"message": message} if message else {})}


def form_fields(text: str) -> dict[str, Any]:
    """The fields of a form, a key that comes again as a list."""
    found = parse_qs(text, keep_blank_values=True)
    return {key: held if len(held) > 1 else held[0] for key, held in found.items()}


def _expected(held: Any, event: str) -> Any:
    if isinstance(held, dict):
        kept = {key: _expected(value, event) for key, value in held.items()}
        return {key: value for key, value in kept.items() if value is not values.MISSING}
    if isinstance(held, list):
        # A list is compared whole.
        kept_items = [_expected(item, event) for item in held]
        return held if kept_items == held else values.MISSING
    if values.is_number(held):
        return held if _keeps(held) else values.MISSING
    ours = isinstance(held, str) and (held == "<absent>" or (len(held) == 32 and held not in event))
    return values.MISSING if ours else held


def _block(key: str, value: Any, pad: str) -> list[str]:
    """A value in flow style where it fits on the line, else in block style."""
    flow = _flow(value)
    head = f"{pad}{notation.quoted(key)}:"
    if not (isinstance(value, dict) and value) or len(head) + len(flow) < WIDTH:
        return [f"{head} {flow}"]
    return [head, *(row for name, held in value.items() for row in _block(name, held, pad + "  "))]


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{notation.quoted(key)}: {_flow(held)}" for key, held in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    return notation.quoted(value) if isinstance(value, str) else values.encode(value).decode()
