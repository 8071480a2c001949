"""Segment's own clients, unchanged, through a running engine to a destination that is strict and often fails.

An SDK is pointed at the ingest of `waypost run waypost.yaml`, a process of its own; the engine delivers to the strict stand-in for Segment,
which answers every tenth request with 429, with 500, by cutting the connection before it has taken anything, or after. What the SDK
says it sent and what the stand-in took are compared event by event, by messageId.

    python tests/sdks.py --events 10000 [--only python]
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from running import Engine, free_port, wait_for_port
from strict_segment import StrictSegment
from waypost.http.receiver import Received, Receiver, Reply
from waypost.state import records
from waypost.state.store import look

ROOT = Path(__file__).resolve().parent.parent
NODE_SDK = "@segment/analytics-node@3.1.0"
WRITE_KEY = "canary-sdk-key-51c2"
SEGMENT_KEY = "canary-segment-key-51c3"

EVERY = 10
"""One request of so many fails."""


class NotTried(Exception):
    """An SDK that cannot be had on this machine. The message says why."""


@dataclass
class Failing:
    """The strict stand-in behind a bad line. State: how many requests came, and which faults they met."""

    strict: StrictSegment = field(default_factory=StrictSegment)
    requests: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._kinds = cycle(["429", "500", "cut before", "cut after"])

    def answer(self, request: Received) -> Reply:
        """For Receiver(answer=...)."""
        self.requests += 1
        if self.requests % EVERY != 3:
            return self.strict.answer(request)
        kind = next(self._kinds)
        self.faults[kind] += 1
        if kind == "cut after":
            self.strict.answer(request)
        if kind.startswith("cut"):
            return Reply(0)
        return Reply(int(kind), headers={"retry-after": "0"} if kind == "429" else {})


@dataclass
class Figures:
    """What a run came to. `wrong` says what was lost, altered, discarded or miscounted: nothing, when all is well."""

    sdk: str
    sent: int = 0
    delivered: int = 0
    filtered: int = 0
    requests: int = 0
    repeated: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        faults = ", ".join(f"{kind} {count}" for kind, count in sorted(self.faults.items()))
        return (
            f"{self.sdk}: sent={self.sent} delivered={self.delivered} filtered={self.filtered} wrong={len(self.wrong)} "
            f"requests={self.requests} (failed: {faults}; {self.repeated} messages came twice with the same id) in {self.seconds:.0f} s"
        )


Send = Callable[[str, int], list[dict[str, Any]]]
"""An address and a count to the events as the SDK sent them."""


def through(sdk: str, send: Send, count: int, folder: Path, per_request: int = 7) -> Figures:
    """One SDK, `count` events, the whole way. `per_request` keeps requests small, so that many of them can fail."""
    began = time.monotonic()
    port = free_port()
    segment = (ROOT / "specs" / "segment" / "destination.yaml").read_text(encoding="utf-8")
    assert "max_messages: 2500" in segment
    (folder / "segment.yaml").write_text(
        segment.replace("max_messages: 2500", f"max_messages: {per_request}"), encoding="utf-8"
    )
    (folder / "waypost.yaml").write_text(
        "connections:\n  segment:\n    destination: segment.yaml\n    sources: [web]\n"
        "    settings: {source_write_key: env:SEGMENT_KEY, endpoint: europe}\n"
        f'sources:\n  web: {{http: "127.0.0.1:{port}", write_keys: [env:WRITE_KEY]}}\n',
        encoding="utf-8",
    )
    failing = Failing()
    keys = {"SEGMENT_KEY": SEGMENT_KEY, "WRITE_KEY": WRITE_KEY}
    with Receiver(port=0, answer=failing.answer) as receiver:
        words = ("run", "waypost.yaml", "--state", "state", "--endpoint-override", receiver.url)
        engine = Engine(folder, *words, env=keys)
        try:
            wait_for_port(port)
            sent = send(f"127.0.0.1:{port}", count)
            wanted = {event["messageId"] for event in sent if event["type"] != "alias"}
            with receiver.arrived:
                receiver.arrived.wait_for(lambda: failing.strict.seen >= wanted, 60 + count / 50)
            engine.process.send_signal(signal.SIGTERM)
            status = engine.end()
        finally:
            engine.process.kill()
    found = judge(sdk, sent, failing, folder / "state")
    if status:
        found.wrong.append(f"the engine ended with {status}: {engine.said}")
    found.seconds = time.monotonic() - began
    return found


def judge(sdk: str, sent: list[dict[str, Any]], failing: Failing, state: Path) -> Figures:
    """Event by event."""
    strict = failing.strict
    taken = {message["messageId"]: message for message in strict.taken}
    found = Figures(sdk, len(sent), len(taken), requests=failing.requests, faults=failing.faults)
    for event in sent:
        message = taken.pop(event["messageId"], None)
        if event["type"] == "alias":
            # The destination has no action for it: filtered, with a reason, in the ledger.
            found.filtered += 1
            message and found.wrong.append(f"sent though nothing matches it: {event}")
        elif message is None:
            found.wrong.append(f"lost: {event}")
        else:
            found.wrong += differences(event, message)
    found.wrong += [f"invented: {message}" for message in taken.values()]
    for discard in strict.discards:
        # An answer was lost: the same message once more, which Segment knows by its id.
        if discard.reason == "repeated_message_id" and discard.message in strict.taken:
            found.repeated += 1
        else:
            found.wrong.append(f"silently discarded: {discard}")
    found.wrong += [f"refused: {reason}" for reason in strict.refused]
    with contextlib.closing(look(state)) as database:
        ledger = records.ledger_of(database, "segment", "web")
    told = (ledger.read, ledger.delivered, dict(ledger.filtered), ledger.dead.total(), ledger.closes)
    if told != (found.sent, found.delivered, {"no_action": found.filtered} if found.filtered else {}, 0, True):
        found.wrong.append(f"the ledger says {ledger}")
    return found


COPIED = ("type", "userId", "anonymousId", "messageId", "event", "traits", "properties", "groupId", "name", "category", "context")  # fmt: skip


def differences(sent: dict[str, Any], taken: dict[str, Any]) -> list[str]:
    """What was altered beyond what the spec says: a view's name and category also stand in its properties, an id that is null is none."""
    wanted = {name: sent[name] for name in COPIED if name in sent}
    for name in ("userId", "anonymousId"):
        if name in wanted and wanted[name] is None:
            # No id, which is what null says; a null one would have Segment discard the event.
            del wanted[name]
    if sent["type"] in ("page", "screen"):
        view = {name: sent[name] for name in ("name", "category") if name in sent}
        wanted["properties"] = {**view, **sent["properties"]}
    found = {name: value for name, value in taken.items() if name != "timestamp"}
    faults = [] if found == wanted else [f"altered: {wanted} became {found}"]
    # Corrected by the sender's clock, as the tracking API does: by no more than the way took.
    moved = dt.datetime.fromisoformat(taken["timestamp"]) - dt.datetime.fromisoformat(sent["timestamp"])
    if not dt.timedelta(seconds=-1) <= moved < dt.timedelta(seconds=300):
        faults.append(f"the time was altered: {sent['timestamp']} became {taken['timestamp']}")
    return faults


