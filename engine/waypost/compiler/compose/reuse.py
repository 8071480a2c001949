"""One rule of laying over, for `use`, `like`, an action's `request` and a connection.

A connection's actions come last, over what an action is `like`, what it `use`s and its own: `$omit` may remove what any of them brings.

Takes document nodes. Gives document nodes, in which every leaf still stands where it was written. Plain maps (`$merge` ones too) are joined
key by key, and `$merge` counts as a key; everything else replaces whole; lists replace, but `require` adds up; `$omit` removes a key, or
stays where a `$merge` could bring the key back. Faults are of family U.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from waypost.compiler.read.document import Map, Node, Scalar, Seq
from waypost.compiler.read.operators import is_operator
from waypost.compiler.read.source import Span
from waypost.compiler.report.diagnostic import Diagnostic, Fix, Label, Report
from waypost.compiler.report.suggest import nearest
from waypost.lang.bodies import FORMATS

METHODS = ("get", "post", "put", "patch", "delete")


def is_omit(node: Node) -> bool:
    return isinstance(node, Scalar) and node.style == "plain" and node.text == "$omit"


def is_plain_map(node: Node) -> bool:
    """A map of ordinary keys, also beside `$merge`: what is joined key by key."""
    return isinstance(node, Map) and not any(is_operator(name) for name in node.names if name != "$merge")


@dataclass(frozen=True)
class Layer:
    """What a connection lays over its destination's spec."""

    request: Map | None = None
    shared: Map | None = None
    actions: Map | None = None


def lay_over(base: Map, over: Map, report: Report, adds: tuple[str, ...] = (), *, request: bool = False) -> Map:
    """`over` laid over `base`. The lists under the keys in `adds` (at this level) add up. In a request one method and one body replace
    another."""
    entries = {name.text: (name, node) for name, node in base.entries}
    merges = "$merge" in entries or over.get("$merge") is not None
    for name, node in over.entries:
        for family in (METHODS, (*FORMATS, "content_type")) if request else ():
            if name.text in family and name.text != "content_type":
                for other in family:
                    entries.pop(other, None) if other != name.text else None
        held = entries.get(name.text)
        if is_omit(node):
            _remove(entries, name, node, held is not None, merges, report)
        elif held is None:
            entries[name.text] = (name, node)
        else:
            # Only an action and a block, whose `require` adds up, have a request of their own.
            inner = name.text == "request" and bool(adds)
            entries[name.text] = (name, _joined(held[1], node, report, name.text in adds, request=inner))
    return Map(tuple(entries.values()), over.span)


def _joined(below: Node, above: Node, report: Report, adds: bool, *, request: bool) -> Node:
    if adds and isinstance(below, Seq) and isinstance(above, Seq):
        return Seq(below.items + above.items, above.span)
    if not (isinstance(above, Map) and is_plain_map(above)):
        return above
    if isinstance(below, Map) and is_plain_map(below):
        return lay_over(below, above, report, request=request)
    report.add(
        Diagnostic(
            "U103",
            "a plain map is laid over a value that has no keys to join",
            Label(above.span, "this map"),
            "write the whole value (with `$from`, `$merge`, …), or remove the one below with `$omit`",
            (Label(below.span, "laid over this"),),
        )
    )
    return above


def _remove(
    entries: dict[str, tuple[Scalar, Node]], name: Scalar, node: Node, held: bool, merges: bool, report: Report
) -> None:
    if merges:
        # The merged object may bring the key: it must be taken out of the output, not only out of the spec.
        entries[name.text] = (name, node)
    elif held:
        del entries[name.text]
    else:
        omit_of_nothing(name, node, report)


def omit_of_nothing(name: Scalar, node: Node, report: Report) -> None:
    report.add(
        Diagnostic(
            "U102",
            f"`$omit` of `{name.text}`, which is neither inherited nor merged in",
            Label(node.span, "removes nothing"),
            "remove this line",
        )
    )


