"""The examples of docs/spec-reference.md: a mapping in a yaml block, with a table `event | message` behind it, gives what the table says."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from conftest import ROOT
from waypost.compiler.pipeline import compile_text
from waypost.events.results import Mapped
from waypost.program.program import link

PAGE = (ROOT / "docs" / "spec-reference.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(
    r"```yaml\n((?:(?!```).)*)```\n\n\| event \| message \|\n\|---\|---\|\n((?:\|[^\n]*\n)+)", PAGE, re.DOTALL
)
ROWS = [
    (mapping, event, message)
    for mapping, rows in EXAMPLES
    for event, message in re.findall(r"\| `(.*)` \| `(.*)` \|", rows)
]
SPEC = """\
spec: 1
name: example
request: {post: "https://dest.example/x", body: $message}
"""


@pytest.mark.parametrize(("text", "event", "message"), ROWS)
def test_an_example_is_true(text: str, event: str, message: str) -> None:
    """Of a block with `mapping:` it is a part of a spec; else it is the fields of a mapping."""
    if "mapping:" not in text:
        text = f"actions:\n  a:\n    trigger: userId != null\n    mapping:\n{text}"
        text = re.sub(r"^(?=\S)(?!actions:)", " " * 6, text, flags=re.MULTILINE)
    plan, report = compile_text(SPEC + text, "destination.yaml")
    assert plan is not None, [found.message for found in report.diagnostics]
    line: dict[str, Any] = {"type": "track", "userId": "u", **json.loads(event)}
    [found] = link(plan, {}).map(json.dumps(line).encode(), 0, b"", 1_795_000_000.0)
    assert isinstance(found, Mapped), found
    assert json.loads(found.body) == json.loads(message)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 1
    assert len(ROWS) >= 5
