"""The command line as a person meets it: one clear line, a documented exit status, never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import CASES, ROOT
from running import waypost, waypost_process
from waypost.cli.main import COMMANDS

EVENT = b'{"type":"track","userId":"u","event":"A","messageId":"m"}\n'


KEY = ("--set", "source_write_key=env:KEY")
WRONG = [
    (("run", "segmet"), "did you mean `segment`"),
    (("run", "nothing/here.yaml"), "no spec, plan or shipped destination"),
    (("run", "segment"), "needs the setting `source_write_key`"),
    (("run", "segment", "--set", "source_write_key=env:NOT_SET"), "NOT_SET is not set"),
    (("run", "segment", "--set", "source_write_key=file:/nope"), "cannot read the file /nope"),
    (("run", "segment", *KEY, "--set", "endpoint=eurpe"), "did you mean `europe`"),
    (("run", "segment", *KEY, "--set", "endpont=europe"), "did you mean `endpoint`"),
    (("run", "segment", *KEY, "--set", "novalue"), "name=value"),
    (("run", "segment", *KEY, "nope.ndjson"), "cannot read nope.ndjson"),
    (("run", "segment", *KEY, "specs"), "is a folder"),
    (("run", "segment", *KEY, "-", "examples/events.ndjson"), "cannot be read in one run"),
    (("run", "segment", *KEY, "--endpoint-override", "http://example.com"), "--endpoint-override takes"),
    (("run", "segment", *KEY, "--endpoint-override", "nonsense"), "--endpoint-override takes"),
    (("run", "docs"), "has no destination.yaml"),
    (("compile", "nope"), "no spec, plan or shipped destination"),
    (("compile", "a", "--output", "x"), "no spec, plan or shipped destination"),
    (("preview", "segment", "nope.json"), "cannot read nope.json"),
    (("explain", "M2044"), "M204"),
    (("receive", "--script", "abc"), "is no answer"),
    (("lnt",), "Did you mean 'lint'?"),
]


@pytest.mark.parametrize(
    ("words", "part"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_error_is_one_clear_line_and_status_2(words: tuple[str, ...], part: str) -> None:
    status, _, err = waypost(*words, KEY="k")
    assert status == 2
    assert part in err


def test_error_newer_plan_is_refused(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text((ROOT / "compiled" / "segment.json").read_text().replace('"waypost_plan": 1', '"waypost_plan": 9'))
    status, _, err = waypost("run", str(plan), *KEY, KEY="k")
    assert status == 2
    assert "version 9" in err
    assert "upgrade waypost" in err


def test_secret_on_the_command_line_is_warned_of() -> None:
    status, _, err = waypost("run", "segment", "--set", "source_write_key=plain", "--dry-run", stdin=EVENT)
    assert status == 0
    assert "warning: the secret `source_write_key`" in err
    assert "plain" not in err


def test_findings_give_status_1_and_a_frame(tmp_path: Path) -> None:
    bad = CASES / "diagnostics" / "M204.yaml"
    for words in (("lint", str(bad)), ("compile", str(bad), "--output", str(tmp_path / "x.json")), ("run", str(bad))):
        status, out, err = waypost(*words)
        assert status == 1
        assert "error[M204]" in out + err
    assert not (tmp_path / "x.json").exists()


def test_warning_passes_unless_strict() -> None:
    path = str(CASES / "diagnostics" / "C101.yaml")
    assert waypost("lint", path)[0] == 0
    assert waypost("lint", path, "--strict")[0] == 1


def test_stale_plan_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "specs" / "shop"
    folder.mkdir(parents=True)
    spec = folder / "destination.yaml"
    spec.write_text((CASES / "good.yaml").read_text())
    assert waypost("compile", "--check", cwd=tmp_path)[0] == 1
    assert waypost("compile", cwd=tmp_path)[0] == 0
    assert waypost("compile", "--check", cwd=tmp_path)[0] == 0
    assert json.loads((tmp_path / "compiled" / "shop.json").read_text())["name"] == "shop"
    spec.write_text(spec.read_text().replace("id: $.messageId", "id: $.userId"))
    status, _, err = waypost("compile", "--check", "specs/shop", cwd=tmp_path)
    assert status == 1
    assert "is stale" in err


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "compiled").glob("*.json")))
def test_the_program_of_every_shipped_plan_is_shown_without_settings(name: str) -> None:
    """Also where a setting must be a host or base64. Mutation: no base64 in `stand_ins`."""
    status, out, err = waypost("show", "program", name)
    assert (status, err) == (0, "")
    assert "def map_chunk(" in out


def test_show_and_preview() -> None:
    status, out, _ = waypost_process("show", "program", "segment")
    assert status == 0
    assert "def map_chunk(" in out
    assert "# 'send_track'\n" in out
    assert waypost("show", "plan", "segment")[1] == (ROOT / "compiled" / "segment.json").read_text()
    status, out, _ = waypost_process(
        "preview", "segment", stdin=b'{"type": "page",\n "userId": "u", "context": {"page": {"path": "/"}}}'
    )
    assert status == 0
    assert 'no: type = "track" fails: type is "page"' in out
    assert "matches" in out
    assert '"path": "/"' in out
    assert "specs/segment/destination.yaml:" in out
    assert waypost("preview", "segment", stdin=b"[]")[1].startswith("This is no event (not_object)")


EXAMPLES = str(ROOT / "examples" / "events.ndjson")
LINKING = {
    "run": ("run", "segment", *KEY, "--dry-run"),
    "show": ("show", "program", "segment"),
    "bench": ("bench", "segment", EXAMPLES, "--rounds", "3"),
    "preview": ("preview", "segment", EXAMPLES),
    "test": ("test", str(ROOT / "specs" / "segment")),
    "diff": ("diff", "segment", str(ROOT / "specs" / "segment"), "--events", EXAMPLES),
}


@pytest.mark.parametrize("name", LINKING)
@pytest.mark.parametrize("word", ["no", "OFF", "0"])
def test_error_kernel_switch_takes_on_and_off(name: str, word: str) -> None:
    """Mutation that turns this red: any word but `off` leaves the kernel on."""
    status, out, err = waypost(*LINKING[name], stdin=EVENT, KEY="k", WAYPOST_KERNEL=word)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.endswith("WAYPOST_KERNEL in the environment is neither `on` nor `off`\n")


def test_show_and_bench_say_that_the_kernel_is_off() -> None:
    for name in ("show", "bench"):
        said = [waypost(*LINKING[name], WAYPOST_KERNEL=word) for word in ("", "off")]
        assert [(status, "WAYPOST_KERNEL=off switches it off" in out) for status, out, _ in said] == [
            (0, False),
            (0, True),
        ]


def test_output_that_nobody_reads_is_quiet() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "waypost", "show", "program", "segment"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait()


def test_help_names_every_command() -> None:
    status, out, _ = waypost("--help")
    assert status == 0
    for name in COMMANDS:
        assert name in out
        assert waypost(name, "--help")[0] == 0


def test_each_command_loads_by_itself() -> None:
    """Whatever was loaded before: none waits for a module that another command happens to load first."""
    code = (
        "import importlib, sys\n"
        "from waypost.cli.main import COMMANDS\n"
        "for module, _ in COMMANDS.values():\n"
        "    for name in [name for name in sys.modules if name.partition('.')[0] == 'waypost']:\n"
        "        del sys.modules[name]\n"
        "    importlib.import_module(module)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_shipped_tests_pass_and_a_changed_wire_is_shown(tmp_path: Path) -> None:
    folder = tmp_path / "specs" / "segment"
    folder.mkdir(parents=True)
    for name in ("destination.yaml", "tests.yaml", "golden.json"):
        (folder / name).write_text((ROOT / "specs" / "segment" / name).read_text())
    assert waypost("test", cwd=tmp_path)[0] == 0
    spec = folder / "destination.yaml"
    spec.write_text(spec.read_text().replace("type: {$literal: identify}", "type: {$literal: identified}"))
    status, out, _ = waypost("test", cwd=tmp_path)
    assert status == 1
    assert "FAIL specs/segment/tests.yaml:" in out
    assert "+" in out
    assert "identified" in out


def test_a_folder_of_specs_is_all_of_them(tmp_path: Path) -> None:
    """`test`, `compile` and `docs` take a folder as `lint` does; a folder without any spec is still refused."""
    for name in ("segment", "slack"):
        folder = tmp_path / "mine" / name
        folder.mkdir(parents=True)
        for file in ("destination.yaml", "tests.yaml", "golden.json"):
            (folder / file).write_bytes((ROOT / "specs" / name / file).read_bytes())
    status, out, err = waypost("test", "mine/", "-k", "identify", cwd=tmp_path)
    assert (status, err) == (0, "")
    assert "0 failed" in out
    assert waypost("compile", "mine", cwd=tmp_path)[0] == 0
    assert sorted(path.name for path in tmp_path.rglob("*.json") if path.name != "golden.json") == [
        "destination.json",
        "destination.json",
    ]
    assert waypost("compile", "mine", "--check", cwd=tmp_path)[0] == 0
    (tmp_path / "empty").mkdir()
    for command in ("test", "compile", "docs"):
        assert waypost(command, "empty", cwd=tmp_path)[2] == "waypost: the folder empty has no destination.yaml\n"
