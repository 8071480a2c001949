"""The published metadata of action destinations, in whichever of its forms: settings, actions with their fields, presets.

Takes decoded JSON of any shape. Gives `Destination`s. Raises Unreadable, with one line, for what is no such metadata; whatever is odd inside
one is passed over or read as nothing, for this data is written by many hands and the forms differ in what they leave out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from waypost.lang import values

AUTOMATIC = "automatic"
LEVELS = 64
"""Deeper metadata is refused; what is published has ten."""
INTERNAL = "__segment_internal_"
"""Fields of the product around a mapping begin so; they are never sent."""


class Unreadable(ValueError):
    """What is no metadata of a destination, in one line."""


@dataclass(frozen=True)
class Field:
    """One input of an action, or a member of one. `required`: always; `required_if`: conditions on other fields, as they stand."""

    key: str
    type: str = "string"
    label: str = ""
    multiple: bool = False
    required: bool = False
    required_if: dict[str, Any] | None = None
    allow_null: bool = False
    choices: tuple[Any, ...] = ()
    format: str = ""
    minimum: Any = None
    maximum: Any = None
    open: bool = False
    properties: dict[str, Field] = field(default_factory=dict)
    default: Any = values.MISSING


@dataclass(frozen=True)
class Setting:
    key: str
    type: str = "string"
    label: str = ""
    description: str = ""
    required: bool = False
    multiple: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    """(value, label) in order."""
    default: Any = None
    format: str = ""


@dataclass(frozen=True)
class Action:
    key: str
    title: str = ""
    description: str = ""
    trigger: str = ""
    hidden: bool = False
    batch: bool = False
    fields: dict[str, Field] = field(default_factory=dict)


@dataclass(frozen=True)
class Preset:
    """`slug` instead of a trigger: it is set off by an event of the product's own, whose name the metadata does not say."""

    name: str
    action: str
    trigger: str = ""
    slug: str = ""
    mapping: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Destination:
    slug: str
    name: str
    id: str = ""
    """Another name that a collection of metadata may know it by."""
    description: str = ""
    scheme: str = ""
    settings: tuple[Setting, ...] = ()
    actions: dict[str, Action] = field(default_factory=dict)
    presets: tuple[Preset, ...] = ()


def destinations(held: Any) -> list[Destination]:
    """Every destination of a file: one by itself, a list of them, or a list under `destinations`."""
    if values.deeper(held, LEVELS):
        raise Unreadable(f"is nested more than {LEVELS} levels deep")
    listed = held
    if isinstance(held, dict) and isinstance(held.get("destinations"), (list, dict)):
        listed = held["destinations"]
        if isinstance(listed, dict):
            listed = [{"slug": key, **_dict(one)} for key, one in listed.items()]
    elif isinstance(held, dict):
        listed = [held]
    if not isinstance(listed, list):
        raise Unreadable(f"is {values.typeof(held)}, and the metadata of a destination is an object")
    found = [_destination(one) for one in listed if isinstance(one, dict) and _is_one(one)]
    if not found:
        raise Unreadable("holds no destination: its metadata has `actions`, each with its `fields`")
    return found


def _is_one(held: dict[str, Any]) -> bool:
    return isinstance(held.get("actions"), (dict, list)) or isinstance(held.get("presets"), list)


def _destination(held: dict[str, Any]) -> Destination:
    auth = _dict(held.get("authentication"))
    options = held.get("options") if isinstance(held.get("options"), dict) else None
    settings = {**_dict(held.get("settings")), **_dict(auth.get("fields")), **_dict(options)}
    slug = _text(held.get("slug")) or _text(held.get("id")) or _text(held.get("name"))
    actions = {one.key: one for one in _actions(held.get("actions"))}
    return Destination(
        slug=slug,
        name=_text(held.get("name")) or slug,
        id=_text(held.get("id")) or _text(held.get("directory")),
        description=_text(held.get("description")),
        scheme=_text(auth.get("scheme")) or _text(held.get("authenticationScheme")),
        settings=tuple(
            _setting(key, one)
            for key, one in settings.items()
            if isinstance(one, dict) and not key.startswith(INTERNAL) and one.get("type") != "oauth"
        ),
        actions=actions,
        presets=tuple(_preset(one) for one in _list(held.get("presets")) if isinstance(one, dict)),
    )


def _setting(key: str, held: dict[str, Any]) -> Setting:
    kind = "password" if held.get("encrypt") is True else _text(held.get("type")) or "string"
    rules = [rule[0] for rule in _list(held.get("validators")) if isinstance(rule, list) and rule]
    return Setting(
        key=key,
        type=kind,
        label=_text(held.get("label")),
        description=_text(held.get("description")),
        required=held.get("required") is True or "required" in rules,
        multiple=held.get("multiple") is True or kind == "array",
        choices=tuple(
            (text, label or text)
            for value, label in _choices(held.get("choices", held.get("options")))
            if (text := _scalar(value))
        ),
        default=held.get("default"),
        format=_text(held.get("format")),
    )


