"""Colour on a terminal and nowhere else unless it is asked for, and frames whose carets stand under what they underline at every width.

What a terminal shows is judged by a small oracle of its own: a grid of cells into which each character is put.
"""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from conftest import CASES, ROOT
from running import waypost_process
from terminals import Terminal
from waypost.cli import colours
from waypost.cli.main import cli
from waypost.compiler.read.source import Source, Span
from waypost.compiler.report.diagnostic import Diagnostic, Label
from waypost.compiler.report.render.human import excerpt, frame

FAULTS = str(CASES / "ten_faults.yaml")
STYLE = re.compile(r"\x1b\[[0-9;]*m")

# Colours.


def failing(folder: Path) -> Path:
    """A spec whose one test fails and whose golden file is another one."""
    (folder / "destination.yaml").write_text((CASES / "good.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "tests.yaml").write_text(
        "settings: {key: k, region: eu}\ntests:\n  - name: one\n    event: {type: track, event: A, userId: u}\n"
        "    expect: {action: nothing_like_it}\n",
        encoding="utf-8",
    )
    return folder


def commands(folder: Path) -> dict[str, list[str]]:
    event = folder / "event.json"
    event.write_text('{"type": "track", "event": "A", "messageId": "m", "userId": "u"}', encoding="utf-8")
    return {
        "lint": ["lint", FAULTS],
        "compile": ["compile", FAULTS, "--output", str(folder / "plan.json")],
        "test": ["test", str(failing(folder))],
        "preview": ["preview", "segment", str(event)],
        "diff": ["diff", str(CASES / "good.yaml"), str(ROOT / "specs" / "segment" / "destination.yaml")],
    }


NAMES = ("lint", "compile", "test", "preview", "diff")


@pytest.mark.parametrize("name", NAMES)
def test_a_terminal_has_colour(name: str, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, *commands(tmp_path)[name])
    terminal.end()
    assert STYLE.search(terminal.raw), terminal.raw
    quiet = Terminal(tmp_path, *commands(tmp_path)[name], env={"NO_COLOR": "1"})
    quiet.end()
    assert "\x1b" not in quiet.raw
    # The words are the same.
    assert STYLE.sub("", terminal.raw) == quiet.raw


@pytest.mark.parametrize("name", NAMES)
def test_a_runner_that_asks_for_colour_has_it(name: str, tmp_path: Path) -> None:
    words = commands(tmp_path)[name]
    plain = CliRunner(env={"TERM": "xterm", "NO_COLOR": None, "FORCE_COLOR": None})
    shown = plain.invoke(cli, words, color=True).output
    assert STYLE.search(shown)
    assert STYLE.sub("", shown) == plain.invoke(cli, words).output


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "anything"}, True),
        ({"FORCE_COLOR": ""}, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": ""}, True),
    ],
    ids=str,
)
def test_a_pipe_has_colour_only_when_it_is_forced(environ: dict[str, str], coloured: bool) -> None:
    env = {"NO_COLOR": "", "FORCE_COLOR": "", "TERM": "xterm", **environ}
    status, out, _ = waypost_process("lint", FAULTS, **env)
    assert status == 1
    assert bool(STYLE.search(out)) is coloured


@pytest.mark.parametrize(
    ("environ", "answer"),
    [
        ({}, None),
        ({"NO_COLOR": "0"}, False),
        ({"NO_COLOR": ""}, None),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "0"}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
    ids=str,
)
def test_who_decides(environ: dict[str, str], answer: bool | None) -> None:
    assert colours.wanted(environ) is answer


@pytest.mark.parametrize("form", ["json", "sarif", "github", "junit", "concise"])
def test_formats_for_machines_never_have_colour(form: str, tmp_path: Path) -> None:
    runner = CliRunner(env={"FORCE_COLOR": "1", "NO_COLOR": None})
    assert "\x1b" not in runner.invoke(cli, ["lint", FAULTS, "--format", form], color=True).output
    if form in ("json", "junit"):
        assert "\x1b" not in runner.invoke(cli, ["test", str(failing(tmp_path)), "--format", form], color=True).output
    written = tmp_path / "results.xml"
    runner.invoke(cli, ["test", str(failing(tmp_path)), "--junit", str(written)], color=True)
    assert "\x1b" not in written.read_text(encoding="utf-8")
    as_json = runner.invoke(cli, [*commands(tmp_path)["preview"], "--json"], color=True).output
    assert json.loads(as_json)["actions"]


def test_each_part_has_its_style() -> None:
    text = "warning[C104]: m\n --> a:1:1\n  |\n1 | - x | ^\n  |   ^ here\n  |\nhelp: do\n  = waypost explain C104\nFAIL x\n-old\n+new\n"
    rows = colours.rows(text).split("\n")
    assert rows[0].startswith("\x1b[33mwarning[C104]:\x1b[0m")
    assert rows[3] == "\x1b[34m1 |\x1b[0m - x | ^"
    assert rows[4] == "\x1b[34m  |   \x1b[0m\x1b[33m^ here\x1b[0m"
    assert rows[6].startswith("\x1b[36mhelp:")
    assert rows[8].startswith("\x1b[31m\x1b[1mFAIL ")
    assert rows[9:11] == ["\x1b[31m-old\x1b[0m", "\x1b[32m+new\x1b[0m"]


# Frames.

ZERO = ("Mn", "Me", "Cf")
ALPHABET = st.one_of(
    st.sampled_from("ab: {}\t\t日本한🙂👩é\u0301\u0300\u200b\u200d\u00ad\ufe0f\u202e\u0007－ｱ…^-|"),
    st.characters(blacklist_characters="\r\n", blacklist_categories=("Cn",)),
)


