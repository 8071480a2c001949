"""`values:` of a spec: values with a name, put in wherever `{$use: NAME}` stands.

Takes the document's node of `values:`. Gives the values as they are written: each use reads them anew at its place, so that `$item` means the
item there, and every finding stands where the value is written. State: which were used, and which are being read (for circles).
"""

from __future__ import annotations

from waypost.compiler.read.closed_maps import Closed
from waypost.compiler.read.document import Node, Scalar
from waypost.compiler.report.diagnostic import Diagnostic, Fix, Label, Report
from waypost.compiler.report.suggest import nearest


class NamedValues:
    def __init__(self, report: Report) -> None:
        self.report = report
        self._held: dict[str, tuple[Scalar, Node]] = {}
        self._used: set[str] = set()
        self._reading: list[str] = []

    def read(self, node: Node | None) -> None:
        for name, value in Closed(self.report).named(node, "`values`", "a value"):
            self._held[name.text] = (name, value)

    def begin(self, name: Scalar) -> Node | None:
        """The value of that name, which is being read until `end`; None for what cannot be had, which is reported."""
        found = self._held.get(name.text)
        if found is None:
            near = nearest(name.text, self._held)
            known = f"the values are {', '.join(self._held)}" if self._held else "the spec has no `values:`"
            self._add(
                "U115", f"there is no value `{name.text}`", name, f"did you mean `{near}`?" if near else "", known, near
            )
            return None
        self._used.add(name.text)
        if name.text in self._reading:
            way = " -> ".join([*self._reading[self._reading.index(name.text) :], name.text])
            self._add("U117", "values that are made of each other in a circle", name, way, "take one `$use` out")
            return None
        self._reading.append(name.text)
        return found[1]

    def end(self) -> None:
        self._reading.pop()

    def unused(self) -> None:
        for text, (name, _) in self._held.items():
            if text not in self._used:
                help_text = f"put it in with `{{$use: {text}}}`, or remove it"
                self._add("U116", f"the value `{text}` is not used", name, "", help_text)

    def _add(self, code: str, message: str, at: Scalar, label: str, help_text: str, near: str | None = None) -> None:
        fix = Fix(at.span, near, safe=True) if near else None
        self.report.add(Diagnostic(code, message, Label(at.span, label), help_text, (), fix))
