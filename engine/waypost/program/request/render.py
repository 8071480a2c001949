"""One HTTP request of a plan, rendered: the same code for a run, a dry run, a preview and a golden file.

Takes a plan.Request, the auth that goes with it and the bound settings. `envelope` gives the bytes around the messages, on which batches are
cut; `render` gives method, url, headers and body. The bytes of the messages go in as their format says (lang/bodies). With
`masked` every secret is shown as `<its name>`, what is stamped at each attempt as `<now>`, and the body is not compressed.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec
from isal import isal_zlib
from msgspec import Raw

from waypost import plan as p
from waypost.events.results import Mapped, Rejected
from waypost.lang import bodies, names, values
from waypost.lang.bodies.format import ONLY, PLACE, placed
from waypost.lang.hosts import Origin, origin_of
from waypost.lang.values import MISSING, Fault
from waypost.program import interpret
from waypost.program.hosts import origin_text
from waypost.program.request import grouping, signing
from waypost.program.settings import Bound
from waypost.program.support import text_part
from waypost.version import __version__

NOW = "<now>"
"""Shown in place of what is stamped at each attempt."""

SHOWN = {"now": NOW, **signing.SHOWN}

FAULTS = (Fault, ArithmeticError, ValueError, TypeError, RecursionError)

GZIP_LEVEL, GZIP_FORM = 2, 31
"""igzip's second level: a tenth of the time of zlib's sixth, for bodies an eighth larger. 31: the form of gzip, not of zlib."""


@dataclass(frozen=True)
class Wire:
    """A request as it goes out. `uncompressed` is the body's size before compression, in bytes; `by_message`: its answer may name messages."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes
    uncompressed: int
    by_message: bool = False


