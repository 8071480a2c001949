"""A request's body as golden.json shows it: each message with its own bytes, and what stands around them.

Takes a rendered request and its messages by list. Gives plain data: `{before, messages, after}`, with `between` where that is no comma;
`{lists, after}` for several lists, each `{list, before, messages}`; `{text}` for a body without messages. `joined` gives the whole text again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from waypost.program.request.render import RequestProgram

COMMA = ","


def shown(
    kind: RequestProgram, group: tuple[Any, ...], messages: Mapping[str, Sequence[bytes]], now: float
) -> dict[str, Any] | None:
    """None for a request without a body."""
    layout = kind.layout
    names = layout.order(messages)
    around = kind.envelope(group, now, names, masked=True)
    if around is None:
        return None
    texts = [piece.decode() for piece in around]
    if len(texts) == 1:
        return {"text": texts[0]}
    sent = {
        name: [(layout.as_sent(one) if layout.as_sent else one).decode() for one in messages[name]] for name in names
    }
    separator = layout.separator.decode()
    between = {} if separator == COMMA else {"between": separator}
    if not layout.lists:
        return {"before": texts[0], "messages": sent[names[0]], **between, "after": texts[1]}
    lists = [
        {"list": name, "before": before, "messages": sent[name]} for name, before in zip(names, texts, strict=False)
    ]
    return {"lists": lists, **between, "after": texts[-1]}


def messages_of(body: Mapping[str, Any]) -> list[str]:
    """The messages, as they are sent."""
    return [message for row in _rows(body) for message in row["messages"]]


def joined(body: Mapping[str, Any]) -> str:
    """The body's text."""
    separator = body.get("between", COMMA)
    rows = (row["before"] + separator.join(row["messages"]) for row in _rows(body))
    return "".join([body.get("text", ""), *rows, body.get("after", "")])


def _rows(body: Mapping[str, Any]) -> list[Any]:
    if "lists" in body:
        return list(body["lists"])
    return [body] if "messages" in body else []
