"""Runs, end to end: real files, real sockets, a destination that misbehaves; what arrived is compared with what should have."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT
from hostile import hostile_events
from kills import ledger_in
from strict_segment import StrictSegment
from waypost.engine.engine import run
from waypost.engine.options import Options
from waypost.engine.summary import Summary
from waypost.http.receiver import Received, Receiver, Reply
from waypost.http.transport import Transport
from waypost.plan import load
from waypost.program.program import Program, link
from waypost.sources.file import FileSource
from waypost.state.records import cursors
from waypost.state.store import StateError, Store

EXAMPLES = ROOT / "examples" / "events.ndjson"
CANARY = "canary-write-key-3f9a"


def program_for(url: str) -> Program:
    plan = load((ROOT / "compiled" / "segment.json").read_bytes())
    return link(plan, {"source_write_key": CANARY, "endpoint": "europe"}, endpoint_override=url)


def deliver(url: str, path: Path, scratch: Path, store: Store | None = None, **options: Any) -> Summary:
    async def go() -> Summary:
        chosen = Options(scratch / "dead.ndjson", jitter=lambda: 0.01, **options)
        source = FileSource(path)
        try:
            return await run(program_for(url), [source], Transport(), chosen, store)
        finally:
            source.close()

    return asyncio.run(go())


def write_events(path: Path, count: int, start: int = 0) -> list[str]:
    ids = [f"m{number}" for number in range(start, start + count)]
    lines = [
        json.dumps(
            {"type": "track", "userId": f"u{name}", "event": "A", "messageId": name, "properties": {"n": "x" * 500}}
        )
        for name in ids
    ]
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(line + "\n" for line in lines))
    return ids


def arrived(receiver: Receiver) -> list[str]:
    return [
        message["messageId"]
        for request in receiver.requests
        if request.status == 200
        for message in json.loads(request.body)["batch"]
    ]


def test_examples_reach_a_strict_destination_without_a_silent_discard(tmp_path: Path) -> None:
    strict = StrictSegment()
    with Receiver(port=0, answer=strict.answer) as receiver:
        summary = deliver(receiver.url, EXAMPLES, tmp_path)
    assert strict.discards == []
    assert strict.refused == []
    assert summary.ledger.closes
    assert len(strict.taken) == summary.ledger.delivered == 230
    assert summary.status == 3


def test_hostile_events_reach_a_strict_destination_without_a_silent_discard(tmp_path: Path) -> None:
    path = tmp_path / "hostile.ndjson"
    path.write_bytes(b"".join(line.replace(b"\n", b" ") + b"\n" for line in hostile_events(3, 4000)))
    strict = StrictSegment()
    with Receiver(port=0, answer=strict.answer) as receiver:
        summary = deliver(receiver.url, path, tmp_path)
    # A source that repeats its own messageId is deduplicated by the destination, as it should be.
    assert {discard.reason for discard in strict.discards} <= {"repeated_message_id"}
    assert strict.refused == []
    assert len(strict.taken) + len(strict.discards) == summary.ledger.delivered
    assert summary.ledger.closes


def test_what_arrives_is_what_the_program_says(tmp_path: Path) -> None:
    """P3: the bytes on the wire are the plan's output."""
    with Receiver(port=0) as receiver:
        deliver(receiver.url, EXAMPLES, tmp_path)
    program = program_for("http://127.0.0.1:1")
    first = EXAMPLES.read_bytes().split(b"\n")[0]
    wanted: list[bytes] = []
    offset = 0
    for line in EXAMPLES.read_bytes().splitlines(keepends=True):
        wanted += [
            item.body
            for item in program.map(line.rstrip(b"\n"), offset, first)
            if hasattr(item, "body") and len(item.body) <= 32768
        ]
        offset += len(line)
    sent = b"".join(request.body for request in receiver.requests)
    assert all(body in sent for body in wanted)
    assert len(arrived(receiver)) == len(wanted)


def misbehaving(script: list[int]) -> Any:
    left = list(script)

    def answer(request: Received) -> Reply:
        status = left.pop(0) if left else 200
        return Reply(status, headers={"retry-after": "0"} if status == 429 else {})

    return answer


@pytest.mark.parametrize("script", [[503, 503], [429, 429], [0, 0], [408, 500, 0, 429], [500] * 4])
def test_trouble_is_retried_and_nothing_is_lost(script: list[int], tmp_path: Path) -> None:
    ids = write_events(tmp_path / "e.ndjson", 3000)
    with Receiver(port=0, answer=misbehaving(script)) as receiver:
        summary = deliver(receiver.url, tmp_path / "e.ndjson", tmp_path)
    assert sorted(arrived(receiver)) == sorted(ids)
    assert summary.ledger.delivered == 3000
    assert summary.status == 0
    assert summary.ledger.attempts_again == len(script)