def _actions(held: Any) -> Iterator[Action]:
    pairs: list[tuple[Any, Any]] = list(held.items()) if isinstance(held, dict) else []
    if isinstance(held, list):
        pairs = [(_dict(one).get("slug", _dict(one).get("key", f"action{at}")), one) for at, one in enumerate(held)]
    for key, one in pairs:
        if isinstance(one, dict):
            yield Action(
                key=str(key),
                title=_text(one.get("title")) or _text(one.get("name")),
                description=_text(one.get("description")),
                trigger=_text(one.get("defaultSubscription")) or _text(one.get("defaultTrigger")),
                hidden=one.get("hidden") is True,
                batch=one.get("performBatch") is True or one.get("hasPerformBatch") is True,
                fields=_fields(one.get("fields")),
            )


def _fields(held: Any) -> dict[str, Field]:
    if isinstance(held, list):
        held = {one["fieldKey"]: one for one in held if isinstance(one, dict) and isinstance(one.get("fieldKey"), str)}
    return {key: _field(key, one) for key, one in _dict(held).items() if isinstance(one, dict)}


def _field(key: str, held: dict[str, Any]) -> Field:
    required = held.get("required")
    conditions = (
        required if isinstance(required, dict) else _dict(held.get("displayMetadata")).get("conditionallyRequired")
    )
    schema = _dict(_dict(_dict(held.get("fieldSchema")).get("properties")).get(key))
    return Field(
        key=key,
        type=_text(held.get("type")) or "string",
        label=_text(held.get("label")),
        multiple=held.get("multiple") is True,
        required=required is True,
        required_if=conditions if isinstance(conditions, dict) else None,
        allow_null=held.get("allowNull") is True,
        choices=tuple(value for value, _ in _choices(held.get("choices"))),
        format=_text(held.get("format")) or _text(schema.get("format")),
        minimum=held.get("minimum"),
        maximum=held.get("maximum"),
        open=held.get("additionalProperties") is True or schema.get("additionalProperties") is True,
        properties=_fields(held.get("properties")) or _from_schema(schema),
        default=held.get("default", held.get("defaultValue", values.MISSING)),
    )


def _from_schema(schema: dict[str, Any]) -> dict[str, Field]:
    """The members of an object whose shape is only told as a JSON schema."""
    if schema.get("type") == "array":
        schema = _dict(schema.get("items"))
    needed = _list(schema.get("required"))
    found = {}
    for key, held in _dict(schema.get("properties")).items():
        kinds = held.get("type") if isinstance(held, dict) else None
        kinds = kinds if isinstance(kinds, list) else [kinds]
        plain = [kind for kind in kinds if isinstance(kind, str) and kind != "null"] or ["string"]
        inner = _dict(held)
        many = plain == ["array"]
        items = _dict(inner.get("items")) if many else inner
        found[key] = Field(
            key=key,
            type="datetime" if inner.get("format") == "date-like" else _text(items.get("type")) or plain[0],
            multiple=many,
            required=key in needed,
            allow_null="null" in kinds,
            choices=tuple(_list(items.get("enum"))),
            format="" if inner.get("format") == "date-like" else _text(inner.get("format")),
            open=items.get("additionalProperties") is True,
            properties=_from_schema(inner),
        )
    return found


def _choices(held: Any) -> Iterator[tuple[Any, str]]:
    for one in _list(held):
        if isinstance(one, dict):
            if "value" in one:
                yield one["value"], _text(one.get("label")) or _text(one.get("text"))
        elif one is not None and not isinstance(one, list):
            yield one, ""


def _preset(held: dict[str, Any]) -> Preset:
    slug = _text(held.get("eventSlug"))
    return Preset(
        name=_text(held.get("name")) or _text(held.get("partnerAction")) or "preset",
        action=_text(held.get("partnerAction")),
        trigger="" if slug and held.get("type") != AUTOMATIC else _text(held.get("subscribe")),
        slug=slug or ("" if _text(held.get("subscribe")) else _text(held.get("type"))),
        mapping=_dict(held.get("mapping")),
    )


def _dict(held: Any) -> dict[str, Any]:
    return {key: one for key, one in held.items() if isinstance(key, str)} if isinstance(held, dict) else {}


def _list(held: Any) -> list[Any]:
    return held if isinstance(held, list) else []


def _text(held: Any) -> str:
    return held if isinstance(held, str) else ""


def _scalar(held: Any) -> str:
    return held if isinstance(held, str) else values.encode(held).decode()
