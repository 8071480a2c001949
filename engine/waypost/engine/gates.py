"""Which requests share a gate: those to one host with one credential, in whatever lane.

Takes linked programs. Gives the gate of each of a program's requests. A credential is known by a digest of the secrets that a program is bound
to, so that no secret is kept as a key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from waypost import plan as p
from waypost.delivery.gate import Gate
from waypost.lang.hosts import origin_of
from waypost.lang.urls import authority
from waypost.lang.values import MISSING
from waypost.program import interpret
from waypost.program.hosts import origin_text
from waypost.program.program import Program

Key = tuple[str, str]


class Gates:
    """State: the gates that were asked for."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._gates: dict[Key, Gate] = {}

    def of(self, program: Program) -> dict[str, Gate]:
        """The gate of each request. It lets as many through at once as the request that allows most."""
        found: dict[str, Gate] = {}
        for name, kind in program.requests.items():
            key = gate_key(program, kind.policy)
            gate = self._gates.get(key)
            if gate is None:
                gate = self._gates[key] = Gate(kind.policy.concurrency, self._jitter)
            elif kind.policy.concurrency > gate.concurrency:
                gate.allowed += kind.policy.concurrency - gate.concurrency
                gate.concurrency = kind.policy.concurrency
            found[name] = gate
        return found


def gate_key(program: Program, request: p.Request) -> Key:
    """(host and port, digest of the credential); the connection's name where the url's host depends on the event."""
    bound = program.settings
    secrets = hashlib.sha256("\0".join(bound.secrets()).encode()).hexdigest()
    if bound.endpoint_override:
        return authority(bound.endpoint_override), secrets
    origin = origin_of(request.url)
    if origin is not None:
        host = authority(origin_text(origin, interpret.Env(event=MISSING, settings=bound, now=0)))
        if host:
            return host, secrets
    return program.owner, secrets
