"""The parts of a request, besides its messages, that depend on the event: what divides batches.

Takes a plan.Request. `event_parts` lists its maximal sub-expressions that read the event or `meta` and not `now`; `with_parts` is the request
with each of them replaced by `group.N`. Only messages whose parts are equal share a request.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from waypost import plan as p


def event_parts(request: p.Request) -> list[p.Value]:
    """In the order url, headers, query, body."""
    found: list[p.Value] = []
    for value in _values(request):
        _replace(value, found)
    return found


def with_parts(request: p.Request) -> p.Request:
    """The request with its event parts as Ref("group.N")."""
    found: list[p.Value] = []
    return msgspec.structs.replace(
        request,
        url=_replace(request.url, found),
        headers={key: _replace(value, found) for key, value in request.headers.items()},
        query={key: _replace(value, found) for key, value in request.query.items()},
        body=None if request.body is None else _replace(request.body, found),
    )


def _values(request: p.Request) -> Iterator[p.Value]:
    yield request.url
    yield from request.headers.values()
    yield from request.query.values()
    if request.body is not None:
        yield request.body


def _replace(value: p.Value, found: list[p.Value]) -> p.Value:
    def change(node: p.Value) -> p.Value | None:
        if not p.mentions(node, _of_event) or p.mentions(node, _later):
            return None
        if isinstance(node, p.Text):
            # Its parts one by one: text that a url takes as it stands must not be encoded with the rest.
            return None
        found.append(node)
        return p.Ref(name=f"group.{len(found) - 1}")

    return p.rewrite(value, change)


def _of_event(node: p.Value) -> bool:
    if isinstance(node, p.When):
        return True
    return isinstance(node, p.Path) or (isinstance(node, p.Ref) and node.name.startswith("meta."))


def _later(node: p.Value) -> bool:
    return isinstance(node, p.Messages) or (isinstance(node, p.Ref) and node.name == "now")


def url_parts(request: p.Request) -> list[p.Value]:
    """The event parts of the url: the first ones of `event_parts`. An event without a value for one of them cannot be sent."""
    found: list[p.Value] = []
    _replace(request.url, found)
    return found
