"""What all ways to unpack have in common: members that follow each other, each a complete packing, with input that comes as it comes.

Takes compressed bytes (`feed`). Gives plain bytes, never more at a time than asked for (`take`, which gunzip.py and unpack.py write for their
packings), and says where the bytes stand: within a member, behind the last, or at something that is none.
"""

from __future__ import annotations

MEMBERS = 1000
"""How many empty members may stand in a row: each costs time and gives nothing."""


class Broken(Exception):
    """Bytes that cannot be unpacked, from the first or from somewhere on."""


class Members:
    """State: the input not yet used, whether a member is under way, how many have ended, and what is wrong. `complete`: the member that is
    wrong was unpacked whole, and only its checksum is not right."""

    called = "members"

    def __init__(self) -> None:
        self.complete = False
        self._wrong = ""
        self._input = b""
        self._begun = False
        self._ended = 0
        self._empty = 0

    @property
    def whole(self) -> bool:
        """Whether a last member has ended: what came so far is a complete stream."""
        return self.behind and not self._input

    @property
    def unused(self) -> int:
        """How many bytes of the input are not used."""
        return len(self._input)

    @property
    def behind(self) -> bool:
        """Whether what comes next, or is wrong, stands behind the last member."""
        return bool(self._ended) and not self._begun

    def feed(self, data: bytes) -> None:
        self._input = self._input + data if self._input else data

    def take(self, most: int) -> bytes:
        """The next plain bytes; empty when more input is needed. Raises Broken."""
        raise NotImplementedError

    def _member_over(self, rest: bytes) -> None:
        """The member under way has ended, and these bytes stand behind it. Raises Broken."""
        self._input = rest
        self._begun = False
        self._ended += 1
        self._empty += 1
        if self._empty > MEMBERS:
            raise Broken(f"more than {MEMBERS} empty {self.called} in a row")
