"""The draft of a spec: what the metadata says, action by action, in the language of specs.

Takes a Destination. Gives a `Draft`: the parts of the file, and the table of names. `text_lines` writes it. Nothing here is guessed: what the
metadata does not say (the request, a source, the event that sets an action off) stands in it as a `todo`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from waypost.authoring.importing import triggers
from waypost.authoring.importing.conditions import required_when
from waypost.authoring.importing.directives import Reader
from waypost.authoring.importing.fields import UNSOURCED, Sample, Typed, no_source
from waypost.authoring.importing.metadata import INTERNAL, Action, Destination, Field, Preset, Setting
from waypost.authoring.importing.names import Names, spec_name
from waypost.authoring.importing.sources import Constant, Nothing, Source, plain
from waypost.authoring.importing.triggers import Trigger
from waypost.authoring.importing.yaml_lines import (
    APPROXIMATION,
    SAID,
    TODO,
    Line,
    Note,
    Noted,
    Tree,
    lines,
    notes,
    printable,
)
from waypost.compiler.check.secrets import named_secret
from waypost.lang import notation, values

URL = "https://api.example.com/todo"
BATCH_FIELDS = ("enable_batching", "batch_size", "batch_bytes", "batch_keys")


@dataclass
class ActionDraft:
    """One action. `fields`: output field -> its tree. `origin`: the preset's and the action's name there."""

    name: str
    origin: tuple[str, str]
    title: str
    trigger: Trigger
    enabled: bool = True
    batch: dict[str, Tree] | None = None
    fields: dict[str, Tree] = field(default_factory=dict)
    require: list[Tree] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    needed: tuple[str, ...] = ()
    """The fields that are required and have no source."""


@dataclass
class Draft:
    name: str
    title: str
    slug: str
    description: str
    settings: dict[str, Tree]
    auth: Tree | None
    actions: list[ActionDraft]
    names: list[tuple[str, str, str]]
    """(kind, name there, name here) of what has another name here."""
    sample_settings: dict[str, Any] = field(default_factory=dict)


Owner = tuple[str, str]
"""Whose line it is: an action's name ("" for the head) and the output field, or `trigger`, `request`, `require`."""


def draft(of: Destination) -> Draft:
    setting_names, action_names = Names("setting"), Names("action")
    table: list[tuple[str, str, str]] = []
    settings: dict[str, Tree] = {}
    samples: dict[str, Any] = {}
    renamed: dict[str, str] = {}
    for setting in of.settings:
        name = setting_names.take(setting.key)
        renamed[setting.key] = name
        settings[name] = _setting(setting, name)
        samples[name] = _setting_sample(setting)
        if name != setting.key:
            table.append(("setting", setting.key, name))
    actions = [_preset(preset, of, action_names) for preset in of.presets]
    used = {preset.action for preset in of.presets}
    rest = [one for one in of.actions.values() if one.key not in used]
    alone = not of.presets
    shown = [one for one in rest if not one.hidden] or (rest if alone else [])
    actions.extend(_unused(one, action_names, enabled=alone) for one in shown)
    table.extend(("action", " / ".join(filter(None, one.origin)), one.name) for one in actions)
    return Draft(
        name=spec_name(of.slug),
        title=of.name,
        slug=of.slug,
        description=of.description,
        settings=settings,
        auth=_auth(of, renamed),
        actions=actions,
        names=table,
        sample_settings=samples,
    )


# Settings.


def _setting(of: Setting, name: str) -> Tree:
    secret = of.type == "password" or (bool(named_secret(name)) and of.type == "string" and not of.choices)
    rows: dict[str, Tree] = {}
    said: list[Note] = []
    if of.choices:
        found: dict[str, Tree] = {
            notation.quoted(value): {"label": notation.quoted(label)} for value, label in of.choices
        }
        rows["choices"] = found
    else:
        rows["type"] = {"number": "number", "boolean": "boolean"}.get(
            of.type, "url" if of.format == "uri" and not secret else "string"
        )
    if secret:
        rows["secret"] = "true"
    if of.multiple:
        said.append(Note(APPROXIMATION, f"the setting `{name}` is a list there, and one value here"))
    default = None if secret else _default(of)
    if default is not None:
        rows["default"] = default
    elif not of.required:
        rows["optional"] = "true"
    rows["label"] = notation.quoted(printable(of.label) or name)
    if of.description.strip():
        rows["description"] = notation.quoted(sentence(of.description))
    return Noted(dict(rows), tuple(said)) if said else dict(rows)


