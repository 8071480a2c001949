"""Where specs and compiled plans are: the only module that knows.

Takes what a person types (a shipped destination's name, a folder, a spec or plan file). Gives a `Target` that says which file it is. An
installed wheel carries `specs/`, `compiled/` and the rules' examples in `_catalog/`; an editable install has none and uses the checkout that
it stands in.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
_INSTALLED = _PACKAGE / "_catalog"
ROOT = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent.parent
EXAMPLES = ROOT / "rules" if _INSTALLED.is_dir() else ROOT / "tests" / "cases" / "diagnostics"
"""Of each rule: CODE.yaml (bad), CODE.txt (what is said of it) and CODE.good.yaml. They are test cases first; a wheel carries them."""

SPEC = "destination.yaml"
CONNECTIONS = "waypost.yaml"


class NotFound(Exception):
    """No such destination, spec or plan. The message says what was looked for and what there is."""


@dataclass(frozen=True)
class Target:
    """`kind` is "plan" (a compiled file), "spec" or "connections" (YAML). `name` is the destination's or the file's."""

    kind: str
    path: Path
    name: str


def names() -> list[str]:
    """The shipped destinations."""
    return sorted(path.parent.name for path in (ROOT / "specs").glob(f"*/{SPEC}"))


def shipped_spec(name: str) -> Path:
    return ROOT / "specs" / name / SPEC


def shipped_plan(name: str) -> Path:
    return ROOT / "compiled" / f"{name}.json"


@dataclass(frozen=True)
class Example:
    """A rule's bad example, the findings of it as text, and the good one."""

    bad: str
    said: str
    good: str


def example(code: str) -> Example | None:
    """The examples of a rule, or None when they did not come along."""
    try:
        texts = [(EXAMPLES / f"{code}{end}").read_text(encoding="utf-8") for end in (".yaml", ".txt", ".good.yaml")]
    except OSError:
        return None
    return Example(*texts)


def example_events() -> Path:
    """The events that are taken where none are named: a few hundred, as SDKs send them."""
    return ROOT / "examples" / "events.ndjson"


def find(text: str) -> Target:
    """What to run or show: a file or folder that exists, else a shipped destination's compiled plan."""
    path = Path(text)
    if path.is_dir():
        return _folder(path)
    if path.is_file():
        return Target("plan", path, path.stem) if path.suffix == ".json" else _file(path)
    if "/" not in text and path.suffix in ("", ".json") and shipped_plan(path.stem).is_file():
        return Target("plan", shipped_plan(path.stem), path.stem)
    raise NotFound(_explain(text))


def find_spec(text: str) -> Target:
    """What to compile or lint: a spec or connections file, a folder with one, or a shipped destination's name."""
    path = Path(text)
    if path.is_dir():
        return _folder(path)
    if path.is_file():
        return _file(path)
    if "/" not in text and shipped_spec(text).is_file():
        return Target("spec", shipped_spec(text), text)
    raise NotFound(_explain(text))


def find_specs(text: str) -> list[Target]:
    """As `find_spec`; a folder of folders with specs is all of these."""
    path = Path(text)
    held = any((path / name).is_file() for name in (SPEC, CONNECTIONS))
    return (specs_in(path) if path.is_dir() and not held else []) or [find_spec(text)]


def local_specs() -> list[Target]:
    """The working folder's specs: what `compile` and `lint` take when nothing is named."""
    return specs_in(Path("specs"))


def specs_in(folder: Path) -> list[Target]:
    """The specs in the folders of a folder, in order of name."""
    return [Target("spec", path, path.parent.name) for path in sorted(folder.glob(f"*/{SPEC}"))]


def local_connections() -> list[Target]:
    """The working folder's connections file, if it has one."""
    path = Path(CONNECTIONS)
    return [Target("connections", path, path.stem)] if path.is_file() else []


def is_connections(name: str, text: str) -> bool:
    """Whether a YAML file holds connections rather than a spec: by its name, else by its first words."""
    if Path(name).name in (CONNECTIONS, SPEC):
        return Path(name).name == CONNECTIONS
    return re.search(r"^connections[ \t]*:", text, re.MULTILINE) is not None and not re.search(
        r"^spec[ \t]*:", text, re.MULTILINE
    )


def connection_plans(file: Path) -> Path:
    """The folder of a connections file's plans: compiled/connections beside it, a folder of its own there for another name."""
    folder = file.parent / "compiled" / "connections"
    return folder if file.name == CONNECTIONS else folder / file.stem


def near(path: Path) -> str:
    """A path as people read it: from the working folder when it lies in it."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()


def plan_path(spec: Path) -> Path:
    """Where a spec's plan is committed: compiled/NAME.json beside specs/NAME/destination.yaml, else NAME.json beside the file."""
    if spec.name == SPEC and spec.resolve().parent.parent.name == "specs":
        return spec.parent.parent.parent / "compiled" / f"{spec.resolve().parent.name}.json"
    return spec.with_suffix(".json")


def _folder(path: Path) -> Target:
    for kind, name in (("spec", SPEC), ("connections", CONNECTIONS)):
        if (path / name).is_file():
            return Target(kind, path / name, path.resolve().name)
    raise NotFound(f"the folder {path} has no {SPEC}")


def _file(path: Path) -> Target:
    try:
        text = "" if path.name in (CONNECTIONS, SPEC) else path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        # Whoever opens it says why it cannot be read.
        text = ""
    if is_connections(path.name, text):
        return Target("connections", path, path.stem)
    return Target("spec", path, path.parent.name if path.name == SPEC else path.stem)


def _explain(text: str) -> str:
    near = difflib.get_close_matches(text, names(), 1, 0.67)
    guess = f"; did you mean `{near[0]}`?" if near else ""
    shipped = ", ".join(names()) or "none"
    return f"no spec, plan or shipped destination `{text}`{guess} (shipped: {shipped})"
