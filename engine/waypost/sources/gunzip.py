"""gzip, piece by piece and in bounded memory: for bodies that may be bombs, and for files of any size.

Takes compressed bytes as they come. Gives plain bytes, never more at a time than asked for. Members may follow each other; zeros after the last
are padding.
"""

from __future__ import annotations

import zlib

MEMBERS = 1000
"""How many empty members may stand in a row: each costs time and gives nothing."""


class Broken(Exception):
    """Bytes that cannot be unpacked, from the first or from somewhere on."""


CHECKS = ("incorrect data check", "incorrect length check")
"""zlib's words for a member that was unfolded whole, and is not what was packed."""


class Gunzip:
    """State: the member under way, the input not yet used, and what is wrong with it. `complete`: the member that is wrong was unfolded whole,
    and only its checksum is not right."""

    def __init__(self) -> None:
        self.complete = False
        self._wrong = ""
        self._member = zlib.decompressobj(wbits=31)
        self._input = b""
        self._begun = False
        self._ended = 0
        self._empty = 0

    @property
    def whole(self) -> bool:
        """Whether a last member has ended: what came so far is a complete stream."""
        return bool(self._ended) and not self._begun and not self._input

    @property
    def unused(self) -> int:
        """How many bytes of the input are not used."""
        return len(self._input)

    @property
    def behind(self) -> bool:
        """Whether what is wrong stands behind the last member."""
        return bool(self._ended) and not self._begun

    def feed(self, data: bytes) -> None:
        self._input = self._input + data if self._input else data

    def take(self, most: int) -> bytes:
        """The next plain bytes; empty when more input is needed. Raises Broken."""
        if self._wrong:
            raise Broken(self._wrong)
        while self._input:
            if self._ended and not self._begun:
                self._input = self._input.lstrip(b"\0")
                if not self._input:
                    break
            plain = self._step(most)
            if plain:
                return plain
        return b""

    def _step(self, most: int) -> bytes:
        before = self._member.copy()
        try:
            plain = self._member.decompress(self._input, most)
        except zlib.error as error:
            self._wrong = "these bytes are not gzip"
            self.complete = any(text in str(error) for text in CHECKS)
            if not self.behind and (plain := self._salvaged(before)):
                return plain
            raise Broken(self._wrong) from None
        self._begun = True
        self._input = self._member.unconsumed_tail
        if plain:
            self._empty = 0
        if self._member.eof:
            self._input = self._member.unused_data
            self._begun = False
            self._ended += 1
            self._empty += 1
            if self._empty > MEMBERS:
                raise Broken(f"more than {MEMBERS} empty gzip members in a row")
            self._member = zlib.decompressobj(wbits=31)
        return plain

    def _salvaged(self, member: zlib._Decompress) -> bytes:
        """What a step unfolded before it failed, which zlib does not give. It is less than the step was asked for."""
        found = []
        for at in range(len(self._input)):
            try:
                found.append(member.decompress(self._input[at : at + 1]))
            except zlib.error:
                self._input = self._input[at:]
                break
        return b"".join(found)
