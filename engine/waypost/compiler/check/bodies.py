"""Bodies (family D): where messages stand in them, what their content type says, and what auth adds to them."""

from __future__ import annotations

from waypost import plan as p
from waypost.compiler.report.diagnostic import Report
from waypost.compiler.report.suggest import nearest
from waypost.compiler.spec import ActionSpec, RequestSpec, Spec, Val
from waypost.lang.bodies import FORMATS
from waypost.lang.bodies.format import BodyFormat, lists_of


def check(spec: Spec, report: Report) -> None:
    users: dict[int, list[ActionSpec]] = {}
    for action in spec.actions.values():
        users.setdefault(id(action.request), []).append(action)
    for actions in users.values():
        request = actions[0].request
        wrong = _messages(request, report)
        if request.body is not None:
            _lists(request, request.body, actions, spec, report)
        _auth(request, spec, report)
        for action in () if wrong else actions:
            _not_sent(action, report)


def _messages(request: RequestSpec, report: Report) -> bool:
    """Whether anything is wrong with where they stand."""
    span = request.spans.get(request.word, request.method.span)
    batched = request.plain.batch is not None
    if request.body is None or not request.sends_messages:
        if batched:
            where, help = request.spans["batch key"], "remove `batch:`, or put `$messages` into the body"
            report.say("D106", "there are no messages in the request to batch", where, "one event is one request", help)
            return True
        if request.body is None:
            return False
    if request.body.broken:
        return True
    wrong = request.method.value == "get"
    if wrong:
        report.say("D106", "a GET request has no body", span)
    for node, message, help in FORMATS[request.word].faults(request.body.node, batched=batched):
        wrong = True
        held = next((val.span for val in request.body.walk() if val.node is node), span)
        report.say("D106", message, held, help=help)
    return wrong


def _lists(request: RequestSpec, body: Val, actions: list[ActionSpec], spec: Spec, report: Report) -> None:
    """Each action whose messages the request sends stands in exactly one of its lists."""
    names = [name for name, _ in lists_of(body.node)]
    most = request.plain.batch.max_messages if request.plain.batch else None
    for name in most if isinstance(most, dict) else ():
        if name not in names:
            span = request.spans.get(f"batch.max_messages.{name} key", request.span)
            near = nearest(name, names)
            help = f"its lists are {', '.join(names)}" if names else "give one number: the body has one list"
            report.say("D104", f"the body has no list `{name}`", span, f"did you mean `{near}`?" if near else "", help)
    if not names:
        return
    seen: dict[str, str] = {}
    for val in body.walk():
        for action, span in val.keys.items() if isinstance(val.node, p.Messages) else ():
            if action not in spec.actions:
                near = nearest(action, spec.actions)
                label = f"did you mean `{near}`?" if near else ""
                help = f"the actions are {', '.join(spec.actions)}"
                report.say("D116", f"there is no action `{action}`", span, label, help)
                # The one that was meant is not missing as well.
                seen[near or action] = action
            elif action in seen:
                report.say("D116", f"the messages of `{action}` stand in two lists", span, help="name it in one")
            seen.setdefault(action, action)
    for held in actions:
        if held.name.value not in seen:
            help = f"add it to one of the body's lists: {', '.join(names)}"
            report.say("D116", f"`{held.name.value}` stands in no list of its request", held.name.span, help=help)


def _auth(request: RequestSpec, spec: Spec, report: Report) -> None:
    """What `auth: body` adds needs a map of a format that has members, and may not take the place of messages."""
    added = {name.partition(".")[2]: val for name, val in spec.auth.values.items() if name.startswith("body.")}
    if not added:
        return
    held = request.body
    form = FORMATS[request.word]
    if held is None or not form.takes_members(held.node):
        span = held.span if held is not None else request.method.span
        help = (
            "write the body as a map around the messages" if form.members else f"a body of {form.name} has no members"
        )
        report.say("D110", "`auth: body` has no object to add its members to", span, help=help)
    elif isinstance(held.node, p.Object):
        for name, val in added.items():
            if name in held.node.entries:
                where = f"the request's `{request.word}` sets it"
                report.say("D111", f"`{name}` of the body comes from two places", val.span, where, "keep one")


def _not_sent(action: ActionSpec, report: Report) -> None:
    """A mapping that is not sent was meant to be: most likely the body was forgotten."""
    node = action.mapping.node
    empty = isinstance(node, p.Object) and not node.entries
    if empty or action.require or action.request.sends_messages or action.mapping.broken:
        return
    word = "the body holds no message" if action.request.body is not None else "the request has no body"
    report.say(
        "D115",
        f"the mapping of `{action.name.value}` is not sent: {word}",
        action.mapping.span,
        help="add `body: $message`, or `body: {…: $messages}` with `batch:`; or remove the mapping",
    )


def content_type(form: BodyFormat, name: str, val: Val, report: Report) -> None:
    """A body is what its word says, whatever a header says of it."""
    node = val.node.parts[0] if isinstance(val.node, p.Text) else val.node
    if name.lower() != "content-type" or not isinstance(node, p.Const) or not isinstance(node.value, str):
        return
    kind = node.value.partition(";")[0].strip().lower()
    if not form.kinds.fullmatch(kind):
        other = next((held for held in FORMATS.values() if held is not form and held.kinds.fullmatch(kind)), None)
        wanted = f"write `{other.word}:` for such a body" if other is not None else "remove the header"
        report.say(
            "D114",
            f"the body is {form.name}, and `{name}` says `{kind}`",
            val.span,
            f"expected `{form.content_type}`",
            f"{wanted}; or excuse the line where {form.name} is wanted under this name",
        )
