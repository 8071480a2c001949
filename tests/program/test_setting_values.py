"""Any value of a setting at any place that can read one: the request can be sent, or it is one line and status 2 before anything is.

Tables: templates (made from the table of filters) x places x hostile values, through the code that a run takes; a few through whole commands.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import h11
import msgspec
import pytest
from test_requests import NOW

import canary
from running import waypost, waypost_process
from waypost import plan as p
from waypost.compiler.pipeline import compile_text
from waypost.events.results import Mapped, Rejected
from waypost.http.receiver import Receiver
from waypost.http.transport import url_as_sent
from waypost.lang import values
from waypost.lang.filters import FILTERS
from waypost.program.credentials import MAX_URL, try_templates
from waypost.program.program import link
from waypost.program.request.grouping import MAX_HEADER
from waypost.program.request.render import RequestProgram, Wire
from waypost.program.settings import SettingError, bind

VALUES = (
    "a", " ", "  a  ", "\t", "a\tb", "0", "-0", "1", "-1.50", "1e2", "1e-99999999999999999999", "1e2147483647", "0e9999999999",
    "9" * 19, "9" * 401, "1_000", "٣", "0x1F", "NaN", "Infinity", "true", "null", "None", "2026-11-24T10:00:00Z", "2026-02-30",
    "0000-01-01", "253402300800", ":", ",", "a,b", ",,", "/", "..", ".", "%", "%00", "%zz", "?", "#", "&=", "a b", "ü", "😀", "e\u0301",
    "\u202eRTL", "\u2028", "a\u2028b", "\x85", "\xa0", "\ufeff", "\ufffd", "'", '"', "\\", "{", "}", "{}", "[]", "[1", "{{ settings.x }}",
    '{"a":1}',
    '[{"a":[]},null]', '["a",1,true]', '"\\ud800"', '"\\u0000\\u000a"', '"\\u001b[2J"', '["\\r\\n"]', "[" * 900 + "]" * 900,
    '{"a":1e400}', "-" * 2, "a" * 5_000, "a" * 65_536, "ü" * 20_000, "9" * 5_000,
    "https://x.example", "http://127.0.0.1:9", "//", "a:b", "Bearer x", "$", "<b>", "env:", "../../etc",
)  # fmt: skip
"""Texts that are a setting's, as a shell, a file or waypost.yaml can give them."""

REFUSED = ("a\nb", "\n", "\r", "\0", "a\x00b", "\x1b[31m", "\x7f", "\x1fa", "a\r\nX-Evil: 1", "a\n" * 9, "\x0b", "\x0c")
"""Texts with control characters: a setting is one line."""

SPEC = """
spec: 1
name: any
settings: {x: {type: string}}
request:
  post: "https://api.any.example/v1"
  body: {sent: $message}
  query:
QUERY
actions: {send: {trigger: type = "track", mapping: {a: $.event}}}
"""


def templates() -> Iterator[str]:
    """Every filter with arguments that it takes, on the setting itself and on what JSON it holds; and arithmetic."""
    yield "{{ settings.x }}"
    for name, row in FILTERS.items():
        for args in dict.fromkeys(args for _, args, _ in row.examples):
            written = f"{name}({', '.join(map(repr, args))})" if args else name
            for before in ("settings.x", "settings.x | from_json", "settings.x | split(',')", "settings.x | number"):
                yield f"{{{{ {before} | {written} }}}}"
    for sign in "+-*/":
        for left, right in (("settings.x", "3"), ("0.1", "settings.x"), ("settings.x", "settings.x")):
            yield f"{{{{ {left} {sign} {right} }}}}"
            yield f"{{{{ ({left} {sign} {right}) | string | split('.') | last }}}}"
    yield "{{ settings.x | from_json | first | default('x') }}"
    yield "{{ now | datetime }}{{ settings.x }}"
    yield "{{ settings.x | ulid(now) }}"
    yield "{{ now + settings.x }}"


