"""A spec, read: every leaf with the place it was written at.

Takes nothing; `read/spec_reader.py` makes these from the document, `check/` judges them, `lower.py` turns them into a plan. A `Val` holds
the plan's own node for an expression beside its span and its parts, so that a check walks an expression with positions and lowering has
nothing to look up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from waypost import plan as p
from waypost.compiler.read.document import Scalar
from waypost.compiler.read.source import Span
from waypost.lang import fql
from waypost.lang.bodies.format import messages_in

T = TypeVar("T")


@dataclass(frozen=True)
class Located(Generic[T]):
    """A leaf's value and where it stands."""

    value: T
    span: Span


@dataclass(frozen=True)
class Val:
    """An expression: the plan's node, its span, its parts in written order, and the scalar it was read from, if it was one.

    `keys` are the spans of the keys of an object, a merge, a pick or a lookup's table; `words` those of an operator's words (`type`,
    `enum`, ...). `broken`: it could not be read, which is reported, and stands for null.
    """

    node: p.Value
    span: Span
    parts: tuple[Val, ...] = ()
    scalar: Scalar | None = None
    keys: dict[str, Span] = field(default_factory=dict)
    words: dict[str, Span] = field(default_factory=dict)
    condition: Condition | None = None
    broken: bool = False

    def walk(self) -> Iterator[Val]:
        yield self
        for part in self.parts:
            yield from part.walk()


@dataclass(frozen=True)
class Condition:
    """FQL: the tree and the scalar it was read from."""

    node: fql.Node
    scalar: Scalar

    @property
    def text(self) -> str:
        return fql.show(self.node)

    def span(self, start: int, end: int) -> Span:
        return self.scalar.locate(start, end)


@dataclass(frozen=True)
class SettingSpec:
    name: Located[str]
    setting: p.Setting
    spans: dict[str, Span] = field(default_factory=dict)


@dataclass(frozen=True)
class ReaderSpec:
    """A reader of `results` at a status, what becomes of the messages that it does not name, the places of `at`, of `rest` and of its words,
    and the conditions of its `then`."""

    status: str
    reader: p.Reader
    rest: str
    span: Span
    rest_span: Span
    spans: dict[str, Span] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class SignSpec:
    """The signature of a request. `plain` holds what needs no expression."""

    plain: p.Sign
    text: Val
    key: Val
    headers: dict[str, Val]
    query: dict[str, Val]
    span: Span

    def values(self) -> Iterator[Val]:
        yield from (self.text, self.key, *self.headers.values(), *self.query.values())

    def lowered(self) -> p.Sign:
        return msgspec.structs.replace(
            self.plain,
            text=self.text.node,
            key=self.key.node,
            headers={key: value.node for key, value in self.headers.items()},
            query={key: value.node for key, value in self.query.items()},
        )


@dataclass(frozen=True)
class RequestSpec:
    """`plain` holds what needs no expression, as the plan's Request (its url and maps unset); `spans` are dotted words; `word` is that of the
    body's format."""

    plain: p.Request
    method: Located[str]
    url: Val
    headers: dict[str, Val]
    query: dict[str, Val]
    body: Val | None
    conditions: tuple[Condition, ...]
    span: Span
    spans: dict[str, Span] = field(default_factory=dict)
    word: str = "body"
    more: dict[str, tuple[Val, ...]] = field(default_factory=dict)
    """The objects below the entries of `headers` and `query`."""
    readers: tuple[ReaderSpec, ...] = ()
    sign: SignSpec | None = None

    @property
    def sends_messages(self) -> bool:
        """Whether anything that a mapping makes is sent."""
        return self.body is not None and bool(messages_in(self.body.node))

    def values(self) -> Iterator[Val]:
        yield self.url
        yield from self.headers.values()
        yield from self.query.values()
        for objects in self.more.values():
            yield from objects
        if self.body is not None:
            yield self.body
        if self.sign is not None:
            yield from self.sign.values()

    def lowered(self) -> p.Request:
        return msgspec.structs.replace(
            self.plain,
            url=self.url.node,
            headers={key: value.node for key, value in self.headers.items()},
            query={key: value.node for key, value in self.query.items()},
            body=None if self.body is None else self.body.node,
            format=msgspec.UNSET if self.word == "body" else self.word,
            more_headers=[val.node for val in self.more.get("headers", ())] or msgspec.UNSET,
            more_query=[val.node for val in self.more.get("query", ())] or msgspec.UNSET,
            sign=msgspec.UNSET if self.sign is None else self.sign.lowered(),
        )


@dataclass(frozen=True)
class AuthSpec:
    """`kind.name` -> expression: "basic.username", "bearer", "headers.x-api-key", ...; of `oauth2` what needs no expression."""

    values: dict[str, Val] = field(default_factory=dict)
    oauth2: p.OAuth2 | None = None
    more: dict[str, tuple[Val, ...]] = field(default_factory=dict)
    """The objects below the entries of `headers` and `query`."""

    def all(self) -> Iterator[Val]:
        yield from self.values.values()
        for objects in self.more.values():
            yield from objects


@dataclass(frozen=True)
class RequireSpec:
    require: p.Require
    paths: tuple[Located[str], ...]
    test: Condition | None
    span: Span


@dataclass(frozen=True)
class ActionSpec:
    name: Located[str]
    title: str
    description: str
    enabled: bool
    trigger: Condition
    mapping: Val
    require: tuple[RequireSpec, ...]
    request: RequestSpec
    own_request: bool
    each: Val | None = None
    where: Condition | None = None


@dataclass(frozen=True)
class Spec:
    name: Located[str]
    title: str
    description: str
    docs: str
    category: str
    integrations: list[str] | None
    settings: dict[str, SettingSpec]
    auth: AuthSpec
    check: RequestSpec | None
    actions: dict[str, ActionSpec]
    texts: dict[str, Any] = field(default_factory=dict)

    def requests(self) -> list[RequestSpec]:
        """Each request once, however many actions share it; then the check."""
        own = {id(action.request): action.request for action in self.actions.values()}
        return [*own.values(), *([self.check] if self.check else [])]
