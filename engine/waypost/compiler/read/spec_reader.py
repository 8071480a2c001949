"""The reader: a document becomes a Spec, with a closed vocabulary and every fault in one run.

Takes the root node and the Report. Gives a Spec, or None where there is nothing to check further. Order: settings first (expressions name
them), then auth, check, and each action after `reuse.py` has laid its blocks over one another; a broken action does not hide the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from waypost import plan as p
from waypost.compiler.compose.reuse import Blocks, Layer, check_own_omits, is_omit, lay_actions, lay_over
from waypost.compiler.read import several
from waypost.compiler.read.closed_maps import Closed, describe
from waypost.compiler.read.document import Map, Node, Scalar, Seq
from waypost.compiler.read.integrations import read_names
from waypost.compiler.read.places import MAPPING, TRIGGER, Place
from waypost.compiler.read.request import read_auth, read_request
from waypost.compiler.read.settings_block import read_settings
from waypost.compiler.read.source import Span
from waypost.compiler.read.value_operators import values_reader
from waypost.compiler.read.values import Values
from waypost.compiler.report.diagnostic import Fix, Report
from waypost.compiler.spec import ActionSpec, Located, RequireSpec, Spec, Val

VERSION = 1
TOP = (
    "spec",
    "name",
    "title",
    "description",
    "docs",
    "category",
    "integrations",
    "settings",
    "auth",
    "check",
    "request",
    "values",
    "shared",
    "actions",
)
CATEGORIES = ("analytics", "crm", "advertising", "messaging", "support", "warehouse", "other")
"""What a destination is, in the order of their directory."""

BLOCK = ("require", "mapping", "request", "each", "where")
ACTION = ("title", "description", "trigger", "use", "like", "enabled", *BLOCK)
REQUIRE = ("any", "if", "message")

SPEC_NAME = r"[a-z][a-z0-9]*([_-][a-z0-9]+)*"


def read_spec(root: Node, report: Report, layer: Layer = Layer()) -> Spec | None:
    """`layer` is what a connection lays over the spec."""
    closed = Closed(report)
    top = closed.map(root, "a spec")
    if top is None:
        return None
    closed.keys(top, TOP, "a spec")
    _version(top, closed)
    settings = read_settings(top.get("settings"), closed)
    values = values_reader(report, {name: item.setting for name, item in settings.items()})
    values.named.read(top.get("values"))
    check_node = closed.map(top.get("check"), "`check`")
    name_node = closed.need(top, "name", "a spec", "name it as its folder, such as `name: shop`")
    name = closed.text(name_node, "`name`")
    if name_node is not None and name and not re.fullmatch(SPEC_NAME, name):
        closed.add("S109", f"`{name}` is not a name", name_node.span, "expected lower-case words joined by `_` or `-`")
    found = Spec(
        name=Located(name, name_node.span if name_node else top.span),
        title=closed.text(top.get("title"), "`title`"),
        description=closed.text(top.get("description"), "`description`"),
        docs=closed.text(top.get("docs"), "`docs`"),
        category=closed.one_of(top.get("category"), CATEGORIES, "`category`", ""),
        integrations=read_names(top.get("integrations"), closed),
        settings=settings,
        auth=read_auth(top.get("auth"), values),
        check=read_request(check_node, values, probe=True) if check_node is not None else None,
        actions=_actions(top, closed, values, layer),
        texts={"used_settings": values.names.used_settings} if isinstance(top.get("actions"), Map) else {},
    )
    if found.actions:
        values.named.unused()
    return found


def _version(top: Map, closed: Closed) -> None:
    node = closed.need(top, "spec", "a spec", "begin with `spec: 1`")
    if node is None:
        return
    if isinstance(node, Scalar) and node.kind == "int" and node.text == str(VERSION):
        return
    newer = isinstance(node, Scalar) and node.kind == "int"
    closed.add(
        "S110",
        f"this engine reads version {VERSION} of the language",
        node.span,
        f"found {describe(node)}",
        "upgrade waypost" if newer else f"write `spec: {VERSION}`",
        Fix(node.span, str(VERSION), safe=True) if isinstance(node, Scalar) and node.text == str(VERSION) else None,
    )


def _actions(top: Map, closed: Closed, values: Values, layer: Layer) -> dict[str, ActionSpec]:
    report = closed.report
    node = closed.map(closed.need(top, "actions", "a spec", "add at least one action"), "`actions`")
    keys = {name.text: name for name, _ in node.entries} if node else {}
    maps = _action_maps(node.entries, closed) if node else {}
    overs: dict[str, Map] = {}
    if layer.actions is not None:
        _action_maps([entry for entry in layer.actions.entries if not is_omit(entry[1])], closed)
        overs = lay_actions(maps, keys, layer.actions, report)
    named = node is not None and any(not name.text.startswith("x-") for name, _ in node.entries)
    if node is not None and not named:
        closed.add("S103", "`actions` needs at least one action", node.span, "found none")
    elif layer.actions is not None and not maps:
        closed.add("S103", "the connection leaves no action", layer.actions.span, "expected at least one")
    shared, shared_keys = _shared(top, layer, closed)
    blocks = Blocks(shared, maps, report, overs)
    request = closed.map(top.get("request"), "`request`")
    if layer.request is not None:
        request = layer.request if request is None else lay_over(request, layer.request, report, request=True)
    found: dict[str, ActionSpec] = {}
    for name in maps:
        closed.name(keys[name], "an action")
        action = _action(keys[name], blocks.action(name), request, values)
        if action is not None:
            found[name] = action
    blocks.unused(shared_keys)
    if request is not None and not found and not report.failed:
        read_request(request, values)
    return found


def _action_maps(entries: Iterable[tuple[Scalar, Node]], closed: Closed) -> dict[str, Map]:
    """The actions that are maps, their keys judged."""
    found: dict[str, Map] = {}
    for name, value in entries:
        if name.text.startswith("x-"):
            continue
        held = closed.map(value, f"the action `{name.text}`")
        if held is None:
            continue
        found[name.text] = held
        closed.keys(held, ACTION, f"the action `{name.text}`")
        for word in ("use", "like"):
            closed.texts(held.get(word), f"`{word}`")
    return found


def _shared(top: Map, layer: Layer, closed: Closed) -> tuple[dict[str, Map], dict[str, Span]]:
    """The shared blocks, a connection's laid over the spec's, and where each is named."""
    shared = _blocks(top.get("shared"), closed)
    for name, over in _blocks(layer.shared, closed).items():
        shared[name] = lay_over(shared[name], over, closed.report, ("require",)) if name in shared else over
    nodes = (node for node in (layer.shared, top.get("shared")) if isinstance(node, Map))
    return shared, {name.text: name.span for node in nodes for name, _ in node.entries}


def _blocks(node: Node | None, closed: Closed) -> dict[str, Map]:
    found: dict[str, Map] = {}
    for name, value in closed.named(node, "`shared`", "a shared block"):
        block = closed.map(value, f"the shared block `{name.text}`")
        if block is not None:
            closed.keys(block, BLOCK, f"the shared block `{name.text}`")
            found[name.text] = block
    return found


def _action(name: Scalar, node: Map, request: Map | None, values: Values) -> ActionSpec | None:
    closed = values.closed
    what = f"the action `{name.text}`"
    trigger_node = node.get("trigger")
    if trigger_node is None and not closed.meant(node, "trigger"):
        closed.add(
            "S103",
            f"{what} needs `trigger`",
            name.span,
            "missing here",
            'say when it sends, such as `trigger: type = "track"`',
        )
    trigger = values.condition(trigger_node, TRIGGER, "`trigger`") if trigger_node is not None else None
    each_node, where_node = node.get("each"), node.get("where")
    each = values.value(each_node, MAPPING) if each_node is not None else None
    place: Place = MAPPING if each is None else MAPPING.with_item(several.part_of(values.settings, each.node))
    where = values.condition(where_node, place, "`where`") if where_node is not None else None
    read = _request(name, node, request, values)
    mapping = _mapping(name, node, values, place, needed=read is None or read.sends_messages)
    require = tuple(_require(node.get("require"), values, place))
    if trigger is None or mapping is None or read is None:
        return None
    return ActionSpec(
        name=Located(name.text, name.span),
        title=closed.text(node.get("title"), "`title`"),
        description=closed.text(node.get("description"), "`description`"),
        enabled=closed.boolean(node.get("enabled"), "`enabled`", True),
        trigger=trigger,
        mapping=mapping,
        require=require,
        request=read,
        own_request=node.get("request") is not None,
        each=each,
        where=where,
    )


def _mapping(name: Scalar, node: Map, values: Values, place: Place, *, needed: bool) -> Val | None:
    mapping = node.get("mapping")
    if mapping is None and not needed:
        return Val(p.Object(entries={}), name.span)
    if mapping is None and values.closed.meant(node, "mapping"):
        return None
    if mapping is None:
        values.closed.add(
            "S103",
            f"the action `{name.text}` needs `mapping`",
            name.span,
            "missing here",
            "say what is sent, field by field",
        )
        return None
    check_own_omits(mapping, values.report)
    return values.value(mapping, place)


def _request(name: Scalar, node: Map, request: Map | None, values: Values) -> Any:
    own_node = node.get("request")
    own = values.closed.map(own_node, "`request`")
    if own_node is not None and own is None:
        return None
    if request is None and own is None:
        values.closed.add(
            "S103",
            f"the action `{name.text}` has no request",
            name.span,
            "missing here",
            "add `request:` at the top level or to the action",
        )
        return None
    if own is None or request is None:
        whole = request or own
        if whole is not None and id(whole) not in values.requests:
            values.requests[id(whole)] = read_request(whole, values)
        return values.requests[id(whole)]
    return read_request(lay_over(request, own, values.report, request=True), values)


def _require(node: Node | None, values: Values, place: Place) -> list[RequireSpec]:
    if node is None:
        return []
    closed = values.closed
    if not isinstance(node, Seq):
        closed.add(
            "S104", "`require` is a list", node.span, f"found {describe(node)}", "write `- any: [userId, anonymousId]`"
        )
        return []
    found: list[RequireSpec] = []
    for item in node.items:
        held = closed.map(item, "an item of `require`", "write `- any: [userId, anonymousId]`")
        if held is None:
            continue
        closed.keys(held, REQUIRE, "an item of `require`")
        names = closed.texts(
            closed.need(held, "any", "an item of `require`", "name output fields: `any: [userId]`"), "`any`"
        )
        test_node = held.get("if")
        test = values.condition(test_node, place, "`if`") if test_node is not None else None
        require = p.Require(
            any=[name.text.split(".") for name in names],
            test=test.text if test else None,
            message=closed.text(held.get("message"), "`message`"),
        )
        if names:
            found.append(RequireSpec(require, tuple(Located(name.text, name.span) for name in names), test, held.span))
    return found
