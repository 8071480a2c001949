"""The settings of two plans: what a person who runs the destination must give, and what stands for what is not given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from waypost import plan as p
from waypost.authoring.diff import shapes
from waypost.authoring.diff.change import Change
from waypost.authoring.diff.sides import Sides
from waypost.lang import notation

Raw = tuple[str, str, str, str]
"""kind, reason, old, new"""


def setting_changes(sides: Sides) -> Iterator[Change]:
    for name in dict.fromkeys([*sides.new.settings, *sides.old.settings]):
        old, new = sides.old.settings.get(name), sides.new.settings.get(name)
        for word, (kind, reason, before, after) in _differences(old, new):
            field = ".".join(["settings", name, *([word] if word else [])])
            yield sides.change(kind, reason, f"settings.{name}", field=field, old=before, new=after)


def _differences(old: p.Setting | None, new: p.Setting | None) -> Iterator[tuple[str, Raw]]:
    if old is None:
        assert new is not None
        kind = "setting_required" if _required(new) else "setting_added"
        reason = "is new and must be given" if _required(new) else "is new"
        yield "", (kind, reason, "", _shown(new))
    elif new is None:
        yield "", ("setting_removed", "is gone", _shown(old), "")
    else:
        yield from _same_name(old, new)


def _same_name(old: p.Setting, new: p.Setting) -> Iterator[tuple[str, Raw]]:
    if old.type != new.type:
        yield "type", ("setting_type", "another type", old.type, new.type)
    if _required(new) != _required(old):
        kind, reason = (
            ("setting_required", "must be given") if _required(new) else ("setting_looser", "may be left out")
        )
        yield "", (kind, reason, _shown(old), _shown(new))
    elif not shapes.same(old.default, new.default):
        before, after = ("" if held is None else notation.constant(held) for held in (old.default, new.default))
        yield "default", ("setting_default", "another value when it is not given", before, after)
    if old.secret != new.secret:
        reason = "is a secret now" if new.secret else "is no longer a secret"
        yield "secret", ("setting_looser", reason, notation.constant(old.secret), notation.constant(new.secret))
    yield from _choices(old, new)
    yield from _inner(old, new)
    for word in ("label", "description"):
        before, after = getattr(old, word), getattr(new, word)
        if before != after:
            yield word, ("title_changed", f"another {word}", before, after)


def _inner(old: p.Setting, new: p.Setting) -> Iterator[tuple[str, Raw]]:
    """What each item, entry, key or field of a setting of the same type is to be."""
    pairs = {word: (getattr(old, word), getattr(new, word)) for word in ("of", "key", "value")}
    pairs |= {name: (old.fields.get(name), new.fields.get(name)) for name in [*new.fields, *old.fields]}
    for name, (before, after) in pairs.items():
        if (before is None and after is None) or old.type != new.type:
            continue
        if name == "key" and (before is None or after is None):
            # What keys are to people, and nothing else.
            before, after = before or p.Setting(type="string"), after or p.Setting(type="string")
        for word, raw in _differences(before, after):
            yield f"{name}.{word}" if word else name, raw


def _choices(old: p.Setting, new: p.Setting) -> Iterator[tuple[str, Raw]]:
    if "choice" not in (old.type, new.type) or old.type != new.type:
        return
    for key in dict.fromkeys([*new.choices, *old.choices]):
        before, after = old.choices.get(key), new.choices.get(key)
        word = f"choices.{key}"
        if before is None:
            yield word, ("choice_added", "is new", "", notation.constant(after))
        elif after is None:
            yield word, ("choice_removed", "is gone", notation.constant(before), "")
        elif not shapes.same(before, after):
            same_data = shapes.same(_data(before), _data(after))
            kind = "title_changed" if same_data else "choice_changed"
            reason = "another label" if same_data else "stands for other data"
            yield word, (kind, reason, notation.constant(before), notation.constant(after))


def _data(choice: dict[str, Any]) -> dict[str, Any]:
    return {key: held for key, held in choice.items() if key != "label"}


def _required(setting: p.Setting) -> bool:
    return not setting.optional and setting.default is None


def _shown(setting: p.Setting) -> str:
    if setting.type == "choice":
        words = [f"choices: {notation.constant(list(setting.choices))}"]
    else:
        words = [f"type: {setting.type}"] if not setting.fields else []
    words += [f"{word}: {_shown(part)}" for word in ("of", "value") if (part := getattr(setting, word)) is not None]
    words += [f"{name}: {_shown(field)}" for name, field in setting.fields.items()]
    words += ["optional: true"] * setting.optional + ["secret: true"] * setting.secret
    if setting.default is not None:
        words.append(f"default: {notation.constant(setting.default)}")
    return "{" + ", ".join(words) + "}"
