"""A checked spec becomes a plan: expressions already hold the plan's nodes, so this joins them, names the requests and keeps positions.

Takes a Spec without errors and its Source (joined with the connections file's where a connection lies over it). Gives a sealed Plan. Same
spec, same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import msgspec
from msgspec import UNSET

from waypost import plan as p
from waypost.compiler.read.integrations import meaning
from waypost.compiler.read.source import Source
from waypost.compiler.spec import ActionSpec, AuthSpec, RequestSpec, Spec, Val

Note = Callable[[str, int], None]


def lower(
    spec: Spec,
    source: Source,
    connection: p.Connection | None = None,
    inputs: Mapping[str, str] = MappingProxyType({}),
    together: Sequence[str] = (),
    integrations: list[str] | None = None,
) -> p.Plan:
    """`integrations` are a connection's, which replace the spec's.

    `inputs` and `together` are what the plan's source map says of a connection's origin."""
    requests, names = _requests(spec)
    positions: dict[str, str] = {}
    note = _noting(source, positions)
    for name, setting in spec.settings.items():
        note(f"settings.{name}", setting.name.span.start)
    for name, action in spec.actions.items():
        _request_positions(action.request, f"requests.{names[name]}", note)
        _positions(action, f"actions.{name}", note)
    return p.seal(
        p.Plan(
            name=spec.name.value,
            title=spec.title,
            description=spec.description,
            docs=spec.docs,
            category=spec.category or UNSET,
            settings={name: item.setting for name, item in spec.settings.items()},
            auth=_auth(spec.auth),
            check=_probe(spec.check) if spec.check else None,
            connection=connection,
            integrations=meaning(
                spec.integrations if integrations is None else integrations, spec.title, spec.name.value
            ),
            requests=requests,
            actions={name: _action(action, names[name]) for name, action in spec.actions.items()},
            source=p.Source(file=source.path, positions=positions, inputs=dict(inputs), together=list(together)),
        )
    )


def _requests(spec: Spec) -> tuple[dict[str, p.Request], dict[str, str]]:
    """The different requests, and which one each action sends: the destination's is "request", one with overlays has its action's name."""
    requests: dict[str, p.Request] = {}
    names: dict[str, str] = {}
    for action in sorted(spec.actions.values(), key=lambda item: item.own_request):
        lowered = action.request.lowered()
        same = next((name for name, held in requests.items() if held == lowered), None)
        if same is None:
            same = action.name.value if action.own_request else "request"
            requests[same] = lowered
        names[action.name.value] = same
    return requests, names


def _auth(auth: AuthSpec) -> p.Auth:
    held = {name: val.node for name, val in auth.values.items()}

    def group(kind: str) -> dict[str, p.Value]:
        return {name.split(".", 1)[1]: node for name, node in held.items() if name.startswith(f"{kind}.")}

    basic = group("basic")
    return p.Auth(
        basic=p.Basic(username=basic["username"], password=basic["password"]) if len(basic) == 2 else None,
        bearer=held.get("bearer"),
        headers=group("headers"),
        query=group("query"),
        body=group("body"),
        more_headers=_below(auth.more, "headers"),
        more_query=_below(auth.more, "query"),
        oauth2=None if auth.oauth2 is None else _oauth2(auth.oauth2, group("oauth2")),
    )


def _oauth2(plain: p.OAuth2, held: dict[str, p.Value]) -> p.OAuth2:
    form = {name.removeprefix("form."): node for name, node in held.items() if name.startswith("form.")}
    texts = {name: node for name, node in held.items() if not name.startswith("form.")}
    return msgspec.structs.replace(plain, form=form, **texts)


def _probe(check: RequestSpec) -> p.Probe:
    whole = check.lowered()
    more = {"more_headers": whole.more_headers, "more_query": whole.more_query}
    return p.Probe(method=whole.method, url=whole.url, headers=whole.headers, query=whole.query, **more)


def _below(more: Mapping[str, tuple[Val, ...]], word: str) -> list[p.Value] | msgspec.UnsetType:
    return [val.node for val in more.get(word, ())] or msgspec.UNSET


def _action(action: ActionSpec, request: str) -> p.Action:
    return p.Action(
        trigger=action.trigger.text,
        request=request,
        mapping=action.mapping.node,
        title=action.title,
        description=action.description,
        enabled=action.enabled,
        each=action.each.node if action.each else None,
        where=action.where.text if action.where else None,
        require=[need.require for need in action.require],
    )


def _noting(source: Source, found: dict[str, str]) -> Note:
    def note(name: str, start: int) -> None:
        part, begin = source.part(start)
        line, column = part.position(start - begin)
        found[name] = f"{line}:{column}" if begin == 0 else f"{part.path}:{line}:{column}"

    return note


def _request_positions(request: RequestSpec, prefix: str, note: Note) -> None:
    """The place of each word of a request; its method and url stand at one."""
    method = request.method
    note(prefix, method.span.start)
    note(f"{prefix}.url", request.url.span.start)
    for word, span in request.spans.items():
        if not word.endswith(" key") and word != method.value:
            note(f"{prefix}.{word}", span.start)


def _positions(action: ActionSpec, prefix: str, note: Note) -> None:
    note(prefix, action.name.span.start)
    note(f"{prefix}.trigger", action.trigger.scalar.span.start)
    _fields(action.mapping, f"{prefix}.mapping", note)
    for index, need in enumerate(action.require):
        note(f"{prefix}.require.{index}", need.span.start)


def _fields(val: Val, prefix: str, note: Note) -> None:
    """The place of each output field, for run-time messages and preview."""
    if not isinstance(val.node, (p.Object, p.Merge)):
        return
    entries = val.parts[len(val.node.of) :] if isinstance(val.node, p.Merge) else val.parts
    for (key, span), part in zip(val.keys.items(), entries, strict=True):
        note(f"{prefix}.{key}", span.start)
        _fields(part, f"{prefix}.{key}", note)
