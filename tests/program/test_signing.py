"""Signatures: over the exact bytes of a body before compression, anew at each attempt, and shown nowhere."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from test_differential import COUNTS, event_lines
from test_requests import never, plan_of, texts

from conftest import table
from waypost import plan as p
from waypost.compiler.pipeline import compile_text
from waypost.events.results import Mapped, Rejected
from waypost.program.program import Program, link
from waypost.program.request.render import Wire
from waypost.program.request.signing import Unsigned
from waypost.program.settings import SettingError
from ways import all_ways, both

NOW = 1_795_000_000.0
SPEC = """spec: 1
name: shop
settings:
  key: {{type: string, secret: true, optional: true}}
{auth}request:
  {request}
actions:
  send:
    trigger: type = "track"
    {mapping}
"""


def linked(request: str, given: dict[str, Any], auth: Any = None) -> Program:
    own = f"auth: {json.dumps(auth)}\n" if auth else ""
    mapping = "mapping: {id: $.userId}" if "$message" in request else ""
    text = SPEC.format(request=request.strip().replace("\n", "\n  "), auth=own, mapping=mapping)
    plan, report = compile_text(text, "shop.yaml")
    assert plan is not None
    assert report.diagnostics == []
    return link(plan, given)


def render(program: Program, event: dict[str, Any], now: float = NOW, *, masked: bool = False) -> Wire:
    (result,) = program.map(json.dumps(event).encode())
    assert isinstance(result, Mapped), result
    kind = program.requests[result.request]
    return kind.render(result.group, kind.by_list([(result.action, result.body)]), now, masked=masked)


EVENT = {"type": "track", "userId": "u", "messageId": "m1"}


@pytest.mark.parametrize("case", table("signing"), ids=lambda case: case["name"])
def test_signature(case: dict[str, Any]) -> None:
    """What is sent, against a signature that this test makes itself. Mutations that turn this red: the signature over the compressed body; the
    body without what auth adds; the key's text where it is base64; a signature where a part of it has no value."""
    program = linked(case["request"], {"key": case["key"]} if "key" in case else {}, case.get("auth"))
    event = json.loads(json.dumps({**EVENT, **case.get("event", {})}).replace("LONG", "x" * 17_000))
    if "reason" in case:
        (result,) = program.map(json.dumps(event).encode())
        assert isinstance(result, Rejected), result
        assert (result.reason, result.field) == (case["reason"], case["field"])
        assert case["says"] in result.message
        return
    wire = render(program, event, case.get("now", NOW))
    written = ""
    if "of" in case:
        digest = hmac.new(case["key"].encode(), case["of"].encode(), case["digest"]).digest()
        written = base64.b64encode(digest).decode() if case.get("written") == "base64" else digest.hex()
        written = written.upper() if case.get("upper") else written
    headers = dict(wire.headers)
    for name, wanted in case.get("headers", {}).items():
        assert headers.get(name, "<absent>") == wanted.replace("{}", written)
    if "query" in case:
        assert dict(parse_qsl(urlsplit(wire.url).query)) == {
            name: wanted.replace("{}", written) for name, wanted in case["query"].items()
        }


REQUEST = """
post: https://dest.example/hook
gzip: true
body: {all: $messages}
batch: {max_messages: 100}
sign:
  text: "{{ timestamp }}.{{ body }}"
  hmac_sha256: "{{ settings.key }}"
  headers: {x-signature: "{{ signature }}", x-timestamp: "{{ timestamp }}"}
"""


