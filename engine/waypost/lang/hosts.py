"""Where a request goes, as far as settings choose it: the scheme, host and port of a url, and what a setting may hold there.

Takes a url of a plan. Gives its `Origin`: the pieces up to where the host ends, and the rest. A setting that begins a url holds the scheme and
the host itself (`urls.py` says what such a url may be). One that stands within the host (`https://{{ settings.shop }}.example.com/x`) is a
`Piece` with a place, and `piece_fault` says what its text may not be there; `origin_fault` says what is wrong with the whole.

A text is taken as it stands or refused: nothing is escaped or turned into another alphabet, so that whoever looks at the host (gates, proxies,
TLS, the client) sees the same.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from waypost import plan as p
from waypost.lang.urls import is_plain

SCHEME, HOST, PART, PORT, BASE = "scheme", "host", "part", "port", "base"
"""A piece's place: alone before `://`, alone between `//` and what ends the host, beside other text of the host, behind its `:`; or at a url's
start, where it holds scheme and host."""

_HOLE: Final = "\0"
_LONGEST: Final = 253
_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_NUMBERS: Final = re.compile(r"\d+(?:\.\d+){3}")

PLAIN: Final = (
    "is http, which is for loopback hosts only, for others only where it is asked for: "
    "`plain_http: true` in a connection, --plain-http for a single run"
)


class Piece(NamedTuple):
    """A piece of an origin. `place` is "" for the spec's own text; `port`: a port may follow the host in it."""

    node: p.Value
    place: str = ""
    port: bool = False


class Origin(NamedTuple):
    """`based`: one setting holds scheme and host. `rest`: path and query, from their `/` or `?` on."""

    pieces: tuple[Piece, ...]
    rest: tuple[p.Value, ...]

    @property
    def based(self) -> bool:
        return self.pieces[0].place == BASE

    @property
    def chosen(self) -> list[Piece]:
        """The pieces that are not the spec's own text."""
        return [piece for piece in self.pieces if piece.place]


def of_settings(node: p.Value) -> bool:
    """Whether a value depends on settings alone."""
    return not p.mentions(node, _is_other)


def _is_other(node: p.Value) -> bool:
    if isinstance(node, p.Ref):
        return not node.name.startswith("settings.")
    return not isinstance(node, (p.Const, p.Text, p.Filter, p.Arith))


def origin_of(url: p.Value) -> Origin | None:
    """None for a url that neither begins with a setting nor has `scheme://`, and for one whose host depends on the event."""
    nodes: list[p.Value] = [*url.parts] if isinstance(url, p.Text) else [url]
    texts = [str(node.value) if isinstance(node, p.Const) else _HOLE for node in nodes]
    whole = "".join(texts)
    if whole == _HOLE or whole.startswith((_HOLE + "/", _HOLE + "?")):
        first = next(node for node, text in zip(nodes, texts, strict=True) if text == _HOLE)
        return _cut(nodes, texts, 1, {0: (BASE, False)}) if of_settings(first) else None
    scheme, sign, behind = whole.partition("://")
    if not sign or re.search(r"[/?#]", scheme):
        return None
    authority = re.split(r"[/?#]", behind, maxsplit=1)[0]
    start = len(scheme) + 3
    holes = {at: (SCHEME, False) for at, sign in enumerate(scheme) if sign == _HOLE}
    holes.update({start + at: _place(authority, at) for at, sign in enumerate(authority) if sign == _HOLE})
    found = _cut(nodes, texts, start + len(authority), holes)
    return found if all(of_settings(piece.node) for piece in found.pieces) else None


def _place(authority: str, at: int) -> tuple[str, bool]:
    before, after = authority[:at], authority[at + 1 :]
    if ":" in before.rpartition("]")[2]:
        return PORT, False
    if not before and after[:1] in ("", ":"):
        return HOST, not after
    return PART, not after


def _cut(nodes: list[p.Value], texts: list[str], end: int, holes: dict[int, tuple[str, bool]]) -> Origin:
    pieces: list[Piece] = []
    rest: list[p.Value] = []
    at = 0
    for node, text in zip(nodes, texts, strict=True):
        if text == _HOLE and at < end:
            pieces.append(Piece(node, *holes[at]))
        elif at + len(text) <= end:
            pieces += [Piece(node)] if text else []
        elif at >= end:
            rest.append(node)
        else:
            pieces.append(Piece(p.Const(value=text[: end - at])))
            rest.append(p.Const(value=text[end - at :]))
        at += len(text)
    return Origin(tuple(pieces), tuple(rest))


def piece_fault(text: str, piece: Piece) -> str | None:
    """What is wrong with a piece's text, as the end of a sentence that begins with its setting; None when nothing is."""
    if text == "":
        return "is empty"
    if piece.place == SCHEME:
        return (
            None if text in ("https", "http") else "is no scheme that is sent to: `https`, or `http` for loopback hosts"
        )
    if "://" in text:
        return "holds a scheme, which stands before it in the url already"
    if sign := re.search(r"[^A-Za-z0-9._:\[\]-]", text):
        return f"holds {_named(sign[0])}, and no host does"
    if piece.place == PORT:
        return None if _is_port(text) else "is no port (1 to 65535)"
    if piece.place == HOST and text.startswith("["):
        host, end, port = text.partition("]")
        if (
            not end
            or not _is_ipv6(host[1:])
            or not (port == "" or (piece.port and port[0] == ":" and _is_port(port[1:])))
        ):
            return "is no IPv6 address in brackets"
        return None
    if "[" in text or "]" in text:
        return "holds a bracket, which belongs around a whole IPv6 address only"
    if piece.place == HOST and _is_ipv6(text):
        return "is an IPv6 address without its brackets: `[…]`"
    host, sign_, port = text.partition(":")
    if sign_ and not piece.port:
        return "holds `:`, and no port has a place there"
    if sign_ and not _is_port(port):
        return "has a port that is none (1 to 65535)"
    if host == "" or (host.startswith(".") and piece.place == HOST) or ".." in host:
        return "has an empty name between its dots"
    return host_fault(host) if piece.place == HOST else None


def _named(sign: str) -> str:
    if sign.isspace():
        return "white space"
    if ord(sign) >= 0x80:
        return "a character that is not ASCII (a name of other letters is written as it is registered: `xn--…`)"
    return f"`{sign}`" if sign.isprintable() else "a control character"


def _is_port(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,5}", text) is not None and 0 < int(text) < 65536


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text


def host_fault(host: str) -> str | None:
    """What is wrong with a whole host without its port."""
    if host.startswith("["):
        return None if host.endswith("]") and _is_ipv6(host[1:-1]) else "is no IPv6 address in brackets"
    if len(host) > _LONGEST:
        return f"is longer than the {_LONGEST} characters of a host"
    for label in host.removesuffix(".").split("."):
        if _LABEL.fullmatch(label) is None:
            return (
                "has an empty name between its dots" if not label else f"holds `{label[:80]}`, which is no host's name"
            )
    if _NUMBERS.fullmatch(host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            return "is no IPv4 address"
    return None


def origin_fault(text: str, *, plain_http: bool) -> str | None:
    """What is wrong with scheme, host and port together."""
    try:
        split = urlsplit(text)
        port = split.port
    except ValueError:
        return "has a host or port that cannot be read"
    host = split.netloc if split.netloc.endswith("]") else split.netloc.rpartition(":")[0] or split.netloc
    fault = "has a port that is none (1 to 65535)" if port == 0 or split.netloc.endswith(":") else host_fault(host)
    return fault or (PLAIN if is_plain(text) and not plain_http else None)
