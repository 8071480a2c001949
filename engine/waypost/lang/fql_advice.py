"""What people write in conditions who know another notation, and what they are told.

Takes a condition's text and where in it reading stopped. Gives words and LangErrors for fql_tokens.py and fql_parser.py, which decide that it
cannot go on.
"""

from __future__ import annotations

import re

from waypost.lang.errors import LangError
from waypost.lang.fql_tree import show_path

INSTEAD = {
    "is": "write `= null` or `!= null`",
    "exists": "write `!= null`",
    "like": 'write `match(field, "A*")`',
    "matches": 'write `match(field, "A*")`',
    "contains": 'write `contains(field, "text")`',
    "includes": 'write `contains(field, "text")`',
    "starts_with": 'write `match(field, "text*")`',
    "startswith": 'write `match(field, "text*")`',
    "endswith": 'write `match(field, "*text")`',
    "between": "write `a >= 1 and a <= 5`",
    "not": "write `!( … )` around what must not hold, or `!=`",
}
"""Words of other languages -> what to write."""

CHARACTERS = {
    **dict.fromkeys("“”„‟«»", 'write straight quotes: `"`'),
    **dict.fromkeys("‘’‚‛", "write straight quotes: `'`"),
    "~": 'there are no regular expressions: write `match(field, "A*")`',
    "$": "a condition names fields without `$.`: `properties.total`",
    "{": "a condition is no template: write the field itself, without `{{ }}`",
    "@": "a condition names fields as they are: `properties.total`",
    "*": "there is no arithmetic and no wildcard outside `match( … )`",
    "%": 'there is no arithmetic; for a pattern write `match(field, "A*")`',
}
"""Signs that begin nothing -> what to write."""


NOTHING = ("undefined", "none", "nil", "nothing")
"""How other languages call null."""

DATE = re.compile(r"\d{4}-\d\d(-\d\d)?(T[\d:.]*)?([+-]\d\d:?\d\d|Z)?")
AGE = "times are not compared in conditions: `max_age` and `max_ahead` of a `$from` judge how old one is"


def is_date(value: object) -> bool:
    return isinstance(value, str) and DATE.match(value) is not None


CLOSING = frozenset(" \t\r\n.[](),=!<>\"'")
_ANY_STEP = re.compile(rf"[^{re.escape(''.join(CLOSING))}]+")
"""A step of a path as people write it, with signs that need a backslash."""


def step_text(raw: str) -> str:
    return re.sub(r"\\(.)", r"\1", raw, flags=re.DOTALL)


def needs_backslash(text: str, start: int) -> LangError:
    """`properties.$current_url`: a name with signs that a path takes with a backslash only."""
    found = _ANY_STEP.match(text, start)
    name = found[0] if found else text[start : start + 1]
    fixed = show_path((step_text(name),))
    return LangError(
        "syntax",
        f"`{name}` holds a sign that needs a backslash",
        start,
        start + len(name),
        help=f"write `{path_before(text, start)}{fixed}`",
        replacement=fixed,
    )


def path_before(text: str, at: int) -> str:
    """What of a path stands before one of its steps."""
    found = re.search(r"(?:[\w.\[\]-]|\\.)*$", text[:at])
    return found[0] if found else ""
