"""What went wrong with a request, in a person's words: names, connections, TLS, proxies, and answers that are no HTTP.

Takes an exception of the client's, the url and the proxy. Gives a sentence that names the host, never the url, which may hold a secret; and
whether it is `hopeless`: it does not heal by trying again, a person has to change a certificate or a setting.

What a server sent is not quoted where it is no HTTP: it may be the request itself, cut anywhere, so that no mask would know a secret's rest.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from waypost.http.proxies import Proxy

OWN = "with a certificate of your own: `tls.certificate` and `tls.key` of the connection, or --tls-certificate and --tls-key"

ALERTS = {
    "ALERT_CERTIFICATE_REQUIRED": f"the server wants a client certificate: send one {OWN}",
    "ALERT_HANDSHAKE_FAILURE": f"the server refuses the connection; it may want a client certificate: send one {OWN}",
    "ALERT_BAD_CERTIFICATE": "the server refuses the client certificate",
    "ALERT_UNSUPPORTED_CERTIFICATE": "the server refuses the client certificate: it takes another kind",
    "ALERT_CERTIFICATE_REVOKED": "the server refuses the client certificate: it is revoked",
    "ALERT_CERTIFICATE_EXPIRED": "the server refuses the client certificate: it has expired",
    "ALERT_CERTIFICATE_UNKNOWN": "the server refuses the client certificate",
    "ALERT_UNKNOWN_CA": "the server does not know the authority of the client certificate",
    "ALERT_ACCESS_DENIED": "the server refuses the client certificate: access is denied",
    "ALERT_PROTOCOL_VERSION": "the server speaks another version of TLS than waypost takes (1.2 and 1.3)",
    "UNSUPPORTED_PROTOCOL": "the server speaks an older version of TLS than waypost takes (1.2 and 1.3)",
    "ALERT_UNRECOGNIZED_NAME": "the server knows no host of this name",
    "DH_KEY_TOO_SMALL": "the server's keys are too small to be safe",
    "EE_KEY_TOO_SMALL": "the server's key is too small to be safe",
}
"""Ends of OpenSSL's reasons that no other attempt will heal."""

NUMBERS = {
    errno.ECONNREFUSED: "the connection is refused: nothing listens there",
    errno.ECONNRESET: "the server closed the connection before it answered",
    errno.ECONNABORTED: "the connection was closed before an answer came",
    errno.EPIPE: "the server closed the connection while the request was sent",
    errno.ENETUNREACH: "no way leads to its network",
    errno.EHOSTUNREACH: "no way leads to it",
    errno.ENETDOWN: "this machine's network is down",
    errno.ETIMEDOUT: "no answer in time",
    errno.EACCES: "this machine does not let connections to it out",
    errno.EPERM: "this machine does not let connections to it out",
    errno.EADDRNOTAVAIL: "this machine has no free address or port for another connection",
    errno.EMFILE: "too many files and connections are open (ulimit -n)",
    errno.ENFILE: "too many files and connections are open on this machine",
    errno.ENOBUFS: "this machine has no memory for another connection",
    errno.ENOMEM: "this machine has no memory for another connection",
    errno.EINVAL: "its address is none that can be connected to",
}
"""What the system says, by its number."""

NAMES = {
    socket.EAI_NONAME: "no address is known for this name",
    socket.EAI_NODATA: "no address is known for this name",
    socket.EAI_AGAIN: "the name could not be looked up for now",
    socket.EAI_FAIL: "the name could not be looked up",
}
"""What the search for a name's address says."""

KINDS = {
    "ConnectError": "no connection can be made",
    "ReadError": "the connection broke before an answer came",
    "WriteError": "the connection broke while the request was sent",
    "CloseError": "the connection broke while it was closed",
    "LocalProtocolError": "the request cannot be written as HTTP",
    "DecodingError": "what it answers cannot be unpacked",
    "UnsupportedProtocol": "its url begins with neither http:// nor https://",
    "TooManyRedirects": "it sends from one url to the next without an end",
    "StreamError": "what it answers could not be read",
    "NetworkError": "the connection failed",
    "OSError": "the connection failed",
}
"""What the client's exceptions mean, by name, the special ones first: only the transport imports the client."""

