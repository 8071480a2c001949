"""Runs again when a file changes. Takes the files, and ways to wait and to look, so that a test needs no real clock.

Polling, because it is the same everywhere and three files are looked at in no time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

Stamp = tuple[int, int] | None

INTERVAL_S = 0.3


def stamp(path: Path) -> Stamp:
    """What changes when the file does: its time of change and size; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def changes(
    paths: Sequence[Path], sleep: Callable[[float], None], look: Callable[[Path], Stamp] = stamp
) -> Iterator[list[Path]]:
    """The files that changed, each time that some did. What changes before the next is asked for, as golden.json after an update, counts
    as seen."""
    while True:
        before = [look(path) for path in paths]
        after = before
        while after == before:
            sleep(INTERVAL_S)
            after = [look(path) for path in paths]
        yield [path for path, old, new in zip(paths, before, after, strict=True) if old != new]
