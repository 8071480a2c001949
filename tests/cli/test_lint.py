"""`waypost lint` as a command: which files it takes, what stands beside a spec, fixes, the cache, and its exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from conftest import CASES
from waypost.cli.compile import command as compile_command
from waypost.cli.lint import command
from waypost.compiler import cache
from waypost.compiler.read.source import Span
from waypost.compiler.report.diagnostic import Diagnostic

DIAGNOSTICS = CASES / "diagnostics"
GOOD = (CASES / "good.yaml").read_text(encoding="utf-8")
TESTS = (DIAGNOSTICS / "C104.good.yaml").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def lint(*words: str, input: str | bytes | None = None) -> Result:
    return CliRunner().invoke(command, list(words), input=input)


def spec(text: str = GOOD, name: str = "shop", tests: str | None = TESTS, *, compiled: bool = True) -> Path:
    path = Path("specs") / name / "destination.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if tests is not None:
        (path.parent / "tests.yaml").write_text(tests, encoding="utf-8")
    if compiled:
        CliRunner().invoke(compile_command, [str(path)])
    return path


def codes(result: Result) -> list[str]:
    return re.findall(r"\[([A-Z]\d{3})\]", result.output)


def concise(*words: str) -> list[str]:
    return codes(lint("--format", "concise", *words))


def test_action_without_test(golden: Callable[[Path, str], None]) -> None:
    path = spec((DIAGNOSTICS / "C104.yaml").read_text(encoding="utf-8"), tests=None)
    golden(DIAGNOSTICS / "C104.txt", lint(str(path)).output.replace(str(path), "C104.yaml"))
    assert lint(str(path)).exit_code == 0
    assert lint("--strict", str(path)).exit_code == 1
    (path.parent / "tests.yaml").write_text(TESTS, encoding="utf-8")
    assert concise(str(path)) == []
    spec(GOOD + '  other: {trigger: type = "page", mapping: {id: $.messageId}}\n')
    assert concise(str(path)) == ["C104"]


def test_stale_plan(golden: Callable[[Path, str], None]) -> None:
    path = spec((DIAGNOSTICS / "C105.yaml").read_text(encoding="utf-8"))
    assert concise(str(path)) == []
    plan = Path("compiled/shop.json")
    plan.write_bytes(plan.read_bytes().replace(b"track", b"page"))
    golden(DIAGNOSTICS / "C105.txt", lint(str(path)).output.replace(str(path), "C105.yaml"))
    plan.unlink()
    assert concise(str(path)) == ["C105"]
    CliRunner().invoke(compile_command, [str(path)])
    assert concise(str(path)) == []


def test_files_folders_patterns_and_shipped_names() -> None:
    spec(GOOD.replace("messageId", "mesageId"), "one")
    spec(GOOD, "two", tests="tests: [3]\n")
    Path(".hidden").mkdir()
    Path(".hidden/destination.yaml").write_text("nonsense")
    both = ["P103", "S104"]
    for words in ((), (".",), ("specs",), ("specs/*",), ("**/destination.yaml", "specs/two"), ("specs", "specs/one")):
        assert sorted(concise(*words)) == both, words
    assert concise("specs/one/destination.yaml") == ["P103"]
    assert "no findings" in lint("segment").output


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("nowhere", "no spec, plan or shipped destination `nowhere`"),
        ("segmnt", "did you mean `segment`?"),
        ("empty", "the folder empty holds no destination.yaml, tests.yaml or waypost.yaml"),
        ("specs/*.yml", "nothing matches specs/*.yml"),
    ],
)
def test_word_that_leads_nowhere_is_usage(word: str, said: str) -> None:
    Path("empty").mkdir()
    result = lint(word)
    assert result.exit_code == 2
    assert said in result.output
    assert lint().exit_code == 2


def test_standard_input() -> None:
    assert lint("-", input=GOOD).exit_code == 0
    result = lint(
        "-", "--format", "concise", "--stdin-filename", "a/b.yaml", input=GOOD.replace("messageId", "mesageId")
    )
    assert result.output.startswith("a/b.yaml:19:13: error[P103]")
    assert codes(lint("-", "--format", "concise", input=b"spec: \xff")) == ["Y101"]
    assert lint("-", "--fix", input=GOOD).exit_code == 2


def test_fix_prints_a_diff_and_keeps_what_it_does_not_mend() -> None:
    text = "# a note\r\n" + GOOD.replace("$.messageId", "mesage.id   # why").replace(
        'type = "track"', '!(type = "page")'
    )
    text = text.replace("  batch:", "  timeout: 10 seconds\n  batch:")
    path = spec(text, compiled=False)
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    before = path.read_bytes()
    shown = lint("--diff", str(path))
    assert path.read_bytes() == before
    assert "-  timeout: 10 seconds" in shown.output
    assert "+  timeout: 10s" in shown.output
    result = lint("--fix", str(path))
    assert result.exit_code == 1
    after = path.read_bytes().decode("utf-8")
    assert after == "\ufeff" + text.replace("10 seconds", "10s").replace('!(type = "page")', "'!(type = \"page\")'")
    assert [code for code in codes(result) if code != "C104"] == ["M204"]


def test_connections_are_found_and_judged() -> None:
    spec()
    text = (DIAGNOSTICS / "U107.yaml").read_text(encoding="utf-8")
    Path("waypost.yaml").write_text(text, encoding="utf-8")
    assert concise() == concise(".") == concise("waypost.yaml") == ["U107"]
    assert codes(lint("-", "--format", "concise", "--stdin-filename", "waypost.yaml", input=text)) == ["U107"]
    assert lint("--fix").exit_code == 0
    assert Path("waypost.yaml").read_text() == text.replace("wbe", "web")


def test_tests_file_is_judged_by_the_spec_beside_it() -> None:
    path = spec(tests=TESTS.replace("action: send", "action: sned")).parent / "tests.yaml"
    assert concise(str(path)) == ["S105"]
    spec(GOOD.replace("messageId", "mesageId"), tests=None)
    assert concise(str(path)) == []
    (path.parent / "destination.yaml").unlink()
    assert concise(str(path)) == ["S103"]


def test_fix_of_a_tests_file() -> None:
    path = spec(tests=TESTS.replace("expect:", "expct:"))
    assert "S101" in concise(str(path.parent / "tests.yaml"))
    lint("--fix", str(path.parent / "tests.yaml"))
    assert (path.parent / "tests.yaml").read_text(encoding="utf-8") == TESTS


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were compiled, and not taken from the cache."""
    from waypost.compiler import pipeline

    found: list[str] = []
    real = pipeline.compile_text

    def counted(text: str, path: str) -> object:
        found.append(path)
        return real(text, path)

    monkeypatch.setattr(pipeline, "compile_text", counted)
    return found


