"""Names and constants from a spec or an event never become code, headers or paths of their own."""

from __future__ import annotations

import json

import pytest

from waypost import plan as p
from waypost.events.results import Mapped
from waypost.program.program import link

EVIL = [
    '"); import os; (',
    "'''",
    '"""',
    "{{ 7*7 }}",
    "a\nimport os\n",
    "__class__",
    "\\",
    "#",
    "e",
    "MISSING",
    "\x00",
    "{event}",
    "%s",
    "class",
    "é\u2028",
]


@pytest.mark.parametrize("text", EVIL)
def test_text_of_a_spec_stays_text(text: str) -> None:
    mapping = p.Object(
        entries={
            text: p.Const(value=text),
            "merged": p.Merge(of=[p.Path(path="$.context")], entries={text: p.Const(value=text)}),
            "picked": p.Pick(of=p.Path(path="$"), keys=[text, "event"]),
            "mixed": p.Text(parts=[p.Const(value=text), p.Path(path="$.event")]),
            "looked": p.Lookup(of=p.Path(path="$.event"), table={text: text}),
            "read": p.Path(path=f"$[{json.dumps(text)}]"),
        }
    )
    action = p.Action(trigger=f"type = {json.dumps(text)}", request="request", mapping=mapping)
    request = p.Request(method="post", url=p.Const(value="https://example.com"), body=p.Messages(many=False))
    plan = p.seal(p.Plan(name=text, requests={"request": request}, actions={text: action}))
    program = link(p.load(p.dump(plan)), {})
    (result,) = program.map(json.dumps({"type": text, "event": text, text: 1, "context": {text: 2}}).encode())
    assert isinstance(result, Mapped)
    found = json.loads(result.body)
    assert found[text] == text
    assert found["merged"] == {text: text}
    assert found["picked"] == {text: 1, "event": text}
    assert found["mixed"] == text + text
    assert found["looked"] == text


def wire_for(event: bytes) -> tuple[str, dict[str, str]]:
    request = p.Request(
        method="post",
        url=p.Text(parts=[p.Const(value="https://example.com/u/"), p.Path(path="$.userId"), p.Const(value="/x")]),
        headers={"x-name": p.Path(path="$.event")},
        query={"q": p.Path(path="$.name")},
        body=p.Messages(many=False),
    )
    action = p.Action(trigger='type = "track"', request="request", mapping=p.Object(entries={"a": p.Const(value=1)}))
    program = link(p.seal(p.Plan(name="x", requests={"request": request}, actions={"send": action})), {})
    (result,) = program.map(event)
    assert isinstance(result, Mapped)
    wire = program.requests["request"].render(result.group, [result.body], 0.0)
    return wire.url, dict(wire.headers)


def test_event_text_in_urls_and_headers_is_confined() -> None:
    url, headers = wire_for(
        b'{"type":"track","userId":"../../admin?x=1#@evil.example","event":"a\\r\\nX-Evil: 1","name":"a&b=c d"}'
    )
    assert url == "https://example.com/u/..%2F..%2Fadmin%3Fx%3D1%23%40evil.example/x?q=a%26b%3Dc%20d"
    assert headers["x-name"] == "a  X-Evil: 1"


def test_url_part_that_is_missing_rejects_and_a_header_is_left_out() -> None:
    _, headers = wire_for(b'{"type":"track","userId":"u"}')
    assert "x-name" not in headers
    with pytest.raises(AssertionError):
        wire_for(b'{"type":"track","event":"e"}')


@pytest.mark.parametrize("user", ["..", "."])
def test_dots_do_not_climb(user: str) -> None:
    """`.` and `..` as a whole segment would be resolved away by clients and servers."""
    url, _ = wire_for(json.dumps({"type": "track", "userId": user}).encode())
    assert url.startswith("https://example.com/u/%2E")