def mixed(number: int) -> dict[str, Any]:
    """Values that are easily altered on the way."""
    return {
        "n": number,
        "price": 1.1 * number,
        "big": 2**53 + number,
        "text": 'é😀"\\\n',
        "none": None,
        "list": [1, [{}]],
    }


def python_sdk(address: str, count: int, *, key: str = WRITE_KEY, gzip: bool = True) -> list[dict[str, Any]]:
    """segment-analytics-python sends. Gives the events as it queued them."""
    from segment.analytics.client import Client

    sent: list[dict[str, Any]] = []
    errors: list[Exception] = []
    client = Client(
        key, host=f"http://{address}", gzip=gzip, max_queue_size=count + 1, upload_interval=0.05,
        on_error=lambda error, items: errors.append(error),
    )  # fmt: skip
    real = client._enqueue

    def enqueue(message: dict[str, Any]) -> Any:
        found = real(message)
        sent.append(json.loads(json.dumps(found[1], default=lambda value: value.isoformat())))
        return found

    client._enqueue = enqueue
    calls: list[Callable[[int], Any]] = [
        lambda n: client.track("u", "Order", mixed(n)),
        lambda n: client.identify("u", {"n": n}),
        lambda n: client.page("u", "Shop", "Home", mixed(n)),
        lambda n: client.screen("u", "Shop", "Home"),
        lambda n: client.group("u", "g", {"n": n}),
        lambda n: client.alias("before", "u"),
    ]
    for number in range(count):
        calls[number % 6](number)
    client.shutdown()
    assert not errors, errors
    return sent


