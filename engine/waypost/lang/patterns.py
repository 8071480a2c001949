"""Regular expressions of `pattern:` and of filters: text becomes something that judges, finds or replaces, or a LangError with the offsets
of what cannot be read.

Takes RE2's syntax. Gives `compiled(pattern).fits(text)`, and what the filters `matches`, `capture` and `replace_pattern` give. The only
importer of re2, and only where a plan has a pattern.

Why RE2 and not Python's `re`: patterns meet values from outside, and `re` may take exponential time on some of them. RE2 takes time in
proportion to the text whatever the pattern, in a memory that is bounded here; what cannot be had so (lookaround, backreferences) it refuses.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, Final

from waypost.lang.errors import LangError
from waypost.lang.values import MISSING, Fault

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
    # Nothing asks for groups, and without them nothing slower than one pass is needed.
    return Pattern(_read(pattern, pattern.encode, never_capture=True).fullmatch)


@functools.lru_cache(maxsize=1024)
def _finding(pattern: str) -> Any:
    """The same to be found within a text, with its groups. Raises LangError("pattern")."""
    return _read(pattern, lambda: pattern, never_capture=False)


def _read(pattern: str, form: Callable[[], str | bytes], *, never_capture: bool) -> Any:
    import re2

    options = re2.Options()
    options.max_mem = MEMORY
    options.log_errors = False
    options.never_capture = never_capture
    try:
        pattern.encode()
        return re2.compile(form(), options)
    except UnicodeEncodeError as error:
        raise LangError(
            "pattern", "half of a surrogate pair is no text", error.start, error.end, help="write the whole character"
        ) from None
    except re2.error as error:
        raise _fault(pattern, error.args[0]) from None


# Filters.


MOST_REPLACED: Final = 32_768
"""Characters of a text in which `replace_pattern` replaces: each match may look through the rest of the text."""

_REFERENCE: Final = re.compile(r"\$(?:(\d)|(\$))")


def matches(text: str, pattern: str) -> bool:
    return compiled(pattern).fits(text)


def capture(text: str, pattern: str) -> Any:
    """The first group of the first match (the match itself without groups); MISSING when there is none."""
    found = _finding(pattern).search(text)
    held = None if found is None else found.group(1 if found.re.groups else 0)
    return MISSING if held is None else held


def replaced(text: str, pattern: str, to: str) -> str:
    """Every match replaced; `$1` in `to` is a group, `$0` the match, `$$` a `$`. Raises Fault for a text that is too long."""
    if len(text) > MOST_REPLACED:
        raise Fault("filter", f"takes at most {MOST_REPLACED} characters, found {len(text)}")

    def written(found: Any) -> str:
        return _REFERENCE.sub(lambda sign: "$" if sign[2] else found.group(int(sign[1])) or "", to)

    held: str = _finding(pattern).sub(written, text)
    return held


def check_filter(pattern: str) -> None:
    """Raises LangError("pattern") for what the filters cannot read."""
    compiled(pattern)
    _finding(pattern)


def check_replacement(pattern: str, to: str) -> None:
    """Raises LangError for a reference to a group that the pattern does not have."""
    groups = _finding(pattern).groups
    if (sign := re.search("[\x01-\x07]", to)) is not None:
        written = f"${ord(sign[0])}"
        raise LangError("filter_args", "groups are not written with `\\`", 0, 0, help=f"write `{written}`")
    for sign in _REFERENCE.finditer(to):
        if sign[1] and int(sign[1]) > groups:
            known = f"the pattern has {groups} group{'s' * (groups != 1)}" if groups else "the pattern has no groups"
            raise LangError("filter_args", f"there is no group `{sign[0]}`: {known}", 0, 0, help="write `$$` for a `$`")


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
