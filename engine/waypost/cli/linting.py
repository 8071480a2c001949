"""Which files `waypost lint` judges, and what is found in each: specs, tests files, connections, and what should stand beside a spec.

Takes the words of the command line; gives files, and for each a Report. Findings of unchanged files come from the cache.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from waypost.cli.common import refuse
from waypost.compiler import cache
from waypost.compiler.read.source import Source, Span
from waypost.compiler.report.diagnostic import Diagnostic, Label, Report
from waypost.plan import Plan, catalog

TESTS = "tests.yaml"
FOUND_IN_FOLDERS = (catalog.SPEC, TESTS, catalog.CONNECTIONS)
SKIPPED = ("node_modules", "__pycache__", "venv")


def files(words: tuple[str, ...]) -> list[Path]:
    """The files that the words name: files, folders (searched through), patterns, shipped destinations; specs/ when there is none."""
    found: dict[Path, None] = {}
    own = tuple(str(target.path) for target in catalog.local_connections())
    for word in words or (("specs", *own) if Path("specs").is_dir() else own) or ("specs",):
        path = Path(word)
        if path.is_dir():
            held = list(_within(path))
            if not held:
                refuse(f"the folder {path} holds no {', '.join(FOUND_IN_FOLDERS[:-1])} or {FOUND_IN_FOLDERS[-1]}")
        elif path.is_file():
            held = [path]
        elif any(sign in word for sign in "*?["):
            held = sorted(
                one
                for name in glob.glob(word, recursive=True)
                for one in (_within(Path(name)) if os.path.isdir(name) else [Path(name)])
            )
            if not held:
                refuse(f"nothing matches {word}")
        elif not words:
            refuse("there is no specs/ folder here: name a spec")
        else:
            held = [_shipped(word)]
        found.update(dict.fromkeys(held))
    return list(found)


def _within(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in SKIPPED)
        yield from (Path(root) / name for name in FOUND_IN_FOLDERS if name in names)


def _shipped(word: str) -> Path:
    try:
        return catalog.find_spec(word).path
    except catalog.NotFound as error:
        refuse(str(error))


def judge(path: Path, *, cached: bool) -> list[Report]:
    """Everything that is found in a file, its own report first. Connections depend on many files, and are always judged anew."""
    data = _read(path)
    text = data.decode(errors="replace").removeprefix("\ufeff")
    if path.name != TESTS and catalog.is_connections(path.name, text):
        from waypost.cli.compiling import compile_connections_path

        return compile_connections_path(path)[1]
    beside = _beside(path)
    key = cache.key(path.as_posix(), data, *(content or b"\0" for content in beside.values())) if cached else ""
    known = cache.read(path, key, len(text)) if cached else None
    if known is not None:
        report = Report(Source(path.as_posix(), text))
        for item in known:
            report.add(item)
        return [report]
    report = judge_tests(path, data) if path.name == TESTS else _judge_spec(path, data, beside)
    if cached:
        cache.write(path, key, report.diagnostics)
    return [report]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        refuse(f"cannot read {path}: {error.strerror}")


def _beside(path: Path) -> dict[str, bytes | None]:
    """What a judgement depends on beside the file's own text; None is a file that is not there."""
    others = {
        catalog.SPEC: {"tests": path.parent / TESTS, "plan": catalog.plan_path(path)},
        TESTS: {"spec": path.parent / catalog.SPEC},
    }
    return {name: other.read_bytes() if other.is_file() else None for name, other in others.get(path.name, {}).items()}


def _judge_spec(path: Path, data: bytes, beside: dict[str, bytes | None]) -> Report:
    from waypost.compiler.pipeline import compile_text, decoded

    read = decoded(data, path.as_posix())
    if read.failed:
        return read
    plan, report = compile_text(read.source.text, path.as_posix())
    if plan is None or not beside:
        return report
    places = {name: _offset(report.source, place) for name, place in plan.source.positions.items()}
    enabled = [name for name, action in plan.actions.items() if action.enabled]
    tested = _tested(path, plan) if beside["tests"] is not None else set()
    if beside["tests"] is None and enabled:
        _warn(report, "C104", f"no action has a test: there is no {TESTS}", places[f"actions.{enabled[0]}"], enabled[0])
    else:
        for name in enabled:
            if tested is not None and name not in tested:
                help = f"a test runs it that names it: `expect: {{action: {name}}}`"
                _warn(report, "C104", f"no test runs the action `{name}`", places[f"actions.{name}"], name, help)
    where = catalog.plan_path(path)
    if _stale(plan, beside["plan"], missing=where.parent.name == "compiled" and where.parent.is_dir()):
        lacks = "is not what this spec compiles to" if beside["plan"] is not None else "does not exist"
        _warn(report, "C105", f"{where.as_posix()} {lacks}", 0, "spec", "run `waypost compile` and commit the result")
    return report


def _stale(plan: Plan, held: bytes | None, *, missing: bool) -> bool:
    """Whether the committed plan is another one; the path that the spec was compiled by does not count."""
    from waypost.plan import PlanError, dump, load

    if held is None:
        return missing
    try:
        file = load(held, "").source.file
    except PlanError:
        return True
    return held != dump(msgspec.structs.replace(plan, source=msgspec.structs.replace(plan.source, file=file)))


def _offset(source: Source, place: str) -> int:
    line, column = map(int, place.split(":"))
    return source.starts[line - 1] + column - 1


def _warn(report: Report, code: str, message: str, start: int, text: str, help: str = "") -> None:
    help = help or f"add one to {TESTS}: an event and what is expected of it"
    length = len(report.source.text)
    span = Span(min(start, length), min(start + len(text), length))
    report.add(Diagnostic(code, message, Label(span), help, severity="warning"))


def _tested(path: Path, plan: Plan) -> set[str] | None:
    """The actions that the tests beside a spec expect something of; None when they cannot be read, which is their own finding."""
    from waypost.authoring.test.cases import read_cases

    cases, report = read_cases(path.parent / TESTS, plan)
    return None if report.failed else {str(item.wanted.get("action")) for case in cases for item in case.expect}


def judge_tests(path: Path, data: bytes) -> Report:
    """A tests file is read against the plan of the spec beside it; beside a spec with errors it says nothing yet."""
    from waypost.authoring.test.cases import read_cases
    from waypost.compiler.pipeline import compile_file, decoded

    report = decoded(data, path.as_posix())
    if report.failed:
        return report
    spec = path.parent / catalog.SPEC
    if not spec.is_file():
        help = f"put it into the folder of the spec that it tests, beside its {catalog.SPEC}"
        report.add(Diagnostic("S103", f"there is no {catalog.SPEC} beside this file", Label(Span(0, 0)), help))
        return report
    plan = compile_file(spec)[0]
    return report if plan is None else read_cases(path, plan)[1]
