"""The reader of a connections file: a document becomes connections and sources, with the same closed vocabulary as a spec.

Takes the root node and the Report. Gives a ConnectionsFile. What a connection lays over its destination stays nodes: `overlay.py` reads it
together with the destination's spec, and its settings are judged there, against the settings that the spec has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from waypost import plan as p
from waypost.compiler.compose.reuse import Layer
from waypost.compiler.read.closed_maps import Closed, describe
from waypost.compiler.read.document import Map, Node, Scalar, Seq
from waypost.compiler.read.integrations import read_names
from waypost.compiler.read.source import Span
from waypost.compiler.report.diagnostic import Diagnostic, Fix, Label, Report
from waypost.compiler.report.suggest import nearest
from waypost.compiler.spec import Located
from waypost.lang import fql, shapes
from waypost.lang.urls import LOOPBACK

TOP = ("connections", "sources")
CONNECTION = (
    "destination",
    "enabled",
    "sources",
    "order_by",
    "integrations",
    "redact",
    "settings",
    "tls",
    "plain_http",
    "request",
    "shared",
    "actions",
)
TLS = ("ca", "certificate", "key")
KINDS = ("files", "http", "stdin")
SOURCE = (*KINDS, "write_keys", "emits", "from", "follow")
OWNERS = {"write_keys": "http", "follow": "files"}

REFERENCE = r"env:[A-Za-z_][A-Za-z0-9_]*|file:\S.*"
_MEANT = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?|\{\{ *env\.([A-Za-z_][A-Za-z0-9_]*) *\}\}")


@dataclass(frozen=True)
class FeedSpec:
    """A source. `spans` are those of its words' values."""

    name: Located[str]
    feed: p.Feed
    spans: dict[str, Span] = field(default_factory=dict)


@dataclass(frozen=True)
class ConnectionSpec:
    """`settings`, `order_by` and `redact` are nodes: what they may hold is known once the destination's spec is read. `integrations` is None
    where the spec's names hold, and empty where events' `integrations` are ignored."""

    name: Located[str]
    destination: Located[str]
    enabled: bool
    sources: tuple[Located[str], ...]
    settings: Map | None
    order_by: Node | None
    redact: Node | None
    integrations: list[str] | None
    layer: Layer
    tls: p.Tls | None = None
    plain_http: bool = False


@dataclass(frozen=True)
class ConnectionsFile:
    connections: dict[str, ConnectionSpec]
    sources: dict[str, FeedSpec]


def read_connections(root: Node, report: Report) -> ConnectionsFile:
    closed = Closed(report)
    top = closed.map(root, "a connections file")
    if top is None:
        return ConnectionsFile({}, {})
    closed.keys(top, TOP, "a connections file")
    sources = {name.text: _source(name, held, closed) for name, held in _entries(top, "sources", "a source", closed)}
    held = _entries(top, "connections", "a connection", closed)
    connections = {name.text: _connection(name, node, sources, closed) for name, node in held}
    return ConnectionsFile({name: item for name, item in connections.items() if item is not None}, sources)


def _entries(top: Map, word: str, what: str, closed: Closed) -> Iterable[tuple[Scalar, Map]]:
    """The named maps under a word of the top level."""
    node = closed.map(closed.need(top, word, "a connections file", f"name at least one {word[:-1]}"), f"`{word}`")
    if node is not None and not node.entries:
        closed.add("S103", f"`{word}` needs at least one {word[:-1]}", node.span, "found none")
    for name, value in closed.named(node, f"`{word}`", what):
        held = closed.map(value, f"the {word[:-1]} `{name.text}`")
        if held is not None:
            yield name, held


def _connection(name: Scalar, node: Map, sources: dict[str, FeedSpec], closed: Closed) -> ConnectionSpec | None:
    what = f"the connection `{name.text}`"
    closed.keys(node, CONNECTION, what)
    destination = closed.need(node, "destination", what, "name a shipped destination, or the path to a spec")
    used = closed.need(node, "sources", what, "name at least one of the file's sources")
    if isinstance(used, Seq) and not used.items:
        closed.add("S103", f"{what} needs at least one source", used.span, "found none")
    found = ConnectionSpec(
        name=Located(name.text, name.span),
        destination=Located(closed.text(destination, "`destination`"), destination.span if destination else name.span),
        enabled=closed.boolean(node.get("enabled"), "`enabled`", True),
        sources=tuple(_used(closed.texts(used, "`sources`"), sources, closed)),
        settings=closed.map(node.get("settings"), "`settings`"),
        order_by=node.get("order_by"),
        redact=node.get("redact"),
        integrations=read_names(node.get("integrations"), closed, may_ignore=True),
        tls=_tls(node.get("tls"), what, closed),
        plain_http=closed.boolean(node.get("plain_http"), "`plain_http`", False),
        layer=Layer(
            request=closed.map(node.get("request"), "`request`"),
            shared=closed.map(node.get("shared"), "`shared`"),
            actions=closed.map(node.get("actions"), "`actions`"),
        ),
    )
    return found if found.destination.value else None


def _tls(node: Node | None, what: str, closed: Closed) -> p.Tls | None:
    """Files of TLS. A key goes with a certificate; a certificate's own file may hold its key."""
    held = closed.map(node, "`tls`")
    if held is None:
        return None
    closed.keys(held, TLS, f"the `tls` of {what}")
    if not held.entries:
        closed.add(
            "S103", "`tls` names at least one file", held.span, f"expected {', '.join(f'`{word}`' for word in TLS)}"
        )
    found = {word: _tls_file(word, held.get(word), closed) for word in TLS}
    key = held.key("key")
    if key is not None and held.get("certificate") is None:
        closed.add("S103", "`key` is the key of a certificate", key.span, "there is no `certificate` beside it")
    return p.Tls(**found)