@cache
def nodes() -> dict[str, p.Value]:
    """Each template that compiles, as a plan has it. Others are findings (T114: a filter never takes what it is given)."""
    wanted = list(dict.fromkeys(templates()))
    while True:
        rows = "\n".join(f"    q{number}: {json.dumps(template)}" for number, template in enumerate(wanted))
        text = SPEC.replace("QUERY", rows)
        plan, report = compile_text(text, "any.yaml")
        if plan is not None:
            return dict(zip(wanted, next(iter(plan.requests.values())).query.values(), strict=True))
        lines = {text.count("\n", 0, item.label.span.start) for item in report.diagnostics}
        first = text[: text.index("    q0: ")].count("\n")
        wanted = [template for number, template in enumerate(wanted) if number + first not in lines]


def within(before: str, node: p.Value, after: str = "") -> p.Value:
    """`before{{ node }}after`, as the compiler writes it."""
    held = node.parts if isinstance(node, p.Text) else [node]
    return p.Text(
        parts=[part for part in (p.Const(value=before), *held, p.Const(value=after)) if part != p.Const(value="")]
    )


def places(node: p.Value) -> dict[str, p.Plan]:
    """A plan for each place, with the template there and nowhere else."""
    mixed = within("a ", node, " z")
    url = p.Const(value="https://api.any.example/v1")
    sent = p.Messages(many=False)
    body = p.Object(entries={"sent": sent})
    requests = {
        "url": {"url": within("https://api.any.example/v1/", node)},
        "url's middle": {"url": within("https://api.any.example/a-", node, "-z/b?c=d")},
        "headers": {"headers": {"x-one": node}},
        "header's middle": {"headers": {"x-one": mixed}},
        "query": {"query": {"q": node}},
        "query's middle": {"query": {"q": mixed}},
        "body": {"body": p.Object(entries={"one": node, "sent": sent})},
        "body's middle": {"body": p.Object(entries={"one": mixed, "sent": sent})},
    }
    auths = {
        "basic.username": {"basic": p.Basic(username=node, password=p.Const(value=""))},
        "basic.password": {"basic": p.Basic(username=p.Const(value=""), password=node)},
        "bearer": {"bearer": node},
        "auth.headers": {"headers": {"x-key": node}},
        "auth.query": {"query": {"key": node}},
        "auth.body": {"body": {"key": node}},
    }
    checks = {
        "check.get": {"url": within("https://api.any.example/v1/", node)},
        "check.headers": {"headers": {"x-one": node}},
        "check.query": {"query": {"q": node}},
    }
    setting = {"x": p.Setting(type="string")}
    plain = p.Request(method="post", url=url, body=body)
    found = {}
    for place, held in requests.items():
        found[place] = p.Plan(
            name="any", actions={}, settings=setting, requests={"request": msgspec.structs.replace(plain, **held)}
        )
    for place, held in auths.items():
        found[place] = p.Plan(
            name="any", actions={}, settings=setting, requests={"request": plain}, auth=p.Auth(**held)
        )
    for place, held in checks.items():
        check = p.Probe(**{"method": "get", "url": url, **held})
        found[place] = p.Plan(name="any", actions={}, settings=setting, requests={"request": plain}, check=check)
    return found


def wires(plan: p.Plan, bound: Any) -> list[Wire]:
    """What a run and a check send, and what is shown of it."""
    kinds = [(RequestProgram(request, plan.auth, bound), [b'{"a":"b"}']) for request in plan.requests.values()]
    if plan.check is not None:
        request = p.Request(method="get", url=plan.check.url, headers=plan.check.headers, query=plan.check.query)
        kinds.append((RequestProgram(request, plan.auth, bound), []))
    for kind, bodies in kinds:
        kind.render((), bodies, NOW, masked=True)
    return [kind.render((), bodies, NOW) for kind, bodies in kinds]


def sendable(wire: Wire) -> None:
    """What any client and server can read."""
    assert url_as_sent(wire.url) == wire.url
    assert wire.url.startswith("https://api.any.example/")
    assert len(wire.url) < MAX_URL + 500
    headers = [(name.encode(), value.encode()) for name, value in wire.headers]
    assert all(len(value) < 3 * MAX_HEADER for _, value in headers)
    target = wire.url.removeprefix("https://api.any.example").encode()
    request = h11.Request(method=wire.method, target=target, headers=[(b"host", b"x"), *headers])
    sent = h11.Connection(h11.CLIENT).send(request)
    assert sent is not None
    assert sent.count(b"\r\n") == len(headers) + 3, "no value makes a header of its own"
    if wire.body:
        assert values.decode(wire.body)["sent"] == {"a": "b"}


