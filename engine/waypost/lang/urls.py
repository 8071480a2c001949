"""Base urls: where requests go. Takes text; gives the url without a closing slash, or why events may not be sent to it."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")

LEFT_OUT = "https://example.com"
"""What stands for a url that nobody gave, where something is only shown or measured."""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself, by its name or address: what is sent to it stays here."""
    host = host.lower().strip("[]").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def is_plain(url: str) -> bool:
    """Whether what is sent to a url can be read on its way: http, and not to this machine."""
    split = urlsplit(url)
    return split.scheme == "http" and split.hostname not in LOOPBACK


LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")


def _is_host(host: str) -> bool:
    """Whether a name can be looked up at all: labels of at most 63 letters, digits, `-` and `_`, 253 in all, those of other scripts encoded."""
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            return False
        return True
    name = host.removesuffix(".")
    if not name.isascii():
        import idna

        try:
            name = idna.encode(name.lower()).decode()
        except idna.IDNAError:
            return False
    return len(name) <= 253 and all(LABEL.fullmatch(label) for label in name.split("."))


def authority(url: str) -> str:
    """Host and port as one host has them, however they are written: in small letters, without the port that the scheme means anyway."""
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        return ""
    host = (split.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    return (
        host if not host or port is None or port == {"https": 443, "http": 80}.get(split.scheme) else f"{host}:{port}"
    )


def base_url(text: str, *, plain_http: bool = False) -> str | None:
    """https anywhere, http on loopback hosts, and elsewhere only with `plain_http`; no user, query or fragment, no white space."""
    return text.rstrip("/") if url_fault(text, plain_http=plain_http) is None else None


def url_fault(text: str, *, plain_http: bool = False) -> str | None:
    """What is wrong with a base url, as the end of a sentence that begins with its name; None when nothing is."""
    if any(character.isspace() or not character.isprintable() for character in text):
        return "is an https url; white space stands in it"
    try:
        split = urlsplit(text)
        host, port = split.hostname, split.port
    except ValueError:
        return "is an https url; its host or port cannot be read"
    if split.scheme not in ("https", "http") or not host:
        return "is an https url (http for loopback hosts only)"
    if not _is_host(host):
        return "is an https url; its host is no name or address"
    if port == 0:
        return "is an https url; its port is not one"
    if "@" in split.netloc:
        return "is a url without user and password: give them as settings of their own, for `auth`"
    if "?" in text:
        return "is a url without a query: leave out the `?` and what follows (parameters stand in the spec's `query`)"
    if "#" in text:
        return "is a url without a fragment: leave out the `#` and what follows"
    if split.scheme == "http" and not plain_http and host not in LOOPBACK:
        return (
            "is an https url (http for loopback hosts only, for others only where it is asked for: "
            "`plain_http: true` in a connection, --plain-http for a single run)"
        )
    return None