def _default(of: Setting) -> Tree | None:
    held = of.default
    if held is None or held == "" or isinstance(held, (dict, list)):
        return None
    text = held if isinstance(held, str) else values.encode(held).decode()
    if of.choices:
        return notation.quoted(text) if text in [value for value, _ in of.choices] else None
    if of.type == "boolean":
        return text if isinstance(held, bool) else None
    if of.type == "number":
        return text if values.is_number(held) else None
    return notation.quoted(text)


def _setting_sample(of: Setting) -> Any:
    if of.choices:
        return of.choices[0][0]
    return {"number": 1, "boolean": True}.get(of.type, "https://example.com" if of.format == "uri" else "test")


def sentence(text: str) -> str:
    """A description on one line, of a length that a person reads."""
    shown = " ".join(printable(text).split())
    return shown if len(shown) <= 160 else shown[:157].rsplit(" ", 1)[0] + " …"


def _auth(of: Destination, renamed: dict[str, str]) -> Tree | None:
    if of.scheme == "basic" and "username" in renamed:
        password = f'"{{{{ settings.{renamed["password"]} }}}}"' if "password" in renamed else '""'
        return {"basic": {"username": f'"{{{{ settings.{renamed["username"]} }}}}"', "password": password}}
    return None


# Actions.


def _preset(of: Preset, destination: Destination, names: Names) -> ActionDraft:
    action = destination.actions.get(of.action)
    name = names.take(of.name, of.action)
    if of.slug and not of.trigger:
        trigger = triggers.placeholder(
            of.slug, f"it is set off by `{of.slug}`, an event of the product's own: write the trigger for yours"
        )
    else:
        trigger = triggers.trigger(of.trigger, name)
    made = ActionDraft(name, (of.name, of.action), of.name, trigger)
    if action is None:
        made.notes.append(Note(APPROXIMATION, f"the metadata has no action `{of.action}`: its fields have no types"))
    _map(made, of.mapping, action)
    return made


def _unused(of: Action, names: Names, *, enabled: bool) -> ActionDraft:
    """An action that no preset sets off, by the defaults of its fields."""
    name = names.take(of.key, of.title)
    made = ActionDraft(name, ("", of.key), of.title or of.key, triggers.trigger(of.trigger, name), enabled=enabled)
    mapping = {
        key: one.default
        for key, one in of.fields.items()
        if one.default is not values.MISSING and one.default is not None
    }
    _map(made, mapping, of)
    return made


def _map(made: ActionDraft, mapping: dict[str, Any], action: Action | None) -> None:
    fields = action.fields if action else {key: Field(key, "") for key in mapping}
    _batch(made, mapping)
    extra = [key for key in mapping if key not in fields and not _internal(key)]
    made.notes.extend(
        Note(APPROXIMATION, f"`{key}` is no field of the action, and is dropped as there") for key in extra
    )
    typed = Typed(made.samples)
    readers = {key: Reader() for key in mapping}
    sources: dict[str, Source] = {key: readers[key].read(mapping[key]) for key in mapping if key in fields}
    needed: list[str] = []
    for key, one in fields.items():
        if _internal(key):
            continue
        source = sources.get(key, Nothing())
        tree = typed.value(source, _conditionally(made, one, sources, fields), root=True)
        own = tuple(readers[key].notes) if key in readers else ()
        if tree is None:
            made.notes.extend(own)
            continue
        tree = Noted(tree, own) if own else tree
        if isinstance(tree, Noted) and tree.tree == "":
            made.notes.extend(notes(tree))
            continue
        made.fields[key] = tree
        needed.extend([key] if any(note.kind == TODO for note in notes(tree)) else [])
    made.needed = tuple(needed)


def _internal(key: str) -> bool:
    return key in BATCH_FIELDS or key.startswith(INTERNAL)