def one_line(said: str) -> None:
    assert said.isprintable(), said
    assert len(said) < 600, said


def test_tables_hold_what_they_are_for() -> None:
    """Each filter stands there, and as many templates fault as are sent."""
    for name in FILTERS:
        assert any(f"| {name}" in template for template in nodes()), name
    assert len(nodes()) > 100
    plan, _ = compile_text(SPEC.replace("QUERY", '    q: "a {{ settings.x | url }} z"'), "any.yaml")
    assert plan is not None
    assert next(iter(plan.requests.values())).query["q"] == within("a ", nodes()["{{ settings.x | url }}"], " z")


def test_any_value_at_any_place_can_be_sent_or_is_refused_in_one_line() -> None:
    """Every template with each ninth value, another one at each place, so that all of them meet.

    Mutations that turn this red: `auth.body` with members that have no value; `_measure` left out; a list in a url; `shown` left out.
    """
    ends = {"sent": 0, "refused": 0}
    for row, (template, node) in enumerate(nodes().items()):
        for column, (place, plan) in enumerate(places(node).items()):
            start = (row + column) % 9
            for value in VALUES if row == 0 else VALUES[start::9]:
                try:
                    bound = bind(plan, {"x": value})
                    try_templates(plan, bound, "any")
                except SettingError as error:
                    one_line(str(error))
                    assert str(error).startswith("any: the setting `x` cannot be used in "), (template, place)
                    ends["refused"] += 1
                    continue
                for wire in wires(plan, bound):
                    sendable(wire)
                ends["sent"] += 1
    assert min(ends.values()) > 1_000, ends


@pytest.mark.parametrize("kind", ["string", "integer", "number", "boolean", "url", "choice"])
@pytest.mark.parametrize("secret", [False, True], ids=["shown", "secret"])
def test_any_value_of_any_type_is_taken_or_refused_in_one_line(kind: str, secret: bool) -> None:
    """Mutation that turns this red: `_not_this` without `shown`; `_read_number` by `float` alone."""
    setting = p.Setting(type=kind, secret=secret, choices={"eu": {}, "us": {}} if kind == "choice" else {})
    plan = p.Plan(name="any", actions={}, settings={"x": setting}, requests={})
    for value in (*VALUES, *REFUSED, *HOSTS, *OTHERS):
        try:
            bound = bind(plan, {"x": value})
        except SettingError as error:
            one_line(str(error))
            assert kind != "string" or value in (*REFUSED, *HALVES) or not isinstance(value, str), "one line is taken"
            assert not secret or not isinstance(value, str) or len(value) < 4 or value not in str(error), value
            continue
        assert value not in (*REFUSED, *HALVES)
        held = bound.get("x")
        assert values.encode(held)
        if kind == "url" and len(held) < MAX_URL:
            assert url_as_sent(held)


HOSTS = (
    "https://ü.example", "https://xn--tda.example/", "https://😀.example", "https://\u0301a.example", "https://a..b", "https://.", "https://a.",
    "https://" + "a" * 64, "https://" + "a." * 127 + "b", "https://a\\b", "https://<b>", "https://a%2fb", "https://*", "https://[::1]:1",
    "https://[::1", "https://[::g]", "https://[fe80::1%25eth0]", "https://:1", "https://x:", "https://x:0", "https://x:65536", "https://x:1e3",
    "https://127.1", "https://1.2.3.4.5", "HTTPS://X", "https:/x", "https:x", "ftp://x", "https://x/a b", "https://x/ü", "https://x/%",
    "https://x/\u202e", "https://x/" + "a" * 70_000, "http://a.example", "http://localhost:1/", "https://u:p@x", "https://x?y", "https://x#y",
    "https://ß.example", "https://a_b.example", "https://-a", "https://xn--a.example", "https://１２７.0.0.1",
)  # fmt: skip
HALVES = ("\ud800", "a\udfff", "https://\ud800.example")
OTHERS = (
    *HALVES,
    0,
    -1,
    10**18,
    10**500,
    10**5000,
    1.5,
    float("nan"),
    float("inf"),
    1e300,
    True,
    [],
    ["a"],
    {"a": 1},
    (),
    b"a",
)
"""What a file of connections or Python may give."""


