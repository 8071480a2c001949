"""The house: rooms and files import one way, without circles; each library has one door, and engine/ names no destination."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT
from waypost.http.receiver import Receiver

ENGINE = ROOT / "engine" / "waypost"
SPECS = ROOT / "specs"
MODULES = sorted(path for path in ENGINE.rglob("*.py"))

MAY_IMPORT = {
    "events": set(),
    "plan": set(),
    "lang": {"plan"},
    "compiler": {"lang", "plan"},
    "program": {"events", "lang", "plan"},
    "delivery": {"events", "lang", "plan"},
    "http": {"program", "delivery", "events", "lang", "plan"},
    "state": {"http", "delivery", "events", "plan"},
    "sources": {"state", "http", "delivery", "events", "lang", "plan"},
    "engine": {"sources", "state", "http", "delivery", "program", "events", "lang", "plan"},
    "operate": {"engine", "sources", "state", "http", "delivery", "program", "events", "lang", "plan"},
    "authoring": {"compiler", "program", "delivery", "http", "state", "sources", "events", "lang", "plan"},
}
"""Which rooms a room may import beside itself. cli may import every room, and no room imports it."""

DOORS = {
    "ruamel": {"compiler/read/document.py"},
    "jsonpath_ng": {"lang/jsonpath.py"},
    "jinja2": {"lang/template.py"},
    "httpx": {"http/transport.py"},
    "uvicorn": {"http/server.py"},
    "httptools": set(),
    "idna": {"lang/urls.py"},
}


@functools.cache
def imported(path: Path) -> set[str]:
    """Every module name that a file imports, at any depth of its functions and under TYPE_CHECKING too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(path: Path) -> str:
    return path.relative_to(ENGINE).parts[0].removesuffix(".py")


@functools.cache
def files(path: Path) -> frozenset[Path]:
    """The files of ours that a file imports."""
    found = set()
    for name in imported(path):
        steps = name.split(".")[1:] if name.startswith("waypost.") else []
        while steps:
            whole = ENGINE.joinpath(*steps)
            file = whole.with_suffix(".py") if whole.with_suffix(".py").is_file() else whole / "__init__.py"
            if file.is_file():
                found.add(file)
                break
            steps.pop()
    return frozenset(found - {path})


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ENGINE)))
def test_imports_point_one_way(path: Path) -> None:
    own = room(path)
    if own in ("__init__", "__main__", "version", "api", "cli"):
        return
    rooms = {room(file) for file in files(path)} - {own, "__init__", "version"}
    assert rooms <= MAY_IMPORT[own], f"{own} imports {sorted(rooms - MAY_IMPORT[own])}"


def circles() -> list[set[str]]:
    """Files that reach each other by imports: for each file those that it reaches and that reach it."""
    reach: dict[Path, set[Path]] = {}
    for path in MODULES:
        found, left = set(), list(files(path))
        while left:
            one = left.pop()
            if one not in found:
                found.add(one)
                left.extend(files(one))
        reach[path] = found
    rings = {
        frozenset(other for other in reach[path] if path in reach[other]) for path in MODULES if path in reach[path]
    }
    return [{str(path.relative_to(ENGINE)) for path in ring} for ring in rings]


def test_no_files_import_each_other() -> None:
    """Late imports and those for types count: what cannot be read alone is one file in two pieces."""
    assert circles() == []


ORACLE = sorted((ENGINE / "program").glob("interpret*.py"))
ITS_OWN = {"lang/checks.py", "lang/each_items.py", "lang/shaping.py", "lang/arithmetic.py", "lang/bodies"}
"""Rules that generated code and the kernel call: what the reference interpreter says of these it says by itself."""
TABLES = {
    "waypost.events.not_events": {"ENVELOPE", "malformed"},
    "waypost.lang.names": {"TOKEN", "OURS"},
}
"""What it takes of files that hold rules besides: words for people and tables."""


@pytest.mark.parametrize("path", ORACLE, ids=lambda path: path.name)
def test_the_oracle_shares_nothing_with_what_it_judges(path: Path) -> None:
    """Of its room it knows what is bound; of the language what words mean, not the rules that the judged code calls.

    Mutation that turns this red: `run_checks` of lang/checks.py in interpret.py."""
    held = {str(file.relative_to(ENGINE)) for file in files(path)} - {
        str(other.relative_to(ENGINE)) for other in ORACLE
    }
    assert {file for file in held if file.startswith("program/")} <= {"program/settings.py"}
    assert not [file for file in held if file.startswith(tuple(ITS_OWN))]
    for module, table in TABLES.items():
        taken = {name.removeprefix(module) for name in imported(path) if name.startswith(module)}
        assert taken <= {f".{name}" for name in table}


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


IMPORTER = ENGINE / "authoring" / "importing"
FORMAT = r"segment-action|Segment's public metadata"


ORDINARY = {"webhook", "slack", "iterable"}
"""Destinations whose names are words of English or Python too."""


def test_engine_names_no_destination() -> None:
    """Destination knowledge lives in specs/ only. The importer's room may name the format that it reads, and nothing else."""
    names = [path.name for path in SPECS.iterdir() if path.is_dir()]
    assert names
    # What is a word besides is looked for as the company's address.
    words = [rf"\b{name}\.com\b" if name in ORDINARY else rf"\b{re.escape(name)}\b" for name in names]
    pattern = re.compile("|".join(words), re.IGNORECASE)
    found = [
        f"{path.relative_to(ENGINE)}:{number}: {line.strip()}"
        for path in MODULES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(re.sub(FORMAT, "", line) if path.is_relative_to(IMPORTER) else line)
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
    assert {name for name in found if name.startswith("waypost")} == {
        "waypost",
        "waypost.version",
        "waypost.cli",
        "waypost.cli.main",
        "waypost.cli.streams",
    }
    assert {name.partition(".")[0] for name in found} & {
        *NOT_FOR_A_RUN,
        "msgspec",
        "httpx",
        "asyncio",
        "sqlite3",
    } == set()
