"""What was found in a file, kept until the file, what stands beside it, or the engine changes.

Takes the bytes that a judgement depends on. Gives the findings that were stored for exactly these, or None. One small file a path, in the
user's cache folder (`XDG_CACHE_HOME`, else ~/.cache): it is replaced when the path's content changes, so the folder does not grow. What cannot
be read, or does not fit the text, is no hit; what cannot be written is not kept.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import msgspec

from waypost.compiler.report.diagnostic import Diagnostic
from waypost.version import __version__

PACKAGE = Path(__file__).resolve().parent.parent
LIBRARIES = ("ruamel.yaml", "jinja2", "jsonpath-ng")
"""What else decides what is found in a text."""


class Stored(msgspec.Struct, frozen=True):
    key: str
    found: list[Diagnostic]


@functools.cache
def engine() -> str:
    """The engine that judges: its version, its files as they are now (a checkout changes without a new version), and its libraries."""
    parts = [__version__, sys.version, *(metadata.version(name) for name in LIBRARIES)]
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in (".py", ".toml"):
            stat = path.stat()
            parts.append(f"{path.relative_to(PACKAGE)} {stat.st_size} {stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def key(path: str, *contents: bytes) -> str:
    """What a judgement of the path depends on."""
    digest = hashlib.sha256(f"{engine()}\n".encode() + os.fsencode(path))
    for content in contents:
        digest.update(b"\n%d\n" % len(content) + content)
    return digest.hexdigest()


def read(path: Path, key: str, length: int) -> list[Diagnostic] | None:
    """The findings that were stored under the key; `length` is the text's, in characters."""
    try:
        stored = msgspec.json.decode(_place(path).read_bytes(), type=Stored)
    except (OSError, RuntimeError, msgspec.MsgspecError, ValueError):
        return None
    if stored.key != key:
        return None
    spans = [
        span
        for item in stored.found
        for span in (item.label.span, *(other.span for other in item.others), *([item.fix.span] if item.fix else []))
    ]
    return stored.found if all(0 <= span.start <= span.end <= length for span in spans) else None


def write(path: Path, key: str, found: list[Diagnostic]) -> None:
    # A cache that cannot be written (no home, read-only, full) costs time, not a result.
    with contextlib.suppress(OSError, RuntimeError):
        place = _place(path)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=place.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(Stored(key, found)))
        os.replace(name, place)


def _place(path: Path) -> Path:
    folder = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(folder) if os.path.isabs(folder) else Path.home() / ".cache"
    return root / "waypost" / "lint" / f"{hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32]}.json"
