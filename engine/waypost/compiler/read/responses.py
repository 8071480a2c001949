"""`responses`: what an answer means, for the request or for each message that it names.

Takes the map of statuses. Gives the plan's rules by status, the conditions of those rules in written order, and a ReaderSpec for each reader of
`results`, with the places of its words. A list at `at` is written out: a path there is a reader like the one around it, a map is laid over it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from waypost import plan as p
from waypost.compiler.read.closed_maps import describe
from waypost.compiler.read.document import Map, Node, Scalar, Seq
from waypost.compiler.read.places import RESPONSE, RESULT
from waypost.compiler.read.values import Values
from waypost.compiler.report.diagnostic import Fix
from waypost.compiler.report.suggest import nearest
from waypost.compiler.spec import Condition, ReaderSpec

RULE = ("if", "then", "results", "rest")
READER = ("at", "list", "index", "value", "of", "where", "reason", "then")
STATUS = r"[1-5][0-9][0-9]|[1-5]xx|unsent|unanswered"
_STATUSES = ("2xx", "3xx", "4xx", "5xx", "unsent", "unanswered")
OUTCOMES = ("ok", "retry", "throttle", "split", "reject", "stop")
_INTO_BODY = re.compile(r"\$?\.?body(?=[.\[]|$)")

_NO_READER = "such as `results: {at: $body.errors, index: $item.index, then: reject}`"


@dataclass
class Responses:
    """What is read of `responses`."""

    rules: dict[str, list[p.ResponseRule]] = field(default_factory=dict)
    conditions: list[Condition] = field(default_factory=list)
    readers: list[ReaderSpec] = field(default_factory=list)


def read_responses(node: Node | None, values: Values) -> Responses:
    found = Responses()
    held = values.closed.map(node, "`responses`")
    for name, value in held.entries if held else ():
        if not re.fullmatch(STATUS, name.text):
            near = {"timeout": "unanswered", "default": "4xx"}.get(name.text) or nearest(name.text, _STATUSES)
            values.closed.add(
                "S105",
                f"`{name.text}` is no status",
                name.span,
                f"did you mean `{near}`?" if near else "expected `400`, `4xx`, `unsent` or `unanswered`",
                fix=Fix(name.span, near, safe=True) if near and near == name.text.lower() else None,
            )
            continue
        reading = _Status(name.text, values, found)
        rules = [reading.rule(item) for item in (value.items if isinstance(value, Seq) else (value,))]
        found.rules[name.text] = [rule for rule in rules if rule is not None]
    return found


class _Status:
    """Reads what stands at one status."""

    def __init__(self, status: str, values: Values, found: Responses) -> None:
        self.status = status
        self.values = values
        self.closed = values.closed
        self.found = found

    def rule(self, node: Node) -> p.ResponseRule | None:
        if isinstance(node, Map):
            if node.get("results") is not None or node.get("rest") is not None:
                return self.by_message(node)
            self.closed.keys(node, RULE, "a response rule")
            return self.conditional(node, self.found.conditions)
        return self.outcome(node, "a response is an outcome or a list of them")

    def conditional(self, node: Map, conditions: list[Condition]) -> p.ResponseRule | None:
        """`{if: …, then: …}`."""
        then = self.closed.need(node, "then", "a response rule")
        test_node = self.closed.need(node, "if", "a response rule")
        place = RESPONSE if conditions is self.found.conditions else RESULT
        test = self.values.condition(test_node, place, "`if`") if test_node is not None else None
        if test is None:
            return None
        conditions.append(test)
        return p.ResponseRule(then=self.closed.one_of(then, OUTCOMES, "the outcome", "reject"), test=test.text)

    def outcome(self, node: Node, what: str) -> p.ResponseRule | None:
        if not isinstance(node, Scalar):
            self.closed.add("S104", what, node.span, f"found {describe(node)}")
            return None
        return p.ResponseRule(then=self.closed.one_of(node, OUTCOMES, "the outcome", "reject"))

    # An outcome for each message.

    def by_message(self, node: Map) -> p.ResponseRule | None:
        closed, what = self.closed, "a response rule with `results`"
        closed.keys(node, [word for word in RULE if word != "then"], what)
        test = None
        if (test_node := node.get("if")) is not None:
            test = self.values.condition(test_node, RESPONSE, "`if`")
            if test is not None:
                self.found.conditions.append(test)
        rest_node = closed.need(
            node, "rest", what, "say what becomes of the others: `rest: ok` where they were accepted"
        )
        rest = closed.one_of(rest_node, OUTCOMES, "the outcome", "reject")
        results = closed.need(node, "results", what, _NO_READER)
        if results is None or rest_node is None:
            return None
        first = len(self.found.readers)
        readers = [self.reader(item) for item in _items(results)]
        rule = p.ResponseRule(
            then=rest,
            test=test.text if test is not None else None,
            results=[reader for group in readers for reader in group],
        )
        for at in range(first, len(self.found.readers)):
            held = self.found.readers[at]
            self.found.readers[at] = replace(held, rest=rest, rest_span=rest_node.span)
        if isinstance(results, Seq) and not results.items:
            closed.add("S104", "`results` has no reader", results.span, "the list is empty", _NO_READER)
        return rule if rule.results else None

    def reader(self, node: Node) -> list[p.Reader]:
        """A reader, or as many as the paths and maps in its `at`."""
        held = self.closed.map(node, "a reader of `results`", _NO_READER)
        if held is None:
            return []
        self.closed.keys(held, READER, "a reader of `results`")
        at = self.closed.need(
            held, "at", "a reader of `results`", "name the list of what failed, such as `at: $body.errors`"
        )
        if not isinstance(at, Seq):
            return [] if at is None else self.one(held, at)
        if not at.items:
            self.closed.add("S104", "`at` is a path or a list of them", at.span, "the list is empty")
        found: list[p.Reader] = []
        for item in at.items:
            if isinstance(item, Map):
                found += self.reader(_laid(held, item))
            else:
                found += self.one(held, item)
        return found

    def one(self, node: Map, at_node: Node) -> list[p.Reader]:
        closed, values, what = self.closed, self.values, "a reader of `results`"
        at = self.at(at_node)
        index, value, of = (node.get(word) for word in ("index", "value", "of"))
        if index is None and value is None:
            closed.need(node, "index", what, "or `value: $item.…` with `of:`, the field that it is equal to")
        elif index is not None and value is not None:
            key = node.key("value")
            closed.add("S108", f"{what} has `index` or `value`, and this has both", key.span if key else value.span)
        if value is not None and of is None:
            closed.need(node, "of", "`value`", "name the output field that it is equal to, such as `of: email`")
        elif of is not None and value is None and index is not None:
            closed.add("S108", "`of` stands beside `value`, and here is `index`", of.span)
        name = closed.texts(of, "`of`")
        if isinstance(of, Seq):
            closed.add("S104", "`of` is one output field", of.span, "found a list")
        conditions: list[Condition] = []
        where_node, reason_node = node.get("where"), node.get("reason")
        where = values.condition(where_node, RESULT, "`where`") if where_node is not None else None
        then_node = closed.need(node, "then", what, "say what becomes of a message that is named: `then: reject`")
        then = [self.then(item, conditions) for item in _items(then_node)] if then_node is not None else []
        if isinstance(then_node, Seq) and not then_node.items:
            closed.add("S104", "`then` is an outcome or a list of them", then_node.span, "the list is empty")
        rules = [rule for rule in then if rule is not None]
        if at is None or (index is None and value is None) or not rules:
            return []
        reader = p.Reader(
            at=at,
            list_name=self.text_or_path(node.get("list")),
            index=values.value(index, RESULT).node if index is not None else None,
            value=values.value(value, RESULT).node if value is not None and index is None else None,
            of=name[0].text if name and index is None else "",
            where=where.text if where is not None else None,
            reason=self.text_or_path(reason_node),
            then=rules,
        )
        self.found.readers.append(
            ReaderSpec(self.status, reader, "", at_node.span, at_node.span, node.spans, tuple(conditions))
        )
        return [reader]

    def at(self, node: Node) -> p.Value | None:
        if not isinstance(node, Scalar) or node.kind != "text":
            self.closed.add(
                "S104", "`at` is a path into the answer, or a list of them", node.span, f"found {describe(node)}"
            )
            return None
        if not node.text.startswith("$"):
            whole = _INTO_BODY.sub("$body", node.text, count=1)
            fix = Fix(node.span, whole, safe=True) if whole != node.text and node.style == "plain" else None
            label = f"did you mean `{whole}`?" if fix is not None else f"found {describe(node)}"
            self.closed.add("S104", "`at` is a path into the answer", node.span, label, "such as `$body.errors`", fix)
            return None
        found = self.values.path(node, RESULT)
        if found is not None and isinstance(found.node, p.Path) and found.node.path.startswith("$item"):
            help_text = "the items are what `at` names, so write a path from `$body`"
            self.closed.add("P104", "`at` begins with `$body`", node.span, "there is no item yet", help_text)
            return None
        return found.node if found is not None else None

    def then(self, node: Node, conditions: list[Condition]) -> p.ResponseRule | None:
        if isinstance(node, Map):
            self.closed.keys(node, RULE[:2], "an outcome of `then`")
            return self.conditional(node, conditions)
        return self.outcome(node, "`then` is an outcome or a list of them")

    def text_or_path(self, node: Node | None) -> p.Value | None:
        if node is None:
            return None
        path = isinstance(node, Scalar) and re.match(r"\$(item|body|key)\b", node.text) is not None
        return (self.values.value if path or not isinstance(node, Scalar) else self.values.text)(node, RESULT).node


def _items(node: Node) -> tuple[Node, ...]:
    return tuple(node.items) if isinstance(node, Seq) else (node,)


def _laid(under: Map, over: Map) -> Map:
    """A reader in `at`, with the words around it that it does not write itself. `index` and `value` stand for each other."""
    own = {name.text for name, _ in over.entries}
    taken = own | {"at"} | ({"index", "value", "of"} if own & {"index", "value"} else set())
    kept = tuple(entry for entry in under.entries if entry[0].text not in taken)
    return replace(over, entries=(*over.entries, *kept))
