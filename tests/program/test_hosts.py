"""Where requests go, when settings choose a part of it: what compiles, what a value may be, and that all who look at the host agree.

Mutations that turn this red: a piece of the host that is escaped; `check_hosts` left out of linking; `piece.port` ignored; `of_settings` that
is always so; `plain_http` ignored; a gate's key without its small letters.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import table
from running import waypost
from waypost.compiler.pipeline import compile_text
from waypost.engine.gates import gate_key
from waypost.http.reaching import urls_of
from waypost.http.receiver import Receiver
from waypost.plan import Plan, dump
from waypost.program.program import Program, link
from waypost.program.settings import SettingError, Way

CASES = table("hosts")
SPEC = """spec: 1
name: shop
settings:
  host: {type: string}
  port: {type: string, default: "8443"}
  scheme: {type: string, default: https}
  number: {type: integer, default: 8443}
  flag: {type: boolean, default: true}
  region: {default: eu, choices: {eu: {label: EU, host: eu.example.com, api: https://eu.example.com}}}
  base: {type: url, default: https://base.example.com}
  key: {type: string, secret: true, optional: true}
  hook: {type: url, secret: true, optional: true}
request:
  POST: URL
  body: $message
actions:
  send:
    trigger: type = "track"
    mapping: {id: $.messageId}
"""
EVENT = b'{"type":"track","userId":"u","event":"A","messageId":"m"}\n'


def spec_of(url: str, check: str = "") -> str:
    text = SPEC.replace("POST: URL", f"post: {json.dumps(url)}")
    return text + (f"check: {{get: {json.dumps(check)}}}\n" if check else "")


def plan_of(url: str, check: str = "") -> Plan:
    plan, report = compile_text(spec_of(url, check), "shop.yaml")
    assert plan is not None, report.diagnostics
    return plan


def sent_to(program: Program, *, masked: bool = False) -> str:
    return (
        program.requests["send" if "send" in program.requests else next(iter(program.requests))]
        .render((), [b"{}"], 0.0, masked=masked)
        .url
    )


@pytest.mark.parametrize("case", CASES["urls"], ids=lambda case: str(case["url"]))
@pytest.mark.parametrize("place", ["post", "check"])
def test_what_compiles(case: dict[str, Any], place: str) -> None:
    if place == "check" and re.search("event|meta", case["url"]):
        pytest.skip("a check reads no event, wherever")
    text = spec_of(case["url"]) if place == "post" else spec_of("https://example.com/x", case["url"])
    found = {item.code for item in compile_text(text, "shop.yaml")[1].diagnostics} - {"C101"}
    assert found == set(case["codes"])


@pytest.mark.parametrize("case", CASES["values"], ids=lambda case: f"{case['url']} {case['host']!r}")
@pytest.mark.parametrize("place", ["post", "check"])
def test_what_a_value_may_be(case: dict[str, Any], place: str) -> None:
    plan = plan_of(case["url"]) if place == "post" else plan_of("https://example.com/x", case["url"])
    if "to" in case:
        program = link(plan, {"host": case["host"]})
        if place == "post":
            assert sent_to(program) == case["to"]
        assert case["to"] in set(urls_of(plan, program.settings))
        return
    with pytest.raises(SettingError) as caught:
        link(plan, {"host": case["host"]})
    said = str(caught.value)
    assert case["not"] in said
    assert re.fullmatch("shop.*`host`.*", said)


hostile = st.text(st.sampled_from("ab1.:-_[]/@?#\\% \t\u00e9\uff0e\u3002\u2100"), max_size=8) | st.text(max_size=6)
SHAPES = {
    "https://{{ settings.host }}/x": r"https://[^/?#@\\]+/x",
    "https://{{ settings.host }}.example.com/x": r"https://[^/?#@\\:]+\.example\.com/x",
    "https://api.{{ settings.host }}/x": r"https://api\.[^/?#@\\]+/x",
    "https://example.com:{{ settings.host }}/x": r"https://example\.com:\d+/x",
}
PLANS = {url: plan_of(url) for url in SHAPES}


@given(st.sampled_from(list(SHAPES)), hostile)
def test_a_value_is_refused_or_the_client_goes_where_the_spec_says(url: str, host: str) -> None:
    try:
        program = link(PLANS[url], {"host": host}, use_kernel=False)
    except SettingError as error:
        assert "`host`" in str(error)
        return
    text = sent_to(program)
    assert re.fullmatch(SHAPES[url], text, re.DOTALL), text
    client = httpx.URL(text)
    assert (client.path, client.query, client.userinfo) == ("/x", b"", b"")
    assert client.raw_host.decode() == (urlsplit(text).hostname or "")


def test_one_line_each_and_status_2_before_anything_is_sent(tmp_path: Path) -> None:
    with Receiver(port=0) as receiver:
        address = receiver.url.removeprefix("http://")
        url = "http://{{ settings.host }}/x"
        (tmp_path / "spec.yaml").write_text(spec_of(url, url), encoding="utf-8")
        (tmp_path / "e.ndjson").write_bytes(EVENT)
        for words in (
            ("run", "spec.yaml", "--set", f"host={address}/y", "e.ndjson"),
            ("run", "spec.yaml", "--set", f"host={address}/y", "--dry-run", "e.ndjson"),
            ("check", "spec.yaml", "--set", f"host={address}/y"),
            ("preview", "spec.yaml", "e.ndjson", "--set", f"host={address}/y"),
        ):
            status, out, err = waypost(*words, cwd=tmp_path)
            assert (status, out) == (2, ""), err
            (line,) = [line for line in err.splitlines() if "C101" not in line and line.startswith("waypost: ")]
            assert re.search("the setting `host`.*`/`", line)
        assert receiver.requests == []
        status, _, err = waypost("run", "spec.yaml", "--set", f"host={address}", "e.ndjson", cwd=tmp_path)
        assert (status, len(receiver.requests)) == (0, 1), err


def test_tests_say_it_as_well(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(spec_of("https://{{ settings.host }}/x"), encoding="utf-8")
    for host, status in (("shop.example.com", 1), ("a/b", 2)):
        (tmp_path / "tests.yaml").write_text(
            f"tests:\n  - name: one\n    settings: {{host: {host}}}\n    event: {{type: track, userId: u, event: A, messageId: m}}\n"
            "    expect: {action: send, request: {post: https://shop.example.com/x}}\n",
            encoding="utf-8",
        )
        found, _, err = waypost("test", "spec.yaml", cwd=tmp_path)
        assert found in (0, status), err
        assert ("the setting `host`" in err) == (status == 2)
        assert "Traceback" not in err


def test_without_a_value_a_preview_shows_a_host(tmp_path: Path) -> None:
    for url, shown in (
        ("https://{{ settings.host }}/x", "https://host.example/x"),
        ("https://{{ settings.host }}.example.com/x", "https://host.example.com/x"),
        ("https://example.com:{{ settings.host }}/x", "https://example.com:443/x"),
        ("{{ settings.host }}://example.com/x", "https://example.com/x"),
    ):
        (tmp_path / "spec.yaml").write_text(spec_of(url), encoding="utf-8")
        (tmp_path / "e.ndjson").write_bytes(EVENT)
        status, out, err = waypost("preview", "spec.yaml", "e.ndjson", cwd=tmp_path)
        assert (status, f"POST {shown}" in out) == (0, True), err
        (tmp_path / "old.yaml").write_text(spec_of("https://old.example/x"), encoding="utf-8")
        words = ("diff", "old.yaml", "spec.yaml", "--events", "e.ndjson")
        status, out, err = waypost(*words, cwd=tmp_path)
        assert (status, "https://old.example/x" in out, "settings.host" in out) == (0, True, True), err


def test_gates_are_shared_by_host_however_it_is_written() -> None:
    plan = plan_of("https://{{ settings.host }}/x")
    other = plan_of("https://api.{{ settings.host }}:443/x")
    request, beside = next(iter(plan.requests.values())), next(iter(other.requests.values()))
    keys = {
        gate_key(link(plan, {"host": host}), request)
        for host in ("api.a.example", "API.a.example", "api.a.example:443")
    }
    keys.add(gate_key(link(other, {"host": "a.example"}), beside))
    assert {host for host, _ in keys} == {"api.a.example"}
    assert gate_key(link(plan, {"host": "api.a.example:8443"}), request)[0] == "api.a.example:8443"


def test_plain_http_is_asked_for_and_an_override_takes_the_hosts_place() -> None:
    plan = plan_of("http://{{ settings.host }}/x")
    with pytest.raises(SettingError, match="plain_http"):
        link(plan, {"host": "10.0.0.1"})
    program = link(plan, {"host": "10.0.0.1"}, way=Way(plain_http=True))
    assert sent_to(program) == "http://10.0.0.1/x"
    program = link(plan, {"host": "localhost"}, endpoint_override="https://127.0.0.1:1")
    assert sent_to(program) == "https://127.0.0.1:1/x"


def test_a_plan_holds_no_value_and_a_value_that_is_bound_late_is_not_shown(tmp_path: Path) -> None:
    assert b"shop.example" not in dump(plan_of("https://{{ settings.host }}/x"))
    (tmp_path / "spec.yaml").write_text(spec_of("https://{{ settings.host }}/x"), encoding="utf-8")
    (tmp_path / "e.ndjson").write_bytes(EVENT)

    def file(host: str) -> None:
        (tmp_path / "waypost.yaml").write_text(
            f"sources: {{a: {{files: e.ndjson}}}}\nconnections:\n  one: {{destination: spec.yaml, sources: [a], settings: {{host: {host}}}}}\n",
            encoding="utf-8",
        )

    file("env:HOST")
    for host in ("inner/name", "inner name"):
        status, out, err = waypost("run", "waypost.yaml", "--state", "st", cwd=tmp_path, HOST=host)
        assert (status, "the setting `host`" in err, "inner" in out + err) == (2, True, False), err
    file("a/b")
    status, out, err = waypost("lint", "waypost.yaml", cwd=tmp_path)
    assert (status, "the setting `host` cannot choose where requests go" in out + err) == (1, True)
