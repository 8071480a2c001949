"""Whom a connection believes, and what it proves itself with: TLS contexts.

Takes where an authority, a certificate and a key are (`plan.Tls`), else SSL_CERT_FILE and SSL_CERT_DIR, else the authorities that come with
certifi. Gives `Trust`, which makes a context when one is asked for, and again when the files may have changed. Raises SettingError, in one line
that names the setting or the variable: what is never needed is never read, so that a variable that is wrong stops nothing that works without.

An authority that is named takes the place of all others: a private connection believes its own authority only.
"""

from __future__ import annotations

import functools
import os
import re
import ssl
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

from waypost.plan import Tls
from waypost.program.settings import SettingError

FRESH_S = 3600.0
"""A context is made again after so long: certificates are renewed, and to make one takes 25 ms."""

FILE = "file:"
LARGEST = 16 << 20


VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")

Notice = Callable[[str], None]


def quiet(text: str) -> None:
    return None


def trust_of(tls: Tls, owner: str = "") -> Trust:
    """The same for all that believe the same. `owner`: the connection that the settings belong to."""
    return _trust_of(tls, owner if tls != Tls() else "", tuple(os.environ.get(name, "") for name in VARIABLES))


class Trust:
    """State: the context that was made last, when and of which files, and what was said already."""

    def __init__(self, tls: Tls, owner: str, variables: tuple[str, ...]) -> None:
        self._tls = tls
        self._owner = owner
        self._file, self._folders, self._key_log = variables
        self._context: ssl.SSLContext | None = None
        self._made = 0.0
        self._files: list[tuple[int, int, int]] = []
        self._said: set[str] = set()
        self._notice: Notice = quiet

    def context(self, notice: Notice = quiet) -> ssl.SSLContext:
        """Raises SettingError, but never once there is a context: the files of a run at work may be away while they are replaced. `notice`
        is told what is passed over."""
        self._notice = notice
        now, files = time.monotonic(), self._stamps()
        if self._context is not None and now - self._made < FRESH_S and files == self._files:
            return self._context
        try:
            self._context = self._make()
        except SettingError as error:
            if self._context is None:
                raise
            self._say(f"warning: {error}; what was read before goes on being used")
        self._made, self._files = now, files
        return self._context

    def _stamps(self) -> list[tuple[int, int, int]]:
        named = (self._tls.ca, self._tls.certificate, self._tls.key, self._file)
        return [_stamp(path_of(name)) for name in named if name]

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._notice(text)

    def _make(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if sys.version_info >= (3, 13):
            # As the library's own default has it.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
        self._log_keys(context)
        if self._tls.ca is not None:
            load_authorities(context, self._name("ca"), path_of(self._tls.ca))
        else:
            self._usual_authorities(context)
        if self._tls.certificate is not None:
            load_certificate(context, self._name("certificate"), self._name("key"), self._tls)
        return context

    def _name(self, word: str) -> str:
        """The setting of a connection, which names `file:PATH`, or the option of the command line, which names the path itself."""
        given = getattr(self._tls, word) or self._tls.certificate or ""
        return f"{self._owner}: `tls.{word}`" if given.startswith(FILE) else f"--tls-{word}"

    def _usual_authorities(self, context: ssl.SSLContext) -> None:
        file, folders = self._file, self._folders
        if file:
            load_authorities(context, "SSL_CERT_FILE", file)
        if folders:
            for text in _load_folders(context, folders, alone=not file):
                self._say(text)
        if not file and not folders:
            import certifi

            context.load_verify_locations(cafile=certifi.where())

    def _log_keys(self, context: ssl.SSLContext) -> None:
        if self._key_log:
            try:
                context.keylog_filename = self._key_log
            except OSError as error:
                self._say(f"warning: SSLKEYLOGFILE cannot be written ({error.strerror}): keys are not logged")


@functools.lru_cache(64)
def _trust_of(tls: Tls, owner: str, variables: tuple[str, ...]) -> Trust:
    return Trust(tls, owner, variables)


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return (0, 0, 0)
    return found.st_mtime_ns, found.st_size, found.st_ino


def path_of(reference: str) -> str:
    """`file:PATH`, as settings have it, or a path as it stands (an option of the command line)."""
    return reference.removeprefix(FILE)


def _read(name: str, path: str) -> bytes:
    try:
        # Not to wait for ever at a pipe that nobody writes to.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with open(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise SettingError(f"{name}: {path} is no file")
            data = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no path"
        raise SettingError(f"{name}: cannot read {path}: {reason}") from None
    if not data.strip():
        raise SettingError(f"{name}: {path} is empty")
    if len(data) > LARGEST:
        raise SettingError(f"{name}: {path} is too large for certificates or a key")
    return data


def load_authorities(context: ssl.SSLContext, name: str, path: str) -> None:
    """Believes the certificates of a PEM file."""
    data = _read(name, path)
    try:
        context.load_verify_locations(cadata=_pem(data))
    except (ssl.SSLError, ValueError):
        raise SettingError(f"{name}: {path} holds no certificates that can be read (PEM is expected)") from None
    if not context.cert_store_stats()["x509"]:
        raise SettingError(f"{name}: {path} holds no certificates that can be read (PEM is expected)")


def _pem(data: bytes) -> str:
    """The certificates of a PEM file: people write names and notes, in any encoding, around them."""
    found = re.findall(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----.*?-----END [A-Z0-9 ]+-----", data, re.DOTALL)
    return "\n".join(block.decode("ascii") for block in found)


def _load_folders(context: ssl.SSLContext, folders: str, *, alone: bool) -> list[str]:
    """Believes the certificates of folders, by hash as OpenSSL has them. Gives what is to be said of those that are passed over."""
    said, loaded = [], 0
    for folder in folders.split(os.pathsep):
        fault = _folder_fault(folder) if folder else "is empty"
        if fault:
            said.append(f"SSL_CERT_DIR: {folder or 'an entry'} {fault}")
            continue
        context.load_verify_locations(capath=folder)
        loaded += 1
    if not loaded and alone:
        raise SettingError(said[0])
    return [f"warning: {text}" for text in said]


def _folder_fault(folder: str) -> str:
    try:
        names = os.listdir(folder)
    except (OSError, ValueError) as error:
        return f"cannot be read: {error.strerror if isinstance(error, OSError) else 'it is no path'}"
    if not any(re.fullmatch(r"[0-9a-f]{8}\.[0-9]+", name) for name in names):
        return "holds no certificates by hash: run `openssl rehash` on it, or name one file with SSL_CERT_FILE"
    return ""


def load_certificate(context: ssl.SSLContext, name: str, key_name: str, tls: Tls) -> None:
    """What the connection proves itself with."""
    assert tls.certificate is not None
    certificate = path_of(tls.certificate)
    key = path_of(tls.key) if tls.key is not None else certificate
    key_name = key_name if tls.key is not None else name
    held, secret = _read(name, certificate), _read(key_name, key)
    if b"-----BEGIN CERTIFICATE-----" not in held:
        raise SettingError(f"{name}: {certificate} holds no certificate (PEM is expected)")
    if b"PRIVATE KEY-----" not in secret:
        missing = (
            "" if tls.key is not None else f"; name the file that does with {key_name.replace('certificate', 'key')}"
        )
        raise SettingError(f"{key_name}: {key} holds no private key (PEM is expected){missing}")
    asked = False

    def password() -> bytes:
        # Without an answer of ours OpenSSL asks the terminal, and a service has none.
        nonlocal asked
        asked = True
        return b""

    try:
        context.load_cert_chain(certificate, key, password)
    except (ssl.SSLError, OSError) as error:
        raise SettingError(_certificate_fault(error, name, key_name, certificate, key, asked=asked)) from None


def _certificate_fault(error: OSError, name: str, key_name: str, certificate: str, key: str, *, asked: bool) -> str:
    if asked:
        return (
            f"{key_name}: the key in {key} is encrypted, and waypost asks for no passphrase: decrypt it "
            f"(openssl pkey -in {Path(key).name} -out plain.key) into a file that only waypost's user may read"
        )
    if "KEY_VALUES_MISMATCH" in str(error) or "KEY_TYPE_MISMATCH" in str(error):
        return f"{key_name}: the key in {key} is not the one of the certificate in {certificate}"
    return (
        f"{name}: {certificate} with the key {key} cannot be used: {getattr(error, 'reason', None) or error.strerror}"
    )