def test_in_a_mapping_a_value_that_faults_is_the_events_dead_letter() -> None:
    """Every template as a field of an action, over every ninth value: what an event becomes has an end, by each way that events take."""
    actions = {
        f"a{number}": p.Action(
            trigger='type = "track"',
            request="request",
            mapping=p.Object(entries={"one": node, "two": within("a ", node)}),
        )
        for number, node in enumerate(nodes().values())
        if not p.mentions(node, lambda held: held == p.Ref(name="now"))
    }
    request = p.Request(method="post", url=p.Const(value="https://api.any.example"), body=p.Messages(many=False))
    plan = p.seal(
        p.Plan(name="any", actions=actions, settings={"x": p.Setting(type="string")}, requests={"request": request})
    )
    line = b'{"type":"track","event":"A","messageId":"m"}'
    for value in VALUES[1::9]:
        kernel, generated = (link(plan, {"x": value}, use_kernel=use).map(line, 0, b"", NOW) for use in (True, False))
        assert len(kernel) == len(generated) == len(actions)
        for one, other in zip(kernel, generated, strict=True):
            assert one == other
            if isinstance(one, Rejected):
                assert (one.reason, one.field) == ("filter", "one"), one
            else:
                assert isinstance(one, Mapped)
                values.decode(one.body)


RUNS = itertools.count()
RUN = """
spec: 1
name: any
settings: {x: {type: string, secret: SECRET}}
auth: {bearer: "{{ settings.x TEMPLATE }}", body: {key: "{{ settings.x TEMPLATE }}"}}
request: {post: "https://api.any.example/v1", query: {q: "{{ settings.x TEMPLATE }}"}, body: {sent: $message}}
actions: {send: {trigger: type = "track", mapping: {a: $.event}}}
"""
CONNECTIONS = "connections: {one: {destination: ./any.yaml, sources: [all], settings: {x: VALUE}}}\nsources: {all: {files: e.ndjson}}\n"
EVENT = '{"type":"track","event":"A","messageId":"m"}\n'


def prepare(folder: Path, template: str, secret: bool, value: str, how: str) -> tuple[list[str], dict[str, str]]:
    """The words of a run and its environment."""
    text = RUN.replace("TEMPLATE", template).replace("SECRET", json.dumps(secret))
    (folder / "any.yaml").write_text(text, encoding="utf-8")
    (folder / "e.ndjson").write_text(EVENT, encoding="utf-8")
    (folder / "value.key").write_bytes(value.encode("utf-8", "surrogateescape"))
    env = {"X": value} if how == "env" else {}
    if how in ("yaml", "yaml env", "yaml file"):
        held = {"yaml": json.dumps(value, ensure_ascii=False), "yaml env": "env:X", "yaml file": "file:value.key"}[how]
        (folder / "waypost.yaml").write_text(CONNECTIONS.replace("VALUE", held), encoding="utf-8")
        return ["run", "waypost.yaml", "--state", f"state{next(RUNS)}"], {"X": value} if how == "yaml env" else {}
    given = {"set": value, "env": "env:X", "file": "file:value.key"}[how]
    return ["run", "any.yaml", "--set", f"x={given}", "e.ndjson"], env


def check_run(folder: Path, receiver: Receiver, case: tuple[str, bool, str, str], run: Any) -> None:
    template, secret, value, how = case
    words, env = prepare(folder, template, secret, value, how)
    before = len(receiver.requests)
    status, out, err = run(*words, "--endpoint-override", receiver.url, "--connect-within", "5", cwd=folder, **env)
    sent = receiver.requests[before:]
    lines = [line for line in err.splitlines() if not line.startswith("waypost: warning: the secret `x` stands on")]
    if status == 0:
        assert len(sent) == 1, case
        assert json.loads(sent[0].body)["sent"] == {"a": "A"}
    else:
        assert (status, out, sent) == (2, "", []), (case, err)
        assert len(lines) == 1, (case, err)
        assert lines[0].startswith("waypost: "), lines
        one_line(lines[0])
    if (secret or how.startswith("yaml ")) and len(value.strip()) > 3:
        assert value.strip() not in err + out, case


