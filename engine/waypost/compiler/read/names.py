"""The names in expressions: whether an event's fields and a spec's settings are what an expression takes them for.

Takes what paths, templates and conditions name, with the place. Reports names that mean nothing (P103, P105, T108, T109), and text of a filter
that looks like a pattern (T113).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from waypost import plan as p
from waypost.compiler.check import event_fields
from waypost.compiler.read import several
from waypost.compiler.read.closed_maps import Closed
from waypost.compiler.read.document import Scalar
from waypost.compiler.read.places import Place
from waypost.compiler.read.source import Span
from waypost.compiler.report.diagnostic import Diagnostic, Fix, Label
from waypost.compiler.report.suggest import nearest
from waypost.lang import jsonpath


class Names:
    """The names of one spec. State: the settings that have been named."""

    def __init__(self, closed: Closed, settings: dict[str, p.Setting]) -> None:
        self.closed = closed
        self.settings = settings
        self.used_settings: set[str] = set()

    def known_fields(self, parts: Sequence[Any], node: Scalar, at: int) -> None:
        """Whether the names of an event's path are fields; `at` is where they begin in the scalar's text."""
        for index, name in enumerate(parts):
            if not isinstance(name, str):
                return
            start = node.text.find(name, at)
            at = start + len(name) if start >= 0 else at
            if event_fields.is_known(tuple(parts[:index]), name):
                continue
            span = node.locate(start, start + len(name)) if start >= 0 else node.span
            if not self.known_field(tuple(parts[:index]), name, span):
                return

    def known_field(self, inside: tuple[Any, ...], name: str, span: Span) -> bool:
        """Whether the name may stand in that object of an event. The event itself is closed; the context is open, but not to slips."""
        if not inside and name not in event_fields.KINDS:
            near = nearest(name, event_fields.KINDS)
            self.closed.add(
                "P103",
                f"`{name}` is not a field of an event",
                span,
                f"did you mean `{near}`?" if near else "",
                "" if near else f"an event has {', '.join(sorted(event_fields.KINDS))}",
                Fix(span, near, safe=True) if near else None,
            )
            return False
        if kind := event_fields.holds_nothing(inside):
            whole, own = ".".join(map(str, inside)), inside == ("event",) and name in event_fields.KINDS
            help_text = f"`$` is the event itself: did you mean `$.{name}`?" if own else f"`{whole}` is the whole value"
            self.closed.add(
                "P103", f"`{whole}` is {kind}: there is no `{name}` in it", span, "always missing", help_text
            )
            return False
        known = event_fields.INSIDE.get(inside)
        if known is None or name in known or len(name) < 3:
            return True
        near = nearest(name, known)
        if near is None:
            return True
        place = ".".join(map(str, inside))
        self.closed.report.add(
            Diagnostic(
                "P105",
                f"`{name}` is not a field of `{place}` that the specification names",
                Label(span, f"did you mean `{near}`?"),
                f"or excuse the line when your events carry it: `# waypost: allow P105 ({place}.{name} is ours)`",
                fix=Fix(span, near),
                severity="warning",
            )
        )
        return False

    def of_template(self, found: p.Value, node: Scalar, place: Place) -> None:
        """The event fields, settings and fields of rows that a template names."""

        def look(inner: p.Value) -> None:
            if isinstance(inner, p.Path) and inner.path.startswith("$."):
                parts = jsonpath.parse(inner.path).parts
                whole = node.text.find(".".join(["event", *map(str, parts)]))
                self.known_fields(parts, node, max(whole, node.text.find("event")) + len("event"))
            elif isinstance(inner, p.Path) and inner.path.startswith("$item"):
                several.known(self.closed, place.part, jsonpath.parse(inner.path, item=True).parts, node.span)
            elif isinstance(inner, p.Ref) and inner.name.startswith("settings."):
                start = node.text.find(inner.name)
                self.setting(inner.name, node.locate(start, start + len(inner.name)) if start >= 0 else node.span)
            elif isinstance(inner, p.Filter) and inner.name in ("replace", "split"):
                self._plain(inner, node)
            elif isinstance(inner, p.Text):
                several.refuse_text(self.closed, self.settings, inner.parts, node)

        p.rewrite(found, look)

    def _plain(self, found: p.Filter, node: Scalar) -> None:
        """`replace('[^0-9]', '')`: what looks like a pattern is read as the text that it is."""
        text = found.args[0].value if isinstance(found.args[0], p.Const) else ""
        if not _PATTERN.search(text):
            return
        start = node.text.find(text)
        digits = found.name == "replace" and text in ("[^0-9]", "[^\\d]", "\\D", "[^0-9]+", "\\D+")
        label = Label(node.locate(start, start + len(text)) if start >= 0 else node.span, "plain text, not a pattern")
        help = (
            "the filter `digits` keeps the digits"
            if digits
            else "`replace_pattern` takes a pattern"
            if found.name == "replace"
            else "chain one filter for each text: `| replace('-', '') | …`"
        )
        message = f"`{found.name}` finds exactly `{text}`"
        self.closed.report.add(Diagnostic("T113", message, label, help, severity="warning"))

    def named_anyhow(self, node: Scalar) -> None:
        """A setting named in what cannot be read is used all the same."""
        self.used_settings.update(re.findall(r"\bsettings\.(\w+)", node.text))

    def setting(self, name: str, span: Span) -> None:
        """Whether `settings.a` or `settings.a.key` means something."""
        _, first, *rest = name.split(".")
        setting = self.settings.get(first)
        if setting is None:
            near = nearest(first, self.settings)
            self.closed.add(
                "T108",
                f"there is no setting `{first}`",
                span,
                f"did you mean `settings.{near}`?" if near else "",
                f"the settings are {', '.join(self.settings)}" if self.settings else "the spec has no `settings:`",
                Fix(span, ".".join(["settings", near, *rest]), safe=True) if near else None,
            )
            return
        self.used_settings.add(first)
        if not rest:
            return
        if setting.type != "choice":
            self.closed.add("T109", f"the setting `{first}` has no keys", span, help=f"write `settings.{first}`")
        else:
            lacking = [key for key, data in setting.choices.items() if rest[0] not in data]
            if lacking:
                known = sorted({key for data in setting.choices.values() for key in data})
                near = nearest(rest[0], known)
                self.closed.add(
                    "T109",
                    f"the choice `{lacking[0]}` of `{first}` has no `{rest[0]}`",
                    span,
                    f"did you mean `{near}`?" if near else "",
                    "every choice carries the same keys",
                )


_PATTERN = re.compile(
    r"\[\^|\[[^\]]*\w-\w[^\]]*\]|\[[^\]]+\][+*?{]|\[[^\w\s]{2,}\]|\\[dDwWsSbB.]|\.[*+]|\((?:\?|[^()]*\|)|^\^."
)
"""What hardly stands in a text that is to be found as it is."""
