"""What a file is packed by, and how it is unpacked piece by piece: gzip, bzip2 and xz, in bounded memory for files of any size.

Takes a file's first bytes. Gives what unpacks it (gunzip.py's way: `feed`, then `take`), or the name of a packing that is known and cannot be
read.
"""

from __future__ import annotations

import bz2
import lzma
from typing import Final

from waypost.sources.gunzip import Gunzip
from waypost.sources.members import Broken, Members

LONGEST: Final = 6
"""So many first bytes tell a packing."""

UNREADABLE: Final = (
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd -dc"),
    (b"PK\x03\x04", "zip", "unzip -p"),
    (b"\x04\x22\x4d\x18", "lz4", "lz4 -dc"),
    (b"\x1f\x9d", "compress", "uncompress -c"),
    (b"7z\xbc\xaf\x27\x1c", "7z", "7z x -so"),
    (b"LZIP", "lzip", "lzip -dc"),
    (b"\x89LZO", "lzop", "lzop -dc"),
)
"""First bytes, the packing, and what unpacks it."""

READ_ENDS: Final = (".gz", ".gzip", ".bz2", ".xz", ".lzma")
ENDS: Final = (*READ_ENDS, ".zst", ".zstd", ".zip", ".lz4", ".Z", ".7z", ".lz", ".lzo", ".br")
"""How the names of packed files end."""


MEMORY: Final = 256 << 20
"""What unpacking may take: the greatest preset of xz takes a quarter of it."""


class Streams(Members):
    """bzip2 or xz: a member is called a stream. State: the packing and the stream under way, beside that of Members."""

    called = "streams"

    def __init__(self, packing: str) -> None:
        super().__init__()
        self._packing = packing
        self._stream = self._new()

    def _new(self) -> bz2.BZ2Decompressor | lzma.LZMADecompressor:
        if self._packing == "bzip2":
            return bz2.BZ2Decompressor()
        form = lzma.FORMAT_ALONE if self._packing == "lzma" else lzma.FORMAT_XZ
        return lzma.LZMADecompressor(form, memlimit=MEMORY)

    def take(self, most: int) -> bytes:
        if self._wrong:
            raise Broken(self._wrong)
        while True:
            if self.behind:
                # Zeros behind a stream are padding.
                self._input = self._input.lstrip(b"\0")
                if self._input and not self._goes_on():
                    raise self._broken()
            if not self._input and (not self._begun or self._stream.needs_input):
                return b""
            plain = self._step(most)
            if plain:
                return plain

    def _goes_on(self) -> bool:
        """Whether another stream begins behind the last one."""
        first = next(first for first, name in _READ if name == self._packing)
        return self._input.startswith(first[: len(self._input)])

    def _broken(self) -> Broken:
        self._wrong = f"these bytes are not {self._packing}"
        return Broken(self._wrong)

    def _step(self, most: int) -> bytes:
        given = self._input if not self._begun or self._stream.needs_input else b""
        try:
            plain = self._stream.decompress(given, most)
        except (OSError, EOFError, lzma.LZMAError):
            raise self._broken() from None
        self._begun = True
        self._input = self._input[len(given) :]
        if plain:
            self._empty = 0
        if self._stream.eof:
            self._member_over(self._stream.unused_data + self._input)
            self._stream = self._new()
        return plain


_READ: Final = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"]\0\0", "lzma"))


def packing_of(head: bytes) -> str:
    """What a file that begins so is packed by, where it can be read: gzip, bzip2, xz or lzma; else nothing."""
    return next((name for first, name in _READ if head.startswith(first)), "")


def unpacking(packing: str) -> Members:
    return Gunzip() if packing == "gzip" else Streams(packing)


def unreadable(head: bytes, name: str) -> str:
    """The packing of a file that begins so, where it cannot be read. What no first bytes tell its name does, unless it holds lines."""
    found = next((packing for first, packing, _ in UNREADABLE if head.startswith(first)), "")
    end = next((end for end in ENDS if name.endswith(end) and end not in READ_ENDS), "")
    return found or ("" if not end or head.lstrip()[:1] in (b"{", b"") else end[1:])
