"""A look at a template's code that Jinja's tree no longer allows: how its numbers are written, and what its filters stand behind.

Takes the text between the braces. Gives nothing, or a LangError with offsets into that text. Numbers are judged before Jinja reads them, for
it takes `1_000` and `0x1F`, loses digits of what a float does not hold, and Python refuses to read thousands of digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from waypost.lang import decimals, filters
from waypost.lang.errors import LangError
from waypost.lang.values import NUMBER

_TOKEN = re.compile(
    r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'"""
    r"|(?P<number>(?<![\w.\])])[0-9][\w.]*(?:(?<=[eE])[+-][0-9]+)?)"
    r"|[\w.]+|\S",
    re.DOTALL,
)
PATTERN = re.compile(
    r"""\|\s*(?:matches|capture|replace_pattern)\s*\(\s*(?P<quote>["'])(?P<text>(?:\\.|(?!(?P=quote))[^\\])*)(?P=quote)""",
    re.DOTALL,
)
"""A filter with its pattern: what stands between the quotes is RE2's, backslashes and all."""

_FLAG = re.compile(r"""(?P<before>\|\s*flatten\s*\([^|]*?,\s*lists\s*):(?=\s*(?:true|false)\s*\))""")


def for_jinja(code: str) -> str:
    """The code as Jinja has to have it: a pattern with the backslashes that Jinja takes away, `name: true` as `name=true`."""

    def doubled(found: re.Match[str]) -> str:
        quote = found["quote"]
        text = re.sub(
            r"\\(.)",
            lambda sign: sign[0] if sign[1] == quote else "\\\\" + sign[1].replace("\\", "\\\\"),
            found["text"],
            flags=re.DOTALL,
        )
        return f"{found[0][: found.start('text') - found.start()]}{text}{quote}"

    return _FLAG.sub(r"\g<before>=", PATTERN.sub(doubled, code))


_SIGNS = ("+", "-", "*", "/")


class Token(NamedTuple):
    text: str
    start: int
    end: int
    number: bool


def _tokens(code: str) -> list[Token]:
    return [Token(found[0], *found.span(), found["number"] is not None) for found in _TOKEN.finditer(code)]


def check_numbers(code: str) -> None:
    """Numbers are written as in JSON, and are what they say."""
    for token in _tokens(code):
        if token.number:
            _check_number(token)


def _check_number(token: Token) -> None:
    text, shown = token.text, token.text if len(token.text) <= 40 else token.text[:37] + "..."
    if not NUMBER.fullmatch(text):
        meant = _meant(text)
        raise LangError(
            "syntax",
            f"`{shown}` is not a number",
            token.start,
            token.end,
            help=f"write `{meant}`" if meant else "write it as in JSON, such as 0.5 or 1e3",
            replacement=meant,
        )
    if not _is_kept(text):
        raise LangError(
            "syntax",
            f"`{shown}` loses digits as a number",
            token.start,
            token.end,
            help=f"a whole number has at most {decimals.DIGITS} digits; one with a fraction or exponent at most 17, below 1e308",
        )


def _meant(text: str) -> str | None:
    plain = text.replace("_", "")
    if NUMBER.fullmatch(plain):
        return plain
    return str(int(plain, 16)) if re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}", plain) else None


def _is_kept(text: str) -> bool:
    """Whether the number that a plan holds is this one."""
    if text.isdecimal():
        return len(text) <= decimals.DIGITS
    try:
        return decimals.exact(text) == decimals.exact(repr(float(text)).replace("inf", "0e1"))
    except decimals.OutOfRange:
        return False


@dataclass
class _Level:
    """Within one pair of brackets: where the expression and its last operand begin, and whether a sign stands between the two."""

    start: int = -1
    operand: int = -1
    signed: bool = False

    def begin(self, at: int) -> None:
        self.start = at if self.start < 0 else self.start
        self.operand = at if self.operand < 0 else self.operand


def check_filters(code: str) -> None:
    """A filter behind arithmetic takes the last operand alone: as Jinja means it, and as nobody reads it. So parentheses say which."""
    levels = [_Level()]
    before: Token | None = None
    tokens = _tokens(code)
    for index, token in enumerate(tokens):
        level = levels[-1]
        if token.text == "|" and level.signed and before:
            raise _loose(code, level, before.end, tokens[index + 1 :])
        if token.text in _SIGNS and before and (before.text[-1].isalnum() or before.text[-1] in "_)]\"'"):
            level.signed, level.operand = True, -1
        elif token.text == ",":
            levels[-1] = _Level()
        elif token.text in ")]" and len(levels) > 1:
            levels.pop()
        else:
            level.begin(token.start)
            if token.text in "([":
                levels.append(_Level())
        before = token


def _loose(code: str, level: _Level, end: int, rest: list[Token]) -> LangError:
    whole, operand = code[level.start : end], code[level.operand : end]
    name = rest[0].text
    call = code[rest[0].start : _end_of_call(rest)]
    row = filters.FILTERS.get(name)
    # A number alone needs no filter, rounding comes last, and no text can be computed with: then only the whole can have been meant.
    certain = operand.replace(".", "").isdecimal() or name == "round" or (row is not None and row.gives == "string")
    return LangError(
        "loose_filter",
        f"`| {name}` takes only `{operand}` here, not `{whole}`",
        level.start,
        end,
        help=f"write `({whole}) | {call}`"
        + ("" if certain else f", or `{code[level.start : level.operand]}({operand} | {call})`"),
        replacement=f"({whole})" if certain else None,
        certain=certain,
    )


def _end_of_call(rest: list[Token]) -> int:
    """Where a filter ends, its arguments included."""
    depth = 0
    for token, after in zip(rest, [*rest[1:], None], strict=True):
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and (after is None or after.text != "(" or token.text == ")"):
            return token.end
    return rest[-1].end
