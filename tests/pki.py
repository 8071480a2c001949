"""A throw-away authority with certificates, and servers that speak TLS on loopback: what tests of private connections need.

Takes a folder. Gives files: `ca.pem`, `NAME.pem`, `NAME.key`. OpenSSL's own command makes them, so that no key stands in the repository.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

OPENSSL = shutil.which("openssl")

Talk = Callable[[socket.socket], None]

EXTENSIONS = (
    "subjectAltName={names}\nbasicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyEncipherment\n"
    "extendedKeyUsage=serverAuth,clientAuth\nauthorityKeyIdentifier=keyid\n"
)
LOCAL = "DNS:localhost,IP:127.0.0.1"
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


def openssl(folder: Path, *words: str) -> None:
    assert OPENSSL is not None
    subprocess.run([OPENSSL, *words], cwd=folder, check=True, capture_output=True, timeout=60)


def authority(folder: Path, name: str = "ca") -> None:
    openssl(
        folder, "req", "-x509", *KEY, "-nodes", "-days", "30", "-subj", f"/CN={name}", "-keyout", f"{name}.key",
        "-out", f"{name}.pem",
    )  # fmt: skip


def certificate(folder: Path, name: str, names: str = LOCAL, ca: str = "ca", days: str = "30") -> None:
    openssl(folder, "req", *KEY, "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    (folder / f"{name}.ext").write_text(EXTENSIONS.format(names=names), encoding="utf-8")
    openssl(
        folder, "x509", "-req", "-days", days, "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key",
        "-CAcreateserial", "-extfile", f"{name}.ext", "-out", f"{name}.pem",
    )  # fmt: skip


def make(folder: Path) -> Path:
    """An authority, another, a server's and two clients' certificates (one of the wrong authority), an expired one and one for another host."""
    authority(folder)
    authority(folder, "other")
    certificate(folder, "server")
    certificate(folder, "elsewhere", "DNS:elsewhere.example")
    certificate(folder, "expired", days="-1")
    certificate(folder, "client", "DNS:client")
    certificate(folder, "stranger", "DNS:client", ca="other")
    both = (folder / "client.pem").read_bytes() + (folder / "client.key").read_bytes()
    (folder / "both.pem").write_bytes(both)
    openssl(folder, "pkey", "-in", "client.key", "-aes256", "-passout", "pass:x", "-out", "locked.key")
    return folder


def answer(connection: socket.socket) -> None:
    """Takes one request after another and answers each 200."""
    with connection.makefile("rb") as file:
        while file.readline():
            size = 0
            while (line := file.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    size = int(line.split(b":")[1])
            file.read(size)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")


@contextlib.contextmanager
def serving(talk: Talk = answer, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that gives each connection to `talk`: its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        connection.settimeout(30)
        with (
            contextlib.suppress(OSError),
            connection if context is None else context.wrap_socket(connection, server_side=True) as held,
        ):
            talk(held)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def tls_server(
    folder: Path, name: str = "server", client_ca: str | None = None, *, tls12: bool = False
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    if client_ca is not None:
        context.load_verify_locations(folder / f"{client_ca}.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    if tls12:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context
