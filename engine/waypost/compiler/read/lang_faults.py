"""What a little language says of a text becomes a finding at its place in the file, with the edit that mends it.

Takes a LangError and the scalar that its offsets count in. Reports under the code that a table here gives for the error's kind.
"""

from __future__ import annotations

from waypost.compiler.read.closed_maps import Closed
from waypost.compiler.read.document import Scalar
from waypost.compiler.report.diagnostic import Fix
from waypost.lang.errors import LangError

PATH_CODES = {"syntax": "P101", "unsupported": "P102", "unknown_root": "P104"}
TEMPLATE_CODES = {
    "syntax": "T101",
    "unknown_root": "T102",
    "root_not_here": "T103",
    "unknown_filter": "T104",
    "filter_args": "T105",
    "hyphen": "T111",
    "construct": "T106",
    "loose_filter": "T115",
}
FQL_CODES = {
    "syntax": "Q101",
    "unknown_root": "Q102",
    "unknown_function": "Q103",
    "type": "Q104",
    "bare_path": "Q105",
    "arity": "Q106",
    "unknown_type": "Q107",
}


def report_fault(closed: Closed, codes: dict[str, str], error: LangError, scalar: Scalar) -> None:
    """A little language's fault, at its place in the file."""
    span = scalar.locate(error.start, error.end)
    fix = _edit(scalar, error)
    label = f"did you mean `{error.replacement}`?" if error.replacement is not None else ""
    closed.add(codes[error.kind], error.message, span, label, error.help, fix)


def _edit(scalar: Scalar, error: LangError) -> Fix | None:
    """The replacement as an edit of the file, where the quotes around the text let it stand."""
    written = error.replacement
    if written is None:
        return None
    quote = {"single": "'", "double": '"'}.get(scalar.style, "")
    if scalar.style == "plain" or (quote and not set(written) & {quote, "\\"}):
        return Fix(scalar.locate(error.start, error.end), written, safe=error.certain)
    whole = scalar.text[: error.start] + written + scalar.text[error.end :]
    if scalar.style == "double" and not set(whole) & {"'", "\\", "\n"}:
        return Fix(scalar.span, f"'{whole}'", safe=error.certain)
    return None
