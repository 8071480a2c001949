"""Regular expressions of `pattern:`: text becomes something that judges a whole text, or a LangError with the offsets of what cannot be read.

Takes RE2's syntax. Gives `compiled(pattern).fits(text)`. The only importer of re2, and only where a plan has a pattern.

Why RE2 and not Python's `re`: patterns meet values from outside, and `re` may take exponential time on some of them. RE2 takes time in
proportion to the text whatever the pattern, in a memory that is bounded here; what cannot be had so (lookaround, backreferences) it refuses.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Final

from waypost.lang.errors import LangError

MEMORY: Final = 4 << 20
"""Bytes that one pattern may take, compiled, with what matching keeps. A pattern that needs more is refused."""

_HELP: Final = (
    (
        "invalid perl operator: (?=",
        "there is no lookahead: describe the whole text, or check the parts in fields of their own",
    ),
    ("invalid perl operator: (?!", "there is no lookahead: describe the whole text that is right"),
    ("invalid perl operator: (?<", "there is no lookbehind: describe the whole text"),
    ("invalid perl operator: (?>", "there are no atomic groups, and no need of any: write `(?:…)`"),
    ("invalid perl operator: (?P", "there are no references to groups, which are what makes matching slow"),
    ("invalid perl operator", "groups are `(…)`, `(?:…)` and `(?i)`"),
    ("invalid escape sequence: \\Z", "the pattern is judged on the whole text: leave it out"),
    ("invalid escape sequence: \\u", "write the character itself, or `\\x{…}`"),
    ("bad repetition operator", "one repetition stands behind a part: put the part in `(?:…)` to repeat it again"),
    (
        "invalid repetition size",
        "a part repeats at most 1000 times, also within repeated parts; use `max_length` for lengths",
    ),
    (
        "no argument for repetition",
        "a repetition stands behind what repeats; write the character itself as `\\` and it",
    ),
    ("missing ]", "close the set with `]`, or write `\\[` for the character"),
    ("missing )", "close the group with `)`, or write `\\(` for the character"),
    ("unexpected )", "open the group with `(`, or write `\\)` for the character"),
    ("invalid character class range", "a range goes upwards; put `-` last in the set for the character"),
    ("trailing \\", "write `\\\\` for the character"),
    ("pattern too large", "use fewer and shorter repetitions, and `max_length` for lengths"),
)
"""How RE2's complaints begin -> what to write."""


class Pattern:
    """A pattern that could be read. State: RE2's form of it."""

    __slots__ = ("_match",)

    def __init__(self, match: Callable[[bytes], object]) -> None:
        self._match = match

    def fits(self, text: str) -> bool:
        """Whether the whole text is as the pattern says."""
        return self._match(text.encode("utf-8", "surrogatepass")) is not None


@functools.lru_cache(maxsize=1024)
def compiled(pattern: str) -> Pattern:
    """Raises LangError("pattern")."""
    import re2

    options = re2.Options()
    options.max_mem = MEMORY
    options.log_errors = False
    # Nothing asks for groups, and without them nothing slower than one pass is needed.
    options.never_capture = True
    try:
        return Pattern(re2.compile(pattern.encode(), options).fullmatch)
    except UnicodeEncodeError as error:
        raise LangError(
            "pattern", "half of a surrogate pair is no text", error.start, error.end, help="write the whole character"
        ) from None
    except re2.error as error:
        raise _fault(pattern, error.args[0]) from None


def _fault(pattern: str, said: object) -> LangError:
    """RE2's complaint in our words, at the sign it names where that is found."""
    message = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    what, _, sign = message.partition(": ")
    if (reference := re.search(r"(?<!\\)(?:\\\\)*(\\[1-9])", pattern)) is not None and sign == reference[1]:
        help_text = "there are no references to groups, which are what makes matching slow"
        return LangError("pattern", "a pattern has no backreferences", *reference.span(1), help=help_text)
    sign = "(?P=" if sign == "(?P" and "(?P=" in pattern else sign
    help_text = next((help for start, help in _HELP if message.startswith(start)), "the syntax is RE2's")
    at = pattern.find(sign) if sign else -1
    start, end = (at, at + len(sign)) if at >= 0 else (0, len(pattern))
    shown = f"{what}: `{sign}`" if sign and sign != pattern else what
    return LangError("pattern", f"this pattern cannot be read: {shown}", start, end, help=help_text)