def test_unchanged_file_comes_from_the_cache(judged: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = spec(GOOD.replace("mapping:\n      id:", "mapping:\n      url: $.context.pge\n      id:"))
    del judged[:]
    first = lint(str(path))
    assert codes(first) == ["P105"]
    assert len(judged) == 1
    for form in ("human", "json", "sarif", "github", "junit", "concise"):
        assert lint("--format", form, str(path)).output == lint("--format", form, "--no-cache", str(path)).output
    assert len(judged) == 7
    del judged[:]
    assert lint(str(path)).output == first.output
    assert judged == []
    for change in (
        lambda: path.write_text(path.read_text() + "# changed\n"),
        lambda: (path.parent / "tests.yaml").write_text(TESTS + "# changed\n"),
        lambda: Path("compiled/shop.json").write_text("{}"),
        lambda: monkeypatch.setattr(cache, "engine", lambda: "another version"),
    ):
        lint(str(path))
        del judged[:]
        change()
        lint(str(path))
        assert len(judged) == 1


@pytest.mark.parametrize("damage", ["", "{", "null", '{"key": 1}', "far"])
def test_damaged_cache_is_ignored(damage: str, judged: list[str]) -> None:
    path = spec(GOOD.replace("mapping:\n      id:", "mapping:\n      url: $.context.pge\n      id:"))
    first = lint(str(path))
    (held,) = (Path(os.environ["XDG_CACHE_HOME"]) / "waypost" / "lint").glob("*.json")
    text = re.sub(r'"end":\d+', '"end":999999', held.read_text()) if damage == "far" else damage
    held.write_text(text)
    del judged[:]
    assert lint(str(path)).output == first.output
    assert len(judged) == 1
    assert json.loads(held.read_text())["found"]


def test_cache_that_cannot_be_written_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path("file").absolute()))
    assert lint(str(spec())).exit_code == 0


def test_stored_findings_are_the_findings() -> None:
    from waypost.compiler.pipeline import compile_text

    for path in sorted(DIAGNOSTICS.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        found: list[Diagnostic] = compile_text(text, "x")[1].diagnostics
        cache.write(path, "k", found)
        assert cache.read(path, "k", len(text)) == found
        assert cache.read(path, "other", len(text)) is None
        assert not found or cache.read(path, "k", 0) is None or found[0].label.span == Span(0, 0)


def test_unchanged_files_load_no_yaml() -> None:
    """The warm path imports neither the YAML parser nor the languages: that is where its speed is from."""
    path = spec()
    code = (
        "import sys\nfrom waypost.cli.main import cli\n"
        f"try:\n    cli.main(['lint', {str(path)!r}])\nexcept SystemExit:\n    pass\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('ruamel', 'jinja2', 'jsonpath_ng')])\n"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
