"""The credential probe of a plan, sent once: the spec's `check:` with the plan's auth, as a run would send it.

Takes a plan, its bound settings and how long to wait. Gives the Answer, or None for a plan without a check.
"""

from __future__ import annotations

import time

from waypost import plan as p
from waypost.delivery.outcome import Answer
from waypost.http.tokens import authorized
from waypost.http.transport import Transport
from waypost.lang.values import MISSING
from waypost.program import interpret
from waypost.program.credentials import secrets_of
from waypost.program.request.grouping import Grouping
from waypost.program.request.render import RequestProgram
from waypost.program.settings import Bound

TIMEOUT_S = 10.0


async def probe(plan: p.Plan, bound: Bound, owner: str = "", timeout_s: float = TIMEOUT_S) -> Answer | None:
    if plan.check is None:
        return None
    check = plan.check
    request = p.Request(
        method=check.method,
        url=check.url,
        headers=check.headers,
        query=check.query,
        more_headers=check.more_headers,
        more_query=check.more_query,
    )
    # What a condition over settings decides stands in the group, as if an event did.
    env = interpret.Env(MISSING, bound)
    grouping = Grouping(request, bound)
    group = grouping(*(interpret.evaluate(part.node, env) for part in grouping.parts))
    wire = RequestProgram(request, plan.auth, bound).render(group, [], time.time())
    secrets = secrets_of(plan, bound)
    transport = Transport(1, tls=bound.tls, secrets=secrets, owner=owner)
    sender = authorized(transport, plan.auth, bound, secrets, owner)
    try:
        return await sender.send(wire, timeout_s)
    finally:
        await sender.close()
