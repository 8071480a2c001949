"""The value of a setting as it is given outside of a spec: on a command line, by a connection, from Python.

Takes a plan's Setting and what was given. Gives the value, which `program.settings` judges when it binds it. Why here: text of a list or map is
read as YAML, and only for these is the compiler loaded.
"""

from __future__ import annotations

from typing import Any

from waypost.lang.shapes import SEVERAL
from waypost.plan import Plan
from waypost.program.settings import SettingError, resolve


def given_value(plan: Plan, name: str, value: Any) -> tuple[Any, bool]:
    """The value, and whether it came from `env:NAME` or `file:PATH`. Raises SettingError for what cannot be read."""
    if not isinstance(value, str):
        return value, False
    setting = plan.settings.get(name)
    if setting is None or setting.type not in SEVERAL:
        return resolve(value)
    from waypost.compiler.read.setting_values import LARGEST, from_text

    text, bound = resolve(value, LARGEST)
    if not text.strip():
        return "", bound
    # What a connection takes from outside is not to be shown.
    hidden = bound and plan.connection is not None
    found, fault = from_text(name, text, setting, hidden=hidden)
    if fault:
        raise SettingError(f"{plan.name}: the setting {fault}")
    return found, bound
