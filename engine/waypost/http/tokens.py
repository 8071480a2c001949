"""Requests with an OAuth 2 token: one token a credential, whichever lanes of a process send with it.

Takes a Transport and a linked program's auth. Gives a sender that puts the token into each request. A token is renewed at half its life while
the old one still serves, by one fetch at a time; a 401 drops it, and the request goes once more with a new one. What an authorization server
refuses stops the lane (`Answer.hopeless`), a redirect too; what fails is asked again after a wait that all who need it share. A token stands in
no state, and what a destination sends back of it is masked as a secret is.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from waypost import plan as p
from waypost.delivery.outcome import Answer, backoff, wait_asked
from waypost.http.transport import Transport, transport_of
from waypost.program.program import Program
from waypost.program.request.render import Wire
from waypost.program.request.token_request import Granted, error_of, granted, token_request
from waypost.program.settings import Bound

TIMEOUT_S = 10.0
NO_TOKEN = "no token"
"""How what is said of a token that could not be had begins."""

REMEMBERED = 8
"""So many tokens of the past are still masked: answers to requests that carried them may be on their way."""

AGAIN = ("408", "425", "429")

Ask = Callable[[str], Awaitable[Answer]]
"""Sends the request for a token; takes the refresh token of the last answer."""


class Sends(Protocol):
    async def send(self, wire: Wire, timeout_s: float, left: Callable[[], None] = ...) -> Answer: ...
    async def close(self) -> None: ...


@dataclass(frozen=True)
class Token:
    """`half` and `ends` are instants of the clock; None: nobody said when."""

    text: str
    half: float | None = None
    ends: float | None = None


class Credential:
    """State: the token, the fetch under way, when to ask again after one that failed, and the refresh token of the last answer."""

    def __init__(
        self, ask: Ask, host: str, clock: Callable[[], float], jitter: Callable[[], float] = random.random
    ) -> None:
        self._ask = ask
        self._host = host
        self._clock = clock
        self._jitter = jitter
        self._token: Token | None = None
        self._fetch: asyncio.Task[Answer | None] | None = None
        self._failures = 0
        self._again = 0.0
        self.refresh = ""

    async def take(self) -> Token | Answer:
        """A token that is good now; or, as an answer, why there is none."""
        now = self._clock()
        held = self._token
        if held is not None and (held.ends is None or now < held.ends):
            if held.half is not None and now >= held.half and now >= self._again:
                self._fetching()
            return held
        if self._fetch is None and now < self._again:
            return self._waiting(self._again - now)
        failed = await asyncio.shield(self._fetching())
        return failed or self._token or self._waiting(0.0)

    def drop(self, token: Token) -> None:
        """The destination has refused it; another one that was taken meanwhile stays."""
        if self._token is token:
            self._token = None

    def _fetching(self) -> asyncio.Task[Answer | None]:
        if self._fetch is None:
            self._fetch = asyncio.create_task(self._fetched())
        return self._fetch

    async def _fetched(self) -> Answer | None:
        """Asks once. Gives why there is no token, None when there is one."""
        began = self._clock()
        try:
            answer = await self._ask(self.refresh)
        finally:
            self._fetch = None
        found = granted(answer.body) if answer.status.startswith("2") and not answer.cut else self._wrong(answer)
        if isinstance(found, Granted):
            life = found.life
            times = (None, None) if life is None else (began + life / 2, began + life)
            self._token = Token(found.token, *times)
            self.refresh = found.refresh or self.refresh
            self._failures, self._again = 0, 0.0
            return None
        self._failures += 1
        asked = wait_asked(p.Retry(), answer, self._clock())
        wait = backoff(self._failures, self._jitter) if asked is None else asked
        self._again = self._clock() + wait
        if isinstance(found, str):
            return Answer("unsent", error=f"{NO_TOKEN}: {self._host}: {found}", hopeless=True)
        return replace(found, headers={"retry-after": f"{wait:.3f}"})

    def _wrong(self, answer: Answer) -> str | Answer:
        """What stops the lane, as a sentence; what is asked again, as an answer."""
        status = answer.status
        said = f"{NO_TOKEN}: {self._host} answered {status}{error_of(answer.body)}"
        if not status.isdecimal() or answer.cut:
            return Answer("unsent", error=f"{NO_TOKEN}: {answer.error}", hopeless=answer.hopeless)
        if status in AGAIN or status.startswith("5"):
            return Answer("unsent", error=said)
        if status.startswith("3"):
            return f"it answered {status}, and a request with credentials is not sent elsewhere: check `token_url`"
        return f"it answered {status}{error_of(answer.body)}: check its credentials and settings"

    def _waiting(self, wait: float) -> Answer:
        error = f"{NO_TOKEN}: {self._host} is asked again"
        return Answer("unsent", {"retry-after": f"{wait:.3f}"}, error=error)


_CREDENTIALS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[bytes, Credential]] = WeakKeyDictionary()
"""Those of the process, by the loop that its lanes run in."""


def credential_of(oauth2: p.OAuth2, bound: Bound, secrets: list[str], owner: str) -> Credential:
    """The one of this client at this server, reached in this way; `secrets` and `owner` are those of the lane that asks first."""
    wire = token_request(oauth2, bound)
    name = repr((wire.url, sorted(wire.headers), wire.body, bound.tls))
    key = hashlib.sha256(name.encode()).digest()
    loop = asyncio.get_running_loop()
    held = _CREDENTIALS.setdefault(loop, {})

    async def ask(refresh: str) -> Answer:
        # A connection of its own: the lane that asks may end before the answer comes.
        transport = Transport(1, tls=bound.tls, secrets=secrets, owner=owner)
        try:
            return await transport.send(token_request(oauth2, bound, refresh), TIMEOUT_S)
        finally:
            await transport.close()

    if key not in held:
        held[key] = Credential(ask, urlsplit(wire.url).netloc, loop.time)
    return held[key]


class Authorized:
    """Sends with a token. State: the credential, once a request has asked for it, and the tokens that are masked."""

    def __init__(self, inner: Sends, find: Callable[[], Credential], secrets: list[str]) -> None:
        """`secrets` are the program's: what it masks. Tokens are added to them."""
        self._inner = inner
        self._find = find
        self._credential: Credential | None = None
        self._secrets = secrets
        self._known: list[str] = []

    async def send(self, wire: Wire, timeout_s: float, left: Callable[[], None] = lambda: None) -> Answer:
        """One attempt, or two: with a new token after a 401."""
        if self._credential is None:
            self._credential = self._find()
        credential = self._credential
        answer = Answer("unsent")
        for _ in range(2):
            token = await credential.take()
            self._mask(credential.refresh)
            if isinstance(token, Answer):
                return token
            self._mask(token.text)
            headers = [row for row in wire.headers if row[0] != "authorization"]
            headers.append(("authorization", f"Bearer {token.text}"))
            answer = await self._inner.send(replace(wire, headers=headers), timeout_s, left)
            if answer.status != "401":
                break
            credential.drop(token)
        return answer

    def _mask(self, text: str) -> None:
        if not text or text in self._known:
            return
        self._known.append(text)
        self._secrets.append(text)
        if len(self._known) > REMEMBERED:
            self._secrets.remove(self._known.pop(0))

    async def close(self) -> None:
        await self._inner.close()


def authorized(transport: Transport, auth: p.Auth, bound: Bound, secrets: list[str], owner: str) -> Sends:
    """The transport itself where no token is needed."""
    oauth2 = auth.oauth2
    if oauth2 is None:
        return transport
    return Authorized(transport, lambda: credential_of(oauth2, bound, secrets, owner), secrets)


def sender_of(program: Program, notice: Callable[[str], None] = lambda text: None) -> Sends:
    """What sends a program's requests over the network."""
    transport = transport_of(program, notice)
    return authorized(transport, program.plan.auth, program.settings, program.secrets, program.owner)
