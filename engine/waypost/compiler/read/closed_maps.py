"""Reading maps with a closed vocabulary: what is missing, unknown, or legal elsewhere is reported with its place and the nearest word.

Takes document nodes and a Report; gives Python values. Family S. `x-*` keys are private notes wherever keys are closed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from waypost.compiler.read import foreign_words, units
from waypost.compiler.read.document import Map, Node, Scalar, Seq, bare_kind, keeps_digits
from waypost.compiler.read.source import Span
from waypost.compiler.report.diagnostic import Fix, Report
from waypost.compiler.report.suggest import nearest
from waypost.lang.words import snakecase

PLACES = {
    "trigger": "an action",
    "mapping": "an action or a shared block",
    "use": "an action",
    "require": "an action or a shared block",
    "batch": "a request",
    "rate": "a request",
    "retry": "a request",
    "dedupe": "a request",
    "responses": "a request",
    "results": "a response rule",
    "rest": "a response rule",
    "gzip": "a request",
    "timeout": "a request",
    "concurrency": "a request",
    "headers": "a request",
    "query": "a request",
    "body": "a request",
    "form": "a request",
    "lines": "a request",
    "text": "a request",
    "content_type": "a request",
    "sign": "a request",
    "oauth2": "`auth`",
    "token_url": "the `oauth2` of `auth`",
    "client_id": "the `oauth2` of `auth`",
    "client_secret": "the `oauth2` of `auth`",
    "hmac_sha256": "the `sign` of a request",
    "hmac_sha1": "the `sign` of a request",
    "secret": "a setting",
    "choices": "a setting",
    "optional": "a setting",
    "label": "a setting",
    "settings": "the top level",
    "auth": "the top level",
    "check": "the top level",
    "shared": "the top level",
    "actions": "the top level",
    "request": "the top level, an action or a shared block",
    "connections": "a connections file",
    "sources": "a connections file or a connection",
    "destination": "a connection",
    "order_by": "a connection",
    "integrations": "the top level or a connection",
    "tls": "a connection",
    "redact": "a connection",
    "plain_http": "a connection",
    "certificate": "the `tls` of a connection",
    "write_keys": "a source",
    "emits": "a source",
    "follow": "a source",
}


NAME = r"[a-z][a-z0-9]*(_[a-z0-9]+)*"
"""What settings, actions, blocks, connections and sources are called."""


def describe(node: Node) -> str:
    """What a node is, for "found …"."""
    if isinstance(node, Map):
        return "a map" if node.entries else "an empty map"
    if isinstance(node, Seq):
        return "a list" if node.items else "an empty list"
    if node.style != "plain" and bare_kind(node.text) != "text":
        return f"the text {node.raw}"
    return {
        "int": f"the number {node.raw}",
        "float": f"the number {node.raw}",
        "bool": f"`{node.raw}`",
        "null": "nothing",
    }.get(node.kind, f"`{node.text[:40]}`" if node.text else "empty text")


class Closed:
    """Reads nodes of one file. State: the Report it adds to."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def add(self, code: str, message: str, span: Span, label: str = "", help: str = "", fix: Fix | None = None) -> None:
        self.report.say(code, message, span, label, help, fix)

    def map(self, node: Node | None, what: str, help: str = "") -> Map | None:
        """The node as a map; reports anything else."""
        if node is None or isinstance(node, Map):
            return node
        self.add("S104", f"{what} is a map", node.span, f"found {describe(node)}", help)
        return None

    def keys(self, node: Map, known: Iterable[str], what: str) -> None:
        """Reports the keys that may not stand in this map."""
        known = list(known)
        for name in node.entries:
            key = name[0]
            if key.text in known or key.text.startswith("x-"):
                continue
            near = nearest(key.text, known)
            habit = foreign_words.meant(key.text, known, foreign_words.KEYS)
            if near is not None:
                self.add(
                    "S101",
                    f"{what} has no key `{key.text}`",
                    key.span,
                    f"did you mean `{near}`?",
                    fix=Fix(key.span, near, safe=True),
                )
            elif habit is not None or key.text in foreign_words.ADVICE:
                self.add(
                    "S101",
                    f"{what} has no key `{key.text}`",
                    key.span,
                    f"did you mean `{habit}`?" if habit else "",
                    foreign_words.ADVICE.get(key.text, f"here it is called `{habit}`"),
                    Fix(key.span, habit) if habit else None,
                )
            elif key.text in PLACES:
                self.add(
                    "S102",
                    f"`{key.text}` is a key of {PLACES[key.text]}, not of {what.removeprefix('the ')}",
                    key.span,
                    "not legal here",
                )
            else:
                self.add(
                    "S101",
                    f"{what} has no key `{key.text}`",
                    key.span,
                    help=f"its keys are {', '.join(known)}; a private note begins with `x-`",
                )

    def named(self, node: Node | None, what: str, kind: str) -> Iterator[tuple[Scalar, Node]]:
        """The entries of a map whose keys are names of the author's, without private notes; a key that is no name is reported."""
        held = self.map(node, what)
        for name, value in held.entries if held else ():
            if not name.text.startswith("x-"):
                self.name(name, kind)
                yield name, value

    def name(self, name: Scalar, what: str) -> None:
        if not re.fullmatch(NAME, name.text):
            words = snakecase(name.text)
            self.add(
                "S109",
                f"`{name.text}` is not a name for {what}",
                name.span,
                f"did you mean `{words}`?" if re.fullmatch(NAME, words) else "",
                "a name is lower-case words joined by `_`",
            )

    def need(self, node: Map, key: str, what: str, help: str = "") -> Node | None:
        found = node.get(key)
        if found is None and not self.meant(node, key):
            self.add("S103", f"{what} needs `{key}`", _head(node), "missing here", help)
        return found

    def meant(self, node: Map, key: str) -> bool:
        """Whether a key of the map is reported as a slip of this one: then it is not missing as well."""
        return any(
            ("S101", name.span) in self.report.found
            and (nearest(name.text, (key,)) or foreign_words.meant(name.text, (key,), foreign_words.KEYS))
            for name, _ in node.entries
        )

    def text(self, node: Node | None, what: str) -> str:
        """Plain text: a scalar's own source text, so that `revision: 2026-07-15` is what it looks like."""
        if node is None:
            return ""
        if isinstance(node, Scalar) and node.kind != "null":
            return node.text
        self.add("S104", f"{what} is text", node.span, f"found {describe(node)}")
        return ""

    def boolean(self, node: Node | None, what: str, default: bool) -> bool:
        if node is None:
            return default
        if isinstance(node, Scalar) and node.kind == "bool":
            return node.text == "true"
        words = {
            "yes": "true",
            "on": "true",
            "y": "true",
            "no": "false",
            "off": "false",
            "n": "false",
            "True": "true",
            "False": "false",
            "TRUE": "true",
            "FALSE": "false",
        }
        if isinstance(node, Scalar) and node.text in words and node.style == "plain":
            meant = words[node.text]
            self.add(
                "Y108",
                f"`{node.text}` is text in YAML 1.2, not a boolean",
                node.span,
                f"expected `{meant}`",
                fix=Fix(node.span, meant, safe=True),
            )
        else:
            self.wrong(f"{what} is true or false", node, ("bool",))
        return default

    def wrong(self, message: str, node: Node, kinds: tuple[str, ...], help: str = "") -> None:
        """S104; quotes around a constant of one of the kinds are what is wrong with it."""
        quoted = isinstance(node, Scalar) and node.style in ("single", "double") and bare_kind(node.text) in kinds
        fix = Fix(node.span, node.text, safe=True) if quoted and isinstance(node, Scalar) else None
        self.add("S104", message, node.span, f"found {describe(node)}", help or "remove the quotes" * quoted, fix)

    def integer(self, node: Node | None, what: str, least: int = 0, most: int = 10**9) -> int | None:
        if node is None:
            return None
        if isinstance(node, Scalar) and node.kind == "int" and keeps_digits(node.text):
            if least <= int(node.text) <= most:
                return int(node.text)
            self.add("S104", f"{what} is a whole number from {least} to {most}", node.span, f"found {node.text}")
            return None
        if isinstance(node, Scalar) and (units.size(node.text) or units.seconds(node.text) is not None):
            self.add("S107", f"{what} is a bare number", node.span, "found a unit", "remove the unit")
        else:
            self.wrong(f"{what} is a whole number", node, ("int",))
        return None

    def quantity(self, node: Node | None, what: str, read: Any, help: str) -> Any:
        """A size, time or rate with its unit."""
        if node is None:
            return None
        found = read(node.text) if isinstance(node, Scalar) else None
        if found is not None:
            return found
        bare = isinstance(node, Scalar) and node.kind in ("int", "float")
        meant, certain = units.meant(node.text, read) if isinstance(node, Scalar) and not bare else (None, False)
        self.add(
            "S107",
            f"{what} needs a unit" if bare else f"{what} is not a quantity",
            node.span,
            f"did you mean `{meant}`?" if meant else f"found {describe(node)}",
            help,
            Fix(node.span, meant, safe=certain) if meant else None,
        )
        return None

    def one_of(self, node: Node | None, known: Iterable[str], what: str, default: str) -> str:
        if node is None:
            return default
        known = list(known)
        if isinstance(node, Scalar) and node.text in known and node.kind != "null":
            return node.text
        near = nearest(node.text, known) if isinstance(node, Scalar) else None
        habit = foreign_words.meant(node.text, known, foreign_words.WORDS) if isinstance(node, Scalar) else None
        guess = habit or near
        self.add(
            "S105",
            f"{what} is one of {', '.join(known)}",
            node.span,
            f"did you mean `{guess}`?" if guess else f"found {describe(node)}",
            foreign_words.ADVICE.get(node.text.lower(), "") if isinstance(node, Scalar) and habit else "",
            Fix(node.span, guess, safe=habit is None) if guess else None,
        )
        return default

    def texts(self, node: Node | None, what: str) -> list[Scalar]:
        """A word or a list of words."""
        if node is None:
            return []
        items = node.items if isinstance(node, Seq) else (node,)
        for item in items:
            if not isinstance(item, Scalar) or item.kind == "null":
                self.add("S104", f"{what} is a name or a list of names", item.span, f"found {describe(item)}")
        return [item for item in items if isinstance(item, Scalar) and item.kind != "null"]

    def constant(self, node: Node, *, value: bool = False) -> Any:
        """A JSON constant: text, numbers, true, false, null, lists and maps of them.

        `value`: it stands where a path or template may stand too, so text is written `{$literal: …}` there.
        """
        if isinstance(node, Map):
            return {name.text: self.constant(value) for name, value in node.entries}
        if isinstance(node, Seq):
            return [self.constant(item) for item in node.items]
        if node.kind == "text":
            return node.text
        if node.kind in ("int", "float"):
            return self.number(node, value=value)
        if node.kind == "odd":
            message, instead, safe = _odd(node.raw, f'{{$literal: "{node.raw}"}}' if value else f'"{node.raw}"')
            self.add("Y109", message, node.span, f"write `{instead}`", fix=Fix(node.span, instead, safe=safe))
            return node.raw
        return {"true": True, "false": False}.get(node.text)

    def number(self, node: Scalar, *, value: bool = False) -> Any:
        if not keeps_digits(node.text):
            self.add(
                "Y109",
                f"`{node.raw if len(node.raw) <= 60 else node.raw[:57] + '...'}` loses digits as a number",
                node.span,
                "quote it to send it as text",
                "or write it in its shortest form",
                Fix(node.span, f'{{$literal: "{node.raw}"}}' if value else f'"{node.raw}"'),
            )
            return 0
        return int(node.text) if node.kind == "int" else float(node.text)


def _odd(raw: str, as_text: str) -> tuple[str, str, bool]:
    """What is odd about a plain value, what to write for it, and whether it can have meant nothing else."""
    word = raw.lower()
    if word in ("true", "false", "null"):
        return f"`{raw}` is written in small letters here", word, True
    if re.fullmatch(r"[+-]?0(x[0-9a-f]+|o[0-7]+|b[01]+)", word) and len(word) <= 40:
        return f"`{raw}` is a number that JSON has no form for", str(int(word, 0)), True
    if re.match(r"\d{4}-\d\d?-\d\d?", raw):
        return f"`{raw}` is a date in some versions of YAML and text in others", as_text, False
    return f"`{raw}` is a number only in other versions of YAML: quote it", as_text, False


def _head(node: Map) -> Span:
    """The place to show for something that is missing in a map: its first key."""
    return node.entries[0][0].span if node.entries else node.span
