"""The block `settings:` of a spec: what a user fills in, of which type, and what stands for what is not given.

Takes the node. Gives a SettingSpec by name; what has no meaning is reported (family S). A list says with `of` what each of its items is, a map
with `value` (and `key`, for people): one value of a type, or a row of named fields, each with a type of its own.
"""

from __future__ import annotations

from typing import Any

from waypost import plan as p
from waypost.compiler.read.closed_maps import Closed, describe
from waypost.compiler.read.document import Map, Node, Scalar, Seq
from waypost.compiler.read.setting_values import read_value
from waypost.compiler.report.diagnostic import Fix
from waypost.compiler.spec import Located, SettingSpec
from waypost.lang import shapes

SETTING = ("type", "choices", "default", "optional", "secret", "label", "description", "of", "key", "value")
PART = ("type", "choices", "label", "description")
FIELD = (*PART, "default", "optional")
KEY = ("label", "description")
ONE_TYPES = ("string", "integer", "number", "boolean", "url")
SETTING_TYPES = (*ONE_TYPES, *shapes.SEVERAL)
PARTS = {"of": "list", "value": "map", "key": "map"}
"""The word that says what a part is, and the type of settings that have such parts."""

ROW = "{from: {type: string}, to: {type: string}}"
WHICH = f"write `{{type: string}}`, or the fields of a row: `{ROW}`"


def read_settings(node: Node | None, closed: Closed) -> dict[str, SettingSpec]:
    found: dict[str, SettingSpec] = {}
    for name, value in closed.named(node, "`settings`", "a setting"):
        inner = closed.map(value, f"the setting `{name.text}`")
        if inner is not None:
            found[name.text] = SettingSpec(
                Located(name.text, name.span),
                _setting(name, inner, closed),
                inner.spans,
            )
    return found


def _setting(name: Scalar, node: Map, closed: Closed) -> p.Setting:
    what = f"the setting `{name.text}`"
    closed.keys(node, SETTING, what)
    choices = _choices(node.get("choices"), closed)
    kind = _kind(name, what, node, SETTING_TYPES, closed)
    of, value = (_part(word, name, node, kind, closed) for word in ("of", "value"))
    key = _key(node, kind, closed)
    bare = p.Setting(type=kind, choices=choices, key=key, of=of, value=value)
    default_node = node.get("default")
    return p.Setting(
        type=kind,
        label=closed.text(node.get("label"), "`label`"),
        description=closed.text(node.get("description"), "`description`"),
        secret=closed.boolean(node.get("secret"), "`secret`", False),
        optional=closed.boolean(node.get("optional"), "`optional`", False),
        default=None if default_node is None else _default(default_node, name.text, bare, closed),
        choices=choices,
        of=of,
        key=key,
        value=value,
    )


def _kind(name: Scalar, what: str, node: Map, types: tuple[str, ...], closed: Closed) -> str:
    """The type that a setting or a part of one has."""
    written = node.get("type")
    if written is None and node.get("choices") is None:
        closed.add(
            "S103",
            f"{what} needs `type` or `choices`",
            name.span,
            "missing here",
            f"the types are {', '.join(types)}",
        )
    if written is not None and node.get("choices") is not None:
        closed.add(
            "S108",
            f"{what} has both `type` and `choices`",
            (node.key("type") or name).span,
            help="remove `type`",
        )
    return "choice" if node.get("choices") is not None else closed.one_of(written, types, "`type`", "string")


def _default(node: Node, name: str, setting: p.Setting, closed: Closed) -> Any:
    kind = setting.type
    if kind in shapes.SEVERAL:
        return read_value(node, f"{name}.default", setting, closed) if setting.part is not None else None
    if kind == "choice":
        return closed.one_of(node, setting.choices, "`default`", "") or None
    fits = {
        "string": ("text",),
        "url": ("text",),
        "integer": ("int",),
        "number": ("int", "float"),
        "boolean": ("bool",),
    }[kind]
    if isinstance(node, Scalar) and node.kind in fits:
        return closed.constant(node)
    closed.wrong(f"the default of a setting of type {kind} is of that type", node, fits)
    return None


