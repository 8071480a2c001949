"""The request that asks for an OAuth 2 token, and what its answer means.

Takes a plan.OAuth2 and the bound settings. Gives a Wire, and of an answer's body a `Granted` or why there is none. Pure: sending it, and
when, is http/tokens.py's.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode

from waypost import plan as p
from waypost.lang import values
from waypost.lang.values import MISSING
from waypost.program import interpret
from waypost.program.request.render import Wire, origin_or_none, url_of
from waypost.program.settings import Bound
from waypost.program.support import text_part
from waypost.version import __version__


@dataclass(frozen=True)
class Granted:
    """A token. `life`: for how many seconds it is good, None where nothing is said. `refresh`: what the next one is asked for with."""

    token: str
    life: float | None = None
    refresh: str = ""


def token_request(oauth2: p.OAuth2, bound: Bound, refresh: str = "") -> Wire:
    """`refresh` takes the place of the setting's: the last answer's."""
    env = interpret.Env(event=MISSING, settings=bound)

    def text(node: p.Value | None) -> str:
        held = MISSING if node is None else text_part(interpret.evaluate(node, env))
        return "" if held is MISSING else str(held)

    form = {"grant_type": oauth2.grant, "scope": text(oauth2.scope)}
    if oauth2.grant == "refresh_token":
        form["refresh_token"] = refresh or text(oauth2.refresh_token)
    headers = {
        "user-agent": f"waypost/{__version__}",
        "content-type": "application/x-www-form-urlencoded",
        "accept": "application/json",
    }
    client, secret = text(oauth2.client_id), text(oauth2.client_secret)
    if oauth2.client == "form" or not secret:
        form |= {"client_id": client, "client_secret": secret}
    else:
        pair = f"{quote_plus(client)}:{quote_plus(secret)}"
        headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    form |= {name: text(node) for name, node in oauth2.form.items()}
    body = urlencode({name: held for name, held in form.items() if held}).encode()
    url = url_of(origin_or_none(oauth2.token_url), {}, env, bound.endpoint_override)
    return Wire("POST", url, list(headers.items()), body, len(body))


def granted(body: bytes) -> Granted | str:
    """The token that a success holds, or what is wrong with it."""
    try:
        held = values.decode(body)
    except (values.Malformed, values.TooDeep):
        return "its answer is no JSON"
    token = held.get("access_token") if isinstance(held, dict) else None
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
        return f"its answer holds no access_token{error_of(body)}"
    refresh = held.get("refresh_token")
    return Granted(token, _life(held.get("expires_in")), refresh if isinstance(refresh, str) else "")


def _life(held: Any) -> float | None:
    try:
        life = float(held)
    except (TypeError, ValueError, OverflowError):
        return None
    return life if 0 < life < 1e9 else None


def error_of(body: bytes) -> str:
    """The word for what went wrong, in brackets; the sentence behind it may hold what was sent, and is not shown."""
    try:
        held = values.decode(body)
    except (values.Malformed, values.TooDeep):
        return ""
    word = held.get("error") if isinstance(held, dict) else None
    return f" ({word})" if isinstance(word, str) and re.fullmatch(r"[a-z_]{1,40}", word) else ""