def lay_actions(below: dict[str, Map], keys: dict[str, Scalar], over: Map, report: Report) -> dict[str, Map]:
    """Takes the spec's actions and their keys; adds and removes what a connection adds and removes, and gives what it lays over the others."""
    overs: dict[str, Map] = {}
    for name, node in over.entries:
        if is_omit(node):
            if below.pop(name.text, None) is None:
                omit_of_nothing(name, node, report)
        elif not isinstance(node, Map) or name.text.startswith("x-"):
            continue
        elif name.text in below:
            overs[name.text] = node
        elif node.get("like") is None and node.get("trigger") is None:
            _no_such_action(name, below, report)
        else:
            below[name.text], keys[name.text] = node, name
    return overs


def _no_such_action(name: Scalar, actions: dict[str, Map], report: Report) -> None:
    near = nearest(name.text, actions)
    report.add(
        Diagnostic(
            "U104",
            f"the destination has no action `{name.text}` to lay this over",
            Label(name.span, f"did you mean `{near}`?" if near else ""),
            f"its actions are {', '.join(actions)}; an added one has `like:` or a `trigger:`",
            fix=Fix(name.span, near, safe=True) if near else None,
        )
    )


def check_own_omits(node: Node, report: Report) -> None:
    """In what is left after laying over, an `$omit` stands beside a `$merge`; another one removes nothing."""
    if isinstance(node, Map):
        merges = node.get("$merge") is not None
        for name, value in node.entries:
            if is_omit(value) and not merges:
                omit_of_nothing(name, value, report)
            check_own_omits(value, report)
    elif isinstance(node, Seq):
        for item in node.items:
            check_own_omits(item, report)


class Blocks:
    """The shared blocks and raw actions of a spec, and what a connection lays over each action. State: which blocks have been used."""

    def __init__(
        self, shared: dict[str, Map], actions: dict[str, Map], report: Report, overs: Mapping[str, Map] = {}
    ) -> None:
        self.shared = shared
        self.actions = actions
        self.report = report
        self.overs = overs
        self.used: set[str] = set()

    def action(self, name: str, seen: tuple[str, ...] = ()) -> Map:
        """An action with what it is `like` and what it `use`s below it."""
        own = self.actions[name]
        over = self.overs.get(name, Map((), own.span))
        whole = Map((), own.span)
        like = over.get("like") or own.get("like")
        if isinstance(like, Scalar):
            whole = self._like(like, name, seen, whole)
        for block in self._names(over.get("use") or own.get("use")):
            found = self.shared.get(block.text)
            if found is None:
                near = nearest(block.text, self.shared)
                self.report.add(
                    Diagnostic(
                        "U101",
                        f"there is no shared block `{block.text}`",
                        Label(block.span, f"did you mean `{near}`?" if near else ""),
                        f"the shared blocks are {', '.join(self.shared)}"
                        if self.shared
                        else "the spec has no `shared:`",
                    )
                )
                continue
            self.used.add(block.text)
            whole = lay_over(whole, found, self.report, ("require",))
        for layer in (own, over):
            bare = Map(tuple(entry for entry in layer.entries if entry[0].text not in ("use", "like")), own.span)
            whole = lay_over(whole, bare, self.report, ("require",))
        return whole

    def _like(self, like: Scalar, name: str, seen: tuple[str, ...], whole: Map) -> Map:
        if like.text not in self.actions:
            near = nearest(like.text, self.actions)
            self.report.add(
                Diagnostic(
                    "U104",
                    f"there is no action `{like.text}` to be like",
                    Label(like.span, f"did you mean `{near}`?" if near else ""),
                    f"the actions are {', '.join(self.actions)}",
                )
            )
            return whole
        if like.text in (*seen, name):
            self.report.add(
                Diagnostic("U105", "an action is built on itself", Label(like.span), "break the circle of `like`")
            )
            return whole
        return self.action(like.text, (*seen, name))

    @staticmethod
    def _names(node: Node | None) -> list[Scalar]:
        if isinstance(node, Scalar):
            return [node]
        return [item for item in node.items if isinstance(item, Scalar)] if isinstance(node, Seq) else []

    def unused(self, keys: dict[str, Span]) -> None:
        for name, span in keys.items():
            if name not in self.used and name in self.shared:
                self.report.add(
                    Diagnostic(
                        "U106",
                        f"the shared block `{name}` is not used",
                        Label(span),
                        "name it in an action's `use:`, or remove it",
                    )
                )
