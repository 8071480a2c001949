"""Requests (family D; their urls are in urls.py): limits that contradict each other, outcomes that lose or repeat messages."""

from __future__ import annotations

import itertools
from collections.abc import Collection

from waypost import plan as p
from waypost.compiler.check import bodies, results, signing
from waypost.compiler.check.mappings import kind
from waypost.compiler.check.urls import check_url
from waypost.compiler.read.source import Span
from waypost.compiler.report.diagnostic import Report
from waypost.compiler.spec import ActionSpec, RequestSpec, Spec, Val
from waypost.lang import fql, fql_sat, fql_tree
from waypost.lang.bodies import FORMATS
from waypost.lang.names import OURS, TOKEN

RETRYABLE = (408, 409, 423, 425, 429)


def check(spec: Spec, report: Report) -> None:
    for request in spec.requests():
        check_url(spec, request.url, report)
        _headers(request.headers, request, report)
        _signed(request, report)
        _objects(request.more, report)
        _limits(request, report)
        _outcomes(request, report)
        results.check_request(request, report)
        signing.check(request, spec, report)
    for name, val in spec.auth.values.items():
        group, _, key = name.partition(".")
        if group == "headers":
            _header(key, val.span, report)
            for word in {action.request.word for action in spec.actions.values() if action.request.body is not None}:
                bodies.content_type(FORMATS[word], key, val, report)
    _objects(spec.auth.more, report)
    _client(spec, report)
    _twice(spec, report)
    for action in spec.actions.values():
        _dedupe(action, report)
        results.check_action(action, report)
    bodies.check(spec, report)


def _client(spec: Spec, report: Report) -> None:
    """The OAuth 2 client: where it asks, and that its secrets are secret."""
    held = spec.auth.values
    if (url := held.get("oauth2.token_url")) is not None:
        check_url(spec, url, report)
    for word in ("client_secret", "refresh_token"):
        if (val := held.get(f"oauth2.{word}")) is not None and not val.broken:
            signing.check_secret(val, f"the `{word}` of an OAuth 2 client", spec, report)


def _headers(headers: dict[str, Val], request: RequestSpec, report: Report) -> None:
    for name in headers:
        _header(name, request.spans.get(f"headers.{name} key", request.span), report)
        if request.body is not None:
            bodies.content_type(FORMATS[request.word], name, headers[name], report)


def _signed(request: RequestSpec, report: Report) -> None:
    for name in request.sign.headers if request.sign is not None else ():
        _header(name, request.spans.get(f"sign.headers.{name} key", request.span), report)


def _objects(more: dict[str, tuple[Val, ...]], report: Report) -> None:
    """The names that are known of the objects of headers, and what is never an object."""
    for word, objects in more.items():
        for val in objects:
            found = kind(val)
            if found not in (None, "object"):
                span, label = val.span, f"always {found}"
                report.say("M201", f"`{word}` takes objects, and this is never one", span, label)
            entries = val.node.entries if isinstance(val.node, (p.Object, p.Merge)) else ()
            for name in entries if word == "headers" else ():
                _header(name, val.keys.get(name, val.span), report)


def _header(name: str, span: Span, report: Report) -> None:
    if not TOKEN.fullmatch(name):
        report.say("D103", f"`{name}` is not a header name", span)
    elif name.lower() in OURS:
        report.say(
            "D103",
            f"the header `{name}` is set by the engine",
            span,
            help="remove it" if name.lower() != "content-encoding" else "write `gzip: true`",
        )


def _twice(spec: Spec, report: Report) -> None:
    """One header from two places: auth and the request, or two spellings of one name."""
    kinds = {"basic.username": "basic", "bearer": "bearer", "oauth2.token_url": "oauth2"}
    kinds = {name: word for name, word in kinds.items() if name in spec.auth.values}
    auth: dict[str, str] = {"authorization": "`auth`"} if kinds else {}
    for name, val in spec.auth.values.items():
        group, _, key = name.partition(".")
        if group == "headers":
            if key.lower() in auth:
                report.say(
                    "D111",
                    f"the header `{key}` comes from two places",
                    val.span,
                    f"{auth[key.lower()]} sets it",
                )
            auth[key.lower()] = "`auth`"
    if len(kinds) > 1:
        (_, first), (name, second) = list(kinds.items())[:2]
        span = spec.auth.values[name].span
        report.say("D111", f"`{first}` and `{second}` both set the header `Authorization`", span, help="keep one")
    for request in spec.requests():
        seen = dict(auth)
        names = [("headers", name) for name in request.headers]
        names += [("sign.headers", name) for name in (request.sign.headers if request.sign is not None else ())]
        for word, name in names:
            if name.lower() in seen:
                span = request.spans.get(f"{word}.{name} key", request.span)
                where = seen[name.lower()]
                report.say("D111", f"the header `{name}` comes from two places", span, f"{where} sets it", "keep one")
            seen[name.lower()] = f"`{name}`"


