"""Reading FQL: one function a grammar rule (the grammar stands in fql.py), over the tokens of fql_tokens.py.

Takes text. Gives a node with spans, or raises the first LangError with the offsets of what cannot be read and what to write instead.
"""

from __future__ import annotations

import difflib
from typing import Any

from waypost.lang import fql_advice, values
from waypost.lang import fql_tree as tree
from waypost.lang.errors import LangError
from waypost.lang.fql_functions import FUNCTIONS, Function
from waypost.lang.fql_tokens import Token, tokens
from waypost.lang.glob import glob_tokens

MAX_DEPTH = 64
"""Parentheses within parentheses: more is refused rather than risked."""


class Parser:
    """State: the text, its tokens and how far they are read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.at = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def whole(self) -> tree.Node:
        if self.token.kind == "end":
            raise LangError(
                "syntax", "the condition is empty", 0, len(self.text), help='write one, such as `type = "track"`'
            )
        node = self.expression()
        if self.token.kind != "end":
            raise self.unexpected("the end, `and` or `or`")
        return node

    def expression(self) -> tree.Node:
        """expression = conjunction { "or" conjunction }"""
        return self.joined("or", self.conjunction, tree.Or)

    def conjunction(self) -> tree.Node:
        """conjunction = negation { "and" negation }"""
        return self.joined("and", self.negation, tree.And)

    def joined(self, word: str, rule: Any, kind: Any) -> tree.Node:
        start = self.token.start
        found = [rule()]
        while self.is_word(word):
            self.at += 1
            found.append(rule())
        node: tree.Node = found[0] if len(found) == 1 else kind(tuple(found), (start, self.before().end))
        return node

    def negation(self) -> tree.Node:
        """negation = "!" ( call | "(" expression ")" ) | primary"""
        if self.is_word("not"):
            raise LangError(
                "syntax",
                "`not` is not a word of the trigger language",
                self.token.start,
                self.token.end,
                help="write `!( … )` around what must not hold, in a text in quotes, or `!=`",
            )
        if not self.is_sign("!"):
            return self.primary()
        start = self.token.start
        self.at += 1
        inner_start = self.token.start
        if not self.is_sign("("):
            inner = self.condition()
            if not isinstance(inner, tree.Call):
                end = self.before().end
                raise LangError(
                    "syntax",
                    "`!` before a comparison can be read in two ways",
                    start,
                    end,
                    help="put the comparison in parentheses",
                    replacement=f"!({self.text[inner_start:end]})",
                )
            return tree.Not(inner, (start, self.before().end))
        return tree.Not(self.primary(), (start, self.before().end))

    def primary(self) -> tree.Node:
        """primary = "(" expression ")" | condition"""
        if not self.is_sign("("):
            return self.condition()
        opening = self.token
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise LangError(
                "syntax", f"more than {MAX_DEPTH} parentheses within each other", opening.start, opening.end
            )
        self.at += 1
        node = self.expression()
        if not self.is_sign(")"):
            if self.token.kind == "end":
                raise LangError("syntax", "this `(` is not closed", opening.start, opening.end, help="add a `)`")
            raise self.unexpected("`)`, `and` or `or`")
        self.at += 1
        self.depth -= 1
        return node

    def condition(self) -> tree.Node:
        """condition = operand compare operand | operand "in" ( list | path ) | call"""
        start = self.token.start
        left = self.operand()
        if self.is_word("in"):
            return self.membership(left, start)
        if self.token.kind == "sign" and self.token.value in ("=", "!=", "<", "<=", ">", ">="):
            sign = self.token.value
            self.at += 1
            right = self.operand()
            node = tree.Compare(sign, left, right, (start, self.before().end))
            _judge_compare(self.text, node)
            return node
        if isinstance(left, tree.Call) and FUNCTIONS[left.name].boolean:
            return left
        raise self.no_condition(left)

    def no_condition(self, left: tree.Operand) -> LangError:
        start, end = left.span
        if self.token.kind != "end" and not self.is_word("and") and not self.is_word("or") and not self.is_sign(")"):
            return self.unexpected("a comparison such as `=`")
        text = self.text[start:end]
        if isinstance(left, tree.PathRef):
            return LangError(
                "bare_path",
                f"`{text}` alone is no condition",
                start,
                end,
                help=f"compare it: `{text} = true` or `{text} != null`",
                # No field of the event itself is true or false.
                replacement=f"{text} = true" if len(left.steps) > 1 else f"{text} != null",
            )
        if isinstance(left, tree.Call):
            return LangError(
                "syntax",
                f"`{left.name}( … )` gives a value, not a condition",
                start,
                end,
                help="compare it, such as with `= …`",
            )
        return LangError(
            "syntax", f"{text} alone is no condition", start, end, help="compare a field of the event with it"
        )

    def membership(self, left: tree.Operand, start: int) -> tree.Node:
        """operand "in" ( list | path )"""
        self.at += 1
        if self.is_sign("("):
            raise self.round_list()
        if not self.is_sign("["):
            right = self.operand()
            if not isinstance(right, tree.PathRef):
                raise LangError("syntax", "expected a list after `in`", *right.span, help='write `in ["a", "b"]`')
            return tree.In(left, right, (start, self.before().end))
        opening = self.token
        self.at += 1
        members: list[tree.Literal] = []
        while True:
            if self.is_sign("]") and not members:
                raise LangError(
                    "syntax", "an empty list holds nothing, so this never matches", opening.start, self.token.end
                )
            member = self.operand()
            if not isinstance(member, tree.Literal):
                raise LangError(
                    "syntax", "a list holds constants only", *member.span, help="compare with `=` and join with `or`"
                )
            members.append(member)
            if self.is_sign(","):
                self.at += 1
                continue
            if self.is_sign("]"):
                self.at += 1
                return tree.In(left, tuple(members), (start, self.before().end))
            if self.token.kind == "end":
                raise LangError("syntax", "this `[` is not closed", opening.start, opening.end, help="add a `]`")
            raise self.unexpected("`,` or `]`")

    def round_list(self) -> LangError:
        """`in ("a", "b")`, as SQL writes it: the same in brackets, when it holds constants only."""
        opening = self.token
        rest = self.tokens[self.at + 1 :]
        end = next((index for index, token in enumerate(rest) if token.kind == "sign" and token.value == ")"), None)
        inside = rest[:end]
        plain = end is not None and all(
            token.kind in ("text", "number", "word") or (token.kind == "sign" and token.value == ",")
            for token in inside
        )
        end_at = rest[end].end if end is not None else opening.end
        fixed = f"[{self.text[opening.end : end_at - 1]}]" if plain and inside else None
        return LangError(
            "syntax", "a list stands in `[ ]`", opening.start, end_at, help='write `in ["a", "b"]`', replacement=fixed
        )

    def operand(self) -> tree.Operand:
        """operand = path | literal | call"""
        token = self.token
        if token.kind in ("text", "number"):
            self.at += 1
            return tree.Literal(token.value, (token.start, token.end))
        if token.kind == "word" and token.value in ("true", "false", "null") and not self.is_sign(".", 1):
            self.at += 1
            return tree.Literal({"true": True, "false": False, "null": None}[token.value], (token.start, token.end))
        if token.kind in ("name", "word"):
            if self.is_sign("(", 1) and token.kind == "name":
                return self.call()
            if token.kind == "name":
                return self.path()
        raise self.unexpected("a field of the event, a constant or a function")

    def call(self) -> tree.Call:
        """call = function "(" operand { "," operand } ")" """
        name = self.token
        function = FUNCTIONS.get(name.value)
        if function is None:
            near = difflib.get_close_matches(str(name.value).lower(), FUNCTIONS, 1, 0.67)
            raise LangError(
                "unknown_function",
                f"there is no function `{name.value}`",
                name.start,
                name.end,
                help=fql_advice.INSTEAD.get(str(name.value).lower()) or f"the functions are {', '.join(FUNCTIONS)}",
                replacement=near[0] if near else None,
            )
        opening = self.tokens[self.at + 1]
        self.at += 2
        args: list[tree.Operand] = []
        while not self.is_sign(")"):
            if self.token.kind == "end":
                raise LangError("syntax", "this `(` is not closed", opening.start, opening.end, help="add a `)`")
            args.append(self.operand())
            if self.is_sign(","):
                self.at += 1
                if self.is_sign(")"):
                    raise self.unexpected("another value")
            elif not self.is_sign(")") and self.token.kind != "end":
                raise self.unexpected("`,` or `)`")
        self.at += 1
        found = tree.Call(name.value, tuple(args), (name.start, self.before().end))
        _judge_call(found, function)
        return found

    def path(self) -> tree.PathRef:
        """path = name { "." name | "[" integer "]" }"""
        start = self.token.start
        steps: list[str | int] = [self.token.value]
        self.at += 1
        while True:
            if self.is_sign(".") and self.token.start == self.before().end:
                self.at += 1
                if self.token.kind not in ("name", "word", "number") or self.token.start != self.before().end:
                    raise self.unexpected("a name after the dot")
                steps.append(fql_advice.step_text(self.text[self.token.start : self.token.end]))
                self.at += 1
            elif self.is_sign("[") and self.token.start == self.before().end:
                steps.append(self.index())
            else:
                return tree.PathRef(tuple(steps), (start, self.before().end))

    def index(self) -> int:
        opening, inner, closing = (
            self.token,
            self.tokens[self.at + 1],
            self.tokens[min(self.at + 2, len(self.tokens) - 1)],
        )
        if inner.kind == "text":
            raise LangError(
                "syntax",
                "a name in brackets is not part of the trigger language",
                opening.start,
                max(closing.end, inner.end),
                help="escape other characters with a backslash",
                replacement="." + tree.show_path((inner.value,)),
            )
        if (
            inner.kind != "number"
            or not isinstance(inner.value, int)
            or not (closing.kind == "sign" and closing.value == "]")
        ):
            raise LangError(
                "syntax",
                "expected a whole number and `]`",
                opening.start,
                inner.end,
                help="write `[0]` for the first item",
            )
        self.at += 3
        return inner.value

    def before(self) -> Token:
        return self.tokens[self.at - 1]

    def is_word(self, word: str) -> bool:
        return self.token.kind == "word" and self.token.value == word

    def is_sign(self, sign: str, ahead: int = 0) -> bool:
        token = self.tokens[min(self.at + ahead, len(self.tokens) - 1)]
        return token.kind == "sign" and token.value == sign

    def unexpected(self, wanted: str) -> LangError:
        token = self.token
        if token.kind == "end":
            return LangError("syntax", f"the condition ends where {wanted} should follow", token.start, token.end)
        shown = self.text[token.start : token.end]
        help_text = fql_advice.INSTEAD.get(shown.lower(), "")
        if token.kind == "sign" and token.value == ",":
            help_text = "join conditions with `and` or `or`"
        elif token.kind == "name" and self.at and self.before().kind == "sign":
            help_text = f'put text in quotes: `"{shown}"`'
        return LangError("syntax", f"expected {wanted}, found `{shown}`", token.start, token.end, help=help_text)


def _judge_compare(text: str, node: tree.Compare) -> None:
    for side in (node.left, node.right):
        if node.sign not in ("=", "!=") and isinstance(side, tree.Literal) and not values.is_number(side.value):
            raise LangError(
                "type",
                f"`{node.sign}` compares numbers, and {text[slice(*side.span)]} is none",
                *side.span,
                help=fql_advice.AGE if fql_advice.is_date(side.value) else "write a number without quotes, or use `=`",
            )
    if isinstance(node.left, tree.Literal) and isinstance(node.right, tree.Literal):
        raise LangError("type", "both sides are constants", *node.span, help="compare a field of the event")


def _judge_call(call: tree.Call, function: Function) -> None:
    wanted = len(function.kinds)
    if len(call.args) != wanted:
        raise LangError(
            "arity", f"`{call.name}` takes {wanted} value{'s' * (wanted != 1)}, found {len(call.args)}", *call.span
        )
    for kind, arg in zip(function.kinds, call.args, strict=True):
        if kind != "glob":
            continue
        if not (isinstance(arg, tree.Literal) and isinstance(arg.value, str)):
            raise LangError("type", f"the pattern of `{call.name}` is text in quotes", *arg.span)
        try:
            glob_tokens(arg.value)
        except LangError as error:
            raise LangError("syntax", error.message, *arg.span, help=error.help) from None
