"""Requests, auth and the credential check of two plans.

Takes the Sides. Gives Changes. A request that several actions share is told once, with their names unless they are all. Limits (batch, rate,
retry, timeout) are told and never break: they change when something is sent, not what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from waypost import plan as p
from waypost.authoring.diff import shapes
from waypost.authoring.diff.change import Change
from waypost.authoring.diff.mapping import differences
from waypost.authoring.diff.sides import Sides
from waypost.lang import notation


def request_changes(sides: Sides) -> Iterator[Change]:
    common = [name for name in sides.new.actions if name in sides.old.actions]
    pairs: dict[tuple[str, str], list[str]] = {}
    for name in common:
        pairs.setdefault((sides.old.actions[name].request, sides.new.actions[name].request), []).append(name)
    # One name may stand for the same pair of requests as another.
    for (before, after), names in _merged(sides, pairs).items():
        actions = () if len(names) == len(common) else tuple(names)
        yield from _request(sides, before, after, actions)


def _merged(sides: Sides, pairs: dict[tuple[str, str], list[str]]) -> dict[tuple[str, str], list[str]]:
    found: dict[Any, tuple[tuple[str, str], list[str]]] = {}
    for pair, names in pairs.items():
        key = shapes.normal(sides.old.requests[pair[0]]), shapes.normal(sides.new.requests[pair[1]])
        found.setdefault(key, (pair, []))[1].extend(names)
    return dict(found.values())


def _request(sides: Sides, old_name: str, new_name: str, action: tuple[str, ...]) -> Iterator[Change]:
    old, new = sides.old.requests[old_name], sides.new.requests[new_name]

    def change(kind: str, reason: str, word: str, before: str, after: str) -> Change:
        return sides.change(
            kind,
            reason,
            f"requests.{new_name}.{word}",
            old_pointer=f"requests.{old_name}.{word}",
            action=action,
            field=f"request.{word}",
            old=before,
            new=after,
        )

    if old.method != new.method:
        yield change("method_changed", "another method", "method", old.method, new.method)
    if not shapes.same(old.url, new.url):
        yield change("url_changed", "another url", "url", notation.text(old.url), notation.text(new.url))
    before, after = (
        p.Object(
            entries={
                "headers": _entries(side.headers, side.more_headers or ()),
                "query": _entries(side.query, side.more_query or ()),
            }
        )
        for side in (old, new)
    )
    left, right = (
        p.Object(entries={} if side.body is None else {side.format or "body": side.body}) for side in (old, new)
    )
    for found in (*differences(before, after, _text), *differences(left, right)):
        yield change(found.kind, found.reason, ".".join(found.path), found.old, found.new)
    if not shapes.same(old.sign or None, new.sign or None):
        was, is_now = _sign(old), _sign(new)
        yield change("auth_changed", _moved(was, is_now), "sign", was, is_now)
    for word, show in _LIMITS.items():
        was, is_now = show(old), show(new)
        if was != is_now:
            yield change("limit_changed", _moved(was, is_now), word, was, is_now)
    yield from _dedupe(old.dedupe, new.dedupe, change)
    for status in sorted({*old.responses, *new.responses}):
        was, is_now = (notation.responses(side.responses.get(status, [])) for side in (old, new))
        if was != is_now:
            yield change("response_changed", _moved(was, is_now), f"responses.{status}", was, is_now)


def _entries(written: dict[str, p.Value], below: Sequence[p.Value]) -> p.Value:
    return p.Merge(of=list(below), entries=written) if below else p.Object(entries=written)


def _shown(node: p.Value) -> str:
    return notation.value(node) if isinstance(node, p.Merge) else notation.text(node)


def _text(node: p.Value) -> str:
    return notation.value(node) if isinstance(node, p.Object) else notation.text(node)


def _moved(old: str, new: str) -> str:
    return "is new" if not old else "is gone" if not new else "another value"


def _sign(request: p.Request) -> str:
    sign = request.sign
    if not sign:
        return ""
    words = [f"text: {notation.text(sign.text)}", f"hmac_{sign.hash}: {notation.text(sign.key)}"]
    words += [f"key: {sign.key_form}"] * (sign.key_form != "text") + [f"encoding: {sign.encoding}"]
    for name, held in (("headers", sign.headers), ("query", sign.query)):
        words += [f"{name}: {_text(p.Object(entries=held))}"] if held else []
    return "{" + ", ".join(words) + "}"


def _dedupe(old: p.Dedupe | None, new: p.Dedupe | None, change: Callable[..., Change]) -> Iterator[Change]:
    if shapes.same(old, new):
        return
    if old is not None and new is not None and sorted(old.by) != sorted(new.by):
        yield change("dedupe_changed", "other fields", "dedupe.by", ", ".join(old.by), ", ".join(new.by))
    before, after = map(_window, (old, new))
    if before != after:
        yield change("dedupe_window", _moved(before, after), "dedupe.within", before, after)


def _window(held: p.Dedupe | None) -> str:
    if held is None:
        return ""
    words = [notation.seconds(held.within_s)] * bool(held.by) + ["unsafe"] * held.unsafe
    return ", ".join(words)


def _batch(request: p.Request) -> str:
    batch = request.batch
    if batch is None:
        return ""
    sizes = {"max_bytes": batch.max_bytes, "max_message_bytes": batch.max_message_bytes}
    rows = [f"max_messages: {notation.constant(batch.max_messages)}"] if batch.max_messages is not None else []
    rows += [f"{word}: {notation.size(held)}" for word, held in sizes.items() if held is not None]
    return "{" + ", ".join([*rows, f"max_wait: {notation.seconds(batch.max_wait_s)}"]) + "}"


def _rate(request: p.Request) -> str:
    rows = [f"{{{rate.of}: {notation.rate(rate)}}}" for rate in request.rate]
    return rows[0] if len(rows) == 1 else "[" + ", ".join(rows) + "]" if rows else ""


def _retry(request: p.Request) -> str:
    retry = request.retry
    words = f"for: {notation.seconds(retry.for_s)}, wait_from: {notation.constant(retry.wait_from)}"
    return f"{{{words}, max_wait: {notation.seconds(retry.max_wait_s)}}}"


_LIMITS: dict[str, Callable[[p.Request], str]] = {
    "batch": _batch,
    "rate": _rate,
    "retry": _retry,
    "timeout": lambda request: notation.seconds(request.timeout_s),
    "concurrency": lambda request: str(request.concurrency),
    "content_type": lambda request: request.content_type or "",
    "gzip": lambda request: notation.constant(request.gzip),
}


def auth_changes(sides: Sides) -> Iterator[Change]:
    before, after = _auth(sides.old.auth), _auth(sides.new.auth)
    for word in dict.fromkeys([*before, *after]):
        left, right = before.get(word), after.get(word)
        if left is None or right is None or not shapes.same(left, right):
            shown = ["" if node is None else _shown(node) for node in (left, right)]
            yield sides.change(
                "auth_changed", _moved(*shown), f"auth.{word}", field=f"auth.{word}", old=shown[0], new=shown[1]
            )


def _auth(auth: p.Auth) -> dict[str, p.Value]:
    found: dict[str, p.Value] = {}
    if auth.basic is not None:
        found |= {"basic.username": auth.basic.username, "basic.password": auth.basic.password}
    if auth.bearer is not None:
        found["bearer"] = auth.bearer
    if auth.oauth2 is not None:
        held = {word: getattr(auth.oauth2, word) for word in auth.oauth2.__struct_fields__ if word != "form"}
        held |= {f"form.{name}": node for name, node in auth.oauth2.form.items()}
        nodes = {word: p.Const(value=node) if isinstance(node, str) else node for word, node in held.items()}
        found |= {f"oauth2.{word}": node for word, node in nodes.items() if node is not None}
    for group in ("headers", "query", "body"):
        found |= {f"{group}.{name}": node for name, node in getattr(auth, group).items()}
    for group in ("headers", "query"):
        if objects := getattr(auth, f"more_{group}"):
            found[group] = p.Merge(of=objects)
    return found


def probe_changes(sides: Sides) -> Iterator[Change]:
    if not shapes.same(sides.old.check, sides.new.check):
        before, after = _probe(sides.old.check), _probe(sides.new.check)
        reason = _moved(before, after)
        yield sides.change("probe_changed", reason, "check", field="check", old=before, new=after)


def _probe(probe: p.Probe | None) -> str:
    if probe is None:
        return ""
    words = [f"{probe.method}: {notation.text(probe.url)}"]
    for name in ("headers", "query"):
        held: dict[str, p.Value] = getattr(probe, name)
        if objects := getattr(probe, f"more_{name}"):
            words.append(f"{name}: {notation.value(p.Merge(of=objects, entries=held))}")
        elif held:
            words.append(f"{name}: {{{', '.join(f'{key}: {notation.text(node)}' for key, node in held.items())}}}")
    return "{" + ", ".join(words) + "}"