SOME = (
    "a",
    " ",
    "a\nb",
    "\x1b[31mred",
    "\u2028x",
    "\u202eRTL",
    "x" * 20_000,
    "x" * 70_000,
    "ü😀",
    "{",
    '{"a":[1]}',
    "x=y,z",
    "\udcff\udcfe",
)
TEMPLATES = ("", "| number", "| from_json", "| split(',') | last")


@pytest.mark.parametrize("how", ["set", "env", "file", "yaml", "yaml env", "yaml file"])
def test_whole_commands(how: str, tmp_path: Path) -> None:
    """Mutation that turns this red: `Refused.show` over a message that holds a value's own lines."""
    with Receiver(port=0) as receiver:
        for number, value in enumerate(SOME):
            if how == "yaml" and not re.fullmatch(r"[^\x00-\x1f\ud800-\udfff]*", value):
                continue
            for template in {"", TEMPLATES[number % 4]}:
                check_run(tmp_path, receiver, (template, number % 2 == 1 and how != "yaml", value, how), waypost)


@pytest.mark.slow
def test_whole_processes(tmp_path: Path) -> None:
    with Receiver(port=0) as receiver:
        for case in (
            ("", False, "a\nb", "env"),
            ("| number", True, "secret-\u2028-text", "env"),
            ("", False, "\udcff\udcfe", "set"),
            ("| from_json", False, '{"a":1}', "yaml file"),
            ("| number", False, "12", "file"),
        ):
            check_run(tmp_path, receiver, case, waypost_process)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "x=env:A\nB"), "the environment variable A\\nB is not set (asked for by env:A\\nB)"),
        (("--set", "x=file:no\nsuch"), "cannot read the file no\\nsuch (asked for by file:no\\nsuch): No such file or directory"),
        (("--set", "x=file:" + "n" * 400), f"cannot read the file {'n' * 300}… (asked for by file:{'n' * 295}…): File name too long"),
        (("--set", "x=file:."), "cannot read the file . (asked for by file:.): Is a directory"),
        (("--set", "x=file:large.key"), "the file large.key is too large for a setting (asked for by file:large.key)"),
        (("--set", "x=file:latin.key"), "cannot read the file latin.key (asked for by file:latin.key): it is not UTF-8 text"),
        (("--set", "y\u2028z=1", "--set", "x=1"), "any has no setting `y\\u2028z` (it has: x)"),
        (("--set", "canary-shop-key"), "--set takes name=value"),
        (("--set", "x"), "--set takes name=value, found `x` alone"),
        (("--set", "x="), "any needs the setting `x`: give it with --set x=VALUE"),
        (("--set", "x=a\x07b"), "any: the setting `x` is one line of text, without control characters, not `a\\x07b`"),
    ],
    ids=lambda held: ascii(held[1])[:20] if isinstance(held, tuple) else "",
)  # fmt: skip
def test_what_names_a_value_wrongly_is_one_line(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    prepare(tmp_path, "", False, "a", "file")
    (tmp_path / "large.key").write_bytes(b"x" * 70_000)
    (tmp_path / "latin.key").write_bytes(b"\xe9")
    status, out, err = waypost("run", "any.yaml", *words, "e.ndjson", cwd=tmp_path)
    assert (status, out, err) == (2, "", f"waypost: {said}\n")


def test_what_a_connection_takes_from_outside_is_not_shown_in_a_dead_letter(tmp_path: Path) -> None:
    """It is masked like a secret, also where an event's mapping reads it and cannot take it."""
    text = RUN.replace("TEMPLATE", "").replace("SECRET", "false").replace("$.event", '"{{ settings.x | number }}"')
    (tmp_path / "any.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "e.ndjson").write_text(EVENT, encoding="utf-8")
    (tmp_path / "waypost.yaml").write_text(CONNECTIONS.replace("VALUE", "env:X"), encoding="utf-8")
    status, _, err = waypost("run", "waypost.yaml", "--state", "state", cwd=tmp_path, X=canary.SECRETS[-2])
    assert status == 3, err
    _, out, _ = waypost("dead", "show", "1", "--state", "state", cwd=tmp_path)
    assert "number:" in out
