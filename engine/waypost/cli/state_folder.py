"""Where a state is: the folder that was named, or the one that the XDG base directories give.

Takes the option's text and what is run. Gives a folder. `auto` asks for $XDG_STATE_HOME/waypost/NAME (~/.local/state/waypost/NAME).
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from waypost.cli.common import refuse
from waypost.plan import catalog

AUTO = "auto"


def folder(given: str | None, target: str) -> Path | None:
    """None when no state was asked for."""
    if given is None:
        return None
    return automatic(target) if given == AUTO else Path(given)


def automatic(target: str) -> Path:
    """The state of a target by itself: files of the same name in different folders have different ones."""
    home = os.environ.get("XDG_STATE_HOME", "")
    base = Path(home) if home.startswith("/") else Path.home() / ".local" / "state"
    path = Path(target)
    if not path.exists():
        return base / "waypost" / path.stem
    resolved = path.resolve()
    return base / "waypost" / f"{resolved.stem}-{hashlib.sha256(str(resolved).encode()).hexdigest()[:8]}"


def to_look_at(given: str | None) -> Path:
    """For commands that look at a state: the one that was named, else that of ./waypost.yaml."""
    found = folder(given, catalog.CONNECTIONS)
    if found is None and Path(catalog.CONNECTIONS).is_file():
        found = automatic(catalog.CONNECTIONS)
    if found is None:
        refuse("name the folder of the state: --state DIR")
    return found