def _choices(node: Node | None, closed: Closed) -> dict[str, dict[str, Any]]:
    listed = node.items if isinstance(node, Seq) else ()
    words = ", ".join(f"{item.text}: {{label: {item.text}}}" for item in listed if isinstance(item, Scalar))
    held = closed.map(node, "`choices`", f"write `choices: {{{words or 'eu: {label: Europe}'}}}`")
    found: dict[str, dict[str, Any]] = {}
    if held is not None and not held.entries:
        closed.add("S104", "`choices` names at least one", held.span, "found none")
    for name, value in held.entries if held else ():
        if isinstance(value, Scalar) and value.kind == "text":
            found[name.text] = {"label": value.text}
            continue
        data = closed.map(value, f"the choice `{name.text}`")
        found[name.text] = {key.text: closed.constant(item) for key, item in data.entries} if data else {}
    return found


# Lists and maps.


def _part(word: str, name: Scalar, node: Map, kind: str, closed: Closed) -> p.Setting | None:
    """What each item of a list, or each value of a map, is."""
    held, key = node.get(word), node.key(word)
    wanted = PARTS[word]
    if held is None or key is None:
        if kind == wanted and not closed.meant(node, word):
            what = "each of its items" if word == "of" else "each of its values"
            message = f"the setting `{name.text}` needs `{word}`, which says what {what} is"
            closed.add("S103", message, name.span, "missing here", f"`{word}`: {WHICH}")
        return None
    if kind != wanted:
        closed.add("S108", f"`{word}` belongs to a setting of `type: {wanted}`", key.span, f"this is of type {kind}")
        return None
    if not isinstance(held, Map):
        fix = None
        if isinstance(held, Scalar) and held.text in ONE_TYPES:
            fix = Fix(held.span, f"{{type: {held.text}}}", safe=True)
        closed.add("S104", f"`{word}` is a map", held.span, f"found {describe(held)}", WHICH, fix)
        return None
    if isinstance(held.get("type"), Scalar) or held.get("choices") is not None or not _is_row(held):
        return _one(key, f"`{word}`", held, PART, closed)
    return _row(key, held, closed)


def _is_row(node: Map) -> bool:
    return any(isinstance(value, Map) for name, value in node.entries if not name.text.startswith("x-"))


def _row(key: Scalar, node: Map, closed: Closed) -> p.Setting:
    fields: dict[str, p.Setting] = {}
    for name, value in closed.named(node, "a row", "a field"):
        inner = closed.map(value, f"the field `{name.text}`", f"write `{name.text}: {{type: string}}`")
        if inner is not None:
            fields[name.text] = _one(name, f"the field `{name.text}`", inner, FIELD, closed)
    return p.Setting(type="row", fields=fields)


def _one(name: Scalar, what: str, node: Map, words: tuple[str, ...], closed: Closed) -> p.Setting:
    """One value within a list, a map or a row."""
    closed.keys(node, (*words, "secret"), what)  # X107 says more of that one
    choices = _choices(node.get("choices"), closed)
    for choice, data in choices.items():
        if data.keys() - {"label"}:
            message = f"the choice `{choice}` has a label only: nothing can name its other data here"
            closed.add("S104", message, (node.get("choices") or node).span)
    kind = _kind(name, what, node, ONE_TYPES, closed)
    bare = p.Setting(type=kind, choices=choices)
    default_node = node.get("default") if "default" in words else None
    return p.Setting(
        type=kind,
        label=closed.text(node.get("label"), "`label`"),
        description=closed.text(node.get("description"), "`description`"),
        secret=closed.boolean(node.get("secret"), "`secret`", False),
        optional=closed.boolean(node.get("optional") if "optional" in words else None, "`optional`", False),
        default=None if default_node is None else _default(default_node, name.text, bare, closed),
        choices=choices,
    )


def _key(node: Map, kind: str, closed: Closed) -> p.Setting | None:
    """What the keys of a map are to people."""
    written, key = node.get("key"), node.key("key")
    if written is None or key is None:
        return None
    if kind != "map":
        closed.add("S108", "`key` belongs to a setting of `type: map`", key.span, f"this is of type {kind}")
        return None
    held = closed.map(written, "`key`", "write `key: {label: Event}`")
    if held is None:
        return None
    closed.keys(held, KEY, "`key`")
    return p.Setting(
        type="string",
        label=closed.text(held.get("label"), "`label`"),
        description=closed.text(held.get("description"), "`description`"),
    )