@given(
    st.lists(st.recursive(st.text() | st.integers() | st.booleans() | st.none(), st.lists), min_size=1, max_size=5),
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=50),
    st.integers(0, 4_000_000_000),
)
def test_the_receiver_finds_what_it_reads_signed(held: list[Any], key: str, now: int) -> None:
    """A batch of any messages: what a receiver unpacks, with the timestamp that it was sent, gives the signature that it was sent."""
    program = PROGRAMS.setdefault(key, linked(REQUEST, {"key": key}))
    kind = program.requests["request"]
    wire = kind.render((), kind.by_list(("send", json.dumps({"v": value}).encode()) for value in held), now + 0.75)
    headers = dict(wire.headers)
    body = gzip.decompress(wire.body)
    assert headers["x-timestamp"] == str(now)
    made = hmac.new(key.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["x-signature"] == made


PROGRAMS: dict[str, Program] = {}


def test_it_is_made_anew_at_each_attempt_and_shown_at_none() -> None:
    """The second attempt carries its own timestamp; of neither is anything shown. Mutation: a masked rendering that signs."""
    program = linked(REQUEST, {"key": "hush-hush"})
    first, second = (dict(render(program, EVENT, NOW + at).headers) for at in (0, 61))
    assert int(second["x-timestamp"]) - int(first["x-timestamp"]) == 61
    assert first["x-signature"] != second["x-signature"]
    shown = dict(render(program, EVENT, masked=True).headers)
    assert (shown["x-signature"], shown["x-timestamp"]) == ("<signature>", "<timestamp>")
    assert "hush" not in str(program.plan)


@pytest.mark.parametrize("key", ["a&b", "whsec_", "MfK=Q9r8", "x", "ä", "whsec_%%%"])
def test_error_a_key_that_is_no_base64(key: str) -> None:
    """Said when the plan is linked, without the key."""
    request = REQUEST.replace('"{{ settings.key }}"', "\"{{ settings.key | replace_pattern('^whsec_', '') }}\"")
    with pytest.raises(SettingError) as error:
        linked(f"{request}  key: base64\n", {"key": key})
    said = str(error.value)
    assert said == (
        "shop: the setting `key` cannot be used in request: `sign.hmac_sha256`: it is no base64 (it is secret, and not shown)"
    )


@pytest.mark.parametrize("key", ["_-8=", "_-8", "/+8=", "/+8"])
def test_base64_of_either_alphabet_with_its_padding_or_without(key: str) -> None:
    program = linked(f"{REQUEST}  key: base64\n", {"key": key})
    wire = render(program, EVENT)
    made = hmac.new(b"\xff\xef", f"{int(NOW)}.".encode() + gzip.decompress(wire.body), hashlib.sha256).hexdigest()
    assert dict(wire.headers)["x-signature"] == made


def test_a_signature_that_cannot_be_made_is_no_fault_of_the_event() -> None:
    """The body is no number: no such request can be signed, and none is sent."""
    program = linked(REQUEST.replace("{{ body }}", "{{ body | integer }}"), {"key": "hush-hush"})
    with pytest.raises(Unsigned, match="the request cannot be signed: "):
        render(program, EVENT)


@pytest.mark.parametrize("place", ["headers", "query"])
def test_no_request_goes_without_its_signature(place: str) -> None:
    """A header without a value is left out; one that carries the signature is not. Mutation: `signing` looks at none."""
    request = f"""
  post: https://example.com/a
  body: $message
  sign:
    hmac_sha256: "{{{{ settings.secret }}}}"
    {place}: {{x-signature: "{{{{ settings.key }}}}={{{{ signature }}}}"}}
"""
    spec = SPEC.replace("  key: ", "  secret: {{type: string, secret: true}}\n  key: ")
    text = spec.format(request=request.strip(), auth="", mapping="mapping: {id: $.userId}")
    plan, report = compile_text(text, "shop.yaml")
    assert plan is not None, report.diagnostics
    with pytest.raises(Unsigned, match="a part of `x-signature` has no value"):
        render(link(plan, {"secret": "hush-hush"}), EVENT)
    wire = render(link(plan, {"secret": "hush-hush", "key": "v1"}), EVENT)
    assert "v1=" in dict(wire.headers).get("x-signature", "") or "x-signature=v1%3D" in wire.url


def empty(node: p.Value) -> bool:
    """A constant without text: the text around it has none either."""
    return isinstance(node, p.Const) and node.value is None


STAMPS = [p.Ref(name="timestamp"), p.Ref(name="body"), p.Ref(name="now")]
signs = st.builds(
    lambda text, last, header, parameter: p.Sign(
        text=p.Text(parts=[text, p.Const(value="."), last]),
        key=p.Const(value="a2V5"),
        hash="sha256",
        key_form="base64",
        headers={"x-signature": p.Text(parts=[header, p.Const(value="="), p.Ref(name="signature")])},
        query={} if parameter is None else {"sign": parameter},
    ),
    texts,
    st.sampled_from(STAMPS),
    texts,
    st.none() | texts,
)


@pytest.mark.parametrize("count", COUNTS)
def test_whatever_an_event_brings_into_a_signature_is_signed_or_refused(count: int) -> None:
    """All ways agree, and what is sent is signed. Mutations: `TEXT` for the parts of `sign.text`; no `timestamp` in `_later`."""

    @settings(max_examples=min(count // 5, 100))
    @given(signs, st.integers(0, 10**9))
    def signed(sign: p.Sign, seed: int) -> None:
        request = p.Request(
            method="post", url=p.Const(value="https://example.com/a"), body=p.Messages(many=False), sign=sign
        )
        parts = [part for held in (sign.text, *sign.headers.values(), *sign.query.values()) for part in parts_of(held)]
        assume(not any(never(part) or p.mentions(part, empty) for part in parts))
        try:
            found = both(plan_of(request, p.Object(entries={"id": p.Path(path="$.messageId")})), {})
        except SettingError:
            reject()
        for row in all_ways(found, event_lines(seed)):
            for result in row:
                if isinstance(result, Mapped):
                    wire = found[0].requests[result.request].render(result.group, [result.body], NOW)
                    assert re.search(r"=[0-9a-f]{64}$", dict(wire.headers)["x-signature"])

    signed()


def parts_of(node: p.Value) -> list[p.Value]:
    return node.parts if isinstance(node, p.Text) else [node]
