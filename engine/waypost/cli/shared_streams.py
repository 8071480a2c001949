"""Two sources that would read one pipe, or standard input: what one has read the other never sees, so they are refused before anything is read.

Takes the sources of a connections file. Raises SourceError. A regular file is another thing: each lane has a cursor of its own in it.
"""

from __future__ import annotations

from collections.abc import Iterable

from waypost.events.lines import SourceError
from waypost.sources.kinds import Kind


def refuse_shared_streams(kinds: Iterable[Kind]) -> None:
    readers: dict[str, tuple[str, str]] = {}
    for kind in kinds:
        for key, shown in dict(kind.streams()).items():
            if key in readers:
                other, as_shown = readers[key]
                also = "" if as_shown == shown else f" (`{as_shown}` there)"
                raise SourceError(
                    f"the sources `{other}` and `{kind.feed.name}` both read {shown}{also}: each line would reach one of them only; "
                    "make one source of them, and name it in every connection that wants its events"
                )
            readers[key] = kind.feed.name, shown
