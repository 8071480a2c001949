"""A destination's page: settings, actions with their triggers, fields with source, type and checks, limits, responses, a request.

Takes a plan, and for each action a `Sample` (an event and the request that it becomes, from the destination's own tests). Gives a Page. The
order is that of somebody who sets the destination up: what it is, what to fill in, what is sent when, then how.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from waypost import plan as p
from waypost.authoring.docs.blocks import Block, Code, Heading, Line, Link, Listing, Page, Paragraph, Table, words
from waypost.authoring.docs.settings import settings, shown
from waypost.delivery.outcome import BUILT_IN
from waypost.lang import fql, notation


@dataclass(frozen=True)
class Sample:
    """An event's JSON and the request that it becomes: its first line, headers and body."""

    event: str
    request: str
    body: str


def page(plan: p.Plan, samples: Mapping[str, Sample], target: str = "", given: Mapping[str, Any] = {}) -> Page:
    """`target`: what `waypost run` calls it where the page is read; its name when it is a shipped one. `given`: examples of settings."""
    return Page(plan.name, plan.title or plan.name, tuple(_blocks(plan, samples, target or plan.name, given)))


def calls(plan: p.Plan) -> list[str]:
    """The event types that an action's trigger names, in the usual order; all of them where a trigger names none."""
    found: set[str] = set()
    for action in plan.actions.values():
        kinds = _types(fql.read(action.trigger))
        found |= kinds if kinds is not None else set(fql.EVENT_TYPES)
    return [name for name in fql.EVENT_TYPES if name in found]


def _types(node: fql.Node) -> set[str] | None:
    """The types that a trigger can take; None is any."""
    if isinstance(node, fql.And):
        sets = [kinds for kinds in map(_types, node.of) if kinds is not None]
        return set.intersection(*sets) if sets else None
    if isinstance(node, fql.Or):
        either = [_types(inner) for inner in node.of]
        return None if None in either else set().union(*[kinds for kinds in either if kinds is not None])
    if (
        isinstance(node, fql.Compare)
        and node.sign == "="
        and _is_type(node.left)
        and isinstance(node.right, fql.Literal)
    ):
        return {str(node.right.value)}
    if isinstance(node, fql.In) and _is_type(node.left) and isinstance(node.right, tuple):
        return {str(item.value) for item in node.right if isinstance(item, fql.Literal)}
    return None


def _is_type(operand: Any) -> bool:
    return isinstance(operand, fql.PathRef) and operand.steps == ("type",)


def _blocks(plan: p.Plan, samples: Mapping[str, Sample], target: str, given: Mapping[str, Any]) -> Iterator[Block]:
    if plan.description:
        yield Paragraph((plan.description,))
    facts: list[Line] = [("Takes ", *words([(Code(name),) for name in calls(plan)]), " calls.")]
    if plan.docs.startswith(("https://", "http://")):
        facts.append((Link("The API's documentation", href=plan.docs),))
    yield Paragraph(words(facts, " "))
    yield from settings(plan, given, target)
    yield from _credentials(plan)
    yield from _actions(plan, samples)
    yield from _delivery(plan)


# Credentials.


def _credentials(plan: p.Plan) -> Iterator[Block]:
    auth = plan.auth
    lines: list[Line] = []
    if auth.basic is not None:
        password = _text(auth.basic.password)
        lines.append(
            (
                "HTTP Basic: user name ",
                *_text(auth.basic.username),
                *((", password ", *password) if password else (", no password",)),
            )
        )
    if auth.bearer is not None:
        lines.append(("a bearer token: ", *_text(auth.bearer)))
    if auth.oauth2 is not None:
        client = (", client ", *_text(auth.oauth2.client_id))
        lines.append(("a token (OAuth 2, ", Code(auth.oauth2.grant), ") from ", *_text(auth.oauth2.token_url), *client))
    for where, held in (("header", auth.headers), ("query parameter", auth.query), ("member of the body", auth.body)):
        lines += [(f"the {where} ", Code(name), ": ", *_text(node)) for name, node in held.items()]
    for where, objects in (("headers", auth.more_headers), ("query parameters", auth.more_query)):
        lines += [(f"the {where} of ", Code(notation.value(node))) for node in objects or ()]
    if not lines and plan.check is None:
        return
    yield Heading(2, "Credentials")
    if lines:
        yield Paragraph(("Every request carries ", *words(lines, "; "), "."))
    if plan.check is not None:
        yield Paragraph(
            ("They are tested by ", Code(f"{plan.check.method.upper()} {notation.plain_text(plan.check.url)}"), ".")
        )


def _text(node: p.Value) -> Line:
    text = notation.plain_text(node)
    return (Code(text),) if text else ()


# Actions.


