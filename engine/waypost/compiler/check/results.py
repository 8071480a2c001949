"""Outcomes for each message (family D): readers that could name nobody, lose messages, or send again what was accepted.

Takes an action's RequestSpec, with the readers of its `responses`. Reports. What holds for an outcome of the whole request is judged in
requests.py; there, an outcome of `rest` is judged as one that its status gives.
"""

from __future__ import annotations

from waypost import plan as p
from waypost.compiler.check.mappings import produces
from waypost.compiler.report.diagnostic import Diagnostic, Fix, Label, Report
from waypost.compiler.spec import ActionSpec, ReaderSpec, RequestSpec
from waypost.lang import fql
from waypost.lang.bodies.format import lists_of

AGAIN = ("retry", "throttle", "split", "stop")
"""What sends messages again; after `stop` the next run does."""


def success(status: str) -> bool:
    return status == "2xx" or (status.isdecimal() and 200 <= int(status) < 300)


def reads_the_answer(test: str) -> bool:
    """Whether a condition tells more than the status does."""
    return any(path.steps[:1] != ("status",) for path in fql.paths(fql.read(test)))


def check_request(request: RequestSpec, report: Report) -> None:
    lists = [] if request.body is None else [name for name, _ in lists_of(request.body.node)]
    for held in request.readers:
        _list(held, lists, report)
        _then(held, report)
        if held.status in ("unsent", "unanswered"):
            report.say("D108", f"`results` needs an answer, and `{held.status}` has none", held.span)
    for status, rules in request.plain.responses.items():
        for index, rule in enumerate(rules):
            readers = [held for held in request.readers if held.status == status and held.reader in rule.results]
            if readers:
                _rest(status, rule, rules[index + 1 :], readers[0], report)


def check_action(action: ActionSpec, report: Report) -> None:
    """Whether the mapping produces the fields that answers name messages by."""
    for held in action.request.readers:
        of = held.reader.of
        if not of or produces(action.mapping.node, of.split(".")) is None:
            continue
        span = held.spans.get("of", held.span)
        meant = of.lstrip("$").lstrip(".")
        help_text = f"`of` names a field as it is sent: `{meant}`" if meant != of else ""
        known = meant != of and produces(action.mapping.node, meant.split(".")) is None
        message = f"`{action.name.value}` never produces `{of}`"
        found = Label(span, "no answer could name a message of it")
        report.add(Diagnostic("D120", message, found, help_text, fix=Fix(span, meant, safe=True) if known else None))


def _list(held: ReaderSpec, lists: list[str], report: Report) -> None:
    """Of several lists, an index counts in one."""
    named = held.reader.list_name
    span = held.spans.get("list", held.spans.get("index", held.span))
    if held.reader.index is not None and named is None and lists:
        help_text = f"add `list:`, the name of one ({', '.join(lists)}), or where the item says it"
        report.say("D108", "the body has several lists, and `index` counts in one of them", span, help=help_text)
    elif named is not None and (held.reader.index is None or not lists):
        why = "the body has one list" if not lists else "`list` stands beside `index`"
        report.say("D108", f"{why}: there is nothing to choose", span, help="remove `list`")
    elif isinstance(named, p.Const) and named.value not in lists:
        report.say("D108", f"the body has no list `{named.value}`", span, help=f"its lists are {', '.join(lists)}")


def _then(held: ReaderSpec, report: Report) -> None:
    span = held.spans.get("then", held.span)
    then = held.reader.then
    if any(rule.then == "split" for rule in then):
        report.say("D108", "`split` looks for a message, and here it is named", span, help="use `reject`")
    if any(rule.test is None for rule in then[:-1]):
        report.say("D108", "what follows an outcome without `if` is never reached", span)
    elif then[-1].test is not None:
        label = "a message may be named while no `if` holds"
        report.say("D108", "`then` ends with an outcome without `if`", span, label, "add one, such as `reject`")


def _rest(status: str, rule: p.ResponseRule, after: list[p.ResponseRule], held: ReaderSpec, report: Report) -> None:
    thens = {inner.then for reader in rule.results for inner in reader.then}
    positive = thens == {"ok"}
    told = positive or (rule.test is not None and reads_the_answer(rule.test))
    if success(status) and rule.then in AGAIN and (rule.then == "split" or not told):
        report.say(
            "D113",
            f"`rest: {rule.then}` on {status} sends accepted messages again",
            held.rest_span,
            "the status says that the destination has accepted those that the answer does not name",
            "use `ok`, or `reject`, which keeps them with the answer",
        )
    if success(status) and positive and rule.then != "ok" and not any(next_.test is None for next_ in after):
        report.say(
            "D121",
            f"a {status} that names nobody is `ok` for all",
            held.rest_span,
            f"`rest: {rule.then}` holds only when the answer names any message",
            f"say what then: `{status}: [{{results: …, rest: {rule.then}}}, reject]`",
        )
    if rule.then in AGAIN[:2] and thens <= set(AGAIN[:2]) and status.startswith("4") and status not in ("408", "429"):
        report.say(
            "D107",
            f"every message of a {status} would be sent again",
            held.rest_span,
            f"those that it names (`then`) and the others (`rest: {rule.then}`)",
            "use `then: reject` for those that it names",
        )
