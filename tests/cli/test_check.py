"""`waypost check`: the credential probe over real HTTP, and what is said of each answer."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest

from conftest import CASES
from running import waypost
from waypost.http.receiver import Receiver

CANARY = "canary-write-key-3f9a"
FOLDER = CASES / "connections"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    return tmp_path


ANSWERS = [
    (
        "200",
        0,
        "the probe was answered 200: the credentials in its url or auth are known there; it does not prove that events",
    ),
    ("204", 0, "the probe was answered 204: the credentials"),
    ("401", 4, "the probe was answered 401: the credentials are refused"),
    ("404", 4, "the probe was answered 404: nothing of that name is there"),
    ("302:location=/elsewhere", 4, "the probe was answered 302"),
    ("503", 4, "the probe was answered 503: a fault of the server"),
    ("cut", 4, "gave no answer: 127.0.0.1"),
]


@pytest.mark.parametrize(("script", "wanted", "part"), ANSWERS, ids=[row[0] for row in ANSWERS])
def test_answer_is_told_in_one_line(folder: Path, script: str, wanted: int, part: str) -> None:
    with Receiver(port=0, script=script) as receiver:
        status, out, err = waypost("check", "--endpoint-override", receiver.url, cwd=folder, SHOP_KEY=CANARY)
    assert (status, err) == (wanted, "")
    assert out.startswith("shop_eu: ")
    assert part in out
    assert len(out.splitlines()) == 1, "the disabled connection is not probed"
    assert CANARY not in out
    (request,) = receiver.requests
    assert (request.method, request.path, request.body) == ("GET", "/me", b"")
    assert request.headers["authorization"] == f"Bearer {CANARY}"


def test_destination_with_settings(tmp_path: Path) -> None:
    with Receiver(port=0) as receiver:
        words = ("check", "segment", "--set", "source_write_key=env:KEY", "--endpoint-override", receiver.url)
        status, out, _ = waypost(*words, cwd=tmp_path, KEY=CANARY)
    assert status == 0
    assert out.startswith("segment: the probe was answered 200")
    assert CANARY not in out
    (request,) = receiver.requests
    assert request.path == f"/v1/projects/{CANARY}/settings"
    assert base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode() == f"{CANARY}:"


def test_each_enabled_connection_is_probed_and_the_worst_answer_counts(folder: Path) -> None:
    file = folder / "waypost.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("    enabled: false\n", ""), encoding="utf-8")
    (folder / "keys").mkdir()
    (folder / "keys" / "shop us.key").write_text("us-key\n")
    with Receiver(port=0, script="403,200") as receiver:
        words = ("check", str(file), "--endpoint-override", receiver.url)
        status, out, _ = waypost(*words, cwd=folder.parent, SHOP_KEY=CANARY)
    assert status == 4
    assert [line.split(":")[0] for line in out.splitlines()] == ["shop_eu", "shop_us"]
    assert [request.headers["authorization"] for request in receiver.requests] == [f"Bearer {CANARY}", "Bearer us-key"]


def test_committed_plans_are_enough(folder: Path) -> None:
    assert waypost("compile", cwd=folder)[0] == 0
    (folder / "waypost.yaml").unlink()
    with Receiver(port=0) as receiver:
        words = ("check", "--frozen", "--endpoint-override", receiver.url)
        assert waypost(*words, cwd=folder, SHOP_KEY=CANARY)[0] == 0
        plan = "compiled/connections/shop_eu.json"
        assert waypost("check", plan, "--endpoint-override", receiver.url, cwd=folder, SHOP_KEY=CANARY)[0] == 0
    assert len(receiver.requests) == 2


def test_nobody_there(folder: Path) -> None:
    with Receiver(port=0) as receiver:
        url = receiver.url
    status, out, _ = waypost("check", "--endpoint-override", url, cwd=folder, SHOP_KEY=CANARY)
    assert status == 4
    assert "shop_eu: could not be reached: 127.0.0.1" in out


WRONG = [
    ((), {}, "shop_eu: the setting `key`: the environment variable SHOP_KEY is not set"),
    (("--set", "key=x"), {"SHOP_KEY": "k"}, "--set goes with a destination"),
    (("nothing",), {}, "no spec, plan or shipped destination"),
    (("segment",), {}, "needs the setting `source_write_key`"),
    (("--endpoint-override", "http://example.com"), {}, "--endpoint-override takes"),
    (("--frozen",), {}, "there are no compiled connections"),
]


@pytest.mark.parametrize(("words", "env", "part"), WRONG, ids=[row[2] for row in WRONG])
def test_error_is_one_clear_line_and_status_2(
    folder: Path, words: tuple[str, ...], env: dict[str, str], part: str
) -> None:
    status, out, err = waypost("check", *words, cwd=folder, **env)
    assert (status, out) == (2, "")
    assert part in err
    assert len(err.splitlines()) == 1


def test_spec_without_a_probe(folder: Path) -> None:
    status, out, _ = waypost(
        "check", str(CASES / "good.yaml"), "--set", "key=env:K", "--set", "region=eu", cwd=folder, K="k"
    )
    assert status == 2
    assert "has no `check:`" in out


def test_no_file_here(tmp_path: Path) -> None:
    status, _, err = waypost("check", cwd=tmp_path)
    assert status == 2
    assert "there is no waypost.yaml here" in err
    assert waypost("connections", cwd=tmp_path)[0] == 2


@pytest.mark.parametrize(("script", "wanted", "part"), ANSWERS, ids=[row[0] for row in ANSWERS])
def test_the_same_as_json(folder: Path, script: str, wanted: int, part: str) -> None:
    with Receiver(port=0, script=script) as receiver:
        words = ("check", "--json", "--endpoint-override", receiver.url)
        status, out, err = waypost(*words, cwd=folder, SHOP_KEY=CANARY)
    assert (status, err) == (wanted, "")
    row = json.loads(out)
    assert list(row) == ["connection", "answer", "ok", "said"]
    assert row["connection"] == "shop_eu"
    assert row["ok"] is (wanted == 0)
    assert row["answer"] == ("unanswered" if script == "cut" else script[:3])
    assert part in row["said"]
