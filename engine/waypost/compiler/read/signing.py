"""The signature of a request: the map of `sign:` becomes a SignSpec.

Takes the node and the spec's Values. Reports what has no meaning (family S) and gives a SignSpec, or None where there is nothing to speak of.
"""

from __future__ import annotations

from waypost import plan as p
from waypost.compiler.read.document import Map, Node
from waypost.compiler.read.places import SIGN_KEY, SIGNATURE, SIGNED
from waypost.compiler.read.values import Values
from waypost.compiler.spec import SignSpec, Val

HASHES = {"hmac_sha256": "sha256", "hmac_sha1": "sha1"}
ENCODINGS = ("hex", "base64")
KEY_FORMS = ("text", "base64")
SIGN = ("text", *HASHES, "key", "encoding", "headers", "query")


def read_sign(node: Node | None, values: Values) -> SignSpec | None:
    closed = values.closed
    held = closed.map(
        node,
        "`sign`",
        'such as `sign: {hmac_sha256: "{{ settings.secret }}", headers: {x-signature: "{{ signature }}"}}`',
    )
    if held is None:
        return None
    closed.keys(held, SIGN, "`sign`")
    key = _key(held, values)
    text = held.get("text")
    if (
        held.get("headers") is None
        and held.get("query") is None
        and not any(closed.meant(held, word) for word in ("headers", "query"))
    ):
        help = 'such as `headers: {x-signature: "{{ signature }}"}`'
        closed.add("S103", "`sign` needs `headers` or `query`", held.span, "nothing says where it goes", help)
    return SignSpec(
        p.Sign(
            text=p.Ref(name="body"),
            key=p.Const(value=""),
            hash=next((HASHES[word] for word in HASHES if held.get(word) is not None), "sha256"),
            encoding=closed.one_of(held.get("encoding"), ENCODINGS, "`encoding`", "hex"),
            key_form=closed.one_of(held.get("key"), KEY_FORMS, "`key`", "text"),
        ),
        Val(p.Ref(name="body"), held.span) if text is None else values.text(text, SIGNED),
        key,
        values.texts(held.get("headers"), SIGNATURE, "`headers`"),
        values.texts(held.get("query"), SIGNATURE, "`query`"),
        held.span,
    )


def _key(held: Map, values: Values) -> Val:
    closed = values.closed
    named = [(name, value) for name, value in held.entries if name.text in HASHES]
    if len(named) > 1:
        first, second = named[0][0], named[1][0]
        closed.add("S108", f"`sign` has both `{first.text}` and `{second.text}`", second.span, "one signature is made")
    if not named:
        if not any(closed.meant(held, word) for word in HASHES):
            help = 'such as `hmac_sha256: "{{ settings.secret }}"`'
            closed.add("S103", "`sign` needs `hmac_sha256` or `hmac_sha1`", held.span, "no key to sign with", help)
        return Val(p.Const(value=""), held.span, broken=True)
    return values.text(named[0][1], SIGN_KEY)
