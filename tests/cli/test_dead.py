"""Dead letters of a state, from the command line: listed, shown, exported, dropped, and sent again with the same ids."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kills import SPEC, agrees, ledger_in
from waypost.cli.main import cli
from waypost.http.receiver import Received, Receiver, Reply

BROKEN = SPEC.replace("$from: $.properties.total, type: number", "$from: $.properties.total, type: number, enum: [1]")


def waypost(folder: Path, *words: str, wanted: int = 0) -> Result:
    """A command, run in this process; its status is as wanted."""
    with contextlib.chdir(folder):
        done = CliRunner(env={"KEY": "canary-shop-key", "XDG_STATE_HOME": str(folder / "xdg")}).invoke(cli, words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == wanted, done.stderr
    return done


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """A test that fails leaves no process to be waited for."""
    try:
        yield
    finally:
        process.kill()


def rows(done: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def event(name: str | None, **fields: Any) -> str:
    held = {"type": "track", "event": "Order", "userId": "u", "properties": {"total": 1}, **fields}
    return json.dumps(held if name is None else {**held, "messageId": name}) + "\n"


def prepare(folder: Path, spec: str = SPEC) -> None:
    (folder / "shop.yaml").write_text(spec)
    (folder / "waypost.yaml").write_text(
        "connections:\n  web_shop: {destination: shop.yaml, sources: [all], settings: {key: env:KEY}}\n"
        "sources:\n  all: {files: events.ndjson}\n"
    )


def deliver(folder: Path, url: str, wanted: int = 3) -> None:
    waypost(folder, "run", "waypost.yaml", "--state", "state", "--endpoint-override", url, wanted=wanted)


def messages(receiver: Receiver) -> list[dict[str, Any]]:
    return [
        message
        for request in receiver.requests
        if request.status == 200
        for message in json.loads(request.body)["events"]
    ]


def test_break_the_spec_mend_it_and_replay(tmp_path: Path) -> None:
    """P14: what died under a broken spec is delivered by the mended one, with the ids that it would have had; the ledger closes.

    Mutations that turn this red: `add_letters` without the event's offset or first line (ids of events without an id); `again` not
    keeping to the letter's own delivery (doubles); `taken_out` left out (the ledger counts twice).
    """
    lines = [event(f"e{number}", properties={"total": number % 3}) for number in range(30)]
    keyless = SPEC.replace("key: {$from: $.messageId, required: true}", "key: {$from: $.messageId}")
    lines += [event(None, properties={"total": 2, "number": number}) for number in range(3)]
    (tmp_path / "events.ndjson").write_text("".join(lines))
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / "events.ndjson").write_text("".join(lines))
    prepare(whole, keyless)
    with Receiver(port=0) as receiver:
        deliver(whole, receiver.url, 0)
        wanted = {message["id"]: message for message in messages(receiver)}
    prepare(tmp_path, BROKEN.replace("key: {$from: $.messageId, required: true}", "key: {$from: $.messageId}"))
    with Receiver(port=0) as receiver:
        deliver(tmp_path, receiver.url)
        assert len(messages(receiver)) == 33 + 10
        (listed,) = [
            line
            for line in waypost(tmp_path, "dead", "list", "--state", "state").stderr.splitlines()
            if "letters" in line
        ]
        assert listed == "23 dead letters (not_in_enum 23)"
        prepare(tmp_path, keyless)
        replayed = waypost(
            tmp_path, "dead", "replay", "--state", "state", "--json", "--endpoint-override", receiver.url
        )
        found = messages(receiver)
    assert json.loads(replayed.stdout)["lanes"][0]["delivered"] == 23
    assert len(found) == len(wanted)
    assert {message["id"]: message for message in found} == wanted
    assert waypost(tmp_path, "dead", "list", "--state", "state").stdout == ""
    ledger = ledger_in(tmp_path / "state", "web_shop", "all")
    assert (ledger["read"], ledger["events"], ledger["deliveries"], ledger["delivered"], ledger["dead"]) == (
        33,
        33,
        66,
        66,
        {},
    )
    agrees(tmp_path / "state")


def test_replay_with_the_old_plan_dies_of_the_same(tmp_path: Path) -> None:
    """A letter that dies again stays, with its attempts added up and its place in the source."""
    (tmp_path / "events.ndjson").write_text(event("a") + event("b", properties={"total": 5}))
    prepare(tmp_path, BROKEN)
    with Receiver(port=0) as receiver:
        deliver(tmp_path, receiver.url)
        (before,) = rows(waypost(tmp_path, "dead", "export", "--state", "state"))
        prepare(tmp_path, SPEC)
        said = waypost(tmp_path, "dead", "replay", "--state", "state", "--dry-run").stdout
        assert '"total":5' in said
        said = waypost(tmp_path, "dead", "replay", "--state", "state", "--dry-run", "--plan", "old").stdout
        assert "would die again: not_in_enum" in said
        words = ("dead", "replay", "--state", "state", "--endpoint-override", receiver.url)
        waypost(tmp_path, *words, "--plan", "old", wanted=3)
        (after,) = rows(waypost(tmp_path, "dead", "export", "--state", "state"))
        assert {**after, "at": ""} == {**before, "at": ""}
        waypost(tmp_path, *words)
        assert [message["key"] for message in messages(receiver)].count("b") == 2
    agrees(tmp_path / "state")


def refuse_all(request: Received) -> Reply:
    return Reply(422, body=b"no canary-shop-key")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed")
    make_mixed(folder)
    return folder


@pytest.fixture
def mixed(made: Path, tmp_path: Path) -> Path:
    """A copy of the state with the mixed letters, and what it was made from."""
    return shutil.copytree(made, tmp_path, dirs_exist_ok=True)


def make_mixed(folder: Path) -> None:
    """Letters of three kinds: two lines that are no events, three refused, one without a field."""
    (folder / "events.ndjson").write_text(
        '{"broken"\n[1]\n'
        + event("r1", event="View")
        + event("r2", event="View", userId="vip")
        + event("r3", event="View", context={"page": {"url": "https://a.example/x"}})
        + event("n1", event="View", userId=None)
    )
    prepare(folder)
    with Receiver(port=0, answer=refuse_all) as receiver:
        deliver(folder, receiver.url)


def test_letters_are_listed_shown_and_exported(mixed: Path) -> None:
    state = ("--state", "state")
    listed = waypost(mixed, "dead", "list", *state)
    assert len(listed.stdout.splitlines()) == 7, "heads and six letters"
    assert "6 dead letters (malformed 1, not_object 1, refused 3, required 1)" in listed.stderr
    exported = rows(waypost(mixed, "dead", "export", *state, "--reason", "refused"))
    assert [row["event"]["messageId"] for row in exported] == ["r1", "r2", "r3"]
    assert list(exported[0]) == [
        "event", "reason", "message", "action", "connection", "position", "attempts", "response", "plan", "at",
    ]  # fmt: skip
    assert exported[0]["response"] == {"status": 422, "body": "no ***"}
    assert exported[0]["position"]["source"] == "events.ndjson"
    shown = json.loads(waypost(mixed, "dead", "show", *state, "1").stdout)
    assert shown["event"] == {"text": '{"broken"'}
    waypost(mixed, "dead", "export", *state, "--output", "letters.ndjson")
    assert stat.S_IMODE((mixed / "letters.ndjson").stat().st_mode) == 0o600
    assert "canary" not in (mixed / "letters.ndjson").read_text()
    assert "File exists" in waypost(mixed, "dead", "export", *state, "--output", "letters.ndjson", wanted=2).stderr


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["--reason", "malformed"], 1),
        (["--reason", "malformed", "--reason", "not_object"], 2),
        (["--connection", "web_shop"], 6),
        (["--connection", "other"], 0),
        (["--where", 'userId = "vip"'], 1),
        (["--where", 'context.page.url = "https://a.example/x" or userId = "vip"'], 2),
        (["--where", 'type = "track"', "--reason", "refused"], 3),
        (["--since", "1h"], 6),
        (["--since", "2126-01-01"], 0),
        (["1", "3"], 2),
        (["--all"], 6),
    ],
)
def test_letters_are_chosen_and_dropped(words: list[str], count: int, mixed: Path) -> None:
    """The ledger goes on counting what was dropped; the state says that it was let go."""
    words = ["dead", "drop", "--state", "state", *words]
    assert f"{count} dead letters would be dropped" in waypost(mixed, *words, "--dry-run").stderr
    assert f"{count} dead letters dropped" in waypost(mixed, *words).stderr
    found = json.loads(waypost(mixed, "state", "state", "--json").stdout)
    (lane,) = found["lanes"]
    assert sum(lane["dead_letters"].values()) == 6 - count
    assert lane["let_go"] == count
    assert sum(lane["ledger"]["dead"].values()) == 4
    agrees(mixed / "state")


def test_state_says_where_each_lane_is(mixed: Path) -> None:
    found = json.loads(waypost(mixed, "state", "state", "--json").stdout)
    size = (mixed / "events.ndjson").stat().st_size
    assert found["lanes"][0]["inputs"] == [
        {"input": "events.ndjson", "cursor": size, "unit": "bytes", "lag": 0, "ended_above": 0}
    ]
    told = waypost(mixed, "state", "state").stdout
    assert "6 lines = 4 events + 2 rejected" in told
    assert "(does not close)" not in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list", "--state", "nothing"], "there is no state in nothing"),
        (["list"], "there is no state in"),
        (["show", "--state", "state", "99"], "there is no dead letter 99"),
        (["drop", "--state", "state"], "--all"),
        (["list", "--state", "state", "--where", "type = "], "--where"),
        (["list", "--state", "state", "--where", "prperties.a = 1"], "--where"),
        (["list", "--state", "state", "--since", "yesterday"], "--since"),
        (["replay", "--state", "state", "--to", "nowhere"], "nowhere"),
    ],
)
def test_error_is_one_line(words: list[str], said: str, mixed: Path) -> None:
    done = waypost(mixed, "dead", *words, wanted=2)
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (mixed / "nothing").exists()


def test_letters_are_read_beside_a_running_engine_and_changed_only_without_one(tmp_path: Path) -> None:
    mixed = tmp_path
    make_mixed(mixed)
    with (mixed / "events.ndjson").open("a") as file:
        file.write("".join(event(f"x{number}") for number in range(500)))
    env = {**os.environ, "KEY": "canary-shop-key"}
    with Receiver(port=0, script="200:delay=30") as receiver:
        words = ["run", "waypost.yaml", "--state", "state", "--endpoint-override", receiver.url, "--drain", "0"]
        with (
            subprocess.Popen(
                [sys.executable, "-m", "waypost", *words], cwd=mixed, env=env, stderr=subprocess.DEVNULL
            ) as engine,
            ended(engine),
        ):
            with receiver.arrived:
                assert receiver.arrived.wait_for(lambda: len(receiver.requests) > 0, 30)
            assert len(waypost(mixed, "dead", "list", "--state", "state").stdout.splitlines()) == 7
            refused = waypost(mixed, "dead", "drop", "--state", "state", "--all", wanted=2)
            assert "another engine is running" in refused.stderr
            engine.send_signal(signal.SIGTERM)
            engine.wait(30)


def test_interrupted_replay_keeps_the_rest(tmp_path: Path) -> None:
    """SIGKILL in the middle of a replay: each letter is as it was or as it has become."""
    (tmp_path / "events.ndjson").write_text("".join(event(f"e{number}", event="View") for number in range(300)))
    prepare(tmp_path)
    with Receiver(port=0, answer=refuse_all) as receiver:
        deliver(tmp_path, receiver.url)
    env = {**os.environ, "KEY": "canary-shop-key"}
    with Receiver(port=0, script="200:delay=0.1") as receiver:
        words = ["dead", "replay", "--state", "state", "--endpoint-override", receiver.url]
        with (
            subprocess.Popen(
                [sys.executable, "-m", "waypost", *words], cwd=tmp_path, env=env, stderr=subprocess.DEVNULL
            ) as process,
            ended(process),
        ):
            with receiver.arrived:
                assert receiver.arrived.wait_for(lambda: len(receiver.requests) >= 6, 30)
            process.kill()
        agrees(tmp_path / "state")
        waypost(tmp_path, *words)
        keys = [message["key"] for message in messages(receiver)]
    assert set(keys) == {f"e{number}" for number in range(300)}
    assert len(keys) < 600
    ledger = ledger_in(tmp_path / "state", "web_shop", "all")
    assert (ledger["deliveries"], ledger["delivered"], ledger["dead"], ledger["closes"]) == (300, 300, {}, True)
    agrees(tmp_path / "state")
