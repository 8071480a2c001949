"""What `diff` is given, as two plans: a spec, a plan, a shipped name, `REV:path`, a revision beside a path, or `REV..REV` with a path.

Takes the two words. Gives plans; whatever cannot be had is one clear line. A revision's file is read with `git show`: nothing is checked
out, and the working tree is not touched.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from waypost.cli import colours
from waypost.cli.common import FINDINGS, read_plan, refuse
from waypost.cli.targets import holds_connections
from waypost.plan import Plan, PlanError, catalog, load


@dataclass(frozen=True)
class Side:
    """`shown` names it to people."""

    shown: str
    plan: Plan


def sides(old: str, new: str) -> tuple[Side, Side]:
    """The two sides; the new one is compiled first, so that its findings are what an author sees first."""
    first, dots, last = old.partition("...") if "..." in old else old.partition("..")
    if dots and not Path(old).exists() and _target(old) is None:
        before, after = _revision(first or "HEAD", old), _revision(last or "HEAD", old)
        if dots == "...":
            before = _git("merge-base", before, after) or refuse(f"`{first}` and `{last}` have no common ancestor")
        right = _at_revision(after, last or "HEAD", new)
        return _at_revision(before, first or "HEAD", new), right
    right = _side(new, old)
    return _side(old, new), right


def _side(text: str, other: str) -> Side:
    target = _target(text)
    if target is not None:
        return Side(text, _from_file(target))
    rev, colon, path = text.partition(":")
    if colon and rev and path and not rev.startswith("-"):
        return _at_revision(_revision(rev, text), rev, path)
    commit = _commit(text)
    if commit is None:
        try:
            catalog.find(text)
        except catalog.NotFound as error:
            refuse(f"{error}; nor is `{text}` a git revision{_why_no_git()}")
    if _commit(other) is not None and _target(other) is None:
        refuse(f"`{text}` and `{other}` are revisions, but of which spec? Write `waypost diff {text}..{other} PATH`")
    assert commit is not None
    return _at_revision(commit, text, other)


def _target(text: str) -> catalog.Target | None:
    try:
        return catalog.find(text)
    except catalog.NotFound:
        if Path(text).is_dir():
            refuse(f"the folder {text} has no {catalog.SPEC}")
        return None


def _from_file(target: catalog.Target) -> Plan:
    if target.kind == "plan":
        return read_plan(target.path)
    if target.kind == "connections":
        refuse(holds_connections(target.path))
    try:
        data = target.path.read_bytes()
    except OSError as error:
        refuse(f"cannot read {target.path}: {error.strerror}")
    return _compiled(data, target.path.as_posix(), "")


def _compiled(data: bytes, shown: str, advice: str) -> Plan:
    """The plan of a spec's text. Its warnings were told when it was written; only what keeps it from compiling is shown."""
    from waypost.compiler.pipeline import compile_text

    plan, report = compile_text(data.decode(errors="replace"), shown)
    if plan is None:
        click.echo(colours.findings([report], "human", sys.stderr), err=True)
        if advice:
            click.echo(f"waypost: {advice}", err=True)
        click.get_current_context().exit(FINDINGS)
    return plan


# Git.


def _at_revision(commit: str, rev: str, text: str) -> Side:
    """A spec or plan as it was: `text` is a path from here, or from the top of the repository, or a shipped name."""
    target = _target(text)
    path = target.path if target is not None else Path(text)
    for name in _names_in_tree(path):
        kind = _git("cat-file", "-t", f"{commit}:{name}")
        if kind == "tree":
            name, kind = f"{name.rstrip('/')}/{catalog.SPEC}", "blob"
        data = _show(f"{commit}:{name}") if kind == "blob" else None
        if data is not None:
            return Side(f"{rev}:{name.removeprefix('./')}", _read(data, rev, name))
    return refuse(f"there is no {path.as_posix()} in the revision `{rev}`")


def _read(data: bytes, rev: str, name: str) -> Plan:
    shown = f"{rev}:{name.removeprefix('./')}"
    if not name.endswith(".json"):
        advice = f"this is what the spec of {rev} says to the compiler of today; compare its committed plan instead"
        return _compiled(data, shown, f"{advice}: {rev}:compiled/NAME.json")
    try:
        return load(data, shown)
    except PlanError as error:
        refuse(str(error))


def _names_in_tree(path: Path) -> list[str]:
    """How git may know a path: from this folder, then from the top."""
    if not path.is_absolute():
        return [f"./{path.as_posix()}", path.as_posix()]
    top = _git("rev-parse", "--show-toplevel")
    try:
        return [path.resolve().relative_to(Path(top or "/nowhere").resolve()).as_posix()]
    except ValueError:
        refuse(f"{path} is not in this git repository")


def _revision(rev: str, text: str) -> str:
    commit = _commit(rev)
    if commit is None:
        refuse(f"`{rev}` in `{text}` is no git revision{_why_no_git()}")
    return commit


def _commit(rev: str) -> str | None:
    if rev.startswith("-") or "\0" in rev:
        return None
    return _git("rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}")


def _why_no_git() -> str:
    if _run("--version") is None:
        return " (git is not installed)"
    return "" if _git("rev-parse", "--git-dir") else " (this folder is in no git repository)"


def _git(*words: str) -> str | None:
    """What git prints, or None where it has nothing to say."""
    data = _run(*words)
    return None if data is None else data.decode(errors="replace").strip()


def _show(name: str) -> bytes | None:
    return _run("show", name)


def _run(*words: str) -> bytes | None:
    try:
        done = subprocess.run(["git", *words], capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
