"""gzip, piece by piece and in bounded memory: for bodies that may be bombs, and for files of any size.

Takes compressed bytes as they come. Gives plain bytes, never more at a time than asked for. Members may follow each other; zeros after the last
are padding.
"""

from __future__ import annotations

import zlib

from waypost.sources.members import Broken, Members

CHECKS = ("incorrect data check", "incorrect length check")
"""zlib's words for a member that was unfolded whole, and is not what was packed."""


class Gunzip(Members):
    """State: the member under way, beside that of Members."""

    called = "gzip members"

    def __init__(self) -> None:
        super().__init__()
        self._member = zlib.decompressobj(wbits=31)

    def take(self, most: int) -> bytes:
        if self._wrong:
            raise Broken(self._wrong)
        while self._input:
            if self.behind:
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
            self._member_over(self._member.unused_data)
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