def _actions(plan: p.Plan, samples: Mapping[str, Sample]) -> Iterator[Block]:
    yield Heading(2, "Actions")
    yield Paragraph(("Every action whose trigger matches an event sends it, in this order.",))
    yield Table(
        "Actions",
        ("Action", "Default trigger", "What it does"),
        tuple(
            (
                (action.title or name, "" if action.enabled else " (off)"),
                (Code(action.trigger),),
                (action.description,),
            )
            for name, action in plan.actions.items()
        ),
    )
    for name, action in plan.actions.items():
        yield from _action(plan, name, action, samples.get(name))


def _action(plan: p.Plan, name: str, action: p.Action, sample: Sample | None) -> Iterator[Block]:
    yield Heading(3, action.title or name, name)
    if action.each is not None:
        where = (" for which ", Code(action.where), " holds") if action.where else ()
        yield Paragraph(
            ("One message for each ", Code("$item"), " of ", Code(notation.value(action.each)), *where, ".")
        )
    if len(plan.requests) > 1:
        request = plan.requests[action.request]
        yield Paragraph(("Sent by ", Code(f"{request.method.upper()} {notation.plain_text(request.url)}"), "."))
    body = plan.requests[action.request].body
    rows = tuple(_fields(action.mapping)) or (tuple(_fields(body)) if body is not None else ())
    if rows:
        yield Table("Fields", ("Field", "Value", "Type", "Checks"), rows)
    for need in action.require:
        either = words([(Code(".".join(path)),) for path in need.any], " or ")
        when = (" when ", Code(need.test)) if need.test else ()
        yield Paragraph(("Needs ", *either, *when, "; an event without is a dead letter and is not sent."))
    if sample is not None:
        yield Paragraph(("For example, this event",))
        yield Listing("json", sample.event)
        yield Paragraph(("is sent as",))
        yield Listing("http", sample.request)
        if sample.body:
            yield Listing("json" if sample.body[:1] in "{[" else "text", sample.body)


def _most(held: int | dict[str, int] | None) -> str:
    if isinstance(held, dict):
        return ", ".join(f"{most:,} in `{name}`" for name, most in held.items())
    return f"{held:,}" if held else "no limit"


def _fields(node: p.Value, path: str = "") -> Iterator[tuple[Line, ...]]:
    """One row a field. An object that is merged from others has a row of its own, then one for each key that is decided."""
    here: Line = (Code(path),) if path else ("the whole message",)
    if isinstance(node, p.Object):
        for name, held in node.entries.items():
            yield from _fields(held, _join(path, name))
    elif isinstance(node, p.Merge):
        sources = words([(Code(notation.value(of)),) for of in node.of], ", over it ")
        yield (here, ("everything of ", *sources), ("object",), ())
        for name, held in node.entries.items():
            yield from _fields(held, _join(path, name))
    elif isinstance(node, p.Omit):
        yield (here, ("never sent",), (), ())
    elif isinstance(node, p.From):
        yield (here, (Code(notation.value(node.of)),), (node.type or "",), _checks(node))
    elif isinstance(node, p.Const):
        yield (here, ("always ", Code(shown(node.value))), (), ())
    elif isinstance(node, p.First):
        yield (here, words([_source(of) for of in node.of], ", else "), (), ())
    elif isinstance(node, p.When):
        then: Line = (*_source(node.then), " when ", Code(node.test))
        yield (here, (*then, ", else ", *_source(node.otherwise)) if node.otherwise else then, (), ())
    else:
        yield (here, (Code(notation.value(node)),), (), ())


def _source(node: p.Value) -> Line:
    """A value that stands within a sentence."""
    if isinstance(node, p.From):
        checks = _checks(node)
        kind = node.type or ""
        inner = words([line for line in ((kind,) if kind else (), checks) if line])
        return (Code(notation.value(node.of)), *((" (", *inner, ")") if inner else ()))
    return (Code(shown(node.value) if isinstance(node, p.Const) else notation.value(node)),)


_SAID = {
    "single": "one value is a list of one",
    "required": "required",
    "empty": "empty is left out",
    "invalid": "left out when invalid",
}
_NULLS = {"keep": "null is sent", "omit": "null is left out", "empty": 'null becomes ""'}
_HOLDS = {"enum": "one of ", "format": "format ", "pattern": "matches ", "default": "default "}
_LIMITS = {
    "max_length": "at most {} characters",
    "max_bytes": "at most {} bytes",
    "max_age": "at most {} old",
    "max_ahead": "at most {} ahead",
}


def _checks(node: p.From) -> Line:
    lines: list[Line] = []
    for word, text in notation.checks(node):
        if word in _SAID:
            lines.append((_SAID[word],))
        elif word in _LIMITS:
            lines.append((_LIMITS[word].format(text),))
        elif word == "nulls":
            lines.append((_NULLS[text],))
        elif word != "type":
            lines.append((_HOLDS[word], Code(text)))
    return words(lines)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


# Delivery.