NODE = """
const { Analytics } = require('@segment/analytics-node')
const [address, key, count] = process.argv.slice(2)
const analytics = new Analytics({ writeKey: key, host: `http://${address}`, flushAt: 100, flushInterval: 50 })
const sent = []
analytics.on('error', (error) => { console.error(String(error.reason ?? error)); process.exitCode = 1 })
analytics.on('http_request', (request) => sent.push(...(typeof request.body === 'string' ? JSON.parse(request.body) : request.body).batch))
const mixed = (n) => ({ n, price: 1.1 * n, big: 2 ** 53 - n, text: 'é😀"\\\\\\n', none: null, list: [1, [{}]] })
const calls = [
  (n) => analytics.track({ userId: 'u', event: 'Order', properties: mixed(n) }),
  (n) => analytics.identify({ userId: 'u', traits: mixed(n) }),
  (n) => analytics.page({ anonymousId: 'a', name: 'Home', category: 'Shop', properties: mixed(n) }),
  (n) => analytics.screen({ userId: 'u', name: 'Home' }),
  (n) => analytics.group({ userId: 'u', groupId: 'g', traits: mixed(n) }),
  (n) => analytics.alias({ userId: 'u', previousId: 'before' }),
]
for (let n = 0; n < Number(count); n++) calls[n % 6](n)
analytics.closeAndFlush().then(() => { for (const event of sent) console.log(JSON.stringify(event)) })
"""


def node_folder() -> Path:
    """Where the Node SDK is installed: beside the venv, once. Raises NotTried."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise NotTried("node and npm are not installed: the Node SDK was not tried")
    folder = ROOT / ".venv" / NODE_SDK.replace("/", "-").removeprefix("@")
    if not (folder / "node_modules").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", ".", NODE_SDK]  # fmt: skip
        try:
            subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=60)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            # A package registry that does not answer says nothing of the intake.
            shutil.rmtree(folder, ignore_errors=True)
            raise NotTried(f"{NODE_SDK} could not be installed: the Node SDK was not tried") from None
    return folder


def node_sdk(address: str, count: int, *, key: str = WRITE_KEY) -> list[dict[str, Any]]:
    """@segment/analytics-node sends. Gives the events as its requests held them. Raises NotTried."""
    folder = node_folder()
    script = folder / "send.js"
    script.write_text(NODE, encoding="utf-8")
    command = ["node", str(script), address, key, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=folder)
    assert done.stderr == "", done.stderr
    return list({event["messageId"]: event for event in map(json.loads, done.stdout.splitlines())}.values())


SDKS: dict[str, Send] = {"python": python_sdk, "node": node_sdk}


def runs(count: int, names: list[str]) -> Iterator[Figures | NotTried]:
    for name in names:
        with tempfile.TemporaryDirectory() as scratch:
            try:
                if name == "node":
                    node_folder()
                yield through(name, SDKS[name], count, Path(scratch))
            except NotTried as error:
                yield error


def main() -> int:
    parser = argparse.ArgumentParser(description="official SDKs through a running engine to a strict destination")
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--only", choices=sorted(SDKS))
    words = parser.parse_args()
    bad = 0
    for found in runs(words.events, [words.only] if words.only else list(SDKS)):
        print(found, flush=True)
        for line in [] if isinstance(found, NotTried) else found.wrong[:5]:
            print(f"  {line[:2000]}", flush=True)
        bad += isinstance(found, Figures) and bool(found.wrong)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
