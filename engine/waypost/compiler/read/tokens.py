"""The OAuth 2 client of `auth`: the map of `oauth2:` becomes the plan's words and an expression for each value.

Takes the node and the spec's Values. Reports what has no meaning (family S).
"""

from __future__ import annotations

from waypost import plan as p
from waypost.compiler.read.document import Node
from waypost.compiler.read.places import OAUTH2
from waypost.compiler.read.values import Values
from waypost.compiler.spec import Val

GRANTS = ("client_credentials", "refresh_token")
CLIENTS = ("basic", "form")
TEXTS = ("token_url", "client_id", "client_secret", "scope", "refresh_token")
WORDS = (*TEXTS, "grant", "client", "form")


def read_oauth2(node: Node, values: Values) -> tuple[p.OAuth2 | None, dict[str, Val]]:
    """The words that need no expression, and the expressions: "oauth2.token_url", "oauth2.form.audience"."""
    closed = values.closed
    held = closed.map(node, "`oauth2`", "such as `oauth2: {token_url: …, client_id: …, client_secret: …}`")
    if held is None:
        return None, {}
    closed.keys(held, WORDS, "`oauth2`")
    grant = closed.one_of(held.get("grant"), GRANTS, "`grant`", GRANTS[0])
    client = closed.one_of(held.get("client"), CLIENTS, "`client`", CLIENTS[0])
    needed = ("token_url", "client_id", "client_secret" if grant == GRANTS[0] else "refresh_token")
    for word in needed:
        closed.need(held, word, "`oauth2`")
    given = held.key("refresh_token")
    if given is not None and grant != "refresh_token":
        help = "write `grant: refresh_token` beside it, or remove it"
        closed.add("S102", "`refresh_token` goes with `grant: refresh_token`", given.span, "not legal here", help)
    texts = {word: values.text(value, OAUTH2) for word in TEXTS if (value := held.get(word)) is not None}
    found = {f"oauth2.{word}": val for word, val in texts.items()}
    for name, val in values.texts(held.get("form"), OAUTH2, "`form`").items():
        found[f"oauth2.form.{name}"] = val
    if any(word not in texts for word in needed):
        return None, found
    nothing = p.Const(value="")
    return p.OAuth2(token_url=nothing, client_id=nothing, grant=grant, client=client), found