AUTHORITY = "with an authority of your own: `tls.ca` of the connection, --tls-ca, or SSL_CERT_FILE"


@dataclass(frozen=True)
class Wrong:
    said: str
    hopeless: bool = False


def what_went_wrong(error: BaseException, url: str, proxy: Proxy | None) -> Wrong:
    try:
        host = urlsplit(url).hostname or "the host"
    except ValueError:
        host = "the host"
    through = f" through the proxy of {proxy.variable}" if proxy is not None else ""
    tls = _tls(error)
    if tls is not None:
        wrong = _of_tls(tls)
        return Wrong(f"{host}{through}: {wrong.said}", wrong.hopeless)
    # By name: only the transport imports the client.
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"TimeoutException", "TimeoutError"}:
        return Wrong(f"{host}: no answer in time{through}")
    if "ProxyError" in kinds:
        return _of_proxy(str(error), host, proxy)
    if "RemoteProtocolError" in kinds:
        return Wrong(f"{host}: {_of_protocol(str(error))}{through}")
    said = _of_system(error) or next((said for kind, said in KINDS.items() if kind in kinds), "the request failed")
    if kinds & {"ReadError", "WriteError"} and url.startswith("http://"):
        said += "; a server that speaks TLS is reached by https://"
    return Wrong(f"{host}: {said}{through}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, then those behind it."""
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _of_system(error: BaseException) -> str:
    """What the system says of it, where one of the exceptions behind it is the system's."""
    for one in _chain(error):
        if isinstance(one, socket.gaierror):
            return NAMES.get(one.errno or 0, "the name could not be looked up")
        if isinstance(one, OSError) and one.errno:
            return NUMBERS.get(one.errno) or os.strerror(one.errno)[:1].lower() + os.strerror(one.errno)[1:]
    return ""


def _tls(error: BaseException | None) -> ssl.SSLError | None:
    """The failure of TLS that is behind an exception."""
    return next((one for one in _chain(error) if isinstance(one, ssl.SSLError)), None)


def _of_tls(error: ssl.SSLError) -> Wrong:
    if isinstance(error, ssl.SSLCertVerificationError):
        why = (getattr(error, "verify_message", "") or "it cannot be verified").rstrip(".")
        if "issuer" in why or "self-signed" in why or "self signed" in why or "verify the first" in why:
            return Wrong(
                f"the server's certificate is not to be trusted ({why}): believe it {AUTHORITY}", hopeless=True
            )
        return Wrong(f"the server's certificate is not to be trusted ({why})", hopeless=True)
    reason = getattr(error, "reason", None) or ""
    for end, said in ALERTS.items():
        if reason.endswith(end):
            return Wrong(said, hopeless=True)
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"):
        return Wrong("what answers there does not speak TLS")
    text = reason.replace("_", " ").lower() or "the connection was closed"
    return Wrong(f"TLS failed: {text}")


def _of_proxy(text: str, host: str, proxy: Proxy | None) -> Wrong:
    """The status that a proxy gave in place of a tunnel. The words beside it are the proxy's, and not shown."""
    name = f"the proxy of {proxy.variable}" if proxy is not None else "the proxy"
    match = re.match(r"([1-9][0-9][0-9])\b", text)
    if match is None:
        return Wrong(f"{host}: {name} does not let it through")
    if match[1] == "407":
        return Wrong(f"{host}: {name} wants a user and a password (407): write them into the variable", hopeless=True)
    return Wrong(f"{host}: {name} answers {match[1]}")


def _of_protocol(text: str) -> str:
    """Of what h11 says only its own words: behind a colon or in quotes stands what the server sent."""
    if "disconnected" in text.lower() or "closed connection" in text:
        return re.sub(r"[^\w\s(),.]", "", text)[:120]
    own = re.match(r"[A-Za-z][A-Za-z -]*", text)
    return f"what it answers is no HTTP ({own[0].strip().lower()})" if own else "what it answers is no HTTP"
