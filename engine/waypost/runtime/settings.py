"""Setting values, bound when a plan is linked for a run: never earlier, and never into a plan.

Takes a plan and the values a person gave (`dict` by setting name). Gives `Bound`, which answers `settings.endpoint.api` and knows which
values are secret, so that whatever is shown or logged can be masked. Raises `SettingError` with one clear line.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from waypost.lang.urls import base_url
from waypost.lang.values import MISSING
from waypost.plan import Plan, Setting


class SettingError(Exception):
    """A setting that is missing, unknown or not of its type. The message never holds a secret's value."""


@dataclass(frozen=True)
class Bound:
    """Setting values by name (a choice's value is its key), each choice's data, and what replaces the endpoint for a local receiver."""

    values: dict[str, Any]
    data: dict[str, dict[str, Any]] = field(default_factory=dict)
    secret: frozenset[str] = frozenset()
    endpoint_override: str | None = None

    def get(self, name: str) -> Any:
        """The value of `settings.a` or `settings.a.key` (also without the `settings.`); MISSING for an optional one not given."""
        first, *rest = name.removeprefix("settings.").split(".")
        if not rest:
            return self.values.get(first, MISSING)
        return self.data.get(first, {}).get(rest[0], MISSING)

    def masked(self) -> Bound:
        """The same with every secret shown as `<its name>`."""
        shown = {name: f"<{name}>" if name in self.secret else value for name, value in self.values.items()}
        return Bound(shown, self.data, self.secret, self.endpoint_override)

    def secrets(self) -> list[str]:
        """The secret values themselves: what no output may hold."""
        return [str(self.values[name]) for name in sorted(self.secret) if name in self.values]


def bind(plan: Plan, given: Mapping[str, Any], endpoint_override: str | None = None) -> Bound:
    """Checks the given values against the plan's settings, fills in defaults. Raises SettingError with all that is wrong, a line each."""
    if problems := wrong(plan, given):
        raise SettingError("\n".join(problems))
    values: dict[str, Any] = {}
    data: dict[str, dict[str, Any]] = {}
    for name, setting in plan.settings.items():
        value = given.get(name, setting.default)
        if value is None or value == "":
            continue
        values[name] = typed(plan.name, name, setting, value)
        if setting.type == "choice":
            data[name] = setting.choices[values[name]]
    # What a connection takes from the environment or a file is not in its plan, so it is not to be shown either.
    bound_late = [
        name for name, value in (plan.connection.settings if plan.connection else {}).items() if is_reference(value)
    ]
    secret = frozenset([*bound_late, *(name for name, setting in plan.settings.items() if setting.secret)])
    return Bound(values, data, secret, endpoint_override)


def wrong(plan: Plan, given: Mapping[str, Any], *, but: frozenset[str] = frozenset()) -> list[str]:
    """What is wrong with given values: unknown names, wrong types, what is missing. Nothing is said of the settings in `but`."""
    found: list[str] = []
    for name in given:
        if name not in plan.settings:
            near = difflib.get_close_matches(name, plan.settings, 1, 0.67)
            guess = f"; did you mean `{near[0]}`?" if near else ""
            found.append(f"{plan.name} has no setting `{name}`{guess} (it has: {', '.join(plan.settings) or 'none'})")
    for name, setting in plan.settings.items():
        value = given.get(name, setting.default)
        if name in but or (setting.optional and (value is None or value == "")):
            continue
        if value is None or value == "":
            form = f"--set {name}={_form(setting)}"
            found.append(f"{plan.name} needs the setting `{name}`{_described(setting)}: give it with {form}")
            continue
        try:
            typed(plan.name, name, setting, value)
        except SettingError as error:
            found.append(str(error))
    return found


def is_reference(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("env:", "file:"))


def resolve(text: str) -> tuple[str, bool]:
    """`env:NAME` or `file:PATH` as its value, anything else as it stands; and whether it came from one of the two."""
    if text.startswith("env:"):
        name = text[4:]
        if os.environ.get(name, "") == "":
            raise SettingError(f"the environment variable {name} is not set (asked for by {text})")
        return os.environ[name], True
    if text.startswith("file:"):
        try:
            return Path(text[5:]).read_text(encoding="utf-8").rstrip("\r\n"), True
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SettingError(f"cannot read the file {text[5:]} (asked for by {text}): {reason}") from None
    return text, False


def typed(plan: str, name: str, setting: Setting, value: Any) -> Any:
    """A given value in the setting's type. `plan` is the name that an error begins with."""
    if setting.type == "choice":
        if value in setting.choices:
            return value
        near = difflib.get_close_matches(str(value), setting.choices, 1, 0.67)
        guess = f"; did you mean `{near[0]}`?" if near else ""
        raise SettingError(f"{plan}: the setting `{name}` is one of {', '.join(setting.choices)}{guess}")
    read = _READERS[setting.type](value)
    if read is None:
        shown = "" if setting.secret else f", not `{value}`"
        raise SettingError(f"{plan}: the setting `{name}` is {_ARTICLES[setting.type]}{shown}")
    return read


def _read_string(value: Any) -> Any:
    return value if isinstance(value, str) and "\r" not in value and "\n" not in value else None


def _read_integer(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = str(value)
    return int(text) if text.removeprefix("-").isdecimal() and text.isascii() and len(text) < 20 else None


def _read_number(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    try:
        number = float(value)
    except ValueError:
        return None
    return number if number == number and abs(number) != float("inf") else None


def _read_boolean(value: Any) -> Any:
    return {"true": True, "false": False}.get(str(value).lower())


def _read_url(value: Any) -> Any:
    return base_url(value) if isinstance(value, str) else None


_READERS = {
    "string": _read_string,
    "integer": _read_integer,
    "number": _read_number,
    "boolean": _read_boolean,
    "url": _read_url,
}
_ARTICLES = {
    "string": "one line of text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "url": "an https url (http for loopback hosts only)",
}


def _described(setting: Setting) -> str:
    return f" ({setting.label})" if setting.label else ""


def _form(setting: Setting) -> str:
    if setting.secret:
        return "env:VARIABLE or file:PATH"
    return "|".join(setting.choices) if setting.choices else "VALUE"


def local_url(text: str) -> str:
    """An endpoint override: https anywhere, http on loopback only, without path or query."""
    read = _read_url(text)
    if read is None or urlsplit(text).path not in ("", "/"):
        raise SettingError(
            f"--endpoint-override takes https://host[:port], or http:// with a loopback host, not `{text}`"
        )
    return str(read)
