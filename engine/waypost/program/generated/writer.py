"""The writer that code generation uses: lines with their output field, names for objects, and what may be written as a literal.

Takes statements; gives text and, for each line, the output field it computes (so that a Fault is told with its field at no cost on the
way that does not fault). User text enters generated code only through `literal`; everything else is bound by name in `names`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from waypost.lang import values


@dataclass(frozen=True, slots=True)
class Expr:
    """An atom of generated code and what it holds at run time.

    `form`: "slot" (decoded scalar, Raw list or object, or MISSING), "raw" (Raw or MISSING), "text" (str or MISSING), "value" (decoded
    JSON or MISSING), "out" (anything that encodes, or MISSING). `sure`: never MISSING. `stored`: the message has it already.
    """

    text: str
    form: str
    sure: bool = False
    stored: bool = False


class Writer:
    """Generated statements of one program. State: the lines, the indent, the current output field and the bound names."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.fields: list[str] = []
        self.names: dict[str, Any] = {}
        self.indent = 0
        self._path: list[str] = []
        self._serial = 0
        self._scopes: list[dict[str, str]] = [{}]
        self._behind: list[tuple[list[str], list[str]]] = []

    def line(self, text: str) -> None:
        self.lines.append("    " * self.indent + text)
        self.fields.append(".".join(self._path))

    def fresh(self, hint: str = "v") -> str:
        self._serial += 1
        safe = hint if hint.isascii() and hint.isidentifier() else "v"
        return f"{safe}_{self._serial}"

    def bind(self, hint: str, value: Any) -> str:
        """The name by which generated code reaches `value`."""
        name = self.fresh(hint).upper()
        self.names[name] = value
        return name

    def literal(self, value: Any) -> str:
        """`value` as source text: by repr only for what cannot carry code, else by name (as its JSON bytes)."""
        if value is None or isinstance(value, (bool, str)) or type(value) is int:
            return repr(value)
        if type(value) is float and math.isfinite(value):
            return repr(value)
        return self.bind("const", msgspec.Raw(values.encode(value)))

    def known(self, key: str) -> str | None:
        """The local that holds what `know` has noted, in a scope that is still open."""
        return next((scope[key] for scope in self._scopes if key in scope), None)

    def know(self, key: str, name: str) -> None:
        self._scopes[-1][key] = name

    def cached(self, key: str, make: str, hint: str) -> str:
        """A local that holds `make`, assigned once in the innermost scope that has not got it yet."""
        name = self.known(key)
        if name is None:
            name = self.fresh(hint)
            self.line(f"{name} = {make}")
            self.know(key, name)
        return name

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """`head:` and an indented block; locals cached inside are not relied on after it."""
        self.line(head)
        self.indent += 1
        self._scopes.append({})
        count = len(self.lines)
        yield
        if len(self.lines) == count:
            self.line("pass")
        self._scopes.pop()
        self.indent -= 1

    @contextmanager
    def function(self, head: str) -> Iterator[None]:
        """A function with locals of its own."""
        kept, self._scopes = self._scopes, [{}]
        with self.block(head):
            yield
        self._scopes = kept
        self.line("")

    @contextmanager
    def apart(self, head: str) -> Iterator[None]:
        """A function behind all others, while another one is being written."""
        kept = self.lines, self.fields, self.indent
        self.lines, self.fields, self.indent = [], [], 0
        with self.function(head):
            yield
        self._behind.append((self.lines, self.fields))
        self.lines, self.fields, self.indent = kept

    def finish(self) -> None:
        """Writes what stands apart."""
        for lines, fields in self._behind:
            self.lines += lines
            self.fields += fields

    @contextmanager
    def field(self, key: str) -> Iterator[None]:
        """The output field that the next lines compute."""
        self._path.append(key)
        yield
        self._path.pop()