def _conditionally(made: ActionDraft, of: Field, sources: dict[str, Source], fields: dict[str, Field]) -> Field:
    """The field, required as its conditions say; a condition on the event goes into the action's `require`."""
    if of.required_if is None:
        return of
    test = required_when(of.required_if, sources, fields)
    if test is None:
        made.notes.append(
            Note(APPROXIMATION, f"`{of.key}` is required under a condition that cannot be said here, and is not")
        )
    elif isinstance(test, bool):
        return replace(of, required=test)
    else:
        if of.key not in sources or plain(sources[of.key]) is None:
            made.fields[of.key] = Noted(
                no_source(of.key),
                (Note(TODO, f"`{of.key}` is required when {test}, and nothing says where its value comes from"),),
                UNSOURCED,
            )
        made.require.append({"any": [notation.quoted(of.key)], "if": notation.condition(test)})
    return of


def _batch(made: ActionDraft, mapping: dict[str, Any]) -> None:
    """What is said of batches among the fields belongs to the request."""
    held = {key: Reader().read(mapping[key]) for key in BATCH_FIELDS if key in mapping}
    wanted = held.get("enable_batching", Nothing())
    if not isinstance(wanted, (Constant, Nothing)):
        made.notes.append(
            Note(
                APPROXIMATION, "`enable_batching` is taken from the event there; here an action has batches or has not"
            )
        )
    if isinstance(wanted, Constant) and wanted.value in (True, "true"):
        size = _whole(held.get("batch_size")) or 1000
        made.batch = {"max_messages": str(size), "max_wait": "1s"}
        size_bytes = _whole(held.get("batch_bytes"))
        if size_bytes:
            made.batch["max_bytes"] = notation.size(size_bytes)
    if "batch_keys" in held:
        made.notes.append(Note(SAID, "`batch_keys`: what the request takes from the event divides batches by itself"))
    if held:
        made.notes.append(Note(SAID, f"{', '.join(f'`{key}`' for key in held)}: said in the request"))


def _whole(source: Source | None) -> int:
    held: Any = source.value if isinstance(source, Constant) else 0
    if isinstance(held, str):
        held = int(held) if re.fullmatch(r"[0-9]{1,7}", held) else 0
    return int(held) if values.is_number(held) and 0 < held < 10_000_000 else 0


# Lines.


def text_lines(of: Draft, schema: str = "") -> Iterator[tuple[Owner, Line]]:
    """The file, line by line, each with its owner and what is to be said of it."""
    head: Owner = ("", "")
    if schema:
        yield head, Line(f"# yaml-language-server: $schema={schema}")
    yield (
        head,
        Line(
            f"# Imported from the metadata of {printable(of.title)} ({printable(of.slug)}). What is left to do is marked `todo`."
        ),
    )
    yield head, Line("spec: 1")
    for key, text in (("name", of.name), ("title", printable(of.title)), ("description", sentence(of.description))):
        if text:
            yield head, Line(f"{key}: {notation.quoted(text)}")
    if of.settings:
        yield head, Line("")
        yield head, Line("settings:")
        for name, tree in of.settings.items():
            yield from ((("", name), line) for line in lines(name, tree, 2))
    if of.auth is not None:
        yield head, Line("")
        yield from ((head, line) for line in lines("auth", of.auth))
    yield head, Line("")
    yield head, Line("request:")
    yield head, Line(f"  post: {URL}   # todo: the API's address, its auth, its body and its answers")
    yield head, Line("  body: $message")
    yield head, Line("")
    yield head, Line("actions:")
    for action in of.actions:
        yield from _action_lines(action)


def _action_lines(of: ActionDraft) -> Iterator[tuple[Owner, Line]]:
    yield (of.name, ""), Line(f"  {of.name}:", list(of.notes))
    yield (of.name, ""), Line(f"    title: {notation.quoted(printable(of.title) or of.name)}")
    if not of.enabled:
        yield (of.name, ""), Line("    enabled: false   # no preset sets it off")
    comment = "   # todo: the events that set it off" if of.trigger.open else ""
    yield (
        (of.name, "trigger"),
        Line(f"    trigger: {notation.condition(of.trigger.text)}{comment}", list(of.trigger.notes)),
    )
    if of.batch is not None:
        request: Tree = {"body": "$messages", "batch": dict(of.batch)}
        yield from (((of.name, "request"), line) for line in lines("request", request, 4))
    if of.require:
        yield from (((of.name, "require"), line) for line in lines("require", list(of.require), 4))
    if not of.fields:
        yield (of.name, "mapping"), Line("    mapping: {}")
        return
    yield (of.name, "mapping"), Line("    mapping:")
    for key, tree in of.fields.items():
        yield from (((of.name, key), line) for line in lines(notation.key(key), tree, 6))
