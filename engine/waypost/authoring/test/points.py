"""A checked spec becomes the list of everything in it that a test can reach, each with its place.

Takes a Spec. Gives `Points`: a Point is one place and one thing that may happen there, so that what a shared block holds counts once, however
many actions use it. Four kinds:

    actions    a message of the action was mapped
    leaves     a path, template or constant of a mapping or request had a value; a key of `$pick` was there
    branches   each way of `$when`, `$first`, `$lookup`, `$drop`, `$each`, `$find`, `single`, `each`, `where`, `require` and `responses`;
               a default taken, a value left out as invalid, a required value missing, an `$omit` that removed something
    triggers   each comparison of a trigger, true and false, where it decided

What a disabled action holds is left out: nothing can reach it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from waypost import plan as p
from waypost.compiler.read.source import Source, Span
from waypost.compiler.spec import ActionSpec, Condition, RequestSpec, Spec, Val
from waypost.lang import fql

KINDS = ("actions", "leaves", "branches", "triggers")

NodeId = int
"""`id` of a node of the plan or of a condition: the spec, which Points holds, keeps them alive and so apart."""


@dataclass(frozen=True, order=True)
class Point:
    """`what` says what has to happen at `span` for a test to reach it."""

    span: Span
    kind: str
    what: str


class Points:
    """State: the points of a spec, and which thing at which node reaches which."""

    def __init__(self, spec: Spec, source: Source) -> None:
        self.spec = spec
        self.source = source
        self.at: dict[tuple[NodeId, str], Point] = {}
        self.conditions: dict[NodeId, Condition] = {}
        """The condition of each `$when`, `$each` and `$find`."""
        for action in spec.actions.values():
            if action.enabled:
                self._action(action)
        for value in spec.auth.all():
            self._value(value)

    @property
    def all(self) -> list[Point]:
        return sorted(set(self.at.values()))

    def _add(self, node: object, thing: str, kind: str, span: Span, what: str) -> None:
        self.at[id(node), thing] = Point(span, kind, what)

    def _action(self, action: ActionSpec) -> None:
        self._add(action, "sends", "actions", action.name.span, f"{action.name.value} makes a message")
        self._terms(action.trigger, "triggers")
        if action.each is not None:
            self._value(action.each)
            self._add(action, "item", "branches", action.each.span, "`each` has an item")
            self._add(action, "no item", "branches", action.each.span, "`each` has no item")
        if action.where is not None:
            span = action.where.scalar.span
            self._add(action, "kept", "branches", span, "`where` holds")
            self._add(action, "dropped", "branches", span, "`where` does not hold")
            self._terms(action.where, "branches", several=True)
        self._value(action.mapping)
        for need in action.require:
            self._add(need, "refused", "branches", need.span, "`require` refuses a message")
            if need.test is not None:
                self._terms(need.test, "branches")
        self._request(action.request)

    def _request(self, request: RequestSpec) -> None:
        for value in request.values():
            self._value(value)
        for key, span, what in response_rules(request):
            self._add(request, key, "branches", span, what)

    def _terms(self, condition: Condition, kind: str, *, several: bool = False) -> None:
        """Each comparison, true and false; with `several` only where there is more than one (else the branch says it)."""
        found = list(terms(condition.node))
        for term in found if len(found) > 1 or not several else ():
            for held in ("true", "false"):
                self._add(term, held, kind, condition.span(*term.span), f"`{fql.show(term)}` is {held}")

    # Values.

    def _value(self, val: Val) -> None:
        node = val.node
        if isinstance(node, p.Omit):
            self._add(node, "removed", "branches", val.span, "`$omit` removes something")
        elif not val.parts and not isinstance(node, p.Messages):
            self._add(node, "value", "leaves", val.span, f"`{self._text(val.span)}` has a value")
        elif isinstance(node, p.When):
            self._when(val, node)
        elif isinstance(node, p.First):
            for index, part in enumerate(val.parts):
                self._add(
                    node, f"choice {index}", "branches", part.span, f"alternative {index + 1} of `$first` is taken"
                )
        elif isinstance(node, p.Pick):
            for key in node.keys:
                self._add(node, f"key {key}", "leaves", val.keys[key], f"`$pick` finds the key `{key}`")
            if node.keys_of is not None:
                self._add(node, "any key", "leaves", val.words["keys"], "`$pick` finds a key of the setting")
        elif isinstance(node, p.Drop):
            for key in node.keys:
                self._add(node, f"key {key}", "branches", val.keys[key], f"`$drop` leaves out the key `{key}`")
            if node.keys_of is not None:
                self._add(node, "any key", "branches", val.words["keys"], "`$drop` leaves out a key of the setting")
        elif isinstance(node, p.Lookup):
            for key in node.table:
                self._add(node, f"entry {key}", "branches", val.keys[key], f"`$lookup` takes the entry `{key}`")
            if node.table_of is not None:
                self._add(node, "any entry", "branches", val.words["in"], "`$lookup` takes an entry of the setting")
            self._add(node, "else", "branches", val.words.get("else", val.span), "`$lookup` finds no entry")
        elif isinstance(node, p.From):
            self._checks(val, node)
        elif isinstance(node, p.Each):
            self._each(val, node)
        elif isinstance(node, p.Find):
            self._add(node, "found", "branches", val.span, "`$find` finds an item")
            self._add(node, "none", "branches", val.span, "`$find` finds none")
            self._condition(val, node)
        elif isinstance(node, p.Get):
            self._add(node, "got", "leaves", val.span, "`$get` finds the member")
        for part in val.parts:
            self._value(part)

    def _when(self, val: Val, node: p.When) -> None:
        self._add(node, "then", "branches", val.words["then"], "`then` is taken")
        other = "`else` is taken" if "else" in val.words else "the condition of `$when` does not hold"
        self._add(node, "else", "branches", val.words.get("else", val.span), other)
        self._condition(val, node)

    def _each(self, val: Val, node: p.Each) -> None:
        self._add(node, "item", "branches", val.words["to"], "`$each` has an item")
        if node.single:
            self._add(node, "wrapped", "branches", val.words["single"], "one value is taken for a list of one")
        if node.where is not None:
            self._add(node, "kept", "branches", val.words["where"], "`where` holds")
            self._add(node, "dropped", "branches", val.words["where"], "`where` does not hold")
            self._condition(val, node)

    def _condition(self, val: Val, node: p.When | p.Each | p.Find) -> None:
        assert val.condition is not None
        self.conditions[id(node)] = val.condition
        self._terms(val.condition, "branches", several=True)

    def _checks(self, val: Val, node: p.From) -> None:
        if node.default is not None:
            self._add(node, "default", "branches", val.words["default"], "the default is taken")
        if node.single:
            self._add(node, "wrapped", "branches", val.words["single"], "one value becomes a list of one")
        if node.invalid == "omit":
            self._add(node, "invalid", "branches", val.words["invalid"], "an invalid value is left out")
        if node.required:
            self._add(node, "required", "branches", val.words["required"], "a required value is missing")

    def _text(self, span: Span) -> str:
        text = " ".join(self.source.text[span.start : span.end].split())
        return text if len(text) <= 60 else text[:57] + "..."


def terms(node: fql.Node) -> Iterator[fql.Node]:
    """The comparisons and function calls of a condition."""
    for inner in fql.nodes(node):
        if not isinstance(inner, (fql.And, fql.Or, fql.Not)):
            yield inner


def response_rules(request: RequestSpec) -> Iterator[tuple[str, Span, str]]:
    """(key, place, what) of each rule of `responses`; the key is "STATUS INDEX", or says more where messages are named."""
    conditions = iter(request.conditions)
    readers = iter(request.readers)
    for status, rules in request.plain.responses.items():
        for index, rule in enumerate(rules):
            span = request.spans[f"responses.{status}"] if rule.test is None else next(conditions).scalar.span
            key = f"{status} {index}"
            if not rule.results:
                yield key, span, f"the answer {status} is {rule.then}"
                continue
            held = next(readers)
            yield f"{key} rest", held.rest_span, f"a message that the answer {status} does not name is {rule.then}"
            for at, reader in enumerate(rule.results):
                held = held if at == 0 else next(readers)
                tests = iter(held.conditions)
                for number, inner in enumerate(reader.then):
                    place = held.spans.get("then", held.span) if inner.test is None else next(tests).scalar.span
                    said = f"a message that the answer {status} names is {inner.then}"
                    yield f"{key} {at} {number}", place, said