def test_person_is_told_of_an_outage_and_its_end(tmp_path: Path) -> None:
    write_events(tmp_path / "e.ndjson", 10)
    said: list[str] = []
    with Receiver(port=0, answer=misbehaving([503] * 6)) as receiver:
        summary = deliver(receiver.url, tmp_path / "e.ndjson", tmp_path, notice=said.append)
    assert summary.status == 0
    assert [text.split(" (")[0] for text in said] == ["the destination fails", "the destination works again"]
    assert "it answers 503" in said[0]


def test_sent_at_is_stamped_anew_and_messages_are_the_same_at_each_attempt(tmp_path: Path) -> None:
    instants = iter(range(1_800_000_000, 1_900_000_000))
    write_events(tmp_path / "e.ndjson", 5)
    with Receiver(port=0, answer=misbehaving([503])) as receiver:
        deliver(receiver.url, tmp_path / "e.ndjson", tmp_path, clock=lambda: float(next(instants)))
    first, second = (json.loads(request.body) for request in receiver.requests)
    assert first["batch"] == second["batch"]
    assert first["sentAt"] < second["sentAt"]


def test_one_bad_message_is_split_off(tmp_path: Path) -> None:
    write_events(tmp_path / "e.ndjson", 500)

    def answer(request: Received) -> Reply:
        ids = [message["messageId"] for message in json.loads(request.body)["batch"]]
        return Reply(400, body=f'{{"message":"bad m123 for {CANARY}"}}'.encode()) if "m123" in ids else Reply()

    with Receiver(port=0, answer=answer) as receiver:
        summary = deliver(receiver.url, tmp_path / "e.ndjson", tmp_path)
    assert set(arrived(receiver)) == {f"m{number}" for number in range(500)} - {"m123"}
    letter = json.loads((tmp_path / "dead.ndjson").read_text())
    assert letter["event"]["messageId"] == "m123"
    assert letter["reason"] == "refused"
    assert letter["response"] == {"status": 400, "body": '{"message":"bad m123 for ***"}'}
    assert letter["position"]["line"] == 124
    assert summary.status == 3


def test_wrong_key_stops_and_keeps_everything(tmp_path: Path) -> None:
    write_events(tmp_path / "e.ndjson", 10)
    with Receiver(port=0, script="401") as receiver:
        summary = deliver(receiver.url, tmp_path / "e.ndjson", tmp_path)
    assert summary.status == 4
    assert "401" in summary.stopped
    assert summary.ledger.in_flight == 10
    assert summary.ledger.closes
    assert not (tmp_path / "dead.ndjson").exists()


def test_redirect_is_not_followed(tmp_path: Path) -> None:
    write_events(tmp_path / "e.ndjson", 1)
    with (
        Receiver(port=0) as other,
        Receiver(port=0, script=f"302:location={other.url.replace(':', '%3A')}") as receiver,
    ):
        summary = deliver(receiver.url, tmp_path / "e.ndjson", tmp_path)
    assert summary.status == 4
    assert other.requests == []


def test_run_resumes_where_the_last_one_ended(tmp_path: Path) -> None:
    path = tmp_path / "e.ndjson"
    said: list[str] = []
    first = write_events(path, 50)
    with Receiver(port=0) as receiver:
        for round_ in range(3):
            if round_ == 2:
                write_events(path, 5, start=50)
            store = Store(tmp_path / "state")
            deliver(receiver.url, path, tmp_path, store, notice=said.append)
            store.close()
    assert arrived(receiver) == [*first, *(f"m{number}" for number in range(50, 55))]
    assert any("nothing new" in text for text in said)


def test_another_file_under_the_name_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "e.ndjson"
    write_events(path, 5)
    said: list[str] = []
    with Receiver(port=0) as receiver:
        for start in (0, 100):
            path.unlink()
            ids = write_events(path, 5, start=start)
            store = Store(tmp_path / "state")
            deliver(receiver.url, path, tmp_path, store, notice=said.append)
            store.close()
    assert arrived(receiver)[-5:] == ids
    assert any("not the file that was read before" in text for text in said)


def test_error_two_engines_on_one_state(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StateError, match="another engine"):
        Store(tmp_path)
    store.close()
    Store(tmp_path).close()


def test_error_state_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(StateError, match="not a state"):
        Store(tmp_path)


