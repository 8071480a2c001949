"""Whether what a run needs to reach its destinations is there: asked before anything is read or sent.

Takes plans with their bound settings. Raises SettingError, in one line, for a proxy, an authority or a certificate that is needed and cannot
be used; tells what is passed over (entries of NO_PROXY) and what is open to others on its way (`plain_http`). A variable that no url needs is
never looked at: a run to loopback needs no proxy, and one over http no authorities.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import urlsplit

from waypost import plan as p
from waypost.http.proxies import Proxies
from waypost.http.trust import Notice, trust_of
from waypost.lang.urls import is_plain
from waypost.lang.values import MISSING, Fault
from waypost.program import interpret
from waypost.program.settings import Bound, SettingError
from waypost.program.support import text_part

NOTHING = p.Tls()

Reached = tuple[str, Bound, tuple[str, ...]]
"""A connection's name, its settings, and its urls as far as they depend on settings alone."""


def reached(plan: p.Plan, bound: Bound, owner: str) -> Reached:
    return owner, bound, tuple(urls_of(plan, bound))


def urls_of(plan: p.Plan, bound: Bound) -> Iterator[str]:
    """Where a plan's requests go: scheme, host and as much of the path as events have no part in."""
    if bound.endpoint_override:
        yield bound.endpoint_override
        return
    env = interpret.Env(event=MISSING, settings=bound, now=0)
    probes = [plan.check.url] if plan.check is not None else []
    probes += [plan.auth.oauth2.token_url] if plan.auth.oauth2 is not None else []
    for url in [*(request.url for request in plan.requests.values()), *probes]:
        text = ""
        for part in url.parts if isinstance(url, p.Text) else [url]:
            if p.mentions(part, _of_event):
                break
            try:
                found = text_part(interpret.evaluate(part, env))
            except Fault:
                break
            text += "" if found is MISSING else found
        yield text


def _of_event(node: p.Value) -> bool:
    return not isinstance(node, (p.Const, p.Text, p.Filter, p.Arith)) and not (
        isinstance(node, p.Ref) and node.name.startswith("settings.")
    )


def warn_of_plain(connections: Iterable[Reached], notice: Notice) -> None:
    """Says which connections send what anybody on its way can read."""
    for owner, _, urls in connections:
        hosts = sorted({urlsplit(url).netloc.rpartition("@")[2] for url in urls if is_plain(url)})
        if hosts:
            notice(
                f"warning: {owner}: plain http: events and credentials go unencrypted to {', '.join(hosts)}, "
                "where anybody on their way can read and change them"
            )


def prepare(connections: Iterable[Reached], notice: Callable[[str], None]) -> None:
    """Raises SettingError."""
    proxies = Proxies(os.environ)
    if proxies.ignored:
        entries = ", ".join(f"`{entry}`" if "@" not in entry else "one with an `@`" for entry in proxies.ignored)
        notice(f"warning: {proxies.no_proxy}: passed over {entries}: no host, domain, address or network")
    for owner, bound, urls in connections:
        if bound.tls != NOTHING:
            trust_of(bound.tls, owner).context(notice)
        for url in urls:
            try:
                proxy = proxies.of(url)
            except ValueError:
                # A url that cannot be sent to is told when it is.
                continue
            if url.startswith("https://"):
                trust_of(bound.tls, owner).context(notice)
            if proxy is not None and proxy.scheme == "https":
                trust_of(NOTHING).context(notice)


__all__ = ["Reached", "SettingError", "prepare", "reached", "urls_of", "warn_of_plain"]
