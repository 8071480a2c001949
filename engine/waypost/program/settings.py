"""Setting values, bound when a plan is linked for a run: never earlier, and never into a plan.

Takes a plan and the values a person gave (`dict` by setting name). Gives `Bound`, which answers `settings.endpoint.api` and knows which
values are secret, so that whatever is shown or logged can be masked. Raises `SettingError` with one clear line.
"""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from waypost.lang import shapes
from waypost.lang.shapes import is_reference, shown
from waypost.lang.urls import base_url
from waypost.lang.values import MISSING
from waypost.plan import Plan, Setting, Tls

LARGEST = 64 << 10
"""The most bytes of a file that a setting is read from; of one that holds several values, four times as many."""


class SettingError(Exception):
    """A setting that is missing, unknown or not of its type. The message never holds a secret's value."""


NO_TLS = Tls()
"""The usual authorities, and no certificate of one's own."""


@dataclass(frozen=True)
class Bound:
    """Setting values by name (a choice's value is its key), each choice's data, and how the destination is reached: what replaces the
    endpoint for a local receiver, the files of TLS, and whether other machines may be sent to without it."""

    values: dict[str, Any]
    data: dict[str, dict[str, Any]] = field(default_factory=dict)
    secret: frozenset[str] = frozenset()
    endpoint_override: str | None = None
    tls: Tls = NO_TLS
    plain_http: bool = False

    def get(self, name: str) -> Any:
        """The value of `settings.a` or `settings.a.key` (also without the `settings.`); MISSING for an optional one not given."""
        first, *rest = name.removeprefix("settings.").split(".")
        if not rest:
            return self.values.get(first, MISSING)
        return self.data.get(first, {}).get(rest[0], MISSING)

    def masked(self) -> Bound:
        """The same with every secret shown as `<its name>`."""
        shown = {
            name: shapes.masked(value, f"<{name}>") if name in self.secret else value
            for name, value in self.values.items()
        }
        return replace(self, values=shown)

    def secrets(self) -> list[str]:
        """The secret values themselves, of a map each of its values: what no output may hold."""
        held = (self.values[name] for name in sorted(self.secret) if name in self.values)
        return [text for value in held for text in shapes.text_of(value)]


@dataclass(frozen=True)
class Way:
    """How a person asked for the destination to be reached, over what a connection says of it."""

    endpoint_override: str | None = None
    tls: Tls | None = None
    plain_http: bool = False


def bind(plan: Plan, given: Mapping[str, Any], way: Way = Way()) -> Bound:
    """Checks the given values against the plan's settings, fills in defaults. Raises SettingError with all that is wrong, a line each."""
    plain_http = way.plain_http or bool(plan.connection and plan.connection.plain_http)
    if problems := wrong(plan, given, plain_http=plain_http):
        raise SettingError("\n".join(problems))
    values: dict[str, Any] = {}
    data: dict[str, dict[str, Any]] = {}
    for name, setting in plan.settings.items():
        value = given.get(name, setting.default)
        if value is None or value == "":
            continue
        values[name] = typed(plan.name, name, setting, value, plain_http=plain_http)
        if setting.type == "choice":
            data[name] = setting.choices[values[name]]
    # The names in a list decide what is sent and hold no credential, as the headers in a map may.
    late = [name for name in _bound_late(plan) if plan.settings[name].type != "list"]
    secret = frozenset([*late, *(name for name, setting in plan.settings.items() if setting.secret)])
    tls = way.tls or (plan.connection.tls if plan.connection else None) or NO_TLS
    return Bound(values, data, secret, way.endpoint_override, tls, plain_http)


def _bound_late(plan: Plan) -> frozenset[str]:
    """What a connection takes from the environment or a file is not in its plan, so it is not to be shown either."""
    held = plan.connection.settings if plan.connection else {}
    return frozenset(name for name, value in held.items() if is_reference(value))


