"""What a little language says of a text it cannot take: a message and a span of offsets in that text, never a file position.

Only the compiler turns one into a Diagnostic, because only it knows where in which file the text stands.
"""

from __future__ import annotations


class LangError(Exception):
    """A fault in a trigger, path or template.

    `kind` is a stable short word for it (syntax, unknown_root, unknown_filter, ...; each module lists its own), `start` and `end` are
    character offsets into the text, `help` says what to write instead, and `replacement` is the text that would mend the span;
    `certain`: nothing else can have been meant.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        start: int,
        end: int,
        *,
        help: str = "",
        replacement: str | None = None,
        certain: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.start = start
        self.end = end
        self.help = help
        self.replacement = replacement
        self.certain = certain
