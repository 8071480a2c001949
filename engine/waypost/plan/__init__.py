"""The door between the two halves: what the compiler writes and the runtime executes.

Takes nothing from either half. Gives frozen structs, `dump` (struct to reviewable JSON bytes) and `load` (bytes to struct, or a
`PlanError` that a person can act on). A plan holds no secret: those are bound when it is linked for a run.

Why expressions are trees but triggers are text: a trigger is short and reads best as the author wrote it, so the runtime parses its
(canonical) text once, at link time. Templates are trees because the template subset is paths, constants, filters and arithmetic, so
running a plan needs neither Jinja nor ruamel.

A connection's plan says all that a run needs: its settings as they were written (`env:NAME` and `file:PATH` stay references) and its sources.
Why its plain setting values stand in it: docs/decisions/0006-connection-plans.md.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from waypost.plan.nodes import (
    Arith,
    Const,
    Drop,
    Each,
    Filter,
    Find,
    First,
    From,
    Get,
    Items,
    Lookup,
    Merge,
    Messages,
    Node,
    Object,
    Omit,
    Path,
    Pick,
    Ref,
    Text,
    Value,
    When,
    mentions,
    refers,
    rewrite,
    settings_in,
)

__all__ = [
    "Arith",
    "Const",
    "Drop",
    "Each",
    "Filter",
    "Find",
    "First",
    "From",
    "Get",
    "Items",
    "Lookup",
    "Merge",
    "Messages",
    "Node",
    "Object",
    "Omit",
    "Path",
    "Pick",
    "Ref",
    "Text",
    "Value",
    "When",
    "mentions",
    "refers",
    "rewrite",
    "settings_in",
]

VERSION = 1
"""The plan format. The engine runs this version and refuses a newer one."""

WIDTH = 120
"""A JSON value that fits in this many columns stays on one line, so that a diff of a plan shows one leaf a line."""


class PlanError(Exception):
    """A plan file that cannot be run: not JSON, not a plan, or of a newer version. The message says which and what to do."""


class Setting(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One setting. `type` is string, integer, number, boolean, url, choice, list or map; `choices` maps a key to its data (label included).

    A list has `of` and a map `value`: what each item or entry is, of one of these types but the last two, or of type row: a map of `fields`.
    `key` says of a map's keys, which are text, what they are to people.
    """

    type: str
    label: str = ""
    description: str = ""
    secret: bool = False
    optional: bool = False
    default: Any = None
    choices: dict[str, dict[str, Any]] = {}
    of: Setting | None = None
    key: Setting | None = None
    value: Setting | None = None
    fields: dict[str, Setting] = {}

    @property
    def part(self) -> Setting | None:
        """What each item of a list or entry of a map is; None of one value."""
        return self.of or self.value


class Basic(Struct, frozen=True, kw_only=True):
    username: Value
    password: Value