def wrong(
    plan: Plan, given: Mapping[str, Any], *, but: frozenset[str] = frozenset(), plain_http: bool = False
) -> list[str]:
    """What is wrong with given values: unknown names, wrong types, what is missing. Nothing is said of the settings in `but`."""
    found: list[str] = []
    plain_http = plain_http or bool(plan.connection and plan.connection.plain_http)
    hidden = _bound_late(plan)
    for name in given:
        if name not in plan.settings:
            near = difflib.get_close_matches(name, plan.settings, 1, 0.67)
            guess = f"; did you mean `{near[0]}`?" if near else ""
            found.append(
                f"{plan.name} has no setting `{shown(name)}`{guess} (it has: {', '.join(plan.settings) or 'none'})"
            )
    for name, setting in plan.settings.items():
        value = given.get(name, setting.default)
        if name in but or (setting.optional and (value is None or value == "")):
            continue
        if value is None or value == "":
            form = f"--set {name}={_form(setting)}"
            found.append(f"{plan.name} needs the setting `{name}`{_described(setting)}: give it with {form}")
            continue
        try:
            typed(plan.name, name, setting, value, plain_http=plain_http, hidden=name in hidden)
        except SettingError as error:
            found.append(str(error))
    return found


def resolve(text: str, largest: int = LARGEST) -> tuple[str, bool]:
    """`env:NAME` or `file:PATH` as its value, anything else as it stands; and whether it came from one of the two."""
    if text.startswith("env:"):
        name = text[4:]
        if os.environ.get(name, "") == "":
            raise SettingError(f"the environment variable {shown(name)} is not set (asked for by {shown(text)})")
        return _utf8(os.environ[name], f"the environment variable {shown(name)}"), True
    if text.startswith("file:"):
        try:
            with Path(text[5:]).open("rb") as file:
                data = file.read(largest + 1)
            if len(data) > largest:
                raise SettingError(
                    f"the file {shown(text[5:])} is too large for a setting (asked for by {shown(text)})"
                )
            return data.decode().removeprefix("\ufeff").rstrip("\r\n"), True
        except (OSError, ValueError) as error:
            reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else "it is no file's name"
            reason = (error.strerror or reason) if isinstance(error, OSError) else reason
            raise SettingError(
                f"cannot read the file {shown(text[5:])} (asked for by {shown(text)}): {reason}"
            ) from None
    return _utf8(text, "a value of --set"), False


def _utf8(text: str, what: str) -> str:
    """Bytes that are no UTF-8 come from the system as halves of characters, which nothing can be made of."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SettingError(f"{what} is not UTF-8 text") from None
    return text


def typed(plan: str, name: str, setting: Setting, value: Any, *, plain_http: bool = False, hidden: bool = False) -> Any:
    """A given value in the setting's type. `plan` is the name that an error begins with, which says the first thing that is wrong; a value that
    is `hidden` is in no error."""
    read, misfits = shapes.read(setting, value, plain_http=plain_http, hidden=hidden)
    for misfit in misfits:
        raise SettingError(f"{plan}: the setting `{shapes.place(name, misfit.steps)}` {misfit.says}")
    return read


def _described(setting: Setting) -> str:
    return f" ({setting.label})" if setting.label else ""


def _form(setting: Setting) -> str:
    if setting.secret:
        return "env:VARIABLE or file:PATH"
    if setting.type in shapes.SEVERAL:
        return shlex.quote(shapes.example(setting))
    return "|".join(setting.choices) if setting.choices else "VALUE"


def local_url(text: str, *, plain_http: bool = False) -> str:
    """An endpoint override: https anywhere, http on loopback (elsewhere with `plain_http`), without path or query."""
    read = base_url(text, plain_http=plain_http)
    if read is None or urlsplit(text).path not in ("", "/"):
        raise SettingError(
            f"--endpoint-override takes https://host[:port], or http:// with a loopback host (others with --plain-http), not `{shown(text)}`"
        )
    return read
