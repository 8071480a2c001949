"""Which proxy a request goes through: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, read by ourselves.

Takes an environment. Gives `Proxies`: the proxy of a url, or none; and the entries of NO_PROXY that mean nothing, which are said and passed
over. Raises SettingError, in one line that names the variable, for a proxy that is needed and cannot be used. What a variable holds is never
shown: it may hold a password.

Why not the client's own reading: it reads every variable when it is made, and one that it cannot read ends a run that needs no proxy at all.
Loopback never goes through a proxy.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from waypost.lang.urls import is_loopback
from waypost.program.settings import SettingError

KINDS = ("http", "https", "socks5", "socks5h")
PORTS = {"http": 80, "https": 443}
DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
LONGEST = 255
"""A socks proxy takes a user name and a password of so many bytes."""

FORM = "write http://HOST:PORT, or unset it"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Proxy:
    """A proxy that can be used. `variable` names where it was read, for whoever has to mend it."""

    scheme: str
    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)
    variable: str = ""

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def secrets(self) -> list[str]:
        """What nothing may show that comes back from it."""
        return [text for text in (self.user, self.password) if text]


@dataclass(frozen=True)
class Rule:
    """An entry of NO_PROXY: a network, or a name with (`within`) or without those that end in it; for one scheme or port, or all."""

    network: Network | None = None
    name: str = ""
    itself: bool = True
    within: bool = True
    scheme: str = ""
    port: int | None = None

    def holds(self, scheme: str, host: str, port: int) -> bool:
        if (self.scheme and scheme != self.scheme) or (self.port is not None and port != self.port):
            return False
        if self.network is not None:
            address = _address(host)
            return address is not None and address.version == self.network.version and address in self.network
        return (self.itself and host == self.name) or (self.within and host.endswith("." + self.name))


class Proxies:
    """State: none. `ignored`: the entries of NO_PROXY that mean nothing, `no_proxy` the name of the variable that has them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.no_proxy, text = _variable(environ, "no_proxy")
        entries = [entry for entry in re.split(r"[,\s]+", text) if entry]
        self._never = "*" in entries
        rules = {entry: _rule(entry) for entry in entries if entry != "*"}
        self._rules = [rule for rule in rules.values() if rule is not None]
        self.ignored = [entry for entry, rule in rules.items() if rule is None]

    def of(self, url: str) -> Proxy | None:
        """The proxy that a url is sent through; None when it goes straight. Raises SettingError."""
        split = urlsplit(url)
        scheme, host = split.scheme, (split.hostname or "").rstrip(".")
        if self._never or is_loopback(host):
            return None
        port = split.port if split.port is not None else PORTS.get(scheme, 0)
        if any(rule.holds(scheme, host, port) for rule in self._rules):
            return None
        for kind in (f"{scheme}_proxy", "all_proxy"):
            name, text = _variable(self._environ, kind)
            if text.strip():
                return read_proxy(name, text.strip())
        return None


def _variable(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """A variable's name as it stands, and its value. The small one counts where both are set, as for other programs, empty or not."""
    if name in environ:
        return name, environ[name]
    if name == "http_proxy" and "REQUEST_METHOD" in environ:
        # Under CGI a request's header `Proxy:` comes as HTTP_PROXY: whoever sends it must not choose where we send to.
        return name, ""
    return name.upper(), environ.get(name.upper(), "")


def read_proxy(variable: str, text: str) -> Proxy:
    """Raises SettingError for what is no proxy that can be used."""
    scheme, sign, _ = text.partition("://")
    scheme = scheme.lower() if sign else "http"
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        raise SettingError(f"{variable} is no proxy's address: {FORM}")
    if scheme not in KINDS:
        meant = "write socks5://HOST:PORT" if scheme == "socks" else "write http://HOST:PORT"
        raise SettingError(
            f"{variable} names a proxy by {scheme}://, which waypost does not speak: {meant}, or unset it"
        )
    try:
        split = urlsplit(text if sign else f"http://{text}")
        host, port = split.hostname or "", split.port
    except ValueError:
        raise SettingError(f"{variable} is no proxy's address (host or port cannot be read): {FORM}") from None
    if not host or port == 0 or not _is_host(host) or split.path not in ("", "/") or split.query or split.fragment:
        raise SettingError(f"{variable} is no proxy's address (host or port cannot be read): {FORM}")
    user = unquote(split.username) if split.username is not None else None
    password = unquote(split.password or "")
    if scheme.startswith("socks"):
        if importlib.util.find_spec("socksio") is None:
            raise SettingError(
                f"{variable} is a socks proxy, which needs `pip install 'waypost[socks]'`: install it, {FORM}"
            )
        if max(len((user or "").encode()), len(password.encode())) > LONGEST:
            raise SettingError(f"{variable}: a socks proxy takes a user name and a password of at most {LONGEST} bytes")
    return Proxy(scheme, host, port or DEFAULT_PORTS[scheme], user, password, variable)


def _is_host(host: str) -> bool:
    """A name or an address. Names in other scripts are for the client to write in theirs."""
    if ":" in host:
        return _address(host) is not None
    if not host.isascii():
        return host.isprintable() and not re.search(r"[\s/\\@%]", host)
    return re.fullmatch(r"[A-Za-z0-9_.-]+", host) is not None and not _looks_numeric(host)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return mapped or found


def _looks_numeric(name: str) -> bool:
    """`10.` or `300.1.1.1`: meant as an address, and none."""
    return name.rstrip(".").rpartition(".")[2].isdigit() and _address(name) is None


def _rule(entry: str) -> Rule | None:
    """An entry of NO_PROXY; None for one that means nothing."""
    scheme, sign, rest = entry.partition("://")
    if not sign:
        scheme, rest = "", entry
    scheme = scheme.lower()
    if scheme not in ("", "all", "http", "https"):
        return None
    scheme = "" if scheme == "all" else scheme
    try:
        return Rule(ipaddress.ip_network(re.sub(r"^\[(.*)\](?=/|$)", r"\1", rest), strict=False), scheme=scheme)
    except ValueError:
        pass
    match = re.fullmatch(r"(?P<host>\[[^\]]+\]|[^:]+)(:(?P<port>[0-9]{1,5}))?", rest)
    if match is None or not 0 < int(match["port"] or 1) < 65536:
        return None
    port = int(match["port"]) if match["port"] else None
    host = match["host"].lower()
    if host.startswith("["):
        host = host[1:-1]
        if _address(host) is None:
            return None
    if _address(host) is not None:
        return Rule(ipaddress.ip_network(host), scheme=scheme, port=port)
    below = host.startswith(("*.", "."))
    name = host.removeprefix("*").removeprefix(".").rstrip(".")
    if not name or not _is_host(name) or "%" in name:
        return None
    return Rule(name=_ascii(name), itself=not below, scheme=scheme, port=port)


def _ascii(name: str) -> str:
    """A name as it stands in a url that is sent to."""
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return name