def _tls_file(word: str, node: Node | None, closed: Closed) -> str | None:
    if node is None:
        return None
    text = closed.text(node, f"`{word}`")
    if text and (not re.fullmatch(r"file:\S.*", text) or "\0" in text):
        bare = re.fullmatch(r"[./\w-]+", text) is not None
        fix = Fix(node.span, f"file:{text}", safe=True) if bare else None
        closed.add("S104", f"`{word}` names a file", node.span, "expected `file:PATH`", fix=fix)
        return None
    return text or None


def _used(names: list[Scalar], sources: dict[str, FeedSpec], closed: Closed) -> Iterable[Located[str]]:
    """The sources that a connection names: each once, each one of the file's."""
    seen: set[str] = set()
    for name in names:
        near = nearest(name.text, sources)
        if name.text in seen:
            closed.add("S108", f"the source `{name.text}` is named twice", name.span, "every event would be sent twice")
        elif name.text not in sources:
            closed.add(
                "U107",
                f"there is no source `{name.text}`",
                name.span,
                f"did you mean `{near}`?" if near else "",
                f"the sources are {', '.join(sources)}" if sources else "the file has no `sources:`",
                Fix(name.span, near, safe=True) if near else None,
            )
        # The source that was meant is used, too: one fault, one message.
        if name.text not in seen and (name.text in sources or near):
            yield Located(name.text if name.text in sources else near or "", name.span)
        seen.add(name.text)


def _source(name: Scalar, node: Map, closed: Closed) -> FeedSpec:
    what = f"the source `{name.text}`"
    closed.keys(node, SOURCE, what)
    kinds = [key for key, _ in node.entries if key.text in KINDS]
    if not kinds:
        closed.add("S103", f"{what} needs `files`, `http` or `stdin`", name.span, "missing here")
    for extra in kinds[1:]:
        closed.add("S108", f"{what} is of two kinds", extra.span, f"`{kinds[0].text}` stands above")
    kind = kinds[0].text if kinds else ""
    for word, owner in OWNERS.items():
        key = node.key(word)
        if key is not None and kind not in ("", owner):
            closed.add("S108", f"`{word}` belongs to `{owner}`, and {what} has `{kind}`", key.span, "remove it")
    keys = closed.texts(node.get("write_keys"), "`write_keys`")
    start = "start" if kind == "files" else "now"
    feed = p.Feed(
        name=name.text,
        files=_files(node.get("files"), closed),
        http=_http(node, closed),
        stdin=_stdin(node.get("stdin"), closed),
        write_keys=[key.text for key in keys if is_reference(key, "a write key", name.text, closed)],
        emits=[
            closed.one_of(item, fql.EVENT_TYPES, "an event type", "")
            for item in closed.texts(node.get("emits"), "`emits`")
        ],
        follow=closed.boolean(node.get("follow"), "`follow`", False),
        start=closed.one_of(node.get("from"), ("start", "now"), "`from`", start),
    )
    return FeedSpec(Located(name.text, name.span), feed, node.spans)


def _files(node: Node | None, closed: Closed) -> list[str]:
    found = closed.texts(node, "`files`")
    if isinstance(node, Seq) and not node.items:
        closed.add("S103", "`files` names at least one file", node.span, "found none")
    for item in found:
        if not item.text.strip() or item.text == "-":
            closed.add("S104", "`files` holds paths or globs", item.span, f"found {describe(item)}")
    return [item.text for item in found]


def _stdin(node: Node | None, closed: Closed) -> bool:
    if node is not None and not closed.boolean(node, "`stdin`", True):
        closed.add("S105", "`stdin` is true where it stands", node.span, "found `false`", "remove the source")
    return node is not None


def _http(node: Map, closed: Closed) -> str | None:
    """The address to listen at. One that others can reach asks for a write key."""
    address = node.get("http")
    if address is None:
        return None
    text = closed.text(address, "`http`")
    match = re.fullmatch(r"(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):(?P<port>[0-9]{1,5})", text)
    if text and (match is None or int(match["port"]) > 65535):
        closed.add(
            "S104", "`http` is host and port", address.span, f"found {describe(address)}", 'write `"127.0.0.1:8080"`'
        )
    elif match and match["host"].strip("[]") not in LOOPBACK and node.get("write_keys") is None:
        closed.report.add(
            Diagnostic(
                "X105",
                "whoever reaches this address may send events: there are no `write_keys`",
                Label(address.span, "other machines can reach it"),
                "add `write_keys: [env:NAME]`, or listen on 127.0.0.1",
                severity="warning",
            )
        )
    return text


def is_reference(node: Scalar, what: str, name: str, closed: Closed) -> bool:
    """Whether a secret is written as `env:NAME` or `file:PATH`; reports one that stands in the file itself, and does not show it."""
    if re.fullmatch(REFERENCE, node.text):
        return True
    meant = _MEANT.fullmatch(node.text)
    reference = f"env:{(meant[1] or meant[2]) if meant else re.sub(r'[^A-Z0-9]', '_', name.upper())}"
    looks_like_one = shapes.is_reference(node.text)
    closed.report.add(
        Diagnostic(
            "X106",
            f"{what} names no variable or file" if looks_like_one else f"{what} stands in the file",
            Label(node.span, "expected `env:NAME` or `file:PATH`"),
            f"write `{reference}`"
            + ("" if meant or looks_like_one else ", set that variable, and change the secret: it is known now"),
            fix=Fix(node.span, reference, safe=meant is not None),
            hidden=meant is None,
        )
    )
    return False
