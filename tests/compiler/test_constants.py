"""What stands where no expression may, what a template's signs are taken for, and what is written as text: tests/cases/constants.yaml."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ruamel.yaml import YAML

from conftest import CASES
from waypost.compiler.pipeline import compile_text
from waypost.compiler.report.fixes import mend
from waypost.events.results import Mapped
from waypost.lang import filters
from waypost.program.program import link
from ways import walked

ROWS: list[dict[str, Any]] = YAML(typ="safe").load(CASES / "constants.yaml")
EVENT = {
    "type": "track",
    "event": "A",
    "userId": "u",
    "properties": {"n": 5, "a-b": "hyphen", "list": [{"a-b": {"c": 1}}]},
}


def spec(value: str, request: str = "") -> str:
    return f"""spec: 1
name: shop
request: {{post: "https://api.shop.example/v1", body: $message{request}}}
actions:
  send:
    trigger: type = "track"
    mapping:
      f: {value}
"""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["value"])
def test_a_constant_is_what_it_says_or_a_finding(row: dict[str, Any]) -> None:
    plan, report = compile_text(spec(row["value"]), "shop.yaml")
    assert [item.code for item in report.diagnostics] == row.get("codes", [])
    if "sent" not in row:
        return
    assert plan is not None
    for use_kernel in (True, False):
        program = link(plan, {}, use_kernel=use_kernel)
        for (found,) in (program.map(json.dumps(EVENT).encode()), walked(program, json.dumps(EVENT).encode())):
            assert isinstance(found, Mapped)
            assert json.loads(found.body) == {"f": row["sent"]}


@pytest.mark.parametrize("quote", ["'", '"', ""])
@pytest.mark.parametrize(("name", "certain"), [("utm-source", True), ("address-2", False)])
def test_a_name_with_a_hyphen_is_mended(quote: str, name: str, certain: bool) -> None:
    text = spec(f"{quote}x {{{{ event.traits.{name} }}}}{quote}")
    (found,) = compile_text(text, "shop.yaml")[1].diagnostics
    assert found.fix is not None
    assert (f'event.traits["{name}"]' in found.label.text, found.fix.safe) == (True, certain)
    mended = text[: found.fix.span.start] + found.fix.text + text[found.fix.span.end :]
    assert f'x {{{{ event.traits["{name}"] }}}}' in mended
    assert compile_text(mended, "shop.yaml")[1].diagnostics == []
    assert mend(text, "shop.yaml") == ((mended, 1) if certain else (text, 0))


@pytest.mark.parametrize(
    ("kind", "right"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("application/vnd.api+json", True),
        ("Application/JSON", True),
        ("application/x-www-form-urlencoded", False),
        ("application/x-ndjson", False),
        ("text/plain", False),
        ("multipart/form-data; boundary=x", False),
        ("application/xml; {{ settings.x }}", False),
    ],
)
def test_a_header_says_what_the_body_is(kind: str, right: bool) -> None:
    head = "settings: {x: {type: string}}\nactions:" if "settings" in kind else "actions:"
    for place in (", headers: {Content-Type: %r}", None):
        text = spec("$.event", place % kind if place else "")
        text = text.replace("actions:", head if place else f"auth: {{headers: {{content-type: {kind!r}}}}}\n{head}")
        report = compile_text(text, "shop.yaml")[1]
        assert [item.code for item in report.diagnostics] == ([] if right else ["D114"])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{{ event.event + '-' }}", "{{ event.event }}-"),
        ("x{{ event.event + '-' + event.userId }}y", "x{{ event.event }}-{{ event.userId }}y"),
        ("{{ 'a' + 'b' }}", "ab"),
        ("{{ (event.event | lower) + ' + ' + event.userId }}", "{{ (event.event | lower) }} + {{ event.userId }}"),
    ],
)
def test_text_that_is_added_is_advised_beside_the_braces(written: str, meant: str) -> None:
    (found,) = compile_text(spec(f'"{written}"'), "shop.yaml")[1].diagnostics
    assert f'`"{meant}"`' in found.help


SAMPLES = {"string": "'x'", "number": "1", "boolean": "true"}


@pytest.mark.parametrize("name", [name for name, row in filters.FILTERS.items() if name != "default"])
@pytest.mark.parametrize("kind", SAMPLES)
def test_each_filter_over_each_constant_is_sent_or_found(name: str, kind: str) -> None:
    """What compiles without a finding has a value: the compiler computes with the functions that the engine has."""
    row = filters.FILTERS[name]
    for value, args, gives in row.examples:
        written = ", ".join(repr(arg) for arg in args)
        code = f"{{{{ {SAMPLES[kind]} | {name}{f'({written})' if args else ''} }}}}"
        plan, report = compile_text(spec(json.dumps(code)), "shop.yaml")
        if gives is filters.FAULT or value is filters.MISSING or plan is None:
            assert plan is not None or {item.code for item in report.diagnostics} <= {"T114", "T105"}
            continue
        (found,) = link(plan, {}).map(json.dumps(EVENT).encode())
        assert isinstance(found, Mapped), (code, found)
