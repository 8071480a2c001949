"""The table of promises: each names a test that exists, and a change of the engine that can be made (mutations.py makes it)."""

from __future__ import annotations

import ast
from collections.abc import Callable

import pytest
from test_docs import DOCS, filled, rows

from conftest import ROOT
from mutations import Mutation, mutations

MUTATIONS = mutations()


def test_every_promise_has_a_test_and_a_change() -> None:
    assert list(dict.fromkeys(row.promise for row in MUTATIONS)) == [f"P{number}" for number in range(1, 17)]


@pytest.mark.parametrize("row", MUTATIONS, ids=lambda row: f"{row.promise} {row.change}")
def test_row_names_what_there_is(row: Mutation) -> None:
    text = (ROOT / "engine" / "waypost" / row.file).read_text(encoding="utf-8")
    ast.parse(row.made(text))
    file, _, name = row.test.partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name.partition("[")[0] in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_table_of_promises(golden: Callable[[object, str], None]) -> None:
    lines = []
    for row in MUTATIONS:
        test, place = row.test.removeprefix("tests/").replace(".py::", ": "), row.file
        lines.append(f"| {row.promise} | {row.says} | `{test}` | {place}: {row.change} |")
    path = DOCS / "delivery.md"
    golden(path, filled(path, "promises", rows("| | promise | test | breaks when |", lines)))
