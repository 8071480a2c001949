"""The token of a credential over time: a clock of the test's own, and an authorization server that is a function."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from waypost.delivery.outcome import Answer
from waypost.http.tokens import REMEMBERED, Authorized, Credential, Token
from waypost.program.request.render import Wire


class Asked:
    """An authorization server. State: what it was asked with, and the clock."""

    def __init__(self, *answers: Answer | None, life: float | None = 100.0, **more: Any) -> None:
        self.answers = list(answers)
        self.life = life
        self.more = more
        self.with_: list[str] = []
        self.now = 0.0
        self.held = asyncio.Event()
        self.held.set()
        self.credential = Credential(self.ask, "auth.example", lambda: self.now, lambda: 1.0)

    async def ask(self, refresh: str) -> Answer:
        self.with_.append(refresh)
        await self.held.wait()
        answer = self.answers.pop(0) if self.answers else None
        count = len(self.with_)
        body = {"access_token": f"t{count}", "expires_in": self.life, **self.more}
        return answer or Answer("200", body=json.dumps(body).encode())

    async def token(self) -> str:
        found = await self.credential.take()
        assert isinstance(found, Token), found
        return found.text


def of(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@of
async def test_many_who_wait_cause_one_fetch() -> None:
    asked = Asked()
    asked.held.clear()
    waiting = [asyncio.create_task(asked.token()) for _ in range(50)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    asked.held.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert found[1:] == ["t1"] * 49
    assert isinstance(found[0], asyncio.CancelledError)
    assert len(asked.with_) == 1


@of
async def test_it_is_renewed_at_half_its_life_while_the_old_one_serves() -> None:
    """Mutation that turns this red: a renewal that is waited for."""
    asked = Asked()
    assert await asked.token() == "t1"
    asked.now = 49.0
    assert await asked.token() == "t1"
    assert len(asked.with_) == 1
    asked.now = 50.0
    asked.held.clear()
    assert [await asked.token() for _ in range(3)] == ["t1"] * 3
    await asyncio.sleep(0)
    assert len(asked.with_) == 2
    asked.held.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await asked.token() == "t2"


@of
async def test_a_token_that_is_over_is_waited_for() -> None:
    asked = Asked()
    assert await asked.token() == "t1"
    asked.now = 100.0
    assert await asked.token() == "t2"


@of
async def test_a_renewal_that_fails_leaves_the_old_one() -> None:
    """And is not tried again at once, though requests go on."""
    asked = Asked(None, Answer("503"), Answer("400"))
    assert await asked.token() == "t1"
    for now in (60.0, 60.1, 60.2, 70.0, 70.1):
        asked.now = now
        assert await asked.token() == "t1"
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert len(asked.with_) == 3
    asked.now = 101.0
    assert await asked.token() == "t4"


@pytest.mark.parametrize("life", [None, 0, -1, "never", [1], True])
def test_a_life_that_nobody_says_lasts_until_a_401(life: Any) -> None:
    async def test() -> None:
        asked = Asked(life=life)
        found = await asked.credential.take()
        assert isinstance(found, Token)
        if life is not True:
            asked.now = 10**9
        assert await asked.token() == "t1"
        asked.credential.drop(found)
        assert await asked.token() == "t2"
        asked.credential.drop(found)
        assert await asked.token() == "t2"

    asyncio.run(test())


@pytest.mark.parametrize(
    ("answer", "waits"),
    [
        (Answer("503", {"retry-after": "30"}), 30.0),
        (Answer("429", {"retry-after": "30"}), 30.0),
        (Answer("500"), 0.5),
        (Answer("unsent", error="no way"), 0.5),
        (Answer("unanswered", error="too slow"), 0.5),
        (Answer("200", body=b'{"acc', error="cut", cut=True), 0.5),
    ],
)
def test_who_asks_before_the_wait_is_over_is_told_how_long(answer: Answer, waits: float) -> None:
    """All lanes share it: nobody asks the server meanwhile."""

    async def test() -> None:
        asked = Asked(answer)
        first = await asked.credential.take()
        assert isinstance(first, Answer)
        assert (first.status, first.hopeless, float(first.headers["retry-after"])) == ("unsent", False, waits)
        asked.now = waits / 2
        second = await asked.credential.take()
        assert isinstance(second, Answer)
        assert float(second.headers["retry-after"]) == pytest.approx(waits / 2)
        assert len(asked.with_) == 1
        asked.now = waits
        assert await asked.token() == "t2"

    asyncio.run(test())


@of
async def test_a_refresh_token_that_is_renewed_is_asked_with() -> None:
    asked = Asked(refresh_token="r2")
    assert await asked.token() == "t1"
    asked.now = 200.0
    assert await asked.token() == "t2"
    assert asked.with_ == ["", "r2"]


class Inner:
    """A transport. State: the headers of what it sent."""

    def __init__(self, *statuses: str) -> None:
        self.statuses = list(statuses)
        self.sent: list[list[tuple[str, str]]] = []

    async def send(self, wire: Wire, timeout_s: float, left: Callable[[], None] = lambda: None) -> Answer:
        self.sent.append(wire.headers)
        return Answer(self.statuses.pop(0) if self.statuses else "200")

    async def close(self) -> None:
        pass


@of
async def test_one_authorization_and_at_most_two_attempts() -> None:
    asked, inner = Asked(), Inner("401", "401", "401")
    sender = Authorized(inner, lambda: asked.credential, [])
    wire = Wire("POST", "https://api.example", [("authorization", "of a setting"), ("x-a", "1")], b"", 0)
    assert (await sender.send(wire, 1.0)).status == "401"
    assert inner.sent == [[("x-a", "1"), ("authorization", f"Bearer t{n}")] for n in (1, 2)]
    # The next request has a token of its own: none that was refused is tried again.
    assert (await sender.send(wire, 1.0)).status == "200"
    assert inner.sent[-1][-1] == ("authorization", "Bearer t4")


@of
async def test_the_last_tokens_are_masked_and_no_more() -> None:
    secrets = ["of the settings"]
    asked = Asked(life=1.0, refresh_token="r")
    sender = Authorized(Inner(), lambda: asked.credential, secrets)
    for now in range(20):
        asked.now = float(now)
        await sender.send(Wire("POST", "https://api.example", [], b"", 0), 1.0)
    assert secrets[0] == "of the settings"
    assert secrets[-1] == "t20"
    assert len(secrets) == REMEMBERED + 1