class RequestProgram:
    """A linked request. Frozen after construction."""

    def __init__(self, request: p.Request, auth: p.Auth, bound: Bound) -> None:
        self.policy = request
        self.layout = bodies.layout_of(request)
        self._format = bodies.format_of(request)
        self._placed: dict[tuple[bool, tuple[str, ...]], p.Value] = {}
        """The body with marks for the messages, by whether it is shown, and by which of several lists hold any."""
        self._request = grouping.split(request).request
        self._shown = _without_now(self._request)
        self._origin = origin_or_none(self._request.url)
        self._shown_origin = origin_or_none(self._shown.url)
        self._auth = auth
        self._shown_auth = _auth_without_now(auth)
        self._bound = bound
        self._masked = bound.masked()
        self._sign, self._shown_sign = self._request.sign, self._shown.sign
        self._by_message = any(rule.results for rules in request.responses.values() for rule in rules)

    def envelope(
        self, group: tuple[Any, ...], now: float, lists: Sequence[str] = (), *, masked: bool = False
    ) -> list[bytes] | None:
        """The body's bytes before, between and behind the messages of these lists (of the one, where there is one); None for a request without
        a body. Their length does not depend on `now`."""
        auth = self._shown_auth if masked else self._auth
        return self._envelope(auth, self._env(self._masked if masked else self._bound, group, now), lists, masked)

    def by_list(self, messages: Iterable[tuple[str, bytes]]) -> dict[str, list[bytes]]:
        """Messages, each with its action, as `render` takes them."""
        found: dict[str, list[bytes]] = {}
        for action, body in messages:
            found.setdefault(self.layout.list_of(action), []).append(body)
        return found

    def refusal(self, mapped: Mapped) -> Rejected | None:
        """Why a message cannot stand in such a body; None when it can."""
        try:
            self.layout.size(mapped.body)
        except Fault as fault:
            return Rejected(mapped.action, mapped.item, fault.reason, fault.message, fault.field)
        return None

    def render(
        self,
        group: tuple[Any, ...],
        messages: Sequence[bytes] | Mapping[str, Sequence[bytes]],
        now: float,
        *,
        masked: bool = False,
    ) -> Wire:
        """The request for these messages (by list, where the body has several). `now` is the instant of the attempt, Unix seconds."""
        request, auth = (self._shown, self._shown_auth) if masked else (self._request, self._auth)
        env = self._env(self._masked if masked else self._bound, group, now)
        held = messages if isinstance(messages, Mapping) else {ONLY: messages}
        around = self._envelope(auth, env, self.layout.order(held), masked)
        body = b"" if around is None else self.layout.together(around, held)
        headers = {"user-agent": f"waypost/{__version__}"}
        if around is not None:
            headers["content-type"] = self.policy.content_type or self._format.content_type
        sent = body
        if request.gzip and not masked:
            sent = compressed(body)
        if request.gzip:
            headers["content-encoding"] = "gzip"
        headers.update(
            _headers(
                {**request.headers, **auth.headers},
                _below([*(request.more_headers or ()), *(auth.more_headers or ())], env, headers=True),
                env,
            )
        )
        headers.update(_authorization(auth, env, masked))
        origin = self._shown_origin if masked else self._origin
        below = _below([*(request.more_query or ()), *(auth.more_query or ())], env, headers=False)
        query = _over({**request.query, **auth.query}, below, env)
        signed = self._signed(env, body, masked)
        if signed is not None:
            sign, within = signed
            headers.update(_headers(sign.headers, {}, within))
            query.update(_over(sign.query, {}, within))
        url = url_of(origin, query, env, self._bound.endpoint_override, masked)
        return Wire(request.method.upper(), url, list(headers.items()), sent, len(body), self._by_message)

    def read(self, node: p.Value, answer: Mapping[str, Any], item: Any, key: Any) -> Any:
        """The value of a node of `results` over an answer ({status, headers, body}), an item of it, and its name where it has one."""
        return interpret.evaluate(node, interpret.Env(event=answer, settings=self._bound, item=item, key=key))

    def _signed(self, env: interpret.Env, body: bytes, masked: bool) -> tuple[p.Sign, interpret.Env] | None:
        """The signature's headers and query, and the Env for them; None where there is none to make. Raises Unsigned."""
        sign = self._shown_sign if masked else self._sign
        if not sign:
            return None
        if masked:
            return None if text_part(interpret.evaluate(sign.key, env)) is MISSING else (sign, env)
        try:
            within = signing.signing(sign, env, body)
        except FAULTS as error:
            said = error.message if isinstance(error, Fault) else "a value does not fit there"
            raise signing.Unsigned(f"the request cannot be signed: {said}") from None
        return None if within is None else (sign, within)

    def _env(self, bound: Bound, group: tuple[Any, ...], now: float) -> interpret.Env:
        # Milliseconds: `{{ now | datetime }}` then has the same width at every attempt.
        watch = _shown if bound is self._masked else None
        return interpret.Env(event=MISSING, settings=bound, now=int(now * 1000), group=group, watch=watch)

    def _envelope(self, auth: p.Auth, env: interpret.Env, lists: Sequence[str], masked: bool) -> list[bytes] | None:
        body = (self._shown if masked else self._request).body
        if body is None:
            return None
        key = (masked, tuple(lists) if self.layout.lists else ())
        marked = self._placed.get(key)
        if marked is None:
            marked = self._placed[key] = placed(body, self._format.mark, lists if self.layout.lists else None)
        # As anywhere in an object: what has no value is left out.
        found = {name: interpret.evaluate(value, env) for name, value in auth.body.items()}
        members = {name: value for name, value in found.items() if value is not MISSING}
        value = interpret.evaluate(marked, env)
        if value == NOW and not self._format.is_text:
            value = MISSING
        return self._format.written(self._format.joined(value, members)).split(PLACE)


def compressed(body: bytes) -> bytes:
    """The body in gzip's form. Its header holds no time: the same body compresses to the same bytes at every attempt."""
    return isal_zlib.compress(body, GZIP_LEVEL, GZIP_FORM)


def _shown(node: p.Value, env: interpret.Env) -> Any:
    """A node's value for those who may not see secrets: a filter that cannot take `<key>` for a number shows it as it is."""
    try:
        return interpret.step(node, env)
    except Fault:
        found: list[str] = []
        p.rewrite(node, lambda inner: found.append(inner.name) if isinstance(inner, p.Ref) else None)
        return f"<{found[0].removeprefix('settings.')}>" if found else MISSING


def _shown_now(node: p.Value) -> p.Value | None:
    if not isinstance(node, (p.Ref, p.Filter, p.Arith, p.From, p.Lookup, p.Pick, p.Drop)):
        return None
    found: list[str] = []

    def look(inner: p.Value) -> None:
        if isinstance(inner, p.Ref) and inner.name in SHOWN:
            found.append(inner.name)

    p.rewrite(node, look)
    return p.Const(value=SHOWN[found[0]]) if found else None


def _shown_object(node: p.Value) -> p.Value:
    """Where an object stands, what is in it is shown, and not `<now>` in its place."""
    if isinstance(node, (p.From, p.Pick)):
        return msgspec.structs.replace(node, of=_shown_object(node.of))
    return p.rewrite(node, _shown_now)


