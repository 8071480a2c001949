"""The tokens of FQL: words, names, texts, numbers and signs, each with its place.

Takes text. Gives a list of Tokens that ends with one of kind "end", or raises the first LangError: a number that JSON has not, a sign of
another language, an escape that means nothing. Why apart: fql_parser.py says which order of tokens is a condition, and never looks at
characters.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from waypost.lang import fql_advice, values
from waypost.lang.errors import LangError

_DIGITS = "0123456789"
_SPACE = re.compile(r"[ \t\r\n]+")
_NAME = re.compile(r"(?:[A-Za-z0-9_-]|\\.)+", re.DOTALL)
_START = re.compile(r"[A-Za-z_\\]")
_NUMBERISH = re.compile(r"[+-]?[0-9.][0-9A-Za-z_.]*(?:(?<=[eE])[+-][0-9A-Za-z_.]+)?")
_SIGNS = ("!=", "<=", ">=", "=", "<", ">", "!", "(", ")", "[", "]", ",", ".")
_WRONG_SIGNS = {"==": "=", "&&": " and ", "||": " or ", "<>": "!=", "=>": ">=", "=<": "<=", "&": " and ", "|": " or "}
_WORDS = ("and", "or", "in", "true", "false", "null", "not")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'", "/": "/", "b": "\b", "f": "\f"}


@dataclass(frozen=True)
class Token:
    """`kind`: word, name, text, number, sign or end. A word is a keyword in lower case; `value` is what it means."""

    kind: str
    value: Any
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """The tokens of a condition, the last of kind "end". Raises LangError."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        space = _SPACE.match(text, at)
        if space:
            at = space.end()
            continue
        token = _token(text, at, found)
        if found and token.start == found[-1].end and _glued(found[-1], token):
            raise LangError(
                "syntax",
                f"`{text[found[-1].start : token.end]}` needs a space",
                found[-1].start,
                token.end,
                help="put a space between the two",
                replacement=f"{text[found[-1].start : found[-1].end]} {text[token.start : token.end]}",
            )
        found.append(token)
        at = token.end
    return [*found, Token("end", None, len(text), len(text))]


def _glued(left: Token, right: Token) -> bool:
    wordy = ("word", "name", "text", "number")
    return left.kind in wordy and right.kind in wordy


def _token(text: str, at: int, before: list[Token]) -> Token:
    character = text[at]
    if character in "\"'":
        return _text_token(text, at)
    after_dot = bool(before) and before[-1].kind == "sign" and before[-1].value == "." and before[-1].end == at
    if after_dot and (match := _NAME.match(text, at)):
        return Token("name", fql_advice.step_text(match[0]), at, match.end())
    if before and before[-1].end == at:
        if character == "." and text[at + 1 : at + 2] in tuple(_DIGITS) and _ends_step(before[-1]):
            return _dot_before_digit(text, at)
        if character not in fql_advice.CLOSING and (after_dot or (before[-1].kind == "name" and character in "$@#")):
            raise fql_advice.needs_backslash(text, at if after_dot else before[-1].start)
    if _START.match(character):
        match = _NAME.match(text, at)
        if match is None:
            raise LangError("syntax", "a backslash with nothing to escape", at, at + 1)
        if match[0].lower() in _WORDS:
            return Token("word", match[0].lower(), at, match.end())
        return Token("name", fql_advice.step_text(match[0]), at, match.end())
    if character in _DIGITS or (character in "+-." and text[at + 1 : at + 2] in tuple(_DIGITS)):
        return _number_token(text, at)
    for wrong, right in _WRONG_SIGNS.items():
        if text.startswith(wrong, at):
            raise LangError(
                "syntax",
                f"`{wrong}` is not an operator here",
                at,
                at + len(wrong),
                help=f"write `{right.strip()}`",
                replacement=right.strip(),
            )
    for sign in _SIGNS:
        if text.startswith(sign, at):
            return Token("sign", sign, at, at + len(sign))
    raise LangError(
        "syntax",
        f"`{character}` is not part of the trigger language",
        at,
        at + 1,
        help=fql_advice.CHARACTERS.get(
            character, "in a path, escape it with a backslash; in text, put the text in quotes"
        ),
    )


def _ends_step(token: Token) -> bool:
    return token.kind == "name" or (token.kind == "sign" and token.value == "]")


def _dot_before_digit(text: str, at: int) -> Token:
    """`.2nd` after a name is a step like another; `.0` is how other languages name an item."""
    index = re.match(r"\.(0|[1-9][0-9]*)(?![\w\\-])", text[at:])
    if index is None:
        return Token("sign", ".", at, at + 1)
    raise LangError(
        "syntax",
        f"`{index[0]}` names no item of a list",
        at,
        at + index.end(),
        help=f"write `{fql_advice.path_before(text, at)}[{index[1]}]` for an item, or `.\\{index[1]}` for a member of that name",
        replacement=f"[{index[1]}]",
    )


def _number_token(text: str, at: int) -> Token:
    match = _NUMBERISH.match(text, at)
    assert match is not None
    raw = match[0]
    if (date := fql_advice.DATE.match(text, at)) is not None:
        raise LangError(
            "syntax",
            f"`{date[0]}` is a date, and conditions know numbers and text",
            at,
            date.end(),
            help=fql_advice.AGE,
        )
    if not values.NUMBER.fullmatch(raw):
        fixed = _mended(raw)
        raise LangError(
            "syntax",
            f"`{raw}` is not a number",
            at,
            match.end(),
            help=f"write `{fixed}`" if fixed else "write it as in JSON, such as 0.5 or 1e3",
            replacement=fixed,
        )
    return Token("number", values.number_token(raw), at, match.end())


def _mended(raw: str) -> str | None:
    tried = raw.removeprefix("+")
    tried = re.sub(r"^(-?)\.", r"\g<1>0.", tried)
    tried = re.sub(r"\.$", "", tried)
    tried = re.sub(r"^(-?)0+(?=[0-9])", r"\1", tried)
    return tried if values.NUMBER.fullmatch(tried) else None


def _text_token(text: str, start: int) -> Token:
    quote = text[start]
    out: list[str] = []
    at = start + 1
    while at < len(text):
        character = text[at]
        if character == quote:
            return Token("text", "".join(out), start, at + 1)
        if character != "\\":
            out.append(character)
            at += 1
            continue
        piece, at = _escape(text, at)
        out.append(piece)
    raise LangError("syntax", "this text is not closed", start, len(text), help=f"add a {quote}")


def _escape(text: str, at: int) -> tuple[str, int]:
    mark = text[at + 1 : at + 2]
    if mark in _ESCAPES:
        return _ESCAPES[mark], at + 2
    match = re.compile(r"(?:\\u[0-9A-Fa-f]{4})+").match(text, at)
    if match:
        try:
            piece = json.loads(f'"{match[0]}"')
            piece.encode()
            return piece, match.end()
        except ValueError:
            raise LangError("syntax", "half of a surrogate pair is no character", at, match.end()) from None
    # In a glob a backslash makes the next character plain; the text keeps both for `match` to read.
    if mark in ("*", "?", "[", "]", "-", "!", "^"):
        return "\\" + mark, at + 2
    raise LangError(
        "syntax", f"`\\{mark}` is no escape", at, min(at + 2, len(text)), help=r"write `\\` for a backslash"
    )