def test_second_run_without_state_sends_the_same_ids(tmp_path: Path) -> None:
    path = tmp_path / "e.ndjson"
    path.write_bytes(b'{"type":"track","userId":"u","event":"A"}\n' * 3)
    with Receiver(port=0) as receiver:
        deliver(receiver.url, path, tmp_path)
        deliver(receiver.url, path, tmp_path)
    ids = arrived(receiver)
    assert ids[:3] == ids[3:]
    assert len(set(ids)) == 3


def test_bad_lines_become_dead_letters_with_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "e.ndjson"
    good = b'{"type":"track","userId":"u","event":"A","messageId":"m"}'
    long = b'{"type":"track","a":"' + b"x" * (1 << 20) + b'"}'
    bomb = b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    lines = [
        b"\xef\xbb\xbf" + good,
        b"",
        b"   ",
        b'{"type":',
        b"[1]",
        b'{"a":"\xff"}',
        long,
        bomb,
        good.replace(b'"m"', b'"m2"') + b"\r",
    ]
    path.write_bytes(b"\n".join(lines))
    with Receiver(port=0) as receiver:
        summary = deliver(receiver.url, path, tmp_path)
    assert arrived(receiver) == ["m", "m2"]
    letters = [json.loads(line) for line in (tmp_path / "dead.ndjson").read_text().splitlines()]
    assert [(letter["reason"], letter["position"]["line"]) for letter in letters] == [
        ("malformed", 4),
        ("not_object", 5),
        ("invalid_utf8", 6),
        ("line_too_long", 7),
        ("too_deep", 8),
    ]
    assert letters[0]["event"] == {"text": '{"type":'}
    assert "base64" in letters[2]["event"]
    assert str(len(long)) in letters[3]["message"]
    assert summary.ledger.read == 7
    assert summary.ledger.closes
    assert stat.S_IMODE((tmp_path / "dead.ndjson").stat().st_mode) == 0o600


def test_fault_of_ours_ends_the_run(tmp_path: Path) -> None:
    """An exception while sending is raised, not waited for."""

    class Broken:
        async def send(self, wire: Any, timeout_s: float, left: Any) -> Any:
            raise ZeroDivisionError

        async def close(self) -> None:
            return None

    write_events(tmp_path / "e.ndjson", 3)
    source = FileSource(tmp_path / "e.ndjson")
    with pytest.raises(ZeroDivisionError):
        asyncio.run(run(program_for("http://127.0.0.1:9"), [source], Broken(), Options(tmp_path / "d")))
    source.close()


def test_unreachable_host_gives_up_with_nothing_consumed(tmp_path: Path) -> None:
    write_events(tmp_path / "e.ndjson", 5)
    store = Store(tmp_path / "state")
    summary = deliver("http://127.0.0.1:9", tmp_path / "e.ndjson", tmp_path, store, connect_within_s=0.3)
    saved = list(cursors(store.reader))
    store.close()
    assert summary.status == 4
    assert "never reached" in summary.stopped
    assert [cursor.at.blank for _, _, cursor in saved] == [True]
    assert summary.ledger.in_flight == 5


# The command, as a process.