def _without_now(request: p.Request) -> p.Request:
    return msgspec.structs.replace(
        request,
        url=p.rewrite(request.url, _shown_now),
        headers=_all_shown(request.headers),
        query=_all_shown(request.query),
        more_headers=list(map(_shown_object, request.more_headers or ())) or msgspec.UNSET,
        more_query=list(map(_shown_object, request.more_query or ())) or msgspec.UNSET,
        body=None if request.body is None else _shown_object(request.body),
        sign=_sign_without_now(request.sign) if request.sign else msgspec.UNSET,
    )


def _sign_without_now(sign: p.Sign) -> p.Sign:
    return msgspec.structs.replace(sign, headers=_all_shown(sign.headers), query=_all_shown(sign.query))


def _auth_without_now(auth: p.Auth) -> p.Auth:
    return msgspec.structs.replace(
        auth,
        headers=_all_shown(auth.headers),
        query=_all_shown(auth.query),
        body=_all_shown(auth.body),
        more_headers=list(map(_shown_object, auth.more_headers or ())) or msgspec.UNSET,
        more_query=list(map(_shown_object, auth.more_query or ())) or msgspec.UNSET,
    )


def _all_shown(held: Mapping[str, p.Value]) -> dict[str, p.Value]:
    return {key: p.rewrite(value, _shown_now) for key, value in held.items()}


_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def _below(objects: Sequence[p.Value], env: interpret.Env, *, headers: bool) -> dict[str, str]:
    """The objects of headers or of the query as texts, later ones over earlier."""
    found: dict[str, str] = {}
    for node in objects:
        value = interpret.evaluate(node, env)
        held = values.decode(bytes(value)) if isinstance(value, Raw) else value
        if held == NOW:
            # Shown in place of what is no object in truth either, or is not there.
            continue
        found |= names.texts_of(held, headers=headers) or {}
    return found


def _over(written: Mapping[str, p.Value], below: dict[str, str], env: interpret.Env) -> dict[str, str]:
    """The written entries over what lies below: they decide, also where they have no value."""
    found = dict(below)
    for key, value in written.items():
        text = text_part(interpret.evaluate(value, env))
        if text is MISSING:
            found.pop(key, None)
        else:
            found[key] = text
    return found


def _headers(held: Mapping[str, p.Value], below: dict[str, str], env: interpret.Env) -> dict[str, str]:
    """Headers as text; one without a value is left out, and no line break (nor another control character) reaches a header."""
    found = _over({key.lower(): value for key, value in held.items()}, below, env)
    return {key: _clean(text) for key, text in found.items()}


def _clean(text: str) -> str:
    return _CONTROL.sub(" ", text).strip()


def _authorization(auth: p.Auth, env: interpret.Env, masked: bool) -> dict[str, str]:
    if auth.basic is not None:
        user = text_part(interpret.evaluate(auth.basic.username, env))
        password = text_part(interpret.evaluate(auth.basic.password, env))
        pair = f"{'' if user is MISSING else user}:{'' if password is MISSING else password}"
        return {
            "authorization": f"Basic base64({pair})" if masked else "Basic " + base64.b64encode(pair.encode()).decode()
        }
    if auth.bearer is not None:
        token = text_part(interpret.evaluate(auth.bearer, env))
        return {} if token is MISSING else {"authorization": _clean(f"Bearer {_clean(token)}")}
    if auth.oauth2 is not None and masked:
        # Whoever sends it puts the token in (http/tokens.py).
        return {"authorization": "Bearer <token>"}
    return {}


def origin_or_none(url: p.Value) -> Origin:
    """A url without a host does not compile; what else comes here is one that cannot be sent to."""
    return origin_of(url) or Origin((), tuple(url.parts) if isinstance(url, p.Text) else (url,))


def url_of(
    origin: Origin, query: Mapping[str, str], env: interpret.Env, override: str | None, masked: bool = False
) -> str:
    safe = "<>" if masked else ""
    text = origin_text(origin, env)
    for piece in origin.rest:
        value = text_part(interpret.evaluate(piece, env))
        held = "" if value is MISSING else value
        text += held if isinstance(piece, p.Const) else _encoded(held, safe)
    found = "&".join(f"{quote(key, safe='')}={quote(value, safe=safe)}" for key, value in query.items())
    if found:
        text += ("&" if "?" in text else "?") + found
    return replaced(text, override) if override else text


def _encoded(text: str, safe: str) -> str:
    """Text as one part of a path. `.` and `..` would be resolved away by whoever reads the url."""
    return text.replace(".", "%2E") if text in (".", "..") else quote(text, safe=safe)


def replaced(url: str, override: str) -> str:
    """`url` with the scheme, host and port of `override`."""
    base = urlsplit(override)
    return urlunsplit(urlsplit(url)._replace(scheme=base.scheme, netloc=base.netloc))