def _limits(request: RequestSpec, report: Report) -> None:
    batch, spans = request.plain.batch, request.spans
    if batch is not None and batch.max_bytes and batch.max_message_bytes and batch.max_message_bytes > batch.max_bytes:
        report.say(
            "D104",
            "`max_message_bytes` is more than `max_bytes`",
            spans["batch.max_message_bytes"],
            "no such message fits a batch",
        )
    if batch is not None and not {"batch.max_messages", "batch.max_bytes"} & spans.keys():
        report.say("D104", "`batch` has no limit", spans["batch"], help="give `max_messages`, `max_bytes` or both")
    retry, dedupe = request.plain.retry, request.plain.dedupe
    if dedupe is not None and dedupe.unsafe and "unanswered" not in request.plain.responses:
        report.say(
            "D122",
            "nothing tells a repeated message, and what becomes of one that was not answered is not said",
            spans.get("dedupe.unsafe", request.span),
            "it may have arrived",
            "`responses: {unanswered: retry}` may send it twice; `{unanswered: reject}` keeps it as a dead letter",
        )
    if dedupe is not None and not dedupe.unsafe and retry.for_s > dedupe.within_s > 0:
        span = spans.get("retry.for") or spans.get("dedupe.within") or request.span
        report.say(
            "D105",
            f"retries go on for {retry.for_s:g} s, and the destination deduplicates for {dedupe.within_s:g} s",
            span,
            "a late retry would arrive twice",
            "retry for less: `retry: {for: …}`",
        )
    if request.plain.timeout_s <= 0 or request.plain.timeout_s > 3600:
        report.say("D104", "`timeout` is from 1 ms to 1 h", spans.get("timeout", request.span))


def _outcomes(request: RequestSpec, report: Report) -> None:
    for status, rules in request.plain.responses.items():
        span = request.spans.get(f"responses.{status}", request.span)
        for rule in rules:
            _outcome(request, status, rule.then, span, report, named=bool(rule.results))
        whole = [rule for rule in rules if not rule.results]
        _accepted(status, whole, span, report, request.plain.responses.keys() - {status})
        if len(rules) > 1 and any(rule.test is None and not rule.results for rule in rules[:-1]):
            report.say("D108", "what follows an outcome without `if` is never reached", span)


def _outcome(request: RequestSpec, status: str, then: str, span: Span, report: Report, *, named: bool = False) -> None:
    """`named`: it is the outcome of those that an answer does not name, who go again without the others."""
    refused = status == "4xx" or (status.isdecimal() and 400 <= int(status) < 500 and int(status) not in RETRYABLE)
    if then in ("retry", "throttle") and refused and not named:
        report.say(
            "D107",
            f"a {status} says that the request is wrong: sending it again gives the same answer",
            span,
            f"`{then}` would repeat it for hours",
            "use `reject` or `split`",
        )
    if then == "split" and request.plain.batch is None:
        report.say("D108", "`split` halves a batch, and there is no `batch:`", span, help="use `reject`")
    failed = status in ("unsent", "unanswered") or status == "5xx" or (status.isdecimal() and int(status) >= 500)
    if then == "ok" and failed:
        report.say(
            "D112",
            f"`ok` on {status} counts messages as delivered that were not taken",
            span,
            "they would be lost without a trace",
            "use `reject`, which keeps them, or `retry`",
        )
    if then in ("split", "throttle") and status in ("unsent", "unanswered"):
        report.say("D108", f"`{then}` needs an answer, and `{status}` has none", span)


def _by_name(path: str) -> str:
    if path.startswith("$$"):
        return f"`by` names a field as it is sent: `{path[1:]}`"
    return f"`by` names output fields, without `$.`: `{path[2:]}`" if path.startswith("$.") else ""


def _accepted(status: str, rules: list[p.ResponseRule], span: Span, report: Report, others: Collection[str]) -> None:
    """A success says that messages were accepted, some of them where the answer names errors: what halves the batch sends those again.

    `retry`, `throttle` and `stop` may be right where a condition tells that nothing was accepted, never for the status as such, and a
    condition over the status alone tells no more than it, as does one that holds whatever else the answer says.
    """
    if not results.success(status):
        return
    if any(rule.then == "split" for rule in rules):
        report.say(
            "D113",
            f"`split` on {status} sends accepted messages again",
            span,
            "the status says that the destination has accepted the batch, or a part of it",
            "use `reject`, which keeps the batch with the answer; or `retry` where the answer says that nothing was accepted",
        )
    again = list(itertools.takewhile(lambda rule: rule.then in ("retry", "throttle", "stop"), rules))
    sure = _always(status, again, others)
    if sure:
        report.say(
            "D113",
            f"`{again[0].then}` on every {sure} sends accepted messages again",
            span,
            "the status says that the destination has accepted them, and nothing else of the answer is asked for",
            f"say when nothing was accepted: `{status}: [{{if: …, then: {again[0].then}}}]`",
        )


def _always(status: str, rules: list[p.ResponseRule], others: Collection[str]) -> str:
    """The success on which one of these rules holds whatever else the answer says, "" where there is none.
    `others` are the statuses that have rules of their own."""
    tests = [rule.test for rule in rules if rule.test is not None]
    if len(tests) < len(rules) or (tests and not results.reads_the_answer(tests[0])):
        return status
    if not tests:
        return ""
    fails = fql_tree.Not(fql_tree.Or(tuple(map(fql.read, tests))))
    numbers = range(200, 300) if status == "2xx" else [int(status)]
    for number in numbers:
        known = fql_tree.Compare("=", fql_tree.PathRef(("status",)), fql_tree.Literal(number))
        if str(number) not in others and fql_sat.conflict(fql_tree.And((known, fails))) is not None:
            return str(number)
    return ""


def _dedupe(action: ActionSpec, report: Report) -> None:
    dedupe = action.request.plain.dedupe
    for path in dedupe.by if dedupe else ():
        node: p.Value | None = action.mapping.node
        for key in path.split("."):
            if isinstance(node, p.Merge) and key not in node.entries:
                node = None
                break
            node = node.entries.get(key) if isinstance(node, (p.Object, p.Merge)) else None
            if node is None:
                report.say(
                    "D109",
                    f"`{action.name.value}` never produces `{path}`",
                    action.request.spans.get("dedupe.by", action.request.span),
                    "the destination deduplicates by it",
                    _by_name(path),
                )
                break