def wide(character: str) -> int:
    if unicodedata.category(character) in ZERO or "\u1160" <= character <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def cells(row: str) -> list[str]:
    """The cells of a row: a wide character fills two, one without width goes to the cell before it."""
    found: list[str] = []
    for character in row:
        assert unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp"), repr(row)
        found += [character] * wide(character)
    return found


def meant(line: str, start: int, end: int) -> str:
    """What the carets have to stand under: the stretch's own cells, tabs as spaces to the next multiple of four."""
    at, kept = 0, []
    for index, character in enumerate(line):
        seen = "\ufffd" if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") else character
        seen = "\ufffd" if unicodedata.bidirectional(character) in TURNS or character in "\u200e\u200f\u061c" else seen
        glyphs = [" "] * (4 - at % 4) if character == "\t" else [seen] * wide(seen)
        at += len(glyphs)
        kept += glyphs if start <= index < end else []
    return "".join(kept)


TURNS = ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")


@st.composite
def places(draw: st.DrawFn) -> tuple[str, int, int]:
    line = draw(st.text(ALPHABET, max_size=draw(st.sampled_from([5, 30, 120]))))
    start = draw(st.integers(0, len(line)))
    return line, start, draw(st.integers(start, len(line)))


@given(places(), st.one_of(st.none(), st.integers(12, 200)), st.text(ALPHABET, max_size=60))
@example(("k:\tvalue\tmore", 2, 9), None, "tabs within")
@example(("日本\tx: 日本", 3, 4), None, "a tab behind wide characters")
@example(("e\u0301\u0301: v", 1, 3), 12, "")
@example(("日" * 40, 20, 40), 12, "x")
@example(("a" * 40, 40, 40), 20, "at the end")
@example(("a" * 20, 19, 20), 24, "")
def test_carets_stand_under_their_stretch(place: tuple[str, int, int], columns: int | None, text: str) -> None:
    line, start, end = place
    text = "".join(character for character in text if unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp"))
    source = Source("x", f"{line}\n")
    _, _, shown, marked, *rest = excerpt(Label(Span(start, end), text), [], source, columns)
    row = cells(shown.removeprefix("1 |").removeprefix(" "))
    carets = re.match(r" *\^+", marked.removeprefix("  | "))
    assert carets is not None, marked
    first, last = carets[0].count(" "), len(carets[0])
    under = "".join(row[first:last])
    wanted = meant(line, start, end)
    assert last - first >= 1
    if wanted:
        assert under.rstrip(" ") == wanted[: last - first].rstrip(" ")
    before = "".join(row[:first]).ljust(first)
    assert meant(line, 0, start).endswith(before.removeprefix("…") if columns is not None else before)
    if columns is None:
        assert last - first == max(1, len(wanted))
        return
    for one in (shown, marked, *rest):
        assert len(cells(one)) <= columns, one
    # A stretch is cut only when there is no room for it.
    if last - first < len(wanted):
        assert len(wanted) > columns - len("1 | ") - len("……") - 1


@given(st.integers(24, 80), st.integers(0, 300))
def test_what_is_cut_is_said_on_its_side(columns: int, before: int) -> None:
    line = "x" * before + "HERE" + "y" * 300
    rows = excerpt(Label(Span(before, before + 4)), [], Source("x", line), columns)
    shown = rows[2].removeprefix("1 | ")
    assert "HERE" in shown
    assert shown.endswith("y…")
    assert shown.startswith("…") is (not shown.startswith(("x" * before + "HERE")[: columns - 5]))
    assert rows[3].removeprefix("  | ") == " " * shown.index("HERE") + "^^^^"


def test_two_labels_far_apart_on_a_long_line_are_both_in_view() -> None:
    line = "ONE" + " " * 200 + "TWO"
    diagnostic = Diagnostic("Y101", "m", Label(Span(0, 3), "a"), others=(Label(Span(203, 206), "b"),))
    rows = frame(diagnostic, Source("x", line), 40).splitlines()
    assert rows[3].startswith("1 | ONE")
    assert rows[4] == "  | ^^^ a"
    assert rows[5].endswith("TWO")
    assert rows[6].index("---") == rows[5].index("TWO")


def test_a_label_that_does_not_fit_goes_below() -> None:
    label = "found a mapping where one of these was expected: a text, a number"
    rows = excerpt(Label(Span(30, 36), label), [], Source("x", " " * 30 + "cutting"), 50)
    assert rows[3] == "  | " + " " * 30 + "^^^^^^"
    assert " ".join(row.removeprefix("  |").strip() for row in rows[4:-1]) == label


def test_a_narrow_terminal_does_not_wrap_a_frame(tmp_path: Path) -> None:
    long = (
        (CASES / "good.yaml")
        .read_text(encoding="utf-8")
        .replace("name: ", "description: " + "日本 " * 60 + "\nname: ", 1)
    )
    (tmp_path / "destination.yaml").write_text(
        long + "# " + "x" * 200 + "\nsettngs: {}" + " " * 90 + "# end\n", encoding="utf-8"
    )
    terminal = Terminal(tmp_path, "lint", "destination.yaml", "--no-cache", columns=40)
    assert terminal.end() == 1
    rows = [row.rstrip() for row in terminal.screen.lines]
    at = next(index for index, row in enumerate(rows) if "settngs" in row and "|" in row)
    assert rows[at].endswith("…")
    assert rows[at + 1].index("^") == rows[at].index("settngs")
    assert all(len(cells(row)) <= 40 for row in rows if "|" in row)
    assert "# end" in waypost_process("lint", "destination.yaml", "--no-cache", cwd=tmp_path)[1]