class OAuth2(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How a token is asked for: `grant` is client_credentials or refresh_token, `client` says where the client's id and secret go, into a Basic
    header (basic) or the form; `form` holds what the form has besides."""

    token_url: Value
    client_id: Value
    client_secret: Value | None = None
    grant: str = "client_credentials"
    scope: Value | None = None
    refresh_token: Value | None = None
    client: str = "basic"
    form: dict[str, Value] = {}


class Auth(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What goes with every request and the check. `body` members are added to the JSON object of a request's body;
    `more_headers` and `more_query` are objects as a Request has them."""

    basic: Basic | None = None
    bearer: Value | None = None
    headers: dict[str, Value] = {}
    query: dict[str, Value] = {}
    body: dict[str, Value] = {}
    oauth2: OAuth2 | None = None
    more_headers: list[Value] | UnsetType = UNSET
    more_query: list[Value] | UnsetType = UNSET


class Batch(Struct, frozen=True, kw_only=True):
    """When a batch is cut. Bytes are of the body before compression; None is no limit. `max_messages` may be by list of the body."""

    max_messages: int | dict[str, int] | None = None
    max_bytes: int | None = None
    max_message_bytes: int | None = None
    max_wait_s: float = 1.0


class Rate(Struct, frozen=True, kw_only=True):
    """At most `count` of `of` ("requests" or "messages") in `per_s` seconds."""

    of: str
    count: int
    per_s: float


class Retry(Struct, frozen=True, kw_only=True):
    """How long one message is retried (while the breaker is closed) and which headers say how long to wait."""

    for_s: float = 14400.0
    wait_from: list[str] = field(default_factory=lambda: ["Retry-After"])
    max_wait_s: float = 3600.0


class Dedupe(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What the destination deduplicates by (output paths such as `messageId`, dotted) and for how many seconds. `unsafe`: by
    nothing that can be relied on."""

    by: list[str] = []
    within_s: float = 0.0
    unsafe: bool = False


class ResponseRule(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`then` is ok, retry, throttle, split, reject or stop; `test` is FQL over status, headers and body (None: always).

    With `results` the answer names messages: `then` is the outcome of those that it does not name (`rest`), and holds only when it names any.
    """

    then: str
    test: str | None = None
    results: list[Reader] = []


class Reader(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Which messages an answer names. `at` gives items; of each, `index` (the place in the request, from 0; or in its list `list_name`) or
    `value` (equal to the output field `of`, dotted) says which message it means. `where` is FQL over status, headers, body and item; of `then`
    the first that holds counts.
    """

    at: Value
    list_name: Value | None = None
    index: Value | None = None
    value: Value | None = None
    of: str = ""
    where: str | None = None
    reason: Value | None = None
    then: list[ResponseRule]


class Sign(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A signature over a request, made at each attempt: of `text` (in which `body` is the exact bytes before compression), with `key`, put into
    `headers` and `query`. `hash` is sha256 or sha1, `encoding` hex or base64; `key_form` says how the key is written, text or base64."""

    text: Value
    key: Value
    hash: str
    encoding: str = "hex"
    key_form: str = "text"
    headers: dict[str, Value] = {}
    query: dict[str, Value] = {}


class Request(Struct, frozen=True, kw_only=True):
    """One HTTP request. `more_headers` and `more_query` are objects that lie below the entries of `headers` and `query`. `batch` None: one
    message a request. Rules of `responses` are keyed by a status ("400"), a class ("4xx"), "unsent" or "unanswered" and lie over the built-in
    table of delivery/outcome.py. `format` is a word of lang/bodies, none for JSON. What says nothing (UNSET) is not written, so that a plan
    without it keeps its bytes."""

    method: str
    url: Value
    headers: dict[str, Value] = {}
    query: dict[str, Value] = {}
    body: Value | None = None
    gzip: bool = False
    timeout_s: float = 10.0
    concurrency: int = 4
    batch: Batch | None = None
    rate: list[Rate] = []
    retry: Retry = field(default_factory=Retry)
    dedupe: Dedupe | None = None
    responses: dict[str, list[ResponseRule]] = {}
    format: str | UnsetType = UNSET
    content_type: str | UnsetType = UNSET
    more_headers: list[Value] | UnsetType = UNSET
    more_query: list[Value] | UnsetType = UNSET
    sign: Sign | UnsetType = UNSET


class Probe(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The credential check: one request whose 2xx says what the spec's author wrote beside it, and no more."""

    method: str
    url: Value
    headers: dict[str, Value] = {}
    query: dict[str, Value] = {}
    more_headers: list[Value] | UnsetType = UNSET
    more_query: list[Value] | UnsetType = UNSET


class Require(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """At least one of these output paths (dotted keys) present, not null, not "". `test` is FQL over the event."""

    any: list[list[str]]
    test: str | None = None
    message: str = ""


class Action(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`trigger` and `where` are canonical FQL. `request` is a key of Plan.requests."""

    trigger: str
    request: str
    mapping: Value
    title: str = ""
    description: str = ""
    enabled: bool = True
    each: Value | None = None
    where: str | None = None
    require: list[Require] = []


class Source(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Where each leaf was written: `positions` maps "actions.send_track.mapping.event" to "line:column" in `file`, or to
    "other file:line:column". Not part of the digest.

    A connection's plan also says what it was compiled from, so that a run without the compiler knows a stale one: `inputs` maps each file (as
    seen from the connections file) to its `fingerprint`, and `together` names every connection of that file.
    """

    file: str
    positions: dict[str, str]
    inputs: dict[str, str] = {}
    together: list[str] = []


class Feed(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A source of a connection: exactly one of `files` (paths or globs), `http` ("host:port"), `stdin` and `other`.

    `write_keys` are references (`env:NAME`, `file:PATH`), never keys. `emits` are event types; empty: any. `follow`: wait for more lines at the
    end of the files. `start` is where a new lane begins: "start" or "now".
    """

    name: str
    files: list[str] = []
    http: str | None = None
    stdin: bool = False
    write_keys: list[str] = []
    emits: list[str] = []
    follow: bool = False
    start: str = "now"
    other: dict[str, Any] = {}
    """A source of another kind (sources/kinds.py): its word, and what the connections file says of it."""

    @property
    def kind(self) -> str:
        """The word that names its kind."""
        if self.other:
            return next(iter(self.other))
        return "http" if self.http is not None else "stdin" if self.stdin else "files"


class Tls(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Files (`file:PATH`) of the authority that a connection believes instead of the usual ones, and of what it proves itself with."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None


class Connection(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The connection a plan was compiled for: its name goes into meta.id, `order_by` keeps equal values out of parallel requests.

    `settings` are as they were written: constants, and `env:NAME` or `file:PATH` for what is bound when the plan is linked. `plain_http`:
    settings may name http urls of other machines, too. `redact`: paths of what is taken out of every event before any action.
    """

    name: str
    enabled: bool = True
    settings: dict[str, Any] = {}
    tls: Tls | None = None
    plain_http: bool = False
    redact: list[str] = []
    sources: list[Feed] = []
    order_by: Value | None = None


class Plan(Struct, frozen=True, kw_only=True):
    """A destination, checked and resolved. `digest` is the SHA-256 of everything but `digest` and `source`.

    `integrations` are the names that mean it in an event's `integrations`; none: what that says is ignored.
    """

    waypost_plan: int = VERSION
    name: str
    title: str = ""
    description: str = ""
    docs: str = ""
    category: str | UnsetType = UNSET
    digest: str = ""
    settings: dict[str, Setting] = {}
    auth: Auth = field(default_factory=Auth)
    check: Probe | None = None
    connection: Connection | None = None
    integrations: list[str] = []
    requests: dict[str, Request]
    actions: dict[str, Action]
    source: Source = field(default_factory=lambda: Source(file="", positions={}))


def place(source: Source, pointer: str) -> str:
    """Where a leaf was written, as "file:line:column"; "" when it is not known."""
    at = source.positions.get(pointer, "")
    return at if not at or at.count(":") > 1 else f"{source.file}:{at}"


def fingerprint(data: bytes) -> str:
    """What `Source.inputs` keeps of a file; the same for LF and CRLF, with and without a byte order mark."""
    return hashlib.sha256(data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")).hexdigest()


def seal(plan: Plan) -> Plan:
    """The plan with its digest filled in."""
    bare = msgspec.structs.replace(plan, digest="", source=Source(file="", positions={}))
    digest = hashlib.sha256(msgspec.json.encode(bare)).hexdigest()
    return msgspec.structs.replace(plan, digest=digest)


def dump(plan: Plan) -> bytes:
    """Reviewable JSON: fixed key order, one leaf a line, LF at the end. Same plan, same bytes."""
    return (_pretty(msgspec.json.decode(msgspec.json.encode(plan)), 0) + "\n").encode()


def load(data: bytes, where: str = "plan") -> Plan:
    """The plan in `data`. `where` names it in the PlanError of a file that is no plan or of a newer version."""
    try:
        raw = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"{where} is not JSON: {error}") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("waypost_plan"), int):
        raise PlanError(f"{where} is not a compiled plan: it has no `waypost_plan` version")
    if raw["waypost_plan"] > VERSION:
        raise PlanError(
            f"{where} is a plan of version {raw['waypost_plan']}; this engine runs versions up to {VERSION}: "
            "upgrade waypost, or compile the spec again with this one"
        )
    try:
        plan = msgspec.convert(raw, Plan)
    except msgspec.ValidationError as error:
        raise PlanError(f"{where} is a damaged plan: {error}; compile its spec again") from None
    if seal(plan).digest != plan.digest:
        raise PlanError(f"{where} was edited by hand or cut: its digest does not fit; compile its spec again")
    return plan


def _pretty(value: Any, depth: int) -> str:
    flat = json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    if not isinstance(value, (dict, list)) or not value or (depth > 1 and len(flat) + 2 * depth <= WIDTH):
        return flat
    pad = "  " * (depth + 1)
    if isinstance(value, dict):
        rows = [
            f"{pad}{json.dumps(key, ensure_ascii=False)}: {_pretty(item, depth + 1)}" for key, item in value.items()
        ]
        opening, closing = "{", "}"
    else:
        rows = [pad + _pretty(item, depth + 1) for item in value]
        opening, closing = "[", "]"
    return f"{opening}\n" + ",\n".join(rows) + "\n" + "  " * depth + closing
