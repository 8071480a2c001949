"""golden.json: every full request of a spec's tests, the bytes of the messages as they are, for people to review.

Takes what became of each delivery. Gives the file's text and how it differs from the one that was reviewed. When only some tests ran, the
others keep their entries.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from waypost.authoring.test.case_run import Delivered

Rows = list[dict[str, Any]]


def rows(ended: Sequence[Delivered], *, several: bool = False) -> Rows:
    """What is kept of one test. Of several events each row says which, and a request that carries many messages is shown with its first."""
    found = [_row(item) for item in ended]
    if not several:
        return found
    shown: list[Any] = []
    for number, (row, item) in enumerate(zip(found, ended, strict=True)):
        found[number] = row = {"event": item.event + 1, **row}
        first = next((at for at, other in enumerate(shown) if other is item.request and item.request), None)
        if first is not None:
            row["request"] = f"that of delivery {first + 1}"
        shown.append(item.request)
    return found


def _row(item: Delivered) -> dict[str, Any]:
    if item.outcome in ("rejected", "filtered"):
        row = {"action": item.action, item.outcome: item.reason, "field": item.at}
        return {key: value for key, value in row.items() if value}
    return {"action": item.action, "outcome": item.outcome, "request": item.request}


def text(found: Mapping[str, Rows]) -> str:
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def reviewed(path: Path) -> dict[str, Rows] | None:
    """What the file holds: nothing when there is none, None when it cannot be read."""
    try:
        held = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (ValueError, RecursionError):
        return None
    return held if isinstance(held, dict) else None


def merged(names: Iterable[str], ran: Mapping[str, Rows], held: Mapping[str, Rows]) -> dict[str, Rows]:
    """The whole file after some tests ran: `names` are all tests in written order."""
    return {name: ran[name] if name in ran else held[name] for name in names if name in ran or name in held}


def diff(path: Path, ran: Mapping[str, Rows], *, whole: bool) -> str:
    """A unified diff from the reviewed file to what the requests are now; with `whole` false only of the tests that ran."""
    if whole:
        old = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    else:
        held = reviewed(path) or {}
        old = text({name: held[name] for name in ran if name in held})
    lines = (old.splitlines(keepends=True), text(ran).splitlines(keepends=True))
    return "".join(difflib.unified_diff(*lines, f"{path} (reviewed)", f"{path} (now)"))
