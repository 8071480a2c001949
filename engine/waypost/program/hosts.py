"""The hosts that settings choose: how they are written, and whether they are hosts, asked when a plan is linked.

Takes a plan and its bound settings. `origin_text` gives scheme, host and port of a url as every request has them. `check_hosts` raises
SettingError, a line for each setting that cannot stand where it stands, before anything is read or sent.
"""

from __future__ import annotations

from collections.abc import Iterator

from waypost import plan as p
from waypost.lang.hosts import BASE, Origin, origin_fault, origin_of, piece_fault
from waypost.lang.values import MISSING
from waypost.program import interpret
from waypost.program.settings import Bound, SettingError
from waypost.program.support import text_part

SHOWN = 80
"""So many characters of a wrong value are shown."""


def origin_text(origin: Origin, env: interpret.Env) -> str:
    """Scheme, host and port as they stand in each request; never escaped, for a host that would need it is refused."""
    return "".join(_texts(origin, env))


def _texts(origin: Origin, env: interpret.Env) -> Iterator[str]:
    for piece in origin.pieces:
        text = text_part(interpret.evaluate(piece.node, env))
        yield text if isinstance(text, str) else ""


def check_hosts(plan: p.Plan, bound: Bound, owner: str) -> None:
    """Raises SettingError. Every template over settings has been tried before, so that none faults here."""
    urls = [request.url for request in plan.requests.values()] + ([plan.check.url] if plan.check is not None else [])
    urls += [plan.auth.oauth2.token_url] if plan.auth.oauth2 is not None else []
    found: dict[str, None] = {}
    for url in urls:
        origin = origin_of(url)
        if origin is not None and origin.chosen:
            # Several requests go to one host: what is wrong with it is said once.
            found.update(dict.fromkeys(f"{owner}: {line}" for line in _wrong(origin, bound)))
    if found:
        raise SettingError("\n".join(found))


def _wrong(origin: Origin, bound: Bound) -> Iterator[str]:
    env = interpret.Env(event=MISSING, settings=bound, now=0)
    texts = list(_texts(origin, env))
    said = False
    for piece, text in zip(origin.pieces, texts, strict=True):
        if not piece.place:
            continue
        # What a url may be that begins one was asked when it was bound; that it was given at all was not.
        fault = piece_fault(text, piece) if piece.place != BASE or text == "" else None
        if fault is not None:
            said = True
            yield f"{_named([piece.node])} cannot choose where requests go: it {fault}{_shown([piece.node], text, bound)}"
    if said or origin.based:
        return
    whole = "".join(texts)
    fault = origin_fault(whole, plain_http=bound.plain_http)
    if fault is not None:
        nodes = [piece.node for piece in origin.chosen]
        shown = _shown(nodes, whole, bound)
        yield f"{_named(nodes)} cannot choose where requests go: the url with it {fault}{shown}"


def _settings(nodes: list[p.Value]) -> list[str]:
    found: dict[str, None] = {}

    def look(node: p.Value) -> None:
        if isinstance(node, p.Ref):
            found[node.name.removeprefix("settings.")] = None

    for node in nodes:
        p.rewrite(node, look)
    return list(found)


def _named(nodes: list[p.Value]) -> str:
    names = _settings(nodes)
    if not names:
        return "what stands there"
    return ("the setting " if len(names) == 1 else "the settings ") + " and ".join(f"`{name}`" for name in names)


def _shown(nodes: list[p.Value], text: str, bound: Bound) -> str:
    """The text to blame, unless it is empty, or of a setting that is not to be shown."""
    if not text or any(name.partition(".")[0] in bound.secret for name in _settings(nodes)):
        return ""
    short = text if len(text) <= SHOWN else text[:SHOWN] + "…"
    return f" (found `{''.join(sign if sign.isprintable() else '·' for sign in short)}`)"