def waypost(*words: str, **options: Any) -> subprocess.Popen[bytes]:
    env = {**os.environ, "WRITE_KEY": CANARY, **options.pop("env", {})}
    return subprocess.Popen(
        [sys.executable, "-m", "waypost", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, **options
    )


def run_words(url: str, *rest: str) -> tuple[str, ...]:
    return ("run", "segment", "--set", "source_write_key=env:WRITE_KEY", "--endpoint-override", url, *rest)


def test_command_from_stdin(tmp_path: Path) -> None:
    with Receiver(port=0) as receiver:
        process = waypost(
            *run_words(receiver.url, "--json", "--dead-letters", str(tmp_path / "d")),
            stdin=subprocess.PIPE,
            cwd=tmp_path,
        )
        out, err = process.communicate(b'{"type":"track","userId":"u","event":"A","messageId":"m"}')
    assert process.returncode == 0, err
    assert arrived(receiver) == ["m"]
    assert json.loads(out)["delivered"] == 1
    assert b"not journaled" in err


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_drains_and_a_later_run_delivers_the_rest(name: signal.Signals, tmp_path: Path) -> None:
    ids = write_events(tmp_path / "e.ndjson", 20_000)
    words = ("--state", str(tmp_path / "state"), "--dead-letters", str(tmp_path / "d"), str(tmp_path / "e.ndjson"))
    with Receiver(port=0, script="200x6:delay=0.05,200:delay=30") as receiver:
        process = waypost(*run_words(receiver.url, "--drain", "0.5", *words), cwd=tmp_path)
        with receiver.arrived:
            # One more than are under way at once: the first was heard. The last ones never are, however late the signal is.
            assert receiver.arrived.wait_for(lambda: len(receiver.requests) >= 5, 60)
        process.send_signal(name)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 5, err
        before = arrived(receiver)
    heard = ledger_in(tmp_path / "state", "segment", "files")["delivered"]
    assert 0 < heard < len(ids)
    with Receiver(port=0) as receiver:
        again = waypost(*run_words(receiver.url, *words), cwd=tmp_path)
        _, err = again.communicate(timeout=60)
        after = arrived(receiver)
    assert again.returncode == 0, err
    assert {*before, *after} == set(ids)
    assert len(after) == len(ids) - heard, "what was answered before the stop is not sent again"


def test_second_signal_stops_at_once(tmp_path: Path) -> None:
    write_events(tmp_path / "e.ndjson", 10)
    with Receiver(port=0, script="200:delay=30") as receiver:
        process = waypost(*run_words(receiver.url, str(tmp_path / "e.ndjson")), cwd=tmp_path)
        with receiver.arrived:
            receiver.arrived.wait_for(lambda: len(receiver.requests) >= 1, 20)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        while b"once more" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 5


@pytest.mark.slow
def test_killed_run_loses_nothing(tmp_path: Path) -> None:
    """SIGKILL at a moment of its own choosing; the next run delivers what is missing, repeats carry the same ids."""
    ids = write_events(tmp_path / "e.ndjson", 20_000)
    words = ("--state", str(tmp_path / "state"), "--dead-letters", str(tmp_path / "d"), str(tmp_path / "e.ndjson"))
    with Receiver(port=0, script="200:delay=0.02") as receiver:
        for kills in range(3):
            process = waypost(*run_words(receiver.url, *words), cwd=tmp_path)
            with receiver.arrived:
                receiver.arrived.wait_for(lambda kills=kills: len(receiver.requests) >= 4 * (kills + 1), 20)  # type: ignore[misc]
            process.kill()
            process.communicate()
        last = waypost(*run_words(receiver.url, *words), cwd=tmp_path)
        _, err = last.communicate(timeout=60)
    assert last.returncode == 0, err
    assert set(arrived(receiver)) == set(ids)


def test_full_disk_keeps_the_events(tmp_path: Path) -> None:
    """Dead letters that cannot be written stop the run; the cursor stays before their events."""
    path = tmp_path / "e.ndjson"
    path.write_bytes(b'{"type":"track","event":"no id"}\n' * 2000)

    def small_disk() -> None:
        # Only files grow against this limit; pipes do not.
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    words = run_words(
        "http://127.0.0.1:9", "--state", str(tmp_path / "state"), "--dead-letters", str(tmp_path / "d"), str(path)
    )
    process = waypost(*words, cwd=tmp_path, preexec_fn=small_disk)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 70
    assert b"cannot write" in err
    assert b"Traceback" not in err
    text = (tmp_path / "d").read_text() if (tmp_path / "d").exists() else ""
    assert all(json.loads(line) for line in text.splitlines())


def test_dry_run_prints_masked_requests_and_sends_nothing(tmp_path: Path) -> None:
    process = waypost(
        "run", "segment", "--set", "source_write_key=env:WRITE_KEY", "--dry-run", str(EXAMPLES), cwd=tmp_path
    )
    out, err = process.communicate(timeout=30)
    assert process.returncode == 3
    assert b"POST https://api.segment.io/v1/batch" in out
    assert b"base64(<source_write_key>:)" in out
    assert CANARY.encode() not in out + err
    assert not (tmp_path / "dead-letters.ndjson").exists()


def test_secret_is_nowhere(tmp_path: Path) -> None:
    """P16: the key, and its base64, in no output, dead letter or state."""
    import base64

    path = tmp_path / "e.ndjson"
    path.write_bytes(EXAMPLES.read_bytes() + (ROOT / "examples" / "broken.ndjson").read_bytes())
    seen = b""
    for script in ("200", "401:body=bad key", "400", "500x2,200"):
        with Receiver(port=0, script=script) as receiver:
            words = run_words(
                receiver.url, "--state", str(tmp_path / script[:3]), "--dead-letters", str(tmp_path / "dead"), str(path)
            )
            process = waypost(*words, cwd=tmp_path)
            seen += b"".join(process.communicate(timeout=60))
    for file in tmp_path.rglob("*"):
        if file.is_file():
            seen += file.read_bytes()
    assert CANARY.encode() not in seen
    assert base64.b64encode(f"{CANARY}:".encode()).rstrip(b"=") not in seen
