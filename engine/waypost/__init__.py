"""Waypost: customer-data events in, HTTP destinations out, each destination a YAML file.

What a program may use stands here: `compile`, `load`, `link`, `deliver` and what they take and give (docs/python.md, with examples that run).
Everything below is inside: it may change from one version to the next.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from waypost.api import (
        Filtered,
        Mapped,
        Plan,
        PlanError,
        Program,
        Rejected,
        Report,
        SettingError,
        StateError,
        Summary,
        compile,
        deliver,
        link,
        load,
    )

from waypost.version import __version__

__all__ = [
    "Filtered",
    "Mapped",
    "Plan",
    "PlanError",
    "Program",
    "Rejected",
    "Report",
    "SettingError",
    "StateError",
    "Summary",
    "__version__",
    "compile",
    "deliver",
    "link",
    "load",
]


def __getattr__(name: str) -> Any:
    # Late, so that `import waypost` costs nothing, and a program that only maps never loads the compiler or the HTTP client.
    if name in __all__:
        return getattr(import_module("waypost.api"), name)
    raise AttributeError(f"module 'waypost' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