def _delivery(plan: p.Plan) -> Iterator[Block]:
    yield Heading(2, "Delivery")
    for name, request in plan.requests.items():
        users = [action.title or key for key, action in plan.actions.items() if action.request == name]
        if len(plan.requests) > 1:
            yield Heading(3, ", ".join(users))
        yield Table("Limits", ("What", "Limit"), tuple(_limits(request)))
    answers = [(request, _answers(request)) for request in plan.requests.values()]
    yield Heading(2, "Answers")
    yield Paragraph(
        ("What an answer of the destination means for the messages of its request. The most specific status wins.",)
    )
    for request, rows in answers:
        if len(answers) > 1:
            yield Paragraph((Code(f"{request.method.upper()} {notation.plain_text(request.url)}"),))
        yield Table("Answers", ("Answer", "Outcome", "Said by"), tuple(rows))


def _limits(request: p.Request) -> Iterator[tuple[Line, ...]]:
    yield (
        ("Request",),
        (Code(f"{request.method.upper()} {notation.plain_text(request.url)}"), ", compressed" if request.gzip else ""),
    )
    if request.sign:
        yield (("Signed",), _signature(request.sign))
    batch = request.batch
    if batch is None:
        yield (("Messages in a request",), ("1",))
    else:
        yield (("Messages in a request",), (_most(batch.max_messages),))
        yield (("Bytes of a body",), (notation.size(batch.max_bytes) if batch.max_bytes else "no limit",))
        yield (
            ("Bytes of a message",),
            (notation.size(batch.max_message_bytes) if batch.max_message_bytes else "no limit",),
        )
        yield (("A batch waits for more",), (notation.seconds(batch.max_wait_s),))
    for limit in request.rate:
        yield ((f"Rate of {limit.of}",), (notation.rate(limit),))
    yield (("Requests at once",), (str(request.concurrency),))
    yield (("Time for an answer",), (notation.seconds(request.timeout_s),))
    yield (("Tried again for",), (notation.seconds(request.retry.for_s),))
    yield (
        ("Waits as the answer says",),
        (
            *words([(Code(name),) for name in request.retry.wait_from]),
            f", at most {notation.seconds(request.retry.max_wait_s)}",
        ),
    )
    if request.dedupe is not None and request.dedupe.unsafe:
        yield (("A repeated message",), ("is not known for sure",))
    if request.dedupe is not None and request.dedupe.by:
        by = words([(Code(name),) for name in request.dedupe.by], " and ")
        yield (("A repeated message is known by",), (*by, f" for {notation.seconds(request.dedupe.within_s)}"))


def _signature(sign: p.Sign) -> Line:
    places: list[Line] = [("the header ", Code(name)) for name in sign.headers]
    places += [("the parameter ", Code(name)) for name in sign.query]
    of = "the body" if sign.text == p.Ref(name="body") else Code(notation.plain_text(sign.text))
    key = Code(notation.plain_text(sign.key))
    form = ", which is base64" if sign.key_form == "base64" else ""
    written = "hexadecimal digits" if sign.encoding == "hex" else "base64"
    return (
        "HMAC-",
        sign.hash.upper(),
        " of ",
        of,
        " with the key ",
        key,
        form,
        ", as ",
        written,
        ", in ",
        *words(places, " and "),
    )


def _outcome(rule: p.ResponseRule) -> Line:
    when: Line = (" when ", Code(rule.test)) if rule.test else ()
    if not rule.results:
        return (rule.then, *when)
    named = [(*_thens(reader.then), " for a message that ", *_naming(reader)) for reader in rule.results]
    return (*words(named), f", and {rule.then} for the others of such an answer", *when)


def _thens(rules: list[p.ResponseRule]) -> Line:
    return words([_outcome(rule) for rule in rules], ", else ")


def _naming(reader: p.Reader) -> Line:
    """How an answer names a message."""
    node = reader.index if reader.index is not None else reader.value
    of: Line = (" by its place, ",) if reader.index is not None else (" by its ", Code(reader.of), ", equal to ")
    where: Line = (", where ", Code(reader.where)) if reader.where is not None else ()
    shown = "" if node is None else notation.value(node)
    return (Code(notation.value(reader.at)), " names", *of, Code(shown), *where)


def _answers(request: p.Request) -> list[tuple[Line, ...]]:
    rows: list[tuple[Line, ...]] = []
    for status in sorted({*BUILT_IN, *request.responses} - {"1xx"}):
        rules = request.responses.get(status)
        if rules is None:
            rows.append(((Code(status),), (BUILT_IN[status],), ("Waypost",)))
            continue
        lines: list[Line] = [_outcome(rule) for rule in rules]
        if rules and (rules[-1].test is not None or rules[-1].results):
            lines.append((BUILT_IN.get(status, "as the general status says"),))
        rows.append(((Code(status),), words(lines, ", else "), ("the spec",)))
    return rows
