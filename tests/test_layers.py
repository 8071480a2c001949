"""Imports point one way, each library has one door, and engine/ names no destination."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from waypost.runtime.receive import Receiver

ENGINE = Path(__file__).resolve().parent.parent / "engine" / "waypost"
SPECS = Path(__file__).resolve().parent.parent / "specs"
MODULES = sorted(path for path in ENGINE.rglob("*.py"))

MAY_IMPORT = {
    "lang": {"lang", "plan"},
    "plan": set(),
    "catalog": set(),
    "compiler": {"compiler", "lang", "plan", "catalog"},
    "runtime": {"runtime", "lang", "plan"},
    "notation": {"notation", "lang", "plan"},
    "diffing": {"diffing", "notation", "runtime", "lang", "plan"},
    "benching": {"benching", "runtime", "lang", "plan"},
    "testing": {"testing", "runtime", "compiler", "lang", "plan", "catalog"},
    "pages": {"pages", "notation", "runtime", "lang", "plan"},
    "scaffold": {"scaffold", "notation", "compiler", "lang", "plan"},
    "cli": {
        "cli",
        "benching",
        "pages",
        "scaffold",
        "diffing",
        "testing",
        "runtime",
        "compiler",
        "lang",
        "plan",
        "catalog",
    },
}
DOORS = {
    "ruamel": {"compiler/document.py"},
    "jsonpath_ng": {"lang/jsonpath.py"},
    "jinja2": {"lang/template.py"},
    "httpx": {"runtime/transport.py"},
    "uvicorn": {"runtime/sources/serving.py"},
    "httptools": set(),
    "re2": {"lang/patterns.py"},
}


@functools.cache
def imported(path: Path) -> set[str]:
    """Every module name that a file imports, at any depth of its functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(path: Path) -> str:
    return path.relative_to(ENGINE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ENGINE)))
def test_imports_point_one_way(path: Path) -> None:
    """compiler and runtime never import each other, and neither reaches back to the command line."""
    own = room(path)
    if own in ("__init__", "__main__", "api"):
        return
    rooms = {name.split(".")[1] for name in imported(path) if name.startswith("waypost.") and name.count(".") >= 1}
    assert rooms - {"__version__"} <= MAY_IMPORT[own], f"{own} imports {sorted(rooms - MAY_IMPORT[own])}"


@pytest.mark.parametrize("library", DOORS)
def test_one_door_a_library(library: str) -> None:
    users = {
        str(path.relative_to(ENGINE))
        for path in MODULES
        if any(name.split(".")[0] == library for name in imported(path))
    }
    assert users <= DOORS[library]


def test_click_stays_in_cli() -> None:
    assert {room(path) for path in MODULES if any(name.split(".")[0] == "click" for name in imported(path))} == {"cli"}


def test_engine_names_no_destination() -> None:
    """Destination knowledge lives in specs/ only."""
    names = [path.name for path in SPECS.iterdir() if path.is_dir() and path.name not in ("webhook", "slack")]
    assert names
    pattern = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in names), re.IGNORECASE)
    found = [
        f"{path.relative_to(ENGINE)}:{number}: {line.strip()}"
        for path in MODULES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


def loaded(*words: str) -> set[str]:
    """The modules that a command has loaded when it ends."""
    code = (
        "import sys, contextlib, io\n"
        "from waypost.cli.main import cli\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    cli.main({list(words)!r})\n"
        "print(*(name for name, module in sys.modules.items() if module is not None))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=SPECS.parent,
        env={"KEY": "k", "PATH": ""},
    )
    return set(done.stdout.strip().splitlines()[-1].split())


RUN = ("run", "segment", "--set", "source_write_key=env:KEY", "examples/events.ndjson")
NOT_FOR_A_RUN = {"ruamel", "jinja2", "jsonpath_ng", "re2", "uvicorn", "httptools", "rich", "pygments", "markdown_it"}
"""Libraries that a run of a shipped plan has no use for: those of the compiler, of the ingest, and of the progress bar."""


def test_running_a_plan_loads_no_compiler() -> None:
    """`run` on a compiled plan imports neither the compiler nor the libraries that only it needs."""
    found = loaded(*RUN, "--dry-run")
    assert {name for name in found if name.startswith("waypost.compiler")} == set()
    assert {name.partition(".")[0] for name in found} & {*NOT_FOR_A_RUN, "httpx"} == set()


def test_delivering_loads_no_more_than_the_client(tmp_path: Path) -> None:
    with Receiver(port=0) as receiver:
        found = loaded(*RUN, "--endpoint-override", receiver.url, "--dead-letters", str(tmp_path / "dead.ndjson"))
        assert receiver.requests
    assert "httpx" in found
    assert {name for name in found if name.startswith("waypost.compiler")} == set()
    assert {name.partition(".")[0] for name in found} & NOT_FOR_A_RUN == set()


def test_the_version_loads_next_to_nothing() -> None:
    found = loaded("--version")
    assert {name for name in found if name.startswith("waypost")} == {"waypost", "waypost.cli", "waypost.cli.main"}
    assert {name.partition(".")[0] for name in found} & {
        *NOT_FOR_A_RUN,
        "msgspec",
        "httpx",
        "asyncio",
        "sqlite3",
    } == set()
